//! One node: how it starts and stops.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use weft_protocol::certificate::Role;
use weft_protocol::fact::Fact;
use weft_protocol::hardware::{SANDBOX, is_found};
use weft_protocol::ids::NodeId;
use weft_protocol::machine::Machine;
use weft_protocol::sign::Ed25519;
use weft_protocol::wire::control::Advert;
use weft_store::{OpenError, Store};

use crate::addresses::{choose_address, multiaddress, remember_peers, remembered_peers};
use crate::clock::{Clock, unix_now};
use crate::config::{Config, ConfigError};
use crate::driver::{Driver, TERM};
use crate::engines::{self, Found};
use crate::home::{Home, HomeError, Membership};
use crate::network::gate::Gate;
use crate::network::swarm::NetworkError;
use crate::network::{Network, Setup};
use crate::render::{Allowed, Renderer};
use crate::sandbox::Sandbox;
use crate::shared::{Shared, State};
use crate::transfer::{Fetcher, Traffic};
use crate::{
    abilities, acquaintances, admission, api, delivery, notes, presence, renewal, suspects,
    transfer, upkeep,
};

/// How a node is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its name; that of the configuration or the certificate otherwise.
    pub name: Option<String>,
    /// Where to listen, as `IP:PORT`.
    pub listen: Option<String>,
    /// Where to serve the HTTP API, as `IP:PORT` on loopback.
    pub api: Option<String>,
    /// The weft binary, which runs as the guard of engines.
    pub weft: PathBuf,
}

/// A node that has started.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its studio's name.
    pub studio: String,
    /// Where it serves the HTTP API on loopback.
    pub api: Option<SocketAddr>,
}

/// A node could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Its home can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A second daemon on one home.
    #[error(
        "a node is running on {0} already; nothing was changed. To run another one on this \
         machine, give it a folder of its own with WEFT_HOME."
    )]
    Running(PathBuf),
    /// The store was written by a newer weft.
    #[error(
        "the store in {path} has format {found}, and this weft knows formats up to {supported}; \
         nothing was changed. Run the newer weft that wrote it."
    )]
    NewerStore {
        /// The store's folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this release knows.
        supported: u32,
    },
    /// The store can't be opened.
    #[error("the store can't be opened: {0}")]
    Store(String),
    /// `weft.toml` has a mistake.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network can't be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The HTTP API can't be served.
    #[error(transparent)]
    Api(#[from] api::ServeError),
}

impl RunError {
    /// The exit status that fits.
    #[must_use]
    pub const fn exit(&self) -> u8 {
        match self {
            Self::Home(HomeError::Missing(_)) => 4,
            Self::Config(_) | Self::Network(NetworkError::Listen { .. }) | Self::Api(_) => 2,
            _ => 1,
        }
    }
}

