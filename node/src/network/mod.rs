//! The mesh: libp2p behind a handle and a stream of news.

pub mod frames;
pub mod gate;
mod links;
mod noise;
#[cfg(test)]
pub(crate) mod place;
mod streams;
pub mod swarm;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libp2p::{Multiaddr, StreamProtocol, identity};
use tokio::sync::mpsc;
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::wire::control::Message;
use weft_protocol::wire::gossip;

use gate::{Gate, peer_of};
use swarm::{NetworkError, Order, SwarmNews};

/// Messages between nodes.
pub const CONTROL: StreamProtocol = StreamProtocol::new("/weft/control/1");
/// Bytes of blobs.
pub const CHUNKS: StreamProtocol = StreamProtocol::new("/weft/chunks/1");
/// The HTTP API, for peers.
pub const API: StreamProtocol = StreamProtocol::new("/weft/api/1");
/// Certificates that are near their end.
pub const RENEW: StreamProtocol = StreamProtocol::new("/weft/renew/1");

/// What the network tells the driver.
#[derive(Debug)]
pub enum News {
    /// Something about connections or gossip.
    Swarm(SwarmNews),
    /// A message came.
    Message(NodeId, Message),
}

/// A stream to or from a peer.
pub type Stream = libp2p::Stream;

/// The network, for everybody who needs it. Cheap to clone.
#[derive(Clone)]
pub struct Network {
    me: NodeId,
    gate: Gate,
    orders: mpsc::Sender<Order>,
    control: streams::Control,
    links: links::Links,
    places: Places,
}

/// Tells where a node is that this one need not be connected to.
type Place = dyn Fn(&NodeId) -> Vec<Multiaddr> + Send + Sync;

/// Who is asked for that, once somebody can tell.
type Places = Arc<OnceLock<Box<Place>>>;

/// How long a connection may take that is made because somebody wants a stream.
const REACH: Duration = Duration::from_secs(3);

/// A stream to a peer can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("node {node} can't be reached: {reason}")]
pub struct OpenError {
    /// The peer, shortened.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// How a network is started.
pub struct Setup {
    /// The node's keys.
    pub keys: identity::Keypair,
    /// Its gate.
    pub gate: Gate,
    /// Its studio.
    pub studio: StudioId,
    /// Where to listen; the first that works. None for a client that only dials.
    pub listen: Vec<Multiaddr>,
    /// Whether it takes part in gossip and discovery.
    pub full: bool,
}

impl Network {
    /// Starts the network, and says what happens on it.
    ///
    /// # Errors
    /// When it can't be set up, or can listen nowhere.
    pub fn start(me: NodeId, setup: Setup) -> Result<(Self, mpsc::Receiver<News>), NetworkError> {
        let Setup { keys, gate, studio, listen, full } = setup;
        let mut swarm = swarm::build(&keys, &gate, &studio, full)?;
        listen_on_first(&mut swarm, &listen)?;
        let control = swarm.behaviour().streams.control();
        // Orders and news are bounded: whoever is too fast waits.
        let (orders, order_queue) = mpsc::channel(1024);
        let (swarm_news, mut from_swarm) = mpsc::channel(1024);
        let (news, news_queue) = mpsc::channel(1024);
        tokio::spawn(swarm::run(swarm, gate.clone(), studio, order_queue, swarm_news));
        let links = links::Links::start(control.clone(), news.clone());
        let forward_links = links.clone();
        tokio::spawn(async move {
            while let Some(told) = from_swarm.recv().await {
                match &told {
                    SwarmNews::Connected(chain) => forward_links.up(chain.leaf.statement.subject),
                    SwarmNews::Disconnected(node) => forward_links.down(node),
                    _ => {}
                }
                if news.send(News::Swarm(told)).await.is_err() {
                    return;
                }
            }
        });
        Ok((Self { me, gate, orders, control, links, places: Places::default() }, news_queue))
    }

    /// This node.
    #[must_use]
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// The gate.
    #[must_use]
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Sends a message to a connected peer. It is lost when the peer is too slow or goes away:
    /// the machines ask again.
    pub fn send(&self, to: &NodeId, message: Message) {
        self.links.send(to, message);
    }

    /// Tells everybody.
    pub fn publish(&self, message: gossip::Message) {
        let _ = self.orders.try_send(Order::Publish(message));
    }

    /// Dials a peer.
    pub fn dial(&self, node: Option<NodeId>, addresses: Vec<Multiaddr>) {
        let _ = self.orders.try_send(Order::Dial(node, addresses));
    }

    /// Closes all connections to a peer.
    pub fn close(&self, node: NodeId) {
        let _ = self.orders.try_send(Order::Close(node));
    }

    /// Whether there is a connection to a peer.
    pub(crate) fn is_connected(&self, node: &NodeId) -> bool {
        peer_of(node).is_some_and(|peer| self.control.is_connected(&peer))
    }

    /// Says whom to ask where nodes are that this one need not be connected to; once.
    pub(crate) fn ask_places_of(&self, place: Box<Place>) {
        _ = self.places.set(place);
    }

    /// Opens a stream to a peer. One that is not connected is dialled, where it is known where that is.
    ///
    /// # Errors
    /// When the peer is not connected or does not speak the protocol.
    pub async fn open(&self, node: &NodeId, protocol: StreamProtocol) -> Result<Stream, OpenError> {
        let failed = |reason: String| OpenError { node: node.short(), reason };
        let peer = peer_of(node).ok_or_else(|| failed("its id is no public key".into()))?;
        if !self.control.is_connected(&peer) {
            let place = self.places.get().map(|place| place(node)).unwrap_or_default();
            if !place.is_empty() {
                self.dial(Some(*node), place);
                // Where that fails, opening says so.
                _ = tokio::time::timeout(REACH, self.control.connected(&peer)).await;
            }
        }
        self.control.open(&peer, protocol).await.map_err(|error| failed(error.to_string()))
    }

    /// The streams of a protocol that peers open, from now on.
    #[must_use]
    pub(crate) fn accept(&self, protocol: StreamProtocol) -> streams::Incoming {
        self.control.accept(protocol)
    }
}

fn listen_on_first(
    swarm: &mut libp2p::Swarm<swarm::Behaviour>,
    listen: &[Multiaddr],
) -> Result<(), NetworkError> {
    let mut failure = None;
    for address in listen {
        match swarm.listen_on(address.clone()) {
            Ok(_) => return Ok(()),
            Err(error) => {
                let (address, reason) = (address.to_string(), error.to_string());
                failure = Some(NetworkError::Listen { address, reason });
            }
        }
    }
    failure.map_or(Ok(()), Err)
}
