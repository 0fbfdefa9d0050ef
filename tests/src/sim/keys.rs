//! Signatures: cheap ones that stand in for Ed25519, and the real ones.

use weft_protocol::ids::NodeId;
use weft_protocol::sign::{Ed25519, KeyPair, Signer, Verifier};

/// What a node signs with.
#[derive(Clone, Debug)]
pub enum Keys {
    /// A keyed hash under the author's own id: whoever calls it in another's name forges, and
    /// nothing in the simulator does.
    Cheap(NodeId),
    /// Ed25519.
    Real(Box<KeyPair>),
}

impl Keys {
    /// The keys that grow from a seed.
    #[must_use]
    pub fn new(real: bool, seed: u64, number: u64) -> Self {
        let secret = blake3::hash(&[seed.to_le_bytes(), number.to_le_bytes()].concat());
        match real {
            true => Self::Real(Box::new(KeyPair::from_secret(secret.as_bytes()))),
            false => Self::Cheap(NodeId(*secret.as_bytes())),
        }
    }
}

impl Signer for Keys {
    fn author(&self) -> NodeId {
        match self {
            Self::Cheap(node) => *node,
            Self::Real(keys) => keys.public(),
        }
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        match self {
            Self::Cheap(node) => cheap(node, message),
            Self::Real(keys) => keys.sign(message),
        }
    }
}

/// How signatures are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Those of [`Keys::Cheap`].
    Cheap,
    /// Those of [`Keys::Real`].
    Real,
    /// Not at all: a planted bug.
    Nothing,
}

impl Verifier for Check {
    fn verify(&self, author: &NodeId, message: &[u8], signature: &[u8; 64]) -> bool {
        match self {
            Self::Cheap => cheap(author, message) == *signature,
            Self::Real => Ed25519.verify(author, message, signature),
            Self::Nothing => true,
        }
    }
}

fn cheap(author: &NodeId, message: &[u8]) -> [u8; 64] {
    let hash = blake3::keyed_hash(&author.0, message);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(hash.as_bytes());
    signature[32..].copy_from_slice(hash.as_bytes());
    signature
}
