//! In which order jobs are served.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::claim::Portion;
use crate::ids::{JobId, NodeId};
use crate::job::spec::JobSpec;
use crate::job::table::{Job, Jobs};
use crate::time::Unix;

/// A whole node, as an owner's share counts it.
pub const NODE: u64 = 1000;

/// A job's place in the queue: the smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: Reverse<u8>,
    /// How much works for the owner already, in thousandths of nodes: fair share among owners.
    share: u64,
    /// When the owner was served last: where there are more owners than nodes, they take turns.
    served: u64,
    age: Unix,
    job: JobId,
}

/// How much works for every owner, in thousandths of nodes. A run of frames keeps one process busy, however
/// long it is; where that has claimed a share of its node, it counts as the largest of its parts.
#[must_use]
pub fn shares(jobs: &Jobs, view: &View) -> BTreeMap<String, u64> {
    let mut parts: BTreeMap<JobId, u64> = BTreeMap::new();
    for process in &view.processes {
        *parts.entry(process.job).or_default() += part(view, &process.node, &process.claim);
    }
    let mut busy: BTreeMap<String, (BTreeSet<&NodeId>, u64)> = BTreeMap::new();
    for (id, _, spec) in jobs.iter() {
        let (nodes, shares) = busy.entry(spec.owner.clone()).or_default();
        match spec.share {
            true => *shares += parts.get(&id).copied().unwrap_or(0),
            false => nodes.extend(view.workers(&id).map(|(_, node)| node)),
        }
    }
    let of = |(nodes, shares): (BTreeSet<&NodeId>, u64)| nodes.len() as u64 * NODE + shares;
    busy.into_iter().map(|(owner, busy)| (owner, of(busy))).collect()
}

/// How large a part of a node a claim is, in thousandths.
pub(super) fn part(view: &View, node: &NodeId, claim: &Portion) -> u64 {
    view.nodes.get(node).map_or(NODE, |node| claim.thousandths(&node.hardware))
}

/// A job's place, given how much works for its owner.
#[must_use]
pub fn place(id: JobId, job: &Job, spec: &JobSpec, share: u64) -> Place {
    let priority = Reverse(job.switches().priority);
    Place { priority, share, served: 0, age: spec.submitted, job: id }
}

impl Place {
    /// The same job's place, when so much works for its owner, who was served last at that turn.
    #[must_use]
    pub const fn with_share(self, share: u64, served: u64) -> Self {
        Self { share, served, ..self }
    }
}
