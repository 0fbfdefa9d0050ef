//! Catching up: which facts are asked for now, of all that peers hold and this node lacks.
//!
//! A node that was away for long may lack a million. Were all asked for at once, each would be held by a message, by
//! the queue of the disk and by what waits for the disk, and from every peer that has it. So each is asked of one
//! peer at a time, few are on their way at once, and where to look further is asked as room gets free. What doesn't
//! come is found again when digests are compared the next time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fact::digest::Difference;
use crate::ids::{FactId, NodeId};
use crate::time::Time;
use crate::wire::control::Sync;

/// How many facts are on their way at once. Those of results are some kilobytes at most.
pub const FLIGHT: usize = 512;
/// How many that are known to be lacking wait to be asked for.
const WAITING: usize = 16 * FLIGHT;
/// How many summaries are asked for at once, and how many prefixes wait.
const LOOKING: usize = 8;
const PREFIXES: usize = 4096;
/// How long something may take to come before it is asked for again.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many facts that a peer lacks are sent to it unasked. Of more it is told by a summary, at its own pace.
pub const UNASKED: usize = 64;
/// How often one peer is told so.
const INVITE: Duration = Duration::from_secs(2);

/// What a node lacks and is at.
#[derive(Clone, Debug, Default)]
pub struct CatchUp {
    /// Facts to be asked for, each of one peer that has it.
    wanted: BTreeMap<FactId, NodeId>,
    asked: BTreeMap<FactId, (NodeId, Time)>,
    /// Prefixes below which a peer holds something else.
    prefixes: BTreeSet<(NodeId, Vec<u8>)>,
    looking: BTreeMap<(NodeId, Vec<u8>), Time>,
    invited: BTreeMap<NodeId, Time>,
}

impl CatchUp {
    /// A summary of a peer's was compared.
    pub fn found(&mut self, from: NodeId, prefix: &[u8], difference: &Difference) {
        self.looking.remove(&(from, prefix.to_vec()));
        for id in &difference.wanted {
            if self.wanted.len() < WAITING && !self.asked.contains_key(id) {
                self.wanted.entry(*id).or_insert(from);
            }
        }
        for prefix in &difference.descend {
            let key = (from, prefix.clone());
            if self.prefixes.len() < PREFIXES && !self.looking.contains_key(&key) {
                self.prefixes.insert(key);
            }
        }
    }

    /// A fact is here, or nothing that this node can use.
    pub fn came(&mut self, id: &FactId) {
        self.wanted.remove(id);
        self.asked.remove(id);
    }

    /// A peer is gone.
    pub fn lost(&mut self, node: &NodeId) {
        self.wanted.retain(|_, from| from != node);
        self.asked.retain(|_, (from, _)| from != node);
        self.prefixes.retain(|(from, _)| from != node);
        self.looking.retain(|(from, _), _| from != node);
        self.invited.remove(node);
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
        self.wanted.len() + self.asked.len() + self.prefixes.len() + self.looking.len()
    }

    /// What is to be asked of whom now.
    pub fn next(&mut self, now: Time) -> Vec<(NodeId, Sync)> {
        if self.open() == 0 {
            return Vec::new();
        }
        self.asked.retain(|_, (_, since)| now.since(*since) < PATIENCE);
        self.looking.retain(|_, since| now.since(*since) < PATIENCE);
        let mut wants: BTreeMap<NodeId, Vec<FactId>> = BTreeMap::new();
        // Half of it at a time: a message for each fact that came would cost more than it gains.
        if self.asked.len() <= FLIGHT / 2 {
            while self.asked.len() < FLIGHT
                && let Some((id, from)) = self.wanted.pop_first()
            {
                self.asked.insert(id, (from, now));
                wants.entry(from).or_default().push(id);
            }
        }
        let mut asks: BTreeMap<NodeId, Vec<Vec<u8>>> = BTreeMap::new();
        while self.looking.len() < LOOKING
            && self.wanted.len() < FLIGHT
            && let Some((from, prefix)) = self.prefixes.pop_last()
        {
            // The last is the deepest of its branch, so that few branches are open at once.
            self.looking.insert((from, prefix.clone()), now);
            asks.entry(from).or_default().push(prefix);
        }
        let wants = wants.into_iter().map(|(to, ids)| (to, Sync::Want(ids)));
        wants.chain(asks.into_iter().map(|(to, prefixes)| (to, Sync::Ask(prefixes)))).collect()
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
        assert_eq!(machine.asked.len() + machine.wanted.len(), 0);
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
        assert_eq!(machine.next(Time(5000)), []);
        machine.found(other, &[], &lacking);
        assert_eq!(machine.next(Time(6000)), [(other, Sync::Want(vec![id(1)]))]);
        machine.lost(&other);
        machine.found(one, &[], &lacking);
        assert_eq!(machine.next(Time(6000)), [(one, Sync::Want(vec![id(1)]))]);
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
}
