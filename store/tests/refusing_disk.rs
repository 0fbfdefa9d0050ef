//! A disk that is full or read-only, and a process that may open no more files: each is said
//! clearly, nothing that was acknowledged is lost, and work goes on once the trouble is over.
//!
//! Disks are file systems of 64 MiB in a file.
#![cfg(target_os = "linux")]

mod mounted;
mod noise;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use weft_protocol::ids::{BlobId, FactId};
use weft_store::{Batch, DiskError, IngestError, OpenError, ReadError, Store, WriteError};

use mounted::{Mounted, path, run};
use noise::noise;

/// The size of the disk, in bytes.
const SIZE: u64 = 64 << 20;

/// One test at a time, for as long as this is kept: a program that another one starts holds a copy of a store's
/// lock for a moment, and then the store can't be opened again at once.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remount(mounted: &Mounted, how: &str) {
    run("mount", &["-o", &format!("remount,{how}"), path(&mounted.disk())]).unwrap();
}

/// What a store was told to keep.
#[derive(Default)]
struct Kept {
    blobs: Vec<(BlobId, Vec<u8>)>,
    facts: Vec<u32>,
}

impl Kept {
    /// Adds one more blob.
    fn add(&mut self, store: &Store, length: usize) -> Result<(), IngestError> {
        let bytes = noise(self.blobs.len() as u64 + 1, length);
        let id = store.ingest_bytes(&bytes)?.id;
        self.blobs.push((id, bytes));
        Ok(())
    }

    fn check(&self, store: &Store) {
        for (id, bytes) in &self.blobs {
            assert!(store.read_all(*id, u64::MAX).unwrap() == *bytes, "{}", id.short());
            assert_eq!(store.verify_blob(*id).unwrap(), []);
        }
        for n in &self.facts {
            assert!(store.get_fact(fact(*n)).unwrap().is_some(), "fact {n}");
        }
        assert_eq!(store.verify_catalog().unwrap(), []);
    }
}

fn fact(n: u32) -> FactId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_le_bytes());
    FactId(id)
}

#[test]
fn a_full_disk_is_said_and_work_goes_on_once_there_is_room() {
    let _alone = alone();
    let Some(mounted) = Mounted::new("ext4", SIZE) else { return };
    let store = Store::open(&mounted.disk().join("store")).unwrap();
    let mut kept = Kept::default();
    kept.add(&store, 5_000_000).unwrap();
    kept.add(&store, 300).unwrap();
    // Something that isn't the store's takes most of the room.
    let filler = mounted.disk().join("filler");
    std::fs::write(&filler, vec![1; 40 << 20]).unwrap();
    let refused = loop {
        if let Err(refused) = kept.add(&store, 3_000_000) {
            break refused;
        }
    };
    assert!(refused.is_no_space(), "{refused:?}");
    assert!(refused.to_string().contains("no space left"), "{refused}");
    kept.check(&store);
    let other = tempfile::tempdir().unwrap();
    let other = Store::open(&other.path().join("store")).unwrap();
    let wanted = other.ingest_bytes(&noise(99, 20_000_000)).unwrap().id;
    let manifest = other.manifest_bytes(wanted).unwrap().unwrap();
    let refused = store.begin_partial(wanted, &manifest).unwrap_err();
    assert!(matches!(refused, WriteError::Disk(DiskError::NoSpace { .. })), "{refused:?}");
    // To the last block: the catalog can't grow any more.
    let rest = mounted.disk().join("rest");
    let _ = std::fs::write(&rest, vec![2; SIZE as usize]);
    let refused = (0_u32..).find_map(|n| match store.put_facts(&[(fact(n), &[3; 60_000][..])]) {
        Ok(()) => {
            kept.facts.push(n);
            None
        }
        Err(refused) => Some(refused),
    });
    let refused = refused.unwrap();
    assert!(refused.is_no_space(), "{refused:?}");
    kept.check(&store);
    // It is opened as it is, or says why not; what it has can be given away to make room.
    drop(store);
    let opened = Store::open(&mounted.disk().join("store"));
    if let Err(refused) = &opened {
        assert!(refused.is_no_space(), "{refused:?}");
    }
    drop(opened);
    std::fs::remove_file(&rest).unwrap();
    let store = Store::open(&mounted.disk().join("store")).unwrap();
    kept.check(&store);
    std::fs::remove_file(&filler).unwrap();
    kept.add(&store, 3_000_000).unwrap();
    store.begin_partial(wanted, &manifest).unwrap();
    store.drop_partial(wanted).unwrap();
    store.put_facts(&[(fact(u32::MAX), b"last")]).unwrap();
    kept.facts.push(u32::MAX);
    kept.check(&store);
    println!("{} blobs and {} facts were kept on a full disk", kept.blobs.len(), kept.facts.len());
}

