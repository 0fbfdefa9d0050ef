//! MD5 (RFC 1321) of up to eight sources side by side.
//!
//! Each step of MD5 needs the one before, so that a core which could do several things at once does one: 400 to 600
//! MiB/s, less than all the rest of taking a file in. The steps of eight sources need nothing of each other, and stand
//! side by side in one register of 256 bits, or in two of 128 where the processor has no longer ones: what it has is
//! looked up as it runs. `md-5` takes one source, and is what this is tested against.

use std::array;
use std::num::Wrapping;
use std::ops::{Add, BitAnd, BitOr, BitXor, Not};

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u32x8};

/// How many sources go side by side: as many as words in the longest register that nearly all processors have.
pub(crate) const LANES: usize = 8;

/// Of so many bytes MD5 takes in one block.
const BLOCK: usize = 64;

/// A word of one source, or of several side by side.
trait Word:
    Copy
    + Add<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    fn plus(self, word: u32) -> Self;
    fn rotated<const LEFT: u32>(self) -> Self;
}

impl Word for Wrapping<u32> {
    #[inline(always)]
    fn plus(self, word: u32) -> Self {
        self + Self(word)
    }

    #[inline(always)]
    fn rotated<const LEFT: u32>(self) -> Self {
        Self(self.0.rotate_left(LEFT))
    }
}

impl<S: Simd> Word for u32x8<S> {
    #[inline(always)]
    fn plus(self, word: u32) -> Self {
        self + word
    }

    #[inline(always)]
    fn rotated<const LEFT: u32>(self) -> Self {
        (self << LEFT) | (self >> (32 - LEFT))
    }
}

/// 2³² · |sin(i + 1)|, rounded down: section 3.4 of the RFC.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// How far each round turns its words.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// One block: section 3.4 of the RFC. Each step names its word and its turn as it is compiled. What is known before
/// the last step's word `b` comes first, so that as little as possible waits for that.
#[inline(always)]
fn compress<W: Word>(state: &mut [W; 4], message: &[W; 16]) {
    let [mut a, mut b, mut c, mut d] = *state;
    macro_rules! round {
        ($round:literal, $times:literal, $plus:literal, $mix:expr; $($step:literal)*) => {
            $({
                const TURN: u32 = TURNS[$round][$step % 4];
                let word = message[($times * $step + $plus) % 16].plus(SINES[16 * $round + $step]);
                let turned = $mix(a + word, b, c, d).rotated::<TURN>();
                (a, b, c, d) = (d, b + turned, b, c);
            })*
        };
    }
    round!(0, 1, 0, |a: W, b: W, c: W, d: W| a + (d ^ (b & (c ^ d))); 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    // The two halves have no bit in common: they may be added one after the other.
    round!(1, 5, 1, |a: W, b: W, c: W, d: W| a + (c & !d) + (b & d); 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    round!(2, 3, 5, |a: W, b: W, c: W, d: W| a + (b ^ (c ^ d)); 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    round!(3, 7, 0, |a: W, b: W, c: W, d: W| a + (c ^ (b | !d)); 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    let [a0, b0, c0, d0] = *state;
    *state = [a0 + a, b0 + b, c0 + c, d0 + d];
}

/// The first words of bytes: there must be as many.
#[inline(always)]
fn words<const COUNT: usize>(bytes: &[u8]) -> [u32; COUNT] {
    let (words, _) = bytes.as_chunks();
    array::from_fn(|number| u32::from_le_bytes(words[number]))
}

/// MD5 of one source, as its bytes come.
#[derive(Clone, Debug)]
pub(crate) struct State {
    words: [u32; 4],
    length: u64,
    /// What is left of the last bytes, less than a block.
    rest: Vec<u8>,
}

impl State {
    pub(crate) const fn new() -> Self {
        let words = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        Self { words, length: 0, rest: Vec::new() }
    }

    /// Takes as many of the bytes as fill up the block that was left, and gives the others.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.rest.is_empty() {
            return bytes;
        }
        let (first, others) = bytes.split_at(bytes.len().min(BLOCK - self.rest.len()));
        self.rest.extend_from_slice(first);
        if self.rest.len() == BLOCK {
            let block = std::mem::take(&mut self.rest);
            self.blocks(&block);
        }
        others
    }

    /// Whole blocks.
    fn blocks(&mut self, bytes: &[u8]) {
        let mut state = self.words.map(Wrapping);
        for block in bytes.chunks_exact(BLOCK) {
            compress(&mut state, &words(block).map(Wrapping));
        }
        self.words = state.map(|word| word.0);
    }

    /// Bytes that nothing stands beside.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let bytes = self.fill(bytes);
        let whole = bytes.len() - bytes.len() % BLOCK;
        self.blocks(&bytes[..whole]);
        self.rest.extend_from_slice(&bytes[whole..]);
    }

    pub(crate) fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8);
        let zeros = (2 * BLOCK - 9 - self.rest.len()) % BLOCK;
        let end = [&[0x80][..], &[0; BLOCK][..zeros], &bits.to_le_bytes()].concat();
        self.update(&end);
        let mut sum = [0; 16];
        for (bytes, word) in sum.chunks_exact_mut(4).zip(self.words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        sum
    }
}

