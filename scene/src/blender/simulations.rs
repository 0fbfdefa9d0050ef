//! Simulations whose frames follow from those before: found where they aren't baked, so that their frames are
//! rendered in order.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::contents::{Family, Id};
use super::group::CACHE_EXTERNAL;
use super::locate::locate;
use super::record::Record;
use super::search::{Place, Search};

// PointCache.flag: baked (PTCACHE_BAKED in DNA_pointcache_types.h).
const BAKED: i64 = 1 << 0;
// ModifierData.mode: it is there in renders (eModifierMode_Render in DNA_modifier_types.h).
const IN_RENDERS: i64 = 1 << 1;
// ParticleSystem.flag: hair that moves (PSYS_HAIR_DYNAMICS in DNA_particle_types.h).
const HAIR_MOVES: i64 = 1 << 2;
// ParticleSettings.type and .phystype (PART_* in DNA_particle_types.h). Particles of other types are those of
// a fluid; those without physics, or on keys, depend on no frame before.
const EMITTER: i64 = 0;
const HAIR: i64 = 2;
const NO_PHYSICS: i64 = 0;
const KEYED: i64 = 2;
// RigidBodyWorld.flag and RigidBodyOb.type (RBW_FLAG_MUTED, RBO_TYPE_ACTIVE in DNA_rigidbody_types.h).
const MUTED: i64 = 1 << 0;
const ACTIVE: i64 = 0;
// DynamicPaintSurface.flags and .format (MOD_DPAINT_ACTIVE, MOD_DPAINT_SURFACE_F_IMAGESEQ).
const SURFACE_ACTIVE: i64 = 1 << 0;
const SURFACE_PICTURES: i64 = 2;
// FluidDomainSettings.cache_flag (FLUID_DOMAIN_BAKED_DATA in DNA_fluid_types.h).
const FLUID_BAKED: i64 = 1 << 1;

/// The structs that tell of simulations, besides those that name files.
pub(super) const STRUCTS: &[&str] = &[
    "ClothModifierData",
    "SoftbodyModifierData",
    "SoftBody",
    "SoftBody_Shared",
    "ParticleSystemModifierData",
    "ParticleSystem",
    "RigidBodyWorld",
    "RigidBodyWorld_Shared",
    "RigidBodyOb",
    "DynamicPaintSurface",
    "NodesModifierData",
    "NodesModifierBake",
];

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cloth,
    SoftBody,
    Particles,
    Hair,
    RigidBodies,
    DynamicPaint,
    Fluid,
    Nodes,
}

impl Kind {
    const fn words(self) -> &'static str {
        match self {
            Self::Cloth => "cloth",
            Self::SoftBody => "soft body",
            Self::Particles => "particles",
            Self::Hair => "hair dynamics",
            Self::RigidBodies => "rigid bodies",
            Self::DynamicPaint => "dynamic paint",
            Self::Fluid => "fluid",
            Self::Nodes => "simulation nodes",
        }
    }
}

/// What a datablock tells of simulations.
#[derive(Debug, Default)]
pub(super) struct Simulations {
    /// By its address: whether a cache holds what it should.
    caches: HashMap<u64, bool>,
    /// Who uses which cache.
    users: Vec<(Kind, u64)>,
    /// Particle systems: their settings, their cache, whether they are hair that moves, and where they are.
    particles: Vec<(u64, u64, bool, u64)>,
    /// Particle systems that renders show.
    shown: HashSet<u64>,
    /// Whether a soft body is there in renders.
    soft_shown: bool,
    /// Whether a body moves by itself.
    pub(super) moves: bool,
    /// Settings of particles: whether they are simulated, and whether they are hair.
    settings: Option<(bool, bool)>,
    /// Node groups of modifiers that renders show.
    node_groups: Vec<u64>,
    /// Whether some of what nodes simulate is packed into the file.
    packed: bool,
    /// Whether nodes simulate here.
    zone: bool,
    /// A fluid's domain without data.
    fluid: bool,
}

