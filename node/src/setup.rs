//! Founding a studio, joining one, and recovering an admin's rights.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use libp2p::Transport;
use libp2p::core::Endpoint;
use libp2p::core::transport::{DialOpts, PortUse};
use weft_protocol::certificate::{Chain, MAX_NAME, Role};
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::sign::{Ed25519, KeyPair};
use weft_protocol::wire::gate::Refused;
use weft_protocol::wire::invite::{Code, Garbled};

use crate::clock::unix_now;
use crate::home::{Home, HomeError, Membership};
use crate::network::gate::{Gate, JoinResult, Welcome, peer_of};
use crate::network::swarm::transport;
use crate::studio::{
    Studio, WrongKey, certify, read_recovery_key, seal, unseal, write_recovery_key,
};

/// How long one of the inviting node's addresses may take to answer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(8);

/// A studio that was founded.
#[derive(Clone, Debug)]
pub struct Init {
    /// The studio.
    pub studio_id: StudioId,
    /// The founding node.
    pub node: NodeId,
    /// The key with which a member becomes an admin when all admins' machines are lost. It is
    /// stored nowhere.
    pub recovery_key: String,
}

/// A studio that was joined.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The studio's name.
    pub studio_name: String,
    /// This node.
    pub node: NodeId,
    /// This node's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// A home could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The home can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A name that can't be one.
    #[error("{0}; nothing was changed")]
    Name(String),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}; nothing was changed")]
    Random(getrandom::Error),
    /// The code is none.
    #[error(transparent)]
    Garbled(#[from] Garbled),
    /// The invite lets nobody in.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The inviting node was not reached.
    #[error(
        "the inviting node could not be reached at {tried}: {reason}. Nothing was changed. Is it \
         running (`weft up`), and on this network?"
    )]
    Unreachable {
        /// The addresses that were tried.
        tried: String,
        /// What became of the last.
        reason: String,
    },
    /// What the inviting node answered proves nothing.
    #[error(
        "the inviting node answered with a certificate that is not valid: {0}; nothing was changed"
    )]
    Invalid(String),
    /// The recovery key is another one.
    #[error(transparent)]
    WrongKey(#[from] WrongKey),
}

