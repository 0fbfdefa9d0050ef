//! What is wrong on a machine: facts are gathered here, and judged in `judge`.

mod judge;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use weft_protocol::certificate::Role;
use weft_protocol::retention::Watermarks;
use weft_protocol::time::Unix;

use crate::config::Config;
use crate::engines::Found;
use crate::home::{Home, HomeError, Membership};
use crate::sandbox::Sandbox;

pub use judge::{Finding, Level, judge};

/// Where mDNS is spoken (RFC 6762).
const MDNS: &str = "224.0.0.251:5353";
/// A question for libp2p's nodes, as they ask it themselves: one of type PTR for `_p2p._udp.local`.
const QUESTION: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01";

/// Everything that is known of a machine, as far as it could be found out.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The time by this machine's clock.
    pub now: Unix,
    /// Its home.
    pub home: String,
    /// Whether it belongs to a studio.
    pub member: Member,
    /// What is wrong with its configuration.
    pub config: Option<String>,
    /// Its daemon.
    pub daemon: Daemon,
    /// Whether another process has its store, or why that can't be told.
    pub store: Result<bool, String>,
    /// What its disk has, and how much of it is left, in bytes.
    pub disk: Option<(u64, u64)>,
    /// How full that may be.
    pub marks: Watermarks,
    /// Addresses that its configuration asks for, and why they can't be had: where no daemon has them.
    pub ports: BTreeMap<String, Option<String>>,
    /// Whether mDNS can be spoken.
    pub mdns: Result<(), String>,
    /// Whether its configuration names other nodes.
    pub names_peers: bool,
    /// Engines: whether its own configuration defines each, and its version or why it can't be used.
    pub engines: BTreeMap<String, (bool, Result<String, String>)>,
    /// What renders run in.
    pub sandbox: Sandbox,
}

/// What a daemon found out when it started: its engines, and what renders run in.
pub type Known<'a> = (&'a BTreeMap<String, Result<Found, String>>, &'a Sandbox);

/// Whether a home belongs to a studio.
#[derive(Clone, Debug)]
pub enum Member {
    /// To none yet.
    None,
    /// What says so can't be read.
    Damaged(String),
    /// To one.
    Of {
        /// The studio's name.
        studio: String,
        /// What the node may do.
        role: Role,
        /// When its certificate was signed, by the signer's clock.
        issued: Unix,
        /// When it ends.
        expires: Unix,
    },
}

/// Whether a home's daemon is up.
#[derive(Clone, Debug)]
pub enum Daemon {
    /// It is not.
    Down,
    /// It is there and does not answer, and how.
    Silent(String),
    /// It is, and knows this.
    Up(Up),
}

/// What a daemon knows.
#[derive(Clone, Debug, Default)]
pub struct Up {
    /// The leader's name.
    pub leader: Option<String>,
    /// How many peers are connected.
    pub peers: usize,
    /// How many other members the studio has.
    pub others: usize,
    /// By how much peers' clocks are ahead of this one's, in milliseconds, by name.
    pub clocks: BTreeMap<String, i64>,
    /// Who refuses this node, and why.
    pub refused_by: BTreeMap<String, String>,
    /// Where it listens.
    pub listening: Vec<String>,
    /// Why it takes no work.
    pub closed: Option<String>,
}

