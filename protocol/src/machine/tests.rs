//! Several machines in one process: an instant network and disk, engines that succeed at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::certificate::{Certificate, Chain, Role, Statement};
use crate::fact::Body;
use crate::hardware::{Hardware, Needs};
use crate::ids::FactId;
use crate::job::control::Action;
use crate::job::samples::{control, done, failed, outcome, spec};
use crate::job::spec::JobSpec;
use crate::job::status::{self, Status, status};
use crate::job::task::TaskKey;
use crate::membership::Liveness;
use crate::sign::{Ed25519, KeyPair};
use crate::time::Unix;
use crate::wire::control::{AttemptKey, Lease};
use crate::worker;

mod keep;
mod mesh;
mod peers;
mod standing;
mod stored;

struct World {
    studio: StudioId,
    root: KeyPair,
    keys: BTreeMap<NodeId, KeyPair>,
    nodes: BTreeMap<NodeId, Machine>,
    disks: BTreeMap<NodeId, (u64, BTreeMap<FactId, Fact>)>,
    now: Time,
    /// Frames whose engine fails, and how often each was started where.
    fails: BTreeSet<i32>,
    /// Nodes whose engine finds no licence.
    refuses: BTreeSet<NodeId>,
    /// Nodes whose machine doesn't render.
    artists: BTreeSet<NodeId>,
    /// Frames of which a search finds stored results, and whether those never come.
    stored: Vec<i32>,
    endless: bool,
    /// Nodes whose disk is full.
    full: BTreeSet<NodeId>,
    starts: Vec<(NodeId, i32)>,
    answers: BTreeMap<u64, Result<Vec<NodeId>, String>>,
    starts_again: u64,
    /// Nodes that run and are connected to nobody.
    detached: Vec<(NodeId, Machine)>,
}

impl World {
    fn new(count: u8) -> Self {
        Self::with_artists(count, BTreeSet::new())
    }

    fn with_artists(count: u8, artists: BTreeSet<NodeId>) -> Self {
        let root = KeyPair::from_secret(&[200; 32]);
        let mut world = Self {
            studio: StudioId(root.public().0),
            root,
            keys: BTreeMap::new(),
            nodes: BTreeMap::new(),
            disks: BTreeMap::new(),
            now: Time(0),
            fails: BTreeSet::new(),
            refuses: BTreeSet::new(),
            artists,
            stored: Vec::new(),
            endless: false,
            full: BTreeSet::new(),
            starts: Vec::new(),
            answers: BTreeMap::new(),
            starts_again: 0,
            detached: Vec::new(),
        };
        for n in 1..=count {
            let keys = KeyPair::from_secret(&[n; 32]);
            world.keys.insert(keys.public(), keys.clone());
            world.start(keys.public());
        }
        world
    }

    fn role(&self, node: NodeId) -> Role {
        if self.artists.contains(&node) { Role::Artist } else { Role::Admin }
    }

    fn chain(&self, node: NodeId) -> Chain {
        let statement = Statement {
            studio: self.studio,
            subject: node,
            issuer: self.root.public(),
            role: self.role(node),
            name: node.short(),
            issued: Unix(0),
            expires: Unix(1 << 50),
        };
        Chain { leaf: Certificate::sign(statement, &self.root), admin: None }
    }

    /// Starts a node with what is on its disk, and connects it to all that run.
    fn start(&mut self, node: NodeId) {
        self.starts_again += 1;
        let advert = Advert {
            node,
            name: node.short(),
            role: self.role(node),
            revision: (self.starts_again, 0),
            release: "0".into(),
            hardware: Hardware { cpu_cores: 2, ram: 1 << 33, ..Hardware::default() },
            engines: [("demo".to_owned(), "1".to_owned())].into(),
            tags: BTreeSet::new(),
            price: 0,
            addresses: vec![format!("/memory/{}", self.starts_again)],
        };
        let (term, facts) = self.disks.entry(node).or_default().clone();
        let keys = Box::new(self.keys[&node].clone());
        let mut machine = Machine::new(
            self.now,
            self.studio,
            keys,
            Box::new(Ed25519),
            advert,
            term,
            self.starts_again,
        );
        machine.load(facts.into_values());
        let commands = machine.introduce(&self.chain(node));
        self.nodes.insert(node, machine);
        self.obey(node, commands);
        for other in self.others(node) {
            let (ours, theirs) = (self.chain(node), self.chain(other));
            self.give(other, Input::Connected(Box::new(ours)));
            self.give(node, Input::Connected(Box::new(theirs)));
        }
    }

