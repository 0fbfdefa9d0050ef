#[path = "plan_tests/brute.rs"]
mod brute;
#[path = "plan_tests/second.rs"]
mod second;
#[path = "plan_tests/shares.rs"]
mod shares;

use proptest::prelude::*;

use super::*;
use crate::claim::Portion;
use crate::fact::{Body, Outcomes};
use crate::hardware::Gpu;
use crate::hardware::{GIB, Hardware, Needs};
use crate::ids::NodeId;
use crate::job::control::Action;
use crate::job::outcome::{Ending, FailureKind, Outcome};
use crate::job::samples::{control, done, fact, failed, node, outcome, run, spec};
use crate::job::spec::COMPARE;
use crate::schedule::{Busy, NodeView, Process, Room};
use crate::time::Unix;
use crate::wire::control::Closed;

fn machine(ram: u64) -> NodeView {
    NodeView {
        hardware: Hardware { cpu_cores: 8, ram: ram * GIB, ..Hardware::default() },
        engines: [("demo".to_owned(), "1".to_owned())].into(),
        renders: true,
        room: Room::Whole,
        ..NodeView::default()
    }
}

fn view(nodes: impl IntoIterator<Item = (u8, NodeView)>) -> View {
    let nodes = nodes.into_iter().map(|(n, view)| (node(n), view)).collect();
    View { nodes, ..View::default() }
}

fn submit(jobs: &mut Jobs, spec: JobSpec) -> JobId {
    let id = spec.id();
    jobs.apply(fact(u64::from(spec.nonce[0])), node(1), &Body::Spec(Box::new(spec)));
    id
}

fn frames(plan: &Plan) -> Vec<i32> {
    plan.assignments.iter().map(|assignment| assignment.attempt.task.frame).collect()
}

#[test]
fn frames_go_to_idle_nodes_in_order() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, spec(9));
    let mut view = view([(1, machine(16)), (2, machine(16)), (3, machine(16))]);
    view.leased.insert(id, [(TaskKey::frame(1), node(1))].into());
    view.nodes.get_mut(&node(1)).unwrap().room = Room::Nothing;
    let plan = plan(&view, &jobs);
    assert_eq!(frames(&plan), [2, 3]);
    assert_eq!(plan.waiting[&id], Waiting::Busy(Busy { fitting: 3, ..Busy::default() }));
}

#[test]
fn the_cheapest_node_is_taken_and_of_equal_ones_one_that_has_the_inputs() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, spec(1));
    let cheap = NodeView { price: 5, ..machine(16) };
    let dear = NodeView { price: 9, ..machine(16) };
    let view_of = |a: &NodeView, b: &NodeView| view([(1, a.clone()), (2, b.clone())]);
    assert_eq!(plan(&view_of(&dear, &cheap), &jobs).assignments[0].node, node(2));
    let near = NodeView { holds: [id].into(), ..dear.clone() };
    assert_eq!(plan(&view_of(&near, &cheap), &jobs).assignments[0].node, node(2));
    assert_eq!(plan(&view_of(&dear, &near), &jobs).assignments[0].node, node(2));
}

#[test]
fn what_no_node_has_is_said_with_the_best_there_is() {
    let mut jobs = Jobs::new();
    let needs = Needs { ram: 64 * GIB, cores: 4, ..Needs::default() };
    let id = submit(&mut jobs, JobSpec { needs, ..spec(1) });
    let plan = plan(&view([(1, machine(16)), (2, machine(32))]), &jobs);
    let why = "64 GiB of RAM are asked, and the largest node has 32 GiB".to_owned();
    assert_eq!(plan.waiting[&id], Waiting::NoNodeFits(why));
    assert!(plan.assignments.is_empty());
}

