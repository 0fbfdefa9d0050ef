//! Moving blobs: serving them to peers, and fetching them from peers.

mod board;
mod error;
mod fetch;
mod line;
mod pack;
mod serve;
mod session;

pub(crate) use error::FetchError;
pub(crate) use fetch::Fetcher;
pub(crate) use serve::serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use board::{Board, Posted};
use tokio::sync::watch;
use weft_protocol::ids::{BlobId, NodeId};

/// What goes out and comes in: how many bytes of chunks, and what the two sides tell each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    bytes: Arc<[AtomicU64; 2]>,
    board: Board,
}

impl Traffic {
    fn sent(&self, bytes: usize) {
        self.bytes[0].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn received(&self, bytes: usize) {
        self.bytes[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// These blobs are being fetched from now on.
    fn post(&self, blobs: &[BlobId]) -> Posted {
        self.board.post(blobs)
    }

    /// A peer wants a blob.
    fn asks(&self, node: NodeId, blob: &BlobId) {
        self.board.asks(node, blob);
    }

    /// There is more of a blob here than before.
    fn more(&self, blob: BlobId) {
        self.board.more(blob);
    }

    /// Tells when there is more of something.
    fn changes(&self) -> watch::Receiver<u64> {
        self.board.changes()
    }

    /// Of which blobs there is more since a change.
    fn since(&self, since: u64) -> Vec<BlobId> {
        self.board.since(since)
    }

    /// Bytes sent and received since the daemon started, as they were on the wire.
    #[must_use]
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.bytes[0].load(Ordering::Relaxed), self.bytes[1].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
