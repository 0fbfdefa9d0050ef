//! What the simulator knows and no node does: what was promised to whom, and what is true.

use std::collections::{BTreeMap, BTreeSet};

use weft_protocol::fact::{Body, Fact};
use weft_protocol::ids::{BlobId, FactId, JobId, NodeId};
use weft_protocol::wire::control::{AttemptKey, Lease};

use super::clock::Moment;

/// Something that somebody asked for, and was told is safe.
#[derive(Clone, Debug)]
pub struct Promise {
    /// When it was answered.
    pub at: Moment,
    /// The job.
    pub job: Option<JobId>,
    /// The blobs that it names.
    pub blobs: Vec<BlobId>,
    /// The facts.
    pub facts: Vec<FactId>,
    /// The nodes on whose disks it is said to be.
    pub copies: Vec<NodeId>,
}

/// A request that has not been answered yet.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) at: Moment,
    pub(super) node: usize,
    /// In which life of the node's: a request ends with the daemon that it was made of.
    pub(super) life: u64,
    pub(super) job: Option<JobId>,
    pub(super) blobs: Vec<BlobId>,
    pub(super) signed: Vec<FactId>,
}

/// What the simulator writes down.
#[derive(Default)]
pub struct Record {
    /// What was promised.
    pub promises: Vec<Promise>,
    /// When each fact was first on any disk.
    pub born: BTreeMap<FactId, Moment>,
    /// Jobs whose removal is on some disk.
    pub removed: BTreeMap<JobId, Moment>,
    /// Facts of kinds that no node here knows, with their jobs.
    pub foreign: BTreeMap<FactId, Option<JobId>>,
    /// How long frames of a job take on the fastest machine at most, in seconds.
    pub longest: BTreeMap<JobId, u64>,
    /// How many engines were started, and how many results were signed.
    pub started: u64,
    /// How many faults struck, and how many lies were told.
    pub faults: u64,
    /// When a machine last came to the studio or left it for ever.
    pub stirred: Moment,
    /// Lies told.
    pub lies: u64,
    /// Blobs that a member was asked to keep while it lied: what it answers is worth nothing.
    pub entrusted_to_liars: BTreeSet<BlobId>,
    pub(super) asked: BTreeMap<u64, Asked>,
    pub(super) requests: u64,
    /// Each fact that was on a disk: all disks share its bytes, which take most of a large studio's memory.
    facts: BTreeMap<FactId, Fact>,
}

impl Record {
    /// The same fact, its bytes shared with all who wrote it.
    pub(super) fn shared(&mut self, fact: Fact) -> Fact {
        self.facts.entry(fact.id()).or_insert(fact).clone()
    }
}

/// What the invariants are told of as it happens.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A daemon has started with what is on its disk.
    Up(usize),
    /// A daemon has ended, or its machine has.
    Down(usize),
    /// A commit is on a disk, and the machine was or will be told.
    Committed {
        /// Whose.
        node: usize,
        /// The term that it wrote.
        term: Option<u64>,
        /// The facts that it wrote.
        facts: Vec<Fact>,
    },
    /// A node spoke in its own name as leader of a term.
    Led {
        /// Who.
        node: usize,
        /// Which.
        term: u64,
    },
    /// An engine was started.
    Started {
        /// Where.
        node: usize,
        /// For what.
        lease: Box<Lease>,
        /// What it renders after that, in the same process.
        more: Vec<AttemptKey>,
        /// The term in which it was leased.
        term: u64,
    },
    /// A process has come to a frame: that for which it was started, or one after it.
    Begun {
        /// Where.
        node: usize,
        /// Which.
        attempt: AttemptKey,
    },
    /// An attempt's engine was killed.
    Killed {
        /// Where.
        node: usize,
        /// Which.
        attempt: AttemptKey,
    },
    /// A node says by itself, asked by nobody, that a job is over, or that it goes.
    ByItself {
        /// Who.
        node: usize,
        /// What.
        body: Box<Body>,
    },
    /// Somebody was told that something is safe: the number of the promise.
    Promised(usize),
    /// A job changed in the eyes of a node.
    Changed(usize, JobId),
}
