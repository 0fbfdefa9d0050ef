//! What whoever uses a store knows of it, from what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use weft_protocol::ids::FactId;

use super::pieces::{LEAVES, TREE, pieces};
use crate::Store;

/// What was said of something. While something is done about it, and after that has failed, nobody
/// can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Truth {
    Yes,
    #[default]
    No,
    Unsure,
}

pub(super) use Truth::{No, Unsure, Yes};

/// The longest chunk, in bytes: a sync is due before it, however little came before.
const CHUNK: u64 = 1 << 20;

/// The reason of all pins.
pub(super) const REASON: &str = "test";

/// What is known. Pieces go by their place in [`pieces`].
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) whole: BTreeMap<usize, Truth>,
    pub(super) pinned: BTreeMap<usize, Truth>,
    pub(super) facts: BTreeMap<u8, Truth>,
    /// The term that was acknowledged last, and those that were tried since.
    pub(super) terms: Vec<u8>,
    /// Chunks that were taken, of pieces that are being received.
    pub(super) written: BTreeMap<usize, BTreeSet<u32>>,
    /// Pieces of which a bit was flipped on the disk; for certain, or maybe.
    pub(super) rotten: BTreeMap<usize, bool>,
}

impl Known {
    pub(super) fn is_whole(&self, piece: usize) -> Truth {
        self.whole.get(&piece).copied().unwrap_or_default()
    }

    pub(super) fn is_pinned(&self, piece: usize) -> Truth {
        self.pinned.get(&piece).copied().unwrap_or_default()
    }

    /// Whether collection must leave a piece, if it is here.
    pub(super) fn is_kept(&self, piece: usize) -> bool {
        let tree = self.is_pinned(TREE) == Yes && self.is_whole(TREE) == Yes;
        self.is_pinned(piece) == Yes || (tree && LEAVES.contains(&piece))
    }

    /// Something begins that may make a piece whole or not.
    pub(super) fn doubt(&mut self, piece: usize) {
        self.whole.insert(piece, Unsure);
        if let Some(certain) = self.rotten.get_mut(&piece) {
            *certain = false;
        }
    }

    /// Compares a store with what is known, and takes what it has for known from then on. How many
    /// pieces were whole, and how many were being received.
    pub(super) fn check(&mut self, store: &Store, checkpoint: u64, what: &str) -> (usize, usize) {
        let mut counts = (0, 0);
        for (n, piece) in pieces().iter().enumerate() {
            let has = store.has(piece.id).unwrap_or_else(|error| panic!("{what}: {n}: {error}"));
            match self.is_whole(n) {
                Yes => assert!(has, "{what}: piece {n} is gone"),
                No => assert!(!has, "{what}: piece {n} is back"),
                Unsure => {}
            }
            self.whole.insert(n, if has { Yes } else { No });
            if has {
                counts.0 += 1;
                match store.read_all(piece.id, u64::MAX) {
                    Ok(bytes) => assert!(bytes == piece.bytes, "{what}: piece {n} reads wrong"),
                    Err(_) if self.rotten.contains_key(&n) => {}
                    Err(error) => panic!("{what}: piece {n}: {error}"),
                }
                self.written.remove(&n);
            } else {
                self.rotten.remove(&n);
                counts.1 += usize::from(self.check_partial(n, store, checkpoint, what));
            }
            let pins = store.pins(piece.id).unwrap();
            assert!(pins.iter().all(|pin| pin.reason == REASON), "{what}: {pins:?}");
            match self.is_pinned(n) {
                Yes => assert_eq!(pins.len(), 1, "{what}: the pin of piece {n}"),
                No => assert_eq!(pins.len(), 0, "{what}: the pin of piece {n}"),
                Unsure => {}
            }
            self.pinned.insert(n, if pins.is_empty() { No } else { Yes });
        }
        for (n, truth) in &mut self.facts {
            let fact = store.get_fact(FactId([*n; 32])).unwrap();
            assert!(fact.as_ref().is_none_or(|fact| fact == &[*n]), "{what}: fact {n}: {fact:?}");
            assert!(*truth == Unsure || (*truth == Yes) == fact.is_some(), "{what}: fact {n}");
            *truth = if fact.is_some() { Yes } else { No };
        }
        let term = store.get_meta("term").unwrap().map_or(0, |term| term[0]);
        let known = &self.terms;
        assert!(known.is_empty() && term == 0 || known.contains(&term), "{what}: {term} {known:?}");
        self.terms = vec![term];
        assert_eq!(store.verify_catalog().unwrap(), [], "{what}");
        counts
    }

    /// What is lost of a piece that is being received is one checkpoint's worth at most; what is
    /// left of it is right.
    fn check_partial(&mut self, n: usize, store: &Store, checkpoint: u64, what: &str) -> bool {
        let piece = &pieces()[n];
        let have = store.have(piece.id).unwrap();
        let held = |index: &u32| have.as_ref().is_some_and(|have| have.get(*index));
        for index in (0..piece.count()).filter(held) {
            let chunk = store.read_chunk(piece.id, index);
            let chunk = chunk.unwrap_or_else(|error| panic!("{what}: piece {n}: {error}"));
            assert!(chunk == piece.chunks[index as usize], "{what}: piece {n} reads wrong");
        }
        let written = self.written.remove(&n).unwrap_or_default();
        let lost = written.iter().filter(|index| !held(index));
        let lost: u64 = lost.map(|index| piece.chunks[*index as usize].len() as u64).sum();
        assert!(lost <= checkpoint.max(CHUNK), "{what}: {lost} bytes of piece {n} are lost");
        if have.is_some() {
            self.written.insert(n, written.into_iter().filter(held).collect());
        }
        have.is_some()
    }
}
