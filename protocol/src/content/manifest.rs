//! Manifests: the ordered chunks of one file, and its hashes. A blob's id is its manifest's hash.
//!
//! The encoding, version 1, all numbers little-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `WMAN` |
//! | 4 | 1 | version: 1 |
//! | 5 | 8 | size of the file in bytes |
//! | 13 | 16 | MD5 of the file |
//! | 29 | 8 | xxHash64 of the file, seed 0 |
//! | 37 | 4 | number of chunks, n |
//! | 41 | 36 n | for each chunk, in order: its BLAKE3 hash (32), its length in bytes (4) |
//!
//! There is one encoding of a manifest and no other: lengths are 1 to [`MAX_CHUNK`], they add up
//! to the size, and nothing follows the last chunk. Hence equal files have equal ids.

use crate::content::bitmap::Bitmap;
use crate::content::chunker::MAX_CHUNK;
use crate::content::layout::{Reader, Short};
use crate::ids::{BlobId, ChunkId};

/// The longest encoding that is read, in bytes: enough for some 400 GB of chunks of average length.
pub const MAX_ENCODED: usize = 64 << 20;

/// The most chunks a manifest may list; it follows from [`MAX_ENCODED`].
pub const MAX_CHUNKS: u32 = ((MAX_ENCODED - HEAD) / CHUNK) as u32;

const MAGIC: &[u8; 4] = b"WMAN";
const VERSION: u8 = 1;
const HEAD: usize = 41;
const CHUNK: usize = 36;

/// One chunk of a file: its hash and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    /// The BLAKE3 hash of its bytes.
    pub id: ChunkId,
    /// Its length in bytes, 1 to [`MAX_CHUNK`].
    pub len: u32,
}

/// The chunks of one file in order, with the hashes other tools know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The file's size in bytes: the sum of its chunks' lengths.
    pub size: u64,
    /// The file's MD5.
    pub md5: [u8; 16],
    /// The file's xxHash64 with seed 0.
    pub xxh64: u64,
    /// Its chunks, in order; none for an empty file.
    pub chunks: Vec<ChunkRef>,
}

/// Why bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// They don't begin as a manifest does, or don't have the length that they state.
    #[error("this is not a manifest")]
    NotAManifest,
    /// A newer release wrote it.
    #[error("this manifest has version {0}; this release reads version 1")]
    Version(u8),
    /// It lists more chunks than [`MAX_CHUNKS`].
    #[error("this manifest is too long")]
    TooLong,
    /// A chunk is empty or longer than [`MAX_CHUNK`].
    #[error("chunk {index} of this manifest has an impossible length: {len}")]
    ChunkLength {
        /// Which chunk.
        index: u32,
        /// The length that is stated for it.
        len: u32,
    },
    /// The chunks don't add up to the size.
    #[error("the chunks of this manifest don't add up to its size")]
    Size,
}

impl From<Short> for ManifestError {
    fn from(_: Short) -> Self {
        Self::NotAManifest
    }
}

