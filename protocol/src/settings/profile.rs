//! Profiles: common needs, by a name, with what an hour of a machine that meets them costs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::hardware::{GIB, Needs};

/// A common need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Memory, in bytes.
    pub ram: u64,
    /// Logical cores.
    pub cores: u32,
    /// Graphics cards.
    pub gpus: u32,
    /// A part of the model's name that each of those cards must carry; case does not matter.
    pub gpu_model: String,
    /// What an hour of a machine that meets it costs, in thousandths, where nothing else is set.
    pub price: u32,
}

impl Profile {
    /// What a job that asks for it needs of a machine.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs {
            ram: self.ram,
            cores: self.cores,
            gpus: self.gpus,
            gpu_model: self.gpu_model.clone(),
            tags: BTreeSet::new(),
        }
    }
}

/// The profiles that a studio begins with.
#[must_use]
pub fn shipped() -> BTreeMap<String, Profile> {
    let profile = |ram: u64, cores, gpus, model: &str, price| Profile {
        ram: ram * GIB,
        cores,
        gpus,
        gpu_model: model.to_owned(),
        price,
    };
    BTreeMap::from([
        ("basic".to_owned(), profile(16, 8, 0, "", 500)),
        ("standard".to_owned(), profile(32, 16, 0, "", 1000)),
        ("high_performance".to_owned(), profile(64, 24, 2, "RTX 4090", 2500)),
    ])
}
