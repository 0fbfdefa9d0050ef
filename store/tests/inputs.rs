//! What a store gives out as a job's inputs is not the store: whatever a program of the same user
//! does to its inputs, every blob reads as before. On the file system of temporary files, where
//! inputs are mostly copies, and on ones where they share their blocks with the store.
#![cfg(target_os = "linux")]

mod mounted;
mod noise;

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap};
use weft_protocol::content::{Tree, TreeEntry, TreePath};
use weft_protocol::ids::BlobId;
use weft_store::{Offered, Store, TreeCheckout};

use mounted::Mounted;
use noise::noise;

/// Smaller ones than are kept in the catalog, and larger ones than a chunk.
const SIZES: [usize; 4] = [900, 40_000, 300_000, 2_500_000];

type Try = fn(&Path);

/// What a program may try, each on a file of its own of every size.
const TRIES: [(&str, Try); 7] = [
    ("chmod", permit),
    ("writing", write),
    ("appending", append),
    ("truncating", truncate),
    ("renaming over it", replace),
    ("a writable map", map),
    ("deleting", |path| fs::remove_file(path).unwrap()),
];

fn permit(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
}

fn write(path: &Path) {
    permit(path);
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(100)).unwrap();
    file.write_all(&[0xee; 300]).unwrap();
    file.sync_all().unwrap();
}

fn append(path: &Path) {
    permit(path);
    OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
}

fn truncate(path: &Path) {
    permit(path);
    OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap();
}

fn replace(path: &Path) {
    let other = path.with_extension("other");
    fs::write(&other, b"other").unwrap();
    fs::rename(&other, path).unwrap();
}

fn map(path: &Path) {
    permit(path);
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let rights = ProtFlags::READ | ProtFlags::WRITE;
    #[expect(unsafe_code, reason = "the file is as long as the map, and nobody else uses either")]
    unsafe {
        let at = mmap(std::ptr::null_mut(), length, rights, MapFlags::SHARED, &file, 0).unwrap();
        std::slice::from_raw_parts_mut(at.cast::<u8>(), length).fill(0x55);
        msync(at, length, MsyncFlags::SYNC).unwrap();
        munmap(at, length).unwrap();
    }
}

/// Gives out a file of each size for each try, tries, and reads the store.
fn abuse(folder: &Path) -> TreeCheckout {
    let store = Store::open(&folder.join("store")).unwrap();
    let mut blobs: Vec<(BlobId, Vec<u8>)> = Vec::new();
    let mut entries = Vec::new();
    for (n, (size, (what, _))) in
        SIZES.iter().flat_map(|size| TRIES.iter().map(move |of| (*size, of))).enumerate()
    {
        let source = folder.join("source");
        fs::write(&source, noise(n as u64, size)).unwrap();
        let added = store.ingest_many(&[&source], &mut |_, _| ()).unwrap().remove(0).unwrap();
        blobs.push((added.id, noise(n as u64, size)));
        let path = TreePath::new(format!("{what}/{size}")).unwrap();
        entries.push((path, TreeEntry { blob: added.id, size: added.size, frames: None }));
    }
    let tree = Tree::new(entries.into_iter().collect()).unwrap();
    let inputs = folder.join("inputs");
    let done = store.checkout_tree(&tree, &inputs, Offered::ReadOnly, &mut |_, _| true).unwrap();
    for size in SIZES {
        for (what, attempt) in TRIES {
            attempt(&inputs.join(what).join(size.to_string()));
        }
    }
    drop(store);
    // Nothing is believed from memory.
    let store = Store::open(&folder.join("store")).unwrap();
    for (id, bytes) in &blobs {
        assert_eq!(store.verify_blob(*id).unwrap(), [], "{}", id.short());
        assert!(store.read_all(*id, u64::MAX).unwrap() == *bytes, "{}", id.short());
    }
    assert_eq!(store.verify_catalog().unwrap(), []);
    done
}

#[test]
fn no_program_reaches_the_store_through_its_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let done = abuse(folder.path());
    println!("temporary files: {} share their blocks, {} are copies", done.reflinked, done.copied);
}

#[test]
fn nor_where_inputs_share_their_blocks_with_the_store() {
    for kind in ["xfs", "btrfs"] {
        let Some(mounted) = Mounted::new(kind, 512 << 20) else { continue };
        let folder: PathBuf = mounted.disk().join("farm");
        fs::create_dir(&folder).unwrap();
        let done = abuse(&folder);
        assert!(done.reflinked > 0, "{kind} shares blocks");
        println!("{kind}: {} share their blocks, {} are copies", done.reflinked, done.copied);
    }
}
