use proptest::prelude::*;

use super::*;
use crate::fact::{Delivery, Outcomes, Removal};
use crate::ids::BlobId;
use crate::job::keep::{End, Ended};
use crate::job::note::{Notes, What};
use crate::job::samples::{comped, control, done, fact, failed, node, outcome, run, spec, tiled};
use crate::job::status::{
    Activity, Status, check_control, error_message, may_start, startable, status,
};
use crate::job::warning::{Warned, Warnings};
use crate::ladder::STEP;
use crate::time::Unix;

struct Table {
    jobs: Jobs,
    id: JobId,
    facts: u64,
}

impl Table {
    fn with(spec: JobSpec) -> Self {
        let id = spec.id();
        let mut table = Self { jobs: Jobs::new(), id, facts: 0 };
        table.apply(1, &Body::Spec(Box::new(spec)));
        table
    }

    fn apply(&mut self, author: u8, body: &Body) {
        self.facts += 1;
        self.jobs.apply(fact(self.facts), node(author), body);
    }

    fn outcome(&mut self, author: u8, outcome: Outcome) {
        let job = self.id;
        self.apply(author, &Body::Outcomes(Outcomes { job, outcomes: vec![outcome] }));
    }

    /// Somebody asks for another round of frames that the job doesn't have, so that only that is known.
    fn round(&mut self, generation: u32) {
        self.control(Action::Retry { step: 0, frames: vec![run(900, 900)], generation });
    }

    fn control(&mut self, action: Action) {
        let version = self.job().next_version();
        self.apply(1, &Body::Control(control(self.id, version, action)));
    }

    fn job(&self) -> &Job {
        self.jobs.get(&self.id).unwrap()
    }

    fn status(&self) -> Status {
        status(self.job(), Activity::default()).unwrap()
    }

    fn startable(&self) -> Vec<i32> {
        startable(self.job()).map(|key| key.frame).collect()
    }
}

#[test]
fn the_mean_time_is_of_the_results_that_count() {
    let mut table = Table::with(spec(3));
    let took = |frame, attempt, ms| Outcome { render_ms: ms, ..outcome(frame, 0, attempt, done()) };
    table.outcome(1, took(1, 2, 900));
    assert_eq!((table.job().mean_ms(1), table.job().mean_ms(2)), (Some(900), None));
    // An earlier attempt's result comes late, and counts instead.
    table.outcome(2, took(1, 1, 100));
    table.outcome(1, took(2, 1, 200));
    table.outcome(1, took(2, 3, 5000));
    assert_eq!(table.job().mean_ms(2), Some(150));
}

#[test]
fn a_job_runs_from_queued_to_completed() {
    let mut table = Table::with(spec(2));
    assert_eq!(table.status(), Status::Queued);
    let preparing = Activity { preparing: 1, rendering: 0 };
    assert_eq!(status(table.job(), preparing), Some(Status::Preparing));
    table.outcome(1, outcome(1, 0, 1, done()));
    assert_eq!(table.status(), Status::Rendering);
    assert_eq!(table.startable(), [2]);
    table.outcome(2, outcome(2, 0, 1, done()));
    assert_eq!(table.status(), Status::Completed);
    table.control(Action::Cancel);
    assert_eq!(table.status(), Status::Completed, "done beats cancelled");
}

#[test]
fn what_was_completed_after_it_was_cancelled_is_not_begun_anew() {
    let mut table = Table::with(spec(1));
    table.control(Action::Cancel);
    table.outcome(1, outcome(1, 0, 1, done()));
    assert_eq!(table.status(), Status::Completed);
    let retry = Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 };
    let extend = Action::Extend { step: 0, frames: vec![run(2, 2)] };
    for (action, verb) in [(retry, "retry"), (extend, "extend")] {
        let refusal = check_control(table.job(), &action).unwrap_err().to_string();
        let said = format!("the job was cancelled: submit it again instead of {verb}");
        assert_eq!(refusal, said);
    }
}

