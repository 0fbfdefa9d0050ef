//! The plan: reconcile, filter, rank, place.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use super::fit::{Fit, Index};
use super::rooms::Rooms;
use super::second::seconds;
use super::{Assignment, Plan, View, Waiting, rank};
use crate::claim::Portion;
use crate::ids::{JobId, NodeId};
use crate::job::spec::{JobSpec, Step};
use crate::job::status::startable;
use crate::job::table::{Job, Jobs, Task};
use crate::job::task::TaskKey;
use crate::wire::control::AttemptKey;
use crate::worker::MAX_ATTEMPTS;

/// The most frames that one assignment takes: reports name each of them.
pub const MAX_RUN: usize = 256;
/// The same where each frame follows from those before: whoever gets the rest renders these once more.
pub const MAX_IN_ORDER: usize = 2000;

/// How long quick tasks that are assigned together may take, in milliseconds: assigning one costs
/// two syncs and some messages, and nobody notices a node that is busy for so long.
pub const QUICK_MS: u64 = 200;
/// How many results of a job must be known before its tasks are called quick.
const TELLING: u32 = 8;

struct Candidate<'a> {
    id: JobId,
    job: &'a Job,
    spec: &'a JobSpec,
    /// Its place in the queue but for its owner's share, and the owner's number.
    place: rank::Place,
    owner: usize,
    next: Peekable<Box<dyn Iterator<Item = TaskKey> + 'a>>,
    /// What fits its steps, once that was asked.
    fits: BTreeMap<u16, Result<Fit, Waiting>>,
    /// Steps of which nothing more can be placed.
    blocked: BTreeSet<u16>,
    /// Steps with the nodes that a task of theirs avoided, and found no other: nor does one that avoids the same.
    in_vain: BTreeSet<(u16, BTreeSet<NodeId>)>,
}

/// How many processes run of each engine that has a limit: a run of frames is one.
pub(super) struct Limits<'a> {
    most: &'a BTreeMap<String, u32>,
    running: BTreeMap<&'a str, u32>,
}

impl<'a> Limits<'a> {
    fn new(view: &'a View, jobs: &'a Jobs) -> Self {
        let running = view.limits.keys().map(|engine| (engine.as_str(), 0)).collect();
        let mut limits = Self { most: &view.limits, running };
        if limits.most.is_empty() {
            return limits;
        }
        let mut seen = BTreeSet::new();
        let engine =
            |spec: &'a JobSpec, step: u16| Some(&spec.steps.get(usize::from(step))?.engine);
        for job in view.leased.keys().chain(view.seconds.keys()).collect::<BTreeSet<_>>() {
            let spec = jobs.get(job).and_then(Job::spec);
            let Some(spec) = spec.filter(|spec| !spec.share) else { continue };
            for (task, node) in view.workers(job) {
                if let Some(engine) = engine(spec, task.step)
                    && seen.insert((engine, node))
                {
                    limits.start(engine);
                }
            }
        }
        for process in &view.processes {
            let spec = jobs.get(&process.job).and_then(Job::spec).filter(|spec| spec.share);
            if let Some(engine) = spec.and_then(|spec| engine(spec, process.step)) {
                limits.start(engine);
            }
        }
        limits
    }

    /// How many tasks of an engine may run, where as many do.
    pub(super) fn reached(&self, engine: &str) -> Option<u32> {
        let most = self.most.get(engine).copied()?;
        self.running.get(engine).is_some_and(|running| *running >= most).then_some(most)
    }

    /// A process of an engine is started.
    pub(super) fn start(&mut self, engine: &str) {
        if let Some(running) = self.running.get_mut(engine) {
            *running += 1;
        }
    }
}

