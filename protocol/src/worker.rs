//! What a worker does: it takes leases from the leader that it follows, and works them off.
//!
//! ```text
//!   assigned ─▶ preparing ── inputs here, and the facts let it start ─▶ rendering ─▶ finishing ─▶ gone
//!                  │                                                        │
//!                  └───────────── cancelled, removed, paused ───────────────┘ (pausing spares what renders)
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{BlobId, JobId, NodeId};
use crate::job::status::may_start;
use crate::job::table::Jobs;
use crate::time::Time;
use crate::wire::control::{AttemptKey, Lease, Phase, Report};

/// How long an attempt may wait for the facts that let it start before it is handed back.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The most attempts that a node takes on at once.
pub const MAX_ATTEMPTS: usize = 256;
/// The most trees that a report names.
pub const MAX_HELD: usize = 64;

/// What the machine asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bring the inputs of the job here.
    Prepare {
        /// The attempt.
        attempt: AttemptKey,
        /// The term in which it was leased.
        term: u64,
        /// Who holds them.
        providers: Vec<NodeId>,
    },
    /// Start the engine.
    Start {
        /// What it may use.
        lease: Lease,
        /// The term in which it was leased.
        term: u64,
    },
    /// End the engine with all its children, and forget the attempt.
    Kill(AttemptKey),
}

#[derive(Clone, Debug)]
struct Attempt {
    lease: Lease,
    term: u64,
    phase: Phase,
    /// When it was taken on.
    taken: Time,
    /// When its inputs were here; it starts once the facts let it.
    ready: Option<Time>,
}

/// The worker's machine.
#[derive(Clone, Debug, Default)]
pub struct Worker {
    attempts: BTreeMap<AttemptKey, Attempt>,
    held: Vec<BlobId>,
    reports: u64,
    /// The last assignment taken in, and of which term.
    assigned: (u64, u64),
    /// The highest term on this node's disk: nothing starts for a lower one.
    fence: u64,
    /// Whether this node takes nothing new.
    closed: bool,
}

impl Worker {
    /// A machine that works on nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: BTreeMap::new(),
            held: Vec::new(),
            reports: 0,
            assigned: (0, 0),
            fence: 0,
            closed: false,
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

    /// This node takes nothing new, or does again: what has not started is handed back, what renders
    /// goes on.
    pub const fn close(&mut self, closed: bool) {
        self.closed = closed;
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

    /// The leader that is followed assigned something; the caller has checked that it is obeyed.
    pub fn assign(
        &mut self,
        now: Time,
        term: u64,
        seq: u64,
        lease: Lease,
        providers: Vec<NodeId>,
    ) -> Vec<Event> {
        self.follow(term);
        self.assigned.1 = self.assigned.1.max(seq);
        let key = lease.attempt;
        let twice = self.attempts.keys().any(|k| k.job == key.job && k.task == key.task);
        if twice || self.attempts.len() >= MAX_ATTEMPTS {
            return Vec::new();
        }
        let attempt = Attempt { lease, term, phase: Phase::Preparing, taken: now, ready: None };
        self.attempts.insert(key, attempt);
        vec![Event::Prepare { attempt: key, term, providers }]
    }

    /// The inputs of an attempt are here.
    pub fn prepared(
        &mut self,
        now: Time,
        key: &AttemptKey,
        inputs: BlobId,
        jobs: &Jobs,
    ) -> Vec<Event> {
        self.held.retain(|held| *held != inputs);
        self.held.push(inputs);
        if self.held.len() > MAX_HELD {
            self.held.remove(0);
        }
        if let Some(attempt) = self.attempts.get_mut(key) {
            attempt.ready.get_or_insert(now);
        }
        self.review(now, jobs)
    }

    /// Facts changed or time passed: starts what may start, ends what was cancelled, and hands
    /// back what waits in vain.
    pub fn review(&mut self, now: Time, jobs: &Jobs) -> Vec<Event> {
        let mut events = Vec::new();
        let mut dropped = Vec::new();
        for (key, attempt) in &mut self.attempts {
            let job = jobs.get(&key.job);
            let ended = jobs.is_removed(&key.job)
                || job.is_some_and(|job| job.switches().cancelled)
                || job
                    .and_then(|job| job.task(&key.task))
                    .is_some_and(|task| task.generation > key.generation);
            if ended && attempt.phase != Phase::Finishing {
                events.push(Event::Kill(*key));
                dropped.push(*key);
                continue;
            }
            if self.closed && attempt.phase == Phase::Preparing {
                dropped.push(*key);
                continue;
            }
            // A node that can't take facts in, its disk being full, must not hold what others can do.
            let unknown = job.is_none() && attempt.phase == Phase::Preparing;
            if unknown && now.since(attempt.taken) >= PATIENCE {
                dropped.push(*key);
                continue;
            }
            let (Phase::Preparing, Some(ready)) = (attempt.phase, attempt.ready) else {
                continue;
            };
            let fenced = attempt.term < self.fence;
            if !fenced && job.is_some_and(|job| may_start(job, &key.task)) {
                attempt.phase = Phase::Rendering(0);
                events.push(Event::Start { lease: attempt.lease.clone(), term: attempt.term });
            } else if job.is_some_and(|job| job.switches().paused) || now.since(ready) >= PATIENCE {
                dropped.push(*key);
            }
        }
        for key in dropped {
            self.attempts.remove(&key);
        }
        events
    }

    /// How far an attempt's engine is, in thousandths.
    pub fn progress(&mut self, key: &AttemptKey, thousandths: u16) {
        if let Some(attempt) = self.attempts.get_mut(key)
            && let Phase::Rendering(at) = &mut attempt.phase
        {
            *at = thousandths.min(1000);
        }
    }

    /// An attempt's engine has ended; says whether anybody still waits for what it made.
    pub fn finishing(&mut self, key: &AttemptKey) -> bool {
        match self.attempts.get_mut(key) {
            Some(attempt) => {
                attempt.phase = Phase::Finishing;
                true
            }
            None => false,
        }
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

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
