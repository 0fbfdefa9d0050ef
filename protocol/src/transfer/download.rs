//! The side that fetches: blobs, the peers that hold some of them, and what is asked of whom.

use std::collections::{BTreeMap, VecDeque};

use super::blob::Blob;
use super::pace::Pace;
use crate::content::Bitmap;
use crate::ids::{BlobId, NodeId};
use crate::random::Random;
use crate::time::Time;

/// How many peers may be asked for one chunk, once nothing else is left to ask.
const ENDGAME: u8 = 2;
/// A chunk is asked of a second peer if that should have it here in less than one part in so many
/// of the time that the first will take: what both send is sent in vain once.
const SOONER: f64 = 2.0;
/// And if the first will take longer than this, in milliseconds.
const SOON: f64 = 200.0;
/// Below so many chunks that could be asked for, it is time for another blob.
const HUNGRY: u32 = 64;
/// How many chunks in a row a peer may send in place of others that are here already. One that has
/// a blob whole sends what it takes to be missing; what others sent meanwhile it learns of within some
/// tenths of a second, so that an honest one's guesses are soon right again.
const USELESS: u32 = 256;

/// The most chunks that are asked of a peer at once, however short they are: more than the most bytes have of the
/// shortest chunks that are cut, and few enough that they and what takes them back wait on the line.
pub(super) const MOST_ASKED: usize = 512;

/// A chunk to be asked of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// The peer.
    pub node: NodeId,
    /// The blob.
    pub blob: BlobId,
    /// The chunk's number in the manifest.
    pub chunk: u32,
    /// Whether it must be this one: else the peer may send another that is more useful.
    pub exact: bool,
}

/// What became of a chunk that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is to be checked and written.
    Wanted,
    /// It was asked for, and is here by now.
    Late,
    /// It came in place of one that was asked for, and is here already.
    Useless,
    /// Nobody asked for it, or it came from this peer before in place of another. No honest peer does that.
    Unasked,
}

/// A peer that did not keep a deadline, or sent only what is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The peer.
    pub node: NodeId,
    /// What was asked of it, and is asked of others now.
    pub cancelled: Vec<(BlobId, u32)>,
    /// Whether that was the last time that it is asked.
    pub given_up: bool,
}

#[derive(Clone, Debug)]
struct Asked {
    blob: BlobId,
    chunk: u32,
    len: u32,
}

#[derive(Clone, Debug)]
struct Peer {
    pace: Pace,
    asked: VecDeque<Asked>,
    /// What was asked and cancelled, and how often: every want has one answer, and a chunk may come all
    /// the same. One that is asked again after that has two.
    cancelled: BTreeMap<(BlobId, u32), u32>,
    /// How many chunks in a row it sent in place of others in vain.
    useless: u32,
    /// Whether it was found to hold nothing that is free to be asked for.
    dry: bool,
}

impl Peer {
    fn ahead(&self) -> u64 {
        self.asked.iter().map(|asked| u64::from(asked.len)).sum()
    }

    fn has_room(&self) -> bool {
        !self.is_useless() && self.asked.len() < MOST_ASKED && self.ahead() < self.pace.ahead()
    }

    const fn is_useless(&self) -> bool {
        self.useless > USELESS
    }

    /// When the request that is first in line is overdue; it was long ago if the peer is of no use.
    fn deadline(&self) -> Option<Time> {
        let first = self.asked.front().map(|asked| self.pace.deadline(asked.len));
        if self.is_useless() { Some(Time(0)) } else { first }
    }

    fn cancelled(&mut self, blob: BlobId, chunk: u32) {
        *self.cancelled.entry((blob, chunk)).or_default() += 1;
    }

    /// The answer to something that was cancelled came. Says whether there was one to come.
    fn answered_cancelled(&mut self, blob: &BlobId, chunk: u32) -> bool {
        let Some(times) = self.cancelled.get_mut(&(*blob, chunk)) else { return false };
        *times -= 1;
        if *times == 0 {
            self.cancelled.remove(&(*blob, chunk));
        }
        true
    }

    /// Takes a chunk off the list of those that are asked of it. Says whether it was on it.
    fn answered(&mut self, blob: &BlobId, chunk: u32) -> bool {
        let place = self.asked.iter().position(|one| one.blob == *blob && one.chunk == chunk);
        place.and_then(|place| self.asked.remove(place)).is_some()
    }
}

