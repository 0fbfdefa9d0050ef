//! The world: machines, the network between them, and what is still to happen.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use weft_protocol::certificate::{Certificate, Chain, Role, Statement};
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::machine::{Input, Machine};
use weft_protocol::random::Random;
use weft_protocol::sign::Signer as _;
use weft_protocol::time::Unix;
use weft_protocol::wire::{self, control, gossip};

use super::clock::{Clock, MILLI, Moment, SECOND};
use super::event::Event;
use super::keys::{Check, Keys};
use super::network::Network;
use super::node::{Chore, Node};
use super::planted::Planted;
use super::queue::Queue;
use super::record::{Notice, Record};
use super::run::Setup;
use super::trace::Trace;
use super::traffic::Traffic;

/// How many messages wait for one peer before more are dropped, as in the daemon.
const QUEUE: usize = 1024;

/// Everything that there is.
pub struct World {
    /// What time it is.
    pub now: Moment,
    /// The machines.
    pub nodes: Vec<Node>,
    /// What the simulator knows and no node does.
    pub record: Record,
    /// What happened.
    pub trace: Trace,
    /// What was sent, where somebody counts.
    pub(super) traffic: Traffic,
    /// The studio.
    pub studio: StudioId,
    /// How signatures are really checked.
    pub check: Check,
    /// Since when nothing fails, while nothing does.
    pub calm_since: Option<Moment>,
    /// Whether nothing will fail any more.
    pub over: bool,
    pub(super) random: Random,
    pub(super) network: Network,
    pub(super) notices: Vec<Notice>,
    pub(super) planted: Option<Planted>,
    /// What is run.
    pub setup: Setup,
    /// Whether what a machine asks for now comes of a tick.
    pub(super) ticking: bool,
    queue: Queue<Event>,
    index: BTreeMap<NodeId, usize>,
    root: Keys,
}

impl World {
    pub(super) fn new(setup: &Setup) -> Self {
        let mut random = Random::seeded(setup.seed.wrapping_mul(0x9e37_79b9).wrapping_add(17));
        let root = Keys::new(setup.real_signatures, setup.seed, u64::MAX);
        let spread = setup.nodes.end() - setup.nodes.start() + 1;
        let count = setup.nodes.start() + random.below(spread);
        let mut world = Self {
            now: 0,
            nodes: Vec::new(),
            record: Record::default(),
            trace: Trace::new(setup.lines, setup.print),
            traffic: Traffic::default(),
            studio: StudioId(root.author().0),
            check: if setup.real_signatures { Check::Real } else { Check::Cheap },
            calm_since: None,
            over: false,
            random,
            network: Network::default(),
            notices: Vec::new(),
            planted: setup.planted,
            setup: setup.clone(),
            ticking: false,
            queue: Queue::new(),
            index: BTreeMap::new(),
            root,
        };
        for _ in 0..count {
            world.enrol();
        }
        // All start within a few seconds, and know where the first is.
        for node in 0..count {
            let at = world.random.next() % (3 * SECOND);
            world.after(at, Event::Mend(super::event::Mend::Start(node)));
        }
        world
    }

    /// Another machine, which has a certificate and does not run yet.
    pub(super) fn enrol(&mut self) -> usize {
        let number = self.nodes.len();
        let keys = Keys::new(self.setup.real_signatures, self.setup.seed, number as u64);
        let role = match (number, self.random.below(8)) {
            (0, _) => Role::Admin,
            (1.., 0) => Role::Admin,
            (3.., 1) => Role::Artist,
            _ => Role::Worker,
        };
        let chain = self.certify(keys.author(), role, number);
        let clock = Clock::new(&mut self.random, self.setup.clocks_are_right());
        let slowness = 10 + self.random.next() % 15;
        let price = u32::try_from(self.random.next() % 3).unwrap_or(0);
        let mut node = Node::new(keys, chain, clock, slowness, price);
        node.newer = self.random.below(4) == 0;
        node.liar = number > 0 && self.random.below(6) == 0;
        node.known.extend((number > 0).then_some(0));
        self.index.insert(node.id, number);
        self.nodes.push(node);
        number
    }

    fn certify(&self, subject: NodeId, role: Role, number: usize) -> Chain {
        let by_root = role == Role::Admin || number.is_multiple_of(2);
        let issuer = if by_root { &self.root } else { &self.nodes[0].keys };
        let statement = Statement {
            studio: self.studio,
            subject,
            issuer: issuer.author(),
            role,
            name: format!("node{number}"),
            issued: Unix(1_600_000_000_000),
            expires: Unix(2_000_000_000_000),
        };
        let admin = (!by_root).then(|| self.nodes[0].chain.leaf.clone());
        Chain { leaf: Certificate::sign(statement, issuer), admin }
    }