    fn kill(&mut self, node: NodeId) {
        self.nodes.remove(&node);
        for other in self.others(node) {
            self.give(other, Input::Disconnected(node));
        }
    }

    fn others(&self, node: NodeId) -> Vec<NodeId> {
        self.nodes.keys().filter(|other| **other != node).copied().collect()
    }

    fn give(&mut self, node: NodeId, input: Input) {
        if let Some(machine) = self.nodes.get_mut(&node) {
            let commands = machine.handle(self.now, input);
            self.obey(node, commands);
        }
    }

    fn obey(&mut self, node: NodeId, commands: Vec<Command>) {
        let mut queue: VecDeque<(NodeId, Input)> = VecDeque::new();
        for command in commands {
            self.act(node, command, &mut queue);
        }
        while let Some((node, input)) = queue.pop_front() {
            let Some(machine) = self.nodes.get_mut(&node) else {
                continue;
            };
            for command in machine.handle(self.now, input) {
                self.act(node, command, &mut queue);
            }
        }
    }

    fn act(&mut self, me: NodeId, command: Command, queue: &mut VecDeque<(NodeId, Input)>) {
        match command {
            Command::Send(to, message) => queue.push_back((to, Input::Message(me, message))),
            Command::SendFacts(to, ids) => {
                let disk = &self.disks[&me].1;
                let facts = ids.iter().map(|id| disk[id].as_bytes().to_vec()).collect();
                queue.push_back((to, Input::Message(me, Message::Facts(None, facts))));
            }
            Command::Gossip(message) => {
                for to in self.others(me) {
                    queue.push_back((to, Input::Gossip(me, message.clone())));
                }
            }
            Command::Write { token, .. } if self.full.contains(&me) => {
                let why = "there is no space left".to_owned();
                queue.push_back((me, Input::WriteFailed(token, why)));
            }
            Command::Write { token, term, facts } => {
                let disk = self.disks.entry(me).or_default();
                disk.0 = disk.0.max(term.unwrap_or(0));
                disk.1.extend(facts.into_iter().map(|fact| (fact.id(), fact)));
                queue.push_back((me, Input::Written(token)));
            }
            Command::Forget(_, ids) => {
                let disk = self.disks.entry(me).or_default();
                disk.1.retain(|id, _| !ids.contains(id));
            }
            Command::Work(worker::Event::Prepare { attempt, .. }) => {
                queue.push_back((me, Input::Prepared(attempt, Some(spec(1).inputs))));
            }
            Command::Work(worker::Event::Start { lease, more, .. }) => {
                for (at, key) in std::iter::once(lease.attempt).chain(more.clone()).enumerate() {
                    self.starts.push((me, key.task.frame));
                    if self.refuses.contains(&me) {
                        let (engine, said) = ("demo".to_owned(), "no seat is free".to_owned());
                        queue.push_back((me, Input::LicenceRefused(key, engine, said)));
                        queue.push_back((me, Input::Undone(more[at..].to_vec())));
                        break;
                    }
                    let fails = self.fails.contains(&key.task.frame);
                    let ending = if fails { failed("it broke\nhere") } else { done() };
                    let ended = outcome(key.task.frame, key.generation, key.attempt, ending);
                    queue.push_back((me, Input::Ended(key, Box::new(ended))));
                    if fails {
                        // What the process had not come to is handed back.
                        queue.push_back((me, Input::Undone(more[at..].to_vec())));
                        break;
                    }
                }
            }
            Command::Store { from, token, .. } => {
                queue.push_back((me, Input::Stored(from, token, Ok(()))));
            }
            Command::Answer(request, answer) => {
                self.answers.insert(request, answer);
            }
            Command::Seek(job) => queue.extend(self.sought(me, job)),
            Command::Close(node, why) => panic!("{me:?} closes {node:?}: {why}"),
            Command::Work(worker::Event::Kill(_) | worker::Event::Stop(_))
            | Command::Changed(_)
            | Command::LeaderChanged
            | Command::LetGo(_)
            | Command::Set => {}
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + TICK;
            for node in self.nodes.keys().copied().collect::<Vec<_>>() {
                self.give(node, Input::Tick);
            }
        }
    }

    fn author(&mut self, node: NodeId, request: u64, body: Body) -> usize {
        let goods = Goods { trees: vec![spec(1).inputs], ..Goods::default() };
        self.give(node, Input::Author { request, bodies: vec![body], signed: Vec::new(), goods });
        self.answers.remove(&request).expect("answered at once").expect("accepted").len()
    }