/// Runs a node until `shutdown`; `ready` is called once it serves.
///
/// # Errors
/// When it can't start; then nothing was changed.
pub async fn run(
    home: Home,
    options: Options,
    ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    crate::memory::share();
    let membership = home.membership()?;
    let config = Config::load(&home.config())?;
    let store = open_store(&home)?;
    let listen = choose_address(&home, options.listen.as_ref().or(config.node.listen.as_ref()))?;
    tracing::info!(home = %home.path().display(), "the store is open; looking for engines");
    let sandbox = Sandbox::find(config.node.sandbox, home.path(), &options.weft).await;
    match sandbox.is_whole() {
        true => tracing::info!(sandbox = sandbox.words(), "renders are confined"),
        false => tracing::warn!(sandbox = sandbox.words(), "renders are not confined in a sandbox"),
    }
    let refusal = sandbox.refusal();
    let commands = config.runs_commands;
    let engines =
        engines::probe(&config.engines, &options.weft, commands, refusal.as_deref()).await;
    let found: Vec<&str> =
        engines.iter().filter(|(_, found)| found.is_ok()).map(|(name, _)| name.as_str()).collect();
    tracing::info!(engines = found.join(" "), "engines were looked for");
    let advert = advert(&membership, &config, &options, &engines, &sandbox);
    let (name, me, cards) = (advert.name.clone(), advert.node, advert.hardware.gpus.len());
    let gate = open_gate(&membership, &store)?;
    let keys = libp2p_keys(&membership)?;
    let setup =
        Setup { keys, gate, studio: membership.studio.id, listen: vec![listen], full: true };
    let (network, news) = Network::start(me, setup)?;
    let (inputs, queue) = mpsc::channel(4096);
    let (made, results) = mpsc::channel(notes::MAX_WAITING);
    let traffic = Traffic::default();
    let suspected = suspects::of(&store);
    let fetcher = Fetcher::new(network.clone(), Arc::clone(&store), traffic.clone());
    let usable = engines.iter().filter_map(|(name, found)| {
        Some((name.clone(), (config.engines.get(name)?.clone(), found.clone().ok()?)))
    });
    let renderer = Renderer::new(
        home.clone(),
        options.weft.clone(),
        Arc::clone(&store),
        fetcher.clone(),
        usable.collect(),
        (sandbox.clone(), config.shared_roots.clone()),
        Allowed { ram: crate::hardware::ram(), work: config.work, cards },
        (inputs.clone(), made),
    );
    let clock = Clock::start();
    let configured = (advert.clone(), crate::hardware::cores());
    let mut machine = load_machine(&membership, advert, &store, clock)?;
    let set = machine.ledger.settings.advertise(&configured.0, configured.1);
    machine.adverts.insert(me, set);
    acquaintances::recall(&mut machine, &store);
    for (node, _) in machine.ledger.members.revoked() {
        network.gate().revoke(*node);
    }
    let mut known_peers = config.node.peers.clone();
    known_peers.extend(remembered_peers(&home));
    let known_peers = known_peers
        .iter()
        .filter_map(|peer| multiaddress(peer).map(|address| address.to_string()))
        .collect();
    let opened = store.mended().map_or_else(Vec::new, |mended| mended.damage.clone());
    let state =
        State::new(machine, clock, membership.chain.clone(), configured, known_peers, opened);
    let shared = Arc::new(Shared {
        me,
        name: name.clone(),
        home: home.clone(),
        studio: membership.studio.clone(),
        keys: membership.keys.clone(),
        store: Arc::clone(&store),
        network: network.clone(),
        fetcher,
        renderer: renderer.clone(),
        engines,
        sandbox,
        traffic: traffic.clone(),
        inputs,
        started: unix_now(),
        state,
        config,
    });
    let places = Arc::downgrade(&shared);
    network.ask_places_of(Box::new(move |node| {
        places.upgrade().map(|node_here| node_here.place(node)).unwrap_or_default()
    }));
    let api_wanted = options.api.as_ref().or(shared.config.node.api.as_ref()).cloned();
    let api = api::serve(&shared, api_wanted.as_deref()).await?;
    let tasks = [
        tokio::spawn(Driver::new(Arc::clone(&shared)).run(queue, news)),
        tokio::spawn(transfer::serve(network, store, traffic)),
        tokio::spawn(suspected.run(Arc::clone(&shared))),
        tokio::spawn(delivery::run(Arc::clone(&shared))),
        tokio::spawn(notes::run(Arc::clone(&shared), results)),
        tokio::spawn(renewal::run(Arc::clone(&shared))),
        tokio::spawn(remember_peers(Arc::clone(&shared))),
        tokio::spawn(upkeep::run(Arc::clone(&shared))),
        tokio::spawn(acquaintances::keep(Arc::clone(&shared))),
        tokio::spawn(presence::run(Arc::clone(&shared))),
        tokio::spawn(abilities::run(Arc::clone(&shared))),
    ];
    ready(&Ready { node: me, name, studio: membership.studio.name.clone(), api });
    shutdown.await;
    renderer.shut_down().await;
    for task in tasks {
        task.abort();
    }
    api::clean_up(&home);
    Ok(())
}

