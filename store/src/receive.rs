//! Receiving: blobs that come chunk by chunk, in any order, and survive restarts.

use std::io;
use std::sync::{Arc, Mutex};

use weft_protocol::content::{Bitmap, Manifest};
use weft_protocol::ids::BlobId;

use crate::disk::Access;
use crate::error::{CatalogError, DiskError, WriteError};
use crate::holds::Hold;
use crate::partial::{Partial, Place};
use crate::publish::{Body, Prepared};
use crate::source::decode_manifest;
use crate::tables::{self, ChunkRow, PartialRow};
use crate::{INLINE_MAX, Store, locked, names, now};

/// How many bytes of a blob may have come that the catalog doesn't know to be on disk: a restart
/// fetches at most so many again. Half of them are synced while the other half comes.
pub(crate) const CHECKPOINT: u64 = 16 << 20;

/// How many chunks are looked up at once when a blob begins.
const LOOKUPS: usize = 1024;

impl Store {
    /// Begins to receive a blob, or goes on with it, and says which chunks are here already.
    ///
    /// Room for all of it is reserved, and chunks that other blobs in this store have are copied
    /// at once: only what is missing in the result needs to be fetched. A blob that is whole gives
    /// a full bitmap.
    ///
    /// Whoever goes on with it holds it meanwhile ([`hold`](Self::hold)). What nobody holds is
    /// collected in its time.
    ///
    /// # Errors
    /// [`WriteError::WrongManifest`] before anything is stored; [`WriteError::Disk`] when there is
    /// no room.
    pub fn begin_partial(&self, blob: BlobId, manifest: &[u8]) -> Result<Bitmap, WriteError> {
        // While it's held nobody closes it.
        let _hold = self.hold(blob);
        if Manifest::id_of(manifest) != blob {
            return Err(WriteError::WrongManifest { blob });
        }
        if let Some(have) = self.have(blob).or_else(damaged_is_none)? {
            if let Some(partial) = locked(&self.partials).get(&blob) {
                partial.touch();
            }
            return Ok(have);
        }
        let decoded = Manifest::decode(manifest)?;
        self.forget_without_file(&blob)?;
        let partial = {
            let mut partials = locked(&self.partials);
            if let Some(partial) = partials.get(&blob) {
                return Ok(partial.held());
            }
            let partial = Arc::new(self.new_partial(blob, decoded, manifest.to_vec())?);
            partials.insert(Arc::clone(&partial));
            partial
        };
        self.close_most_idle();
        // Whoever makes it whole from now on takes it off the list; whoever did so before it came
        // onto the list is noticed here.
        if self.has(blob).or_else(|error| damaged_is_none(error).map(|_| false))? {
            self.drop_partial(blob)?;
            return Ok(Bitmap::full(partial.manifest().chunk_count()));
        }
        self.copy_known_chunks(&partial)?;
        Ok(partial.held())
    }

