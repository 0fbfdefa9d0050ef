//! In which order jobs are served.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::ids::{JobId, NodeId};
use crate::job::spec::JobSpec;
use crate::job::table::{Job, Jobs};
use crate::time::Unix;

/// A job's place in the queue: the smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: Reverse<u8>,
    /// How many nodes work for the owner already: fair share among owners.
    share: usize,
    /// When the owner was served last: where there are more owners than nodes, they take turns.
    served: u64,
    age: Unix,
    job: JobId,
}

/// How many nodes work for every owner. A run of frames keeps one busy, however long it is.
#[must_use]
pub fn shares(jobs: &Jobs, view: &View) -> BTreeMap<String, usize> {
    let mut busy: BTreeMap<String, BTreeSet<&NodeId>> = BTreeMap::new();
    for (id, _, spec) in jobs.iter() {
        let nodes = view.workers(&id).map(|(_, node)| node);
        busy.entry(spec.owner.clone()).or_default().extend(nodes);
    }
    busy.into_iter().map(|(owner, nodes)| (owner, nodes.len())).collect()
}

/// A job's place, given how many nodes work for its owner.
#[must_use]
pub fn place(id: JobId, job: &Job, spec: &JobSpec, share: usize) -> Place {
    let priority = Reverse(job.switches().priority);
    Place { priority, share, served: 0, age: spec.submitted, job: id }
}

impl Place {
    /// The same job's place, when so many nodes work for its owner, who was served last at that turn.
    #[must_use]
    pub const fn with_share(self, share: usize, served: u64) -> Self {
        Self { share, served, ..self }
    }
}
