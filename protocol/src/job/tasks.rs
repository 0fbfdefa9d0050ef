//! The tasks of a job, and what became of their attempts: kept small, since a studio has millions of them
//! that were done long ago.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::few::Few;
use super::note::{Note, Noted};
use super::outcome::{FailureKind, Outcome, OutputFile};
use super::task::{MAX_FRAMES, TaskKey};
use super::warning::{self, Warned};
use crate::ids::{BlobId, FactId, NodeId};
use crate::time::Unix;

/// The most failures that are kept of one task: more tell nothing new.
const MAX_FAILURES: usize = 128;
/// The most results of one task of which more is remembered: as many as are tried in a bad hour.
const MAX_RESULTS: usize = 16;

/// A result that counts, or did until a higher generation's came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done<'a> {
    /// Its round.
    pub generation: u32,
    /// Its try within the round; 0 where it was taken over.
    pub attempt: u32,
    /// The node that made it, or took it over.
    pub author: NodeId,
    /// The fact that tells of it.
    pub fact: FactId,
    /// What it made.
    pub files: &'a [OutputFile],
    /// What the engine printed.
    pub log: Option<BlobId>,
    /// When its engine started, by the author's clock.
    pub started: Unix,
    /// How long its engine ran, in milliseconds.
    pub render_ms: u32,
    /// The most memory it held, in bytes.
    pub peak_memory: u64,
    /// Who held the files when the fact was signed.
    pub holders: &'a [NodeId],
}

impl<'a> Done<'a> {
    /// A result as its fact tells of it.
    pub(super) fn of(
        fact: FactId,
        author: NodeId,
        outcome: &'a Outcome,
        files: &'a [OutputFile],
    ) -> Self {
        let Outcome { generation, attempt, log, started, render_ms, peak_memory, .. } = *outcome;
        let holders = &outcome.holders;
        Self {
            generation,
            attempt,
            author,
            fact,
            files,
            log,
            started,
            render_ms,
            peak_memory,
            holders,
        }
    }

    /// Whether no engine ran for it: another job's result was taken over.
    #[must_use]
    pub const fn is_taken_over(&self) -> bool {
        self.attempt == 0
    }

    /// Smaller wins within a generation.
    const fn rank(&self) -> (u32, NodeId, FactId) {
        (self.attempt, self.author, self.fact)
    }

    pub(super) const fn key(&self) -> (FailureKey, FactId) {
        ((self.generation, self.attempt, self.author), self.fact)
    }

    pub(super) fn beats(&self, other: &Self) -> bool {
        match self.generation.cmp(&other.generation) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => self.rank() < other.rank(),
            std::cmp::Ordering::Less => false,
        }
    }
}

/// What results that were signed together have in common: it is kept once for all of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    generation: u32,
    attempt: u32,
    author: NodeId,
    fact: FactId,
    holders: Box<[NodeId]>,
}

impl Signed {
    /// The one that was made last where it says the same, else one of its own.
    fn of(done: &Done<'_>, last: &mut Option<Arc<Self>>) -> Arc<Self> {
        let Done { generation, attempt, author, fact, holders, .. } = *done;
        let own = || Self { generation, attempt, author, fact, holders: holders.into() };
        let same = last.take().filter(|last| {
            let head = (last.generation, last.attempt, last.author, last.fact);
            head == (generation, attempt, author, fact) && *last.holders == *holders
        });
        Arc::clone(last.insert(same.unwrap_or_else(|| Arc::new(own()))))
    }
}

/// What an engine left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    files: Box<[OutputFile]>,
    log: Option<BlobId>,
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

impl Failure {
    /// Of two under one name the smaller stays.
    fn rank(&self) -> impl Ord + '_ {
        (&self.message, self.log, self.started, self.render_ms, self.kind)
    }
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
    // The best result so far, of whatever generation; none where nobody signed one.
    render_ms: u32,
    started: Unix,
    peak_memory: u64,
    signed: Option<Arc<Signed>>,
    made: Option<Box<Made>>,
    rare: Option<Box<Rare>>,
}

