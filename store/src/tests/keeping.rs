//! Facts, values and pins last; collection takes what nobody has a reason to keep, and no more.

use std::collections::BTreeMap;
use std::time::Duration;

use weft_protocol::content::{Tree, TreeEntry, TreePath};
use weft_protocol::ids::FactId;

use super::*;
use crate::{Batch, CatalogError, CollectError};

const NO_GRACE: Duration = Duration::ZERO;

#[test]
fn facts_and_values_last_and_go() {
    let mut scratch = Scratch::new();
    let facts: Vec<_> = (0..3000_u32).map(|n| (fact(n), n.to_string().into_bytes())).collect();
    let borrowed: Vec<_> = facts.iter().map(|(id, bytes)| (*id, &bytes[..])).collect();
    scratch.put_facts(&borrowed).unwrap();
    scratch.put_meta("term", &7_u64.to_le_bytes()).unwrap();
    scratch.reopen();
    let all: BTreeMap<_, _> = scratch.all_facts().map(Result::unwrap).collect();
    assert_eq!(all, facts.iter().cloned().collect());
    assert_eq!(scratch.get_fact(fact(5)).unwrap().unwrap(), b"5");
    assert_eq!(scratch.get_meta("term").unwrap().unwrap(), 7_u64.to_le_bytes());
    let blob = BlobId([3; 32]);
    let batch = Batch::new()
        .remove_fact(fact(5))
        .put_fact(fact(9999), *b"new")
        .remove_meta("term")
        .put_meta("name", "node")
        .pin(blob, "job:1")
        .pin(blob, "job:2")
        .pin_until(blob, "lease", u64::MAX);
    scratch.commit(&batch).unwrap();
    scratch.commit(&Batch::new().unpin(blob, "job:2")).unwrap();
    scratch.reopen();
    assert!(scratch.get_fact(fact(5)).unwrap().is_none());
    assert_eq!(scratch.all_facts().count(), 3000);
    assert!(scratch.get_meta("term").unwrap().is_none());
    assert_eq!(scratch.get_meta("name").unwrap().unwrap(), b"node");
    let pins = scratch.pins(blob).unwrap();
    let reasons: Vec<_> = pins.iter().map(|pin| (pin.reason.as_str(), pin.until)).collect();
    assert_eq!(reasons, [("job:1", None), ("lease", Some(u64::MAX))]);
    scratch.unpin_reason("job:1").unwrap();
    assert_eq!(scratch.all_pins().unwrap().len(), 1);
    scratch.remove_facts(&[fact(9999)]).unwrap();
    assert_eq!(scratch.all_facts().count(), 2999);
}

#[test]
fn a_batch_is_made_wholly_or_not_at_all() {
    let scratch = Scratch::new();
    let batch = Batch::new().put_fact(fact(1), *b"fact").pin(BlobId([1; 32]), "x".repeat(513));
    let refused = scratch.commit(&batch);
    assert!(matches!(refused, Err(CatalogError::TooLong(_))), "{refused:?}");
    assert!(scratch.get_fact(fact(1)).unwrap().is_none());
}

