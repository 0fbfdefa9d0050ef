//! All leases that a leader keeps, by what they are for and by who holds them.

use std::collections::{BTreeMap, BTreeSet};

use super::held::Held;
use crate::ids::{JobId, NodeId};
use crate::job::task::TaskKey;

/// What a lease is for.
pub(super) type Key = (JobId, TaskKey);

/// One lease a task.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    all: BTreeMap<Key, Held>,
    /// What each node holds: who reports is looked at alone, of a thousand.
    by_node: BTreeMap<NodeId, BTreeSet<Key>>,
    /// Who holds what of each job, as the scheduler is shown it.
    by_job: ByJob,
}

/// The tasks of each job that are leased, and to whom.
pub(super) type ByJob = BTreeMap<JobId, BTreeMap<TaskKey, NodeId>>;

impl Leases {
    pub(super) const fn new() -> Self {
        Self { all: BTreeMap::new(), by_node: BTreeMap::new(), by_job: BTreeMap::new() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Held)> {
        self.all.iter()
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.all.contains_key(key)
    }

    /// The lease of a task, if `node` holds it.
    pub(super) fn held_by(&mut self, node: &NodeId, key: &Key) -> Option<&mut Held> {
        self.all.get_mut(key).filter(|held| held.node == *node)
    }

    /// The leases of a job.
    pub(super) fn of_job(&self, job: &JobId) -> impl Iterator<Item = &Held> + use<'_> {
        let job = *job;
        let first = (job, TaskKey { frame: i32::MIN, ..TaskKey::default() });
        self.all.range(first..).take_while(move |((j, _), _)| *j == job).map(|(_, held)| held)
    }

    /// The leases of a node.
    pub(super) fn of_node(&self, node: &NodeId) -> impl Iterator<Item = &Held> {
        let keys = self.by_node.get(node).into_iter().flatten();
        keys.filter_map(|key| self.all.get(key))
    }

    /// Keeps a lease, in the place of any other for the same.
    pub(super) fn insert(&mut self, key: Key, held: Held) {
        self.remove(&key);
        self.by_node.entry(held.node).or_default().insert(key);
        self.by_job.entry(key.0).or_default().insert(key.1, held.node);
        self.all.insert(key, held);
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Held> {
        let held = self.all.remove(key)?;
        if let Some(keys) = self.by_node.get_mut(&held.node) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_node.remove(&held.node);
            }
        }
        if let Some(tasks) = self.by_job.get_mut(&key.0) {
            tasks.remove(&key.1);
            if tasks.is_empty() {
                self.by_job.remove(&key.0);
            }
        }
        Some(held)
    }

    /// Who holds what of each job: to be given back before anything else is asked or changed.
    pub(super) fn lend(&mut self) -> ByJob {
        std::mem::take(&mut self.by_job)
    }

    /// Takes back what was lent.
    pub(super) fn give_back(&mut self, by_job: ByJob) {
        self.by_job = by_job;
    }

    /// Ends those that are `over`, of one node or of all; says whether there were any.
    pub(super) fn end(&mut self, of: Option<&NodeId>, over: impl Fn(&Key, &Held) -> bool) -> bool {
        let ended: Vec<Key> = match of {
            Some(node) => {
                let keys = self.by_node.get(node).into_iter().flatten();
                keys.filter(|key| over(key, &self.all[*key])).copied().collect()
            }
            None => self.all.iter().filter(|(k, held)| over(k, held)).map(|(k, _)| *k).collect(),
        };
        for key in &ended {
            self.remove(key);
        }
        !ended.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;
    use crate::wire::control::{AttemptKey, Phase};
    use proptest::prelude::*;

    fn held(node: u8, frame: i32) -> (Key, Held) {
        let (job, task) = (JobId([frame.rem_euclid(2) as u8; 32]), TaskKey::frame(frame));
        let attempt = AttemptKey { job, task, generation: 0, attempt: 1 };
        ((job, task), Held::new(NodeId([node; 32]), attempt, Phase::Preparing, 1, Time(0)))
    }

    proptest! {
        #[test]
        fn what_nodes_hold_and_jobs_have_out_is_what_all_leases_tell(
            steps in prop::collection::vec((0..4_u8, 0..8_i32, 0..4_u8), 0..60),
        ) {
            let mut leases = Leases::new();
            for (node, frame, what) in steps {
                let (key, new) = held(node, frame);
                match what {
                    0 => drop(leases.remove(&key)),
                    1 => {
                        let some = leases.of_node(&new.node).any(|h| h.attempt.task.frame <= frame);
                        let over = |_: &Key, held: &Held| held.attempt.task.frame <= frame;
                        prop_assert_eq!(leases.end(Some(&new.node), over), some);
                    }
                    _ => leases.insert(key, new),
                }
                let mut by_job = ByJob::new();
                for ((job, task), held) in leases.iter() {
                    by_job.entry(*job).or_default().insert(*task, held.node);
                }
                let lent = leases.lend();
                prop_assert_eq!(&lent, &by_job);
                leases.give_back(lent);
                for node in 0..4 {
                    let node = NodeId([node; 32]);
                    let of: Vec<&Held> = leases.of_node(&node).collect();
                    let all: Vec<&Held> =
                        leases.iter().map(|(_, held)| held).filter(|h| h.node == node).collect();
                    prop_assert_eq!(of, all);
                }
            }
            let some = leases.iter().next().is_some();
            prop_assert_eq!(leases.end(None, |_, _| true), some);
            prop_assert!(leases.by_node.is_empty() && leases.all.is_empty());
            prop_assert!(leases.by_job.is_empty());
        }
    }
}
