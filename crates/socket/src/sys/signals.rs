//! The signal mask of the calling thread.

use core::mem::MaybeUninit;
use core::ptr;

/// Runs `start` with every signal blocked that may be blocked. A thread that it
/// starts inherits the mask (pthread_create(3)) and so never takes a signal
/// that was meant for the program's own threads (signal(7)). May be called from
/// any thread.
pub(crate) fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are writable; sigfillset initialises the one that
    // pthread_sigmask reads, and pthread_sigmask the one that it stores.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let _restore = blocked.then(|| RestoreSignals(before));
    start()
}

/// Puts the signal mask back, after a panic as well.
struct RestoreSignals(MaybeUninit<libc::sigset_t>);

impl Drop for RestoreSignals {
    fn drop(&mut self) {
        // SAFETY: pthread_sigmask has initialised the set, or this would not
        // have been made; a NULL old set is not written.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, self.0.as_ptr(), ptr::null_mut()) };
    }
}
