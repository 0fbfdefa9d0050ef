//! What an attempt takes of its machine: all of it, or a share.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::hardware::{Hardware, Needs};

/// A part of a machine: what is claimed of it, or what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Portion {
    /// Logical cores.
    pub cores: u32,
    /// Memory, in bytes.
    pub ram: u64,
    /// Graphics cards, by their place in what the node tells of itself.
    pub gpus: BTreeSet<u32>,
}

impl Portion {
    /// All of a machine.
    #[must_use]
    pub fn all(hardware: &Hardware) -> Self {
        let gpus = (0..).take(hardware.gpus.len()).collect();
        Self { cores: hardware.cpu_cores, ram: hardware.ram, gpus }
    }

    /// Whether another claim is within this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.cores >= other.cores && self.ram >= other.ram && self.gpus.is_superset(&other.gpus)
    }

    /// What is left of this without another claim; of what that has too much there is nothing.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            cores: self.cores.saturating_sub(other.cores),
            ram: self.ram.saturating_sub(other.ram),
            gpus: self.gpus.difference(&other.gpus).copied().collect(),
        }
    }

    /// How large a part of a machine it is, in thousandths: the largest of its parts, and at least one.
    #[must_use]
    pub fn thousandths(&self, hardware: &Hardware) -> u64 {
        let part = |some: u64, all: u64| match all {
            0 => 0,
            _ => u128::from(some) * 1000 / u128::from(all),
        };
        let gpus = part(self.gpus.len() as u64, hardware.gpus.len() as u64);
        let cores = part(self.cores.into(), hardware.cpu_cores.into());
        let most = cores.max(part(self.ram, hardware.ram)).max(gpus);
        u64::try_from(most).unwrap_or(u64::MAX).clamp(1, 1000)
    }
}

/// What every attempt of a job takes of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// All of it.
    Node,
    /// A share.
    Share(Ask),
}

/// A share that is asked for, before it is known which cards it will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Logical cores, at least one.
    pub cores: u32,
    /// Memory, in bytes.
    pub ram: u64,
    /// How many graphics cards.
    pub gpus: u32,
    /// The cards that will do.
    of: BTreeSet<u32>,
}

/// What is missing to a share: cores, bytes of memory, and cards.
pub type Missing = (u32, u64, u32);

impl Ask {
    /// The share of a machine that attempts with these needs ask for: what they need, and at least a core.
    /// Where they name no memory it is as large a part as that of the cores; and at least as much as others
    /// of their job were `seen` to need, as far as the machine has that.
    #[must_use]
    pub fn new(needs: &Needs, hardware: &Hardware, seen: u64) -> Self {
        let cores = needs.cores.max(1);
        let part = u128::from(hardware.ram) * u128::from(cores);
        let part = part.checked_div(u128::from(hardware.cpu_cores)).unwrap_or(0);
        let ram = match needs.ram {
            0 => u64::try_from(part).unwrap_or(u64::MAX).min(hardware.ram),
            ram => ram,
        };
        let model = needs.gpu_model.to_lowercase();
        let cards = (0..).zip(&hardware.gpus);
        let of = cards.filter(|(_, gpu)| gpu.model.to_lowercase().contains(&model));
        Self {
            cores,
            ram: ram.max(seen.min(hardware.ram)),
            gpus: needs.cards(),
            of: of.map(|(index, _)| index).collect(),
        }
    }

    /// This share of what is left: of the cards that will do the first ones.
    ///
    /// # Errors
    /// What is missing to it.
    pub fn of(&self, left: &Portion) -> Result<Portion, Missing> {
        let gpus = self.cards(left);
        let lacking = self.gpus.saturating_sub(u32::try_from(gpus.len()).unwrap_or(u32::MAX));
        let cores = self.cores.saturating_sub(left.cores);
        match (cores, self.ram.saturating_sub(left.ram), lacking) {
            (0, 0, 0) => Ok(Portion { cores: self.cores, ram: self.ram, gpus }),
            missing => Err(missing),
        }
    }

