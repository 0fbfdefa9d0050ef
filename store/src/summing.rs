//! MD5 and xxHash64 of long sources, on one thread for all that are read at once.
//!
//! MD5 can't be split among cores, and costs more than all the rest together; of several sources it costs hardly
//! more than of one ([`md5_lanes`](crate::md5_lanes)). So what waits of all of them goes side by side.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use xxhash_rust::xxh64::Xxh64;

use crate::md5_lanes::{LANES, State, side_by_side};

/// A reader that has so many pieces waiting is not kept waiting for others. It must go on until it has.
pub(crate) const MUCH: usize = 2;

/// The thread, once there is anything to sum. It ends with this.
#[derive(Default)]
pub(crate) struct Summing {
    thread: OnceLock<(Sender<Told>, JoinHandle<()>)>,
    sources: AtomicU64,
}

/// One source that is being summed.
pub(crate) struct Summed {
    number: u64,
    sender: Sender<Told>,
    taken: Receiver<()>,
}

/// A source's number, and what comes of it.
struct Told(u64, What);

enum What {
    /// It begins; it is told of each piece that was taken.
    Begin(Sender<()>),
    /// The next bytes.
    Piece(Piece),
    /// That was all; it is told the sums.
    End(Sender<([u8; 16], u64)>),
}

struct Piece {
    block: Arc<Vec<u8>>,
    left: Range<usize>,
}

impl Summing {
    /// Begins with a source.
    pub(crate) fn begin(&self) -> Summed {
        let (sender, _) = self.thread.get_or_init(|| {
            let (sender, told) = channel();
            (sender, thread::spawn(move || sum(&told)))
        });
        let number = self.sources.fetch_add(1, Ordering::Relaxed);
        let (taking, taken) = channel();
        _ = sender.send(Told(number, What::Begin(taking)));
        Summed { number, sender: sender.clone(), taken }
    }
}

impl Drop for Summing {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            // What it panicked with was told where it happened; who waited for sums has none.
            _ = thread.join();
        }
    }
}

impl Summed {
    /// The next bytes: those at `new` of a block. Nothing waits here: it is the reader's to
    /// [`wait`](Self::wait) before too many are on their way, but not before [`MUCH`] are.
    pub(crate) fn take(&self, block: &Arc<Vec<u8>>, new: Range<usize>) {
        let piece = Piece { block: Arc::clone(block), left: new };
        _ = self.sender.send(Told(self.number, What::Piece(piece)));
    }

    /// Waits until one more piece was taken, or the thread has failed.
    pub(crate) fn wait(&self) {
        _ = self.taken.recv();
    }

    /// MD5 and xxHash64 of all that was given. Nothing if the thread has failed.
    pub(crate) fn finish(self) -> Option<([u8; 16], u64)> {
        let (sender, sums) = channel();
        _ = self.sender.send(Told(self.number, What::End(sender)));
        sums.recv().ok()
    }
}

/// How far a source is.
struct Source {
    md5: State,
    xxh64: Xxh64,
    pieces: VecDeque<Piece>,
    taken: Sender<()>,
    end: Option<Sender<([u8; 16], u64)>>,
    /// Its reader has given up, and wants no sums.
    given_up: bool,
}

impl Source {
    fn new(taken: Sender<()>) -> Self {
        let (md5, xxh64) = (State::new(), Xxh64::new(0));
        Self { md5, xxh64, pieces: VecDeque::new(), taken, end: None, given_up: false }
    }
}

fn sum(told: &Receiver<Told>) {
    let mut sources: BTreeMap<u64, Source> = BTreeMap::new();
    loop {
        for more in told.try_iter() {
            hear(&mut sources, more);
        }
        while !is_worth_it(&sources) {
            let Ok(more) = told.recv() else { return };
            hear(&mut sources, more);
        }
        step(&mut sources);
        sources
            .retain(|_, source| !source.given_up && (!source.pieces.is_empty() || !tell(source)));
    }
}

