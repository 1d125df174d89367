//! Threads that are cancelled while they are in a call.
//!
//! pthread_cancel(3) unwinds the stack of the thread from the system call that it
//! is in. That must not happen to frames of Rust: the program would be aborted.

use core::ffi::c_int;
use core::ptr;

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
    /// Any thread may set its own state; `before` may be NULL.
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

impl Uncancellable {
    #[inline]
    pub(crate) fn new() -> Self {
        if weak::is_single_threaded() {
            return Uncancellable { before: None };
        }
        let mut before = 0;
        // SAFETY: a state that exists, and a place for the one before.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
        Uncancellable {
            before: Some(before),
        }
    }
}

impl Drop for Uncancellable {
    #[inline]
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // SAFETY: the state that it was in; NULL is not written.
            unsafe { pthread_setcancelstate(before, ptr::null_mut()) };
        }
    }
}
