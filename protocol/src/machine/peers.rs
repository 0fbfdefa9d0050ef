//! Other nodes: connections come and go, and nodes make themselves and each other known.

use std::collections::BTreeMap;

use super::{Command, Machine};
use crate::certificate::Chain;
use crate::ids::NodeId;
use crate::time::Time;
use crate::wire;
use crate::wire::control::{Advert, MAX_ADDRESSES, Message};
use crate::wire::gossip;

/// How many nodes a peer is told of at once.
pub(super) const MAX_KNOWN: usize = 64;
/// The longest address that is remembered, in bytes: a name of a host has at most 253.
const MAX_ADDRESS: usize = 512;

/// What is remembered of a node's addresses.
fn usable(mut addresses: Vec<String>) -> Vec<String> {
    addresses.retain(|address| address.len() <= MAX_ADDRESS);
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

impl Machine {
    pub(super) fn connect(&mut self, now: Time, chain: &Chain) {
        let node = chain.leaf.statement.subject;
        if self.ledger.members.is_revoked(&node) {
            self.out.push(Command::Close(node, "its certificate was revoked"));
            return;
        }
        self.ledger.members.add(chain);
        self.meet(&node);
        self.connected.insert(node);
        self.election.connection(now, &node, true);
        self.hello(node);
        self.send_root(node);
    }

    /// Tells a peer of this node, of the leadership and of others.
    pub(super) fn hello(&mut self, node: NodeId) {
        let Some(advert) = self.adverts.get(&self.me).cloned() else {
            return;
        };
        let known = self.acquaintances(node);
        let claim = self.election.claim().cloned();
        self.send(node, Message::Hello { advert: Box::new(advert), claim, known });
    }

    pub(super) fn disconnect(&mut self, now: Time, node: NodeId) {
        let events = self.membership.hinted(now, node);
        self.membership_events(now, events);
        self.connected.remove(&node);
        self.catch_up.lost(&node);
        self.deferred.lost(&node);
        self.strangers.remove(&node);
        self.keeping.retain(|(from, _), _| *from != node);
        self.election.connection(now, &node, false);
        self.settle_overdue(now, Some(node));
        let events = self.replicator.disconnected(now, &node);
        self.replicator_events(now, events);
    }

    /// `direct` says whether the node introduced itself, rather than being heard of by gossip. Says whether that
    /// was news.
    pub(super) fn learn_advert(&mut self, from: NodeId, advert: Advert, direct: bool) -> bool {
        // A node speaks for itself only.
        if advert.node != from || from == self.me {
            return false;
        }
        // It is kept, and told to others by gossip.
        if wire::encode(&advert).len() > gossip::MAX_MESSAGE {
            return false;
        }
        let known = self.adverts.get(&from).map(|known| known.revision);
        let restarted = known.is_some_and(|known| known.0 != advert.revision.0);
        // A machine whose clock was set back starts with a lower number than the last time.
        let back = direct && restarted;
        if known.is_some_and(|known| known >= advert.revision) && !back {
            return false;
        }
        if let Some(leader) = &mut self.leader {
            // A daemon that was started anew knows nothing of its leases.
            if restarted {
                leader.lose(&from);
            }
            leader.touch();
        }
        self.adverts.insert(from, advert);
        self.learn_contact(from, Vec::new());
        self.absent.remove(&from);
        if known.is_none() && !self.is_large() {
            // Two that come at the same moment know nothing of each other: whom both know tells. A thousand that come
            // to one for a job's files, each told of each other, would be a million messages, and all know enough.
            let others: Vec<NodeId> =
                self.connected.iter().filter(|peer| **peer != from).copied().collect();
            for other in others {
                self.hello(other);
            }
        }
        true
    }

    /// A peer names others. Those that are no members, as far as is known here, are remembered until they turn out to be:
    /// of each peer as many as it names at once.
    pub(super) fn learn_contacts(
        &mut self,
        now: Time,
        from: NodeId,
        known: Vec<(NodeId, Vec<String>)>,
    ) {
        let mut strangers = BTreeMap::new();
        for (node, addresses) in known.into_iter().take(MAX_KNOWN) {
            if self.ledger.members.get(&node).is_some() {
                self.learn_contact(node, addresses);
                self.hear_of(now, node);
            } else if node != self.me {
                strangers.insert(node, usable(addresses));
            }
        }
        if !strangers.is_empty() {
            self.strangers.insert(from, strangers);
        }
    }

    /// A node's certificate is here: where it can be reached may have been said before.
    pub(super) fn meet(&mut self, node: &NodeId) {
        let told = self.strangers.values_mut().filter_map(|strangers| strangers.remove(node));
        let told: Vec<Vec<String>> = told.collect();
        for addresses in told {
            self.learn_contact(*node, addresses);
        }
    }

    /// Where a member can be reached: as it says itself, and as another one says.
    pub(super) fn learn_contact(&mut self, node: NodeId, told: Vec<String>) {
        if node == self.me {
            return;
        }
        let own = self.adverts.get(&node).map(|advert| advert.addresses.clone());
        let mut addresses = usable(own.unwrap_or_default());
        for address in usable(told) {
            if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if !addresses.is_empty() {
            self.contacts.insert(node, addresses);
        }
    }

    pub(super) fn own_advert(&mut self, advert: Advert) {
        self.out.push(Command::Gossip(gossip::Message::Advert(Box::new(advert.clone()))));
        self.adverts.insert(self.me, advert);
        if let Some(leader) = &mut self.leader {
            leader.touch();
        }
    }
}
