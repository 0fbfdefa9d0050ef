//! Whole blobs that turned out to be damaged when somebody read them, whoever that was: they are named to one
//! who heals them, long before a scrub would find them.

use std::fmt;
use std::sync::OnceLock;

use weft_protocol::ids::BlobId;

use crate::Store;
use crate::error::{DiskError, ReadError};

/// Who is told of damaged blobs.
type Told = Box<dyn Fn(BlobId) + Send + Sync>;

/// Where those who read blobs name those that are damaged.
#[derive(Default)]
pub(crate) struct Suspects(OnceLock<Told>);

impl fmt::Debug for Suspects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suspects(told: {})", self.0.get().is_some())
    }
}

impl Suspects {
    /// A blob could not be read; if that is what its disk has made of it, whoever heals it is told.
    pub(crate) fn name(&self, blob: BlobId, error: &ReadError) {
        if error.is_damage()
            && let Some(told) = self.0.get()
        {
            told(blob);
        }
    }
}

impl ReadError {
    /// Whether a blob could not be read because of what its disk has made of it: wrong bytes, or a sector that
    /// can't be read.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Disk(DiskError::Io { .. }))
    }
}

impl Store {
    /// From now on `told` is called with each whole blob that turns out to be damaged when anybody reads it,
    /// each time that happens, except in [`verify_blob`](Self::verify_blob), which says so itself. It is called by
    /// the thread that reads and must not wait. Only the first that is given counts.
    pub fn on_damage(&self, told: impl Fn(BlobId) + Send + Sync + 'static) {
        let _ = self.suspects.0.set(Box::new(told));
    }
}
