//! The state of every job, as a join of facts: whatever the order in which they come, and however
//! often, the same facts give the same state.
//!
//! - Among the results of one generation the smallest by (attempt, author, fact) counts; one of a
//!   higher generation replaces it once it is done.
//! - Within a generation done beats failed beats open, so nothing that is done goes back.
//! - Pause and resume are one register: the highest version that counts ([`crate::ladder`]) wins; of equal
//!   ones pause before resume, then author, then hash.
//! - Cancel, approval and removal happen once and stay; generations and frames only grow.

mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::control::{Action, Control};
use super::keep::{Ends, Keep};
use super::note::Note;
use super::outcome::{Ending, FailureKind, Outcome};
use super::spec::{AfterTest, JobSpec};
use super::task::{FrameRun, MAX_FRAMES, TaskKey};
pub use super::tasks::{Done, Failure, FailureKey, Task, TaskState};
use super::tasks::{Signed, Tasks};
use super::tempo::Tempo;
use super::trouble::Record;
use super::warning::Warned;
use crate::fact::Body;
use crate::ids::{FactId, JobId, NodeId};
use crate::ladder::Ladder;

/// How many tasks are looked at when a job is laid out, or when some are to be made anew, those that were asked for
/// several times counted each time.
const MOST_LAID: usize = 2 * MAX_FRAMES;

/// Orders controls of equal versions: pause before resume, then author, then hash.
type ControlKey = (u64, bool, NodeId, FactId);

/// One job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    spec: Option<Box<JobSpec>>,
    submitter: Option<NodeId>,
    controls: BTreeMap<ControlKey, Control>,
    /// Of all controls.
    versions: Ladder<ControlKey, ()>,
    /// Of those that have frames made anew.
    rounds: Ladder<ControlKey, ()>,
    /// Outcomes of rounds that nobody is known to have asked for, by round, fact, and place in it.
    early: BTreeMap<(u32, FactId, usize), (NodeId, Outcome)>,
    deliveries: BTreeMap<(NodeId, FactId), String>,
    ends: Ends,
    /// In the order of the spec, the test frames first.
    tasks: Tasks,
    removed: bool,
    /// How many of the tasks are test frames'. Derived, as is all below.
    tests: usize,
    open: BTreeSet<u32>,
    failed: BTreeSet<u32>,
    /// How many tasks of a step failed, where some did. Only of a job with several steps.
    failed_of: BTreeMap<u16, usize>,
    memory: Memory,
    tempo: Tempo,
    record: Record,
}

/// The most memory that tasks were seen to hold, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    /// Of those that were done.
    done: u64,
    /// Of those that were killed for want of more.
    killed: u64,
}

/// What controls made of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Paused, by the control that won.
    pub paused: bool,
    /// Cancelled.
    pub cancelled: bool,
    /// Approved after its test frames.
    pub approved: bool,
    /// Its priority.
    pub priority: u8,
    /// How long it is kept once it is over.
    pub keep: Keep,
}

impl Job {
    /// Where a task stands, by the facts about it and about those that it waits for: what waits
    /// for one that failed has failed as well.
    fn state_of(&self, key: &TaskKey, task: &Task) -> TaskState {
        let state = task.state(self.retries());
        let Some(spec) = self.spec.as_ref().filter(|spec| spec.steps.len() > 1) else {
            return state;
        };
        let in_vain = || {
            let before = spec.before(key).into_iter();
            let mut whole = spec.before_as_a_whole(key.step);
            before.filter_map(|key| self.position(&key)).any(|at| self.failed.contains(&at))
                || whole.any(|step| self.failed_of.contains_key(&step))
        };
        if state == TaskState::Open && in_vain() { TaskState::Failed } else { state }
    }

    /// Looks anew where a task stands, and those that wait for it.
    fn settle(&mut self, key: &TaskKey) {
        let mut steps = BTreeSet::new();
        self.settle_along(key, &mut steps);
        // Steps come after earlier ones only, so that each is gone through once.
        while let Some(step) = steps.pop_first() {
            let keys = self.tasks.order().iter().filter(|key| key.step == step);
            for key in keys.copied().collect::<Vec<_>>() {
                self.settle_along(&key, &mut steps);
            }
        }
    }

