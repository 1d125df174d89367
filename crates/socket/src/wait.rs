//! Time: deadlines, and the one place that waits.

use core::time::Duration;
use std::io;
use std::time::Instant;

use crate::sys::{self, PollFd};

/// How long a receive may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// At most this long.
    For(Duration),
    /// As long as it takes.
    Forever,
}

/// Until when: absolute and monotonic, so that a wait that is interrupted does
/// not begin anew and a clock that is set does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// `duration` from now; a time that the clock can't tell is never.
    pub(crate) fn after(duration: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(duration))
    }

    /// The earlier of this and `other`.
    pub(crate) fn or_at(self, other: Instant) -> Deadline {
        Deadline(Some(self.0.map_or(other, |own| own.min(other))))
    }

    /// No deadline.
    pub(crate) const NEVER: Deadline = Deadline(None);

    /// How long it is still to come, nothing when it is over; `None` for ever.
    fn remaining(self) -> Option<Duration> {
        self.0
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it is over at `now`.
    pub(crate) fn has_passed(self, now: Instant) -> bool {
        self.0.is_some_and(|at| now >= at)
    }
}

impl Patience {
    /// The deadline of a wait that begins now.
    pub(crate) fn deadline(self) -> Deadline {
        match self {
            Patience::None => Deadline::after(Duration::ZERO),
            Patience::For(duration) => Deadline::after(duration),
            Patience::Forever => Deadline::NEVER,
        }
    }

    /// How long that is; `None` for ever.
    fn duration(self) -> Option<Duration> {
        match self {
            Patience::None => Some(Duration::ZERO),
            Patience::For(duration) => Some(duration),
            Patience::Forever => None,
        }
    }
}

/// Waits until one of `fds` is ready; `ETIMEDOUT` when the deadline comes
/// first.
///
/// Never returns early: signals restart the wait for what remains of it.
/// A deadline in the past still looks once.
pub(crate) fn wait(fds: &mut [PollFd], deadline: Deadline) -> io::Result<()> {
    wait_on(fds, deadline, deadline.remaining())
}

/// As [`wait`], where it is known what remains until the deadline.
fn wait_on(
    fds: &mut [PollFd],
    deadline: Deadline,
    mut remaining: Option<Duration>,
) -> io::Result<()> {
    loop {
        match sys::poll(fds, remaining) {
            Ok(0) if deadline.has_passed(Instant::now()) => {
                return Err(sys::errno(libc::ETIMEDOUT));
            }
            // Nothing ready, and the kernel's idea of the time was coarser.
            Ok(0) => {}
            Ok(_) => return Ok(()),
            Err(error) if sys::is(&error, libc::EINTR) => {}
            Err(error) => return Err(error),
        }
        remaining = deadline.remaining();
    }
}

/// [`wait`], but not after the deadline.
fn wait_again(fds: &mut [PollFd], deadline: Deadline) -> io::Result<()> {
    if deadline.has_passed(Instant::now()) {
        return Err(sys::errno(libc::ETIMEDOUT));
    }
    wait(fds, deadline)
}

/// The waits of one call: they share a deadline, which begins with the first.
pub(crate) struct Waits(Option<Deadline>);

impl Waits {
    /// No wait yet.
    pub(crate) const NONE: Waits = Waits(None);

    /// Waits as [`wait`] does, with `patience` from the first time on. Later ones
    /// find the time up even when the kernel says "ready", as it may say so
    /// again and again and then have nothing.
    pub(crate) fn wait(
        &mut self,
        fds: &mut [PollFd],
        patience: impl FnOnce() -> Patience,
    ) -> io::Result<()> {
        match self.0 {
            None => {
                let patience = patience();
                // The clock is read once: what remains is all of it.
                let deadline = *self.0.insert(patience.deadline());
                wait_on(fds, deadline, patience.duration())
            }
            Some(begun) => wait_again(fds, begun),
        }
    }

    /// As [`Waits::wait`], where the time began to run before the first wait.
    pub(crate) fn wait_until(&mut self, fds: &mut [PollFd], deadline: Deadline) -> io::Result<()> {
        match self.0 {
            None => wait(fds, *self.0.insert(deadline)),
            Some(begun) => wait_again(fds, begun),
        }
    }

    /// The time begins to run before the first wait.
    pub(crate) fn begun(patience: Patience) -> Waits {
        Waits(Some(patience.deadline()))
    }

    /// Whether the call has waited.
    pub(crate) fn have_begun(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Interest, Notifier};

    #[test]
    fn a_wait_is_never_early_even_below_a_millisecond() {
        let notifier = Notifier::new().unwrap();
        for micros in [1, 200, 500, 999, 1000, 1001, 1500, 2999] {
            let patience = Duration::from_micros(micros);
            let start = Instant::now();
            let mut fds = [PollFd::new(notifier.fd(), Interest::Readable)];
            let error = wait(&mut fds, Deadline::after(patience)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
            assert!(start.elapsed() >= patience, "{micros} us came early");
        }
    }

    #[test]
    fn what_is_ready_is_seen_after_the_deadline_too() {
        let notifier = Notifier::new().unwrap();
        notifier.notify();
        let mut fds = [PollFd::new(notifier.fd(), Interest::Readable)];
        wait(&mut fds, Deadline::after(Duration::ZERO)).unwrap();
        assert!(fds[0].is_ready());
        notifier.clear();
        assert!(wait(&mut fds, Deadline::after(Duration::ZERO)).is_err());
    }

    #[test]
    fn what_is_always_ready_does_not_prolong_the_waits() {
        let notifier = Notifier::new().unwrap();
        notifier.notify();
        let patience = Duration::from_millis(20);
        let start = Instant::now();
        let mut waits = Waits::NONE;
        let mut fds = [PollFd::new(notifier.fd(), Interest::Readable)];
        while waits.wait(&mut fds, || Patience::For(patience)).is_ok() {
            assert!(start.elapsed() < 50 * patience, "the deadline was ignored");
        }
        assert!(start.elapsed() >= patience);
    }

    #[test]
    fn a_duration_beyond_the_clock_is_for_ever() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    }
}
