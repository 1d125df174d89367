//! eventfd(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use anjay_net_resolve::Wake;

use super::check;

use crate::error::{Errno, Result};

/// A descriptor that another thread makes readable, to end a wait.
pub(crate) struct Waker(OwnedFd);

impl Waker {
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub(crate) fn new() -> Result<Waker> {
        // SAFETY: no memory is passed.
        let fd =
            check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } as isize)?;
        // SAFETY: eventfd(2) has just returned this descriptor, and only to us.
        Ok(Waker(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Another handle of the same waker: dup(2), as an `Arc` would end the process
    /// when memory runs out.
    ///
    /// # Errors
    /// `EMFILE`.
    pub(crate) fn try_clone(&self) -> Result<Waker> {
        Ok(Waker(self.0.try_clone()?))
    }

    /// Makes it readable, and so ends every wait for it.
    pub(crate) fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        let fd = self.0.as_raw_fd();
        // SAFETY: eight readable bytes.
        let write = || check(unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) });
        // It fails otherwise only when the counter is full, and then it is
        // readable already.
        while write().is_err_and(|error| error == Errno(libc::EINTR)) {}
    }

    /// Makes it unreadable again.
    pub(crate) fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight writable bytes. It fails only when it was clear.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl Wake for Waker {
    fn wake(&self) {
        Waker::wake(self);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
