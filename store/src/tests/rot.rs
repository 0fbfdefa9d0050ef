//! Bit rot: whatever single bit the disk flips in what is live, in a blob's file or in the
//! catalog's pages, it is found, none of it is believed, and it is healed as far as the bytes that
//! are here and a peer's reach. What isn't is named.
//!
//! Ten thousand bits instead of some hundred:
//! `WEFT_FLIPS=10000 cargo test --release -p weft-store rot -- --nocapture`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use weft_protocol::ids::FactId;

use super::dice::{Dice, times};
use super::fake_disk::{FakeDisk, Survives};
use super::*;
use crate::error::CollectError;
use crate::verify::CatalogDamage;
use crate::{Batch, Mended, ReadError, names};

/// How many bits are flipped, half of them in each test, unless `WEFT_FLIPS` says otherwise.
const FLIPS: usize = 300;
const CATALOG: &str = "catalog.redb";
const FACTS: u8 = 200;

/// A blob's bytes, manifest and chunks.
type Blob = (Vec<u8>, Vec<u8>, Vec<Vec<u8>>);

struct Sample {
    disk: FakeDisk,
    blobs: BTreeMap<BlobId, Blob>,
    /// The places of the live bytes in the catalog's pages, while the store is closed, and while it
    /// is open: opening it writes.
    closed: Vec<usize>,
    open: Vec<usize>,
}

/// The places of the live bytes in the catalog's pages: those that a check of it reads.
fn live(disk: &FakeDisk) -> Vec<usize> {
    let reads = disk.read_by(CATALOG, || {
        assert!(crate::salvage::is_intact(disk, CATALOG).unwrap());
    });
    let bytes = disk.bytes(CATALOG);
    let mut places = std::collections::BTreeSet::new();
    for read in reads {
        if read.start > 0
            && let Some(used) = used(&bytes[read.clone()])
        {
            places.extend(read.start..read.start + used);
        }
    }
    assert!(places.len() > 200_000, "{}", places.len());
    places.into_iter().collect()
}

fn open(disk: &FakeDisk) -> Store {
    crate::open::open_on(Arc::new(disk.clone()), None).unwrap_or_else(|error| panic!("{error}"))
}

fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let disk = FakeDisk::default();
        let store = open(&disk);
        let mut blobs = BTreeMap::new();
        for n in 0..80 {
            let length = if n % 8 == 0 { 20_000 + n as usize * 9_000 } else { n as usize * 40 };
            let bytes = noise(n, length);
            let id = store.ingest_bytes(&bytes).unwrap().id;
            store.pin(id, &format!("job/{n}")).unwrap();
            let (manifest, chunks) = for_a_peer(&store, id);
            blobs.insert(id, (bytes, manifest, chunks));
        }
        let facts = (0..FACTS).fold(Batch::new(), |batch, n| batch.put_fact(fact(n), vec![n; 300]));
        store.commit(&facts.put_meta("term", [77])).unwrap();
        drop(store);
        let closed = live(&disk);
        let other = disk.after_crash(Survives::ALL, &mut Dice::new(0));
        let store = open(&other);
        let opened = live(&other);
        drop(store);
        Sample { disk, blobs, closed, open: opened }
    })
}

/// How long the database's header is: what is general, and two commits, each with what it stands
/// on and a checksum.
const HEADER: usize = 320;

