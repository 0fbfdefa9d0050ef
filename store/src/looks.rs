//! How files look from outside: what tells, without reading one, that it is as it was.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::IngestError;
use crate::tables::Looks;

/// How old a file's last change must be, in nanoseconds, for the file to be remembered: a second
/// change within the same tick of the file system's clock would not show.
const SETTLED: i128 = 2_000_000_000;

/// The longest path that is remembered, in bytes.
const LONGEST_PATH: usize = 4096;

/// What the system says of a path that must be a regular file, links followed.
pub(crate) fn metadata(path: &Path) -> Result<Metadata, IngestError> {
    let path = || PathBuf::from(path);
    let metadata =
        fs::metadata(path()).map_err(|source| IngestError::Source { path: path(), source })?;
    if metadata.is_file() { Ok(metadata) } else { Err(IngestError::NotAFile { path: path() }) }
}

/// The key under which a path is remembered; `None` if it is too long for that.
pub(crate) fn path_key(path: &Path) -> Option<Vec<u8>> {
    let absolute = std::path::absolute(path).ok()?;
    let key = absolute.as_os_str().as_encoded_bytes();
    (key.len() <= LONGEST_PATH).then(|| key.to_vec())
}

/// Nanoseconds since 1970.
pub(crate) fn nanoseconds(time: SystemTime) -> i128 {
    let signed =
        |duration: std::time::Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => signed(since),
        Err(before) => -signed(before.duration()),
    }
}

/// Whether a file's last change was long enough before `moment` (nanoseconds since 1970) that a
/// later one would show.
pub(crate) fn is_settled(looks: &Looks, moment: i128) -> bool {
    looks.modified.max(looks.changed) < moment - SETTLED
}

pub(crate) fn looks_of(metadata: &Metadata) -> Looks {
    let modified = metadata.modified().map_or(0, nanoseconds);
    let looks = Looks { size: metadata.len(), modified, changed: 0, device: 0, inode: 0 };
    with_inode(looks, metadata)
}

#[cfg(unix)]
fn with_inode(looks: Looks, metadata: &Metadata) -> Looks {
    use std::os::unix::fs::MetadataExt;
    let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    Looks { changed, device: metadata.dev(), inode: metadata.ino(), ..looks }
}

#[cfg(not(unix))]
fn with_inode(looks: Looks, _metadata: &Metadata) -> Looks {
    looks
}
