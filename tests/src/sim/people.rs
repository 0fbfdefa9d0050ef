//! People: they submit jobs, steer them, remove them, and come and go with their machines.

use std::collections::{BTreeMap, BTreeSet};

use weft_protocol::content::TreePath;
use weft_protocol::fact::{Body, Delivery, Fact, Removal, Revocation};
use weft_protocol::hardware::Needs;
use weft_protocol::ids::{BlobId, JobId};
use weft_protocol::job::control::{Action, Control};
use weft_protocol::job::keep::Keep;
use weft_protocol::job::spec::{AfterTest, COMPARE, IN_ORDER, JobSpec, Step};
use weft_protocol::job::status::{Activity, Status, check_control, status};
use weft_protocol::job::task::{FrameRun, TaskKey, runs};
use weft_protocol::machine::{Command, Input};
use weft_protocol::replicate::Goods;

use super::clock::SECOND;
use super::event::{Event, Mend};
use super::node::ENGINE;
use super::record::Asked;
use super::world::World;

/// Who works here.
const PEOPLE: [&str; 3] = ["ada", "bo", "cleo"];
/// The most machines that a studio grows to while it is simulated.
const MAX_MACHINES: usize = 12;

impl World {
    /// Somebody does something, and later somebody does again.
    pub(super) fn person(&mut self) {
        if self.over {
            return;
        }
        let machines = self.nodes.iter().filter(|node| node.is_member()).count() as u64;
        let pause = self.between(20 * SECOND, 580 * SECOND) / machines.max(1);
        self.after(pause, Event::Person);
        let up: Vec<usize> = self.up().map(|(number, ..)| number).collect();
        if up.is_empty() {
            return;
        }
        let number = up[self.random.below(up.len())];
        match self.random.below(100) {
            0..32 => self.submit(number),
            32..38 => self.set_something(number),
            38..74 => self.steer(number),
            74..84 => self.remove(number),
            84..92 => self.write_foreign(number),
            92..95 => self.join_studio(),
            95..97 => self.leave_studio(number),
            97 => self.revoke(number),
            _ => self.renew_certificate(number),
        }
    }

    /// Asks a node for something, and remembers what.
    pub(super) fn ask(
        &mut self,
        number: usize,
        job: Option<JobId>,
        bodies: Vec<Body>,
        signed: Vec<Fact>,
        goods: Goods,
    ) {
        self.record.requests += 1;
        let request = self.record.requests;
        let blobs = goods.trees.clone();
        let now = self.nodes[number].clock.now(self.now);
        let Some(machine) = &mut self.nodes[number].machine else { return };
        let commands = machine.handle(now, Input::Author { request, bodies, signed, goods });
        // What else the machine writes in that moment, outcomes for one, comes after it and is not promised with it.
        let written = commands.iter().find_map(|command| match command {
            Command::Write { facts, .. } => Some(facts),
            _ => None,
        });
        let signed = written.into_iter().flatten().map(Fact::id).collect();
        let (at, life) = (self.now, self.nodes[number].life);
        let asked = Asked { at, node: number, life, job, blobs, signed };
        self.record.asked.insert(request, asked);
        self.trace.event(self.now, number, 12, &request.to_le_bytes());
        self.obey(number, commands);
    }

