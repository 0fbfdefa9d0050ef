//! Formats are promises: a store that an earlier release wrote is opened with all that is in it.
//!
//! `fixtures/format-N` is what `WEFT_WRITE_FIXTURE=folder cargo test -p weft-store --test
//! earlier_formats` wrote when format N was the newest. It is never written again.

mod noise;

use std::fs;
use std::path::Path;

use weft_protocol::content::{Tree, TreeEntry, TreePath};
use weft_protocol::ids::{BlobId, FactId};
use weft_store::{Batch, Store};

use noise::noise;

/// The end of the pin that has one, in seconds since 1970: in the year 2100.
const UNTIL: u64 = 4_102_444_800;

/// What is whole in the fixtures: a file of several chunks, one in the catalog, an empty one, and
/// a tree of them.
fn whole() -> [(&'static str, Vec<u8>); 4] {
    let blob = |id: &str| id.parse::<BlobId>().unwrap();
    let entry = |id: &str, size| TreeEntry { blob: blob(id), size, frames: None };
    let tree = Tree::new(
        [
            (TreePath::new("a/file").unwrap(), entry(FILE, FILE_BYTES as u64)),
            (TreePath::new("empty").unwrap(), entry(EMPTY, 0)),
        ]
        .into(),
    );
    [
        (FILE, noise(16, FILE_BYTES)),
        (SMALL, b"a small one".to_vec()),
        (EMPTY, Vec::new()),
        (TREE, tree.unwrap().encode()),
    ]
}

const FILE: &str = "00c3746aafe064439ec5bbb1283f243b1fde16accaa01ef52198e10aa0254d3f";
const SMALL: &str = "de7f7ef350afa3512e5cd7a9cdcebf0d2527487b7af00bcd00f63d3a56324de7";
const EMPTY: &str = "2d47047d9b496f8d53b0c5c0cc8abf0e41998162c3bfd4a639681fcd24b6a31d";
const TREE: &str = "fdef855fb4e7e716449b05c29fed0f7ac62b2ae276939f5f2705d45b89c87df0";
/// The one of which a part has come.
const PART: &str = "e603afcd1edeb264f526057d961159f1a99033c7f989b284ede2e927a14967d1";
const PART_BYTES: usize = 150_000;
const FILE_BYTES: usize = 150_000;

fn write(folder: &Path) {
    let store = Store::open(folder).unwrap();
    for (id, bytes) in whole() {
        assert_eq!(store.ingest_bytes(&bytes).unwrap().id.to_string(), id);
    }
    let part = store.ingest_bytes(&noise(23, PART_BYTES)).unwrap().id;
    assert_eq!(part.to_string(), PART);
    store.mark_damaged(part, &[0]).unwrap();
    let blob = |id: &str| id.parse::<BlobId>().unwrap();
    store
        .commit(
            &Batch::new()
                .pin(blob(SMALL), "user")
                .pin_tree(blob(TREE), "job/1")
                .pin_until(blob(FILE), "promise", UNTIL)
                .put_fact(FactId([7; 32]), *b"the signed bytes")
                .put_meta("term", 77_u64.to_le_bytes()),
        )
        .unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_store_of_format_1_is_opened_with_all_that_is_in_it() {
    if let Some(folder) = std::env::var_os("WEFT_WRITE_FIXTURE") {
        return write(Path::new(&folder));
    }
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1");
    copy(&fixture, dir.path());
    let store = Store::open(dir.path()).unwrap();
    assert!(store.mended().is_none());
    assert_eq!(store.verify_catalog().unwrap(), []);
    for (id, bytes) in whole() {
        let id: BlobId = id.parse().unwrap();
        assert!(store.read_all(id, u64::MAX).unwrap() == bytes, "{id}");
        let info = store.info(id).unwrap().unwrap();
        assert_eq!(info.size, bytes.len() as u64);
        assert_eq!(store.find_md5(info.md5).unwrap(), [id]);
        assert_eq!(store.verify_blob(id).unwrap(), []);
    }
    assert_eq!(store.list().unwrap().len(), 4);
    let pins = store.all_pins().unwrap();
    let mut pins: Vec<_> = pins
        .iter()
        .map(|pin| (&pin.reason[..], pin.blob.to_string(), pin.tree, pin.until))
        .collect();
    pins.sort();
    assert_eq!(
        pins,
        [
            ("job/1", TREE.to_owned(), true, None),
            ("promise", FILE.to_owned(), false, Some(UNTIL)),
            ("user", SMALL.to_owned(), false, None),
        ]
    );
    assert_eq!(store.get_fact(FactId([7; 32])).unwrap().unwrap(), b"the signed bytes");
    assert_eq!(store.get_meta("term").unwrap().unwrap(), 77_u64.to_le_bytes());
    // What is not whole goes on from where it was.
    let part: BlobId = PART.parse().unwrap();
    let have = store.have(part).unwrap().unwrap();
    assert_eq!(have.held().collect::<Vec<_>>(), [1]);
    assert!(store.read_chunk(part, 1).is_ok());
    assert_eq!(store.ingest_bytes(&noise(23, PART_BYTES)).unwrap().id, part);
}
