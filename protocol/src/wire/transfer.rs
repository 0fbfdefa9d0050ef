//! How bytes of blobs are asked for and sent: one stream, many wants in flight.
//!
//! The asking side sends [`Request`]s, the other [`Reply`]s. Every message stands behind its length
//! (u32, little endian). Behind a [`Reply::Chunk`] come the bytes of the chunk, as they are.

use serde::{Deserialize, Serialize};

use crate::content::MAX_CHUNK;
use crate::content::bitmap::Bitmap;
use crate::ids::BlobId;

/// The largest request, in bytes: which chunks are held of the largest blob, a bit each.
pub const MAX_REQUEST: usize = 256 << 10;
/// The largest reply, in bytes: a manifest of the largest blob, and a bit for each of its chunks.
pub const MAX_REPLY: usize = (64 << 20) + MAX_REQUEST;
/// The largest reply to anything but a [`Request::Open`], in bytes: which chunks there are of the largest blob, a bit
/// each, or their numbers, which take less than twice that.
pub const MAX_NEWS: usize = 2 * MAX_REQUEST;
/// The most bytes that follow a [`Reply::Chunk`]: what doesn't get smaller is sent as it is.
pub const MAX_PAYLOAD: usize = MAX_CHUNK;
/// Blobs of up to this many bytes come whole with their manifest: one round trip for small files.
pub const MAX_WHOLE: u64 = 16 * 1024;
/// The most blobs that one [`Request::Open`] names.
pub const MAX_OPEN: usize = 256;
/// The most wants that one stream may have open; further ones wait to be read.
pub const MAX_IN_FLIGHT: usize = 512;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The manifests of up to [`MAX_OPEN`] blobs, and which of their chunks are there: a
    /// [`Reply::Manifest`], [`Reply::Whole`] or [`Reply::Unknown`] for each.
    Open(Vec<BlobId>),
    /// Which chunks of a blob are there, now and later: a [`Reply::Holds`] or [`Reply::Unknown`],
    /// and then a [`Reply::Gained`] whenever there are more.
    Follow(BlobId),
    /// A chunk of a blob, by its number in the manifest.
    Want {
        /// The blob.
        blob: BlobId,
        /// The chunk.
        chunk: u32,
        /// Whether it must be this one: else another may come that is more useful.
        exact: bool,
    },
    /// A chunk that was wanted is not any more.
    Cancel(BlobId, u32),
    /// The asking side holds these chunks of a blob itself.
    Hold(BlobId, Bitmap),
    /// The asking side holds more chunks of a blob.
    Gained(BlobId, Vec<u32>),
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
    /// A chunk of a blob. Its bytes follow the message.
    Chunk(Chunk),
    /// Nothing of this blob is here. If that changes, a [`Reply::Holds`] says so.
    Unknown(BlobId),
    /// This chunk is not here.
    Missing(BlobId, u32),
    /// Which chunks of a blob can be had.
    Holds(BlobId, Bitmap),
    /// Which chunks of a blob can be had too.
    Gained(BlobId, Vec<u32>),
    /// A chunk that was cancelled does not come.
    Spared(BlobId, u32),
}

/// What stands before a chunk's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The blob.
    pub blob: BlobId,
    /// The chunk that was wanted.
    pub asked: u32,
    /// The chunk that comes: that one, or another in its place.
    pub chunk: u32,
    /// How its bytes are sent.
    pub encoding: Encoding,
    /// How many bytes follow; at most [`MAX_PAYLOAD`].
    pub bytes: u32,
}