#[test]
fn a_task_fails_after_its_retries_and_the_others_go_on() {
    let mut table = Table::with(JobSpec { retries: 1, ..spec(2) });
    table.outcome(1, outcome(1, 0, 1, failed("no light")));
    assert_eq!(table.job().task(&TaskKey::frame(1)).unwrap().next_attempt(), 2);
    assert_eq!(table.startable(), [1, 2]);
    table.outcome(2, outcome(1, 0, 2, failed("no camera")));
    assert_eq!(table.startable(), [2]);
    table.outcome(2, outcome(2, 0, 1, done()));
    assert_eq!(table.status(), Status::Failed);
    let message = error_message(table.job(), |_| "node-2".into()).unwrap();
    assert_eq!(message, "frame 1 failed 2 times, at last on node node-2: no camera");
    // A retry renders only what failed.
    let retry = Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 };
    assert!(check_control(table.job(), &retry).is_ok());
    table.control(retry);
    assert_eq!(table.startable(), [1]);
    assert_eq!(table.status(), Status::Rendering);
    table.outcome(1, outcome(1, 1, 1, done()));
    assert_eq!(table.status(), Status::Completed);
}

#[test]
fn an_older_result_stands_until_the_newer_generation_is_done() {
    let mut table = Table::with(spec(1));
    table.outcome(1, outcome(1, 0, 1, done()));
    table.control(Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 });
    let generation =
        |table: &Table| table.job().task(&TaskKey::frame(1)).unwrap().done().unwrap().generation;
    assert_eq!((table.status(), generation(&table)), (Status::Queued, 0));
    table.outcome(2, outcome(1, 1, 1, done()));
    assert_eq!((table.status(), generation(&table)), (Status::Completed, 1));
}

#[test]
fn test_frames_go_first_and_gate_the_rest() {
    let tests = JobSpec { test_frames: vec![run(5, 6)], ..spec(9) };
    let mut table = Table::with(tests.clone());
    assert_eq!(table.startable(), [5, 6]);
    table.outcome(1, outcome(5, 0, 1, done()));
    assert_eq!(table.startable(), [6]);
    assert!(!may_start(table.job(), &TaskKey::frame(1)));
    table.outcome(1, outcome(6, 0, 1, failed("dark")));
    assert_eq!(table.startable(), [1, 2, 3, 4, 7, 8, 9], "without --stop-after-test it goes on");

    let mut table = Table::with(JobSpec { after_test: AfterTest::StopIfFailed, ..tests.clone() });
    table.outcome(1, outcome(6, 0, 1, failed("dark")));
    assert_eq!(table.startable(), [5], "the other test frame's outcome is not known yet");
    table.outcome(1, outcome(5, 0, 1, done()));
    assert_eq!(table.status(), Status::Failed);
    assert_eq!(table.startable(), [] as [i32; 0]);
    let message = error_message(table.job(), NodeId::short).unwrap();
    assert!(message.contains("test frame 6") && message.contains("dark"), "{message}");
    assert!(message.contains("--stop-after-test"), "{message}");
    // Nothing of it starts before that frame is done: who asks for others is told so.
    let retry = |frames| Action::Retry { step: 0, frames, generation: 1 };
    for idle in
        [retry(vec![run(1, 5), run(7, 9)]), Action::Extend { step: 0, frames: vec![run(20, 21)] }]
    {
        let refused = check_control(table.job(), &idle).unwrap_err().0;
        assert!(refused.contains("test frame 6 has failed"), "{refused}");
    }
    assert!(check_control(table.job(), &retry(vec![run(1, 9)])).is_ok());
    table.control(retry(vec![run(6, 6)]));
    assert_eq!(table.startable(), [6]);

    let waits = JobSpec { after_test: AfterTest::AwaitApproval, ..tests };
    let mut table = Table::with(waits.clone());
    table.outcome(1, outcome(6, 0, 1, failed("dark")));
    table.outcome(1, outcome(5, 0, 1, done()));
    let message = error_message(table.job(), NodeId::short).unwrap();
    assert!(message.contains("as asked by --approve-after-test"), "{message}");
    let mut table = Table::with(waits);
    table.outcome(1, outcome(5, 0, 1, done()));
    table.outcome(1, outcome(6, 0, 1, done()));
    assert_eq!(table.status(), Status::AwaitingApproval);
    assert_eq!(table.startable(), [] as [i32; 0]);
    // Whoever has paused it may approve of it all the same.
    table.control(Action::Pause);
    assert_eq!(table.status(), Status::Paused);
    assert!(check_control(table.job(), &Action::Approve).is_ok());
    table.control(Action::Approve);
    assert!(check_control(table.job(), &Action::Approve).is_err());
    assert_eq!(table.startable(), [] as [i32; 0]);
    table.control(Action::Resume);
    assert_eq!(table.startable().len(), 7);
}

