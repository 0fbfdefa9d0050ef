//! Streams of weft's own protocols, on the connections that there are.
//!
//! It never dials: whom to be connected to others decide. What a peer opens waits in a
//! bounded queue for whoever serves its protocol; what this node opens goes over the youngest
//! connection, since a peer that came back over a new one may be gone from the old.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId,
    FromSwarm, NetworkBehaviour, Stream, StreamUpgradeError, SubstreamProtocol, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{PeerId, StreamProtocol};
use tokio::sync::{Notify, mpsc, oneshot};

/// How many streams of one protocol wait to be served before more are turned away.
const WAITING: usize = 256;
/// How many streams wait to be opened on one connection before who asks has to wait.
const OPENING: usize = 64;
/// How long opening may take: twice what negotiating a protocol may.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// The streams of one protocol that peers open.
pub(crate) type Incoming = mpsc::Receiver<(PeerId, Stream)>;

type Opened = oneshot::Sender<io::Result<Stream>>;
type Wanted = (StreamProtocol, Opened);

#[derive(Default)]
struct Shared {
    /// By the protocol's name.
    served: BTreeMap<String, (StreamProtocol, mpsc::Sender<(PeerId, Stream)>)>,
    /// From the oldest to the youngest of each peer.
    connections: BTreeMap<PeerId, Vec<(ConnectionId, mpsc::Sender<Wanted>)>>,
}

/// Opens streams to connected peers, and says who serves those that peers open.
#[derive(Clone, Default)]
pub(super) struct Control {
    shared: Arc<Mutex<Shared>>,
    /// Wakes who waits for a connection.
    arrived: Arc<Notify>,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a protocol from now on, in place of whoever did before.
    pub(super) fn accept(&self, protocol: StreamProtocol) -> Incoming {
        let (sender, incoming) = mpsc::channel(WAITING);
        self.lock().served.insert(protocol.to_string(), (protocol, sender));
        incoming
    }

    /// Returns once there is a connection to a peer.
    pub(super) async fn connected(&self, peer: &PeerId) {
        loop {
            let mut arrived = pin!(self.arrived.notified());
            // From here on none is missed.
            arrived.as_mut().enable();
            if self.is_connected(peer) {
                return;
            }
            arrived.await;
        }
    }

    /// Whether there is a connection to a peer.
    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.lock().connections.contains_key(peer)
    }

    /// Opens a stream over the youngest connection to a peer.
    ///
    /// # Errors
    /// When it is not connected, doesn't serve the protocol, or doesn't answer in time.
    pub(super) async fn open(&self, peer: &PeerId, protocol: StreamProtocol) -> io::Result<Stream> {
        let youngest = self.lock().connections.get(peer).and_then(|all| {
            all.iter().rev().map(|(_, sender)| sender).find(|sender| !sender.is_closed()).cloned()
        });
        let Some(connection) = youngest else {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "it is not connected"));
        };
        let closed = || io::Error::new(io::ErrorKind::ConnectionReset, "the connection was closed");
        let opening = async {
            let (opened, stream) = oneshot::channel();
            connection.send((protocol, opened)).await.map_err(|_| closed())?;
            stream.await.map_err(|_| closed())?
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "it does not answer");
        tokio::time::timeout(OPEN_TIMEOUT, opening).await.map_err(|_| late())?
    }
}

/// The part of the swarm that knows the connections.
#[derive(Default)]
pub(super) struct Behaviour {
    control: Control,
}

impl Behaviour {
    pub(super) fn control(&self) -> Control {
        self.control.clone()
    }

    fn handler(&self, connection: ConnectionId, peer: PeerId) -> Handler {
        let (sender, wanted) = mpsc::channel(OPENING);
        let mut shared = self.control.lock();
        let connections = shared.connections.entry(peer).or_default();
        // Another behaviour may have denied a connection after this one was asked.
        connections.retain(|(_, sender)| !sender.is_closed());
        connections.push((connection, sender));
        drop(shared);
        self.control.arrived.notify_waiters();
        Handler { peer, control: self.control.clone(), wanted }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(connection, peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(connection, peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) = event
        {
            let mut shared = self.control.lock();
            if let Some(connections) = shared.connections.get_mut(&peer_id) {
                connections.retain(|(id, _)| *id != connection_id);
                if connections.is_empty() {
                    shared.connections.remove(&peer_id);
                }
            }
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

/// The part of one connection.
pub(super) struct Handler {
    peer: PeerId,
    control: Control,
    wanted: mpsc::Receiver<Wanted>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Protocols;
    type OutboundProtocol = Protocols;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Wanted;

    fn listen_protocol(&self) -> SubstreamProtocol<Protocols> {
        let served = self.control.lock();
        let open = served.served.values().filter(|(_, sender)| !sender.is_closed());
        SubstreamProtocol::new(Protocols(open.map(|(name, _)| name.clone()).collect()), ())
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Protocols, Wanted, Infallible>> {
        match self.wanted.poll_recv(cx) {
            Poll::Ready(Some(wanted)) => {
                let protocol = SubstreamProtocol::new(Protocols(vec![wanted.0.clone()]), wanted);
                Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
            }
            // The connection is about to close: nobody can ask any more.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Protocols, Protocols, (), Wanted>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) => {
                let server = self.control.lock().served.get(protocol.as_ref()).cloned();
                // Dropping the stream resets it: the peer learns of it.
                if let Some((_, sender)) = server
                    && sender.try_send((self.peer, stream)).is_err()
                {
                    tracing::warn!(peer = %self.peer, %protocol, "too many streams wait: one was turned away");
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info: (_, opened),
            }) => {
                // Whoever asked may have gone away.
                let _ = opened.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: (_, opened), error }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => {
                        io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
                    }
                    StreamUpgradeError::Apply(never) => match never {},
                    StreamUpgradeError::NegotiationFailed => {
                        io::Error::new(io::ErrorKind::Unsupported, "it does not serve that")
                    }
                    StreamUpgradeError::Io(error) => error,
                };
                let _ = opened.send(Err(error));
            }
            _ => {}
        }
    }
}

/// Names of protocols, any of which may be agreed on.
pub(super) struct Protocols(Vec<StreamProtocol>);

impl UpgradeInfo for Protocols {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