impl Facts {
    /// What can be found out without the daemon. Looking for engines starts their programs; where they are
    /// known already they are given.
    pub async fn gather(
        home: &Home,
        weft: &Path,
        daemon: Daemon,
        known: Option<Known<'_>>,
    ) -> Self {
        let (config, wrong) = match Config::load(&home.config()) {
            Ok(config) => (Some(config), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let (probed, sandbox) = match (known, &config) {
            (Some((engines, sandbox)), _) => (engines.clone(), sandbox.clone()),
            (None, Some(config)) => {
                let sandbox = Sandbox::find(config.node.sandbox, home.path(), weft).await;
                let refusal = sandbox.refusal();
                let (commands, refusal) = (config.runs_commands, refusal.as_deref());
                (crate::engines::probe(&config.engines, weft, commands, refusal).await, sandbox)
            }
            (None, None) => (BTreeMap::new(), Sandbox::default()),
        };
        let own = |name: &String| config.as_ref().is_some_and(|config| config.own.contains(name));
        let engines = probed.into_iter().map(|(name, found)| {
            let own = own(&name);
            (name, (own, found.map(|found| found.version)))
        });
        let node = config.as_ref().map(|config| config.node.clone()).unwrap_or_default();
        let down = matches!(daemon, Daemon::Down);
        let asked = node.listen.iter().chain(&node.api).filter(|_| down);
        Self {
            now: crate::clock::unix_now(),
            home: home.path().display().to_string(),
            member: member(home.membership()),
            config: wrong,
            store: weft_store::in_use(&home.store()).map_err(|error| error.to_string()),
            disk: crate::upkeep::space_at(&there(&home.store())),
            marks: config.as_ref().map_or_else(Watermarks::default, |config| config.disk),
            ports: asked.map(|address| (address.clone(), taken(address))).collect(),
            mdns: speak_mdns().map_err(|error| error.to_string()),
            names_peers: !node.peers.is_empty(),
            engines: engines.collect(),
            sandbox,
            daemon,
        }
    }
}

fn member(membership: Result<Membership, HomeError>) -> Member {
    match membership {
        Ok(membership) => {
            let statement = &membership.chain.leaf.statement;
            Member::Of {
                studio: membership.studio.name.clone(),
                role: statement.role,
                issued: statement.issued,
                expires: statement.expires,
            }
        }
        Err(HomeError::Missing(_)) => Member::None,
        Err(error) => Member::Damaged(error.to_string()),
    }
}

/// The lowest folder of a path that exists.
fn there(path: &Path) -> std::path::PathBuf {
    let found = path.ancestors().find(|folder| folder.is_dir());
    found.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Why an address can't be listened on.
fn taken(address: &str) -> Option<String> {
    let Ok(address) = address.parse::<SocketAddr>() else {
        return Some("it is not of the form IP:PORT".to_owned());
    };
    TcpListener::bind(address).err().map(|error| error.to_string())
}

/// Asks for nodes by mDNS; the answers are the daemon's to hear.
fn speak_mdns() -> std::io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_nonblocking(true)?;
    socket.send_to(QUESTION, MDNS).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn a_home_without_anything_is_looked_at_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(&folder.path().join("home"));
        let weft = Path::new("/nowhere/weft");
        let facts =
            Facts::gather(&home, weft, Daemon::Down, Some((&BTreeMap::new(), &Sandbox::default())))
                .await;
        assert!(matches!(facts.member, Member::None));
        assert_eq!(facts.store, Ok(false));
        assert!(facts.disk.is_some_and(|(total, free)| total >= free && total > 0));
        assert!(!home.path().exists());
    }

    #[tokio::test]
    async fn what_is_configured_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap().to_string();
        let text = format!("[node]\nlisten = \"{address}\"\napi = \"nonsense\"\n");
        std::fs::write(home.config(), text).unwrap();
        let weft = Path::new("/nowhere/weft");
        let facts =
            Facts::gather(&home, weft, Daemon::Down, Some((&BTreeMap::new(), &Sandbox::default())))
                .await;
        assert!(facts.ports[&address].is_some() && facts.ports["nonsense"].is_some());
        drop(held);
        // A program that another test starts just then holds a copy of it for a moment.
        let begun = Instant::now();
        while let Some(why) = taken(&address) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{why}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::fs::write(home.config(), "[node]\ncolour = 3\n").unwrap();
        let facts = Facts::gather(&home, weft, Daemon::Down, None).await;
        assert!(facts.config.is_some_and(|wrong| wrong.contains("colour")));
    }
}
