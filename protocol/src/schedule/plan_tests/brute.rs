//! The plan by going through every node for every task, to compare the real one with: nothing is
//! remembered between two placements.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{JobId, NodeId};
use crate::job::spec::{JobSpec, Step};
use crate::job::status::startable;
use crate::job::table::{Job, Jobs};
use crate::job::task::TaskKey;
use crate::schedule::{Assignment, Busy, NodeView, View, Waiting, feasible, rank};
use crate::wire::control::{AttemptKey, Closed};

/// What should start where, one task each, and why jobs wait.
pub(super) fn plan(view: &View, jobs: &Jobs) -> (Vec<Assignment>, BTreeMap<JobId, Waiting>) {
    let (mut assignments, mut waiting) = (Vec::<Assignment>::new(), BTreeMap::new());
    let mut tried: BTreeSet<(JobId, TaskKey)> = BTreeSet::new();
    let mut view = view.clone();
    loop {
        let shares = rank::shares(jobs, &view);
        let open = |id: &JobId, job: &Job| -> Option<TaskKey> {
            let leased = |key: &TaskKey| view.leased.get(id).is_some_and(|l| l.contains_key(key));
            startable(job).find(|key| !leased(key) && !tried.contains(&(*id, *key)))
        };
        let next = jobs
            .iter()
            .filter_map(|(id, job, spec)| Some((id, job, spec, open(&id, job)?)))
            .min_by_key(|(id, job, spec, _)| {
                let served = view.served.get(&spec.owner).copied().unwrap_or(0);
                rank::place(*id, job, spec, 0).with_share(shares[&spec.owner], served)
            });
        let Some((id, job, spec, key)) = next else { return (assignments, waiting) };
        match place(&view, jobs, id, job, spec, key) {
            Ok(node) => {
                let task = job.task(&key).unwrap();
                let (generation, attempt) = (task.generation, task.next_attempt());
                let attempt = AttemptKey { job: id, task: key, generation, attempt };
                assignments.push(Assignment { node, attempt, more: Vec::new() });
                view.nodes.get_mut(&node).unwrap().idle = false;
                view.leased.entry(id).or_default().insert(key, node);
                let turn = view.served.values().max().unwrap_or(&0) + 1;
                view.served.insert(spec.owner.clone(), turn);
            }
            Err(why) => {
                waiting.entry(id).or_insert(why);
                tried.insert((id, key));
            }
        }
    }
}

/// How many nodes work with an engine.
fn running(view: &View, jobs: &Jobs, engine: &str) -> u32 {
    let mut nodes = BTreeSet::new();
    for (job, tasks) in &view.leased {
        let spec = jobs.get(job).and_then(Job::spec).unwrap();
        let with =
            tasks.iter().filter(|(key, _)| spec.steps[usize::from(key.step)].engine == engine);
        nodes.extend(with.map(|(_, node)| *node));
    }
    u32::try_from(nodes.len()).unwrap()
}

fn place(
    view: &View,
    jobs: &Jobs,
    id: JobId,
    job: &Job,
    spec: &JobSpec,
    key: TaskKey,
) -> Result<NodeId, Waiting> {
    let (task, step) = (job.task(&key).unwrap(), &spec.steps[usize::from(key.step)]);
    let (fitting, ram) = fitting(view, job, spec, step);
    if fitting.is_empty() {
        let why = feasible::explain(spec, step, view.nodes.values());
        return Err(Waiting::NoNodeFits(why.unwrap_or_default()));
    }
    if let Some(limit) = view.limits.get(&step.engine)
        && running(view, jobs, &step.engine) >= *limit
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
    let failed: BTreeSet<NodeId> = task.failures_now().map(|(key, _)| key.2).collect();
    // A task that failed somewhere waits for another node where one fits, even if that is busy.
    let fresh_exists = open.keys().any(|node| !failed.contains(node));
    let best = open
        .iter()
        .filter(|(_, node)| node.idle)
        .filter(|(_, node)| refused(node).is_none())
        .filter(|(node, _)| !(fresh_exists && failed.contains(*node)))
        .min_by_key(|(node, seen)| (seen.price, !seen.holds.contains(&id), **node));
    match best {
        Some((node, _)) => Ok(*node),
        None => {
            let there = || fitting.values().filter(|node| !node.off);
            let closed = |why| there().filter(|node| node.closed == Some(why)).count();
            Err(Waiting::Busy(Busy {
                fitting: fitting.len(),
                off: fitting.len() - there().count(),
                drained: closed(Closed::Drained),
                outside_hours: closed(Closed::Hours),
                in_use: closed(Closed::InUse),
                benched: if only_benched { 0 } else { closed(Closed::Benched) },
                disk: closed(Closed::Disk),
                ram,
            }))
        }
    }
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
