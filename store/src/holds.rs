//! Temporary pins, in memory: what somebody is using right now is not collected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use weft_protocol::ids::BlobId;

use crate::{Store, locked};

/// Who is used right now.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    held: Mutex<Held>,
    /// Something that was going has gone, or stays after all.
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    /// How often each blob is held.
    counts: BTreeMap<BlobId, usize>,
    /// What was held at any time while each intake lives.
    intakes: BTreeMap<u64, BTreeSet<BlobId>>,
    next_intake: u64,
    /// What is being deleted.
    going: BTreeSet<BlobId>,
}

impl Held {
    fn has(&self, blob: &BlobId) -> bool {
        self.counts.contains_key(blob) || self.intakes.values().any(|taken| taken.contains(blob))
    }
}

impl Holds {
    pub(crate) fn has(&self, blob: &BlobId) -> bool {
        locked(&self.held).has(blob)
    }

    /// Holds a blob. One that is being deleted has gone when this returns, so that whoever looks it up then is told
    /// the truth.
    pub(crate) fn hold(self: &Arc<Self>, blob: BlobId) -> Hold {
        let held = locked(&self.held);
        let settled = self.settled.wait_while(held, |held| held.going.contains(&blob));
        let mut held = settled.unwrap_or_else(PoisonError::into_inner);
        *held.counts.entry(blob).or_default() += 1;
        for taken in held.intakes.values_mut() {
            taken.insert(blob);
        }
        drop(held);
        Hold { holds: Arc::clone(self), blob }
    }

    /// Begins to delete blobs: none of those that are given to it is held before it ends. There is one at a time:
    /// whoever deletes holds the `publishing` lock of its store.
    pub(crate) fn deletion(&self) -> Deletion<'_> {
        Deletion { holds: self }
    }
}

/// Blobs that are being deleted, until this is dropped: by then they have gone, files and all, or stay.
#[derive(Debug)]
pub(crate) struct Deletion<'h> {
    holds: &'h Holds,
}

impl Deletion<'_> {
    /// Whether a blob may be deleted: nobody holds it, and nobody will before this ends.
    pub(crate) fn take(&mut self, blob: BlobId) -> bool {
        let mut held = locked(&self.holds.held);
        let free = !held.has(&blob);
        if free {
            held.going.insert(blob);
        }
        free
    }
}

impl Drop for Deletion<'_> {
    fn drop(&mut self) {
        locked(&self.holds.held).going.clear();
        self.holds.settled.notify_all();
    }
}

/// Keeps a blob from being collected for as long as this lives, or the process.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    holds: Arc<Holds>,
    blob: BlobId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = locked(&self.holds.held);
        if let Some(count) = held.counts.get_mut(&self.blob) {
            *count -= 1;
            if *count == 0 {
                held.counts.remove(&self.blob);
            }
        }
    }
}

/// Keeps every blob that is added, received or held while this lives from being collected, until
/// it is dropped: by then what shall stay is pinned.
#[derive(Debug)]
#[must_use]
pub struct Intake {
    holds: Arc<Holds>,
    number: u64,
}

impl Drop for Intake {
    fn drop(&mut self) {
        locked(&self.holds.held).intakes.remove(&self.number);
    }
}

impl Store {
    /// Keeps a blob from being collected while the result lives. Take it before looking the blob
    /// up: what is looked up first may be gone by then.
    pub fn hold(&self, blob: BlobId) -> Hold {
        self.holds.hold(blob)
    }

    /// Begins to take in blobs that are pinned later: none of them is collected before the result
    /// is dropped, however long that takes, and whether they were here before or not.
    pub fn intake(&self) -> Intake {
        let mut held = locked(&self.holds.held);
        let number = held.next_intake;
        held.next_intake += 1;
        held.intakes.insert(number, BTreeSet::new());
        drop(held);
        Intake { holds: Arc::clone(&self.holds), number }
    }
}
