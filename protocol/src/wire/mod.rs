//! What travels between nodes: postcard, with every length capped before it is believed.

pub mod control;
pub mod gate;
pub mod gossip;
pub mod invite;
pub mod transfer;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes from outside are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than this kind of message may be.
    #[error("the message has {0} bytes, more than the {1} that it may have")]
    TooLong(usize, usize),
    /// Not what this kind of message looks like.
    #[error("the message can't be read")]
    Malformed,
}

/// The bytes of a message.
///
/// Postcard fails only for types that it cannot express (sequences of unknown length, for one);
/// ours have none, so the empty message that would stand for a failure is never sent.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).unwrap_or_default()
}

/// Reads a message of at most `limit` bytes; bytes that are left over make it malformed.
///
/// # Errors
/// When it is longer, or no such message.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong(bytes.len(), limit));
    }
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(DecodeError::Malformed),
    }
}
