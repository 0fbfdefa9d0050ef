//! What must hold for the store as a whole.

mod crash;
mod damage;
mod dice;
mod fake_disk;
mod giving;
mod holders;
mod images;
mod keeping;
#[path = "../../tests/noise/mod.rs"]
mod noise;
mod opening;
mod reading;
mod receiving;
mod records;
mod rot;
mod speed;
mod taking;

use std::path::Path;

use weft_protocol::content::Manifest;
use weft_protocol::ids::BlobId;

use crate::Store;
use noise::noise;

/// A store in a folder of its own, which goes with it.
struct Scratch {
    store: Option<Store>,
    dir: tempfile::TempDir,
}

impl std::ops::Deref for Scratch {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store.as_ref().unwrap()
    }
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(Store::open(&dir.path().join("store")).unwrap());
        Self { store, dir }
    }

    /// The store's folder.
    fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    /// A path beside the store.
    fn beside(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Closes the store and opens it again.
    fn reopen(&mut self) {
        self.close();
        self.store = Some(Store::open(&self.folder()).unwrap());
    }

    fn close(&mut self) {
        self.store = None;
    }
}

/// A blob's manifest, encoded, and its chunks, as a peer would send them.
fn for_a_peer(store: &Store, blob: BlobId) -> (Vec<u8>, Vec<Vec<u8>>) {
    let encoded = store.manifest_bytes(blob).unwrap().unwrap();
    let count = Manifest::decode(&encoded).unwrap().chunk_count();
    let chunks = (0..count).map(|index| store.read_chunk(blob, index).unwrap()).collect();
    (encoded, chunks)
}

/// All files below a folder, by their paths, with their bytes.
fn files_below(dir: &Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                files.insert(path, bytes);
            }
        }
    }
    files
}

/// Flips a bit of a file.
fn flip(file: &Path, place: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[place] ^= 0x10;
    std::fs::write(file, bytes).unwrap();
}
