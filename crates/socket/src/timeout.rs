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

    /// How long a wait may take: a negative duration is none at all, `None`, for
    /// an invalid one, no limit.
    pub(crate) fn duration(self) -> Option<Duration> {
        match u32::try_from(self.nanoseconds) {
            Ok(nanoseconds @ 0..1_000_000_000) => match u64::try_from(self.seconds) {
                Ok(seconds) => Some(Duration::new(seconds, nanoseconds)),
                Err(_negative) => Some(Duration::ZERO),
            },
            _ => None,
        }
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

/// Until when: absolute and monotonic, so that a wait that is interrupted does
/// not start over and setting the clock does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline.
    pub(crate) const NEVER: Deadline = Deadline(None);

    /// `limit` from now; a time that the clock can't represent is never.
    pub(crate) fn after(limit: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(limit))
    }

    /// At `at`.
    pub(crate) fn at(at: Instant) -> Deadline {
        Deadline(Some(at))
    }

    /// The earlier of the two.
    pub(crate) fn min(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(own), Some(other)) => Deadline(Some(own.min(other))),
            (own, other) => Deadline(own.or(other)),
        }
    }

    /// What is left of it, nothing when it has passed; `None` for no deadline.
    fn remaining(self) -> Option<Duration> {
        self.0
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it has passed at `now`.
    pub(crate) fn has_passed(self, now: Instant) -> bool {
        self.0.is_some_and(|at| now >= at)
    }
}

/// Waits until one of `fds` is ready; `ETIMEDOUT` when the deadline comes
/// first.
///
/// Never returns early: ppoll(2) does not, on the same clock, and signals restart
/// the wait for what remains of it. A deadline in the past still looks once.
pub(crate) fn wait(fds: &mut [PollFd<'_>], deadline: Deadline) -> Result<()> {
    loop {
        match sys::poll(fds, deadline.remaining()) {
            Ok(0) => return Err(Errno(libc::ETIMEDOUT)),
            Ok(_) => return Ok(()),
            Err(error) if error == Errno(libc::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The time limit of one call, which begins with its first wait: a call that is
/// ready reads no clock.
pub(crate) struct TimeLimit {
    limit: Option<Duration>,
    deadline: Option<Deadline>,
}

impl TimeLimit {
    /// `None`: no limit.
    pub(crate) fn new(limit: Option<Duration>) -> TimeLimit {
        TimeLimit {
            limit,
            deadline: None,
        }
    }

    /// Waits as [`wait`] does. From the second time on, `ETIMEDOUT` when the time
    /// is up even when the kernel says "ready", as it may say so repeatedly and
    /// then have nothing.
    pub(crate) fn wait(&mut self, fds: &mut [PollFd<'_>]) -> Result<()> {
        match (self.deadline, self.limit) {
            (Some(deadline), _) if deadline.has_passed(Instant::now()) => {
                Err(Errno(libc::ETIMEDOUT))
            }
            (Some(deadline), _) => wait(fds, deadline),
            (None, Some(Duration::ZERO)) => Err(Errno(libc::ETIMEDOUT)),
            (None, limit) => {
                let deadline = limit.map_or(Deadline::NEVER, Deadline::after);
                self.deadline = Some(deadline);
                wait(fds, deadline)
            }
        }
    }

    /// Whether the call has waited.
    pub(crate) fn has_begun(&self) -> bool {
        self.deadline.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Interest, Waker};
    use std::os::fd::AsFd;

    #[test]
    fn a_wait_is_never_early_even_below_a_millisecond() {
        let waker = Waker::new().unwrap();
        for micros in [1, 200, 500, 999, 1000, 1001, 1500, 2999] {
            let limit = Duration::from_micros(micros);
            let start = Instant::now();
            let mut fds = [PollFd::new(waker.as_fd(), Interest::Readable)];
            let error = wait(&mut fds, Deadline::after(limit)).unwrap_err();
            assert_eq!(error, Errno(libc::ETIMEDOUT));
            assert!(start.elapsed() >= limit, "{micros} us came early");
        }
    }

    #[test]
    fn what_is_ready_is_seen_after_the_deadline_too() {
        let waker = Waker::new().unwrap();
        waker.wake();
        let mut fds = [PollFd::new(waker.as_fd(), Interest::Readable)];
        wait(&mut fds, Deadline::after(Duration::ZERO)).unwrap();
        assert!(fds[0].is_ready());
        waker.clear();
        assert!(wait(&mut fds, Deadline::after(Duration::ZERO)).is_err());
    }

    #[test]
    fn what_is_always_ready_does_not_prolong_the_waits() {
        let waker = Waker::new().unwrap();
        waker.wake();
        let limit = Duration::from_millis(20);
        let start = Instant::now();
        let mut time = TimeLimit::new(Some(limit));
        let mut fds = [PollFd::new(waker.as_fd(), Interest::Readable)];
        while time.wait(&mut fds).is_ok() {
            assert!(start.elapsed() < 50 * limit, "the deadline was ignored");
        }
        assert!(start.elapsed() >= limit);
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(2));
        let (soon, late) = (Deadline::at(soon), Deadline::at(late));
        for (one, other) in [(soon, late), (soon, soon), (soon, Deadline::NEVER)] {
            assert_eq!((one.min(other), other.min(one)), (soon, soon));
        }
        assert_eq!(Deadline::NEVER.min(Deadline::NEVER), Deadline::NEVER);
        let at = Deadline::at(now);
        assert!(at.has_passed(now));
        assert!(!soon.has_passed(now));
        assert!(!Deadline::NEVER.has_passed(now));
        assert!(soon.remaining() <= Some(Duration::from_secs(1)));
        assert!(soon.remaining() > Some(Duration::ZERO));
        assert_eq!(at.remaining(), Some(Duration::ZERO));
        assert_eq!(Deadline::NEVER.remaining(), None);
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
    fn a_duration_beyond_the_clock_is_no_deadline() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
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
