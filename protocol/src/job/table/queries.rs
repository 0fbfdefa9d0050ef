//! What can be asked of a job, once its facts are joined.

use std::collections::BTreeSet;

use super::{Job, Memory, Switches};
use crate::fact::digest;
use crate::ids::NodeId;
use crate::job::control::{Action, Control};
use crate::job::keep::{Ends, Keep, Round};
use crate::job::spec::JobSpec;
use crate::job::task::TaskKey;
use crate::job::tasks::{Task, TaskState};
use crate::job::tempo::Tempo;
use crate::job::trouble::Record;

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

    /// The version that a new control takes: one more than the highest that counts.
    #[must_use]
    pub const fn next_version(&self) -> u64 {
        self.versions.next()
    }

    /// The round of what is to be made anew next: one more than the highest that counts.
    #[must_use]
    pub fn next_round(&self) -> u32 {
        u32::try_from(self.rounds.next()).unwrap_or(u32::MAX)
    }

    /// Where its frames are written: nodes and their folders.
    pub fn deliveries(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.deliveries.iter().map(|(key, folder)| (key.0, folder.as_str()))
    }

    /// Which retries and extensions are known of it.
    #[must_use]
    pub fn round(&self) -> Round {
        let asks = |action: &Action| matches!(action, Action::Retry { .. } | Action::Extend { .. });
        let controls = self.controls.iter().filter(|(_, control)| asks(&control.action));
        digest::root(&controls.map(|(key, _)| key.3).collect())
    }

    /// What was said of its end.
    pub(in crate::job) const fn ends(&self) -> &Ends {
        &self.ends
    }

    /// What its controls made of it.
    #[must_use]
    pub fn switches(&self) -> Switches {
        let mut switches = Switches {
            paused: false,
            cancelled: false,
            approved: false,
            priority: self.spec.as_ref().map_or(0, |spec| spec.priority),
            keep: Keep::AsSet,
        };
        for control in self.controls.values() {
            let counts = control.version <= self.versions.reached();
            match &control.action {
                // These can't be taken back, so that it is all the same which comes last.
                Action::Cancel => switches.cancelled = true,
                Action::Approve => switches.approved = true,
                Action::Pause if counts => switches.paused = true,
                Action::Resume if counts => switches.paused = false,
                Action::Priority(priority) if counts => switches.priority = (*priority).min(100),
                Action::Keep(keep) if counts => switches.keep = *keep,
                _ => {}
            }
        }
        switches
    }

    /// Its tasks in the order in which they should be done, the test frames first.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskKey, &Task)> {
        self.tasks.in_order()
    }

    /// One task.
    #[must_use]
    pub fn task(&self, key: &TaskKey) -> Option<&Task> {
        self.tasks.get(key)
    }

    /// Every attempt that ended, an engine having run: who made it, how long its engine ran in milliseconds, and whether its
    /// result is one that counts.
    pub fn ended(&self) -> impl Iterator<Item = (NodeId, u32, bool)> {
        self.tasks.all().flat_map(|task| {
            let ran = task.done().into_iter().filter(|done| !done.is_taken_over());
            let done = ran.map(|done| (done.author, done.render_ms, true));
            let second = task.superseded().map(|((_, _, node), ms)| (node, ms, false));
            let failed = task.failures();
            let failed = failed.map(|((_, _, node), failure)| (*node, failure.render_ms, false));
            done.chain(second).chain(failed)
        })
    }

    /// Where a task stands in the job's order, from 0.
    #[must_use]
    pub fn position(&self, key: &TaskKey) -> Option<u32> {
        self.tasks.position(key)
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
        for key in self.tasks.order().iter().filter(|key| spec.is_result(key.step)) {
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
        self.position(key).is_some_and(|position| (position as usize) < self.tests)
    }

    /// The tasks that are still to be done, in order.
    pub fn open(&self) -> impl Iterator<Item = TaskKey> {
        self.open.iter().filter_map(|position| self.tasks.order().get(*position as usize).copied())
    }

    /// The tasks that failed for good, in order.
    pub fn failed(&self) -> impl Iterator<Item = TaskKey> {
        self.failed
            .iter()
            .filter_map(|position| self.tasks.order().get(*position as usize).copied())
    }

    /// The frames to make anew where nobody names any, in order: those that failed of the earliest step of which
    /// some did, those of steps included that follow from it frame by frame. And that step.
    #[must_use]
    pub fn failed_frames(&self) -> (u16, Vec<i32>) {
        let earliest = self.failed().map(|key| key.step).min();
        let Some((spec, step)) = self.spec().zip(earliest) else { return (0, Vec::new()) };
        let all = (0..=step).map(|first| (first, spec.chain(first)));
        let mut chains = all.filter(|(_, chain)| chain.contains(&step));
        let (step, chain) = chains.next().unwrap_or_default();
        // Of a frame in tiles several tasks may have failed.
        let mut seen = BTreeSet::new();
        let failed = self.failed().filter(|key| chain.contains(&key.step)).map(|key| key.frame);
        (step, failed.filter(|frame| seen.insert(*frame)).collect())
    }

    /// Whether attempts at so many of its tasks failed.
    #[must_use]
    pub fn has_failed_at(&self, many: usize) -> bool {
        let failed = self.tasks.all().filter(|task| task.failures().next().is_some());
        failed.take(many).count() == many
    }

    /// How many tasks there are, are done, and failed for good.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let (all, open, failed) = (self.tasks.order().len(), self.open.len(), self.failed.len());
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
            .and_then(Task::done)
            .into_iter()
            .flat_map(|done| done.holders.iter().copied())
    }
}
