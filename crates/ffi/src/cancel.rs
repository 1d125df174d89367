//! Threads that are cancelled while they are in a call.
//!
//! pthread_cancel(3) unwinds the stack of the thread from the system call that it
//! is in. That must not happen to frames of Rust: the program would be aborted.

use core::ffi::c_int;

use crate::weak;

/// Cancellation of this thread is put off while it lives: it takes effect at the
/// first cancellation point after the call.
///
/// A program with one thread has nobody who could cancel it in a call, and glibc
/// has no cancellation points there either (`__libc_single_threaded`).
pub(crate) struct Uncancellable {
    before: Option<c_int>,
}

/// The value of glibc and of musl.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

unsafe extern "C" {
    /// Any thread may set its own state.
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

impl Uncancellable {
    #[inline]
    pub(crate) fn new() -> Self {
        let is_alone = weak::is_single_threaded();
        Uncancellable {
            before: (!is_alone).then(|| set_state(PTHREAD_CANCEL_DISABLE)),
        }
    }
}

/// Returns the state before.
#[inline(never)]
fn set_state(state: c_int) -> c_int {
    let mut before = 0;
    // SAFETY: a state that exists, and a place for the one before.
    unsafe { pthread_setcancelstate(state, &mut before) };
    before
}

impl Drop for Uncancellable {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(before) = self.before {
            set_state(before);
        }
    }
}
