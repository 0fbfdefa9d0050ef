//! What a leader does: it keeps leases and hands out attempts. It optimises, and is never an
//! authority: whatever it forgets or gets wrong costs duplicate work, not a result.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{BlobId, JobId, NodeId};
use crate::job::table::{Jobs, TaskState};
use crate::job::task::TaskKey;
use crate::job::trouble::benched;
use crate::ledger::Ledger;
use crate::schedule::plan::plan;
use crate::schedule::{NodeView, View, Waiting};
use crate::time::Time;
use crate::wire::control::{Advert, AttemptKey, Closed, Lease, Message, Phase, Report, Standing};

/// How long a new leader waits for the reports of nodes that are alive before it hands out work:
/// what they render already must not be started a second time.
pub const GRACE: Duration = Duration::from_secs(3);
/// A lease whose holder has not reported for this long has ended.
pub const LEASE: Duration = Duration::from_secs(10);
/// How long a worker's reports may not know of an assignment before it is taken for lost on its way:
/// a report that was sent just before it came arrives well within that.
pub const UNTAKEN: Duration = Duration::from_secs(3);
/// How often nodes report to their leader.
pub const REPORT_PERIOD: Duration = Duration::from_millis(1000);
/// A node that has not reported for this long gets nothing new.
pub const SILENT: Duration = Duration::from_millis(3000);

/// One lease, as the leader keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who holds it.
    pub node: NodeId,
    /// The round and try that it is for.
    pub attempt: AttemptKey,
    /// How far it is, as last reported.
    pub phase: Phase,
    /// The number of its assignment; 0 when it was granted by an earlier leader.
    seq: u64,
    granted: Time,
}

#[derive(Clone, Debug, Default)]
struct Worker {
    last_report: Option<Time>,
    last_seq: u64,
    assigned: u64,
    held: BTreeSet<BlobId>,
    /// What keeps it from taking work; whether it has said so since its last report.
    standing: (Standing, bool),
}

