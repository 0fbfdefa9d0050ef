//! Peers for tests: connected nodes, and what serves bytes on them, well or badly.

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::Multiaddr;
use weft_protocol::certificate::{Chain, Role};
use weft_protocol::content::{Bitmap, Manifest};
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::sign::KeyPair;
use weft_protocol::wire::transfer::{Chunk, Encoding, MAX_IN_FLIGHT, MAX_REQUEST, Reply, Request};

use crate::clock::unix_now;
use crate::network::gate::Gate;
use crate::network::swarm::SwarmNews;
use crate::network::{CHUNKS, Network, News, Setup, Stream, frames};
use crate::studio::certify;

/// How a peer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Honest,
    /// Every chunk has a flipped bit.
    WrongBytes,
    /// It says to have everything, and then nothing.
    Stalls,
    /// It says to have everything, and that it has nothing when it is asked.
    Denies,
    /// It closes the stream in the middle of a chunk.
    Closes,
    /// Its manifest has other chunks.
    OtherManifest,
}

/// A connected node.
pub(super) struct Place {
    pub(super) network: Network,
    address: Multiaddr,
    connected: tokio::sync::watch::Receiver<Vec<NodeId>>,
}

impl Place {
    /// A node of the one studio that these tests have, with keys of its own.
    pub(super) async fn new(number: u8) -> Self {
        let (root, keys) = (KeyPair::from_secret(&[99; 32]), KeyPair::from_secret(&[number; 32]));
        let studio = StudioId(root.public().0);
        let leaf = certify(studio, &root, keys.public(), Role::Admin, "n", unix_now());
        let libp2p_keys = libp2p::identity::Keypair::ed25519_from_bytes(keys.secret()).unwrap();
        let gate = Gate::member(&libp2p_keys, Chain { leaf, admin: None }, None).unwrap();
        let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
        let setup = Setup { keys: libp2p_keys, gate, studio, listen, full: false };
        let (network, mut news) = Network::start(keys.public(), setup).unwrap();
        let address = loop {
            if let Some(News::Swarm(SwarmNews::Listening(address))) = news.recv().await {
                break address;
            }
        };
        let (tell, connected) = tokio::sync::watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Some(told) = news.recv().await {
                if let News::Swarm(SwarmNews::Connected(chain)) = told {
                    tell.send_modify(|all: &mut Vec<NodeId>| {
                        all.push(chain.leaf.statement.subject)
                    });
                }
            }
        });
        Self { network, address, connected }
    }
}

/// Connects one node to another.
pub(super) async fn connect(from: &Place, to: &Place) {
    from.network.dial(Some(to.network.me()), vec![to.address.clone()]);
    let (me, other) = (from.network.me(), to.network.me());
    from.connected.clone().wait_for(|all| all.contains(&other)).await.unwrap();
    to.connected.clone().wait_for(|all| all.contains(&me)).await.unwrap();
}

/// Bytes that nothing compresses.
pub(super) fn bytes_of(seed: u8, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// A peer that serves one blob in its way.
pub(super) struct Peer {
    pub(super) place: Place,
}

#[derive(Clone)]
struct Serving {
    behaviour: Behaviour,
    each: Duration,
    manifest: Vec<u8>,
    bytes: Arc<Vec<u8>>,
    /// One chunk at a time, whoever asks: as over one link.
    link: Arc<tokio::sync::Mutex<()>>,
}

impl Peer {
    /// A peer that takes a while for each chunk.
    pub(super) async fn new(
        number: u8,
        behaviour: Behaviour,
        each: Duration,
        manifest: Vec<u8>,
        bytes: Arc<Vec<u8>>,
    ) -> Self {
        let place = Place::new(number).await;
        let mut incoming = place.network.accept(CHUNKS).unwrap();
        let serving = Serving { behaviour, each, manifest, bytes, link: Arc::default() };
        tokio::spawn(async move {
            while let Some((_, stream)) = incoming.next().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.answer(stream).await });
            }
        });
        Self { place }
    }
}

impl Serving {
    async fn answer(self, stream: Stream) -> std::io::Result<()> {
        let (mut reader, mut writer) = stream.split();
        let (requests, mut queue) = tokio::sync::mpsc::channel(MAX_IN_FLIGHT);
        tokio::spawn(async move {
            while let Ok(Some(request)) = frames::read::<_, Request>(&mut reader, MAX_REQUEST).await
            {
                if requests.send(request).await.is_err() {
                    return;
                }
            }
        });
        let manifest = Manifest::decode(&self.manifest).unwrap();
        let full = Bitmap::full(manifest.chunk_count());
        let offsets: Vec<u64> = manifest.offsets().collect();
        while let Some(request) = queue.recv().await {
            match request {
                Request::Open(blobs) => {
                    let mut manifest = self.manifest.clone();
                    if self.behaviour == Behaviour::OtherManifest {
                        manifest[50] ^= 1;
                    }
                    let reply = Reply::Manifest(blobs[0], manifest, full.clone());
                    frames::write(&mut writer, &reply).await?;
                }
                Request::Follow(blob) => {
                    frames::write(&mut writer, &Reply::Holds(blob, full.clone())).await?;
                }
                Request::Want { blob, chunk, .. } => {
                    if self.behaviour == Behaviour::Stalls {
                        std::future::pending::<()>().await;
                    }
                    if self.behaviour == Behaviour::Denies {
                        frames::write(&mut writer, &Reply::Missing(blob, chunk)).await?;
                        writer.flush().await?;
                        continue;
                    }
                    let link = self.link.lock().await;
                    tokio::time::sleep(self.each).await;
                    drop(link);
                    let len = manifest.chunks[chunk as usize].len;
                    let start = usize::try_from(offsets[chunk as usize]).unwrap();
                    let mut bytes = self.bytes[start..start + len as usize].to_vec();
                    let head =
                        Chunk { blob, asked: chunk, chunk, encoding: Encoding::Plain, bytes: len };
                    frames::write(&mut writer, &Reply::Chunk(head)).await?;
                    match self.behaviour {
                        Behaviour::Closes => {
                            writer.write_all(&bytes[..1000]).await?;
                            return writer.close().await;
                        }
                        Behaviour::WrongBytes => bytes[len as usize / 2] ^= 1,
                        _ => {}
                    }
                    writer.write_all(&bytes).await?;
                }
                Request::Cancel(..) | Request::Hold(..) | Request::Gained(..) => {}
            }
            writer.flush().await?;
        }
        Ok(())
    }
}