    fn submit(&mut self, node: NodeId, spec: JobSpec) -> (JobId, usize) {
        (spec.id(), self.author(node, 1, Body::Spec(Box::new(spec))))
    }

    fn leaders(&self) -> BTreeSet<Option<NodeId>> {
        self.nodes.values().map(|machine| machine.election.leader()).collect()
    }

    fn leader(&self) -> NodeId {
        let leaders = self.leaders();
        assert_eq!(leaders.len(), 1, "{leaders:?}");
        leaders.into_iter().next().flatten().expect("a leader")
    }

    fn statuses(&self, job: &JobId) -> BTreeSet<Option<Status>> {
        let status_at =
            |machine: &Machine| status(machine.ledger.jobs.get(job)?, status::Activity::default());
        self.nodes.values().map(status_at).collect()
    }

    fn all(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }
}

#[test]
fn three_nodes_elect_render_and_agree() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    world.leader();
    let submitter = world.all()[0];
    let (job, copies) = world.submit(submitter, spec(30));
    assert_eq!(copies, 2);
    world.run(Duration::from_secs(5));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    let frames: BTreeSet<i32> = world.starts.iter().map(|(_, frame)| *frame).collect();
    assert_eq!((frames.len(), world.starts.len()), (30, 30), "each frame once");
    let nodes: BTreeSet<NodeId> = world.starts.iter().map(|(node, _)| *node).collect();
    assert_eq!(nodes.len(), 3);
    let digests: BTreeSet<[u8; 8]> =
        world.nodes.values().map(|m| crate::fact::digest::root(m.ledger.ids())).collect();
    assert_eq!(digests.len(), 1);
}

#[test]
fn what_ends_while_outcomes_are_written_is_signed_together() {
    let mut world = World::new(1);
    let only = world.all()[0];
    world.run(Duration::from_secs(3));
    let mut spec = spec(5);
    spec.steps[0].frames_per_task = 5;
    let (job, _) = world.submit(only, spec);
    world.run(Duration::from_secs(1));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    let bodies = world.disks[&only].1.values().filter_map(|fact| fact.body().ok().flatten());
    let mut batches: Vec<usize> = bodies
        .filter_map(|body| match body {
            Body::Outcomes(batch) => Some(batch.outcomes.len()),
            _ => None,
        })
        .collect();
    batches.sort_unstable();
    assert_eq!(batches, [1, 4], "the first goes at once, the others wait for its write");
}

#[test]
fn a_lone_node_promises_one_copy_and_makes_it_good_later() {
    let mut world = World::new(1);
    let first = world.all()[0];
    world.run(Duration::from_secs(3));
    let (job, copies) = world.submit(first, spec(2));
    assert_eq!(copies, 1);
    world.run(Duration::from_secs(3));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert!(!world.nodes[&first].lonely.is_empty());
    let second = KeyPair::from_secret(&[2; 32]);
    world.keys.insert(second.public(), second.clone());
    world.start(second.public());
    world.run(Duration::from_secs(15));
    assert!(world.nodes[&first].lonely.is_empty());
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
}

#[test]
fn the_leaders_death_costs_no_frame() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let other = world.others(leader)[0];
    world.kill(leader);
    let (job, copies) = world.submit(other, spec(10));
    assert_eq!(copies, 2);
    world.run(Duration::from_secs(6));
    assert_ne!(world.leader(), leader);
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 10);
    // It comes back, learns what happened, and follows.
    world.start(leader);
    world.run(Duration::from_secs(6));
    world.leader();
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 10);
}

#[test]
fn all_nodes_start_again_and_nothing_done_is_done_again() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let first = world.all()[0];
    let (job, _) = world.submit(first, spec(5));
    world.run(Duration::from_secs(2));
    let all = world.all();
    for node in &all {
        world.kill(*node);
    }
    let terms: u64 = world.disks.values().map(|disk| disk.0).max().unwrap();
    for node in &all {
        world.start(*node);
    }
    world.run(Duration::from_secs(8));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 5);
    let leader = world.leader();
    assert!(world.nodes[&leader].election.term() > terms, "a new term, never an old one");
}

