//! Connects and lookups of a process, by outcome and duration.

use core::time::Duration;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::histogram::{Histogram, HistogramSnapshot};

/// How a connect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectOutcome {
    /// The socket is connected.
    Succeeded,
    /// Nothing listens at the address.
    Refused,
    /// The peer or the name service did not answer in time.
    TimedOut,
    /// There is no route to the peer.
    Unreachable,
    /// There is no address: the name is unknown, or has no address of an
    /// accepted family.
    Unresolved,
    /// shutdown or close ended it.
    Cancelled,
    /// Any other failure.
    Failed,
}

impl ConnectOutcome {
    /// All of them, in the order of their values, each with its value of the label
    /// `outcome` in metrics.
    pub const ALL: [(ConnectOutcome, &str); 7] = [
        (ConnectOutcome::Succeeded, "succeeded"),
        (ConnectOutcome::Refused, "refused"),
        (ConnectOutcome::TimedOut, "timed_out"),
        (ConnectOutcome::Unreachable, "unreachable"),
        (ConnectOutcome::Unresolved, "unresolved"),
        (ConnectOutcome::Cancelled, "cancelled"),
        (ConnectOutcome::Failed, "failed"),
    ];
}

/// How the lookup of a name ended, for one caller and one address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupOutcome {
    /// The name has addresses.
    Found,
    /// The name does not exist, or has no address of the family.
    NotFound,
    /// The name service did not answer in time.
    TimedOut,
    /// The answer was no longer needed.
    Cancelled,
    /// Any other failure: the name server reported one, or there were too many
    /// lookups at once.
    Failed,
}

impl LookupOutcome {
    /// All of them, in the order of their values.
    pub const ALL: [LookupOutcome; 5] = [
        LookupOutcome::Found,
        LookupOutcome::NotFound,
        LookupOutcome::TimedOut,
        LookupOutcome::Cancelled,
        LookupOutcome::Failed,
    ];

    /// Its value of the label `outcome` in metrics. Log lines have it too, for which a
    /// table is larger than a match.
    pub fn name(self) -> &'static str {
        match self {
            LookupOutcome::Found => "found",
            LookupOutcome::NotFound => "not_found",
            LookupOutcome::TimedOut => "timed_out",
            LookupOutcome::Cancelled => "cancelled",
            LookupOutcome::Failed => "failed",
        }
    }
}

/// Live counters of connects.
#[derive(Debug, Default)]
pub struct Connects {
    outcomes: [AtomicU64; ConnectOutcome::ALL.len()],
    duration: Histogram,
}

impl Connects {
    pub(crate) const fn new() -> Self {
        Connects {
            outcomes: [const { AtomicU64::new(0) }; ConnectOutcome::ALL.len()],
            duration: Histogram::new(),
        }
    }

    /// Counts a connect that ended.
    pub fn record(&self, outcome: ConnectOutcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Adds the duration of a connect that had to wait for the network.
    pub fn observe(&self, duration: Duration) {
        self.duration.observe(duration);
    }

    /// The current values.
    pub fn snapshot(&self) -> ConnectTotals {
        ConnectTotals {
            outcomes: values(&self.outcomes),
            duration: self.duration.snapshot(),
        }
    }
}

/// Live counters of lookups.
#[derive(Debug, Default)]
pub struct Lookups {
    outcomes: [AtomicU64; LookupOutcome::ALL.len()],
    duration: Histogram,
}

impl Lookups {
    pub(crate) const fn new() -> Self {
        Lookups {
            outcomes: [const { AtomicU64::new(0) }; LookupOutcome::ALL.len()],
            duration: Histogram::new(),
        }
    }

    /// Counts a lookup that ended after that time.
    pub fn record(&self, outcome: LookupOutcome, duration: Duration) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
        self.duration.observe(duration);
    }

    /// The current values.
    pub fn snapshot(&self) -> LookupTotals {
        LookupTotals {
            outcomes: values(&self.outcomes),
            duration: self.duration.snapshot(),
        }
    }
}

fn values<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    core::array::from_fn(|index| counters[index].load(Relaxed))
}

/// Connects by outcome and duration, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectTotals {
    outcomes: [u64; ConnectOutcome::ALL.len()],
    /// Of connects that had to wait for the network: for a TCP handshake or a
    /// lookup.
    pub duration: HistogramSnapshot,
}

impl ConnectTotals {
    /// How many ended that way.
    pub fn count(&self, outcome: ConnectOutcome) -> u64 {
        self.outcomes[outcome as usize]
    }
}

/// Lookups by outcome and duration, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupTotals {
    outcomes: [u64; LookupOutcome::ALL.len()],
    /// Of all lookups.
    pub duration: HistogramSnapshot,
}

impl LookupTotals {
    /// How many ended that way.
    pub fn count(&self, outcome: LookupOutcome) -> u64 {
        self.outcomes[outcome as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_counter_and_name() {
        let (connects, lookups) = (Connects::new(), Lookups::new());
        for (times, (outcome, _)) in (1..).zip(ConnectOutcome::ALL) {
            (0..times).for_each(|_| connects.record(outcome));
        }
        for (times, outcome) in (1..).zip(LookupOutcome::ALL) {
            (0..times).for_each(|_| lookups.record(outcome, Duration::ZERO));
        }
        let waited = Connects::new();
        waited.observe(Duration::from_millis(3));
        assert_eq!(waited.snapshot().duration.sum, Duration::from_millis(3));
        let (connects, lookups) = (connects.snapshot(), lookups.snapshot());
        assert_eq!(
            ConnectOutcome::ALL.map(|(outcome, _)| connects.count(outcome)),
            [1, 2, 3, 4, 5, 6, 7]
        );
        assert_eq!(
            LookupOutcome::ALL.map(|outcome| lookups.count(outcome)),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(lookups.duration.count(), 15);
        // Only connects that waited have a duration.
        assert_eq!(connects.duration.count(), 0);
        // A label of metrics, which others' dashboards have.
        assert_eq!(
            LookupOutcome::ALL.map(LookupOutcome::name),
            ["found", "not_found", "timed_out", "cancelled", "failed"]
        );
        let mut names: Vec<_> = ConnectOutcome::ALL.map(|(_, name)| name).into();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ConnectOutcome::ALL.len());
    }
}
