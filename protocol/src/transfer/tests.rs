use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::download::MOST_ASKED;
use super::*;
use crate::content::Bitmap;
use crate::ids::{BlobId, NodeId};
use crate::random::Random;
use crate::time::Time;

const BLOB: BlobId = BlobId([9; 32]);
/// The length of every chunk: so many are asked of a peer at first.
const LEN: u32 = 128 << 10;
const FIRST: usize = 8;

fn node(n: u8) -> NodeId {
    NodeId([n; 32])
}

fn holding(len: u32, chunks: impl IntoIterator<Item = u32>) -> Bitmap {
    let mut bitmap = Bitmap::new(len);
    for chunk in chunks {
        bitmap.set(chunk);
    }
    bitmap
}

/// A fetch of one blob of `len` chunks from peers that hold these.
fn download(len: u32, held: &[Bitmap]) -> Download {
    let mut download = Download::new(Random::seeded(1));
    download.begin(BLOB, vec![LEN; len as usize], &Bitmap::new(len));
    for (n, bitmap) in (1..).zip(held) {
        download.joined(Time(0), node(n));
        download.holds(node(n), &BLOB, bitmap);
    }
    download
}

fn arrives(download: &mut Download, now: u64, from: NodeId, chunk: u32) -> Vec<Ask> {
    let delivery = download.delivered(Time(now), &from, &BLOB, chunk, chunk);
    assert_eq!(delivery, Delivery::Wanted);
    download.checked(&BLOB, chunk, &[chunk])
}

fn of(asks: &[Ask], n: u8) -> Vec<u32> {
    asks.iter().filter(|ask| ask.node == node(n)).map(|ask| ask.chunk).collect()
}

#[test]
fn rare_chunks_go_first() {
    let mut download = download(40, &[Bitmap::full(40), holding(40, 0..39)]);
    let asks = download.asks(Time(0));
    assert_eq!((of(&asks, 1).len(), of(&asks, 2).len()), (FIRST, FIRST));
    assert_eq!(of(&asks, 1)[0], 39, "only one peer has the last chunk");
    let distinct: BTreeSet<u32> = asks.iter().map(|ask| ask.chunk).collect();
    assert_eq!(distinct.len(), asks.len(), "nothing is asked twice");
    assert_eq!(download.asks(Time(0)), [], "everybody has enough to do");
}

#[test]
fn a_single_peer_is_asked_in_order() {
    let mut download = download(40, &[Bitmap::full(40)]);
    let asks = download.asks(Time(0));
    assert_eq!(of(&asks, 1), (0..8).collect::<Vec<_>>());
}

/// A manifest that was made by hand may list a million chunks of a byte.
#[test]
fn of_very_short_chunks_no_more_are_asked_than_wait_on_a_line() {
    let len = 4 * MOST_ASKED as u32;
    let mut download = Download::new(Random::seeded(1));
    download.begin(BLOB, vec![1; len as usize], &Bitmap::new(len));
    download.joined(Time(0), node(1));
    download.holds(node(1), &BLOB, &Bitmap::full(len));
    let mut asked: Vec<u32> = of(&download.asks(Time(0)), 1);
    assert_eq!(asked.len(), MOST_ASKED);
    let mut now = 0;
    while let Some(chunk) = asked.pop() {
        now += 1;
        arrives(&mut download, now, node(1), chunk);
        asked.extend(of(&download.asks(Time(now)), 1));
        assert!(asked.len() <= MOST_ASKED);
    }
    assert!(download.is_complete(&BLOB));
}

#[test]
fn a_fast_peer_is_asked_at_the_end_for_what_a_slow_one_owes() {
    let mut download = download(16, &[holding(16, 0..8), Bitmap::full(16)]);
    let asks = download.asks(Time(0));
    assert_eq!(asks.len(), 16);
    let (slow, fast) = (of(&asks, 1), of(&asks, 2));
    for (n, chunk) in (1..).zip(fast) {
        arrives(&mut download, n, node(2), chunk);
    }
    assert_eq!(download.asks(Time(9)), [], "the other may still be quick");
    let again = download.asks(Time(900));
    assert!(again.iter().all(|ask| ask.node == node(2) && ask.exact));
    assert_eq!(of(&again, 2).iter().collect::<BTreeSet<_>>(), slow.iter().collect());
    assert_eq!(download.asks(Time(901)), [], "two are enough");
    let cancelled = arrives(&mut download, 902, node(2), slow[0]);
    let of_slow = Ask { node: node(1), blob: BLOB, chunk: slow[0], exact: true };
    assert_eq!(cancelled, [of_slow]);
    let late = download.delivered(Time(903), &node(1), &BLOB, slow[0], slow[0]);
    assert_eq!(late, Delivery::Late, "it was on its way");
    let twice = download.delivered(Time(904), &node(1), &BLOB, slow[0], slow[0]);
    assert_eq!(twice, Delivery::Unasked);
}