#[test]
fn controls_that_do_not_fit_are_refused() {
    let mut table = Table::with(spec(2));
    assert!(check_control(table.job(), &Action::Resume).is_err());
    assert!(check_control(table.job(), &Action::Approve).is_err());
    let nothing = Action::Retry { step: 0, frames: Vec::new(), generation: 1 };
    assert!(check_control(table.job(), &nothing).is_err());
    let outside = Action::Retry { step: 0, frames: vec![run(8, 9)], generation: 1 };
    assert!(check_control(table.job(), &outside).unwrap_err().0.contains("frame 8"));
    assert!(check_control(table.job(), &Action::Pause).is_ok());
    table.control(Action::Pause);
    assert_eq!((table.status(), table.startable()), (Status::Paused, Vec::new()));
    assert!(check_control(table.job(), &Action::Pause).is_err());
    assert!(check_control(table.job(), &Action::Resume).is_ok());
    table.control(Action::Resume);
    assert_eq!(table.startable(), [1, 2]);
    table.control(Action::Cancel);
    assert_eq!((table.status(), table.startable()), (Status::Cancelled, Vec::new()));
    let priority = Action::Priority(9);
    for action in [Action::Pause, Action::Resume, Action::Cancel, outside, priority] {
        assert!(check_control(table.job(), &action).is_err(), "{action:?}");
    }
}

#[test]
fn of_equal_versions_pause_comes_before_resume() {
    for order in [[Action::Pause, Action::Resume], [Action::Resume, Action::Pause]] {
        let mut table = Table::with(spec(1));
        for action in order {
            table.apply(1, &Body::Control(control(table.id, 4, action)));
        }
        assert_eq!(table.status(), Status::Paused);
        table.apply(9, &Body::Control(control(table.id, 5, Action::Resume)));
        assert_eq!(table.status(), Status::Queued);
    }
}

#[test]
fn what_a_member_says_for_good_is_taken_back_all_the_same() {
    let mut table = Table::with(spec(2));
    table.control(Action::Pause);
    for action in [Action::Pause, Action::Priority(0), Action::Keep(Keep::For(1))] {
        table.apply(9, &Body::Control(control(table.id, u64::MAX, action)));
    }
    assert_eq!(table.job().next_version(), 2);
    table.control(Action::Resume);
    let switches = table.job().switches();
    assert_eq!((table.status(), switches.keep), (Status::Queued, Keep::AsSet));
    assert_eq!(switches.priority, spec(2).priority);
    // What happens once is not a matter of versions.
    table.apply(9, &Body::Control(control(table.id, u64::MAX, Action::Cancel)));
    assert_eq!(table.status(), Status::Cancelled);
}

#[test]
fn a_round_that_is_the_last_there_is_counts_for_nothing() {
    let mut table = Table::with(spec(1));
    let retry = |generation| Action::Retry { step: 0, frames: vec![run(1, 1)], generation };
    table.outcome(1, outcome(1, 0, 1, done()));
    table.control(retry(u32::MAX));
    assert_eq!((table.status(), table.job().next_round()), (Status::Completed, 1));
    table.control(retry(1));
    assert_eq!((table.status(), table.job().next_round()), (Status::Queued, 2));
    table.outcome(1, outcome(1, 1, 1, done()));
    assert_eq!(table.status(), Status::Completed);
}

#[test]
fn a_result_of_a_round_that_nobody_asked_for_counts_once_somebody_has() {
    let mut table = Table::with(spec(1));
    let counts = |table: &Table| {
        let done = table.job().task(&TaskKey::frame(1)).and_then(Task::done);
        done.map(|done| (done.generation, done.author))
    };
    table.outcome(9, outcome(1, 2, 1, done()));
    table.outcome(9, outcome(1, u32::MAX, 1, done()));
    assert_eq!((table.status(), counts(&table)), (Status::Queued, None));
    table.outcome(1, outcome(1, 0, 1, done()));
    assert_eq!(counts(&table), Some((0, node(1))));
    table.control(Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 });
    assert_eq!((table.status(), counts(&table)), (Status::Queued, Some((0, node(1)))));
    table.outcome(1, outcome(1, 1, 1, done()));
    assert_eq!((table.status(), counts(&table)), (Status::Completed, Some((1, node(1)))));
    table.control(Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 2 });
    assert_eq!(counts(&table), Some((2, node(9))), "it came before what asked for it");
}