    /// Which machine a node is.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The machines whose daemon runs and goes on, by number.
    pub fn up(&self) -> impl Iterator<Item = (usize, &Node, &Machine)> {
        let numbered = self.nodes.iter().enumerate();
        numbered
            .filter(|(_, node)| node.is_up() && node.is_member())
            .filter_map(|(number, node)| Some((number, node, node.machine.as_ref()?)))
    }

    /// How long nothing has failed.
    #[must_use]
    pub fn calm_for(&self) -> Moment {
        self.calm_since.map_or(0, |since| self.now - since)
    }

    /// How much is still to happen.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Who waits for an answer by a daemon that still goes on: at which machine, since when.
    pub fn unanswered(&self) -> impl Iterator<Item = (usize, Moment)> {
        let asked = self.record.asked.values();
        asked
            .filter(|asked| {
                let node = &self.nodes[asked.node];
                node.life == asked.life && node.is_up()
            })
            .map(|asked| (asked.node, asked.at))
    }

    pub(super) fn after(&mut self, delay: Moment, event: Event) {
        self.queue.put(self.now + delay, event);
    }

    pub(super) fn chore(&mut self, delay: Moment, node: usize, chore: Chore) {
        let life = self.nodes[node].life;
        self.after(delay, Event::Chore { node, life, chore });
    }

    /// Between `least` and `most`, both in the world's time.
    pub(super) fn between(&mut self, least: Moment, most: Moment) -> Moment {
        least + self.random.next() % (most - least + 1)
    }

