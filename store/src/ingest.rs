//! Taking bytes in: one read gives the chunks, all hashes and the copy.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use weft_protocol::content::chunker::chunks;
use weft_protocol::content::{ChunkRef, Chunker, MAX_CHUNKS, Manifest};
use weft_protocol::ids::{BlobId, ChunkId};

use crate::error::{CatalogError, IngestError};
use crate::hash::Sums;
use crate::publish::{Body, Prepared, Temporary, touch};
use crate::tables::{self, BlobRow, Looks, RememberedRow};
use crate::{INLINE_MAX, Store};

/// How many files are put in place with one commit at most.
const BATCH_FILES: usize = 1024;

/// How many bytes are put in place with one commit at most, give or take a file.
const BATCH_BYTES: u64 = 256 << 20;

/// How old a file's last change must be, in nanoseconds, for the file to be remembered: a second
/// change within the same tick of the file system's clock would not show.
const SETTLED: i128 = 2_000_000_000;

/// The longest path that is remembered, in bytes.
const LONGEST_PATH: usize = 4096;

/// A blob that was taken in. It is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub id: BlobId,
    /// Its size in bytes.
    pub size: u64,
    /// Its MD5.
    pub md5: [u8; 16],
    /// Its xxHash64 with seed 0.
    pub xxh64: u64,
    /// The lengths, in bytes, of those of its chunks that no blob in this store had before.
    pub bytes_added: u64,
    /// Whether the blob was here before.
    pub already_known: bool,
}

impl Store {
    /// Takes a file in. `progress` is told how many of its bytes were read so far.
    ///
    /// A file that was taken in before and looks as it did then is not read again.
    ///
    /// # Errors
    /// [`IngestError::Changed`] when the file changed meanwhile.
    pub fn ingest_file(
        &self,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Added, IngestError> {
        let mut each = |_: usize, bytes: u64| progress(bytes);
        let mut added = self.ingest_many(&[path], &mut each)?;
        added.pop().unwrap_or_else(|| Err(IngestError::NotAFile { path: path.to_path_buf() }))
    }

    /// Takes many files in, with few commits. `progress` is told the position of a path and how
    /// many bytes of that file were read so far. The results stand in the order of the paths.
    ///
    /// # Errors
    /// The outer error is the store's: what came before it in earlier batches is kept. The inner
    /// ones are single files', and don't hinder others.
    pub fn ingest_many<P: AsRef<Path>>(
        &self,
        paths: &[P],
        progress: &mut dyn FnMut(usize, u64),
    ) -> Result<Vec<Result<Added, IngestError>>, IngestError> {
        let mut results: Vec<Option<Result<Added, IngestError>>> = Vec::new();
        results.resize_with(paths.len(), || None);
        let mut batch = Batch::default();
        let mut chunker = Chunker::new();
        for (position, path) in paths.iter().enumerate() {
            let path = path.as_ref();
            let mut each = |bytes| progress(position, bytes);
            match self.prepare_file(path, &mut chunker, &mut each) {
                Ok(Found::Remembered(id)) => batch.remembered.push((position, id)),
                Ok(Found::Read(blob)) => {
                    batch.bytes += blob.manifest.size;
                    batch.positions.push(position);
                    batch.blobs.push(*blob);
                }
                // The store's trouble is everybody's; a file's is its own.
                Err(error @ (IngestError::Disk(_) | IngestError::Catalog(_))) => return Err(error),
                Err(error) => results[position] = Some(Err(error)),
            }
            if batch.is_full() || position + 1 == paths.len() {
                self.take_batch(std::mem::take(&mut batch), &mut results)?;
            }
        }
        let missing = |(position, result): (usize, Option<_>)| {
            // Only a remembered blob that went meanwhile has no result yet: it is read after all.
            result.map_or_else(
                || {
                    let path = paths[position].as_ref();
                    let each = &mut |bytes| progress(position, bytes);
                    self.reread(path, &mut chunker, each)
                },
                Ok,
            )
        };
        results.into_iter().enumerate().map(missing).collect()
    }

    /// Takes bytes in.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn ingest_bytes(&self, bytes: &[u8]) -> Result<Added, IngestError> {
        let mut builder = Builder::new(self, Path::new("(memory)"));
        for chunk in chunks(bytes) {
            builder.add(&bytes[chunk])?;
        }
        self.publish_one(builder.finish())
    }

