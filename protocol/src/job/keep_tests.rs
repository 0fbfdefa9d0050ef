use std::collections::BTreeSet;

use super::*;
use crate::fact::{Body, Delivery, Outcomes};
use crate::ids::FactId;
use crate::job::control::Action;
use crate::job::outcome::Outcome;
use crate::job::samples::{control, done, fact, failed, node, outcome, run, spec};
use crate::job::spec::{AfterTest, JobSpec};
use crate::job::table::Jobs;

const DAY: u32 = 24 * 3600;
const MS: u64 = 24 * 3600 * 1000;

struct Kept {
    jobs: Jobs,
    job: JobId,
    facts: u64,
    version: u64,
}

impl Kept {
    fn new(spec: JobSpec) -> Self {
        let mut kept = Self { jobs: Jobs::new(), job: spec.id(), facts: 0, version: 0 };
        kept.apply(1, &Body::Spec(Box::new(spec)));
        kept
    }

    fn apply(&mut self, author: u8, body: &Body) -> FactId {
        self.facts += 1;
        self.jobs.apply(fact(self.facts), node(author), body);
        fact(self.facts)
    }

    fn control(&mut self, action: Action) {
        self.version += 1;
        self.apply(1, &Body::Control(control(self.job, self.version, action)));
    }

    fn ended(&mut self, outcome: Outcome) {
        let outcomes = Outcomes { job: self.job, outcomes: vec![outcome] };
        self.apply(2, &Body::Outcomes(outcomes));
    }

    fn deliver_to(&mut self, n: u8) {
        let delivery = Delivery { job: self.job, node: node(n), folder: "out".into() };
        self.apply(n, &Body::Delivery(delivery));
    }

    fn says(&mut self, author: u8, ended: Ended) {
        let round = self.jobs.get(&self.job).unwrap().round();
        self.apply(author, &Body::End(End { job: self.job, round, ended }));
    }

    fn stay(&self, studio: Option<u32>) -> Stay {
        stay(self.jobs.get(&self.job).unwrap(), studio, |node| node.0[0] != 9)
    }
}

#[test]
fn a_job_stays_until_it_is_over_delivered_and_old_enough() {
    let mut kept = Kept::new(spec(1));
    kept.deliver_to(1);
    assert_eq!(kept.stay(None), Stay::ForEver);
    assert_eq!(kept.stay(Some(DAY)), Stay::Live);
    kept.control(Action::Pause);
    kept.says(3, Ended::Over(Unix(0)));
    assert_eq!(kept.stay(Some(DAY)), Stay::Live, "paused, whatever was said of its end");

    let mut kept = Kept::new(spec(1));
    kept.deliver_to(1);
    // What its author's clock said doesn't matter: that of this one is years behind.
    kept.ended(Outcome { started: Unix(0), ..outcome(1, 0, 1, done()) });
    kept.says(3, Ended::Over(Unix(5 * MS)));
    assert_eq!(kept.stay(Some(DAY)), Stay::Owed(vec![node(1)]), "the submitter is off");
    assert_eq!(kept.stay(None), Stay::Owed(vec![node(1)]), "also where nothing goes by itself");
    kept.says(2, Ended::Delivered);
    assert_eq!(kept.stay(Some(DAY)), Stay::Owed(vec![node(1)]), "that is another's word");
    kept.says(1, Ended::Delivered);
    assert!(has_written(kept.jobs.get(&kept.job).unwrap(), &node(1)));
    assert_eq!(kept.stay(Some(DAY)), Stay::Until(Unix(6 * MS)));
    // Two leaders: the later moment counts, in whichever order they are heard.
    kept.says(4, Ended::Over(Unix(7 * MS)));
    kept.says(5, Ended::Over(Unix(4 * MS)));
    assert_eq!(kept.stay(Some(DAY)), Stay::Until(Unix(8 * MS)));
    assert_eq!(kept.stay(None), Stay::ForEver);
}

