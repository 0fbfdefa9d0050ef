//! Temporary pins, in memory: what somebody is using right now is not collected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use weft_protocol::ids::BlobId;

use crate::{Store, locked};

/// Who is used right now.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// How often each blob is held.
    counts: BTreeMap<BlobId, usize>,
    /// What was held at any time while each intake lives.
    intakes: BTreeMap<u64, BTreeSet<BlobId>>,
    next_intake: u64,
}

impl Holds {
    pub(crate) fn has(&self, blob: &BlobId) -> bool {
        let held = locked(&self.0);
        held.counts.contains_key(blob) || held.intakes.values().any(|taken| taken.contains(blob))
    }

    pub(crate) fn hold(self: &Arc<Self>, blob: BlobId) -> Hold {
        let mut held = locked(&self.0);
        *held.counts.entry(blob).or_default() += 1;
        for taken in held.intakes.values_mut() {
            taken.insert(blob);
        }
        drop(held);
        Hold { holds: Arc::clone(self), blob }
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
        let mut held = locked(&self.holds.0);
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
        locked(&self.holds.0).intakes.remove(&self.number);
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
        let mut held = locked(&self.holds.0);
        let number = held.next_intake;
        held.next_intake += 1;
        held.intakes.insert(number, BTreeSet::new());
        drop(held);
        Intake { holds: Arc::clone(&self.holds), number }
    }
}
