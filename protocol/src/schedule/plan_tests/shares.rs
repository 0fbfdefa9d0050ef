//! Tasks that claim shares of nodes, and those that wait for whole ones.

use super::*;
use crate::schedule::Closest;
use crate::worker::MAX_ATTEMPTS;

/// A job of so many tasks that claim these cores and GiB each, and were handed in at that time.
fn small(submitted: u64, tasks: i32, cores: u32, ram: u64) -> JobSpec {
    let needs = Needs { cores, ram: ram * GIB, ..Needs::default() };
    let nonce = [u8::try_from(submitted).unwrap(); 16];
    JobSpec { nonce, submitted: Unix(submitted), needs, share: true, ..spec(tasks) }
}

/// A job of tasks that take whole nodes.
fn large(submitted: u64, tasks: i32) -> JobSpec {
    JobSpec { share: false, needs: Needs::default(), ..small(submitted, tasks, 1, 1) }
}

/// A node of 8 cores and 16 GiB of which so much is left.
fn part(cores: u32, ram: u64) -> NodeView {
    let left = Portion { cores, ram: ram * GIB, ..Portion::default() };
    NodeView { room: Room::Part(left), ..machine(16) }
}

/// Where each task goes, and with how many cores.
fn places(plan: &Plan) -> Vec<(NodeId, i32, u32)> {
    let all = plan.assignments.iter();
    all.map(|a| (a.node, a.attempt.task.frame, a.claim.cores)).collect()
}

#[test]
fn a_node_takes_as_many_tasks_as_its_cores_or_memory_last() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, small(1, 9, 2, 1));
    let view_of = |node| view([(1, node)]);
    let planned = plan(&view_of(machine(16)), &jobs);
    assert_eq!(places(&planned), (1..=4).map(|n| (node(1), n, 2)).collect::<Vec<_>>());
    let said = planned.waiting[&id].words(|_| "node-1".into());
    assert_eq!(said, "2 cores are needed; node-1 has 0 of 8 free");
    assert_eq!(places(&plan(&view_of(part(5, 16)), &jobs)).len(), 2);
    assert_eq!(places(&plan(&view_of(part(8, 3)), &jobs)).len(), 3, "it is memory that lacks");
    assert_eq!(places(&plan(&view_of(part(0, 16)), &jobs)), []);
    // What is not asked for is as large a part as the cores.
    let mut jobs = Jobs::new();
    submit(&mut jobs, small(1, 9, 2, 0));
    assert_eq!(plan(&view_of(machine(16)), &jobs).assignments[0].claim.ram, 4 * GIB);
}

#[test]
fn a_node_gets_no_more_frames_at_once_than_it_takes_on() {
    let mut jobs = Jobs::new();
    let mut long = small(1, 5000, 1, 1);
    long.steps[0].frames_per_task = 250;
    submit(&mut jobs, long);
    let of = |planned: &Plan, n: u8| -> usize {
        let of_node = planned.assignments.iter().filter(|a| a.node == node(n));
        of_node.map(|a| a.more.len() + 1).sum()
    };
    let large = || {
        let mut large = machine(16);
        large.hardware.cpu_cores = 16;
        large
    };
    let both = plan(&view([(1, large()), (2, large())]), &jobs);
    assert_eq!((of(&both, 1), of(&both, 2)), (MAX_ATTEMPTS, MAX_ATTEMPTS));
    let busy = NodeView { attempts: MAX_ATTEMPTS - 300, ..part(8, 16) };
    assert_eq!(of(&plan(&view([(1, busy)]), &jobs), 1), 300);
}

#[test]
fn cards_are_named_and_none_twice() {
    let mut jobs = Jobs::new();
    let mut job = small(1, 9, 1, 1);
    job.needs.gpus = 1;
    submit(&mut jobs, job);
    let mut with_cards = machine(16);
    with_cards.hardware.gpus = vec![Gpu { model: "RTX".into(), memory: GIB }; 3];
    let cards = |room| {
        let node = NodeView { room, ..with_cards.clone() };
        let plan = plan(&view([(1, node)]), &jobs);
        plan.assignments.iter().flat_map(|a| a.claim.gpus.clone()).collect::<Vec<_>>()
    };
    assert_eq!(cards(Room::Whole), [0, 1, 2]);
    let left = Portion { cores: 8, ram: 16 * GIB, gpus: [0, 2].into() };
    assert_eq!(cards(Room::Part(left)), [0, 2]);
}

#[test]
fn shares_go_where_others_are_before_they_begin_an_empty_node() {
    let mut jobs = Jobs::new();
    submit(&mut jobs, small(1, 3, 2, 1));
    let both = view([(1, machine(16)), (2, part(4, 16))]);
    assert_eq!(places(&plan(&both, &jobs)), [(node(2), 1, 2), (node(2), 2, 2), (node(1), 3, 2)]);
    let cheap = NodeView { price: 1, ..machine(16) };
    let dear = NodeView { price: 2, ..part(4, 16) };
    assert_eq!(plan(&view([(1, cheap), (2, dear)]), &jobs).assignments[0].node, node(1));
}

