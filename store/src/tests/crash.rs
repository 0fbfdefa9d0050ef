//! Wherever the power fails, what was acknowledged is there afterwards, nothing reads wrong, and
//! the store goes on. Where the disk is full, the same without the power failing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use weft_protocol::ids::FactId;

use super::dice::{Dice, times};
use super::fake_disk::{FakeDisk, Survives};
use super::*;
use crate::{Batch, Disk};

/// What a run was told is durable before the power failed.
#[derive(Debug, Default)]
struct Acknowledged {
    blobs: Vec<BlobId>,
    facts: u8,
    deleted: Vec<BlobId>,
}

/// Bytes for each way in which a blob comes; two share most chunks.
fn material() -> &'static [Vec<u8>; 4] {
    static MATERIAL: OnceLock<[Vec<u8>; 4]> = OnceLock::new();
    MATERIAL.get_or_init(|| {
        let large = noise(1, 1_500_000);
        let mut similar = large.clone();
        similar.splice(700_000..700_000, *b"inserted");
        [large, noise(2, 300), similar, noise(3, 200_000)]
    })
}

/// Does a bit of everything, until something fails.
fn work(
    store: &Store,
    peer: &Store,
    peers: &[BlobId],
    done: &mut Acknowledged,
) -> Result<(), Box<dyn std::error::Error>> {
    let [large, small, _, loose] = material();
    done.blobs.push(store.ingest_bytes(large)?.id);
    put_fact(store, done)?;
    done.blobs.push(store.ingest_bytes(small)?.id);
    let loose = store.ingest_bytes(loose)?.id;
    for blob in done.blobs.clone() {
        store.pin(blob, "test")?;
    }
    for &blob in peers {
        let (manifest, chunks) = for_a_peer(peer, blob);
        let have = store.begin_partial(blob, &manifest)?;
        for index in have.missing() {
            store.write_chunk(blob, index, &chunks[index as usize])?;
        }
        store.pin(blob, "test")?;
        store.finish(blob)?;
        done.blobs.push(blob);
        put_fact(store, done)?;
    }
    // It counts as here again once it is mended.
    let mended = done.blobs.remove(0);
    store.mark_damaged(mended, &[0])?;
    store.ingest_bytes(large)?;
    done.blobs.push(mended);
    store.collect(Duration::ZERO, false)?;
    done.deleted.push(loose);
    put_fact(store, done)?;
    Ok(())
}

fn put_fact(store: &Store, done: &mut Acknowledged) -> Result<(), Box<dyn std::error::Error>> {
    let n = done.facts + 1;
    store.commit(&Batch::new().put_fact(FactId([n; 32]), [n]).put_meta("term", [n]))?;
    done.facts = n;
    Ok(())
}

fn open(disk: &FakeDisk) -> Result<Store, crate::OpenError> {
    let mut store = crate::open::open_on(Arc::new(disk.clone()), None)?;
    // So that what is received passes checkpoints.
    store.checkpoint = 300_000;
    Ok(store)
}

#[test]
fn whatever_was_acknowledged_survives_a_crash_at_every_change() {
    let peer = Scratch::new();
    let peers: Vec<_> = material()[2..].iter().map(|b| peer.ingest_bytes(b).unwrap().id).collect();
    let peers = &peers[..1];
    let all = FakeDisk::default();
    work(&open(&all).unwrap(), &peer, peers, &mut Acknowledged::default()).unwrap();
    let changes = all.changes();
    println!("{changes} changes");
    // Each change is met in one way; in several if asked for.
    for way in 0..times("WEFT_CRASH_WAYS", 1) {
        for fuse in 0..changes {
            let mut dice = Dice::new((way * changes + fuse) as u64);
            let survives = Survives::any(&mut dice);
            let disk = FakeDisk::default();
            disk.burn_after(fuse);
            let mut done = Acknowledged::default();
            if let Ok(store) = open(&disk) {
                let _ = work(&store, &peer, peers, &mut done);
            }
            let disk = disk.after_crash(survives, &mut dice);
            let what = format!("{survives:?} after {fuse} changes");
            let store = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, &done, &what);
            // And all of it can be done on what is left.
            let mut again = Acknowledged::default();
            let result = work(&store, &peer, peers, &mut again);
            result.unwrap_or_else(|error| panic!("{what}, again: {error}"));
            check(&store, &again, &what);
        }
    }
}

