//! How many processes run of each engine, as limits count them.

use std::collections::{BTreeMap, BTreeSet};

use super::Leader;
use crate::job::table::{Job, Jobs};

impl Leader {
    /// How many processes run of each engine, by its name: a run of frames is one, and whatever has all of a node.
    #[must_use]
    pub fn processes<'a>(&self, jobs: &'a Jobs) -> BTreeMap<&'a str, u64> {
        let mut seen = BTreeSet::new();
        let mut running = BTreeMap::new();
        for held in self.leases() {
            let spec = jobs.get(&held.attempt.job).and_then(Job::spec);
            let step = spec.and_then(|s| s.steps.get(usize::from(held.attempt.task.step)));
            let Some(engine) = step.map(|step| step.engine.as_str()) else { continue };
            let share = held.share.as_ref().map(|share| share.number);
            if seen.insert((engine, held.node, share)) {
                *running.entry(engine).or_default() += 1;
            }
        }
        running
    }
}
