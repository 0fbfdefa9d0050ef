use super::*;
use crate::fact::{Body, Outcomes};
use crate::job::control::Action;
use crate::job::outcome::Outcome;
use crate::job::samples::{advert, control, done, fact, node, outcome, run, spec, tiled};
use crate::job::spec::{IN_ORDER, JobSpec};
use crate::job::task::TaskKey;
use crate::leader::Leader;
use crate::schedule::plan::plan;
use crate::schedule::{Assignment, NodeView, Room, View};

fn table(test_frames: bool) -> (Jobs, JobId, BlobId) {
    let mut spec = spec(5);
    if test_frames {
        spec.test_frames = vec![run(5, 5)];
    }
    let (mut jobs, id, inputs) = (Jobs::new(), spec.id(), spec.inputs);
    jobs.apply(fact(1), node(1), &Body::Spec(Box::new(spec)));
    (jobs, id, inputs)
}

fn lease(job: JobId, frame: i32) -> Lease {
    let attempt = AttemptKey { job, task: TaskKey::frame(frame), generation: 0, attempt: 1 };
    Lease { attempt, cores: 4, ram: 0, gpus: Vec::new() }
}

/// A machine that has room for whatever the tests assign.
fn large() -> Portion {
    Portion { cores: 64, ram: 1 << 40, gpus: [0, 1].into() }
}

fn grant(term: u64, seq: u64, lease: Lease) -> Grant {
    Grant { term, seq, lease, more: Vec::new(), providers: vec![node(9)] }
}

fn start_of(lease: Lease, term: u64) -> Event {
    Event::Start { run: lease.attempt, lease, more: Vec::new(), term }
}

fn say(jobs: &mut Jobs, job: JobId, version: u64, action: Action) {
    jobs.apply(fact(50 + version), node(1), &Body::Control(control(job, version, action)));
}

