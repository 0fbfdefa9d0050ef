//! The plan by going through every node for every task, to compare the real one with: nothing is
//! remembered between two placements.

use std::collections::{BTreeMap, BTreeSet};

use crate::claim::{Ask, Demand, Portion};
use crate::ids::{JobId, NodeId};
use crate::job::spec::{JobSpec, Step};
use crate::job::status::startable;
use crate::job::table::{Job, Jobs};
use crate::job::task::TaskKey;
use crate::schedule::{
    Assignment, Busy, Closest, NodeView, Process, Room, View, Waiting, feasible, rank,
};
use crate::wire::control::{AttemptKey, Closed};

/// What should start where, one task each, and why jobs wait.
pub(super) fn plan(view: &View, jobs: &Jobs) -> (Vec<Assignment>, BTreeMap<JobId, Waiting>) {
    let (mut assignments, mut waiting) = (Vec::<Assignment>::new(), BTreeMap::new());
    let mut tried: BTreeSet<(JobId, TaskKey)> = BTreeSet::new();
    let mut state = State { began: view, kept: BTreeMap::new() };
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
        let (node, claim) = match place(&view, &state, jobs, id, job, spec, key) {
            Place::Starts(node, claim) => {
                let task = job.task(&key).unwrap();
                let (generation, attempt) = (task.generation, task.next_attempt());
                let attempt = AttemptKey { job: id, task: key, generation, attempt };
                let claim_ = claim.clone();
                assignments.push(Assignment { node, attempt, more: Vec::new(), claim: claim_ });
                let seen = view.nodes.get_mut(&node).unwrap();
                seen.room = match &seen.room {
                    Room::Part(free) => Room::Part(free.without(&claim)),
                    Room::Whole if spec.share => {
                        Room::Part(Portion::all(&seen.hardware).without(&claim))
                    }
                    Room::Whole | Room::Nothing => Room::Nothing,
                };
                (node, claim)
            }
            Place::Waits(why, keep) => {
                waiting.entry(id).or_insert(why);
                let Some((node, demand)) = keep else {
                    tried.insert((id, key));
                    continue;
                };
                let (all, free) =
                    (Portion::all(&view.nodes[&node].hardware), free(&view.nodes[&node]).unwrap());
                let (claim, there_is) = match demand {
                    Demand::Node => (all, free),
                    Demand::Share(ask) => (ask.what_there_is(&all), ask.what_there_is(&free)),
                };
                state.kept.insert(node, there_is);
                (node, claim)
            }
        };
        // What is kept counts as what is placed.
        view.leased.entry(id).or_default().insert(key, node);
        view.processes.push(Process { node, job: id, step: key.step, claim });
        let turn = view.served.values().max().unwrap_or(&0) + 1;
        view.served.insert(spec.owner.clone(), turn);
    }
}

/// What a plan remembers while it is made.
struct State<'a> {
    /// What it began with.
    began: &'a View,
    /// What is kept of nodes for tasks that found no room.
    kept: BTreeMap<NodeId, Portion>,
}

fn free(node: &NodeView) -> Option<Portion> {
    match &node.room {
        Room::Part(free) => Some(free.clone()),
        Room::Nothing | Room::Whole => None,
    }
}

/// How many processes run of an engine.
fn running(view: &View, jobs: &Jobs, engine: &str) -> u32 {
    let mut nodes = BTreeSet::new();
    for (job, tasks) in &view.leased {
        let spec = jobs.get(job).and_then(Job::spec).unwrap();
        if spec.share {
            continue;
        }
        let with =
            tasks.iter().filter(|(key, _)| spec.steps[usize::from(key.step)].engine == engine);
        nodes.extend(with.map(|(_, node)| *node));
    }
    let shares = view.processes.iter().filter(|process| {
        let spec = jobs.get(&process.job).and_then(Job::spec).unwrap();
        spec.share && spec.steps[usize::from(process.step)].engine == engine
    });
    u32::try_from(nodes.len() + shares.count()).unwrap()
}

/// Where a task goes, and with what; or why nowhere, and what is kept for it where.
enum Place {
    Starts(NodeId, Portion),
    Waits(Waiting, Option<(NodeId, Demand)>),
}

