//! One stream of a peer that fetches: its requests in, replies out, and news of what there is more
//! of here.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::FuturesOrdered;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use weft_protocol::content::Bitmap;
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::wire::transfer::{
    Chunk, MAX_NEWS, MAX_OPEN, MAX_REQUEST, MAX_WHOLE, Reply, Request,
};
use weft_store::Store;

use super::guests::Seat;
use super::kept::{Kept, STAYS};
use super::origins::{Origins, Part};
use super::queue::{Queue, Work};
use crate::network::{Stream, frames};
use crate::transfer::{Traffic, pack};

/// How many answers are made ready while one is being written: the disk and the cipher work side by
/// side, and little is read in vain when the peer goes.
const READY: usize = 4;
/// How often a peer hears what there is more of.
const TELL: Duration = Duration::from_millis(100);
/// How long a peer may take for one answer, a megabyte at most.
const TAKES: Duration = Duration::from_secs(60);
/// How many blobs a peer may follow over one stream.
const MAX_FOLLOWED: usize = 64 * 1024;

/// What one stream's two directions share.
struct Shared {
    node: NodeId,
    store: Arc<Store>,
    traffic: Traffic,
    origins: Origins,
    seat: Seat,
    queue: Queue,
    kept: Kept,
    /// The blobs that the peer fetches and that are here as a whole.
    parts: Mutex<BTreeMap<BlobId, Part>>,
}

/// A conversation with one peer.
pub(super) struct Conversation {
    shared: Arc<Shared>,
    /// What the peer was told of blobs that are not here as a whole.
    told: BTreeMap<BlobId, Option<Bitmap>>,
}

/// An answer, and the bytes behind it.
type Answer = (Reply, Vec<u8>);

/// What to do, and the answer; none yet if it is a long one.
type Ready = (Work, Option<Answer>);

impl Conversation {
    pub(super) fn new(
        node: NodeId,
        store: Arc<Store>,
        traffic: Traffic,
        origins: Origins,
        seat: Seat,
    ) -> Self {
        let kept = Kept::new(Arc::clone(&store));
        let (queue, parts) = (Queue::default(), Mutex::default());
        let shared = Shared { node, store, traffic, origins, seat, queue, kept, parts };
        Self { shared: Arc::new(shared), told: BTreeMap::new() }
    }

