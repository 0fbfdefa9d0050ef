//! Who is there: direct probes to one node at a time, indirect ones where those fail, and rumours
//! carried along (SWIM: Das, Gupta and Motivala, 2002; self-doubt after Lifeguard: Dadgar, Phillips
//! and Currey, 2018).
//!
//! ```text
//!            no answer, direct or through others
//!   alive ───────────────────────────────────────▶ suspect ──── long enough ───▶ dead
//!     ▲                                              │                             │
//!     └──────────── it spoke, or refuted ────────────┴─────────────────────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::random::Random;
use crate::time::Time;
use crate::wire::control::Message;

/// How often somebody is probed.
pub const PERIOD: Duration = Duration::from_millis(1000);
/// How long an answer may take before others are asked to probe as well.
pub const TIMEOUT: Duration = Duration::from_millis(500);
/// How many others are asked.
pub const HELPERS: usize = 3;
/// The shortest suspicion; it grows with the logarithm of the number of nodes.
pub const SUSPICION: Duration = Duration::from_millis(2000);
/// How many rumours one message carries.
pub const RUMOURS: usize = 8;
/// How long a dead node is remembered, so that stale rumours can't bring it back.
pub const MEMORY: Duration = Duration::from_secs(24 * 3600);
/// The highest incarnation that a rumour of somebody's absence may have. They count from a wall clock's milliseconds,
/// and this is in the year 287396: a higher one is a liar's, whom nobody could refute.
const MAX_INCARNATION: u64 = 1 << 53;
/// By how much more a refutation may exceed that.
const REFUTED: u64 = 1 << 20;
/// The most nodes that are kept track of.
pub const MAX_NODES: usize = 4096;

/// In a large studio one probe of so many goes to any node, by way of others where this node isn't connected to
/// it: its neighbours watch it, and this only finds out what rumours did not bring here.
const DISTANT: u32 = 8;

/// To whom a node can talk.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// Its peers.
    pub connected: &'a BTreeSet<NodeId>,
    /// Whom it follows.
    pub leader: Option<NodeId>,
    /// Whether the studio is so large that it isn't connected to everybody.
    pub large: bool,
}

/// How a node seems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It did not answer, and may yet.
    Suspect,
    /// It has not answered for too long.
    Dead,
}

/// A rumour about a node. Of two the one with the higher incarnation counts, then the worse state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Whom it is about.
    pub node: NodeId,
    /// How the node seems.
    pub liveness: Liveness,
    /// How often the node has refuted being suspect.
    pub incarnation: u64,
}

/// What the machine asks its shell to do, or tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Send a message.
    Send(NodeId, Message),
    /// A node seems otherwise than before.
    Changed(NodeId, Liveness),
}

#[derive(Clone, Debug)]
struct Peer {
    liveness: Liveness,
    incarnation: u64,
    /// When it was last heard, or when its liveness changed.
    since: Time,
}

#[derive(Clone, Debug)]
struct Probe {
    node: NodeId,
    seq: u64,
    sent: Time,
    helped: bool,
}

/// The membership machine of one node.
#[derive(Clone, Debug)]
pub struct Membership {
    me: NodeId,
    incarnation: u64,
    peers: BTreeMap<NodeId, Peer>,
    round: VecDeque<NodeId>,
    rounds: u32,
    probes: Vec<Probe>,
    /// Probes that we make for others: our number, who asked, and their number.
    errands: BTreeMap<u64, (NodeId, u64, Time)>,
    rumours: BTreeMap<NodeId, (Update, u32)>,
    seq: u64,
    next_probe: Time,
    last_tick: Option<Time>,
    /// How late our own ticks come: 0 for healthy. While above, nobody is doubted.
    doubt: u32,
}