impl Simulations {
    /// Takes what a struct tells that lay at `address`.
    pub(super) fn take(&mut self, record: &Record<'_>, address: u64) {
        let pointer = |field: &str| record.pointer(field).unwrap_or(0);
        let int = |field: &str| record.int(field).unwrap_or(0);
        let shown = || record.int("modifier.mode").is_none_or(|mode| mode & IN_RENDERS != 0);
        match record.name() {
            "PointCache" => {
                let _ = self.caches.insert(address, int("flag") & (BAKED | CACHE_EXTERNAL) != 0);
            }
            "ClothModifierData" if shown() => self.uses(Kind::Cloth, pointer("point_cache")),
            "SoftbodyModifierData" => self.soft_shown |= shown(),
            "SoftBody" if pointer("shared") == 0 => {
                self.uses(Kind::SoftBody, pointer("pointcache"));
            }
            "SoftBody_Shared" => self.uses(Kind::SoftBody, pointer("pointcache")),
            "ParticleSystemModifierData" if shown() => {
                let _ = self.shown.insert(pointer("psys"));
            }
            "ParticleSystem" => {
                let hair_moves = int("flag") & HAIR_MOVES != 0;
                self.particles.push((pointer("part"), pointer("pointcache"), hair_moves, address));
            }
            "ParticleSettings" => {
                let (kind, physics) = (int("type"), int("phystype"));
                let simulated = kind == EMITTER && ![NO_PHYSICS, KEYED].contains(&physics);
                self.settings = Some((simulated, kind == HAIR));
            }
            "RigidBodyWorld" if int("flag") & MUTED == 0 && pointer("shared") == 0 => {
                self.uses(Kind::RigidBodies, pointer("pointcache"));
            }
            "RigidBodyWorld_Shared" => self.uses(Kind::RigidBodies, pointer("pointcache")),
            "RigidBodyOb" => self.moves |= int("type") == ACTIVE,
            "DynamicPaintSurface"
                if int("flags") & SURFACE_ACTIVE != 0 && int("format") != SURFACE_PICTURES =>
            {
                self.uses(Kind::DynamicPaint, pointer("pointcache"));
            }
            "FluidDomainSettings" => self.fluid |= int("cache_flag") & FLUID_BAKED == 0,
            "NodesModifierData" if shown() => self.node_groups.push(pointer("node_group")),
            "NodesModifierBake" => self.packed |= pointer("packed") != 0,
            "bNode" => {
                let is_zone = record.text("idname") == Some(b"GeometryNodeSimulationOutput");
                self.zone |= is_zone;
            }
            _ => {}
        }
    }

    fn uses(&mut self, kind: Kind, cache: u64) {
        if cache != 0 {
            self.users.push((kind, cache));
        }
    }

    /// How many things are held, to bound a file that has too many.
    pub(super) fn size(&self) -> usize {
        self.caches.len()
            + self.users.len()
            + self.particles.len()
            + self.shown.len()
            + self.node_groups.len()
    }

    /// Itself, if it tells anything.
    pub(super) fn if_any(self) -> Option<Box<Self>> {
        let tells =
            self.size() > 0 || self.moves || self.settings.is_some() || self.zone || self.fluid;
        tells.then(|| Box::new(self))
    }

    /// Whether a cache doesn't hold what it should.
    fn lacks(&self, cache: u64) -> bool {
        self.caches.get(&cache).is_some_and(|baked| !baked)
    }
}

/// Simulations without which these datablocks aren't what they should be, and which aren't baked: the name of
/// the datablock and what is simulated, each once.
pub(super) fn unbaked(search: &Search, places: &[Place]) -> Vec<String> {
    let told = |place: Place| Some((search.id(place)?, search.id(place)?.simulations.as_deref()?));
    let bodies_move = places.iter().any(|place| told(*place).is_some_and(|(_, told)| told.moves));
    let (mut found, mut known) = (Vec::new(), HashSet::new());
    for &place in places {
        let Some((id, simulations)) = told(place) else { continue };
        let mut kinds: Vec<Kind> = simulations
            .users
            .iter()
            .filter(|(kind, cache)| {
                simulations.lacks(*cache)
                    && match kind {
                        Kind::RigidBodies => bodies_move,
                        Kind::SoftBody => simulations.soft_shown,
                        _ => true,
                    }
            })
            .map(|(kind, _)| *kind)
            .collect();
        for (settings, cache, hair_moves, address) in &simulations.particles {
            let settings = search.at_address(place.0, *settings).and_then(told);
            let settings = settings.and_then(|(_, settings)| settings.settings);
            let (simulated, hair) = settings.unwrap_or_default();
            if simulations.shown.contains(address) && simulations.lacks(*cache) {
                kinds.extend(simulated.then_some(Kind::Particles));
                kinds.extend((hair && *hair_moves).then_some(Kind::Hair));
            }
        }
        kinds.extend(simulations.fluid.then_some(Kind::Fluid));
        if simulations.node_groups.iter().any(|group| has_zone(search, place.0, *group))
            && !simulations.packed
            && !has_cache_folder(search, place, id)
        {
            kinds.push(Kind::Nodes);
        }
        for kind in kinds {
            let words = format!("{}: {}", id.label(), kind.words());
            if known.insert(words.clone()) {
                found.push(words);
            }
        }
    }
    found
}

/// Whether a node group simulates, or one inside it.
fn has_zone(search: &Search, file: usize, group: u64) -> bool {
    let (mut seen, mut queue) = (HashSet::new(), Vec::from_iter(search.at_address(file, group)));
    while let Some(place) = queue.pop() {
        let Some(id) = search.id(place).filter(|_| seen.insert(place)) else { continue };
        if id.simulations.as_ref().is_some_and(|simulations| simulations.zone) {
            return true;
        }
        let inner = id.needs.iter().filter_map(|other| search.origin((place.0, *other)));
        let is_tree =
            |place: &Place| search.id(*place).is_some_and(|id| id.name.starts_with(b"NT"));
        queue.extend(inner.filter(is_tree));
    }
    false
}

/// Whether there is something where nodes keep what they simulated.
fn has_cache_folder(search: &Search, place: Place, id: &Id) -> bool {
    let Some(contents) = search.all_contents().nth(place.0) else { return false };
    let holder = contents.holder_of(id);
    let folder = holder.parent().unwrap_or(Path::new("."));
    let mut folders = id.files.iter().filter(|file| file.family == Family::Folder);
    folders.any(|file| locate(folder, &file.path, search.disk()).is_dir())
}
