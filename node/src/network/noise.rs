//! Noise, with the cipher that today's processors have instructions for.
//!
//! libp2p's own Noise knows ChaCha20-Poly1305 only, which took a quarter of what a transfer takes of the cores; AES-256-GCM
//! is four times as fast where a processor has AES, as nearly all do. The handshake is libp2p's otherwise:
//! `Noise_XX_25519_AESGCM_SHA256` by `snow`, in which each side signs its static key with its identity.
//!
//! ```text
//!   dialer                                              listener
//!     │── e ───────────────────────────────────────────────▶│  32 bytes
//!     │◀─ e, ee, s, es, sealed(id, signature of s) ─────────│  192 bytes
//!     │── s, se, sealed(id, signature of s) ───────────────▶│  160 bytes
//! ```
//!
//! From then on each message stands behind its length (u16, big endian) and holds at most 65,519 bytes
//! and a tag of 16. Both sides change the key after each [`REKEY`] messages: AES-GCM seals some
//! hundred gigabytes under one key before its margin is less than it should be (RFC 8446, section 5.5), and a connection may last for months.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::identity;
use weft_protocol::ids::NodeId;
use weft_protocol::sign::{Ed25519, Verifier};

const PATTERN: &str = "Noise_XX_25519_AESGCM_SHA256";
/// What a signature of a static key begins with, so that it can't be taken for one of anything else.
const DOMAIN: &[u8] = b"weft-noise-static-key:";
/// What the handshake is bound to besides its keys.
const PROLOGUE: &[u8] = b"/weft/noise/2";
/// A Noise message's tag, in bytes.
const TAG: usize = 16;
/// The most bytes in one message (the Noise specification's limit without the tag).
const MAX_PLAIN: usize = 65_535 - TAG;
/// How many messages are sealed with one key: at most 16 GiB.
const REKEY: u64 = if cfg!(test) { 8 } else { 1 << 18 };
/// How much is asked of the socket at once, in bytes: as little, and as much.
const MIN_READ: usize = 4096;
const MAX_READ: usize = 256 * 1024;
/// A node's id, and its signature.
const IDENTITY: usize = 32 + 64;

/// One process's keys for connections.
#[derive(Clone)]
pub(super) struct Config {
    private: Vec<u8>,
    /// What proves to others that the keys are this node's.
    proof: Vec<u8>,
}

/// No connection can be made safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// What the other side sent is no handshake, or not by who holds the key.
    #[error(transparent)]
    Noise(#[from] snow::Error),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other side didn't prove who it is.
    #[error("its identity doesn't sign for its key")]
    Identity,
    /// This node's own keys don't sign.
    #[error("this node's keys can't be used")]
    Keys,
}

impl Config {
    /// Makes keys that `identity` signs.
    ///
    /// # Errors
    /// When `identity` isn't Ed25519.
    pub(super) fn new(identity: &identity::Keypair) -> Result<Self, NoiseError> {
        let pair = builder()?.generate_keypair()?;
        let node = identity.public().try_into_ed25519().map_err(|_| NoiseError::Keys)?;
        let signature =
            identity.sign(&[DOMAIN, &pair.public].concat()).map_err(|_| NoiseError::Keys)?;
        let proof = [&node.to_bytes()[..], &signature].concat();
        Ok(Self { private: pair.private, proof })
    }

    /// Shakes hands as who dialled.
    ///
    /// # Errors
    /// When the connection breaks, or the other side doesn't prove an identity.
    pub(super) async fn dial<S>(&self, mut socket: S) -> Result<(NodeId, Sealed<S>), NoiseError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut session = builder()?.local_private_key(&self.private)?.build_initiator()?;
        send(&mut socket, &mut session, &[]).await?;
        let proof = receive(&mut socket, &mut session, 32 + 32 + TAG + IDENTITY + TAG).await?;
        send(&mut socket, &mut session, &self.proof).await?;
        finish(socket, session, &proof)
    }

    /// Shakes hands as who was dialled.
    ///
    /// # Errors
    /// As [`Config::dial`].
    pub(super) async fn listen<S>(&self, mut socket: S) -> Result<(NodeId, Sealed<S>), NoiseError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut session = builder()?.local_private_key(&self.private)?.build_responder()?;
        receive(&mut socket, &mut session, 32).await?;
        send(&mut socket, &mut session, &self.proof).await?;
        let proof = receive(&mut socket, &mut session, 32 + TAG + IDENTITY + TAG).await?;
        finish(socket, session, &proof)
    }
}

fn builder<'a>() -> Result<snow::Builder<'a>, NoiseError> {
    let params = PATTERN.parse().map_err(NoiseError::Noise)?;
    Ok(snow::Builder::new(params).prologue(PROLOGUE)?)
}

async fn send<S: AsyncWrite + Unpin>(
    socket: &mut S,
    session: &mut snow::HandshakeState,
    payload: &[u8],
) -> Result<(), NoiseError> {
    let mut message = [0; 256];
    let length = session.write_message(payload, &mut message)?;
    socket.write_all(&message[..length]).await?;
    Ok(socket.flush().await?)
}

/// Reads a handshake message, each of which has one length only.
async fn receive<S: AsyncRead + Unpin>(
    socket: &mut S,
    session: &mut snow::HandshakeState,
    length: usize,
) -> Result<Vec<u8>, NoiseError> {
    let mut message = vec![0; length];
    socket.read_exact(&mut message).await?;
    let mut payload = vec![0; length];
    let length = session.read_message(&message, &mut payload)?;
    payload.truncate(length);
    Ok(payload)
}

