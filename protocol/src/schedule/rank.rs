//! In which order jobs are served, and which of the fitting nodes is taken.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{NodeView, View};
use crate::ids::{JobId, NodeId};
use crate::job::spec::JobSpec;
use crate::job::table::{Job, Jobs};
use crate::time::Unix;

/// A job's place in the queue: the smaller goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: Reverse<u8>,
    /// How many nodes work for the owner already: fair share among owners.
    share: usize,
    age: Unix,
    job: JobId,
}

/// How many nodes work for every owner. A run of frames keeps one busy, however long it is.
#[must_use]
pub fn shares(jobs: &Jobs, view: &View) -> BTreeMap<String, usize> {
    let mut busy: BTreeMap<String, BTreeSet<&NodeId>> = BTreeMap::new();
    for (id, _, spec) in jobs.iter() {
        let nodes = view.leased.get(&id).into_iter().flat_map(BTreeMap::values);
        busy.entry(spec.owner.clone()).or_default().extend(nodes);
    }
    busy.into_iter().map(|(owner, nodes)| (owner, nodes.len())).collect()
}

/// A job's place, given how many nodes work for its owner.
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
