//! Putting whole blobs in place: the one way in which a blob becomes whole.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use weft_protocol::content::Manifest;
use weft_protocol::ids::BlobId;

use crate::catalog::Tables;
use crate::disk::{Access, Disk, DiskFile};
use crate::error::{CatalogError, DiskError};
use crate::holds::Hold;
use crate::ingest::Added;
use crate::partial::Partial;
use crate::tables::{self, BlobRow, ChunkRow, Looks, Place, RememberedRow};
use crate::{Store, locked, names, now};

/// From how many files on, all that the file system holds is synced instead of each of them.
const MANY: usize = 32;

/// A blob whose bytes are all here, and which the catalog doesn't know yet.
#[derive(Debug)]
pub(crate) struct Prepared<'s> {
    pub(crate) id: BlobId,
    pub(crate) manifest: Manifest,
    pub(crate) encoded: Vec<u8>,
    pub(crate) body: Body<'s>,
    /// The file it came from, to be remembered.
    pub(crate) remember: Option<(Vec<u8>, Looks)>,
    /// Taken before the blob is looked up, so that it isn't collected in between.
    pub(crate) _hold: Hold,
}

/// Where a prepared blob's bytes are.
#[derive(Debug)]
pub(crate) enum Body<'s> {
    /// In memory; at most [`crate::INLINE_MAX`] of them.
    Inline(Vec<u8>),
    /// In a copy of our own.
    Copy(Temporary<'s>),
    /// In the file they were received into.
    Received(Arc<Partial>),
    /// In place already, it is thought.
    Elsewhere,
}

impl Body<'_> {
    /// Whether its file was written just now, from bytes that were hashed.
    fn was_written(&self) -> bool {
        match self {
            Self::Copy(_) => true,
            Self::Received(partial) => partial.is_of_one_go(),
            Self::Inline(_) | Self::Elsewhere => false,
        }
    }
}

/// A file under `tmp/`, removed unless it is moved into place.
#[derive(Debug)]
pub(crate) struct Temporary<'s> {
    disk: &'s dyn Disk,
    name: String,
    file: Option<Arc<dyn DiskFile>>,
    /// Whether all that was written to it lasts.
    pub(crate) synced: bool,
    moved: bool,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.moved {
            self.file = None;
            // If this fails, opening the store will do it.
            let _ = self.disk.remove(&self.name);
        }
    }
}

impl Temporary<'_> {
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.file.as_ref();
        let written = file.map_or(Ok(()), |file| file.write_at(offset, bytes));
        written.map_err(|error| self.failed(error))
    }

    /// The file, until it's closed.
    pub(crate) fn file(&self) -> Option<Arc<dyn DiskFile>> {
        self.file.clone()
    }

    /// Closes it: handles are few, and many files may wait for one commit.
    pub(crate) fn close(mut self) -> Self {
        self.file = None;
        self
    }

    pub(crate) fn failed(&self, error: io::Error) -> DiskError {
        DiskError::new(self.disk.path(&self.name), error)
    }

    /// Makes what was written to it last.
    fn sync(&self) -> Result<(), DiskError> {
        let synced = self.disk.open(&self.name, Access::Write).and_then(|file| file.sync());
        synced.map_err(|error| self.failed(error))
    }
}

