//! The plan: reconcile, filter, rank, place.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use super::{Assignment, Busy, NodeView, Plan, View, Waiting, feasible, rank};
use crate::ids::{JobId, NodeId};
use crate::job::spec::{JobSpec, Step};
use crate::job::status::startable;
use crate::job::table::{Job, Jobs, Task};
use crate::job::task::TaskKey;
use crate::wire::control::{AttemptKey, Closed};

/// The most frames that one assignment takes: reports name each of them.
pub const MAX_RUN: usize = 256;

/// How long quick tasks that are assigned together may take, in milliseconds: assigning one costs
/// two syncs and some messages, and nobody notices a node that is busy for so long.
pub const QUICK_MS: u64 = 200;
/// How many results of a job must be known before its tasks are called quick.
const TELLING: u32 = 8;

struct Candidate<'a> {
    id: JobId,
    job: &'a Job,
    spec: &'a JobSpec,
    next: Peekable<Box<dyn Iterator<Item = TaskKey> + 'a>>,
    /// Steps of which nothing more can be placed.
    blocked: BTreeSet<u16>,
}

/// What changes while a plan is made.
struct Room {
    idle: BTreeSet<NodeId>,
    /// How many processes run of each engine that has a limit: a run of frames is one.
    running: BTreeMap<String, u32>,
}

/// What should start where, given the facts and what runs already.
///
/// One task at a time goes to the job that is first in the queue, and each placement moves the
/// owner's share, so that owners take turns.
#[must_use]
pub fn plan(view: &View, jobs: &Jobs) -> Plan {
    let idle = view.nodes.iter().filter(|(_, node)| node.idle).map(|(id, _)| *id).collect();
    let mut room = Room { idle, running: running(view, jobs) };
    let mut shares = rank::shares(jobs, view);
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
            let next = next.peekable();
            Candidate { id, job, spec, next, blocked: BTreeSet::new() }
        })
        .collect();
    let mut plan = Plan::default();
    while !candidates.is_empty() {
        let first = candidates.iter().enumerate().min_by_key(|(_, c)| {
            let share = shares.get(&c.spec.owner).copied().unwrap_or(0);
            rank::place(c.id, c.job, c.spec, share)
        });
        let Some((at, _)) = first else { break };
        let candidate = &mut candidates[at];
        let blocked = &candidate.blocked;
        let Some(key) = candidate.next.find(|key| !blocked.contains(&key.step)) else {
            candidates.swap_remove(at);
            continue;
        };
        match place(view, &room, candidate, key) {
            Ok(mut assignment) => {
                assignment.more = run_behind(candidate, &assignment.attempt);
                room.idle.remove(&assignment.node);
                let engine = candidate.spec.steps.get(usize::from(key.step)).map(|s| &s.engine);
                if let Some(running) = engine.and_then(|engine| room.running.get_mut(engine)) {
                    *running += 1;
                }
                *shares.entry(candidate.spec.owner.clone()).or_default() += 1;
                plan.assignments.push(assignment);
            }
            Err(waiting) => {
                plan.waiting.entry(candidate.id).or_insert(waiting);
                // A task that failed somewhere may wait for another node; those behind it need not.
                let picky = candidate.job.task(&key).is_some_and(|t| t.failures_now().count() > 0);
                if !picky {
                    candidate.blocked.insert(key.step);
                }
                if room.idle.is_empty() || candidate.blocked.len() == candidate.spec.steps.len() {
                    candidates.swap_remove(at);
                }
            }
        }
    }
    plan
}

/// How many nodes work with each engine that has a limit.
fn running(view: &View, jobs: &Jobs) -> BTreeMap<String, u32> {
    let mut running: BTreeMap<String, u32> =
        view.limits.keys().map(|engine| (engine.clone(), 0)).collect();
    if running.is_empty() {
        return running;
    }
    let mut seen = BTreeSet::new();
    for (job, tasks) in &view.leased {
        let Some(spec) = jobs.get(job).and_then(Job::spec) else { continue };
        for (task, node) in tasks {
            let engine = spec.steps.get(usize::from(task.step)).map(|step| &step.engine);
            if let Some((engine, count)) =
                engine.and_then(|engine| Some((engine, running.get_mut(engine)?)))
                && seen.insert((engine, node))
            {
                *count += 1;
            }
        }
    }
    running
}

