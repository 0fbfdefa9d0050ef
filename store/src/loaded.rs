//! Which of the blobs that are being received are open: those that somebody uses, and a few that
//! were used last. Each is a file and a manifest, and a peer's question is enough to open one.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use weft_protocol::ids::BlobId;

use crate::error::{CatalogError, DiskError};
use crate::holds::Holds;
use crate::partial::Partial;
use crate::tables::{self, PartialRow};
use crate::{Store, locked, names};

/// How many stay open at most that nobody uses.
const OPEN_IDLE: usize = 16;

/// The blobs that are being received and open.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    partials: BTreeMap<BlobId, Entry>,
    /// How often one of them was asked for.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    partial: Arc<Partial>,
    /// At which of the uses it was asked for last.
    used: u64,
}

impl Loaded {
    pub(crate) fn get(&mut self, blob: &BlobId) -> Option<Arc<Partial>> {
        let entry = self.partials.get_mut(blob)?;
        self.uses += 1;
        entry.used = self.uses;
        Some(Arc::clone(&entry.partial))
    }

    pub(crate) fn insert(&mut self, partial: Arc<Partial>) {
        self.uses += 1;
        self.partials.insert(partial.id(), Entry { partial, used: self.uses });
    }

    pub(crate) fn remove(&mut self, blob: &BlobId) -> Option<Arc<Partial>> {
        self.partials.remove(blob).map(|entry| entry.partial)
    }

    pub(crate) fn has(&self, blob: &BlobId) -> bool {
        self.partials.contains_key(blob)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Partial>> {
        self.partials.values().map(|entry| &entry.partial)
    }

    /// Those that nobody holds or has in hand, but for some that were used last.
    fn idle(&self, holds: &Holds, keep: usize) -> Vec<Arc<Partial>> {
        let idle = |(blob, entry): &(&BlobId, &Entry)| {
            Arc::strong_count(&entry.partial) == 1 && !holds.has(blob)
        };
        let mut idle: Vec<_> = self.partials.iter().filter(idle).map(|(_, entry)| entry).collect();
        idle.sort_by_key(|entry| entry.used);
        idle.truncate(idle.len().saturating_sub(keep));
        idle.into_iter().map(|entry| Arc::clone(&entry.partial)).collect()
    }

    /// Closes one that is to be deleted, and says whether it is closed: not if somebody uses it.
    pub(crate) fn close_unused(&mut self, blob: &BlobId, holds: &Holds) -> bool {
        let used = |entry: &Entry| Arc::strong_count(&entry.partial) > 1 || holds.has(blob);
        if self.partials.get(blob).is_some_and(used) {
            return false;
        }
        self.partials.remove(blob);
        true
    }
}

impl Store {
    /// Closes the blobs that are being received and that nobody uses, but for some that were used
    /// last. What came of them is told to the catalog first: whoever wants them goes on from there.
    ///
    /// # Errors
    /// The first one. They are closed all the same, and what the catalog was not told of is lost.
    pub(crate) fn close_idle(&self, keep: usize) -> Result<(), CatalogError> {
        let idle = locked(&self.partials).idle(&self.holds, keep);
        let mut result = Ok(());
        for partial in idle {
            result = result.and(self.close(&partial));
        }
        result
    }

    /// Sees to it that few are open that nobody uses.
    pub(crate) fn close_most_idle(&self) {
        if let Err(error) = self.close_idle(OPEN_IDLE) {
            tracing::warn!(%error, "of what was received in part something will come again");
        }
    }

    fn close(&self, partial: &Arc<Partial>) -> Result<(), CatalogError> {
        let blob = partial.id();
        let row = self
            .catalog
            .read(|snapshot| snapshot.sheet(tables::PARTIAL)?.row::<PartialRow>(&blob.0));
        let mut is_known = !matches!(row, Ok(None));
        let state = partial.state();
        let is_told =
            matches!(row, Ok(Some(row)) if (&row.held, row.touched) == (&state.0, state.1));
        let tells = !is_told && partial.file_name().is_some() && (is_known || !state.0.is_empty());
        let told = if tells { self.checkpoint(partial, partial.syncs()) } else { Ok(()) };
        is_known |= tells && told.is_ok();
        // Whoever reads in the catalog how far it has come, to open it, holds this too.
        let publishing = locked(&self.publishing);
        // A commit that made it whole may have failed and be written all the same: then its file is in place. Asked
        // before the list is locked: whoever is in the catalog may wait for that.
        let is_whole = self.catalog.read(|snapshot| snapshot.sheet(tables::BLOBS)?.has(&blob.0));
        let mut partials = locked(&self.partials);
        let is_used = Arc::strong_count(partial) > 2 || self.holds.has(&blob);
        let is_listed = partials.iter().any(|listed| Arc::ptr_eq(listed, partial));
        if is_used || !is_listed || (told.is_ok() && partial.state() != state) {
            return told;
        }
        partials.remove(&blob);
        let is_whole = is_whole?;
        let tidied = partial.file_name().map_or(Ok(()), |name| match is_known && !is_whole {
            true => self.move_back(&blob, name),
            // Nothing is lost: a file that the catalog doesn't know would be none after a restart.
            false => self.disk.remove(name),
        });
        drop((partials, publishing));
        // A file that is gone was not to be kept.
        let tidied = tidied.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(DiskError::new(names::partial(&blob), error).into()),
        });
        told.and(tidied)
    }

    /// Moves a blob's file to where it is looked for while the blob is not whole: a finish that failed
    /// half-way may have moved it.
    fn move_back(&self, blob: &BlobId, name: &str) -> io::Result<()> {
        match self.disk.exists(name)? {
            true => Ok(()),
            false => self.disk.rename(&names::blob(blob), name),
        }
    }
}
