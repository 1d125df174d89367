//! A fresh order for every list, and what else needs no secret number.

use core::ptr;
use std::hash::{Hash, Hasher};
use std::time::Instant;

/// SplitMix64 (Steele, Lea, Flood 2014) as a generator of numbers, and as a hasher:
/// enough to spread load and to see a change, not for secrets nor for keys that an
/// attacker chooses.
#[derive(Debug, Default)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Seeded without a system call by what differs between devices, threads and
    /// calls: how long the system has run, to the nanosecond, and where it has put
    /// the stack. Not by the time of day, which a device may not have yet.
    pub(crate) fn seeded() -> Self {
        let now = Instant::now();
        let mut random = SplitMix64::default();
        now.hash(&mut random);
        ptr::from_ref(&now).hash(&mut random);
        random
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

impl Hasher for SplitMix64 {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u64::from(*byte);
            self.0 = self.next();
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of the authors' program for the seed 0.
    #[test]
    fn the_numbers_are_those_of_split_mix_64() {
        let mut random = SplitMix64::default();
        let numbers = [(); 3].map(|()| random.next());
        let expected = [
            0xE220_A839_7B1D_CDAF,
            0x6E78_9E6A_A1B9_65F4,
            0x06C4_5D18_8009_454F,
        ];
        assert_eq!(numbers, expected);
    }
}
