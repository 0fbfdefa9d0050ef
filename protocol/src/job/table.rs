//! The state of every job, as a join of facts: whatever the order in which they come, and however
//! often, the same facts give the same state.
//!
//! - Among the results of one generation the smallest by (attempt, author, fact) counts; one of a
//!   higher generation replaces it once it is done.
//! - Within a generation done beats failed beats open, so nothing that is done goes back.
//! - Pause and resume are one register: the highest version wins; of equal ones pause before
//!   resume, then author, then hash.
//! - Cancel, approval and removal happen once and stay; generations and frames only grow.

use std::collections::{BTreeMap, BTreeSet};

use super::control::{Action, Control};
use super::note::{Book, Note, Noted};
use super::outcome::{Ending, FailureKind, Outcome, OutputFile};
use super::spec::{AfterTest, JobSpec};
use super::task::{FrameRun, MAX_FRAMES, TaskKey};
use super::tempo::Tempo;
use super::trouble::Record;
use super::warning::{Warned, WarningBook};
use crate::fact::Body;
use crate::ids::BlobId;
use crate::ids::{FactId, JobId, NodeId};
use crate::time::Unix;

/// The most failures that are kept of one task: more tell nothing new.
const MAX_FAILURES: usize = 128;

/// A result that counts, or did until a higher generation's came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its round.
    pub generation: u32,
    /// Its try within the round; 0 where it was taken over.
    pub attempt: u32,
    /// The node that made it, or took it over.
    pub author: NodeId,
    /// The fact that tells of it.
    pub fact: FactId,
    /// What it made.
    pub files: Vec<OutputFile>,
    /// What the engine printed.
    pub log: Option<BlobId>,
    /// When its engine started, by the author's clock.
    pub started: Unix,
    /// How long its engine ran, in milliseconds.
    pub render_ms: u32,
    /// The most memory it held, in bytes.
    pub peak_memory: u64,
    /// Who held the files when the fact was signed.
    pub holders: Vec<NodeId>,
}

impl Done {
    /// Whether no engine ran for it: another job's result was taken over.
    #[must_use]
    pub const fn is_taken_over(&self) -> bool {
        self.attempt == 0
    }

    /// Smaller wins within a generation.
    fn rank(&self) -> (u32, NodeId, FactId) {
        (self.attempt, self.author, self.fact)
    }

    fn key(&self) -> (FailureKey, FactId) {
        ((self.generation, self.attempt, self.author), self.fact)
    }

    fn beats(&self, other: &Self) -> bool {
        match self.generation.cmp(&other.generation) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => self.rank() < other.rank(),
            std::cmp::Ordering::Less => false,
        }
    }
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In what way.
    pub kind: FailureKind,
    /// What happened, with the end of the log.
    pub message: String,
    /// What the engine printed.
    pub log: Option<BlobId>,
    /// When its engine started, by its node's clock.
    pub started: Unix,
    /// How long its engine ran, in milliseconds.
    pub render_ms: u32,
}

/// Names a failed attempt: generation, attempt, node.
pub type FailureKey = (u32, u32, NodeId);

/// Where a task stands, by the facts alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskState {
    /// Still to be done.
    Open,
    /// Tried as often as the spec allows, in vain.
    Failed,
    /// Done.
    Done,
}

/// A task: its round and what became of its attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// The round that counts.
    pub generation: u32,
    /// The best result so far, of whatever generation.
    pub done: Option<Box<Done>>,
    /// Attempts that failed.
    pub failures: BTreeMap<FailureKey, Failure>,
    /// Results that another one replaced, or that came second: how long their engines ran, in milliseconds.
    pub superseded: BTreeMap<(FailureKey, FactId), u32>,
    /// What is noted of its results.
    notes: Book,
    /// What engines warned of while they made them.
    warnings: WarningBook,
    /// Where it stands in the job's order; none while no known spec names it.
    position: Option<u32>,
}

impl Task {
    /// Whether it is known what became of an attempt.
    #[must_use]
    pub fn has_ended(&self, generation: u32, attempt: u32, node: &NodeId) -> bool {
        let key = (generation, attempt, *node);
        let done = self.done.as_ref().is_some_and(|done| done.key().0 == key);
        done || self.failures.contains_key(&key) || self.superseded.keys().any(|(of, _)| *of == key)
    }

    /// The attempts of the round that counts which failed.
    pub fn failures_now(&self) -> impl Iterator<Item = (&FailureKey, &Failure)> {
        self.failures
            .range((self.generation, 0, NodeId([0; 32]))..)
            .filter(|(key, _)| key.0 == self.generation)
    }

