//! Second attempts.

use super::*;
use crate::job::control::Action;
use crate::job::samples::control;
use crate::schedule::Rendering;

/// A job of which all frames but some are done, each in 10 s by node 1; these are rendered by it.
fn nearly_done(left: &[i32]) -> (Jobs, JobId, View) {
    let mut jobs = Jobs::new();
    let job = submit(&mut jobs, JobSpec { retries: 2, ..spec(9) });
    let others = (1..=9).filter(|frame| !left.contains(frame));
    let outcomes =
        others.map(|n| Outcome { render_ms: 10_000, ..outcome(n, 0, 1, done()) }).collect();
    jobs.apply(fact(99), node(1), &Body::Outcomes(Outcomes { job, outcomes }));
    let busy = NodeView { room: Room::Nothing, ..machine(16) };
    let mut view = view([(1, busy), (2, machine(16))]);
    view.leased.insert(job, left.iter().map(|n| (TaskKey::frame(*n), node(1))).collect());
    (jobs, job, view)
}

fn rendering(job: JobId, frame: i32, seconds: u64, progress: u16) -> Rendering {
    let attempt = AttemptKey { job, task: TaskKey::frame(frame), generation: 0, attempt: 1 };
    Rendering { node: node(1), attempt, elapsed: seconds * 1000, progress }
}

/// The frame, node and attempt of each second attempt.
fn seconds_of(plan: &Plan) -> Vec<(i32, NodeId, u32)> {
    let seconds = plan.seconds.iter();
    seconds.map(|a| (a.attempt.task.frame, a.node, a.attempt.attempt)).collect()
}

#[test]
fn the_last_frame_is_tried_on_an_idle_node_as_well_once_it_looks_late() {
    let (jobs, job, view) = nearly_done(&[7]);
    let after = |seconds: u64, progress: u16| {
        let view = View { rendering: vec![rendering(job, 7, seconds, progress)], ..view.clone() };
        seconds_of(&plan(&view, &jobs))
    };
    assert_eq!(after(14, 0), [], "not clearly longer than the others took");
    assert_eq!(after(16, 0), [(7, node(2), 2)]);
    assert_eq!(after(60, 500), [(7, node(2), 2)]);
    assert_eq!(after(60, 900), [], "it will be done sooner than anew");
}

#[test]
fn no_second_attempt_where_something_else_waits_or_nobody_suits() {
    let late = |left: &[i32], change: &dyn Fn(&mut View, &mut Jobs, JobId)| {
        let (mut jobs, job, mut view) = nearly_done(left);
        view.rendering.push(rendering(job, 7, 60, 0));
        change(&mut view, &mut jobs, job);
        let plan = plan(&view, &jobs);
        (plan.assignments.len(), seconds_of(&plan).len())
    };
    assert_eq!(late(&[7], &|_, _, _| ()), (0, 1));
    assert_eq!(late(&[7, 8], &|_, _, _| ()), (0, 1), "the other one is leased too");
    let waits = |view: &mut View, _: &mut Jobs, job| {
        view.leased.get_mut(&job).unwrap().remove(&TaskKey::frame(8));
    };
    assert_eq!(late(&[7, 8], &waits), (1, 0));
    let other = |_: &mut View, jobs: &mut Jobs, _| {
        submit(jobs, JobSpec { nonce: [9; 16], ..spec(1) });
    };
    assert_eq!(late(&[7], &other), (1, 0));
    for why in [Closed::Drained, Closed::Hours, Closed::InUse, Closed::Benched, Closed::Disk] {
        let closed = |view: &mut View, _: &mut Jobs, _| {
            view.nodes.get_mut(&node(2)).unwrap().closed = Some(why);
        };
        assert_eq!(late(&[7], &closed), (0, 0), "{why:?}");
    }
    let limit = |view: &mut View, _: &mut Jobs, _| _ = view.limits.insert("demo".into(), 1);
    assert_eq!(late(&[7], &limit), (0, 0), "it would be one too many");
    let failed_there = |_: &mut View, jobs: &mut Jobs, job| {
        let outcomes = vec![outcome(7, 0, 1, failed("x"))];
        jobs.apply(fact(98), node(2), &Body::Outcomes(Outcomes { job, outcomes }));
    };
    assert_eq!(late(&[7], &failed_there), (0, 0));
    let last_try = |_: &mut View, jobs: &mut Jobs, job| {
        let tries = vec![outcome(7, 0, 1, failed("x")), outcome(7, 0, 2, failed("x"))];
        jobs.apply(fact(98), node(5), &Body::Outcomes(Outcomes { job, outcomes: tries }));
    };
    assert_eq!(late(&[7], &last_try), (0, 1), "its failure would not count");
    let slow = |_: &mut View, jobs: &mut Jobs, job| {
        let again = Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 };
        jobs.apply(fact(96), node(1), &Body::Control(control(job, 1, again)));
        let slow = Outcome { render_ms: 90_000, ..outcome(1, 1, 1, done()) };
        let outcomes = vec![slow];
        jobs.apply(fact(97), node(2), &Body::Outcomes(Outcomes { job, outcomes }));
    };
    assert_eq!(late(&[7], &slow), (0, 0), "that node takes longer than what is left");
}
