//! Cuts bytes into chunks where the bytes themselves say so, so that what is inserted into a file
//! changes the chunks around it and no others.
//!
//! The algorithm is FastCDC as of 2020 with normalisation level 1 and the crate's own gear table.
//! Every node must cut alike: cut points are part of the format, and golden tests hold them.

use std::ops::Range;

use fastcdc::v2020::FastCDC;

/// The shortest chunk, in bytes; only a file's last one may be shorter.
pub const MIN_CHUNK: usize = 64 * 1024;

/// What the length of chunks is steered towards, in bytes.
pub const AVERAGE_CHUNK: usize = 256 * 1024;

/// The longest chunk, in bytes. It bounds what a peer must hold in memory to check one.
pub const MAX_CHUNK: usize = 1024 * 1024;

/// How much a [`Chunker`] buffers: several chunks, so that reads are long and little is moved.
const BUFFER: usize = 4 * MAX_CHUNK;

/// Cuts a stream into chunks, in bounded memory.
///
/// Fill [`spare`](Self::spare) and say how much with [`filled`](Self::filled), then take chunks
/// until there is none; after the last byte, [`end`](Self::end) and take the rest.
#[derive(Debug)]
pub struct Chunker {
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    ended: bool,
}

impl Default for Chunker {
    fn default() -> Self {
        Self::new()
    }
}

impl Chunker {
    /// A chunker at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: vec![0; BUFFER], start: 0, filled: 0, ended: false }
    }

    /// Begins another stream with the same memory.
    pub fn reset(&mut self) {
        (self.start, self.filled, self.ended) = (0, 0, false);
    }

    /// Room for the stream's next bytes. It is empty only while chunks wait to be taken.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start > 0 && self.buffer.len() - self.filled < MAX_CHUNK {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.filled..]
    }

    /// Says that the first `bytes` of [`spare`](Self::spare) were filled.
    pub fn filled(&mut self, bytes: usize) {
        self.filled = (self.filled + bytes).min(self.buffer.len());
    }

    /// Copies from `bytes` what there is room for, and says how much that was.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare();
        let taken = spare.len().min(bytes.len());
        spare[..taken].copy_from_slice(&bytes[..taken]);
        self.filled(taken);
        taken
    }

    /// Says that the stream is over: what is left may be cut too.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next chunk; `None` until more is fed, or at the end.
    pub fn next_chunk(&mut self) -> Option<&[u8]> {
        let waiting = &self.buffer[self.start..self.filled];
        // A cut is decided by at most MAX_CHUNK bytes, so that with as many at hand the rest of
        // the stream can't change it.
        if waiting.is_empty() || (waiting.len() < MAX_CHUNK && !self.ended) {
            return None;
        }
        let length = first_cut(waiting);
        let chunk = self.start..self.start + length;
        self.start = chunk.end;
        Some(&self.buffer[chunk])
    }
}

/// The chunks of bytes that are all at hand, as ranges in order.
pub fn chunks(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &bytes[start..];
        if rest.is_empty() {
            return None;
        }
        let chunk = start..start + first_cut(rest);
        start = chunk.end;
        Some(chunk)
    })
}

/// The length of the first chunk of `bytes`, which must not be empty.
fn first_cut(bytes: &[u8]) -> usize {
    let window = &bytes[..bytes.len().min(MAX_CHUNK)];
    let cutter = FastCDC::new(window, MIN_CHUNK, AVERAGE_CHUNK, MAX_CHUNK);
    let (_, length) = cutter.cut(0, window.len());
    // The crate promises a cut within the window; a chunk of no bytes would never end.
    length.clamp(1, window.len())
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn cuts(bytes: &[u8]) -> Vec<usize> {
        chunks(bytes).map(|chunk| chunk.end).collect()
    }

    fn streamed(bytes: &[u8], step: usize) -> Vec<usize> {
        let mut chunker = Chunker::new();
        let (mut fed, mut position, mut ends) = (0, 0, Vec::new());
        loop {
            fed += chunker.feed(&bytes[fed..bytes.len().min(fed + step)]);
            if fed == bytes.len() {
                chunker.end();
            }
            while let Some(chunk) = chunker.next_chunk() {
                assert_eq!(chunk, &bytes[position..position + chunk.len()]);
                position += chunk.len();
                ends.push(position);
            }
            if fed == bytes.len() {
                return ends;
            }
        }
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
            chunks(bytes).map(|chunk| blake3::hash(&bytes[chunk])).collect()
        };
        let (before, after) = (list(&before), list(&after));
        let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
        assert!(new <= 3, "{new} of {} chunks are new", after.len());
    }

    #[test]
    fn a_reset_chunker_begins_anew() {
        let mut chunker = Chunker::new();
        chunker.feed(&[1; 10]);
        chunker.reset();
        chunker.feed(&[2; 3]);
        chunker.end();
        assert_eq!(chunker.next_chunk(), Some(&[2_u8; 3][..]));
        assert_eq!(chunker.next_chunk(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn streams_are_cut_like_buffers(
            seed in 0_u64..1000, length in 0_usize..6 << 20, step in 1000_usize..5 << 20,
        ) {
            let bytes = noise(seed, length);
            let ends = cuts(&bytes);
            prop_assert_eq!(streamed(&bytes, step), ends.clone());
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
