//! What view layers show of a scene's collections.

use std::collections::{HashMap, HashSet};

use super::record::Record;

// LayerCollection.flag: not in the view layer (LAYER_COLLECTION_EXCLUDE in DNA_layer_types.h, from 2.80 on). It can't be
// animated.
const EXCLUDED: i64 = 1 << 4;

/// A collection's place in a view layer.
struct Place {
    collection: u64,
    excluded: bool,
    /// The addresses of the first place in it, and of the next one beside it.
    first: u64,
    next: u64,
}

/// The places in the view layers of a scene, by their addresses.
#[derive(Default)]
pub(super) struct Layers(HashMap<u64, Place>);

/// The addresses of collections.
#[derive(Default)]
pub(super) struct Shown {
    /// Those that some view layer shows, or something in them.
    by_some: HashSet<u64>,
    /// All.
    all: HashSet<u64>,
}

impl Layers {
    /// Takes what a struct at `address` says of a place.
    pub(super) fn take(&mut self, record: &Record<'_>, address: u64) {
        let pointer = |field| record.pointer(field).unwrap_or(0);
        let place = Place {
            collection: pointer("collection"),
            excluded: record.int("flag").is_some_and(|flag| flag & EXCLUDED != 0),
            first: pointer("layer_collections.first"),
            next: pointer("next"),
        };
        self.0.insert(address, place);
    }

    /// How many places are held.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Which of the collections are shown, whether their view layer is rendered or not: another may be asked for.
    pub(super) fn finish(&self, shown: &mut Shown) {
        let mut outer: HashMap<u64, u64> = HashMap::new();
        for (address, place) in &self.0 {
            let mut at = place.first;
            // A place is in one other, so that a chain that leads back ends.
            while let Some(inner) = self.0.get(&at).filter(|_| !outer.contains_key(&at)) {
                outer.insert(at, *address);
                at = inner.next;
            }
        }
        let mut lit = HashSet::new();
        for address in self.0.iter().filter(|(_, place)| !place.excluded).map(|(at, _)| at) {
            let mut at = Some(*address);
            while let Some(place) = at.filter(|place| lit.insert(*place)) {
                at = outer.get(&place).copied();
            }
        }
        shown.all.extend(self.0.values().map(|place| place.collection));
        let lit = lit.iter().filter_map(|address| self.0.get(address));
        shown.by_some.extend(lit.map(|place| place.collection));
    }
}

impl Shown {
    /// The collections that every view layer leaves out, with all that is in them.
    pub(super) fn left_out(&self) -> impl Iterator<Item = &u64> {
        self.all.difference(&self.by_some)
    }
}