#[test]
fn a_full_disk_is_emptied_by_collecting() {
    let _alone = alone();
    let Some(mounted) = Mounted::new("ext4", SIZE) else { return };
    let store = Store::open(&mounted.disk().join("store")).unwrap();
    let mut kept = Kept::default();
    kept.add(&store, 2_000_000).unwrap();
    store.pin(kept.blobs[0].0, "user").unwrap();
    let mut loose = Kept::default();
    for n in 0_u64.. {
        let bytes = noise(1000 + n, 1_000_000);
        match store.ingest_bytes(&bytes) {
            Ok(added) => loose.blobs.push((added.id, bytes)),
            Err(refused) => {
                assert!(refused.is_no_space(), "{refused:?}");
                break;
            }
        }
    }
    let rest = mounted.disk().join("rest");
    let _ = std::fs::write(&rest, vec![2; SIZE as usize]);
    kept.check(&store);
    loose.check(&store);
    let plan = store.collect(Duration::ZERO, false).unwrap();
    assert_eq!(plan.blobs.len(), loose.blobs.len());
    kept.check(&store);
    kept.add(&store, 3_000_000).unwrap();
    kept.check(&store);
}

/// Takes every block of a disk that is free.
fn fill(mounted: &Mounted) {
    let rest = mounted.disk().join("rest");
    let mut rest = std::fs::File::options().create(true).append(true).open(rest).unwrap();
    for size in [1 << 20, 4096, 1] {
        let piece = vec![2; size];
        while std::io::Write::write_all(&mut rest, &piece).is_ok() {}
    }
    rest.sync_all().unwrap();
}

#[test]
fn on_a_full_disk_all_that_makes_room_works() {
    let _alone = alone();
    let Some(mounted) = Mounted::new("ext4", SIZE) else { return };
    let folder = mounted.disk().join("store");
    // So young a catalog has no room in itself.
    let store = Store::open(&folder).unwrap();
    let mut kept = Kept::default();
    for _ in 0..3 {
        kept.add(&store, 12_000_000).unwrap();
        store.pin(kept.blobs.last().unwrap().0, "user").unwrap();
    }
    store.put_facts(&[(fact(1), b"a job")]).unwrap();
    let half = noise(50, 300_000);
    let peer = tempfile::tempdir().unwrap();
    let peer = Store::open(&peer.path().join("store")).unwrap();
    let partial = peer.ingest_bytes(&half).unwrap().id;
    store.begin_partial(partial, &peer.manifest_bytes(partial).unwrap().unwrap()).unwrap();
    store.write_chunk(partial, 0, &peer.read_chunk(partial, 0).unwrap()).unwrap();
    fill(&mounted);
    let refused = store.put_facts(&[(fact(2), &[3; 3_000_000][..])]).unwrap_err();
    assert!(refused.is_no_space(), "{refused:?}");
    // A job goes, while somebody takes whatever comes free.
    let removal = Batch::new().put_fact(fact(3), *b"it is removed").making_room();
    store.commit(&removal).unwrap();
    fill(&mounted);
    store.commit(&Batch::new().unpin_reason("job/1").remove_fact(fact(1))).unwrap();
    for (id, _) in &kept.blobs[1..] {
        fill(&mounted);
        store.unpin(*id, "user").unwrap();
    }
    fill(&mounted);
    drop(store);
    fill(&mounted);
    let store = Store::open(&folder).unwrap();
    assert!(store.get_fact(fact(1)).unwrap().is_none());
    kept.facts.push(3);
    kept.check(&store);
    fill(&mounted);
    let gone = store.collect(Duration::ZERO, false).unwrap().blobs;
    assert_eq!(gone.iter().filter(|doomed| doomed.whole).count(), 2);
    kept.blobs.truncate(1);
    kept.check(&store);
    assert_eq!(store.list_partial().unwrap(), []);
    // What is kept is there again for the next time.
    let reserve = std::fs::metadata(folder.join("reserve")).unwrap();
    assert!(reserve.len() >= 1 << 20, "{}", reserve.len());
    fill(&mounted);
    store.unpin(kept.blobs[0].0, "user").unwrap();
    fill(&mounted);
    assert_eq!(store.collect_oldest(1).unwrap().blobs.len(), 1);
    kept.blobs.clear();
    kept.add(&store, 3_000_000).unwrap();
    kept.check(&store);
}

