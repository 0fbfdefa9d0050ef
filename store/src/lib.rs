//! The blob store: chunks, manifests, catalog, pins and verification.
//!
//! A [`Store`] is a folder. `catalog.redb` holds what is known (see `tables.rs`) and the smallest
//! blobs; every larger blob is one file under `blobs/`, and what is being received one under
//! `partial/`. The order that survives a crash at any point: data written, fdatasync, rename,
//! folder synced, catalog committed; and the other way round when something is deleted.
//!
//! Everything here blocks, and may be called from many threads at once.

mod blobs;
mod catalog;
mod checked;
mod checkout;
mod collect;
mod disk;
mod error;
mod facts;
mod hash;
mod holds;
mod ingest;
mod loaded;
mod looks;
mod md5_lanes;
mod mend;
mod names;
mod open;
mod pages;
mod partial;
mod pass;
mod pins;
mod publish;
mod receive;
mod remembered;
mod reserve;
mod salvage;
mod source;
mod summing;
mod suspects;
mod tables;
mod turns;
mod verify;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub use blobs::{BlobInfo, BlobReader, Stats};
pub use checkout::{How, Offered, TreeCheckout};
pub use collect::{Doomed, Plan};
pub use disk::{Access, Disk, DiskFile};
pub use error::{
    CatalogError, CheckoutError, CollectError, DiskError, IngestError, OpenError, ReadError,
    WriteError,
};
pub use facts::{Batch, Facts};
pub use hash::{FileHashes, hash_file, hash_reader, md5_hex};
pub use holds::{Hold, Intake};
pub use ingest::{AddOptions, Added};
pub use mend::{Lost, Mended};
pub use open::in_use;
pub use pins::Pin;
pub use tables::{ALL as TABLES, Name as Table};
pub use verify::CatalogDamage;

/// The largest blob that is kept in the catalog, in bytes: 16 KiB. A file of its own would cost
/// a small one more syncing than writing.
pub const INLINE_MAX: usize = 16 << 10;

/// A folder of blobs and records, open in this process and in no other.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    catalog: catalog::Catalog,
    holds: Arc<holds::Holds>,
    opened: source::Cache,
    checked: checked::Checked,
    suspects: Arc<suspects::Suspects>,
    partials: Mutex<loaded::Loaded>,
    /// Held while files move into or out of `blobs/` and the catalog is told: what one puts in
    /// place, another must not delete as unknown.
    publishing: Mutex<()>,
    /// Those of long files that are read at once.
    reading: turns::Turns,
    /// Numbers the files under `tmp/`.
    temporary: AtomicU64,
    /// After how many received bytes of a blob the catalog is told. Tests tell it more often.
    checkpoint: u64,
    /// What was mended when it was opened.
    mended: Option<Mended>,
    /// The lock on the folder, where there is one.
    _lock: Option<File>,
}

impl Store {
    /// The folder it is in.
    #[must_use]
    pub fn path(&self) -> std::path::PathBuf {
        self.disk.path("")
    }

    /// A folder for files that need not outlive this process: whatever is in it goes when the store is
    /// opened again.
    #[must_use]
    pub fn scratch(&self) -> std::path::PathBuf {
        self.disk.path(names::TEMPORARY)
    }

    /// Opens the store in a folder, and makes it if there is none.
    ///
    /// What a crash left half done is put in order: unfinished copies go, what was being received
    /// stays as far as it is certain.
    ///
    /// # Errors
    /// [`OpenError::InUse`] and [`OpenError::Newer`] change nothing.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        open::open(dir)
    }
}

/// Locks; what a thread that panicked left behind is consistent, since nothing here is changed in
/// several steps.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