fn open_store(home: &Home) -> Result<Arc<Store>, RunError> {
    match Store::open(&home.store()) {
        Ok(store) => Ok(Arc::new(store)),
        Err(OpenError::InUse { .. }) => Err(RunError::Running(home.path().to_owned())),
        Err(OpenError::Newer { found, supported }) => {
            Err(RunError::NewerStore { path: home.store(), found, supported })
        }
        Err(error) => Err(RunError::Store(error.to_string())),
    }
}

fn libp2p_keys(membership: &Membership) -> Result<libp2p::identity::Keypair, NetworkError> {
    libp2p::identity::Keypair::ed25519_from_bytes(membership.keys.secret())
        .map_err(|error| NetworkError::Setup(error.to_string()))
}

fn open_gate(membership: &Membership, store: &Arc<Store>) -> Result<Gate, NetworkError> {
    let admin = membership.chain.leaf.statement.role == Role::Admin;
    let desk = admin.then(|| {
        let desk = admission::Desk::new(membership.clone(), Arc::clone(store));
        Arc::new(desk) as Arc<dyn crate::network::gate::Invites>
    });
    let keys = libp2p_keys(membership)?;
    Gate::member(&keys, membership.chain.clone(), desk)
        .map_err(|error| NetworkError::Setup(error.to_string()))
}

fn advert(
    membership: &Membership,
    config: &Config,
    options: &Options,
    engines: &BTreeMap<String, Result<Found, String>>,
    sandbox: &Sandbox,
) -> Advert {
    let statement = &membership.chain.leaf.statement;
    let name = options.name.clone().or_else(|| config.node.name.clone());
    let usable = engines
        .iter()
        .filter_map(|(name, found)| Some((name.clone(), found.as_ref().ok()?.version.clone())));
    let mut hardware = crate::hardware::detect();
    if let Some(cores) = config.node.cores {
        hardware.cpu_cores = cores.get().min(hardware.cpu_cores.max(1));
    }
    if let Some(ram) = config.node.ram.and_then(crate::submit::bytes_of) {
        hardware.ram = ram.min(hardware.ram);
    }
    let mut tags = config.node.tags.clone();
    tags.retain(|tag| !is_found(tag));
    tags.extend(config.shared_roots.tags());
    tags.extend(sandbox.is_whole().then(|| SANDBOX.to_owned()));
    Advert {
        node: statement.subject,
        name: name.unwrap_or_else(|| statement.name.clone()),
        role: statement.role,
        revision: (unix_now().0, 0),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        hardware,
        engines: usable.collect(),
        tags,
        price: config.node.price,
        addresses: Vec::new(),
    }
}

/// The machine, with the facts and the term of this node's disk.
fn load_machine(
    membership: &Membership,
    advert: Advert,
    store: &Store,
    clock: Clock,
) -> Result<Machine, RunError> {
    let failed = |error: &dyn std::fmt::Display| RunError::Store(error.to_string());
    let term = store.get_meta(TERM).map_err(|error| failed(&error))?;
    let term = term.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| failed(&error))?;
    let mut machine = Machine::new(
        clock.now(),
        membership.studio.id,
        Box::new(membership.keys.clone()),
        Box::new(Ed25519),
        advert,
        term,
        u64::from_le_bytes(seed),
    );
    let mut facts = Vec::new();
    for fact in store.all_facts() {
        match fact {
            Ok((_, bytes)) => facts.extend(Fact::from_bytes(bytes)),
            // One damaged record: others hold it too, and comparing facts brings it back.
            Err(error) => tracing::warn!(%error, "a record on this disk is damaged"),
        }
    }
    machine.load(facts.into_iter());
    // Facts may be lost where pins may be, and a daemon before this one may not have got them back.
    if store.pins_are_in_doubt().map_err(|error| failed(&error))? {
        machine.doubt_disk();
    }
    Ok(machine)
}
