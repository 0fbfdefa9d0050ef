//! Second attempts at the last frames of a job, where the first look late and a node has nothing else
//! to do. Whichever is done first counts; the other is called back.

use std::cmp::Reverse;

use super::fit::Index;
use super::plan::{Limits, avoided};
use super::rooms::Rooms;
use super::{Assignment, View};
use crate::ids::NodeId;
use crate::job::status::startable;
use crate::job::table::{Job, Jobs, TaskState};
use crate::wire::control::AttemptKey;

/// How many results of a step must be known before an attempt at another of its tasks can be late.
const TELLING: u32 = 3;
/// An attempt that has rendered for less is not late, in milliseconds: fetching files and starting an
/// engine elsewhere would take as long.
pub const LATE_MS: u64 = 5000;

/// An attempt that renders, with a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// Where.
    pub node: NodeId,
    /// Which.
    pub attempt: AttemptKey,
    /// For how long, in milliseconds.
    pub elapsed: u64,
    /// How much of it is done, in thousandths; 0 where its engine doesn't tell.
    pub progress: u16,
}

/// An attempt that takes clearly longer than its like.
struct Late<'a> {
    rendering: &'a Rendering,
    /// How long it is thought to take still, in milliseconds.
    left: u64,
    /// What its like take, in milliseconds.
    usual: u64,
}

impl<'a> Late<'a> {
    /// Where an attempt is late, and a second one may help.
    fn of(rendering: &'a Rendering, jobs: &Jobs) -> Option<Self> {
        let AttemptKey { job, task: key, generation, .. } = rendering.attempt;
        let job = jobs.get(&job)?;
        let usual = job.tempo().median(key.step, TELLING)?;
        if rendering.elapsed < (usual + usual / 2).max(LATE_MS) {
            return None;
        }
        // A test frame is there to be looked at.
        let task = job.task(&key)?;
        let open = task.generation == generation && task.state(job.retries()) == TaskState::Open;
        let elapsed = rendering.elapsed;
        let left = match u64::from(rendering.progress.min(1000)) {
            // Nothing is known: what has taken long takes long.
            0 => elapsed,
            done => elapsed.saturating_mul(1000 - done) / done,
        };
        let late = Self { rendering, left, usual };
        (open && !job.is_test(&key)).then_some(late)
    }
}

/// What should be begun a second time on nodes that have room once everything else has been placed.
pub(super) fn seconds(
    view: &View,
    jobs: &Jobs,
    index: &Index<'_>,
    rooms: &mut Rooms<'_>,
    limits: &mut Limits<'_>,
) -> Vec<Assignment> {
    let mut seconds = Vec::new();
    if rooms.is_empty() {
        return seconds;
    }
    let mut late: Vec<Late<'_>> =
        view.rendering.iter().filter_map(|rendering| Late::of(rendering, jobs)).collect();
    late.sort_by_key(|late| (Reverse(late.left), late.rendering.attempt));
    for Late { rendering, left, usual } in late {
        let AttemptKey { job: id, task: key, generation, attempt } = rendering.attempt;
        let Some(job) = jobs.get(&id).filter(|job| is_at_its_last(view, job, &rendering.attempt))
        else {
            continue;
        };
        let Some((spec, task)) = job.spec().zip(job.task(&key)) else { continue };
        let Some(step) = spec.steps.get(usize::from(key.step)) else { continue };
        let Ok(mut fit) = index.fit(&id, job, spec, step) else { continue };
        if fit.only_benched() || limits.reached(&step.engine).is_some() {
            continue;
        }
        let avoided = avoided(job, spec, &key);
        let sooner = |node: &NodeId| {
            job.tempo().on(key.step, node).unwrap_or(usual) < left && !avoided.contains(node)
        };
        if let Some((node, claim)) = index.take(rooms, &mut fit, &avoided, sooner) {
            limits.start(&step.engine);
            let attempt = task.next_attempt().max(attempt.saturating_add(1));
            let attempt = AttemptKey { job: id, task: key, generation, attempt };
            seconds.push(Assignment { node, attempt, more: Vec::new(), claim });
        }
    }
    seconds
}

/// Whether everything of a job that could start has been, and it goes on.
fn is_at_its_last(view: &View, job: &Job, attempt: &AttemptKey) -> bool {
    let Some(leased) = view.leased.get(&attempt.job) else { return false };
    let mut own = false;
    let all = startable(job).all(|key| {
        own |= key == attempt.task;
        leased.contains_key(&key)
    });
    all && own
}
