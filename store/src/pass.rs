//! Reading one source: one pass gives its chunks, all hashes and the copy.
//!
//! A long source is read in blocks which one thread cuts, hashes chunk by chunk and writes, while a second, which
//! others that are read at the same time share, takes the whole file's sums of them and a third keeps the disk busy.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use weft_protocol::content::{ChunkRef, MAX_CHUNK, MAX_CHUNKS, Manifest, first_chunk};
use weft_protocol::ids::ChunkId;

use crate::error::{DiskError, IngestError};
use crate::hash::Sums;
use crate::publish::{Body, Prepared, Temporary};
use crate::summing::{MUCH, Summing};
use crate::{INLINE_MAX, Store};

/// How much is read, hashed and written at once, in bytes, what was left of the last block
/// included.
pub(crate) const BLOCK: usize = 2 * MAX_CHUNK;

/// How many blocks of one source are in memory at most.
const BLOCKS: usize = 4;
const _: () = assert!(BLOCKS > MUCH, "a reader goes on until it has much waiting");

/// After how many bytes the disk is told to begin: without that it would begin when all is read.
const FLUSH: u64 = 32 << 20;

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// They are copied into the store.
    Copy,
    /// They are only hashed: they are thought to be here.
    Nothing,
}

/// Reads sources one after the other, with the same memory.
pub(crate) struct Pass<'s> {
    store: &'s Store,
    spare: Vec<Vec<u8>>,
    summing: Arc<Summing>,
}

impl<'s> Pass<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self::beside(store, Arc::default())
    }

    /// Reads sources while others are read that are summed with them.
    pub(crate) const fn beside(store: &'s Store, summing: Arc<Summing>) -> Self {
        Self { store, spare: Vec::new(), summing }
    }

    /// Gives back the memory that it keeps for the next source.
    pub(crate) fn rest(&mut self) {
        self.spare = Vec::new();
    }

    /// Reads a source to its end. `begun` is told the first chunk, and decides what is kept;
    /// `progress` is told how many bytes were read so far.
    pub(crate) fn take(
        &mut self,
        source: &mut dyn Read,
        path: &Path,
        begun: &mut dyn FnMut(&ChunkRef) -> Keep,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Prepared<'s>, IngestError> {
        let mut input = Input { source, path, read: 0, over: false, progress };
        let mut block = self.block();
        let filled = input.fill(&mut block, 0)?;
        let mut cut = Cut::new(self.store, path, begun);
        if input.over {
            let mut sums = Sums::new();
            sums.update(&block[..filled]);
            cut.take(&block[..filled], 0, true)?;
            self.spare.push(block);
            return cut.finish(sums.finish());
        }
        self.take_long(input, block, filled, cut)
    }

    /// A block to fill. Its bytes are whatever they were.
    fn block(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| vec![0; BLOCK])
    }

    fn take_long(
        &mut self,
        mut input: Input<'_>,
        block: Vec<u8>,
        filled: usize,
        mut cut: Cut<'s, '_>,
    ) -> Result<Prepared<'s>, IngestError> {
        let result = thread::scope(|scope| {
            let summed = self.summing.begin();
            let mut on_way = VecDeque::new();
            let (mut block, mut filled, mut kept) = (block, filled, 0);
            let mut flush = None;
            loop {
                let over = input.over;
                let shared = Arc::new(block);
                summed.take(&shared, kept..filled);
                let rest = cut.take(&shared[..filled], kept, over)?;
                if flush.is_none() && cut.unflushed >= FLUSH {
                    // From now on the disk works too.
                    flush = cut.copy.as_ref().and_then(Temporary::file).map(|file| {
                        let (begin, wanted) = sync_channel(1);
                        (begin, scope.spawn(move || flush_often(&*file, &wanted)))
                    });
                }
                if cut.unflushed >= FLUSH
                    && let Some((begin, _)) = &flush
                    && begin.try_send(()).is_ok()
                {
                    cut.unflushed = 0;
                }
                if over {
                    break;
                }
                block = if on_way.len() + 1 < BLOCKS {
                    self.block()
                } else {
                    // The oldest, once it is summed.
                    summed.wait();
                    let oldest = on_way.pop_front().and_then(Arc::into_inner);
                    oldest.unwrap_or_else(|| self.block())
                };
                block[..filled - rest].copy_from_slice(&shared[rest..filled]);
                kept = filled - rest;
                on_way.push_back(shared);
                filled = input.fill(&mut block, kept)?;
            }
            // The rest is synced while the last blocks are summed.
            let flush = flush.map(|(_, flushing)| flushing);
            let sums = summed.finish().ok_or_else(|| {
                let source = io::Error::other("the thread that sums it has ended");
                IngestError::Source { path: input.path.to_path_buf(), source }
            })?;
            self.spare.extend(on_way.into_iter().filter_map(Arc::into_inner));
            if let Some(flushing) = flush {
                let flushed = flushing.join();
                let flushed = flushed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                // The system reports it once: what it didn't write is lost.
                flushed.map_err(|error| cut.failed(error))?;
                if let Some(copy) = &mut cut.copy {
                    copy.synced = true;
                }
            }
            Ok::<_, IngestError>(sums)
        });
        self.spare.truncate(BLOCKS);
        cut.finish(result?)
    }
}