#[test]
fn another_chunk_may_come_in_place_of_the_one_that_was_asked() {
    let mut download = download(20, &[Bitmap::full(20)]);
    assert_eq!(download.asks(Time(0)).len(), FIRST);
    assert_eq!(download.delivered(Time(1), &node(1), &BLOB, 0, 15), Delivery::Wanted);
    assert_eq!(download.checked(&BLOB, 15, &[15]), []);
    let mut asked: BTreeSet<u32> = BTreeSet::new();
    for now in 2..40 {
        let more = of(&download.asks(Time(now)), 1);
        asked.extend(&more);
        for chunk in more {
            arrives(&mut download, now, node(1), chunk);
        }
    }
    assert!(asked.contains(&0) && !asked.contains(&15));
}

#[test]
fn what_a_lost_peer_owes_is_asked_of_others() {
    let mut download = download(3, &[Bitmap::full(3)]);
    assert_eq!(download.asks(Time(0)).len(), 3);
    download.joined(Time(1), node(2));
    download.holds(node(2), &BLOB, &Bitmap::full(3));
    download.lost(&node(1));
    assert_eq!(of(&download.asks(Time(1)), 2).len(), 3);
    assert_eq!(download.hopeless(), None);
    assert!(!download.denied(Time(1), &node(2), &BLOB, 1));
    download.lost(&node(2));
    assert_eq!(download.hopeless(), Some(BLOB));
}

#[test]
fn who_denies_a_blob_is_asked_for_others_and_later_for_that_again() {
    let other = BlobId([8; 32]);
    let mut download = download(20, &[Bitmap::full(20)]);
    download.begin(other, vec![LEN; 4], &Bitmap::new(4));
    download.holds(node(1), &other, &Bitmap::full(4));
    let now = Time(100);
    let turned_away: Vec<bool> =
        (0..9).map(|chunk| download.denied(now, &node(1), &BLOB, chunk)).collect();
    assert_eq!(turned_away.iter().filter(|turned| **turned).count(), 1);
    assert!(turned_away[8]);
    let asks = download.asks(now);
    assert!(asks.len() == 4 && asks.iter().all(|ask| ask.blob == other), "{asks:?}");
    download.gained(&node(1), &BLOB, &[1]);
    download.holds(node(1), &BLOB, &Bitmap::full(20));
    assert_eq!(download.asks(now), [], "what it says does not count before it is asked anew");
    assert_eq!(download.hopeless(), None);
    assert_eq!(download.doubtful(Time(599)), []);
    assert_eq!(download.doubtful(Time(600)), [(node(1), BLOB)]);
    assert_eq!(download.doubtful(Time(600)), []);
    download.holds(node(1), &BLOB, &holding(20, 0..3));
    assert_eq!(of(&download.asks(Time(600)), 1), [0, 1, 2]);
    download.unknown(&node(1), &BLOB);
    assert_eq!(download.hopeless(), Some(BLOB), "it has nothing, and says so");
}

#[test]
fn a_chunk_that_its_only_holder_denies_is_asked_for_again_and_then_given_up() {
    let mut download = download(3, &[Bitmap::full(3)]);
    let (mut now, mut asked) = (0, 0);
    while download.hopeless().is_none() {
        for ask in download.asks(Time(now)) {
            match ask.chunk {
                1 => {
                    asked += 1;
                    assert!(!download.denied(Time(now), &ask.node, &BLOB, 1));
                }
                other => {
                    arrives(&mut download, now, ask.node, other);
                }
            }
        }
        now += 100;
        for (node, blob) in download.doubtful(Time(now)) {
            download.holds(node, &blob, &Bitmap::full(3));
        }
    }
    assert_eq!(asked, 4);
    assert!(now < 5000, "{now}");
}

