//! Networks for tests: several of one studio in one process, over loopback.

use libp2p::Multiaddr;
use weft_protocol::certificate::{Chain, Role};
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::sign::KeyPair;

use super::gate::Gate;
use super::swarm::SwarmNews;
use super::{Network, News, Setup};
use crate::clock::unix_now;
use crate::studio::certify;

/// A connected node.
pub(crate) struct Place {
    pub(crate) network: Network,
    address: Multiaddr,
    connected: tokio::sync::watch::Receiver<Vec<NodeId>>,
}

impl Place {
    /// A node of the one studio that these tests have, with keys of its own.
    pub(crate) async fn new(number: u8) -> Self {
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
pub(crate) async fn connect(from: &Place, to: &Place) {
    from.network.dial(Some(to.network.me()), vec![to.address.clone()]);
    let (me, other) = (from.network.me(), to.network.me());
    from.connected.clone().wait_for(|all| all.contains(&other)).await.unwrap();
    to.connected.clone().wait_for(|all| all.contains(&me)).await.unwrap();
}
