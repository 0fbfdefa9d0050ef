//! Cuts bytes into chunks where the bytes themselves say so, so that what is inserted into a file
//! changes the chunks around it and no others.
//!
//! The algorithm is FastCDC as of 2020 with normalisation level 1 and the gear table of the crate `fastcdc`. Every node
//! must cut alike: cut points are part of the format, and golden tests hold them.
//!
//! The crate scans from one end to the other, and as each step of the gear hash needs the one before, a core does one
//! thing at a time. But what the hash was more than 64 bytes ago is shifted out of it, so that a scan can begin
//! anywhere, that many bytes early: here it goes on at several places at once, and takes two thirds of the time. The
//! crate is what this is tested against.

use std::array;
use std::sync::LazyLock;

use fastcdc::v2020::{Normalization, get_gear_with_seed, select_masks};

/// The shortest chunk, in bytes; only a file's last one may be shorter.
pub const MIN_CHUNK: usize = 64 * 1024;

/// What the length of chunks is steered towards, in bytes.
pub const AVERAGE_CHUNK: usize = 256 * 1024;

/// The longest chunk, in bytes. It bounds what a peer must hold in memory to check one.
pub const MAX_CHUNK: usize = 1024 * 1024;

/// A gear hash has as many bits, and each byte shifts it by one.
const WINDOW: usize = 64;

/// At so many places a core scans fastest: with two it waits still, and four need more registers than there are.
const LANES: usize = 3;

/// So many bytes are scanned from each place before it's looked which cut comes first: what is scanned behind that is
/// scanned for nothing. The shortest, the average and the longest chunk are [`LANES`] times this apart, or a multiple.
const LANE: usize = 16 * 1024;

static GEAR: LazyLock<Gear> = LazyLock::new(Gear::new);

struct Gear {
    /// A number for each byte.
    table: [u64; 256],
    /// The bits that are zero in the hash where a chunk shorter than the average ends.
    strict: u64,
    /// The same for one that is longer: fewer of them.
    loose: u64,
}

/// The length of the chunk that `bytes` begin with; `None` when more of them are needed to tell, and of none. They are
/// all that there are when it's `over`. Of the first `seen` it is known that they don't make a chunk.
#[must_use]
pub fn first_chunk(bytes: &[u8], seen: usize, over: bool) -> Option<usize> {
    let window = &bytes[..bytes.len().min(MAX_CHUNK)];
    GEAR.first_cut(window, seen).or_else(|| {
        let is_certain = over || window.len() == MAX_CHUNK;
        (is_certain && !window.is_empty()).then_some(window.len())
    })
}

impl Gear {
    fn new() -> Self {
        let (table, _) = get_gear_with_seed(0);
        let (strict, loose) = select_masks(AVERAGE_CHUNK, Normalization::Level1);
        Self { table: array::from_fn(|byte| table[byte]), strict, loose }
    }

    /// The first place behind the first `seen` bytes at which a chunk may end.
    fn first_cut(&self, bytes: &[u8], seen: usize) -> Option<usize> {
        // The crate looks at bytes in pairs: at the end of a file of odd length one is left over, which ends no chunk.
        let pairs = &bytes[..bytes.len() & !1];
        let from = (seen & !1).max(MIN_CHUNK);
        let before = pairs.get(from.saturating_sub(WINDOW).max(MIN_CHUNK)..from)?;
        let (short, mut hash) = (&pairs[..AVERAGE_CHUNK.min(pairs.len())], self.hash(before));
        let strict = self.find(short, from, self.strict, &mut hash);
        strict.or_else(|| self.find(pairs, from.max(short.len()), self.loose, &mut hash))
    }

