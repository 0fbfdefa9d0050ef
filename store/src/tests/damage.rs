//! Whatever the disk flips, what is read is right or is an error.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use redb::ReadableTable;
use weft_protocol::ids::FactId;

use super::dice::Dice;
use super::fake_disk::{FakeDisk, Survives};
use super::*;
use crate::{Batch, Disk, ReadError, WriteError};

#[test]
fn a_flipped_bit_in_a_blob_is_found_not_served_and_mended() {
    let (mut here, there) = (Scratch::new(), Scratch::new());
    let bytes = noise(1, 5_000_000);
    let id = here.ingest_bytes(&bytes).unwrap().id;
    there.ingest_bytes(&bytes).unwrap();
    let (manifest, chunks) = for_a_peer(&there, id);
    assert_eq!(here.verify_blob(id).unwrap(), []);
    flip(&here.folder().join(crate::names::blob(&id)), 3_000_000);
    let bad = here.verify_blob(id).unwrap();
    assert_eq!(bad.len(), 1);
    let read = here.read_chunk(id, bad[0]);
    assert!(matches!(read, Err(ReadError::Corrupt { .. })), "{read:?}");
    assert!(here.read_all(id, u64::MAX).is_err());
    assert!(here.read_chunk(id, 0).unwrap() == chunks[0], "the rest is served");
    here.mark_damaged(id, &bad).unwrap();
    assert!(!here.has(id).unwrap());
    assert!(matches!(here.mark_damaged(id, &bad), Err(WriteError::Unknown { .. })));
    for restart in [false, true] {
        if restart {
            here.reopen();
        }
        assert_eq!(here.have(id).unwrap().unwrap().missing().collect::<Vec<_>>(), bad);
        assert!(here.read_chunk(id, 0).unwrap() == chunks[0], "the rest is served");
    }
    here.begin_partial(id, &manifest).unwrap();
    here.write_chunk(id, bad[0], &chunks[bad[0] as usize]).unwrap();
    here.finish(id).unwrap();
    assert!(here.read_all(id, u64::MAX).unwrap() == bytes);
    assert_eq!(here.verify_blob(id).unwrap(), []);
}