#[test]
fn a_retry_avoids_the_node_that_failed_while_another_fits() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, JobSpec { retries: 3, ..spec(1) });
    let outcomes = vec![outcome(1, 0, 1, failed("x"))];
    jobs.apply(fact(99), node(1), &Body::Outcomes(Outcomes { job: id, outcomes }));
    let both = view([(1, machine(16)), (2, machine(16))]);
    let assignment = &plan(&both, &jobs).assignments[0];
    assert_eq!((assignment.node, assignment.attempt.attempt), (node(2), 2));
    // Where it is the only one, it tries again.
    assert_eq!(plan(&view([(1, machine(16))]), &jobs).assignments[0].node, node(1));
}

#[test]
fn priority_then_turns_between_owners_then_age() {
    let mut jobs = Jobs::new();
    let job = |nonce: u8, owner: &str, priority: u8, submitted: u64| JobSpec {
        nonce: [nonce; 16],
        owner: owner.into(),
        priority,
        submitted: crate::time::Unix(submitted),
        ..spec(9)
    };
    let first = submit(&mut jobs, job(1, "ada", 50, 1));
    let second = submit(&mut jobs, job(2, "bob", 50, 2));
    let view = view((1..=4).map(|n| (n, machine(16))));
    let owners: Vec<JobId> = plan(&view, &jobs).assignments.iter().map(|a| a.attempt.job).collect();
    assert_eq!(owners, [first, second, first, second]);
    let urgent = submit(&mut jobs, job(3, "ada", 90, 3));
    let jobs_served: BTreeSet<JobId> =
        plan(&view, &jobs).assignments.iter().map(|a| a.attempt.job).collect();
    assert_eq!(jobs_served, BTreeSet::from([urgent]));
}

#[test]
fn where_there_are_more_owners_than_nodes_they_take_turns() {
    let mut jobs = Jobs::new();
    for (nonce, owner) in [(1, "ada"), (2, "bo"), (3, "cy")] {
        let submitted = Unix(u64::from(nonce));
        submit(
            &mut jobs,
            JobSpec { nonce: [nonce; 16], owner: owner.into(), submitted, ..spec(9) },
        );
    }
    let mut view = view([(1, machine(16))]);
    let mut turns = Vec::new();
    for turn in 1..=6 {
        let first = plan(&view, &jobs).assignments[0].attempt.job;
        let owner = jobs.get(&first).and_then(Job::spec).unwrap().owner.clone();
        view.served.insert(owner.clone(), turn);
        turns.push(owner);
    }
    assert_eq!(turns, ["ada", "bo", "cy", "ada", "bo", "cy"]);
}

#[test]
fn test_frames_alone_start_first() {
    let mut jobs = Jobs::new();
    submit(&mut jobs, JobSpec { test_frames: vec![run(7, 7)], ..spec(9) });
    let plan = plan(&view([(1, machine(16)), (2, machine(16))]), &jobs);
    assert_eq!(frames(&plan), [7]);
    assert!(plan.waiting.is_empty(), "it waits for its test frames, not for nodes");
}

#[test]
fn closed_nodes_get_nothing_and_that_is_said() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, spec(9));
    let closed = |why| NodeView { closed: Some(why), ..machine(16) };
    let view = view([
        (1, closed(Closed::Drained)),
        (2, closed(Closed::Hours)),
        (3, closed(Closed::Benched)),
        (4, machine(16)),
        (5, closed(Closed::InUse)),
        (6, closed(Closed::Disk)),
    ]);
    let plan = plan(&view, &jobs);
    let nodes: Vec<NodeId> = plan.assignments.iter().map(|assignment| assignment.node).collect();
    assert_eq!(nodes, [node(4)]);
    let busy = Busy {
        fitting: 6,
        drained: 1,
        outside_hours: 1,
        in_use: 1,
        benched: 1,
        disk: 1,
        ..Busy::default()
    };
    assert_eq!(plan.waiting[&id], Waiting::Busy(busy));
}