/// What should start where, given the facts and what runs already.
///
/// One task at a time goes to the job that is first in the queue, and each placement moves the
/// owner's share and turn, so that owners take turns. Where there are nodes that others use in parts and none
/// has room for the task, one of them is kept for it: that counts as a placement, but for its start. So
/// whoever wants a whole node, or a large share, gets it when those who are there are done, however many
/// small ones come behind.
#[must_use]
pub fn plan(view: &View, jobs: &Jobs) -> Plan {
    let index = Index::new(view);
    let mut rooms = index.rooms();
    let mut limits = Limits::new(view, jobs);
    let shares = rank::shares(jobs, view);
    let owners: BTreeMap<String, usize> = shares.keys().cloned().zip(0..).collect();
    let served = |owner: &String| view.served.get(owner).copied().unwrap_or(0);
    // How much works for each, and when each was served last.
    let mut shares: Vec<(u64, u64)> =
        shares.iter().map(|(owner, share)| (*share, served(owner))).collect();
    let mut turn = view.served.values().copied().max().unwrap_or(0);
    let nothing = BTreeMap::new();
    let mut candidates: Vec<Candidate<'_>> = jobs
        .iter()
        .filter(|(_, job, _)| job.open().next().is_some())
        .filter(|(id, ..)| view.sought.get(id) != Some(&None))
        .map(|(id, job, spec)| {
            let leased = view.leased.get(&id).unwrap_or(&nothing);
            let sought = view.sought.get(&id).and_then(Option::as_ref);
            let free = move |key: &TaskKey| {
                !leased.contains_key(key) && !sought.is_some_and(|tasks| tasks.contains(key))
            };
            let next = startable(job).filter(free);
            let next: Box<dyn Iterator<Item = TaskKey>> = Box::new(next);
            let (fits, blocked, in_vain) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
            let owner = owners.get(&spec.owner).copied().unwrap_or_default();
            let place = rank::place(id, job, spec, 0);
            let next = next.peekable();
            Candidate { id, job, spec, place, owner, next, fits, blocked, in_vain }
        })
        .collect();
    // How many attempts each node works on with those that it gets.
    let mut attempts: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut plan = Plan::default();
    while !candidates.is_empty() {
        let place = |c: &Candidate<'_>| c.place.with_share(shares[c.owner].0, shares[c.owner].1);
        let first = candidates.iter().enumerate().min_by_key(|(_, c)| place(c));
        let Some((at, _)) = first else { break };
        let candidate = &mut candidates[at];
        let Candidate { job, spec, next, blocked, in_vain, .. } = candidate;
        let hopeless = |key: &TaskKey| {
            blocked.contains(&key.step)
                || (!in_vain.is_empty() && in_vain.contains(&(key.step, avoided(job, spec, key))))
        };
        let Some(key) = next.find(|key| !hopeless(key)) else {
            candidates.swap_remove(at);
            continue;
        };
        let told = plan.waiting.contains_key(&candidate.id);
        let placed = place_one(&index, &mut rooms, &mut limits, candidate, key, told);
        if let Ok(Placed::Starts(Assignment { node, claim, .. }) | Placed::Waits(_, node, claim)) =
            &placed
        {
            let part = match candidate.spec.share {
                true => rank::part(view, node, claim),
                false => rank::NODE,
            };
            turn += 1;
            shares[candidate.owner] = (shares[candidate.owner].0 + part, turn);
        }
        match placed {
            Ok(Placed::Starts(mut assignment)) => {
                let node = assignment.node;
                let had = || view.nodes.get(&node).map_or(0, |node| node.attempts);
                let has = attempts.entry(node).or_insert_with(had);
                *has += 1;
                let room = MAX_ATTEMPTS.saturating_sub(*has);
                assignment.more = run_behind(candidate, &assignment.attempt, room);
                *has += assignment.more.len();
                if *has >= MAX_ATTEMPTS {
                    index.fill(&mut rooms, &node);
                }
                plan.assignments.push(assignment);
            }
            Ok(Placed::Waits(waiting, ..)) => {
                plan.waiting.entry(candidate.id).or_insert(waiting);
            }
            Err(waiting) => {
                // A task may wait for another node than those that it avoids; those behind it need not.
                let avoided = avoided(candidate.job, candidate.spec, &key);
                let full = matches!(waiting, Waiting::Busy(_) | Waiting::NoRoom(..));
                if full && !avoided.is_empty() {
                    candidate.in_vain.insert((key.step, avoided));
                } else {
                    candidate.blocked.insert(key.step);
                }
                plan.waiting.entry(candidate.id).or_insert(waiting);
                if rooms.is_empty() || candidate.blocked.len() == candidate.spec.steps.len() {
                    candidates.swap_remove(at);
                }
            }
        }
    }
    plan.seconds = seconds(view, jobs, &index, &mut rooms, &mut limits);
    for (id, tasks) in &view.sought {
        let sought = |key: TaskKey| tasks.as_ref().is_none_or(|tasks| tasks.contains(&key));
        if jobs.get(id).is_some_and(|job| startable(job).any(sought)) {
            plan.waiting.entry(*id).or_insert(Waiting::Results);
        }
    }
    plan
}

