//! Reading: what there is, and its bytes, every chunk checked before it is returned.

use std::io::{self, Read};
use std::sync::Arc;

use weft_protocol::content::Manifest;
use weft_protocol::ids::BlobId;

use crate::error::{CatalogError, ReadError};
use crate::holds::Hold;
use crate::source::{Source, decode_manifest};
use crate::tables::{self, BlobRow, PartialRow, Place};
use crate::{Store, locked};

/// How many blobs are listed at most for the beginning of an id.
const MATCHES: usize = 32;

/// What is known of a whole blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its id.
    pub id: BlobId,
    /// Its size in bytes.
    pub size: u64,
    /// Its MD5.
    pub md5: [u8; 16],
    /// Its xxHash64 with seed 0.
    pub xxh64: u64,
    /// Whether its bytes are in the catalog, not in a file.
    pub inline: bool,
    /// When it was last added or asked to stay, in seconds since 1970.
    pub touched: u64,
}

impl BlobInfo {
    fn new(id: BlobId, row: &BlobRow) -> Self {
        Self {
            id,
            size: row.size,
            md5: row.md5,
            xxh64: row.xxh64,
            inline: row.place == Place::Inline,
            touched: row.touched,
        }
    }
}

/// How much there is in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Whole blobs.
    pub blobs: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// How many of them are in the catalog, not in files.
    pub inline: u64,
    /// Blobs that are not whole.
    pub partial: u64,
    /// The size of the catalog's file in bytes.
    pub catalog_bytes: u64,
}

