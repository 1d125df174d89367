//! ppoll(2).

use core::marker::PhantomData;
use core::ptr;
use core::time::Duration;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

use crate::error::Result;

/// One descriptor that [`poll`] waits for.
#[repr(transparent)]
pub(crate) struct PollFd<'a>(libc::pollfd, PhantomData<BorrowedFd<'a>>);

impl<'a> PollFd<'a> {
    /// `events` as poll(2) has them: `POLLIN`, `POLLOUT`, or 0 for errors and hang-up
    /// alone, which are always waited for.
    pub(crate) fn new(fd: BorrowedFd<'a>, events: i16) -> PollFd<'a> {
        let pollfd = libc::pollfd {
            fd: fd.as_raw_fd(),
            events,
            revents: 0,
        };
        PollFd(pollfd, PhantomData)
    }

    /// Whether the last [`poll`] found both directions shut down.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.0.revents & libc::POLLHUP != 0
    }

    /// Whether the last [`poll`] found an error: `SO_ERROR` has it.
    pub(crate) fn has_error(&self) -> bool {
        self.0.revents & (libc::POLLERR | libc::POLLHUP) != 0
    }

    /// Whether the last [`poll`] reported anything for it.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// How many descriptors are ready, 0 when the time is up; `None` waits without
/// a limit.
pub(crate) fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize> {
    // A 32-bit `time_t` is what limits the seconds, to 68 years; `as _` because the type
    // of `tv_nsec` differs between targets and always holds a billion.
    let timeout = timeout.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().min(i32::MAX as u64) as _,
        tv_nsec: limit.subsec_nanos() as _,
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `PollFd` is a transparent pollfd and the slice is writable; the
    // time is NULL or a valid timespec; a NULL signal mask changes nothing.
    check(unsafe {
        libc::ppoll(
            fds.as_mut_ptr().cast(),
            fds.len() as libc::nfds_t,
            timeout,
            ptr::null(),
        )
    } as isize)
}