    /// Answers until the peer closes the stream: from then on it takes no answer either, and whoever went on
    /// writing to it would wait for ever, once as much is on the way as it had asked for.
    ///
    /// # Errors
    /// When the stream breaks, nothing of an answer is taken for a minute, or what comes is no request.
    pub(super) async fn run(mut self, stream: Stream) -> io::Result<()> {
        let (reader, writer) = stream.split();
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            read = shared.read(reader) => read,
            written = self.write(writer) => written,
        }
    }

    async fn write(&mut self, mut writer: futures::io::WriteHalf<Stream>) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut ready: FuturesOrdered<JoinHandle<io::Result<Ready>>> = FuturesOrdered::new();
        let mut changes = shared.traffic.board.changes();
        let mut seen = *changes.borrow();
        let mut tell_at = Instant::now();
        let mut expire = tokio::time::interval(STAYS);
        loop {
            while ready.len() < READY
                && let Some(work) = shared.queue.pop()
            {
                ready.push_back(tokio::spawn(Arc::clone(&shared).make_ready(work)));
            }
            if ready.is_empty() {
                in_time(writer.flush()).await?;
            }
            // Only peers that wait for something are told, and none too often.
            let waits = !self.told.is_empty();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(tell_at), if waits && *changes.borrow() != seen => {
                    tell_at = Instant::now() + TELL;
                    let since = std::mem::replace(&mut seen, *changes.borrow_and_update());
                    for reply in self.news(since).await? {
                        in_time(frames::write(&mut writer, &reply)).await?;
                    }
                }
                Some(made) = ready.next() => {
                    let (work, made) = made.map_err(io::Error::other)??;
                    // It is its turn only now: what would wait in the peer's other conversations is not read.
                    let long = if made.is_none() { shared.seat.long().await } else { None };
                    let (reply, bytes) = match made {
                        Some(answer) => answer,
                        None => Arc::clone(&shared).long_answer(work).await?,
                    };
                    self.note(&reply);
                    in_time(frames::write(&mut writer, &reply)).await?;
                    if !bytes.is_empty() {
                        in_time(writer.write_all(&bytes)).await?;
                    }
                    drop((reply, long));
                }
                () = shared.queue.filled() => {}
                _ = expire.tick() => shared.kept.expire(Instant::now().into_std()),
                Ok(()) = changes.changed(), if waits => {}
            }
        }
    }

    /// Remembers what the peer is told.
    fn note(&mut self, reply: &Reply) {
        let (blob, told) = match reply {
            Reply::Manifest(blob, _, bitmap) | Reply::Holds(blob, bitmap) => (blob, Some(bitmap)),
            Reply::Unknown(blob) => (blob, None),
            _ => return,
        };
        if told.is_some_and(Bitmap::is_full) {
            self.told.remove(blob);
        } else if self.told.len() < MAX_FOLLOWED || self.told.contains_key(blob) {
            self.told.insert(*blob, told.cloned());
        }
    }

    /// What there is more of than the peer was told, since a change.
    async fn news(&mut self, since: u64) -> io::Result<Vec<Reply>> {
        let mut changed = self.shared.traffic.board.since(since);
        changed.retain(|blob| self.told.contains_key(blob));
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let store = Arc::clone(&self.shared.store);
        let look = move || {
            let have = |blob: BlobId| Some((blob, store.have(blob).ok()??));
            changed.into_iter().filter_map(have).collect::<Vec<_>>()
        };
        let have = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?;
        let mut news = Vec::new();
        for (blob, bitmap) in have {
            let reply = match self.told.get(&blob) {
                Some(Some(before)) => {
                    let gained: Vec<u32> =
                        bitmap.held().filter(|chunk| !before.get(*chunk)).collect();
                    if gained.is_empty() {
                        continue;
                    }
                    // A chunk takes three bytes at most in a list and a bit in a bitmap.
                    match gained.len() > bitmap.as_bytes().len() / 3 {
                        true => Reply::Holds(blob, bitmap.clone()),
                        false => Reply::Gained(blob, gained),
                    }
                }
                _ => {
                    // Both fetch it now: each can help the other.
                    self.shared.traffic.board.asks(self.shared.node, &blob);
                    Reply::Holds(blob, bitmap.clone())
                }
            };
            if bitmap.is_full() {
                self.told.remove(&blob);
            } else {
                self.told.insert(blob, Some(bitmap));
            }
            news.push(reply);
        }
        Ok(news)
    }
}

