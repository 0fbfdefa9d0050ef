//! Taking bytes in: files, many at once, with few commits.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::SystemTime;

use weft_protocol::content::ChunkRef;
use weft_protocol::ids::BlobId;

use crate::Store;
use crate::catalog::Tables;
use crate::error::{CatalogError, IngestError};
use crate::holds::Hold;
use crate::looks::{is_settled, looks_of, metadata, nanoseconds, path_key};
use crate::md5_lanes::LANES;
use crate::pass::{BLOCK, Keep, Pass};
use crate::publish::{Body, Prepared, touch};
use crate::summing::Summing;
use crate::tables::{self, BlobRow, Looks, Place, RememberedRow};

/// How many files are put in place with one commit at most.
const BATCH_FILES: usize = 16_384;

/// How many bytes are put in place with one commit at most, give or take a file.
const BATCH_BYTES: u64 = 256 << 20;

/// How many bytes of small blobs wait in memory for one commit at most, give or take a file.
const BATCH_MEMORY: u64 = 48 << 20;

/// How many files are read at once, on whatever machine: as many as are summed side by side.
const READERS: usize = LANES;

/// How many long files a store reads at once, whoever adds them: each takes some megabytes of memory. Who adds short ones
/// does not wait for them.
pub(crate) const LONG_AT_ONCE: usize = 2 * READERS;

/// How many results wait for the one that writes: what readers hold in memory is bounded.
const QUEUE: usize = 256;

/// From how many bytes on it is told how much of a file was read, before it's done.
const INTERESTING: u64 = 4 << 20;

/// How many of the blobs that begin with a chunk are looked at, to find one that a file may be.
const LIKELY: usize = 8;

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

/// How files are taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddOptions {
    /// Whether files are read even if they look as they did when they were taken in last.
    pub rehash: bool,
}

impl AddOptions {
    /// Reads files even if they look as they did, or not.
    #[must_use]
    pub const fn rehash(mut self, rehash: bool) -> Self {
        self.rehash = rehash;
        self
    }
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
    /// many bytes of that file were read so far: all before it are done. The results stand in
    /// the order of the paths.
    ///
    /// # Errors
    /// The outer error is the store's: what was read before it is kept where the store can, so that another try goes on
    /// from there. The inner ones are single files', and don't hinder others.
    pub fn ingest_many<P: AsRef<Path>>(
        &self,
        paths: &[P],
        progress: &mut dyn FnMut(usize, u64),
    ) -> Result<Vec<Result<Added, IngestError>>, IngestError> {
        self.ingest_with(paths, &AddOptions::default(), progress)
    }