fn check(store: &Store, done: &Acknowledged, what: &str) {
    for (blob, bytes) in done.blobs.iter().map(|blob| (blob, store.read_all(*blob, u64::MAX))) {
        let bytes = bytes.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(material().contains(&bytes), "{what}: {} has other bytes", blob.short());
    }
    for n in 1..=done.facts {
        let fact = store.get_fact(FactId([n; 32])).unwrap();
        assert_eq!(fact.as_deref(), Some(&[n][..]), "{what}: fact {n}");
    }
    let term = store.get_meta("term").unwrap().map_or(0, |term| term[0]);
    assert!(term >= done.facts, "{what}: {term} is less than {}", done.facts);
    for blob in &done.deleted {
        assert!(!store.has(*blob).unwrap(), "{what}: {} is back", blob.short());
    }
    for blob in store.list().unwrap() {
        assert_eq!(store.verify_blob(blob.id).unwrap(), [], "{what}: {}", blob.id.short());
    }
    assert_eq!(store.verify_catalog().unwrap(), [], "{what}");
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let disk = FakeDisk::default();
    let store = open(&disk).unwrap();
    let mut done = Acknowledged::default();
    put_fact(&store, &mut done).unwrap();
    let [large, small, ..] = material();
    done.blobs.push(store.ingest_bytes(large).unwrap().id);
    for room in [0, 100_000, 1_000_000] {
        disk.set_room(Some(disk.used() + room));
        let refused = store.ingest_bytes(&noise(9, 2_000_000)).unwrap_err();
        assert!(refused.is_no_space(), "{refused:?}");
        assert!(refused.to_string().contains("no space left"), "{refused}");
        let scratch = Scratch::new();
        let other = scratch.ingest_bytes(&noise(9, 2_000_000)).unwrap().id;
        let (manifest, _) = for_a_peer(&scratch, other);
        let refused = store.begin_partial(other, &manifest).unwrap_err();
        assert!(refused.is_no_space(), "{refused:?}");
        check(&store, &done, "full");
    }
    // The catalog itself can't grow: facts are refused, and taken as soon as there is room.
    disk.set_room(Some(disk.used()));
    let large_fact = Batch::new().put_fact(FactId([200; 32]), noise(1, 9_000_000));
    let refused = store.commit(&large_fact).unwrap_err();
    assert!(refused.is_no_space(), "{refused:?}");
    check(&store, &done, "full");
    disk.set_room(None);
    put_fact(&store, &mut done).unwrap();
    store.commit(&large_fact).unwrap();
    done.blobs.push(store.ingest_bytes(small).unwrap().id);
    check(&store, &done, "room again");
    assert!(disk.list("tmp").unwrap().is_empty());
}

#[test]
fn a_crash_at_any_change_while_a_full_disk_is_emptied_loses_nothing() {
    let disk = FakeDisk::default();
    disk.set_size(256 << 20);
    let store = open(&disk).unwrap();
    let [large, _, similar, loose] = material();
    let mut done = Acknowledged::default();
    done.blobs.push(store.ingest_bytes(large).unwrap().id);
    for bytes in [similar, loose] {
        done.deleted.push(store.ingest_bytes(bytes).unwrap().id);
    }
    for blob in done.blobs.iter().chain(&done.deleted) {
        store.pin(*blob, "test").unwrap();
    }
    put_fact(&store, &mut done).unwrap();
    drop(store);
    let all = Survives::ALL;
    let empty = |disk: &FakeDisk| -> Result<(), Box<dyn std::error::Error>> {
        let store = open(disk)?;
        let removal = Batch::new().put_fact(FactId([77; 32]), noise(1, 700_000)).making_room();
        store.commit(&removal)?;
        for blob in &done.deleted {
            store.unpin(*blob, "test")?;
        }
        store.collect(Duration::ZERO, false)?;
        Ok(())
    };
    // How many changes it takes.
    let trial = disk.after_crash(all, &mut Dice::new(1));
    trial.set_room(Some(trial.used()));
    empty(&trial).unwrap();
    for fuse in 0..trial.changes() {
        let mut dice = Dice::new(fuse as u64);
        let found = disk.after_crash(all, &mut dice);
        found.set_room(Some(found.used()));
        found.burn_after(fuse);
        let _ = empty(&found);
        let found = found.after_crash(Survives::any(&mut dice), &mut dice);
        empty(&found).unwrap_or_else(|error| panic!("after {fuse} changes: {error}"));
        check(&open(&found).unwrap(), &done, &format!("after {fuse} changes"));
    }
}

#[test]
fn what_a_finish_that_failed_has_moved_is_not_collected() {
    let (peer, disk) = (Scratch::new(), FakeDisk::default());
    let store = open(&disk).unwrap();
    let id = peer.ingest_bytes(&material()[3]).unwrap().id;
    let (manifest, chunks) = for_a_peer(&peer, id);
    let hold = store.hold(id);
    store.begin_partial(id, &manifest).unwrap();
    for (index, chunk) in (0..).zip(&chunks) {
        store.write_chunk(id, index, chunk).unwrap();
    }
    // The file is synced and renamed; its folder can't be synced.
    disk.hiccup_after(3);
    store.finish(id).unwrap_err();
    assert!(disk.list(&crate::names::blob_dir(&id)).unwrap().contains(&id.to_string()));
    assert_eq!(store.collect(Duration::ZERO, false).unwrap().strays, [""; 0]);
    // Nor is it once nobody is at it: it is found again by whoever goes on.
    drop(hold);
    let plan = store.collect(Duration::from_secs(3600), false).unwrap();
    assert_eq!((plan.blobs, plan.strays), (vec![], vec![]));
    store.finish(id).unwrap();
    assert!(store.read_all(id, u64::MAX).unwrap() == material()[3]);
}

#[test]
fn what_was_read_before_the_disk_was_full_is_there_for_the_next_try() {
    const SMALL: usize = 100_000;
    let disk = FakeDisk::default();
    let store = open(&disk).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Of four that are read at once the last is the one that is too large: by then at least five others are done.
    let sizes = [[SMALL; 8].as_slice(), &[5_000_000]].concat();
    let files: Vec<_> = (0..)
        .zip(sizes)
        .map(|(number, size)| {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, noise(number, size)).unwrap();
            path
        })
        .collect();
    disk.set_room(Some(disk.used() + 2_000_000));
    let refused = store.ingest_many(&files, &mut |_, _| ()).unwrap_err();
    assert!(refused.is_no_space(), "{refused:?}");
    let kept = store.list().unwrap();
    assert!(kept.len() >= 5 && kept.iter().all(|blob| blob.size == SMALL as u64), "{kept:?}");
    disk.set_room(None);
    let added = store.ingest_many(&files, &mut |_, _| ()).unwrap();
    let known = added.iter().filter(|added| added.as_ref().unwrap().already_known).count();
    assert_eq!((added.len(), known), (9, kept.len()));
}
