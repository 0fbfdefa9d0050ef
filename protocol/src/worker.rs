//! What a worker does: it takes leases from the leader that it follows, and works them off.
//!
//! ```text
//!   assigned ─▶ preparing ── inputs here, and the facts let it start ─▶ rendering ─▶ finishing ─▶ gone
//!                  │                                                        │
//!                  └──── cancelled, removed, done elsewhere, paused ────────┘ (pausing spares what renders)
//! ```
//!
//! Frames of a run share a process of the engine, which is named by the run's first attempt; each
//! is an attempt of its own, and ends on its own.
//!
//! An assignment may overtake its job's spec, or the outcomes that it builds on. Its inputs are asked for once
//! those are known here, and not before.
//!
//! A run claims what its lease says, from when it is taken on until its engine has ended. What doesn't fit
//! into what others leave of the machine is not taken on, whoever assigns it: the next report says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::claim::Portion;
use crate::ids::{BlobId, JobId, NodeId};
use crate::job::status::{may_start, waits};
use crate::job::table::{Job, Jobs, Task};
use crate::schedule::plan::MAX_IN_ORDER;
use crate::time::Time;
use crate::wire::control::{AttemptKey, Claimed, Lease, Phase, Report};

/// How long an attempt may wait for the facts that let it start before it is handed back.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The most attempts that a node takes on at once: the longest run there is, and more. A report names each in some
/// fifty bytes.
pub const MAX_ATTEMPTS: usize = 2048;
const _: () = assert!(MAX_IN_ORDER <= MAX_ATTEMPTS, "a run that is cut is rendered once more");
/// The most trees that a report names.
pub const MAX_HELD: usize = 64;

/// What the machine asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bring the inputs of a run here: the facts that name them are known.
    Prepare {
        /// Names the run: its first attempt.
        attempt: AttemptKey,
        /// The attempts that follow it in its run.
        more: Vec<AttemptKey>,
        /// The term in which it was leased.
        term: u64,
        /// Who holds them.
        providers: Vec<NodeId>,
    },
    /// Start the engine.
    Start {
        /// Names the run: the attempt that was prepared.
        run: AttemptKey,
        /// What it may use, and the first attempt that starts.
        lease: Lease,
        /// The attempts that follow it in the same process.
        more: Vec<AttemptKey>,
        /// The term in which it was leased.
        term: u64,
    },
    /// End a run's engine with all its children, and forget its attempts.
    Kill(AttemptKey),
    /// End a run's engine once the frame that it is at is done, and hand the others back.
    Stop(AttemptKey),
}

impl Event {
    /// The job that it is about.
    #[must_use]
    pub const fn job(&self) -> JobId {
        match self {
            Self::Prepare { attempt: of, .. }
            | Self::Start { lease: Lease { attempt: of, .. }, .. }
            | Self::Kill(of)
            | Self::Stop(of) => of.job,
        }
    }
}

/// What a leader grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its term.
    pub term: u64,
    /// The number of the assignment.
    pub seq: u64,
    /// What may be used, and for which attempt.
    pub lease: Lease,
    /// The attempts that follow it in its run.
    pub more: Vec<AttemptKey>,
    /// Who holds the inputs.
    pub providers: Vec<NodeId>,
}

#[derive(Clone, Debug)]
struct Attempt {
    /// The run that it belongs to; its own key where it is alone.
    run: AttemptKey,
    lease: Lease,
    term: u64,
    phase: Phase,
    /// When it was taken on.
    taken: Time,
    /// When its inputs were here; it starts once the facts let it.
    ready: Option<Time>,
    /// Whether its engine was told to stop after the frame that it is at.
    stopping: bool,
}

/// The worker's machine.
#[derive(Clone, Debug, Default)]
pub struct Worker {
    attempts: BTreeMap<AttemptKey, Attempt>,
    /// Runs whose inputs are not asked for yet, and who holds them.
    unasked: BTreeMap<AttemptKey, Vec<NodeId>>,
    /// Runs whose engine goes on for some frames, and comes to others then that nobody waits for.
    wasting: BTreeSet<AttemptKey>,
    held: Vec<BlobId>,
    reports: u64,
    /// The last assignment taken in, and of which term.
    assigned: (u64, u64),
    /// The highest term on this node's disk: nothing starts for a lower one.
    fence: u64,
    /// Whether this node takes nothing new.
    closed: bool,
    /// Whether it hands back what it renders, too.
    yields: bool,
}

