//! Members that lie: they hold a valid certificate, and say what is not so. They don't have other
//! members' keys.

use weft_protocol::certificate::Role;
use weft_protocol::claim::Portion;
use weft_protocol::content::TreePath;
use weft_protocol::election::Claim;
use weft_protocol::fact::digest::Summary;
use weft_protocol::fact::{Body, Delivery, Fact, Outcomes, Removal, Revocation};
use weft_protocol::hardware::{Gpu, Hardware};
use weft_protocol::ids::{BlobId, FactId, JobId, NodeId};
use weft_protocol::job::control::{Action, Control};
use weft_protocol::job::keep::Keep;
use weft_protocol::job::outcome::{Ending, Outcome, OutputFile};
use weft_protocol::job::task::{FrameRun, TaskKey};
use weft_protocol::machine::Input;
use weft_protocol::membership::{Liveness, Update};
use weft_protocol::settings::{Change, NodeChange, Setting};
use weft_protocol::sign::Signer;
use weft_protocol::time::Unix;
use weft_protocol::wire::control::{
    Advert, AttemptKey, Claimed, Lease, Message, Phase, Report, Sync,
};
use weft_protocol::wire::gossip;

use super::clock::{MILLI, SECOND};
use super::event::Event;
use super::keys::Keys;
use super::node::{Chore, ENGINE, Node};
use super::world::World;

/// Signs in another's name, without the key for it.
struct Forger(NodeId);

impl Signer for Forger {
    fn author(&self) -> NodeId {
        self.0
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [7; 64];
        signature[..32].copy_from_slice(blake3::hash(message).as_bytes());
        signature
    }
}

impl World {
    /// Whether a machine lies just now.
    #[must_use]
    pub fn lies_now(&self, number: usize) -> bool {
        self.nodes[number].liar && self.calm_since.is_none()
    }

    /// A liar lies, and later one lies again.
    pub(super) fn lie(&mut self) {
        if self.calm_since.is_some() {
            return;
        }
        let pause = self.between(SECOND / 4, 8 * SECOND);
        self.after(pause, Event::Lie);
        let count = self.nodes.len();
        let liar = self.random.below(count);
        let victim = self.random.below(count);
        let able = self.nodes[liar].is_up() && self.lies_now(liar) && victim != liar;
        if !able || !self.nodes[liar].links.contains_key(&victim) {
            return;
        }
        self.record.lies += 1;
        let kind = self.random.below(20);
        self.trace.say(self.now, || format!("node{liar} lies to node{victim}, kind {kind}"));
        match kind {
            0..4 => self.forge(liar, victim),
            4 | 5 => self.claim_absurdly(liar, victim),
            6 | 7 => self.assign_stale(liar, victim),
            8 => {
                let bytes = (0..self.random.below(200)).map(|n| (n * 37 % 256) as u8).collect();
                self.send_bytes(liar, victim, bytes);
            }
            9 => self.boast(liar, victim),
            10 => self.slander(liar, victim),
            11 => self.promise_falsely(liar, victim),
            12 => self.author_beyond_rights(liar, victim),
            13 => self.set_for_good(liar, victim),
            14 => self.flood(liar, victim),
            15 => self.name_strangers(liar, victim),
            16 => self.boast_of_hardware(liar),
            _ => self.compare_falsely(liar, victim),
        }
    }

    fn any_job(&mut self) -> JobId {
        let jobs: Vec<JobId> = self.record.longest.keys().copied().collect();
        let at = self.random.below(jobs.len().max(1));
        jobs.get(at).copied().unwrap_or(JobId([9; 32]))
    }

    fn invented_outcome(&mut self, job: JobId) -> Outcome {
        let frame = 1 + i32::try_from(self.random.below(20)).unwrap_or(0);
        let blob = BlobId(self.invented_hash());
        let path = TreePath::new("shot_0001.png").expect("a valid path");
        let file = OutputFile { path, blob, size: 1, md5: [0; 16], xxh64: 0 };
        let _ = job;
        Outcome {
            task: TaskKey::frame(frame),
            generation: [0, 0, 3, u32::MAX][self.random.below(4)],
            attempt: 1,
            term: 1,
            started: Unix(0),
            render_ms: 1,
            peak_memory: 0,
            log: None,
            holders: self.nodes.iter().take(2).map(|node| node.id).collect(),
            ending: Ending::Done(vec![file]),
        }
    }