impl Membership {
    /// A machine that knows of nobody. `incarnation` must grow from one start to the next: the
    /// wall clock's milliseconds will do.
    #[must_use]
    pub const fn new(me: NodeId, incarnation: u64) -> Self {
        Self {
            me,
            incarnation,
            peers: BTreeMap::new(),
            round: VecDeque::new(),
            rounds: 0,
            probes: Vec::new(),
            errands: BTreeMap::new(),
            rumours: BTreeMap::new(),
            seq: 0,
            next_probe: Time(0),
            last_tick: None,
            doubt: 0,
        }
    }

    /// How a node seems; dead when it was never heard of.
    #[must_use]
    pub fn liveness(&self, node: &NodeId) -> Liveness {
        match self.peers.get(node) {
            _ if *node == self.me => Liveness::Alive,
            Some(peer) => peer.liveness,
            None => Liveness::Dead,
        }
    }

    /// The nodes that are not dead, this one included.
    #[must_use]
    pub fn alive(&self) -> BTreeSet<NodeId> {
        let others = self.peers.iter().filter(|(_, peer)| peer.liveness != Liveness::Dead);
        others.map(|(node, _)| *node).chain([self.me]).collect()
    }

    /// Whether this node's own ticks come so late that it should not judge others.
    #[must_use]
    pub const fn doubts_itself(&self) -> bool {
        self.doubt > 0
    }

    /// A peer, or gossip, tells that `node` is there, to which this node need not be connected. What is known of
    /// it already counts more.
    pub fn told(&mut self, now: Time, node: NodeId) {
        if node != self.me && self.peers.len() < MAX_NODES {
            let alive = Peer { liveness: Liveness::Alive, incarnation: 0, since: now };
            self.peers.entry(node).or_insert(alive);
        }
    }

    /// A message of whatever kind came from `node`: it is there.
    pub fn heard(&mut self, now: Time, node: NodeId) -> Vec<Event> {
        if node == self.me || self.peers.len() >= MAX_NODES && !self.peers.contains_key(&node) {
            return Vec::new();
        }
        let known = self.peers.contains_key(&node);
        let peer = self.peers.entry(node).or_insert(Peer {
            liveness: Liveness::Dead,
            incarnation: 0,
            since: now,
        });
        let was = peer.liveness;
        (peer.liveness, peer.since) = (Liveness::Alive, now);
        self.probes.retain(|probe| probe.node != node);
        match was {
            Liveness::Alive => Vec::new(),
            Liveness::Suspect | Liveness::Dead => {
                let update =
                    Update { node, liveness: Liveness::Alive, incarnation: peer.incarnation };
                self.spread(update);
                let mut events = vec![Event::Changed(node, Liveness::Alive)];
                if known {
                    // Others believe nobody but itself that it is back, and rumours of its death would close one
                    // connection of it after the other: it has to hear what went round about it.
                    self.seq += 1;
                    let ping = Message::Ping(self.seq, vec![Update { liveness: was, ..update }]);
                    events.push(Event::Send(node, ping));
                }
                events
            }
        }
    }

    /// A connection to `node` was closed. That is a hint, no proof: it is probed at once.
    pub fn hinted(&mut self, now: Time, node: NodeId) -> Vec<Event> {
        match self.peers.get(&node) {
            Some(peer) if peer.liveness == Liveness::Alive => self.probe(now, node),
            _ => Vec::new(),
        }
    }

    fn probe(&mut self, now: Time, node: NodeId) -> Vec<Event> {
        if self.probes.iter().any(|probe| probe.node == node) {
            return Vec::new();
        }
        self.seq += 1;
        self.probes.push(Probe { node, seq: self.seq, sent: now, helped: false });
        vec![Event::Send(node, Message::Ping(self.seq, self.pick_rumours()))]
    }

