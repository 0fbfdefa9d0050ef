//! Who belongs to a studio: the root signs admins, admins sign members.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeId, StudioId};
use crate::sign::{Signer, Verifier};
use crate::time::Unix;

/// How far clocks may be wrong before an expiry counts: a week.
pub const CLOCK_TOLERANCE_MS: u64 = 7 * 24 * 3600 * 1000;
/// The longest name of a node or a studio, in bytes.
pub const MAX_NAME: usize = 128;
/// The largest encoded chain that is read from a stranger, in bytes.
pub const MAX_CHAIN: usize = 4096;

const DOMAIN: &[u8] = b"weft certificate 1\0";

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Its machine renders; its user may submit.
    Worker,
    /// Its user may submit; its machine does not render.
    Artist,
    /// A worker that also lets others in and revokes them.
    Admin,
}

impl Role {
    /// Whether the member's machine may render.
    #[must_use]
    pub const fn renders(self) -> bool {
        matches!(self, Self::Worker | Self::Admin)
    }

    /// The role in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Artist => "artist",
            Self::Admin => "admin",
        }
    }
}

/// What a certificate states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The studio it is for.
    pub studio: StudioId,
    /// The node it names.
    pub subject: NodeId,
    /// Who signed: the root for admins, an admin for everyone else.
    pub issuer: NodeId,
    /// What the subject may do.
    pub role: Role,
    /// The subject's name, for people.
    pub name: String,
    /// When it was signed.
    pub issued: Unix,
    /// When it ends.
    pub expires: Unix,
}

/// A statement with its issuer's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// What is stated.
    pub statement: Statement,
    #[serde(with = "signature_bytes")]
    signature: [u8; 64],
}

/// A certificate with what proves it: the admin's own certificate, unless the root signed directly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The node's own certificate.
    pub leaf: Certificate,
    /// The certificate of the admin who signed it.
    pub admin: Option<Certificate>,
}

/// Why a chain proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// It is for another studio.
    #[error("the certificate is for another studio ({})", .0.short())]
    OtherStudio(StudioId),
    /// It names another node than the one that shows it.
    #[error("the certificate names another node than the one that shows it")]
    OtherSubject,
    /// A signature does not fit.
    #[error("a signature on the certificate is wrong")]
    Signature,
    /// Its issuer is no admin of the studio.
    #[error("the certificate was not signed by an admin of this studio")]
    Issuer,
    /// It ended.
    #[error(
        "the certificate of '{0}' has expired; with a new invite it can join again, from a new WEFT_HOME"
    )]
    Expired(String),
    /// It is not made of the bytes of a chain.
    #[error("the certificate can't be read")]
    Malformed,
}

impl Certificate {
    /// States `statement` in `issuer`'s name.
    pub fn sign(statement: Statement, issuer: &dyn Signer) -> Self {
        let signature = issuer.sign(&signed_bytes(&statement));
        Self { statement, signature }
    }

    fn verify(&self, verifier: &dyn Verifier) -> Result<(), ChainError> {
        let bytes = signed_bytes(&self.statement);
        match verifier.verify(&self.statement.issuer, &bytes, &self.signature) {
            true => Ok(()),
            false => Err(ChainError::Signature),
        }
    }

    fn check_time(&self, now: Unix) -> Result<(), ChainError> {
        if now.0 > self.statement.expires.0.saturating_add(CLOCK_TOLERANCE_MS) {
            return Err(ChainError::Expired(self.statement.name.clone()));
        }
        Ok(())
    }

    /// Whether half of its life is over, and it is time to ask for a new one.
    #[must_use]
    pub fn past_half_life(&self, now: Unix) -> bool {
        now.0 > self.statement.issued.0 / 2 + self.statement.expires.0 / 2
    }
}

impl Chain {
    /// Checks the signatures up to the root. Time is checked by [`Chain::verify`].
    ///
    /// # Errors
    /// When the chain does not lead from the studio's root to its leaf.
    pub fn verify_signatures(
        &self,
        studio: &StudioId,
        verifier: &dyn Verifier,
    ) -> Result<(), ChainError> {
        let root = NodeId(studio.0);
        for certificate in std::iter::once(&self.leaf).chain(&self.admin) {
            if certificate.statement.studio != *studio {
                return Err(ChainError::OtherStudio(certificate.statement.studio));
            }
            if certificate.statement.name.len() > MAX_NAME {
                return Err(ChainError::Malformed);
            }
        }
        match &self.admin {
            None if self.leaf.statement.issuer == root => {}
            Some(admin)
                if admin.statement.subject == self.leaf.statement.issuer
                    && admin.statement.role == Role::Admin
                    && admin.statement.issuer == root
                    && self.leaf.statement.role != Role::Admin =>
            {
                admin.verify(verifier)?;
            }
            _ => return Err(ChainError::Issuer),
        }
        self.leaf.verify(verifier)
    }

