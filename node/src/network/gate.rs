//! The gate: right after Noise, and before anything else, both sides show their certificates.
//!
//! It is a part of the transport's upgrade, below the multiplexer: until a peer has shown a valid
//! certificate there is no connection on which any protocol, gossip included, could see it. The
//! one exception is joining, which is answered here as well, and ends the connection.
//!
//! ```text
//!   dialer                                   listener
//!     │── Noise handshake ──────────────────────▶│   both know the other's key from here on
//!     │── Member(chain) or Join(secret, name) ──▶│
//!     │◀─ Member(chain), Joined(…) or Refused ───│   a listener shows nothing to strangers
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::Either;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Future};
use libp2p::PeerId;
use libp2p::core::UpgradeInfo;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p::identity::Keypair;
use serde::{Deserialize, Serialize};
use weft_protocol::certificate::{Chain, MAX_NAME};
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::sign::Ed25519;
use weft_protocol::wire;
use weft_protocol::wire::gate::{Answer, Credential, MAX_CREDENTIAL, Refused};

pub use weft_protocol::wire::gate::Welcome;

use super::noise::{self, NoiseError, Sealed};
use crate::clock::unix_now;

/// How connections are encrypted, the preferred one first. The second is libp2p's own Noise, which is all that
/// older builds speak: a farm is updated one node after the other.
const PROTOCOLS: [&str; 2] = ["/weft/noise/2", "/weft/noise/1"];
/// How many strangers may try to join within [`JOIN_WINDOW`].
const JOIN_LIMIT: usize = 20;
const JOIN_WINDOW: Duration = Duration::from_secs(60);

/// Who answers those who want to join: blocking, since an invite is spent on disk.
pub trait Invites: Send + Sync {
    /// Spends an invite and signs a certificate.
    ///
    /// # Errors
    /// Says why nobody is let in.
    fn join(&self, newcomer: NodeId, secret: &[u8; 16], name: &str) -> Result<Welcome, Refused>;
}

/// What happened when a newcomer asked to join.
pub type JoinResult = Arc<Mutex<Option<Result<Welcome, Refused>>>>;

/// What this side shows.
#[derive(Clone)]
enum Face {
    Member { chain: Arc<Mutex<Chain>>, studio: StudioId, invites: Option<Arc<dyn Invites>> },
    Newcomer { issuer: NodeId, secret: [u8; 16], name: String, result: JoinResult },
}

/// The gate of one node.
#[derive(Clone)]
pub struct Gate {
    noise: noise::Config,
    noise_1: libp2p::noise::Config,
    face: Face,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    admitted: Mutex<BTreeMap<NodeId, Chain>>,
    revoked: Mutex<BTreeSet<NodeId>>,
    joins: Mutex<Vec<Instant>>,
    refusals: Mutex<BTreeMap<NodeId, String>>,
}