fn finish<S>(
    socket: S,
    session: snow::HandshakeState,
    proof: &[u8],
) -> Result<(NodeId, Sealed<S>), NoiseError> {
    let (id, signature) = proof.split_first_chunk::<32>().ok_or(NoiseError::Identity)?;
    let signature = signature.try_into().map_err(|_| NoiseError::Identity)?;
    let node = NodeId(*id);
    let signed = [DOMAIN, session.get_remote_static().ok_or(NoiseError::Identity)?].concat();
    if !Ed25519.verify(&node, &signed, signature) {
        return Err(NoiseError::Identity);
    }
    let session = session.into_transport_mode()?;
    Ok((node, Sealed::new(socket, session)))
}

/// A connection on which everything is sealed.
pub struct Sealed<S> {
    socket: S,
    session: snow::TransportState,
    /// What was written and isn't sealed yet: at most one message.
    plain: Buffer,
    /// What is sealed and not sent yet: at most one message.
    outgoing: Buffer,
    /// What came and isn't opened yet.
    incoming: Buffer,
    /// What is opened and isn't read yet.
    opened: Buffer,
    /// How much is asked of the socket next.
    reading: usize,
}

impl<S> Sealed<S> {
    fn new(socket: S, session: snow::TransportState) -> Self {
        Self {
            socket,
            session,
            plain: Buffer::default(),
            outgoing: Buffer::default(),
            incoming: Buffer::default(),
            opened: Buffer::default(),
            reading: MIN_READ,
        }
    }

    /// Seals what was written, where all before it was sent.
    fn seal(&mut self) -> io::Result<()> {
        let length = self.plain.filled().len() + TAG;
        let room = self.outgoing.room(2 + length);
        let (head, body) = room.split_at_mut(2);
        head.copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        let sealed = self.session.write_message(self.plain.filled(), body).map_err(invalid)?;
        self.outgoing.fill(2 + sealed);
        self.plain.clear();
        if self.session.sending_nonce().is_multiple_of(REKEY) {
            self.session.rekey_outgoing();
        }
        Ok(())
    }

    /// Opens the next message, if all of it came.
    fn open(&mut self) -> io::Result<bool> {
        let Some((head, rest)) = self.incoming.filled().split_first_chunk::<2>() else {
            return Ok(false);
        };
        let length = usize::from(u16::from_be_bytes(*head));
        let Some(message) = rest.get(..length) else { return Ok(false) };
        let opened =
            self.session.read_message(message, self.opened.room(length)).map_err(invalid)?;
        self.opened.fill(opened);
        self.incoming.consume(2 + length);
        if self.session.receiving_nonce().is_multiple_of(REKEY) {
            self.session.rekey_incoming();
        }
        Ok(true)
    }
}

impl<S: AsyncWrite + Unpin> Sealed<S> {
    /// Sends what is sealed.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.filled().is_empty() {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, self.outgoing.filled()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.consume(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sealed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.plain.filled().len() == MAX_PLAIN {
            ready!(self.poll_send(cx))?;
            self.seal()?;
        }
        let taken = bytes.len().min(MAX_PLAIN - self.plain.filled().len());
        self.plain.room(taken)[..taken].copy_from_slice(&bytes[..taken]);
        self.plain.fill(taken);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.plain.filled().is_empty() {
            ready!(self.poll_send(cx))?;
            self.seal()?;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sealed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            let opened = this.opened.filled();
            if !opened.is_empty() || bytes.is_empty() {
                let length = opened.len().min(bytes.len());
                bytes[..length].copy_from_slice(&opened[..length]);
                this.opened.consume(length);
                return Poll::Ready(Ok(length));
            }
            if this.open()? {
                continue;
            }
            let room = this.incoming.room(this.reading);
            let came = ready!(Pin::new(&mut this.socket).poll_read(cx, room))?;
            if came == 0 {
                let cut = !this.incoming.filled().is_empty();
                return Poll::Ready(if cut {
                    Err(io::ErrorKind::UnexpectedEof.into())
                } else {
                    Ok(0)
                });
            }
            let full = came == room.len();
            this.incoming.fill(came);
            // Who sends much is read in large pieces; a leader with a thousand silent peers holds little for each.
            this.reading = if full {
                (this.reading * 2).min(MAX_READ)
            } else if came < this.reading / 4 {
                (this.reading / 2).max(MIN_READ)
            } else {
                this.reading
            };
        }
    }
}

fn invalid(error: snow::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Bytes that wait: written at the end, taken from the start. Its memory is set once, not for each message.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Room for `length` bytes and no more, behind what is there.
    fn room(&mut self, length: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() / 4 > length.max(MIN_READ) {
                self.bytes = Vec::new();
            }
        }
        if self.bytes.len() - self.end < length {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < length {
            self.bytes.resize(self.end + length, 0);
        }
        &mut self.bytes[self.end..self.end + length]
    }

    /// Counts `length` bytes as written, of those that [`Buffer::room`] gave.
    fn fill(&mut self, length: usize) {
        self.end += length;
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
    }

    fn clear(&mut self) {
        self.start = self.end;
    }
}

#[cfg(test)]
#[path = "noise_tests.rs"]
mod tests;
