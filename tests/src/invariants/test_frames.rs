//! No frame starts before its job's test frames are known.
//!
//! Design, "How facts join": "Test frames gate the rest: nothing else of the job may start until
//! every test frame's outcome is known; a failed one then fails the job, if the artist asked for
//! that, and else the rest goes on."

use std::collections::{BTreeMap, BTreeSet};

use weft_protocol::fact::Body;
use weft_protocol::ids::JobId;
use weft_protocol::job::control::Action;
use weft_protocol::job::outcome::Ending;
use weft_protocol::job::spec::{AfterTest, JobSpec};
use weft_protocol::job::task::{FrameRun, TaskKey};

use super::Invariant;
use super::joins::counting;
use crate::sim::{Node, Notice, World};

/// Nothing to remember: the disk does.
#[derive(Default)]
pub(super) struct TestFrames;

/// What a node's disk says of a job's test frames.
#[derive(Default)]
struct Known {
    spec: Option<JobSpec>,
    /// In which rounds each was done.
    done: BTreeMap<TaskKey, BTreeSet<u32>>,
    failures: BTreeMap<(TaskKey, u32), usize>,
    retries: Vec<(u16, Vec<FrameRun>, u32)>,
    approved: bool,
}

impl Known {
    /// Whether a task is done, and whether it failed for good by itself.
    fn state(&self, spec: &JobSpec, key: TaskKey) -> (bool, bool) {
        let rounds = self.retries.iter().map(|(.., generation)| u64::from(*generation)).collect();
        let reached = counting(&rounds);
        let counts = |generation: u32| u64::from(generation) <= reached;
        let asked = self.retries.iter().filter(|(.., generation)| counts(*generation));
        let raised = asked.filter(|(step, frames, _)| {
            let frames: Vec<FrameRun> =
                frames.iter().copied().filter(|run| run.contains(key.frame)).collect();
            spec.tasks_along(*step, &frames).any(|task| task == key)
        });
        let generation = raised.map(|(.., generation)| *generation).max().unwrap_or(0);
        let done = self.done.get(&key).into_iter().flatten();
        let done = done.copied().any(|done| done >= generation && counts(done));
        let failures = self.failures.get(&(key, generation)).copied().unwrap_or(0);
        (done, !done && failures > spec.retries as usize)
    }
}

fn known(node: &Node, id: JobId) -> Known {
    let mut known = Known::default();
    for fact in node.disk.facts.values().filter(|fact| fact.scope() == Some(id)) {
        match fact.body() {
            Ok(Some(Body::Spec(spec))) => known.spec = Some(*spec),
            Ok(Some(Body::Control(control))) => match control.action {
                Action::Approve => known.approved = true,
                Action::Retry { step, frames, generation } => {
                    known.retries.push((step, frames, generation));
                }
                _ => {}
            },
            Ok(Some(Body::Outcomes(batch))) => {
                for outcome in batch.outcomes {
                    match outcome.ending {
                        Ending::Done(_) => {
                            known.done.entry(outcome.task).or_default().insert(outcome.generation);
                        }
                        Ending::Failed { .. } => {
                            let key = (outcome.task, outcome.generation);
                            *known.failures.entry(key).or_default() += 1;
                        }
                    }
                }
            }
            _ => {}
        }
    }
    known
}

impl Invariant for TestFrames {
    fn name(&self) -> &'static str {
        "test frames go first"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        let Notice::Started { node, lease, more, .. } = notice else { return Ok(()) };
        let attempt = lease.attempt;
        let known = known(&world.nodes[*node], attempt.job);
        let Some(spec) = &known.spec else {
            return Err(format!("node{node} starts a frame of a job that it doesn't know"));
        };
        // What is made of a test frame belongs to it.
        let tests: Vec<TaskKey> = spec.tasks_along(0, &spec.test_frames).collect();
        let mut run = std::iter::once(&attempt).chain(more);
        // All of a process starts with it: nobody asks again before it comes to the next frame.
        let Some(other) = run.find(|attempt| !tests.contains(&attempt.task)) else {
            return Ok(());
        };
        let frame = other.task.frame;
        for test in tests {
            let (done, own) = known.state(spec, test);
            // What waits for one that failed fails with it.
            let failed = own || spec.before(&test).iter().any(|key| known.state(spec, *key).1);
            if !done && !failed {
                let test = test.frame;
                return Err(format!("node{node} starts frame {frame}, and test {test} is open"));
            }
            if !done && spec.after_test != AfterTest::GoOn {
                return Err(format!("node{node} starts frame {frame}, and a test has failed"));
            }
        }
        match spec.after_test == AfterTest::AwaitApproval && !known.approved {
            true => Err(format!("node{node} starts frame {frame}, and nobody has approved")),
            false => Ok(()),
        }
    }
}
