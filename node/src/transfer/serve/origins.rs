//! What went out of the blobs that are served whole, over all streams together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_protocol::content::Bitmap;
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::random::Random;
use weft_protocol::transfer::Origin;

use crate::transfer::seed;

/// The blobs that somebody fetches from here. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(Arc<Mutex<BTreeMap<BlobId, Followed>>>);

#[derive(Debug)]
struct Followed {
    streams: usize,
    origin: Origin,
    random: Random,
}

/// The part that one stream has in it. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Part {
    origins: Origins,
    blob: BlobId,
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut all = self.origins.lock();
        if let Some(followed) = all.get_mut(&self.blob) {
            followed.streams -= 1;
            if followed.streams == 0 {
                all.remove(&self.blob);
            }
        }
    }
}

impl Origins {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<BlobId, Followed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer fetches a blob of so many chunks that is here as a whole.
    pub(super) fn join(&self, node: &NodeId, blob: BlobId, chunks: u32) -> Part {
        let mut all = self.lock();
        let followed = all.entry(blob).or_insert_with(|| Followed {
            streams: 0,
            origin: Origin::new(chunks),
            random: Random::seeded(seed(&node.0)),
        });
        followed.streams += 1;
        drop(all);
        Part { origins: self.clone(), blob }
    }
}

impl Part {
    fn with<T>(&self, unknown: T, act: impl FnOnce(&mut Followed) -> T) -> T {
        self.origins.lock().get_mut(&self.blob).map_or(unknown, act)
    }

    /// The peer holds these chunks.
    pub(super) fn held(&self, bitmap: &Bitmap) {
        self.with((), |followed| followed.origin.held(bitmap));
    }

    /// The peer has got chunks.
    pub(super) fn gained(&self, chunks: &[u32]) {
        self.with((), |followed| chunks.iter().for_each(|chunk| followed.origin.gained(*chunk)));
    }

    /// Which chunk to send to a peer that asks for one.
    pub(super) fn give(&self, asked: u32, exact: bool) -> u32 {
        self.with(asked, |followed| followed.origin.give(asked, exact, &mut followed.random))
    }
}
