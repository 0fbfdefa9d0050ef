//! Blobs and trees are written out whole or not at all, and never past the folder they go to.

use std::fs;

use weft_protocol::content::{Tree, TreeEntry, TreePath};
use weft_protocol::job::task::FrameRun;

use super::*;
use crate::{CheckoutError, How, Offered, ReadError};

#[test]
fn a_blob_becomes_a_file() {
    let scratch = Scratch::new();
    for size in [0, 5, 3_000_000] {
        let bytes = noise(1, size);
        let id = scratch.ingest_bytes(&bytes).unwrap().id;
        let dest = scratch.beside("out.exr");
        scratch.checkout(id, &dest, true).unwrap();
        assert!(fs::read(&dest).unwrap() == bytes);
        assert!(fs::metadata(&dest).unwrap().permissions().readonly());
        scratch.checkout(id, &dest, false).unwrap();
        assert!(!fs::metadata(&dest).unwrap().permissions().readonly());
        // Writing to the file leaves the blob alone.
        fs::write(&dest, "changed").unwrap();
        assert!(scratch.read_all(id, u64::MAX).unwrap() == bytes);
        scratch.deliver(id, &dest).unwrap();
        assert!(fs::read(&dest).unwrap() == bytes);
    }
    assert_eq!(fs::read_dir(scratch.dir.path()).unwrap().count(), 2, "temporary files are left");
}

