//! Blobs that turned out to be damaged while somebody read them: they are read again as a whole,
//! and what is spoilt is fetched from peers, long before the next scrub would find it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use weft_protocol::ids::BlobId;
use weft_store::{DiskError, ReadError};

use crate::shared::Shared;
use crate::upkeep;

/// How many blobs wait to be read again. A scrub finds what is named when so many wait.
const WAITING: usize = 256;

/// Where those who read blobs name those that are damaged. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Suspects {
    named: Arc<Mutex<BTreeSet<BlobId>>>,
    sender: mpsc::Sender<BlobId>,
}

/// The blobs that were named.
#[derive(Debug)]
pub(crate) struct Queue {
    suspects: Suspects,
    receiver: mpsc::Receiver<BlobId>,
}

/// The two ends: where blobs are named, and where they are taken up.
pub(crate) fn channel() -> (Suspects, Queue) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let suspects = Suspects { named: Arc::default(), sender };
    (suspects.clone(), Queue { suspects, receiver })
}

/// Whether a blob could not be read because of what its disk has made of it.
pub(crate) fn is_damage(error: &ReadError) -> bool {
    matches!(error, ReadError::Corrupt { .. } | ReadError::Disk(DiskError::Io { .. }))
}

impl Suspects {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<BlobId>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A blob could not be read. If it is damaged, it is read again soon: once, however often it
    /// is named until then.
    pub(crate) fn name(&self, blob: BlobId, error: &ReadError) {
        if is_damage(error) && self.lock().insert(blob) && self.sender.try_send(blob).is_err() {
            self.lock().remove(&blob);
        }
    }
}

impl Queue {
    /// Reads again what is named, for as long as the node runs.
    pub(crate) async fn run(mut self, node: Arc<Shared>) {
        while let Some(blob) = self.receiver.recv().await {
            heal(&node, blob).await;
            self.suspects.lock().remove(&blob);
        }
    }
}

/// Reads a blob again; what is spoilt of it is told, and fetched from peers.
pub(crate) async fn heal(node: &Shared, blob: BlobId) {
    let store = Arc::clone(&node.store);
    let info = tokio::task::spawn_blocking(move || store.info(blob)).await;
    if let Ok(Ok(Some(info))) = info
        && let Some(damage) = upkeep::check(node, &info).await
    {
        upkeep::told_spoilt(damage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_waits_once_and_other_errors_are_none() {
        let blob = |n: u8| BlobId([n; 32]);
        let corrupt = |n: u8| ReadError::Corrupt { blob: blob(n), index: 0 };
        let (suspects, mut queue) = channel();
        suspects.name(blob(1), &corrupt(1));
        suspects.name(blob(1), &corrupt(1));
        suspects.name(blob(2), &ReadError::Unknown { blob: blob(2) });
        suspects.name(blob(3), &DiskError::NoHandles { path: "data".into() }.into());
        assert_eq!(queue.receiver.try_recv(), Ok(blob(1)));
        assert!(queue.receiver.try_recv().is_err());
        for n in 2..=u8::MAX {
            suspects.name(blob(n), &corrupt(n));
        }
        drop(queue);
        suspects.name(blob(0), &corrupt(0));
        assert!(!suspects.lock().contains(&blob(0)), "it may be named again");
    }
}
