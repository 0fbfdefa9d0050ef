//! The swarm: transport, behaviours, and the one task that polls them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, ValidationMode};
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, Transport, connection_limits, identify, identity, mdns,
    tcp, yamux,
};
use tokio::sync::mpsc;
use weft_protocol::certificate::Chain;
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::wire;
use weft_protocol::wire::gossip;

use super::gate::{Gate, node_of, peer_of};
use super::streams;

/// The most connections that a node keeps, and with one peer (both may dial at the same moment).
const MAX_CONNECTIONS: u32 = 4096;
const MAX_PER_PEER: u32 = 4;
/// How many connections a node has at least before it dials nobody any more only because mDNS told of them: in
/// a large studio all hear of all.
const DIAL_ANNOUNCED: usize = 32;
/// The most announcements of strangers that are followed up within [`MDNS_WINDOW`].
const MAX_ANNOUNCED: usize = 256;
const MDNS_WINDOW: Duration = Duration::from_secs(60);

/// The behaviours of a node.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    pub(super) streams: streams::Behaviour,
    gossip: Toggle<gossipsub::Behaviour>,
    mdns: Toggle<mdns::tokio::Behaviour>,
}

/// What the swarm is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Dial(Option<NodeId>, Vec<Multiaddr>),
    Publish(gossip::Message),
    Close(NodeId),
}

/// What the swarm tells.
#[derive(Debug)]
pub enum SwarmNews {
    /// A peer that showed a valid certificate is connected.
    Connected(Box<Chain>),
    /// The last connection to a peer closed.
    Disconnected(NodeId),
    /// Gossip came.
    Gossip(NodeId, gossip::Message),
    /// The node listens on another address.
    Listening(Multiaddr),
}

/// The network can't be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The keys or the settings of a protocol are not usable.
    #[error("the network can't be set up: {0}")]
    Setup(String),
    /// The port is taken, or the address is not this machine's.
    #[error(
        "can't listen on {address}: {reason}. Nothing was changed; choose another address with \
         --listen, or end the program that uses it."
    )]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        reason: String,
    },
}

pub(super) fn build(
    keys: &identity::Keypair,
    gate: &Gate,
    studio: &StudioId,
    full: bool,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let setup = |error: &dyn std::fmt::Display| NetworkError::Setup(error.to_string());
    let gossip = full
        .then(|| {
            let config = gossipsub::ConfigBuilder::default()
                .validation_mode(ValidationMode::Strict)
                .validate_messages()
                .max_transmit_size(gossip::MAX_MESSAGE + 4096)
                .heartbeat_interval(Duration::from_millis(700))
                .build()
                .map_err(|error| setup(&error))?;
            let signed = MessageAuthenticity::Signed(keys.clone());
            let mut gossip: gossipsub::Behaviour =
                gossipsub::Behaviour::new(signed, config).map_err(|error| setup(&error))?;
            gossip.subscribe(&topic(studio)).map_err(|error| setup(&error))?;
            Ok(gossip)
        })
        .transpose()?;
    let mdns = full
        .then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), keys.public().to_peer_id()))
        .and_then(|mdns| {
            // A machine without multicast is no reason not to start: addresses work without it.
            mdns.map_err(|error| tracing::warn!(%error, "mDNS can't be used here")).ok()
        });
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established(Some(MAX_CONNECTIONS))
        .with_max_established_per_peer(Some(MAX_PER_PEER))
        .with_max_pending_incoming(Some(64))
        .with_max_pending_outgoing(Some(128));
    let identify = identify::Config::new("/weft/1".to_owned(), keys.public())
        .with_agent_version(format!("weft/{}", env!("CARGO_PKG_VERSION")));
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(identify),
        streams: streams::Behaviour::default(),
        gossip: gossip.into(),
        mdns: mdns.into(),
    };
    let gate = gate.clone();
    let swarm = SwarmBuilder::with_existing_identity(keys.clone())
        .with_tokio()
        .with_other_transport(|_| transport(gate))
        .map_err(|error| setup(&error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| setup(&error))?
        .with_swarm_config(|config| {
            config.with_idle_connection_timeout(Duration::from_secs(365 * 24 * 3600))
        })
        .build();
    Ok(swarm)
}

/// TCP, Noise with the gate in it, yamux.
pub(crate) fn transport(
    gate: Gate,
) -> libp2p::core::transport::Boxed<(PeerId, libp2p::core::muxing::StreamMuxerBox)> {
    tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(gate)
        .multiplex(yamux::Config::default())
        .timeout(Duration::from_secs(10))
        .boxed()
}

