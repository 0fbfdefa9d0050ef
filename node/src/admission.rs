//! Letting newcomers in: invites are made, spent on disk, and answered with a certificate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use weft_protocol::certificate::{Chain, Role};
use weft_protocol::ids::NodeId;
use weft_protocol::sign::KeyPair;
use weft_protocol::wire;
use weft_protocol::wire::gate::Refused;
use weft_protocol::wire::invite::{Code, Record};
use weft_store::Store;

use crate::clock::unix_now;
use crate::home::Membership;
use crate::network::gate::{Invites, Welcome};
use crate::studio::{certify, read_recovery_key, seal, unseal};

/// An invite can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum InviteError {
    /// Only admins invite.
    #[error(
        "only an admin's node lets others in, and this one is none; nothing was changed. Run \
         `weft invite` on an admin's machine."
    )]
    NotAdmin,
    /// Only the root signs admins.
    #[error(
        "an invite for an admin needs the studio's recovery key (--recovery-key), since only the \
         root key makes admins; nothing was changed"
    )]
    NeedsRecoveryKey,
    /// The recovery key is another one.
    #[error(transparent)]
    WrongKey(#[from] crate::studio::WrongKey),
    /// It could not be written down.
    #[error("the invite could not be written down, so none was made: {0}")]
    Trouble(String),
}

/// The desk of an admin's node.
pub(crate) struct Desk {
    membership: Membership,
    store: Arc<Store>,
    /// One newcomer at a time: spending is a read and a write.
    turn: Mutex<()>,
}

impl Desk {
    /// A desk that keeps its invites in `store`.
    #[must_use]
    pub(crate) const fn new(membership: Membership, store: Arc<Store>) -> Self {
        Self { membership, store, turn: Mutex::new(()) }
    }
}

/// Makes an invite.
///
/// # Errors
/// When this node may not, or can't write it down.
pub(crate) fn invite(
    membership: &Membership,
    store: &Store,
    role: Role,
    life: Duration,
    uses: u32,
    recovery_key: Option<&str>,
    addresses: Vec<String>,
) -> Result<Code, InviteError> {
    let me = &membership.chain.leaf.statement;
    if me.role != Role::Admin {
        return Err(InviteError::NotAdmin);
    }
    let trouble = |error: &dyn std::fmt::Display| InviteError::Trouble(error.to_string());
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|error| trouble(&error))?;
    let root = match (role, recovery_key) {
        (Role::Admin, None) => return Err(InviteError::NeedsRecoveryKey),
        (Role::Admin, Some(key)) => {
            let root = unseal(&membership.studio.backup, &read_recovery_key(key)?)?;
            Some(seal(&root, &secret).map_err(|error| trouble(&error))?)
        }
        _ => None,
    };
    let expires = unix_now() + life;
    let record = Record { role, expires, uses_left: uses, root };
    store
        .put_meta(&Record::name(&secret), &wire::encode(&record))
        .map_err(|error| trouble(&error))?;
    Ok(Code { studio: membership.studio.id, issuer: me.subject, secret, expires, addresses })
}

impl Invites for Desk {
    fn join(&self, newcomer: NodeId, secret: &[u8; 16], name: &str) -> Result<Welcome, Refused> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a newcomer could not be let in");
            Refused::Trouble
        };
        let key = Record::name(secret);
        let bytes = self.store.get_meta(&key).map_err(|error| trouble(&error))?;
        let bytes = bytes.ok_or(Refused::Unknown)?;
        let mut record: Record =
            wire::decode(&bytes, Record::MAX_ENCODED).map_err(|error| trouble(&error))?;
        let root = record.root.clone();
        record.spend(unix_now())?;
        // Spent on disk before the certificate leaves.
        self.store.put_meta(&key, &wire::encode(&record)).map_err(|error| trouble(&error))?;
        let studio = &self.membership.studio;
        let chain = if let Some(root) = root {
            let root =
                KeyPair::from_secret(&unseal(&root, secret).map_err(|error| trouble(&error))?);
            let leaf = certify(studio.id, &root, newcomer, Role::Admin, name, unix_now());
            Chain { leaf, admin: None }
        } else {
            let keys = &self.membership.keys;
            let leaf = certify(studio.id, keys, newcomer, record.role, name, unix_now());
            Chain { leaf, admin: Some(self.membership.chain.leaf.clone()) }
        };
        tracing::info!(node = %newcomer.short(), name, role = record.role.name(), "a newcomer joined");
        Ok(Welcome { chain, studio: studio.clone() })
    }
}

#[cfg(test)]
mod tests {
    use weft_protocol::ids::StudioId;
    use weft_protocol::sign::Ed25519;

    use super::*;
    use crate::studio::{Studio, write_recovery_key};

    fn desk() -> (tempfile::TempDir, Membership, Arc<Store>, Desk, String) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let (root, keys) = (KeyPair::from_secret(&[1; 32]), KeyPair::from_secret(&[2; 32]));
        let id = StudioId(root.public().0);
        let recovery = [7; 25];
        let backup = seal(&root.secret(), &recovery).unwrap();
        let leaf = certify(id, &root, keys.public(), Role::Admin, "first", unix_now());
        let membership = Membership {
            keys,
            chain: Chain { leaf, admin: None },
            studio: Studio { id, name: "S".into(), backup },
        };
        let desk = Desk::new(membership.clone(), Arc::clone(&store));
        (folder, membership, store, desk, write_recovery_key(&recovery))
    }

    #[test]
    fn an_invite_lets_in_as_many_as_it_says() {
        let (_folder, membership, store, desk, _) = desk();
        let hour = Duration::from_secs(3600);
        let code = invite(&membership, &store, Role::Worker, hour, 1, None, Vec::new()).unwrap();
        let newcomer = KeyPair::from_secret(&[3; 32]).public();
        assert!(matches!(desk.join(newcomer, &[0; 16], "x"), Err(Refused::Unknown)));
        let welcome = desk.join(newcomer, &code.secret, "second").unwrap();
        let studio = welcome.studio.id;
        let statement = welcome.chain.verify(&studio, &newcomer, unix_now(), &Ed25519).unwrap();
        assert_eq!((statement.role, statement.name.as_str()), (Role::Worker, "second"));
        assert!(matches!(desk.join(newcomer, &code.secret, "again"), Err(Refused::Spent)));
        let over = Duration::ZERO;
        let code = invite(&membership, &store, Role::Worker, over, 1, None, Vec::new()).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        assert!(matches!(desk.join(newcomer, &code.secret, "late"), Err(Refused::Expired)));
    }

    #[test]
    fn only_the_recovery_key_makes_admins() {
        let (_folder, membership, store, desk, key) = desk();
        let hour = Duration::from_secs(3600);
        let ask =
            |key: Option<&str>| invite(&membership, &store, Role::Admin, hour, 1, key, Vec::new());
        assert!(matches!(ask(None), Err(InviteError::NeedsRecoveryKey)));
        assert!(matches!(ask(Some("AAAAA")), Err(InviteError::WrongKey(_))));
        let code = ask(Some(&key)).unwrap();
        let newcomer = KeyPair::from_secret(&[3; 32]).public();
        let welcome = desk.join(newcomer, &code.secret, "admin").unwrap();
        let studio = welcome.studio.id;
        let statement = welcome.chain.verify(&studio, &newcomer, unix_now(), &Ed25519).unwrap();
        assert_eq!(statement.role, Role::Admin);
    }
}
