//! Of an engine with a limit no process is begun beyond it.
//!
//! docs/operations.md, "Limits that count across the studio": at most so many tasks of an engine run at once. The leader holds
//! that, which is never an authority: while nodes don't hear of each other it may be passed, and what runs then is
//! left to end. So it is what starts that is looked at, once nothing has failed for long.

use std::collections::BTreeSet;

use weft_protocol::ids::NodeId;
use weft_protocol::job::table::Task;
use weft_protocol::machine::Machine;
use weft_protocol::wire::control::AttemptKey;

use super::Invariant;
use crate::sim::{ENGINE, Moment, Notice, SECOND, World};

/// When, after the last fault, and after somebody came or went, leaders know what runs.
const SETTLED: Moment = 60 * SECOND;
/// How long what was assigned before a limit was set may take to start.
const OLD: Moment = 30 * SECOND;

/// The limit that who leads knows of, and since when.
#[derive(Default)]
pub(super) struct Limits {
    seen: Option<(u32, Moment)>,
}

fn leader(world: &World) -> Option<&Machine> {
    world.up().map(|(.., machine)| machine).find(|machine| machine.leader.is_some())
}

fn limit(leader: &Machine) -> Option<u32> {
    leader.ledger.settings.limits().get(ENGINE).copied()
}

/// Whether an attempt is of the engine that has a limit, as who leads knows.
fn is_limited(leader: &Machine, attempt: &AttemptKey) -> bool {
    let spec = leader.ledger.jobs.get(&attempt.job).and_then(|job| job.spec());
    let step = spec.and_then(|spec| spec.steps.get(usize::from(attempt.task.step)));
    step.is_some_and(|step| step.engine == ENGINE)
}

/// Whether somebody waits for an attempt, as who leads knows: what is called off may end a moment later elsewhere.
fn is_wanted(leader: &Machine, node: &NodeId, attempt: &AttemptKey) -> bool {
    let Some(job) = leader.ledger.jobs.get(&attempt.job) else { return false };
    let AttemptKey { task, generation, attempt, .. } = attempt;
    let goes_on = |task: &Task| {
        task.generation == *generation && !task.has_ended(*generation, *attempt, node)
    };
    !job.switches().cancelled && job.task(task).is_some_and(goes_on)
}

impl Invariant for Limits {
    fn name(&self) -> &'static str {
        "limits of engines are kept"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        let Notice::Started { node, lease, .. } = notice else { return Ok(()) };
        let Some((leader, (most, since))) = leader(world).zip(self.seen) else { return Ok(()) };
        let settled = world.calm_for() > SETTLED && world.now > world.record.stirred + SETTLED;
        if !settled
            || world.now < since + OLD
            || limit(leader) != Some(most)
            || !is_limited(leader, &lease.attempt)
        {
            return Ok(());
        }
        let mut processes = BTreeSet::new();
        for (number, node, _) in world.up() {
            let runs = node
                .runs
                .iter()
                .filter(|(at, _)| is_limited(leader, at) && is_wanted(leader, &node.id, at));
            processes.extend(runs.map(|(_, run)| (number, run.process)));
        }
        match processes.len() > most as usize {
            true => Err(format!(
                "node{node} starts an engine of which {most} may run, and {} do: {processes:?}",
                processes.len()
            )),
            false => Ok(()),
        }
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        let now = leader(world).and_then(limit);
        if now != self.seen.map(|(limit, _)| limit) {
            self.seen = now.map(|limit| (limit, world.now));
        }
        Ok(())
    }
}
