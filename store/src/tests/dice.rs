//! Random numbers that are the same for the same seed.

/// Vigna's SplitMix64.
#[derive(Debug, Default, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which isn't 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True in so many of 256 cases.
    pub(super) fn chance(&mut self, of_256: u16) -> bool {
        self.next() % 256 < u64::from(of_256)
    }

    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// How often a test does something: as often as the environment variable says, else `usual`.
pub(super) fn times(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().map_or(usual, |times| {
        times.parse().unwrap_or_else(|_| panic!("{variable}={times} is no number"))
    })
}
