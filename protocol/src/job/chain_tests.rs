//! Steps that follow from others frame by frame: tiles, and what joins them.

use super::control::Action;
use super::outcome::{Ending, Outcome};
use super::samples::{comped, control, done, fact, failed, node, outcome, run, spec, tiled};
use super::spec::{AfterTest, JobSpec, Step};
use super::status::{Activity, Status, error_message, may_start, startable, status};
use super::table::{Job, Jobs, TaskState};
use super::task::TaskKey;
use crate::fact::{Body, Outcomes};
use crate::ids::{JobId, NodeId};

struct Table {
    jobs: Jobs,
    id: JobId,
    facts: u64,
}

impl Table {
    fn with(spec: JobSpec) -> Self {
        let id = spec.id();
        let mut table = Self { jobs: Jobs::new(), id, facts: 0 };
        table.apply(&Body::Spec(Box::new(spec)));
        table
    }

    fn apply(&mut self, body: &Body) {
        self.facts += 1;
        self.jobs.apply(fact(self.facts), node(1), body);
    }

    fn job(&self) -> &Job {
        self.jobs.get(&self.id).unwrap()
    }

    fn outcome(&mut self, key: TaskKey, generation: u32, ending: Ending) {
        let outcome = Outcome { task: key, ..outcome(key.frame, generation, 1, ending) };
        self.apply(&Body::Outcomes(Outcomes { job: self.id, outcomes: vec![outcome] }));
    }

    fn control(&mut self, action: Action) {
        let version = self.job().next_version();
        self.apply(&Body::Control(control(self.id, version, action)));
    }

    fn status(&self) -> Status {
        status(self.job(), Activity::default()).unwrap()
    }

    fn startable(&self) -> Vec<TaskKey> {
        startable(self.job()).collect()
    }
}

fn tile(frame: i32, tile: u16) -> TaskKey {
    TaskKey { tile, ..TaskKey::frame(frame) }
}

fn joined(frame: i32) -> TaskKey {
    TaskKey { step: 1, ..TaskKey::frame(frame) }
}

#[test]
fn a_frame_is_joined_once_its_tiles_are_done_and_before_the_tiles_of_the_next() {
    let mut table = Table::with(tiled(spec(2)));
    assert_eq!(table.startable(), [tile(1, 0), tile(1, 1), tile(2, 0), tile(2, 1)]);
    table.outcome(tile(1, 0), 0, done());
    assert!(!may_start(table.job(), &joined(1)));
    table.outcome(tile(1, 1), 0, done());
    assert_eq!(table.startable(), [joined(1), tile(2, 0), tile(2, 1)]);
    assert!(may_start(table.job(), &joined(1)) && !may_start(table.job(), &joined(2)));
    assert_eq!(table.job().frame_counts(), (2, 0, 0), "tiles are no frames");
    table.outcome(joined(1), 0, done());
    assert_eq!(table.job().frame_counts(), (2, 1, 0));
    for key in [tile(2, 0), tile(2, 1), joined(2)] {
        assert_ne!(table.status(), Status::Completed);
        table.outcome(key, 0, done());
    }
    assert_eq!((table.status(), table.job().frame_counts()), (Status::Completed, (2, 2, 0)));
}

#[test]
fn a_tile_that_failed_for_good_fails_its_frame_until_it_is_tried_again() {
    let mut table = Table::with(tiled(spec(2)));
    table.outcome(tile(1, 1), 0, failed("it broke"));
    assert_eq!(table.job().frame_counts(), (2, 0, 1));
    assert_eq!(table.job().state(&joined(1)), Some(TaskState::Failed));
    assert_eq!(table.startable(), [tile(1, 0), tile(2, 0), tile(2, 1)]);
    for key in [tile(1, 0), tile(2, 0), tile(2, 1), joined(2)] {
        table.outcome(key, 0, done());
    }
    assert_eq!((table.status(), table.job().frame_counts()), (Status::Failed, (2, 1, 1)));
    let message = error_message(table.job(), NodeId::short).unwrap();
    assert!(message.starts_with("frame 1, tile 1 failed once"), "{message}");
    table.control(Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 });
    // All of the frame is made anew; the other one stands.
    assert_eq!(table.startable(), [tile(1, 0), tile(1, 1)]);
    assert_eq!(table.job().frame_counts(), (2, 1, 0));
    for key in [tile(1, 0), tile(1, 1), joined(1)] {
        table.outcome(key, 1, done());
    }
    assert_eq!(table.status(), Status::Completed);
}

