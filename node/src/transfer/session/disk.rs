//! What a fetch leaves to other threads: unpacking, checking and writing, while the loop goes on.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use weft_protocol::content::{Bitmap, MAX_CHUNK, Manifest};
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::wire::transfer::Encoding;
use weft_store::{Store, WriteError};

use crate::transfer::error::FetchError;
use crate::transfer::pack;

/// How many bytes of small blobs wait for one commit at most before no more are taken.
const MAX_SMALL: usize = 4 << 20;

/// What became of something that was left to the disk.
pub(super) enum Done {
    /// Room was made for a blob, of which some chunks are here already.
    Begun {
        node: NodeId,
        blob: BlobId,
        holds: Bitmap,
        begun: Result<(Bitmap, Vec<u32>), WriteError>,
    },
    /// A chunk was checked, and written where it was missing.
    Checked { node: NodeId, blob: BlobId, chunk: u32, written: Result<Vec<u32>, WriteError> },
    /// These blobs are whole, and durable.
    Committed(Vec<BlobId>),
}

/// The most threads that check chunks of one fetch.
const MAX_CHECKERS: usize = 8;

/// A chunk that came, and from whom.
pub(super) struct Arrived {
    pub(super) node: NodeId,
    pub(super) blob: BlobId,
    pub(super) chunk: u32,
    /// How long it must be.
    pub(super) len: usize,
    pub(super) encoding: Encoding,
    pub(super) bytes: Vec<u8>,
}

/// The disk's side of a fetch.
pub(super) struct Disk {
    store: Arc<Store>,
    work: JoinSet<(usize, Result<Done, WriteError>)>,
    /// How many bytes wait to be written.
    unwritten: usize,
    /// Chunks for which there is no thread yet: as many as there are cores check and write. More
    /// would only wait for each other, since a file takes one write at a time.
    waiting: VecDeque<Arrived>,
    checking: usize,
    checkers: usize,
    small: Vec<(BlobId, Vec<u8>, Vec<u8>)>,
    complete: Vec<BlobId>,
    committing: bool,
}

impl Disk {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            work: JoinSet::new(),
            unwritten: 0,
            waiting: VecDeque::new(),
            checking: 0,
            checkers: std::thread::available_parallelism()
                .map_or(2, NonZero::get)
                .min(MAX_CHECKERS),
            small: Vec::new(),
            complete: Vec::new(),
            committing: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.work.is_empty() && self.small.is_empty() && self.complete.is_empty()
    }

    /// How many bytes are here that are not written.
    pub(super) fn unwritten(&self) -> usize {
        let small: usize =
            self.small.iter().map(|(_, manifest, bytes)| manifest.len() + bytes.len()).sum();
        match small > MAX_SMALL {
            true => usize::MAX,
            false => self.unwritten,
        }
    }

    /// Makes room for a blob. What room in memory its manifest takes is free once that is done.
    pub(super) fn begin(
        &mut self,
        node: NodeId,
        blob: BlobId,
        manifest: Vec<u8>,
        holds: Bitmap,
        room: Option<OwnedSemaphorePermit>,
    ) {
        let store = Arc::clone(&self.store);
        self.work.spawn_blocking(move || {
            let begin = || {
                let have = store.begin_partial(blob, &manifest)?;
                let chunks = Manifest::decode(&manifest)?.chunks;
                Ok((have, chunks.iter().map(|chunk| chunk.len).collect()))
            };
            let begun = begin();
            drop((manifest, room));
            (0, Ok(Done::Begun { node, blob, holds, begun }))
        });
    }

    /// Checks a chunk, and writes it.
    pub(super) fn check(&mut self, arrived: Arrived) {
        self.unwritten += arrived.bytes.len();
        self.waiting.push_back(arrived);
        self.check_next();
    }

    fn check_next(&mut self) {
        if self.checking == self.checkers {
            return;
        }
        let Some(Arrived { node, blob, chunk, len, encoding, bytes }) = self.waiting.pop_front()
        else {
            return;
        };
        self.checking += 1;
        let (store, size) = (Arc::clone(&self.store), bytes.len());
        self.work.spawn_blocking(move || {
            let plain = pack::unpack(encoding, bytes, len.min(MAX_CHUNK));
            let written = store.write_chunk(blob, chunk, &plain);
            (size, Ok(Done::Checked { node, blob, chunk, written }))
        });
    }

    /// Keeps a small blob for the next commit.
    pub(super) fn put_small(&mut self, blob: BlobId, manifest: Vec<u8>, bytes: Vec<u8>) {
        self.small.push((blob, manifest, bytes));
    }

    /// Makes a blob whole with the next commit.
    pub(super) fn finish(&mut self, blob: BlobId) {
        self.complete.push(blob);
    }

    /// Begins a commit of all that waits for one, unless one is under way: the slower they are, the
    /// more each takes.
    pub(super) fn commit(&mut self) {
        if self.committing || (self.small.is_empty() && self.complete.is_empty()) {
            return;
        }
        self.committing = true;
        let (small, complete) =
            (std::mem::take(&mut self.small), std::mem::take(&mut self.complete));
        let store = Arc::clone(&self.store);
        self.work.spawn_blocking(move || {
            let commit = || {
                let borrowed: Vec<(BlobId, &[u8], &[u8])> = small
                    .iter()
                    .map(|(id, manifest, bytes)| (*id, &manifest[..], &bytes[..]))
                    .collect();
                store.put_small(&borrowed)?;
                store.finish_many(&complete)?;
                Ok(Done::Committed(small.iter().map(|(id, ..)| *id).chain(complete).collect()))
            };
            (0, commit())
        });
    }

    /// What was done next; none if there is nothing to do.
    pub(super) async fn next(&mut self) -> Option<Result<Done, FetchError>> {
        let joined = self.work.join_next().await?;
        let Ok((size, done)) = joined else {
            return Some(Err(FetchError::ShuttingDown));
        };
        self.unwritten -= size;
        match &done {
            Ok(Done::Begun { .. }) => {}
            Ok(Done::Checked { .. }) => {
                self.checking -= 1;
                self.check_next();
            }
            // Only a commit fails as a whole.
            Ok(Done::Committed(_)) | Err(_) => self.committing = false,
        }
        Some(done.map_err(FetchError::from))
    }

    /// The fetch has failed: what came is kept all the same.
    pub(super) async fn settle(&mut self) {
        while let Some(done) = {
            self.commit();
            self.next().await
        } {
            if let Err(error) = done {
                tracing::debug!(%error, "what came of a fetch that failed could not be kept");
                return;
            }
        }
    }
}
