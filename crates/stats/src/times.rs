//! How long things took, as a histogram.

use core::time::Duration;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The upper limits of the classes; a last class holds what took longer.
///
/// From a network next door to the longest that one address may take
/// (10 s by default).
pub const TIME_LIMITS: [Duration; 12] = [
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

/// Number of classes.
const CLASSES: usize = TIME_LIMITS.len() + 1;

/// A live histogram; any thread may add, any thread may read.
#[derive(Debug)]
pub(crate) struct Histogram {
    classes: [AtomicU64; CLASSES],
    /// Microseconds.
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) const fn new() -> Self {
        Histogram {
            classes: [const { AtomicU64::new(0) }; CLASSES],
            sum: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, time: Duration) {
        let class = TIME_LIMITS.iter().position(|&limit| time <= limit);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Relaxed);
        // Release: who sees it counted sees its time.
        self.classes[class.unwrap_or(CLASSES - 1)].fetch_add(1, Release);
    }

    pub(crate) fn snapshot(&self) -> Times {
        // Before the sum, which was added to first.
        let classes = core::array::from_fn(|class| self.classes[class].load(Acquire));
        Times {
            classes,
            sum: Duration::from_micros(self.sum.load(Relaxed)),
        }
    }
}

/// How long things took, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many fall into each class: longer than the limit before, at most
    /// the limit of [`TIME_LIMITS`] at the same place; the last has none.
    pub classes: [u64; CLASSES],
    /// All times together.
    pub sum: Duration,
}

impl Times {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.classes.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_class_whose_limit_it_does_not_exceed() {
        let histogram = Histogram::new();
        for limit in TIME_LIMITS {
            histogram.add(limit);
            histogram.add(limit + Duration::from_micros(1));
        }
        let times = histogram.snapshot();
        assert_eq!(times.classes[0], 1);
        assert_eq!(times.classes[1..CLASSES - 1], [2; CLASSES - 2]);
        assert_eq!(times.classes[CLASSES - 1], 1);
        assert_eq!(times.count(), 24);
        let sum: Duration = TIME_LIMITS.iter().sum();
        assert_eq!(times.sum, 2 * sum + Duration::from_micros(12));
    }
}