#[test]
fn a_failing_frame_is_tried_on_other_nodes_then_retried_alone() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    world.fails.insert(2);
    let first = world.all()[0];
    let (job, _) = world.submit(first, JobSpec { retries: 2, ..spec(4) });
    world.run(Duration::from_secs(5));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Failed)]));
    let tries: Vec<NodeId> =
        world.starts.iter().filter(|(_, frame)| *frame == 2).map(|(node, _)| *node).collect();
    assert_eq!(tries.len(), 3);
    assert_eq!(tries.iter().collect::<BTreeSet<_>>().len(), 3, "each try on another node");
    world.fails.clear();
    world.starts.clear();
    let frames = vec![crate::job::samples::run(2, 2)];
    let retry = Action::Retry { step: 0, frames, generation: 1 };
    let copies = world.author(first, 2, Body::Control(control(job, 1, retry)));
    assert_eq!(copies, 2);
    world.run(Duration::from_secs(3));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 1);
    let task = world.nodes[&first]
        .ledger
        .jobs
        .get(&job)
        .unwrap()
        .task(&TaskKey::frame(2))
        .unwrap()
        .clone();
    assert_eq!(task.done().unwrap().generation, 1);
}

#[test]
fn of_many_that_fail_alike_only_some_say_at_length_why() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    world.fails.extend(1..=300);
    let first = world.all()[0];
    let (job, _) = world.submit(first, JobSpec { retries: 0, ..spec(300) });
    world.run(Duration::from_secs(60));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Failed)]));
    let job = world.nodes[&first].ledger.jobs.get(&job).unwrap();
    let said: Vec<&str> =
        job.tasks().flat_map(|(_, task)| task.failures()).map(|(_, f)| &*f.message).collect();
    let long = said.iter().filter(|said| **said == "it broke\nhere").count();
    assert_eq!(said.iter().filter(|said| **said == "it broke").count() + long, 300);
    // What was under way when the hundredth was joined is told in full as well.
    assert!((100..110).contains(&long), "{long}");
}

#[test]
fn who_slept_catches_up_by_comparing() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let sleeper = world.others(leader)[0];
    world.kill(sleeper);
    for n in 0..40 {
        world.submit(leader, JobSpec { nonce: [n; 16], ..spec(3) });
        world.run(Duration::from_millis(200));
    }
    world.run(Duration::from_secs(10));
    world.start(sleeper);
    world.run(Duration::from_secs(6));
    let digests: BTreeSet<[u8; 8]> =
        world.nodes.values().map(|m| crate::fact::digest::root(m.ledger.ids())).collect();
    assert_eq!(digests.len(), 1);
    assert_eq!(world.nodes[&sleeper].ledger.jobs.iter().count(), 40);
}

#[test]
fn the_failure_of_a_second_attempt_does_not_end_what_is_tried_once() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let worker = world.all().into_iter().find(|node| *node != leader).unwrap();
    // No node has that much: nothing of it is handed out but what is granted below.
    let needs = Needs { ram: 1 << 50, ..Needs::default() };
    let (job, _) = world.submit(leader, JobSpec { retries: 0, needs, ..spec(1) });
    world.fails.insert(1);
    let term = world.nodes[&leader].election.term();
    for (seq, attempt, status) in [(1, 2, Status::Queued), (2, 1, Status::Failed)] {
        let attempt = AttemptKey { job, task: TaskKey::frame(1), generation: 0, attempt };
        let lease = Lease { attempt, cores: 1, ram: 0, gpus: Vec::new() };
        let assign = Message::Assign { term, seq, lease, providers: Vec::new() };
        world.give(worker, Input::Message(leader, assign));
        assert_eq!(world.statuses(&job), BTreeSet::from([Some(status)]), "{attempt:?}");
        assert_eq!(world.starts.len() as u64, seq);
        assert_eq!(world.nodes[&worker].worker.running(), 0);
    }
}

#[test]
fn of_two_removals_that_are_written_together_one_stays_on_the_disk() {
    let mut world = World::new(1);
    let only = world.all()[0];
    world.run(Duration::from_secs(3));
    let (job, _) = world.submit(only, spec(2));
    world.run(Duration::from_secs(2));
    let body = Body::Removal(crate::fact::Removal { job });
    let other = KeyPair::from_secret(&[2; 32]);
    let chain = world.chain(other.public());
    world.nodes.get_mut(&only).unwrap().ledger.members.add(&chain);
    let studio = world.studio;
    let mut removals =
        [&world.keys[&only], &other].map(|keys| crate::fact::Fact::sign(&studio, &body, keys));
    // The better one first: what comes behind it means nothing by the time it is joined.
    removals.sort_by_key(Fact::id);
    let bytes = removals.iter().map(|fact| fact.as_bytes().to_vec()).collect();
    world.give(only, Input::Message(other.public(), Message::Facts(None, bytes)));
    let kept = world.disks[&only].1.values().filter(|fact| fact.scope() == Some(job));
    assert_eq!(kept.map(Fact::id).collect::<Vec<_>>(), [removals[0].id()]);
}
