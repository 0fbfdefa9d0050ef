//! What renders is not started a second time, except for a second attempt at one that is late.
//!
//! Design, "Two leaders cost duplicate work, never a wrong or lost result": while nothing fails there
//! is one leader. docs/election.md, "frames that render elsewhere are not started a second time".

use std::collections::BTreeSet;

use weft_protocol::ids::JobId;
use weft_protocol::job::task::TaskKey;
use weft_protocol::schedule::second::LATE_MS;
use weft_protocol::wire::control::AttemptKey;

use super::Invariant;
use crate::sim::{Moment, Node, Notice, Run, SECOND, World};

/// How long nothing must have failed: leases of the storm before have ended, and what two leaders
/// began then is done.
const SETTLED: Moment = 60 * SECOND;
/// How many results of its step must be known before a frame can be late.
const TELLING: usize = 3;

/// The second attempts that were made: job, task, generation, and in which term.
#[derive(Default)]
pub(super) struct Attempts(BTreeSet<(JobId, TaskKey, u32, u64)>);

impl Invariant for Attempts {
    fn name(&self) -> &'static str {
        "what renders is not started twice"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        let Notice::Started { node, lease, more, term } = notice else { return Ok(()) };
        let settled = world.calm_for() > SETTLED && world.now > world.record.stirred + SETTLED;
        let liar = |node: &Node| node.liar && node.is_member();
        if !settled || world.nodes.iter().any(liar) {
            return Ok(());
        }
        let mut run = std::iter::once(&lease.attempt).chain(more);
        run.try_for_each(|attempt| self.starts(world, *node, attempt, *term))
    }
}

impl Attempts {
    /// A frame starts, alone or with others in a process.
    fn starts(
        &mut self,
        world: &World,
        node: usize,
        attempt: &AttemptKey,
        term: u64,
    ) -> Result<(), String> {
        let (frame, what) = (attempt.task.frame, (attempt.job, attempt.task, attempt.generation));
        let same = |run: &&Run| {
            let other = run.lease.attempt;
            (other.job, other.task, other.generation) == what
        };
        let others = world.up().filter(|(number, ..)| *number != node);
        let others: Vec<&Run> = others.flat_map(|(_, node, _)| node.runs.values()).collect();
        let waits =
            |run: &&&Run| run.behind().iter().any(|o| (o.job, o.task, o.generation) == what);
        if let Some(run) = others.iter().find(waits) {
            let at = run.lease.attempt.task.frame;
            return Err(format!(
                "node{node} starts frame {frame}, which waits elsewhere behind frame {at}"
            ));
        }
        let others: Vec<&Run> = others.into_iter().filter(same).collect();
        let first = match others[..] {
            [] => return Ok(()),
            [first] => first,
            _ => return Err(format!("node{node} is the third that starts frame {frame}")),
        };
        if !self.0.insert((what.0, what.1, what.2, term)) {
            return Err(format!("node{node} makes a third attempt at frame {frame}"));
        }
        // The leader may have seen it begin some time after it did.
        if world.now < first.started() + LATE_MS * 1000 {
            return Err(format!("node{node} starts frame {frame}, which has just begun elsewhere"));
        }
        let Some(machine) = &world.nodes[node].machine else { return Ok(()) };
        let Some(job) = machine.ledger.jobs.get(&attempt.job) else { return Ok(()) };
        let of_step = job.tasks().filter(|(key, _)| key.step == attempt.task.step);
        let done = of_step.filter(|(_, task)| task.done().is_some()).count();
        let failures = job.task(&attempt.task).map_or(0, |task| task.failures_now().count());
        // Facts may come to this node later than to its leader, and never without cause.
        if done + 1 < TELLING || job.is_test(&attempt.task) || failures > job.retries() as usize {
            return Err(format!(
                "node{node} starts frame {frame} a second time, with {done} results known and \
                 {failures} failures"
            ));
        }
        Ok(())
    }
}
