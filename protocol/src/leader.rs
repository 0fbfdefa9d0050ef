//! What a leader does: it keeps leases and hands out attempts. It optimises, and is never an
//! authority: whatever it forgets or gets wrong costs duplicate work, not a result.

mod held;
mod leases;
mod processes;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{BlobId, JobId, NodeId};
use crate::job::table::{Jobs, TaskState};
use crate::job::task::TaskKey;
use crate::ledger::Ledger;
use crate::schedule::plan::plan;
use crate::schedule::{NodeView, Waiting};
use crate::time::Time;
use crate::wire::control::{Advert, AttemptKey, Claimed, Lease, Message, Phase, Report, Standing};
use crate::worker::{MAX_ATTEMPTS, MAX_HELD};
use held::Share;
use leases::{Key, Leases};

pub use held::Held;

/// How long a new leader waits for the reports of nodes that are alive before it hands out work:
/// what they render already must not be started a second time.
pub const GRACE: Duration = Duration::from_secs(3);
/// How long it waits for that of the leader before it, which was silent for long already: where that is
/// there after all it reports within a period of its own.
pub const GRACE_OF_THE_LOST: Duration = Duration::from_millis(1500);
/// The most owners whose turns are remembered; further ones count as not served yet.
const MAX_SERVED: usize = 4096;
/// A lease whose holder has not reported for this long has ended.
pub const LEASE: Duration = Duration::from_secs(10);
/// How long a worker's reports may not know of an assignment before it is taken for lost on its way:
/// a report that was sent just before it came arrives well within that.
pub const UNTAKEN: Duration = Duration::from_secs(3);
/// How often nodes report to their leader.
pub const REPORT_PERIOD: Duration = Duration::from_millis(1000);
/// How long a job waits for word of stored results before its tasks are handed out: those who seek them
/// tell with each part that they have brought.
pub const SEEK: Duration = Duration::from_secs(30);
/// How long at most, whatever they tell: what takes longer may as well be rendered.
pub const SEEK_LIMIT: Duration = Duration::from_secs(10 * 60);
/// How often all leases are looked through for what time alone brings about. In a studio of a thousand machines there
/// are ten thousand and more, and each event would pay for all of them.
pub const SWEEP: Duration = Duration::from_millis(100);
/// A node that has not reported for this long gets nothing new.
pub const SILENT: Duration = Duration::from_millis(3000);

#[derive(Clone, Debug, Default)]
struct Worker {
    last_report: Option<Time>,
    last_seq: u64,
    assigned: u64,
    held: BTreeSet<BlobId>,
    /// What keeps it from taking work; whether it has said so since its last report.
    standing: (Standing, bool),
    /// What it has claimed in parts, as it said before the report of that number.
    claims: (u64, Vec<Claimed>),
}

/// What a report tells of an attempt.
struct Told {
    attempt: AttemptKey,
    phase: Phase,
    share: Option<Arc<Share>>,
}

/// The leader's machine, for one term.
#[derive(Clone, Debug)]
pub struct Leader {
    term: u64,
    since: Time,
    workers: BTreeMap<NodeId, Worker>,
    leases: Leases,
    /// Second attempts at tasks that are leased.
    seconds: Leases,
    /// The tasks, with their generations, at which a second attempt was made in this term.
    doubled: BTreeSet<(JobId, TaskKey, u32)>,
    waiting: BTreeMap<JobId, Waiting>,
    /// Jobs of which stored results are being sought: since when, when the last word of that came, and for which
    /// tasks there are some, once that is known.
    sought: BTreeMap<JobId, (Time, Time, Option<BTreeSet<TaskKey>>)>,
    /// At which turn each owner was served last in this term.
    served: BTreeMap<String, u64>,
    /// Who led before, and was lost.
    lost: Option<NodeId>,
    /// Nodes that are known, and were off when this term began.
    absent: BTreeMap<NodeId, Advert>,
    /// The nodes as the last plan saw them, of that revision of the settings; and the revision of each
    /// one's advert: both change seldom, and there may be many.
    views: (Option<u64>, BTreeMap<NodeId, NodeView>),
    adverts: BTreeMap<NodeId, (u64, u32)>,
    /// Who is benched, by the facts of that revision of the ledger: going through all jobs takes long.
    benched: (Option<u64>, BTreeSet<NodeId>),
    /// How many processes with shares were told of.
    shares: u64,
    /// Nodes of which outcomes came since leases were looked at.
    told_outcomes: BTreeSet<NodeId>,
    next_sweep: Time,
    dirty: bool,
}