    /// Takes many files in as [`ingest_many`](Self::ingest_many) does, with options. Some are
    /// read at once; one thread, the caller's, writes to the catalog.
    ///
    /// # Errors
    /// As for [`ingest_many`](Self::ingest_many).
    pub fn ingest_with<P: AsRef<Path>>(
        &self,
        paths: &[P],
        options: &AddOptions,
        progress: &mut dyn FnMut(usize, u64),
    ) -> Result<Vec<Result<Added, IngestError>>, IngestError> {
        let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
        let mut taking = Taking::new(self, paths.len(), progress);
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let summing = Arc::<Summing>::default();
        thread::scope(|scope| {
            let (sender, told) = sync_channel(QUEUE);
            for _ in 0..READERS.min(paths.len()) {
                let (sender, summing) = (sender.clone(), Arc::clone(&summing));
                let (paths, next, stop) = (&paths, &next, &stop);
                scope.spawn(move || {
                    let mut pass = Pass::beside(self, summing);
                    while !stop.load(Ordering::Relaxed)
                        && let position = next.fetch_add(1, Ordering::Relaxed)
                        && let Some(path) = paths.get(position)
                    {
                        let mut each = tell_some(&sender, position);
                        let found = self.prepare_file(path, options, &mut pass, &mut each);
                        if sender.send(Told::Done(position, found)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let result = taking.take_all(told);
            stop.store(true, Ordering::Relaxed);
            result
        })?;
        let Taking { results, progress, .. } = taking;
        let missing = |(position, result): (usize, Option<_>)| {
            // Only what was thought to be here, and went meanwhile, has no result yet.
            result.map_or_else(
                || self.reread(paths[position], &mut |bytes| progress(position, bytes)),
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
        self.ingest_from(&mut &*bytes, Path::new("(memory)"))
    }

    /// Takes in all that `source` gives.
    ///
    /// # Errors
    /// When it can't be read, or the bytes can't be written.
    pub fn ingest_reader(&self, source: &mut dyn Read) -> Result<Added, IngestError> {
        self.ingest_from(source, Path::new("(stream)"))
    }

    fn ingest_from(&self, source: &mut dyn Read, path: &Path) -> Result<Added, IngestError> {
        let copy = &mut |_: &ChunkRef| Keep::Copy;
        let blob = Pass::new(self).take(source, path, copy, &mut |_| {})?;
        self.publish_one(blob)
    }

    fn publish_one(&self, blob: Prepared<'_>) -> Result<Added, IngestError> {
        let added = self.publish::<IngestError>(vec![blob], |_| Ok(()))?;
        added.into_iter().flatten().next().ok_or_else(|| {
            CatalogError::Broken("it kept nothing of what it was told".into()).into()
        })
    }

    fn reread(
        &self,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Result<Added, IngestError>, IngestError> {
        let copy = &mut |_: &ChunkRef| Keep::Copy;
        match self.read_file(path, &mut Pass::new(self), copy, progress) {
            Ok(blob) => self.publish_one(blob).map(Ok),
            Err(error) if error.is_the_stores() => Err(error),
            Err(error) => Ok(Err(error)),
        }
    }

    fn prepare_file<'s>(
        &'s self,
        path: &Path,
        options: &AddOptions,
        pass: &mut Pass<'s>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Found<'s>, IngestError> {
        let looks = looks_of(&metadata(path)?);
        if !options.rehash
            && let Some(id) = self.remembered(path, &looks)?
        {
            // From here on it isn't collected, if it is here still.
            let hold = self.hold(id);
            if self.has(id)? {
                return Ok(Found::Remembered(id, looks.size, hold));
            }
        }
        let begun = &mut |first: &ChunkRef| {
            if self.is_likely(first, looks.size) { Keep::Nothing } else { Keep::Copy }
        };
        let blob = self.read_file(path, pass, begun, progress)?;
        if !matches!(blob.body, Body::Elsewhere) || self.has(blob.id).unwrap_or(false) {
            return Ok(Found::Read(Box::new(blob)));
        }
        drop(blob);
        let copy = &mut |_: &ChunkRef| Keep::Copy;
        Ok(Found::Read(Box::new(self.read_file(path, pass, copy, progress)?)))
    }

    /// Whether there is a blob that begins with a chunk and has a size. A file like that is read
    /// without copying it: it is likely to be that blob under another name.
    fn is_likely(&self, first: &ChunkRef, size: u64) -> bool {
        let found = self.catalog.read(|snapshot| {
            let blobs = snapshot.sheet(tables::BLOBS)?;
            for (key, _) in snapshot.sheet(tables::CHUNKS)?.page(&first.id.0, None, LIKELY)? {
                let Some(blob) = key.last_chunk().map(|id| BlobId(*id)) else { continue };
                let row = blobs.row::<BlobRow>(&blob.0).ok().flatten();
                if row.is_some_and(|row| row.size == size && row.place == Place::File) {
                    return Ok(true);
                }
            }
            Ok(false)
        });
        // Whatever the trouble is, the copy doesn't need this.
        found.unwrap_or(false)
    }

    /// The blob of a file that looks as it did when it was taken in. Whether the blob is here is not looked up.
    fn remembered(&self, path: &Path, looks: &Looks) -> Result<Option<BlobId>, CatalogError> {
        let Some(key) = path_key(path) else {
            return Ok(None);
        };
        self.catalog.read(|snapshot| {
            // A record that can't be believed is no reason to trust the file's looks.
            let row = snapshot.sheet(tables::REMEMBERED)?.row::<RememberedRow>(&key);
            Ok(row.ok().flatten().filter(|row| row.looks == *looks).map(|row| row.blob))
        })
    }

    /// Reads a file, and sees to it that it didn't change meanwhile.
    fn read_file<'s>(
        &'s self,
        path: &Path,
        pass: &mut Pass<'s>,
        begun: &mut dyn FnMut(&ChunkRef) -> Keep,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Prepared<'s>, IngestError> {
        let failed = |source| IngestError::Source { path: path.to_path_buf(), source };
        // Before it's opened: opening a pipe would wait for a writer.
        metadata(path)?;
        let started = nanoseconds(SystemTime::now());
        let mut file = File::open(path).map_err(failed)?;
        let before = looks_of(&file.metadata().map_err(failed)?);
        let _turn = (before.size > BLOCK as u64).then(|| {
            self.reading.try_take().unwrap_or_else(|| {
                // Nothing is kept while it waits.
                pass.rest();
                self.reading.take()
            })
        });
        let mut blob = pass.take(&mut file, path, begun, progress)?;
        let after = looks_of(&file.metadata().map_err(failed)?);
        if before != after || blob.manifest.size != before.size {
            return Err(IngestError::Changed { path: path.to_path_buf() });
        }
        if is_settled(&before, started) {
            blob.remember = path_key(path).map(|key| (key, before));
        }
        Ok(blob)
    }
}

/// What a path turned out to be.
enum Found<'s> {
    Remembered(BlobId, u64, Hold),
    Read(Box<Prepared<'s>>),
}

/// What a reader tells about the path at a position.
enum Told<'s> {
    Progress(usize, u64),
    Done(usize, Result<Found<'s>, IngestError>),
}

/// Tells how much of a long file was read.
fn tell_some<'a>(sender: &'a SyncSender<Told<'_>>, position: usize) -> impl FnMut(u64) + 'a {
    move |bytes| {
        if bytes >= INTERESTING {
            // Whoever doesn't listen any more needs no telling.
            let _ = sender.send(Told::Progress(position, bytes));
        }
    }
}

/// What is put in place with one commit.
#[derive(Default)]
struct Batch<'s> {
    blobs: Vec<Prepared<'s>>,
    /// The positions of the blobs' paths.
    positions: Vec<usize>,
    bytes: u64,
    memory: u64,
    remembered: Vec<(usize, BlobId, Hold)>,
}

impl Batch<'_> {
    fn is_full(&self) -> bool {
        self.blobs.len() + self.remembered.len() >= BATCH_FILES
            || self.bytes >= BATCH_BYTES
            || self.memory >= BATCH_MEMORY
    }
}

/// Many files on their way in.
struct Taking<'s, 'p> {
    store: &'s Store,
    results: Vec<Option<Result<Added, IngestError>>>,
    batch: Batch<'s>,
    /// How many bytes of each were read, and once that was all, whether it went well.
    read: Vec<(u64, Option<bool>)>,
    /// The first one that was not read to its end.
    first: usize,
    progress: &'p mut dyn FnMut(usize, u64),
}

impl<'s, 'p> Taking<'s, 'p> {
    fn new(store: &'s Store, count: usize, progress: &'p mut dyn FnMut(usize, u64)) -> Self {
        let mut results = Vec::new();
        results.resize_with(count, || None);
        let read = vec![(0, None); count];
        Self { store, results, batch: Batch::default(), read, first: 0, progress }
    }

    /// Puts in place what readers tell of, until they have ended. Where the store fails, what was read before is put in
    /// place all the same, as far as that can be: whoever tries again finds it there.
    fn take_all(&mut self, told: Receiver<Told<'s>>) -> Result<(), IngestError> {
        let taken = self.take_each(told);
        let settled = self.settle();
        taken.and(settled)
    }

    fn take_each(&mut self, told: Receiver<Told<'s>>) -> Result<(), IngestError> {
        for told in told {
            match told {
                Told::Progress(position, bytes) => {
                    self.read[position].0 = bytes;
                    if position == self.first {
                        (self.progress)(position, bytes);
                    }
                }
                Told::Done(position, found) => {
                    self.take(position, found)?;
                    if self.batch.is_full() {
                        self.settle()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        position: usize,
        found: Result<Found<'s>, IngestError>,
    ) -> Result<(), IngestError> {
        let failed = found.is_err();
        let batch = &mut self.batch;
        match found {
            Ok(Found::Remembered(id, size, hold)) => {
                self.read[position].0 = size;
                batch.remembered.push((position, id, hold));
            }
            Ok(Found::Read(blob)) => {
                self.read[position].0 = blob.manifest.size;
                batch.memory += blob.encoded.len() as u64 * 2;
                match &blob.body {
                    Body::Inline(bytes) => batch.memory += bytes.len() as u64,
                    _ => batch.bytes += blob.manifest.size,
                }
                batch.positions.push(position);
                batch.blobs.push(*blob);
            }
            // The store's trouble is everybody's; a file's is its own.
            Err(error) if error.is_the_stores() => return Err(error),
            Err(error) => self.results[position] = Some(Err(error)),
        }
        self.read[position].1 = Some(!failed);
        while let Some(&(bytes, Some(went_well))) = self.read.get(self.first) {
            if went_well {
                (self.progress)(self.first, bytes);
            }
            self.first += 1;
        }
        Ok(())
    }

    /// Puts the batch in place.
    fn settle(&mut self) -> Result<(), IngestError> {
        let Batch { blobs, positions, mut remembered, .. } = std::mem::take(&mut self.batch);
        if blobs.is_empty() && remembered.is_empty() {
            return Ok(());
        }
        // In the order of their ids neighbours share the table's pages.
        remembered.sort_by_key(|(_, id, _)| *id);
        let mut rows = Vec::new();
        let settle = |tables: &mut Tables<'_>| {
            for (position, id, _) in &remembered {
                rows.push((*position, *id, tables.blobs.row::<BlobRow>(&id.0)?));
                touch(tables, id)?;
            }
            Ok(())
        };
        // Of two that are the same, the first path's is the new one.
        let mut blobs: Vec<_> = positions.into_iter().zip(blobs).collect();
        blobs.sort_by_key(|(position, _)| *position);
        let (positions, blobs): (Vec<_>, Vec<_>) = blobs.into_iter().unzip();
        let added = self.store.publish::<IngestError>(blobs, settle)?;
        for (position, added) in positions.into_iter().zip(added) {
            self.results[position] = added.map(Ok);
        }
        for (position, id, row) in rows {
            self.results[position] = row.map(|row| Ok(known(id, &row)));
        }
        Ok(())
    }
}

fn known(id: BlobId, row: &BlobRow) -> Added {
    Added {
        id,
        size: row.size,
        md5: row.md5,
        xxh64: row.xxh64,
        bytes_added: 0,
        already_known: true,
    }
}
