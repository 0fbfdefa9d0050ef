//! What a machine is told.

use std::collections::BTreeSet;

use crate::certificate::Chain;
use crate::fact::{Body, Fact};
use crate::ids::{BlobId, JobId, NodeId};
use crate::job::keep::Round;
use crate::job::note::Note;
use crate::job::outcome::Outcome;
use crate::job::task::TaskKey;
use crate::replicate::Goods;
use crate::settings::OnReturn;
use crate::time::Unix;
use crate::wire::control::{Advert, AttemptKey, Message};
use crate::wire::gossip;

/// What happens to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// A peer that showed a valid certificate is connected.
    Connected(Box<Chain>),
    /// The last connection to a peer was closed.
    Disconnected(NodeId),
    /// A message came from a connected peer.
    Message(NodeId, Message),
    /// A message came by gossip, whose author was checked.
    Gossip(NodeId, gossip::Message),
    /// What [`Command::Write`](super::Command::Write) named is on disk.
    Written(u64),
    /// It could not be written, and why: nothing of it took effect.
    WriteFailed(u64, String),
    /// This node's own advert changed.
    Advert(Box<Advert>),
    /// Somebody here wants facts to be known, with the blobs that they name.
    Author {
        /// Names the request.
        request: u64,
        /// Facts that this node signs.
        bodies: Vec<Body>,
        /// Facts that somebody else signed.
        signed: Vec<Fact>,
        /// The blobs, which are on this node's disk.
        goods: Goods,
    },
    /// What an attempt needs is here: the whole tree of its job's inputs, where it needed that.
    Prepared(AttemptKey, Option<BlobId>),
    /// How far an attempt's engine is, in thousandths.
    Progress(AttemptKey, u16),
    /// An attempt is handed back, and that is no failure: the engine was refused a licence. The engine,
    /// and what it said.
    LicenceRefused(AttemptKey, String, String),
    /// For these tasks of a job, which was to be sought, stored results are being brought to this disk; for
    /// none where that is over.
    Sought(JobId, BTreeSet<TaskKey>),
    /// Stored results of other jobs, for a job's tasks: everything that they name is on this node's disk.
    TakenOver {
        /// The job.
        job: JobId,
        /// The results. Their term and holders are filled in by the machine.
        results: Vec<Outcome>,
        /// What is to be known of them.
        notes: Vec<Note>,
        /// The blobs that results and notes name.
        blobs: Vec<BlobId>,
        /// Other nodes that hold some of them, most likely, who holds most first.
        holders: Vec<NodeId>,
    },
    /// For these tasks of a job, which was to be sought, stored results are on another node's disk: it is asked to
    /// take them over.
    Entrusted(NodeId, JobId, Vec<TaskKey>),
    /// What this node's wall clock says, each [`PERIOD`](crate::clocks::PERIOD).
    Clock(Unix),
    /// All files of a round of a job that this node was to write are in their places
    /// ([`Machine::owes`](super::Machine::owes)).
    Delivered(JobId, Round),
    /// Whether this node is within its hours, by its local time.
    WithinHours(bool),
    /// What this node does while somebody uses its machine; none where nobody does, or nobody can tell.
    InUse(Option<OnReturn>),
    /// An attempt's engine ended; everything that the outcome names is on this node's disk. Its
    /// term and holders are filled in by the machine.
    Ended(AttemptKey, Box<Outcome>),
    /// These attempts' engine ended before it came to them: nothing became of them.
    Undone(Vec<AttemptKey>),
    /// What a peer asked to keep under this token is on this node's disk, or why not.
    Stored(NodeId, u64, Result<(), String>),
}
