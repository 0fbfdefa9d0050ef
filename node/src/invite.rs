//! Invites: one-time, expiring codes with which a machine joins a studio.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use weft_protocol::certificate::Role;
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::time::Unix;
use weft_protocol::wire;

use crate::studio::Sealed;

/// What every code begins with, so that people and programs know it when they see it.
pub const PREFIX: &str = "weft1";
/// The longest code that is read, in characters.
pub const MAX_CODE: usize = 2048;
/// How long a spent or expired invite is remembered, so that its user is told which it was.
pub const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a code says: where to go, whom to expect there, and the secret to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The studio.
    pub studio: StudioId,
    /// The node that made the invite; nobody else knows of it.
    pub issuer: NodeId,
    /// The secret.
    pub secret: [u8; 16],
    /// When it ends, by the issuer's clock.
    pub expires: Unix,
    /// The issuer's addresses, as multiaddresses.
    pub addresses: Vec<String>,
}

/// A text that is no invite code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is not an invite code, or a part of it is missing or mistyped; nothing was changed. \
     Copy the whole line that `weft invite` printed."
)]
pub struct Garbled;

impl Code {
    /// The code as text: letters and digits, the last of which are a checksum.
    #[must_use]
    pub fn write(&self) -> String {
        let mut bytes = wire::encode(self);
        bytes.extend(&blake3::hash(&bytes).as_bytes()[..4]);
        format!("{PREFIX}{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase())
    }

    /// Reads a code.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn read(text: &str) -> Result<Self, Garbled> {
        let text = text.trim();
        let code = text.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_CODE).ok_or(Garbled)?;
        let bytes = data_encoding::BASE32_NOPAD
            .decode(code.to_uppercase().as_bytes())
            .map_err(|_| Garbled)?;
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(Garbled)?;
        if blake3::hash(body).as_bytes()[..4] != checksum[..] {
            return Err(Garbled);
        }
        wire::decode(body, MAX_CODE).map_err(|_| Garbled)
    }
}

/// What the issuer keeps of an invite: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What the newcomer will be.
    pub role: Role,
    /// When it ends.
    pub expires: Unix,
    /// How many may still join with it.
    pub uses_left: u32,
    /// The root's key, sealed with the invite's secret: only for invites of admins, which the root
    /// alone can sign. It can be opened while the newcomer shows the secret, and not before.
    pub root: Option<Sealed>,
}

/// The key under which the issuer finds the record of a secret.
#[must_use]
pub fn record_key(secret: &[u8; 16]) -> String {
    format!("invite/{}", data_encoding::HEXLOWER.encode(&blake3::hash(secret).as_bytes()[..16]))
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

impl Record {
    /// Spends one use, as of `now`.
    ///
    /// # Errors
    /// Says why it can't be.
    pub fn spend(&mut self, now: Unix) -> Result<(), Refused> {
        if self.uses_left == 0 {
            return Err(Refused::Spent);
        }
        if now > self.expires {
            return Err(Refused::Expired);
        }
        self.uses_left -= 1;
        if self.uses_left == 0 {
            self.root = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> Code {
        Code {
            studio: StudioId([1; 32]),
            issuer: NodeId([2; 32]),
            secret: [3; 16],
            expires: Unix(99),
            addresses: vec!["/ip4/192.168.1.7/tcp/7920".into()],
        }
    }

    #[test]
    fn codes_survive_people_and_mistypings_are_noticed() {
        let text = code().write();
        assert_eq!(Code::read(&format!("  {text}\n")), Ok(code()));
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(Code::read(&String::from_utf8(other).unwrap()), Err(Garbled), "{at}");
        }
        assert_eq!(Code::read(&text[..text.len() - 1]), Err(Garbled));
        assert_eq!(Code::read(&"weft1".repeat(1000)), Err(Garbled));
    }

    #[test]
    fn an_invite_is_spent_once_and_expires() {
        let sealed = Sealed::seal(&[1; 32], b"s").unwrap();
        let mut record =
            Record { role: Role::Worker, expires: Unix(10), uses_left: 1, root: Some(sealed) };
        assert_eq!(record.spend(Unix(11)), Err(Refused::Expired));
        assert_eq!(record.spend(Unix(10)), Ok(()));
        assert_eq!(record.root, None);
        assert_eq!(record.spend(Unix(10)), Err(Refused::Spent));
    }
}