/// Why a connection did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// Noise failed.
    #[error("the encrypted handshake failed: {0}")]
    Noise(#[from] NoiseError),
    /// libp2p's own Noise failed.
    #[error("the encrypted handshake failed: {0}")]
    Noise1(#[from] libp2p::noise::Error),
    /// The connection broke, or what came could not be read.
    #[error("the connection broke while certificates were shown: {0}")]
    Io(#[from] io::Error),
    /// The other side's certificate proves nothing.
    #[error("the other side was refused: {0}")]
    Refused(String),
    /// The other side refuses us.
    #[error("the other side refuses this node: {0}")]
    RefusedByPeer(String),
    /// A newcomer was answered; there is nothing more to say.
    #[error("the request to join was answered")]
    JoinAnswered,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The node that a libp2p peer id stands for: ids of Ed25519 keys hold the key itself.
#[must_use]
pub fn node_of(peer: &PeerId) -> Option<NodeId> {
    let hash = libp2p::multihash::Multihash::<64>::from_bytes(&peer.to_bytes()).ok()?;
    let key = libp2p::identity::PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    key.try_into_ed25519().ok().map(|key| NodeId(key.to_bytes()))
}

/// The libp2p peer id of a node; none for bytes that are no public key.
#[must_use]
pub fn peer_of(node: &NodeId) -> Option<PeerId> {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(&node.0).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}

impl Gate {
    /// A member's gate. With `invites` it lets newcomers in.
    ///
    /// # Errors
    /// When the keys can't be used for Noise.
    pub fn member(
        keys: &Keypair,
        chain: Chain,
        invites: Option<Arc<dyn Invites>>,
    ) -> Result<Self, GateError> {
        let studio = chain.leaf.statement.studio;
        Self::new(keys, Face::Member { chain: Arc::new(Mutex::new(chain)), studio, invites })
    }

    /// A newcomer's gate: it asks `issuer` to join, and puts the answer into `result`.
    ///
    /// # Errors
    /// When the keys can't be used for Noise.
    pub fn newcomer(
        keys: &Keypair,
        issuer: NodeId,
        secret: [u8; 16],
        name: String,
        result: JoinResult,
    ) -> Result<Self, GateError> {
        Self::new(keys, Face::Newcomer { issuer, secret, name, result })
    }

    fn new(keys: &Keypair, face: Face) -> Result<Self, GateError> {
        let noise = noise::Config::new(keys)?;
        Ok(Self { noise, noise_1: libp2p::noise::Config::new(keys)?, face, shared: Arc::default() })
    }

    /// The chain that a peer showed when it connected.
    #[must_use]
    pub fn chain_of(&self, node: &NodeId) -> Option<Chain> {
        lock(&self.shared.admitted).get(node).cloned()
    }

    /// Shows another certificate from now on.
    pub fn renew(&self, renewed: Chain) {
        if let Face::Member { chain, .. } = &self.face {
            *lock(chain) = renewed;
        }
    }

    /// Lets a node in no more.
    pub fn revoke(&self, node: NodeId) {
        lock(&self.shared.revoked).insert(node);
        lock(&self.shared.admitted).remove(&node);
    }

    /// Who refused this node when it last dialled them, and what they said.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<NodeId, String> {
        lock(&self.shared.refusals).clone()
    }

    fn admit(&self, node: NodeId, studio: &StudioId, chain: Chain) -> Result<(), String> {
        if lock(&self.shared.revoked).contains(&node) {
            return Err("its certificate was revoked".into());
        }
        chain.verify(studio, &node, unix_now(), &Ed25519).map_err(|error| error.to_string())?;
        lock(&self.shared.admitted).insert(node, chain);
        Ok(())
    }

    fn may_try_to_join(&self) -> bool {
        let mut joins = lock(&self.shared.joins);
        joins.retain(|at| at.elapsed() < JOIN_WINDOW);
        let may = joins.len() < JOIN_LIMIT;
        if may {
            joins.push(Instant::now());
        }
        may
    }

    async fn listen<S>(&self, peer: &PeerId, io: &mut S) -> Result<(), GateError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Face::Member { chain, studio, invites } = &self.face else {
            return Err(GateError::Refused("a newcomer does not listen".into()));
        };
        let node = node_of(peer).ok_or_else(|| GateError::Refused("an unknown key".into()))?;
        match read(io).await? {
            Credential::Member(theirs) => match self.admit(node, studio, *theirs) {
                Ok(()) => {
                    let ours = lock(chain).clone();
                    write(io, &Answer::Member(Box::new(ours))).await?;
                    Ok(())
                }
                Err(why) => {
                    write(io, &Answer::Refused(why.clone())).await?;
                    Err(GateError::Refused(why))
                }
            },
            Credential::Join { secret, name } => {
                let answer = match invites.clone() {
                    None => Err(Refused::Unknown),
                    Some(_) if !self.may_try_to_join() => Err(Refused::TooMany),
                    Some(_) if name.is_empty() || name.len() > MAX_NAME => Err(Refused::Trouble),
                    Some(invites) => {
                        let ask = move || invites.join(node, &secret, &name);
                        tokio::task::spawn_blocking(ask).await.unwrap_or(Err(Refused::Trouble))
                    }
                };
                let answer = match answer {
                    Ok(welcome) => Answer::Joined(Box::new(welcome)),
                    Err(refused) => Answer::JoinRefused(refused),
                };
                write(io, &answer).await?;
                // The newcomer closes; it may not have read the answer yet.
                let mut rest = [0; 1];
                let _ = tokio::time::timeout(Duration::from_secs(5), io.read(&mut rest)).await;
                Err(GateError::JoinAnswered)
            }
        }
    }

    async fn dial<S>(&self, peer: &PeerId, io: &mut S) -> Result<(), GateError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let node = node_of(peer).ok_or_else(|| GateError::Refused("an unknown key".into()))?;
        match &self.face {
            Face::Member { chain, studio, .. } => {
                let ours = lock(chain).clone();
                write(io, &Credential::Member(Box::new(ours))).await?;
                match read(io).await? {
                    Answer::Member(theirs) => {
                        lock(&self.shared.refusals).remove(&node);
                        self.admit(node, studio, *theirs).map_err(GateError::Refused)
                    }
                    Answer::Refused(why) => {
                        let mut refusals = lock(&self.shared.refusals);
                        if refusals.len() < 1024
                            && refusals.insert(node, why.clone()).as_ref() != Some(&why)
                        {
                            tracing::warn!(node = %node.short(), why, "this node is refused");
                        }
                        Err(GateError::RefusedByPeer(why))
                    }
                    Answer::JoinRefused(_) | Answer::Joined(_) => {
                        Err(GateError::Refused("it answered what was not asked".into()))
                    }
                }
            }
            Face::Newcomer { issuer, secret, name, result } => {
                if node != *issuer {
                    return Err(GateError::Refused("it is not the node that invited".into()));
                }
                let join = Credential::Join { secret: *secret, name: name.clone() };
                write(io, &join).await?;
                let answer = match read(io).await? {
                    Answer::Joined(welcome) => Ok(*welcome),
                    Answer::JoinRefused(refused) => Err(refused),
                    _ => return Err(GateError::Refused("it answered what was not asked".into())),
                };
                *lock(result) = Some(answer);
                let _ = io.close().await;
                Err(GateError::JoinAnswered)
            }
        }
    }
}

