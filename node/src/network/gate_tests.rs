use futures::io::BufReader;
use tokio_util::compat::TokioAsyncReadCompatExt;
use weft_protocol::certificate::Role;
use weft_protocol::sign::KeyPair;

use super::*;
use crate::studio::{Studio, certify, seal};

struct Door(Mutex<BTreeSet<[u8; 16]>>, KeyPair);

impl Invites for Door {
    fn join(&self, newcomer: NodeId, secret: &[u8; 16], name: &str) -> Result<Welcome, Refused> {
        if !lock(&self.0).remove(secret) {
            return Err(Refused::Spent);
        }
        let studio = StudioId(self.1.public().0);
        let chain = Chain {
            leaf: certify(studio, &self.1, newcomer, Role::Admin, name, unix_now()),
            admin: None,
        };
        let backup = seal(&[1; 32], b"k").unwrap();
        Ok(Welcome { chain, studio: Studio { id: studio, name: "S".into(), backup } })
    }
}

fn libp2p_keys(keys: &KeyPair) -> Keypair {
    Keypair::ed25519_from_bytes(keys.secret()).unwrap()
}

fn member(root: u8, node: u8, invites: Option<Arc<dyn Invites>>) -> Gate {
    let (root, node) = (KeyPair::from_secret(&[root; 32]), KeyPair::from_secret(&[node; 32]));
    let studio = StudioId(root.public().0);
    let leaf = certify(studio, &root, node.public(), Role::Admin, "n", unix_now());
    Gate::member(&libp2p_keys(&node), Chain { leaf, admin: None }, invites).unwrap()
}

/// What each side makes of a connection: the dialer first.
async fn meet(dialer: Gate, listener: Gate) -> (Result<PeerId, String>, Result<PeerId, String>) {
    meet_by(PROTOCOLS[0], dialer, listener).await
}

async fn meet_by(
    protocol: &'static str,
    dialer: Gate,
    listener: Gate,
) -> (Result<PeerId, String>, Result<PeerId, String>) {
    let (a, b) = tokio::io::duplex(1 << 16);
    let (a, b) = (BufReader::new(a.compat()), BufReader::new(b.compat()));
    let dialing = dialer.upgrade_outbound(a, protocol);
    let listening = listener.upgrade_inbound(b, protocol);
    let (dialed, listened) = futures::join!(
        async { dialing.await.map(|(peer, _)| peer).map_err(|e| e.to_string()) },
        async { listening.await.map(|(peer, _)| peer).map_err(|e| e.to_string()) },
    );
    (dialed, listened)
}

#[tokio::test]
async fn members_of_one_studio_meet_and_know_each_other() {
    for protocol in PROTOCOLS {
        let (ours, theirs) = (member(9, 1, None), member(9, 2, None));
        let (dialed, listened) = meet_by(protocol, ours.clone(), theirs.clone()).await;
        let (node1, node2) =
            (node_of(&listened.unwrap()).unwrap(), node_of(&dialed.unwrap()).unwrap());
        assert_eq!(node1, KeyPair::from_secret(&[1; 32]).public());
        assert_eq!(peer_of(&node2).and_then(|peer| node_of(&peer)), Some(node2));
        assert_eq!(ours.chain_of(&node2).unwrap().leaf.statement.subject, node2);
        assert!(theirs.chain_of(&node1).is_some());
    }
}

#[tokio::test]
async fn strangers_and_the_revoked_get_a_reason_and_nothing_else() {
    let listener = member(8, 2, None);
    let (dialed, listened) = meet(member(9, 1, None), listener.clone()).await;
    assert!(dialed.unwrap_err().contains("another studio"));
    assert!(listened.is_err() && lock(&listener.shared.admitted).is_empty());
    let (ours, theirs) = (member(9, 1, None), member(9, 2, None));
    theirs.revoke(KeyPair::from_secret(&[1; 32]).public());
    let (dialed, _) = meet(ours, theirs).await;
    assert!(dialed.unwrap_err().contains("revoked"));
}

#[tokio::test]
async fn a_newcomer_joins_once_and_gets_no_connection_by_it() {
    let root = KeyPair::from_secret(&[9; 32]);
    let door = Arc::new(Door(Mutex::new(BTreeSet::from([[7; 16]])), root));
    let listener = member(9, 2, Some(door));
    let issuer = KeyPair::from_secret(&[2; 32]).public();
    let keys = KeyPair::from_secret(&[5; 32]);
    for expected in [true, false] {
        let result = JoinResult::default();
        let gate =
            Gate::newcomer(&libp2p_keys(&keys), issuer, [7; 16], "new".into(), Arc::clone(&result));
        let (dialed, listened) = meet(gate.unwrap(), listener.clone()).await;
        assert!(dialed.is_err() && listened.is_err());
        let answer = lock(&result).take().unwrap();
        assert_eq!(answer.is_ok(), expected);
        if let Ok(welcome) = answer {
            let studio = welcome.studio.id;
            assert!(welcome.chain.verify(&studio, &keys.public(), unix_now(), &Ed25519).is_ok());
        }
    }
}

#[tokio::test]
async fn who_tries_to_join_too_often_is_put_off() {
    let door = Arc::new(Door(Mutex::default(), KeyPair::from_secret(&[9; 32])));
    let listener = member(9, 2, Some(door));
    let issuer = KeyPair::from_secret(&[2; 32]).public();
    let keys = libp2p_keys(&KeyPair::from_secret(&[5; 32]));
    let mut last = None;
    for _ in 0..=JOIN_LIMIT {
        let result = JoinResult::default();
        let gate = Gate::newcomer(&keys, issuer, [1; 16], "n".into(), Arc::clone(&result));
        let (dialed, _) = meet(gate.unwrap(), listener.clone()).await;
        assert!(dialed.is_err());
        last = lock(&result).take();
    }
    assert!(matches!(last, Some(Err(Refused::TooMany))));
}