impl Store {
    pub(crate) fn temporary(&self) -> Result<Temporary<'_>, DiskError> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}/{number}", names::TEMPORARY);
        let file = self.disk.create(&name);
        let file = file.map_err(|error| DiskError::new(self.disk.path(&name), error))?;
        let file = Some(Arc::from(file));
        Ok(Temporary { disk: &*self.disk, name, file, synced: false, moved: false })
    }

    /// Puts blobs in place: their data synced, their files renamed, their folders synced, then
    /// the catalog told, in one commit. When this returns they are durable. On an error none of
    /// them is known; files that were moved by then are collected as unknown ones.
    ///
    /// The results stand in the order of the blobs; `None` only for one that was thought to be in
    /// place and isn't.
    pub(crate) fn publish<E: From<DiskError> + From<CatalogError>>(
        &self,
        mut prepared: Vec<Prepared<'_>>,
        settle: impl FnOnce(&mut Tables<'_>) -> Result<(), CatalogError>,
    ) -> Result<Vec<Option<Added>>, E> {
        let begun = Instant::now();
        // Where many files wait, the whole file system is synced once instead of each of them.
        let many = prepared.iter().filter(|blob| blob.waits_for_sync()).count() >= MANY;
        let together = many && self.disk.can_sync_all();
        if !together && prepared.iter().any(|blob| !matches!(blob.body, Body::Inline(_))) {
            // Syncing is slow: as much as possible is done before others have to wait.
            let known = self.known(&prepared)?;
            for (blob, known) in prepared.iter_mut().zip(&known) {
                if !known {
                    sync_body(blob)?;
                }
            }
        }
        let publishing = locked(&self.publishing);
        let known = self.known(&prepared)?;
        let mut dirs = BTreeSet::new();
        for (blob, known) in prepared.iter_mut().zip(&known) {
            if !known {
                if !together {
                    sync_body(blob)?;
                }
                if self.move_body(blob)? {
                    dirs.insert(names::blob_dir(&blob.id));
                }
            }
        }
        if together && !dirs.is_empty() {
            let synced = self.disk.sync_all();
            synced.map_err(|error| DiskError::new(self.disk.path(names::BLOBS), error))?;
        } else {
            for dir in dirs {
                let synced = self.disk.sync_dir(&dir);
                synced.map_err(|error| DiskError::new(self.disk.path(&dir), error))?;
            }
        }
        let mut begun_before = BTreeSet::new();
        let added = self.catalog.write(|tables| {
            settle(tables)?;
            record_all(tables, &prepared, &known, &mut begun_before)
        })?;
        for blob in &prepared {
            self.opened.forget(&blob.id);
            if blob.body.was_written()
                && let Some(looks) = self.file_looks(&blob.id)
            {
                self.checked.note(blob.id, looks, begun);
            }
            let partial = locked(&self.partials).remove(&blob.id);
            // What was received of it, whether open or not. Gone already if it was the one to be renamed.
            if partial.is_some_and(|partial| partial.file_name().is_some())
                || begun_before.contains(&blob.id)
            {
                let _ = self.disk.remove(&names::partial(&blob.id));
            }
        }
        drop(publishing);
        Ok(added)
    }

    /// Which of the blobs are in place already, with their bytes where they should be.
    fn known(&self, prepared: &[Prepared<'_>]) -> Result<Vec<bool>, CatalogError> {
        let rows = self.catalog.read(|snapshot| {
            let blobs = snapshot.sheet(tables::BLOBS)?;
            let each = prepared.iter();
            // What can't be believed is put in place anew.
            Ok(each.map(|blob| blobs.row::<BlobRow>(&blob.id.0).ok().flatten()).collect::<Vec<_>>())
        })?;
        let each = rows.into_iter().zip(prepared);
        Ok(each
            .map(|(row, blob)| match row.map(|row| row.place) {
                Some(Place::Inline) => true,
                Some(Place::File) => self.disk.exists(&names::blob(&blob.id)).unwrap_or(false),
                None => false,
            })
            .collect())
    }

    /// Renames a blob's file into place, and says whether it has one.
    fn move_body(&self, blob: &mut Prepared<'_>) -> Result<bool, DiskError> {
        let to = names::blob(&blob.id);
        let failed = |error| DiskError::new(self.disk.path(&to), error);
        match &mut blob.body {
            Body::Inline(_) | Body::Elsewhere => return Ok(false),
            Body::Copy(copy) => {
                self.disk.rename(&copy.name, &to).map_err(failed)?;
                copy.moved = true;
            }
            Body::Received(partial) => match partial.file_name() {
                None => return Ok(false),
                Some(from) => match self.disk.rename(from, &to) {
                    // Renamed before, when the catalog could not be told.
                    Err(error)
                        if error.kind() == io::ErrorKind::NotFound
                            && self.disk.exists(&to).map_err(failed)? => {}
                    other => other.map_err(failed)?,
                },
            },
        }
        Ok(true)
    }
}

impl Prepared<'_> {
    fn waits_for_sync(&self) -> bool {
        matches!(&self.body, Body::Copy(copy) if !copy.synced)
    }
}