    /// Where it stands when a task may be tried `retries` times more after a failure.
    #[must_use]
    pub fn state(&self, retries: u32) -> TaskState {
        if self.done.as_ref().is_some_and(|done| done.generation >= self.generation) {
            return TaskState::Done;
        }
        match self.failures_now().count() > retries as usize {
            true => TaskState::Failed,
            false => TaskState::Open,
        }
    }

    /// What is noted of the result that counts.
    #[must_use]
    pub fn noted(&self) -> Noted {
        let done = self.done.as_deref();
        done.map(|done| self.notes.of(done.generation, done.author)).unwrap_or_default()
    }

    /// What the engine warned of that made the result that counts.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        let done = self.done.as_deref();
        done.map(|done| self.warnings.of(done.generation, done.author)).unwrap_or_default()
    }

    /// The number of the next attempt.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        self.failures_now().map(|(key, _)| key.1).max().unwrap_or(0).saturating_add(1)
    }
}

/// Orders controls of equal versions: pause before resume, then author, then hash.
type ControlKey = (u64, bool, NodeId, FactId);

/// One job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    spec: Option<Box<JobSpec>>,
    submitter: Option<NodeId>,
    controls: BTreeMap<ControlKey, Control>,
    deliveries: BTreeMap<(NodeId, FactId), String>,
    tasks: BTreeMap<TaskKey, Task>,
    removed: bool,
    /// The tasks in the order of the spec, the test frames first. Derived, as is all below.
    order: Vec<TaskKey>,
    tests: usize,
    open: BTreeSet<u32>,
    failed: BTreeSet<u32>,
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
}

impl Job {
    /// Its spec, once it is known.
    #[must_use]
    pub fn spec(&self) -> Option<&JobSpec> {
        self.spec.as_deref()
    }

    /// The node that signed the spec.
    #[must_use]
    pub const fn submitter(&self) -> Option<NodeId> {
        self.submitter
    }

    /// Whether it was removed.
    #[must_use]
    pub const fn is_removed(&self) -> bool {
        self.removed
    }

    /// Its controls, the earliest version first, and by whom.
    pub fn controls(&self) -> impl DoubleEndedIterator<Item = (&Control, NodeId)> {
        self.controls.iter().map(|(key, control)| (control, key.2))
    }

    /// The version that a new control takes: one more than the highest seen.
    #[must_use]
    pub fn next_version(&self) -> u64 {
        self.controls.last_key_value().map_or(0, |(key, _)| key.0).saturating_add(1)
    }

    /// Where its frames are written: nodes and their folders.
    pub fn deliveries(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.deliveries.iter().map(|(key, folder)| (key.0, folder.as_str()))
    }

    /// What its controls made of it.
    #[must_use]
    pub fn switches(&self) -> Switches {
        let mut switches = Switches {
            paused: false,
            cancelled: false,
            approved: false,
            priority: self.spec.as_ref().map_or(0, |spec| spec.priority),
        };
        for control in self.controls.values() {
            match &control.action {
                Action::Pause => switches.paused = true,
                Action::Resume => switches.paused = false,
                Action::Cancel => switches.cancelled = true,
                Action::Approve => switches.approved = true,
                Action::Priority(priority) => switches.priority = (*priority).min(100),
                Action::Retry { .. } | Action::Extend { .. } => {}
            }
        }
        switches
    }

