//! Other nodes: connections come and go, and nodes make themselves and each other known.

use super::{Command, Machine};
use crate::certificate::Chain;
use crate::ids::NodeId;
use crate::membership;
use crate::time::Time;
use crate::wire::control::{Advert, Message};
use crate::wire::gossip;

/// How many nodes a peer is told of at once.
pub(super) const MAX_KNOWN: usize = 64;

impl Machine {
    pub(super) fn connect(&mut self, now: Time, chain: &Chain) {
        let node = chain.leaf.statement.subject;
        if self.ledger.members.is_revoked(&node) {
            self.out.push(Command::Close(node, "its certificate was revoked"));
            return;
        }
        self.ledger.members.add(chain);
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
        self.learn_contact(from, advert.addresses.clone());
        self.adverts.insert(from, advert);
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

    pub(super) fn learn_contact(&mut self, node: NodeId, mut addresses: Vec<String>) {
        if node == self.me || addresses.is_empty() || self.contacts.len() >= membership::MAX_NODES {
            return;
        }
        addresses.truncate(crate::wire::control::MAX_ADDRESSES);
        self.contacts.insert(node, addresses);
    }

    pub(super) fn own_advert(&mut self, advert: Advert) {
        self.out.push(Command::Gossip(gossip::Message::Advert(Box::new(advert.clone()))));
        self.adverts.insert(self.me, advert);
        if let Some(leader) = &mut self.leader {
            leader.touch();
        }
    }
}
