//! Upkeep of the store: what nobody keeps goes, and what the disk has spoilt is found and healed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::retention;
use weft_store::{BlobInfo, CatalogError, CollectError, Lost, Mended, Plan, ReadError, Store};

use crate::clock::unix_now;
use crate::pins;
use crate::shared::Shared;

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
/// How long facts that the disk has lost may take to come back before they are told as lost, and how often is looked.
/// Peers are asked within two seconds.
const FACTS_COME: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);
/// How often is looked whether pins can be set again.
const AGAIN: Duration = Duration::from_secs(1);

/// A blob of which something was spoilt.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Damage {
    /// The blob.
    pub(crate) id: BlobId,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// How many of its chunks were spoilt; 0 where the catalog lost what it knew of it.
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
    let (mut collected, mut told_full) = (None::<Instant>, false);
    let mut unread = VecDeque::new();
    loop {
        // At first as well: a node that starts has better to do, and no peer yet to heal from.
        rest(&node).await;
        // Whatever goes wrong here is told, and tried again: an upkeep that stops is found too late.
        if collected.is_none_or(|at| at.elapsed() >= COLLECTED) {
            collected = Some(Instant::now());
            release(&node).await;
            tell(collect(&node).await);
        }
        make_room(&node, &mut told_full).await;
        if unread.is_empty() {
            if let Err(why) = mend(&node).await {
                tracing::warn!(%why, "the catalog could not be checked");
            }
            // What no peer has now is asked for again with the next pass over all files.
            for damage in bring_back(&node).await {
                told_spoilt(damage);
            }
            unread = stored(&node).await;
        }
        scrub_some(&node, &mut unread).await;
    }
}

/// Waits for the next look. Meanwhile pins are set again as soon as that can be done: until then nothing is collected.
async fn rest(node: &Shared) {
    let begun = Instant::now();
    loop {
        match set_pins_again(node).await {
            Ok(false) if begun.elapsed() < PERIOD => tokio::time::sleep(AGAIN).await,
            Ok(_) => break,
            Err(why) => {
                tracing::warn!(%why, "what says which files are kept could not be set again");
                break;
            }
        }
    }
    tokio::time::sleep(PERIOD.saturating_sub(begun.elapsed())).await;
}

fn tell(collected: Result<Plan, String>) {
    match collected {
        Ok(plan) if plan.blobs.is_empty() && plan.strays.is_empty() => {}
        Ok(plan) => {
            let (files, bytes, strays) = (plan.blobs.len(), plan.bytes(), plan.strays.len());
            tracing::info!(files, bytes, strays, "what nobody refers to was deleted");
        }
        Err(why) => tracing::warn!(%why, "nothing could be collected"),
    }
}

/// Takes away pins whose job is over. While it is in doubt which pins there were, so is which jobs there are.
async fn release(node: &Arc<Shared>) {
    let shared = Arc::clone(node);
    let released = tokio::task::spawn_blocking(move || {
        if shared.store.pins_are_in_doubt()? {
            return Ok(());
        }
        let now = unix_now().0 / 1000;
        let mut over = shared.store.all_pins()?;
        let machine = shared.machine();
        over.retain(|pin| {
            let age = Duration::from_secs(now.saturating_sub(pin.since));
            let job = pins::job_of(&pin.reason);
            job.is_some_and(|job| retention::is_over(&machine.ledger.jobs, &job, age))
        });
        drop(machine);
        shared.store.unpin_listed(&over)
    });
    if let Ok(Err(error)) = released.await {
        tracing::warn!(%error, "pins of jobs that are over could not be taken away");
    }
}

/// Where the disk is fuller than it may be, lets go of what nobody refers to, the oldest first.
async fn make_room(node: &Shared, told_full: &mut bool) {
    let Some(bytes) = excess(node) else {
        *told_full = false;
        return;
    };
    let store = Arc::clone(&node.store);
    let collected = tokio::task::spawn_blocking(move || store.collect_oldest(bytes));
    tell(match collected.await {
        Ok(collected) => collected.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    });
    if let (Some(bytes), false) = (excess(node), *told_full) {
        *told_full = true;
        tracing::warn!(
            bytes,
            "the disk is fuller than its watermark, and all that is kept here is referred to"
        );
    }
}

/// What a disk has and how much of it is left, in bytes; none where it can't be asked.
pub(crate) fn space(store: &Store) -> Option<(u64, u64)> {
    space_at(&store.path())
}

/// The same for the disk on which a folder is.
pub(crate) fn space_at(folder: &std::path::Path) -> Option<(u64, u64)> {
    fs4::total_space(folder).ok().zip(fs4::available_space(folder).ok())
}

