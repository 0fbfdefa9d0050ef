//! Trees: the files of a folder by their paths, and which frames need them.
//!
//! The encoding, version 1, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `WTRE` |
//! | 1 | version: 1 |
//! | 4 | number of entries |
//!
//! then for each entry, ascending by the bytes of its path:
//!
//! | bytes | what |
//! |---|---|
//! | 2 | length of the path, p |
//! | p | the path, UTF-8 |
//! | 32 | the blob's id |
//! | 8 | its size in bytes |
//! | 4 | number of runs of frames that need it, r; 0: every frame does |
//! | 12 r | for each run: start, end, step (4 each, signed) |
//!
//! There is one encoding of a tree and no other. An encoded tree is kept and fetched as a blob.

use std::collections::{BTreeMap, BTreeSet};

use crate::content::layout::{Reader, Short};
use crate::content::path::{TreePath, TreePathError};
use crate::ids::BlobId;
use crate::job::task::FrameRun;

/// The longest encoding that is read, in bytes.
pub const MAX_ENCODED: usize = 64 << 20;

const MAGIC: &[u8; 4] = b"WTRE";
const VERSION: u8 = 1;
/// The fewest bytes of an entry: a path of one byte, and no runs.
const LEAST_ENTRY: usize = 2 + 1 + 32 + 8 + 4;

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its content.
    pub blob: BlobId,
    /// Its size in bytes, which the blob's manifest must confirm.
    pub size: u64,
    /// The frames that need it, in one run or more; `None`: every frame does.
    pub frames: Option<Vec<FrameRun>>,
}

impl TreeEntry {
    /// Whether one of `frames` needs it.
    #[must_use]
    pub fn needed_for(&self, frames: &[i32]) -> bool {
        self.frames.as_ref().is_none_or(|runs| {
            runs.iter().any(|run| frames.iter().any(|frame| run.contains(*frame)))
        })
    }
}

/// The files of a folder. No two of its paths are one on a system that doesn't tell cases apart,
/// and no file is another's folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: BTreeMap<TreePath, TreeEntry>,
}

/// Why entries or bytes are not a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The bytes don't begin as a tree does, end early or go on, or their entries are out of order.
    #[error("this is not a tree")]
    NotATree,
    /// A newer release wrote it.
    #[error("this tree has version {0}; this release reads version 1")]
    Version(u8),
    /// Its encoding would be longer than [`MAX_ENCODED`].
    #[error("this tree is too long")]
    TooLong,
    /// A path is none.
    #[error("this tree has a path that is refused: {0}")]
    Path(#[from] TreePathError),
    /// Two paths are the same to some systems, or a file is the folder of another.
    #[error("'{0}' and '{1}' can't be in one tree: some systems take them for the same")]
    Collision(TreePath, TreePath),
    /// A file is needed by no frame at all: its runs are none, or one of them has no frame.
    #[error("'{0}' has a run of frames without a frame")]
    Frames(TreePath),
}

impl From<Short> for TreeError {
    fn from(_: Short) -> Self {
        Self::NotATree
    }
}

impl Tree {
    /// A tree of these entries.
    ///
    /// # Errors
    /// When paths collide, runs of frames are empty, or it would be too long to be read again.
    pub fn new(entries: BTreeMap<TreePath, TreeEntry>) -> Result<Self, TreeError> {
        check_collisions(&entries)?;
        let mut length = MAGIC.len() + 1 + 4;
        for (path, entry) in &entries {
            let runs = entry.frames.as_deref();
            if runs.is_some_and(|runs| runs.is_empty() || runs.iter().any(|run| run.is_empty())) {
                return Err(TreeError::Frames(path.clone()));
            }
            length += LEAST_ENTRY - 1 + path.as_str().len() + 12 * runs.map_or(0, <[_]>::len);
        }
        if length > MAX_ENCODED {
            return Err(TreeError::TooLong);
        }
        Ok(Self { entries })
    }

    /// Its files, by path.
    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<TreePath, TreeEntry> {
        &self.entries
    }

