//! Fetching blobs by hash from peers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use weft_protocol::content::manifest::Manifest;
use weft_protocol::content::tree::MAX_ENCODED as MAX_TREE;
use weft_protocol::content::{MAX_CHUNK, Tree};
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::random::Random;
use weft_protocol::transfer::Fetch;
use weft_protocol::wire::transfer::{Encoding, MAX_IN_FLIGHT, MAX_REPLY, Reply, Request};
use weft_store::{Store, WriteError};

use super::Traffic;
use crate::network::{CHUNKS, Network, frames};

/// How long no peer may send anything before the fetch is given up.
const SILENCE: Duration = Duration::from_secs(20);
/// How often peers that are fetching themselves are asked what they have by now, when nothing else
/// is left to ask.
const POLL: Duration = Duration::from_millis(200);
/// How many peers one fetch draws on.
const MAX_PROVIDERS: usize = 8;
/// How many larger blobs are fetched side by side.
const MAX_ACTIVE: usize = 8;
/// Small blobs are committed in batches of about this many bytes or files.
const BATCH_FILES: usize = 256;

/// A fetch failed. Whatever came is kept, and a further try goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FetchError {
    /// No peer that could be asked has it.
    #[error("no node that can be reached has blob {}", .0.short())]
    Nowhere(BlobId),
    /// The peers that have it fell silent.
    #[error("the nodes that hold blob {} stopped answering", .0.short())]
    Silent(BlobId),
    /// It could not be written here.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It could not be read here.
    #[error(transparent)]
    Read(#[from] weft_store::ReadError),
    /// It is no tree.
    #[error("blob {} is not a tree of files: {reason}", blob.short())]
    NotATree {
        /// The blob.
        blob: BlobId,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon is ending.
    #[error("the daemon is shutting down")]
    ShuttingDown,
}

/// Fetches blobs, each at most once at a time.
#[derive(Clone)]
pub(crate) struct Fetcher {
    network: Network,
    store: Arc<Store>,
    traffic: Traffic,
    under_way: Arc<Mutex<BTreeSet<BlobId>>>,
    finished: Arc<Notify>,
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

    /// Brings blobs here.
    ///
    /// # Errors
    /// When one can be had nowhere.
    pub(crate) async fn blobs(
        &self,
        blobs: &[BlobId],
        providers: &[NodeId],
    ) -> Result<(), FetchError> {
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
            let fetched = Session::run(self, claim.blobs.clone(), providers).await;
            drop(claim);
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
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FetchError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| FetchError::ShuttingDown)
}

/// A stream to one provider.
struct Line {
    requests: mpsc::Sender<Request>,
    open: usize,
}

/// A larger blob that is being fetched.
struct Active {
    fetch: Fetch,
    /// Peers that were asked what they have of it, and have not answered yet.
    asking: BTreeSet<NodeId>,
    lens: Vec<u32>,
}

/// One fetch of some blobs from some peers.
struct Session<'a> {
    fetcher: &'a Fetcher,
    lines: BTreeMap<NodeId, Line>,
    queue: VecDeque<BlobId>,
    /// Blobs whose manifest was asked for, of whom, and who said that they don't have it.
    opening: BTreeMap<BlobId, (Option<NodeId>, BTreeSet<NodeId>)>,
    active: BTreeMap<BlobId, Active>,
    small: Vec<(BlobId, Vec<u8>, Vec<u8>)>,
    random: Random,
    /// When something last came.
    progress: Instant,
}

type Answer = (NodeId, Option<Reply>);

