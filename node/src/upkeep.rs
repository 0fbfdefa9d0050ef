//! Upkeep of the store: what nobody keeps goes, and what the disk has spoilt is found and healed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use weft_protocol::ids::{BlobId, NodeId};
use weft_store::{BlobInfo, CollectError, Plan, ReadError, Store};

use crate::node::Shared;

/// How often the daemon looks at its disk.
const PERIOD: Duration = Duration::from_secs(60);
/// How often it collects what nobody refers to, while there is room: all pinned trees are read for it.
const COLLECTED: Duration = Duration::from_secs(3600);
/// What nobody refers to stays this long all the same, while there is room: a scene that is
/// submitted again the same day need not travel again.
const KEPT_UNUSED: Duration = Duration::from_secs(24 * 3600);
/// After how many bytes read again the next period is waited for: 64 MiB a minute are about 1 MiB/s,
/// and 90 GiB a day. A larger file is read in one go.
const SCRUBBED: u64 = 64 << 20;
/// A disk of which less than this is free is full: the inverse of the share, so a tenth.
const FULL_SHARE: u64 = 10;

/// A blob of which something was spoilt.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Damage {
    /// The blob.
    pub(crate) id: BlobId,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// How many of its chunks were spoilt.
    pub(crate) chunks: usize,
    /// Whether the bytes were had from a peer.
    pub(crate) healed: bool,
    /// Who needs it: the reasons for which it is pinned.
    pub(crate) needed_by: Vec<String>,
    /// Why it could not be healed.
    pub(crate) why: Option<String>,
}

/// Collects and scrubs for as long as the node runs.
pub(crate) async fn run(node: Arc<Shared>) {
    let mut collected = None::<Instant>;
    let mut unread = VecDeque::new();
    loop {
        // At first as well: a node that starts has better to do, and no peer yet to heal from.
        tokio::time::sleep(PERIOD).await;
        // Whatever goes wrong here is told, and tried again: an upkeep that stops is found too late.
        let full = is_full(&node.store);
        if full || collected.is_none_or(|at| at.elapsed() >= COLLECTED) {
            collected = Some(Instant::now());
            collect_and_tell(&node, if full { Duration::ZERO } else { KEPT_UNUSED }).await;
        }
        if unread.is_empty() {
            unread = stored(&node).await;
        }
        scrub_some(&node, &mut unread).await;
    }
}

async fn collect_and_tell(node: &Shared, grace: Duration) {
    match collect(node, grace, false).await {
        Ok(plan) if plan.blobs.is_empty() => {}
        Ok(plan) => {
            let (files, bytes) = (plan.blobs.len(), plan.bytes());
            tracing::info!(files, bytes, "what nobody refers to was deleted");
        }
        Err(why) => tracing::warn!(%why, "nothing could be collected"),
    }
}

/// All blobs that are here; none where the catalog can't be read, which is told.
async fn stored(node: &Shared) -> VecDeque<BlobInfo> {
    let store = Arc::clone(&node.store);
    let listed = tokio::task::spawn_blocking(move || store.list()).await;
    match listed {
        Ok(Ok(blobs)) => blobs.into(),
        Ok(Err(error)) => {
            tracing::warn!(%error, "nothing could be scrubbed");
            VecDeque::new()
        }
        Err(_) => VecDeque::new(),
    }
}

/// Whether the disk of a store is nearly full. One that can't be asked isn't.
fn is_full(store: &Store) -> bool {
    let path = store.path();
    let (free, all) = (fs4::available_space(&path), fs4::total_space(&path));
    matches!((free, all), (Ok(free), Ok(all)) if free < all / FULL_SHARE)
}

/// Deletes what nobody keeps and nobody touched for `grace`, or says what that would be.
pub(crate) async fn collect(node: &Shared, grace: Duration, dry_run: bool) -> Result<Plan, String> {
    let store = Arc::clone(&node.store);
    let collected = tokio::task::spawn_blocking(move || store.collect(grace, dry_run));
    let words = |error: CollectError| error.to_string();
    collected.await.map_err(|error| error.to_string())?.map_err(words)
}

/// Reads the next of these blobs again.
async fn scrub_some(node: &Shared, unread: &mut VecDeque<BlobInfo>) {
    let mut read = 0;
    while read < SCRUBBED
        && let Some(blob) = unread.pop_front()
    {
        read += blob.size;
        if let Some(damage) = check(node, &blob).await {
            let Damage { id, chunks, healed, needed_by, why, .. } = damage;
            let why = why.unwrap_or_default();
            tracing::error!(blob = %id.short(), chunks, healed, ?needed_by, why, "the disk has spoilt a file");
        }
    }
}

/// Reads a blob again. What is spoilt is fetched from peers.
pub(crate) async fn check(node: &Shared, blob: &BlobInfo) -> Option<Damage> {
    let (store, id) = (Arc::clone(&node.store), blob.id);
    let spoilt = tokio::task::spawn_blocking(move || {
        let chunks = match store.verify_blob(id) {
            Ok(chunks) if chunks.is_empty() => return None,
            Ok(chunks) => Ok(chunks),
            // It was collected meanwhile.
            Err(ReadError::Unknown { .. }) => return None,
            Err(error) => Err(error.to_string()),
        };
        let pins = store.pins(id).unwrap_or_default();
        let needed_by = pins.into_iter().map(|pin| pin.reason).collect::<Vec<_>>();
        let marked = chunks.and_then(|chunks| {
            let marked = store.mark_damaged(id, &chunks).map_err(|error| error.to_string());
            marked.map(|()| chunks.len())
        });
        Some((marked, needed_by))
    });
    let (marked, needed_by) = spoilt.await.ok()??;
    let mut damage = Damage { id, size: blob.size, chunks: 0, healed: false, needed_by, why: None };
    match marked {
        Ok(chunks) => {
            damage.chunks = chunks;
            let peers: Vec<NodeId> = node.connected().into_iter().collect();
            match node.fetcher.blobs(&[id], &peers).await {
                Ok(()) => damage.healed = true,
                Err(error) => damage.why = Some(error.to_string()),
            }
        }
        Err(why) => damage.why = Some(why),
    }
    Some(damage)
}