    /// The files that one of `frames` needs, by path.
    pub fn needed_for<'a>(
        &'a self,
        frames: &'a [i32],
    ) -> impl Iterator<Item = (&'a TreePath, &'a TreeEntry)> {
        self.entries.iter().filter(|(_, entry)| entry.needed_for(frames))
    }

    /// The size of all files together, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.entries.values().fold(0, |sum, entry| sum.saturating_add(entry.size))
    }

    /// Its one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend_from_slice(&narrow(self.entries.len()).to_le_bytes());
        for (path, entry) in &self.entries {
            let text = path.as_str().as_bytes();
            // A path has at most 4096 bytes.
            bytes.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend_from_slice(text);
            bytes.extend_from_slice(&entry.blob.0);
            bytes.extend_from_slice(&entry.size.to_le_bytes());
            let runs = entry.frames.as_deref().unwrap_or_default();
            bytes.extend_from_slice(&narrow(runs.len()).to_le_bytes());
            for run in runs {
                for number in [run.start, run.end, run.step] {
                    bytes.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
        bytes
    }

    /// Reads an encoding. Allocates no more than a small multiple of what it is given.
    ///
    /// # Errors
    /// When `bytes` are not the one encoding of a tree.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        if bytes.len() > MAX_ENCODED {
            return Err(TreeError::TooLong);
        }
        let mut reader = Reader(bytes);
        if &reader.array()? != MAGIC {
            return Err(TreeError::NotATree);
        }
        match reader.u8()? {
            VERSION => {}
            other => return Err(TreeError::Version(other)),
        }
        let count = reader.u32()?;
        if count as usize > reader.0.len() / LEAST_ENTRY {
            return Err(TreeError::NotATree);
        }
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let (path, entry) = decode_entry(&mut reader)?;
            if entries.last_key_value().is_some_and(|(last, _)| *last >= path) {
                return Err(TreeError::NotATree);
            }
            entries.insert(path, entry);
        }
        if !reader.0.is_empty() {
            return Err(TreeError::NotATree);
        }
        Self::new(entries)
    }
}

fn decode_entry(reader: &mut Reader<'_>) -> Result<(TreePath, TreeEntry), TreeError> {
    let length = reader.u16()?;
    let text = std::str::from_utf8(reader.bytes(length.into())?);
    let path = TreePath::new(text.map_err(|_| TreeError::NotATree)?)?;
    let blob = BlobId(reader.array()?);
    let size = reader.u64()?;
    let count = reader.u32()? as usize;
    if count > reader.0.len() / 12 {
        return Err(TreeError::NotATree);
    }
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        runs.push(FrameRun { start: reader.i32()?, end: reader.i32()?, step: reader.i32()? });
    }
    let frames = (count > 0).then_some(runs);
    Ok((path, TreeEntry { blob, size, frames }))
}

fn check_collisions(entries: &BTreeMap<TreePath, TreeEntry>) -> Result<(), TreeError> {
    let mut folded = BTreeMap::new();
    for path in entries.keys() {
        if let Some(other) = folded.insert(path.folded(), path) {
            return Err(TreeError::Collision(other.clone(), path.clone()));
        }
    }
    // A folder's files often follow each other; each folder is looked up once.
    let mut seen = BTreeSet::new();
    for (name, path) in &folded {
        for (end, _) in name.match_indices('/') {
            let folder = &name[..end];
            if !seen.insert(folder) {
                continue;
            }
            if let Some(file) = folded.get(folder) {
                return Err(TreeError::Collision((*file).clone(), (*path).clone()));
            }
        }
    }
    Ok(())
}