impl<'a> Session<'a> {
    async fn run(
        fetcher: &'a Fetcher,
        blobs: Vec<BlobId>,
        providers: &[NodeId],
    ) -> Result<(), FetchError> {
        let (answers, mut incoming) = mpsc::channel::<Answer>(MAX_IN_FLIGHT);
        let seed = blobs.first().map_or(0, |blob| {
            u64::from_le_bytes([
                blob.0[0],
                blob.0[1],
                blob.0[2],
                blob.0[3],
                fetcher.network.me().0[0],
                fetcher.network.me().0[1],
                fetcher.network.me().0[2],
                fetcher.network.me().0[3],
            ])
        });
        let mut session = Session {
            fetcher,
            lines: BTreeMap::new(),
            queue: blobs.into(),
            opening: BTreeMap::new(),
            active: BTreeMap::new(),
            small: Vec::new(),
            random: Random::seeded(seed),
            progress: Instant::now(),
        };
        for provider in providers.iter().take(MAX_PROVIDERS) {
            if let Some(requests) = session.line(provider, answers.clone()).await {
                session.lines.insert(*provider, Line { requests, open: 0 });
            }
        }
        drop(answers);
        loop {
            session.ask();
            if session.opening.is_empty() && session.active.is_empty() && session.queue.is_empty() {
                return session.flush().await;
            }
            if let Some(blob) = session.hopeless() {
                session.flush().await?;
                return Err(FetchError::Nowhere(blob));
            }
            match tokio::time::timeout(POLL, incoming.recv()).await {
                Ok(Some((node, Some(reply)))) => session.take(node, reply).await?,
                Ok(Some((node, None))) => session.lose(&node),
                Err(_) if session.progress.elapsed() < SILENCE => session.poll(),
                Ok(None) | Err(_) => {
                    let blob = session.opening.keys().chain(session.active.keys()).next();
                    let blob = blob.copied().unwrap_or(BlobId([0; 32]));
                    session.flush().await?;
                    return Err(FetchError::Silent(blob));
                }
            }
        }
    }

    /// Opens a stream to a provider, with a task for each direction: who only wrote while the
    /// other side writes too would wait for ever.
    async fn line(
        &self,
        provider: &NodeId,
        answers: mpsc::Sender<Answer>,
    ) -> Option<mpsc::Sender<Request>> {
        let stream = self.fetcher.network.open(provider, CHUNKS).await.ok()?;
        let (mut reader, mut writer) = stream.split();
        let (requests, mut queue) = mpsc::channel::<Request>(MAX_IN_FLIGHT * 2);
        let node = *provider;
        tokio::spawn(async move {
            while let Some(request) = queue.recv().await {
                if frames::write(&mut writer, &request).await.is_err()
                    || writer.flush().await.is_err()
                {
                    return;
                }
            }
            let _ = writer.close().await;
        });
        tokio::spawn(async move {
            loop {
                let reply = frames::read::<_, Reply>(&mut reader, MAX_REPLY).await.ok().flatten();
                let ended = reply.is_none();
                if answers.send((node, reply)).await.is_err() || ended {
                    return;
                }
            }
        });
        Some(requests)
    }

    /// Asks for whatever may be asked now.
    fn ask(&mut self) {
        while self.opening.len() < MAX_IN_FLIGHT && self.active.len() < MAX_ACTIVE {
            let Some(blob) = self.queue.pop_front() else {
                break;
            };
            self.opening.insert(blob, (None, BTreeSet::new()));
        }
        for (blob, (asked, refused)) in &mut self.opening {
            if asked.is_some() {
                continue;
            }
            let least = self
                .lines
                .iter_mut()
                .filter(|(node, line)| !refused.contains(*node) && line.open < MAX_IN_FLIGHT)
                .min_by_key(|(node, line)| (line.open, **node));
            if let Some((node, line)) = least
                && line.requests.try_send(Request::Open(*blob)).is_ok()
            {
                line.open += 1;
                *asked = Some(*node);
            }
        }
        for (blob, active) in &mut self.active {
            for (node, chunk) in active.fetch.next(&mut self.random) {
                let sent = self.lines.get_mut(&node).is_some_and(|line| {
                    line.open += 1;
                    line.requests.try_send(Request::Want(*blob, chunk)).is_ok()
                });
                if !sent {
                    active.fetch.missing(&node, chunk);
                }
            }
        }
    }