    /// One of the messages of membership came from `from`.
    pub fn message(&mut self, now: Time, from: NodeId, message: &Message) -> Vec<Event> {
        let mut events = Vec::new();
        match message {
            Message::Ping(seq, updates) => {
                events.extend(self.learn(now, updates));
                events.push(Event::Send(from, Message::Ack(*seq, self.pick_rumours())));
            }
            Message::Ack(seq, updates) => {
                if let Some((asker, theirs, _)) = self.errands.remove(seq) {
                    events.push(Event::Send(asker, Message::AckFor(theirs, from)));
                }
                events.extend(self.learn(now, updates));
            }
            Message::PingFor(theirs, node) if self.errands.len() < MAX_NODES => {
                self.seq += 1;
                self.errands.insert(self.seq, (from, *theirs, now));
                let ping = Message::Ping(self.seq, self.pick_rumours());
                events.push(Event::Send(*node, ping));
            }
            Message::AckFor(seq, node)
                if self.probes.iter().any(|probe| probe.seq == *seq && probe.node == *node) =>
            {
                events.extend(self.heard(now, *node));
            }
            _ => {}
        }
        events
    }

    fn learn(&mut self, now: Time, updates: &[Update]) -> Vec<Event> {
        let mut events = Vec::new();
        let sound = |update: &&Update| match update.liveness {
            Liveness::Alive => update.incarnation <= MAX_INCARNATION + REFUTED,
            Liveness::Suspect | Liveness::Dead => update.incarnation <= MAX_INCARNATION,
        };
        for update in updates.iter().take(RUMOURS).filter(sound) {
            if update.node == self.me {
                if update.liveness != Liveness::Alive {
                    // An older number means that this one is not known there: who was only ever
                    // heard is known by none. Silence would let the rumour go round for ever.
                    if update.incarnation >= self.incarnation {
                        self.incarnation = update.incarnation.saturating_add(1);
                    }
                    let (node, incarnation) = (self.me, self.incarnation);
                    self.spread(Update { node, liveness: Liveness::Alive, incarnation });
                }
                continue;
            }
            // Rumours do not bring nodes into being: certificates and connections do.
            let Some(peer) = self.peers.get_mut(&update.node) else {
                continue;
            };
            let newer = (update.incarnation, update.liveness) > (peer.incarnation, peer.liveness);
            // A rumour of death alone is not believed over what was heard a moment ago.
            let fresh = now.since(peer.since) < TIMEOUT && peer.liveness == Liveness::Alive;
            if !newer || (fresh && update.liveness != Liveness::Alive) {
                continue;
            }
            let changed = peer.liveness != update.liveness;
            peer.incarnation = update.incarnation;
            if changed {
                (peer.liveness, peer.since) = (update.liveness, now);
                events.push(Event::Changed(update.node, update.liveness));
            }
            self.spread(*update);
        }
        events
    }

    fn spread(&mut self, update: Update) {
        self.rumours.insert(update.node, (update, 0));
    }

    /// The rumours that were told least often so far, each at most 3·log₂(n) times.
    fn pick_rumours(&mut self) -> Vec<Update> {
        let limit = 3 * (self.peers.len() + 2).ilog2();
        let mut least: Vec<(u32, NodeId)> =
            self.rumours.iter().map(|(node, (_, told))| (*told, *node)).collect();
        least.sort_unstable();
        let mut picked = Vec::new();
        for (_, node) in least.into_iter().take(RUMOURS) {
            if let Some((update, told)) = self.rumours.get_mut(&node) {
                picked.push(*update);
                *told += 1;
                if *told >= limit {
                    self.rumours.remove(&node);
                }
            }
        }
        picked
    }

    /// Time has passed: probes somebody, asks others for help, suspects, buries and forgets.
    pub fn tick(&mut self, now: Time, reach: Reach<'_>, random: &mut Random) -> Vec<Event> {
        let late = self.last_tick.is_some_and(|last| now.since(last) > TIMEOUT);
        self.doubt = if late { 4 } else { self.doubt.saturating_sub(1) };
        self.last_tick = Some(now);
        if late {
            // Answers may wait in our own queue: everyone gets their time anew.
            for probe in &mut self.probes {
                probe.sent = now;
            }
            for peer in self.peers.values_mut().filter(|p| p.liveness == Liveness::Suspect) {
                peer.since = now;
            }
        }
        let mut events = self.judge_probes(now, reach, random);
        events.extend(self.bury(now));
        self.errands.retain(|_, (_, _, since)| now.since(*since) < PERIOD * 2);
        if now >= self.next_probe {
            self.next_probe = now + PERIOD;
            if let Some(node) = self.next_in_round(reach, random) {
                events.extend(self.probe(now, node));
            }
        }
        events
    }

