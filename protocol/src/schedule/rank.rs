//! In which order jobs are served, and which of the fitting nodes is taken.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{NodeView, View};
use crate::ids::{JobId, NodeId};
use crate::job::spec::JobSpec;
use crate::job::table::{Job, Jobs};
use crate::time::Unix;

/// A job's place in the queue: the smaller goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: Reverse<u8>,
    /// How many tasks of the owner's run already: fair share among owners.
    share: usize,
    age: Unix,
    job: JobId,
}

/// How many leased tasks every owner has.
#[must_use]
pub fn shares(jobs: &Jobs, view: &View) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for (id, _, spec) in jobs.iter() {
        let leased = view.leased.get(&id).map_or(0, std::collections::BTreeSet::len);
        *shares.entry(spec.owner.clone()).or_default() += leased;
    }
    shares
}

/// A job's place, given how many tasks of its owner's run.
#[must_use]
pub fn place(id: JobId, job: &Job, spec: &JobSpec, share: usize) -> Place {
    let priority = Reverse(job.switches().priority);
    Place { priority, share, age: spec.submitted, job: id }
}

/// How well a node suits an attempt of a job: the smaller the better. Nodes on which the task
/// failed come last; then the cheaper one is taken, and of equally cheap ones one that holds the inputs.
#[must_use]
pub fn suitability(
    id: &JobId,
    node_id: &NodeId,
    node: &NodeView,
    failed_here: bool,
) -> (bool, u32, bool, NodeId) {
    (failed_here, node.price, !node.holds.contains(id), *node_id)
}