    /// A blob that nobody can give.
    fn hopeless(&self) -> Option<BlobId> {
        let unasked = self.opening.iter().find(|(_, (asked, refused))| {
            asked.is_none() && self.lines.keys().all(|node| refused.contains(node))
        });
        let stuck = self.active.iter().find(|(_, active)| {
            active.fetch.is_stuck() && active.asking.is_empty() && !active.fetch.may_grow()
        });
        unasked.map(|(blob, _)| *blob).or_else(|| stuck.map(|(blob, _)| *blob))
    }

    /// Asks peers that do not have everything yet what they have by now.
    fn poll(&mut self) {
        for (blob, active) in self.active.iter_mut().filter(|(_, a)| a.fetch.is_stuck()) {
            for node in active.fetch.providers() {
                if let Some(line) = self.lines.get_mut(&node)
                    && line.requests.try_send(Request::Open(*blob)).is_ok()
                {
                    line.open += 1;
                    active.asking.insert(node);
                }
            }
        }
    }

    fn lose(&mut self, node: &NodeId) {
        self.lines.remove(node);
        for (asked, refused) in self.opening.values_mut() {
            refused.insert(*node);
            asked.take_if(|asked| *asked == *node);
        }
        for active in self.active.values_mut() {
            active.fetch.lost(node);
            active.asking.remove(node);
        }
    }

    /// Drops a peer that sent what it should not have.
    fn drop_liar(&mut self, node: &NodeId, why: &str) {
        tracing::warn!(peer = %node, why, "a peer sent wrong bytes: nothing of them was kept, and it is asked no more");
        self.lose(node);
    }

    async fn take(&mut self, node: NodeId, reply: Reply) -> Result<(), FetchError> {
        if let Some(line) = self.lines.get_mut(&node) {
            line.open = line.open.saturating_sub(1);
        } else {
            return Ok(());
        }
        match reply {
            Reply::Unknown(blob) => {
                if let Some(active) = self.active.get_mut(&blob) {
                    active.asking.remove(&node);
                }
                if let Some((asked, refused)) = self.opening.get_mut(&blob) {
                    refused.insert(node);
                    asked.take_if(|asked| *asked == node);
                }
                Ok(())
            }
            Reply::Missing(blob, chunk) => {
                if let Some(active) = self.active.get_mut(&blob) {
                    active.fetch.missing(&node, chunk);
                }
                Ok(())
            }
            Reply::Whole(blob, manifest, bytes) => {
                self.progress = Instant::now();
                self.fetcher.traffic.received(bytes.len());
                if !self.opening.contains_key(&blob) {
                    return Ok(());
                }
                if !is_whole(blob, &manifest, &bytes) {
                    self.drop_liar(&node, "a small file does not have the hash that was asked");
                    return Ok(());
                }
                self.opening.remove(&blob);
                self.small.push((blob, manifest, bytes));
                if self.small.len() >= BATCH_FILES {
                    self.flush().await?;
                }
                Ok(())
            }
            Reply::Manifest(blob, manifest, has) => self.begin(node, blob, manifest, has).await,
            Reply::Chunk(blob, index, encoding, bytes) => {
                self.progress = Instant::now();
                self.fetcher.traffic.received(bytes.len());
                self.chunk(node, blob, index, encoding, bytes).await
            }
        }
    }