    /// Takes in all that `source` gives.
    ///
    /// # Errors
    /// When it can't be read, or the bytes can't be written.
    pub fn ingest_reader(&self, source: &mut dyn Read) -> Result<Added, IngestError> {
        let path = Path::new("(stream)");
        let blob = self.prepare(source, path, &mut Chunker::new(), &mut |_| {})?;
        self.publish_one(blob)
    }

    fn publish_one(&self, blob: Prepared<'_>) -> Result<Added, IngestError> {
        let added = self.publish::<IngestError>(vec![blob])?;
        added.into_iter().next().ok_or_else(|| {
            CatalogError::Broken("it kept nothing of what it was told".into()).into()
        })
    }

    fn reread(
        &self,
        path: &Path,
        chunker: &mut Chunker,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Result<Added, IngestError>, IngestError> {
        match self.read_file(path, chunker, progress) {
            Ok(blob) => self.publish_one(blob).map(Ok),
            Err(error @ (IngestError::Disk(_) | IngestError::Catalog(_))) => Err(error),
            Err(error) => Ok(Err(error)),
        }
    }

    fn take_batch(
        &self,
        batch: Batch<'_>,
        results: &mut [Option<Result<Added, IngestError>>],
    ) -> Result<(), IngestError> {
        let added = self.publish::<IngestError>(batch.blobs)?;
        for (position, added) in batch.positions.into_iter().zip(added) {
            results[position] = Some(Ok(added));
        }
        if batch.remembered.is_empty() {
            return Ok(());
        }
        // Held before they are looked up: what an intake relies on must not go meanwhile.
        let _holds: Vec<_> = batch.remembered.iter().map(|(_, id)| self.hold(*id)).collect();
        let remembered = self.catalog.write(|tables| {
            let each = batch.remembered.into_iter().map(|(position, id)| {
                let row = tables.blobs.row::<BlobRow>(&id.0)?;
                touch(tables, &id)?;
                Ok((position, id, row))
            });
            each.collect::<Result<Vec<_>, _>>()
        })?;
        for (position, id, row) in remembered {
            results[position] = row.map(|row| {
                Ok(Added {
                    id,
                    size: row.size,
                    md5: row.md5,
                    xxh64: row.xxh64,
                    bytes_added: 0,
                    already_known: true,
                })
            });
        }
        Ok(())
    }

    fn prepare_file(
        &self,
        path: &Path,
        chunker: &mut Chunker,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Found<'_>, IngestError> {
        let looks = looks_of(&metadata(path)?);
        if let Some(id) = self.remembered(path, &looks)? {
            progress(looks.size);
            return Ok(Found::Remembered(id));
        }
        Ok(Found::Read(Box::new(self.read_file(path, chunker, progress)?)))
    }

    /// The blob of a file that looks as it did when it was taken in; the blob is still here.
    fn remembered(&self, path: &Path, looks: &Looks) -> Result<Option<BlobId>, CatalogError> {
        let Some(key) = path_key(path) else {
            return Ok(None);
        };
        self.catalog.read(|snapshot| {
            // A record that can't be believed is no reason to trust the file's looks.
            let row = snapshot.sheet(tables::REMEMBERED)?.row::<RememberedRow>(&key);
            let Some(row) = row.ok().flatten().filter(|row| row.looks == *looks) else {
                return Ok(None);
            };
            let whole = snapshot.sheet(tables::BLOBS)?.row::<BlobRow>(&row.blob.0);
            Ok(whole.ok().flatten().map(|_| row.blob))
        })
    }

    fn read_file(
        &self,
        path: &Path,
        chunker: &mut Chunker,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Prepared<'_>, IngestError> {
        let failed = |source| IngestError::Source { path: path.to_path_buf(), source };
        // Before it's opened: opening a pipe would wait for a writer.
        metadata(path)?;
        let started = nanoseconds(SystemTime::now());
        let mut file = File::open(path).map_err(failed)?;
        let before = looks_of(&file.metadata().map_err(failed)?);
        let mut blob = self.prepare(&mut file, path, chunker, progress)?;
        let after = looks_of(&file.metadata().map_err(failed)?);
        if before != after || blob.manifest.size != before.size {
            return Err(IngestError::Changed { path: path.to_path_buf() });
        }
        if before.modified.max(before.changed) < started - SETTLED {
            blob.remember = path_key(path).map(|key| (key, before));
        }
        Ok(blob)
    }

    fn prepare(
        &self,
        source: &mut dyn Read,
        path: &Path,
        chunker: &mut Chunker,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Prepared<'_>, IngestError> {
        let mut builder = Builder::new(self, path);
        let mut read = 0;
        chunker.reset();
        loop {
            match source.read(chunker.spare()) {
                Ok(0) => break,
                Ok(bytes) => {
                    chunker.filled(bytes);
                    read += bytes as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(IngestError::Source { path: path.to_path_buf(), source });
                }
            }
            while let Some(chunk) = chunker.next_chunk() {
                builder.add(chunk)?;
            }
            progress(read);
        }
        chunker.end();
        while let Some(chunk) = chunker.next_chunk() {
            builder.add(chunk)?;
        }
        Ok(builder.finish())
    }
}

/// What a path turned out to be.
enum Found<'s> {
    Remembered(BlobId),
    Read(Box<Prepared<'s>>),
}

/// What is put in place with one commit.
#[derive(Default)]
struct Batch<'s> {
    blobs: Vec<Prepared<'s>>,
    /// The positions of the blobs' paths.
    positions: Vec<usize>,
    bytes: u64,
    remembered: Vec<(usize, BlobId)>,
}