    fn submit(&mut self, number: usize) {
        let spec = self.invent();
        let job = spec.id();
        // The node takes the files in before anything is said of them.
        if self.nodes[number].disk.full {
            return;
        }
        self.nodes[number].disk.blobs.insert(spec.inputs);
        self.record.longest.insert(job, 4 + self.random.next() % 50);
        self.trace.say(self.now, || format!("node{number} submits {}", job.short()));
        let goods = Goods { trees: vec![spec.inputs], ..Goods::default() };
        let keep = self.random.below(5) == 0;
        let action = Action::Keep(self.some_time());
        let at = self.nodes[number].clock.wall(self.now);
        let control = Control { job, version: 1, at, by: "ada".into(), action };
        let keep = keep.then_some(Body::Control(control));
        let body = Body::Spec(Box::new(spec));
        let fact = Fact::sign(&self.studio, &body, &self.nodes[number].keys);
        let again = self.random.below(6) == 0;
        match self.random.below(3) {
            // As a command line without a daemon does, at two nodes, because the first was slow.
            0 if again => {
                self.ask(number, Some(job), Vec::new(), vec![fact.clone()], goods.clone());
                let up: Vec<usize> = self.up().map(|(number, ..)| number).collect();
                let other = up[self.random.below(up.len())];
                if !self.nodes[other].disk.full {
                    self.nodes[other].disk.blobs.extend(goods.trees.iter().copied());
                    self.ask(other, Some(job), Vec::new(), vec![fact], goods);
                }
            }
            1 => {
                let node = self.nodes[number].id;
                let delivery = Delivery { job, node, folder: "/out".into() };
                let bodies = [body, Body::Delivery(delivery)].into_iter().chain(keep).collect();
                self.ask(number, Some(job), bodies, Vec::new(), goods);
            }
            _ => {
                let bodies = std::iter::once(body).chain(keep).collect();
                self.ask(number, Some(job), bodies, Vec::new(), goods);
            }
        }
    }

