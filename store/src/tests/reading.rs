//! What is taken in is read back, byte for byte, and known by its hashes.

use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::{INLINE_MAX, IngestError, ReadError, hash_file, md5_hex};

#[test]
fn sizes_around_every_boundary_are_read_back() {
    let scratch = Scratch::new();
    let (min, max) = (64 << 10, 1 << 20);
    for size in [
        0,
        1,
        4096,
        INLINE_MAX - 1,
        INLINE_MAX,
        INLINE_MAX + 1,
        min - 1,
        min,
        min + 1,
        max - 1,
        max,
        max + 1,
        5_000_000,
    ] {
        let bytes = noise(size as u64, size);
        let added = scratch.ingest_bytes(&bytes).unwrap();
        assert_eq!((added.size, added.already_known), (size as u64, false));
        assert_eq!(added.bytes_added, size as u64, "{size}");
        let path = scratch.beside("file");
        std::fs::write(&path, &bytes).unwrap();
        let again = scratch.ingest_file(&path, &mut |_| {}).unwrap();
        assert_eq!((again.id, again.already_known, again.bytes_added), (added.id, true, 0));
        let hashes = hash_file(&path).unwrap();
        assert_eq!(hashes.md5, md5_hex(&added.md5));
        assert_eq!(hashes.xxh64, added.xxh64.to_string());
        assert!(scratch.read_all(added.id, size as u64).unwrap() == bytes);
        let mut read = Vec::new();
        scratch.open_blob(added.id).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert_eq!(scratch.find_md5(added.md5).unwrap(), [added.id]);
        for digits in [1, 7, 64] {
            let prefix = &added.id.to_string()[..digits];
            assert!(scratch.find_prefix(prefix).unwrap().contains(&added.id));
        }
        let info = scratch.info(added.id).unwrap().unwrap();
        assert_eq!(info.inline, size <= INLINE_MAX);
    }
    let stats = scratch.stats().unwrap();
    assert_eq!((stats.blobs, stats.inline, stats.partial), (13, 5, 0));
}

#[test]
fn what_is_not_there_is_said() {
    let scratch = Scratch::new();
    let blob = BlobId([7; 32]);
    assert!(!scratch.has(blob).unwrap());
    assert!(scratch.manifest(blob).unwrap().is_none());
    assert!(matches!(scratch.read_chunk(blob, 0), Err(ReadError::Unknown { .. })));
    assert!(matches!(scratch.open_blob(blob), Err(ReadError::Unknown { .. })));
    let id = scratch.ingest_bytes(&noise(1, 100_000)).unwrap().id;
    assert!(matches!(scratch.read_chunk(id, 9), Err(ReadError::NoSuchChunk { .. })));
    assert!(matches!(scratch.read_all(id, 99_999), Err(ReadError::TooLong { .. })));
    assert!(scratch.find_prefix("xyz").unwrap().is_empty());
    assert!(scratch.find_prefix("é").unwrap().is_empty());
}

#[test]
fn a_files_trouble_is_its_own() {
    let scratch = Scratch::new();
    let good = scratch.beside("good");
    std::fs::write(&good, noise(5, 50_000)).unwrap();
    let paths = [scratch.beside("none"), good.clone(), scratch.folder(), good];
    let mut seen = Vec::new();
    let results = scratch.ingest_many(&paths, &mut |n, bytes| seen.push((n, bytes))).unwrap();
    assert!(matches!(results[0], Err(IngestError::Source { .. })), "{:?}", results[0]);
    assert!(matches!(results[2], Err(IngestError::NotAFile { .. })), "{:?}", results[2]);
    let (one, other) = (results[1].as_ref().unwrap(), results[3].as_ref().unwrap());
    assert_eq!((one.bytes_added, one.already_known), (50_000, false));
    assert_eq!((other.bytes_added, other.already_known), (0, true));
    assert_eq!(seen, [(1, 50_000), (3, 50_000)]);
    assert!(std::fs::read_dir(scratch.folder().join("tmp")).unwrap().next().is_none());
}