#[test]
fn a_lost_or_shortened_file_is_damage_and_adding_it_again_mends() {
    let scratch = Scratch::new();
    let bytes = noise(1, 2_000_000);
    let id = scratch.ingest_bytes(&bytes).unwrap().id;
    let file = scratch.folder().join(crate::names::blob(&id));
    std::fs::File::options().write(true).open(&file).unwrap().set_len(1_900_000).unwrap();
    let count = scratch.manifest(id).unwrap().unwrap().chunk_count();
    assert_eq!(scratch.verify_blob(id).unwrap(), [count - 1]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(scratch.verify_blob(id).unwrap().len() as u32, count);
    assert_eq!(scratch.ingest_bytes(&bytes).unwrap().id, id);
    assert_eq!(scratch.verify_blob(id).unwrap(), []);
    std::fs::remove_file(&file).unwrap();
    scratch.mark_damaged(id, &(0..count).collect::<Vec<_>>()).unwrap();
    assert!(scratch.have(id).unwrap().unwrap().is_empty());
    scratch.ingest_bytes(&bytes).unwrap();
    assert!(scratch.read_all(id, u64::MAX).unwrap() == bytes);
}

#[test]
fn a_spoilt_chunk_of_a_partial_blob_is_fetched_again() {
    let (from, to) = (Scratch::new(), Scratch::new());
    let id = from.ingest_bytes(&noise(1, 3_000_000)).unwrap().id;
    let (manifest, chunks) = for_a_peer(&from, id);
    to.begin_partial(id, &manifest).unwrap();
    for (index, chunk) in (0..).zip(&chunks) {
        to.write_chunk(id, index, chunk).unwrap();
    }
    flip(&to.folder().join(crate::names::partial(&id)), 10);
    assert!(matches!(to.read_chunk(id, 0), Err(ReadError::Corrupt { .. })));
    assert!(matches!(to.read_chunk(id, 0), Err(ReadError::NotHeld { .. })));
    assert!(matches!(to.finish(id), Err(WriteError::Incomplete { missing: 1, .. })));
    assert_eq!(to.write_chunk(id, 0, &chunks[0]).unwrap(), [0]);
    to.finish(id).unwrap();
}

#[test]
fn damaged_records_are_named_and_do_no_more_harm() {
    let scratch = Scratch::new();
    let bytes = b"a small one".to_vec();
    let id = scratch.ingest_bytes(&bytes).unwrap().id;
    let (manifest, _) = for_a_peer(&scratch, id);
    let facts = [FactId([1; 32]), FactId([2; 32]), FactId([3; 32])];
    scratch.put_facts(&facts.map(|id| (id, &b"fact"[..]))).unwrap();
    // Records of another key or table don't pass for this one's.
    let spoil = scratch.catalog.write(|tables| {
        for (sheet, from, to) in [
            (&mut tables.facts, facts[0].0, facts[1].0),
            (&mut tables.blobs, id.0, id.0),
            (&mut tables.inline, id.0, id.0),
        ] {
            let mut record = sheet.table.get(&from[..]).unwrap().unwrap().value().to_vec();
            if from == to {
                record[3] ^= 1;
            }
            sheet.table.insert(&to[..], &record[..]).unwrap();
        }
        Ok(())
    });
    spoil.unwrap();
    scratch.opened.forget(&id);
    let all: Vec<_> = scratch.all_facts().collect();
    assert_eq!(all.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert!(scratch.get_fact(facts[1]).is_err());
    let held = facts.into_iter().chain([FactId([4; 32])]).collect();
    assert_eq!(scratch.lacks_facts(held).unwrap(), [facts[1], FactId([4; 32])].into());
    assert!(scratch.has(id).is_err() && scratch.read_all(id, 99).is_err());
    let named = scratch.verify_catalog().unwrap();
    let named: Vec<_> = named.iter().map(|damage| damage.table).collect();
    assert_eq!(named, ["blobs", "inline", "facts"]);
    assert!(scratch.collect(std::time::Duration::ZERO, false).unwrap().blobs.is_empty());
    // It can be received again, as if it had never been here.
    scratch.begin_partial(id, &manifest).unwrap();
    scratch.write_chunk(id, 0, &bytes).unwrap();
    scratch.finish(id).unwrap();
    assert!(scratch.read_all(id, 99).unwrap() == bytes);
}

/// What a store holds before bits are flipped in its catalog.
struct Sample {
    blobs: Vec<(crate::Added, Vec<u8>)>,
    files: std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>,
    /// The places of the catalog's bytes that aren't zero: flips elsewhere would hit nothing.
    used: Vec<usize>,
}

fn sample() -> &'static Sample {
    static SAMPLE: std::sync::OnceLock<Sample> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| {
        let mut scratch = Scratch::new();
        let mut blobs = Vec::new();
        for n in 0..60 {
            let bytes = noise(n, if n % 10 == 0 { 300_000 } else { n as usize * 40 });
            blobs.push((scratch.ingest_bytes(&bytes).unwrap(), bytes));
        }
        let mut batch = Batch::new().put_meta("term", 77_u64.to_le_bytes());
        for n in 0..200_u8 {
            batch = batch.put_fact(FactId([n; 32]), vec![n; 300]);
        }
        scratch.commit(&batch).unwrap();
        scratch.close();
        let folder = scratch.folder();
        let files = files_below(&folder).into_iter();
        let files = files.map(|(path, bytes)| (path.strip_prefix(&folder).unwrap().into(), bytes));
        let files: std::collections::BTreeMap<std::path::PathBuf, _> = files.collect();
        let catalog = files[Path::new("catalog.redb")].iter().enumerate();
        let used = catalog.filter(|(_, byte)| **byte != 0).map(|(place, _)| place).collect();
        Sample { blobs, files, used }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32, failure_persistence: None, ..ProptestConfig::default()
    })]
    /// Flips bits anywhere in the catalog's file: opening may fail, reading may fail, records may
    /// be missing; what is returned is what was stored.
    #[test]
    fn flipped_bits_in_the_catalog_never_give_wrong_bytes(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..8), 1..40),
    ) {
        let Sample { blobs, files, used } = sample();
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut bytes = bytes.clone();
            if path.ends_with("catalog.redb") {
                for (place, bit) in &flips {
                    bytes[used[place.index(used.len())]] ^= 1 << bit;
                }
            }
            std::fs::write(path, bytes).unwrap();
        }
        let Ok(store) = Store::open(dir.path()) else { return Ok(()) };
        for (added, bytes) in blobs {
            if let Ok(read) = store.read_all(added.id, u64::MAX) {
                prop_assert!(read == *bytes);
            }
            for found in store.find_md5(added.md5).unwrap_or_default() {
                prop_assert_eq!(found, added.id);
            }
            if let Ok(Some(info)) = store.info(added.id) {
                prop_assert_eq!((info.size, info.md5), (added.size, added.md5));
            }
        }
        for (id, bytes) in store.all_facts().flatten() {
            prop_assert!(id.0.iter().all(|byte| *byte == id.0[0]) && bytes == vec![id.0[0]; 300]);
        }
        if let Ok(Some(term)) = store.get_meta("term") {
            prop_assert_eq!(term, 77_u64.to_le_bytes());
        }
        // What is added to it, if it takes anything, is kept as well as ever.
        if let Ok(added) = store.ingest_bytes(b"another") {
            prop_assert!(store.read_all(added.id, 99).map_or(true, |read| read == b"another"));
        }
    }
}