/// What came of looking for a place.
enum Placed {
    /// There it starts.
    Starts(Assignment),
    /// There so much is kept for it, and why it waits.
    Waits(Waiting, NodeId, Portion),
}

/// Finds a place for a task. Where it is `told` already why its job waits, that is not looked for again.
fn place_one(
    index: &Index<'_>,
    rooms: &mut Rooms<'_>,
    limits: &mut Limits<'_>,
    candidate: &mut Candidate<'_>,
    key: TaskKey,
    told: bool,
) -> Result<Placed, Waiting> {
    let Candidate { id, job, spec, fits, .. } = candidate;
    let Some((task, step)) = job.task(&key).zip(spec.steps.get(usize::from(key.step))) else {
        return Err(Waiting::NoNodeFits("the task names no step of its job".into()));
    };
    let fit = fits.entry(key.step).or_insert_with(|| index.fit(id, job, spec, step));
    let fit = fit.as_mut().map_err(|why| why.clone())?;
    if let Some(limit) = limits.reached(&step.engine) {
        return Err(Waiting::Limit { engine: step.engine.clone(), limit });
    }
    if let Some(said) = fit.refused().cloned() {
        return Err(Waiting::Licence { engine: step.engine.clone(), said });
    }
    let avoided = avoided(job, spec, &key);
    if let Some((node, claim)) = index.take(rooms, fit, &avoided, |_| true) {
        limits.start(&step.engine);
        let attempt = attempt_at(*id, key, task);
        return Ok(Placed::Starts(Assignment { node, attempt, more: Vec::new(), claim }));
    }
    let closest = if told { None } else { index.closest(rooms, fit) };
    let waiting = match closest {
        None => Waiting::Busy(fit.busy()),
        Some(closest) => Waiting::NoRoom(Box::new(closest), fit.busy()),
    };
    let Some((node, claim)) = index.keep(rooms, fit, &avoided) else { return Err(waiting) };
    limits.start(&step.engine);
    Ok(Placed::Waits(waiting, node, claim))
}

/// The nodes that should leave a task to others, where there are others: those on which it failed, and of
/// a frame that is checked the one that rendered it, since a node agrees with itself.
pub(super) fn avoided(job: &Job, spec: &JobSpec, key: &TaskKey) -> BTreeSet<NodeId> {
    let failures = job.task(key).into_iter().flat_map(Task::failures_now);
    let mut avoided: BTreeSet<NodeId> = failures.map(|(key, _)| key.2).collect();
    if spec.is_check(key.step) && !spec.compares(key.step) {
        let made = spec.before(key).into_iter().filter_map(|key| job.task(&key)?.done());
        avoided.extend(made.map(|done| done.author));
    }
    avoided
}

fn attempt_at(job: JobId, key: TaskKey, task: &Task) -> AttemptKey {
    AttemptKey { job, task: key, generation: task.generation, attempt: task.next_attempt() }
}

/// The frames that are assigned with `first`: those that come next, as many as the job asks to go
/// into one process, or more where they are quick, and no more than its node has `room` for. One that failed goes
/// alone, so that it takes no others with it.
fn run_behind(candidate: &mut Candidate<'_>, first: &AttemptKey, room: usize) -> Vec<AttemptKey> {
    let Candidate { id, job, spec, next, .. } = candidate;
    let failed =
        |key: &TaskKey| job.task(key).is_none_or(|task| task.failures_now().next().is_some());
    let step = spec.steps.get(usize::from(first.task.step));
    let in_order = step.is_some_and(Step::is_in_order);
    let limit = step.map_or(1, |step| step.frames_per_task);
    let most = if in_order { MAX_IN_ORDER } else { MAX_RUN };
    let quick = job.mean_ms(TELLING).map_or(1, |mean| QUICK_MS / mean.max(1));
    let limit = u64::from(limit).max(quick).min(most as u64) as usize;
    let mut more = Vec::new();
    // A process renders those before it anyhow.
    let failed = |key: &TaskKey| !in_order && failed(key);
    // Who checks a frame must be another than who rendered it, of each by itself.
    if failed(&first.task) || spec.is_check(first.task.step) {
        return more;
    }
    let same_but_frame = |key: &TaskKey| TaskKey { frame: first.task.frame, ..*key } == first.task;
    while more.len() + 1 < limit
        && more.len() < room
        && let Some(key) = next.next_if(|key| same_but_frame(key) && !failed(key))
        && let Some(task) = job.task(&key)
    {
        more.push(attempt_at(*id, key, task));
    }
    more
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
