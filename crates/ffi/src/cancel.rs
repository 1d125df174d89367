//! Threads that are cancelled while they are in a call.
//!
//! pthread_cancel(3) unwinds the stack of the thread from the system call that it
//! is in. That must not happen to frames of Rust: the program would be aborted.

/// Cancellation of this thread is put off while it lives: it takes effect at the
/// first cancellation point after the call.
pub(crate) struct Uncancellable {
    #[cfg(target_os = "linux")]
    before: core::ffi::c_int,
}

#[cfg(target_os = "linux")]
mod posix {
    use core::ffi::c_int;

    /// The value of glibc and of musl.
    pub(super) const PTHREAD_CANCEL_DISABLE: c_int = 1;

    unsafe extern "C" {
        /// Any thread may set its own state; `before` may be NULL.
        pub(super) fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }
}

#[cfg(target_os = "linux")]
impl Uncancellable {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let mut before = 0;
        // SAFETY: a state that there is, and a place for the one before.
        unsafe { posix::pthread_setcancelstate(posix::PTHREAD_CANCEL_DISABLE, &mut before) };
        Uncancellable { before }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Uncancellable {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the state that it was in, and no place for the one that it is in.
        unsafe { posix::pthread_setcancelstate(self.before, core::ptr::null_mut()) };
    }
}

/// Elsewhere a cancelled thread aborts the program.
#[cfg(not(target_os = "linux"))]
impl Uncancellable {
    pub(crate) fn new() -> Self {
        Uncancellable {}
    }
}
