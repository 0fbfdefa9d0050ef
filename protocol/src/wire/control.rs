//! Messages between two nodes, one way each: an answer is a message of its own.
//!
//! They travel over one stream a direction, each behind its length (u32, little endian).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::certificate::Role;
use crate::claim::Portion;
use crate::election::Claim;
use crate::fact::digest::Summary;
use crate::hardware::Hardware;
use crate::ids::{BlobId, FactId, JobId, NodeId};
use crate::job::outcome::{Ending, Outcome};
use crate::job::task::TaskKey;
use crate::membership::Update;
use crate::time::Unix;

/// The largest message, in bytes.
pub const MAX_MESSAGE: usize = 4 << 20;
/// How many bytes of facts are put into one message before the next is begun.
pub const FACT_BATCH: usize = 1 << 20;
/// The most tasks that one message names for which stored results are being brought.
pub const MAX_SOUGHT: usize = 100_000;
/// The most addresses that are remembered of a node.
pub const MAX_ADDRESSES: usize = 16;

/// What a node tells of itself when it connects, and again whenever it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advert {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// What its certificate lets it do.
    pub role: Role,
    /// When its daemon started, in milliseconds since 1970, then how often this changed: of two
    /// adverts of one node the greater pair counts.
    pub revision: (u64, u32),
    /// weft's version on it.
    pub release: String,
    /// What the machine has.
    pub hardware: Hardware,
    /// The engines that can be used on it, each with its version.
    pub engines: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// What an hour of it costs, in thousandths.
    pub price: u32,
    /// Where it can be reached, as multiaddresses.
    pub addresses: Vec<String>,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Its inputs are on their way, or it waits for facts.
    Preparing,
    /// Its engine runs; how much of it is done, in thousandths.
    Rendering(u16),
    /// Its engine has ended, and what it made is brought to safety.
    Finishing,
}

/// Names an attempt: all that a worker and a leader must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskKey,
    /// The round of the task.
    pub generation: u32,
    /// The try within the round.
    pub attempt: u32,
}

impl AttemptKey {
    /// What became of the attempt, its engine having run for so many milliseconds. The machine adds
    /// the term in which it was leased, and who holds what it made.
    #[must_use]
    pub const fn outcome(self, ending: Ending, started: Unix, render_ms: u32) -> Outcome {
        Outcome {
            task: self.task,
            generation: self.generation,
            attempt: self.attempt,
            term: 0,
            started,
            render_ms,
            peak_memory: 0,
            log: None,
            holders: Vec::new(),
            ending,
        }
    }
}

/// A leader's grant of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What is granted.
    pub attempt: AttemptKey,
    /// Cores that it may use.
    pub cores: u32,
    /// Memory that it may use, in bytes.
    pub ram: u64,
    /// Graphics cards that it may use, by index.
    pub gpus: Vec<u32>,
}

impl Lease {
    /// A grant of so much.
    #[must_use]
    pub fn new(attempt: AttemptKey, claim: &Portion) -> Self {
        let gpus = claim.gpus.iter().copied().collect();
        Self { attempt, cores: claim.cores, ram: claim.ram, gpus }
    }

    /// What it claims of the node.
    #[must_use]
    pub fn claim(&self) -> Portion {
        Portion { cores: self.cores, ram: self.ram, gpus: self.gpus.iter().copied().collect() }
    }
}

/// A share of a node that a process has claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// How much.
    pub claim: Portion,
    /// The attempts that the process works on, by their places in a report.
    pub of: Vec<u32>,
}

/// What a worker tells its leader, every second and whenever something changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Counts its reports.
    pub seq: u64,
    /// The last assignment of this leader that it has taken in.
    pub assigned: u64,
    /// What it works on, in which term that was leased, and how far it is.
    pub running: Vec<(AttemptKey, u64, Phase)>,
    /// Trees that it holds whole, so that jobs over them start at once.
    pub held: Vec<BlobId>,
}

/// Why a node takes nothing new, though it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Closed {
    /// Somebody drained it.
    Drained,
    /// It is outside its hours.
    Hours,
    /// Somebody uses it, and it is set to leave the machine to them.
    InUse,
    /// It failed tasks of several jobs that others could do. Its leader finds that out, so that no node
    /// sends it: earlier releases have it in the place of the one before, and pass that node over.
    Benched,
    /// Its disk takes nothing: it could neither learn of a job nor keep what it renders.
    Disk,
}