    /// Settles a task, and those that wait for it by themselves; `steps` are told that wait for all of its step.
    fn settle_along(&mut self, key: &TaskKey, steps: &mut BTreeSet<u16>) {
        let Some(task) = self.tasks.get(key) else {
            return;
        };
        self.record.settle(key, task);
        let Some(position) = self.tasks.position(key) else {
            return;
        };
        let state = self.state_of(key, task);
        if state == TaskState::Open {
            self.open.insert(position);
        } else {
            self.open.remove(&position);
        }
        let failed = state == TaskState::Failed;
        let changed = match failed {
            true => self.failed.insert(position),
            false => self.failed.remove(&position),
        };
        if changed && let Some(spec) = self.spec.as_ref().filter(|spec| spec.steps.len() > 1) {
            let before = self.failed_of.remove(&key.step).unwrap_or(0);
            let now = if failed { before + 1 } else { before.saturating_sub(1) };
            if now > 0 {
                self.failed_of.insert(key.step, now);
            }
            if (before == 0) != (now == 0) {
                steps.extend(spec.behind_as_a_whole(key.step));
            }
            for later in spec.behind(key) {
                self.settle_along(&later, steps);
            }
        }
    }

    /// Lays the tasks out anew, after the spec came or frames were added.
    fn lay_out(&mut self) {
        let Some(spec) = self.spec.clone() else {
            return;
        };
        self.open.clear();
        self.failed.clear();
        self.failed_of.clear();
        let mut keys: Vec<TaskKey> = spec.tasks_along(0, &spec.test_frames).collect();
        let test_count = keys.len();
        let extended: Vec<(u16, Vec<FrameRun>)> = self
            .controls
            .values()
            .filter_map(|control| match &control.action {
                Action::Extend { step, frames } => Some((*step, frames.clone())),
                _ => None,
            })
            .collect();
        for (number, step) in (0..).zip(&spec.steps) {
            keys.extend(spec.tasks_along(number, &step.frames));
            for (_, frames) in extended.iter().filter(|(step, _)| *step == number) {
                // Whoever asks for more than a job may have was refused, unless a member made light of that.
                let room = MOST_LAID.saturating_sub(keys.len());
                keys.extend(spec.tasks_along(number, frames).take(room));
            }
        }
        self.tests = self.tasks.lay_out(&keys, test_count);
        drop(keys);
        for key in self.controls.keys().copied().collect::<Vec<_>>() {
            self.raise(&key);
        }
        for key in self.tasks.order().to_vec() {
            self.settle(&key);
        }
    }

    /// Has frames made anew, if that is what a control asks for and its round counts.
    fn raise(&mut self, control: &ControlKey) {
        let control = self.controls.get(control).map(|control| &control.action);
        let Some(Action::Retry { step, frames, generation }) = control.cloned() else {
            return;
        };
        let counts = u64::from(generation) <= self.rounds.reached();
        let Some(spec) = self.spec.clone().filter(|_| counts) else {
            return;
        };
        // A member may name more frames than any job has.
        for key in spec.tasks_along(step, &frames).take(MOST_LAID) {
            if let Some(task) = self.tasks.laid_mut(&key) {
                task.generation = task.generation.max(generation);
                self.settle(&key);
            }
        }
    }

    fn add_control(&mut self, fact: FactId, author: NodeId, control: &Control) {
        let key = (control.version, control.action == Action::Pause, author, fact);
        self.controls.insert(key, control.clone());
        self.versions.climb(control.version, key, ());
        match &control.action {
            Action::Extend { .. } => self.lay_out(),
            Action::Retry { generation, .. } => {
                for (counts, ()) in self.rounds.climb(u64::from(*generation), key, ()) {
                    self.raise(&counts);
                }
                self.take_early();
            }
            _ => {}
        }
    }

    fn add_note(&mut self, author: NodeId, note: &Note) {
        if let Some(task) = self.tasks.of_fact(&note.task) {
            task.note(author, note);
        }
    }

    fn add_warnings(&mut self, author: NodeId, warned: &Warned) {
        if let Some(task) = self.tasks.of_fact(&warned.task) {
            task.warn(author, warned);
        }
    }

    /// Joins outcomes that waited for their round.
    fn take_early(&mut self) {
        let reached = self.rounds.reached();
        while let Some(first) = self.early.first_entry()
            && u64::from(first.key().0) <= reached
        {
            let ((_, fact, _), (author, outcome)) = first.remove_entry();
            self.add_outcome(fact, author, &outcome, &mut None);
        }
    }

    /// Joins what a node says of its attempts. Of a round that nobody asked for it would count before all that
    /// are asked for later: it waits until somebody has.
    fn add_outcomes(&mut self, fact: FactId, author: NodeId, outcomes: &[Outcome]) {
        let mut last = None;
        for (at, outcome) in outcomes.iter().enumerate() {
            if u64::from(outcome.generation) > self.rounds.reached() {
                self.early.insert((outcome.generation, fact, at), (author, outcome.clone()));
            } else {
                self.add_outcome(fact, author, outcome, &mut last);
            }
        }
    }