/// Takes of each of up to [`LANES`] sources as many bytes as all of them have, give or take a block, and leaves the
/// others: of one at least nothing is left.
pub(crate) fn side_by_side(sources: &mut [(&mut State, &[u8])]) {
    side_by_side_on(Level::new(), sources);
}

fn side_by_side_on(level: Level, sources: &mut [(&mut State, &[u8])]) {
    for (state, bytes) in sources.iter_mut() {
        let length = bytes.len();
        *bytes = state.fill(bytes);
        state.length += (length - bytes.len()) as u64;
    }
    let shortest = sources.iter().map(|(_, bytes)| bytes.len()).min().unwrap_or(0);
    let whole = shortest - shortest % BLOCK;
    dispatch!(level, simd => blocks_side_by_side(simd, sources, whole));
    for (state, bytes) in sources.iter_mut() {
        state.length += whole as u64;
        *bytes = &bytes[whole..];
        // Less than a block is left of the shortest: it goes on with what comes next.
        if bytes.len() < BLOCK {
            let rest = *bytes;
            state.update(rest);
            *bytes = &[];
        }
    }
}

/// So many first bytes, whole blocks, of each source.
#[inline(always)]
fn blocks_side_by_side<S: Simd>(simd: S, sources: &mut [(&mut State, &[u8])], whole: usize) {
    // Lanes to spare do what the first does, for nothing.
    let lane = |lane: usize| if lane < sources.len() { lane } else { 0 };
    let bytes: [&[u8]; LANES] = array::from_fn(|n| &sources[lane(n)].1[..whole]);
    let mut words: [u32x8<S>; 4] = array::from_fn(|word| {
        let words: [u32; LANES] = array::from_fn(|n| sources[lane(n)].0.words[word]);
        words.simd_into(simd)
    });
    for block in (0..whole).step_by(BLOCK) {
        let first = words_of(simd, &bytes, block);
        let second = words_of(simd, &bytes, block + BLOCK / 2);
        let message = array::from_fn(|n| if n < LANES { first[n] } else { second[n - LANES] });
        compress(&mut words, &message);
    }
    let words: [[u32; LANES]; 4] = words.map(Into::into);
    for (n, (state, _)) in sources.iter_mut().enumerate() {
        state.words = words.map(|word| word[n]);
    }
}

/// The eight words from a position on: of each source one, side by side.
#[inline(always)]
fn words_of<S: Simd>(simd: S, sources: &[&[u8]; LANES], at: usize) -> [u32x8<S>; LANES] {
    let mut rows: [u32x8<S>; LANES] =
        array::from_fn(|n| words(&sources[n][at..at + BLOCK / 2]).simd_into(simd));
    // Rows become columns: each time the first half is shuffled into the second, as cards are.
    for _ in 0..LANES.ilog2() {
        let pairs: [_; LANES / 2] = array::from_fn(|n| rows[n].interleave(rows[n + LANES / 2]));
        rows = array::from_fn(|n| if n % 2 == 0 { pairs[n / 2].0 } else { pairs[n / 2].1 });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::{Digest, Md5};
    use proptest::prelude::*;

    fn bytes(seed: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// What processors may have, as far as this one does.
    fn levels() -> Vec<Level> {
        let best = Level::new();
        let mut levels = vec![best, Level::baseline()];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(best.as_sse4_2().map(Level::Sse4_2));
            levels.extend(best.as_avx2().map(Level::Avx2));
        }
        levels
    }

    /// The sums of sources that come in pieces, of which those go side by side that are there.
    fn sums(level: Level, sources: &[(Vec<u8>, usize)]) -> Vec<[u8; 16]> {
        let mut states: Vec<State> = sources.iter().map(|_| State::new()).collect();
        let mut done = vec![0; sources.len()];
        loop {
            let mut now = Vec::new();
            let mut which = Vec::new();
            for (n, (state, (source, piece))) in states.iter_mut().zip(sources).enumerate() {
                if done[n] < source.len() && now.len() < LANES {
                    let piece = &source[done[n]..source.len().min(done[n] + piece)];
                    now.push((state, piece));
                    which.push(n);
                }
            }
            if now.is_empty() {
                return states.into_iter().map(State::finish).collect();
            }
            let before: Vec<usize> = now.iter().map(|(_, piece)| piece.len()).collect();
            side_by_side_on(level, &mut now);
            assert!(now.iter().any(|(_, left)| left.is_empty()), "it goes on");
            for ((n, before), (_, left)) in which.into_iter().zip(before).zip(now) {
                done[n] += before - left.len();
            }
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_each_alone(
            sources in prop::collection::vec((0_usize..2000, 1_usize..700), 1..12), seed: u64,
        ) {
            let sources: Vec<(Vec<u8>, usize)> = sources
                .into_iter()
                .enumerate()
                .map(|(n, (length, piece))| (bytes(seed ^ n as u64, length), piece))
                .collect();
            let expected: Vec<[u8; 16]> =
                sources.iter().map(|(source, _)| Md5::digest(source).into()).collect();
            for level in levels() {
                prop_assert_eq!(&sums(level, &sources), &expected, "{:?}", level);
            }
            for ((source, piece), expected) in sources.iter().zip(expected) {
                let mut alone = State::new();
                source.chunks(*piece).for_each(|piece| alone.update(piece));
                prop_assert_eq!(alone.finish(), expected);
            }
        }
    }
}