async fn write<S: AsyncWrite + Unpin, T: Serialize>(io: &mut S, message: &T) -> io::Result<()> {
    let bytes = wire::encode(message);
    io.write_all(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()).await?;
    io.write_all(&bytes).await?;
    io.flush().await
}

async fn read<S: AsyncRead + Unpin, T: for<'de> Deserialize<'de>>(io: &mut S) -> io::Result<T> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_CREDENTIAL {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more than a certificate"));
    }
    let mut bytes = vec![0; length];
    io.read_exact(&mut bytes).await?;
    wire::decode(&bytes, MAX_CREDENTIAL)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

impl UpgradeInfo for Gate {
    type Info = &'static str;
    type InfoIter = std::array::IntoIter<Self::Info, 2>;

    fn protocol_info(&self) -> Self::InfoIter {
        PROTOCOLS.into_iter()
    }
}

type Upgraded<S> = (PeerId, Either<Sealed<S>, libp2p::noise::Output<S>>);
type Upgrading<S> = Pin<Box<dyn Future<Output = Result<Upgraded<S>, GateError>> + Send>>;

impl<S> InboundConnectionUpgrade<S> for Gate
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = Upgraded<S>;
    type Error = GateError;
    type Future = Upgrading<S>;

    fn upgrade_inbound(self, socket: S, info: Self::Info) -> Self::Future {
        Box::pin(async move {
            let (peer, mut io) = if info == PROTOCOLS[0] {
                let (node, io) = self.noise.listen(socket).await?;
                (peer_of(&node).ok_or(NoiseError::Identity)?, Either::Left(io))
            } else {
                let (peer, io) = self.noise_1.clone().upgrade_inbound(socket, info).await?;
                (peer, Either::Right(io))
            };
            self.listen(&peer, &mut io).await?;
            Ok((peer, io))
        })
    }
}

impl<S> OutboundConnectionUpgrade<S> for Gate
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = Upgraded<S>;
    type Error = GateError;
    type Future = Upgrading<S>;

    fn upgrade_outbound(self, socket: S, info: Self::Info) -> Self::Future {
        Box::pin(async move {
            let (peer, mut io) = if info == PROTOCOLS[0] {
                let (node, io) = self.noise.dial(socket).await?;
                (peer_of(&node).ok_or(NoiseError::Identity)?, Either::Left(io))
            } else {
                let (peer, io) = self.noise_1.clone().upgrade_outbound(socket, info).await?;
                (peer, Either::Right(io))
            };
            self.dial(&peer, &mut io).await?;
            Ok((peer, io))
        })
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
