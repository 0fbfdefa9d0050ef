//! How bytes of blobs are asked for and sent: one stream, many wants in flight.
//!
//! The asking side sends [`Request`]s, the other answers each want with one [`Reply`], in any order.
//! Every message stands behind its length (u32, little endian).

use serde::{Deserialize, Serialize};

use crate::content::bitmap::Bitmap;
use crate::ids::BlobId;

/// The largest request, in bytes.
pub const MAX_REQUEST: usize = 64 * 1024;
/// The largest reply, in bytes: a manifest of the largest blob.
pub const MAX_REPLY: usize = (64 << 20) + 1024;
/// Blobs of up to this many bytes come whole with their manifest: one round trip for small files.
pub const MAX_WHOLE: u64 = 16 * 1024;
/// The most wants that one stream may have open.
pub const MAX_IN_FLIGHT: usize = 64;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The manifest of a blob, and which of its chunks are there.
    Open(BlobId),
    /// One chunk of a blob, by its number in the manifest.
    Want(BlobId, u32),
}

/// How a chunk's bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// As they are.
    Plain,
    /// Compressed with zstd.
    Zstd,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The encoded manifest of a blob, and which of its chunks can be had.
    Manifest(BlobId, Vec<u8>, Bitmap),
    /// The same for a small blob, with all its bytes.
    Whole(BlobId, Vec<u8>, Vec<u8>),
    /// A chunk of a blob.
    Chunk(BlobId, u32, Encoding, Vec<u8>),
    /// Nothing of this blob is here.
    Unknown(BlobId),
    /// This chunk is not here.
    Missing(BlobId, u32),
}