#[test]
fn a_whole_node_is_kept_for_who_goes_first_and_small_tasks_come_behind() {
    let mut jobs = Jobs::new();
    let first = submit(&mut jobs, large(1, 1));
    let behind = submit(&mut jobs, small(2, 9, 1, 1));
    // Of the two it is the one where less must end.
    let both = view([(1, part(3, 8)), (2, part(6, 8))]);
    let planned = plan(&both, &jobs);
    assert_eq!(places(&planned), (1..=3).map(|n| (node(1), n, 1)).collect::<Vec<_>>());
    let said = planned.waiting[&first].words(|_| "node-2".into());
    assert_eq!(said, "a whole node is needed; others have claimed 2 of 8 cores of node-2");
    let Waiting::NoRoom(closest, _) = &planned.waiting[&behind] else { panic!("{planned:?}") };
    let Closest { kept, free, .. } = &**closest;
    assert!(*kept && free.cores == 6, "{closest:?}");
    // Where one is empty, there it goes, and nothing is kept.
    let empty = view([(1, part(3, 8)), (2, part(6, 8)), (3, machine(16))]);
    let planned = plan(&empty, &jobs);
    assert_eq!(planned.assignments[0].node, node(3));
    assert_eq!(planned.assignments.len(), 10);
}

#[test]
fn who_comes_behind_keeps_nothing_from_those_before() {
    let mut jobs = Jobs::new();
    let small_first = JobSpec { priority: 60, ..small(2, 4, 1, 1) };
    submit(&mut jobs, small_first);
    submit(&mut jobs, large(1, 1));
    let planned = plan(&view([(1, part(6, 16))]), &jobs);
    assert_eq!(places(&planned).len(), 4, "all of the small ones, whatever waits behind them");
}

/// One node, one task that wants all of it, and no end of small ones: each takes a turn or two, and the next one
/// would start at once.
#[test]
fn small_tasks_without_end_do_not_starve_a_large_one() {
    for (priority, owner) in [(60, "ada"), (60, "bo"), (50, "bo")] {
        let mut jobs = Jobs::new();
        submit(&mut jobs, small(2, 400, 2, 1));
        let wanted = large(9, 1);
        let large = submit(&mut jobs, JobSpec { priority, owner: owner.into(), ..wanted.clone() });
        let mut running: Vec<(i32, u64)> = Vec::new();
        let mut view = view([(1, machine(16))]);
        let small_job = jobs.iter().find(|(_, _, spec)| spec.share).map(|(id, ..)| id).unwrap();
        let mut started = None;
        for turn in 0..12u64 {
            running.retain(|(_, until)| *until > turn);
            let each = Portion { cores: 2, ram: GIB, ..Portion::default() };
            let left = Portion {
                cores: 8 - 2 * u32::try_from(running.len()).unwrap(),
                ram: (16 - running.len() as u64) * GIB,
                ..Portion::default()
            };
            let room = if running.is_empty() { Room::Whole } else { Room::Part(left) };
            view.nodes.get_mut(&node(1)).unwrap().room = room;
            let process = Process { node: node(1), job: small_job, step: 0, claim: each };
            view.processes = vec![process; running.len()];
            let plan = plan(&view, &jobs);
            for a in plan.assignments {
                if a.attempt.job == large {
                    started.get_or_insert(turn);
                } else {
                    let frame = a.attempt.task.frame;
                    running.push((frame, turn + 1 + u64::from(frame.unsigned_abs()) % 3));
                    view.leased.entry(small_job).or_default().insert(a.attempt.task, node(1));
                }
                let owner = jobs.get(&a.attempt.job).and_then(Job::spec).unwrap().owner.clone();
                let turn = view.served.values().max().unwrap_or(&0) + 1;
                view.served.insert(owner, turn);
            }
            if started.is_some() {
                break;
            }
        }
        assert!(started.is_some(), "{priority} {owner}: it starves");
    }
}

#[test]
fn owners_share_by_how_much_works_for_them_not_by_how_many_tasks() {
    let mut jobs = Jobs::new();
    let ada = submit(&mut jobs, small(1, 100, 1, 1));
    let bo = submit(&mut jobs, JobSpec { owner: "bo".into(), ..small(2, 100, 2, 2) });
    let plan = plan(&view((1..=3).map(|n| (n, machine(16)))), &jobs);
    let cores = |job: JobId| {
        let of = plan.assignments.iter().filter(|a| a.attempt.job == job);
        of.map(|a| a.claim.cores).sum::<u32>()
    };
    assert_eq!((cores(ada), cores(bo)), (12, 12));
}

#[test]
fn limits_count_processes_that_share_a_node() {
    let mut jobs = Jobs::new();
    let job = submit(&mut jobs, small(1, 9, 1, 1));
    let mut view = view([(1, part(6, 14))]);
    let claim = Portion { cores: 1, ram: GIB, ..Portion::default() };
    view.processes = vec![Process { node: node(1), job, step: 0, claim }; 2];
    view.leased.insert(job, [8, 9].map(|frame| (TaskKey::frame(frame), node(1))).into());
    view.limits.insert("demo".into(), 4);
    assert_eq!(frames(&plan(&view, &jobs)), [1, 2]);
}

#[test]
fn who_was_seen_to_need_more_memory_claims_more() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, JobSpec { retries: 3, ..small(1, 9, 1, 1) });
    let killed = Outcome {
        peak_memory: 4 * GIB,
        ..outcome(1, 0, 1, Ending::Failed { kind: FailureKind::Memory, message: "killed".into() })
    };
    jobs.apply(fact(9), node(9), &Body::Outcomes(Outcomes { job: id, outcomes: vec![killed] }));
    let planned = plan(&view([(1, machine(16))]), &jobs);
    let claims: Vec<u64> = planned.assignments.iter().map(|a| a.claim.ram / GIB).collect();
    assert_eq!(claims, [6, 6], "two fit into 16 GiB");
}
