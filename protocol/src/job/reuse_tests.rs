use std::collections::BTreeMap;

use super::*;
use crate::content::TreeEntry;
use crate::fact::{Body, Outcomes, Removal};
use crate::hardware::Gpu;
use crate::ids::FactId;
use crate::job::control::Action;
use crate::job::note::{Note, Notes, What};
use crate::job::outcome::Outcome;
use crate::job::samples::{control, done, fact, failed, node, outcome, run, spec, tiled};

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

/// A scene, a texture, and a picture that only frame 2 shows.
fn tree(scene: u8, picture: u8) -> Tree {
    let entry = |blob, frames| TreeEntry { blob: BlobId([blob; 32]), size: 1, frames };
    let entries = BTreeMap::from([
        (path("shot.weft"), entry(scene, None)),
        (path("run/2.png"), entry(picture, Some(vec![run(2, 2)]))),
        (path("wood.png"), entry(9, None)),
    ]);
    Tree::new(entries).unwrap()
}

fn maker(version: &str) -> Maker {
    Maker { version: version.into(), class: "x86_64".into() }
}

fn key_of(spec: &JobSpec, tree: &Tree, frame: i32) -> Key {
    let inputs = Inputs::of(tree);
    key(spec, &inputs, &TaskKey::frame(frame), false, &|_| Some(maker("1"))).unwrap()
}

#[test]
fn a_key_depends_on_what_the_frame_needs_and_on_nothing_else() {
    let (job, files) = (spec(3), tree(1, 1));
    let same = |job: &JobSpec, files: &Tree, frame| {
        key_of(job, files, frame) == key_of(&spec(3), &tree(1, 1), frame)
    };
    // Who asks for it, under which name, how often it is tried: all that is nothing to the picture.
    let other = JobSpec {
        nonce: [9; 16],
        name: "other".into(),
        owner: "bo".into(),
        submitted: Unix(9),
        inputs: BlobId([8; 32]),
        priority: 1,
        retries: 7,
        timeout: 5,
        ..spec(9)
    };
    assert!(same(&other, &files, 1) && same(&other, &files, 2));
    assert!(same(&job, &tree(1, 5), 1), "frame 1 doesn't show that picture");
    assert!(!same(&job, &tree(1, 5), 2) && !same(&job, &tree(5, 1), 1));
    assert_ne!(key_of(&job, &files, 1), key_of(&job, &files, 3));
    let change = |change: &dyn Fn(&mut Step)| {
        let mut job = spec(3);
        change(&mut job.steps[0]);
        !same(&job, &files, 1)
    };
    assert!(change(&|step| step.engine = "other".into()));
    assert!(change(&|step| step.output = "other".into()));
    assert!(change(&|step| step.tiles = (2, 1)));
    assert!(change(&|step| step.scene = path("wood.png")));
    assert!(change(&|step| drop(step.arguments.insert("arg.samples".into(), "4".into()))));
    let inputs = Inputs::of(&files);
    let by = |spanned, maker: &Maker| {
        key(&spec(3), &inputs, &TaskKey::frame(1), spanned, &|_| Some(maker.clone())).unwrap()
    };
    assert_ne!(by(false, &maker("1")), by(false, &maker("2")));
    let arm = Maker { class: "aarch64".into(), ..maker("1") };
    assert_ne!(by(false, &maker("1")), by(false, &arm));
    let longer = key(&spec(4), &inputs, &TaskKey::frame(1), true, &|_| Some(maker("1"))).unwrap();
    assert_ne!(by(true, &maker("1")), longer, "an engine that is told the span");
    assert_eq!(key(&spec(3), &inputs, &TaskKey::frame(1), false, &|_| None), None);
}

/// A key is in facts: were it made otherwise, nothing that was rendered before would be found.
#[test]
fn the_key_of_a_frame_is_pinned() {
    let hex: String = key_of(&spec(3), &tree(1, 1), 2).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "a6656a111cf7ee081bca8423899dfd70c60668ca5f4bef37a578134b0d63f87f");
}