#[test]
fn a_node_that_is_off_is_waited_for() {
    let mut jobs = Jobs::new();
    let needs = Needs { ram: 32 * GIB, ..Needs::default() };
    let id = submit(&mut jobs, JobSpec { needs, ..spec(9) });
    let off = NodeView { off: true, room: Room::Nothing, ..machine(32) };
    let there = NodeView { room: Room::Nothing, ..machine(64) };
    let alone = plan(&view([(1, off.clone()), (2, machine(16))]), &jobs);
    assert_eq!(alone.waiting[&id], Waiting::Busy(Busy { fitting: 1, off: 1, ..Busy::default() }));
    let both = plan(&view([(1, off.clone()), (2, there)]), &jobs);
    assert_eq!(both.waiting[&id], Waiting::Busy(Busy { fitting: 2, off: 1, ..Busy::default() }));
    let benched = NodeView { closed: Some(Closed::Benched), ..machine(32) };
    assert_eq!(frames(&plan(&view([(1, off), (2, benched)]), &jobs)), [1], "better than none");
}

#[test]
fn a_benched_node_is_better_than_none() {
    let mut jobs = Jobs::new();
    submit(&mut jobs, spec(9));
    let benched = NodeView { closed: Some(Closed::Benched), ..machine(16) };
    assert_eq!(frames(&plan(&view([(1, benched.clone())]), &jobs)), [1]);
    let drained = NodeView { closed: Some(Closed::Drained), ..machine(16) };
    assert_eq!(frames(&plan(&view([(1, benched), (2, drained)]), &jobs)), [1]);
}

#[test]
fn limits_count_what_runs_already() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, spec(9));
    let mut view = view((1..=5).map(|n| (n, machine(16))));
    view.limits.insert("demo".into(), 3);
    view.leased.insert(id, [(TaskKey::frame(1), node(6))].into());
    let planned = plan(&view, &jobs);
    assert_eq!(frames(&planned), [2, 3]);
    // A run of frames is one process.
    view.leased.insert(id, [4, 5, 6].map(|frame| (TaskKey::frame(frame), node(6))).into());
    let plan = plan(&view, &jobs);
    assert_eq!(frames(&plan), [1, 2]);
    assert_eq!(plan.waiting[&id], Waiting::Limit { engine: "demo".into(), limit: 3 });
}

#[test]
fn memory_that_was_seen_to_be_needed_rules_small_nodes_out() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, JobSpec { retries: 3, ..spec(9) });
    let killed = Outcome {
        peak_memory: 14 * GIB,
        ..outcome(1, 0, 1, Ending::Failed { kind: FailureKind::Memory, message: "killed".into() })
    };
    jobs.apply(fact(9), node(9), &Body::Outcomes(Outcomes { job: id, outcomes: vec![killed] }));
    let sizes = view([(1, machine(16)), (2, machine(32)), (3, machine(16))]);
    let plan_of = |view: &View| plan(view, &jobs);
    let planned = plan_of(&sizes);
    assert_eq!(planned.assignments.len(), 1, "14 GiB were not enough");
    assert_eq!(planned.assignments[0].node, node(2));
    let busy = Busy { fitting: 1, ram: 21 * GIB, ..Busy::default() };
    assert_eq!(planned.waiting[&id], Waiting::Busy(busy));
    // Where nobody has that much, the largest try.
    let planned = plan_of(&view([(1, machine(16)), (2, machine(18)), (3, machine(18))]));
    let nodes: BTreeSet<NodeId> = planned.assignments.iter().map(|a| a.node).collect();
    assert_eq!(nodes, [node(2), node(3)].into());
}

#[test]
fn a_task_that_waits_for_another_node_keeps_nobody_behind_it() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, JobSpec { retries: 3, ..spec(3) });
    let outcomes = vec![outcome(1, 0, 1, failed("x"))];
    jobs.apply(fact(99), node(1), &Body::Outcomes(Outcomes { job: id, outcomes }));
    let busy = NodeView { room: Room::Nothing, ..machine(16) };
    assert_eq!(frames(&plan(&view([(1, machine(16)), (2, busy)]), &jobs)), [2]);
}