#[test]
fn what_is_pinned_held_or_new_stays() {
    let scratch = Scratch::new();
    let add = |seed| scratch.ingest_bytes(&noise(seed, 100_000)).unwrap().id;
    let (pinned, held, ended, loose) = (add(1), add(2), add(3), add(4));
    let small = scratch.ingest_bytes(b"small").unwrap().id;
    scratch.pin(pinned, "user").unwrap();
    scratch.pin_until(ended, "lease", 5).unwrap();
    let hold = scratch.hold(held);
    let plan = scratch.collect(Duration::from_secs(3600), false).unwrap();
    assert!(plan.blobs.is_empty(), "within the time of grace: {plan:?}");
    let plan = scratch.collect(NO_GRACE, true).unwrap();
    let mut doomed: Vec<_> = plan.blobs.iter().map(|doomed| doomed.blob).collect();
    let mut expected = vec![ended, loose, small];
    doomed.sort();
    expected.sort();
    assert_eq!(doomed, expected);
    assert_eq!(plan.bytes(), 200_005);
    assert!(scratch.has(loose).unwrap(), "a dry run deletes nothing");
    assert_eq!(scratch.collect(NO_GRACE, false).unwrap().blobs, plan.blobs);
    for (blob, stays) in [(pinned, true), (held, true), (ended, false), (loose, false)] {
        assert_eq!(scratch.has(blob).unwrap(), stays);
        assert_eq!(scratch.read_all(blob, u64::MAX).is_ok(), stays);
        let file = scratch.folder().join(crate::names::blob(&blob));
        assert_eq!(file.exists(), stays);
    }
    assert!(!scratch.has(small).unwrap());
    assert!(scratch.pins(ended).unwrap().is_empty());
    drop(hold);
    scratch.unpin(pinned, "user").unwrap();
    let plan = scratch.collect(NO_GRACE, false).unwrap();
    assert_eq!(plan.blobs.len(), 2);
    assert_eq!(scratch.verify_catalog().unwrap(), []);
    let left = scratch.catalog.read(|snapshot| {
        crate::tables::ALL.iter().map(|name| snapshot.sheet(*name)?.page(&[], None, 9)).collect()
    });
    let left: Vec<Vec<_>> = left.unwrap();
    assert!(left.iter().all(Vec::is_empty), "something is left: {left:?}");
}

#[test]
fn a_pinned_tree_keeps_what_it_names() {
    let scratch = Scratch::new();
    let kept = scratch.ingest_bytes(&noise(1, 100_000)).unwrap();
    let loose = scratch.ingest_bytes(&noise(2, 100_000)).unwrap();
    let entry = TreeEntry { blob: kept.id, size: kept.size, frames: None };
    let tree = Tree::new([(TreePath::new("a").unwrap(), entry)].into()).unwrap();
    let tree = scratch.ingest_bytes(&tree.encode()).unwrap().id;
    scratch.pin_tree(tree, "job:1").unwrap();
    // As a mere file it is kept for the same reason, too: that takes nothing from what it names.
    scratch.pin(tree, "job:1").unwrap();
    // A tree that has not come yet is no hindrance.
    scratch.pin_tree(BlobId([9; 32]), "job:2").unwrap();
    let plan = scratch.collect(NO_GRACE, false).unwrap();
    assert_eq!(plan.blobs.iter().map(|doomed| doomed.blob).collect::<Vec<_>>(), [loose.id]);
    assert!(scratch.has(kept.id).unwrap() && scratch.has(tree).unwrap());
    // What can't be understood protects all.
    scratch.pin_tree(kept.id, "nonsense").unwrap();
    let refused = scratch.collect(NO_GRACE, false);
    assert!(matches!(refused, Err(CollectError::NotATree { .. })), "{refused:?}");
    scratch.unpin_reason("nonsense").unwrap();
    scratch.unpin_reason("job:1").unwrap();
    assert_eq!(scratch.collect(NO_GRACE, false).unwrap().blobs.len(), 2);
}

#[test]
fn trees_that_are_pinned_again_and_again_are_told_and_nothing_goes() {
    let scratch = Scratch::new();
    let loose = scratch.ingest_bytes(&noise(1, 100_000)).unwrap().id;
    let pinned = std::cell::Cell::new(0);
    let pin_another = |unwanted, _| {
        pinned.set(pinned.get() + 1);
        scratch.pin_tree(BlobId([pinned.get(); 32]), "job").unwrap();
        unwanted
    };
    let refused = scratch.collect_some(u64::MAX, pin_another);
    assert!(matches!(refused, Err(CollectError::Changed)), "{refused:?}");
    assert!(scratch.has(loose).unwrap());
    // Once is no hindrance.
    scratch.unpin_reason("job").unwrap();
    let pin_one = |unwanted, _| {
        scratch.pin_tree(BlobId([9; 32]), "job").unwrap();
        unwanted
    };
    assert_eq!(scratch.collect_some(u64::MAX, pin_one).unwrap().blobs.len(), 1);
}

