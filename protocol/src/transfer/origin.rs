//! What a node that serves a blob has given away of it: nothing goes out twice before everything
//! has gone out once.

use super::set::ChunkSet;
use crate::content::Bitmap;
use crate::random::Random;

/// What is out of one blob that is served whole.
///
/// Nodes that fetch at the same time don't know what the others are just being sent. Who serves
/// them all does: asked for a chunk that is out already, it sends one instead that nobody has.
#[derive(Clone, Debug)]
pub struct Origin {
    /// What was given to somebody, or somebody said to hold.
    out: ChunkSet,
}

impl Origin {
    /// Nothing of a blob of `len` chunks is out.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self { out: ChunkSet::new(len) }
    }

    /// Whoever asks holds these chunks.
    pub fn held(&mut self, bitmap: &Bitmap) {
        for chunk in ChunkSet::of(bitmap, self.out.len()).iter() {
            self.out.set(chunk);
        }
    }

    /// Whoever asks has got a chunk.
    pub fn gained(&mut self, chunk: u32) {
        self.out.set(chunk);
    }

    /// Which chunk to send to somebody who asks for `asked`: that one if it is not out, or if
    /// everything is, or if the other side insists.
    pub fn give(&mut self, asked: u32, exact: bool, random: &mut Random) -> u32 {
        let instead = (!exact && self.out.get(asked)).then(|| self.out.absent(random)).flatten();
        let given = instead.unwrap_or(asked);
        self.out.set(given);
        given
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_chunk_goes_out_twice_before_each_went_out_once() {
        let mut random = Random::seeded(3);
        let mut origin = Origin::new(200);
        origin.held(&{
            let mut held = Bitmap::new(200);
            held.set(7);
            held
        });
        origin.gained(8);
        let given: BTreeSet<u32> =
            (0..198).map(|n| origin.give(n % 20, false, &mut random)).collect();
        assert_eq!(given.len(), 198);
        assert!(!given.contains(&7) && !given.contains(&8));
        assert_eq!(origin.give(7, false, &mut random), 7, "everything is out");
    }

    #[test]
    fn who_insists_gets_what_it_asks() {
        let mut random = Random::seeded(3);
        let mut origin = Origin::new(2);
        assert_eq!(origin.give(0, false, &mut random), 0);
        assert_eq!(origin.give(0, true, &mut random), 0);
        assert_eq!(origin.give(0, false, &mut random), 1);
    }
}
