//! A set of chunks made for choosing among many: whole words at a time.

use crate::content::Bitmap;
use crate::random::Random;

/// How many chunks a word holds.
const WORD: u32 = u64::BITS;

/// A set of chunk indices below a fixed length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkSet {
    words: Vec<u64>,
    len: u32,
    count: u32,
}

impl ChunkSet {
    /// An empty set of chunks below `len`.
    pub(super) fn new(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(WORD) as usize], len, count: 0 }
    }

    /// What a bitmap holds, as far as `len` goes.
    pub(super) fn of(bitmap: &Bitmap, len: u32) -> Self {
        let mut set = Self::new(len);
        for (place, byte) in bitmap.as_bytes().iter().enumerate() {
            if let Some(word) = set.words.get_mut(place / 8) {
                *word |= u64::from(*byte) << (place % 8 * 8);
            }
        }
        if let (Some(last), used @ 1..) = (set.words.last_mut(), len % WORD) {
            *last &= (1 << used) - 1;
        }
        set.count = set.words.iter().map(|word| word.count_ones()).sum();
        set
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    pub(super) const fn is_full(&self) -> bool {
        self.count == self.len
    }

    pub(super) fn get(&self, chunk: u32) -> bool {
        let word = self.words.get((chunk / WORD) as usize);
        word.is_some_and(|word| word >> (chunk % WORD) & 1 == 1)
    }

    /// Adds a chunk, and says whether that changed anything; nothing past the length is added.
    pub(super) fn set(&mut self, chunk: u32) -> bool {
        let new = chunk < self.len && !self.get(chunk);
        if new {
            self.words[(chunk / WORD) as usize] |= 1 << (chunk % WORD);
            self.count += 1;
        }
        new
    }

    /// Takes a chunk out, and says whether it was in.
    pub(super) fn unset(&mut self, chunk: u32) -> bool {
        let held = self.get(chunk);
        if held {
            self.words[(chunk / WORD) as usize] &= !(1 << (chunk % WORD));
            self.count -= 1;
        }
        held
    }

    /// The chunks it holds, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.words).flat_map(|(place, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(place * WORD + bit)
            })
        })
    }

    /// A chunk that both this set and `other` hold: the first one without `random`, else any.
    pub(super) fn common(&self, other: &Self, random: Option<&mut Random>) -> Option<u32> {
        let random = random.filter(|_| self.count > 0 && other.count > 0);
        self.search(random, |place| other.words.get(place).copied().unwrap_or(0))
    }

    /// Some chunk that it doesn't hold.
    pub(super) fn absent(&self, random: &mut Random) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        let inverse = Self {
            words: self.words.iter().map(|word| !word).collect(),
            len: self.len,
            count: self.len - self.count,
        };
        // Bits past the length are no chunks.
        inverse.search(Some(random), |place| match self.len % WORD {
            used @ 1.. if place + 1 == self.words.len() => (1 << used) - 1,
            _ => u64::MAX,
        })
    }

    fn search(&self, random: Option<&mut Random>, mask: impl Fn(usize) -> u64) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let (start, turn) = match random {
            Some(random) => {
                let turn = u32::try_from(random.below(WORD as usize)).unwrap_or(0);
                (random.below(self.words.len()), turn)
            }
            None => (0, 0),
        };
        (start..self.words.len()).chain(0..start).find_map(|place| {
            let word = self.words[place] & mask(place);
            // The first set bit from a random one on.
            let bit = (word.rotate_right(turn).trailing_zeros() + turn) % WORD;
            let base = u32::try_from(place).unwrap_or(u32::MAX).saturating_mul(WORD);
            (word != 0).then(|| base + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(len in 0_u32..200, chunks in prop::collection::vec(0_u32..220, 0..80), seed in any::<u64>()) {
            let (mut set, mut model) = (ChunkSet::new(len), BTreeSet::new());
            let mut bitmap = Bitmap::new(len);
            for chunk in chunks {
                prop_assert_eq!(set.set(chunk), chunk < len && model.insert(chunk));
                bitmap.set(chunk);
            }
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
            prop_assert_eq!(&ChunkSet::of(&bitmap, len), &set);
            prop_assert_eq!(set.count() as usize, model.len());
            let mut random = Random::seeded(seed);
            let all = ChunkSet::of(&Bitmap::full(len), len);
            prop_assert_eq!(set.common(&all, None), model.first().copied());
            let any = set.common(&all, Some(&mut random));
            prop_assert_eq!(any.is_some(), !model.is_empty());
            prop_assert!(any.is_none_or(|chunk| model.contains(&chunk)));
            let absent = set.absent(&mut random);
            prop_assert_eq!(absent.is_none(), set.is_full());
            prop_assert!(absent.is_none_or(|chunk| chunk < len && !model.contains(&chunk)));
            for chunk in model {
                prop_assert!(set.unset(chunk) && !set.get(chunk));
            }
            prop_assert_eq!(set.count(), 0);
        }
    }

    #[test]
    fn every_common_chunk_is_chosen_at_times() {
        let mut set = ChunkSet::new(150);
        let wanted = [3, 64, 65, 149];
        for chunk in wanted {
            set.set(chunk);
        }
        let mut random = Random::seeded(1);
        let chosen: BTreeSet<u32> =
            (0..500).filter_map(|_| set.common(&set, Some(&mut random))).collect();
        assert_eq!(chosen, BTreeSet::from(wanted));
    }
}
