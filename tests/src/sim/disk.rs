//! A node's disk: what is synced stays, what is on its way is lost with the process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weft_protocol::fact::Fact;
use weft_protocol::ids::{BlobId, FactId};

/// A write that the machine asked for.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) token: u64,
    pub(super) term: Option<u64>,
    pub(super) facts: Vec<Fact>,
}

/// A disk, with one writer that commits whatever waits with one sync, as the daemon does.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The term.
    pub term: u64,
    /// The facts.
    pub facts: BTreeMap<FactId, Fact>,
    /// Blobs that are whole; a tree stands for all that it names.
    pub blobs: BTreeSet<BlobId>,
    /// Whether nothing more can be written.
    pub full: bool,
    waiting: VecDeque<Write>,
    writing: Vec<Write>,
}

impl Disk {
    /// Takes a write in; says whether the writer must be woken.
    pub(super) fn queue(&mut self, write: Write) -> bool {
        self.waiting.push_back(write);
        self.writing.is_empty() && self.begin()
    }

    /// Begins the next commit; says whether there is one.
    pub(super) fn begin(&mut self) -> bool {
        self.writing = std::mem::take(&mut self.waiting).into();
        !self.writing.is_empty()
    }

    /// The commit that was begun is over: its writes, and whether they are on the disk.
    pub(super) fn commit(&mut self) -> (Vec<Write>, bool) {
        let writes = std::mem::take(&mut self.writing);
        let good = !self.full;
        if good {
            self.apply(&writes);
        }
        (writes, good)
    }

    fn apply(&mut self, writes: &[Write]) {
        // The daemon puts the highest term of the batch, whatever was there before.
        if let Some(term) = writes.iter().filter_map(|write| write.term).max() {
            self.term = term;
        }
        for fact in writes.iter().flat_map(|write| &write.facts) {
            self.facts.insert(fact.id(), fact.clone());
        }
    }

    /// The process ended or the power went. A commit under way is on the disk as a whole, or not
    /// at all; what waited for it is lost.
    pub(super) fn crash(&mut self, commit_survives: bool) -> Vec<Fact> {
        self.waiting.clear();
        let writes = std::mem::take(&mut self.writing);
        if !commit_survives || self.full {
            return Vec::new();
        }
        self.apply(&writes);
        writes.into_iter().flat_map(|write| write.facts).collect()
    }

    /// How many writes wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.writing.len()
    }
}
