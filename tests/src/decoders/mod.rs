//! What must hold of every decoder for any bytes whatsoever: they are read or refused, never a panic,
//! and what was read is written and read again the same.
//!
//! One list of targets for two users: the ordinary tests feed each its corpus and thousands of mutations
//! of it, and the fuzz targets in `fuzz/` feed it whatever libFuzzer comes up with.

mod mutate;
mod samples;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weft_protocol::certificate::Chain;
use weft_protocol::content::{Bitmap, Manifest, Tree};
use weft_protocol::fact::{Body, Fact, Kind};
use weft_protocol::wire::transfer::{MAX_REPLY, MAX_REQUEST, Reply, Request};
use weft_protocol::wire::{self, control, gossip};

pub use mutate::mutate;
pub use samples::samples;

/// A decoder with its checks, which panic where they fail.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its fuzz target, and of its folder in the corpus.
    pub name: &'static str,
    /// Feeds it bytes, and says whether they were read.
    pub feed: fn(&[u8]) -> bool,
}

/// The target of that name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn target(name: &str) -> Target {
    let found = TARGETS.into_iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("there is no decoder called '{name}'"))
}

/// All of them.
pub const TARGETS: [Target; 16] = [
    Target {
        name: "control",
        feed: |bytes| message::<control::Message>(bytes, control::MAX_MESSAGE),
    },
    Target { name: "gossip", feed: |bytes| message::<gossip::Message>(bytes, gossip::MAX_MESSAGE) },
    Target { name: "request", feed: |bytes| message::<Request>(bytes, MAX_REQUEST) },
    Target { name: "reply", feed: |bytes| message::<Reply>(bytes, MAX_REPLY) },
    Target { name: "bitmap", feed: |bytes| message::<Bitmap>(bytes, MAX_REQUEST) },
    Target { name: "chain", feed: chain },
    Target { name: "fact", feed: fact },
    Target { name: "fact_certificate", feed: |bytes| body(Kind::CERTIFICATE, bytes) },
    Target { name: "fact_revocation", feed: |bytes| body(Kind::REVOCATION, bytes) },
    Target { name: "fact_spec", feed: |bytes| body(Kind::SPEC, bytes) },
    Target { name: "fact_control", feed: |bytes| body(Kind::CONTROL, bytes) },
    Target { name: "fact_outcomes", feed: |bytes| body(Kind::OUTCOMES, bytes) },
    Target { name: "fact_delivery", feed: |bytes| body(Kind::DELIVERY, bytes) },
    Target { name: "fact_removal", feed: |bytes| body(Kind::REMOVAL, bytes) },
    Target { name: "manifest", feed: manifest },
    Target { name: "tree", feed: tree },
];

/// A message of postcard's.
fn message<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    bytes: &[u8],
    limit: usize,
) -> bool {
    let Ok(read) = wire::decode::<T>(bytes, limit) else {
        return false;
    };
    let again = wire::decode::<T>(&wire::encode(&read), limit);
    assert_eq!(again.as_ref(), Ok(&read), "written and read again");
    true
}

fn chain(bytes: &[u8]) -> bool {
    let Ok(chain) = Chain::decode(bytes) else {
        return false;
    };
    assert_eq!(Chain::decode(&chain.encode()), Ok(chain), "written and read again");
    true
}

fn fact(bytes: &[u8]) -> bool {
    let Ok(fact) = Fact::from_bytes(bytes.to_vec()) else {
        return false;
    };
    assert_eq!(fact.as_bytes(), bytes, "a fact is its exact bytes");
    let _ = fact.body();
    true
}

fn body(kind: Kind, bytes: &[u8]) -> bool {
    let Ok(Some(body)) = Body::decode(kind, 1, bytes) else {
        return false;
    };
    let again = Body::decode(kind, 1, &body.encode());
    assert_eq!(again, Ok(Some(body)), "written and read again");
    true
}

fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::decode(bytes) else {
        return false;
    };
    assert_eq!(manifest.encode(), bytes, "there is one encoding and no other");
    true
}

fn tree(bytes: &[u8]) -> bool {
    let Ok(tree) = Tree::decode(bytes) else {
        return false;
    };
    assert_eq!(tree.encode(), bytes, "there is one encoding and no other");
    let _ = tree.needed_for(&[i32::MIN, -1, 0, 7, i32::MAX]).count();
    true
}
