//! Time limits, and the one place that waits.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::time::Instant;

use crate::error::{Errno, Result};
use crate::sys::{self, PollFd};

/// A duration as C callers pass it: stored and returned unchanged, even if it is
/// invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// Whole seconds, may be negative.
    pub seconds: i64,
    /// Nanoseconds within the second; a value outside 0..1_000_000_000 makes the
    /// duration invalid.
    pub nanoseconds: i32,
}

impl Timeout {
    /// The receive timeout of a new socket: 30 s.
    pub const DEFAULT_RECEIVE: Timeout = Timeout {
        seconds: 30,
        nanoseconds: 0,
    };

    /// How long a wait may take: zero for a negative duration, `None`, which is no
    /// limit, for an invalid one.
    pub(crate) fn duration(self) -> Option<Duration> {
        let nanoseconds = u32::try_from(self.nanoseconds).ok()?;
        let seconds = u64::try_from(self.seconds);
        (nanoseconds < 1_000_000_000).then(|| match seconds {
            Ok(seconds) => Duration::new(seconds, nanoseconds),
            Err(_negative) => Duration::ZERO,
        })
    }
}

impl From<Duration> for Timeout {
    /// Saturates at `i64::MAX` seconds.
    fn from(duration: Duration) -> Timeout {
        Timeout {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            // Less than a billion: fits.
            #[allow(clippy::cast_possible_wrap)]
            nanoseconds: duration.subsec_nanos() as i32,
        }
    }
}

/// A time limit that is read without a lock, in nanoseconds; `u64::MAX`, and all
/// beyond 584 years, is no limit.
pub(crate) struct AtomicTimeout(AtomicU64);