#[test]
fn a_frame_that_another_node_must_check_keeps_nobody_behind_it() {
    let mut jobs = Jobs::new();
    let mut spec = JobSpec { check: 100, ..spec(4) };
    let again = Step { name: "again".into(), after: vec![0], ..spec.steps[0].clone() };
    let compare = Step { engine: COMPARE.into(), after: vec![0, 1], ..again.clone() };
    spec.steps.extend([again, compare]);
    spec.check_bounds().unwrap();
    let id = submit(&mut jobs, spec);
    // The first node rendered two of the frames, and the second, which has no time just now, the others.
    for (n, frames) in [(1, [1, 3]), (2, [2, 4])] {
        let outcomes = frames.map(|frame| outcome(frame, 0, 1, done())).into();
        let body = Body::Outcomes(Outcomes { job: id, outcomes });
        jobs.apply(fact(100 + u64::from(n)), node(n), &body);
    }
    let busy = NodeView { room: Room::Nothing, ..machine(16) };
    let plan = plan(&view([(1, machine(16)), (2, busy)]), &jobs);
    assert_eq!(frames(&plan), [2]);
    assert_eq!(plan.assignments[0].node, node(1));
}

#[test]
fn what_stored_results_are_sought_for_waits_for_these() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, spec(2));
    let mut view = view([(1, machine(16)), (2, machine(16)), (3, machine(16))]);
    view.sought.insert(id, None);
    let found = plan(&view, &jobs);
    assert_eq!((frames(&found), found.waiting.get(&id)), (vec![], Some(&Waiting::Results)));
    view.sought.insert(id, Some([TaskKey::frame(1)].into()));
    let found = plan(&view, &jobs);
    assert_eq!((frames(&found), found.waiting.get(&id)), (vec![2], Some(&Waiting::Results)));
    // That no node is left for the others is said first.
    view.nodes.values_mut().for_each(|node| node.room = Room::Nothing);
    assert!(matches!(plan(&view, &jobs).waiting[&id], Waiting::Busy(_)));
    // Who is paused waits for somebody.
    jobs.apply(fact(99), node(1), &Body::Control(control(id, 1, Action::Pause)));
    assert_eq!(plan(&view, &jobs).waiting.get(&id), None);
}

/// A studio and its jobs, small enough to go through everything.
fn world() -> impl Strategy<Value = (View, Jobs)> {
    world_with(3, false)
}

