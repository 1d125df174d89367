//! Connects and lookups of a process, by outcome and time.

use core::time::Duration;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::times::{Histogram, Times};

/// How a connect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectOutcome {
    /// There is a peer.
    Connected,
    /// Nobody listens there.
    Refused,
    /// No answer in time, from the peer or from the name service.
    TimedOut,
    /// No way there.
    Unreachable,
    /// No address: an unknown name, or none of an accepted family.
    Unresolved,
    /// shutdown or close ended it.
    Ended,
    /// All else.
    Failed,
}

impl ConnectOutcome {
    /// All of them, in the order in which they are counted.
    pub const ALL: [ConnectOutcome; 7] = [
        ConnectOutcome::Connected,
        ConnectOutcome::Refused,
        ConnectOutcome::TimedOut,
        ConnectOutcome::Unreachable,
        ConnectOutcome::Unresolved,
        ConnectOutcome::Ended,
        ConnectOutcome::Failed,
    ];

    /// A word for it, as metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            ConnectOutcome::Connected => "connected",
            ConnectOutcome::Refused => "refused",
            ConnectOutcome::TimedOut => "timed_out",
            ConnectOutcome::Unreachable => "unreachable",
            ConnectOutcome::Unresolved => "unresolved",
            ConnectOutcome::Ended => "ended",
            ConnectOutcome::Failed => "failed",
        }
    }
}

/// How the lookup of a name ended, for one caller and one address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupOutcome {
    /// There are addresses.
    Found,
    /// There is no such name, or it has no address of the family.
    NotFound,
    /// No answer in time.
    TimedOut,
    /// The caller did not need the answer any more.
    Ended,
    /// All else: the name server failed, too many lookups at once.
    Failed,
}

impl LookupOutcome {
    /// All of them, in the order in which they are counted.
    pub const ALL: [LookupOutcome; 5] = [
        LookupOutcome::Found,
        LookupOutcome::NotFound,
        LookupOutcome::TimedOut,
        LookupOutcome::Ended,
        LookupOutcome::Failed,
    ];

    /// A word for it, as metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            LookupOutcome::Found => "found",
            LookupOutcome::NotFound => "not_found",
            LookupOutcome::TimedOut => "timed_out",
            LookupOutcome::Ended => "ended",
            LookupOutcome::Failed => "failed",
        }
    }
}

/// Live counters of connects.
#[derive(Debug)]
pub struct Connects {
    outcomes: [AtomicU64; ConnectOutcome::ALL.len()],
    times: Histogram,
}

impl Connects {
    pub(crate) const fn new() -> Self {
        Connects {
            outcomes: [const { AtomicU64::new(0) }; ConnectOutcome::ALL.len()],
            times: Histogram::new(),
        }
    }

    /// Counts a connect that ended.
    pub fn record(&self, outcome: ConnectOutcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Counts how long a connect took that had to wait for the network.
    pub fn took(&self, time: Duration) {
        self.times.add(time);
    }

    /// The values now.
    pub fn snapshot(&self) -> ConnectTotals {
        ConnectTotals {
            outcomes: values(&self.outcomes),
            times: self.times.snapshot(),
        }
    }
}

/// Live counters of lookups.
#[derive(Debug)]
pub struct Lookups {
    outcomes: [AtomicU64; LookupOutcome::ALL.len()],
    times: Histogram,
}

impl Lookups {
    pub(crate) const fn new() -> Self {
        Lookups {
            outcomes: [const { AtomicU64::new(0) }; LookupOutcome::ALL.len()],
            times: Histogram::new(),
        }
    }

    /// Counts a lookup that ended after that time.
    pub fn record(&self, outcome: LookupOutcome, time: Duration) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
        self.times.add(time);
    }

    /// The values now.
    pub fn snapshot(&self) -> LookupTotals {
        LookupTotals {
            outcomes: values(&self.outcomes),
            times: self.times.snapshot(),
        }
    }
}

fn values<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    core::array::from_fn(|index| counters[index].load(Relaxed))
}

/// Connects by outcome and time, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectTotals {
    outcomes: [u64; ConnectOutcome::ALL.len()],
    /// Of those that had to wait for the network: a TCP handshake, a lookup.
    pub times: Times,
}

impl ConnectTotals {
    /// How many ended that way.
    pub fn of(&self, outcome: ConnectOutcome) -> u64 {
        self.outcomes[outcome as usize]
    }
}

/// Lookups by outcome and time, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupTotals {
    outcomes: [u64; LookupOutcome::ALL.len()],
    /// Of all of them.
    pub times: Times,
}

impl LookupTotals {
    /// How many ended that way.
    pub fn of(&self, outcome: LookupOutcome) -> u64 {
        self.outcomes[outcome as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_counter_and_name() {
        let (connects, lookups) = (Connects::new(), Lookups::new());
        for (times, outcome) in (1..).zip(ConnectOutcome::ALL) {
            (0..times).for_each(|_| connects.record(outcome));
        }
        for (times, outcome) in (1..).zip(LookupOutcome::ALL) {
            (0..times).for_each(|_| lookups.record(outcome, Duration::ZERO));
        }
        let (connects, lookups) = (connects.snapshot(), lookups.snapshot());
        assert_eq!(
            ConnectOutcome::ALL.map(|outcome| connects.of(outcome)),
            [1, 2, 3, 4, 5, 6, 7]
        );
        assert_eq!(
            LookupOutcome::ALL.map(|outcome| lookups.of(outcome)),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(lookups.times.count(), 15);
        let mut names: Vec<_> = ConnectOutcome::ALL.map(ConnectOutcome::name).into();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ConnectOutcome::ALL.len());
    }
}