impl Leader {
    /// A leader that knows of no lease yet.
    #[must_use]
    pub const fn new(term: u64, now: Time) -> Self {
        Self {
            term,
            since: now,
            workers: BTreeMap::new(),
            leases: Leases::new(),
            seconds: Leases::new(),
            doubled: BTreeSet::new(),
            waiting: BTreeMap::new(),
            sought: BTreeMap::new(),
            served: BTreeMap::new(),
            lost: None,
            absent: BTreeMap::new(),
            views: (None, BTreeMap::new()),
            adverts: BTreeMap::new(),
            benched: (None, BTreeSet::new()),
            shares: 0,
            told_outcomes: BTreeSet::new(),
            next_sweep: now,
            dirty: true,
        }
    }

    /// The same, knowing of nodes that are off.
    #[must_use]
    pub fn knowing(self, absent: &BTreeMap<NodeId, Advert>) -> Self {
        Self { absent: absent.clone(), ..self }
    }

    /// The same, after another leader was lost.
    #[must_use]
    pub fn after(self, lost: Option<NodeId>) -> Self {
        Self { lost, ..self }
    }

    /// The leases of a job, one a task.
    pub fn leases_of(&self, job: &JobId) -> impl Iterator<Item = &Held> {
        self.leases.of_job(job)
    }

    /// The second attempts at tasks of a job.
    pub fn seconds_of(&self, job: &JobId) -> impl Iterator<Item = &Held> {
        self.seconds.of_job(job)
    }

    /// All leases, those of second attempts included.
    pub fn leases(&self) -> impl Iterator<Item = &Held> {
        self.leases.iter().chain(self.seconds.iter()).map(|(_, held)| held)
    }

    /// Why jobs wait that could go on.
    #[must_use]
    pub const fn waiting(&self) -> &BTreeMap<JobId, Waiting> {
        &self.waiting
    }

    /// Facts or nodes changed, or time passed: the next tick plans anew.
    pub fn touch(&mut self) {
        self.dirty = true;
    }

    /// What became of a node's attempts is known now, by its own word: the next tick plans anew.
    pub fn outcomes(&mut self, author: NodeId) {
        self.told_outcomes.insert(author);
        self.dirty = true;
    }

    /// Whether anything happened since it planned last.
    #[must_use]
    pub const fn is_touched(&self) -> bool {
        self.dirty
    }

    /// Stored results of a job are sought from now on: nothing of it is handed out before it is known for
    /// which tasks there are some.
    pub fn seek(&mut self, now: Time, job: JobId) {
        self.sought.insert(job, (now, now, None));
        self.dirty = true;
    }

    /// For these tasks of a job stored results are being brought, and for no others.
    pub fn sought(&mut self, now: Time, job: JobId, bringing: BTreeSet<TaskKey>) {
        if bringing.is_empty() {
            self.sought.remove(&job);
        } else if let Some(sought) = self.sought.get_mut(&job) {
            (sought.1, sought.2) = (now, Some(bringing));
        }
        self.dirty = true;
    }

    /// A worker says what keeps it from taking work.
    pub fn standing(&mut self, from: NodeId, standing: Standing) {
        self.workers.entry(from).or_default().standing = (standing, true);
        self.dirty = true;
    }

    /// A worker says what its attempts have claimed in parts, before its report of that number.
    pub fn claims(&mut self, from: NodeId, report: u64, claims: Vec<Claimed>) {
        // More than a node works on is no word of its attempts.
        let of: usize = claims.iter().map(|claimed| claimed.of.len().max(1)).sum();
        let claims = if of > MAX_ATTEMPTS { Vec::new() } else { claims };
        self.workers.entry(from).or_default().claims = (report, claims);
    }

    /// What keeps a node from taking work, as it said itself.
    #[must_use]
    pub fn told(&self, node: &NodeId) -> Option<&Standing> {
        self.workers.get(node).map(|worker| &worker.standing.0)
    }

    /// Whether a worker reports, as those do who follow this node.
    #[must_use]
    pub fn hears(&self, now: Time, node: &NodeId) -> bool {
        let last = self.workers.get(node).and_then(|worker| worker.last_report);
        last.is_some_and(|at| now.since(at) < SILENT)
    }

