//! How long calls take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a thread is at, for others to see.
#[derive(Clone)]
pub(crate) struct Activity {
    epoch: Instant,
    /// Microseconds from the epoch to the start of the call; 0 for none.
    started: Arc<AtomicU64>,
}

impl Activity {
    pub(crate) fn new() -> Activity {
        Activity {
            epoch: Instant::now(),
            started: Arc::default(),
        }
    }

    /// How long the thread has been in a call.
    pub(crate) fn in_call(&self) -> Duration {
        match self.started.load(Relaxed) {
            0 => Duration::ZERO,
            started => self
                .epoch
                .elapsed()
                .saturating_sub(Duration::from_micros(started)),
        }
    }
}

/// Times the calls of one thread.
pub(crate) struct Stopwatch {
    activity: Activity,
    longest: BTreeMap<&'static str, Duration>,
}

impl Stopwatch {
    pub(crate) fn new(activity: Activity) -> Stopwatch {
        Stopwatch {
            activity,
            longest: BTreeMap::new(),
        }
    }

    /// Makes a call of that name.
    pub(crate) fn time<T>(&mut self, name: &'static str, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let since = start.duration_since(self.activity.epoch).as_micros();
        let since = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        self.activity.started.store(since, Relaxed);
        let outcome = call();
        self.activity.started.store(0, Relaxed);
        let longest = self.longest.entry(name).or_default();
        *longest = start.elapsed().max(*longest);
        outcome
    }

    /// The longest of each.
    pub(crate) fn longest(self) -> BTreeMap<&'static str, Duration> {
        self.longest
    }
}