/// What most tasks have nothing of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    failures: Few<FailureKey, Failure, MAX_FAILURES>,
    /// Results that another one replaced, or that came second: how long their engines ran, in milliseconds.
    superseded: Few<(FailureKey, FactId), u32, MAX_FAILURES>,
    /// By the round in which a node made a result, and that node.
    notes: Few<(u32, NodeId), Noted, MAX_RESULTS>,
    /// What engines warned of while they made results, or failed to.
    warnings: Few<(u32, NodeId), Vec<String>, MAX_RESULTS>,
}

impl Task {
    /// The best result so far, of whatever generation.
    #[must_use]
    pub fn done(&self) -> Option<Done<'_>> {
        let Signed { generation, attempt, author, fact, holders } = &**self.signed.as_ref()?;
        let made = self.made.as_deref();
        Some(Done {
            generation: *generation,
            attempt: *attempt,
            author: *author,
            fact: *fact,
            files: made.map(|made| &*made.files).unwrap_or_default(),
            log: made.and_then(|made| made.log),
            started: self.started,
            render_ms: self.render_ms,
            peak_memory: self.peak_memory,
            holders,
        })
    }

    /// From now on this result counts. `last` is what results of the same fact have in common.
    pub(super) fn set(&mut self, done: &Done<'_>, last: &mut Option<Arc<Signed>>) {
        self.signed = Some(Signed::of(done, last));
        let something = !done.files.is_empty() || done.log.is_some();
        let made = || Box::new(Made { files: done.files.into(), log: done.log });
        self.made = something.then(made);
        self.started = done.started;
        self.render_ms = done.render_ms;
        self.peak_memory = done.peak_memory;
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// A result that another one replaced, or that came second, and how long its engine ran.
    pub(super) fn supersede(&mut self, key: (FailureKey, FactId), ms: u32) {
        self.rare().superseded.join(key, |_| ms);
    }

    /// Joins a failure. Of two under one name the smaller stays, whichever came first: a node signs two
    /// where two leaders had it try the same.
    pub(super) fn fail(&mut self, key: FailureKey, failure: Failure) {
        self.rare().failures.join(key, |known| match known {
            Some(known) if known.rank() <= failure.rank() => known,
            _ => failure,
        });
    }

    /// Joins a note.
    pub(super) fn note(&mut self, author: NodeId, note: &Note) {
        self.rare().notes.join((note.generation, author), |noted| {
            let mut noted = noted.unwrap_or_default();
            noted.add(note.what);
            noted
        });
    }

    /// Joins warnings.
    pub(super) fn warn(&mut self, author: NodeId, warned: &Warned) {
        self.rare().warnings.join((warned.generation, author), |known| {
            let mut known = known.unwrap_or_default();
            warning::join(&mut known, &warned.texts);
            known
        });
    }

    /// Attempts that failed.
    pub fn failures(&self) -> impl DoubleEndedIterator<Item = (&FailureKey, &Failure)> {
        self.rare.iter().flat_map(|rare| rare.failures.iter())
    }

    /// Results that do not count: by whom, and how long their engines ran, in milliseconds.
    pub(super) fn superseded(&self) -> impl Iterator<Item = (FailureKey, u32)> {
        let all = self.rare.iter().flat_map(|rare| rare.superseded.iter());
        all.map(|((key, _), ms)| (*key, *ms))
    }

    /// Whether it is known what became of an attempt.
    #[must_use]
    pub fn has_ended(&self, generation: u32, attempt: u32, node: &NodeId) -> bool {
        let key = (generation, attempt, *node);
        let done = self.done().is_some_and(|done| done.key().0 == key);
        let failed = |rare: &Rare| rare.failures.get(&key).is_some();
        done || self.rare.as_deref().is_some_and(failed)
            || self.superseded().any(|(of, _)| of == key)
    }

    /// The attempts of the round that counts which failed.
    pub fn failures_now(&self) -> impl DoubleEndedIterator<Item = (&FailureKey, &Failure)> {
        let from = (self.generation, 0, NodeId([0; 32]));
        let later = self.rare.iter().flat_map(move |rare| rare.failures.from(&from));
        later.filter(|(key, _)| key.0 == self.generation)
    }

    /// Where it stands when a task may be tried `retries` times more after a failure.
    #[must_use]
    pub fn state(&self, retries: u32) -> TaskState {
        if self.signed.as_ref().is_some_and(|done| done.generation >= self.generation) {
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
        let noted = self.signed.as_ref().zip(self.rare.as_ref());
        noted
            .and_then(|(done, rare)| rare.notes.get(&(done.generation, done.author)).copied())
            .unwrap_or_default()
    }

    /// What the engine warned of that made the result that counts.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        let done = self.signed.as_ref();
        done.map(|done| self.warnings_of(done.generation, done.author)).unwrap_or_default()
    }

    /// What the engine warned of that failed last in the round that counts.
    #[must_use]
    pub fn warnings_of_failure(&self) -> &[String] {
        let last = self.failures_now().next_back();
        last.map(|(key, _)| self.warnings_of(key.0, key.2)).unwrap_or_default()
    }

    fn warnings_of(&self, generation: u32, author: NodeId) -> &[String] {
        let known = self.rare.as_ref().and_then(|rare| rare.warnings.get(&(generation, author)));
        known.map(Vec::as_slice).unwrap_or_default()
    }

    /// The number of the next attempt.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        self.failures_now().map(|(key, _)| key.1).max().unwrap_or(0).saturating_add(1)
    }
}

