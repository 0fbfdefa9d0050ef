//! What is being served stays: no blob is collected while a peer fetches it from here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weft_protocol::ids::BlobId;
use weft_store::{Hold, Store};

/// How long a blob stays after a peer has last asked for something of it, unless the peer closes its
/// stream before. A fetch begins a few blobs at once, and comes back to each within minutes.
pub(super) const STAYS: Duration = Duration::from_secs(300);
/// How many blobs one peer may keep from being collected.
const MOST: usize = 4096;

/// The blobs that one peer fetches.
#[derive(Debug)]
pub(super) struct Kept {
    store: Arc<Store>,
    blobs: Mutex<BTreeMap<BlobId, (Hold, Instant)>>,
}

impl Kept {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, blobs: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BlobId, (Hold, Instant)>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer asks for something of a blob at some time. To be called before the blob is looked
    /// up: what is looked up first may be gone by then.
    pub(super) fn asked(&self, blob: BlobId, now: Instant) {
        let mut blobs = self.lock();
        if let Some((_, last)) = blobs.get_mut(&blob) {
            *last = now;
        } else if blobs.len() < MOST {
            blobs.insert(blob, (self.store.hold(blob), now));
        }
    }

    /// There is nothing more of a blob to be asked for.
    pub(super) fn release(&self, blob: &BlobId) {
        self.lock().remove(blob);
    }

    /// Lets go of what was not asked for of late.
    pub(super) fn expire(&self, now: Instant) {
        self.lock().retain(|_, (_, last)| now.saturating_duration_since(*last) < STAYS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let path = folder.path().join("file");
        std::fs::write(&path, [7; 300_000]).unwrap();
        let blob = store.ingest_many(&[&path], &mut |_, _| ()).unwrap().remove(0).unwrap().id;
        let kept = Kept::new(Arc::clone(&store));
        let now = Instant::now();
        kept.asked(blob, now);
        kept.expire(now + STAYS / 2);
        store.collect(Duration::ZERO, false).unwrap();
        assert!(store.has(blob).unwrap());
        kept.asked(blob, now + STAYS / 2);
        kept.expire(now + STAYS);
        store.collect(Duration::ZERO, false).unwrap();
        assert!(store.has(blob).unwrap(), "it was asked for meanwhile");
        kept.expire(now + STAYS * 2);
        store.collect(Duration::ZERO, false).unwrap();
        assert!(!store.has(blob).unwrap());
    }
}
