//! Whom a node is connected to: in a small studio everybody, in a large one some, and always its leader.
//!
//! A connection costs memory at both ends, and a thousand machines that were all connected would hold half a
//! million of them. Each instead keeps as many that a random graph of them is one piece and stays it when a
//! third of the machines go at once; rumours, gossip and comparing facts need no more. Reports,
//! assignments and outcomes go between a node and its leader, to which all are connected.

use std::collections::BTreeSet;

use super::{Command, Machine};
use crate::ids::NodeId;
use crate::membership::Liveness;
use crate::time::Time;
use crate::wire::gossip;

/// In a large studio a peer is told of others each so many [`SYNC_PERIOD`](super::SYNC_PERIOD)s.
const MAKE_KNOWN: u32 = 8;

/// How many connections a node looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mesh {
    /// Up to so many others all are connected with all.
    pub full: usize,
    /// How many a node seeks by itself where there are more; others come to it besides.
    pub neighbours: usize,
}

impl Default for Mesh {
    fn default() -> Self {
        Self { full: 32, neighbours: 16 }
    }
}

impl Machine {
    /// A machine that looks for another number of connections.
    #[must_use]
    pub const fn meshed(mut self, mesh: Mesh) -> Self {
        self.mesh = mesh;
        self
    }

    /// Whether there are more nodes than all of which this one would be connected with.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.contacts.len() > self.mesh.full
    }

    /// Who is to be dialled now, with addresses: the shell asks every few seconds, and when the leader changed.
    #[must_use]
    pub fn to_dial(&mut self) -> Vec<(NodeId, Vec<String>)> {
        let revoked = |node: &NodeId| self.ledger.members.is_revoked(node);
        let free = |node: &&NodeId| !self.connected.contains(*node) && !revoked(node);
        let free: BTreeSet<NodeId> = self.contacts.keys().filter(free).copied().collect();
        let sought = if self.is_large() { self.some_of(&free) } else { free };
        let contact = |node| Some((node, self.contacts.get(&node)?.clone()));
        sought.into_iter().filter_map(contact).collect()
    }

    /// The leader, as many others as are missing, and one of those that seem to be off: where a studio was in two
    /// parts, each is content with itself, and takes the other for dead.
    fn some_of(&mut self, free: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let leader = self.election.leader();
        let mut sought: BTreeSet<NodeId> =
            leader.filter(|leader| free.contains(leader)).into_iter().collect();
        let missing = self.mesh.neighbours.saturating_sub(self.connected.len());
        let there = |node: &NodeId| self.membership.liveness(node) != Liveness::Dead;
        let (alive, off): (Vec<NodeId>, Vec<NodeId>) = free.iter().copied().partition(there);
        let found = self.random.sample(alive, missing);
        let rest = (missing - found.len()).max(1);
        sought.extend(found);
        sought.extend(self.random.sample(off, rest));
        sought
    }

    /// Somebody named a member that may be connected to others only. Where all are connected, connections tell.
    pub(super) fn hear_of(&mut self, now: Time, node: NodeId) {
        if self.is_large() && self.ledger.members.get(&node).is_some() {
            self.membership.told(now, node);
        }
    }

    /// A node told of itself by gossip. Who has something new to tell is there, whatever was thought of it.
    pub(super) fn show_itself(&mut self, now: Time, node: NodeId, news: bool) {
        self.hear_of(now, node);
        if self.is_large() && news {
            let events = self.membership.heard(now, node);
            self.membership_events(now, events);
        }
    }

    /// Now and then a peer is told of others, so that in time all know where each is.
    pub(super) fn make_known(&mut self) {
        self.rounds = self.rounds.wrapping_add(1);
        if self.is_large() && self.rounds.is_multiple_of(MAKE_KNOWN) {
            let peers: Vec<NodeId> = self.connected.iter().copied().collect();
            for peer in self.random.sample(peers, 1) {
                self.hello(peer);
            }
        }
    }

    /// A leader tells where it is: all want to be connected to it.
    pub(super) fn show_to_all(&mut self) {
        if self.is_large()
            && let Some(advert) = self.adverts.get(&self.me)
        {
            self.out.push(Command::Gossip(gossip::Message::Advert(Box::new(advert.clone()))));
        }
    }

    /// Whom to name to a peer: the peer itself, so that it can tell whether it has to introduce itself, the
    /// leader, and of the others that are there as many as fit, each time others.
    pub(super) fn acquaintances(&mut self, peer: NodeId) -> Vec<(NodeId, Vec<String>)> {
        let leader = self.election.leader().filter(|l| *l != peer);
        let introduced = self.adverts.contains_key(&peer).then_some(peer);
        let first: Vec<NodeId> = introduced.into_iter().chain(leader).collect();
        let others = self.contacts.keys().filter(|node| {
            **node != peer
                && Some(**node) != leader
                && self.membership.liveness(node) != Liveness::Dead
        });
        let others: Vec<NodeId> = others.copied().collect();
        let room = super::peers::MAX_KNOWN.saturating_sub(first.len());
        let others = self.random.sample(others, room);
        let addresses = |node| {
            let told = self.adverts.get(&node).map(|advert| &advert.addresses);
            Some((node, told.or_else(|| self.contacts.get(&node))?.clone()))
        };
        first.into_iter().chain(others).filter_map(addresses).collect()
    }
}
