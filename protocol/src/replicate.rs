//! Bringing blobs and facts to a second node, before anybody is told that they are safe.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ids::{BlobId, JobId, NodeId};
use crate::time::Time;
use crate::wire::control::Message;

/// A node that has been asked to keep something and gives no sign of life for this long is passed
/// over. While it fetches, it says so every second.
pub const SILENCE: Duration = Duration::from_secs(5);
/// How often a node that fetches says so.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// What is to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goods {
    /// Blobs.
    pub blobs: Vec<BlobId>,
    /// Trees among them, which stand for all that they name as well.
    pub trees: Vec<BlobId>,
    /// Facts, as their exact bytes.
    pub facts: Vec<Vec<u8>>,
}

/// What the machine asks its shell to do, or tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Send a message.
    Send(NodeId, Message),
    /// An order is over: who holds the goods now besides this node, if anyone.
    Over(u64, Option<NodeId>),
}

#[derive(Clone, Debug)]
struct Order {
    job: JobId,
    goods: Goods,
    candidates: VecDeque<NodeId>,
    asked: NodeId,
    heard: Time,
}

/// The machine that keeps track of what was asked of whom.
#[derive(Clone, Debug, Default)]
pub struct Replicator {
    orders: BTreeMap<u64, Order>,
}

impl Replicator {
    /// A machine without orders.
    #[must_use]
    pub const fn new() -> Self {
        Self { orders: BTreeMap::new() }
    }

    /// How many orders are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.orders.len()
    }

    /// Asks the first of `candidates` to keep `goods`, the next if that fails, and so on.
    pub fn order(
        &mut self,
        now: Time,
        token: u64,
        job: JobId,
        goods: Goods,
        candidates: Vec<NodeId>,
    ) -> Vec<Event> {
        let order =
            Order { job, goods, candidates: candidates.into(), asked: NodeId([0; 32]), heard: now };
        self.next(now, token, order)
    }

    fn next(&mut self, now: Time, token: u64, mut order: Order) -> Vec<Event> {
        let Some(node) = order.candidates.pop_front() else {
            return vec![Event::Over(token, None)];
        };
        (order.asked, order.heard) = (node, now);
        let keep = Message::Keep {
            token,
            blobs: order.goods.blobs.clone(),
            trees: order.goods.trees.clone(),
            job: order.job,
            facts: order.goods.facts.clone(),
        };
        self.orders.insert(token, order);
        vec![Event::Send(node, keep)]
    }

    /// The node that was asked is at it.
    pub fn keeping(&mut self, now: Time, from: NodeId, token: u64) {
        if let Some(order) = self.orders.get_mut(&token).filter(|order| order.asked == from) {
            order.heard = now;
        }
    }

    /// A node answered.
    pub fn kept(&mut self, now: Time, from: NodeId, token: u64, kept: bool) -> Vec<Event> {
        if self.orders.get(&token).is_none_or(|order| order.asked != from) {
            return Vec::new();
        }
        match self.orders.remove(&token) {
            Some(_) if kept => vec![Event::Over(token, Some(from))],
            Some(order) => self.next(now, token, order),
            None => Vec::new(),
        }
    }

    /// A connection was closed: what was asked of that node is asked of another.
    pub fn disconnected(&mut self, now: Time, node: &NodeId) -> Vec<Event> {
        self.pass_over(now, |order| order.asked == *node)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time) -> Vec<Event> {
        self.pass_over(now, |order| now.since(order.heard) >= SILENCE)
    }

    fn pass_over(&mut self, now: Time, hopeless: impl Fn(&Order) -> bool) -> Vec<Event> {
        let tokens: Vec<u64> =
            self.orders.iter().filter(|(_, o)| hopeless(o)).map(|(token, _)| *token).collect();
        let mut events = Vec::new();
        for token in tokens {
            if let Some(order) = self.orders.remove(&token) {
                events.extend(self.next(now, token, order));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId([1; 32]);

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn asked(events: &[Event]) -> Option<NodeId> {
        match events {
            [Event::Send(to, Message::Keep { .. })] => Some(*to),
            _ => None,
        }
    }

    #[test]
    fn the_next_is_asked_when_one_refuses_leaves_or_falls_silent() {
        let mut machine = Replicator::new();
        let goods = Goods::default();
        let all = (1..=4).map(node).collect();
        assert_eq!(asked(&machine.order(Time(0), 7, JOB, goods, all)), Some(node(1)));
        assert_eq!(machine.kept(Time(1), node(3), 7, true), [], "only whom was asked may answer");
        assert_eq!(asked(&machine.kept(Time(1), node(1), 7, false)), Some(node(2)));
        assert_eq!(asked(&machine.disconnected(Time(2), &node(2))), Some(node(3)));
        machine.keeping(Time(4000), node(3), 7);
        assert_eq!(machine.tick(Time(5500)), [], "it said that it is at it");
        assert_eq!(asked(&machine.tick(Time(9100))), Some(node(4)));
        assert_eq!(machine.kept(Time(9200), node(4), 7, true), [Event::Over(7, Some(node(4)))]);
        assert_eq!(machine.open(), 0);
    }

    #[test]
    fn with_nobody_left_it_says_so() {
        let mut machine = Replicator::new();
        let over = [Event::Over(7, None)];
        assert_eq!(machine.order(Time(0), 7, JOB, Goods::default(), Vec::new()), over);
        machine.order(Time(0), 7, JOB, Goods::default(), vec![node(1)]);
        assert_eq!(machine.tick(Time(6000)), over);
    }
}