/// A fetch of some blobs from some peers.
#[derive(Clone, Debug)]
pub struct Download {
    blobs: BTreeMap<BlobId, Blob>,
    /// The blobs in the order in which they were begun, which is that in which they are asked for.
    order: Vec<BlobId>,
    peers: BTreeMap<NodeId, Peer>,
    random: Random,
}

impl Download {
    /// A fetch of nothing yet.
    #[must_use]
    pub const fn new(random: Random) -> Self {
        Self { blobs: BTreeMap::new(), order: Vec::new(), peers: BTreeMap::new(), random }
    }

    /// Begins a blob, with the lengths of its chunks and those that are here.
    pub fn begin(&mut self, blob: BlobId, lens: Vec<u32>, have: &Bitmap) {
        if self.blobs.insert(blob, Blob::new(lens, have)).is_none() {
            self.order.push(blob);
        }
    }

    /// Forgets a blob, whole or not, and says what is to be cancelled.
    pub fn end(&mut self, blob: &BlobId) -> Vec<Ask> {
        self.order.retain(|other| other != blob);
        self.blobs.remove(blob);
        self.cancel(|asked| asked.blob == *blob)
    }

    /// There is another peer.
    pub fn joined(&mut self, now: Time, node: NodeId) {
        self.peers.entry(node).or_insert_with(|| Peer {
            pace: Pace::new(now),
            asked: VecDeque::new(),
            cancelled: BTreeMap::new(),
            useless: 0,
            dry: false,
        });
    }

    /// A peer is gone, or was dropped: what was asked of it is asked of others.
    pub fn lost(&mut self, node: &NodeId) {
        for asked in self.peers.remove(node).into_iter().flat_map(|peer| peer.asked) {
            self.close(&asked.blob, asked.chunk);
        }
        for blob in self.blobs.values_mut() {
            blob.lost(node);
        }
    }

    /// Whether it draws on a peer.
    #[must_use]
    pub fn knows(&self, node: &NodeId) -> bool {
        self.peers.contains_key(node)
    }

    /// A peer says what it holds of a blob.
    pub fn holds(&mut self, node: NodeId, blob: &BlobId, bitmap: &Bitmap) {
        if let (Some(blob), Some(peer)) = (self.blobs.get_mut(blob), self.peers.get_mut(&node)) {
            blob.told(node, bitmap);
            peer.dry = false;
        }
    }

    /// A peer holds more chunks of a blob.
    pub fn gained(&mut self, node: &NodeId, blob: &BlobId, chunks: &[u32]) {
        if let (Some(blob), Some(peer)) = (self.blobs.get_mut(blob), self.peers.get_mut(node)) {
            for chunk in chunks {
                blob.gained(node, *chunk);
            }
            peer.dry = false;
        }
    }

    /// A chunk came that a peer sent for one that was asked of it.
    pub fn delivered(
        &mut self,
        now: Time,
        node: &NodeId,
        blob: &BlobId,
        asked: u32,
        chunk: u32,
    ) -> Delivery {
        let Some(peer) = self.peers.get_mut(node) else { return Delivery::Late };
        let known = peer.answered(blob, asked);
        if !known && !peer.answered_cancelled(blob, asked) {
            return Delivery::Unasked;
        }
        let Some(of) = self.blobs.get_mut(blob) else { return Delivery::Late };
        let delivery = match of.len_of(chunk) {
            None => Delivery::Unasked,
            // Who chooses what to send in place of another sends nothing twice.
            Some(_) if of.sent(node, chunk) && chunk != asked => Delivery::Unasked,
            Some(len) if !of.has(chunk) => {
                of.opened(chunk);
                of.helped(node);
                peer.useless = 0;
                if known {
                    peer.pace.arrived(now, len);
                }
                Delivery::Wanted
            }
            Some(_) if chunk == asked => Delivery::Late,
            Some(_) => {
                peer.useless += 1;
                if known && peer.asked.is_empty() {
                    peer.pace.in_vain(now);
                }
                Delivery::Useless
            }
        };
        if known {
            self.close(blob, asked);
        }
        delivery
    }

