//! Placing work: one pure function from what is known to what should start where.

pub mod feasible;
mod fit;
pub mod plan;
pub mod rank;
mod rooms;
pub mod second;
pub mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use crate::claim::Portion;
use crate::hardware::Hardware;
use crate::ids::{JobId, NodeId};
use crate::job::task::TaskKey;
use crate::wire::control::{AttemptKey, Closed};

pub use second::Rendering;
pub use waiting::{Busy, Closest, Waiting};

/// What of a node can be handed out now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Room {
    /// Nothing: it isn't there, does not report, one task has all of it, or it takes on no more attempts.
    #[default]
    Nothing,
    /// Its tasks have claimed shares; what they leave.
    Part(Portion),
    /// All of it: nothing is leased to it.
    Whole,
}

/// A node as the scheduler sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeView {
    /// What the machine has.
    pub hardware: Hardware,
    /// The engines that can be used on it, each with its version.
    pub engines: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// What an hour of it costs, in thousandths.
    pub price: u32,
    /// Whether its certificate lets it render.
    pub renders: bool,
    /// Whether it is known to the studio, and not there just now.
    pub off: bool,
    /// What it can take now.
    pub room: Room,
    /// How many attempts its processes work on that have claimed shares.
    pub attempts: usize,
    /// Why it takes nothing new.
    pub closed: Option<Closed>,
    /// Engines whose licence was refused to it a moment ago, and what they said.
    pub refused: BTreeMap<String, String>,
    /// Jobs whose inputs it holds whole.
    pub holds: BTreeSet<JobId>,
}

/// A process that has claimed a share of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The node.
    pub node: NodeId,
    /// The job.
    pub job: JobId,
    /// The step of its job.
    pub step: u16,
    /// What it has claimed.
    pub claim: Portion,
}

/// Everything that a plan is made from, besides the jobs' facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The nodes.
    pub nodes: BTreeMap<NodeId, NodeView>,
    /// Tasks that are leased, by job, and to whom.
    pub leased: BTreeMap<JobId, BTreeMap<TaskKey, NodeId>>,
    /// Jobs of which stored results are being sought or brought, and for which of their tasks; all of them
    /// where that is not known yet. They wait for that.
    pub sought: BTreeMap<JobId, Option<BTreeSet<TaskKey>>>,
    /// Second attempts at some of those tasks, by job, and who makes them.
    pub seconds: BTreeMap<JobId, BTreeMap<TaskKey, NodeId>>,
    /// The processes of those jobs whose tasks claim shares: a run of frames is one.
    pub processes: Vec<Process>,
    /// Attempts that render with a process of their own, at tasks of which no second was made.
    pub rendering: Vec<Rendering>,
    /// At which turn each owner was served last; the higher, the later.
    pub served: BTreeMap<String, u64>,
    /// How many tasks of an engine may run at once, for those that have a limit. Of a run of frames
    /// one is rendered at a time.
    pub limits: BTreeMap<String, u32>,
}

impl View {
    /// Who works on tasks of a job; a node is named once for each.
    fn workers(&self, job: &JobId) -> impl Iterator<Item = (&TaskKey, &NodeId)> {
        let both = [self.leased.get(job), self.seconds.get(job)];
        both.into_iter().flatten().flatten()
    }
}

/// One attempt that should start, or several in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// On which node.
    pub node: NodeId,
    /// Which attempt.
    pub attempt: AttemptKey,
    /// Attempts at further frames, which the same process renders after it.
    pub more: Vec<AttemptKey>,
    /// What it may use of the node, all of them together.
    pub claim: Portion,
}

/// What should start, and why the rest waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What should start.
    pub assignments: Vec<Assignment>,
    /// Attempts that should start at tasks that are late elsewhere.
    pub seconds: Vec<Assignment>,
    /// Jobs with tasks that could start, and found no node, or for which there may be results.
    pub waiting: BTreeMap<JobId, Waiting>,
}