/// Makes a blob's bytes last, unless they do.
fn sync_body(blob: &mut Prepared<'_>) -> Result<(), DiskError> {
    match &mut blob.body {
        Body::Inline(_) | Body::Elsewhere => Ok(()),
        Body::Copy(copy) if copy.synced => Ok(()),
        Body::Copy(copy) => {
            copy.sync()?;
            copy.synced = true;
            Ok(())
        }
        Body::Received(partial) => partial.sync(),
    }
}

/// Notes that a whole blob is wanted now, if there is one of that id.
pub(crate) fn touch(tables: &mut Tables<'_>, blob: &BlobId) -> Result<(), CatalogError> {
    if let Some(row) = tables.blobs.row::<BlobRow>(&blob.0)? {
        tables.blobs.put_row(&blob.0, &BlobRow { touched: now(), ..row })?;
    }
    Ok(())
}

/// Tells the catalog about blobs.
fn record_all(
    tables: &mut Tables<'_>,
    prepared: &[Prepared<'_>],
    known: &[bool],
    begun_before: &mut BTreeSet<BlobId>,
) -> Result<Vec<Option<Added>>, CatalogError> {
    // In the order of their ids neighbours share the tables' pages.
    let mut order: Vec<usize> = (0..prepared.len()).collect();
    order.sort_by_key(|&position| prepared[position].id);
    let mut added = vec![None; prepared.len()];
    for &position in &order {
        let blob = &prepared[position];
        added[position] = record(tables, blob, known[position])?;
        if tables.partial.remove(&blob.id.0)? {
            begun_before.insert(blob.id);
        }
    }
    Ok(added)
}

/// Tells the catalog about one blob.
fn record(
    tables: &mut Tables<'_>,
    blob: &Prepared<'_>,
    known: bool,
) -> Result<Option<Added>, CatalogError> {
    let key = &blob.id.0;
    let manifest = &blob.manifest;
    // Of two that are the same in one batch, the second is known by now.
    let already_known = known || tables.blobs.row::<BlobRow>(key).ok().flatten().is_some();
    let received;
    let inline = match &blob.body {
        Body::Inline(bytes) => Some(bytes),
        Body::Received(partial) => {
            received = partial.in_memory();
            received.as_ref()
        }
        Body::Elsewhere if !known => return Ok(None),
        Body::Copy(_) | Body::Elsewhere => None,
    };
    let bytes_added = if known {
        touch(tables, &blob.id)?;
        0
    } else {
        record_new(tables, blob, inline, already_known)?
    };
    tables.lost.remove(key)?;
    if let Some((path, looks)) = &blob.remember {
        tables.remembered.put_row(path, &RememberedRow { looks: *looks, blob: blob.id })?;
    }
    Ok(Some(Added {
        id: blob.id,
        size: manifest.size,
        md5: manifest.md5,
        xxh64: manifest.xxh64,
        bytes_added,
        already_known,
    }))
}

/// Tells the catalog about a blob that it doesn't know, and says how many bytes of it are new.
pub(crate) fn record_new(
    tables: &mut Tables<'_>,
    blob: &Prepared<'_>,
    inline: Option<&Vec<u8>>,
    already_known: bool,
) -> Result<u64, CatalogError> {
    let key = &blob.id.0;
    let manifest = &blob.manifest;
    let place = if inline.is_some() { Place::Inline } else { Place::File };
    let mut bytes_added = 0;
    tables.manifests.put(key, &blob.encoded)?;
    tables.md5.put(&tables::join(&manifest.md5, key), &[])?;
    for ((index, chunk), offset) in (0_u32..).zip(&manifest.chunks).zip(manifest.offsets()) {
        if tables.chunks.any(&chunk.id.0)? {
            // The first place in this blob stands; another blob's doesn't matter here.
            if place == Place::Inline || tables.chunks.has(&tables::join(&chunk.id.0, key))? {
                continue;
            }
        } else if !already_known {
            bytes_added += u64::from(chunk.len);
        }
        if place == Place::File {
            let row = ChunkRow { index, offset, len: chunk.len };
            tables.chunks.put_row(&tables::join(&chunk.id.0, key), &row)?;
        }
    }
    if let Some(bytes) = inline {
        tables.inline.put(key, bytes)?;
    }
    let row = BlobRow {
        place,
        size: manifest.size,
        md5: manifest.md5,
        xxh64: manifest.xxh64,
        touched: now(),
    };
    tables.blobs.put_row(key, &row)?;
    Ok(bytes_added)
}
