//! Histograms of durations.

use core::time::Duration;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The inclusive upper bounds of the buckets; one more bucket has no bound.
///
/// They reach from a network next door to the longest that one address may
/// take to answer (10 s by default).
pub const BUCKET_BOUNDS: [Duration; 12] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

const BUCKETS: usize = BUCKET_BOUNDS.len() + 1;

/// A live histogram; any thread may add, any thread may read.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    /// Microseconds.
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) const fn new() -> Self {
        Histogram {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }
    }

    pub(crate) fn observe(&self, duration: Duration) {
        let bucket = BUCKET_BOUNDS.iter().position(|&bound| duration <= bound);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Relaxed);
        // Pairs with the Acquire load in `snapshot`: an observation that is
        // seen there is in the sum.
        self.buckets[bucket.unwrap_or(BUCKETS - 1)].fetch_add(1, Release);
    }

    pub(crate) fn snapshot(&self) -> HistogramSnapshot {
        // Before the sum, which was added to first; pairs with the Release
        // addition in `observe`.
        let buckets = core::array::from_fn(|bucket| self.buckets[bucket].load(Acquire));
        HistogramSnapshot {
            buckets,
            sum: Duration::from_micros(self.sum.load(Relaxed)),
        }
    }
}

/// A histogram of durations at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Observations in each bucket: above the bound of the bucket before, at
    /// most the bound in [`BUCKET_BOUNDS`] at the same index; the last bucket
    /// has no upper bound.
    pub buckets: [u64; BUCKETS],
    /// Sum of all observations.
    pub sum: Duration,
}

impl HistogramSnapshot {
    /// Number of observations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let histogram = Histogram::new();
        for bound in BUCKET_BOUNDS {
            histogram.observe(bound);
            histogram.observe(bound + Duration::from_micros(1));
        }
        let seen = histogram.snapshot();
        assert_eq!(seen.buckets[0], 1);
        assert_eq!(seen.buckets[1..BUCKETS - 1], [2; BUCKETS - 2]);
        assert_eq!(seen.buckets[BUCKETS - 1], 1);
        assert_eq!(seen.count(), 24);
        let sum: Duration = BUCKET_BOUNDS.iter().sum();
        assert_eq!(seen.sum, 2 * sum + Duration::from_micros(12));
    }
}