impl AtomicTimeout {
    pub(crate) fn new(limit: Option<Duration>) -> AtomicTimeout {
        AtomicTimeout(AtomicU64::new(encode(limit)))
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Duration> {
        match self.0.load(Relaxed) {
            u64::MAX => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// Whether nothing is to be waited for.
    #[inline]
    pub(crate) fn is_zero(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    pub(crate) fn set(&self, limit: Option<Duration>) {
        self.0.store(encode(limit), Relaxed);
    }
}

fn encode(limit: Option<Duration>) -> u64 {
    limit.map_or(u64::MAX, |limit| {
        u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Whole milliseconds of a duration, which is shorter than 584 million years.
#[inline(never)]
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Waits until one of `fds` is ready; `ETIMEDOUT` when the deadline comes first, `None`
/// for none.
///
/// Never returns early: ppoll(2) does not, on the same clock, and signals restart
/// the wait for what remains of it. A deadline in the past still looks once.
pub(crate) fn wait(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> Result<()> {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match sys::poll(fds, left) {
            Ok(0) => return Err(Errno(libc::ETIMEDOUT)),
            Ok(_) => return Ok(()),
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The time limit of one call, which begins with its first wait: a call that is
/// ready reads no clock.
pub(crate) struct TimeLimit {
    limit: Option<Duration>,
    begun_at: Option<Instant>,
}

impl TimeLimit {
    /// `None`, and what the clock can't represent: no limit.
    pub(crate) fn new(limit: Option<Duration>) -> TimeLimit {
        TimeLimit {
            limit,
            begun_at: None,
        }
    }

    /// Waits as [`wait`] does. Once the time is up, `ETIMEDOUT`, even when the kernel
    /// says "ready": it may say so repeatedly and then have nothing.
    pub(crate) fn wait(&mut self, fds: &mut [PollFd<'_>]) -> Result<()> {
        let now = Instant::now();
        let begun_at = *self.begun_at.get_or_insert(now);
        let deadline = self.limit.and_then(|limit| begun_at.checked_add(limit));
        if deadline.is_some_and(|at| now >= at) {
            return Err(Errno(libc::ETIMEDOUT));
        }
        wait(fds, deadline)
    }

    /// Whether the call has waited.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Waker;
    use std::os::fd::AsFd;

    #[test]
    fn a_wait_is_never_early_even_below_a_millisecond() {
        let waker = Waker::new().unwrap();
        for micros in [1, 200, 500, 999, 1000, 1001, 1500, 2999] {
            let limit = Duration::from_micros(micros);
            let start = Instant::now();
            let mut fds = [PollFd::new(waker.as_fd(), libc::POLLIN)];
            let error = wait(&mut fds, Some(start + limit)).unwrap_err();
            assert_eq!(error, Errno(libc::ETIMEDOUT));
            assert!(start.elapsed() >= limit, "{micros} us came early");
        }
    }

    #[test]
    fn what_is_ready_is_seen_after_the_deadline_too() {
        let waker = Waker::new().unwrap();
        waker.wake();
        let mut fds = [PollFd::new(waker.as_fd(), libc::POLLIN)];
        wait(&mut fds, Some(Instant::now())).unwrap();
        assert!(fds[0].is_ready());
        waker.clear();
        assert!(wait(&mut fds, Some(Instant::now())).is_err());
    }

    #[test]
    fn what_is_always_ready_does_not_prolong_the_waits() {
        let waker = Waker::new().unwrap();
        waker.wake();
        let limit = Duration::from_millis(20);
        let start = Instant::now();
        let mut time = TimeLimit::new(Some(limit));
        let mut fds = [PollFd::new(waker.as_fd(), libc::POLLIN)];
        while time.wait(&mut fds).is_ok() {
            assert!(start.elapsed() < 50 * limit, "the deadline was ignored");
        }
        assert!(start.elapsed() >= limit);
    }

    #[test]
    fn only_a_limit_of_zero_is_zero() {
        let limit = AtomicTimeout::new(Some(Duration::ZERO));
        assert!(limit.is_zero());
        for other in [None, Some(Duration::from_nanos(1))] {
            limit.set(other);
            assert!(!limit.is_zero());
            assert_eq!(limit.get(), other);
        }
    }

    #[test]
    fn milliseconds_are_whole_ones() {
        assert_eq!(milliseconds(Duration::from_micros(2_999)), 2);
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_duration_beyond_the_clock_is_no_limit() {
        let waker = Waker::new().unwrap();
        waker.wake();
        let mut fds = [PollFd::new(waker.as_fd(), libc::POLLIN)];
        let mut time = TimeLimit::new(Some(Duration::MAX));
        assert_eq!((time.wait(&mut fds), time.wait(&mut fds)), (Ok(()), Ok(())));
    }

    #[test]
    fn a_limit_of_zero_does_not_look() {
        let waker = Waker::new().unwrap();
        waker.wake();
        let mut fds = [PollFd::new(waker.as_fd(), libc::POLLIN)];
        let waited = TimeLimit::new(Some(Duration::ZERO)).wait(&mut fds);
        assert_eq!(waited, Err(Errno(libc::ETIMEDOUT)));
    }

    #[test]
    fn every_timeout_has_a_meaning() {
        let limit = |seconds, nanoseconds| {
            Timeout {
                seconds,
                nanoseconds,
            }
            .duration()
        };
        assert_eq!(limit(0, 0), Some(Duration::ZERO));
        assert_eq!(limit(-1, 0), Some(Duration::ZERO));
        assert_eq!(limit(-1, 999_999_999), Some(Duration::ZERO));
        assert_eq!(limit(0, 500_000), Some(Duration::from_micros(500)));
        assert_eq!(limit(2, 1), Some(Duration::new(2, 1)));
        assert_eq!(limit(0, -1), None);
        assert_eq!(limit(0, 1_000_000_000), None);
        assert_eq!(limit(-5, i32::MIN), None);
        for limit in [None, Some(Duration::ZERO), Some(Duration::from_nanos(7))] {
            assert_eq!(AtomicTimeout::new(limit).get(), limit);
        }
        assert_eq!(AtomicTimeout::new(Some(Duration::MAX)).get(), None);
    }
}
