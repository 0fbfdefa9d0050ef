//! Facts: signed, immutable records. They travel and are kept as the exact bytes that were signed.
//!
//! ```text
//! offset  size  field
//!      0     1  envelope format, 1
//!      1     2  kind, little endian
//!      3     2  version of the kind's body, little endian
//!      5     4  length of the body, little endian
//!      9    32  scope: the job that the fact is about, or zeros for the studio
//!     41    32  author: an Ed25519 public key
//!     73    64  signature over "weft fact 1\0", the studio's id, bytes 1 to 73, and the body
//!    137   len  body
//! ```
//!
//! A node that does not know a kind still checks, keeps, counts and forwards it: that needs nothing
//! but the envelope. The studio's id is signed but not sent, so that a fact means nothing elsewhere.

pub mod body;
pub mod digest;

use std::sync::Arc;

use crate::ids::{FactId, JobId, NodeId, StudioId};
use crate::sign::{Signer, Verifier};

pub use body::{Body, Delivery, Kind, Outcomes, Removal, Revocation};

/// The largest body, in bytes. Gossip announces a fact of more than a few KiB by its id.
pub const MAX_BODY: usize = 1 << 20;

const FORMAT: u8 = 1;
const HEADER: usize = 137;
const SIGNED_HEADER: std::ops::Range<usize> = 1..73;
const DOMAIN: &[u8] = b"weft fact 1\0";

/// A fact: its exact bytes, and what the envelope says.
#[derive(Clone, PartialEq, Eq)]
pub struct Fact {
    /// Shared, since facts are on their way in several places at once, and no longer than they are.
    bytes: Arc<[u8]>,
    id: FactId,
}

/// Why bytes are no fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactError {
    /// Too short, too long, or the length does not fit.
    #[error("the record's length is wrong")]
    Length,
    /// A format of envelope that a later release may bring.
    #[error("the record's envelope has format {0}, which this release can't read")]
    Format(u8),
    /// Its author did not sign it for this studio.
    #[error("the record's signature is wrong")]
    Signature,
    /// The body is not what its kind and version say.
    #[error("the record's body can't be read")]
    Body,
}

impl Fact {
    /// Signs a body in `signer`'s name, for one studio.
    pub fn sign(studio: &StudioId, body: &Body, signer: &dyn Signer) -> Self {
        let (kind, version) = (body.kind(), body.version());
        Self::sign_raw(studio, kind.0, version, body.scope(), &body.encode(), signer)
    }

    /// Signs a body of any kind, one that this release does not know included.
    pub fn sign_raw(
        studio: &StudioId,
        kind: u16,
        version: u16,
        scope: Option<JobId>,
        body: &[u8],
        signer: &dyn Signer,
    ) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.push(FORMAT);
        bytes.extend(kind.to_le_bytes());
        bytes.extend(version.to_le_bytes());
        bytes.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(scope.map_or([0; 32], |job| job.0));
        bytes.extend(signer.author().0);
        let signature = signer.sign(&signed_bytes(studio, &bytes[SIGNED_HEADER], body));
        bytes.extend(signature);
        bytes.extend(body);
        let id = FactId(*blake3::hash(&bytes).as_bytes());
        Self { bytes: bytes.into(), id }
    }

    /// Reads the envelope. The signature is checked by [`Fact::verify`].
    ///
    /// # Errors
    /// When the bytes are not one whole envelope of a known format.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, FactError> {
        match bytes.first() {
            Some(&FORMAT) => {}
            Some(&format) => return Err(FactError::Format(format)),
            None => return Err(FactError::Length),
        }
        if bytes.len() < HEADER || bytes.len() > HEADER + MAX_BODY {
            return Err(FactError::Length);
        }
        let id = FactId(*blake3::hash(&bytes).as_bytes());
        let fact = Self { bytes: bytes.into(), id };
        let length = u32::from_le_bytes(fact.field(5));
        match usize::try_from(length) == Ok(fact.bytes.len() - HEADER) {
            true => Ok(fact),
            false => Err(FactError::Length),
        }
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.bytes[at..at + N]);
        field
    }

    /// Checks that its author signed it for this studio.
    ///
    /// # Errors
    /// [`FactError::Signature`].
    pub fn verify(&self, studio: &StudioId, verifier: &dyn Verifier) -> Result<(), FactError> {
        let message = signed_bytes(studio, &self.bytes[SIGNED_HEADER], &self.bytes[HEADER..]);
        match verifier.verify(&self.author(), &message, &self.field(73)) {
            true => Ok(()),
            false => Err(FactError::Signature),
        }
    }

    /// Its id: the hash of its exact bytes.
    #[must_use]
    pub const fn id(&self) -> FactId {
        self.id
    }

    /// Its exact bytes, as they travel and are kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Who signed it.
    #[must_use]
    pub fn author(&self) -> NodeId {
        NodeId(self.field(41))
    }

    /// What kind of body it carries, known or not.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind(u16::from_le_bytes(self.field(1)))
    }

    /// The version of its kind's body.
    #[must_use]
    pub fn version(&self) -> u16 {
        u16::from_le_bytes(self.field(3))
    }

    /// The job that it is about; none when it is about the studio.
    #[must_use]
    pub fn scope(&self) -> Option<JobId> {
        let scope: [u8; 32] = self.field(9);
        (scope != [0; 32]).then_some(JobId(scope))
    }

    /// Its body, or none for a kind or version that this release does not know.
    ///
    /// # Errors
    /// [`FactError::Body`] when the body is not what its kind and version say, or its scope is not
    /// that of its envelope.
    pub fn body(&self) -> Result<Option<Body>, FactError> {
        let Some(body) = Body::decode(self.kind(), self.version(), &self.bytes[HEADER..])? else {
            return Ok(None);
        };
        match body.scope() == self.scope() {
            true => Ok(Some(body)),
            false => Err(FactError::Body),
        }
    }
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fact({}, kind {}, {} bytes)", self.id.short(), self.kind().0, self.bytes.len())
    }
}

