//! Catching up: which facts are asked for now, of all that peers hold and this node lacks.
//!
//! A node that was away for long may lack a million. Were all asked for at once, each would be held by a message, by
//! the queue of the disk and by what waits for the disk, and from every peer that has it. So each is asked of one
//! peer at a time, few are on their way at once, and where to look further is asked as room gets free, of one peer
//! after the other: once all is here that the first has, little is left to compare with the next. A peer that stands
//! still holds up little: others are asked beside it, and what waits for it is forgotten. What doesn't come is found
//! again when digests are compared the next time.
//!
//! A member may name facts that nobody holds, and prefixes without end. So each peer has its own room, and credit: with each
//! fact that it was asked for and that came it grows, with each summary that it is asked for it shrinks, and where
//! nothing comes it is gone. Who has most is asked first, and for as many facts at once as it has credit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fact::digest::Difference;
use crate::ids::{FactId, NodeId};
use crate::time::Time;
use crate::wire::control::Sync;

/// How many facts are on their way at once. Those of results are some kilobytes at most.
pub const FLIGHT: usize = 512;
/// How many that a peer is known to hold wait to be asked for.
const WAITING: usize = 2 * FLIGHT;
/// How many summaries are asked for at once, and how many prefixes of one peer wait.
const LOOKING: usize = 8;
const PREFIXES: usize = 1024;
/// How many facts are asked at once of a peer of which nothing is known, and of one from which nothing came.
const CREDIT: usize = 64;
const DISCREDIT: usize = 8;
/// How long a peer may take to tell a summary before another is asked beside it. In a LAN it takes a millisecond.
const SLOW: Duration = Duration::from_millis(500);
/// How long something may take to come before the peer that was asked for it is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many facts that a peer lacks are sent to it unasked. Of more it is told by a summary, at its own pace.
pub const UNASKED: usize = 64;
/// How often one peer is told so.
const INVITE: Duration = Duration::from_secs(2);

/// What a node lacks and is at.
#[derive(Clone, Debug, Default)]
pub struct CatchUp {
    /// Peers that hold something else than this node.
    peers: BTreeMap<NodeId, Peer>,
    asked: BTreeMap<FactId, (NodeId, Time)>,
    /// Of those of which something is known; also of those that are gone, or it would be had anew by coming back.
    credits: BTreeMap<NodeId, usize>,
    invited: BTreeMap<NodeId, Time>,
    looks: u64,
}

/// What a peer holds: facts that may be asked of it, and prefixes below which there is something else, those that wait and those that
/// it was asked about.
#[derive(Clone, Debug, Default)]
struct Peer {
    wanted: BTreeSet<FactId>,
    waiting: BTreeSet<Vec<u8>>,
    asked: BTreeMap<Vec<u8>, Time>,
    /// Which look of all it was asked for last.
    last: u64,
}

impl Peer {
    /// How many summaries may come at any moment; none where the peer is slow.
    fn awaited(&self, now: Time) -> Option<usize> {
        let slow = self.asked.values().any(|since| now.since(*since) >= SLOW);
        (!slow).then_some(self.asked.len())
    }

    fn open(&self) -> usize {
        self.wanted.len() + self.waiting.len() + self.asked.len()
    }
}

fn credit(credits: &BTreeMap<NodeId, usize>, node: &NodeId) -> usize {
    credits.get(node).copied().unwrap_or(CREDIT)
}

impl CatchUp {
    /// A summary of a peer's was compared.
    pub fn found(&mut self, from: NodeId, prefix: &[u8], difference: &Difference) {
        let peer = self.peers.entry(from).or_default();
        for id in &difference.wanted {
            if peer.wanted.len() < WAITING {
                peer.wanted.insert(*id);
            }
        }
        peer.asked.remove(prefix);
        for prefix in &difference.descend {
            if peer.waiting.len() < PREFIXES && !peer.asked.contains_key(prefix) {
                peer.waiting.insert(prefix.clone());
            }
        }
    }

    /// Whether a peer was asked for this summary, and has not told it yet.
    #[must_use]
    pub fn awaits(&self, from: &NodeId, prefix: &[u8]) -> bool {
        self.peers.get(from).is_some_and(|peer| peer.asked.contains_key(prefix))
    }

    /// Whether all is here that a peer was found to hold, as far as is known.
    #[must_use]
    pub fn has_all_of(&self, node: &NodeId) -> bool {
        let on_its_way = self.asked.values().any(|(from, _)| from == node);
        !on_its_way && self.peers.get(node).is_none_or(|peer| peer.open() == 0)
    }

