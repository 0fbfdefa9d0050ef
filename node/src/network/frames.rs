//! Messages on a stream, each behind its length.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use weft_protocol::wire;

/// Writes one message; the caller flushes.
///
/// # Errors
/// When the stream breaks.
pub async fn write<S, T>(stream: &mut S, message: &T) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
    T: Serialize,
{
    let bytes = wire::encode(message);
    let length = u32::try_from(bytes.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    // Two writes would be two packets, each with a hundred bytes of headers: most messages have fewer.
    stream.write_all(&[&length.to_le_bytes()[..], &bytes].concat()).await
}

/// Reads one message of at most `limit` bytes; none when the stream has ended.
///
/// # Errors
/// When the stream breaks, or what comes is no such message.
pub async fn read<S, T>(stream: &mut S, limit: usize) -> io::Result<Option<T>>
where
    S: AsyncRead + Unpin,
    T: DeserializeOwned,
{
    let Some(length) = length(stream).await? else { return Ok(None) };
    if length > limit {
        return Err(invalid(wire::DecodeError::TooLong(length, limit)));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    decode(&bytes).map(Some)
}

/// Reads how long the next message is, in bytes; none when the stream has ended.
///
/// # Errors
/// When the stream breaks.
pub async fn length<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<usize>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(()) => Ok(Some(u32::from_le_bytes(length) as usize)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a message from its bytes, of which there are no more than it may have.
///
/// # Errors
/// When it is no such message.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    wire::decode(bytes, bytes.len()).map_err(invalid)
}

fn invalid(error: wire::DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
