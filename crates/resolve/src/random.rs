//! A fresh order for every list.

use std::hash::{BuildHasher, RandomState};

/// SplitMix64 (Steele, Lea, Flood 2014) on an unpredictable seed: enough to
/// spread load, not for secrets.
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by the keys that std draws from the system once per thread and
    /// then steps for each use: different in each device, thread and call,
    /// without a system call and without the clock, which devices of a fleet
    /// that starts together share.
    pub(crate) fn new() -> Self {
        Random(RandomState::new().hash_one(0u8))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`. Lemire's multiplication without its rejection
    /// step: the bias is below `bound` / 2^64.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Fisher and Yates: every order is as likely as any other.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