    /// A fact is here, and on the disk.
    pub fn came(&mut self, id: &FactId) {
        if let Some((from, _)) = self.asked.get(id) {
            let credit = self.credits.entry(*from).or_insert(CREDIT);
            *credit = FLIGHT.min(*credit + 1);
        }
        self.of_no_use(id);
    }

    /// A fact is here that this node had, or can't use. Nobody gains by sending those: facts of authors that don't exist
    /// cost nothing to make.
    pub fn of_no_use(&mut self, id: &FactId) {
        self.asked.remove(id);
        for peer in self.peers.values_mut() {
            peer.wanted.remove(id);
        }
    }

    /// A peer is gone.
    pub fn lost(&mut self, node: &NodeId) {
        self.give_up(node);
        self.invited.remove(node);
    }

    /// Nothing more is expected of a peer.
    fn give_up(&mut self, node: &NodeId) {
        self.asked.retain(|_, (from, _)| from != node);
        self.peers.remove(node);
    }

    fn credit(&self, node: &NodeId) -> usize {
        credit(&self.credits, node)
    }

    /// Whether a peer that lacks much is to be told now.
    pub fn invites(&mut self, now: Time, node: NodeId) -> bool {
        let due = self.invited.get(&node).is_none_or(|told| now.since(*told) >= INVITE);
        if due {
            self.invited.insert(node, now);
        }
        due
    }

    /// How much waits and is on its way.
    #[must_use]
    pub fn open(&self) -> usize {
        self.asked.len() + self.peers.values().map(Peer::open).sum::<usize>()
    }

    /// Peers that have not answered for too long.
    fn silent(&self, now: Time) -> BTreeSet<NodeId> {
        let late = |since: &Time| now.since(*since) >= PATIENCE;
        let facts = self.asked.values().filter(|(_, since)| late(since)).map(|(from, _)| *from);
        let looks = self.peers.iter().filter(|(_, peer)| peer.asked.values().any(late));
        facts.chain(looks.map(|(from, _)| *from)).collect()
    }

    /// What is to be asked of whom now.
    pub fn next(&mut self, now: Time) -> Vec<(NodeId, Sync)> {
        self.peers.retain(|_, peer| peer.open() > 0);
        if self.open() == 0 {
            return Vec::new();
        }
        for node in self.silent(now) {
            self.give_up(&node);
            self.credits.insert(node, 0);
        }
        // Half of it at a time: a message for each fact that came would cost more than it gains.
        let mut asks = match self.asked.len() <= FLIGHT / 2 {
            true => self.want(now),
            false => Vec::new(),
        };
        asks.extend(self.look(now));
        asks
    }

    /// How many facts may be asked of a peer at once.
    fn window(&self, node: &NodeId) -> usize {
        self.credit(node).max(DISCREDIT)
    }

    /// Which facts are asked for now.
    fn want(&mut self, now: Time) -> Vec<(NodeId, Sync)> {
        let mut peers: Vec<NodeId> = self.peers.keys().copied().collect();
        peers.sort_by_key(|node| std::cmp::Reverse(self.credit(node)));
        let mut wants = Vec::new();
        for node in peers {
            let under_way = self.asked.values().filter(|(from, _)| *from == node).count();
            let room = FLIGHT.saturating_sub(self.asked.len());
            let room = room.min(self.window(&node).saturating_sub(under_way));
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            let free = peer.wanted.iter().filter(|id| !self.asked.contains_key(*id));
            let ids: Vec<FactId> = free.take(room).copied().collect();
            for id in &ids {
                peer.wanted.remove(id);
                self.asked.insert(*id, (node, now));
            }
            if !ids.is_empty() {
                wants.push((node, Sync::Want(ids)));
            }
        }
        wants
    }