#[test]
fn what_is_asked_of_a_job_goes_before_the_studios_setting() {
    let mut kept = Kept::new(spec(1));
    kept.ended(outcome(1, 0, 1, failed("it broke")));
    assert_eq!(kept.stay(Some(DAY)), Stay::Unsaid);
    kept.says(1, Ended::Over(Unix(MS)));
    kept.control(Action::Keep(Keep::For(3 * DAY)));
    assert_eq!(kept.stay(Some(DAY)), Stay::Until(Unix(4 * MS)), "its age counts on");
    assert_eq!(kept.stay(None), Stay::Until(Unix(4 * MS)));
    kept.control(Action::Keep(Keep::ForEver));
    assert_eq!(kept.stay(Some(DAY)), Stay::ForEver);
    kept.control(Action::Keep(Keep::AsSet));
    assert_eq!(kept.stay(Some(DAY)), Stay::Until(Unix(2 * MS)));
}

#[test]
fn what_is_rendered_anew_is_delivered_and_aged_anew() {
    let mut kept = Kept::new(spec(1));
    kept.deliver_to(1);
    kept.ended(outcome(1, 0, 1, done()));
    kept.says(1, Ended::Delivered);
    kept.says(3, Ended::Over(Unix(MS)));
    kept.control(Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 });
    assert_eq!(kept.stay(Some(DAY)), Stay::Live);
    kept.ended(outcome(1, 1, 1, done()));
    assert_eq!(kept.stay(Some(DAY)), Stay::Owed(vec![node(1)]), "the new frame");
    assert!(!has_written(kept.jobs.get(&kept.job).unwrap(), &node(1)));
    kept.says(1, Ended::Delivered);
    assert_eq!(kept.stay(Some(DAY)), Stay::Unsaid);
    kept.says(3, Ended::Over(Unix(9 * MS)));
    assert_eq!(kept.stay(Some(DAY)), Stay::Until(Unix(10 * MS)));
    // Two who asked for different frames at the same version are two all the same.
    let before = kept.jobs.get(&kept.job).unwrap().round();
    let extend = |frame| Action::Extend { step: 0, frames: vec![run(frame, frame)] };
    for frame in [2, 3] {
        kept.apply(1, &Body::Control(control(kept.job, 9, extend(frame))));
    }
    let rounds = BTreeSet::from([before, kept.jobs.get(&kept.job).unwrap().round()]);
    assert_eq!(rounds.len(), 2);
}

#[test]
fn how_long_a_job_is_kept_is_asked_in_a_version_of_its_own() {
    use crate::fact::{FactError, Kind};
    let job = spec(1).id();
    let body = Body::Control(control(job, 1, Action::Keep(Keep::For(60))));
    let (kind, bytes) = (Kind::CONTROL, body.encode());
    assert_eq!((body.version(), Body::decode(kind, 1, &bytes)), (2, Err(FactError::Body)));
    assert_eq!(Body::decode(kind, 2, &bytes), Ok(Some(body)));
    assert_eq!(Body::decode(kind, 3, &bytes), Ok(None));
    let pause = Body::Control(control(job, 1, Action::Pause)).encode();
    assert_eq!(Body::decode(kind, 2, &pause), Err(FactError::Body));
}

#[test]
fn a_node_that_was_revoked_is_not_waited_for() {
    let mut kept = Kept::new(spec(1));
    kept.deliver_to(9);
    kept.ended(outcome(1, 0, 1, done()));
    assert_eq!(kept.stay(Some(DAY)), Stay::Unsaid);
}

#[test]
fn a_job_that_waits_for_approval_is_not_over() {
    let mut spec = JobSpec { test_frames: vec![run(1, 1)], ..spec(2) };
    spec.after_test = AfterTest::AwaitApproval;
    let mut kept = Kept::new(spec);
    kept.ended(outcome(1, 0, 1, done()));
    assert_eq!(kept.stay(Some(DAY)), Stay::Live);
    kept.control(Action::Cancel);
    assert_eq!(kept.stay(Some(DAY)), Stay::Unsaid);
}
