//! Counts add up in every view.
//!
//! docs/joins.md: "done beats failed beats open; counts always add up".

use weft_protocol::ids::JobId;
use weft_protocol::job::spec::Step;
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
    let spec = job.spec().expect("filtered just before");
    let (mut done, mut failed, mut open) = (0, 0, 0);
    let mut frames = (0, 0, 0);
    for (key, task) in job.tasks() {
        let own = task.state(job.retries());
        // What waits for one that failed for good will never come about.
        let in_vain = || {
            let before = spec.before(&key);
            let whole: Vec<u16> = spec.before_as_a_whole(key.step).collect();
            job.failed().any(|failed| before.contains(&failed) || whole.contains(&failed.step))
        };
        let state = if own == TaskState::Open && in_vain() { TaskState::Failed } else { own };
        if job.state(&key) != Some(state) {
            return Err(format!("node{number} shows {key:?} of {id:?} otherwise than {state:?}"));
        }
        let works_on = |step: &Step| step.after.contains(&key.step);
        let counts = match spec.check {
            0 => !spec.steps.iter().any(works_on),
            _ => key.step == 0,
        };
        let counts = usize::from(counts);
        frames.0 += counts;
        match state {
            TaskState::Done => (done, frames.1) = (done + 1, frames.1 + counts),
            TaskState::Failed => (failed, frames.2) = (failed + 1, frames.2 + counts),
            TaskState::Open => open += 1,
        }
    }
    if job.frame_counts() != frames {
        let shown = job.frame_counts();
        return Err(format!("node{number} shows {shown:?} frames of {id:?}, which has {frames:?}"));
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