    /// A chunk that was [`Delivery::Wanted`] was checked and written, and with it `new` chunks are
    /// here; or it was not, and `new` is empty. Gives what is to be cancelled.
    pub fn checked(&mut self, blob: &BlobId, chunk: u32, new: &[u32]) -> Vec<Ask> {
        let Some(of) = self.blobs.get_mut(blob) else { return Vec::new() };
        for chunk in new {
            of.written(*chunk);
        }
        self.close(blob, chunk);
        let waited =
            new.iter().any(|chunk| self.blobs.get(blob).is_some_and(|of| of.open(*chunk) > 0));
        match waited {
            true => self.cancel(|asked| asked.blob == *blob && new.contains(&asked.chunk)),
            false => Vec::new(),
        }
    }

    /// A peer says that it does not have a chunk after all: it may have deleted the blob, or its
    /// disk have spoilt it. Says whether that was so often in a row that nothing of this blob is
    /// asked of it now.
    pub fn denied(&mut self, now: Time, node: &NodeId, blob: &BlobId, chunk: u32) -> bool {
        let Some(peer) = self.peers.get_mut(node) else { return false };
        let known = peer.answered(blob, chunk);
        if !known {
            peer.answered_cancelled(blob, chunk);
        }
        let of = self.blobs.get_mut(blob);
        let turned_away = of.is_some_and(|of| of.denied(now, node, chunk));
        if known {
            self.close(blob, chunk);
        }
        turned_away
    }

    /// Who is to be asked now what it has of which blob: it denied some of it a while ago.
    pub fn doubtful(&mut self, now: Time) -> Vec<(NodeId, BlobId)> {
        let of = |(id, blob): (&BlobId, &mut Blob)| {
            blob.take_doubtful(now).into_iter().map(|node| (node, *id)).collect::<Vec<_>>()
        };
        self.blobs.iter_mut().flat_map(of).collect()
    }

    /// A peer has nothing of a blob, as it says.
    pub fn unknown(&mut self, node: &NodeId, blob: &BlobId) {
        if let Some(of) = self.blobs.get_mut(blob) {
            of.unknown(node);
        }
    }

