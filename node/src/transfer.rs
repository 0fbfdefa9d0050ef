//! Moving blobs: serving them to peers, and fetching them from peers.

mod fetch;
mod serve;

pub(crate) use fetch::Fetcher;
pub(crate) use serve::serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes of chunks went out and came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic(Arc<[AtomicU64; 2]>);

impl Traffic {
    pub(crate) fn sent(&self, bytes: usize) {
        self.0[0].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.0[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes sent and received since the daemon started, as they were on the wire.
    #[must_use]
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.0[0].load(Ordering::Relaxed), self.0[1].load(Ordering::Relaxed))
    }
}
