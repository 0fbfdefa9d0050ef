//! What the studio is set to, as a join of facts: what holds for a node, which profiles there are, how
//! many tasks of an engine may run at once, how long jobs are kept.
//!
//! Each thing that can be set is a register of its own: the highest version that counts ([`crate::ladder`])
//! wins; of equal ones what stops something before what lets it go on, then author, then hash.

mod profile;
mod register;

use std::collections::{BTreeMap, BTreeSet};

use crate::hardware::{Hardware, is_found};
use crate::ids::{FactId, NodeId};
use crate::ladder::Ladder;
use crate::time::Unix;
use crate::wire::control::Advert;

pub use profile::{Profile, shipped};
pub use register::{Change, Hours, MINUTES, NodeChange, OnReturn, Setting, SettingError};
use register::{Key, Rank};

/// A setting that counts, and who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Register {
    rank: Rank,
    setting: Setting,
}

/// Everything that was set, by what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    registers: BTreeMap<Key, Register>,
    versions: BTreeMap<Key, Ladder<Rank, Setting>>,
}

/// Who set something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who asked, for people.
    pub by: String,
    /// The node that signed it.
    pub node: NodeId,
    /// When, by that node's clock.
    pub at: Unix,
}

impl Settings {
    /// Nothing is set.
    #[must_use]
    pub const fn new() -> Self {
        Self { registers: BTreeMap::new(), versions: BTreeMap::new() }
    }

    /// Joins one setting, whose author was found to have the right to it. Says whether something is set otherwise
    /// than before.
    pub fn apply(&mut self, fact: FactId, author: NodeId, setting: &Setting) -> bool {
        let rank = (setting.version, setting.change.stops(), author, fact);
        let key = setting.change.key();
        let versions = self.versions.entry(key.clone()).or_default();
        let counting = versions.climb(setting.version, rank, setting.clone());
        let Some((rank, setting)) = counting.into_iter().max_by_key(|(rank, _)| *rank) else {
            return false;
        };
        if self.registers.get(&key).is_some_and(|known| known.rank >= rank) {
            return false;
        }
        self.registers.insert(key, Register { rank, setting });
        true
    }

    /// The version that a new setting of this kind takes: one more than the highest that counts.
    #[must_use]
    pub fn next_version(&self, change: &Change) -> u64 {
        self.versions.get(&change.key()).map_or(1, Ladder::next)
    }

    fn node(&self, node: NodeId, key: fn(NodeId) -> Key) -> Option<(&NodeChange, Said)> {
        let register = self.registers.get(&key(node))?;
        let said = Said {
            by: register.setting.by.clone(),
            node: register.rank.2,
            at: register.setting.at,
        };
        match &register.setting.change {
            Change::Node(_, change) => Some((change, said)),
            Change::Profile(..) | Change::Limit(..) | Change::Keep(_) => None,
        }
    }

    /// Who drained a node, where it is drained.
    #[must_use]
    pub fn drained(&self, node: &NodeId) -> Option<Said> {
        match self.node(*node, Key::Drained)? {
            (NodeChange::Drained(true), said) => Some(said),
            _ => None,
        }
    }

    /// Until when a node's failures were forgiven: the start of the last one, by the node's own clock.
    #[must_use]
    pub fn forgiven(&self, node: &NodeId) -> Option<Unix> {
        match self.node(*node, Key::Forgiven)? {
            (NodeChange::Forgiven(until), _) => Some(*until),
            _ => None,
        }
    }

    /// The hours that were set for a node.
    #[must_use]
    pub fn hours(&self, node: &NodeId) -> Option<Hours> {
        match self.node(*node, Key::Hours)? {
            (NodeChange::Hours(hours), _) => *hours,
            _ => None,
        }
    }

    /// What was set that a node does while somebody uses it.
    #[must_use]
    pub fn on_return(&self, node: &NodeId) -> Option<OnReturn> {
        match self.node(*node, Key::OnReturn)? {
            (NodeChange::OnReturn(what), _) => *what,
            _ => None,
        }
    }

    /// What was set that an hour of a node costs, in thousandths.
    #[must_use]
    pub fn price_set(&self, node: &NodeId) -> Option<u32> {
        match self.node(*node, Key::Price)? {
            (NodeChange::Price(price), _) => *price,
            _ => None,
        }
    }

    /// What an hour of a node costs, in thousandths: what was set, or what its own configuration says,
    /// or what the largest profile that it meets costs.
    #[must_use]
    pub fn price(&self, advert: &Advert) -> u32 {
        let set = self.price_set(&advert.node);
        let own = Some(advert.price).filter(|price| *price > 0);
        let by_profile = || self.profile_of(&advert.hardware).map(|(_, profile)| profile.price);
        set.or(own).or_else(by_profile).unwrap_or(0)
    }

    /// Puts what was set for a node into what it tells of itself. `configured` is what its own
    /// configuration says, `cores` how many its machine has.
    #[must_use]
    pub fn advertise(&self, configured: &Advert, cores: u32) -> Advert {
        let mut advert = configured.clone();
        if let Some((NodeChange::Cores(Some(set)), _)) = self.node(advert.node, Key::Cores) {
            advert.hardware.cpu_cores = (*set).clamp(1, cores.max(1));
        }
        if let Some((NodeChange::Tags(Some(tags)), _)) = self.node(advert.node, Key::Tags) {
            // What a machine can do is not set.
            let found = configured.tags.iter().filter(|tag| is_found(tag));
            advert.tags = tags.iter().filter(|tag| !is_found(tag)).chain(found).cloned().collect();
        }
        advert
    }

    /// The profiles that there are: those that weft begins with, as they were changed, and others.
    #[must_use]
    pub fn profiles(&self) -> BTreeMap<String, Profile> {
        let mut profiles = shipped();
        for register in self.registers.values() {
            if let Change::Profile(name, profile) = &register.setting.change {
                match profile {
                    Some(profile) => drop(profiles.insert(name.clone(), profile.clone())),
                    None => drop(profiles.remove(name)),
                }
            }
        }
        profiles
    }

    /// The largest profile that a machine meets: by cards, then memory, then cores.
    #[must_use]
    pub fn profile_of(&self, hardware: &Hardware) -> Option<(String, Profile)> {
        let all = self.profiles().into_iter();
        let met = all.filter(|(_, profile)| {
            profile.needs().shortfalls(hardware, &BTreeSet::new()).is_empty()
        });
        met.max_by_key(|(name, profile)| {
            (profile.gpus, profile.ram, profile.cores, profile.price, name.clone())
        })
    }

    /// For how many seconds jobs are kept once they are over; none for as long as nobody removes them.
    #[must_use]
    pub fn keep(&self) -> Option<u32> {
        match self.registers.get(&Key::Keep)?.setting.change {
            Change::Keep(seconds) => seconds,
            _ => None,
        }
    }

    /// How many tasks of an engine may run at once, for those that have a limit.
    #[must_use]
    pub fn limits(&self) -> BTreeMap<String, u32> {
        let changes = self.registers.values().map(|register| &register.setting.change);
        let limits = changes.filter_map(|change| match change {
            Change::Limit(engine, limit) => Some((engine.clone(), (*limit)?)),
            _ => None,
        });
        limits.collect()
    }
}

#[cfg(test)]
mod tests;
