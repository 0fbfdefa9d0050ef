//! Which blobs' files were read and found right of late, or written: those that may be given out as they are.
//! Whoever is given the store's own file, or its blocks, reads it without looking at a hash.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use weft_protocol::ids::BlobId;

use crate::error::ReadError;
use crate::looks::looks_of;
use crate::tables::Looks;
use crate::{Store, locked, names};

/// For how long a file counts as right once it was read. Disks spoil what lies for months; jobs that follow
/// each other with the same textures need not each read all of them.
const LASTS: Duration = Duration::from_secs(60 * 60);

/// How many files are remembered at most, some 10 MiB: as many as the largest scenes have.
const REMEMBERED: usize = 100_000;

/// The files that were found right, and when.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    files: Mutex<HashMap<BlobId, (Looks, Instant)>>,
}

impl Checked {
    /// Notes that a file that looks so was read and is right.
    pub(crate) fn note(&self, blob: BlobId, looks: Looks, now: Instant) {
        let mut files = locked(&self.files);
        if files.len() >= REMEMBERED && !files.contains_key(&blob) {
            files.retain(|_, (_, at)| now.duration_since(*at) < LASTS);
            if files.len() >= REMEMBERED {
                files.clear();
            }
        }
        files.insert(blob, (looks, now));
    }

    /// Whether a file that looks so was found right a short while ago.
    fn has(&self, blob: &BlobId, looks: &Looks, now: Instant) -> bool {
        let known = locked(&self.files).get(blob).copied();
        known.is_some_and(|(then, at)| then == *looks && now.duration_since(at) < LASTS)
    }
}

impl Store {
    /// How a blob's file looks. A second name changes the time of its last change, and nothing else of it.
    pub(crate) fn file_looks(&self, blob: &BlobId) -> Option<Looks> {
        let found = fs::symlink_metadata(self.disk.path(&names::blob(blob))).ok()?;
        found.is_file().then(|| Looks { changed: 0, ..looks_of(&found) })
    }

    /// Makes sure that a blob's file is right before somebody is given it, and reads it unless that was
    /// done, or it was written, within the last hour and it looks as it did then. Gives how it looks.
    pub(crate) fn ensure_right(&self, blob: BlobId) -> Result<Option<Looks>, ReadError> {
        let looks = self.file_looks(&blob);
        if looks.is_some_and(|looks| self.checked.has(&blob, &looks, Instant::now())) {
            return Ok(looks);
        }
        match self.verify_blob(blob)?.first() {
            None => Ok(looks),
            Some(&index) => {
                let error = ReadError::Corrupt { blob, index };
                self.suspects.name(blob, &error);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_counts_for_an_hour_and_while_it_looks_the_same() {
        let checked = Checked::default();
        let looks = Looks { size: 5, modified: 7, changed: 0, device: 1, inode: 2 };
        let (blob, now) = (BlobId([1; 32]), Instant::now());
        assert!(!checked.has(&blob, &looks, now));
        checked.note(blob, looks, now);
        assert!(checked.has(&blob, &looks, now + LASTS / 2));
        assert!(!checked.has(&blob, &Looks { modified: 8, ..looks }, now));
        assert!(!checked.has(&BlobId([2; 32]), &looks, now));
        assert!(!checked.has(&blob, &looks, now + LASTS));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let checked = Checked::default();
        let looks = Looks { size: 5, modified: 7, changed: 0, device: 1, inode: 2 };
        let begun = Instant::now();
        let blob = |n: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_le_bytes());
            BlobId(id)
        };
        for n in 0..REMEMBERED {
            checked.note(blob(n), looks, begun + LASTS * u32::from(n % 2 == 1) / 2);
        }
        // The older half is of no use any more, and goes.
        let now = begun + LASTS;
        checked.note(blob(REMEMBERED), looks, now);
        assert_eq!(locked(&checked.files).len(), REMEMBERED / 2 + 1);
        assert!(checked.has(&blob(1), &looks, now) && !checked.has(&blob(2), &looks, now));
    }
}
