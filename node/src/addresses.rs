//! Where this node listens, and where others are reached.

use std::net::SocketAddr;
use std::sync::Arc;

use libp2p::Multiaddr;
use weft_protocol::ids::NodeId;

use crate::home::Home;
use crate::network::swarm::NetworkError;
use crate::shared::Shared;

/// The port that a node listens on where it is free and nothing else was asked for.
pub const DEFAULT_PORT: u16 = 7920;

/// Takes `…/p2p/ID` apart; an address without it stands for whoever answers there.
pub(crate) fn split_peer(address: &str) -> Option<(Option<NodeId>, String)> {
    let mut address: Multiaddr = address.parse().ok()?;
    let node = match address.iter().last() {
        Some(libp2p::multiaddr::Protocol::P2p(peer)) => {
            address.pop();
            crate::network::gate::node_of(&peer)
        }
        _ => None,
    };
    Some((node, address.to_string()))
}

/// `IP:PORT` as a multiaddress; multiaddresses pass as they are.
#[must_use]
pub(crate) fn multiaddress(text: &str) -> Option<Multiaddr> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        let family = if socket.is_ipv4() { "ip4" } else { "ip6" };
        return format!("/{family}/{}/tcp/{}", socket.ip(), socket.port()).parse().ok();
    }
    if text.starts_with('/') {
        return text.parse().ok();
    }
    let (host, port) = text.rsplit_once(':')?;
    format!("/dns/{host}/tcp/{}", port.parse::<u16>().ok()?).parse().ok()
}

/// Where to listen: as asked, or the port of last time, or the usual one, or any.
pub(crate) fn choose_address(
    home: &Home,
    asked: Option<&String>,
) -> Result<Multiaddr, NetworkError> {
    let refused = |address: &str, reason: String| NetworkError::Listen {
        address: address.to_owned(),
        reason,
    };
    let bind = |address: SocketAddr| std::net::TcpListener::bind(address)?.local_addr();
    let to_multiaddress = |address: SocketAddr| {
        multiaddress(&address.to_string())
            .ok_or_else(|| refused(&address.to_string(), "it is no address".into()))
    };
    let address = if let Some(text) = asked {
        let address: SocketAddr =
            text.parse().map_err(|_| refused(text, "it is not of the form IP:PORT".into()))?;
        bind(address).map_err(|error| refused(text, error.to_string()))?
    } else {
        let last = std::fs::read_to_string(home.port()).ok();
        let last = last.and_then(|port| port.trim().parse::<u16>().ok());
        let everywhere = |port: u16| SocketAddr::from(([0, 0, 0, 0], port));
        let wanted = last.into_iter().chain([DEFAULT_PORT, 0]);
        let mut failure = None;
        let found = wanted.map(everywhere).find_map(|address| match bind(address) {
            Ok(address) => Some(address),
            Err(error) => {
                failure = Some(refused(&address.to_string(), error.to_string()));
                None
            }
        });
        match (found, failure) {
            (Some(address), _) => address,
            (None, failure) => {
                let any = refused("any port", "the system has none".into());
                return Err(failure.unwrap_or(any));
            }
        }
    };
    // Next time the same port is tried first, so that others find this node again.
    let _ = std::fs::write(home.port(), address.port().to_string());
    to_multiaddress(address)
}

/// Where others were reached when this node last ran.
pub(crate) fn remembered_peers(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(home.peers()).unwrap_or_default();
    text.lines().take(1024).map(|line| line.trim().to_owned()).collect()
}

/// Writes down where others were reached, so that a studio finds together again after all of its
/// machines were off.
pub(crate) async fn remember_peers(node: Arc<Shared>) {
    let mut written = String::new();
    let mut every = tokio::time::interval(std::time::Duration::from_secs(2));
    loop {
        every.tick().await;
        let mut text = String::new();
        let contacts = node.machine().contacts.clone();
        for (peer, addresses) in contacts {
            let Some(peer) = crate::network::gate::peer_of(&peer) else {
                continue;
            };
            for address in addresses {
                text.push_str(&format!("{address}/p2p/{peer}\n"));
            }
        }
        if !text.is_empty()
            && text != written
            && node.home.write_private(&node.home.peers(), text.as_bytes()).is_ok()
        {
            written = text;
        }
    }
}