    /// The next thing that happens; false when nothing does any more.
    pub(super) fn step(&mut self) -> bool {
        let Some((at, event)) = self.queue.next() else {
            return false;
        };
        self.now = at;
        match event.machine() {
            Some(node) if self.nodes[node].paused => {
                // A machine that stands still takes things in when it goes on; ticks are not owed.
                // What peers send backs up at their side, where it is bounded.
                if !matches!(event, Event::Chore { chore: Chore::Tick | Chore::Dial, .. }) {
                    self.nodes[node].inbox.push_back(event);
                }
            }
            _ => self.happen(event),
        }
        true
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Chore { node, life, chore } => {
                if self.nodes[node].life == life && self.nodes[node].machine.is_some() {
                    self.do_chore(node, chore);
                }
            }
            Event::Arrives { to, from, link, bytes } => self.arrives(to, from, link, &bytes),
            Event::Gossip { to, author, bytes } => self.gossip_arrives(to, author, &bytes),
            Event::LinkUp { node, link } => self.link_up(node, link),
            Event::LinkDown { node, link } => self.link_down(node, link),
            Event::LinkTimeout { link } => self.link_timeout(link),
            Event::Person => self.person(),
            Event::Fault => self.fault(),
            Event::Mend(mend) => self.mend(mend),
            Event::Lie => self.lie(),
            Event::Weather(number) => self.weather(number),
            Event::Look => self.after(SECOND, Event::Look),
        }
    }

    /// Starts a daemon with what is on its disk.
    pub(super) fn start(&mut self, number: usize) {
        let now = self.now;
        let seed = self.random.next();
        let checks = match self.planted {
            Some(Planted::SignaturesUnchecked) => Check::Nothing,
            _ => self.check,
        };
        let node = &mut self.nodes[number];
        if node.machine.is_some() || node.gone {
            return;
        }
        let advert = node.advert(number, now);
        let mut machine = Machine::new(
            node.clock.now(now),
            self.studio,
            Box::new(node.keys.clone()),
            Box::new(checks),
            advert,
            node.disk.term,
            seed,
        )
        .meshed(self.setup.mesh());
        machine.load(node.disk.facts.values().cloned());
        let commands = machine.introduce(&node.chain.clone());
        node.machine = Some(machine);
        self.trace.event(now, number, 1, &[]);
        self.trace.say(now, || format!("node{number} starts"));
        self.notices.push(Notice::Up(number));
        self.obey(number, commands);
        let first = self.between(0, 100 * MILLI);
        self.chore(first, number, Chore::Tick);
        self.chore(first + MILLI, number, Chore::Dial);
    }

    /// Ends a daemon. Where only the process dies, its system tells peers at once; where the
    /// power goes, they notice later.
    pub(super) fn stop(&mut self, number: usize, power: bool) {
        if self.nodes[number].machine.is_none() {
            return;
        }
        let survives = self.random.below(2) == 0;
        let links: Vec<(usize, u64)> = self.nodes[number]
            .links
            .iter()
            .flat_map(|(peer, links)| links.iter().map(|link| (*peer, *link)))
            .collect();
        let committed = self.nodes[number].disk.crash(survives);
        for event in std::mem::take(&mut self.nodes[number].inbox) {
            if let Event::Arrives { to, from, .. } = event {
                self.arrived(to, from);
            }
        }
        self.nodes[number].stop();
        self.trace.event(self.now, number, 2, &[]);
        self.trace.say(self.now, || format!("node{number} is gone (power {power})"));
        self.note_commit(number, None, committed);
        self.notices.push(Notice::Down(number));
        for (peer, link) in links {
            self.network.close(link, number);
            let delay = match !power && self.network.works(number, peer) {
                true => self.between(MILLI / 5, 3 * MILLI),
                false => self.between(3 * SECOND, 40 * SECOND),
            };
            self.after(delay, Event::LinkDown { node: peer, link });
        }
    }

    /// Something happens to a machine.
    pub(super) fn tell(&mut self, number: usize, input: Input) {
        self.tell_all(number, vec![input]);
    }

    /// Several things happen to a machine before it comes to look.
    pub(super) fn tell_all(&mut self, number: usize, inputs: Vec<Input>) {
        let node = &mut self.nodes[number];
        let now = node.clock.now(self.now);
        let Some(machine) = &mut node.machine else { return };
        let commands = machine.handle_all(now, inputs);
        self.obey(number, commands);
    }

    /// Sends a message over a connection, if there is one.
    pub(super) fn send(&mut self, from: usize, to: usize, message: &control::Message) {
        let bytes = wire::encode(message);
        self.trace.event(self.now, from, 3, &bytes);
        self.traffic.sent(from, to, message, bytes.len());
        if !matches!(message, control::Message::Ping(..) | control::Message::Ack(..)) {
            self.trace.say(self.now, || format!("node{from} → node{to}: {message:?}"));
        }
        let first = matches!(message, control::Message::Hello { .. });
        if !self.send_bytes(from, to, bytes)
            && first
            && let Some(link) = self.nodes[from].link_to(to)
        {
            // The first message of a stream is not lost alone: the connection breaks.
            self.after(MILLI, Event::LinkDown { node: from, link });
            self.after(MILLI, Event::LinkDown { node: to, link });
        }
    }

    pub(super) fn send_bytes(&mut self, from: usize, to: usize, bytes: Vec<u8>) -> bool {
        let Some(link) = self.nodes[from].link_to(to) else { return true };
        let under_way = self.network.under_way.entry((from, to)).or_default();
        if *under_way >= QUEUE {
            return true;
        }
        let arrivals = self.network.way(from, to).arrivals(self.now, &mut self.random);
        *self.network.under_way.entry((from, to)).or_default() += arrivals.len();
        let bytes = Rc::new(bytes);
        for at in &arrivals {
            let bytes = Rc::clone(&bytes);
            self.queue.put(*at, Event::Arrives { to, from, link, bytes });
        }
        !arrivals.is_empty()
    }

    fn arrived(&mut self, to: usize, from: usize) {
        if let Some(under_way) = self.network.under_way.get_mut(&(from, to)) {
            *under_way = under_way.saturating_sub(1);
        }
    }

    fn arrives(&mut self, to: usize, from: usize, link: u64, bytes: &[u8]) {
        self.arrived(to, from);
        let alive = self.network.links.get(&link).is_some_and(|link| {
            let side = link.side(to);
            !link.closed[side] && link.lives[side] == self.nodes[to].life
        });
        if !alive {
            // A machine that runs and knows nothing of the connection says so.
            if self.nodes[to].machine.is_some() && !self.network.way(to, from).cut {
                self.after(MILLI, Event::LinkDown { node: from, link });
            }
            return;
        }
        self.trace.event(self.now, to, 4, &bytes[..bytes.len().min(8)]);
        if let Ok(message) = wire::decode(bytes, control::MAX_MESSAGE) {
            self.message(to, from, message);
        }
    }

    /// Gossip floods the mesh of connections: everybody hears of it once, by the shortest way that it can take.
    pub(super) fn publish(&mut self, author: usize, message: &gossip::Message) {
        let bytes = Rc::new(wire::encode(message));
        self.trace.event(self.now, author, 5, &bytes);
        self.traffic.published(author, self.nodes[author].links.len(), bytes.len());
        self.trace.say(self.now, || format!("node{author} gossips {message:?}"));
        let mut heard = BTreeSet::new();
        let mut edge = BTreeSet::from([(self.now, author)]);
        while heard.len() < self.nodes.len()
            && let Some((when, at)) = edge.pop_first()
        {
            if !heard.insert(at) {
                continue;
            }
            if at != author {
                let bytes = Rc::clone(&bytes);
                self.queue.put(when, Event::Gossip { to: at, author, bytes });
            }
            if self.nodes[at].is_up() {
                let peers = self.nodes[at].links.keys().filter(|peer| !heard.contains(*peer));
                for peer in peers {
                    let arrival = self.network.way(at, *peer).passes(when, &mut self.random);
                    edge.extend(arrival.map(|arrival| (arrival, *peer)));
                }
            }
        }
    }

    fn gossip_arrives(&mut self, to: usize, author: usize, bytes: &[u8]) {
        if self.nodes[to].machine.is_none() {
            return;
        }
        self.trace.event(self.now, to, 6, &bytes[..bytes.len().min(8)]);
        if let Ok(message) = wire::decode(bytes, gossip::MAX_MESSAGE) {
            self.gossip(to, author, message);
        }
    }
}
