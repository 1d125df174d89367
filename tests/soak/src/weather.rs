//! What the relay does to what passes it.

use std::time::Duration;

/// Of a hundred datagrams, those that are lost.
const LOST: f64 = 0.05;

/// Those that come twice.
const DOUBLED: f64 = 0.02;

/// The longest delay. Each copy has its own, so they overtake one another.
const DELAY_MAX: Duration = Duration::from_millis(40);

/// Chance, from a seed.
pub(crate) struct Weather(fastrand::Rng);

impl Weather {
    pub(crate) fn new(seed: u64) -> Weather {
        Weather(fastrand::Rng::with_seed(seed))
    }

    /// How many copies of a datagram go on.
    pub(crate) fn copies(&mut self) -> usize {
        let chance = self.0.f64();
        if chance < LOST {
            0
        } else if chance < LOST + DOUBLED {
            2
        } else {
            1
        }
    }

    /// How long something is under way.
    pub(crate) fn delay(&mut self) -> Duration {
        DELAY_MAX.mul_f64(self.0.f64())
    }

    /// How much of a stream goes on in one piece, at most.
    pub(crate) fn piece(&mut self) -> usize {
        self.0.usize(1..=2048)
    }
}
