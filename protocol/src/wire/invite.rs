//! Invites: one-time, expiring codes with which a machine joins a studio. A person carries a code from the node that
//! invites to the machine that joins; the node keeps a record of it.

use serde::{Deserialize, Serialize};

use crate::certificate::Role;
use crate::ids::{NodeId, StudioId};
use crate::time::Unix;
use crate::wire;
use crate::wire::gate::{Refused, Sealed};

/// What every code begins with, so that people and programs know it when they see it.
pub const PREFIX: &str = "weft1";
/// The longest code that is read, in characters.
pub const MAX_CODE: usize = 2048;

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

impl Record {
    /// The largest encoding, in bytes.
    pub const MAX_ENCODED: usize = 1024;

    /// The name under which the issuer finds the record of a secret.
    #[must_use]
    pub fn name(secret: &[u8; 16]) -> String {
        format!("invite/{}", data_encoding::HEXLOWER.encode(&blake3::hash(secret).as_bytes()[..16]))
    }

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

    #[test]
    fn an_invite_is_spent_once_and_expires() {
        let root = Some(Sealed { nonce: [1; 24], bytes: vec![2; 48] });
        let mut record = Record { role: Role::Worker, expires: Unix(10), uses_left: 1, root };
        assert_eq!(record.spend(Unix(11)), Err(Refused::Expired));
        assert_eq!(record.spend(Unix(10)), Ok(()));
        assert_eq!(record.root, None);
        assert_eq!(record.spend(Unix(10)), Err(Refused::Spent));
    }

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
}
