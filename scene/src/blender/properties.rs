//! The custom properties of a scene and its view layers, in which Cycles keeps its settings.

use std::collections::HashMap;

use super::record::Record;

/// The most that are kept of one scene.
const MAX_PROPERTIES: usize = 100_000;
/// The most view layers whose properties are looked for.
const MAX_LAYERS: usize = 256;
/// The first version in which the scene, and not each view layer, says whether it is denoised
/// (versioning_cycles.c: 2.90, while it was made).
const DENOISED_BY_SCENE: u32 = 290;
/// IDP_GROUP, IDP_FLOAT and IDP_DOUBLE in DNA_ID.h.
const GROUP: i64 = 6;
const FLOAT: i64 = 2;
const DOUBLE: i64 = 8;

/// A custom property.
struct Property {
    name: Vec<u8>,
    kind: i64,
    next: u64,
    first: u64,
    /// The bits of its value.
    value: u64,
}

/// Those of one scene.
#[derive(Default)]
pub(super) struct Properties {
    by_address: HashMap<u64, Property>,
    roots: Vec<u64>,
    /// Those of view layers.
    layers: Vec<u64>,
}

/// Cycles' settings of a scene that differ from their defaults.
pub(super) struct Cycles(HashMap<String, f64>);

impl Properties {
    /// Begins with the scene that they belong to.
    pub(super) fn of_scene(scene: &Record<'_>) -> Self {
        let roots = ["id.properties", "id.system_properties"];
        let roots = roots.iter().filter_map(|root| scene.pointer(root)).collect();
        Self { roots, ..Self::default() }
    }

    /// Adds those of a `ViewLayer`, which was a `SceneRenderLayer` until 2.79.
    pub(super) fn add_layer(&mut self, layer: &Record<'_>) {
        let root = ["id_properties", "prop"].iter().find_map(|root| layer.pointer(root));
        if self.layers.len() < MAX_LAYERS {
            self.layers.extend(root.filter(|root| *root != 0));
        }
    }

    /// Takes an `IDProperty` that lay at `address`.
    pub(super) fn take(&mut self, record: &Record<'_>, address: u64) {
        if self.by_address.len() >= MAX_PROPERTIES {
            return;
        }
        let half = |path| record.int(path).unwrap_or(0) as u32;
        let value = u64::from(half("data.val")) | u64::from(half("data.val2")) << 32;
        let property = Property {
            name: record.text("name").unwrap_or_default().to_vec(),
            kind: record.int("type").unwrap_or(0),
            next: record.pointer("next").unwrap_or(0),
            first: record.pointer("data.group.first").unwrap_or(0),
            value,
        };
        self.by_address.insert(address, property);
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }

    /// The properties in a group, of which each is looked at once.
    fn children(&self, group: &Property) -> Vec<&Property> {
        let (mut children, mut at) = (Vec::new(), group.first);
        while let Some(child) = self.by_address.get(&at)
            && children.len() < self.by_address.len()
        {
            children.push(child);
            at = child.next;
        }
        children
    }

    /// Cycles' settings.
    pub(super) fn cycles(&self) -> Cycles {
        self.cycles_below(&self.roots)
    }

    /// Whether Cycles takes the noise out of pictures, in a file of a version such as 304.
    pub(super) fn denoises(&self, version: u32) -> bool {
        if version >= DENOISED_BY_SCENE {
            return self.cycles().is_on("use_denoising", version);
        }
        self.layers.iter().any(|layer| self.cycles_below(&[*layer]).is_on("use_denoising", version))
    }

    fn cycles_below(&self, roots: &[u64]) -> Cycles {
        let roots = roots.iter().filter_map(|root| self.by_address.get(root));
        let mut groups = roots.flat_map(|root| self.children(root));
        // The first only: in a damaged file they could be many times many.
        let cycles = groups.find(|group| group.name == b"cycles" && group.kind == GROUP);
        let values = cycles.into_iter().flat_map(|cycles| self.children(cycles)).map(|property| {
            let value = match property.kind {
                FLOAT => f64::from(f32::from_bits(property.value as u32)),
                DOUBLE => f64::from_bits(property.value),
                _ => f64::from(property.value as i32),
            };
            (String::from_utf8_lossy(&property.name).into_owned(), value)
        });
        Cycles(values.collect())
    }
}

impl Cycles {
    /// A setting, if it isn't the default.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Whether denoising or adaptive sampling, by their names, is on in a file of a version such as 304. What a
    /// file doesn't say has the default, which both changed with 3.0.
    pub(super) fn is_on(&self, name: &str, version: u32) -> bool {
        self.number(name).map_or(version >= 300, |value| value != 0.0)
    }
}