    /// Facts in another member's name, or with a bit turned.
    fn forge(&mut self, liar: usize, victim: usize) {
        let job = self.any_job();
        let count = self.nodes.len();
        let author = self.nodes[self.random.below(count)].id;
        let outcome = self.invented_outcome(job);
        let body = match self.random.below(5) {
            0 => Body::Outcomes(Outcomes { job, outcomes: vec![outcome] }),
            1 => Body::Removal(Removal { job }),
            2 => Body::Revocation(Revocation { node: author, reason: "so I say".into() }),
            3 => {
                let action = Action::Cancel;
                let by = "nobody".into();
                Body::Control(Control { job, version: 900, at: Unix(0), by, action })
            }
            _ => {
                let mut chain = self.nodes[liar].chain.clone();
                chain.leaf.statement.role = Role::Admin;
                Body::Certificate(Box::new(chain))
            }
        };
        let fact = match self.random.below(2) {
            0 => Fact::sign(&self.studio, &body, &Forger(author)).as_bytes().to_vec(),
            _ => {
                // One that a member did sign, changed on its way.
                let real = self.nodes[liar].disk.facts.values().next();
                let mut bytes = real.map(|fact| fact.as_bytes().to_vec()).unwrap_or_default();
                let at = self.random.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
                bytes
            }
        };
        if self.random.below(3) == 0 {
            self.publish(liar, &gossip::Message::Facts(vec![fact]));
        } else {
            let token = (self.random.below(2) == 0).then_some(7);
            self.send(liar, victim, &Message::Facts(token, vec![fact]));
        }
    }

    /// What it signs itself, and may not write; or may, and is not true.
    fn author_beyond_rights(&mut self, liar: usize, victim: usize) {
        let job = self.any_job();
        let outcome = self.invented_outcome(job);
        let other = self.nodes[victim].id;
        let body = match self.random.below(4) {
            0 => Body::Revocation(Revocation { node: other, reason: "so I say".into() }),
            1 => Body::Delivery(Delivery { job, node: other, folder: "/etc".into() }),
            _ => Body::Outcomes(Outcomes { job, outcomes: vec![outcome] }),
        };
        let admin = self.nodes[liar].role() == Role::Admin;
        if admin && matches!(body, Body::Revocation(_)) {
            // An admin may. That is no lie, and a studio of none is no test.
            return;
        }
        let fact = Fact::sign(&self.studio, &body, &self.nodes[liar].keys);
        self.send(liar, victim, &Message::Facts(None, vec![fact.as_bytes().to_vec()]));
    }

    /// What nobody should be able to take back.
    fn set_for_good(&mut self, liar: usize, victim: usize) {
        let job = self.any_job();
        let version = [u64::MAX, u64::MAX - 7, 1 << 40][self.random.below(3)];
        let (at, by) = (Unix(0), "nobody".to_owned());
        let control = |action| Body::Control(Control { job, version, at, by: by.clone(), action });
        let setting = |change| Body::Setting(Setting { version, at, by: by.clone(), change });
        let node = self.nodes[victim].id;
        let body = match self.random.below(9) {
            5 => setting(Change::Node(node, NodeChange::Forgiven(Unix(u64::MAX)))),
            6 => setting(Change::Node(node, NodeChange::Price(Some(u32::MAX)))),
            7 => setting(Change::Keep(Some(0))),
            8 => control(Action::Keep(Keep::For(0))),
            0 => control(Action::Pause),
            1 => control(Action::Priority(0)),
            2 => {
                let frames = vec![FrameRun { start: i32::MIN, end: i32::MAX, step: 1 }];
                control(Action::Retry { step: 0, frames, generation: u32::MAX })
            }
            3 => setting(Change::Node(node, NodeChange::Drained(true))),
            _ => setting(Change::Limit(ENGINE.into(), Some(1))),
        };
        let fact = Fact::sign(&self.studio, &body, &self.nodes[liar].keys);
        self.send(liar, victim, &Message::Facts(None, vec![fact.as_bytes().to_vec()]));
    }