#[test]
fn of_more_frames_than_any_job_has_no_more_are_looked_at() {
    let mut spec = spec(9);
    spec.steps[0].tiles = (32, 32);
    let mut table = Table::with(spec);
    // With their tiles more than two million tasks, of which the job's own come last.
    table.control(Action::Retry { step: 0, frames: vec![run(-2100, 9)], generation: 1 });
    assert_eq!(table.job().task(&TaskKey::frame(9)).unwrap().generation, 0);
    table.control(Action::Retry { step: 0, frames: vec![run(-100, 9)], generation: 1 });
    assert_eq!(table.job().task(&TaskKey::frame(9)).unwrap().generation, 1);
}

#[test]
fn a_job_that_failed_while_it_was_paused_can_be_resumed() {
    let mut table = Table::with(spec(1));
    table.control(Action::Pause);
    for attempt in 1..=1 + table.job().spec().unwrap().retries {
        table.outcome(2, outcome(1, 0, attempt, failed("out of memory")));
    }
    assert_eq!(table.status(), Status::Failed);
    assert!(check_control(table.job(), &Action::Resume).is_ok());
    table.control(Action::Resume);
    assert!(check_control(table.job(), &Action::Resume).is_err());
    let extend = |to: i32| Action::Extend { step: 0, frames: vec![run(1, to)] };
    let refused = check_control(table.job(), &extend(1)).unwrap_err();
    assert!(refused.0.contains("all of these frames already"), "{refused}");
    table.control(extend(2));
    assert_eq!(table.startable(), [2]);
}

#[test]
fn a_job_does_not_grow_past_what_one_may_have() {
    let mut table = Table::with(spec(10));
    let most = i32::try_from(MAX_FRAMES).unwrap();
    let extend = |to: i32| Action::Extend { step: 0, frames: vec![run(11, to)] };
    assert!(check_control(table.job(), &extend(most)).is_ok(), "ten are there");
    let refused = check_control(table.job(), &extend(most + 1)).unwrap_err();
    assert!(refused.0.contains("more than 1000000 tasks"), "{refused}");
    // A fact that says so all the same costs no more than it may.
    table.control(extend(i32::MAX));
    assert_eq!(table.job().tasks().count(), MAX_FRAMES);
}

#[test]
fn more_frames_can_be_added_and_a_removed_job_stays_removed() {
    let mut table = Table::with(spec(2));
    table.control(Action::Extend { step: 0, frames: vec![run(2, 4)] });
    assert_eq!(table.startable(), [1, 2, 3, 4]);
    table.apply(1, &Body::Removal(Removal { job: table.id }));
    assert!(table.jobs.is_removed(&table.id) && table.jobs.get(&table.id).is_none());
    table.apply(1, &Body::Spec(Box::new(spec(2))));
    assert!(table.jobs.is_removed(&table.id));
    assert_eq!(table.jobs.iter().count(), 0);
}

#[test]
fn what_is_noted_belongs_to_the_result_that_counts() {
    let mut table = Table::with(spec(1));
    let task = TaskKey::frame(1);
    let note =
        |generation, blob| Note { task, generation, what: What::Preview(BlobId([blob; 32])) };
    let notes = |job, notes| Body::Notes(Notes { job, notes });
    let seen = |table: &Table| table.job().task(&task).unwrap().noted().preview;
    // It may come before its outcome.
    table.apply(1, &notes(table.id, vec![note(0, 5), note(1, 6)]));
    table.apply(2, &notes(table.id, vec![note(0, 1)]));
    assert_eq!(seen(&table), None);
    table.round(2);
    table.outcome(1, outcome(1, 0, 1, done()));
    assert_eq!(seen(&table), Some(BlobId([5; 32])));
    table.outcome(1, outcome(1, 1, 1, done()));
    assert_eq!(seen(&table), Some(BlobId([6; 32])));
    table.outcome(3, outcome(1, 2, 1, done()));
    assert_eq!(seen(&table), None, "nothing is noted of this one");
    assert_eq!(table.job().counts(), (1, 1, 0));
}