/// Writes an answer, the whole of it in that time. A peer that takes none, and asks for more, would keep what is served
/// to it for ever.
async fn in_time(writing: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let written = tokio::time::timeout(TAKES, writing).await;
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl Shared {
    async fn read(&self, mut reader: futures::io::ReadHalf<Stream>) -> io::Result<()> {
        while let Some(request) = frames::read::<_, Request>(&mut reader, MAX_REQUEST).await? {
            match request {
                Request::Open(blobs) => {
                    for blob in blobs.into_iter().take(MAX_OPEN) {
                        self.queue.push(Work::Open(blob)).await;
                    }
                }
                Request::Follow(blob) => self.queue.push(Work::Follow(blob)).await,
                Request::Want { blob, chunk, exact } => {
                    self.queue.push(Work::Want { blob, chunk, exact }).await;
                }
                Request::Cancel(blob, chunk) => self.queue.cancel(blob, chunk),
                Request::Hold(blob, bitmap) => self.with_part(&blob, |part| part.held(&bitmap)),
                Request::Gained(blob, chunks) => self.with_part(&blob, |part| part.gained(&chunks)),
            }
        }
        Ok(())
    }

    fn with_part<T: Default>(&self, blob: &BlobId, act: impl FnOnce(&Part) -> T) -> T {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.get(blob).map(act).unwrap_or_default()
    }

    /// Answers in another thread, unless the answer is a long one.
    async fn make_ready(self: Arc<Self>, work: Work) -> io::Result<Ready> {
        let shared = Arc::clone(&self);
        let looks = matches!(work, Work::Open(_) | Work::Follow(_));
        let answer = async {
            let answer = move || {
                let answer = shared.answer(&work, MAX_NEWS);
                (work, answer)
            };
            tokio::task::spawn_blocking(answer).await
        };
        let made = if looks { self.seat.look(answer).await } else { answer.await };
        made.map_err(io::Error::other)
    }

    /// Answers at whatever length.
    async fn long_answer(self: Arc<Self>, work: Work) -> io::Result<Answer> {
        let answer = move || self.answer(&work, usize::MAX);
        let answer = tokio::task::spawn_blocking(answer).await.map_err(io::Error::other)?;
        answer.ok_or_else(|| io::Error::other("an answer has no length"))
    }

    /// Answers; none if a manifest for it has more than `most` bytes.
    fn answer(&self, work: &Work, most: usize) -> Option<Answer> {
        let reply = match *work {
            Work::Open(blob) => self.with_kept(blob, Self::open),
            Work::Follow(blob) => self.with_kept(blob, Self::follow),
            Work::Spared(blob, chunk) => Reply::Spared(blob, chunk),
            Work::Want { blob, chunk, exact } => return Some(self.chunk(blob, chunk, exact)),
        };
        match &reply {
            Reply::Manifest(_, manifest, _) if manifest.len() > most => return None,
            Reply::Whole(_, _, bytes) => self.traffic.sent(bytes.len(), bytes.len()),
            _ => {}
        }
        Some((reply, Vec::new()))
    }

    /// Looks a blob up; what the peer will ask chunks of stays until then.
    fn with_kept(&self, blob: BlobId, look: impl Fn(&Self, BlobId) -> Option<Reply>) -> Reply {
        self.kept.asked(blob, Instant::now().into_std());
        let reply = look(self, blob).unwrap_or(Reply::Unknown(blob));
        if matches!(reply, Reply::Whole(..) | Reply::Unknown(_)) {
            self.kept.release(&blob);
        }
        reply
    }

    fn open(&self, blob: BlobId) -> Option<Reply> {
        self.traffic.board.asks(self.node, &blob);
        let manifest = self.store.manifest_bytes(blob).ok()??;
        let info = self.store.info(blob).ok()?;
        if info.is_some_and(|info| info.size <= MAX_WHOLE) {
            let bytes = self.store.read_all(blob, MAX_WHOLE).ok()?;
            return Some(Reply::Whole(blob, manifest, bytes));
        }
        Some(Reply::Manifest(blob, manifest, self.have(blob)?))
    }

    fn follow(&self, blob: BlobId) -> Option<Reply> {
        self.traffic.board.asks(self.node, &blob);
        Some(Reply::Holds(blob, self.have(blob)?))
    }

    /// What is here of a blob; if that is all, what went out of it is counted.
    fn have(&self, blob: BlobId) -> Option<Bitmap> {
        let have = self.store.have(blob).ok()??;
        if have.is_full() {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            if parts.len() < MAX_FOLLOWED {
                let join = || self.origins.join(&self.node, blob, have.len());
                parts.entry(blob).or_insert_with(join);
            }
        }
        Some(have)
    }

    fn chunk(&self, blob: BlobId, asked: u32, exact: bool) -> Answer {
        let chunk = {
            let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            parts.get(&blob).map_or(asked, |part| part.give(asked, exact))
        };
        self.kept.asked(blob, Instant::now().into_std());
        let read = |chunk| self.store.read_chunk(blob, chunk).map(|bytes| (chunk, bytes));
        let read = read(chunk).or_else(|error| match chunk == asked {
            true => Err(error),
            // What can't be read was chosen here: the peer may get what it asked.
            false => read(asked),
        });
        match read {
            Ok((chunk, bytes)) => {
                let content = bytes.len();
                let (encoding, bytes) = pack::squeeze(bytes);
                self.traffic.sent(bytes.len(), content);
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                (Reply::Chunk(Chunk { blob, asked, chunk, encoding, bytes: length }), bytes)
            }
            Err(error) => {
                tracing::debug!(%error, "a chunk was asked that can't be served");
                (Reply::Missing(blob, asked), Vec::new())
            }
        }
    }
}
