//! However many write to a blob that is being received, and however slow the disk is: if the
//! process is killed, no more than a checkpoint's worth is fetched again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::tests::dice::Dice;
use crate::tests::fake_disk::{FakeDisk, Survives};
use crate::tests::{Scratch, for_a_peer, noise};
use crate::{Store, names};

/// Two of the longest chunks fit into half of it.
const CHECKPOINT: u64 = 4 << 20;
const WRITERS: usize = 4;

fn open(disk: &FakeDisk) -> Store {
    let mut store = crate::open::open_on(Arc::new(disk.clone()), None).unwrap();
    store.checkpoint = CHECKPOINT;
    store
}

#[test]
fn what_a_kill_loses_is_at_most_a_checkpoint_whoever_writes() {
    let peer = Scratch::new();
    let id = peer.ingest_bytes(&noise(1, 24 << 20)).unwrap().id;
    let (manifest, chunks) = for_a_peer(&peer, id);
    let disk = FakeDisk::default();
    let store = open(&disk);
    store.begin_partial(id, &manifest).unwrap();
    let offsets: Vec<u64> = store.manifest(id).unwrap().unwrap().offsets().collect();
    let places: Arc<BTreeMap<u64, Vec<u8>>> =
        Arc::new(offsets.into_iter().zip(chunks.iter().cloned()).collect());
    let most = Arc::new(AtomicU64::new(0));
    let (worst, killed) = (Arc::clone(&most), Arc::new(AtomicUsize::new(0)));
    let kills = Arc::clone(&killed);
    disk.watch_syncs(move |disk| {
        // Others write on while this one waits for the disk.
        std::thread::sleep(Duration::from_millis(2));
        let left = disk.after_crash(Survives::ALL, &mut Dice::new(1));
        let bytes = left.bytes(&names::partial(&id));
        let store = open(&left);
        let held = store.have(id).unwrap();
        let lost = (0_u32..).zip(places.iter()).filter(|(index, (start, chunk))| {
            let start = **start as usize;
            let written = bytes.get(start..start + chunk.len()) == Some(chunk);
            written && !held.as_ref().is_some_and(|held| held.get(*index))
        });
        let lost = lost.map(|(_, (_, chunk))| chunk.len() as u64).sum();
        worst.fetch_max(lost, Ordering::Relaxed);
        kills.fetch_add(1, Ordering::Relaxed);
    });
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, chunks) = (&store, &chunks);
            scope.spawn(move || {
                for (index, chunk) in (0..).zip(chunks).skip(writer).step_by(WRITERS) {
                    store.write_chunk(id, index, chunk).unwrap();
                }
            });
        }
    });
    store.finish(id).unwrap();
    let (most, kills) = (most.load(Ordering::Relaxed), killed.load(Ordering::Relaxed));
    println!("{kills} kills, at most {most} bytes lost; a checkpoint is {CHECKPOINT}");
    assert!(most > CHECKPOINT / 4, "nothing was at risk: {most}");
    assert!(most <= CHECKPOINT, "{most} bytes are lost");
}
