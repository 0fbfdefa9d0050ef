//! One fetch of some blobs from some peers: the loop that feeds the planner with what comes, and
//! does what it says.

mod disk;
mod opening;
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use weft_protocol::content::Bitmap;
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::random::Random;
use weft_protocol::transfer::{Ask, Delivery, Download};
use weft_protocol::wire::transfer::{Chunk, Reply, Request};
use weft_store::WriteError;

use self::disk::{Arrived, Disk, Done};
use self::opening::{Opening, is_whole};
use self::peers::Peers;
use super::error::FetchError;
use super::fetch::Fetcher;
use super::line::Came;
use super::seed;
use crate::clock::Clock;

/// How long no peer may send anything of use before the fetch is given up.
const SILENCE: Duration = Duration::from_secs(20);
/// How long nothing is written until a disk that has enough to write counts as one that stands still.
const STANDS: Duration = Duration::from_secs(1);
/// How often deadlines are looked at, and peers told what is here by now.
const TICK: Duration = Duration::from_millis(100);
/// How many larger blobs are fetched side by side: each has a file open.
const MAX_ACTIVE: usize = 64;
/// With how many chunks of all of them no further one is begun: each takes some hundred bytes of memory.
const MAX_CHUNKS: usize = 1 << 20;
/// How many bytes may wait to be checked and written before no more are taken from the network.
const MAX_UNWRITTEN: usize = 4 << 20;
/// How many answers of all peers wait to be looked at.
const ANSWERS: usize = 16;

/// A larger blob that is being fetched.
struct Active {
    lens: Vec<u32>,
    /// What is here.
    have: Bitmap,
    /// What came since the peers were told.
    gained: Vec<u32>,
    /// Peers that have all of it: they want to know what is here, to send what nobody has.
    whole_at: BTreeSet<NodeId>,
    /// Peers that were asked what they have of it, and have not answered yet.
    following: BTreeSet<NodeId>,
}

/// How many more larger blobs may be fetched beside these, of each of which this is the number of chunks.
fn room_beside(active: impl ExactSizeIterator<Item = usize>) -> usize {
    let count = active.len();
    let full = active.sum::<usize>() >= MAX_CHUNKS;
    if full { 0 } else { MAX_ACTIVE.saturating_sub(count) }
}

/// A fetch.
pub(super) struct Session<'a> {
    fetcher: &'a Fetcher,
    clock: Clock,
    download: Download,
    peers: Peers,
    opening: Opening,
    active: BTreeMap<BlobId, Active>,
    disk: Disk,
    /// When something of use last came.
    progress: Instant,
}