#[test]
fn warnings_belong_to_the_result_that_counts() {
    let mut table = Table::with(spec(1));
    let task = TaskKey::frame(1);
    let (id, texts) = (table.id, |text: &str| vec![text.to_owned()]);
    let warned = |generation, text| {
        let warned = vec![Warned { task, generation, texts: texts(text) }];
        Body::Warnings(Warnings { job: id, warned })
    };
    // They may come before the outcome.
    table.apply(1, &warned(0, "first"));
    table.apply(1, &warned(1, "second"));
    table.apply(2, &warned(0, "another node's"));
    table.round(2);
    assert!(table.job().task(&task).unwrap().warnings().is_empty());
    table.outcome(1, outcome(1, 0, 1, done()));
    assert_eq!(table.job().task(&task).unwrap().warnings(), ["first"]);
    table.outcome(1, outcome(1, 1, 1, done()));
    assert_eq!(table.job().task(&task).unwrap().warnings(), ["second"]);
    table.outcome(3, outcome(1, 2, 1, done()));
    assert!(table.job().task(&task).unwrap().warnings().is_empty());
}

#[test]
fn what_failed_last_has_its_warnings_too() {
    let mut table = Table::with(spec(1));
    let task = TaskKey::frame(1);
    for (n, text) in [(1, "on one"), (2, "on another")] {
        let warned = vec![Warned { task, generation: 0, texts: vec![text.to_owned()] }];
        table.apply(n, &Body::Warnings(Warnings { job: table.id, warned }));
    }
    assert!(table.job().task(&task).unwrap().warnings_of_failure().is_empty());
    table.outcome(2, outcome(1, 0, 1, failed("a")));
    table.outcome(1, outcome(1, 0, 2, failed("b")));
    assert_eq!(table.job().task(&task).unwrap().warnings_of_failure(), ["on one"]);
    assert!(table.job().task(&task).unwrap().warnings().is_empty());
}

/// Any fact about one job, few enough values that they collide and contradict each other.
fn any_body(spec: JobSpec) -> impl Strategy<Value = Body> {
    let id = spec.id();
    let ending = prop_oneof![Just(done()), Just(failed("a")), Just(failed("b"))];
    let part = prop_oneof![Just((0, 0)), Just((0, 1)), Just((1, 0))];
    let outcomes = (1..5_i32, part, 0..3_u32, 1..4_u32, ending, 0..2_u64);
    let outcomes = outcomes.prop_map(move |(f, (step, tile), g, a, ending, started)| {
        let (task, started) = (TaskKey { step, tile, ..TaskKey::frame(f) }, Unix(started));
        let outcome = Outcome { task, started, ..outcome(f, g, a, ending) };
        Body::Outcomes(Outcomes { job: id, outcomes: vec![outcome] })
    });
    let frames = (1..5_i32, 1..7_i32).prop_map(|(from, to)| vec![run(from, to)]);
    let far = u32::try_from(STEP).unwrap_or(u32::MAX) + 2;
    let rounds = prop_oneof![8 => 1..3_u32, 1 => Just(far), 1 => Just(u32::MAX)];
    let action = prop_oneof![
        Just(Action::Pause),
        Just(Action::Resume),
        Just(Action::Cancel),
        Just(Action::Approve),
        (0..=100_u8).prop_map(Action::Priority),
        (0..3_u32).prop_map(|seconds| Action::Keep(Keep::For(seconds))),
        (frames.clone(), rounds).prop_map(|(frames, generation)| Action::Retry {
            step: 0,
            frames,
            generation
        }),
        frames.prop_map(|frames| Action::Extend { step: 0, frames }),
    ];
    let versions = prop_oneof![8 => 1..5_u64, 1 => Just(STEP + 4), 1 => Just(u64::MAX)];
    let controls = (versions, action)
        .prop_map(move |(version, action)| Body::Control(control(id, version, action)));
    let delivery = (1..4_u8).prop_map(move |n| {
        Body::Delivery(Delivery { job: id, node: node(n), folder: format!("out{n}") })
    });
    let notes = (1..5_i32, 0..3_u32, 0..4_u8).prop_map(move |(frame, generation, blob)| {
        let what = What::Preview(BlobId([blob; 32]));
        let note = Note { task: TaskKey::frame(frame), generation, what };
        Body::Notes(Notes { job: id, notes: vec![note] })
    });
    let warnings = (1..5_i32, 0..3_u32, 0..3_u8).prop_map(move |(frame, generation, text)| {
        let texts = vec![format!("warning {text}")];
        let warned = vec![Warned { task: TaskKey::frame(frame), generation, texts }];
        Body::Warnings(Warnings { job: id, warned })
    });
    let ended =
        prop_oneof![Just(Ended::Delivered), (0..3_u64).prop_map(|at| Ended::Over(Unix(at)))];
    let ends = (0..2_u8, ended)
        .prop_map(move |(round, ended)| Body::End(End { job: id, round: [round; 8], ended }));
    prop_oneof![
        8 => outcomes,
        2 => ends,
        3 => notes,
        2 => warnings,
        5 => controls,
        1 => delivery,
        2 => Just(Body::Spec(Box::new(spec))),
        1 => Just(Body::Removal(Removal { job: id })),
    ]
}