/// The tasks of a job: those that its spec names, in their order, and others of which facts told before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tasks {
    order: Vec<TaskKey>,
    /// As many, in the same order.
    laid: Vec<Task>,
    /// The positions by ascending keys; none where the order is that itself.
    by_key: Vec<u32>,
    others: BTreeMap<TaskKey, Task>,
}

impl Tasks {
    /// The keys of those that the spec names, in order.
    pub(super) fn order(&self) -> &[TaskKey] {
        &self.order
    }

    /// Where a task stands in the order.
    pub(super) fn position(&self, key: &TaskKey) -> Option<u32> {
        if self.by_key.is_empty() {
            return self.order.binary_search(key).ok().and_then(|at| u32::try_from(at).ok());
        }
        let at = self.by_key.binary_search_by_key(key, |at| self.order[*at as usize]).ok()?;
        self.by_key.get(at).copied()
    }

    pub(super) fn get(&self, key: &TaskKey) -> Option<&Task> {
        match self.position(key) {
            Some(at) => self.laid.get(at as usize),
            None => self.others.get(key),
        }
    }

    /// One that the spec names.
    pub(super) fn laid_mut(&mut self, key: &TaskKey) -> Option<&mut Task> {
        self.position(key).and_then(|at| self.laid.get_mut(at as usize))
    }

