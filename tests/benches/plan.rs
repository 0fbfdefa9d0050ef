//! How long the leader takes to plan: 1,000 nodes of 40 hardware shapes, 100,000 waiting tasks of 50
//! jobs, with limits and locality. All at once, and after one event. Tasks take whole nodes, or with `--share`
//! eight cores and what else they need of one, so that several are on each.
//!
//! `cargo bench -p weft-tests --bench plan -- [--share] [--nodes 1000] [--rounds 30] [--strict]`

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::{Duration, Instant};

use weft_protocol::certificate::Role;
use weft_protocol::claim::Portion;
use weft_protocol::content::TreePath;
use weft_protocol::fact::{Body, Fact, Outcomes};
use weft_protocol::hardware::{GIB, Gpu, Hardware, Needs};
use weft_protocol::ids::{BlobId, JobId, NodeId, StudioId};
use weft_protocol::job::outcome::{Ending, Outcome};
use weft_protocol::job::spec::{AfterTest, JobSpec, Step};
use weft_protocol::job::task::FrameRun;
use weft_protocol::leader::Leader;
use weft_protocol::ledger::Ledger;
use weft_protocol::settings::{Change, Setting};
use weft_protocol::sign::Signer;
use weft_protocol::time::{Time, Unix};
use weft_protocol::wire::control::{Advert, AttemptKey, Claimed, Message, Phase, Report};
use weft_tests::bench::figures::{Verdict, given, median, option};

const SHAPES: usize = 40;
const JOBS: u64 = 50;
const TASKS: i32 = 2000;

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let (nodes, rounds) = (option("--nodes", 1000), option("--rounds", 30));
    let mut verdict = Verdict::default();
    let mut studio = Studio::new(nodes);
    let mut full = Vec::new();
    for _ in 0..rounds {
        // A leader that has just been elected: everybody is idle, and all is to be handed out.
        studio.elect();
        full.push(studio.tick());
    }
    let tasks: usize = studio.busy.values().map(|(on, _)| on.len()).sum();
    println!("{} of {nodes} nodes got work in a full plan: {tasks} tasks", studio.busy.len());
    figure(&mut verdict, "a full plan, ms", &full, 50.0);
    let mut event = Vec::new();
    for _ in 0..rounds * 10 {
        event.push(studio.one_is_done());
    }
    figure(&mut verdict, "a plan after one event, ms", &event, 5.0);
    verdict.end();
}

fn figure(verdict: &mut Verdict, what: &str, took: &[Duration], most: f64) {
    let took: Vec<f64> = took.iter().map(|took| took.as_secs_f64() * 1000.0).collect();
    let (least, longest) =
        took.iter().fold((f64::MAX, 0.0_f64), |(a, b), t| (a.min(*t), b.max(*t)));
    println!("{what}: {:.2} ({least:.2} to {longest:.2})", median(&took));
    verdict.at_most(what, median(&took), most);
}

const STUDIO: StudioId = StudioId([1; 32]);

/// Signs for anybody: nothing here is checked.
struct As(NodeId);

impl Signer for As {
    fn author(&self) -> NodeId {
        self.0
    }

    fn sign(&self, _: &[u8]) -> [u8; 64] {
        [0; 64]
    }
}

struct Studio {
    ledger: Ledger,
    adverts: BTreeMap<NodeId, Advert>,
    alive: BTreeSet<NodeId>,
    leader: Leader,
    now: u64,
    events: usize,
    seq: u64,
    /// What each works on, and the last assignment that it took.
    busy: BTreeMap<NodeId, (Vec<(AttemptKey, Portion)>, u64)>,
}