#[test]
fn looks_are_doubted_when_asked() {
    let scratch = Scratch::new();
    let path = scratch.beside("file");
    std::fs::write(&path, noise(5, 5_000_000)).unwrap();
    let doubting = crate::AddOptions { rehash: true };
    let mut ids = Vec::new();
    for options in [crate::AddOptions::default(), doubting] {
        let added = scratch.ingest_with(&[&path], &options, &mut |_, _| {}).unwrap();
        ids.push(added[0].as_ref().unwrap().id);
        // Moved, it is read and not copied.
        let moved = scratch.beside("moved");
        std::fs::rename(&path, &moved).unwrap();
        let added = scratch.ingest_file(&moved, &mut |_| {}).unwrap();
        assert_eq!((added.bytes_added, added.already_known), (0, true));
        std::fs::rename(&moved, &path).unwrap();
    }
    assert_eq!(ids[0], ids[1]);
    // One that only begins like it and is as long is another blob.
    let mut other = noise(5, 5_000_000);
    other[4_999_999] ^= 1;
    std::fs::write(&path, &other).unwrap();
    let id = scratch.ingest_file(&path, &mut |_| {}).unwrap().id;
    assert!(id != ids[0] && scratch.read_all(id, u64::MAX).unwrap() == other);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.beside("growing");
    std::fs::write(&path, noise(5, 9_000_000)).unwrap();
    let grow = path.clone();
    let mut once = true;
    let result = scratch.ingest_file(&path, &mut |_| {
        if std::mem::take(&mut once) {
            let mut file = std::fs::OpenOptions::new().append(true).open(&grow).unwrap();
            std::io::Write::write_all(&mut file, b"more").unwrap();
        }
    });
    assert!(matches!(result, Err(IngestError::Changed { .. })), "{result:?}");
    assert_eq!(scratch.stats().unwrap().blobs, 0);
}

#[test]
fn an_unchanged_file_is_not_read_again_and_a_changed_one_is() {
    let scratch = Scratch::new();
    let path = scratch.beside("scene.ma");
    std::fs::write(&path, noise(1, 200_000)).unwrap();
    // However long that takes it was written a moment ago: a second change might not show, so it is not remembered
    // yet.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let now = std::time::SystemTime::now();
    file.set_modified(now + std::time::Duration::from_secs(60)).unwrap();
    let first = scratch.ingest_file(&path, &mut |_| {}).unwrap();
    assert!(remembered(&scratch).is_empty());
    file.set_modified(now).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while remembered(&scratch).is_empty() {
        assert!(std::time::Instant::now() < deadline, "it is never remembered");
        assert_eq!(scratch.ingest_file(&path, &mut |_| {}).unwrap().id, first.id);
    }
    let again = scratch.ingest_file(&path, &mut |_| {}).unwrap();
    assert_eq!((again.id, again.already_known, again.bytes_added), (first.id, true, 0));
    assert_eq!((again.md5, again.xxh64, again.size), (first.md5, first.xxh64, first.size));
    // What isn't read is kept from being collected like all that is taken in.
    let intake = scratch.intake();
    scratch.ingest_file(&path, &mut |_| {}).unwrap();
    assert_eq!(scratch.collect(std::time::Duration::ZERO, false).unwrap().blobs, []);
    drop(intake);
    // The same length, and other bytes.
    std::fs::write(&path, noise(2, 200_000)).unwrap();
    let changed = scratch.ingest_file(&path, &mut |_| {}).unwrap();
    assert!(changed.id != first.id && changed.bytes_added == 200_000);
    // It is remembered for as long as its blob is here.
    std::fs::write(&path, noise(1, 200_000)).unwrap();
    scratch.pin(first.id, "job/1").unwrap();
    scratch.collect(std::time::Duration::ZERO, false).unwrap();
    assert_eq!(remembered(&scratch).len(), 1);
    scratch.unpin(first.id, "job/1").unwrap();
    scratch.collect(std::time::Duration::ZERO, false).unwrap();
    assert!(remembered(&scratch).is_empty());
    let anew = scratch.ingest_file(&path, &mut |_| {}).unwrap();
    assert_eq!((anew.id, anew.already_known), (first.id, false));
    assert!(scratch.read_all(first.id, u64::MAX).unwrap() == noise(1, 200_000));
}

/// The paths that a store remembers.
fn remembered(store: &Store) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let read = store.catalog.read(|snapshot| {
        snapshot.sheet(crate::tables::REMEMBERED)?.scan(&[], |key, _| {
            keys.push(key.to_vec());
            Ok(())
        })
    });
    read.unwrap();
    keys
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn streams_are_read_back(seed in 0_u64..1000, size in 0_usize..4 << 20) {
        let scratch = Scratch::new();
        let bytes = noise(seed, size);
        let streamed = scratch.ingest_reader(&mut &bytes[..]).unwrap();
        prop_assert!(scratch.read_all(streamed.id, u64::MAX).unwrap() == bytes);
        prop_assert_eq!(scratch.ingest_bytes(&bytes).unwrap().id, streamed.id);
    }
}