    /// Facts by who has a key, and no certificate.
    fn flood(&mut self, liar: usize, victim: usize) {
        let job = self.any_job();
        let keys =
            Keys::new(self.setup.real_signatures, self.setup.seed, self.random.next() | 1 << 40);
        let facts = (0..60).map(|_| {
            let outcomes = vec![self.invented_outcome(job)];
            let body = Body::Outcomes(Outcomes { job, outcomes });
            Fact::sign(&self.studio, &body, &keys).as_bytes().to_vec()
        });
        let facts = facts.collect();
        self.send(liar, victim, &Message::Facts(None, facts));
    }

    /// It knows many, it says.
    fn name_strangers(&mut self, liar: usize, victim: usize) {
        let Some(advert) = self.own_advert(liar) else { return };
        let strangers = (0..100).map(|_| NodeId(self.invented_hash()));
        let known = strangers.map(|node| (node, vec!["/memory/0".to_owned(); 40])).collect();
        let hello = Message::Hello { advert: Box::new(advert), claim: None, known };
        self.send(liar, victim, &hello);
    }

    fn invented_hash(&mut self) -> [u8; 32] {
        *blake3::hash(&self.random.next().to_le_bytes()).as_bytes()
    }

    fn claim_absurdly(&mut self, liar: usize, victim: usize) {
        let known = self.nodes[liar].machine.as_ref().map_or(0, |m| m.election.term());
        let term = match self.random.below(4) {
            0 => u64::MAX,
            1 => known + (1 << 20) + 5,
            2 => known.saturating_sub(1),
            _ => known + 1 + self.random.next() % 50,
        };
        let claim = match self.random.below(3) {
            0 => Claim::sign(&self.studio, term, &Forger(self.nodes[victim].id)),
            _ => Claim::sign(&self.studio, term, &self.nodes[liar].keys),
        };
        match self.random.below(3) {
            0 => self.publish(liar, &gossip::Message::Claim(claim)),
            1 => self.send(liar, victim, &Message::Lost(term, true, term)),
            _ => self.send(liar, victim, &Message::Claim(claim)),
        }
    }

    /// An assignment by who doesn't lead, or of a term that is over.
    fn assign_stale(&mut self, liar: usize, victim: usize) {
        let machine = self.nodes[liar].machine.as_ref();
        let known = machine.map_or(0, |machine| machine.election.term());
        let open = machine.and_then(|machine| {
            let mut jobs = machine.ledger.jobs.iter();
            jobs.find_map(|(id, job, _)| Some((id, job.open().next()?)))
        });
        let Some((job, task)) = open else { return };
        let term = known.saturating_sub(self.random.next() % 3);
        let attempt = AttemptKey { job, task, generation: 0, attempt: 1 };
        let cores = [1, 2, 4, 1000][self.random.below(4)];
        let lease = Lease { attempt, cores, ram: 1, gpus: Vec::new() };
        let providers = vec![self.nodes[liar].id];
        let seq = self.random.next() % 100;
        self.send(liar, victim, &Message::Assign { term, seq, lease, providers });
    }

    /// It works on everything, it says.
    fn boast(&mut self, liar: usize, victim: usize) {
        let job = self.any_job();
        let running = (1..=5).map(|frame| {
            let task = TaskKey::frame(frame);
            (AttemptKey { job, task, generation: 0, attempt: 1 }, 1, Phase::Rendering(999))
        });
        let seq = self.random.next() % 10_000;
        let claim = Portion { cores: u32::MAX, ram: u64::MAX, gpus: (0..50).collect() };
        let of = vec![0, 0, 1, 4, 5, u32::MAX];
        let claims =
            vec![Claimed { claim, of }, Claimed { claim: Portion::default(), of: vec![2] }];
        self.send(liar, victim, &Message::Claims(seq, claims));
        let report = Report {
            seq,
            assigned: self.random.next() % 100,
            running: running.collect(),
            held: vec![BlobId([3; 32]); 10],
        };
        self.send(liar, victim, &Message::Report(Box::new(report)));
    }

    /// It has more of everything than anybody else, and costs nothing, it says: who leads gives it all the work.
    fn boast_of_hardware(&mut self, liar: usize) {
        let Some(mut advert) = self.own_advert(liar) else { return };
        let card = Gpu { model: "RTX".into(), memory: u64::MAX };
        advert.revision.1 += 1;
        advert.role = Role::Worker;
        advert.hardware = Hardware {
            cpu_cores: u32::MAX,
            ram: u64::MAX,
            gpus: vec![card; 64],
            ..advert.hardware
        };
        advert.price = 0;
        self.nodes[liar].boasted = true;
        self.publish(liar, &gossip::Message::Advert(Box::new(advert)));
    }