#[test]
fn unfinished_and_stray_files_are_collected() {
    let (from, mut to) = (Scratch::new(), Scratch::new());
    let id = from.ingest_bytes(&noise(3, 40 << 20)).unwrap().id;
    let (manifest, chunks) = for_a_peer(&from, id);
    let hold = to.hold(id);
    to.begin_partial(id, &manifest).unwrap();
    for (index, chunk) in (0..).zip(&chunks[..chunks.len() - 1]) {
        to.write_chunk(id, index, chunk).unwrap();
    }
    assert!(to.collect(NO_GRACE, false).unwrap().blobs.is_empty(), "it is being received");
    drop(hold);
    to.reopen();
    let stray = to.folder().join(crate::names::blob(&BlobId([0xab; 32])));
    std::fs::write(&stray, "left by a crash").unwrap();
    let other = stray.with_file_name("README");
    std::fs::write(&other, "not ours").unwrap();
    to.pin(id, "job").unwrap();
    let plan = to.collect(NO_GRACE, false).unwrap();
    assert_eq!((plan.blobs.len(), plan.strays.len()), (0, 1));
    assert!(!stray.exists() && other.exists());
    to.unpin(id, "job").unwrap();
    let plan = to.collect(NO_GRACE, false).unwrap();
    assert_eq!(plan.blobs.len(), 1);
    assert!(to.have(id).unwrap().is_none());
    assert!(std::fs::read_dir(to.folder().join("partial")).unwrap().next().is_none());
}

#[test]
fn what_came_of_a_fetch_that_ended_stays_for_the_next_and_goes_in_its_time() {
    let (from, to) = (Scratch::new(), Scratch::new());
    // So little that the catalog was not told of it.
    let id = from.ingest_bytes(&noise(3, 3_000_000)).unwrap().id;
    let (manifest, chunks) = for_a_peer(&from, id);
    let hold = to.hold(id);
    to.begin_partial(id, &manifest).unwrap();
    to.write_chunk(id, 0, &chunks[0]).unwrap();
    assert_eq!(to.collect(NO_GRACE, true).unwrap().blobs, [], "it is being received");
    drop(hold);
    assert_eq!(to.collect(Duration::from_secs(3600), false).unwrap().blobs, []);
    assert_eq!(open_below(&to.folder().join("partial")), 0);
    let hold = to.hold(id);
    assert_eq!(to.begin_partial(id, &manifest).unwrap().count(), 1);
    to.write_chunk(id, 1, &chunks[1]).unwrap();
    drop(hold);
    to.pin(id, "job").unwrap();
    assert_eq!(to.collect(NO_GRACE, false).unwrap().blobs, []);
    assert_eq!(to.have(id).unwrap().unwrap().count(), 2);
    to.unpin(id, "job").unwrap();
    let plan = to.collect(NO_GRACE, false).unwrap();
    let size = (chunks[0].len() + chunks[1].len()) as u64;
    assert_eq!((plan.blobs.len(), plan.bytes()), (1, size));
    assert!(to.have(id).unwrap().is_none() && to.list_partial().unwrap().is_empty());
    assert!(files_below(&to.folder().join("partial")).is_empty());
    // Where nothing has come there is nothing to go on from.
    to.begin_partial(id, &manifest).unwrap();
    assert_eq!(to.collect(Duration::from_secs(3600), false).unwrap().blobs, []);
    assert!(to.have(id).unwrap().is_none());
    assert!(files_below(&to.folder().join("partial")).is_empty());
}

#[test]
fn of_the_blobs_that_nobody_receives_any_more_few_are_open() {
    let (from, to) = (Scratch::new(), Scratch::new());
    let mut ids = Vec::new();
    let first = to.hold(from.ingest_bytes(&noise(0, 300_000)).unwrap().id);
    for n in 0..50 {
        let id = from.ingest_bytes(&noise(n, 300_000)).unwrap().id;
        let (manifest, chunks) = for_a_peer(&from, id);
        let hold = to.hold(id);
        to.begin_partial(id, &manifest).unwrap();
        to.write_chunk(id, 0, &chunks[0]).unwrap();
        ids.push((id, chunks));
        drop(hold);
    }
    let partial = to.folder().join("partial");
    assert!(open_below(&partial) < 20, "{} are open", open_below(&partial));
    // Neither what is asked of them nor what is read opens more, and all is there.
    for (id, chunks) in &ids {
        assert_eq!(to.have(*id).unwrap().unwrap().count(), 1);
        assert!(to.read_chunk(*id, 0).unwrap() == chunks[0]);
    }
    assert!(open_below(&partial) < 20, "{} are open", open_below(&partial));
    to.collect(Duration::from_secs(3600), false).unwrap();
    assert!(open_below(&partial) <= 1, "only one is held");
    drop(first);
}

