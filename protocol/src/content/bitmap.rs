//! Which chunks of a blob somebody holds, one bit a chunk.

use serde::{Deserialize, Serialize};

use crate::content::manifest::MAX_CHUNKS;

/// A set of chunk indices below a fixed length.
///
/// Bit `i % 8` of byte `i / 8` stands for chunk `i`; bits past the length are 0, so that equal
/// sets have equal bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Bitmap {
    len: u32,
    bytes: Vec<u8>,
}

/// What a peer sends, before it is checked.
#[derive(Deserialize)]
struct Raw {
    len: u32,
    bytes: Vec<u8>,
}

/// Bytes are not a bitmap of the length that they state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a bitmap of {0} chunks")]
pub struct BitmapError(pub u32);

impl TryFrom<Raw> for Bitmap {
    type Error = BitmapError;

    fn try_from(raw: Raw) -> Result<Self, BitmapError> {
        Self::from_bytes(raw.len, raw.bytes)
    }
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitmap({} of {})", self.count(), self.len)
    }
}

impl Bitmap {
    /// An empty set of chunks below `len`.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self { len, bytes: vec![0; len.div_ceil(8) as usize] }
    }

    /// All chunks below `len`.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut bytes = vec![0xff; len.div_ceil(8) as usize];
        if let Some(last) = bytes.last_mut() {
            *last &= last_byte(len);
        }
        Self { len, bytes }
    }

    /// A set from its length and its bytes.
    ///
    /// # Errors
    /// When the length is above [`MAX_CHUNKS`], the bytes aren't as many as it needs, or a bit
    /// past it is set.
    pub fn from_bytes(len: u32, bytes: Vec<u8>) -> Result<Self, BitmapError> {
        let clean = bytes.last().is_none_or(|last| last & !last_byte(len) == 0);
        if len > MAX_CHUNKS || bytes.len() != len.div_ceil(8) as usize || !clean {
            return Err(BitmapError(len));
        }
        Ok(Self { len, bytes })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many chunks there are, held or not.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }

    /// Whether it holds all.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count() == self.len
    }

    /// How many it holds.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.bytes.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Whether it holds `index`; false past the length.
    #[must_use]
    pub fn get(&self, index: u32) -> bool {
        self.bytes.get((index / 8) as usize).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// Adds `index`, and says whether that changed anything; nothing past the length is added.
    pub fn set(&mut self, index: u32) -> bool {
        if index >= self.len || self.get(index) {
            return false;
        }
        self.bytes[(index / 8) as usize] |= 1 << (index % 8);
        true
    }

    /// Takes `index` out, and says whether it was in.
    pub fn unset(&mut self, index: u32) -> bool {
        let held = self.get(index);
        if held {
            self.bytes[(index / 8) as usize] &= !(1 << (index % 8));
        }
        held
    }

    /// Adds all that `other` holds, as far as both lengths go.
    pub fn add_all(&mut self, other: &Self) {
        for (mine, theirs) in self.bytes.iter_mut().zip(&other.bytes) {
            *mine |= theirs;
        }
        if let Some(last) = self.bytes.last_mut() {
            *last &= last_byte(self.len);
        }
    }

    /// Takes out all that `other` lacks.
    pub fn keep_only(&mut self, other: &Self) {
        for (place, mine) in self.bytes.iter_mut().enumerate() {
            *mine &= other.bytes.get(place).copied().unwrap_or(0);
        }
    }

    /// Whether `other` holds a chunk that this one lacks.
    #[must_use]
    pub fn lacks_any_of(&self, other: &Self) -> bool {
        other.held().any(|index| index < self.len && !self.get(index))
    }

    /// The chunks it holds, ascending.
    pub fn held(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|index| self.get(*index))
    }

    /// The chunks it lacks, ascending.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|index| !self.get(*index))
    }
}

/// The bits of the last byte that a set of `len` chunks may use.
const fn last_byte(len: u32) -> u8 {
    match len % 8 {
        0 => 0xff,
        used => (1 << used) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(len in 0_u32..100, indices in prop::collection::vec(0_u32..120, 0..60)) {
            let mut bitmap = Bitmap::new(len);
            let mut set = BTreeSet::new();
            for index in indices {
                prop_assert_eq!(bitmap.set(index), index < len && set.insert(index));
            }
            prop_assert_eq!(bitmap.held().collect::<BTreeSet<_>>(), set.clone());
            prop_assert_eq!(bitmap.count() as usize, set.len());
            prop_assert_eq!(bitmap.missing().count() as u32, len - bitmap.count());
            let bytes = postcard::to_stdvec(&bitmap).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Bitmap>(&bytes).unwrap(), bitmap.clone());
            let mut all = bitmap.clone();
            all.add_all(&Bitmap::full(len));
            prop_assert!(all.is_full());
            prop_assert_eq!(bitmap.lacks_any_of(&all), !bitmap.is_full());
            all.keep_only(&bitmap);
            prop_assert_eq!(&all, &bitmap);
            all.keep_only(&Bitmap::new(0));
            prop_assert!(all.is_empty());
            for index in set {
                prop_assert!(bitmap.unset(index));
            }
            prop_assert!(bitmap.is_empty());
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(Bitmap::from_bytes(9, vec![0xff, 1]).is_ok());
        for (len, bytes) in [(9, vec![0xff, 3]), (9, vec![0xff]), (8, vec![0, 0]), (0, vec![0])] {
            assert_eq!(Bitmap::from_bytes(len, bytes), Err(BitmapError(len)));
        }
        let huge = postcard::to_stdvec(&(MAX_CHUNKS + 1, Vec::<u8>::new())).unwrap();
        assert!(postcard::from_bytes::<Bitmap>(&huge).is_err());
    }
}