    fn own_advert(&self, number: usize) -> Option<Advert> {
        let Node { id, machine, .. } = &self.nodes[number];
        machine.as_ref()?.adverts.get(id).cloned()
    }

    /// Says that it keeps what it doesn't, or that it is at it, for as long as it lies. Says whether it lies.
    pub(super) fn lies_of_keeping(&mut self, liar: usize, from: NodeId, token: u64) -> bool {
        match self.random.below(4) {
            0 | 1 => {
                let stored = Input::Stored(from, token, Ok(()));
                self.chore(MILLI, liar, Chore::Tell(Box::new(stored)));
            }
            2 => self.nodes[liar].dallied.push((from, token)),
            _ => return false,
        }
        self.record.lies += 1;
        true
    }

    /// Liars lie in storms: what would go on after that is put right.
    pub(super) fn confess(&mut self) {
        for number in 0..self.nodes.len() {
            for (from, token) in std::mem::take(&mut self.nodes[number].dallied) {
                let stored = Input::Stored(from, token, Err("it never meant to".into()));
                self.chore(0, number, Chore::Tell(Box::new(stored)));
            }
            if std::mem::take(&mut self.nodes[number].boasted)
                && let Some(mut advert) = self.own_advert(number)
            {
                advert.revision.1 += 2;
                // Once more when those are connected again that were cut off.
                for delay in [0, 8 * SECOND] {
                    let truth = Input::Advert(Box::new(advert.clone()));
                    self.chore(delay, number, Chore::Tell(Box::new(truth)));
                }
            }
        }
    }

    /// In place of what it holds it names facts that don't exist to who compares.
    pub(super) fn invented_summary(&mut self, prefix: &[u8]) -> Message {
        self.record.lies += 1;
        let ids = self.invented_ids(prefix);
        Message::Sync(Sync::Summary(prefix.to_vec(), Summary::Ids(ids)))
    }

    fn invented_ids(&mut self, prefix: &[u8]) -> Vec<FactId> {
        let mut id = self.invented_hash();
        id.iter_mut().zip(prefix).for_each(|(byte, of_prefix)| *byte = *of_prefix);
        let ids = (0..500_u16).map(|n| {
            id[30..].copy_from_slice(&n.to_be_bytes());
            FactId(id)
        });
        ids.collect()
    }

    /// Others are dead, it says.
    fn slander(&mut self, liar: usize, victim: usize) {
        let count = self.nodes.len();
        let node = self.nodes[self.random.below(count)].id;
        let incarnation = match self.random.below(2) {
            0 => self.random.next() % 1_000,
            _ => u64::MAX - 1,
        };
        let liveness = Liveness::Dead;
        let update = Update { node, liveness, incarnation };
        self.send(liar, victim, &Message::Ping(1, vec![update; 3]));
    }

    fn promise_falsely(&mut self, liar: usize, victim: usize) {
        let token = self.random.next() % 200;
        for token in token..token + 20 {
            let message = match self.random.below(4) {
                0 => Message::Kept(token, Ok(())),
                1 => Message::FactsStored(token),
                2 => Message::Reported(token % 9, token),
                _ => Message::Keeping(token),
            };
            self.send(liar, victim, &message);
        }
    }

    fn compare_falsely(&mut self, liar: usize, victim: usize) {
        let id = FactId([self.random.below(256) as u8; 32]);
        let sync = match self.random.below(7) {
            4 => Sync::Ask(vec![Vec::new(); 512]),
            5 => Sync::Summary(Vec::new(), Summary::Ids(self.invented_ids(&[]))),
            6 => {
                let children = (0..=u8::MAX).map(|byte| (byte, [byte; 8])).collect();
                Sync::Summary(vec![id.0[0]; self.random.below(3)], Summary::Children(children))
            }
            0 => Sync::Root([1; 8]),
            1 => Sync::Ask(vec![vec![1, 2, 3], vec![0; 40]]),
            2 => Sync::Want(vec![id; 600]),
            _ => Sync::Summary(vec![id.0[0]], Summary::Ids(vec![id; 64])),
        };
        self.send(liar, victim, &Message::Sync(sync));
    }
}