    /// Which summaries are asked for now.
    fn look(&mut self, now: Time) -> Vec<(NodeId, Sync)> {
        // No more is looked for than can be asked for soon.
        let wanted = self.peers.iter().map(|(node, peer)| peer.wanted.len().min(self.window(node)));
        if wanted.sum::<usize>() >= FLIGHT {
            return Vec::new();
        }
        let awaited: usize = self.peers.values().filter_map(|peer| peer.awaited(now)).sum();
        let mut asks: BTreeMap<NodeId, Vec<Vec<u8>>> = BTreeMap::new();
        for _ in awaited..LOOKING {
            let able = self.peers.iter_mut().filter(|(_, peer)| {
                !peer.waiting.is_empty()
                    && peer.wanted.len() < FLIGHT
                    && peer.awaited(now).is_some()
            });
            let first = able.max_by_key(|(node, peer)| {
                (credit(&self.credits, node), std::cmp::Reverse(peer.last))
            });
            // The last is the deepest of its branch, so that few branches are open at once.
            let Some((node, peer)) = first else { break };
            let Some(prefix) = peer.waiting.pop_last() else { break };
            self.looks += 1;
            peer.last = self.looks;
            peer.asked.insert(prefix.clone(), now);
            asks.entry(*node).or_default().push(prefix);
            let credit = credit(&self.credits, node).saturating_sub(1);
            self.credits.insert(*node, credit);
        }
        asks.into_iter().map(|(to, prefixes)| (to, Sync::Ask(prefixes))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::digest;

    fn id(n: u32) -> FactId {
        FactId(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    /// Has a node that holds nothing catch up with peers that answer at once; gives the most that was on its way.
    fn catch_up(theirs: &BTreeSet<FactId>, peers: &[NodeId]) -> (usize, usize) {
        let (mut ours, mut machine) = (BTreeSet::new(), CatchUp::default());
        let (mut most, mut sent) = (0, 0);
        let mut now = Time(0);
        while ours.len() < theirs.len() {
            now = now + Duration::from_secs(2);
            assert!(now < Time(600_000), "{} of {}", ours.len(), theirs.len());
            let mut come = Vec::new();
            let mut summaries: Vec<(NodeId, Vec<u8>)> =
                peers.iter().map(|peer| (*peer, Vec::new())).collect();
            loop {
                for (from, prefix) in summaries.drain(..) {
                    let summary = digest::summary(theirs, &prefix);
                    machine.found(from, &prefix, &digest::compare(&ours, &prefix, &summary));
                }
                for (from, sync) in machine.next(now) {
                    match sync {
                        Sync::Want(ids) => come.extend(ids),
                        Sync::Ask(prefixes) => {
                            summaries.extend(prefixes.into_iter().map(|prefix| (from, prefix)));
                        }
                        Sync::Root(_) | Sync::Summary(..) => unreachable!("it asks only"),
                    }
                }
                most = most.max(come.len());
                if summaries.is_empty() {
                    if come.is_empty() {
                        break;
                    }
                    for id in come.drain(..) {
                        sent += 1;
                        machine.came(&id);
                        ours.insert(id);
                    }
                }
            }
        }
        assert!(machine.asked.is_empty() && machine.peers.values().all(|p| p.wanted.is_empty()));
        (most, sent)
    }

    #[test]
    fn few_are_on_their_way_at_once_and_each_comes_once_whatever_is_lacking() {
        let theirs: BTreeSet<FactId> = (0..30_000).map(id).collect();
        let peers = [NodeId([1; 32]), NodeId([2; 32])];
        let (most, sent) = catch_up(&theirs, &peers);
        assert!(most <= FLIGHT, "{most}");
        assert_eq!(sent, theirs.len(), "not one from both");
    }

    #[test]
    fn what_does_not_come_is_asked_of_another_later() {
        let (one, other) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut machine = CatchUp::default();
        let lacking = Difference { wanted: vec![id(1)], ..Difference::default() };
        machine.found(one, &[], &lacking);
        assert_eq!(machine.next(Time(0)), [(one, Sync::Want(vec![id(1)]))]);
        machine.found(other, &[], &lacking);
        assert_eq!(machine.next(Time(1000)), [], "it is on its way");
        assert_eq!(machine.next(Time(5000)), [(other, Sync::Want(vec![id(1)]))]);
        machine.lost(&other);
        machine.found(one, &[], &lacking);
        assert_eq!(machine.next(Time(6000)), [(one, Sync::Want(vec![id(1)]))]);
    }

    #[test]
    fn a_peer_that_stands_still_holds_up_little() {
        let (still, other) = (NodeId([2; 32]), NodeId([1; 32]));
        let mut machine = CatchUp::default();
        let wanted = (0..100).map(id).collect();
        let descend: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        let difference = Difference { descend, ..Difference::default() };
        machine.found(still, &[], &Difference { wanted, ..difference.clone() });
        machine.found(other, &[], &difference);
        let theirs: BTreeSet<FactId> = (2000..2010).map(id).collect();
        let (mut now, mut asked) = (Time(0), Vec::new());
        while machine.open() > 0 {
            assert!(now < Time(6000), "{}", machine.open());
            for (to, sync) in machine.next(now) {
                let Sync::Ask(prefixes) = sync else { continue };
                asked.extend(prefixes.iter().map(|_| (now, to)));
                for prefix in prefixes.into_iter().filter(|_| to == other) {
                    let summary = digest::summary(&theirs, &prefix);
                    machine.found(other, &prefix, &digest::compare(&theirs, &prefix, &summary));
                }
            }
            now = now + Duration::from_millis(10);
        }
        let others = asked.iter().filter(|(_, to)| *to == other);
        assert_eq!(others.clone().count(), 256, "all that the other could tell");
        let last = others.map(|(when, _)| *when).max();
        assert!(last.is_some_and(|last| last < Time(1000)), "and not after the one: {last:?}");
        assert_eq!(asked.len() - 256, LOOKING, "the one is not asked again by itself");
    }

    #[test]
    fn a_peer_that_names_more_than_there_is_does_not_fill_memory() {
        let mut machine = CatchUp::default();
        for n in 0..1000 {
            let wanted = (0..1000).map(|m| id(n * 1000 + m)).collect();
            let descend =
                (0..100).map(|m| n.to_le_bytes().into_iter().chain([m]).collect()).collect();
            machine.found(
                NodeId([1; 32]),
                &[],
                &Difference { wanted, descend, ..Difference::default() },
            );
            _ = machine.next(Time(0));
        }
        assert!(machine.open() <= WAITING + FLIGHT + PREFIXES + LOOKING, "{}", machine.open());
    }

    /// What a node that lacks all that an honest peer holds does while another one names what nobody holds: until when
    /// all is there.
    fn catch_up_beside(liar: impl Fn(&mut CatchUp, Time)) -> Time {
        let (honest, theirs) = (NodeId([1; 32]), (0..10_000).map(id).collect::<BTreeSet<_>>());
        let (mut ours, mut machine) = (BTreeSet::new(), CatchUp::default());
        let mut now = Time(0);
        while ours.len() < theirs.len() {
            now = now + Duration::from_millis(10);
            assert!(now < Time(120_000), "{} of {}", ours.len(), theirs.len());
            let mut prefixes = Vec::new();
            if now.0.is_multiple_of(2000) {
                prefixes.push(Vec::new());
            }
            liar(&mut machine, now);
            for (to, sync) in machine.next(now) {
                match sync {
                    Sync::Want(ids) if to == honest => {
                        for id in ids.iter().filter(|id| theirs.contains(*id)) {
                            machine.came(id);
                            ours.insert(*id);
                        }
                    }
                    Sync::Ask(asked) if to == honest => prefixes.extend(asked),
                    Sync::Ask(asked) => {
                        // It answers at once, and names more below each.
                        for prefix in asked {
                            let below = |byte: u8| [&prefix[..], &[byte]].concat();
                            let descend = (0..=u8::MAX).map(below).collect();
                            let found = Difference { descend, ..Difference::default() };
                            machine.found(to, &prefix, &found);
                        }
                    }
                    _ => {}
                }
            }
            for prefix in prefixes {
                let summary = digest::summary(&theirs, &prefix);
                machine.found(honest, &prefix, &digest::compare(&ours, &prefix, &summary));
            }
        }
        now
    }

    #[test]
    fn who_names_what_nobody_holds_keeps_nobody_from_catching_up() {
        let alone = catch_up_beside(|_, _| ());
        // Ids before and behind all others, each moment others.
        let wanted = |now: Time| {
            let ids = (0..2000_u64).map(|n| {
                let mut id = [if n % 2 == 0 { 0 } else { 255 }; 32];
                id[8..16].copy_from_slice(&(now.0 * 2000 + n).to_le_bytes());
                FactId(id)
            });
            Difference { wanted: ids.collect(), ..Difference::default() }
        };
        let fakes = catch_up_beside(|machine, now| {
            machine.found(NodeId([2; 32]), &[], &wanted(now));
        });
        // Facts that there are, and that it never sends.
        let all: Vec<FactId> = (0..10_000).map(id).collect();
        let promises = catch_up_beside(|machine, now| {
            let from = usize::try_from(now.0).unwrap() * 100 % 8000;
            let wanted = all[from..from + 2000].to_vec();
            machine.found(NodeId([2; 32]), &[], &Difference { wanted, ..Difference::default() });
        });
        let endless = catch_up_beside(|machine, _| {
            let descend = vec![Vec::new()];
            machine.found(NodeId([2; 32]), &[1], &Difference { descend, ..Difference::default() });
        });
        // Facts that it makes up, and does send.
        let made_up = catch_up_beside(|machine, now| {
            machine.found(NodeId([2; 32]), &[], &wanted(now));
            let asked: Vec<FactId> = machine.asked.keys().copied().collect();
            asked.iter().for_each(|id| machine.of_no_use(id));
        });
        for beside in [fakes, promises, endless, made_up] {
            assert!(beside.0 <= 4 * alone.0 + 12_000, "{beside:?}, and alone {alone:?}");
        }
    }
}