impl Batch<'_> {
    fn is_full(&self) -> bool {
        self.blobs.len() + self.remembered.len() >= BATCH_FILES || self.bytes >= BATCH_BYTES
    }
}

/// A blob that is being read: its chunks so far, and the copy, unless it turns out to be small.
struct Builder<'s, 'p> {
    store: &'s Store,
    path: &'p Path,
    sums: Sums,
    chunks: Vec<ChunkRef>,
    size: u64,
    inline: Vec<u8>,
    copy: Option<Temporary<'s>>,
}

impl<'s, 'p> Builder<'s, 'p> {
    fn new(store: &'s Store, path: &'p Path) -> Self {
        Self {
            store,
            path,
            sums: Sums::new(),
            chunks: Vec::new(),
            size: 0,
            inline: Vec::new(),
            copy: None,
        }
    }

    fn add(&mut self, chunk: &[u8]) -> Result<(), IngestError> {
        if self.chunks.len() >= MAX_CHUNKS as usize {
            return Err(IngestError::TooLong { path: self.path.to_path_buf() });
        }
        self.sums.update(chunk);
        let id = ChunkId(*blake3::hash(chunk).as_bytes());
        // Only a file's last chunk is shorter than the shortest: a small first one is all.
        if self.chunks.is_empty() && chunk.len() <= INLINE_MAX {
            self.inline = chunk.to_vec();
        } else {
            let copy = match &mut self.copy {
                Some(copy) => copy,
                none => none.insert(self.store.temporary()?),
            };
            copy.write(self.size, chunk)?;
        }
        self.size += chunk.len() as u64;
        self.chunks.push(ChunkRef { id, len: u32::try_from(chunk.len()).unwrap_or(u32::MAX) });
        Ok(())
    }

    fn finish(self) -> Prepared<'s> {
        let (md5, xxh64) = self.sums.finish();
        let manifest = Manifest { size: self.size, md5, xxh64, chunks: self.chunks };
        let encoded = manifest.encode();
        let id = Manifest::id_of(&encoded);
        Prepared {
            id,
            manifest,
            encoded,
            body: match self.copy {
                Some(copy) => Body::Copy(copy),
                None => Body::Inline(self.inline),
            },
            remember: None,
            _hold: self.store.hold(id),
        }
    }
}

/// What the system says of a path that must be a regular file, links followed.
fn metadata(path: &Path) -> Result<Metadata, IngestError> {
    let path = || PathBuf::from(path);
    let metadata =
        fs::metadata(path()).map_err(|source| IngestError::Source { path: path(), source })?;
    if metadata.is_file() { Ok(metadata) } else { Err(IngestError::NotAFile { path: path() }) }
}

fn path_key(path: &Path) -> Option<Vec<u8>> {
    let absolute = std::path::absolute(path).ok()?;
    let key = absolute.as_os_str().as_encoded_bytes();
    (key.len() <= LONGEST_PATH).then(|| key.to_vec())
}

fn nanoseconds(time: SystemTime) -> i128 {
    let signed =
        |duration: std::time::Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => signed(since),
        Err(before) => -signed(before.duration()),
    }
}

fn looks_of(metadata: &Metadata) -> Looks {
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