fn place(
    view: &View,
    room: &Room,
    candidate: &Candidate<'_>,
    key: TaskKey,
) -> Result<Assignment, Waiting> {
    let Candidate { id, job, spec, .. } = candidate;
    let Some((task, step)) = job.task(&key).zip(spec.steps.get(usize::from(key.step))) else {
        return Err(Waiting::NoNodeFits("the task names no step of its job".into()));
    };
    let (fitting, ram) = fitting(view, job, spec, step);
    if fitting.is_empty() {
        let why = feasible::explain(spec, step, view.nodes.values());
        return Err(Waiting::NoNodeFits(why.unwrap_or_default()));
    }
    if let (Some(limit), Some(running)) =
        (view.limits.get(&step.engine), room.running.get(&step.engine))
        && running >= limit
    {
        return Err(Waiting::Limit { engine: step.engine.clone(), limit: *limit });
    }
    let benched = |node: &NodeView| node.closed == Some(Closed::Benched);
    // Better a node that failed others than none at all.
    let only_benched = !fitting.values().any(|node| !node.off && node.closed.is_none());
    let open: BTreeMap<NodeId, &NodeView> = fitting
        .iter()
        .filter(|(_, node)| !node.off)
        .filter(|(_, node)| node.closed.is_none() || (only_benched && benched(node)))
        .map(|(id, node)| (*id, *node))
        .collect();
    let refused = |node: &NodeView| node.refused.get(&step.engine).cloned();
    if let Some(said) = open.values().next().and_then(|node| refused(node))
        && open.values().all(|node| refused(node).is_some())
    {
        return Err(Waiting::Licence { engine: step.engine.clone(), said });
    }
    let mut failed: BTreeSet<NodeId> = task.failures_now().map(|(key, _)| key.2).collect();
    // A frame that is checked is rendered by somebody else: a node agrees with itself.
    if spec.is_check(key.step) && !spec.compares(key.step) {
        let made = spec.before(&key).into_iter().filter_map(|key| job.task(&key)?.done.as_deref());
        failed.extend(made.map(|done| done.author));
    }
    // A task that failed somewhere waits for another node where one fits, even if that is busy.
    let fresh_exists = open.keys().any(|node| !failed.contains(node));
    let best = open
        .iter()
        .filter(|(node, _)| room.idle.contains(*node))
        .filter(|(_, node)| refused(node).is_none())
        .filter(|(node, _)| !(fresh_exists && failed.contains(*node)))
        .min_by_key(|(node, seen)| rank::suitability(id, node, seen, failed.contains(node)));
    match best {
        Some((node, _)) => {
            Ok(Assignment { node: *node, attempt: attempt_at(*id, key, task), more: Vec::new() })
        }
        None => {
            let there = || fitting.values().filter(|node| !node.off);
            let closed = |why| there().filter(|node| node.closed == Some(why)).count();
            Err(Waiting::Busy(Busy {
                fitting: fitting.len(),
                off: fitting.len() - there().count(),
                drained: closed(Closed::Drained),
                outside_hours: closed(Closed::Hours),
                benched: if only_benched { 0 } else { closed(Closed::Benched) },
                ram,
            }))
        }
    }
}

fn attempt_at(job: JobId, key: TaskKey, task: &Task) -> AttemptKey {
    AttemptKey { job, task: key, generation: task.generation, attempt: task.next_attempt() }
}

/// The frames that are assigned with `first`: those that come next, as many as the job asks to go
/// into one process, or more where they are quick. One that failed goes alone, so that it takes no
/// others with it.
fn run_behind(candidate: &mut Candidate<'_>, first: &AttemptKey) -> Vec<AttemptKey> {
    let Candidate { id, job, spec, next, .. } = candidate;
    let failed =
        |key: &TaskKey| job.task(key).is_none_or(|task| task.failures_now().next().is_some());
    let limit = spec.steps.get(usize::from(first.task.step)).map_or(1, |s| s.frames_per_task);
    let quick = job.mean_ms(TELLING).map_or(1, |mean| QUICK_MS / mean.max(1));
    let limit = u64::from(limit).max(quick).min(MAX_RUN as u64) as usize;
    let mut more = Vec::new();
    // Who checks a frame must be another than who rendered it, of each by itself.
    if failed(&first.task) || spec.is_check(first.task.step) {
        return more;
    }
    let same_but_frame = |key: &TaskKey| TaskKey { frame: first.task.frame, ..*key } == first.task;
    while more.len() + 1 < limit
        && let Some(key) = next.next_if(|key| same_but_frame(key) && !failed(key))
        && let Some(task) = job.task(&key)
    {
        more.push(attempt_at(*id, key, task));
    }
    more
}

/// The nodes that could take a step, and the memory that rules others out because tasks of the job
/// were seen to need it; 0 where that rules nobody out.
fn fitting<'a>(
    view: &'a View,
    job: &Job,
    spec: &JobSpec,
    step: &Step,
) -> (BTreeMap<NodeId, &'a NodeView>, u64) {
    let fits = view.nodes.iter().filter(|(_, node)| feasible::unfit(spec, step, node).is_none());
    let mut fitting: BTreeMap<NodeId, &NodeView> = fits.map(|(id, node)| (*id, node)).collect();
    let there = fitting.values().filter(|node| !node.off);
    let largest = there.map(|node| node.hardware.ram).max().unwrap_or(0);
    // Where nobody who is there has as much, the largest may just do.
    let wanted = job.memory_seen().min(largest);
    let before = fitting.len();
    fitting.retain(|_, node| node.hardware.ram >= wanted);
    let ram = if fitting.len() < before { wanted } else { 0 };
    (fitting, ram)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
