//! Connections: dialled, shown a certificate on, broken.

use weft_protocol::machine::Input;

use super::clock::{MILLI, Moment, SECOND};
use super::event::Event;
use super::node::Chore;
use super::world::World;

/// How often nodes that are known and not connected are dialled, as in the daemon.
const REDIAL: Moment = 2 * SECOND;
/// The most connections with one peer: both may dial at the same moment.
const MAX_PER_PEER: usize = 4;

impl World {
    /// Dials whom this node knows and is not connected to.
    pub(super) fn dial(&mut self, number: usize) {
        self.chore(REDIAL, number, Chore::Dial);
        self.dial_sought(number);
    }

    /// Dials whom the machine wants to be connected to, and until it is to anybody those that its last life knew.
    pub(super) fn dial_sought(&mut self, number: usize) {
        let Some(machine) = &mut self.nodes[number].machine else { return };
        let sought = machine.to_dial();
        let small = !machine.is_large();
        let addresses = sought.iter().flat_map(|(_, addresses)| addresses);
        let mut peers: Vec<usize> = addresses.filter_map(|address| place(address)).collect();
        let contacts = machine.contacts.values().flatten();
        let contacts: Vec<usize> = contacts.filter_map(|address| place(address)).collect();
        let node = &mut self.nodes[number];
        node.known.extend(contacts);
        if small || node.links.is_empty() {
            peers.extend(node.known.iter());
        }
        for peer in peers {
            let linked = self.nodes[number].links.contains_key(&peer);
            if peer != number && peer < self.nodes.len() && !linked {
                self.connect(number, peer);
            }
        }
    }

    /// Connects a machine to one of which it wants something, where it knows that machine's place.
    pub(super) fn reach(&mut self, number: usize, peer: usize) {
        let machine = self.nodes[number].machine.as_ref();
        let knows =
            machine.is_some_and(|machine| machine.contacts.contains_key(&self.nodes[peer].id));
        if knows && peer != number && !self.nodes[number].links.contains_key(&peer) {
            self.connect(number, peer);
        }
    }

    fn connect(&mut self, from: usize, to: usize) {
        let (one, other) = (&self.nodes[from], &self.nodes[to]);
        let admitted = one.admits(&other.id) && other.admits(&one.id);
        let free = other.links.get(&from).is_none_or(|links| links.len() < MAX_PER_PEER);
        if !admitted || !free || !other.is_up() || !self.network.works(from, to) {
            return;
        }
        let lives = [self.nodes[from].life, self.nodes[to].life];
        let link = self.network.link([from, to], lives);
        // Three round trips: TCP, Noise, and the certificates.
        let shaken = self.between(MILLI, 6 * MILLI);
        self.after(shaken, Event::LinkUp { node: to, link });
        let later = self.between(0, MILLI);
        self.after(shaken + later, Event::LinkUp { node: from, link });
    }

    pub(super) fn link_up(&mut self, node: usize, number: u64) {
        let Some(link) = self.network.links.get(&number) else { return };
        let (side, peer) = (link.side(node), link.ends[1 - link.side(node)]);
        let mine = link.lives[side] == self.nodes[node].life;
        if link.closed[side] || !mine || self.nodes[node].machine.is_none() {
            self.network.close(number, node);
            self.after(MILLI, Event::LinkDown { node: peer, link: number });
            return;
        }
        let links = self.nodes[node].links.entry(peer).or_default();
        links.insert(number);
        if links.len() == 1 {
            self.trace.event(self.now, node, 7, &[0]);
            self.trace.say(self.now, || format!("node{node} is connected to node{peer}"));
            let chain = self.nodes[peer].chain.clone();
            self.tell(node, Input::Connected(Box::new(chain)));
        }
    }

    pub(super) fn link_down(&mut self, node: usize, number: u64) {
        let Some(link) = self.network.links.get(&number) else { return };
        let (side, peer) = (link.side(node), link.ends[1 - link.side(node)]);
        let mine = link.lives[side] == self.nodes[node].life;
        self.network.close(number, node);
        if !mine {
            return;
        }
        let links = self.nodes[node].links.entry(peer).or_default();
        let had = links.remove(&number);
        if links.is_empty() {
            self.nodes[node].links.remove(&peer);
            if had {
                self.trace.event(self.now, node, 7, &[1]);
                self.trace.say(self.now, || format!("node{node} is cut off from node{peer}"));
                let id = self.nodes[peer].id;
                self.tell(node, Input::Disconnected(id));
            }
        }
    }

    /// This node closes its connections to a peer.
    pub(super) fn hang_up(&mut self, node: usize, peer: usize) {
        let links = self.nodes[node].links.get(&peer).cloned().unwrap_or_default();
        for link in links {
            self.after(MILLI / 10, Event::LinkDown { node, link });
            if self.network.works(node, peer) {
                self.after(2 * MILLI, Event::LinkDown { node: peer, link });
            } else {
                let late = self.between(3 * SECOND, 40 * SECOND);
                self.after(late, Event::LinkDown { node: peer, link });
            }
        }
    }

    /// A way was cut: connections over it break when nothing has come through for long enough.
    pub(super) fn doom_links(&mut self, one: usize, other: usize) {
        let links = self.nodes[one].links.get(&other).cloned().unwrap_or_default();
        for link in links {
            let late = self.between(3 * SECOND, 40 * SECOND);
            self.after(late, Event::LinkTimeout { link });
        }
    }

    pub(super) fn link_timeout(&mut self, number: u64) {
        let Some(link) = self.network.links.get(&number) else { return };
        let [one, other] = link.ends;
        if !self.network.works(one, other) {
            self.link_down(one, number);
            self.link_down(other, number);
        }
    }
}

/// Which machine an address leads to.
fn place(address: &str) -> Option<usize> {
    address.strip_prefix("/memory/")?.parse().ok()
}