#[test]
fn an_attempt_is_prepared_started_and_reported() {
    let (jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let lease = lease(job, 2);
    let key = lease.attempt;
    let more = Vec::new();
    let prepare = Event::Prepare { attempt: key, more, term: 4, providers: vec![node(9)] };
    assert_eq!(worker.assign(Time(0), grant(4, 1, lease.clone()), &large(), &jobs), [prepare]);
    assert_eq!(
        worker.assign(Time(0), grant(4, 1, lease.clone()), &large(), &jobs),
        [],
        "the same twice"
    );
    let start = start_of(lease, 4);
    assert_eq!(worker.prepared(Time(5), &key, inputs, &jobs), [start]);
    worker.progress(&key, 500);
    let report = worker.report(4);
    assert_eq!(report.running, [(key, 4, Phase::Rendering(500))]);
    assert_eq!((report.assigned, report.held), (1, vec![inputs]));
    assert_eq!(worker.finishing(&key), []);
    worker.over(&key);
    assert_eq!((worker.running(), worker.report(5).assigned), (0, 0), "a new term counts anew");
}

#[test]
fn what_is_not_of_the_leases_job_or_of_a_round_that_nobody_asked_for_is_not_rendered() {
    let (mut jobs, job, inputs) = table(false);
    let other = JobSpec { nonce: [9; 16], ..spec(5) };
    let elsewhere = lease(other.id(), 3).attempt;
    jobs.apply(fact(2), node(1), &Body::Spec(Box::new(other)));
    let mut worker = Worker::new();
    let more = vec![elsewhere, lease(job, 4).attempt];
    let run = Grant { more, ..grant(4, 1, lease(job, 3)) };
    worker.assign(Time(0), run, &large(), &jobs);
    let events = worker.prepared(Time(5), &lease(job, 3).attempt, inputs, &jobs);
    let [Event::Start { more, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(more[..], [lease(job, 4).attempt]);

    let mut absurd = lease(job, 1);
    absurd.attempt.generation = u32::MAX;
    worker.assign(Time(10), grant(4, 2, absurd.clone()), &large(), &jobs);
    assert_eq!(worker.prepared(Time(15), &absurd.attempt, inputs, &jobs), []);
    let mut taken_over = lease(job, 2);
    taken_over.attempt.attempt = 0;
    assert_eq!(worker.assign(Time(20), grant(4, 3, taken_over), &large(), &jobs), []);
}

#[test]
fn frames_that_follow_from_each_other_are_one_process_as_many_as_a_run_may_have() {
    let last = i32::try_from(MAX_IN_ORDER).unwrap();
    let mut spec = spec(last);
    spec.steps[0].arguments.insert(IN_ORDER.into(), "yes".into());
    spec.steps[0].frames_per_task = u32::MAX;
    let (mut jobs, job, inputs) = (Jobs::new(), spec.id(), spec.inputs);
    jobs.apply(fact(1), node(1), &Body::Spec(Box::new(spec)));
    let idle = NodeView {
        hardware: advert(1).hardware,
        engines: advert(1).engines,
        renders: true,
        room: Room::Whole,
        ..NodeView::default()
    };
    let view = View { nodes: [(node(1), idle)].into(), ..View::default() };
    let Assignment { attempt, more, claim, .. } = plan(&view, &jobs).assignments.remove(0);
    let mut worker = Worker::new();
    let run = Grant { more, ..grant(4, 1, Lease::new(attempt, &claim)) };
    worker.assign(Time(0), run, &claim, &jobs);
    let events = worker.prepared(Time(5), &attempt, inputs, &jobs);
    let [Event::Start { more, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(more.len() + 1, MAX_IN_ORDER);
    // Its leader takes in all that it says of it.
    let mut leader = Leader::new(4, Time(0));
    leader.report(Time(10), node(1), &worker.report(4));
    assert_eq!(leader.leases_of(&job).count(), MAX_IN_ORDER);
}

#[test]
fn what_waits_starts_only_once_the_leader_of_the_highest_term_knows_of_it() {
    let (jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let lease = lease(job, 2);
    let key = lease.attempt;
    worker.assign(Time(0), grant(4, 1, lease.clone()), &large(), &jobs);
    worker.fence(5);
    assert_eq!(worker.prepared(Time(5), &key, inputs, &jobs), [], "term 4 is over");
    assert_eq!(worker.adopted(Time(6), 4, &jobs), []);
    assert_eq!(worker.adopted(Time(7), 5, &jobs), [start_of(lease, 5)]);
}

#[test]
fn no_frame_starts_before_the_test_frames_are_known_here() {
    let (jobs, job, inputs) = table(true);
    let mut worker = Worker::new();
    let key = lease(job, 1).attempt;
    worker.assign(Time(0), grant(1, 1, lease(job, 1)), &large(), &jobs);
    assert_eq!(worker.prepared(Time(0), &key, inputs, &jobs), []);
    assert_eq!(worker.running(), 1);
    worker.review(Time(0) + PATIENCE, &jobs);
    assert_eq!(worker.running(), 0, "handed back");
    let key = lease(job, 5).attempt;
    worker.assign(Time(0), grant(1, 2, lease(job, 5)), &large(), &jobs);
    assert_eq!(worker.prepared(Time(9000), &key, inputs, &jobs).len(), 1);
}

#[test]
fn an_attempt_of_a_job_that_does_not_become_known_is_handed_back() {
    let (jobs, job, _) = table(false);
    let mut worker = Worker::new();
    let nothing = Jobs::new();
    worker.assign(Time(100), grant(1, 1, lease(job, 1)), &large(), &nothing);
    worker.review(Time(99) + PATIENCE, &nothing);
    assert_eq!(worker.running(), 1);
    worker.review(Time(100) + PATIENCE, &jobs);
    assert_eq!(worker.running(), 1, "known: its inputs may take as long as they take");
    worker.review(Time(100) + PATIENCE, &nothing);
    assert_eq!(worker.report(1).running, []);
}

#[test]
fn pause_spares_what_renders_and_cancel_ends_it() {
    let (mut jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let (renders, waits) = (lease(job, 1).attempt, lease(job, 2).attempt);
    worker.assign(Time(0), grant(1, 1, lease(job, 1)), &large(), &jobs);
    worker.prepared(Time(0), &renders, inputs, &jobs);
    worker.assign(Time(0), grant(1, 2, lease(job, 2)), &large(), &jobs);
    say(&mut jobs, job, 1, Action::Pause);
    assert_eq!(worker.prepared(Time(0), &waits, inputs, &jobs), []);
    assert_eq!(worker.attempts().map(|(key, _)| *key).collect::<Vec<_>>(), [renders]);
    say(&mut jobs, job, 2, Action::Cancel);
    assert_eq!(worker.review(Time(1), &jobs), [Event::Kill(renders)]);
    assert_eq!(worker.running(), 0);
}

#[test]
fn a_retry_ends_an_attempt_of_the_round_before() {
    let (mut jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let key = lease(job, 3).attempt;
    worker.assign(Time(0), grant(1, 1, lease(job, 3)), &large(), &jobs);
    worker.prepared(Time(0), &key, inputs, &jobs);
    say(&mut jobs, job, 1, Action::Retry { step: 0, frames: vec![run(3, 3)], generation: 1 });
    assert_eq!(worker.review(Time(1), &jobs), [Event::Kill(key)]);
}

#[test]
fn a_closed_node_hands_back_what_has_not_started_and_ends_what_has() {
    let (jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let (runs, waits) = (lease(job, 1), lease(job, 2));
    worker.assign(Time(0), grant(4, 1, runs.clone()), &large(), &jobs);
    let start = start_of(runs.clone(), 4);
    assert_eq!(worker.prepared(Time(5), &runs.attempt, inputs, &jobs), [start]);
    worker.assign(Time(6), grant(4, 2, waits.clone()), &large(), &jobs);
    worker.close(true);
    assert_eq!(worker.review(Time(7), &jobs), []);
    let running: Vec<AttemptKey> = worker.attempts().map(|(key, _)| *key).collect();
    assert_eq!(running, [runs.attempt]);
    worker.close(false);
    worker.assign(Time(8), grant(4, 3, waits.clone()), &large(), &jobs);
    let start = start_of(waits.clone(), 4);
    assert_eq!(worker.prepared(Time(9), &waits.attempt, inputs, &jobs), [start]);
}

#[test]
fn frames_of_a_run_share_a_process_and_end_one_by_one() {
    let (mut jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let keys = [1, 2, 3].map(|frame| lease(job, frame).attempt);
    let more = keys[1..].to_vec();
    let granted = Grant { more: more.clone(), ..grant(1, 1, lease(job, 1)) };
    let prepare =
        Event::Prepare { attempt: keys[0], more: more.clone(), term: 1, providers: vec![node(9)] };
    assert_eq!(worker.assign(Time(0), granted, &large(), &jobs), [prepare]);
    let start = Event::Start { run: keys[0], lease: lease(job, 1), more, term: 1 };
    assert_eq!(worker.prepared(Time(1), &keys[0], inputs, &jobs), [start]);
    worker.finishing(&keys[0]);
    worker.over(&keys[0]);
    // What is wanted anew ends by itself; the process goes on for the others.
    let retry = Action::Retry { step: 0, frames: vec![run(2, 2)], generation: 1 };
    say(&mut jobs, job, 1, retry);
    assert_eq!(worker.review(Time(2), &jobs), []);
    assert_eq!(worker.attempts().map(|(key, _)| *key).collect::<Vec<_>>(), [keys[2]]);
    let retry = Action::Retry { step: 0, frames: vec![run(3, 3)], generation: 1 };
    say(&mut jobs, job, 2, retry);
    assert_eq!(worker.review(Time(3), &jobs), [Event::Kill(keys[0])]);
}

#[test]
fn a_pause_stops_a_run_after_the_frame_that_it_is_at_and_so_does_a_node_that_closes() {
    for closes in [false, true] {
        let (mut jobs, job, inputs) = table(false);
        let mut worker = Worker::new();
        let keys = [1, 2, 3].map(|frame| lease(job, frame).attempt);
        worker.assign(
            Time(0),
            Grant { more: keys[1..].to_vec(), ..grant(1, 1, lease(job, 1)) },
            &large(),
            &jobs,
        );
        worker.prepared(Time(1), &keys[0], inputs, &jobs);
        match closes {
            true => worker.close(true),
            false => say(&mut jobs, job, 1, Action::Pause),
        }
        assert_eq!(worker.review(Time(2), &jobs), [Event::Stop(keys[0])]);
        assert_eq!(worker.review(Time(3), &jobs), [], "once");
        assert_eq!(worker.running(), 3, "until the frame is done");
    }
}

#[test]
fn a_run_whose_inputs_can_not_be_brought_is_handed_back_but_for_its_first() {
    let (jobs, job, _) = table(false);
    let mut worker = Worker::new();
    let keys = [1, 2, 3].map(|frame| lease(job, frame).attempt);
    worker.assign(
        Time(0),
        Grant { more: keys[1..].to_vec(), ..grant(1, 1, lease(job, 1)) },
        &large(),
        &jobs,
    );
    assert_eq!(worker.finishing(&keys[0]), []);
    assert_eq!(worker.attempts().map(|(key, _)| *key).collect::<Vec<_>>(), [keys[0]]);
}

#[test]
fn a_run_whose_inputs_can_not_be_brought_is_handed_back_though_its_first_is_wanted_no_more() {
    let (mut jobs, job, _) = table(false);
    let mut worker = Worker::new();
    let keys = [1, 2, 3].map(|frame| lease(job, frame).attempt);
    let granted = Grant { more: keys[1..].to_vec(), ..grant(1, 1, lease(job, 1)) };
    worker.assign(Time(0), granted, &large(), &jobs);
    say(&mut jobs, job, 1, Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 });
    worker.review(Time(1), &jobs);
    assert_eq!((worker.running(), worker.term_of(&keys[0])), (2, None));
    worker.unprepared(&keys[0]);
    assert_eq!(worker.running(), 0);
}

#[test]
fn a_join_whose_tiles_are_not_known_to_be_done_here_is_handed_back() {
    let mut jobs = Jobs::new();
    let spec = tiled(spec(1));
    let id = spec.id();
    jobs.apply(fact(1), node(1), &Body::Spec(Box::new(spec)));
    let mut worker = Worker::new();
    let lease = lease(id, 1);
    let attempt = AttemptKey { task: TaskKey { step: 1, ..lease.attempt.task }, ..lease.attempt };
    let granted = grant(1, 1, Lease { attempt, ..lease });
    assert_eq!(worker.assign(Time(0), granted.clone(), &large(), &jobs), []);
    worker.review(Time(0) + PATIENCE, &jobs);
    assert_eq!(worker.running(), 0, "the leader knows more, and asks again");
    worker.assign(Time(0), granted, &large(), &jobs);
    let tiles = |tiles: std::ops::Range<u16>| {
        let tile = |tile| {
            let of_frame = outcome(1, 0, 1, done());
            Outcome { task: TaskKey { tile, ..of_frame.task }, ..of_frame }
        };
        Body::Outcomes(Outcomes { job: id, outcomes: tiles.map(tile).collect() })
    };
    jobs.apply(fact(2), node(1), &tiles(0..1));
    assert_eq!(worker.review(Time(1), &jobs), [], "one is missing");
    jobs.apply(fact(3), node(1), &tiles(1..2));
    assert!(matches!(worker.review(Time(2), &jobs)[..], [Event::Prepare { .. }]));
    assert_eq!(worker.review(Time(3), &jobs), [], "once");
}

#[test]
fn the_inputs_of_a_job_are_asked_for_as_soon_as_its_spec_is_here() {
    let (jobs, job, _) = table(false);
    let mut worker = Worker::new();
    let key = lease(job, 1).attempt;
    assert_eq!(worker.assign(Time(0), grant(3, 1, lease(job, 1)), &large(), &Jobs::new()), []);
    let prepare =
        Event::Prepare { attempt: key, more: Vec::new(), term: 3, providers: vec![node(9)] };
    assert_eq!(worker.review(Time(1), &jobs), [prepare]);
    assert_eq!(worker.review(Time(2), &jobs), [], "once");
}

#[test]
fn what_another_attempt_has_done_is_ended() {
    let (mut jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let (one, two) = (lease(job, 2), lease(job, 3));
    worker.assign(Time(0), grant(4, 1, one.clone()), &large(), &jobs);
    worker.prepared(Time(0), &one.attempt, inputs, &jobs);
    worker.assign(Time(0), grant(4, 2, two.clone()), &large(), &jobs);
    worker.prepared(Time(0), &two.attempt, inputs, &jobs);
    worker.finishing(&two.attempt);
    let outcomes = [2, 3].map(|frame| outcome(frame, 0, 1, done())).into();
    jobs.apply(fact(9), node(7), &Body::Outcomes(Outcomes { job, outcomes }));
    assert_eq!(worker.review(Time(10), &jobs), [Event::Kill(one.attempt)]);
    assert_eq!(worker.running(), 1, "what is done here as well is brought to its end");
    // A round that this node has not heard of yet is not over by a result of the one before.
    let mut again = lease(job, 2);
    again.attempt.generation = 1;
    worker.assign(Time(20), grant(4, 3, again.clone()), &large(), &jobs);
    assert_eq!(worker.review(Time(30), &jobs), []);
    assert_eq!(worker.running(), 2);
}

#[test]
fn a_node_that_gives_way_hands_back_what_it_renders_and_finishes_what_is_done() {
    let (jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    for (seq, frame) in [(1, 2), (2, 3)] {
        worker.assign(Time(0), grant(4, seq, lease(job, frame)), &large(), &jobs);
        worker.prepared(Time(0), &lease(job, frame).attempt, inputs, &jobs);
    }
    worker.finishing(&lease(job, 3).attempt);
    worker.close(true);
    assert_eq!(worker.review(Time(10), &jobs), [], "who only takes nothing new renders on");
    worker.give_way(true);
    assert_eq!(worker.review(Time(20), &jobs), [Event::Kill(lease(job, 2).attempt)]);
    let left: Vec<i32> = worker.attempts().map(|(key, _)| key.task.frame).collect();
    assert_eq!(left, [3]);
    worker.assign(Time(30), grant(4, 3, lease(job, 4)), &large(), &jobs);
    worker.review(Time(30), &jobs);
    assert_eq!(worker.running(), 1, "and nothing new is begun");
}

#[test]
fn what_does_not_fit_is_not_taken_on_whoever_assigns_it() {
    let (jobs, job, inputs) = table(false);
    let has = Portion { cores: 4, ram: 8, gpus: [0, 1].into() };
    let mut worker = Worker::new();
    let assign = |worker: &mut Worker, frame: i32, cores: u32, ram: u64, gpus: &[u32]| {
        let lease = Lease { cores, ram, gpus: gpus.to_vec(), ..lease(job, frame) };
        let before = worker.running();
        worker.assign(Time(0), grant(4, u64::from(frame.unsigned_abs()), lease), &has, &jobs);
        worker.running() > before
    };
    assert!(!assign(&mut worker, 1, 5, 0, &[]), "it has four cores");
    assert!(!assign(&mut worker, 1, 1, 0, &[2]), "there is no such card");
    assert!(assign(&mut worker, 1, 2, 3, &[1]));
    assert!(!assign(&mut worker, 2, 3, 0, &[]), "two are left");
    assert!(!assign(&mut worker, 2, 1, 6, &[]), "five bytes are left");
    assert!(!assign(&mut worker, 2, 1, 0, &[1]), "somebody has that card");
    assert_eq!(worker.report(4).assigned, 2, "what was not taken on was heard all the same");
    assert!(assign(&mut worker, 2, 2, 5, &[0]));
    assert_eq!(worker.left(&has), Portion::default());
    let told: Vec<(u32, Vec<u32>)> =
        worker.shares(&has).iter().map(|s| (s.claim.cores, s.of.clone())).collect();
    assert_eq!(told, [(2, vec![0]), (2, vec![1])]);
    // Its engine has ended: what it made is brought to safety, which takes no core.
    let first = lease(job, 1).attempt;
    worker.prepared(Time(1), &first, inputs, &jobs);
    assert_eq!(worker.finishing(&first), []);
    assert!(assign(&mut worker, 3, 2, 3, &[1]));
}

#[test]
fn a_run_claims_once_and_a_whole_node_is_no_share() {
    let (jobs, job, _) = table(false);
    let has = Portion { cores: 4, ram: 0, gpus: [].into() };
    let mut worker = Worker::new();
    let more = vec![lease(job, 2).attempt, lease(job, 3).attempt];
    worker.assign(Time(0), Grant { more, ..grant(1, 1, lease(job, 1)) }, &has, &jobs);
    assert_eq!((worker.running(), worker.left(&has).cores), (3, 0));
    assert_eq!(worker.shares(&has), [], "it has all of it");
    let told = worker.shares(&large());
    assert_eq!(told.iter().map(|share| share.of.len()).collect::<Vec<_>>(), [3]);
    let other = Lease { cores: 1, ..lease(job, 4) };
    assert_eq!(worker.assign(Time(0), grant(1, 2, other), &has, &jobs), []);
}

/// It would render the last one for nobody, and the node would think that its cores are free.
#[test]
fn an_engine_ends_where_only_frames_are_left_that_others_have_done() {
    let (mut jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let keys: Vec<AttemptKey> = (1..=2).map(|frame| lease(job, frame).attempt).collect();
    let more = vec![keys[1]];
    worker.assign(Time(0), Grant { more, ..grant(1, 1, lease(job, 1)) }, &large(), &jobs);
    worker.prepared(Time(0), &keys[0], inputs, &jobs);
    let outcomes = vec![outcome(2, 0, 1, done())];
    jobs.apply(fact(9), node(5), &Body::Outcomes(Outcomes { job, outcomes }));
    assert_eq!(worker.review(Time(1), &jobs), [], "frame 1 is still waited for");
    assert_eq!((worker.running(), worker.left(&large()).cores), (1, 60));
    assert_eq!(worker.finishing(&keys[0]), [Event::Kill(keys[0])]);
    assert_eq!(worker.review(Time(2), &jobs), [], "once");
    assert_eq!(worker.left(&large()), large());
}