/// How many files below a folder this process has open; none where the system doesn't say.
fn open_below(dir: &std::path::Path) -> usize {
    let Ok(handles) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let targets = handles.filter_map(|handle| std::fs::read_link(handle.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(dir)).count()
}

fn fact(n: u32) -> FactId {
    FactId(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

#[test]
fn what_is_taken_in_stays_until_it_can_be_pinned() {
    let scratch = Scratch::new();
    let old = scratch.ingest_bytes(b"here before").unwrap().id;
    let intake = scratch.intake();
    let again = scratch.ingest_bytes(b"here before").unwrap().id;
    let new = scratch.ingest_bytes(&noise(3, 300_000)).unwrap().id;
    assert_eq!(again, old);
    assert_eq!(scratch.collect(NO_GRACE, false).unwrap().blobs, []);
    scratch.pin(new, "job").unwrap();
    drop(intake);
    let gone: Vec<_> =
        scratch.collect(NO_GRACE, false).unwrap().blobs.iter().map(|doomed| doomed.blob).collect();
    assert_eq!(gone, [old]);
}

#[test]
fn a_tree_that_the_disk_spoilt_protects_all_until_it_is_back() {
    // One in a file of its own, and one in the catalog.
    for count in [400_u32, 1] {
        let scratch = Scratch::new();
        let entry = |n: u32| {
            let added = scratch.ingest_bytes(&n.to_le_bytes()).unwrap();
            let entry = TreeEntry { blob: added.id, size: added.size, frames: None };
            (TreePath::new(format!("picture-{n}")).unwrap(), entry)
        };
        let encoded = Tree::new((0..count).map(entry).collect()).unwrap().encode();
        let tree = scratch.ingest_bytes(&encoded).unwrap().id;
        scratch.pin_tree(tree, "job:1").unwrap();
        scratch.mark_damaged(tree, &[0]).unwrap();
        let refused = scratch.collect(NO_GRACE, false);
        assert!(matches!(refused, Err(CollectError::Tree { .. })), "{refused:?}");
        let [lost] = &scratch.lost().unwrap()[..] else { panic!("one is lost") };
        assert_eq!((lost.blob, &lost.needed_by[..]), (tree, &["job:1".to_owned()][..]));
        scratch.ingest_bytes(&encoded).unwrap();
        assert_eq!(scratch.lost().unwrap(), []);
        assert_eq!(scratch.collect(NO_GRACE, false).unwrap().blobs, []);
        // What nobody keeps any more isn't missed.
        scratch.mark_damaged(tree, &[0]).unwrap();
        scratch.unpin_reason("job:1").unwrap();
        assert!(scratch.collect(NO_GRACE, false).unwrap().blobs.len() >= count as usize);
        assert_eq!(scratch.lost().unwrap(), []);
    }
}

#[test]
fn whoever_is_told_that_a_blob_is_here_can_pin_it_while_others_go() {
    let scratch = Scratch::new();
    let many: Vec<_> = (0..3000_u32).map(|n| scratch.ingest_bytes(&n.to_le_bytes())).collect();
    let ids: Vec<BlobId> = many.into_iter().map(|added| added.unwrap().id).collect();
    let mut kept = Vec::new();
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| scratch.collect(NO_GRACE, false).unwrap());
        while !collector.is_finished() {
            for &id in ids.iter().step_by(97) {
                let hold = scratch.hold(id);
                if scratch.has(id).unwrap() {
                    kept.push((id, hold));
                }
            }
        }
    });
    for (id, _) in &kept {
        assert!(scratch.has(*id).unwrap(), "{id:?} was here, and is held");
    }
}
