//! Blobs that turned out to be damaged while somebody read them: they are read again as a whole,
//! and what is spoilt is fetched from peers, long before the next scrub would find it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use weft_protocol::ids::BlobId;
use weft_store::Store;

use crate::shared::Shared;
use crate::upkeep;

/// How many blobs wait to be read again. A scrub finds what is named when so many wait.
const WAITING: usize = 256;

/// Where the store names blobs that are damaged.
#[derive(Debug)]
struct Suspects {
    named: Arc<Mutex<BTreeSet<BlobId>>>,
    sender: mpsc::Sender<BlobId>,
}

/// The blobs that were named.
#[derive(Debug)]
pub(crate) struct Queue {
    named: Arc<Mutex<BTreeSet<BlobId>>>,
    receiver: mpsc::Receiver<BlobId>,
}

/// What this store's readers find damaged from now on.
pub(crate) fn of(store: &Store) -> Queue {
    let (suspects, queue) = channel();
    store.on_damage(move |blob| suspects.name(blob));
    queue
}

/// The two ends: where blobs are named, and where they are taken up.
fn channel() -> (Suspects, Queue) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let named = Arc::default();
    (Suspects { named: Arc::clone(&named), sender }, Queue { named, receiver })
}

fn locked(named: &Mutex<BTreeSet<BlobId>>) -> MutexGuard<'_, BTreeSet<BlobId>> {
    named.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Suspects {
    /// A blob is read again soon: once, however often it is named until then.
    fn name(&self, blob: BlobId) {
        if locked(&self.named).insert(blob) && self.sender.try_send(blob).is_err() {
            locked(&self.named).remove(&blob);
        }
    }
}

impl Queue {
    /// Reads again what is named, for as long as the node runs.
    pub(crate) async fn run(mut self, node: Arc<Shared>) {
        while let Some(blob) = self.receiver.recv().await {
            heal(&node, blob).await;
            locked(&self.named).remove(&blob);
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
    fn what_is_named_waits_once_and_may_be_named_again_when_there_was_no_room() {
        let blob = |n: u8| BlobId([n; 32]);
        let (suspects, mut queue) = channel();
        suspects.name(blob(1));
        suspects.name(blob(1));
        assert_eq!(queue.receiver.try_recv(), Ok(blob(1)));
        assert!(queue.receiver.try_recv().is_err());
        for n in 2..=u8::MAX {
            suspects.name(blob(n));
        }
        drop(queue);
        suspects.name(blob(0));
        assert!(!locked(&suspects.named).contains(&blob(0)), "it may be named again");
    }
}
