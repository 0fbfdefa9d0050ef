//! The steps of a random course.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft_protocol::content::ChunkRef;
use weft_protocol::ids::FactId;

use super::known::{Known, No, REASON, Unsure, Yes};
use super::pieces::{LEAVES, MANY, TREE, pieces};
use crate::pass::{Keep, Pass};
use crate::tests::dice::Dice;
use crate::tests::fake_disk::FakeDisk;
use crate::{Batch, INLINE_MAX, IngestError, Store, locked, names};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// After how many received bytes of a blob the catalog is told: often.
const CHECKPOINT: u64 = 600_000;

/// A store, and whoever uses it.
pub(super) struct World {
    disk: FakeDisk,
    store: Option<Store>,
    known: Arc<Mutex<Known>>,
    dice: Dice,
    what: String,
    /// Whether the disk was told to fail once.
    may_fail: bool,
}

impl World {
    /// Opens the store on a disk.
    pub(super) fn open(disk: FakeDisk, known: Arc<Mutex<Known>>, dice: Dice, what: String) -> Self {
        let mut world = Self { disk, store: None, known, dice, what, may_fail: false };
        world.reopen().unwrap_or_else(|error| panic!("{}: {error}", world.what));
        world
    }

    fn reopen(&mut self) -> Outcome {
        self.store = None;
        let mut store = crate::open::open_on(Arc::new(self.disk.clone()), None)?;
        store.checkpoint = CHECKPOINT;
        self.store = Some(store);
        Ok(())
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Compares the store with what is known.
    pub(super) fn check(&mut self) -> (usize, usize) {
        // Not while it's compared: others must not wait for what is known.
        let mut known = locked(&self.known).clone();
        let counts = known.check(self.store(), CHECKPOINT, &self.what);
        *locked(&self.known) = known;
        counts
    }

    /// The disk, closed in no order at all, and what is known of it.
    pub(super) fn close(self) -> (FakeDisk, Known, String) {
        let known = locked(&self.known).clone();
        (self.disk, known, self.what)
    }

    /// Does something. Only a disk that was told to may fail, and only once.
    pub(super) fn step(&mut self) {
        if !self.may_fail && self.dice.below(12) == 0 {
            self.may_fail = true;
            let after = self.dice.below(30);
            self.disk.hiccup_after(after);
        }
        let n = self.dice.below(pieces().len());
        // The tree and its leaves, and those after them, are the more interesting ones.
        let n = if self.dice.chance(160) { n % MANY.start } else { n };
        let done = match self.dice.below(20) {
            0..=2 => self.add(n),
            3 => self.add_many(),
            4..=8 => self.receive(n),
            9 | 10 => self.finish(),
            11 => self.pin(n, true),
            12 => self.pin(n, false),
            13 => self.collect(),
            14 => self.rot(n),
            15 => self.scrub(),
            16 => self.put_small(n),
            17 => self.drop_partial(n),
            18 => self.facts(),
            _ => self.reopen(),
        };
        if let Err(error) = done {
            assert!(self.may_fail, "{}: {error:?}", self.what);
            self.may_fail = false;
            if self.store.is_none() {
                let opened = self.reopen();
                opened.unwrap_or_else(|error| panic!("{}: {error}", self.what));
            }
            self.forget_dropped();
        }
    }

    /// After a sync has failed, what was written since the last good one counts as lost.
    fn forget_dropped(&self) {
        let mut written = locked(&self.known).written.clone();
        for (n, chunks) in &mut written {
            let have = self.store().have(pieces()[*n].id).unwrap();
            chunks.retain(|index| have.as_ref().is_some_and(|have| have.get(*index)));
        }
        locked(&self.known).written = written;
    }

    fn doubt(&self, pieces: impl IntoIterator<Item = usize>) {
        let mut known = locked(&self.known);
        for n in pieces {
            if known.is_whole(n) != Yes {
                known.doubt(n);
            }
        }
    }

    /// They were said to be whole.
    fn is_whole(&self, pieces: impl IntoIterator<Item = usize>) {
        let mut known = locked(&self.known);
        for n in pieces {
            known.whole.insert(n, Yes);
            known.written.remove(&n);
        }
    }

    fn add(&mut self, n: usize) -> Outcome {
        self.doubt([n]);
        let added = self.store().ingest_bytes(&pieces()[n].bytes)?;
        assert_eq!(added.id, pieces()[n].id);
        self.is_whole([n]);
        Ok(())
    }

    fn add_many(&mut self) -> Outcome {
        self.doubt(MANY);
        let store = self.store();
        let copy = &mut |_: &ChunkRef| Keep::Copy;
        let mut pass = Pass::new(store);
        let mut prepared = Vec::new();
        for piece in &pieces()[MANY] {
            let source = &mut &piece.bytes[..];
            prepared.push(pass.take(source, Path::new("piece"), copy, &mut |_| {})?);
        }
        store.publish::<IngestError>(prepared, |_| Ok(()))?;
        self.is_whole(MANY);
        Ok(())
    }

    fn receive(&mut self, n: usize) -> Outcome {
        let (store, piece) = (self.store(), &pieces()[n]);
        let have = store.begin_partial(piece.id, &piece.manifest)?;
        let mut missing: Vec<u32> = have.missing().collect();
        let mut dice = self.dice.clone();
        for _ in 0..dice.below(6) {
            if missing.is_empty() {
                break;
            }
            let index = missing.swap_remove(dice.below(missing.len()));
            let new = store.write_chunk(piece.id, index, &piece.chunks[index as usize])?;
            missing.retain(|index| !new.contains(index));
            locked(&self.known).written.entry(n).or_default().extend(new);
        }
        self.dice = dice;
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        let store = self.store();
        let mut ready = Vec::new();
        for (n, piece) in pieces().iter().enumerate() {
            if store.have(piece.id)?.is_some_and(|have| have.is_full()) && !store.has(piece.id)? {
                ready.push(n);
            }
        }
        self.doubt(ready.clone());
        let ids: Vec<_> = ready.iter().map(|n| pieces()[*n].id).collect();
        store.finish_many(&ids)?;
        self.is_whole(ready);
        Ok(())
    }

    fn put_small(&mut self, n: usize) -> Outcome {
        let piece = &pieces()[n];
        if piece.bytes.len() <= INLINE_MAX {
            self.doubt([n]);
            self.store().put_small(&[(piece.id, &piece.manifest, &piece.bytes)])?;
            self.is_whole([n]);
        }
        Ok(())
    }

    fn drop_partial(&mut self, n: usize) -> Outcome {
        locked(&self.known).written.remove(&n);
        Ok(self.store().drop_partial(pieces()[n].id)?)
    }

    fn pin(&mut self, n: usize, stays: bool) -> Outcome {
        locked(&self.known).pinned.insert(n, Unsure);
        let batch = match (stays, n) {
            (false, _) => Batch::new().unpin(pieces()[n].id, REASON),
            (true, TREE) => Batch::new().pin_tree(pieces()[n].id, REASON),
            (true, _) => Batch::new().pin(pieces()[n].id, REASON),
        };
        self.store().commit(&batch)?;
        locked(&self.known).pinned.insert(n, if stays { Yes } else { No });
        Ok(())
    }

    fn collect(&mut self) -> Outcome {
        let before = locked(&self.known).clone();
        let may_go: Vec<usize> = (0..pieces().len()).filter(|n| !before.is_kept(*n)).collect();
        {
            let mut known = locked(&self.known);
            for &n in &may_go {
                known.written.remove(&n);
                if known.is_whole(n) == Yes {
                    known.doubt(n);
                }
            }
        }
        let plan = self.store().collect(Duration::ZERO, false)?;
        let mut known = locked(&self.known);
        for n in 0..pieces().len() {
            let gone = |doomed: &&crate::Doomed| doomed.blob == pieces()[n].id && doomed.whole;
            if plan.blobs.iter().any(|doomed| gone(&doomed)) {
                assert!(may_go.contains(&n), "{}: piece {n} was pinned", self.what);
                known.whole.insert(n, No);
                known.rotten.remove(&n);
            } else if before.is_whole(n) == Yes {
                known.whole.insert(n, Yes);
                if let Some(certain) = before.rotten.get(&n) {
                    known.rotten.insert(n, *certain);
                }
            }
        }
        Ok(())
    }

    /// The disk flips a bit.
    fn rot(&mut self, n: usize) -> Outcome {
        let (piece, length) = (&pieces()[n], pieces()[n].bytes.len());
        let mut known = locked(&self.known);
        if known.is_whole(n) == Yes && length > INLINE_MAX && !known.rotten.contains_key(&n) {
            let (place, bit) = (self.dice.below(length), self.dice.below(8) as u8);
            assert!(self.disk.flip(&names::blob(&piece.id), place, bit), "{}: {n}", self.what);
            known.rotten.insert(n, true);
        }
        Ok(())
    }

    fn scrub(&mut self) -> Outcome {
        for (n, piece) in pieces().iter().enumerate() {
            let store = self.store();
            if !store.has(piece.id)? {
                continue;
            }
            let damaged = store.verify_blob(piece.id)?;
            let rotten = locked(&self.known).rotten.get(&n).copied();
            assert!(damaged.is_empty() || rotten.is_some(), "{}: piece {n}", self.what);
            assert!(!damaged.is_empty() || rotten != Some(true), "{}: piece {n}", self.what);
            if !damaged.is_empty() {
                locked(&self.known).doubt(n);
                store.mark_damaged(piece.id, &damaged)?;
                let mut known = locked(&self.known);
                known.rotten.remove(&n);
                known.whole.insert(n, No);
            }
        }
        assert_eq!(self.store().verify_catalog()?, [], "{}", self.what);
        Ok(())
    }

    fn facts(&mut self) -> Outcome {
        let n = self.dice.below(40) as u8;
        let goes = self.dice.chance(64);
        let term = {
            let mut known = locked(&self.known);
            known.facts.insert(n, Unsure);
            if known.terms.is_empty() {
                known.terms.push(0);
            }
            let term = known.terms.last().map_or(1, |last| last.wrapping_add(1));
            known.terms.push(term);
            term
        };
        let batch = Batch::new().put_meta("term", [term]);
        self.store().commit(&if goes {
            batch.remove_fact(FactId([n; 32]))
        } else {
            batch.put_fact(FactId([n; 32]), [n])
        })?;
        let mut known = locked(&self.known);
        known.facts.insert(n, if goes { No } else { Yes });
        known.terms = vec![term];
        Ok(())
    }
}

/// The tree's leaves come right after it.
const _: () = assert!(TREE < LEAVES.start && LEAVES.end <= MANY.start);
