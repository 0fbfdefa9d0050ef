//! Fetching blobs by hash from peers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use weft_protocol::content::Tree;
use weft_protocol::content::tree::MAX_ENCODED as MAX_TREE;
use weft_protocol::ids::{BlobId, NodeId};
use weft_store::{Store, WriteError};

use super::Traffic;
use super::error::FetchError;
use super::line::Room;
use super::session::Session;
use crate::network::Network;

/// How long a peer that sent wrong bytes is not asked for anything.
const DISTRUST: Duration = Duration::from_secs(600);
/// How many fetches go on at once: each has a line to each of its providers, which lead so many conversations with one
/// peer and no more, and keeps some megabytes in memory. Others wait for their turn.
const AT_ONCE: usize = 32;

/// Fetches blobs, each at most once at a time.
#[derive(Clone)]
pub(crate) struct Fetcher {
    pub(super) network: Network,
    pub(super) store: Arc<Store>,
    pub(super) traffic: Traffic,
    under_way: Arc<Mutex<BTreeSet<BlobId>>>,
    finished: Arc<Notify>,
    turns: Arc<Semaphore>,
    liars: Arc<Mutex<BTreeMap<NodeId, Instant>>>,
    pub(super) room: Room,
}

/// Blobs that this fetch has taken on; they are free again when it is dropped.
struct Claim {
    fetcher: Fetcher,
    blobs: Vec<BlobId>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut under_way = self.fetcher.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        for blob in &self.blobs {
            under_way.remove(blob);
        }
        self.fetcher.finished.notify_waiters();
    }
}

impl Fetcher {
    /// A fetcher into `store`.
    #[must_use]
    pub(crate) fn new(network: Network, store: Arc<Store>, traffic: Traffic) -> Self {
        Self {
            network,
            store,
            traffic,
            under_way: Arc::default(),
            finished: Arc::new(Notify::new()),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            liars: Arc::default(),
            room: Room::default(),
        }
    }

    /// Brings a tree here, and all files of it that one of `frames` needs (all of them where none
    /// are named).
    ///
    /// # Errors
    /// When something of it can be had nowhere.
    pub(crate) async fn tree(
        &self,
        tree: BlobId,
        frames: Option<&[i32]>,
        providers: &[NodeId],
    ) -> Result<Tree, FetchError> {
        self.blobs(&[tree], providers).await?;
        let store = Arc::clone(&self.store);
        let bytes = blocking(move || store.read_all(tree, MAX_TREE as u64)).await??;
        let decoded = Tree::decode(&bytes)
            .map_err(|error| FetchError::NotATree { blob: tree, reason: error.to_string() })?;
        let needed: BTreeSet<BlobId> = decoded
            .entries()
            .iter()
            .filter(|(_, entry)| frames.is_none_or(|frames| entry.needed_for(frames)))
            .map(|(_, entry)| entry.blob)
            .collect();
        let needed: Vec<BlobId> = needed.into_iter().collect();
        self.blobs(&needed, providers).await?;
        Ok(decoded)
    }

    /// Brings blobs here, from `providers` and from peers that fetch the same.
    ///
    /// # Errors
    /// When one can be had nowhere.
    pub(crate) async fn blobs(
        &self,
        blobs: &[BlobId],
        providers: &[NodeId],
    ) -> Result<(), FetchError> {
        // Held before they are looked up: what is here already must not go before the caller, who
        // has begun an intake, has pinned it.
        let _holds: Vec<_> = blobs.iter().map(|blob| self.store.hold(*blob)).collect();
        loop {
            // Registered before the look, so that no end between the two is missed.
            let finished = self.finished.notified();
            let missing = self.missing(blobs).await?;
            if missing.is_empty() {
                return Ok(());
            }
            let claim = self.claim(&missing);
            if claim.blobs.is_empty() {
                finished.await;
                continue;
            }
            let turn = self.turns.acquire().await;
            let fetched = Session::run(self, claim.blobs.clone(), providers).await;
            drop((turn, claim));
            fetched?;
        }
    }

    async fn missing(&self, blobs: &[BlobId]) -> Result<Vec<BlobId>, FetchError> {
        let (store, blobs) = (Arc::clone(&self.store), blobs.to_vec());
        blocking(move || {
            let mut missing = Vec::new();
            for blob in blobs {
                if !store.has(blob).map_err(WriteError::from)? {
                    missing.push(blob);
                }
            }
            Ok(missing)
        })
        .await?
    }

    fn claim(&self, blobs: &[BlobId]) -> Claim {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let free = blobs.iter().filter(|blob| under_way.insert(**blob)).copied().collect();
        drop(under_way);
        Claim { fetcher: self.clone(), blobs: free }
    }

    /// A peer sent what no honest one does: nobody asks it for a while.
    pub(super) fn distrust(&self, node: NodeId, why: &str) {
        tracing::warn!(peer = %node, why, "a peer sent wrong bytes: nothing of them was kept, and it is asked no more");
        let mut liars = self.liars.lock().unwrap_or_else(PoisonError::into_inner);
        liars.insert(node, Instant::now());
    }

    /// Whether a peer may be asked.
    pub(super) fn trusts(&self, node: &NodeId) -> bool {
        let mut liars = self.liars.lock().unwrap_or_else(PoisonError::into_inner);
        liars.retain(|_, since| since.elapsed() < DISTRUST);
        !liars.contains_key(node)
    }
}

/// Runs something that blocks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FetchError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| FetchError::ShuttingDown)
}
