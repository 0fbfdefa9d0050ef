//! How much peers may have this node work out for them.
//!
//! Comparing facts costs who is asked more than who asks: for a summary of all that is held each fact is looked at, and a
//! message may ask for five hundred. A peer that catches up with everything has this node look at each fact some
//! times; one that goes on like that without end means harm, or is broken.

use std::collections::BTreeMap;

use crate::ids::NodeId;
use crate::time::Time;

/// What a peer may cost each second: as if each fact that is held were looked at twice, and so many besides.
const BESIDES: u64 = 1 << 16;
/// For so many seconds at once: a node that lacks all has each looked at eight times, within moments where there are few.
const AT_ONCE: u64 = 8;

/// What each peer has cost.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    /// Until when what a peer was told is paid for. Who is gone stays: there are as many as members.
    spent: BTreeMap<NodeId, (u64, Time)>,
}

impl Allowance {
    /// Whether a peer is told something that has this node look at `facts` of the `held`. What it isn't told it asks
    /// for again later, as if the message had been lost.
    pub fn grants(&mut self, now: Time, node: NodeId, facts: usize, held: usize) -> bool {
        let a_second = BESIDES.saturating_add(2 * held as u64);
        let (spent, since) = self.spent.entry(node).or_insert((0, now));
        let passed = u64::try_from(now.since(*since).as_millis()).unwrap_or(u64::MAX);
        *spent = spent.saturating_sub(passed.saturating_mul(a_second) / 1000);
        *since = now;
        let grants = *spent < a_second.saturating_mul(AT_ONCE);
        if grants {
            *spent = spent.saturating_add(facts as u64);
        }
        grants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_without_end_is_told_so_much_a_second() {
        let (peer, other, held) = (NodeId([1; 32]), NodeId([2; 32]), 1_000_000);
        let mut allowance = Allowance::default();
        let mut told = |node, now| {
            let all = (0..1000).filter(|_| allowance.grants(Time(now), node, held, held));
            all.count()
        };
        assert!((16..=17).contains(&told(peer, 0)));
        assert_eq!(told(peer, 0), 0);
        assert!((16..=17).contains(&told(other, 0)), "each has its own");
        assert!((4..=5).contains(&told(peer, 2000)));
        assert!((16..=17).contains(&told(peer, 100_000)), "no more than at once");
    }
}