    /// A worker reported.
    pub fn report(&mut self, now: Time, from: NodeId, report: &Report) {
        let worker = self.workers.entry(from).or_default();
        // A report that was overtaken tells of the past. Where none was taken for long, it is the last
        // number that was wrong: a node would be left out for ever.
        let recent = worker.last_report.is_some_and(|at| now.since(at) < SILENT);
        if recent && report.seq < worker.last_seq {
            return;
        }
        worker.last_report = Some(now);
        worker.last_seq = report.seq;
        // It says so each time, as long as something keeps it.
        if !std::mem::take(&mut worker.standing.1) {
            worker.standing.0 = Standing::default();
        }
        let held: BTreeSet<BlobId> = report.held.iter().take(MAX_HELD).copied().collect();
        if worker.held != held {
            worker.held = held;
            self.dirty = true;
        }
        let claims = std::mem::take(&mut worker.claims);
        let claims = if claims.0 == report.seq { claims.1 } else { Vec::new() };
        let mut shares: BTreeMap<usize, (Arc<Share>, bool)> = BTreeMap::new();
        for Claimed { claim, of } in claims {
            self.shares += 1;
            let share = Arc::new(Share { number: self.shares, claim });
            let alone = of.len() == 1;
            shares.extend(of.into_iter().map(|at| (at as usize, (Arc::clone(&share), alone))));
        }
        let whole = report.running.len() == 1;
        // Nobody works on more, and what one node says to be at is kept from all others.
        let running = report.running.iter().take(MAX_ATTEMPTS).enumerate();
        let running = running.map(|(at, (attempt, _, phase))| {
            let (share, alone) = shares.remove(&at).unzip();
            let told = Told { attempt: *attempt, phase: *phase, share };
            ((attempt.job, attempt.task), (told, alone.unwrap_or(whole)))
        });
        let running: BTreeMap<Key, (Told, bool)> = running.collect();
        self.end(Some(&from), |key, held| {
            let untaken = held.seq > report.assigned && now.since(held.granted) < UNTAKEN;
            !running.contains_key(key) && !untaken
        });
        for (key, (Told { attempt, phase, share }, alone)) in running {
            let first = self.leases.held_by(&from, &key);
            if let Some(held) = first.or_else(|| self.seconds.held_by(&from, &key)) {
                let claim = share.as_ref().map(|share| &share.claim);
                self.dirty |= held.claim() != claim;
                held.share = share;
                held.tell(now, attempt, phase, alone);
                continue;
            }
            let mut held = Held::new(from, attempt, phase, 0, now);
            held.share = share;
            held.tell(now, attempt, phase, alone);
            // Two nodes on one task: the join decides. Nobody is disturbed, and no third one begins.
            match self.leases.contains(&key) {
                true if self.seconds.contains(&key) => {}
                true => self.seconds.insert(key, held),
                false => self.leases.insert(key, held),
            }
            self.dirty = true;
        }
    }

    /// A node is dead, or left: what it held is free.
    pub fn lose(&mut self, node: &NodeId) {
        if let Some(worker) = self.workers.get_mut(node) {
            // If it comes back, it may have gone on all along: its assignments are counted on from there, or a report that
            // left before the next one arrived would pass for one that hands it back.
            *worker = Worker { assigned: worker.assigned, ..Worker::default() };
        }
        self.end(Some(node), |_, _| true);
        self.dirty = true;
    }

    /// Ends leases that are over, of one node or of all. Where a first attempt ends, the second is the one that
    /// is left.
    fn end(&mut self, of: Option<&NodeId>, over: impl Fn(&Key, &Held) -> bool) {
        let ended = self.leases.end(of, &over);
        if self.seconds.end(of, &over) | ended {
            self.dirty = true;
            let keys = self.seconds.iter().map(|(key, _)| *key);
            let left: Vec<Key> = keys.filter(|key| !self.leases.contains(key)).collect();
            for key in left {
                if let Some(held) = self.seconds.remove(&key) {
                    self.leases.insert(key, held);
                }
            }
        }
    }

