//! What two nodes show each other before anything else: certificates, or an invite's secret.
//!
//! Each message stands behind its length (u32, little endian).

use serde::{Deserialize, Serialize};

use crate::certificate::{Chain, MAX_CHAIN};
use crate::ids::StudioId;

/// The largest of these messages, in bytes: a welcome, with a chain and the studio's record.
pub const MAX_CREDENTIAL: usize = MAX_CHAIN + Studio::MAX_ENCODED + 1024;

/// What a dialer shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// That it is a member.
    Member(Box<Chain>),
    /// That it was invited, and wants to become one.
    Join {
        /// The invite's secret.
        secret: [u8; 16],
        /// How it wants to be called.
        name: String,
    },
}

/// What a listener answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// That it is a member too.
    Member(Box<Chain>),
    /// That what was shown proves nothing, and why.
    Refused(String),
    /// That the invite lets nobody in.
    JoinRefused(Refused),
    /// That the newcomer is a member now.
    Joined(Box<Welcome>),
}

/// What a newcomer gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Its certificate.
    pub chain: Chain,
    /// Its studio.
    pub studio: Studio,
}

/// What every member knows of its studio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Studio {
    /// The root's public key.
    pub id: StudioId,
    /// Its name.
    pub name: String,
    /// The root's secret key, sealed with the recovery key: every member keeps it, so that losing
    /// machines doesn't lose the studio.
    pub backup: Sealed,
}

impl Studio {
    /// The largest encoding, in bytes.
    pub const MAX_ENCODED: usize = 1024;
}

/// 32 secret bytes, sealed (XChaCha20-Poly1305).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// What the cipher began with.
    pub nonce: [u8; 24],
    /// The sealed bytes.
    pub bytes: Vec<u8>,
}

/// Why an invite lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It was never made here.
    #[error(
        "this invite is not known to the node that it names; nothing was changed. Ask for a new one."
    )]
    Unknown,
    /// Its time is over.
    #[error("this invite has expired; nothing was changed. Ask for a new one with `weft invite`.")]
    Expired,
    /// As many as it was for have joined.
    #[error(
        "this invite was used already; nothing was changed. Ask for a new one with `weft invite`."
    )]
    Spent,
    /// Too many tried lately.
    #[error(
        "too many machines tried to join just now; nothing was changed. Try again in a minute."
    )]
    TooMany,
    /// The issuer could not write it down, or is no admin any more.
    #[error(
        "the inviting node could not complete the invitation; nothing was changed here. Look at its log."
    )]
    Trouble,
}