/// The same with jobs that ask for so many frames in a process at most, and of which some claim `shares`
/// where there are such.
fn world_with(together: u32, shares: bool) -> impl Strategy<Value = (View, Jobs)> {
    let closed = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Closed::Drained)),
        1 => Just(Some(Closed::Hours)),
        1 => Just(Some(Closed::InUse)),
        1 => Just(Some(Closed::Benched)),
        1 => Just(Some(Closed::Disk)),
    ];
    let engines = prop_oneof![Just("demo"), Just("other")];
    let refused = prop_oneof![4 => Just(false), 1 => Just(true)];
    let holds = proptest::collection::btree_set(1..4u8, 0..3);
    let room = match shares {
        false => Just(Room::Whole).boxed(),
        true => {
            let part = (0..8u32, 0..3u64, 0..4u32).prop_map(|(cores, ram, gpus)| {
                let gpus = (0..2).filter(|card| gpus & (1 << card) != 0).collect();
                Room::Part(Portion { cores, ram: ram * 8 * GIB, gpus })
            });
            prop_oneof![1 => Just(Room::Whole), 2 => part].boxed()
        }
    };
    let nodes = (1..4u64, 0..3u8, closed, engines.clone(), refused, 0..3u32, holds, room).prop_map(
        move |(size, there, closed, engine, refused, price, holds, room)| NodeView {
            holds: holds.into_iter().map(|n| JobId([n; 32])).collect(),
            off: there == 0,
            room: if there == 2 { room } else { Room::Nothing },
            closed,
            price,
            engines: [(engine.to_owned(), "1".to_owned())].into(),
            refused: refused.then(|| (engine.to_owned(), "no".to_owned())).into_iter().collect(),
            hardware: Hardware {
                gpus: vec![Gpu { model: "RTX".into(), memory: GIB }; if shares { 2 } else { 0 }],
                ..machine(size * 16).hardware
            },
            ..machine(size * 16)
        },
    );
    let failures = proptest::collection::vec((1..4i32, 1..6u8), 0..3);
    let claims = (0..if shares { 3u8 } else { 1 }, 0..9u32, 0..3u32);
    // Its priority, whether a test frame goes first, the memory in GiB for want of which one was killed, and whether
    // its last frame runs already.
    let standing = (0..3u8, any::<bool>(), 0..3u64, any::<bool>());
    let jobs = (0..3u64, 1..4i32, 1..=together, engines, failures, claims, standing);
    let limits = proptest::option::of(0..3u32);
    let (nodes, jobs) =
        (proptest::collection::vec(nodes, 1..6), proptest::collection::vec(jobs, 1..4));
    (nodes, jobs, limits).prop_map(|(nodes, wanted, limit)| {
        let mut view = view((1..).zip(nodes));
        view.limits.extend(limit.map(|limit| ("demo".to_owned(), limit)));
        view.served.insert("ada".into(), limit.unwrap_or(0).into());
        let mut jobs = Jobs::new();
        let mut facts = 1000;
        for (nonce, (ram, frames, together, engine, failures, claims, standing)) in
            (1..).zip(wanted)
        {
            let (share, cores, gpus) = claims;
            let share = share > 0;
            let mut needs = Needs { ram: ram * 16 * GIB, ..Needs::default() };
            if share {
                needs = Needs { ram: ram * 8 * GIB, cores, gpus, ..needs };
            }
            let mut spec = JobSpec { nonce: [nonce; 16], needs, retries: 5, share, ..spec(frames) };
            spec.steps[0].engine = engine.to_owned();
            spec.steps[0].frames_per_task = together;
            spec.owner = if nonce % 2 == 0 { "bo" } else { "ada" }.into();
            let (priority, tested, killed, runs) = standing;
            spec.priority = priority * 40;
            spec.test_frames = tested.then(|| run(1, 1)).into_iter().collect();
            let job = submit(&mut jobs, spec);
            for node in view.nodes.values_mut() {
                if node.holds.remove(&JobId([nonce; 32])) {
                    node.holds.insert(job);
                }
            }
            for (frame, who) in failures {
                facts += 1;
                let outcomes = vec![outcome(frame, 0, 1, failed("x"))];
                jobs.apply(fact(facts), node(who), &Body::Outcomes(Outcomes { job, outcomes }));
            }
            if killed > 0 {
                facts += 1;
                let kind = FailureKind::Memory;
                let ending = Ending::Failed { kind, message: "killed".into() };
                let peak_memory = killed * 16 * GIB;
                let outcomes = vec![Outcome { peak_memory, ..outcome(1, 0, 1, ending) }];
                jobs.apply(fact(facts), node(6), &Body::Outcomes(Outcomes { job, outcomes }));
            }
            let mut full = view.nodes.iter().filter(|(_, node)| node.room == Room::Nothing);
            if let Some((at, _)) = full.next().filter(|_| runs && !share) {
                view.leased.entry(job).or_default().insert(TaskKey::frame(frames), *at);
            }
            let in_parts = view.nodes.iter().filter_map(|(id, node)| match &node.room {
                Room::Part(free) => Some((*id, Portion::all(&node.hardware).without(free))),
                Room::Nothing | Room::Whole => None,
            });
            if share && view.processes.is_empty() {
                let process = |(node, claim)| Process { node, job, step: 0, claim };
                view.processes = in_parts.map(process).collect();
            }
        }
        (view, jobs)
    })
}