    /// Ends leases whose holders are silent, and those of attempts that have ended. What another
    /// attempt has done meanwhile stays leased until its holder has let go of it: it is busy until then. Between
    /// two sweeps only those are looked at of whose holders outcomes came.
    fn expire(&mut self, now: Time, sweep: bool, jobs: &Jobs) {
        let (since, workers) = (self.since, std::mem::take(&mut self.workers));
        let told = std::mem::take(&mut self.told_outcomes);
        let over = |(job, task): &Key, held: &Held| {
            let seen = workers.get(&held.node).and_then(|worker| worker.last_report);
            let silent = now.since(seen.unwrap_or(since).max(held.granted)) >= LEASE;
            let AttemptKey { generation, attempt, .. } = held.attempt;
            let task = jobs.get(job).and_then(|job| job.task(task));
            let over = task.is_none_or(|task| task.has_ended(generation, attempt, &held.node));
            silent || over
        };
        if sweep {
            self.end(None, over);
        } else {
            told.iter().for_each(|node| self.end(Some(node), over));
        }
        self.workers = workers;
        self.doubled.retain(|(job, task, generation)| {
            let job = jobs.get(job);
            let task = job.and_then(|job| Some((job.task(task)?, job.retries())));
            task.is_some_and(|(task, retries)| {
                task.generation == *generation && task.state(retries) == TaskState::Open
            })
        });
    }

    /// Time has passed, or something changed: hands out what can be handed out. For one that isn't
    /// [touched](Self::is_touched) that is nothing.
    pub fn tick(
        &mut self,
        now: Time,
        ledger: &Ledger,
        adverts: &BTreeMap<NodeId, Advert>,
        alive: &BTreeSet<NodeId>,
    ) -> Vec<(NodeId, Message)> {
        let jobs = &ledger.jobs;
        let sweep = now >= self.next_sweep;
        if sweep {
            self.next_sweep = now + SWEEP;
        }
        self.expire(now, sweep, jobs);
        self.sought.retain(|_, (since, told, _)| {
            now.since(*told) < SEEK && now.since(*since) < SEEK_LIMIT
        });
        let reported = |node: &NodeId| {
            self.workers.get(node).is_some_and(|worker| worker.last_report.is_some())
        };
        let grace = |node: &NodeId| match self.lost.as_ref() == Some(node) {
            true => GRACE_OF_THE_LOST,
            false => GRACE,
        };
        if alive.iter().any(|node| now.since(self.since) < grace(node) && !reported(node)) {
            return Vec::new();
        }
        self.dirty = false;
        let view = self.view(now, sweep, ledger, adverts, alive);
        let plan = plan(&view, jobs);
        self.views.1 = view.nodes;
        self.leases.give_back(view.leased);
        self.seconds.give_back(view.seconds);
        self.served = view.served;
        let mut turn = self.served.values().copied().max().unwrap_or(0);
        self.waiting = plan.waiting;
        let mut holders: BTreeMap<BlobId, Vec<NodeId>> = BTreeMap::new();
        let mut sends = Vec::new();
        let seconds = plan.seconds.into_iter().map(|second| (second, true));
        let all = plan.assignments.into_iter().map(|assignment| (assignment, false));
        for (assignment, is_second) in all.chain(seconds) {
            let (node, attempt) = (assignment.node, assignment.attempt);
            let Some(spec) = jobs.get(&attempt.job).and_then(|job| job.spec()) else {
                continue;
            };
            turn += 1;
            if self.served.len() < MAX_SERVED || self.served.contains_key(&spec.owner) {
                self.served.insert(spec.owner.clone(), turn);
            }
            let workers = &self.workers;
            let holders = holders.entry(spec.inputs).or_insert_with(|| {
                let holders = workers.iter().filter(|(_, w)| w.held.contains(&spec.inputs));
                holders.map(|(node, _)| *node).collect()
            });
            let submitter = jobs.get(&attempt.job).and_then(|job| job.submitter());
            let providers: BTreeSet<NodeId> =
                holders.iter().copied().chain(submitter).filter(|n| *n != node).collect();
            let worker = self.workers.entry(node).or_default();
            worker.assigned += 1;
            let lease = Lease::new(attempt, &assignment.claim);
            let share = spec.share.then(|| {
                self.shares += 1;
                Arc::new(Share { number: self.shares, claim: assignment.claim })
            });
            let seq = worker.assigned;
            let more = assignment.more;
            for attempt in more.iter().chain([&attempt]) {
                let mut held = Held::new(node, *attempt, Phase::Preparing, seq, now);
                held.share.clone_from(&share);
                let key = (attempt.job, attempt.task);
                if is_second {
                    self.doubled.insert((attempt.job, attempt.task, attempt.generation));
                    self.seconds.insert(key, held);
                } else {
                    self.leases.insert(key, held);
                }
            }
            let (term, providers) = (self.term, providers.into_iter().collect());
            let message = match more.is_empty() {
                true => Message::Assign { term, seq, lease, providers },
                false => Message::AssignRun { term, seq, lease, more, providers },
            };
            sends.push((node, message));
        }
        sends
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