/// The leader's machine, for one term.
#[derive(Clone, Debug)]
pub struct Leader {
    term: u64,
    since: Time,
    workers: BTreeMap<NodeId, Worker>,
    leases: BTreeMap<(JobId, TaskKey), Held>,
    waiting: BTreeMap<JobId, Waiting>,
    /// Nodes that are known, and were off when this term began.
    absent: BTreeMap<NodeId, Advert>,
    /// Who is benched, by the facts of that revision of the ledger: going through all jobs takes long.
    benched: (Option<u64>, BTreeSet<NodeId>),
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
            leases: BTreeMap::new(),
            waiting: BTreeMap::new(),
            absent: BTreeMap::new(),
            benched: (None, BTreeSet::new()),
            dirty: true,
        }
    }

    /// The same, knowing of nodes that are off.
    #[must_use]
    pub fn knowing(self, absent: &BTreeMap<NodeId, Advert>) -> Self {
        Self { absent: absent.clone(), ..self }
    }

    /// The leases of a job.
    pub fn leases_of(&self, job: &JobId) -> impl Iterator<Item = &Held> {
        let first = (*job, TaskKey { frame: i32::MIN, ..TaskKey::default() });
        self.leases.range(first..).take_while(move |((j, _), _)| j == job).map(|(_, held)| held)
    }

    /// All leases.
    pub fn leases(&self) -> impl Iterator<Item = &Held> {
        self.leases.values()
    }

    /// Why jobs wait that could go on.
    #[must_use]
    pub const fn waiting(&self) -> &BTreeMap<JobId, Waiting> {
        &self.waiting
    }

    /// Facts or nodes changed: the next tick plans anew.
    pub fn touch(&mut self) {
        self.dirty = true;
    }

    /// A worker says what keeps it from taking work.
    pub fn standing(&mut self, from: NodeId, standing: Standing) {
        self.workers.entry(from).or_default().standing = (standing, true);
        self.dirty = true;
    }

    /// What keeps a node from taking work, as it said itself.
    #[must_use]
    pub fn told(&self, node: &NodeId) -> Option<&Standing> {
        self.workers.get(node).map(|worker| &worker.standing.0)
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
        let held: BTreeSet<BlobId> = report.held.iter().copied().collect();
        if worker.held != held {
            worker.held = held;
            self.dirty = true;
        }
        let running: BTreeMap<(JobId, TaskKey), (AttemptKey, Phase)> = report
            .running
            .iter()
            .map(|(attempt, _, phase)| ((attempt.job, attempt.task), (*attempt, *phase)))
            .collect();
        let before = self.leases.len();
        self.leases.retain(|key, held| {
            let untaken = held.seq > report.assigned && now.since(held.granted) < UNTAKEN;
            held.node != from || running.contains_key(key) || untaken
        });
        self.dirty |= before != self.leases.len();
        for (key, (attempt, phase)) in running {
            match self.leases.get_mut(&key) {
                Some(held) if held.node == from => (held.attempt, held.phase) = (attempt, phase),
                // Two nodes on one task: both may finish, the join decides. The lease stays with
                // the first, so that nobody is disturbed.
                Some(_) => {}
                None => {
                    let held = Held { node: from, attempt, phase, seq: 0, granted: now };
                    self.leases.insert(key, held);
                    self.dirty = true;
                }
            }
        }
    }

    /// A node is dead, or left: what it held is free.
    pub fn lose(&mut self, node: &NodeId) {
        self.workers.remove(node);
        self.leases.retain(|_, held| held.node != *node);
        self.dirty = true;
    }

    /// Ends leases whose holders are silent, and those of tasks that are done.
    fn expire(&mut self, now: Time, jobs: &Jobs) {
        let before = self.leases.len();
        let workers = &self.workers;
        self.leases.retain(|(job, task), held| {
            let seen = workers.get(&held.node).and_then(|worker| worker.last_report);
            let silent = now.since(seen.unwrap_or(self.since).max(held.granted)) >= LEASE;
            let over = jobs.get(job).is_none_or(|job| {
                job.task(task).is_none_or(|task| {
                    task.generation == held.attempt.generation
                        && task.state(job.retries()) == TaskState::Done
                })
            });
            // A failed attempt is over as well, though its task is not.
            let failed = jobs.get(job).and_then(|job| job.task(task)).is_some_and(|task| {
                let AttemptKey { generation, attempt, .. } = held.attempt;
                task.failures.contains_key(&(generation, attempt, held.node))
            });
            !(silent || over || failed)
        });
        self.dirty |= before != self.leases.len();
    }

    /// What the scheduler sees.
    fn view(
        &mut self,
        now: Time,
        ledger: &Ledger,
        adverts: &BTreeMap<NodeId, Advert>,
        alive: &BTreeSet<NodeId>,
    ) -> View {
        let Ledger { jobs, settings, .. } = ledger;
        let busy: BTreeSet<NodeId> = self.leases.values().map(|held| held.node).collect();
        if self.benched.0 != Some(ledger.revision()) {
            let nodes = benched(jobs, settings).into_keys().collect();
            self.benched = (Some(ledger.revision()), nodes);
        }
        let benched = &self.benched.1;
        let mut view = View { limits: settings.limits(), ..View::default() };
        let absent = self.absent.iter().filter(|(node, _)| !adverts.contains_key(*node));
        let known = adverts.iter().chain(absent);
        for (node, advert) in known.filter(|(node, _)| !ledger.members.is_revoked(node)) {
            let there = alive.contains(node);
            let worker = self.workers.get(node);
            let reports = worker
                .and_then(|worker| worker.last_report)
                .is_some_and(|at| now.since(at) < SILENT);
            let standing = worker.map(|worker| &worker.standing.0);
            let holds = jobs.iter().filter(|(_, _, spec)| {
                worker.is_some_and(|worker| worker.held.contains(&spec.inputs))
            });
            view.nodes.insert(
                *node,
                NodeView {
                    hardware: advert.hardware.clone(),
                    engines: advert.engines.clone(),
                    tags: advert.tags.clone(),
                    price: settings.price(advert),
                    renders: advert.role.renders(),
                    off: !there,
                    idle: there && reports && !busy.contains(node),
                    closed: None
                        .or_else(|| settings.drained(node).map(|_| Closed::Drained))
                        .or_else(|| standing.and_then(|standing| standing.closed))
                        .or_else(|| benched.contains(node).then_some(Closed::Benched)),
                    refused: standing.map(|standing| standing.refused.clone()).unwrap_or_default(),
                    holds: holds.map(|(id, _, _)| id).collect(),
                },
            );
        }
        for ((job, task), held) in &self.leases {
            view.leased.entry(*job).or_default().insert(*task, held.node);
        }
        view
    }

    /// Time has passed, or something changed: hands out what can be handed out.
    pub fn tick(
        &mut self,
        now: Time,
        ledger: &Ledger,
        adverts: &BTreeMap<NodeId, Advert>,
        alive: &BTreeSet<NodeId>,
    ) -> Vec<(NodeId, Message)> {
        let jobs = &ledger.jobs;
        self.expire(now, jobs);
        let reported = |node: &NodeId| {
            self.workers.get(node).is_some_and(|worker| worker.last_report.is_some())
        };
        if now.since(self.since) < GRACE && !alive.iter().all(reported) {
            return Vec::new();
        }
        if !std::mem::take(&mut self.dirty) {
            return Vec::new();
        }
        let plan = plan(&self.view(now, ledger, adverts, alive), jobs);
        self.waiting = plan.waiting;
        let mut sends = Vec::new();
        for assignment in plan.assignments {
            let (node, attempt) = (assignment.node, assignment.attempt);
            let Some(spec) = jobs.get(&attempt.job).and_then(|job| job.spec()) else {
                continue;
            };
            let hardware = adverts.get(&node).map(|advert| &advert.hardware);
            let holders = self.workers.iter().filter(|(_, w)| w.held.contains(&spec.inputs));
            let submitter = jobs.get(&attempt.job).and_then(|job| job.submitter());
            let providers: BTreeSet<NodeId> =
                holders.map(|(node, _)| *node).chain(submitter).filter(|n| *n != node).collect();
            let worker = self.workers.entry(node).or_default();
            worker.assigned += 1;
            let lease = Lease {
                attempt,
                cores: hardware.map_or(1, |hardware| hardware.cpu_cores),
                ram: hardware.map_or(0, |hardware| hardware.ram),
                gpus: (0..).take(hardware.map_or(0, |hardware| hardware.gpus.len())).collect(),
            };
            let seq = worker.assigned;
            let more = assignment.more;
            for attempt in more.iter().chain([&attempt]) {
                let held =
                    Held { node, attempt: *attempt, phase: Phase::Preparing, seq, granted: now };
                self.leases.insert((attempt.job, attempt.task), held);
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