fn topic(studio: &StudioId) -> IdentTopic {
    IdentTopic::new(format!("weft/1/{studio}"))
}

/// Polls the swarm until nobody gives it orders any more.
pub(super) async fn run(
    mut swarm: Swarm<Behaviour>,
    gate: Gate,
    studio: StudioId,
    mut orders: mpsc::Receiver<Order>,
    news: mpsc::Sender<SwarmNews>,
) {
    let mut announced: BTreeMap<PeerId, tokio::time::Instant> = BTreeMap::new();
    loop {
        let told = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => { obey(&mut swarm, &studio, order); None }
                None => return,
            },
            event = swarm.select_next_some() => {
                digest(&mut swarm, &gate, &mut announced, event)
            }
        };
        if let Some(told) = told
            && news.send(told).await.is_err()
        {
            return;
        }
    }
}

fn obey(swarm: &mut Swarm<Behaviour>, studio: &StudioId, order: Order) {
    match order {
        Order::Dial(node, addresses) => {
            let options = match node.as_ref().and_then(peer_of) {
                Some(peer) => DialOpts::peer_id(peer).addresses(addresses).build(),
                None => match addresses.into_iter().next() {
                    Some(address) => DialOpts::unknown_peer_id().address(address).build(),
                    None => return,
                },
            };
            // A dial that is under way already, or can't work, is no news.
            if let Err(error) = swarm.dial(options) {
                tracing::debug!(%error, "not dialled");
            }
        }
        Order::Publish(message) => {
            let bytes = wire::encode(&message);
            if let Some(gossip) = swarm.behaviour_mut().gossip.as_mut()
                && let Err(error) = gossip.publish(topic(studio), bytes)
            {
                // Alone in the studio nobody is subscribed: comparing facts makes it good later.
                tracing::debug!(%error, "not published");
            }
        }
        Order::Close(node) => {
            if let Some(peer) = peer_of(&node) {
                let _ = swarm.disconnect_peer_id(peer);
            }
        }
    }
}

fn digest(
    swarm: &mut Swarm<Behaviour>,
    gate: &Gate,
    announced: &mut BTreeMap<PeerId, tokio::time::Instant>,
    event: SwarmEvent<BehaviourEvent>,
) -> Option<SwarmNews> {
    match event {
        SwarmEvent::ConnectionEstablished { peer_id, num_established, .. }
            if num_established.get() == 1 =>
        {
            let chain = node_of(&peer_id).and_then(|node| gate.chain_of(&node));
            if chain.is_none() {
                // Revoked between the gate and here.
                let _ = swarm.disconnect_peer_id(peer_id);
            }
            chain.map(|chain| SwarmNews::Connected(Box::new(chain)))
        }
        SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
            node_of(&peer_id).map(SwarmNews::Disconnected)
        }
        SwarmEvent::NewListenAddr { address, .. } => Some(SwarmNews::Listening(address)),
        SwarmEvent::IncomingConnectionError { error, .. } => {
            tracing::debug!(%error, "a connection was not let in");
            None
        }
        SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
            tracing::debug!(?peer_id, %error, "a connection did not come about");
            None
        }
        SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
            propagation_source,
            message_id,
            message,
        })) => {
            let author = message.source.as_ref().and_then(node_of);
            let read = wire::decode::<gossip::Message>(&message.data, gossip::MAX_MESSAGE);
            let acceptance = match (&author, &read) {
                (Some(_), Ok(_)) => gossipsub::MessageAcceptance::Accept,
                // A later release may gossip what this one can't read: it is not passed on, and
                // nobody is blamed for it.
                _ => gossipsub::MessageAcceptance::Ignore,
            };
            if let Some(gossip) = swarm.behaviour_mut().gossip.as_mut() {
                gossip.report_message_validation_result(
                    &message_id,
                    &propagation_source,
                    acceptance,
                );
            }
            Some(SwarmNews::Gossip(author?, read.ok()?))
        }
        SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Discovered(found))) => {
            announced.retain(|_, at| at.elapsed() < MDNS_WINDOW);
            let few = swarm.connected_peers().count() < DIAL_ANNOUNCED;
            for (peer, address) in found {
                let fresh = !announced.contains_key(&peer) && announced.len() < MAX_ANNOUNCED;
                if fresh && few && !swarm.is_connected(&peer) {
                    announced.insert(peer, tokio::time::Instant::now());
                    let options = DialOpts::peer_id(peer).addresses(vec![address]).build();
                    let _ = swarm.dial(options);
                }
            }
            None
        }
        _ => None,
    }
}
