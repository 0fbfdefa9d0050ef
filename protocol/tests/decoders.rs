//! Whatever a stranger sends: every decoder reads it or refuses it, and what it reads it writes
//! back the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weft_protocol::certificate::{Certificate, Chain, Role, Statement};
use weft_protocol::content::{Bitmap, Manifest, Tree, TreeEntry, TreePath};
use weft_protocol::fact::{Body, Fact, Kind, Revocation};
use weft_protocol::ids::{BlobId, NodeId, StudioId};
use weft_protocol::sign::{KeyPair, Signer};
use weft_protocol::time::Unix;
use weft_protocol::wire::control::{MAX_MESSAGE, Message};
use weft_protocol::wire::transfer::{MAX_REPLY, Reply, Request};
use weft_protocol::wire::{self, gossip};

/// Tries every decoder on the same bytes.
fn try_all(bytes: &[u8]) {
    if let Ok(fact) = Fact::from_bytes(bytes.to_vec()) {
        assert_eq!(fact.as_bytes(), bytes);
        let _ = fact.body();
    }
    for kind in [1, 2, 16, 17, 18, 19, 20, 999] {
        if let Ok(Some(body)) = Body::decode(Kind(kind), 1, bytes) {
            let again = Body::decode(Kind(kind), 1, &body.encode());
            assert_eq!(again, Ok(Some(body)));
        }
    }
    if let Ok(chain) = Chain::decode(bytes) {
        assert_eq!(Chain::decode(&chain.encode()), Ok(chain));
    }
    if let Ok(manifest) = Manifest::decode(bytes) {
        assert_eq!(manifest.encode(), bytes, "one encoding and no other");
    }
    if let Ok(tree) = Tree::decode(bytes) {
        assert_eq!(tree.encode(), bytes, "one encoding and no other");
    }
    let _ = wire::decode::<Message>(bytes, MAX_MESSAGE);
    let _ = wire::decode::<gossip::Message>(bytes, gossip::MAX_MESSAGE);
    let _ = wire::decode::<Request>(bytes, MAX_REPLY);
    let _ = wire::decode::<Reply>(bytes, MAX_REPLY);
    let _ = wire::decode::<Bitmap>(bytes, MAX_REPLY);
}

/// One valid encoding of each kind, to be damaged.
fn samples() -> Vec<Vec<u8>> {
    let keys = KeyPair::from_secret(&[1; 32]);
    let studio = StudioId([2; 32]);
    let statement = Statement {
        studio,
        subject: keys.public(),
        issuer: keys.author(),
        role: Role::Worker,
        name: "node".into(),
        issued: Unix(1),
        expires: Unix(2),
    };
    let chain = Chain { leaf: Certificate::sign(statement, &keys), admin: None };
    let revocation =
        Body::Revocation(Revocation { node: NodeId([3; 32]), reason: "stolen".into() });
    let fact = Fact::sign(&studio, &revocation, &keys);
    let manifest = Manifest { size: 0, md5: [0; 16], xxh64: 0, chunks: Vec::new() };
    let entry = TreeEntry { blob: BlobId([4; 32]), size: 9, frames: None };
    let entries = BTreeMap::from([
        (TreePath::new("a/b.png").expect("a valid path"), entry.clone()),
        (TreePath::new("c").expect("a valid path"), entry),
    ]);
    vec![
        chain.encode(),
        fact.as_bytes().to_vec(),
        revocation.encode(),
        manifest.encode(),
        Tree::new(entries).expect("a valid tree").encode(),
        wire::encode(&Message::Facts(Some(1), vec![fact.as_bytes().to_vec()])),
        wire::encode(&Reply::Manifest(BlobId([1; 32]), manifest.encode(), Bitmap::full(3))),
        wire::encode(&gossip::Message::Announce(NodeId([1; 32]), vec![fact.id()])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        try_all(&bytes);
    }

    #[test]
    fn damaged_messages_are_refused_or_read(
        which in 0_usize..8,
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = samples()[which].clone();
        let at = at.index(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        try_all(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        try_all(&bytes);
    }
}

#[test]
fn lengths_that_promise_gigabytes_allocate_none_of_them() {
    // A vector that says it has 2⁶³ elements, then ends: as many as fit the input at the most.
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for prefix in 0..64_u8 {
        let bytes = [&[prefix][..], &huge].concat();
        try_all(&bytes);
        try_all(&[&bytes[..], &[0; 64]].concat());
    }
}
