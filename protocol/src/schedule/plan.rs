//! The plan: reconcile, filter, rank, place.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assignment, Plan, View, Waiting, feasible, rank};
use crate::ids::{JobId, NodeId};
use crate::job::spec::{JobSpec, Step};
use crate::job::status::startable;
use crate::job::table::{Job, Jobs};
use crate::job::task::TaskKey;
use crate::wire::control::AttemptKey;

struct Candidate<'a> {
    id: JobId,
    job: &'a Job,
    spec: &'a JobSpec,
    next: std::iter::Peekable<Box<dyn Iterator<Item = TaskKey> + 'a>>,
}

/// What should start where, given the facts and what runs already.
///
/// One task at a time goes to the job that is first in the queue, and each placement moves the
/// owner's share, so that owners take turns.
#[must_use]
pub fn plan(view: &View, jobs: &Jobs) -> Plan {
    let mut idle: BTreeSet<NodeId> =
        view.nodes.iter().filter(|(_, node)| node.idle).map(|(id, _)| *id).collect();
    let mut shares = rank::shares(jobs, view);
    let nothing = BTreeSet::new();
    let mut candidates: Vec<Candidate<'_>> = jobs
        .iter()
        .filter(|(_, job, _)| job.open().next().is_some())
        .map(|(id, job, spec)| {
            let leased = view.leased.get(&id).unwrap_or(&nothing);
            let startable: Box<dyn Iterator<Item = TaskKey>> =
                Box::new(startable(job).filter(|key| !leased.contains(key)));
            Candidate { id, job, spec, next: startable.peekable() }
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
        let Some(key) = candidate.next.next() else {
            candidates.swap_remove(at);
            continue;
        };
        match place(view, &idle, candidate, key) {
            Ok(assignment) => {
                idle.remove(&assignment.node);
                *shares.entry(candidate.spec.owner.clone()).or_default() += 1;
                plan.assignments.push(assignment);
            }
            Err(waiting) => {
                plan.waiting.insert(candidate.id, waiting);
                candidates.swap_remove(at);
            }
        }
    }
    plan
}

fn place(
    view: &View,
    idle: &BTreeSet<NodeId>,
    candidate: &Candidate<'_>,
    key: TaskKey,
) -> Result<Assignment, Waiting> {
    let Candidate { id, job, spec, .. } = candidate;
    let Some((task, step)) = job.task(&key).zip(spec.steps.get(usize::from(key.step))) else {
        return Err(Waiting::NoNodeFits("the task names no step of its job".into()));
    };
    let failed: BTreeSet<NodeId> = task.failures_now().map(|(key, _)| key.2).collect();
    let fitting = fitting(view, spec, step);
    // A task that failed somewhere waits for another node where one fits, even if that is busy.
    let fresh_exists = fitting.keys().any(|node| !failed.contains(node));
    let best = fitting
        .iter()
        .filter(|(node, _)| idle.contains(*node))
        .filter(|(node, _)| !(fresh_exists && failed.contains(*node)))
        .min_by_key(|(node, seen)| rank::suitability(id, node, seen, failed.contains(node)));
    match best {
        Some((node, _)) => Ok(Assignment {
            node: *node,
            attempt: AttemptKey {
                job: *id,
                task: key,
                generation: task.generation,
                attempt: task.next_attempt(),
            },
        }),
        None => Err(match feasible::explain(spec, step, view.nodes.values()) {
            Some(why) => Waiting::NoNodeFits(why),
            None => Waiting::Busy { fitting: fitting.len() },
        }),
    }
}

fn fitting<'a>(
    view: &'a View,
    spec: &JobSpec,
    step: &Step,
) -> BTreeMap<NodeId, &'a super::NodeView> {
    let fits = view.nodes.iter().filter(|(_, node)| feasible::unfit(spec, step, node).is_none());
    fits.map(|(id, node)| (*id, node)).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