impl Manifest {
    /// Its one encoding. Meaningful for manifests that hold what [`decode`](Self::decode) checks.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + CHUNK * self.chunks.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.size.to_le_bytes());
        bytes.extend_from_slice(&self.md5);
        bytes.extend_from_slice(&self.xxh64.to_le_bytes());
        let count = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        for chunk in &self.chunks {
            bytes.extend_from_slice(&chunk.id.0);
            bytes.extend_from_slice(&chunk.len.to_le_bytes());
        }
        bytes
    }

    /// Reads an encoding. Allocates no more than a small multiple of what it is given.
    ///
    /// # Errors
    /// When `bytes` are not the one encoding of a manifest.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_ENCODED {
            return Err(ManifestError::TooLong);
        }
        let mut reader = Reader(bytes);
        if &reader.array()? != MAGIC {
            return Err(ManifestError::NotAManifest);
        }
        match reader.u8()? {
            VERSION => {}
            other => return Err(ManifestError::Version(other)),
        }
        let size = reader.u64()?;
        let md5 = reader.array()?;
        let xxh64 = reader.u64()?;
        let count = reader.u32()?;
        if count > MAX_CHUNKS {
            return Err(ManifestError::TooLong);
        }
        if reader.0.len() != count as usize * CHUNK {
            return Err(ManifestError::NotAManifest);
        }
        let mut chunks = Vec::with_capacity(count as usize);
        let mut sum = 0_u64;
        for index in 0..count {
            let chunk = ChunkRef { id: ChunkId(reader.array()?), len: reader.u32()? };
            if chunk.len == 0 || chunk.len as usize > MAX_CHUNK {
                return Err(ManifestError::ChunkLength { index, len: chunk.len });
            }
            sum += u64::from(chunk.len);
            chunks.push(chunk);
        }
        if sum != size {
            return Err(ManifestError::Size);
        }
        Ok(Self { size, md5, xxh64, chunks })
    }

    /// The id of the blob: the BLAKE3 hash of the encoding.
    #[must_use]
    pub fn id(&self) -> BlobId {
        Self::id_of(&self.encode())
    }

    /// The id of the blob that an encoding describes.
    #[must_use]
    pub fn id_of(encoded: &[u8]) -> BlobId {
        BlobId(*blake3::hash(encoded).as_bytes())
    }

    /// How many chunks it has. What was decoded has at most [`MAX_CHUNKS`].
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }

    /// How many bytes those of its chunks have that are in `held`.
    #[must_use]
    pub fn bytes_of(&self, held: &Bitmap) -> u64 {
        let chunks = held.held().filter_map(|index| self.chunks.get(index as usize));
        chunks.map(|chunk| u64::from(chunk.len)).sum()
    }

    /// Where each chunk begins in the file, in bytes, in order.
    pub fn offsets(&self) -> impl Iterator<Item = u64> + '_ {
        self.chunks.iter().scan(0_u64, |next, chunk| {
            let offset = *next;
            *next += u64::from(chunk.len);
            Some(offset)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(lens: &[u32]) -> Manifest {
        Manifest {
            size: lens.iter().map(|&len| u64::from(len)).sum(),
            md5: [0x11; 16],
            xxh64: 0x0102_0304_0506_0708,
            chunks: (0_u8..)
                .zip(lens)
                .map(|(n, &len)| ChunkRef { id: ChunkId([n; 32]), len })
                .collect(),
        }
    }

    #[test]
    fn the_layout_is_as_documented() {
        let bytes = sample(&[0x0001_0203]).encode();
        let mut expected = b"WMAN\x01".to_vec();
        expected.extend_from_slice(&[3, 2, 1, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[0x11; 16]);
        expected.extend_from_slice(&[8, 7, 6, 5, 4, 3, 2, 1]);
        expected.extend_from_slice(&[1, 0, 0, 0]);
        expected.extend_from_slice(&[0; 32]);
        expected.extend_from_slice(&[3, 2, 1, 0]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn offsets_are_sums_of_lengths() {
        assert_eq!(sample(&[5, 7, 1]).offsets().collect::<Vec<_>>(), [0, 5, 12]);
        let mut held = Bitmap::new(3);
        held.set(0);
        held.set(2);
        assert_eq!(sample(&[5, 7, 1]).bytes_of(&held), 6);
        assert_eq!(sample(&[5]).bytes_of(&Bitmap::full(9)), 5);
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let good = sample(&[5, 7]).encode();
        assert!(Manifest::decode(&good).is_ok());
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(Manifest::decode(&longer), Err(ManifestError::NotAManifest));
        let mut newer = good.clone();
        newer[4] = 2;
        assert_eq!(Manifest::decode(&newer), Err(ManifestError::Version(2)));
        let mut other_size = good.clone();
        other_size[5] += 1;
        assert_eq!(Manifest::decode(&other_size), Err(ManifestError::Size));
        let mut many = good;
        many[37..41].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Manifest::decode(&many), Err(ManifestError::TooLong));
        for len in [0, MAX_CHUNK as u32 + 1, u32::MAX] {
            let error = Manifest::decode(&sample(&[5, len]).encode());
            assert_eq!(error, Err(ManifestError::ChunkLength { index: 1, len }));
        }
    }

    proptest! {
        #[test]
        fn encodings_round_trip(lens in prop::collection::vec(1..=MAX_CHUNK as u32, 0..50)) {
            let manifest = sample(&lens);
            let bytes = manifest.encode();
            prop_assert_eq!(Manifest::decode(&bytes), Ok(manifest.clone()));
            prop_assert_eq!(Manifest::id_of(&bytes), manifest.id());
        }

        #[test]
        fn what_decodes_is_the_one_encoding(
            lens in prop::collection::vec(1..=MAX_CHUNK as u32, 0..4),
            place in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = sample(&lens).encode();
            let place = place.index(bytes.len());
            bytes[place] = value;
            if value % 4 == 0 {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            if let Ok(manifest) = Manifest::decode(&bytes) {
                prop_assert_eq!(manifest.encode(), bytes);
            }
        }
    }
}
