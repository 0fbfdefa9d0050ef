//! Nodes that fail what others can do. Derived from outcomes, as everything of a job is.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::FailureKind;
use super::table::{Jobs, Task};
use super::task::TaskKey;
use crate::ids::{JobId, NodeId};
use crate::settings::Settings;
use crate::time::Unix;

/// A node that failed tasks of so many jobs, which others could do, and did nothing well since, is
/// benched. One job alone may be at fault itself.
pub const JOBS_TO_BENCH: usize = 2;

/// A failure that speaks against a node: the task was done elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The job.
    pub job: JobId,
    /// Its task.
    pub task: TaskKey,
    /// When the failed attempt started, by the node's clock.
    pub started: Unix,
    /// What happened, with the end of the log.
    pub message: String,
}

/// What a job tells of the nodes that worked on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Tasks that are done, and failed before that.
    contested: BTreeSet<TaskKey>,
    /// When each node started what it did well, the last time, by its own clock.
    successes: BTreeMap<NodeId, Unix>,
}

impl Record {
    /// A node did a task well.
    pub(super) fn done(&mut self, node: NodeId, started: Unix) {
        let last = self.successes.entry(node).or_default();
        *last = (*last).max(started);
    }

    /// A task changed.
    pub(super) fn settle(&mut self, key: &TaskKey, task: &Task) {
        let done = task.done().is_some_and(|done| done.generation >= task.generation);
        match done && task.failures().next().is_some() {
            true => self.contested.insert(*key),
            false => self.contested.remove(key),
        };
    }
}

/// The nodes that are benched, and which failures of each speak against it: one a job, the last.
///
/// A failure counts where another node did the same round of the task, the failing node has done
/// nothing well since, and nobody has forgiven it. All times that are compared are of one clock: the
/// node's own. Running out of memory says more about the task than about the node.
#[must_use]
pub fn benched(jobs: &Jobs, settings: &Settings) -> BTreeMap<NodeId, Vec<Trouble>> {
    let mut against: BTreeMap<NodeId, Vec<Trouble>> = BTreeMap::new();
    for (id, job, _) in jobs.iter() {
        let mut of_job: BTreeMap<NodeId, Trouble> = BTreeMap::new();
        for key in &job.record().contested {
            let Some(task) = job.task(key) else { continue };
            let Some(done) = task.done() else { continue };
            for ((generation, _, node), failure) in task.failures() {
                let counts = *generation == done.generation
                    && *node != done.author
                    && failure.kind != FailureKind::Memory
                    && settings.forgiven(node).is_none_or(|until| failure.started > until);
                let known = of_job.get(node);
                if counts && known.is_none_or(|known| failure.started > known.started) {
                    let message = failure.message.clone();
                    let started = failure.started;
                    of_job.insert(*node, Trouble { job: id, task: *key, started, message });
                }
            }
        }
        for (node, trouble) in of_job {
            against.entry(node).or_default().push(trouble);
        }
    }
    against.retain(|node, troubles| {
        let successes = jobs.iter().filter_map(|(_, job, _)| job.record().successes.get(node));
        let last = successes.max().copied();
        troubles.retain(|trouble| last.is_none_or(|last| trouble.started > last));
        troubles.len() >= JOBS_TO_BENCH
    });
    against
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Body, Outcomes};
    use crate::job::outcome::{Ending, Outcome};
    use crate::job::samples::{done, fact, failed, node, outcome, spec};
    use crate::job::spec::JobSpec;
    use crate::settings::{Change, NodeChange, Setting};

    struct World {
        jobs: Jobs,
        settings: Settings,
        facts: u64,
    }

    impl World {
        fn new() -> Self {
            Self { jobs: Jobs::new(), settings: Settings::new(), facts: 0 }
        }

        fn job(&mut self, nonce: u8) -> JobId {
            let spec = JobSpec { nonce: [nonce; 16], retries: 3, ..spec(9) };
            let id = spec.id();
            self.apply(1, &Body::Spec(Box::new(spec)));
            id
        }

        fn apply(&mut self, author: u8, body: &Body) {
            self.facts += 1;
            self.jobs.apply(fact(self.facts), node(author), body);
        }

        fn ends(
            &mut self,
            job: JobId,
            author: u8,
            (frame, attempt): (i32, u32),
            how: Ending,
            at: u64,
        ) {
            let outcome = Outcome { started: Unix(at), ..outcome(frame, 0, attempt, how) };
            self.apply(author, &Body::Outcomes(Outcomes { job, outcomes: vec![outcome] }));
        }

        fn benched(&self) -> Vec<(NodeId, usize)> {
            let all = benched(&self.jobs, &self.settings);
            all.into_iter().map(|(node, troubles)| (node, troubles.len())).collect()
        }
    }

    #[test]
    fn who_fails_several_jobs_that_others_can_do_is_benched_until_forgiven() {
        let mut world = World::new();
        let (first, second) = (world.job(1), world.job(2));
        world.ends(first, 3, (1, 1), failed("no driver"), 10);
        world.ends(first, 3, (2, 1), failed("no driver"), 11);
        world.ends(second, 3, (1, 1), failed("no driver"), 12);
        assert_eq!(world.benched(), [], "nobody else has done them: the jobs may be at fault");
        world.ends(first, 4, (1, 2), done(), 20);
        world.ends(first, 4, (2, 2), done(), 21);
        assert_eq!(world.benched(), [], "that job may be odd");
        world.ends(second, 4, (1, 2), done(), 22);
        assert_eq!(world.benched(), [(node(3), 2)]);
        let change = Change::Node(node(3), NodeChange::Forgiven(Unix(12)));
        let setting = Setting { version: 1, at: Unix(0), by: "ada".into(), change };
        let id = fact(99);
        assert!(world.settings.apply(id, node(1), &setting));
        assert_eq!(world.benched(), []);
        world.ends(second, 3, (3, 1), failed("no driver"), 30);
        world.ends(second, 4, (3, 2), done(), 31);
        assert_eq!(world.benched(), [], "one job since");
    }

    #[test]
    fn who_does_something_well_meanwhile_is_not_broken() {
        let mut world = World::new();
        for nonce in 1..=4 {
            let job = world.job(nonce);
            world.ends(job, 3, (1, 1), failed("it blinked"), u64::from(nonce) * 10);
            world.ends(job, 4, (1, 2), done(), 1);
            world.ends(job, 3, (2, 1), done(), u64::from(nonce) * 10 + 5);
        }
        assert_eq!(world.benched(), []);
        let job = world.job(5);
        world.ends(job, 3, (1, 1), failed("it blinked"), 60);
        world.ends(job, 4, (1, 2), done(), 1);
        assert_eq!(world.benched(), []);
    }
}