    /// Joins an outcome; `last` is what the results before it have in common, of the same fact.
    fn add_outcome(
        &mut self,
        fact: FactId,
        author: NodeId,
        outcome: &Outcome,
        last: &mut Option<Arc<Signed>>,
    ) {
        let Some(task) = self.tasks.of_fact(&outcome.task) else { return };
        match &outcome.ending {
            Ending::Done(files) => {
                self.memory.done = self.memory.done.max(outcome.peak_memory);
                if outcome.attempt > 0 {
                    self.record.done(author, outcome.started);
                }
                let new = Done::of(fact, author, outcome, files);
                let known = task.done();
                let wins = known.is_none_or(|known| new.beats(&known));
                // What was taken over took no time.
                let replaced = known.filter(|known| wins && !known.is_taken_over());
                let replaced = replaced.map(|known| (known.author, known.render_ms));
                let second = known.filter(|known| known.key() != new.key());
                let second = second.map(|known| if wins { known } else { new });
                if let Some((key, ms)) = second.map(|second| (second.key(), second.render_ms)) {
                    task.supersede(key, ms);
                }
                if wins {
                    let step = outcome.task.step;
                    if let Some((author, ms)) = replaced {
                        self.tempo.take(step, author, ms);
                    }
                    if !new.is_taken_over() {
                        self.tempo.add(step, author, new.render_ms);
                    }
                    task.set(&new, last);
                }
            }
            Ending::Failed { kind, message } => {
                if *kind == FailureKind::Memory {
                    self.memory.killed = self.memory.killed.max(outcome.peak_memory);
                }
                let key = (outcome.generation, outcome.attempt, author);
                let failure = Failure {
                    kind: *kind,
                    message: message.clone(),
                    log: outcome.log,
                    started: outcome.started,
                    render_ms: outcome.render_ms,
                };
                task.fail(key, failure);
            }
        }
        self.settle(&outcome.task);
    }
}

/// Every job that a node knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jobs {
    jobs: BTreeMap<JobId, Job>,
}

impl Jobs {
    /// No jobs.
    #[must_use]
    pub const fn new() -> Self {
        Self { jobs: BTreeMap::new() }
    }

    /// Joins one fact's body, whose author was found to have the right to it.
    /// Says which job it touched.
    pub fn apply(&mut self, fact: FactId, author: NodeId, body: &Body) -> Option<JobId> {
        let id = body.scope()?;
        let job = self.jobs.entry(id).or_default();
        if job.removed {
            return None;
        }
        match body {
            Body::Spec(spec) => {
                // The id is the spec's hash: a second signer of the same spec changes nothing but
                // whose name stands by it, and the smaller one does.
                if job.submitter.is_none_or(|known| author < known) {
                    job.submitter = Some(author);
                }
                if job.spec.is_none() {
                    job.spec = Some(spec.clone());
                    job.lay_out();
                }
            }
            Body::Control(control) => job.add_control(fact, author, control),
            Body::Outcomes(batch) => job.add_outcomes(fact, author, &batch.outcomes),
            Body::Delivery(delivery) => {
                job.deliveries.insert((author, fact), delivery.folder.clone());
            }
            Body::Notes(notes) => {
                for note in &notes.notes {
                    job.add_note(author, note);
                }
            }
            Body::Warnings(warnings) => {
                for warned in &warnings.warned {
                    job.add_warnings(author, warned);
                }
            }
            Body::End(end) => job.ends.add(author, end),
            Body::Removal(_) => *job = Job { removed: true, ..Job::default() },
            Body::Certificate(_) | Body::Revocation(_) | Body::Setting(_) => {}
        }
        Some(id)
    }

    /// One job, unless it was removed.
    #[must_use]
    pub fn get(&self, id: &JobId) -> Option<&Job> {
        self.jobs.get(id).filter(|job| !job.removed)
    }

    /// Whether the job was removed.
    #[must_use]
    pub fn is_removed(&self, id: &JobId) -> bool {
        self.jobs.get(id).is_some_and(|job| job.removed)
    }

    /// Every job whose spec is known, by id.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &Job, &JobSpec)> {
        let known = self.jobs.iter().filter(|(_, job)| !job.removed);
        known.filter_map(|(id, job)| Some((*id, job, job.spec()?)))
    }
}

/// Whether the rest of a job may start once its test frames are known.
#[must_use]
pub(crate) fn rest_may_start(job: &Job, spec: &JobSpec) -> bool {
    job.tests_known()
        && match spec.after_test {
            AfterTest::GoOn => true,
            AfterTest::StopIfFailed => job.failed_test().is_none(),
            AfterTest::AwaitApproval => job.failed_test().is_none() && job.switches().approved,
        }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
