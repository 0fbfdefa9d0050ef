//! What the side that fetches and the side that serves tell each other: what there is more of here,
//! and who asks for what is being fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use weft_protocol::ids::{BlobId, NodeId};

/// How many blobs are remembered to have changed. Whoever serves looks several times a second, so
/// that only what changed long ago is forgotten.
const REMEMBERED: usize = 16 * 1024;
/// How many peers that asked wait to be taken up by a fetch; it takes a few at most.
const WAITING: usize = 64;

/// The board. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Board {
    inner: Arc<Mutex<Inner>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Counts changes.
    now: u64,
    last: BTreeMap<BlobId, u64>,
    by_time: BTreeMap<u64, BlobId>,
    fetches: BTreeMap<u64, Fetch>,
    next_fetch: u64,
}

#[derive(Debug)]
struct Fetch {
    blobs: BTreeSet<BlobId>,
    asking: mpsc::Sender<NodeId>,
}

/// A fetch that is on the board; it is taken off when this is dropped.
#[derive(Debug)]
pub(super) struct Posted {
    board: Board,
    number: u64,
    /// Peers that ask for what it fetches.
    pub(super) asking: mpsc::Receiver<NodeId>,
}

impl Default for Board {
    fn default() -> Self {
        Self { inner: Arc::default(), changes: watch::Sender::new(0) }
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.board.lock().fetches.remove(&self.number);
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These blobs are being fetched from now on.
    pub(super) fn post(&self, blobs: &[BlobId]) -> Posted {
        let (asking, receiver) = mpsc::channel(WAITING);
        let mut inner = self.lock();
        let number = inner.next_fetch;
        inner.next_fetch += 1;
        inner.fetches.insert(number, Fetch { blobs: blobs.iter().copied().collect(), asking });
        drop(inner);
        Posted { board: self.clone(), number, asking: receiver }
    }

    /// A peer wants a blob: if it is being fetched here too, the two can help each other.
    pub(super) fn asks(&self, node: NodeId, blob: &BlobId) {
        for fetch in self.lock().fetches.values().filter(|fetch| fetch.blobs.contains(blob)) {
            // A fetch that has enough of them can do without.
            let _ = fetch.asking.try_send(node);
        }
    }

    /// There is more of a blob here than before.
    pub(super) fn more(&self, blob: BlobId) {
        let mut inner = self.lock();
        inner.now += 1;
        let now = inner.now;
        if let Some(before) = inner.last.insert(blob, now) {
            inner.by_time.remove(&before);
        }
        inner.by_time.insert(now, blob);
        if inner.by_time.len() > REMEMBERED
            && let Some((_, oldest)) = inner.by_time.pop_first()
        {
            inner.last.remove(&oldest);
        }
        drop(inner);
        self.changes.send_replace(now);
    }

    /// Tells when something changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Which blobs changed after the change `since`.
    pub(super) fn since(&self, since: u64) -> Vec<BlobId> {
        let inner = self.lock();
        inner.by_time.range(since.saturating_add(1)..).map(|(_, blob)| *blob).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(n: u8) -> BlobId {
        BlobId([n; 32])
    }

    #[test]
    fn changes_are_told_once_each() {
        let board = Board::default();
        let changes = board.changes();
        for n in [1, 2, 1] {
            board.more(blob(n));
        }
        assert_eq!(*changes.borrow(), 3);
        assert_eq!(board.since(0), [blob(2), blob(1)]);
        assert_eq!(board.since(2), [blob(1)]);
        assert_eq!(board.since(3), []);
    }

    #[test]
    fn who_asks_for_what_is_fetched_is_made_known() {
        let board = Board::default();
        let mut posted = board.post(&[blob(1)]);
        board.asks(NodeId([7; 32]), &blob(2));
        board.asks(NodeId([8; 32]), &blob(1));
        assert_eq!(posted.asking.try_recv(), Ok(NodeId([8; 32])));
        assert!(posted.asking.try_recv().is_err());
        drop(posted);
        assert!(board.lock().fetches.is_empty());
    }
}