impl SetupError {
    /// The exit status that fits.
    #[must_use]
    pub const fn exit(&self) -> u8 {
        match self {
            Self::Home(HomeError::Missing(_)) | Self::Refused(_) | Self::WrongKey(_) => 4,
            Self::Invalid(_) => 4,
            Self::Home(HomeError::Taken { .. } | HomeError::NotText(_)) => 2,
            Self::Name(_) | Self::Garbled(_) => 2,
            Self::Unreachable { .. } => 3,
            Self::Home(_) | Self::Random(_) => 1,
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], SetupError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(SetupError::Random)?;
    Ok(bytes)
}

/// This machine's name, or the one that is asked for.
fn node_name(asked: Option<&str>) -> Result<String, SetupError> {
    let name = asked.map_or_else(
        || sysinfo::System::host_name().unwrap_or_else(|_| "node".to_owned()),
        str::to_owned,
    );
    check_name("node", &name)?;
    Ok(name)
}

pub(crate) fn check_name(what: &str, name: &str) -> Result<(), SetupError> {
    let fits =
        !name.trim().is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
    match fits {
        true => Ok(()),
        false => Err(SetupError::Name(format!(
            "a {what}'s name has 1 to {MAX_NAME} bytes and no control characters"
        ))),
    }
}

/// Founds a studio on this machine.
///
/// # Errors
/// When the home is taken, its path is not text, or it can't be written.
pub fn init(home: &Home, studio: &str, name: Option<&str>) -> Result<Init, SetupError> {
    home.require_free()?;
    check_name("studio", studio)?;
    let name = node_name(name)?;
    let (root, keys) = (KeyPair::from_secret(&random()?), KeyPair::from_secret(&random()?));
    let recovery: [u8; 25] = random()?;
    let id = StudioId(root.public().0);
    let backup = seal(&root.secret(), &recovery).map_err(SetupError::Random)?;
    let leaf = certify(id, &root, keys.public(), Role::Admin, &name, unix_now());
    let node = keys.public();
    home.found(&Membership {
        keys,
        chain: Chain { leaf, admin: None },
        studio: Studio { id, name: studio.to_owned(), backup },
    })?;
    // The root's secret is dropped here: from now on only its sealed backup exists.
    Ok(Init { studio_id: id, node, recovery_key: write_recovery_key(&recovery) })
}

/// Joins a studio.
///
/// # Errors
/// When the code is none, the inviting node can't be reached, or it refuses.
pub async fn join(home: &Home, code: &str, name: Option<&str>) -> Result<Joined, SetupError> {
    home.require_free()?;
    let code = Code::read(code)?;
    let name = node_name(name)?;
    let keys = KeyPair::from_secret(&random()?);
    let welcome = ask(&code, &keys, &name).await?;
    if welcome.studio.id != code.studio {
        return Err(SetupError::Invalid("it is for another studio".into()));
    }
    let role = welcome
        .chain
        .verify(&code.studio, &keys.public(), unix_now(), &Ed25519)
        .map_err(|error| SetupError::Invalid(error.to_string()))?
        .role;
    let (node, studio_name) = (keys.public(), welcome.studio.name.clone());
    home.create()?;
    if let Some(issuer) = peer_of(&code.issuer) {
        let lines: String =
            code.addresses.iter().map(|address| format!("{address}/p2p/{issuer}\n")).collect();
        home.write_private(&home.peers(), lines.as_bytes())?;
    }
    home.found(&Membership { keys, chain: welcome.chain, studio: welcome.studio })?;
    Ok(Joined { studio_name, node, name, role })
}

/// Asks the inviting node at each of its addresses.
async fn ask(code: &Code, keys: &KeyPair, name: &str) -> Result<Welcome, SetupError> {
    let unreachable =
        |reason: String| SetupError::Unreachable { tried: code.addresses.join(", "), reason };
    let libp2p_keys = libp2p::identity::Keypair::ed25519_from_bytes(keys.secret())
        .map_err(|error| unreachable(error.to_string()))?;
    let mut reason = "the code names no address".to_owned();
    for address in &code.addresses {
        let Ok(address) = address.parse::<libp2p::Multiaddr>() else {
            continue;
        };
        let result = JoinResult::default();
        let gate = Gate::newcomer(
            &libp2p_keys,
            code.issuer,
            code.secret,
            name.to_owned(),
            Arc::clone(&result),
        )
        .map_err(|error| unreachable(error.to_string()))?;
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let mut transport = transport(gate);
        match transport.dial(address, options) {
            Err(error) => reason = error.to_string(),
            Ok(dialing) => match tokio::time::timeout(DIAL_TIMEOUT, dialing).await {
                Err(_) => reason = "no answer".into(),
                Ok(Ok(_)) => reason = "it is no inviting node".into(),
                Ok(Err(error)) => reason = error.to_string(),
            },
        }
        let answer = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer {
            return Ok(answer?);
        }
    }
    Err(unreachable(reason))
}

/// Makes the member of this home an admin, with the studio's recovery key.
///
/// # Errors
/// When there is no member, or the key is another one.
pub fn recover(home: &Home, recovery_key: &str) -> Result<(), SetupError> {
    let membership = home.membership()?;
    let root = unseal(&membership.studio.backup, &read_recovery_key(recovery_key)?)?;
    let root = KeyPair::from_secret(&root);
    let statement = &membership.chain.leaf.statement;
    let (subject, name) = (statement.subject, &statement.name);
    let leaf = certify(membership.studio.id, &root, subject, Role::Admin, name, unix_now());
    home.write_chain(&Chain { leaf, admin: None })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_founded_once_and_recovers_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(&folder.path().join("home"));
        assert!(matches!(home.membership(), Err(HomeError::Missing(_))));
        let init = init(&home, "Studio", Some("first")).unwrap();
        let membership = home.membership().unwrap();
        assert_eq!(membership.chain.leaf.statement.role, Role::Admin);
        assert_eq!(membership.studio.name, "Studio");
        let again = super::init(&home, "Other", None);
        assert!(matches!(again, Err(SetupError::Home(HomeError::Taken { .. }))));
        assert!(matches!(recover(&home, "00000-00000"), Err(SetupError::WrongKey(_))));
        recover(&home, &init.recovery_key).unwrap();
        let statement = home.membership().unwrap().chain.leaf.statement;
        assert_eq!((statement.role, statement.subject), (Role::Admin, init.node));
    }

    #[tokio::test]
    async fn a_garbled_code_and_a_lost_inviter_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let garbled = join(&home, "weft1abc", Some("n")).await.unwrap_err();
        assert_eq!(garbled.exit(), 2);
        let code = Code {
            studio: StudioId([1; 32]),
            issuer: KeyPair::from_secret(&[2; 32]).public(),
            secret: [3; 16],
            expires: unix_now(),
            // The discard port of loopback: nobody listens there.
            addresses: vec!["/ip4/127.0.0.1/tcp/9".into()],
        };
        let lost = join(&home, &code.write(), Some("n")).await.unwrap_err();
        assert_eq!(lost.exit(), 3, "{lost}");
        assert!(!home.exists());
    }
}