    fn judge_probes(&mut self, now: Time, reach: Reach<'_>, random: &mut Random) -> Vec<Event> {
        let mut events = Vec::new();
        for mut probe in std::mem::take(&mut self.probes) {
            let waited = now.since(probe.sent);
            if waited >= PERIOD {
                events.extend(self.suspect(now, probe.node));
                continue;
            }
            if waited >= TIMEOUT && !probe.helped {
                probe.helped = true;
                for helper in self.helpers(probe.node, reach, random) {
                    let ask = Message::PingFor(probe.seq, probe.node);
                    events.push(Event::Send(helper, ask));
                }
            }
            self.probes.push(probe);
        }
        events
    }

    /// Who is asked to probe a node as well: the leader, to whom all are connected, and some others.
    fn helpers(&self, node: NodeId, reach: Reach<'_>, random: &mut Random) -> Vec<NodeId> {
        let may = |other: &NodeId| {
            *other != node
                && reach.connected.contains(other)
                && self.liveness(other) == Liveness::Alive
        };
        let leader = reach.leader.filter(may);
        let others = reach.connected.iter().copied();
        let others: Vec<NodeId> = others.filter(|o| Some(*o) != leader && may(o)).collect();
        let count = HELPERS - usize::from(leader.is_some());
        leader.into_iter().chain(random.sample(others, count)).collect()
    }

    fn suspect(&mut self, now: Time, node: NodeId) -> Vec<Event> {
        let doubts = self.doubts_itself();
        let Some(peer) = self.peers.get_mut(&node) else {
            return Vec::new();
        };
        if peer.liveness != Liveness::Alive || doubts {
            return Vec::new();
        }
        (peer.liveness, peer.since) = (Liveness::Suspect, now);
        let update = Update { node, liveness: Liveness::Suspect, incarnation: peer.incarnation };
        self.spread(update);
        vec![Event::Changed(node, Liveness::Suspect)]
    }

    fn bury(&mut self, now: Time) -> Vec<Event> {
        let limit = SUSPICION * (self.peers.len() + 2).ilog2().max(1);
        let mut events = Vec::new();
        for (node, peer) in &mut self.peers {
            if peer.liveness == Liveness::Suspect && now.since(peer.since) >= limit {
                (peer.liveness, peer.since) = (Liveness::Dead, now);
                let incarnation = peer.incarnation;
                let update = Update { node: *node, liveness: Liveness::Dead, incarnation };
                self.rumours.insert(*node, (update, 0));
                events.push(Event::Changed(*node, Liveness::Dead));
            }
        }
        self.peers
            .retain(|_, peer| peer.liveness != Liveness::Dead || now.since(peer.since) < MEMORY);
        events
    }

    fn next_in_round(&mut self, reach: Reach<'_>, random: &mut Random) -> Option<NodeId> {
        self.rounds = self.rounds.wrapping_add(1);
        if reach.large && !self.rounds.is_multiple_of(DISTANT) {
            let near = reach.connected.iter().copied();
            let near = near.filter(|node| self.liveness(node) != Liveness::Dead).collect();
            return random.sample(near, 1).pop();
        }
        loop {
            if self.round.is_empty() {
                let all: Vec<NodeId> = self.peers.keys().copied().collect();
                let count = all.len();
                self.round = random.sample(all, count).into();
            }
            let node = self.round.pop_front()?;
            let peer = self.peers.get(&node);
            if peer.is_some_and(|peer| peer.liveness != Liveness::Dead) {
                return Some(node);
            }
            if self.peers.values().all(|peer| peer.liveness == Liveness::Dead) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
