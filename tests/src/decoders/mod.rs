//! What must hold of every decoder for any bytes whatsoever: they are read or refused, never a panic,
//! and what was read is written and read again the same.
//!
//! One list of targets for two users: the ordinary tests feed each its corpus and thousands of mutations
//! of it, and the fuzz targets in `fuzz/` feed it whatever libFuzzer comes up with.

mod mutate;
/// The daemon's own file, without the daemon: all of libp2p would have to be built for fuzzing.
#[path = "../../../node/src/transfer/pack.rs"]
mod pack;
mod readers;
mod samples;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weft_protocol::certificate::Chain;
use weft_protocol::content::chunker::MAX_CHUNK;
use weft_protocol::content::{Bitmap, Manifest, Tree};
use weft_protocol::fact::{Body, Fact, Kind};
use weft_protocol::wire::gate::{Answer, Credential, MAX_CREDENTIAL, Studio};
use weft_protocol::wire::invite::{Code, Record};
use weft_protocol::wire::transfer::{Encoding, MAX_REPLY, MAX_REQUEST, Reply, Request};
use weft_protocol::wire::{self, control, gossip};
use weft_store::TABLES;

pub use mutate::mutate;
pub use readers::READERS;
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
    let found = TARGETS.into_iter().chain(READERS).find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("there is no decoder called '{name}'"))
}

/// All decoders of what is sent or stored; what reads people's files is in [`READERS`].
pub const TARGETS: [Target; 42] = [
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
    Target { name: "fact_setting", feed: |bytes| body(Kind::SETTING, bytes) },
    Target { name: "fact_setting_2", feed: |bytes| body_of(Kind::SETTING, 2, bytes) },
    Target { name: "fact_setting_3", feed: |bytes| body_of(Kind::SETTING, 3, bytes) },
    Target { name: "fact_spec", feed: |bytes| body(Kind::SPEC, bytes) },
    Target { name: "fact_spec_2", feed: |bytes| body_of(Kind::SPEC, 2, bytes) },
    Target { name: "fact_spec_3", feed: |bytes| body_of(Kind::SPEC, 3, bytes) },
    Target { name: "fact_control", feed: |bytes| body(Kind::CONTROL, bytes) },
    Target { name: "fact_control_2", feed: |bytes| body_of(Kind::CONTROL, 2, bytes) },
    Target { name: "fact_outcomes", feed: |bytes| body(Kind::OUTCOMES, bytes) },
    Target { name: "fact_delivery", feed: |bytes| body(Kind::DELIVERY, bytes) },
    Target { name: "fact_removal", feed: |bytes| body(Kind::REMOVAL, bytes) },
    Target { name: "fact_end", feed: |bytes| body(Kind::END, bytes) },
    Target { name: "fact_notes", feed: |bytes| body(Kind::NOTES, bytes) },
    Target { name: "fact_warnings", feed: |bytes| body(Kind::WARNINGS, bytes) },
    Target { name: "manifest", feed: manifest },
    Target { name: "tree", feed: tree },
    Target { name: "gate_credential", feed: |bytes| message::<Credential>(bytes, MAX_CREDENTIAL) },
    Target { name: "gate_answer", feed: |bytes| message::<Answer>(bytes, MAX_CREDENTIAL) },
    Target { name: "invite", feed: invite },
    Target { name: "invite_record", feed: |bytes| message::<Record>(bytes, Record::MAX_ENCODED) },
    Target { name: "studio", feed: |bytes| message::<Studio>(bytes, Studio::MAX_ENCODED) },
    Target { name: "chunk", feed: chunk },
    Target { name: "record_manifests", feed: |bytes| record("manifests", bytes) },
    Target { name: "record_blobs", feed: |bytes| record("blobs", bytes) },
    Target { name: "record_inline", feed: |bytes| record("inline", bytes) },
    Target { name: "record_chunks", feed: |bytes| record("chunks", bytes) },
    Target { name: "record_md5", feed: |bytes| record("md5", bytes) },
    Target { name: "record_partial", feed: |bytes| record("partial", bytes) },
    Target { name: "record_pins", feed: |bytes| record("pins", bytes) },
    Target { name: "record_facts", feed: |bytes| record("facts", bytes) },
    Target { name: "record_meta", feed: |bytes| record("meta", bytes) },
    Target { name: "record_remembered", feed: |bytes| record("remembered", bytes) },
    Target { name: "record_lost", feed: |bytes| record("lost", bytes) },
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
    body_of(kind, 1, bytes)
}

fn body_of(kind: Kind, version: u16, bytes: &[u8]) -> bool {
    let Ok(Some(body)) = Body::decode(kind, version, bytes) else {
        return false;
    };
    assert_eq!(body.version(), version, "a body has one version");
    let again = Body::decode(kind, version, &body.encode());
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

/// A chunk that comes compressed: the length that its manifest says (4 bytes), and the bytes.
fn chunk(bytes: &[u8]) -> bool {
    let Some((len, packed)) = bytes.split_first_chunk::<4>() else {
        return false;
    };
    let len = (u32::from_le_bytes(*len) as usize).min(MAX_CHUNK);
    let plain = pack::unpack(Encoding::Zstd, packed.to_vec(), len);
    assert!(plain.len() <= len, "no chunk gets longer than its manifest says");
    let (encoding, again) = pack::squeeze(plain.clone());
    assert!(again.len() <= plain.len(), "nothing gets longer by being packed");
    assert_eq!(pack::unpack(encoding, again, plain.len()), plain, "packed and unpacked again");
    !plain.is_empty()
}

fn invite(bytes: &[u8]) -> bool {
    let Ok(code) = Code::read(&String::from_utf8_lossy(bytes)) else {
        return false;
    };
    assert_eq!(Code::read(&code.write()), Ok(code), "written and read again");
    true
}

/// A record of the store's catalog: how long its key is (one byte), the key, the content. The checksum
/// that stands behind it on disk is left out: nobody comes up with one that fits.
fn record(table: &str, bytes: &[u8]) -> bool {
    let table = TABLES.into_iter().find(|known| known.as_str() == table).expect("a table's name");
    let (length, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (key, content) = rest.split_at(rest.len().min(usize::from(*length)));
    table.check(key, content).is_ok()
}