/// What keeps a node from taking some work, or any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Why it takes nothing new.
    pub closed: Option<Closed>,
    /// Engines whose licence was refused here a moment ago, and what they said.
    pub refused: BTreeMap<String, String>,
}

/// Facts, or pieces of their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sync {
    /// The hash of all facts held: whoever holds others answers with a summary.
    Root([u8; 8]),
    /// What is held below a prefix.
    Summary(Vec<u8>, Summary),
    /// Asks for summaries of prefixes.
    Ask(Vec<Vec<u8>>),
    /// Asks for facts.
    Want(Vec<FactId>),
}

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The first on every connection, from both sides.
    Hello {
        /// Who this is.
        advert: Box<Advert>,
        /// The leadership that it knows of.
        claim: Option<Claim>,
        /// Others that it knows, and where they were reached.
        known: Vec<(NodeId, Vec<String>)>,
    },
    /// Membership: are you there?
    Ping(u64, Vec<Update>),
    /// Membership: I am.
    Ack(u64, Vec<Update>),
    /// Membership: is that node there, seen from you?
    PingFor(u64, NodeId),
    /// Membership: it answered me.
    AckFor(u64, NodeId),
    /// Election: have you lost the leader of this term too?
    AskLost(u64),
    /// Election: whether the leader of this term is lost here, and the highest term seen.
    Lost(u64, bool, u64),
    /// Election: somebody leads.
    Claim(Claim),
    /// A worker to its leader.
    Report(Box<Report>),
    /// A leader has taken in the report of this number, in this term.
    Reported(u64, u64),
    /// A leader to a worker: the term, the assignment's number, what to do, and who holds the
    /// job's inputs.
    Assign {
        /// The leader's term.
        term: u64,
        /// Counts the assignments of this leader to this worker, from 1.
        seq: u64,
        /// What is granted.
        lease: Lease,
        /// Nodes that hold the inputs.
        providers: Vec<NodeId>,
    },
    /// Facts, as their exact bytes; with a token the sender wants to hear when they are on disk.
    Facts(Option<u64>, Vec<Vec<u8>>),
    /// The facts that came under this token are on disk.
    FactsStored(u64),
    /// Asks to keep blobs (trees with all that they name) and facts durably.
    Keep {
        /// Names this request.
        token: u64,
        /// The blobs.
        blobs: Vec<BlobId>,
        /// Those of them that are trees, whose entries are to be kept as well.
        trees: Vec<BlobId>,
        /// The job for whose sake.
        job: JobId,
        /// The facts, as their exact bytes.
        facts: Vec<Vec<u8>>,
    },
    /// The request of this token is being worked on: blobs are on their way.
    Keeping(u64),
    /// Everything under this token is kept, or why not.
    Kept(u64, Result<(), String>),
    /// A piece of the digests of facts.
    Sync(Sync),
    /// A worker to its leader, just before each report: what keeps it from taking work. Where nothing
    /// does, it is not sent.
    Standing(Standing),
    /// As [`Message::Assign`], for a run of frames that one process of the engine renders. Each is
    /// an attempt of its own; the lease names the first.
    AssignRun {
        /// The leader's term.
        term: u64,
        /// Counts the assignments of this leader to this worker, together with the single ones.
        seq: u64,
        /// What is granted, to all of the run together.
        lease: Lease,
        /// The attempts that follow the first.
        more: Vec<AttemptKey>,
        /// Nodes that hold the inputs.
        providers: Vec<NodeId>,
    },
    /// Stored results that may be a job's. Without a list a leader asks for them, who may not sign results
    /// itself; with one it is answered, again with each part: for these tasks, at most [`MAX_SOUGHT`],
    /// there are some that are being brought. An empty list says that it is over.
    Sought(JobId, Option<Vec<TaskKey>>),
    /// A node to its leader, each [`PERIOD`](crate::clocks::PERIOD) while jobs go by themselves: what its
    /// wall clock says.
    Clock(Unix),
    /// A worker to its leader, just before the report of this number: which of the attempts in that have claimed
    /// shares of it. All others have the whole node; where all have, it is not sent.
    Claims(u64, Vec<Claimed>),
    /// A leader to a node on whose disk results of other jobs are which are these tasks' as well, at most
    /// [`MAX_SOUGHT`]: it is to take them over.
    TakeOver(JobId, Vec<TaskKey>),
}
