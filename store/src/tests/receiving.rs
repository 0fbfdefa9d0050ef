//! Blobs come chunk by chunk, in any order, over restarts; nothing wrong is ever kept.

use proptest::prelude::*;

use super::*;
use crate::{ReadError, WriteError};

#[test]
fn a_liars_manifest_or_chunk_is_refused() {
    let (from, to) = (Scratch::new(), Scratch::new());
    let id = from.ingest_bytes(&noise(1, 2_000_000)).unwrap().id;
    let (manifest, chunks) = for_a_peer(&from, id);
    let mut lie = manifest.clone();
    lie[50] ^= 1;
    let refused = to.begin_partial(id, &lie);
    assert!(matches!(refused, Err(WriteError::WrongManifest { .. })), "{refused:?}");
    assert!(matches!(to.write_chunk(id, 0, &chunks[0]), Err(WriteError::Unknown { .. })));
    assert!(matches!(to.finish(id), Err(WriteError::Unknown { .. })));
    assert!(to.begin_partial(id, &manifest).unwrap().is_empty());
    for wrong in [&chunks[1][..], &chunks[0][1..], &[]] {
        let refused = to.write_chunk(id, 0, wrong);
        assert!(matches!(refused, Err(WriteError::Mismatch { .. })), "{refused:?}");
    }
    let many = chunks.len() as u32;
    assert!(matches!(to.write_chunk(id, many, &[]), Err(WriteError::NoSuchChunk { .. })));
    assert!(to.have(id).unwrap().unwrap().is_empty());
    assert_eq!(to.write_chunk(id, 0, &chunks[0]).unwrap(), [0]);
    assert_eq!(to.write_chunk(id, 0, &chunks[0]).unwrap(), []);
    assert!(to.read_chunk(id, 0).unwrap() == chunks[0]);
    assert!(matches!(to.read_chunk(id, 1), Err(ReadError::NotHeld { .. })));
    let early = to.finish(id);
    assert!(matches!(early, Err(WriteError::Incomplete { .. })), "{early:?}");
    assert!(!to.has(id).unwrap());
    assert_eq!(to.manifest_bytes(id).unwrap().unwrap(), manifest);
    assert_eq!(to.list_partial().unwrap(), [(id, 1, many)]);
    to.drop_partial(id).unwrap();
    assert!(to.have(id).unwrap().is_none());
    assert!(std::fs::read_dir(to.folder().join("partial")).unwrap().next().is_none());
}

#[test]
fn chunks_that_other_blobs_have_are_not_fetched() {
    let (from, to) = (Scratch::new(), Scratch::new());
    let old = noise(1, 6_000_000);
    let mut new = old.clone();
    new.splice(1_000_000..1_000_000, *b"one more line\n");
    to.ingest_bytes(&old).unwrap();
    let added = from.ingest_bytes(&new).unwrap();
    let (manifest, chunks) = for_a_peer(&from, added.id);
    let have = to.begin_partial(added.id, &manifest).unwrap();
    let missing: Vec<u32> = have.missing().collect();
    assert!(missing.len() <= 3 && have.count() > 10, "{have:?}");
    for index in missing {
        to.write_chunk(added.id, index, &chunks[index as usize]).unwrap();
    }
    to.finish(added.id).unwrap();
    assert!(to.read_all(added.id, u64::MAX).unwrap() == new);
    // Taken in from a file, it is as new as the difference.
    let fresh = Scratch::new();
    fresh.ingest_bytes(&old).unwrap();
    let again = fresh.ingest_bytes(&new).unwrap();
    assert!(again.bytes_added < 3 << 20 && again.bytes_added > 0, "{again:?}");
}

#[test]
fn a_chunk_that_repeats_is_fetched_once() {
    let (from, to) = (Scratch::new(), Scratch::new());
    let zeros = vec![0; 5 << 20];
    let id = from.ingest_bytes(&zeros).unwrap();
    assert_eq!(id.bytes_added, 1 << 20);
    let (manifest, chunks) = for_a_peer(&from, id.id);
    to.begin_partial(id.id, &manifest).unwrap();
    assert_eq!(to.write_chunk(id.id, 3, &chunks[3]).unwrap(), [0, 1, 2, 3, 4]);
    to.finish(id.id).unwrap();
    assert!(to.read_all(id.id, u64::MAX).unwrap() == zeros);
}

#[test]
fn small_blobs_come_at_once_and_many_with_one_commit() {
    let (from, to) = (Scratch::new(), Scratch::new());
    let bytes: Vec<Vec<u8>> = (0..100).map(|n| noise(n, n as usize * 150)).collect();
    let ids: Vec<_> = bytes.iter().map(|bytes| from.ingest_bytes(bytes).unwrap().id).collect();
    let manifests: Vec<_> = ids.iter().map(|id| for_a_peer(&from, *id).0).collect();
    let all: Vec<_> = ids.iter().zip(&manifests).zip(&bytes).collect();
    let all: Vec<_> = all.iter().map(|((id, m), b)| (**id, &m[..], &b[..])).collect();
    to.put_small(&all).unwrap();
    for (id, bytes) in ids.iter().zip(&bytes) {
        assert!(to.read_all(*id, u64::MAX).unwrap() == *bytes);
    }
    let other = Scratch::new();
    let wrong = [(ids[5], &manifests[5][..], &bytes[6][..])];
    assert!(matches!(other.put_small(&wrong), Err(WriteError::Mismatch { .. })));
    assert_eq!(other.stats().unwrap().blobs, 0);
    // The same, through the way of larger ones; an empty blob needs no chunk at all.
    for n in [0, 9] {
        other.begin_partial(ids[n], &manifests[n]).unwrap();
        if n > 0 {
            other.write_chunk(ids[n], 0, &bytes[n]).unwrap();
            assert!(other.read_chunk(ids[n], 0).unwrap() == bytes[n]);
        }
    }
    other.finish_many(&[ids[0], ids[9]]).unwrap();
    assert!(other.read_all(ids[9], u64::MAX).unwrap() == bytes[9]);
    assert!(other.has(ids[0]).unwrap());
}