    /// As much of this share as there is.
    #[must_use]
    pub fn what_there_is(&self, left: &Portion) -> Portion {
        Portion {
            cores: self.cores.min(left.cores),
            ram: self.ram.min(left.ram),
            gpus: self.cards(left),
        }
    }

    fn cards(&self, left: &Portion) -> BTreeSet<u32> {
        left.gpus.intersection(&self.of).take(self.gpus as usize).copied().collect()
    }
}

impl Demand {
    /// What is missing to it, where so much is left of a machine; nothing where it fits.
    #[must_use]
    pub fn missing(&self, hardware: &Hardware, left: &Portion) -> Missing {
        match self {
            Self::Share(ask) => ask.of(left).err().unwrap_or_default(),
            Self::Node => {
                let used = Portion::all(hardware).without(left);
                (used.cores, used.ram, u32::try_from(used.gpus.len()).unwrap_or(u32::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::{GIB, Gpu};

    fn machine() -> Hardware {
        let card = |model: &str| Gpu { model: model.into(), memory: 24 * GIB };
        Hardware {
            cpu_cores: 16,
            ram: 64 * GIB,
            gpus: vec![card("RTX 4090"), card("A6000"), card("RTX 4090")],
            ..Hardware::default()
        }
    }

    #[test]
    fn what_is_not_asked_for_is_as_large_a_part_as_the_cores() {
        let ask = |cores, ram, seen| {
            let needs = Needs { cores, ram: ram * GIB, ..Needs::default() };
            let Ask { cores, ram, .. } = Ask::new(&needs, &machine(), seen * GIB);
            (cores, ram / GIB)
        };
        assert_eq!(ask(4, 0, 0), (4, 16));
        assert_eq!(ask(0, 0, 0), (1, 4), "everything takes a core");
        assert_eq!(ask(4, 2, 0), (4, 2));
        assert_eq!(ask(4, 2, 10), (4, 10), "others were seen to need more");
        assert_eq!(ask(4, 2, 100), (4, 64), "all of it may just do");
    }

    #[test]
    fn of_the_cards_that_will_do_the_first_free_ones_are_taken() {
        let needs = Needs { gpus: 1, gpu_model: "rtx".into(), ram: GIB, ..Needs::default() };
        let ask = Ask::new(&needs, &machine(), 0);
        let mut left = Portion::all(&machine());
        let first = ask.of(&left).unwrap();
        assert_eq!(first.gpus, [0].into());
        left = left.without(&first);
        let second = ask.of(&left).unwrap();
        assert_eq!(second.gpus, [2].into(), "card 1 is of another model");
        left = left.without(&second);
        assert_eq!(ask.of(&left), Err((0, 0, 1)));
        assert_eq!((left.cores, left.ram, left.gpus), (14, 62 * GIB, [1].into()));
    }

    #[test]
    fn a_claim_is_as_large_as_its_largest_part() {
        let claim = |cores, ram: u64, gpus: &[u32]| Portion {
            cores,
            ram: ram * GIB,
            gpus: gpus.iter().copied().collect(),
        };
        let part = |claim: Portion| claim.thousandths(&machine());
        assert_eq!(part(claim(4, 8, &[])), 250);
        assert_eq!(part(claim(1, 32, &[])), 500);
        assert_eq!(part(claim(1, 1, &[2])), 333);
        assert_eq!(part(Portion::all(&machine())), 1000);
        assert_eq!(part(Portion::default()), 1, "whoever works counts");
        assert_eq!(Portion::default().thousandths(&Hardware::default()), 1);
    }

    #[test]
    fn a_whole_node_lacks_what_others_have_of_it() {
        let left = Portion { cores: 4, ram: 60 * GIB, gpus: [1, 2].into() };
        assert_eq!(Demand::Node.missing(&machine(), &left), (12, 4 * GIB, 1));
        let all = Portion::all(&machine());
        assert_eq!(Demand::Node.missing(&machine(), &all), (0, 0, 0));
        assert!(all.covers(&left) && !left.covers(&all));
        assert!(!left.covers(&Portion { gpus: [0].into(), ..Portion::default() }));
    }
}