    /// A peer will not send what was cancelled.
    pub fn spared(&mut self, node: &NodeId, blob: &BlobId, chunk: u32) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.answered_cancelled(blob, chunk);
        }
    }

    /// Whether all of a blob is here.
    #[must_use]
    pub fn is_complete(&self, blob: &BlobId) -> bool {
        self.blobs.get(blob).is_some_and(Blob::is_complete)
    }

    /// Whether there is room for another blob.
    #[must_use]
    pub fn is_hungry(&self) -> bool {
        self.blobs.values().map(Blob::askable).sum::<u32>() < HUNGRY
    }

    /// A blob of which a chunk is missing that nobody holds and nobody is about to.
    #[must_use]
    pub fn hopeless(&self) -> Option<BlobId> {
        let hopeless = |blob: &&BlobId| {
            self.blobs.get(*blob).is_some_and(|blob| blob.lacks_holders() && !blob.may_grow())
        };
        self.order.iter().find(hopeless).copied()
    }

    /// What to ask now, of whom: of every peer with room the rarest chunks that it holds, ties
    /// broken at random, so that nodes that start together fetch different ones and can serve each
    /// other; at the end some chunks of a second peer.
    pub fn asks(&mut self, now: Time) -> Vec<Ask> {
        let mut asks = Vec::new();
        let mut hungry: Vec<NodeId> =
            self.peers.iter().filter(|(_, p)| !p.dry && p.has_room()).map(|(n, _)| *n).collect();
        while !hungry.is_empty() {
            // One each: whoever is fast comes back for more.
            hungry.retain(|node| match self.pick(node) {
                Some((blob, chunk)) => {
                    asks.push(self.ask(now, *node, blob, chunk, false));
                    self.peers.get(node).is_some_and(Peer::has_room)
                }
                None => {
                    if let Some(peer) = self.peers.get_mut(node) {
                        peer.dry = true;
                    }
                    false
                }
            });
        }
        if self.blobs.values().all(|blob| blob.askable() == 0) {
            self.ask_twice(now, &mut asks);
        }
        asks
    }

    fn pick(&mut self, node: &NodeId) -> Option<(BlobId, u32)> {
        // A single peer reads its disk in order; there is nobody to spread chunks among.
        let alone = self.peers.len() == 1;
        let Self { blobs, order, random, .. } = self;
        order.iter().find_map(|id| {
            let random = (!alone).then_some(&mut *random);
            blobs.get(id)?.pick(node, random).map(|chunk| (*id, chunk))
        })
    }

    fn ask(&mut self, now: Time, node: NodeId, blob: BlobId, chunk: u32, exact: bool) -> Ask {
        if let (Some(of), Some(peer)) = (self.blobs.get_mut(&blob), self.peers.get_mut(&node)) {
            if peer.asked.is_empty() {
                peer.pace.begins(now);
            }
            let len = of.len_of(chunk).unwrap_or(0);
            peer.asked.push_back(Asked { blob, chunk, len });
            of.opened(chunk);
        }
        Ask { node, blob, chunk, exact }
    }

    /// Everything is here or on its way: what will take long is asked of a second peer, if that
    /// should be much faster.
    fn ask_twice(&mut self, now: Time, asks: &mut Vec<Ask>) {
        let mut late = Vec::new();
        for (node, peer) in &self.peers {
            let mut bytes = 0;
            for asked in &peer.asked {
                bytes += u64::from(asked.len);
                let millis = peer.pace.millis_for(bytes).max(peer.pace.silent(now));
                let open = self.blobs.get(&asked.blob).map_or(ENDGAME, |of| of.open(asked.chunk));
                if millis > SOON && open < ENDGAME {
                    late.push((millis, *node, asked.blob, asked.chunk, asked.len));
                }
            }
        }
        late.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (millis, first, blob, chunk, len) in late {
            let second = self
                .peers
                .iter()
                .filter(|(node, peer)| **node != first && peer.has_room())
                .filter(|(node, _)| self.blobs.get(&blob).is_some_and(|of| of.holds(node, chunk)))
                .map(|(node, peer)| (peer.pace.millis_for(peer.ahead() + u64::from(len)), *node))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((sooner, second)) = second
                && sooner * SOONER < millis
            {
                asks.push(self.ask(now, second, blob, chunk, true));
            }
        }
    }

    /// The peers whose oldest request is overdue: what was asked of them is asked of others, and
    /// they are asked for one thing at a time until they answer again. Who sends only what is of no
    /// use is given up at once.
    pub fn overdue(&mut self, now: Time) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        for (node, peer) in &mut self.peers {
            if peer.deadline().is_some_and(|deadline| deadline <= now) {
                let given_up = peer.pace.miss(now) || peer.is_useless();
                let cancelled: Vec<_> = peer.asked.drain(..).map(|a| (a.blob, a.chunk)).collect();
                for (blob, chunk) in &cancelled {
                    peer.cancelled(*blob, *chunk);
                }
                overdue.push(Overdue { node: *node, cancelled, given_up });
            }
        }
        for (blob, chunk) in overdue.iter().flat_map(|overdue| overdue.cancelled.clone()) {
            self.close(&blob, chunk);
        }
        overdue
    }

    /// What came could not be looked at until now: no peer was slow for that.
    pub fn excuse(&mut self, now: Time) {
        for peer in self.peers.values_mut().filter(|peer| !peer.asked.is_empty()) {
            peer.pace.begins(now);
        }
    }

    /// When [`overdue`](Self::overdue) should be asked next.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.peers.values().filter_map(Peer::deadline).min()
    }

    /// A chunk is not on its way any more. If it is still missing, somebody may be asked for it.
    fn close(&mut self, blob: &BlobId, chunk: u32) {
        let Some(of) = self.blobs.get_mut(blob) else { return };
        of.closed(chunk);
        if of.open(chunk) == 0 && !of.has(chunk) {
            for (node, peer) in &mut self.peers {
                peer.dry &= !of.holds(node, chunk);
            }
        }
    }

    fn cancel(&mut self, which: impl Fn(&Asked) -> bool) -> Vec<Ask> {
        let mut cancelled = Vec::new();
        for (node, peer) in &mut self.peers {
            let of_it: Vec<Asked> = peer.asked.iter().filter(|one| which(one)).cloned().collect();
            peer.asked.retain(|asked| !which(asked));
            for Asked { blob, chunk, .. } in of_it {
                peer.cancelled(blob, chunk);
                cancelled.push(Ask { node: *node, blob, chunk, exact: true });
            }
        }
        for Ask { blob, chunk, .. } in &cancelled {
            self.close(blob, *chunk);
        }
        cancelled
    }
}
