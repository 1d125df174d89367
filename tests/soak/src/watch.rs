//! How long calls take, and what the process takes over time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anjay_net_support::process::{descriptors, resident_memory};

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
            started => {
                let started = Duration::from_micros(started);
                self.epoch.elapsed().saturating_sub(started)
            }
        }
    }
}

/// Times the calls of one thread.
pub(crate) struct Stopwatch {
    activity: Activity,
    /// The longest of each method.
    pub(crate) longest: BTreeMap<&'static str, Duration>,
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
        self.activity.started.store(since.max(1) as u64, Relaxed);
        let outcome = call();
        self.activity.started.store(0, Relaxed);
        let longest = self.longest.entry(name).or_default();
        *longest = start.elapsed().max(*longest);
        outcome
    }
}

/// What the clients have done until now: datagrams and messages that came
/// back, reconnects.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) datagrams: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) reconnects: AtomicU64,
}

/// One look at the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Since the start.
    pub(crate) at: Duration,
    /// Resident, in MB.
    pub(crate) memory: f64,
    pub(crate) descriptors: f64,
    /// Of [`Progress`].
    pub(crate) counts: [u64; 3],
}

impl Sample {
    pub(crate) fn take(start: Instant, progress: &Progress) -> Sample {
        let counters = [
            &progress.datagrams,
            &progress.messages,
            &progress.reconnects,
        ];
        Sample {
            at: start.elapsed(),
            memory: resident_memory() as f64 / 1e6,
            descriptors: descriptors() as f64,
            counts: counters.map(|counter| counter.load(Relaxed)),
        }
    }
}

/// Adds one to a counter of [`Progress`].
pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