    /// The task that a fact is about; none where there are too many already.
    pub(super) fn of_fact(&mut self, key: &TaskKey) -> Option<&mut Task> {
        if let Some(at) = self.position(key) {
            return self.laid.get_mut(at as usize);
        }
        let room = self.laid.len() + self.others.len() < MAX_FRAMES;
        match room {
            true => Some(self.others.entry(*key).or_default()),
            false => self.others.get_mut(key),
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Task> {
        self.laid.iter().chain(self.others.values())
    }

    /// Those that the spec names, in order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (TaskKey, &Task)> {
        self.order.iter().copied().zip(&self.laid)
    }

    /// Lays them out in a new order: `keys`, each where it stands first. Says how many of the first
    /// `tests` are left. All are in their first round after that.
    pub(super) fn lay_out(&mut self, keys: &[TaskKey], tests: usize) -> usize {
        let before = std::mem::take(&mut self.order).into_iter();
        self.others.extend(before.zip(std::mem::take(&mut self.laid)));
        let mut firsts: Vec<u32> = (0..).take(keys.len()).collect();
        firsts.sort_by_key(|at| (keys[*at as usize], *at));
        firsts.dedup_by_key(|at| keys[*at as usize]);
        firsts.sort_unstable();
        firsts.truncate(MAX_FRAMES);
        self.order = firsts.iter().map(|at| keys[*at as usize]).collect();
        self.laid =
            self.order.iter().map(|key| self.others.remove(key).unwrap_or_default()).collect();
        for task in self.laid.iter_mut().chain(self.others.values_mut()) {
            task.generation = 0;
        }
        self.by_key = Vec::new();
        if !self.order.is_sorted() {
            self.by_key = (0..).take(self.order.len()).collect();
            self.by_key.sort_unstable_by_key(|at| self.order[*at as usize]);
        }
        firsts.iter().filter(|at| (**at as usize) < tests).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_task_is_small() {
        // A million that are done have to fit beside everything else: docs/decisions.md.
        assert!(size_of::<Task>() <= 48, "{}", size_of::<Task>());
        assert_eq!(size_of::<TaskKey>(), 16);
    }

    #[test]
    fn each_task_stands_where_it_comes_first_and_keeps_what_is_known() {
        let frame = TaskKey::frame;
        let mut tasks = Tasks::default();
        tasks.of_fact(&frame(7)).unwrap().render_ms = 70;
        tasks.of_fact(&frame(-1)).unwrap().render_ms = 1;
        let left = tasks.lay_out(&[5, 5, 9, 1, 2, 5, 7, 9].map(frame), 3);
        assert_eq!(left, 2);
        assert_eq!(tasks.order(), [5, 9, 1, 2, 7].map(frame));
        let places: Vec<_> = [5, 9, 1, 2, 7, -1, 6].map(|n| tasks.position(&frame(n))).into();
        let expected = [Some(0), Some(1), Some(2), Some(3), Some(4), None, None];
        assert_eq!(places, expected);
        assert_eq!(tasks.get(&frame(7)).unwrap().render_ms, 70);
        tasks.laid_mut(&frame(7)).unwrap().generation = 3;
        // In ascending order nothing else is needed to find them; what the spec names no longer stays.
        assert_eq!(tasks.lay_out(&[1, 2].map(frame), 0), 0);
        assert_eq!((tasks.by_key.len(), tasks.position(&frame(2))), (0, Some(1)));
        let known = tasks.get(&frame(7)).unwrap();
        assert_eq!((known.render_ms, known.generation), (70, 0));
        assert_eq!(tasks.all().count(), 6);
    }

    #[test]
    fn results_of_one_fact_share_what_they_have_in_common() {
        let mut last = None;
        let holders = [NodeId([1; 32]), NodeId([2; 32])];
        let done = Done {
            generation: 0,
            attempt: 1,
            author: NodeId([1; 32]),
            fact: FactId([3; 32]),
            files: &[],
            log: None,
            started: Unix(5),
            render_ms: 6,
            peak_memory: 7,
            holders: &holders,
        };
        let (mut one, mut two, mut other) = (Task::default(), Task::default(), Task::default());
        let again = Done { attempt: 2, log: Some(BlobId([9; 32])), ..done };
        one.set(&done, &mut last);
        two.set(&Done { render_ms: 60, ..done }, &mut last);
        other.set(&again, &mut last);
        assert_eq!((one.done(), other.done()), (Some(done), Some(again)));
        let shared = |a: &Task, b: &Task| {
            a.signed.as_ref().zip(b.signed.as_ref()).is_some_and(|(a, b)| Arc::ptr_eq(a, b))
        };
        assert!(shared(&one, &two) && !shared(&two, &other));
    }
}