#[test]
fn what_a_crash_left_of_a_delivery_is_written_over_by_the_next_try() {
    let scratch = Scratch::new();
    let bytes = noise(1, 500_000);
    let id = scratch.ingest_bytes(&bytes).unwrap().id;
    let folder = scratch.beside("frames");
    fs::create_dir(&folder).unwrap();
    let dest = folder.join("0001.exr");
    let unfinished = |writer: &[u8]| {
        let unfinished = crate::checkout::Unfinished::of(writer, &dest).unwrap();
        fs::write(&unfinished.path, "half a frame").unwrap();
        std::mem::forget(unfinished);
    };
    unfinished(b"one");
    // Another's, which may be at work.
    unfinished(b"other");
    scratch.deliver_again(id, &dest, b"one").unwrap();
    assert!(fs::read(&dest).unwrap() == bytes);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    scratch.deliver_again(id, &dest, b"other").unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_failed_checkout_leaves_what_was_there() {
    let scratch = Scratch::new();
    let dest = scratch.beside("out");
    fs::write(&dest, "before").unwrap();
    let unknown = scratch.checkout(BlobId([1; 32]), &dest, false);
    assert!(matches!(unknown, Err(CheckoutError::Read(ReadError::Unknown { .. }))));
    let id = scratch.ingest_bytes(&noise(1, 500_000)).unwrap().id;
    flip(&scratch.folder().join(crate::names::blob(&id)), 400_000);
    let corrupt = scratch.deliver(id, &dest);
    let is_corrupt = matches!(corrupt, Err(CheckoutError::Read(ReadError::Corrupt { .. })));
    assert!(is_corrupt, "{corrupt:?}");
    assert_eq!(fs::read(&dest).unwrap(), b"before");
    assert!(scratch.checkout(id, &scratch.beside("no/such/folder"), false).is_err());
    assert_eq!(fs::read_dir(scratch.dir.path()).unwrap().count(), 2, "temporary files are left");
}

#[test]
fn a_tree_becomes_a_folder() {
    let scratch = Scratch::new();
    let (tree, all) = sample(&scratch);
    let dest = scratch.beside("job/inputs");
    let done = scratch.checkout_tree(&tree, &dest, Offered::ReadOnly, &mut |_, _| true).unwrap();
    assert_eq!(done.reflinked + done.copied, 3);
    assert_eq!(done.bytes, tree.size());
    for (path, bytes) in &all {
        assert!(fs::read(dest.join(path)).unwrap() == *bytes);
    }
    let some = scratch.beside("some");
    let frames = [4];
    scratch
        .checkout_tree(&tree, &some, Offered::ReadOnly, &mut |_, e| e.needed_for(&frames))
        .unwrap();
    assert_eq!(files_below(&some).len(), 2);
}

#[cfg(unix)]
#[test]
fn a_link_on_the_way_is_not_followed() {
    let scratch = Scratch::new();
    let (tree, _) = sample(&scratch);
    let (dest, outside) = (scratch.beside("dest"), scratch.beside("outside"));
    fs::create_dir_all(&dest).unwrap();
    fs::create_dir_all(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, dest.join("textures")).unwrap();
    let refused = scratch.checkout_tree(&tree, &dest, Offered::Writable, &mut |_, _| true);
    assert!(matches!(refused, Err(CheckoutError::InTheWay { .. })), "{refused:?}");
    assert!(files_below(&outside).is_empty());
    // A link where the file itself goes is replaced, not written through.
    fs::remove_file(dest.join("textures")).unwrap();
    fs::write(outside.join("precious"), "precious").unwrap();
    let _ = fs::remove_file(dest.join("scene.ma"));
    std::os::unix::fs::symlink(outside.join("precious"), dest.join("scene.ma")).unwrap();
    scratch.checkout_tree(&tree, &dest, Offered::Writable, &mut |_, _| true).unwrap();
    assert_eq!(fs::read(outside.join("precious")).unwrap(), b"precious");
}

#[test]
fn a_size_that_the_tree_lies_about_is_refused() {
    let scratch = Scratch::new();
    let blob = scratch.ingest_bytes(b"four").unwrap().id;
    let entry = TreeEntry { blob, size: 5, frames: None };
    let tree = Tree::new([(TreePath::new("a").unwrap(), entry)].into()).unwrap();
    let refused =
        scratch.checkout_tree(&tree, &scratch.beside("x"), Offered::Writable, &mut |_, _| true);
    assert!(matches!(refused, Err(CheckoutError::WrongSize { .. })), "{refused:?}");
}

#[test]
fn how_says_what_the_disk_shares() {
    let scratch = Scratch::new();
    let id = scratch.ingest_bytes(&noise(1, 500_000)).unwrap().id;
    let file = scratch.folder().join(crate::names::blob(&id));
    let shares = reflink_copy::reflink(file, scratch.beside("probe")).is_ok();
    let how = scratch.checkout(id, &scratch.beside("out"), false).unwrap();
    assert_eq!(how, if shares { How::Reflinked } else { How::Copied });
}

/// Second names are names of the same file, and laying out again leaves nothing behind.
#[cfg(unix)]
#[test]
fn a_tree_is_laid_out_under_second_names_where_that_is_granted() {
    use std::os::unix::fs::MetadataExt as _;

    let scratch = Scratch::new();
    let (tree, all) = sample(&scratch);
    let blob = |path: &str| {
        let entry = &tree.entries()[&TreePath::new(path).unwrap()];
        scratch.folder().join(crate::names::blob(&entry.blob))
    };
    let before = fs::metadata(blob("scene.ma")).unwrap().mode();
    let dest = scratch.beside("inputs");
    for _ in 0..2 {
        let done = scratch.checkout_tree(&tree, &dest, Offered::Linked, &mut |_, _| true).unwrap();
        assert_eq!((done.reflinked + done.linked, done.copied), (2, 1), "{done:?}");
        let files = files_below(&dest);
        assert_eq!(files.len(), 3, "temporary files are left: {files:?}");
        for (path, bytes) in &all {
            assert!(fs::read(dest.join(path)).unwrap() == *bytes);
        }
        for path in ["scene.ma", "textures/wood.exr"] {
            let [given, own] = [dest.join(path), blob(path)].map(|at| fs::metadata(at).unwrap());
            assert_eq!(given.ino() == own.ino(), done.linked == 2, "{path}");
            assert_eq!(own.mode(), before, "the blob's file is left as it is");
        }
        // A small one is in the catalog, and its file nobody's but the job's.
        assert!(
            fs::metadata(dest.join("textures/deep/small.txt")).unwrap().permissions().readonly()
        );
    }
    // Nobody may be shown a second name of what is cut short: a copy says that it is damaged.
    let cut = fs::OpenOptions::new().write(true).open(blob("scene.ma")).unwrap();
    cut.set_len(100).unwrap();
    let dest = scratch.beside("again");
    let refused = scratch
        .checkout_tree(&tree, &dest, Offered::Linked, &mut |path, _| path.as_str() == "scene.ma");
    let shares = reflink_copy::reflink(blob("scene.ma"), scratch.beside("probe")).is_ok();
    assert!(shares || refused.is_err(), "{refused:?}");
}

/// A second name or shared blocks are read by no one but the renderer: a bit that the disk flipped
/// without a trace must be seen before.
#[cfg(unix)]
#[test]
fn what_the_disk_spoilt_is_not_given_out_under_a_second_name() {
    let mut scratch = Scratch::new();
    let (tree, _) = sample(&scratch);
    let (blob, large) = {
        let entry = &tree.entries()[&TreePath::new("scene.ma").unwrap()];
        (entry.blob, scratch.folder().join(crate::names::blob(&entry.blob)))
    };
    let mut given = 0;
    let mut give = |store: &Scratch| {
        given += 1;
        let dest = store.beside(&format!("inputs{given}"));
        let done = [Offered::Linked, Offered::ReadOnly]
            .map(|offered| store.checkout_tree(&tree, &dest, offered, &mut |_, _| true));
        (done, dest)
    };
    // What was just taken in is not read again, and what was given out neither.
    let (done, _) = give(&scratch);
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let modified = fs::metadata(&large).unwrap().modified().unwrap();
    flip(&large, 400_000);
    fs::File::options().write(true).open(&large).unwrap().set_modified(modified).unwrap();
    scratch.reopen();
    let (done, dest) = give(&scratch);
    for done in done {
        let is_named = matches!(done, Err(CheckoutError::Read(ReadError::Corrupt { blob: named, .. })) if named == blob);
        assert!(is_named, "{done:?}");
    }
    assert!(!dest.join("scene.ma").exists());
    // Once it is right again it is given out, and what is written to later is read again.
    flip(&large, 400_000);
    let (done, _) = give(&scratch);
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    flip(&large, 100);
    let later = modified + std::time::Duration::from_secs(1);
    fs::File::options().write(true).open(&large).unwrap().set_modified(later).unwrap();
    assert!(give(&scratch).0.iter().all(Result::is_err));
}

/// Many files are given out by several threads: each is there, whole, and counted once.
#[test]
fn a_tree_of_many_files_becomes_a_folder() {
    let scratch = Scratch::new();
    let mut all = Vec::new();
    for n in 0..300_u64 {
        let bytes = noise(n, 20_000 + usize::try_from(n).unwrap());
        let added = scratch.ingest_bytes(&bytes).unwrap();
        let path = TreePath::new(format!("textures/{}/{n}.tx", n % 7)).unwrap();
        all.push((path, TreeEntry { blob: added.id, size: added.size, frames: None }, bytes));
    }
    let tree = |lies: bool| {
        let entries = all.iter().map(|(path, entry, _)| {
            let lie = u64::from(lies && path.as_str() == "textures/2/205.tx");
            (path.clone(), TreeEntry { size: entry.size + lie, ..entry.clone() })
        });
        Tree::new(entries.collect()).unwrap()
    };
    for offered in [Offered::Writable, Offered::ReadOnly, Offered::Linked] {
        let dest = scratch.beside(&format!("{offered:?}"));
        let done = scratch.checkout_tree(&tree(false), &dest, offered, &mut |_, _| true).unwrap();
        assert_eq!(done.reflinked + done.linked + done.copied, 300);
        assert_eq!(done.bytes, tree(false).size());
        assert_eq!(files_below(&dest).len(), 300);
        for (path, _, bytes) in &all {
            assert!(fs::read(dest.join(path.as_str())).unwrap() == *bytes, "{path:?}");
        }
    }
    // One that can't be given out fails the whole, whichever thread it falls to.
    let failed = scratch.checkout_tree(
        &tree(true),
        &scratch.beside("lies"),
        Offered::ReadOnly,
        &mut |_, _| true,
    );
    assert!(matches!(failed, Err(CheckoutError::WrongSize { .. })), "{failed:?}");
}

fn sample(store: &Store) -> (Tree, Vec<(&'static str, Vec<u8>)>) {
    let all = vec![
        ("scene.ma", noise(1, 700_000)),
        ("textures/wood.exr", noise(2, 90_000)),
        ("textures/deep/small.txt", b"small".to_vec()),
    ];
    let entries = all.iter().map(|(path, bytes)| {
        let added = store.ingest_bytes(bytes).unwrap();
        let run = FrameRun { start: 1, end: 3, step: 1 };
        let frames = path.ends_with(".txt").then(|| vec![run]);
        (TreePath::new(*path).unwrap(), TreeEntry { blob: added.id, size: added.size, frames })
    });
    (Tree::new(entries.collect()).unwrap(), all)
}
