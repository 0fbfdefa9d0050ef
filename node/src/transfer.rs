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

use board::Board;

/// What goes out and comes in: how many bytes of chunks, and what the two sides tell each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    bytes: Arc<[AtomicU64; 3]>,
    board: Board,
}

impl Traffic {
    /// Bytes went out, and what they were before they were compressed.
    fn sent(&self, bytes: usize, content: usize) {
        self.bytes[0].fetch_add(bytes as u64, Ordering::Relaxed);
        self.bytes[2].fetch_add(content as u64, Ordering::Relaxed);
    }

    fn received(&self, bytes: usize) {
        self.bytes[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of files that were sent, as they are in the files.
    #[must_use]
    pub(crate) fn given(&self) -> u64 {
        self.bytes[2].load(Ordering::Relaxed)
    }

    /// Bytes sent and received since the daemon started, as they were on the wire.
    #[must_use]
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.bytes[0].load(Ordering::Relaxed), self.bytes[1].load(Ordering::Relaxed))
    }
}

/// A number by which ids differ, to begin a sequence of random numbers with: ids are hashes and keys,
/// so that a part of one is as good as all of it.
fn seed(id: &[u8; 32]) -> u64 {
    id.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