/// A count as it is encoded; a tree has fewer entries than bytes, which are capped far below.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    fn entry(frames: Option<Vec<FrameRun>>) -> TreeEntry {
        TreeEntry { blob: BlobId([9; 32]), size: 5, frames }
    }

    fn tree(paths: &[&str]) -> Result<Tree, TreeError> {
        Tree::new(paths.iter().map(|text| (path(text), entry(None))).collect())
    }

    #[test]
    fn the_layout_is_as_documented() {
        let runs = vec![FrameRun { start: -1, end: 5, step: 2 }];
        let tree = Tree::new([(path("a/b"), entry(Some(runs)))].into()).unwrap();
        let mut expected = b"WTRE\x01\x01\0\0\0\x03\0a/b".to_vec();
        expected.extend_from_slice(&[9; 32]);
        expected.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        expected.extend_from_slice(&[255, 255, 255, 255, 5, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(tree.encode(), expected);
    }

    #[test]
    fn colliding_paths_are_refused() {
        for paths in [
            &["a/B.png", "a/b.PNG"][..],
            &["é", "e\u{301}"],
            &["a", "a/b"],
            &["A", "a/b"],
            &["x/y/z", "x/y"],
            &["ſ/1", "s"],
            &["a", "a-b", "a/c"],
        ] {
            assert!(matches!(tree(paths), Err(TreeError::Collision(..))), "{paths:?}");
        }
        assert!(tree(&["a/b", "a/c", "ab", "a-b/c", "b/a"]).is_ok());
    }

    #[test]
    fn frames_choose_entries() {
        let runs = vec![FrameRun { start: 1, end: 9, step: 4 }];
        let entries = [(path("all"), entry(None)), (path("some"), entry(Some(runs)))];
        let tree = Tree::new(entries.into()).unwrap();
        let names = |frames: &[i32]| -> Vec<String> {
            tree.needed_for(frames).map(|(path, _)| path.to_string()).collect()
        };
        assert_eq!(names(&[2, 4]), ["all"]);
        assert_eq!(names(&[2, 5]), ["all", "some"]);
        assert_eq!(names(&[]), ["all"]);
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let good = tree(&["a", "b"]).unwrap().encode();
        assert!(Tree::decode(&good).is_ok());
        let changed = |place: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[place] = value;
            Tree::decode(&bytes)
        };
        assert_eq!(changed(4, 9), Err(TreeError::Version(9)));
        assert_eq!(changed(5, 3), Err(TreeError::NotATree), "more entries than bytes");
        assert_eq!(changed(5, 1), Err(TreeError::NotATree), "bytes after the last entry");
        assert_eq!(changed(11, b'c'), Err(TreeError::NotATree), "out of order");
        assert_eq!(changed(11, b'b'), Err(TreeError::NotATree), "twice");
        assert_eq!(changed(11, b'/'), Err(TreePathError::Empty.into()));
        assert_eq!(changed(11, 0xff), Err(TreeError::NotATree), "not UTF-8");
        assert_eq!(changed(8, 0xff), Err(TreeError::NotATree), "a huge count");
        let none = Some(vec![FrameRun { start: 5, end: 1, step: 1 }]);
        for frames in [Some(vec![]), none] {
            let refused = Tree::new([(path("a"), entry(frames))].into());
            assert_eq!(refused, Err(TreeError::Frames(path("a"))));
        }
    }

    proptest! {
        #[test]
        fn encodings_round_trip(
            files in prop::collection::btree_map("[b-k]{1,8}(/[b-k]{1,8}){0,2}\\.f", (
                any::<[u8; 32]>(), any::<u64>(),
                prop::option::of(prop::collection::vec((-99_i32..0, 0_i32..99, 1_i32..5), 1..4)),
            ), 0..20),
            place in any::<prop::sample::Index>(), value in any::<u8>(),
        ) {
            let entries = files.into_iter().map(|(text, (blob, size, runs))| {
                let frames = runs.map(|runs| {
                    runs.into_iter().map(|(start, end, step)| FrameRun { start, end, step }).collect()
                });
                (path(&text), TreeEntry { blob: BlobId(blob), size, frames })
            });
            let tree = Tree::new(entries.collect()).unwrap();
            let mut bytes = tree.encode();
            prop_assert_eq!(Tree::decode(&bytes), Ok(tree));
            let place = place.index(bytes.len());
            bytes[place] = value;
            if let Ok(other) = Tree::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }
    }
}
