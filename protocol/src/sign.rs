//! Signatures: the seam between the machines and Ed25519.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::ids::NodeId;

/// Something that signs in one node's name.
pub trait Signer {
    /// Whose signature it is.
    fn author(&self) -> NodeId;
    /// Signs `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// Something that checks signatures.
pub trait Verifier {
    /// Whether `signature` over `message` is `author`'s.
    fn verify(&self, author: &NodeId, message: &[u8], signature: &[u8; 64]) -> bool;
}

/// A real Ed25519 key pair.
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// The pair that grows from 32 secret random bytes.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The 32 secret bytes.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key, as a node's id.
    #[must_use]
    pub fn public(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair({})", self.public().short())
    }
}

impl Signer for KeyPair {
    fn author(&self) -> NodeId {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// The real check: strict Ed25519, which refuses the weak keys and malleable forms that let one
/// signature fit two messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

impl Verifier for Ed25519 {
    fn verify(&self, author: &NodeId, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&author.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_author_and_the_very_message_pass() {
        let (ours, theirs) = (KeyPair::from_secret(&[1; 32]), KeyPair::from_secret(&[2; 32]));
        let signature = ours.sign(b"frame 7");
        assert!(Ed25519.verify(&ours.public(), b"frame 7", &signature));
        assert!(!Ed25519.verify(&ours.public(), b"frame 8", &signature));
        assert!(!Ed25519.verify(&theirs.public(), b"frame 7", &signature));
        assert!(!Ed25519.verify(&NodeId([0; 32]), b"frame 7", &signature));
    }
}
