use super::*;
use crate::fact::Body;
use crate::job::control::Action;
use crate::job::samples::{control, fact, node, run, spec};
use crate::job::task::TaskKey;

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

fn say(jobs: &mut Jobs, job: JobId, version: u64, action: Action) {
    jobs.apply(fact(50 + version), node(1), &Body::Control(control(job, version, action)));
}

#[test]
fn an_attempt_is_prepared_started_and_reported() {
    let (jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let lease = lease(job, 2);
    let key = lease.attempt;
    let prepare = Event::Prepare { attempt: key, term: 4, providers: vec![node(9)] };
    assert_eq!(worker.assign(Time(0), 4, 1, lease.clone(), vec![node(9)]), [prepare]);
    assert_eq!(worker.assign(Time(0), 4, 1, lease.clone(), Vec::new()), [], "the same twice");
    let start = Event::Start { lease, term: 4 };
    assert_eq!(worker.prepared(Time(5), &key, inputs, &jobs), [start]);
    worker.progress(&key, 500);
    let report = worker.report(4);
    assert_eq!(report.running, [(key, 4, Phase::Rendering(500))]);
    assert_eq!((report.assigned, report.held), (1, vec![inputs]));
    assert!(worker.finishing(&key));
    worker.over(&key);
    assert_eq!((worker.running(), worker.report(5).assigned), (0, 0), "a new term counts anew");
}

#[test]
fn what_waits_starts_only_once_the_leader_of_the_highest_term_knows_of_it() {
    let (jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let lease = lease(job, 2);
    let key = lease.attempt;
    worker.assign(Time(0), 4, 1, lease.clone(), Vec::new());
    worker.fence(5);
    assert_eq!(worker.prepared(Time(5), &key, inputs, &jobs), [], "term 4 is over");
    assert_eq!(worker.adopted(Time(6), 4, &jobs), []);
    assert_eq!(worker.adopted(Time(7), 5, &jobs), [Event::Start { lease, term: 5 }]);
}

#[test]
fn no_frame_starts_before_the_test_frames_are_known_here() {
    let (jobs, job, inputs) = table(true);
    let mut worker = Worker::new();
    let key = lease(job, 1).attempt;
    worker.assign(Time(0), 1, 1, lease(job, 1), Vec::new());
    assert_eq!(worker.prepared(Time(0), &key, inputs, &jobs), []);
    assert_eq!(worker.running(), 1);
    worker.review(Time(0) + PATIENCE, &jobs);
    assert_eq!(worker.running(), 0, "handed back");
    let key = lease(job, 5).attempt;
    worker.assign(Time(0), 1, 2, lease(job, 5), Vec::new());
    assert_eq!(worker.prepared(Time(9000), &key, inputs, &jobs).len(), 1);
}

#[test]
fn an_attempt_of_a_job_that_does_not_become_known_is_handed_back() {
    let (jobs, job, _) = table(false);
    let mut worker = Worker::new();
    worker.assign(Time(100), 1, 1, lease(job, 1), Vec::new());
    let nothing = Jobs::new();
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
    worker.assign(Time(0), 1, 1, lease(job, 1), Vec::new());
    worker.prepared(Time(0), &renders, inputs, &jobs);
    worker.assign(Time(0), 1, 2, lease(job, 2), Vec::new());
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
    worker.assign(Time(0), 1, 1, lease(job, 3), Vec::new());
    worker.prepared(Time(0), &key, inputs, &jobs);
    say(&mut jobs, job, 1, Action::Retry { step: 0, frames: vec![run(3, 3)], generation: 1 });
    assert_eq!(worker.review(Time(1), &jobs), [Event::Kill(key)]);
}

#[test]
fn a_closed_node_hands_back_what_has_not_started_and_ends_what_has() {
    let (jobs, job, inputs) = table(false);
    let mut worker = Worker::new();
    let (runs, waits) = (lease(job, 1), lease(job, 2));
    worker.assign(Time(0), 4, 1, runs.clone(), Vec::new());
    let start = Event::Start { lease: runs.clone(), term: 4 };
    assert_eq!(worker.prepared(Time(5), &runs.attempt, inputs, &jobs), [start]);
    worker.assign(Time(6), 4, 2, waits.clone(), Vec::new());
    worker.close(true);
    assert_eq!(worker.review(Time(7), &jobs), []);
    let running: Vec<AttemptKey> = worker.attempts().map(|(key, _)| *key).collect();
    assert_eq!(running, [runs.attempt]);
    worker.close(false);
    worker.assign(Time(8), 4, 3, waits.clone(), Vec::new());
    let start = Event::Start { lease: waits.clone(), term: 4 };
    assert_eq!(worker.prepared(Time(9), &waits.attempt, inputs, &jobs), [start]);
}
