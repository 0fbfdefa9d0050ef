//! Counts add up in every view.
//!
//! docs/joins.md: "done beats failed beats open; counts always add up".

use weft_protocol::ids::JobId;
use weft_protocol::job::table::TaskState;

use super::Invariant;
use crate::sim::{Notice, World};

/// Nothing to remember.
#[derive(Default)]
pub(super) struct Counts;

fn check(world: &World, number: usize, id: JobId) -> Result<(), String> {
    let machine = world.nodes[number].machine.as_ref();
    let Some(machine) = machine else { return Ok(()) };
    let Some(job) = machine.ledger.jobs.get(&id).filter(|job| job.spec().is_some()) else {
        return Ok(());
    };
    let (mut done, mut failed, mut open) = (0, 0, 0);
    for (_, task) in job.tasks() {
        match task.state(job.retries()) {
            TaskState::Done => done += 1,
            TaskState::Failed => failed += 1,
            TaskState::Open => open += 1,
        }
    }
    let shown = job.counts();
    let listed = (job.open().count(), job.failed().count());
    if shown != (done + failed + open, done, failed) || listed != (open, failed) {
        return Err(format!(
            "node{number} shows {shown:?} of {id:?}, of which {open} are open, {done} done and \
             {failed} failed"
        ));
    }
    let activity = machine.activity(&id);
    let tasks = job.tasks().count();
    match machine.leader.is_some() && activity.preparing + activity.rendering > tasks {
        true => Err(format!("node{number} has more leases of {id:?} than its {tasks} tasks")),
        false => Ok(()),
    }
}

impl Invariant for Counts {
    fn name(&self) -> &'static str {
        "counts add up"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        match notice {
            Notice::Changed(node, job) => check(world, *node, *job),
            _ => Ok(()),
        }
    }
}