/// Closing a spoilt catalog has ended the process: redb's last commit panicked, and once more as that unwound.
#[test]
fn a_catalog_that_is_abandoned_is_closed_and_not_written_to() {
    const TABLE: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("some");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.redb");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TABLE).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    let before = std::fs::read(&path).unwrap();
    crate::salvage::abandon(database);
    assert!(std::fs::read(&path).unwrap() == before, "it was written to");
    // Nobody has it open any more, and it is whole.
    let database = redb::Database::open(&path).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    assert_eq!(transaction.open_table(TABLE).unwrap().get(1).unwrap().unwrap().value(), 2);
}

/// A disk that refuses a commit may have been told of it all the same: what is open must not say otherwise.
#[test]
fn a_blob_that_a_refusing_disk_was_told_to_forget_is_whole_or_it_is_not() {
    let mut forgotten = 0;
    for after in 0..40 {
        for collected in [true, false] {
            let disk = FakeDisk::default();
            let store = crate::open::open_on(Arc::new(disk.clone()), None).unwrap();
            let id = store.ingest_bytes(&noise(1, 700_000)).unwrap().id;
            _ = store.read_chunk(id, 0).unwrap();
            disk.hiccup_after(after);
            let refused = match collected {
                true => store.collect(Duration::ZERO, false).is_err(),
                false => store.mark_damaged(id, &[0]).is_err(),
            };
            let whole = store.has(id).unwrap();
            let have = store.have(id).unwrap();
            let what = format!("after {after}, collected: {collected}, refused: {refused}");
            assert_eq!(have.is_some_and(|have| have.is_full()), whole, "{what}");
            forgotten += usize::from(refused && !whole);
        }
    }
    assert!(forgotten > 0, "no refusal came after the catalog was told");
}

/// The same where a blob is made whole: what was received stays in place, and what is damaged later comes again.
#[test]
fn a_blob_that_a_refusing_disk_was_told_is_whole_stays_in_place() {
    let bytes = noise(2, 700_000);
    let there = Scratch::new();
    let id = there.ingest_bytes(&bytes).unwrap().id;
    let (manifest, chunks) = for_a_peer(&there, id);
    let mut whole = 0;
    for after in 0..60 {
        let disk = FakeDisk::default();
        let store = crate::open::open_on(Arc::new(disk.clone()), None).unwrap();
        _ = store.begin_partial(id, &manifest).unwrap();
        for (index, chunk) in (0..).zip(&chunks) {
            _ = store.write_chunk(id, index, chunk).unwrap();
        }
        disk.hiccup_after(after);
        if store.finish(id).is_ok() {
            break;
        }
        let is_damaged = after % 2 == 1 && store.has(id).unwrap();
        if is_damaged {
            assert!(disk.flip(&crate::names::blob(&id), 0, 0));
            store.mark_damaged(id, &[0]).unwrap();
            assert_eq!(store.have(id).unwrap().unwrap().missing().collect::<Vec<_>>(), [0]);
        }
        _ = store.collect(Duration::ZERO, true);
        store.close_idle(0).unwrap();
        if store.has(id).unwrap() {
            whole += 1;
            assert!(store.read_all(id, u64::MAX).unwrap() == bytes, "after {after}");
        }
        receive(&store, id, &manifest, &chunks);
        assert!(store.read_all(id, u64::MAX).unwrap() == bytes, "after {after}");
    }
    assert!(whole > 0, "no refusal came after the catalog was told");
}

