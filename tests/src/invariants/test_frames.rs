//! No frame starts before its job's test frames are known.
//!
//! Design, "How facts join": "Test frames gate the rest: nothing else of the job may start until
//! every test frame's outcome is known; a failed one then fails the job, if the artist asked for
//! that, and else the rest goes on."

use std::collections::BTreeMap;

use weft_protocol::fact::Body;
use weft_protocol::ids::JobId;
use weft_protocol::job::control::Action;
use weft_protocol::job::outcome::Ending;
use weft_protocol::job::spec::{AfterTest, JobSpec};
use weft_protocol::job::task::{TaskKey, unfold};

use super::Invariant;
use crate::sim::{Node, Notice, World};

/// Nothing to remember: the disk does.
#[derive(Default)]
pub(super) struct TestFrames;

/// What a node's disk says of a job's test frames.
#[derive(Default)]
struct Known {
    spec: Option<JobSpec>,
    done: BTreeMap<TaskKey, u32>,
    failures: BTreeMap<(TaskKey, u32), usize>,
    generations: BTreeMap<TaskKey, u32>,
    approved: bool,
}

fn known(node: &Node, id: JobId) -> Known {
    let mut known = Known::default();
    for fact in node.disk.facts.values().filter(|fact| fact.scope() == Some(id)) {
        match fact.body() {
            Ok(Some(Body::Spec(spec))) => known.spec = Some(*spec),
            Ok(Some(Body::Control(control))) => match control.action {
                Action::Approve => known.approved = true,
                Action::Retry { step, frames, generation } => {
                    for n in unfold(&frames) {
                        let key = TaskKey { step, ..TaskKey::frame(n) };
                        let raised = known.generations.entry(key).or_default();
                        *raised = (*raised).max(generation);
                    }
                }
                _ => {}
            },
            Ok(Some(Body::Outcomes(batch))) => {
                for outcome in batch.outcomes {
                    match outcome.ending {
                        Ending::Done(_) => {
                            let done = known.done.entry(outcome.task).or_default();
                            *done = (*done).max(outcome.generation + 1);
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
        let Notice::Started { node, lease, .. } = notice else { return Ok(()) };
        let attempt = lease.attempt;
        let known = known(&world.nodes[*node], attempt.job);
        let Some(spec) = &known.spec else {
            return Err(format!("node{node} starts a frame of a job that it doesn't know"));
        };
        let tests: Vec<TaskKey> = unfold(&spec.test_frames).map(TaskKey::frame).collect();
        if tests.contains(&attempt.task) {
            return Ok(());
        }
        let frame = attempt.task.frame;
        for test in tests {
            let generation = known.generations.get(&test).copied().unwrap_or(0);
            let done = known.done.get(&test).is_some_and(|done| *done > generation);
            let failures = known.failures.get(&(test, generation)).copied().unwrap_or(0);
            let failed = failures > spec.retries as usize;
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
