//! A large studio to which nothing happens but its work: what it sends while it idles, and how one long job goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weft_protocol::fact::Body;
use weft_protocol::hardware::Needs;
use weft_protocol::ids::{BlobId, JobId};
use weft_protocol::job::spec::{AfterTest, JobSpec};
use weft_protocol::job::status::{Activity, status};
use weft_protocol::job::task::FrameRun;
use weft_protocol::machine::Mesh;
use weft_protocol::replicate::Goods;
use weft_protocol::schedule::second::LATE_MS;

use super::clock::{MILLI, Moment, SECOND, micros};
use super::record::Notice;
use super::run::Setup;
use super::traffic::Traffic;
use super::world::World;

/// How many units a frame takes on the fastest machine at most, and half as many at least.
const LONGEST: u64 = 2;
/// Frames that were found rendered twice are named up to this number.
const NAMED: usize = 5;

/// A studio of so many machines, in which nobody fails, lies or does anything that was not asked for.
pub struct Large {
    world: World,
    /// When and where each frame was started, and as which attempt.
    starts: BTreeMap<i32, Vec<(Moment, usize, u32)>>,
}

/// How a long job went.
#[derive(Clone, Debug)]
pub struct LongJob {
    /// How long it took in the world's time, until every machine knew all of it.
    pub took: Duration,
    /// Tasks that were done, and that failed, as every machine tells.
    pub done: usize,
    /// See `done`.
    pub failed: usize,
    /// Starts of frames that another machine had begun so long ago that a second attempt is meant.
    pub seconds: usize,
    /// Frames of which other starts are known that no failure asked for, and all their starts.
    pub in_vain: Vec<String>,
    /// Facts on a machine's disk.
    pub facts: usize,
    /// What was sent for it, pictures and files aside.
    pub traffic: Traffic,
}

impl Large {
    /// Founds it, and waits until everybody follows one leader and is connected to it. Its frames leave `files`,
    /// or none, and take one to five of a `unit`, by how fast their machine is.
    ///
    /// # Errors
    /// When that takes more than five minutes of the world's time.
    pub fn found(nodes: usize, seed: u64, files: bool, unit: Duration) -> Result<Self, String> {
        let world = World::new(&Setup {
            nodes: nodes..=nodes,
            files,
            unit,
            mesh: Some(Mesh::default()),
            ..Setup::new(seed)
        });
        let mut large = Self { world, starts: BTreeMap::new() };
        while large.agreed() < nodes {
            large.pass(SECOND);
            if large.world.now > 300 * SECOND {
                return Err(format!("{} of {nodes} follow one leader", large.agreed()));
            }
        }
        Ok(large)
    }

    /// How many machines follow the leader that most follow, and can talk to it.
    fn agreed(&self) -> usize {
        let mut leaders: BTreeMap<_, usize> = BTreeMap::new();
        for (_, node, machine) in self.world.up() {
            let Some(claim) = machine.election.claim() else { continue };
            if claim.leader == node.id || machine.connected().contains(&claim.leader) {
                *leaders.entry((claim.term, claim.leader)).or_default() += 1;
            }
        }
        leaders.into_values().max().unwrap_or(0)
    }

    /// Lets time pass.
    fn pass(&mut self, span: Moment) {
        let until = self.world.now + span;
        while self.world.now < until && self.world.step() {
            for notice in std::mem::take(&mut self.world.notices) {
                if let Notice::Begun { node, attempt } = notice {
                    let starts = self.starts.entry(attempt.task.frame).or_default();
                    starts.push((self.world.now, node, attempt.attempt));
                }
            }
        }
    }