#[test]
fn what_is_joined_depends_on_its_tiles() {
    let (job, files) = (tiled(spec(3)), tree(1, 1));
    let inputs = Inputs::of(&files);
    let task = |step, tile| TaskKey { step, tile, ..TaskKey::frame(2) };
    let by = |files: &Inputs<'_>, task: TaskKey| {
        key(&job, files, &task, false, &|_| Some(maker("1"))).unwrap()
    };
    assert_ne!(by(&inputs, task(0, 0)), by(&inputs, task(0, 1)));
    let other = tree(1, 5);
    assert_ne!(by(&inputs, task(1, 0)), by(&Inputs::of(&other), task(1, 0)));
    // One of its tiles was made by nobody knows whom.
    let known = |task: &TaskKey| (task.tile == 0).then(|| maker("1"));
    assert_eq!(key(&job, &inputs, &task(1, 0), false, &known), None);
    // A step that waits for other frames than its own depends on more than can be said.
    let mut film = job.clone();
    film.steps[1].frames = vec![run(1, 1)];
    let end = TaskKey { step: 1, ..TaskKey::frame(1) };
    assert_eq!(key(&film, &inputs, &end, false, &|_| Some(maker("1"))), None);
}

#[test]
fn cards_make_a_class_where_they_are_asked_for() {
    let card = |model: &str| Gpu { model: model.into(), memory: 1 };
    let machine = Hardware {
        arch: "x86_64".into(),
        gpus: vec![card("RTX 4090"), card("RTX 3090"), card("RTX 4090")],
        ..Hardware::default()
    };
    let class = |job: &JobSpec| device_class(job, &job.steps[0], &machine);
    let mut job = spec(1);
    assert_eq!(class(&job), "x86_64");
    job.steps[0].arguments.insert("arg.device".into(), "OPTIX".into());
    assert_eq!(class(&job), "x86_64+RTX 3090+RTX 4090");
    let mut job = spec(1);
    job.needs.gpu_model = "4090".into();
    assert_eq!(class(&job), "x86_64+RTX 3090+RTX 4090");
    // What draws with a card, and by software where there is none, draws otherwise there.
    let mut job = spec(1);
    job.needs.tags = ["fast".to_owned(), "can:blender-eevee".to_owned()].into();
    assert_eq!(class(&job), "x86_64+RTX 3090+RTX 4090");
}

/// Jobs whose frame 1 has the same key.
struct Studio {
    jobs: Jobs,
    facts: u64,
}

const KEY: Key = [7; 32];

impl Studio {
    fn new() -> Self {
        Self { jobs: Jobs::new(), facts: 0 }
    }

    fn apply(&mut self, body: &Body) -> FactId {
        self.facts += 1;
        self.jobs.apply(fact(self.facts), node(1), body);
        fact(self.facts)
    }

    fn submit(&mut self, n: u8) -> JobId {
        let spec = JobSpec { nonce: [n; 16], submitted: Unix(n.into()), retries: 1, ..spec(2) };
        let id = spec.id();
        self.apply(&Body::Spec(Box::new(spec)));
        id
    }

    /// The first frame is done in a round; attempt 0 is one that was taken over.
    fn done(&mut self, job: JobId, generation: u32, attempt: u32) -> FactId {
        let task = TaskKey::frame(1);
        let note = Note { task, generation, what: What::Key(KEY) };
        self.apply(&Body::Notes(Notes { job, notes: vec![note] }));
        let outcomes = vec![outcome(1, generation, attempt, done())];
        self.apply(&Body::Outcomes(Outcomes { job, outcomes }))
    }

    fn retry(&mut self, job: JobId, generation: u32) {
        let version = self.jobs.get(&job).unwrap().next_version();
        let action = Action::Retry { step: 0, frames: vec![run(1, 1)], generation };
        self.apply(&Body::Control(control(job, version, action)));
    }

    fn found(&self, besides: JobId) -> Option<(JobId, u32)> {
        let keys = BTreeSet::from([KEY, [8; 32]]);
        let mut found = find(&self.jobs, &besides, &keys);
        assert!(found.len() <= 1);
        found.remove(&KEY).map(|found| (found.job, found.generation))
    }
}