#[test]
fn added_frames_are_joined_too() {
    let mut table = Table::with(tiled(spec(1)));
    table.control(Action::Extend { step: 0, frames: vec![run(5, 5)] });
    let tasks: Vec<TaskKey> = table.job().tasks().map(|(key, _)| key).collect();
    assert_eq!(tasks, [tile(1, 0), tile(1, 1), joined(1), tile(5, 0), tile(5, 1), joined(5)]);
    table.outcome(tile(5, 0), 0, done());
    table.outcome(tile(5, 1), 0, done());
    assert!(table.startable().contains(&joined(5)));
}

#[test]
fn a_test_frame_is_known_once_it_is_joined() {
    let tests =
        JobSpec { test_frames: vec![run(2, 2)], after_test: AfterTest::AwaitApproval, ..spec(2) };
    let mut table = Table::with(tiled(tests));
    assert_eq!(table.startable(), [tile(2, 0), tile(2, 1)]);
    table.outcome(tile(2, 0), 0, done());
    table.outcome(tile(2, 1), 0, done());
    assert_eq!(table.startable(), [joined(2)]);
    assert_ne!(table.status(), Status::AwaitingApproval);
    table.outcome(joined(2), 0, done());
    assert_eq!((table.startable(), table.status()), (vec![], Status::AwaitingApproval));
    table.control(Action::Approve);
    assert_eq!(table.startable(), [tile(1, 0), tile(1, 1)]);
}

#[test]
fn a_step_with_other_frames_waits_for_all_of_the_one_before() {
    let mut table = Table::with(comped(spec(2)));
    table.outcome(tile(1, 0), 0, done());
    assert_eq!(table.startable(), [tile(2, 0)]);
    table.outcome(tile(2, 0), 0, done());
    assert_eq!(table.startable(), [joined(101), joined(102)]);
}

#[test]
fn a_step_with_other_frames_has_failed_once_one_of_those_before_has() {
    let mut film = comped(spec(2));
    // A third step, which comes after the second frame by frame.
    film.steps.push(Step { after: vec![1], ..film.steps[1].clone() });
    let filmed = |frame| TaskKey { step: 2, ..TaskKey::frame(frame) };
    let mut table = Table::with(film);
    table.outcome(tile(1, 0), 0, failed("it broke"));
    assert_eq!((table.startable(), table.job().counts()), (vec![tile(2, 0)], (6, 0, 5)));
    assert_eq!(table.job().failed_frames(), (0, vec![1]));
    table.outcome(tile(2, 0), 0, done());
    assert_eq!((table.status(), table.job().frame_counts()), (Status::Failed, (2, 0, 2)));
    let message = error_message(table.job(), NodeId::short).unwrap();
    assert!(message.starts_with("2 frames failed; frame 1 failed once"), "{message}");
    table.control(Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 });
    assert_eq!((table.startable(), table.job().counts()), (vec![tile(1, 0)], (6, 1, 0)));
    table.outcome(tile(1, 0), 1, done());
    assert_eq!(table.startable(), [joined(101), joined(102)]);
    // What fails by itself is what is made anew.
    table.outcome(joined(101), 0, failed("it broke"));
    table.outcome(joined(102), 0, done());
    table.outcome(filmed(102), 0, done());
    assert_eq!((table.status(), table.job().failed_frames()), (Status::Failed, (1, vec![101])));
    table.control(Action::Retry { step: 1, frames: vec![run(101, 101)], generation: 2 });
    for key in [joined(101), filmed(101)] {
        assert_eq!(table.startable(), [key]);
        table.outcome(key, 2, done());
    }
    assert_eq!(table.status(), Status::Completed);
}