fn hear(sources: &mut BTreeMap<u64, Source>, Told(number, what): Told) {
    match (what, sources.get_mut(&number)) {
        (What::Begin(taken), _) => _ = sources.insert(number, Source::new(taken)),
        (What::Piece(piece), Some(source)) => source.pieces.push_back(piece),
        (What::End(sender), Some(source)) => source.end = Some(sender),
        // It was given up, and more was on its way.
        (_, None) => {}
    }
}

/// Whether to go on with what there is. Side by side eight cost no more than one, so that the others are waited for
/// as long as nobody has much waiting.
fn is_worth_it(sources: &BTreeMap<u64, Source>) -> bool {
    let waiting = sources.values().filter(|source| !source.pieces.is_empty()).count();
    let presses = |source: &Source| source.pieces.len() >= MUCH || source.end.is_some();
    sources.values().any(presses) || waiting > 0 && waiting >= sources.len().min(LANES)
}

/// Takes of those sources that wait as much as all of them have.
fn step(sources: &mut BTreeMap<u64, Source>) {
    let waiting = sources.values_mut().filter(|source| !source.pieces.is_empty()).take(LANES);
    let mut waiting: Vec<&mut Source> = waiting.collect();
    let mut lanes: Vec<(&mut State, &[u8])> = waiting
        .iter_mut()
        .filter_map(|source| {
            let piece = source.pieces.front()?;
            Some((&mut source.md5, &piece.block[piece.left.clone()]))
        })
        .collect();
    match lanes.as_mut_slice() {
        [] => return,
        [(md5, bytes)] => {
            md5.update(bytes);
            *bytes = &[];
        }
        several => side_by_side(several),
    }
    let left: Vec<usize> = lanes.iter().map(|(_, left)| left.len()).collect();
    for (source, left) in waiting.into_iter().zip(left) {
        let Some(piece) = source.pieces.front_mut() else { continue };
        let begun = piece.left.start;
        piece.left.start = piece.left.end - left;
        source.xxh64.update(&piece.block[begun..piece.left.start]);
        if piece.left.is_empty() {
            // Whoever is told may be the block's only holder.
            drop(source.pieces.pop_front());
            source.given_up = source.taken.send(()).is_err();
        }
    }
}

/// Tells the sums of a source that has ended, and says whether it has.
fn tell(source: &mut Source) -> bool {
    let Some(end) = source.end.take() else { return false };
    let md5 = std::mem::replace(&mut source.md5, State::new());
    _ = end.send((md5.finish(), source.xxh64.digest()));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::{Digest, Md5};

    #[test]
    fn sources_that_come_together_have_their_own_sums() {
        let summing = Summing::default();
        let sources: Vec<Vec<u8>> = (0..7_u8)
            .map(|n| (0..300_000 + 1000 * usize::from(n)).map(|at| at as u8 ^ n).collect())
            .collect();
        thread::scope(|scope| {
            for source in &sources {
                let summing = &summing;
                scope.spawn(move || {
                    let summed = summing.begin();
                    let mut on_way = VecDeque::new();
                    for piece in source.chunks(4099) {
                        let block = Arc::new(piece.to_vec());
                        summed.take(&block, 0..piece.len());
                        on_way.push_back(block);
                        if on_way.len() > MUCH {
                            summed.wait();
                            let oldest = on_way.pop_front().and_then(Arc::into_inner);
                            assert!(oldest.is_some(), "nobody holds what was taken");
                        }
                    }
                    let sums = summed.finish().expect("it doesn't fail");
                    let xxh64 = xxhash_rust::xxh64::xxh64(source, 0);
                    assert_eq!(sums, (Md5::digest(source).into(), xxh64));
                });
            }
        });
    }

    #[test]
    fn a_source_that_is_given_up_holds_up_nobody() {
        let summing = Summing::default();
        let given_up = summing.begin();
        given_up.take(&Arc::new(vec![1; 100]), 0..100);
        drop(given_up);
        let other = summing.begin();
        for letter in [b"a", b"b", b"c"] {
            other.take(&Arc::new(letter.to_vec()), 0..1);
        }
        // Until nothing is left: it ends then, too.
        (0..3).for_each(|_| other.wait());
        let (md5, _) = other.finish().expect("it doesn't fail");
        assert_eq!(md5, <[u8; 16]>::from(Md5::digest(b"abc")));
    }
}
