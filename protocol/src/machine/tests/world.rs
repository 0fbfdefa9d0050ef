//! Several machines in one process: an instant network and disk, engines that succeed at once.

use super::*;

pub(super) struct World {
    pub(super) studio: StudioId,
    pub(super) root: KeyPair,
    pub(super) keys: BTreeMap<NodeId, KeyPair>,
    pub(super) nodes: BTreeMap<NodeId, Machine>,
    pub(super) disks: BTreeMap<NodeId, (u64, BTreeMap<FactId, Fact>)>,
    pub(super) now: Time,
    /// Frames whose engine fails, and how often each was started where.
    pub(super) fails: BTreeSet<i32>,
    /// Nodes whose engine finds no licence.
    pub(super) refuses: BTreeSet<NodeId>,
    /// Nodes whose machine doesn't render.
    pub(super) artists: BTreeSet<NodeId>,
    /// Frames of which a search finds stored results, and whether those never come.
    pub(super) stored: Vec<i32>,
    pub(super) endless: bool,
    /// Nodes whose disk is full.
    pub(super) full: BTreeSet<NodeId>,
    pub(super) starts: Vec<(NodeId, i32)>,
    pub(super) answers: BTreeMap<u64, Result<Vec<NodeId>, String>>,
    pub(super) starts_again: u64,
    /// Nodes that run and are connected to nobody.
    pub(super) detached: Vec<(NodeId, Machine)>,
}

impl World {
    pub(super) fn new(count: u8) -> Self {
        Self::with_artists(count, BTreeSet::new())
    }

    pub(super) fn with_artists(count: u8, artists: BTreeSet<NodeId>) -> Self {
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

    pub(super) fn role(&self, node: NodeId) -> Role {
        if self.artists.contains(&node) { Role::Artist } else { Role::Admin }
    }

    pub(super) fn chain(&self, node: NodeId) -> Chain {
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
    pub(super) fn start(&mut self, node: NodeId) {
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

    pub(super) fn kill(&mut self, node: NodeId) {
        self.nodes.remove(&node);
        for other in self.others(node) {
            self.give(other, Input::Disconnected(node));
        }
    }

    pub(super) fn others(&self, node: NodeId) -> Vec<NodeId> {
        self.nodes.keys().filter(|other| **other != node).copied().collect()
    }

    pub(super) fn give(&mut self, node: NodeId, input: Input) {
        if let Some(machine) = self.nodes.get_mut(&node) {
            let commands = machine.handle(self.now, input);
            self.obey(node, commands);
        }
    }

    pub(super) fn obey(&mut self, node: NodeId, commands: Vec<Command>) {
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

    pub(super) fn act(
        &mut self,
        me: NodeId,
        command: Command,
        queue: &mut VecDeque<(NodeId, Input)>,
    ) {
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
            | Command::TakeOver(..)
            | Command::Set => {}
        }
    }

    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + TICK;
            for node in self.nodes.keys().copied().collect::<Vec<_>>() {
                self.give(node, Input::Tick);
            }
        }
    }

    pub(super) fn author(&mut self, node: NodeId, request: u64, body: Body) -> usize {
        let goods = Goods { trees: vec![spec(1).inputs], ..Goods::default() };
        self.give(node, Input::Author { request, bodies: vec![body], signed: Vec::new(), goods });
        self.answers.remove(&request).expect("answered at once").expect("accepted").len()
    }

    pub(super) fn submit(&mut self, node: NodeId, spec: JobSpec) -> (JobId, usize) {
        (spec.id(), self.author(node, 1, Body::Spec(Box::new(spec))))
    }

    pub(super) fn leaders(&self) -> BTreeSet<Option<NodeId>> {
        self.nodes.values().map(|machine| machine.election.leader()).collect()
    }

    pub(super) fn leader(&self) -> NodeId {
        let leaders = self.leaders();
        assert_eq!(leaders.len(), 1, "{leaders:?}");
        leaders.into_iter().next().flatten().expect("a leader")
    }

    pub(super) fn statuses(&self, job: &JobId) -> BTreeSet<Option<Status>> {
        let status_at =
            |machine: &Machine| status(machine.ledger.jobs.get(job)?, status::Activity::default());
        self.nodes.values().map(status_at).collect()
    }

    pub(super) fn all(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }
}