#[test]
fn the_result_of_the_highest_round_counts_and_none_while_it_is_to_come() {
    let mut studio = Studio::new();
    let [first, second, third] = [1, 2, 3].map(|n| studio.submit(n));
    assert_eq!(studio.found(third), None);
    studio.done(first, 0, 1);
    assert_eq!(studio.found(third), Some((first, 0)));
    assert_eq!(studio.found(first), None, "a job does not find itself");
    // What was taken over is no source, but rendering it anew says that it was wrong.
    studio.done(second, 0, 0);
    assert_eq!(studio.found(third), Some((first, 0)));
    studio.retry(second, 1);
    assert_eq!(studio.found(third), None, "it was wrong, and nothing else is there yet");
    studio.done(second, 1, 1);
    assert_eq!(studio.found(third), Some((second, 1)));
    studio.done(first, 0, 1);
    assert_eq!(studio.found(third), Some((second, 1)), "in no order the wrong one comes back");
    studio.apply(&Body::Removal(Removal { job: second }));
    assert_eq!(studio.found(third), Some((first, 0)), "what is known of a removed job is gone");
    // Of one round what was submitted last: it may have been rendered anew on purpose.
    studio.done(third, 0, 1);
    let fourth = studio.submit(4);
    assert_eq!(studio.found(fourth), Some((third, 0)));
}

#[test]
fn stored_results_are_for_frames_of_which_nothing_was_done() {
    let mut studio = Studio::new();
    let job = studio.submit(1);
    let open = |studio: &Studio, job: &JobId| {
        wanted(studio.jobs.get(job).unwrap()).map(|key| key.frame).collect::<Vec<_>>()
    };
    assert_eq!(open(&studio, &job), [1, 2]);
    for attempt in 1..=2 {
        let outcomes = vec![outcome(2, 0, attempt, failed("dark"))];
        studio.apply(&Body::Outcomes(Outcomes { job, outcomes }));
    }
    studio.done(job, 0, 1);
    assert_eq!(open(&studio, &job), [] as [i32; 0]);
    studio.retry(job, 1);
    assert_eq!(open(&studio, &job), [] as [i32; 0], "it was there, and wrong");
    let version = studio.jobs.get(&job).unwrap().next_version();
    let action = Action::Retry { step: 0, frames: vec![run(2, 2)], generation: 2 };
    studio.apply(&Body::Control(control(job, version, action)));
    assert_eq!(open(&studio, &job), [2], "it had failed");
    for asked in [JobSpec { fresh: true, ..spec(2) }, JobSpec { check: 5, ..spec(2) }] {
        let id = asked.id();
        studio.apply(&Body::Spec(Box::new(asked)));
        assert_eq!(open(&studio, &id), [] as [i32; 0]);
    }
}

/// No engine ran for what was taken over: it says nothing of how long frames take, what they cost, and
/// what its node can do; and it counts before what is rendered as well.
#[test]
fn what_was_taken_over_costs_nothing_and_counts_first() {
    let mut studio = Studio::new();
    let job = studio.submit(1);
    studio.done(job, 0, 0);
    let known = |studio: &Studio| studio.jobs.get(&job).unwrap().clone();
    assert_eq!((known(&studio).mean_ms(1), known(&studio).ended().count()), (None, 0));
    let rendered = Outcome { render_ms: 800, ..outcome(1, 0, 1, done()) };
    studio.apply(&Body::Outcomes(Outcomes { job, outcomes: vec![rendered.clone()] }));
    let task = known(&studio);
    let task = task.task(&TaskKey::frame(1)).unwrap();
    assert!(task.done().unwrap().is_taken_over());
    assert_eq!(known(&studio).mean_ms(1), None);
    // The other way round.
    let job = studio.submit(2);
    studio.apply(&Body::Outcomes(Outcomes { job, outcomes: vec![rendered] }));
    assert_eq!(studio.jobs.get(&job).unwrap().mean_ms(1), Some(800));
    studio.done(job, 0, 0);
    assert_eq!(studio.jobs.get(&job).unwrap().mean_ms(1), None);
    let spent: u32 = studio.jobs.get(&job).unwrap().ended().map(|(_, ms, _)| ms).sum();
    assert_eq!(spent, 800, "it was rendered all the same");
}
