//! Instants that any configured duration can be added to.

use std::time::{Duration, Instant};

/// Longer waits are cut to this: `Instant + Duration` panics on overflow, and
/// durations come from a caller's settings.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// `now` and `delay` later, at most a year.
pub(crate) fn after(now: Instant, delay: Duration) -> Instant {
    now + delay.min(FAR)
}
