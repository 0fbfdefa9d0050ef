//! Jobs of which some frames are rendered a second time.

use std::collections::BTreeSet;

use super::control::Action;
use super::samples::{control, done, fact, failed, node, outcome, run, spec};
use super::spec::{COMPARE, JobSpec, Step};
use super::status::{Activity, Status, startable, status};
use super::table::{Job, Jobs};
use super::task::{TaskKey, runs, unfold};
use crate::fact::{Body, Outcomes};
use crate::ids::JobId;

fn checked(last: i32, check: u8) -> JobSpec {
    let mut spec = JobSpec { check, ..spec(last) };
    let frames = runs(&spec.frames_to_check());
    let again = Step { name: "again".into(), frames, after: vec![0], ..spec.steps[0].clone() };
    let compare = Step { engine: COMPARE.into(), after: vec![0, 1], ..again.clone() };
    spec.steps.extend([again, compare]);
    spec
}

struct World {
    jobs: Jobs,
    id: JobId,
    facts: u64,
}

impl World {
    fn new(spec: JobSpec) -> Self {
        spec.check_bounds().unwrap();
        let mut world = Self { jobs: Jobs::new(), id: spec.id(), facts: 0 };
        world.apply(&Body::Spec(Box::new(spec)));
        world
    }

    fn apply(&mut self, body: &Body) {
        self.facts += 1;
        self.jobs.apply(fact(self.facts), node(1), body);
    }

    fn ends(&mut self, step: u16, frame: i32, generation: u32, good: bool) {
        let ending = if good { done() } else { failed("dark") };
        let task = TaskKey { step, ..TaskKey::frame(frame) };
        let one = super::outcome::Outcome { task, ..outcome(frame, generation, 1, ending) };
        let body = Body::Outcomes(Outcomes { job: self.id, outcomes: vec![one] });
        self.apply(&body);
    }

    fn control(&mut self, action: Action) {
        let version = self.job().next_version();
        self.apply(&Body::Control(control(self.id, version, action)));
    }

    fn job(&self) -> &Job {
        self.jobs.get(&self.id).unwrap()
    }

    fn startable(&self) -> BTreeSet<(u16, i32)> {
        startable(self.job()).map(|key| (key.step, key.frame)).collect()
    }

    fn status(&self) -> Status {
        status(self.job(), Activity::default()).unwrap()
    }
}

#[test]
fn as_many_frames_are_drawn_as_was_asked_and_always_the_same() {
    for (frames, check, drawn) in [(100, 5, 5), (10, 5, 1), (3, 50, 2), (7, 100, 7), (1, 1, 1)] {
        let spec = JobSpec { check, ..spec(frames) };
        let chosen = spec.frames_to_check();
        assert_eq!(chosen.len(), drawn, "{check} % of {frames}");
        assert_eq!(spec.frames_to_check(), chosen);
        assert!(chosen.iter().all(|frame| (1..=frames).contains(frame)));
        assert!(chosen.is_sorted(), "in the job's order");
    }
    let other = |nonce| JobSpec { nonce: [nonce; 16], check: 5, ..spec(100) }.frames_to_check();
    assert_ne!(other(1), other(2));
}

#[test]
fn a_frame_is_rendered_again_once_it_is_there_and_then_compared() {
    let mut world = World::new(checked(3, 100));
    let only = |step| (1..=3).map(|frame| (step, frame)).collect::<BTreeSet<_>>();
    assert_eq!(world.startable(), only(0));
    assert_eq!(world.job().frame_counts(), (3, 0, 0), "what checks is no frame");
    world.ends(0, 2, 0, true);
    assert_eq!(world.startable(), [(0, 1), (1, 2), (0, 3)].into());
    world.ends(1, 2, 0, true);
    assert_eq!(world.startable(), [(0, 1), (2, 2), (0, 3)].into());
    world.ends(2, 2, 0, true);
    assert_eq!(world.startable(), [(0, 1), (0, 3)].into());
    assert_eq!(world.job().frame_counts(), (3, 1, 0));
    // A retry makes all of it anew.
    world.control(Action::Retry { step: 0, frames: vec![run(2, 2)], generation: 1 });
    assert_eq!(world.startable(), only(0));
    for frame in 1..=3 {
        for step in 0..3 {
            world.ends(step, frame, u32::from(frame == 2), true);
        }
    }
    assert_eq!(world.status(), Status::Completed);
}

#[test]
fn what_is_not_drawn_is_not_checked_nor_what_comes_later() {
    let spec = checked(10, 5);
    let [drawn] = spec.frames_to_check()[..] else { panic!("one of ten") };
    let mut world = World::new(spec);
    world.control(Action::Extend { step: 0, frames: vec![run(11, 12)] });
    assert_eq!(world.job().tasks().count(), 12 + 2);
    for frame in 1..=12 {
        world.ends(0, frame, 0, true);
    }
    assert_eq!(world.startable(), [(1, drawn)].into());
    assert_eq!(world.job().frame_counts(), (12, 12, 0));
    assert_ne!(world.status(), Status::Completed);
    // It can't be rendered a second time: the frames are there, and the job has failed to check them.
    world.ends(1, drawn, 0, false);
    assert_eq!((world.status(), world.job().frame_counts()), (Status::Failed, (12, 12, 0)));
}

#[test]
fn steps_that_do_not_check_the_first_are_refused() {
    let good = checked(4, 50);
    good.check_bounds().unwrap();
    let bad = |change: &dyn Fn(&mut JobSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        assert!(spec.check_bounds().is_err(), "{spec:#?}");
    };
    bad(&|spec| drop(spec.steps.pop()));
    bad(&|spec| spec.steps[1].engine = "other".into());
    bad(&|spec| spec.steps[1].frames = vec![run(4, 5)]);
    bad(&|spec| spec.steps[2].frames = vec![run(1, 1)]);
    bad(&|spec| spec.steps[2].after = vec![1]);
    bad(&|spec| spec.steps[2].engine = "demo".into());
    bad(&|spec| spec.steps[0].tiles = (2, 1));
    let drawn: Vec<i32> = unfold(&good.steps[1].frames).collect();
    assert_eq!(drawn, good.frames_to_check());
}