    /// Its tasks in the order in which they should be done, the test frames first.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskKey, &Task)> {
        self.order.iter().filter_map(|key| Some((*key, self.tasks.get(key)?)))
    }

    /// One task.
    #[must_use]
    pub fn task(&self, key: &TaskKey) -> Option<&Task> {
        self.tasks.get(key)
    }

    /// Every attempt that ended, an engine having run: who made it, how long its engine ran in milliseconds, and whether its
    /// result is one that counts.
    pub fn ended(&self) -> impl Iterator<Item = (NodeId, u32, bool)> {
        self.tasks.values().flat_map(|task| {
            let ran = task.done.iter().filter(|done| !done.is_taken_over());
            let done = ran.map(|done| (done.author, done.render_ms, true));
            let second = task.superseded.iter().map(|(((_, _, node), _), ms)| (*node, *ms, false));
            let failed = task.failures.iter();
            let failed = failed.map(|((_, _, node), failure)| (*node, failure.render_ms, false));
            done.chain(second).chain(failed)
        })
    }

    /// Where a task stands in the job's order, from 0.
    #[must_use]
    pub fn position(&self, key: &TaskKey) -> Option<u32> {
        self.tasks.get(key).and_then(|task| task.position)
    }

    /// Where a task stands; none for one that the spec doesn't name.
    #[must_use]
    pub fn state(&self, key: &TaskKey) -> Option<TaskState> {
        let position = self.position(key)?;
        Some(match (self.open.contains(&position), self.failed.contains(&position)) {
            (true, _) => TaskState::Open,
            (_, true) => TaskState::Failed,
            _ => TaskState::Done,
        })
    }

    /// How many frames of the steps whose results count there are, are done, and failed for good.
    #[must_use]
    pub fn frame_counts(&self) -> (usize, usize, usize) {
        let Some(spec) = self.spec.as_ref().filter(|spec| spec.steps.len() > 1) else {
            return self.counts();
        };
        let mut counts = (0, 0, 0);
        for key in self.order.iter().filter(|key| spec.is_result(key.step)) {
            counts.0 += 1;
            match self.state(key) {
                Some(TaskState::Done) => counts.1 += 1,
                Some(TaskState::Failed) => counts.2 += 1,
                _ => {}
            }
        }
        counts
    }

    /// How often a task is tried again.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.spec.as_ref().map_or(0, |spec| spec.retries)
    }

    /// Whether a task is one of the test frames'.
    #[must_use]
    pub fn is_test(&self, key: &TaskKey) -> bool {
        let position = self.tasks.get(key).and_then(|task| task.position);
        position.is_some_and(|position| (position as usize) < self.tests)
    }

    /// The tasks that are still to be done, in order.
    pub fn open(&self) -> impl Iterator<Item = TaskKey> {
        self.open.iter().filter_map(|position| self.order.get(*position as usize).copied())
    }

    /// The tasks that failed for good, in order.
    pub fn failed(&self) -> impl Iterator<Item = TaskKey> {
        self.failed.iter().filter_map(|position| self.order.get(*position as usize).copied())
    }

    /// How many tasks there are, are done, and failed for good.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let (all, open, failed) = (self.order.len(), self.open.len(), self.failed.len());
        (all, all - open - failed, failed)
    }

    /// Whether the outcome of every test frame is known.
    #[must_use]
    pub fn tests_known(&self) -> bool {
        self.open.first().is_none_or(|position| *position as usize >= self.tests)
    }

    /// The first test frame that failed for good.
    #[must_use]
    pub fn failed_test(&self) -> Option<TaskKey> {
        self.failed().next().filter(|key| self.is_test(key))
    }

    /// How much memory further tasks are likely to need, by what was seen of others, in bytes; 0 where
    /// nothing was. Who was killed for want of memory wanted more than it had: half as much again.
    #[must_use]
    pub const fn memory_seen(&self) -> u64 {
        let Memory { done, killed } = self.memory;
        let wanted = killed.saturating_add(killed / 2);
        if done > wanted { done } else { wanted }
    }

    /// How long a task takes by what was seen of at least `least` results, in milliseconds; none
    /// where there are fewer.
    #[must_use]
    pub fn mean_ms(&self, least: u32) -> Option<u64> {
        self.tempo.mean(least)
    }

    /// How long its tasks take.
    #[must_use]
    pub(crate) const fn tempo(&self) -> &Tempo {
        &self.tempo
    }

    /// What the job tells of the nodes that worked on it.
    #[must_use]
    pub(crate) const fn record(&self) -> &Record {
        &self.record
    }

    /// Every node that is known to have held all of a task's files.
    pub fn holders(&self, key: &TaskKey) -> impl Iterator<Item = NodeId> {
        self.tasks
            .get(key)
            .and_then(|task| task.done.as_ref())
            .into_iter()
            .flat_map(|done| done.holders.iter().copied())
    }

    /// Where a task stands, by the facts about it and about those that it waits for: what waits
    /// for one that failed has failed as well.
    fn state_of(&self, key: &TaskKey, task: &Task) -> TaskState {
        let state = task.state(self.retries());
        let Some(spec) = self.spec.as_ref().filter(|spec| spec.steps.len() > 1) else {
            return state;
        };
        let in_vain = || {
            let before = spec.before(key).into_iter();
            before.filter_map(|key| self.position(&key)).any(|at| self.failed.contains(&at))
        };
        if state == TaskState::Open && in_vain() { TaskState::Failed } else { state }
    }

    fn settle(&mut self, key: &TaskKey) {
        let Some(task) = self.tasks.get(key) else {
            return;
        };
        self.record.settle(key, task);
        let Some(position) = task.position else {
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
            for later in spec.behind(key) {
                self.settle(&later);
            }
        }
    }

    /// Lays the tasks out anew, after the spec came or frames were added.
    fn lay_out(&mut self) {
        let Some(spec) = self.spec.clone() else {
            return;
        };
        for task in self.tasks.values_mut() {
            task.position = None;
        }
        self.order.clear();
        self.open.clear();
        self.failed.clear();
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
                keys.extend(spec.tasks_along(number, frames));
            }
        }
        for (n, key) in keys.into_iter().enumerate() {
            if n == test_count {
                self.tests = self.order.len();
            }
            let task = self.tasks.entry(key).or_default();
            if task.position.is_none() && self.order.len() < MAX_FRAMES {
                task.position = u32::try_from(self.order.len()).ok();
                self.order.push(key);
            }
        }
        let retries: Vec<(u16, Vec<FrameRun>, u32)> = self
            .controls
            .values()
            .filter_map(|control| match &control.action {
                Action::Retry { step, frames, generation } => {
                    Some((*step, frames.clone(), *generation))
                }
                _ => None,
            })
            .collect();
        for (step, frames, generation) in retries {
            self.raise(step, &frames, generation);
        }
        for key in self.order.clone() {
            self.settle(&key);
        }
    }

    fn raise(&mut self, step: u16, frames: &[FrameRun], generation: u32) {
        let Some(spec) = self.spec.clone() else {
            return;
        };
        for key in spec.tasks_along(step, frames) {
            if let Some(task) = self.tasks.get_mut(&key) {
                task.generation = task.generation.max(generation);
                self.settle(&key);
            }
        }
    }

    fn add_control(&mut self, fact: FactId, author: NodeId, control: &Control) {
        let key = (control.version, control.action == Action::Pause, author, fact);
        self.controls.insert(key, control.clone());
        match &control.action {
            Action::Extend { .. } => self.lay_out(),
            Action::Retry { step, frames, generation } => self.raise(*step, frames, *generation),
            _ => {}
        }
    }

    fn add_note(&mut self, author: NodeId, note: &Note) {
        if self.tasks.len() < MAX_FRAMES || self.tasks.contains_key(&note.task) {
            let task = self.tasks.entry(note.task).or_default();
            task.notes.add(note.generation, author, note.what);
        }
    }

    fn add_warnings(&mut self, author: NodeId, warned: &Warned) {
        if self.tasks.len() < MAX_FRAMES || self.tasks.contains_key(&warned.task) {
            let task = self.tasks.entry(warned.task).or_default();
            task.warnings.add(warned.generation, author, &warned.texts);
        }
    }

    fn add_outcome(&mut self, fact: FactId, author: NodeId, outcome: &Outcome) {
        if self.tasks.len() >= MAX_FRAMES && !self.tasks.contains_key(&outcome.task) {
            return;
        }
        let task = self.tasks.entry(outcome.task).or_default();
        match &outcome.ending {
            Ending::Done(files) => {
                self.memory.done = self.memory.done.max(outcome.peak_memory);
                if outcome.attempt > 0 {
                    self.record.done(author, outcome.started);
                }
                let done = Done {
                    generation: outcome.generation,
                    attempt: outcome.attempt,
                    author,
                    fact,
                    files: files.clone(),
                    log: outcome.log,
                    started: outcome.started,
                    render_ms: outcome.render_ms,
                    peak_memory: outcome.peak_memory,
                    holders: outcome.holders.clone(),
                };
                let known = task.done.as_deref().map(|known| (known.key(), known.render_ms));
                let second = match known {
                    None => None,
                    Some((key, _)) if key == done.key() => None,
                    Some(known) if task.done.as_ref().is_some_and(|d| done.beats(d)) => Some(known),
                    Some(_) => Some((done.key(), done.render_ms)),
                };
                task.superseded.extend(second);
                while task.superseded.len() > MAX_FAILURES {
                    task.superseded.pop_first();
                }
                if task.done.as_ref().is_none_or(|known| done.beats(known)) {
                    // What was taken over took no time.
                    let step = outcome.task.step;
                    if let Some(known) = task.done.as_ref().filter(|d| !d.is_taken_over()) {
                        self.tempo.take(step, known.author, known.render_ms);
                    }
                    if !done.is_taken_over() {
                        self.tempo.add(step, author, done.render_ms);
                    }
                    task.done = Some(Box::new(done));
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
                // Of two failures under one name the smaller stays, whichever came first: a node signs two
                // where two leaders had it try the same.
                let rank = |failure: &Failure| {
                    let Failure { kind, log, started, render_ms, .. } = *failure;
                    (log, started, render_ms, kind)
                };
                let known = task.failures.get(&key);
                if known.is_none_or(|known| {
                    (&failure.message, rank(&failure)) < (&known.message, rank(known))
                }) {
                    task.failures.insert(key, failure);
                }
                while task.failures.len() > MAX_FAILURES {
                    task.failures.pop_first();
                }
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
            Body::Outcomes(batch) => {
                for outcome in &batch.outcomes {
                    job.add_outcome(fact, author, outcome);
                }
            }
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