/// How many bytes are to go from the disk.
fn excess(node: &Shared) -> Option<u64> {
    let (total, available) = space(&node.store)?;
    node.config.disk.excess(total, available)
}

/// Checks the catalog; what the disk has spoilt of it is made anew from all that is good. Facts that are lost are asked
/// of peers from then on: see [`facts_are_back`].
pub(crate) async fn mend(node: &Shared) -> Result<Mended, String> {
    let store = Arc::clone(&node.store);
    let mended = tokio::task::spawn_blocking(move || {
        if store.verify_catalog()?.is_empty() {
            return Ok(Mended::default());
        }
        store.mend_catalog()
    });
    let words = |error: CatalogError| error.to_string();
    let mended = mended.await.map_err(|error| error.to_string())?.map_err(words)?;
    if !mended.damage.is_empty() {
        forget_lost_facts(node).await?;
    }
    set_pins_again(node).await?;
    Ok(mended)
}

/// Has the machine forget the facts that it held and whose bytes the disk has lost: as long as their ids are among those
/// that it compares with peers, nobody sends them again.
async fn forget_lost_facts(node: &Shared) -> Result<(), String> {
    let (store, held) = (Arc::clone(&node.store), node.machine().ledger.ids().clone());
    let lost = tokio::task::spawn_blocking(move || store.lacks_facts(held)).await;
    let words = |error: CatalogError| error.to_string();
    let lost = lost.map_err(|error| error.to_string())?.map_err(words)?;
    if !lost.is_empty() {
        tracing::warn!(facts = lost.len(), "the disk has spoilt facts; peers are asked for them");
    }
    node.machine().forget(&lost);
    Ok(())
}

/// Whether no facts are lacking that the disk has lost. While peers are there that may have them they are given a moment.
pub(crate) async fn facts_are_back(node: &Shared) -> bool {
    let asked = Instant::now();
    while node.machine().is_incomplete()
        && !node.connected().is_empty()
        && asked.elapsed() < FACTS_COME
    {
        tokio::time::sleep(LOOK).await;
    }
    !node.machine().is_incomplete()
}

/// Sets pins again, where the disk may have spoilt some, once this node knows of all jobs of which its peers do. Says
/// whether all are set.
async fn set_pins_again(node: &Shared) -> Result<bool, String> {
    let words = |error: CatalogError| error.to_string();
    if !node.store.pins_are_in_doubt().map_err(words)? {
        return Ok(true);
    }
    if node.machine().is_incomplete() && !node.is_alone() {
        return Ok(false);
    }
    let of_jobs = pins::of_jobs(&node.machine().ledger.jobs);
    let store = Arc::clone(&node.store);
    let set = tokio::task::spawn_blocking(move || pins::set_again(&store, of_jobs));
    let pins = set.await.map_err(|error| error.to_string())?.map_err(words)?;
    tracing::warn!(pins, "the disk has spoilt what says which files are kept; it is set again");
    Ok(true)
}

/// Fetches what was whole here and isn't any more: what could not be healed when its damage was found, and what a
/// damaged catalog has lost.
pub(crate) async fn bring_back(node: &Shared) -> Vec<Damage> {
    let store = Arc::clone(&node.store);
    let lost = match tokio::task::spawn_blocking(move || store.lost()).await {
        Ok(Ok(lost)) => lost,
        Ok(Err(error)) => {
            tracing::warn!(%error, "what the disk has spoilt can't be listed");
            return Vec::new();
        }
        Err(_) => return Vec::new(),
    };
    let peers: Vec<NodeId> = node.connected().into_iter().collect();
    let mut brought = Vec::with_capacity(lost.len());
    for Lost { blob, needed_by } in lost {
        let fetched = node.fetcher.blobs(&[blob], &peers).await;
        let (store, healed) = (Arc::clone(&node.store), fetched.is_ok());
        let manifest = tokio::task::spawn_blocking(move || store.manifest(blob).ok().flatten());
        let size = manifest.await.ok().flatten().map_or(0, |manifest| manifest.size);
        let why = fetched.err().map(|error| error.to_string());
        brought.push(Damage { id: blob, size, chunks: 0, healed, needed_by, why });
    }
    brought
}

/// Tells what the disk has spoilt.
pub(crate) fn told_spoilt(damage: Damage) {
    let Damage { id, chunks, healed, needed_by, why, .. } = damage;
    let why = why.unwrap_or_default();
    tracing::error!(blob = %id.short(), chunks, healed, ?needed_by, why, "the disk has spoilt a file");
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

/// Deletes what nobody keeps and nobody wanted for a while.
async fn collect(node: &Shared) -> Result<Plan, String> {
    let store = Arc::clone(&node.store);
    let collected = tokio::task::spawn_blocking(move || store.collect(KEPT_UNUSED, false));
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
            told_spoilt(damage);
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