    #[inline(always)]
    fn step(&self, hash: u64, byte: u8) -> u64 {
        (hash << 1).wrapping_add(self.table[usize::from(byte)])
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |hash, &byte| self.step(hash, byte))
    }

    /// The first position from `from` on where the hash of the bytes up to it has none of the mask's bits. `hash` is
    /// that of the bytes before `from`.
    fn find(&self, bytes: &[u8], mut from: usize, mask: u64, hash: &mut u64) -> Option<usize> {
        while let Some(lanes) = bytes.get(from..)?.first_chunk::<{ LANES * LANE }>() {
            let (lanes, _) = lanes.as_chunks::<LANE>();
            let lanes: [&[u8; LANE]; LANES] = array::from_fn(|lane| &lanes[lane]);
            let mut hashes = array::from_fn(|lane| match lane {
                0 => *hash,
                _ => self.hash(&lanes[lane - 1][LANE - WINDOW..]),
            });
            if let Some(position) = self.find_in_lanes(lanes, mask, &mut hashes) {
                return Some(from + position);
            }
            *hash = hashes[LANES - 1];
            from += LANES * LANE;
        }
        self.find_in_order(&bytes[from..], mask, hash).map(|position| from + position)
    }

    /// The same in lanes that follow each other, side by side.
    fn find_in_lanes(
        &self,
        lanes: [&[u8; LANE]; LANES],
        mask: u64,
        hashes: &mut [u64; LANES],
    ) -> Option<usize> {
        let found = (0..LANE).find(|&at| {
            for (hash, lane) in hashes.iter_mut().zip(lanes) {
                *hash = self.step(*hash, lane[at]);
            }
            hashes.iter().any(|hash| hash & mask == 0)
        })?;
        // One lane has found something: each before it may yet, and then that comes first.
        hashes.iter_mut().zip(lanes).enumerate().find_map(|(number, (hash, lane))| {
            let position = if *hash & mask == 0 {
                found
            } else {
                found + 1 + self.find_in_order(&lane[found + 1..], mask, hash)?
            };
            Some(number * LANE + position)
        })
    }

    fn find_in_order(&self, bytes: &[u8], mask: u64, hash: &mut u64) -> Option<usize> {
        bytes.iter().position(|&byte| {
            *hash = self.step(*hash, byte);
            *hash & mask == 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastcdc::v2020::FastCDC;
    use proptest::prelude::*;

    /// Bytes of Marsaglia's xorshift64 (shifts 13, 7, 17).
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// The ends of chunks of bytes that come so many at a time.
    fn cuts_of(bytes: &[u8], step: usize) -> Vec<usize> {
        let (mut start, mut seen, mut there) = (0, 0, 0);
        let mut ends = Vec::new();
        loop {
            there = bytes.len().min(there + step);
            let over = there == bytes.len();
            while let Some(length) = first_chunk(&bytes[start..there], seen, over) {
                (start, seen) = (start + length, 0);
                ends.push(start);
            }
            if over {
                return ends;
            }
            seen = there - start;
        }
    }

    fn cuts(bytes: &[u8]) -> Vec<usize> {
        cuts_of(bytes, bytes.len().max(1))
    }

    fn cuts_of_the_crate(bytes: &[u8]) -> Vec<usize> {
        let (mut start, mut ends) = (0, Vec::new());
        while start < bytes.len() {
            let window = &bytes[start..bytes.len().min(start + MAX_CHUNK)];
            let cutter = FastCDC::new(window, MIN_CHUNK, AVERAGE_CHUNK, MAX_CHUNK);
            start += cutter.cut(0, window.len()).1;
            ends.push(start);
        }
        ends
    }

    /// These numbers are the format: if they change, every blob in every studio is named anew.
    #[test]
    fn cut_points_never_move() {
        assert_eq!(cuts(&noise(1, 4 << 20)), GOLDEN);
    }

    #[test]
    fn bytes_without_a_cut_are_cut_at_the_longest() {
        let zeros = vec![0; 2 * MAX_CHUNK + 5];
        assert_eq!(cuts(&zeros), [MAX_CHUNK, 2 * MAX_CHUNK, 2 * MAX_CHUNK + 5]);
    }

    #[test]
    fn small_inputs_are_one_chunk_and_none_is_none() {
        assert!(cuts(&[]).is_empty());
        assert_eq!(cuts(&[7]), [1]);
        assert_eq!(cuts(&noise(2, MIN_CHUNK)), [MIN_CHUNK]);
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let before = noise(3, 8 << 20);
        let mut after = before.clone();
        after.splice(100_000..100_000, *b"one more line\n");
        let list = |bytes: &[u8]| -> Vec<blake3::Hash> {
            let mut start = 0;
            let chunk = |end| blake3::hash(&bytes[std::mem::replace(&mut start, end)..end]);
            cuts(bytes).into_iter().map(chunk).collect()
        };
        let (before, after) = (list(&before), list(&after));
        let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
        assert!(new <= 3, "{new} of {} chunks are new", after.len());
    }

    /// In whichever lane a cut is found first, the one that comes first counts.
    #[test]
    fn of_two_cuts_the_first_counts() {
        // The second chunk is shorter than the average: its end is one under the stricter mask.
        let bytes = &noise(1, MAX_CHUNK)[GOLDEN[0]..];
        let cut = GOLDEN[1] - GOLDEN[0];
        let sign = &bytes[cut + 1 - WINDOW..=cut];
        for one in (MIN_CHUNK + WINDOW..MIN_CHUNK + LANES * LANE).step_by(3_989) {
            for other in (one + WINDOW..MIN_CHUNK + LANES * LANE).step_by(3_989) {
                let mut bytes = vec![0; AVERAGE_CHUNK];
                for end in [one, other] {
                    bytes[end + 1 - WINDOW..=end].copy_from_slice(sign);
                }
                assert_eq!(first_chunk(&bytes, 0, true), Some(one), "{one} {other}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn bytes_are_cut_as_the_crate_does_however_they_come(
            seed in 0_u64..1000,
            length in prop_oneof![0..2 * MIN_CHUNK, 0..6 * MAX_CHUNK],
            step in 1000_usize..5 << 20,
            // Of few different bytes too: cuts are many or rare there.
            bits in prop_oneof![Just(u8::MAX), 0_u8..4],
        ) {
            let mut bytes = noise(seed, length);
            bytes.iter_mut().for_each(|byte| *byte &= bits);
            let ends = cuts_of_the_crate(&bytes);
            prop_assert_eq!(&cuts(&bytes), &ends);
            prop_assert_eq!(&cuts_of(&bytes, step), &ends);
            prop_assert_eq!(ends.last().copied().unwrap_or(0), length);
            let mut start = 0;
            for (n, end) in ends.iter().enumerate() {
                prop_assert!(end - start <= MAX_CHUNK);
                prop_assert!(end - start > MIN_CHUNK || n + 1 == ends.len());
                start = *end;
            }
        }
    }

    const GOLDEN: [usize; 14] = [
        364837, 532150, 874286, 1150732, 1346742, 1508172, 2045878, 2414571, 2621071, 2858326,
        3226926, 3554559, 3982536, 4194304,
    ];
}