    /// Which chunks of a blob are here: all of a whole one, some of one that is being received;
    /// `None` if there is neither.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn have(&self, blob: BlobId) -> Result<Option<Bitmap>, CatalogError> {
        if let Some(partial) = locked(&self.partials).get(&blob) {
            return Ok(Some(partial.held()));
        }
        if let Some(source) = self.opened.get(&blob) {
            return Ok(Some(Bitmap::full(source.manifest.chunk_count())));
        }
        if self.has(blob)? {
            let manifest = self.manifest(blob)?;
            return Ok(manifest.map(|manifest| Bitmap::full(manifest.chunk_count())));
        }
        Ok(self.partial(&blob)?.map(|partial| partial.held()))
    }

    /// Stores a chunk that came, and says which chunks of the blob are new by that: none if it was
    /// here, several if the blob has it several times.
    ///
    /// It is checked before it is written, and may be served from now on. It survives a crash
    /// after the next checkpoint, when at most 16 MiB more have come, or when the blob is finished.
    ///
    /// # Errors
    /// [`WriteError::Mismatch`]: these are other bytes, and nothing was stored.
    pub fn write_chunk(
        &self,
        blob: BlobId,
        index: u32,
        bytes: &[u8],
    ) -> Result<Vec<u32>, WriteError> {
        let Some(partial) = self.partial(&blob)? else {
            // It may have become whole meanwhile; then this chunk is of no use.
            return if self.has(blob)? {
                Ok(Vec::new())
            } else {
                Err(WriteError::Unknown { blob })
            };
        };
        self.write_to(&partial, index, bytes)
    }

    fn write_to(
        &self,
        partial: &Partial,
        index: u32,
        bytes: &[u8],
    ) -> Result<Vec<u32>, WriteError> {
        // One half may be on its way to the disk, and the catalog not be told, while another
        // comes.
        let half = self.checkpoint / 2;
        partial.write(index, bytes, half, |syncs| Ok(self.checkpoint(partial, syncs)?))
    }

    /// Makes a blob whole whose chunks have all come. When this returns it is durable.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`] if chunks are missing.
    pub fn finish(&self, blob: BlobId) -> Result<(), WriteError> {
        self.finish_many(&[blob])
    }

    /// Makes blobs whole whose chunks have all come, with one commit. When this returns they are
    /// durable; one that was whole before stays so.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`] or [`WriteError::Unknown`] for one of them: then none is made
    /// whole by this call.
    pub fn finish_many(&self, blobs: &[BlobId]) -> Result<(), WriteError> {
        let mut prepared = Vec::new();
        for &blob in blobs {
            let hold = self.hold(blob);
            let Some(partial) = self.partial(&blob)? else {
                if self.has(blob)? {
                    continue;
                }
                return Err(WriteError::Unknown { blob });
            };
            prepared.push(ready(&partial, hold)?);
        }
        self.publish_received(prepared)
    }

    /// Stores small blobs, each handed over with its manifest and all its bytes, with one commit:
    /// thousands of small files cost no more syncing than one.
    ///
    /// # Errors
    /// On any of them nothing is stored. [`WriteError::NotSmall`] above [`INLINE_MAX`].
    pub fn put_small(&self, blobs: &[(BlobId, &[u8], &[u8])]) -> Result<(), WriteError> {
        let mut prepared = Vec::with_capacity(blobs.len());
        for &(id, encoded, bytes) in blobs {
            if Manifest::id_of(encoded) != id {
                return Err(WriteError::WrongManifest { blob: id });
            }
            let manifest = Manifest::decode(encoded)?;
            if manifest.size > INLINE_MAX as u64 || manifest.chunks.len() > 1 {
                return Err(WriteError::NotSmall { blob: id });
            }
            let hash = manifest.chunks.first().map(|chunk| chunk.id.0);
            let right = hash.is_none_or(|hash| *blake3::hash(bytes).as_bytes() == hash);
            if bytes.len() as u64 != manifest.size || !right {
                return Err(WriteError::Mismatch { blob: id, index: 0 });
            }
            prepared.push(Prepared {
                id,
                manifest,
                encoded: encoded.to_vec(),
                body: Body::Inline(bytes.to_vec()),
                remember: None,
                _hold: self.hold(id),
            });
        }
        self.publish_received(prepared)
    }

    fn publish_received(&self, prepared: Vec<Prepared<'_>>) -> Result<(), WriteError> {
        if prepared.is_empty() {
            return Ok(());
        }
        self.publish::<WriteError>(prepared, |_| Ok(())).map(|_| ())
    }

    /// Gives up a blob that is not whole, and what was received of it. A whole one stays.
    ///
    /// # Errors
    /// When the catalog or the disk refuses.
    pub fn drop_partial(&self, blob: BlobId) -> Result<(), WriteError> {
        let publishing = locked(&self.publishing);
        let partial = locked(&self.partials).remove(&blob);
        self.catalog.free(|tables| {
            if tables.partial.remove(&blob.0)? && !tables.blobs.has(&blob.0)? {
                tables.manifests.remove(&blob.0)?;
            }
            Ok(())
        })?;
        // One that was begun anew meanwhile has that file, and who begins it from now on waits for this.
        let partials = locked(&self.partials);
        if partials.has(&blob) {
            return Ok(());
        }
        let name = names::partial(&blob);
        let removed = match self.disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DiskError::new(self.disk.path(&name), error).into())
            }
            _ => Ok(()),
        };
        drop((partials, publishing));
        drop(partial);
        removed
    }

    /// A blob that is being received, from memory or from the catalog.
    pub(crate) fn partial(&self, blob: &BlobId) -> Result<Option<Arc<Partial>>, CatalogError> {
        if let Some(partial) = locked(&self.partials).get(blob) {
            return Ok(Some(partial));
        }
        let known = self.catalog.read(|snapshot| snapshot.sheet(tables::PARTIAL)?.has(&blob.0))?;
        if !known {
            return Ok(None);
        }
        // While this is held, no file is moved or removed that the catalog is said to have.
        let publishing = locked(&self.publishing);
        let found = self.catalog.read(|snapshot| {
            if snapshot.sheet(tables::BLOBS)?.has(&blob.0)? {
                return Ok(None);
            }
            let Some(row) = snapshot.sheet(tables::PARTIAL)?.row::<PartialRow>(&blob.0)? else {
                return Ok(None);
            };
            let manifest = snapshot.sheet(tables::MANIFESTS)?.get(&blob.0)?;
            let manifest = manifest.ok_or(CatalogError::Damaged { table: tables::MANIFESTS.0 })?;
            Ok(Some((row, manifest)))
        })?;
        let Some((row, encoded)) = found else {
            return Ok(None);
        };
        let manifest = decode_manifest(blob, &encoded)?;
        if row.held.len() != manifest.chunk_count() {
            return Err(CatalogError::Damaged { table: tables::PARTIAL.0 });
        }
        let mut partials = locked(&self.partials);
        if let Some(partial) = partials.get(blob) {
            return Ok(Some(partial));
        }
        let name = names::partial(blob);
        let open = || self.disk.open(&name, Access::Write);
        let opened = match open() {
            // It lies where whole ones do: it was to be moved from there when part of it was found damaged, or was moved
            // there and the catalog could not be told.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.disk.rename(&names::blob(blob), &name).and_then(|()| open())
            }
            opened => opened,
        };
        let file = match opened {
            Ok(file) => file,
            // It is lost, or the blob was given up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DiskError::new(self.disk.path(&name), error).into()),
        };
        let place = Place::File { name, file };
        let partial = Partial::new(manifest, encoded, place, row.held, row.touched);
        let partial = Arc::new(partial);
        partials.insert(Arc::clone(&partial));
        drop((partials, publishing));
        self.close_most_idle();
        Ok(Some(partial))
    }

    /// Forgets what came of a blob whose file is lost: the file that takes its place has nothing of it.
    fn forget_without_file(&self, blob: &BlobId) -> Result<(), CatalogError> {
        if !self.catalog.read(|snapshot| snapshot.sheet(tables::PARTIAL)?.has(&blob.0))? {
            return Ok(());
        }
        // Whoever begins it at the same time tells the catalog of it once it is on the list.
        let publishing = locked(&self.publishing);
        self.catalog.write(|tables| {
            if !locked(&self.partials).has(blob) {
                tables.partial.remove(&blob.0)?;
            }
            Ok(())
        })?;
        drop(publishing);
        Ok(())
    }

    fn new_partial(
        &self,
        blob: BlobId,
        manifest: Manifest,
        encoded: Vec<u8>,
    ) -> Result<Partial, DiskError> {
        let held = Bitmap::new(manifest.chunk_count());
        // A stranger's small blob may still come in several chunks; it gets a file.
        let place = if manifest.size <= INLINE_MAX as u64 && manifest.chunks.len() <= 1 {
            Place::Memory(Mutex::default())
        } else {
            let name = names::partial(&blob);
            let failed = |error| DiskError::new(self.disk.path(&name), error);
            let file = self.disk.create(&name).map_err(failed)?;
            if let Err(error) = file.allocate(manifest.size) {
                // The message matters more than what is left of the file; opening removes it.
                let _ = self.disk.remove(&name);
                return Err(failed(error));
            }
            Place::File { name, file }
        };
        Ok(Partial::new(manifest, encoded, place, held, now()))
    }

    /// Copies the chunks that whole blobs of this store have.
    fn copy_known_chunks(&self, partial: &Partial) -> Result<(), WriteError> {
        let mut wanted = partial.held().missing().collect::<Vec<_>>().into_iter();
        loop {
            let some: Vec<u32> = wanted.by_ref().take(LOOKUPS).collect();
            if some.is_empty() {
                return Ok(());
            }
            let found = self.catalog.read(|snapshot| {
                let sheet = snapshot.sheet(tables::CHUNKS)?;
                let each = some.into_iter().map(|index| {
                    let chunk = &partial.manifest().chunks[index as usize];
                    let entry = sheet.page(&chunk.id.0, None, 1)?.pop();
                    let place = entry.and_then(|(key, content)| {
                        let blob = BlobId(*key.last_chunk()?);
                        let row = tables::decode::<ChunkRow>(sheet.name, &content.ok()?).ok()?;
                        Some((blob, row.index))
                    });
                    Ok((index, place))
                });
                each.collect::<Result<Vec<_>, _>>()
            })?;
            for (index, place) in found {
                let Some((blob, there)) = place else { continue };
                if partial.held().get(index) {
                    continue;
                }
                // What can't be read here, or is damaged, will be fetched.
                let Ok(Some(source)) = self.source(&blob) else {
                    continue;
                };
                let Ok(bytes) = source.chunk(there) else {
                    continue;
                };
                match self.write_to(partial, index, &bytes) {
                    Ok(_) | Err(WriteError::Mismatch { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Makes last what was received of a blob, and tells the catalog, unless a sync was begun
    /// since there were so many.
    pub(crate) fn checkpoint(&self, partial: &Partial, syncs: u64) -> Result<(), CatalogError> {
        let mut name_lasts = locked(&partial.telling);
        if partial.syncs() != syncs {
            return Ok(());
        }
        partial.sync()?;
        if !*name_lasts {
            let dir = names::PARTIAL;
            let synced = self.disk.sync_dir(dir);
            synced.map_err(|error| DiskError::new(self.disk.path(dir), error))?;
            *name_lasts = true;
        }
        let (held, touched) = partial.synced();
        let key = &partial.id().0;
        self.catalog.write(|tables| {
            // Whoever made it whole meanwhile has told the catalog more than this.
            if tables.blobs.has(key)? || !locked(&self.partials).has(&partial.id()) {
                return Ok(());
            }
            if !tables.manifests.has(key)? {
                tables.manifests.put(key, partial.encoded())?;
            }
            tables.partial.put_row(key, &PartialRow { held, touched })
        })?;
        drop(name_lasts);
        Ok(())
    }
}

/// A blob to be put in place, if all of it has come.
fn ready<'s>(partial: &Arc<Partial>, hold: Hold) -> Result<Prepared<'s>, WriteError> {
    let held = partial.held();
    let missing = held.len() - held.count();
    if missing > 0 {
        return Err(WriteError::Incomplete { blob: partial.id(), missing });
    }
    Ok(Prepared {
        id: partial.id(),
        manifest: partial.manifest().clone(),
        encoded: partial.encoded().to_vec(),
        body: Body::Received(Arc::clone(partial)),
        remember: None,
        _hold: hold,
    })
}

/// A record that can't be believed is none: the blob is received anew.
fn damaged_is_none(error: CatalogError) -> Result<Option<Bitmap>, CatalogError> {
    match error {
        CatalogError::Damaged { .. } => Ok(None),
        other => Err(other),
    }
}
