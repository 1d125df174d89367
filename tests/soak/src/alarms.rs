//! When which client, or which connection, wants something.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// How long a thread sleeps when nothing happens.
pub(crate) const IDLE: Duration = Duration::from_millis(20);

/// How long to sleep until something is due.
pub(crate) fn until(next: Option<Instant>) -> Duration {
    let wait = next.map(|at| at.saturating_duration_since(Instant::now()));
    wait.unwrap_or(IDLE).min(IDLE)
}

#[derive(Default)]
pub(crate) struct Alarms(BinaryHeap<Reverse<(Instant, usize)>>);

impl Alarms {
    pub(crate) fn set(&mut self, at: Instant, whose: usize) {
        self.0.push(Reverse((at, whose)));
    }

    /// How long until the next one.
    pub(crate) fn wait(&self) -> Duration {
        until(self.0.peek().map(|Reverse((at, _))| *at))
    }

    pub(crate) fn next_due(&mut self, now: Instant) -> Option<usize> {
        self.0.peek().filter(|next| next.0.0 <= now)?;
        self.0.pop().map(|Reverse((_, whose))| whose)
    }
}