fn signed_bytes(studio: &StudioId, header: &[u8], body: &[u8]) -> Vec<u8> {
    [DOMAIN, &studio.0, header, body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::{Ed25519, KeyPair};

    const STUDIO: StudioId = StudioId([3; 32]);

    fn unknown(signer: &KeyPair) -> Fact {
        Fact::sign_raw(&STUDIO, 900, 7, Some(JobId([5; 32])), b"from the future", signer)
    }

    #[test]
    fn an_unknown_kind_is_checked_and_kept_like_any_other() {
        let signer = KeyPair::from_secret(&[1; 32]);
        let fact = unknown(&signer);
        let read = Fact::from_bytes(fact.as_bytes().to_vec()).unwrap();
        assert_eq!(read, fact);
        assert_eq!(read.verify(&STUDIO, &Ed25519), Ok(()));
        assert_eq!((read.kind(), read.version()), (Kind(900), 7));
        assert_eq!(read.scope(), Some(JobId([5; 32])));
        assert_eq!(read.author(), signer.public());
        assert_eq!(read.body(), Ok(None));
        assert_eq!(read.verify(&StudioId([4; 32]), &Ed25519), Err(FactError::Signature));
    }

    #[test]
    fn every_byte_is_signed() {
        let fact = unknown(&KeyPair::from_secret(&[1; 32]));
        for at in 0..fact.as_bytes().len() {
            let mut bytes = fact.as_bytes().to_vec();
            bytes[at] ^= 0x10;
            let passed = Fact::from_bytes(bytes).and_then(|f| f.verify(&STUDIO, &Ed25519));
            assert!(passed.is_err(), "byte {at}");
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let bytes = unknown(&KeyPair::from_secret(&[1; 32])).as_bytes().to_vec();
        for cut in 0..bytes.len() {
            assert!(Fact::from_bytes(bytes[..cut].to_vec()).is_err(), "{cut} bytes");
        }
        assert_eq!(Fact::from_bytes([&bytes[..], b"x"].concat()), Err(FactError::Length));
        let huge = vec![FORMAT; HEADER + MAX_BODY + 1];
        assert_eq!(Fact::from_bytes(huge), Err(FactError::Length));
    }

    /// The layout is a promise: this very fact must read the same in every later release.
    #[test]
    fn the_layout_is_pinned() {
        let fact = unknown(&KeyPair::from_secret(&[1; 32]));
        assert_eq!(&fact.as_bytes()[..9], &[1, 0x84, 0x03, 7, 0, 15, 0, 0, 0]);
        assert_eq!(&fact.as_bytes()[HEADER..], b"from the future");
    }
}