    async fn begin(
        &mut self,
        node: NodeId,
        blob: BlobId,
        manifest: Vec<u8>,
        has: weft_protocol::content::Bitmap,
    ) -> Result<(), FetchError> {
        if let Some(active) = self.active.get_mut(&blob) {
            active.asking.remove(&node);
            if has.len() as usize == active.lens.len() {
                active.fetch.provider(node, has);
            }
            return Ok(());
        }
        if !self.opening.contains_key(&blob) {
            return Ok(());
        }
        let (store, encoded) = (Arc::clone(&self.fetcher.store), manifest);
        let begun = blocking(move || {
            let have = store.begin_partial(blob, &encoded)?;
            let lens = Manifest::decode(&encoded)?.chunks.iter().map(|chunk| chunk.len).collect();
            Ok::<_, WriteError>((have, lens))
        });
        let (have, lens): (_, Vec<u32>) = match begun.await? {
            Ok(begun) => begun,
            Err(WriteError::WrongManifest { .. } | WriteError::Manifest(_)) => {
                self.drop_liar(&node, "a list of chunks does not have the hash that was asked");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.opening.remove(&blob);
        let mut fetch = Fetch::new(have);
        if has.len() as usize == lens.len() {
            fetch.provider(node, has);
        }
        if fetch.is_complete() {
            return self.finish(blob).await;
        }
        // Whoever else is there is asked what it has of it.
        let mut asking = BTreeSet::new();
        for (other, line) in self.lines.iter_mut().filter(|(other, _)| **other != node) {
            if line.requests.try_send(Request::Open(blob)).is_ok() {
                line.open += 1;
                asking.insert(*other);
            }
        }
        self.progress = Instant::now();
        self.active.insert(blob, Active { fetch, asking, lens });
        Ok(())
    }

    async fn chunk(
        &mut self,
        node: NodeId,
        blob: BlobId,
        index: u32,
        encoding: Encoding,
        bytes: Vec<u8>,
    ) -> Result<(), FetchError> {
        let Some(active) = self.active.get(&blob) else {
            return Ok(());
        };
        let Some(len) = active.lens.get(index as usize).copied() else {
            self.drop_liar(&node, "a chunk came that nobody asked for");
            return Ok(());
        };
        let store = Arc::clone(&self.fetcher.store);
        let written = blocking(move || {
            let cap = (len as usize).min(MAX_CHUNK);
            let plain = match encoding {
                Encoding::Plain => bytes,
                // The capacity is the chunk's true length: a bomb is refused before it grows.
                Encoding::Zstd => zstd::bulk::decompress(&bytes, cap).unwrap_or_default(),
            };
            store.write_chunk(blob, index, &plain)
        });
        match written.await? {
            Ok(new) => {
                let Some(active) = self.active.get_mut(&blob) else {
                    return Ok(());
                };
                active.fetch.arrived(index);
                for chunk in new {
                    active.fetch.arrived(chunk);
                }
                match active.fetch.is_complete() {
                    true => self.finish(blob).await,
                    false => Ok(()),
                }
            }
            Err(WriteError::Mismatch { .. }) => {
                self.drop_liar(&node, "a chunk does not have the hash that was asked");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn finish(&mut self, blob: BlobId) -> Result<(), FetchError> {
        self.active.remove(&blob);
        let store = Arc::clone(&self.fetcher.store);
        Ok(blocking(move || store.finish(blob)).await??)
    }

    /// Commits the small blobs that came.
    async fn flush(&mut self) -> Result<(), FetchError> {
        let small = std::mem::take(&mut self.small);
        if small.is_empty() {
            return Ok(());
        }
        let store = Arc::clone(&self.fetcher.store);
        let put = blocking(move || {
            let borrowed: Vec<(BlobId, &[u8], &[u8])> = small
                .iter()
                .map(|(id, manifest, bytes)| (*id, &manifest[..], &bytes[..]))
                .collect();
            store.put_small(&borrowed)
        });
        Ok(put.await??)
    }
}

/// Whether a small blob is the one that its id names.
fn is_whole(blob: BlobId, manifest: &[u8], bytes: &[u8]) -> bool {
    if Manifest::id_of(manifest) != blob {
        return false;
    }
    let Ok(manifest) = Manifest::decode(manifest) else {
        return false;
    };
    let mut rest = bytes;
    for chunk in &manifest.chunks {
        let Some((head, tail)) = rest.split_at_checked(chunk.len as usize) else {
            return false;
        };
        if blake3::hash(head).as_bytes() != &chunk.id.0 {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}