    /// The time in this world since it began.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.world.now)
    }

    /// Counts what is sent while nothing is asked of anybody. What the founding left behind passes first.
    pub fn idle(&mut self, span: Duration) -> Traffic {
        self.pass(30 * SECOND);
        let nodes = self.world.nodes.len();
        self.world.traffic.begin(nodes);
        self.pass(micros(span));
        std::mem::take(&mut self.world.traffic)
    }

    /// Has a job of so many frames rendered, `together` in one process each; `tell` hears, each ten seconds of the
    /// world's time, how many tasks have ended as the machine tells that it was submitted to, and how many machines
    /// know the job to be over.
    ///
    /// # Errors
    /// When it isn't over after a day, or machines tell differently of it.
    pub fn render(
        &mut self,
        frames: i32,
        together: u32,
        mut tell: impl FnMut(usize, usize),
    ) -> Result<LongJob, String> {
        let begun = self.world.now;
        self.starts.clear();
        self.world.traffic.begin(self.world.nodes.len());
        let spec = self.world.long_job(frames, together);
        let job = spec.id();
        self.world.submit_at(0, spec);
        let mut over = BTreeSet::new();
        while over.len() < self.world.nodes.len() {
            self.pass(10 * SECOND);
            let waiting = (0..self.world.nodes.len()).filter(|node| !over.contains(node));
            over.extend(waiting.filter(|node| self.is_over(job, *node)).collect::<Vec<_>>());
            tell(self.counted(job, 0).map_or(0, |(done, failed)| done + failed), over.len());
            if self.world.now > begun + 24 * 3600 * SECOND {
                return Err(format!("only {} machines know it to be over after a day", over.len()));
            }
        }
        let (done, failed) = self.counted(job, 0).unwrap_or_default();
        let all = 0..self.world.nodes.len();
        if let Some(other) = all.clone().find(|n| self.counted(job, *n) != Some((done, failed))) {
            let counted = self.counted(job, other);
            return Err(format!("node0 tells of {done} and {failed}, node{other} {counted:?}"));
        }
        let machine = self.world.nodes[0].machine.as_ref();
        let known = machine.and_then(|machine| machine.ledger.jobs.get(&job));
        let known = known.ok_or("the job is gone")?;
        let (mut seconds, mut in_vain, mut unseen) = (0, Vec::new(), Vec::new());
        for (key, task) in known.tasks() {
            let starts = self.starts.get(&key.frame).map(Vec::as_slice).unwrap_or_default();
            let needed = task.failures().count() + usize::from(task.done().is_some());
            if starts.len() < needed {
                unseen.push(format!("frame {} has {needed} results of {starts:?}", key.frame));
            }
            let extra = starts.len().saturating_sub(needed);
            let late = |pair: &&[(Moment, usize, u32)]| pair[1].0 >= pair[0].0 + LATE_MS * MILLI;
            let late = starts.windows(2).filter(late).count().min(extra);
            seconds += late;
            if extra > late {
                in_vain.push(format!("frame {}: {starts:?}", key.frame));
            }
        }
        if !unseen.is_empty() {
            unseen.truncate(NAMED);
            return Err(unseen.join("; "));
        }
        let facts = self.world.nodes[0].disk.facts.len();
        let took = Duration::from_micros(self.world.now - begun);
        let traffic = std::mem::take(&mut self.world.traffic);
        Ok(LongJob { took, done, failed, seconds, in_vain, facts, traffic })
    }

    fn is_over(&self, job: JobId, node: usize) -> bool {
        let machine = self.world.nodes[node].machine.as_ref();
        let known = machine.and_then(|machine| machine.ledger.jobs.get(&job));
        let status = known.and_then(|job| status(job, Activity::default()));
        status.is_some_and(|status| status.is_over())
    }

    /// How many of its tasks are done and have failed, as a machine tells.
    fn counted(&self, job: JobId, node: usize) -> Option<(usize, usize)> {
        let machine = self.world.nodes[node].machine.as_ref()?;
        let (_, done, failed) = machine.ledger.jobs.get(&job)?.frame_counts();
        Some((done, failed))
    }
}

impl World {
    fn long_job(&mut self, frames: i32, together: u32) -> JobSpec {
        let mut spec = self.invent();
        spec.steps.truncate(1);
        let step = &mut spec.steps[0];
        step.frames = vec![FrameRun { start: 1, end: frames, step: 1 }];
        (step.tiles, step.frames_per_task) = ((1, 1), together);
        (spec.test_frames, spec.after_test) = (Vec::new(), AfterTest::GoOn);
        (spec.needs, spec.share) = (Needs::default(), false);
        spec.retries = 3;
        spec.inputs = BlobId([7; 32]);
        spec
    }

    fn submit_at(&mut self, number: usize, spec: JobSpec) {
        self.nodes[number].disk.blobs.insert(spec.inputs);
        self.record.longest.insert(spec.id(), LONGEST);
        let goods = Goods { trees: vec![spec.inputs], ..Goods::default() };
        let job = Some(spec.id());
        self.ask(number, job, vec![Body::Spec(Box::new(spec))], Vec::new(), goods);
    }
}