#[test]
fn a_want_that_was_cancelled_and_asked_again_has_two_answers() {
    let mut download = download(1, &[Bitmap::full(1)]);
    assert_eq!(download.asks(Time(0)).len(), 1);
    assert_eq!(download.overdue(Time(4000)).len(), 1);
    assert_eq!(download.asks(Time(4000)).len(), 1, "it is tried once more");
    arrives(&mut download, 4100, node(1), 0);
    let second = download.delivered(Time(4200), &node(1), &BLOB, 0, 0);
    assert_eq!(second, Delivery::Late, "it was on its way when it was cancelled");
    let third = download.delivered(Time(4300), &node(1), &BLOB, 0, 0);
    assert_eq!(third, Delivery::Unasked);
}

#[test]
fn who_sends_one_chunk_for_all_that_it_is_asked_is_found_out() {
    let mut download = download(40, &[Bitmap::full(40)]);
    let asks = of(&download.asks(Time(0)), 1);
    arrives(&mut download, 1, node(1), asks[0]);
    let again = download.delivered(Time(2), &node(1), &BLOB, asks[1], asks[0]);
    assert_eq!(again, Delivery::Unasked);
    download.lost(&node(1));
    download.joined(Time(3), node(2));
    download.holds(node(2), &BLOB, &Bitmap::full(40));
    let mut came = 1;
    for now in 3..100 {
        for chunk in of(&download.asks(Time(now)), 2) {
            arrives(&mut download, now, node(2), chunk);
            came += 1;
        }
    }
    assert_eq!(came, 40, "what it owed is asked of the other");
}

/// It knows what is here, as a peer that has all of a blob is told, and sends that in place of what
/// it is asked.
#[test]
fn who_sends_what_others_have_sent_is_given_up() {
    const CHUNKS: u32 = 20_000;
    let mut download = download(CHUNKS, &[Bitmap::full(CHUNKS), Bitmap::full(CHUNKS)]);
    let (mut here, mut told) = (Vec::new(), 0);
    let mut given_up = None;
    for now in 0.. {
        for Ask { node: from, chunk: asked, .. } in download.asks(Time(now)) {
            if from == node(1) {
                arrives(&mut download, now, from, asked);
                here.push(asked);
            } else if let Some(chunk) = here.get(told) {
                told += 1;
                let delivery = download.delivered(Time(now), &from, &BLOB, asked, *chunk);
                assert_eq!(delivery, Delivery::Useless);
            }
        }
        for overdue in download.overdue(Time(now)) {
            assert!(overdue.node == node(2) && overdue.given_up && given_up.is_none());
            given_up = Some(now);
            download.lost(&overdue.node);
        }
        if download.is_complete(&BLOB) {
            break;
        }
        assert!(now < 10_000, "{} of {CHUNKS} came", here.len());
    }
    assert!(given_up.is_some_and(|at| at < 1000) && told < 300, "{given_up:?}, {told}");
}

#[test]
fn answers_of_no_use_do_not_put_off_the_end() {
    let mut download = download(3000, &[holding(3000, 0..2000), holding(3000, 2000..3000)]);
    let (mut here, mut owing) = (Vec::new(), Vec::new());
    for now in 0..100 {
        let asks = download.asks(Time(now));
        owing.extend(of(&asks, 2));
        for chunk in of(&asks, 1) {
            arrives(&mut download, now, node(1), chunk);
            here.push(chunk);
        }
    }
    let mut here = here.into_iter();
    for now in (100..40_000).step_by(500) {
        for asked in owing.drain(..) {
            let chunk = here.next().unwrap();
            let delivery = download.delivered(Time(now), &node(2), &BLOB, asked, chunk);
            assert_eq!(delivery, Delivery::Useless);
        }
        if let [overdue] = &download.overdue(Time(now))[..]
            && overdue.given_up
        {
            assert!(now < 30_000, "{now}");
            return;
        }
        owing = of(&download.asks(Time(now)), 2);
    }
    panic!("it was never given up");
}