/// How much of a page of a tree with keys and values of any length is used, as redb's design.md
/// describes them; `None` for other pages. The rest is whatever was there before.
fn used(page: &[u8]) -> Option<usize> {
    let number = |at: usize| {
        let bytes = page.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let count = usize::from(u16::from_le_bytes([page[2], page[3]]));
    // Where the ends of the keys (and of the values after them) stand.
    let (ends, ends_count) = match page[0] {
        1 => (4, 2 * count),
        2 => (8 + 24 * (count + 1), count),
        _ => return None,
    };
    let mut last = ends + 4 * ends_count;
    for n in 0..ends_count {
        let end = number(ends + 4 * n)?;
        if end < last {
            return None;
        }
        last = end;
    }
    (count > 0 && last <= page.len()).then_some(last)
}

fn fact(n: u8) -> FactId {
    FactId([n; 32])
}

/// What a store lacks. Whatever it has is right, and whatever it lacks is named.
fn lacks(store: &Store, mended: Option<&Mended>, what: &str) -> Vec<BlobId> {
    let named = |table: &str| {
        mended.is_some_and(|mended| mended.damage.iter().any(|damage| damage.table == table))
    };
    let mut lost = Vec::new();
    for (n, (id, (bytes, ..))) in sample().blobs.iter().enumerate() {
        if store.has(*id).unwrap() {
            let read = store.read_all(*id, u64::MAX);
            let read = read.unwrap_or_else(|error| panic!("{what}: blob {n}: {error}"));
            assert!(read == *bytes, "{what}: blob {n} reads wrong");
            let md5 = store.info(*id).unwrap().unwrap().md5;
            assert_eq!(store.find_md5(md5).unwrap(), [*id], "{what}: blob {n}");
        } else {
            let lost_one = mended.and_then(|mended| mended.lost.iter().find(|l| l.blob == *id));
            let needed_by = &lost_one.unwrap_or_else(|| panic!("{what}: blob {n}")).needed_by;
            assert!(!needed_by.is_empty() || named("pins"), "{what}: blob {n}");
            lost.push(*id);
        }
        let pins = store.pins(*id).unwrap();
        assert!(pins.len() == 1 || named("pins"), "{what}: pins {pins:?} {mended:?}");
    }
    for n in 0..FACTS {
        let known = store.get_fact(fact(n)).unwrap();
        assert!(known.as_ref().is_none_or(|known| *known == vec![n; 300]), "{what}: fact {n}");
        assert!(known.is_some() || named("facts"), "{what}: fact {n} {mended:?}");
    }
    let term = store.get_meta("term").unwrap();
    assert!(term.as_ref().is_none_or(|term| term == &[77]), "{what}: {term:?}");
    assert!(term.is_some() || named("meta"), "{what}: the term");
    lost
}

fn receive(store: &Store, id: BlobId) {
    let (_, manifest, chunks) = &sample().blobs[&id];
    let have = store.begin_partial(id, manifest).unwrap();
    for index in have.missing() {
        store.write_chunk(id, index, &chunks[index as usize]).unwrap();
    }
    store.finish(id).unwrap();
}

#[test]
fn rot_in_a_blob_is_found_and_healed_from_a_peer() {
    let Sample { disk, blobs, .. } = sample();
    let mut dice = Dice::new(1);
    let disk = disk.after_crash(Survives::ALL, &mut dice);
    let store = open(&disk);
    let files: Vec<_> =
        blobs.iter().filter(|(_, (bytes, ..))| bytes.len() > crate::INLINE_MAX).collect();
    let flips = times("WEFT_FLIPS", FLIPS) / 2;
    for flip in 0..flips {
        let (id, (bytes, _, chunks)) = *dice.one_of(&files);
        let (place, bit) = (dice.below(bytes.len()), dice.below(8) as u8);
        assert!(disk.flip(&names::blob(id), place, bit));
        let what = format!("flip {flip}: bit {bit} of byte {place} of {}", id.short());
        let damaged = store.verify_blob(*id).unwrap();
        assert_eq!(damaged.len(), 1, "{what}");
        for (index, chunk) in (0..).zip(chunks) {
            match store.read_chunk(*id, index) {
                Ok(read) => assert!(read == *chunk && index != damaged[0], "{what}"),
                Err(ReadError::Corrupt { .. }) => assert_eq!(index, damaged[0], "{what}"),
                Err(error) => panic!("{what}: {error}"),
            }
        }
        store.mark_damaged(*id, &damaged).unwrap();
        receive(&store, *id);
        assert!(store.read_all(*id, u64::MAX).unwrap() == *bytes, "{what}");
    }
    println!("{flips} bits flipped in blobs: all found, none served, all healed");
}

#[test]
fn rot_in_the_catalog_is_found_and_healed_or_named() {
    let Sample { disk, blobs, closed, open: opened } = sample();
    let mut dice = Dice::new(2);
    let flips = times("WEFT_FLIPS", FLIPS).div_ceil(2);
    let (mut harmless, mut free, mut rebuilt, mut lost, mut damage) = (0, 0, 0, 0, 0);
    for flip in 0..flips {
        let disk = disk.after_crash(Survives::ALL, &mut dice);
        let in_header = flip % 10 == 0;
        // Before the store is opened, or while it is.
        let before = dice.chance(128);
        let place = match (in_header, before) {
            (true, _) => dice.below(HEADER),
            (false, true) => *dice.one_of(closed),
            (false, false) => *dice.one_of(opened),
        };
        let bit = dice.below(8) as u8;
        let what = format!("flip {flip}: bit {bit} of byte {place}");
        let (store, mended) = if before {
            assert!(disk.flip(CATALOG, place, bit));
            let store = open(&disk);
            let mended = store.mended().cloned();
            (store, mended)
        } else {
            let store = open(&disk);
            assert!(disk.flip(CATALOG, place, bit));
            // Nothing may panic; what is read is right.
            for (id, (bytes, ..)) in blobs {
                if let Ok(read) = store.read_all(*id, u64::MAX) {
                    assert!(read == *bytes, "{what}");
                }
            }
            let found = store.verify_catalog();
            let sound = found.is_ok_and(|found| found.is_empty());
            let mended = (!sound).then(|| store.mend_catalog().unwrap());
            (store, mended)
        };
        // Of the header's bytes some say nothing, and those of the commit before the last.
        assert!(mended.is_some() || in_header, "{what} was not found");
        let lacking = lacks(&store, mended.as_ref(), &what);
        match &mended {
            None => harmless += 1,
            Some(Mended { damage, lost, .. }) if damage.is_empty() && lost.is_empty() => free += 1,
            Some(mended) => {
                rebuilt += mended.rebuilt.len();
                lost += lacking.len();
                damage += mended.damage.len();
            }
        }
        assert_eq!(store.verify_catalog().unwrap(), [], "{what}");
        let pins_named = mended
            .as_ref()
            .is_some_and(|mended| mended.damage.iter().any(CatalogDamage::hides_pins));
        assert_eq!(store.pins_are_in_doubt().unwrap(), pins_named, "{what}");
        for id in lacking {
            receive(&store, id);
        }
        for (id, (bytes, ..)) in blobs {
            assert!(store.read_all(*id, u64::MAX).unwrap() == *bytes, "{what}");
        }
        let left = store.list().unwrap().len();
        let store = if pins_named {
            // That lasts as long as nobody has set them.
            drop(store);
            let store = open(&disk);
            let refused = store.collect(Duration::ZERO, false);
            assert!(matches!(refused, Err(CollectError::PinsInDoubt)), "{what}: {refused:?}");
            let pins = blobs.keys().fold(Batch::new(), |pins, blob| pins.pin(*blob, "job/1"));
            store.commit(&pins).unwrap();
            store.pins_are_set().unwrap();
            store
        } else {
            store
        };
        store.collect(Duration::ZERO, false).unwrap();
        assert_eq!(store.list().unwrap().len(), left, "{what}: what is pinned stays");
        drop(store);
        // It is as good as new: nothing is mended again.
        assert!(open(&disk).mended().is_none(), "{what}");
    }
    println!(
        "{flips} bits flipped in the catalog, a tenth of them in its header, all others in live \
         bytes of its pages: all of these found; {harmless} in the header hit nothing that counts; \
         {free} cost nothing, the others {damage} records and pages of records: {rebuilt} blobs \
         were made known again from their bytes, {lost} were fetched again"
    );
}
