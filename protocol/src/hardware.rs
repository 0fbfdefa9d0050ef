//! What a machine has to offer, and what a job asks of one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Bytes in a GiB, the unit in which people state memory.
pub const GIB: u64 = 1 << 30;

/// The tag of a node whose renders run in a sandbox. Nobody sets it: it says what the node found.
pub const SANDBOX: &str = "sandbox";
/// What the tags of nodes that have a shared root begin with; its name follows. Nobody sets these either.
pub const SHARED: &str = "shared:";

/// What the tags begin with that say what an engine of a node's was found to do there: its name, a dash and the
/// ability follow. Nobody sets these either.
pub const CAN: &str = "can:";

/// Whether a tag says what a node found on its machine, so that nobody sets it.
#[must_use]
pub fn is_found(tag: &str) -> bool {
    tag == SANDBOX || tag.starts_with(SHARED) || tag.starts_with(CAN)
}

/// Bytes as GiB, with at most one decimal, for people.
#[must_use]
pub fn gib(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / u128::from(GIB);
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

/// A graphics card.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gpu {
    /// The model as the driver names it.
    pub model: String,
    /// Its memory, in bytes.
    pub memory: u64,
}

/// A machine's hardware, as its node advertises it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hardware {
    /// The operating system and its version, for people.
    pub os: String,
    /// The processor architecture, such as `x86_64`.
    pub arch: String,
    /// The processor's model, for people.
    pub cpu_model: String,
    /// Logical cores.
    pub cpu_cores: u32,
    /// Physical memory, in bytes.
    pub ram: u64,
    /// The graphics cards that a driver told of.
    pub gpus: Vec<Gpu>,
}

/// What every attempt of a job needs of its machine. Zero and empty ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Memory, in bytes.
    pub ram: u64,
    /// Logical cores.
    pub cores: u32,
    /// Graphics cards.
    pub gpus: u32,
    /// A part of the model's name that each of those cards must carry; case does not matter.
    pub gpu_model: String,
    /// Tags that the node must carry.
    pub tags: BTreeSet<String>,
}

/// One thing that a job needs and a machine lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shortfall {
    /// Bytes of memory: asked, and had.
    Ram(u64, u64),
    /// Cores: asked, and had.
    Cores(u32, u32),
    /// Graphics cards (of the asked model): asked, and had.
    Gpus(u32, u32),
    /// A tag that the node lacks.
    Tag(String),
}

impl Hardware {
    /// How many cards have `model` in their name.
    #[must_use]
    pub fn gpus_of(&self, model: &str) -> u32 {
        let model = model.to_lowercase();
        let count = self.gpus.iter().filter(|gpu| gpu.model.to_lowercase().contains(&model));
        u32::try_from(count.count()).unwrap_or(u32::MAX)
    }
}

impl Needs {
    /// How many cards it takes: whoever names a model wants one at least.
    #[must_use]
    pub fn cards(&self) -> u32 {
        if self.gpu_model.is_empty() { self.gpus } else { self.gpus.max(1) }
    }

    /// What a machine with this hardware and these tags lacks; empty when it fits.
    #[must_use]
    pub fn shortfalls(&self, hardware: &Hardware, tags: &BTreeSet<String>) -> Vec<Shortfall> {
        let mut lacks = Vec::new();
        if self.ram > hardware.ram {
            lacks.push(Shortfall::Ram(self.ram, hardware.ram));
        }
        if self.cores > hardware.cpu_cores {
            lacks.push(Shortfall::Cores(self.cores, hardware.cpu_cores));
        }
        let gpus = hardware.gpus_of(&self.gpu_model);
        let asked = self.cards();
        if asked > gpus {
            lacks.push(Shortfall::Gpus(asked, gpus));
        }
        lacks.extend(self.tags.difference(tags).map(|tag| Shortfall::Tag(tag.clone())));
        lacks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_fits_or_says_what_it_lacks() {
        let machine = Hardware {
            cpu_cores: 8,
            ram: 16 * GIB,
            gpus: vec![Gpu { model: "NVIDIA GeForce RTX 4090".into(), memory: 24 * GIB }],
            ..Hardware::default()
        };
        let tags = BTreeSet::from(["fast".to_owned()]);
        assert_eq!(Needs::default().shortfalls(&machine, &tags), []);
        let needs = Needs {
            ram: 32 * GIB,
            cores: 9,
            gpus: 2,
            gpu_model: "rtx 4090".into(),
            tags: BTreeSet::from(["fast".to_owned(), "lab".to_owned()]),
        };
        assert_eq!(
            needs.shortfalls(&machine, &tags),
            [
                Shortfall::Ram(32 * GIB, 16 * GIB),
                Shortfall::Cores(9, 8),
                Shortfall::Gpus(2, 1),
                Shortfall::Tag("lab".into()),
            ]
        );
        let named = Needs { gpu_model: "A6000".into(), ..Needs::default() };
        assert_eq!(named.shortfalls(&machine, &tags), [Shortfall::Gpus(1, 0)]);
    }
}