#[test]
fn a_full_disk_is_emptied_of_more_than_there_is_room_to_forget_at_once() {
    let _alone = alone();
    let Some(mounted) = Mounted::new("ext4", SIZE) else { return };
    let store = Store::open(&mounted.disk().join("store")).unwrap();
    // Some MB of the catalog are written anew to forget them.
    let mut kept = Kept::default();
    kept.add(&store, 3_000_000).unwrap();
    store.pin(kept.blobs[0].0, "user").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..6000).map(|n| folder.path().join(n.to_string())).collect();
    for (n, path) in (1000..).zip(&paths) {
        std::fs::write(path, noise(n, 700)).unwrap();
    }
    store.ingest_many(&paths, &mut |_, _| {}).unwrap();
    fill(&mounted);
    let gone = store.collect(Duration::ZERO, false).unwrap().blobs;
    assert_eq!(gone.len(), paths.len());
    kept.check(&store);
    assert_eq!(store.stats().unwrap().blobs, 1);
}

#[test]
fn a_read_only_disk_is_said_and_nothing_is_lost() {
    let _alone = alone();
    let Some(mounted) = Mounted::new("ext4", SIZE) else { return };
    let mut kept = Kept::default();
    let store = Store::open(&mounted.disk().join("store")).unwrap();
    kept.add(&store, 2_000_000).unwrap();
    kept.add(&store, 2_000).unwrap();
    drop(store);
    remount(&mounted, "ro");
    let refused = Store::open(&mounted.disk().join("store")).unwrap_err();
    assert!(matches!(refused, OpenError::Disk(DiskError::ReadOnly { .. })), "{refused:?}");
    assert!(refused.to_string().contains("read-only"), "{refused}");
    remount(&mounted, "rw");
    let store = Store::open(&mounted.disk().join("store")).unwrap();
    kept.check(&store);
    kept.add(&store, 2_000_000).unwrap();
    kept.check(&store);
}

/// Names the folder in which a child process of this test works.
const CHILD: &str = "WEFT_TEST_FEW_HANDLES";

#[test]
fn without_file_handles_it_is_said_and_work_goes_on_once_there_are_some() {
    let Some(dir) = std::env::var_os(CHILD) else {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        // The limit is the whole process's: no other test shall meet it.
        let name = "without_file_handles_it_is_said_and_work_goes_on_once_there_are_some";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        let said = said + &String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        print!("{said}");
        return;
    };
    let dir = PathBuf::from(dir);
    let file = dir.join("file");
    std::fs::write(&file, noise(77, 1_000_000)).unwrap();
    let peer = Store::open(&dir.join("peer")).unwrap();
    let wanted = peer.ingest_bytes(&noise(99, 2_000_000)).unwrap().id;
    let manifest = peer.manifest_bytes(wanted).unwrap().unwrap();
    let mut store = Store::open(&dir.join("store")).unwrap();
    let mut kept = Kept::default();
    for length in [2_000_000, 500, 400_000] {
        kept.add(&store, length).unwrap();
    }
    let before = getrlimit(Resource::Nofile);
    // One number after the other, from none on: each is missed at another place.
    let mut refusals = 0;
    for spare in 0..8 {
        drop(store);
        store = Store::open(&dir.join("store")).unwrap();
        let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1;
        setrlimit(Resource::Nofile, Rlimit { current: Some(used + spare), ..before }).unwrap();
        let attempts: [Result<(), String>; 5] = [
            store.ingest_file(&file, &mut |_| {}).map(|_| ()).map_err(|error| error.to_string()),
            kept.add(&store, 600_000).map_err(|error| error.to_string()),
            store.begin_partial(wanted, &manifest).map(|_| ()).map_err(|error| error.to_string()),
            store
                .verify_blob(kept.blobs[0].0)
                .map(|bad| assert_eq!(bad, []))
                .map_err(|e| e.to_string()),
            match Store::open(&dir.join("another")) {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
        ];
        // The catalog is open already.
        store.put_facts(&[(fact(spare as u32), b"kept")]).unwrap();
        kept.facts.push(spare as u32);
        setrlimit(Resource::Nofile, before).unwrap();
        for refused in attempts.into_iter().filter_map(Result::err) {
            refusals += 1;
            assert!(refused.to_lowercase().contains("too many"), "{refused}");
        }
        kept.check(&store);
        let read = store.read_all(BlobId([9; 32]), 1);
        assert!(matches!(read, Err(ReadError::Unknown { .. })), "{read:?}");
    }
    assert!(refusals > 0, "handles were never missing");
    kept.add(&store, 700_000).unwrap();
    store.begin_partial(wanted, &manifest).unwrap();
    drop(store);
    kept.check(&Store::open(&dir.join("store")).unwrap());
    println!("{refusals} times no file could be opened, and nothing was lost");
}
