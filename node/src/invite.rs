//! Invites: one-time, expiring codes with which a machine joins a studio.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use weft_protocol::certificate::Role;
use weft_protocol::time::Unix;

pub use weft_protocol::wire::gate::Refused;
pub use weft_protocol::wire::invite::{Code, Garbled};

use crate::studio::Sealed;

/// How long a spent or expired invite is remembered, so that its user is told which it was.
pub const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

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

    #[test]
    fn an_invite_is_spent_once_and_expires() {
        let sealed = crate::studio::seal(&[1; 32], b"s").unwrap();
        let mut record =
            Record { role: Role::Worker, expires: Unix(10), uses_left: 1, root: Some(sealed) };
        assert_eq!(record.spend(Unix(11)), Err(Refused::Expired));
        assert_eq!(record.spend(Unix(10)), Ok(()));
        assert_eq!(record.root, None);
        assert_eq!(record.spend(Unix(10)), Err(Refused::Spent));
    }
}
