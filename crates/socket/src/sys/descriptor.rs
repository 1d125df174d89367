//! What makes the descriptors of [`fd_lock`](crate::fd_lock) real ones.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::{is_only_thread, shutdown};
use crate::fd_lock::{ClosingList, Descriptor, FdGuard};

impl Descriptor for OwnedFd {
    #[inline]
    fn number(&self) -> RawFd {
        self.as_raw_fd()
    }

    fn wake(&self) {
        // The calls of a process that this one was forked from go on.
        if !is_only_thread() {
            // An error means that no call waits for it.
            let _ = shutdown(self.as_fd());
        }
    }

    fn closing_list() -> &'static ClosingList<OwnedFd> {
        #[cfg(not(loom))]
        static CLOSING: ClosingList<OwnedFd> = ClosingList::new();
        #[cfg(loom)]
        loom::lazy_static! {
            static ref CLOSING: ClosingList<OwnedFd> = ClosingList::new();
        }
        &CLOSING
    }
}

impl AsFd for FdGuard<'_, OwnedFd> {
    #[inline(always)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the number was in the lock when the guard was made, and the
        // `OwnedFd` behind it is not dropped while a guard for it lives: close
        // leaves it to the last guard.
        unsafe { BorrowedFd::borrow_raw(self.number()) }
    }
}
