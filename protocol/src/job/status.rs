//! A job's status, derived from its facts and from what runs just now. It is never stored.

use std::collections::BTreeSet;

use super::control::Action;
use super::spec::{AfterTest, JobSpec};
use super::table::{Job, TaskState, rest_may_start};
use super::task::{FrameRun, MAX_FRAMES, TaskKey, unfold};
use crate::ids::NodeId;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nothing of it runs.
    Queued,
    /// Its files are on their way to the machines that will render.
    Preparing,
    /// Some of its frames are being rendered.
    Rendering,
    /// Paused: running frames finish, no new ones start.
    Paused,
    /// Its test frames are done, and somebody must approve.
    AwaitingApproval,
    /// Every task is done.
    Completed,
    /// It ended, and not every task is done.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl Status {
    /// The word for it, as scripts read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Preparing => "preparing",
            Self::Rendering => "rendering",
            Self::Paused => "paused",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen to the job by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// What the leases add to the facts: how many attempts of a job wait for files, and how many render.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Leased, and not rendering yet.
    pub preparing: usize,
    /// Rendering.
    pub rendering: usize,
}

/// The status of a job, or none while its spec is not known.
#[must_use]
pub fn status(job: &Job, activity: Activity) -> Option<Status> {
    let spec = job.spec()?;
    let (all, done, failed) = job.counts();
    let switches = job.switches();
    let moving = match (activity.preparing, activity.rendering) {
        (_, 1..) => Status::Rendering,
        (1.., _) if done == 0 => Status::Preparing,
        _ if done + failed > 0 || activity.preparing > 0 => Status::Rendering,
        _ => Status::Queued,
    };
    Some(if done == all {
        Status::Completed
    } else if switches.cancelled {
        Status::Cancelled
    } else if done + failed == all || stopped_by_test(job, spec) {
        Status::Failed
    } else if switches.paused {
        Status::Paused
    } else if awaits_approval(job, spec) {
        Status::AwaitingApproval
    } else {
        moving
    })
}

fn awaits_approval(job: &Job, spec: &JobSpec) -> bool {
    spec.after_test == AfterTest::AwaitApproval && job.tests_known() && !job.switches().approved
}

/// The frame of a failed test frame that keeps all others from starting, unless it is among these.
fn held_by_test(job: &Job, retried: &[FrameRun]) -> Option<i32> {
    job.spec().filter(|spec| stopped_by_test(job, spec))?;
    let test = job.failed_test()?;
    let mut failed = job.failed().take_while(|key| job.is_test(key));
    let is_retried = failed.any(|key| unfold(retried).any(|frame| frame == key.frame));
    (!is_retried).then_some(test.frame)
}

fn stopped_by_test(job: &Job, spec: &JobSpec) -> bool {
    spec.after_test != AfterTest::GoOn && job.tests_known() && job.failed_test().is_some()
}

/// Why a job ended as failed, in a sentence or a few lines; `name` says what a node is called.
#[must_use]
pub fn error_message(job: &Job, name: impl Fn(&NodeId) -> String) -> Option<String> {
    let spec = job.spec()?;
    let (_, _, failed) = job.frame_counts();
    // What failed only because it waited for another says nothing by itself.
    let own = |key: &TaskKey| job.task(key).is_some_and(|t| t.failures_now().next().is_some());
    let first = job.failed().find(own)?;
    let task = job.task(&first)?;
    let ((_, _, node), failure) = task.failures_now().last()?;
    let tries = task.failures_now().count();
    let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
    let tiled = spec.steps.get(usize::from(first.step)).is_some_and(|s| s.tiles != (1, 1));
    let tile = if tiled { format!(", tile {}", first.tile) } else { String::new() };
    let what = format!(
        "frame {}{tile} failed {times}, at last on node {}: {}",
        first.frame,
        name(node),
        failure.message
    );
    Some(if stopped_by_test(job, spec) {
        let asked = match spec.after_test {
            AfterTest::AwaitApproval => "--approve-after-test",
            AfterTest::GoOn | AfterTest::StopIfFailed => "--stop-after-test",
        };
        format!("test {what}\nNo other frame was started, as asked by {asked}.")
    } else if failed > 1 {
        format!("{failed} frames failed; {what}")
    } else {
        what
    })
}

/// The tasks of a job that may start now by the facts, in order: none while it is paused or
/// cancelled, only test frames until the outcome of each is known, and no step before those that
/// it comes after are done.
pub fn startable(job: &Job) -> impl Iterator<Item = TaskKey> {
    let switches = job.switches();
    let spec = job.spec().filter(|_| !switches.paused && !switches.cancelled);
    let gate_open = spec.is_some_and(|spec| rest_may_start(job, spec));
    let blocked = spec.map(|spec| blocked_steps(job, spec)).unwrap_or_default();
    spec.into_iter()
        .flat_map(|_| job.open())
        .take_while(move |key| gate_open || job.is_test(key))
        .filter(move |key| !blocked.contains(&key.step) && !waits(job, key))
}