fn node(number: usize) -> NodeId {
    NodeId(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// The inputs of a job by its number.
fn inputs(job: u64) -> BlobId {
    BlobId(*blake3::hash(&(1 << 40 | job).to_le_bytes()).as_bytes())
}

fn advert(number: usize) -> Advert {
    let shape = number % SHAPES;
    let gpu = Gpu { model: format!("RTX {}", 3000 + shape / 10 * 1000), memory: 24 * GIB };
    let hardware = Hardware {
        os: format!("Debian {}", 11 + shape % 3),
        arch: "x86_64".into(),
        cpu_model: format!("AMD Ryzen Threadripper {}", 1900 + shape),
        cpu_cores: 8 << (shape % 4),
        ram: (16 << (shape % 5)) * GIB,
        gpus: vec![gpu; shape % 3],
    };
    let engines = ["blender", "maya", "houdini", "nuke", "povray", "demo", "noop", "join"];
    let has = engines.iter().enumerate().filter(|(n, _)| !(shape + n).is_multiple_of(4));
    Advert {
        node: node(number),
        name: format!("render-{number:04}"),
        role: Role::Worker,
        revision: (1, 0),
        release: "0.1.0".into(),
        hardware,
        engines: has.map(|(_, name)| ((*name).to_owned(), "4.2.1".to_owned())).collect(),
        tags: shape.is_multiple_of(2).then(|| "farm".to_owned()).into_iter().collect(),
        price: 100 + u32::try_from(shape % 7).unwrap_or(0) * 50,
        addresses: vec![format!("/ip4/10.0.{}.{}/tcp/7920", number / 250, number % 250 + 1)],
    }
}

fn spec(job: u64) -> JobSpec {
    let engines = ["blender", "maya", "houdini", "povray"];
    let step = Step {
        name: "render".into(),
        engine: engines[(job % 4) as usize].into(),
        engine_version: "4.2.1".into(),
        scene: TreePath::new("shot.blend").expect("a path"),
        arguments: BTreeMap::new(),
        frames: vec![FrameRun { start: 1, end: TASKS, step: 1 }],
        tiles: (1, 1),
        frames_per_task: 1,
        output: "shot_####.png".into(),
        after: Vec::new(),
    };
    let needs = Needs {
        ram: (8 << (job % 4)) * GIB,
        cores: 8,
        gpus: u32::from(job.is_multiple_of(5)),
        tags: job.is_multiple_of(7).then(|| "farm".to_owned()).into_iter().collect(),
        ..Needs::default()
    };
    JobSpec {
        nonce: [u8::try_from(job).unwrap_or(0); 16],
        name: format!("shot {job}"),
        owner: format!("artist{}@ws", job % 12),
        submitted: Unix(1000 + job),
        inputs: inputs(job),
        steps: vec![step],
        test_frames: Vec::new(),
        after_test: AfterTest::GoOn,
        needs,
        priority: 40 + u8::try_from(job % 3).unwrap_or(0) * 10,
        retries: 2,
        timeout: 0,
        fresh: false,
        check: 0,
        share: given("--share"),
    }
}

impl Studio {
    fn new(nodes: usize) -> Self {
        let mut ledger = Ledger::new(STUDIO);
        let mut apply = |body: Body| _ = ledger.apply(&Fact::sign(&STUDIO, &body, &As(node(0))));
        for job in 0..JOBS {
            apply(Body::Spec(Box::new(spec(job))));
        }
        for (engine, most) in [("houdini", 60), ("maya", 200)] {
            let change = Change::Limit(engine.into(), Some(most));
            apply(Body::Setting(Setting { version: 1, at: Unix(1), by: "ada".into(), change }));
        }
        let adverts: BTreeMap<NodeId, Advert> =
            (0..nodes).map(|number| (node(number), advert(number))).collect();
        let alive = adverts.keys().copied().collect();
        let leader = Leader::new(1, Time(0));
        let busy = BTreeMap::new();
        Self { ledger, adverts, alive, leader, now: 0, events: 0, seq: 0, busy }
    }

    /// What a node reports that holds the inputs of four jobs.
    fn report(&mut self, who: NodeId) {
        self.seq += 1;
        let first = u64::from(who.0[0]);
        let held = (0..4).map(|n| inputs((first + n * 11) % JOBS)).collect();
        let nothing = (Vec::new(), 0);
        let (on, assigned) = self.busy.get(&who).unwrap_or(&nothing);
        let running = on.iter().map(|(key, _)| (*key, 1, Phase::Rendering(0))).collect();
        if given("--share") {
            let claims = (0..)
                .zip(on)
                .map(|(at, (_, claim))| Claimed { claim: claim.clone(), of: vec![at] });
            self.leader.claims(who, self.seq, claims.collect());
        }
        let report = Report { seq: self.seq, assigned: *assigned, running, held };
        self.leader.report(Time(self.now), who, &report);
    }

    fn elect(&mut self) {
        self.now += 10_000;
        self.leader = Leader::new(1, Time(self.now));
        self.busy.clear();
        for who in self.adverts.keys().copied().collect::<Vec<_>>() {
            self.report(who);
        }
    }

    /// One tick of the leader's: it looks at everything that it knows, plans, and assigns.
    fn tick(&mut self) -> Duration {
        self.leader.touch();
        let begun = Instant::now();
        let now = Time(self.now);
        let sends = self.leader.tick(now, &self.ledger, &self.adverts, &self.alive);
        let took = begun.elapsed();
        for (to, message) in black_box(sends) {
            if let Message::Assign { lease, seq, .. } = message {
                let (on, assigned) = self.busy.entry(to).or_default();
                on.push((lease.attempt, lease.claim()));
                *assigned = seq;
            }
        }
        took
    }

    /// A node is done with its frame, and gets the next.
    fn one_is_done(&mut self) -> Duration {
        self.now += 1;
        let at = self.events * 7 % self.busy.len();
        let mut turns = self.busy.iter().cycle().skip(at);
        let who = *turns.find(|(_, (on, _))| !on.is_empty()).expect("somebody works").0;
        let (on, _) = self.busy.get_mut(&who).expect("it works");
        let (attempt, _) = on.remove(0);
        let outcome = Outcome {
            holders: vec![who],
            ..attempt.outcome(Ending::Done(Vec::new()), Unix(0), 60_000)
        };
        self.events += 1;
        let job: JobId = attempt.job;
        let body = Body::Outcomes(Outcomes { job, outcomes: vec![outcome] });
        self.ledger.apply(&Fact::sign(&STUDIO, &body, &As(who)));
        self.leader.outcomes(who);
        self.report(who);
        self.tick()
    }
}
