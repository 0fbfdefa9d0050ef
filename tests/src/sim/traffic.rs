//! What machines send each other, counted as their network cards would.

use std::collections::BTreeMap;

use weft_protocol::wire::control::Message;

/// What a message costs on its way besides its bytes: its length (4), a frame of yamux (12), one of Noise (2 and a tag
/// of 16), and the headers of TCP with its timestamps (32), IPv4 (20) and Ethernet (14).
pub(super) const HEADERS: u64 = 100;
/// What its receiver sends to acknowledge it, where nothing of its own goes the same way just then: headers alone.
pub(super) const ACKNOWLEDGED: u64 = 66;

/// Messages, and all bytes that they took with their headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many.
    pub messages: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Sent {
    fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }
}

/// What was sent since counting began; nothing is counted before.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    counts: bool,
    /// By each machine, acknowledgements of what it received included.
    pub nodes: Vec<Sent>,
    /// By kind, over all machines.
    pub kinds: BTreeMap<&'static str, Sent>,
    /// What was published by gossip, once each. What its authors send of it is theirs, too: gossipsub gives one's own
    /// to everybody that one is connected to (`flood_publish`). How often others pass it on is not counted.
    pub gossip: Sent,
}

impl Traffic {
    /// Forgets what there was, and counts from now on.
    pub(super) fn begin(&mut self, nodes: usize) {
        *self = Self { counts: true, nodes: vec![Sent::default(); nodes], ..Self::default() };
    }

    pub(super) fn sent(&mut self, from: usize, to: usize, message: &Message, bytes: usize) {
        if !self.counts {
            return;
        }
        let whole = bytes as u64 + HEADERS;
        self.kinds.entry(name(message)).or_default().add(whole);
        if let Some(sent) = self.nodes.get_mut(from) {
            sent.add(whole);
        }
        if let Some(received) = self.nodes.get_mut(to) {
            received.bytes += ACKNOWLEDGED;
        }
    }

    /// A machine that is connected to so many others publishes something.
    pub(super) fn published(&mut self, author: usize, connected: usize, bytes: usize) {
        if !self.counts {
            return;
        }
        let whole = bytes as u64 + HEADERS;
        self.gossip.add(whole);
        if let Some(sent) = self.nodes.get_mut(author) {
            (0..connected).for_each(|_| sent.add(whole));
        }
    }
}

const fn name(message: &Message) -> &'static str {
    match message {
        Message::Hello { .. } => "Hello",
        Message::Ping(..) => "Ping",
        Message::Ack(..) => "Ack",
        Message::PingFor(..) => "PingFor",
        Message::AckFor(..) => "AckFor",
        Message::AskLost(_) => "AskLost",
        Message::Lost(..) => "Lost",
        Message::Claim(_) => "Claim",
        Message::Report(_) => "Report",
        Message::Reported(..) => "Reported",
        Message::Assign { .. } => "Assign",
        Message::AssignRun { .. } => "AssignRun",
        Message::Facts(..) => "Facts",
        Message::FactsStored(_) => "FactsStored",
        Message::Keep { .. } => "Keep",
        Message::Keeping(_) => "Keeping",
        Message::Kept(..) => "Kept",
        Message::Sync(_) => "Sync",
        Message::Standing(_) => "Standing",
        Message::Sought(..) => "Sought",
        Message::Clock(_) => "Clock",
        Message::Claims(..) => "Claims",
        Message::TakeOver(..) => "TakeOver",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_publishes_sends_it_to_all_that_it_is_connected_to() {
        let mut traffic = Traffic::default();
        traffic.published(1, 3, 50);
        assert_eq!(traffic.gossip, Sent::default(), "nothing is counted yet");
        traffic.begin(2);
        traffic.published(1, 3, 50);
        let whole = 50 + HEADERS;
        assert_eq!(traffic.gossip, Sent { messages: 1, bytes: whole });
        assert_eq!(traffic.nodes, [Sent::default(), Sent { messages: 3, bytes: 3 * whole }]);
    }
}