/// Syncs a file whenever it's told to, and when it's over.
fn flush_often(file: &dyn crate::DiskFile, wanted: &Receiver<()>) -> io::Result<()> {
    while wanted.recv().is_ok() {
        file.sync()?;
    }
    file.sync()
}

/// Where the bytes come from.
struct Input<'a> {
    source: &'a mut dyn Read,
    path: &'a Path,
    read: u64,
    over: bool,
    progress: &'a mut dyn FnMut(u64),
}

impl Input<'_> {
    /// Fills a block from a place on, and says how far it's full: to its end, unless the source
    /// is over.
    fn fill(&mut self, block: &mut [u8], from: usize) -> Result<usize, IngestError> {
        let mut filled = from;
        while filled < block.len() {
            match self.source.read(&mut block[filled..]) {
                Ok(0) => {
                    self.over = true;
                    break;
                }
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(IngestError::Source { path: self.path.to_path_buf(), source });
                }
            }
        }
        self.read += (filled - from) as u64;
        (self.progress)(self.read);
        Ok(filled)
    }
}

/// A blob that is being read: its chunks so far, and the copy, unless it turns out to be small.
struct Cut<'s, 'a> {
    store: &'s Store,
    path: &'a Path,
    begun: &'a mut dyn FnMut(&ChunkRef) -> Keep,
    keep: Keep,
    chunks: Vec<ChunkRef>,
    /// How many bytes were cut.
    size: u64,
    inline: Vec<u8>,
    copy: Option<Temporary<'s>>,
    /// How many bytes were written since the disk was told to begin.
    unflushed: u64,
}

impl<'s, 'a> Cut<'s, 'a> {
    fn new(store: &'s Store, path: &'a Path, begun: &'a mut dyn FnMut(&ChunkRef) -> Keep) -> Self {
        Self {
            store,
            path,
            begun,
            keep: Keep::Copy,
            chunks: Vec::new(),
            size: 0,
            inline: Vec::new(),
            copy: None,
            unflushed: 0,
        }
    }

    /// Cuts what can be cut of a block whose first `kept` bytes the last one had too, writes
    /// the others, and says from where on bytes are left for the next block.
    fn take(&mut self, block: &[u8], kept: usize, over: bool) -> Result<usize, IngestError> {
        let written = self.size + kept as u64;
        // What the last block left over was looked at.
        let (mut cut, mut seen) = (0, kept);
        while let Some(length) = first_chunk(&block[cut..], seen, over) {
            self.chunk(&block[cut..cut + length])?;
            (cut, seen) = (cut + length, 0);
        }
        if over && self.size <= INLINE_MAX as u64 {
            self.inline = block.to_vec();
        } else if self.keep == Keep::Copy && kept < block.len() {
            let copy = match &mut self.copy {
                Some(copy) => copy,
                none => none.insert(self.store.temporary()?),
            };
            copy.write(written, &block[kept..])?;
            self.unflushed += (block.len() - kept) as u64;
        }
        Ok(cut)
    }

    fn chunk(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        if self.chunks.len() >= MAX_CHUNKS as usize {
            return Err(IngestError::TooLong { path: self.path.to_path_buf() });
        }
        let id = ChunkId(*blake3::hash(bytes).as_bytes());
        let chunk = ChunkRef { id, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
        if self.chunks.is_empty() {
            self.keep = (self.begun)(&chunk);
        }
        self.size += bytes.len() as u64;
        self.chunks.push(chunk);
        Ok(())
    }

    fn failed(&self, error: io::Error) -> IngestError {
        match &self.copy {
            Some(copy) => copy.failed(error).into(),
            None => DiskError::new(self.store.path(), error).into(),
        }
    }

    fn finish(self, (md5, xxh64): ([u8; 16], u64)) -> Result<Prepared<'s>, IngestError> {
        let manifest = Manifest { size: self.size, md5, xxh64, chunks: self.chunks };
        let encoded = manifest.encode();
        let id = Manifest::id_of(&encoded);
        let is_small = manifest.size <= INLINE_MAX as u64;
        Ok(Prepared {
            id,
            body: match self.copy {
                _ if is_small => Body::Inline(self.inline),
                Some(copy) => Body::Copy(copy.close()),
                None => Body::Elsewhere,
            },
            manifest,
            encoded,
            remember: None,
            _hold: self.store.hold(id),
        })
    }
}