impl<'a> Session<'a> {
    /// Fetches blobs.
    ///
    /// # Errors
    /// When one can be had nowhere, or not be written.
    pub(super) async fn run(
        fetcher: &'a Fetcher,
        blobs: Vec<BlobId>,
        providers: &[NodeId],
    ) -> Result<(), FetchError> {
        // Answers wait in the lines' tasks while the disk is slower than the network.
        let (answers, mut incoming) = mpsc::channel(ANSWERS);
        let mut posted = fetcher.traffic.board.post(&blobs);
        // Nodes and fetches differ.
        let first = blobs.first().map_or(0, |blob| seed(&blob.0));
        let mut random = Random::seeded(first ^ seed(&fetcher.network.me().0));
        // Nodes that fetch the same files at the same time each begin with others.
        let count = blobs.len();
        let opening = Opening::new(random.sample(blobs, count));
        let mut session = Session {
            fetcher,
            clock: Clock::start(),
            download: Download::new(random),
            peers: Peers::new(fetcher.clone(), answers, providers),
            opening,
            active: BTreeMap::new(),
            disk: Disk::new(fetcher.store.clone()),
            progress: Instant::now(),
        };
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            session.peers.connect();
            session.ask();
            session.disk.commit();
            if session.opening.is_empty() && session.active.is_empty() && session.disk.is_idle() {
                return Ok(());
            }
            let hopeless = session.hopeless();
            // Another peer is asked where there is one.
            let helped = (hopeless.is_some() || session.is_stuck()) && session.peers.another();
            let blob = hopeless.filter(|_| !helped);
            if let Some(blob) = blob {
                session.disk.settle().await;
                return Err(FetchError::Nowhere(blob));
            }
            let result = tokio::select! {
                Some(done) = session.disk.next() => session.done(done?),
                Some(node) = session.peers.connected() => { session.connected(node); Ok(()) }
                Some((node, came)) = incoming.recv(), if session.disk.unwritten() < MAX_UNWRITTEN => {
                    session.take(node, came);
                    Ok(())
                }
                Some(node) = posted.asking.recv() => { session.peers.meet(node); Ok(()) }
                _ = tick.tick() => session.tick(),
            };
            if let Err(error) = result {
                session.disk.settle().await;
                return Err(error);
            }
        }
    }

    /// How many more larger blobs may be fetched side by side.
    fn room(&self) -> usize {
        room_beside(self.active.values().map(|active| active.lens.len()))
    }

    /// Asks for whatever may be asked now.
    fn ask(&mut self) {
        let room = self.room();
        if room > 0 && self.download.is_hungry() {
            for (node, blobs) in self.opening.asks(room, self.peers.nodes()) {
                self.peers.ask(&node, Request::Open(blobs));
            }
        }
        let now = self.clock.now();
        for Ask { node, blob, chunk, exact } in self.download.asks(now) {
            self.peers.ask(&node, Request::Want { blob, chunk, exact });
        }
        for node in self.peers.broken() {
            self.lose(&node);
            self.peers.left(node);
        }
    }

    fn cancel(&self, cancelled: Vec<Ask>) {
        for Ask { node, blob, chunk, .. } in cancelled {
            self.peers.ask(&node, Request::Cancel(blob, chunk));
        }
    }

    /// Whether nobody gives a blob, or says that it can't.
    fn is_stuck(&self) -> bool {
        !self.peers.is_connecting() && self.opening.is_stuck(self.peers.nodes())
    }

    /// A blob that nobody can give.
    fn hopeless(&self) -> Option<BlobId> {
        if self.peers.is_connecting() || self.peers.are_away() {
            return None;
        }
        let unasked = self.opening.hopeless(self.peers.nodes());
        unasked.or_else(|| {
            let stuck = self.download.hopeless()?;
            let waits = self.active.get(&stuck).is_some_and(|active| !active.following.is_empty());
            (!waits).then_some(stuck)
        })
    }

    /// There is another peer: it is asked what it has of everything that is being fetched.
    fn connected(&mut self, node: NodeId) {
        self.download.joined(self.clock.now(), node);
        for (blob, active) in &mut self.active {
            self.peers.ask(&node, Request::Follow(*blob));
            active.following.insert(node);
        }
    }

    fn lose(&mut self, node: &NodeId) {
        self.peers.lose(node);
        self.download.lost(node);
        self.opening.lost(node);
        for active in self.active.values_mut() {
            active.following.remove(node);
            active.whole_at.remove(node);
        }
    }

    /// Drops a peer that sent what it should not have.
    fn drop_liar(&mut self, node: &NodeId, why: &str) {
        self.fetcher.distrust(*node, why);
        self.lose(node);
    }

    fn tick(&mut self) -> Result<(), FetchError> {
        let now = self.clock.now();
        // What came waits for this machine's disk: that counts against no peer.
        let stands = self.progress.elapsed() > STANDS;
        if stands && self.disk.unwritten() >= MAX_UNWRITTEN {
            self.download.excuse(now);
            self.opening.excuse(Instant::now());
        }
        for overdue in self.download.overdue(now) {
            for (blob, chunk) in overdue.cancelled {
                self.peers.ask(&overdue.node, Request::Cancel(blob, chunk));
            }
            if overdue.given_up {
                tracing::warn!(peer = %overdue.node, "a peer sends nothing of use: this fetch asks it no more");
                self.lose(&overdue.node);
            }
        }
        for (node, blob) in self.download.doubtful(now) {
            if let Some(active) = self.active.get_mut(&blob) {
                active.following.insert(node);
                self.peers.ask(&node, Request::Follow(blob));
            }
        }
        self.opening.give_up_waiting(Instant::now());
        for node in self.peers.cut_off() {
            self.lose(&node);
            self.peers.left(node);
        }
        self.peers.call_back(Instant::now());
        for (blob, active) in &mut self.active {
            if active.gained.is_empty() {
                continue;
            }
            let gained = std::mem::take(&mut active.gained);
            // A chunk takes three bytes at most in a list and a bit in a bitmap: of one that occurs often there are many.
            let request = match gained.len() > active.have.as_bytes().len() / 3 {
                true => Request::Hold(*blob, active.have.clone()),
                false => Request::Gained(*blob, gained),
            };
            for node in &active.whole_at {
                self.peers.ask(node, request.clone());
            }
        }
        if self.progress.elapsed() > SILENCE && self.disk.is_idle() {
            let blob = self.opening.first().or_else(|| self.active.keys().next().copied());
            return Err(FetchError::Silent(blob.unwrap_or(BlobId([0; 32]))));
        }
        Ok(())
    }

    fn take(&mut self, node: NodeId, came: Came) {
        if !self.peers.knows(&node) {
            return;
        }
        let (reply, bytes, room) = match came {
            Came::Reply(reply, bytes, room) => (reply, bytes, room),
            Came::End(why) => {
                tracing::info!(peer = %node, why, "a peer is gone from a fetch");
                self.lose(&node);
                self.peers.left(node);
                return;
            }
            Came::Stalled => {
                tracing::warn!(peer = %node, "a peer began a long answer and did not go on: this fetch asks it no more");
                self.peers.answered(&node);
                self.lose(&node);
                return;
            }
            Came::Unasked => {
                self.drop_liar(&node, "a long answer came that nobody asked for");
                return;
            }
        };
        self.peers.answered(&node);
        if matches!(reply, Reply::Whole(..) | Reply::Manifest(..) | Reply::Chunk(_)) {
            self.peers.gave(&node);
        }
        match reply {
            Reply::Unknown(blob) => {
                if let Some(active) = self.active.get_mut(&blob) {
                    active.following.remove(&node);
                }
                self.download.unknown(&node, &blob);
                self.opening.refused(&node, &blob);
            }
            Reply::Missing(blob, chunk) => {
                if self.download.denied(self.clock.now(), &node, &blob, chunk) {
                    let (peer, blob) = (node.short(), blob.short());
                    tracing::info!(%peer, %blob, "a peer has not what it said to have of a file");
                }
            }
            Reply::Spared(blob, chunk) => self.download.spared(&node, &blob, chunk),
            Reply::Holds(blob, bitmap) => self.holds(node, blob, &bitmap),
            Reply::Gained(blob, chunks) => self.download.gained(&node, &blob, &chunks),
            Reply::Whole(blob, manifest, bytes) => {
                self.fetcher.traffic.received(bytes.len());
                if !self.opening.is_open(&blob) {
                } else if is_whole(blob, &manifest, &bytes) {
                    self.progress = Instant::now();
                    self.opening.came_whole(&node, &blob);
                    self.disk.put_small(blob, manifest, bytes);
                } else {
                    self.drop_liar(&node, "a small file does not have the hash that was asked");
                }
            }
            Reply::Manifest(blob, manifest, has) => {
                if self.active.contains_key(&blob) {
                    self.holds(node, blob, &has);
                } else if self.opening.came(&node, &blob, self.room() > 0) {
                    self.progress = Instant::now();
                    self.disk.begin(node, blob, manifest, has, room);
                }
            }
            Reply::Chunk(chunk) => {
                self.fetcher.traffic.received(bytes.len());
                self.chunk(node, chunk, bytes);
            }
        }
    }

    /// A peer says what it holds of a blob.
    fn holds(&mut self, node: NodeId, blob: BlobId, bitmap: &Bitmap) {
        let Some(active) = self.active.get_mut(&blob) else {
            self.opening.may_have(&node, &blob);
            return;
        };
        active.following.remove(&node);
        if bitmap.len() as usize != active.lens.len() {
            self.drop_liar(&node, "what it says to hold of a file does not fit the file");
            return;
        }
        self.download.holds(node, &blob, bitmap);
        if bitmap.is_full() && active.whole_at.insert(node) && !active.have.is_empty() {
            self.peers.ask(&node, Request::Hold(blob, active.have.clone()));
        }
    }

    fn chunk(&mut self, node: NodeId, chunk: Chunk, bytes: Vec<u8>) {
        let Chunk { blob, asked, chunk, encoding, .. } = chunk;
        match self.download.delivered(self.clock.now(), &node, &blob, asked, chunk) {
            Delivery::Wanted => {
                let len = self.active.get(&blob).and_then(|active| active.lens.get(chunk as usize));
                let len = len.copied().unwrap_or(0) as usize;
                self.disk.check(Arrived { node, blob, chunk, len, encoding, bytes });
            }
            Delivery::Late | Delivery::Useless => {}
            Delivery::Unasked => self.drop_liar(&node, "a chunk came that nobody asked for"),
        }
    }

    fn done(&mut self, done: Done) -> Result<(), FetchError> {
        match done {
            Done::Begun { node, blob, holds, begun } => match begun {
                Ok((have, lens)) => self.begun(node, blob, &holds, have, lens),
                Err(WriteError::WrongManifest { .. } | WriteError::Manifest(_)) => {
                    self.opening.not_begun(&node, &blob);
                    let why = "a list of chunks does not have the hash that was asked";
                    self.drop_liar(&node, why);
                }
                Err(error) => return Err(error.into()),
            },
            Done::Checked { node, blob, chunk, written } => match written {
                Ok(new) => self.written(blob, chunk, &new),
                Err(WriteError::Mismatch { .. }) => {
                    self.download.checked(&blob, chunk, &[]);
                    self.drop_liar(&node, "a chunk does not have the hash that was asked");
                }
                Err(error) => return Err(error.into()),
            },
            Done::Committed(blobs) => {
                for blob in blobs {
                    self.fetcher.traffic.board.more(blob);
                }
            }
        }
        Ok(())
    }

    fn begun(&mut self, node: NodeId, blob: BlobId, holds: &Bitmap, have: Bitmap, lens: Vec<u32>) {
        self.opening.begun(&blob);
        self.progress = Instant::now();
        if have.is_full() {
            self.disk.finish(blob);
            return;
        }
        self.download.begin(blob, lens.clone(), &have);
        // Whoever else is there is asked what it has of it, and who waits for it is told.
        let following: BTreeSet<NodeId> =
            self.peers.nodes().filter(|other| *other != node).collect();
        for other in &following {
            self.peers.ask(other, Request::Follow(blob));
        }
        let (gained, whole_at) = (Vec::new(), BTreeSet::new());
        self.active.insert(blob, Active { lens, have, gained, whole_at, following });
        self.fetcher.traffic.board.more(blob);
        if self.peers.knows(&node) {
            self.holds(node, blob, holds);
        }
    }

    fn written(&mut self, blob: BlobId, chunk: u32, new: &[u32]) {
        let cancelled = self.download.checked(&blob, chunk, new);
        self.cancel(cancelled);
        let Some(active) = self.active.get_mut(&blob) else { return };
        for chunk in new {
            active.have.set(*chunk);
        }
        active.gained.extend(new);
        if !new.is_empty() {
            self.progress = Instant::now();
            self.fetcher.traffic.board.more(blob);
        }
        if self.download.is_complete(&blob) {
            self.active.remove(&blob);
            let cancelled = self.download.end(&blob);
            self.cancel(cancelled);
            self.disk.finish(blob);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_blobs_are_begun_where_they_have_many_chunks() {
        assert_eq!(room_beside([].into_iter()), MAX_ACTIVE);
        assert_eq!(room_beside([100; MAX_ACTIVE].into_iter()), 0);
        assert_eq!(room_beside([MAX_CHUNKS - 1].into_iter()), MAX_ACTIVE - 1);
        assert_eq!(room_beside([MAX_CHUNKS - 1, 1].into_iter()), 0);
    }
}