fn place(
    view: &View,
    state: &State<'_>,
    jobs: &Jobs,
    id: JobId,
    job: &Job,
    spec: &JobSpec,
    key: TaskKey,
) -> Place {
    let (task, step) = (job.task(&key).unwrap(), &spec.steps[usize::from(key.step)]);
    let (fitting, ram) = fitting(view, job, spec, step);
    if fitting.is_empty() {
        let why = feasible::explain(spec, step, view.nodes.values());
        return Place::Waits(Waiting::NoNodeFits(why.unwrap_or_default()), None);
    }
    if let Some(limit) = view.limits.get(&step.engine)
        && running(view, jobs, &step.engine) >= *limit
    {
        return Place::Waits(Waiting::Limit { engine: step.engine.clone(), limit: *limit }, None);
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
        return Place::Waits(Waiting::Licence { engine: step.engine.clone(), said }, None);
    }
    let failed: BTreeSet<NodeId> = task.failures_now().map(|(key, _)| key.2).collect();
    // A task that failed somewhere waits for another node where one fits, even if that is busy.
    let fresh_exists = open.keys().any(|node| !failed.contains(node));
    let wanted = {
        let there = fitting.values().filter(|node| !node.off);
        job.memory_seen().min(there.map(|node| node.hardware.ram).max().unwrap_or(0))
    };
    let demand = |node: &NodeView| match spec.share {
        true => Demand::Share(Ask::new(&spec.needs, &node.hardware, wanted)),
        false => Demand::Node,
    };
    let licensed = open.iter().filter(|(_, node)| refused(node).is_none());
    let licensed: Vec<(NodeId, &NodeView)> = licensed.map(|(id, node)| (*id, *node)).collect();
    let able: Vec<(NodeId, &NodeView)> = licensed
        .iter()
        .filter(|(node, _)| !(fresh_exists && failed.contains(node)))
        .copied()
        .collect();
    let offer = |id: &NodeId, node: &NodeView| match (demand(node), &node.room) {
        (Demand::Node, Room::Whole) => Some(Portion::all(&node.hardware)),
        (Demand::Share(ask), Room::Whole) => ask.of(&Portion::all(&node.hardware)).ok(),
        (Demand::Share(ask), Room::Part(free)) => {
            let kept = state.kept.get(id).cloned().unwrap_or_default();
            ask.of(&free.without(&kept)).ok()
        }
        (Demand::Node, Room::Part(_)) | (_, Room::Nothing) => None,
    };
    let best = able.iter().filter_map(|(node, seen)| Some((node, seen, offer(node, seen)?)));
    let best = best.min_by_key(|(node, seen, _)| {
        let untouched = spec.share && state.began.nodes[*node].room == Room::Whole;
        (seen.price, !seen.holds.contains(&id), untouched, **node)
    });
    if let Some((node, _, claim)) = best {
        return Place::Starts(*node, claim);
    }
    let there = || fitting.values().filter(|node| !node.off);
    let closed = |why| there().filter(|node| node.closed == Some(why)).count();
    let busy = Busy {
        fitting: fitting.len(),
        off: fitting.len() - there().count(),
        drained: closed(Closed::Drained),
        outside_hours: closed(Closed::Hours),
        in_use: closed(Closed::InUse),
        benched: if only_benched { 0 } else { closed(Closed::Benched) },
        disk: closed(Closed::Disk),
        ram,
    };
    // Where least is missing; those that had no core left when the plan was begun are as good as full.
    let had_room = |id: &NodeId| match &state.began.nodes[id].room {
        Room::Part(free) => free.cores > 0,
        Room::Whole => true,
        Room::Nothing => false,
    };
    let missing = |id: &NodeId, node: &NodeView| {
        let free = free(node).filter(|_| had_room(id))?;
        Some((demand(node).missing(&node.hardware, &free), node.price, *id))
    };
    let closest = licensed.iter().filter_map(|(id, node)| missing(id, node)).min();
    let waiting = match closest {
        None => Waiting::Busy(busy),
        Some((.., id)) => {
            let node = &view.nodes[&id];
            let (has, kept) = (Portion::all(&node.hardware), state.kept.contains_key(&id));
            let (wants, free) = (demand(node), free(node).unwrap());
            Waiting::NoRoom(Box::new(Closest { node: id, wants, has, free, kept }), busy)
        }
    };
    let open_still = |id: &NodeId, node: &NodeView| {
        free(node).is_some_and(|free| free.cores > 0) && !state.kept.contains_key(id)
    };
    let keep = able.iter().filter(|(id, node)| open_still(id, node));
    let keep = keep.filter_map(|(id, node)| missing(id, node)).min();
    Place::Waits(waiting, keep.map(|(.., id)| (id, demand(&view.nodes[&id]))))
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