impl Worker {
    /// A machine that works on nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: BTreeMap::new(),
            unasked: BTreeMap::new(),
            wasting: BTreeSet::new(),
            held: Vec::new(),
            reports: 0,
            assigned: (0, 0),
            fence: 0,
            closed: false,
            yields: false,
        }
    }

    /// How many attempts it works on.
    #[must_use]
    pub fn running(&self) -> usize {
        self.attempts.len()
    }

    /// What it works on.
    pub fn attempts(&self) -> impl Iterator<Item = (&AttemptKey, Phase)> {
        self.attempts.iter().map(|(key, attempt)| (key, attempt.phase))
    }

    /// What it works on, and what the run of each has claimed of the machine.
    pub fn claims_of_attempts(&self) -> impl Iterator<Item = (&AttemptKey, Phase, Portion)> {
        self.attempts.iter().map(|(key, attempt)| (key, attempt.phase, attempt.lease.claim()))
    }

    /// The first attempt of the run that an attempt is of: one process does all of them.
    #[must_use]
    pub fn run_of(&self, attempt: &AttemptKey) -> Option<AttemptKey> {
        self.attempts.get(attempt).map(|attempt| attempt.run)
    }

    /// The term in which an attempt was leased.
    #[must_use]
    pub fn term_of(&self, attempt: &AttemptKey) -> Option<u64> {
        self.attempts.get(attempt).map(|attempt| attempt.term)
    }

    /// A new leader counts its assignments anew.
    pub fn follow(&mut self, term: u64) {
        if self.assigned.0 != term {
            self.assigned = (term, 0);
        }
    }

    /// A term is on this node's disk.
    pub fn fence(&mut self, term: u64) {
        self.fence = self.fence.max(term);
    }

    /// This node takes nothing new, or does again: what has not started is handed back, frames that
    /// render go on.
    pub const fn close(&mut self, closed: bool) {
        self.closed = closed;
    }

    /// This node hands back what it renders, or does no longer: that is no failure.
    pub const fn give_way(&mut self, yields: bool) {
        self.yields = yields;
    }

    /// The leader of `term` has taken a report in: what waits here is leased by it from now on.
    /// Whatever was leased in an earlier term was in that report.
    pub fn adopted(&mut self, now: Time, term: u64, jobs: &Jobs) -> Vec<Event> {
        let mut earlier = false;
        for attempt in self.attempts.values_mut() {
            if attempt.phase == Phase::Preparing && attempt.term < term {
                attempt.term = term;
                earlier = true;
            }
        }
        if earlier { self.review(now, jobs) } else { Vec::new() }
    }

    /// What its runs have claimed, each named by its first attempt. Who only brings to safety what was made
    /// claims nothing any more.
    fn claims(&self) -> BTreeMap<AttemptKey, Portion> {
        let working = self.attempts.values().filter(|attempt| attempt.phase != Phase::Finishing);
        working.map(|attempt| (attempt.run, attempt.lease.claim())).collect()
    }

    /// What is left of a machine that has so much.
    #[must_use]
    pub fn left(&self, has: &Portion) -> Portion {
        self.claims().values().fold(has.clone(), |left, claim| left.without(claim))
    }

    /// The leader that is followed assigned something; the caller has checked that it is obeyed. The machine
    /// `has` so much: what doesn't fit into what is left of that is not taken on.
    pub fn assign(&mut self, now: Time, grant: Grant, has: &Portion, jobs: &Jobs) -> Vec<Event> {
        let Grant { term, seq, lease, more, providers } = grant;
        self.follow(term);
        self.assigned.1 = self.assigned.1.max(seq);
        let mut keys: Vec<AttemptKey> = Vec::new();
        // One process renders them all, by the lease's job: what doesn't belong to it would be signed as another's.
        let fits = |key: &AttemptKey| {
            let first = &lease.attempt;
            // The number 0 stands for what was taken over.
            key.job == first.job && key.task.step == first.task.step && key.attempt > 0
        };
        for key in std::iter::once(lease.attempt).chain(more).filter(fits) {
            let twice = |k: &AttemptKey| k.job == key.job && k.task == key.task;
            if !self.attempts.keys().chain(&keys).any(twice) {
                keys.push(key);
            }
        }
        keys.truncate(MAX_ATTEMPTS.saturating_sub(self.attempts.len()));
        let Some(run) = keys.first().copied() else { return Vec::new() };
        if !self.left(has).covers(&lease.claim()) {
            return Vec::new();
        }
        for attempt in &keys {
            let lease = Lease { attempt: *attempt, ..lease.clone() };
            let phase = Phase::Preparing;
            let taken =
                Attempt { run, lease, term, phase, taken: now, ready: None, stopping: false };
            self.attempts.insert(*attempt, taken);
        }
        self.unasked.insert(run, providers);
        self.review(now, jobs)
    }

    /// Asks for the inputs of runs of which all is known by now that names them.
    fn ask(&mut self, jobs: &Jobs) -> Vec<Event> {
        let mut events = Vec::new();
        for (run, providers) in std::mem::take(&mut self.unasked) {
            let of_run = self.attempts.iter().filter(|(_, attempt)| attempt.run == run);
            let Some(term) = of_run.clone().map(|(_, attempt)| attempt.term).next() else {
                continue;
            };
            if of_run.clone().all(|(key, _)| is_known(jobs, key)) {
                let more = of_run.map(|(key, _)| *key).filter(|key| *key != run).collect();
                events.push(Event::Prepare { attempt: run, more, term, providers });
            } else {
                self.unasked.insert(run, providers);
            }
        }
        events
    }

    /// What a run needs is here: the whole tree of its job's inputs, where it needed that.
    pub fn prepared(
        &mut self,
        now: Time,
        run: &AttemptKey,
        inputs: impl Into<Option<BlobId>>,
        jobs: &Jobs,
    ) -> Vec<Event> {
        if let Some(inputs) = inputs.into() {
            self.held.retain(|held| *held != inputs);
            self.held.push(inputs);
        }
        if self.held.len() > MAX_HELD {
            self.held.remove(0);
        }
        for attempt in self.attempts.values_mut().filter(|attempt| attempt.run == *run) {
            attempt.ready.get_or_insert(now);
        }
        self.review(now, jobs)
    }

    /// Facts changed or time passed: asks for inputs, starts what may start, ends what was cancelled, and
    /// hands back what waits in vain.
    pub fn review(&mut self, now: Time, jobs: &Jobs) -> Vec<Event> {
        let mut events = self.drop_ended(now, jobs);
        events.extend(self.ask(jobs));
        let mut frames: BTreeMap<AttemptKey, usize> = BTreeMap::new();
        for attempt in self.attempts.values() {
            if matches!(attempt.phase, Phase::Rendering(_)) {
                *frames.entry(attempt.run).or_default() += 1;
            }
        }
        let mut starts: BTreeMap<AttemptKey, Vec<AttemptKey>> = BTreeMap::new();
        let mut dropped = Vec::new();
        for (key, attempt) in &mut self.attempts {
            let job = jobs.get(&key.job);
            // What a paused job or a closed node renders goes on: a run of frames up to the next one.
            let paused = job.is_some_and(|job| job.switches().paused);
            let several = frames.get(&attempt.run).is_some_and(|frames| *frames > 1);
            if (paused || self.closed) && several && !attempt.stopping {
                attempt.stopping = true;
                if !events.contains(&Event::Stop(attempt.run)) {
                    events.push(Event::Stop(attempt.run));
                }
            }
            let (Phase::Preparing, Some(ready)) = (attempt.phase, attempt.ready) else {
                continue;
            };
            let fenced = attempt.term < self.fence;
            // A round that nobody asked for would count before all that were.
            let asked =
                |job: &Job| job.task(&key.task).is_some_and(|t| t.generation == key.generation);
            if !fenced && job.is_some_and(|job| may_start(job, &key.task) && asked(job)) {
                starts.entry(attempt.run).or_default().push(*key);
            } else if paused || now.since(ready) >= PATIENCE {
                dropped.push(*key);
            }
        }
        for (run, keys) in starts {
            // One process a run: what can't start with the others is handed back.
            let waits = |(key, attempt): &(&AttemptKey, &Attempt)| {
                attempt.run == run && attempt.phase == Phase::Preparing && !keys.contains(key)
            };
            dropped.extend(self.attempts.iter().filter(waits).map(|(key, _)| *key));
            events.extend(self.start(run, keys, jobs));
        }
        for key in dropped {
            self.attempts.remove(&key);
        }
        events
    }

    /// Starts a run, its frames in the job's order.
    fn start(&mut self, run: AttemptKey, mut keys: Vec<AttemptKey>, jobs: &Jobs) -> Option<Event> {
        let job = jobs.get(&run.job)?;
        keys.sort_by_key(|key| job.position(&key.task));
        for key in &keys {
            if let Some(attempt) = self.attempts.get_mut(key) {
                attempt.phase = Phase::Rendering(0);
            }
        }
        let more = keys.split_off(1);
        let first = self.attempts.get(keys.first()?)?;
        Some(Event::Start { run, lease: first.lease.clone(), more, term: first.term })
    }

    /// Drops what nobody waits for any more. An engine ends once that is all of its run.
    fn drop_ended(&mut self, now: Time, jobs: &Jobs) -> Vec<Event> {
        let mut dropped = Vec::new();
        let mut runs = BTreeSet::new();
        for (key, attempt) in &self.attempts {
            let job = jobs.get(&key.job);
            let task = job.and_then(|job| job.task(&key.task));
            // Another attempt was done first, or somebody asked for another round.
            let late = |task: &Task| {
                let done = task.done().is_some_and(|done| done.generation >= key.generation);
                done || task.generation > key.generation
            };
            let ended = jobs.is_removed(&key.job)
                || job.is_some_and(|job| job.switches().cancelled)
                || task.is_some_and(late)
                || (self.yields && matches!(attempt.phase, Phase::Rendering(_)));
            // A node that can't take facts in, its disk being full, must not hold what others can do.
            let unknown = attempt.phase == Phase::Preparing && !is_known(jobs, key);
            if ended && attempt.phase != Phase::Finishing {
                runs.insert(attempt.run);
                dropped.push(*key);
            } else if unknown && now.since(attempt.taken) >= PATIENCE
                || self.closed && attempt.phase == Phase::Preparing
            {
                dropped.push(*key);
            }
        }
        for key in dropped {
            self.attempts.remove(&key);
        }
        self.wasting.extend(runs);
        self.end_waste()
    }

    /// Ends engines that have nothing left to do but what nobody waits for.
    fn end_waste(&mut self) -> Vec<Event> {
        let waited_for = |run: &AttemptKey| {
            self.attempts.values().any(|a| a.run == *run && a.phase != Phase::Finishing)
        };
        let over = self.wasting.extract_if(.., |run| !waited_for(run));
        over.map(Event::Kill).collect()
    }

    /// How far an attempt's engine is, in thousandths.
    pub fn progress(&mut self, key: &AttemptKey, thousandths: u16) {
        if let Some(attempt) = self.attempts.get_mut(key)
            && let Phase::Rendering(at) = &mut attempt.phase
        {
            *at = thousandths.min(1000);
        }
    }

    /// An attempt's engine has ended, or come to the next frame of its run.
    pub fn finishing(&mut self, key: &AttemptKey) -> Vec<Event> {
        if let Some(attempt) = self.attempts.get_mut(key) {
            let before = std::mem::replace(&mut attempt.phase, Phase::Finishing);
            if before == Phase::Preparing {
                let run = attempt.run;
                self.unprepared(&run);
            }
        }
        self.end_waste()
    }

    /// The inputs of a run could not be brought here: what waits for them goes out again.
    pub fn unprepared(&mut self, run: &AttemptKey) {
        self.attempts.retain(|_, other| other.run != *run || other.phase != Phase::Preparing);
    }

    /// An attempt is over: its outcome is a fact, or it was handed back.
    pub fn over(&mut self, key: &AttemptKey) {
        self.attempts.remove(key);
    }

    /// Whether a job's attempts are among what runs.
    #[must_use]
    pub fn works_on(&self, job: &JobId) -> bool {
        self.attempts.keys().any(|key| key.job == *job)
    }

    /// Which of the attempts in a report have claimed shares of a machine that has so much: to be told before
    /// the next report.
    #[must_use]
    pub fn shares(&self, has: &Portion) -> Vec<Claimed> {
        let mut runs: BTreeMap<AttemptKey, Claimed> = BTreeMap::new();
        for (at, attempt) in (0..).zip(self.attempts.values()) {
            let claimed = || Claimed { claim: attempt.lease.claim(), of: Vec::new() };
            runs.entry(attempt.run).or_insert_with(claimed).of.push(at);
        }
        runs.into_values().filter(|claimed| claimed.claim != *has).collect()
    }

    /// A report to the leader of `term`.
    pub fn report(&mut self, term: u64) -> Report {
        self.reports += 1;
        let running =
            self.attempts.iter().map(|(key, attempt)| (*key, attempt.term, attempt.phase));
        Report {
            seq: self.reports,
            assigned: if self.assigned.0 == term { self.assigned.1 } else { 0 },
            running: running.collect(),
            held: self.held.clone(),
        }
    }
}

/// Whether the facts are here that say what an attempt works on.
fn is_known(jobs: &Jobs, key: &AttemptKey) -> bool {
    jobs.get(&key.job).is_some_and(|job| job.spec().is_some() && !waits(job, &key.task))
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
