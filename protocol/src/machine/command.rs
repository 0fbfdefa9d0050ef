//! What a machine has its shell do.

use crate::fact::Fact;
use crate::ids::{FactId, JobId, NodeId};
use crate::job::task::TaskKey;
use crate::replicate::Goods;
use crate::wire::control::Message;
use crate::wire::gossip;
use crate::worker;

/// What a node does about it. A send that promises something is only issued once the write that it
/// depends on was confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a message to a peer.
    Send(NodeId, Message),
    /// Read facts from disk and send them to a peer.
    SendFacts(NodeId, Vec<FactId>),
    /// Tell everybody.
    Gossip(gossip::Message),
    /// Write durably, then answer with [`Input::Written`](super::Input::Written).
    Write {
        /// Names the write.
        token: u64,
        /// A term.
        term: Option<u64>,
        /// Facts.
        facts: Vec<Fact>,
    },
    /// Delete facts that mean nothing any more; what pins blobs for this job ends as well.
    Forget(JobId, Vec<FactId>),
    /// A command of the worker's.
    Work(worker::Event),
    /// Fetch and pin blobs for a peer, then answer with [`Input::Stored`](super::Input::Stored).
    Store {
        /// Who asks, and has them.
        from: NodeId,
        /// Its token.
        token: u64,
        /// What.
        goods: Goods,
        /// For whose sake.
        job: JobId,
    },
    /// Answer a request: the nodes on whose disks it is, this one first; or why it failed.
    Answer(u64, Result<Vec<NodeId>, String>),
    /// Something about a job changed.
    Changed(JobId),
    /// A job is removed by nobody's wish, since its time has come: for the log.
    LetGo(JobId),
    /// Seek results of other jobs that are a job's as well, then answer with [`Input::Sought`](super::Input::Sought) and
    /// [`Input::TakenOver`](super::Input::TakenOver).
    Seek(JobId),
    /// Take over results of other jobs that are on this node's disk and these tasks' as well: answer with
    /// [`Input::TakenOver`](super::Input::TakenOver).
    TakeOver(JobId, Vec<TaskKey>),
    /// Something about the leadership changed.
    LeaderChanged,
    /// Something was set: this node's own advert may have to say so.
    Set,
    /// Close the connections to a node, and say why.
    Close(NodeId, &'static str),
}