/// Whether a node may take a task, worked out from the rules one by one.
fn may_take(view: &View, jobs: &Jobs, at: NodeId, job: JobId, key: TaskKey) -> bool {
    let spec = jobs.get(&job).and_then(Job::spec).unwrap();
    let engine = &spec.steps[0].engine;
    let could =
        |node: &NodeView| node.engines.contains_key(engine) && node.hardware.ram >= spec.needs.ram;
    let able = view.nodes.values().filter(|node| could(node) && !node.off);
    let largest = able.map(|node| node.hardware.ram).max().unwrap_or(0);
    let seen = jobs.get(&job).unwrap().memory_seen().min(largest);
    let fits = |node: &NodeView| could(node) && node.hardware.ram >= seen;
    let fitting: Vec<_> = view.nodes.iter().filter(|(_, node)| fits(node)).collect();
    let there = || fitting.iter().filter(|(_, node)| !node.off);
    let none_open = there().all(|(_, node)| node.closed.is_some());
    let benched = |node: &NodeView| node.closed == Some(Closed::Benched);
    let open =
        |node: &NodeView| !node.off && (node.closed.is_none() || (none_open && benched(node)));
    let failed_on = |id: &NodeId| {
        jobs.get(&job).unwrap().task(&key).unwrap().failures_now().any(|(key, _)| key.2 == *id)
    };
    let fresh = fitting.iter().any(|(id, node)| open(node) && !failed_on(id));
    let node = &view.nodes[&at];
    fits(node) && open(node) && !node.refused.contains_key(engine) && !(fresh && failed_on(&at))
}

proptest! {
    /// What is planned is allowed, and nothing that could start as well is left out: compared with going
    /// through every idle node and every task that is left.
    #[test]
    fn a_plan_is_allowed_and_leaves_no_idle_node_to_what_it_could_take((view, jobs) in world()) {
        let plan = plan(&view, &jobs);
        let mut idle: BTreeSet<NodeId> =
            view.nodes.iter().filter(|(_, node)| node.room == Room::Whole).map(|(id, _)| *id).collect();
        let engine = |job: &JobId| jobs.get(job).unwrap().spec().unwrap().steps[0].engine.clone();
        let leased = |job: &JobId, key: &TaskKey| {
            view.leased.get(job).is_some_and(|tasks| tasks.contains_key(key))
        };
        // Whoever runs frames of several jobs does so in one process of the engine, as the limit counts.
        let on = view.leased.iter().filter(|(job, _)| engine(job) == "demo");
        let on: BTreeSet<&NodeId> = on.flat_map(|(_, tasks)| tasks.values()).collect();
        let mut demo = u32::try_from(on.len()).unwrap();
        let before = demo;
        let mut started = BTreeSet::new();
        for Assignment { node, attempt, more, claim } in &plan.assignments {
            prop_assert_eq!(claim, &Portion::all(&view.nodes[node].hardware));
            prop_assert!(idle.remove(node), "a node is used twice, or was not idle");
            let limit = jobs.get(&attempt.job).unwrap().spec().unwrap().steps[0].frames_per_task;
            prop_assert!(more.len() < limit as usize, "the run is longer than asked");
            for AttemptKey { job, task, .. } in more.iter().chain([attempt]) {
                prop_assert!(started.insert((*job, *task)), "a task is started twice");
                prop_assert!(!leased(job, task), "it runs already");
                prop_assert!(may_take(&view, &jobs, *node, *job, *task));
            }
            demo += u32::from(engine(&attempt.job) == "demo");
        }
        let limit = view.limits.get("demo").copied().unwrap_or(u32::MAX);
        prop_assert!(demo <= limit.max(before));
        for (id, job, _) in jobs.iter() {
            let mut left = 0;
            let waits = |key: &TaskKey| !started.contains(&(id, *key)) && !leased(&id, key);
            for key in startable(job).filter(waits) {
                left += 1;
                let full = engine(&id) == "demo" && demo >= limit;
                let taker = idle.iter().find(|node| may_take(&view, &jobs, **node, id, key));
                prop_assert!(full || taker.is_none(), "{:?} could take {key:?}", taker);
            }
            prop_assert_eq!(left > 0, plan.waiting.contains_key(&id), "who waits is told why");
        }
    }
}