    pub(super) fn invent(&mut self) -> JobSpec {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.random.next().to_le_bytes());
        nonce[8..].copy_from_slice(&self.random.next().to_le_bytes());
        let inputs = BlobId(*blake3::hash(&nonce).as_bytes());
        let frames = 1 + i32::try_from(self.random.below(14)).unwrap_or(0);
        // Some jobs go out in runs.
        let frames_per_task = u32::from(nonce[0] % 8).saturating_sub(3).max(1);
        let step = |name: &str, last: i32, after: Vec<u16>| Step {
            name: name.into(),
            engine: ENGINE.into(),
            engine_version: String::new(),
            scene: TreePath::new("shot.weft").expect("a valid path"),
            arguments: BTreeMap::new(),
            frames: vec![FrameRun { start: 1, end: last, step: 1 }],
            tiles: (1, 1),
            frames_per_task,
            output: "shot_####.png".into(),
            after,
        };
        let mut steps = vec![step("render", frames, Vec::new())];
        let run = |start: i32, end: i32| FrameRun { start, end, step: 1 };
        let (mut fresh, mut check) = (false, 0);
        match self.random.below(9) {
            0 => steps.push(step("comp", frames.min(4), vec![0])),
            // Two steps with frames of their own, each of which waits for all before it.
            1 => {
                steps.push(Step { frames: vec![run(101, 102)], ..step("comp", 1, vec![0]) });
                steps.push(Step { frames: vec![run(201, 201)], ..step("film", 1, vec![0, 1]) });
            }
            // Frames that follow from each other, rendered by one process.
            2 => {
                fresh = true;
                steps[0].arguments.insert(IN_ORDER.into(), "yes".into());
                steps[0].frames_per_task = frames.unsigned_abs();
            }
            3 => check = 1 + nonce[6] % 40,
            // Frames in tiles, and a step that joins them.
            4 | 5 => {
                steps[0].tiles = [(2, 1), (2, 2), (1, 3)][usize::from(nonce[1] % 3)];
                steps[0].frames_per_task = 1;
                steps.push(Step { frames_per_task: 1, ..step("join", frames, vec![0]) });
            }
            _ => {}
        }
        let test_frames = match self.random.below(3) {
            0 => vec![run(1, 1), run(frames, frames)],
            1 => vec![run(1, 1 + frames / 4)],
            _ => Vec::new(),
        };
        let after_test = match self.random.below(4) {
            0 => AfterTest::StopIfFailed,
            1 if !test_frames.is_empty() => AfterTest::AwaitApproval,
            _ => AfterTest::GoOn,
        };
        let owner = PEOPLE[self.random.below(PEOPLE.len())];
        let priority = [50, 50, 50, 20, 80][self.random.below(5)];
        // Some claim shares of nodes, from a core with nothing to three cores, 12 GiB and both cards.
        let share = nonce[2].is_multiple_of(3);
        let needs = Needs {
            cores: u32::from(nonce[3] % 4),
            ram: u64::from(nonce[4] % 4) << 32,
            gpus: u32::from(nonce[5] % 8).saturating_sub(5),
            ..Needs::default()
        };
        let mut spec = JobSpec {
            nonce,
            name: "shot".into(),
            owner: owner.into(),
            submitted: self.nodes[0].clock.wall(self.now),
            inputs,
            steps,
            test_frames,
            after_test,
            needs: if share { needs } else { Needs::default() },
            priority,
            retries: u32::try_from(self.random.below(4)).unwrap_or(0),
            timeout: 0,
            fresh,
            check,
            share,
        };
        if check > 0 {
            let again = runs(&spec.frames_to_check());
            let render = Step { frames: again, frames_per_task: 1, ..spec.steps[0].clone() };
            let compare = Step { engine: COMPARE.into(), after: vec![0, 1], ..render.clone() };
            spec.steps.extend([Step { after: vec![0], ..render }, compare]);
        }
        spec.check_bounds().expect("a spec that nodes take");
        spec
    }

    /// How long a job stays, in somebody's mind.
    fn some_time(&mut self) -> Keep {
        let seconds = 30 + u32::try_from(self.random.below(600)).unwrap_or(0);
        [Keep::AsSet, Keep::ForEver, Keep::For(seconds)][self.random.below(9).min(2)]
    }

    /// A job that this node knows.
    fn some_job(&mut self, number: usize, want: impl Fn(Status) -> bool) -> Option<JobId> {
        let machine = self.nodes[number].machine.as_ref()?;
        let jobs: Vec<JobId> = machine
            .ledger
            .jobs
            .iter()
            .filter(|(_, job, _)| status(job, Activity::default()).is_some_and(&want))
            .map(|(id, ..)| id)
            .collect();
        let at = self.random.below(jobs.len().max(1));
        jobs.get(at).copied()
    }

    fn steer(&mut self, number: usize) {
        let (draw, small) = (self.random.below(100), self.random.below(20));
        let keep = self.some_time();
        let wanted = |status: Status| match draw {
            0..25 => status == Status::AwaitingApproval,
            25..50 => status == Status::Paused,
            50..62 => matches!(status, Status::Failed | Status::Completed),
            _ => !status.is_over(),
        };
        let Some(id) = self.some_job(number, wanted) else { return };
        let machine = self.nodes[number].machine.as_ref();
        let Some(job) = machine.and_then(|machine| machine.ledger.jobs.get(&id)) else { return };
        let frame = 1 + i32::try_from(small).unwrap_or(0);
        let action = match draw {
            0..25 => Action::Approve,
            25..50 => Action::Resume,
            50..62 => {
                let (step, failed) = job.failed_frames();
                let frame = failed.first().copied().unwrap_or(1);
                let key = TaskKey { step, ..TaskKey::frame(frame) };
                let generation = job.task(&key).map_or(1, |task| task.generation + 1);
                let frames = vec![FrameRun { start: frame, end: frame, step: 1 }];
                Action::Retry { step, frames, generation }
            }
            62..74 => Action::Pause,
            74..80 => Action::Cancel,
            80..83 => Action::Keep(keep),
            83..90 => Action::Priority(u8::try_from(small * 5).unwrap_or(50)),
            _ => {
                let frames = vec![FrameRun { start: 20 + frame, end: 21 + frame, step: 1 }];
                Action::Extend { step: 0, frames }
            }
        };
        if check_control(job, &action).is_err() {
            return;
        }
        let control = Control {
            job: id,
            version: job.next_version(),
            at: self.nodes[number].clock.wall(self.now),
            by: "ada".into(),
            action,
        };
        self.trace.say(self.now, || format!("node{number} controls {}: {control:?}", id.short()));
        self.ask(number, Some(id), vec![Body::Control(control)], Vec::new(), Goods::default());
    }

    fn remove(&mut self, number: usize) {
        let Some(job) = self.some_job(number, Status::is_over) else { return };
        self.trace.say(self.now, || format!("node{number} removes {}", job.short()));
        let body = Body::Removal(Removal { job });
        self.ask(number, Some(job), vec![body], Vec::new(), Goods::default());
    }

    /// A node of a later release writes a fact of a kind, or a version of one, that others don't
    /// know.
    fn write_foreign(&mut self, number: usize) {
        if !self.nodes[number].newer {
            return;
        }
        let job = self.some_job(number, |_| true).filter(|_| self.random.below(2) == 0);
        let (kind, version) = [(900, 1), (901, 3), (18, 2), (17, 9)][self.random.below(4)];
        let body = self.random.next().to_le_bytes();
        let keys = &self.nodes[number].keys;
        let fact = Fact::sign_raw(&self.studio, kind, version, job, &body, keys);
        self.record.foreign.insert(fact.id(), job);
        self.ask(number, job, Vec::new(), vec![fact], Goods::default());
    }

    fn join_studio(&mut self) {
        if self.nodes.len() < MAX_MACHINES {
            let number = self.enrol();
            self.record.stirred = self.now + SECOND;
            self.trace.say(self.now, || format!("node{number} joins the studio"));
            self.after(SECOND, Event::Mend(Mend::Start(number)));
        }
    }

    /// How many machines may still be lost for ever: somebody must be left to render.
    fn may_lose(&self, number: usize) -> bool {
        let renders = |node: &&super::node::Node| node.is_member() && node.role().renders();
        number > 0 && self.nodes.iter().filter(renders).count() > 3
    }

    fn leave_studio(&mut self, number: usize) {
        if self.may_lose(number) {
            self.stop(number, false);
            self.nodes[number].gone = true;
            self.record.stirred = self.now;
            self.trace.say(self.now, || format!("node{number} leaves for ever"));
        }
    }

    fn revoke(&mut self, number: usize) {
        let admin = self.nodes[number].role() == weft_protocol::certificate::Role::Admin;
        let victim = self.random.below(self.nodes.len());
        if !admin || victim == number || self.nodes[victim].revoked || !self.may_lose(victim) {
            return;
        }
        let node = self.nodes[victim].id;
        self.trace.say(self.now, || format!("node{number} revokes node{victim}"));
        let body = Body::Revocation(Revocation { node, reason: "it was stolen".into() });
        self.ask(number, None, vec![body], Vec::new(), Goods::default());
    }

    /// A member's certificate is told anew by another member, as renewals are.
    fn renew_certificate(&mut self, number: usize) {
        let other = self.random.below(self.nodes.len());
        let body = Body::Certificate(Box::new(self.nodes[other].chain.clone()));
        self.ask(number, None, vec![body], Vec::new(), Goods::default());
    }

    /// At the end nobody leaves a job waiting for a person.
    pub(super) fn settle_jobs(&mut self) {
        let Some(number) = self.up().map(|(number, ..)| number).next() else { return };
        let machine = self.nodes[number].machine.as_ref();
        let mut bodies: BTreeMap<JobId, Action> = BTreeMap::new();
        for (id, job, _) in machine.into_iter().flat_map(|machine| machine.ledger.jobs.iter()) {
            match status(job, Activity::default()) {
                Some(Status::Paused) => drop(bodies.insert(id, Action::Resume)),
                Some(Status::AwaitingApproval) => drop(bodies.insert(id, Action::Approve)),
                _ => {}
            }
        }
        let ids: BTreeSet<JobId> = bodies.keys().copied().collect();
        for job in ids {
            let machine = self.nodes[number].machine.as_ref();
            let known = machine.and_then(|machine| machine.ledger.jobs.get(&job));
            let version = known.map_or(1, |job| job.next_version());
            let Some(action) = bodies.remove(&job) else { continue };
            let at = self.nodes[number].clock.wall(self.now);
            let control = Control { job, version, at, by: "ada".into(), action };
            let body = vec![Body::Control(control)];
            self.ask(number, Some(job), body, Vec::new(), Goods::default());
        }
    }
}
