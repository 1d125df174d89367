//! Waiting and timing.

use std::thread;
use std::time::{Duration, Instant};

/// Waits for what announces itself in no other way; whether it came.
pub fn eventually(limit: Duration, mut came: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !came() {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// How long something took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

/// The middle one; the upper of two.
///
/// # Panics
/// Without values.
pub fn median<T: PartialOrd + Copy>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable_by(|a, b| a.partial_cmp(b).expect("no value is NaN"));
    values[values.len() / 2]
}