proptest! {
    /// Where each task goes alone, it is to the letter what going through everything finds.
    #[test]
    fn it_is_what_going_through_everything_finds((view, jobs) in world_with(1, false)) {
        let found = plan(&view, &jobs);
        let (assignments, waiting) = brute::plan(&view, &jobs);
        prop_assert_eq!(found.assignments, assignments);
        prop_assert_eq!(found.waiting, waiting);
    }

    /// Also where tasks claim shares.
    #[test]
    fn so_it_is_with_shares((view, jobs) in world_with(1, true)) {
        let found = plan(&view, &jobs);
        let (assignments, waiting) = brute::plan(&view, &jobs);
        prop_assert_eq!(found.assignments, assignments);
        prop_assert_eq!(found.waiting, waiting);
    }

    /// Of no node more is handed out than is free, and no card twice.
    #[test]
    fn no_node_is_given_away_twice((view, jobs) in world_with(3, true)) {
        let mut left: BTreeMap<NodeId, Portion> = BTreeMap::new();
        for Assignment { node, claim, attempt, .. } in plan(&view, &jobs).assignments {
            let seen = &view.nodes[&node];
            let left = left.entry(node).or_insert_with(|| match &seen.room {
                Room::Nothing => Portion::default(),
                Room::Part(free) => free.clone(),
                Room::Whole => Portion::all(&seen.hardware),
            });
            prop_assert!(left.covers(&claim), "{:?} of {:?}", claim, left);
            let spec = jobs.get(&attempt.job).and_then(Job::spec).unwrap();
            prop_assert!(spec.share || seen.room == Room::Whole, "a whole node is an empty one");
            prop_assert!(claim.cores >= 1, "everything takes a core");
            *left = left.without(&claim);
        }
    }
}

#[test]
fn a_long_run_is_one_share() {
    let mut jobs = Jobs::new();
    let mut long = spec(9);
    long.steps[0].frames_per_task = 9;
    submit(&mut jobs, long);
    let other = JobSpec { owner: "bo".into(), nonce: [2; 16], submitted: Unix(2), ..spec(9) };
    submit(&mut jobs, other.clone());
    submit(&mut jobs, JobSpec { nonce: [3; 16], ..spec(9) });
    let plan = plan(&view((1..=4).map(|n| (n, machine(16)))), &jobs);
    let others = plan.assignments.iter().filter(|a| a.attempt.job == other.id()).count();
    assert_eq!((plan.assignments.len(), others), (4, 2));
}

#[test]
fn frames_go_out_in_runs_and_one_that_failed_goes_alone() {
    let mut jobs = Jobs::new();
    let mut spec = JobSpec { retries: 3, ..spec(7) };
    spec.steps[0].frames_per_task = 3;
    let id = submit(&mut jobs, spec);
    let outcomes = vec![outcome(4, 0, 1, failed("x"))];
    jobs.apply(fact(99), node(1), &Body::Outcomes(Outcomes { job: id, outcomes }));
    let view = view((1..=4).map(|n| (n, machine(16))));
    let runs: Vec<Vec<i32>> = plan(&view, &jobs)
        .assignments
        .iter()
        .map(|a| std::iter::once(&a.attempt).chain(&a.more).map(|key| key.task.frame).collect())
        .collect();
    assert_eq!(runs, [vec![1, 2, 3], vec![4], vec![5, 6, 7]]);
}

#[test]
fn quick_tasks_go_out_together() {
    let taking = |render_ms: u32, results: i32| {
        let mut jobs = Jobs::new();
        let id = submit(&mut jobs, spec(500));
        let outcomes = (1..=results)
            .map(|frame| Outcome { render_ms, ..outcome(frame, 0, 1, done()) })
            .collect();
        jobs.apply(fact(99), node(1), &Body::Outcomes(Outcomes { job: id, outcomes }));
        let plan = plan(&view((1..=2).map(|n| (n, machine(16)))), &jobs);
        plan.assignments.iter().map(|a| 1 + a.more.len()).collect::<Vec<_>>()
    };
    assert_eq!(taking(0, 7), [1, 1], "too few to tell");
    assert_eq!(taking(0, 8), [200, 200]);
    assert_eq!(taking(50, 8), [4, 4]);
    assert_eq!(taking(0, 250), [200, 50]);
    assert_eq!(taking(150, 8), [1, 1]);
}
