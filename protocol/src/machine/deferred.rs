//! Facts whose author's certificate has not come yet: held back until it does.

use std::collections::BTreeMap;

use crate::fact::Fact;
use crate::ids::{FactId, NodeId};

/// How much is held back, in bytes.
const ROOM: usize = 8 << 20;
/// What a fact takes of that at least, so that there are never more than 1024.
const LEAST: usize = 8 << 10;

/// What was held back, by who sent it.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    senders: BTreeMap<NodeId, Sender>,
}

#[derive(Debug, Default)]
struct Sender {
    facts: BTreeMap<FactId, Fact>,
    weight: usize,
}

fn weight(fact: &Fact) -> usize {
    fact.as_bytes().len().max(LEAST)
}

impl Deferred {
    /// How many facts are held back.
    pub(super) fn len(&self) -> usize {
        self.senders.values().map(|sender| sender.facts.len()).sum()
    }

    /// Holds a fact back. Where there is too much, what goes is of those who sent most: authors that no studio knows
    /// cost nothing to make up, and must not displace what others bring. What has gone is found again
    /// when digests are compared.
    pub(super) fn put(&mut self, from: NodeId, fact: Fact) {
        let sender = self.senders.entry(from).or_default();
        let more = weight(&fact);
        if sender.facts.insert(fact.id(), fact).is_none() {
            sender.weight += more;
        }
        while self.senders.values().map(|sender| sender.weight).sum::<usize>() > ROOM {
            let most = self.senders.values_mut().max_by_key(|sender| sender.weight);
            let Some((sender, (_, gone))) =
                most.and_then(|sender| sender.facts.pop_first().map(|gone| (sender, gone)))
            else {
                return;
            };
            sender.weight -= weight(&gone);
        }
    }

    /// Gives those whose authors are known by now, each with who sent it.
    pub(super) fn take(&mut self, is_known: impl Fn(&NodeId) -> bool) -> Vec<(NodeId, Vec<Fact>)> {
        let mut taken = Vec::new();
        for (from, sender) in &mut self.senders {
            let known = sender.facts.extract_if(.., |_, fact| is_known(&fact.author()));
            let known: Vec<Fact> = known.map(|(_, fact)| fact).collect();
            sender.weight -= known.iter().map(weight).sum::<usize>();
            if !known.is_empty() {
                taken.push((*from, known));
            }
        }
        self.senders.retain(|_, sender| !sender.facts.is_empty());
        taken
    }

    /// A peer is gone: others have what it sent, if it is anything.
    pub(super) fn lost(&mut self, node: &NodeId) {
        self.senders.remove(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::StudioId;
    use crate::sign::KeyPair;

    fn fact(author: u8, size: usize) -> Fact {
        let keys = KeyPair::from_secret(&[author; 32]);
        Fact::sign_raw(&StudioId([7; 32]), 900, 1, None, &vec![0; size], &keys)
    }

    #[test]
    fn who_sends_most_displaces_only_itself() {
        let (honest, liar) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut deferred = Deferred::default();
        let good = fact(1, 100);
        deferred.put(honest, good.clone());
        deferred.put(honest, good.clone());
        assert_eq!(deferred.len(), 1, "once");
        for n in 0..3000 {
            deferred.put(liar, fact(2, n));
        }
        assert!(deferred.len() <= 1024, "{}", deferred.len());
        for n in 0..20 {
            deferred.put(liar, fact(3, (1 << 20) - n));
        }
        let held = |deferred: &Deferred| -> usize {
            let all = deferred.senders.values().flat_map(|sender| sender.facts.values());
            all.map(|fact| fact.as_bytes().len()).sum()
        };
        assert!(held(&deferred) <= ROOM, "{}", held(&deferred));
        assert!(deferred.take(|author| *author == liar).is_empty());
        assert_eq!(deferred.take(|author| *author == good.author()), [(honest, vec![good])]);
        assert!(deferred.len() > 0);
        deferred.lost(&liar);
        assert_eq!(deferred.len(), 0);
    }
}