/// Receives what is missing of a blob, and makes it whole.
fn receive(store: &Store, id: BlobId, manifest: &[u8], chunks: &[Vec<u8>]) {
    let have = store.begin_partial(id, manifest).unwrap();
    for index in have.missing() {
        _ = store.write_chunk(id, index, &chunks[index as usize]).unwrap();
    }
    store.finish(id).unwrap();
}

/// The same after a restart.
fn go_on(disk: &FakeDisk, id: BlobId, manifest: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    let disk = disk.after_crash(Survives::ALL, &mut Dice::new(1));
    let store = crate::open::open_on(Arc::new(disk), None).unwrap();
    receive(&store, id, manifest, chunks);
    assert_eq!(store.verify_blob(id).unwrap(), []);
    store.read_all(id, u64::MAX).unwrap()
}

/// The catalog is told first that a blob is to be received anew, then its file is moved: where that fails, what is
/// held lies in the old place, and an empty file in the new one must not pass for it.
#[test]
fn what_is_held_of_a_damaged_blob_is_found_where_its_file_could_not_be_moved() {
    let bytes = noise(3, 1_500_000);
    let there = Scratch::new();
    let id = there.ingest_bytes(&bytes).unwrap().id;
    let (manifest, chunks) = for_a_peer(&there, id);
    let mut unmoved = 0;
    for after in 0..40 {
        let disk = FakeDisk::default();
        let store = crate::open::open_on(Arc::new(disk.clone()), None).unwrap();
        store.ingest_bytes(&bytes).unwrap();
        assert!(disk.flip(&crate::names::blob(&id), 0, 0));
        disk.hiccup_after(after);
        if store.mark_damaged(id, &[0]).is_ok() {
            break;
        }
        if store.has(id).unwrap() {
            continue;
        }
        unmoved += 1;
        let have = store.begin_partial(id, &manifest).unwrap();
        assert_eq!(have.missing().collect::<Vec<_>>(), [0], "after {after}");
        assert!(go_on(&disk, id, &manifest, &chunks) == bytes, "after {after}");
        _ = store.write_chunk(id, 0, &chunks[0]).unwrap();
        store.finish(id).unwrap();
        assert!(store.read_all(id, u64::MAX).unwrap() == bytes, "after {after}");
    }
    assert!(unmoved > 0, "no refusal came after the catalog was told");
}

#[test]
fn of_a_blob_whose_file_is_lost_nothing_counts_as_held() {
    let bytes = noise(4, 1_500_000);
    let there = Scratch::new();
    let id = there.ingest_bytes(&bytes).unwrap().id;
    let (manifest, chunks) = for_a_peer(&there, id);
    // It goes before its damage is told, which was found in one chunk; or after.
    for before in [true, false] {
        let disk = FakeDisk::default();
        let store = crate::open::open_on(Arc::new(disk.clone()), None).unwrap();
        store.ingest_bytes(&bytes).unwrap();
        if before {
            disk.remove(&crate::names::blob(&id)).unwrap();
        }
        store.mark_damaged(id, &[0]).unwrap();
        if !before {
            disk.remove(&crate::names::partial(&id)).unwrap();
        }
        assert!(store.begin_partial(id, &manifest).unwrap().is_empty(), "before: {before}");
        assert!(go_on(&disk, id, &manifest, &chunks) == bytes, "before: {before}");
    }
}
