//! Whole blobs that are open for reading.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use weft_protocol::content::Manifest;
use weft_protocol::ids::BlobId;

use crate::disk::{Access, DiskFile};
use crate::error::{CatalogError, DiskError, ReadError};
use crate::suspects::Suspects;
use crate::tables::{self, BlobRow, Place};
use crate::{Store, locked, names};

/// How many blobs stay open at most. Each is a file and a manifest: some MB for the largest.
const OPEN_AT_ONCE: usize = 64;

/// A whole blob, ready to be read chunk by chunk.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) blob: BlobId,
    pub(crate) manifest: Manifest,
    pub(crate) row: BlobRow,
    offsets: Vec<u64>,
    bytes: Bytes,
    suspects: Arc<Suspects>,
}

#[derive(Debug)]
enum Bytes {
    Inline(Vec<u8>),
    File(Box<dyn DiskFile>),
    /// The catalog names a file that is not there.
    Lost,
}

impl Source {
    /// A chunk's bytes, checked. Where they are damaged, the blob is named to whoever heals it.
    pub(crate) fn chunk(&self, index: u32) -> Result<Vec<u8>, ReadError> {
        self.check(index).inspect_err(|error| self.suspects.name(self.blob, error))
    }

    /// A chunk's bytes, checked, for one who looks for damage.
    pub(crate) fn check(&self, index: u32) -> Result<Vec<u8>, ReadError> {
        let blob = self.blob;
        let position = index as usize;
        let (Some(chunk), Some(&offset)) =
            (self.manifest.chunks.get(position), self.offsets.get(position))
        else {
            return Err(ReadError::NoSuchChunk { blob, index });
        };
        let corrupt = || ReadError::Corrupt { blob, index };
        let bytes = match &self.bytes {
            Bytes::Inline(bytes) => usize::try_from(offset)
                .ok()
                .and_then(|offset| bytes.get(offset..offset + chunk.len as usize))
                .ok_or_else(corrupt)?
                .to_vec(),
            Bytes::File(file) => {
                let mut bytes = vec![0; chunk.len as usize];
                match file.read_at(offset, &mut bytes) {
                    Ok(()) => bytes,
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        return Err(corrupt());
                    }
                    Err(error) => return Err(DiskError::new(names::blob(&blob), error).into()),
                }
            }
            Bytes::Lost => return Err(corrupt()),
        };
        if *blake3::hash(&bytes).as_bytes() == chunk.id.0 { Ok(bytes) } else { Err(corrupt()) }
    }
}

/// The blobs that were read last.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    open: Mutex<VecDeque<Arc<Source>>>,
    /// How often a blob was forgotten: what was read from the catalog before that is not kept.
    forgotten: AtomicU64,
}

impl Cache {
    pub(crate) fn get(&self, blob: &BlobId) -> Option<Arc<Source>> {
        let mut open = locked(&self.open);
        let place = open.iter().position(|source| source.blob == *blob)?;
        let source = open.remove(place)?;
        open.push_front(Arc::clone(&source));
        Some(source)
    }

    fn put(&self, source: Arc<Source>, forgotten: u64) {
        let mut open = locked(&self.open);
        if self.forgotten.load(Ordering::Acquire) != forgotten {
            return;
        }
        open.retain(|other| other.blob != source.blob);
        open.push_front(source);
        open.truncate(OPEN_AT_ONCE);
    }

    /// Closes a blob that changed or is gone.
    pub(crate) fn forget(&self, blob: &BlobId) {
        let mut open = locked(&self.open);
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        open.retain(|source| source.blob != *blob);
    }
}

impl Store {
    /// A whole blob; `None` if there is none of that id, or it is not whole.
    pub(crate) fn source(&self, blob: &BlobId) -> Result<Option<Arc<Source>>, ReadError> {
        if let Some(source) = self.opened.get(blob) {
            return Ok(Some(source));
        }
        let forgotten = self.opened.forgotten.load(Ordering::Acquire);
        let found = self.catalog.read(|snapshot| {
            let Some(row) = snapshot.sheet(tables::BLOBS)?.row::<BlobRow>(&blob.0)? else {
                return Ok(None);
            };
            let damaged = |table| CatalogError::Damaged { table };
            let manifest = snapshot.sheet(tables::MANIFESTS)?.get(&blob.0)?;
            let manifest = manifest.ok_or(damaged(tables::MANIFESTS.0))?;
            let inline = match row.place {
                Place::Inline => {
                    let bytes = snapshot.sheet(tables::INLINE)?.get(&blob.0)?;
                    Some(bytes.ok_or(damaged(tables::INLINE.0))?)
                }
                Place::File => None,
            };
            Ok(Some((row, manifest, inline)))
        })?;
        let Some((row, encoded, inline)) = found else {
            return Ok(None);
        };
        let manifest = decode_manifest(blob, &encoded)?;
        let bytes = match inline {
            Some(bytes) => Bytes::Inline(bytes),
            None => {
                let name = names::blob(blob);
                match self.disk.open(&name, Access::Read) {
                    Ok(file) => Bytes::File(file),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Bytes::Lost,
                    Err(error) => return Err(DiskError::new(self.disk.path(&name), error).into()),
                }
            }
        };
        let offsets = manifest.offsets().collect();
        let suspects = Arc::clone(&self.suspects);
        let source = Source { blob: *blob, manifest, row, offsets, bytes, suspects };
        let source = Arc::new(source);
        self.opened.put(Arc::clone(&source), forgotten);
        Ok(Some(source))
    }
}

/// Reads a manifest that the catalog holds for a blob.
pub(crate) fn decode_manifest(blob: &BlobId, encoded: &[u8]) -> Result<Manifest, CatalogError> {
    let damaged = CatalogError::Damaged { table: tables::MANIFESTS.0 };
    if Manifest::id_of(encoded) != *blob {
        return Err(damaged);
    }
    Manifest::decode(encoded).map_err(|_| damaged)
}