#[test]
fn who_is_silent_is_tried_less_and_then_not_at_all() {
    let mut download = download(40, &[Bitmap::full(40)]);
    assert_eq!(download.asks(Time(0)).len(), FIRST);
    assert_eq!(download.deadline(), Some(Time(4000)));
    assert_eq!(download.overdue(Time(3999)), []);
    download.excuse(Time(5000));
    assert_eq!(download.overdue(Time(8999)), [], "what could not be looked at doesn't count");
    let overdue = download.overdue(Time(9000));
    assert_eq!((overdue[0].cancelled.len(), overdue[0].given_up), (FIRST, false));
    assert_eq!(download.asks(Time(9000)).len(), 1);
    assert!(!download.overdue(Time(17_000))[0].given_up);
    assert_eq!(download.asks(Time(17_000)).len(), 1);
    assert!(download.overdue(Time(33_000))[0].given_up);
}

#[test]
fn bytes_that_nobody_asked_for_are_told() {
    let mut download = download(40, &[Bitmap::full(40)]);
    assert_eq!(download.asks(Time(0)).len(), FIRST);
    assert_eq!(download.delivered(Time(1), &node(1), &BLOB, 30, 30), Delivery::Unasked);
    assert_eq!(download.delivered(Time(1), &node(1), &BLOB, 0, 40), Delivery::Unasked);
}

proptest! {
    /// Whoever holds what, leaves, sends wrong bytes, denies, or sends something else: every chunk
    /// that somebody honest holds arrives, and nothing that is here is asked for.
    #[test]
    fn everything_that_can_be_had_is_had(
        held in prop::collection::vec(prop::collection::vec(0_u32..70, 0..70), 1..6),
        seed in any::<u64>(),
    ) {
        let mut random = Random::seeded(seed);
        let bitmaps: Vec<Bitmap> = held.iter().map(|chunks| holding(70, chunks.iter().copied())).collect();
        let mut download = download(70, &bitmaps);
        // The first peer is not to be trusted, if there are others.
        let bad = (held.len() > 1).then(|| random.below(4));
        let mut got = BTreeSet::new();
        let mut open: BTreeMap<NodeId, Vec<u32>> = BTreeMap::new();
        let mut sent: BTreeMap<NodeId, BTreeSet<u32>> = BTreeMap::new();
        for now in 0.. {
            for ask in download.asks(Time(now)) {
                prop_assert!(!got.contains(&ask.chunk));
                open.entry(ask.node).or_default().push(ask.chunk);
            }
            let owing: Vec<NodeId> =
                open.iter().filter(|(_, chunks)| !chunks.is_empty()).map(|(n, _)| *n).collect();
            if owing.is_empty() {
                break;
            }
            let from = owing[random.below(owing.len())];
            let chunks = open.entry(from).or_default();
            let asked = chunks.remove(random.below(chunks.len()));
            match (from == node(1)).then_some(bad).flatten() {
                Some(0) => { download.lost(&from); chunks.clear(); continue; }
                Some(1) => { download.denied(Time(now), &from, &BLOB, asked); continue; }
                Some(2) if download.delivered(Time(now), &from, &BLOB, asked, asked) == Delivery::Wanted => {
                    download.checked(&BLOB, asked, &[]);
                    download.lost(&from);
                    chunks.clear();
                    continue;
                }
                _ => {}
            }
            // Now and then another chunk comes in its place, none twice.
            let sent = sent.entry(from).or_default();
            let mut others = held[usize::from(from.0[0]) - 1].iter();
            let other = others.find(|chunk| !sent.contains(chunk));
            let chunk = other.copied().filter(|_| random.below(8) == 0).unwrap_or(asked);
            sent.insert(chunk);
            if download.delivered(Time(now), &from, &BLOB, asked, chunk) == Delivery::Wanted {
                got.insert(chunk);
                for ask in download.checked(&BLOB, chunk, &[chunk]) {
                    open.entry(ask.node).or_default().retain(|other| *other != ask.chunk);
                    download.spared(&ask.node, &BLOB, ask.chunk);
                }
            }
        }
        for chunk in held.iter().skip(usize::from(bad.is_some_and(|bad| bad < 3))).flatten() {
            prop_assert!(got.contains(chunk), "{}", chunk);
        }
    }
}
