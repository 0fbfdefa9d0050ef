//! Bringing blobs and facts to a second node, before anybody is told that they are safe.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::ids::{BlobId, JobId, NodeId};
use crate::time::Time;
use crate::wire::control::Message;

/// A node that has been asked to keep something and gives no sign of life for this long is passed
/// over. While it fetches, it says so every second.
pub const SILENCE: Duration = Duration::from_secs(5);
/// How often a node that fetches says so.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// Who says so for this long, and has not kept it, is not waited for alone: the next is asked beside it, and another
/// after twice as long. What is large takes longer for good reason, and is not to go to everybody at once.
pub const BESIDE: Duration = Duration::from_secs(60);
/// After this long nobody is waited for any more: who asked is told that there is one copy, which is made
/// good later, as where nobody can be reached. What was fetched until then is not fetched again.
pub const LIMIT: Duration = Duration::from_secs(30 * 60);

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
    /// Those that are at it, and when each was heard last.
    asked: BTreeMap<NodeId, Time>,
    since: Time,
    /// When another is asked beside them, and how long that one is waited for then.
    beside: (Time, Duration),
}

/// The machine that keeps track of what was asked of whom.
#[derive(Clone, Debug, Default)]
pub struct Replicator {
    orders: BTreeMap<u64, Order>,
    /// Nodes that were at something for so long that others were asked beside them, and that have kept nothing since:
    /// they are asked last.
    slow: BTreeSet<NodeId>,
}

impl Replicator {
    /// A machine without orders.
    #[must_use]
    pub const fn new() -> Self {
        Self { orders: BTreeMap::new(), slow: BTreeSet::new() }
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
        mut candidates: Vec<NodeId>,
    ) -> Vec<Event> {
        candidates.sort_by_key(|node| self.slow.contains(node));
        let (candidates, beside) = (candidates.into(), (now + BESIDE, BESIDE));
        let order = Order { job, goods, candidates, asked: BTreeMap::new(), since: now, beside };
        self.next(now, token, order)
    }

    /// Asks one more, where there is one.
    fn next(&mut self, now: Time, token: u64, mut order: Order) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(node) = order.candidates.pop_front() {
            order.asked.insert(node, now);
            let keep = Message::Keep {
                token,
                blobs: order.goods.blobs.clone(),
                trees: order.goods.trees.clone(),
                job: order.job,
                facts: order.goods.facts.clone(),
            };
            events.push(Event::Send(node, keep));
        } else if order.asked.is_empty() {
            return vec![Event::Over(token, None)];
        }
        self.orders.insert(token, order);
        events
    }

    /// A node that was asked is at it.
    pub fn keeping(&mut self, now: Time, from: NodeId, token: u64) {
        if let Some(heard) = self.orders.get_mut(&token).and_then(|o| o.asked.get_mut(&from)) {
            *heard = now;
        }
    }

    /// A node answered.
    pub fn kept(&mut self, now: Time, from: NodeId, token: u64, kept: bool) -> Vec<Event> {
        let Some(mut order) = self.orders.remove(&token) else { return Vec::new() };
        if order.asked.remove(&from).is_none() {
            self.orders.insert(token, order);
            return Vec::new();
        }
        if kept {
            self.slow.remove(&from);
            return vec![Event::Over(token, Some(from))];
        }
        self.go_on(now, token, order)
    }

    /// Asks the next if nobody is at it any more.
    fn go_on(&mut self, now: Time, token: u64, order: Order) -> Vec<Event> {
        if order.asked.is_empty() {
            return self.next(now, token, order);
        }
        self.orders.insert(token, order);
        Vec::new()
    }

    /// A connection was closed: what was asked of that node is asked of another.
    pub fn disconnected(&mut self, now: Time, node: &NodeId) -> Vec<Event> {
        let mut events = Vec::new();
        for (token, mut order) in std::mem::take(&mut self.orders) {
            order.asked.remove(node);
            events.extend(self.go_on(now, token, order));
        }
        events
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time) -> Vec<Event> {
        let mut events = Vec::new();
        for (token, mut order) in std::mem::take(&mut self.orders) {
            order.asked.retain(|_, heard| now.since(*heard) < SILENCE);
            if now.since(order.since) >= LIMIT {
                events.push(Event::Over(token, None));
            } else if now >= order.beside.0 {
                self.slow.extend(order.asked.keys());
                let wait = order.beside.1 * 2;
                order.beside = (now + wait, wait);
                events.extend(self.next(now, token, order));
            } else {
                events.extend(self.go_on(now, token, order));
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

    /// Whom the machine asks, and what is over, while `busy` say each second that they are at it.
    fn wait(
        machine: &mut Replicator,
        from: Time,
        seconds: u64,
        busy: &[NodeId],
    ) -> Vec<(u64, Event)> {
        let mut seen = Vec::new();
        for second in 1..=seconds {
            let now = from + Duration::from_secs(second);
            busy.iter().for_each(|node| machine.keeping(now, *node, 7));
            seen.extend(machine.tick(now).into_iter().map(|event| (second, event)));
        }
        seen
    }

    #[test]
    fn who_is_at_it_for_ever_is_not_waited_for_alone() {
        let mut machine = Replicator::new();
        let all: Vec<NodeId> = (1..=4).map(node).collect();
        machine.order(Time(0), 7, JOB, Goods::default(), all.clone());
        let seen = wait(&mut machine, Time(0), 59, &[node(1)]);
        assert_eq!(seen, []);
        let seen = wait(&mut machine, Time(59_000), 1, &[node(1)]);
        assert_eq!(
            asked(&seen.into_iter().map(|(_, event)| event).collect::<Vec<_>>()),
            Some(node(2))
        );
        // Twice as long until the third; what the second has kept is enough.
        assert_eq!(wait(&mut machine, Time(60_000), 119, &[node(1), node(2)]), []);
        let over = [Event::Over(7, Some(node(2)))];
        assert_eq!(machine.kept(Time(180_000), node(2), 7, true), over);
        assert_eq!(machine.kept(Time(180_000), node(1), 7, true), [], "it comes too late");
        // The next time who kept nothing is asked last, until it has.
        let next = machine.order(Time(181_000), 8, JOB, Goods::default(), all.clone());
        assert_eq!(asked(&next), Some(node(2)));
        machine.kept(Time(181_000), node(2), 8, true);
        machine.order(Time(182_000), 9, JOB, Goods::default(), vec![node(1)]);
        machine.kept(Time(182_000), node(1), 9, true);
        let next = machine.order(Time(183_000), 10, JOB, Goods::default(), all);
        assert_eq!(asked(&next), Some(node(1)));
    }

    #[test]
    fn where_all_are_at_it_for_ever_there_is_one_copy() {
        let mut machine = Replicator::new();
        machine.order(Time(0), 7, JOB, Goods::default(), vec![node(1), node(2)]);
        let seen = wait(&mut machine, Time(0), 3600, &[node(1), node(2)]);
        let [(60, Event::Send(to, _)), (1800, over)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((to, over), (&node(2), &Event::Over(7, None)));
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