    /// Checks that this chain proves `subject` a member of `studio` at `now`.
    ///
    /// # Errors
    /// Says why not.
    pub fn verify(
        &self,
        studio: &StudioId,
        subject: &NodeId,
        now: Unix,
        verifier: &dyn Verifier,
    ) -> Result<&Statement, ChainError> {
        self.verify_signatures(studio, verifier)?;
        if self.leaf.statement.subject != *subject {
            return Err(ChainError::OtherSubject);
        }
        self.leaf.check_time(now)?;
        if let Some(admin) = &self.admin {
            admin.check_time(now)?;
        }
        Ok(&self.leaf.statement)
    }

    /// The bytes of the chain, as shown on connect and kept in facts.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        crate::wire::encode(self)
    }

    /// Reads what [`Chain::encode`] wrote.
    ///
    /// # Errors
    /// [`ChainError::Malformed`] for anything else, or more than [`MAX_CHAIN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChainError> {
        crate::wire::decode(bytes, MAX_CHAIN).map_err(|_| ChainError::Malformed)
    }
}

fn signed_bytes(statement: &Statement) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    bytes.extend(crate::wire::encode(statement));
    bytes
}

/// Serde for 64-byte arrays, which serde itself stops short of.
pub(crate) mod signature_bytes {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 64], s: S) -> Result<S::Ok, S::Error> {
        let (front, back): (&[u8; 32], &[u8; 32]) = (
            bytes[..32].try_into().unwrap_or(&[0; 32]),
            bytes[32..].try_into().unwrap_or(&[0; 32]),
        );
        (front, back).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 64], D::Error> {
        let (front, back) = <([u8; 32], [u8; 32])>::deserialize(d)?;
        [front, back].concat().try_into().map_err(|_| D::Error::custom("64 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::{Ed25519, KeyPair};

    const NOW: Unix = Unix(1_000_000_000_000);
    const LATER: Unix = Unix(1_100_000_000_000);

    fn studio() -> (KeyPair, StudioId) {
        let root = KeyPair::from_secret(&[9; 32]);
        let id = StudioId(root.public().0);
        (root, id)
    }

    fn certify(studio: StudioId, issuer: &KeyPair, subject: &KeyPair, role: Role) -> Certificate {
        let statement = Statement {
            studio,
            subject: subject.public(),
            issuer: issuer.public(),
            role,
            name: "node".into(),
            issued: NOW,
            expires: LATER,
        };
        Certificate::sign(statement, issuer)
    }

    #[test]
    fn root_signs_admins_and_admins_sign_members() {
        let (root, id) = studio();
        let (admin, worker) = (KeyPair::from_secret(&[1; 32]), KeyPair::from_secret(&[2; 32]));
        let admin_certificate = certify(id, &root, &admin, Role::Admin);
        let chain = Chain { leaf: admin_certificate.clone(), admin: None };
        assert!(chain.verify(&id, &admin.public(), NOW, &Ed25519).is_ok());
        let leaf = certify(id, &admin, &worker, Role::Worker);
        let chain = Chain { leaf, admin: Some(admin_certificate.clone()) };
        assert!(chain.verify(&id, &worker.public(), NOW, &Ed25519).is_ok());
        assert_eq!(Chain::decode(&chain.encode()), Ok(chain.clone()));
        assert_eq!(
            chain.verify(&id, &admin.public(), NOW, &Ed25519),
            Err(ChainError::OtherSubject)
        );
        assert_eq!(
            chain.verify(&StudioId([7; 32]), &worker.public(), NOW, &Ed25519),
            Err(ChainError::OtherStudio(id))
        );
        // An admin cannot make admins, and a worker cannot sign at all.
        let leaf = certify(id, &admin, &worker, Role::Admin);
        let chain = Chain { leaf, admin: Some(admin_certificate) };
        assert_eq!(chain.verify(&id, &worker.public(), NOW, &Ed25519), Err(ChainError::Issuer));
        let signer = certify(id, &root, &worker, Role::Worker);
        let leaf = certify(id, &worker, &admin, Role::Worker);
        let chain = Chain { leaf, admin: Some(signer) };
        assert_eq!(chain.verify(&id, &admin.public(), NOW, &Ed25519), Err(ChainError::Issuer));
    }

    #[test]
    fn expiry_tolerates_a_week_of_wrong_clocks() {
        let (root, id) = studio();
        let node = KeyPair::from_secret(&[1; 32]);
        let chain = Chain { leaf: certify(id, &root, &node, Role::Admin), admin: None };
        let day = std::time::Duration::from_secs(24 * 3600);
        assert!(chain.verify(&id, &node.public(), LATER + day, &Ed25519).is_ok());
        let late = chain.verify(&id, &node.public(), LATER + day * 8, &Ed25519);
        assert_eq!(late, Err(ChainError::Expired("node".into())));
        assert!(!chain.leaf.past_half_life(NOW));
        assert!(chain.leaf.past_half_life(LATER));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let (root, id) = studio();
        let node = KeyPair::from_secret(&[1; 32]);
        let chain = Chain { leaf: certify(id, &root, &node, Role::Admin), admin: None };
        let bytes = chain.encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let read = Chain::decode(&changed);
            let passed = read.is_ok_and(|c| c.verify(&id, &node.public(), NOW, &Ed25519).is_ok());
            assert!(!passed, "byte {at}");
        }
    }
}