/// Whether a task waits for others of its own frame.
pub(crate) fn waits(job: &Job, key: &TaskKey) -> bool {
    let Some(spec) = job.spec().filter(|spec| spec.steps.len() > 1) else { return false };
    let undone = |key: &TaskKey| job.state(key).is_some_and(|state| state != TaskState::Done);
    spec.before(key).iter().any(undone)
}

/// Whether one task of a job may start now, by the facts.
#[must_use]
pub fn may_start(job: &Job, key: &TaskKey) -> bool {
    let Some(spec) = job.spec() else { return false };
    let switches = job.switches();
    let open = job.task(key).is_some_and(|task| task.state(spec.retries) == TaskState::Open);
    let gate_open = job.is_test(key) || rest_may_start(job, spec);
    let blocked = blocked_steps(job, spec).contains(&key.step) || waits(job, key);
    open && gate_open && !blocked && !switches.paused && !switches.cancelled
}

/// The steps that wait for others as a whole, because they have other frames.
fn blocked_steps(job: &Job, spec: &JobSpec) -> BTreeSet<u16> {
    if spec.steps.iter().all(|step| step.after.is_empty()) {
        return BTreeSet::new();
    }
    let undone: BTreeSet<u16> = job.open().chain(job.failed()).map(|key| key.step).collect();
    let waits = |number: &u16| spec.before_as_a_whole(*number).any(|step| undone.contains(&step));
    (0..).zip(&spec.steps).map(|(number, _)| number).filter(waits).collect()
}

/// The tasks that a job has not, and would have with these frames as well. However many are asked for, no more are looked
/// at than it takes to see that they are too many.
fn added<'j>(
    job: &'j Job,
    step: u16,
    frames: &'j [FrameRun],
) -> impl Iterator<Item = TaskKey> + use<'j> {
    let along = job.spec().into_iter().flat_map(move |spec| spec.tasks_along(step, frames));
    along.take(MAX_FRAMES + 1).filter(|key| job.task(key).is_none())
}

/// Whether a job would have more tasks than one may with these frames as well.
fn grows_too_large(job: &Job, step: u16, frames: &[FrameRun]) -> bool {
    let room = MAX_FRAMES.saturating_sub(job.tasks().count());
    added(job, step, frames).nth(room).is_some()
}

/// Why a control does not fit a job as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Whether a control fits the job as it stands.
///
/// # Errors
/// A sentence for whoever asked.
pub fn check_control(job: &Job, action: &Action) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal(why));
    let Some(status) = status(job, Activity::default()) else {
        return refuse("the job's description has not arrived here yet; try again shortly".into());
    };
    let verb = action.name();
    match action {
        Action::Pause if status == Status::Paused => refuse("the job is paused already".into()),
        // Also where it has ended meanwhile: what a retry starts of it would be paused.
        Action::Resume if !job.switches().paused => {
            refuse(format!("the job is not paused: it is {}", status.name()))
        }
        // Whoever has paused it may approve of it all the same.
        Action::Approve
            if status.is_over() || !job.spec().is_some_and(|spec| awaits_approval(job, spec)) =>
        {
            refuse(format!("the job does not wait for approval: it is {}", status.name()))
        }
        Action::Priority(_) if status.is_over() => refuse(format!(
            "the job is {} already: its priority would change nothing",
            status.name()
        )),
        Action::Pause | Action::Cancel if status.is_over() => {
            refuse(format!("the job is {} already: there is nothing to {verb}", status.name()))
        }
        Action::Priority(priority) if *priority > 100 => {
            refuse(format!("a priority is 0 to 100, not {priority}"))
        }
        Action::Extend { step, frames } if grows_too_large(job, *step, frames) => refuse(format!(
            "the job would have more than {MAX_FRAMES} tasks, tiles of frames counted: submit the rest as another job"
        )),
        Action::Extend { step, frames } if added(job, *step, frames).next().is_none() => refuse(
            "the job has all of these frames already: `weft retry --frames` renders them anew"
                .into(),
        ),
        Action::Extend { .. } if let Some(test) = held_by_test(job, &[]) => refuse(format!(
            "test frame {test} has failed, and no other frame starts before it is done: `weft retry` it first"
        )),
        // Also where it was completed all the same: nothing more of it would be started.
        Action::Retry { .. } | Action::Extend { .. } if job.switches().cancelled => {
            refuse(format!("the job was cancelled: submit it again instead of {verb}"))
        }
        Action::Retry { frames, .. } if frames.is_empty() => {
            refuse("no frame of the job has failed; name those to render anew with --frames".into())
        }
        Action::Retry { frames, .. } if let Some(test) = held_by_test(job, frames) => {
            refuse(format!(
                "test frame {test} has failed, and no other frame starts before it is done: retry it as well"
            ))
        }
        Action::Retry { step, frames, .. } => {
            let spec = job.spec();
            let unknown = spec
                .into_iter()
                .flat_map(|spec| spec.tasks_of(*step, frames))
                .find(|key| job.task(key).is_none());
            match unknown {
                Some(key) => refuse(format!("frame {} is not one of the job's", key.frame)),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}