fn tested() -> JobSpec {
    JobSpec { test_frames: vec![run(3, 3)], retries: 1, ..spec(4) }
}

/// Whole frames, frames in two tiles, or a step after them with other frames.
fn any_history() -> impl Strategy<Value = (JobSpec, Vec<(FactId, NodeId, Body)>)> {
    let mut comped = comped(tested());
    comped.steps[1].frames = vec![run(1, 2)];
    let specs = prop_oneof![Just(tested()), Just(tiled(tested())), Just(comped)];
    specs.prop_flat_map(|spec| (Just(spec.clone()), history_of(spec)))
}

fn history_of(spec: JobSpec) -> impl Strategy<Value = Vec<(FactId, NodeId, Body)>> {
    // A fact's id is the hash of its author and body, as in life: equal ids, equal facts.
    let one = (1..4_u8, any_body(spec)).prop_map(|(author, body)| {
        let bytes = [&[author][..], &body.encode(), &body.kind().0.to_le_bytes()].concat();
        (FactId(*blake3::hash(&bytes).as_bytes()), node(author), body)
    });
    prop::collection::vec(one, 0..24)
}

fn joined<'a>(history: impl IntoIterator<Item = &'a (FactId, NodeId, Body)>) -> Jobs {
    let mut jobs = Jobs::new();
    for (fact, author, body) in history {
        jobs.apply(*fact, *author, body);
    }
    jobs
}

proptest! {
    /// Commutative and associative: every order gives the same. Idempotent: so does every repeat.
    #[test]
    fn the_same_facts_give_the_same_state((_, history) in any_history(), seed in any::<u64>()) {
        let expected = joined(&history);
        let mut random = crate::random::Random::seeded(seed);
        let count = history.len();
        let shuffled = random.sample(history.clone(), count);
        prop_assert_eq!(&joined(&shuffled), &expected);
        prop_assert_eq!(&joined(shuffled.iter().chain(&history)), &expected);
    }

    /// Monotone: a further fact never takes a task of one generation back from done, and counts
    /// always add up.
    #[test]
    fn done_never_goes_back((spec, history) in any_history()) {
        let id = spec.id();
        let mut jobs = Jobs::new();
        for (fact, author, body) in &history {
            let before: Vec<(TaskKey, u32, bool)> = jobs.get(&id).into_iter().flat_map(|job| {
                job.tasks().map(|(key, task)| {
                    (key, task.generation, task.state(1) == TaskState::Done)
                })
            }).collect();
            jobs.apply(*fact, *author, body);
            let Some(job) = jobs.get(&id) else { continue };
            for (key, generation, was_done) in before {
                let task = job.task(&key).unwrap();
                prop_assert!(task.generation >= generation);
                if was_done && task.generation == generation {
                    prop_assert_eq!(task.state(1), TaskState::Done);
                }
            }
            let (all, done, failed) = job.counts();
            let Some(spec) = job.spec() else { continue };
            let in_vain = |key: &TaskKey| {
                let whole: Vec<u16> = spec.before_as_a_whole(key.step).collect();
                spec.before(key).iter().any(|key| job.state(key) == Some(TaskState::Failed))
                    || job.failed().any(|key| whole.contains(&key.step))
            };
            let states: Vec<TaskState> = job.tasks().map(|(key, task)| {
                match task.state(job.retries()) {
                    TaskState::Open if in_vain(&key) => TaskState::Failed,
                    state => state,
                }
            }).collect();
            prop_assert_eq!(states.len(), all);
            prop_assert_eq!(states.iter().filter(|s| **s == TaskState::Done).count(), done);
            prop_assert_eq!(states.iter().filter(|s| **s == TaskState::Failed).count(), failed);
        }
    }
}