impl Store {
    /// Whether a blob is here as a whole.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn has(&self, blob: BlobId) -> Result<bool, CatalogError> {
        Ok(self.info(blob)?.is_some())
    }

    /// What is known of a blob that is here as a whole.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn info(&self, blob: BlobId) -> Result<Option<BlobInfo>, CatalogError> {
        self.catalog.read(|snapshot| {
            let row = snapshot.sheet(tables::BLOBS)?.row::<BlobRow>(&blob.0)?;
            Ok(row.map(|row| BlobInfo::new(blob, &row)))
        })
    }

    /// How many bytes of a blob are here: all of one that is whole, else those of the chunks that have come.
    ///
    /// # Errors
    /// When the catalog can't be read, or what it says of the blob is damaged.
    pub fn bytes_held(&self, blob: BlobId) -> Result<u64, CatalogError> {
        if let Some(info) = self.info(blob)? {
            return Ok(info.size);
        }
        Ok(match (self.have(blob)?, self.manifest(blob)?) {
            (Some(held), Some(manifest)) => manifest.bytes_of(&held),
            _ => 0,
        })
    }

    /// A blob's manifest, whether the blob is whole or being received.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn manifest(&self, blob: BlobId) -> Result<Option<Manifest>, CatalogError> {
        if let Some(source) = self.manifest_bytes(blob)? {
            return decode_manifest(&blob, &source).map(Some);
        }
        Ok(None)
    }

    /// A blob's encoded manifest, whether the blob is whole or being received: what a peer asks
    /// for first.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn manifest_bytes(&self, blob: BlobId) -> Result<Option<Vec<u8>>, CatalogError> {
        if let Some(partial) = locked(&self.partials).get(&blob) {
            return Ok(Some(partial.encoded().to_vec()));
        }
        let found =
            self.catalog.read(|snapshot| snapshot.sheet(tables::MANIFESTS)?.get(&blob.0))?;
        match found {
            Some(bytes) if Manifest::id_of(&bytes) != blob => {
                Err(CatalogError::Damaged { table: tables::MANIFESTS.0 })
            }
            other => Ok(other),
        }
    }

    /// A chunk's bytes, of a whole blob or one that is being received. They are checked: what the
    /// disk has spoilt is never returned.
    ///
    /// # Errors
    /// [`ReadError::NotHeld`] while the chunk has not come, [`ReadError::Corrupt`] if it is
    /// damaged.
    pub fn read_chunk(&self, blob: BlobId, index: u32) -> Result<Vec<u8>, ReadError> {
        let partial = locked(&self.partials).get(&blob);
        if partial.is_none()
            && let Some(source) = self.source(&blob)?
        {
            return source.chunk(index);
        }
        let partial = partial.map_or_else(|| self.partial(&blob), |partial| Ok(Some(partial)))?;
        match partial {
            Some(partial) => partial.chunk(index),
            None => Err(ReadError::Unknown { blob }),
        }
    }

    /// Opens a whole blob for reading from its beginning. It is not collected meanwhile.
    ///
    /// # Errors
    /// [`ReadError::Unknown`] if it isn't here as a whole.
    pub fn open_blob(&self, blob: BlobId) -> Result<BlobReader, ReadError> {
        let hold = self.hold(blob);
        let source = self.source(&blob)?.ok_or(ReadError::Unknown { blob })?;
        Ok(BlobReader { source, _hold: hold, next: 0, chunk: Vec::new(), taken: 0 })
    }

    /// All bytes of a whole blob that has at most `cap`.
    ///
    /// # Errors
    /// [`ReadError::TooLong`] before anything is read; [`ReadError::Corrupt`] if it's damaged.
    pub fn read_all(&self, blob: BlobId, cap: u64) -> Result<Vec<u8>, ReadError> {
        let mut reader = self.open_blob(blob)?;
        let size = reader.size();
        if size > cap {
            return Err(ReadError::TooLong { blob, size, cap });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        while let Some(chunk) = reader.next_chunk()? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The whole blobs whose bytes have an MD5, ascending. There is more than one only where
    /// somebody made them collide.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn find_md5(&self, md5: [u8; 16]) -> Result<Vec<BlobId>, CatalogError> {
        self.catalog.read(|snapshot| {
            let mut found = Vec::new();
            let blobs = snapshot.sheet(tables::BLOBS)?;
            snapshot.sheet(tables::MD5)?.scan(&md5, |key, content| {
                content?;
                let blob = BlobId(tables::id_in(tables::MD5.0, &key[md5.len()..])?);
                // The blob's own record says so too, or it isn't.
                if blobs.row::<BlobRow>(&blob.0)?.is_some_and(|row| row.md5 == md5) {
                    found.push(blob);
                }
                Ok(())
            })?;
            Ok(found)
        })
    }

    /// The whole blobs whose ids begin with some hex digits, ascending; at most 32.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn find_prefix(&self, hex: &str) -> Result<Vec<BlobId>, CatalogError> {
        let hex = hex.to_ascii_lowercase();
        let even = &hex.as_bytes()[..hex.len() / 2 * 2];
        let Ok(prefix) = data_encoding::HEXLOWER.decode(even) else {
            return Ok(Vec::new());
        };
        self.catalog.read(|snapshot| {
            let mut found = Vec::new();
            snapshot.sheet(tables::BLOBS)?.scan(&prefix, |key, _| {
                let blob = BlobId(tables::id_in(tables::BLOBS.0, key)?);
                if found.len() < MATCHES && blob.to_string().starts_with(&hex) {
                    found.push(blob);
                }
                Ok(())
            })?;
            Ok(found)
        })
    }

    /// All whole blobs, by id. Damaged records are left out: verification names them.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn list(&self) -> Result<Vec<BlobInfo>, CatalogError> {
        let mut list = Vec::new();
        self.catalog.read(|snapshot| {
            snapshot.sheet(tables::BLOBS)?.scan(&[], |key, content| {
                if let Ok(row) =
                    content.and_then(|bytes| tables::decode::<BlobRow>(tables::BLOBS.0, bytes))
                {
                    list.push(BlobInfo::new(BlobId(tables::id_in(tables::BLOBS.0, key)?), &row));
                }
                Ok(())
            })
        })?;
        Ok(list)
    }

    /// The blobs that are not whole, with how many of their chunks are on disk for certain and
    /// how many there are.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn list_partial(&self) -> Result<Vec<(BlobId, u32, u32)>, CatalogError> {
        let mut list = std::collections::BTreeMap::new();
        self.catalog.read(|snapshot| {
            snapshot.sheet(tables::PARTIAL)?.scan(&[], |key, content| {
                let id = BlobId(tables::id_in(tables::PARTIAL.0, key)?);
                if let Ok(row) =
                    content.and_then(|bytes| tables::decode::<PartialRow>(tables::PARTIAL.0, bytes))
                {
                    list.insert(id, (row.held.count(), row.held.len()));
                }
                Ok(())
            })
        })?;
        for partial in locked(&self.partials).iter() {
            let held = partial.held();
            list.insert(partial.id(), (held.count(), held.len()));
        }
        Ok(list.into_iter().map(|(id, (held, of))| (id, held, of)).collect())
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn stats(&self) -> Result<Stats, CatalogError> {
        let mut stats = Stats { catalog_bytes: self.catalog.size()?, ..Stats::default() };
        for blob in self.list()? {
            stats.blobs += 1;
            stats.bytes = stats.bytes.saturating_add(blob.size);
            stats.inline += u64::from(blob.inline);
        }
        stats.partial = self.list_partial()?.len() as u64;
        Ok(stats)
    }
}

/// A whole blob, read from its beginning; each chunk is checked before any of it is returned.
#[derive(Debug)]
pub struct BlobReader {
    source: Arc<Source>,
    _hold: Hold,
    next: u32,
    chunk: Vec<u8>,
    taken: usize,
}

impl BlobReader {
    /// The blob's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.source.manifest.size
    }

    /// The blob's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.source.manifest
    }

    /// Goes on with another chunk: where a reader before this one stopped.
    pub fn skip_to(&mut self, chunk: u32) {
        (self.next, self.taken) = (chunk, 0);
        self.chunk.clear();
    }

    /// The next whole chunk, past what [`Read`] has begun; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] if it is damaged.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.next >= self.source.manifest.chunk_count() {
            return Ok(None);
        }
        let chunk = self.source.chunk(self.next)?;
        self.next += 1;
        Ok(Some(chunk))
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.chunk.len() {
            match self.next_chunk() {
                Ok(Some(chunk)) => (self.chunk, self.taken) = (chunk, 0),
                Ok(None) => return Ok(0),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        let rest = &self.chunk[self.taken..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.taken += length;
        Ok(length)
    }
}