#[test]
fn a_restart_loses_no_more_than_a_checkpoint() {
    let (from, mut to) = (Scratch::new(), Scratch::new());
    let bytes = noise(3, 40 << 20);
    let id = from.ingest_bytes(&bytes).unwrap().id;
    let (manifest, chunks) = for_a_peer(&from, id);
    to.begin_partial(id, &manifest).unwrap();
    let most = chunks.len() - 1;
    for (index, chunk) in (0..).zip(&chunks[..most]) {
        to.write_chunk(id, index, chunk).unwrap();
    }
    to.reopen();
    let have = to.have(id).unwrap().unwrap();
    let kept: usize = have.held().map(|index| chunks[index as usize].len()).sum();
    let sent: usize = chunks[..most].iter().map(Vec::len).sum();
    assert!(sent - kept < 18 << 20 && kept >= 16 << 20, "{kept} of {sent}");
    assert_eq!(to.begin_partial(id, &manifest).unwrap(), have);
    for index in have.missing() {
        to.write_chunk(id, index, &chunks[index as usize]).unwrap();
    }
    to.finish(id).unwrap();
    to.reopen();
    assert!(to.read_all(id, u64::MAX).unwrap() == bytes);
    assert!(to.list_partial().unwrap().is_empty());
}

#[test]
fn a_blob_that_is_added_here_need_not_be_received() {
    let (from, to) = (Scratch::new(), Scratch::new());
    let bytes = noise(3, 900_000);
    let id = from.ingest_bytes(&bytes).unwrap().id;
    let (manifest, chunks) = for_a_peer(&from, id);
    to.begin_partial(id, &manifest).unwrap();
    assert_eq!(to.ingest_bytes(&bytes).unwrap().id, id);
    assert_eq!(to.write_chunk(id, 0, &chunks[0]).unwrap(), []);
    to.finish(id).unwrap();
    assert!(to.begin_partial(id, &manifest).unwrap().is_full());
    assert!(to.read_all(id, u64::MAX).unwrap() == bytes);
    assert!(std::fs::read_dir(to.folder().join("partial")).unwrap().next().is_none());
}

#[test]
fn what_was_received_of_a_blob_goes_when_it_is_added_after_a_restart() {
    let (from, mut to) = (Scratch::new(), Scratch::new());
    let bytes = noise(3, 40 << 20);
    let id = from.ingest_bytes(&bytes).unwrap().id;
    let (manifest, chunks) = for_a_peer(&from, id);
    to.begin_partial(id, &manifest).unwrap();
    for (index, chunk) in (0..).zip(&chunks[..chunks.len() - 1]) {
        to.write_chunk(id, index, chunk).unwrap();
    }
    to.reopen();
    assert_eq!(to.list_partial().unwrap().len(), 1, "it goes on from here");
    assert_eq!(to.ingest_bytes(&bytes).unwrap().id, id);
    let left = || std::fs::read_dir(to.folder().join("partial")).unwrap().count();
    assert_eq!((to.list_partial().unwrap(), left()), (vec![], 0));

    // What nobody knows there is collected; what is being received is not.
    let other = from.ingest_bytes(&noise(4, 900_000)).unwrap().id;
    to.begin_partial(other, &for_a_peer(&from, other).0).unwrap();
    let hold = to.hold(other);
    std::fs::write(to.folder().join("partial").join(id.to_string()), "left").unwrap();
    to.pin(id, "job/1").unwrap();
    let plan = to.collect(std::time::Duration::ZERO, false).unwrap();
    assert_eq!((plan.blobs, plan.strays), (vec![], vec![format!("partial/{id}")]));
    assert_eq!(left(), 1);
    drop(hold);
    assert!(to.read_all(id, u64::MAX).unwrap() == bytes);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn any_order_with_restarts_gives_the_bytes(
        seed in 0_u64..1000, size in 0_usize..8 << 20,
        order in any::<prop::sample::Selector>(), restarts in prop::collection::vec(0_usize..30, 0..3),
    ) {
        let (from, mut to) = (Scratch::new(), Scratch::new());
        let bytes = noise(seed, size);
        let id = from.ingest_bytes(&bytes).unwrap().id;
        let (manifest, chunks) = for_a_peer(&from, id);
        let mut have = to.begin_partial(id, &manifest).unwrap();
        let mut written = 0;
        while !have.is_full() {
            let index = order.select(have.missing().collect::<Vec<_>>());
            to.write_chunk(id, index, &chunks[index as usize]).unwrap();
            written += 1;
            if restarts.contains(&written) {
                to.reopen();
                to.begin_partial(id, &manifest).unwrap();
            }
            have = to.have(id).unwrap().unwrap();
        }
        to.finish(id).unwrap();
        prop_assert!(to.read_all(id, u64::MAX).unwrap() == bytes);
    }
}
