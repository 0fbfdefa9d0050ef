//! What the parts of a node share: its machine and all that they act through.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p::Multiaddr;
use tokio::sync::{broadcast, mpsc, oneshot};
use weft_protocol::certificate::Chain;
use weft_protocol::fact::{Body, Fact};
use weft_protocol::ids::{JobId, NodeId};
use weft_protocol::job::spec::JobSpec;
use weft_protocol::job::task::TaskKey;
use weft_protocol::machine::{Command, Input, Machine};
use weft_protocol::replicate::Goods;
use weft_protocol::settings::{Hours, OnReturn};
use weft_protocol::sign::KeyPair;
use weft_protocol::time::{Time, Unix};
use weft_protocol::wire::control::Advert;
use weft_store::{CatalogDamage, Store};

use crate::addresses::split_peer;
use crate::clock::Clock;
use crate::config::Config;
use crate::engines::Found;
use crate::home::{Home, HomeError};
use crate::network::Network;
use crate::render::{Renderer, Source};
use crate::sandbox::Sandbox;
use crate::studio::Studio;
use crate::transfer::{Fetcher, Traffic};

/// How many changes of jobs wait for whoever watches slowly.
const CHANGES: usize = 4096;

/// On whose disks something is, or why it is on none.
pub(crate) type Durable = Result<Vec<NodeId>, String>;
/// A node, where it is known who it is, and its addresses.
pub(crate) type Contact = (Option<NodeId>, Vec<String>);

/// What the parts of a node share.
pub(crate) struct Shared {
    pub(crate) me: NodeId,
    pub(crate) name: String,
    pub(crate) home: Home,
    pub(crate) studio: Studio,
    pub(crate) keys: KeyPair,
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) network: Network,
    pub(crate) fetcher: Fetcher,
    pub(crate) renderer: Renderer,
    pub(crate) engines: BTreeMap<String, Result<Found, String>>,
    pub(crate) sandbox: Sandbox,
    pub(crate) traffic: Traffic,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) started: Unix,
    pub(crate) state: State,
}

/// What changes of a node while it runs.
pub(crate) struct State {
    /// What this node tells of itself where nothing else is set, and how many cores its machine has.
    configured: Mutex<(Advert, u32)>,
    chain: Mutex<Chain>,
    clock: Clock,
    machine: Mutex<Machine>,
    requests: Mutex<BTreeMap<u64, oneshot::Sender<Durable>>>,
    last_request: AtomicU64,
    revision: AtomicU32,
    listening: Mutex<Vec<Multiaddr>>,
    known_peers: Vec<String>,
    changes: broadcast::Sender<JobId>,
    /// What was found damaged of the catalog when it was opened, and was not told yet.
    opened: Mutex<Vec<CatalogDamage>>,
}

impl State {
    /// A node that starts with this machine, by this clock. `configured` is what it tells of itself where nothing
    /// else is set, and how many cores its machine has; `known_peers` are addresses to try; `opened` is what of its
    /// catalog was found damaged when it was opened.
    pub(crate) fn new(
        machine: Machine,
        clock: Clock,
        chain: Chain,
        configured: (Advert, u32),
        known_peers: Vec<String>,
        opened: Vec<CatalogDamage>,
    ) -> Self {
        Self {
            opened: Mutex::new(opened),
            configured: Mutex::new(configured),
            chain: Mutex::new(chain),
            clock,
            machine: Mutex::new(machine),
            requests: Mutex::default(),
            last_request: AtomicU64::new(1),
            revision: AtomicU32::new(0),
            listening: Mutex::default(),
            known_peers,
            changes: broadcast::channel(CHANGES).0,
        }
    }
}

impl Shared {
    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.state.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn handle(&self, inputs: impl IntoIterator<Item = Input>) -> Vec<Command> {
        let now = self.state.clock.now();
        self.machine().handle_all(now, inputs)
    }

    /// What was found damaged of the catalog when it was opened, and was not told yet.
    pub(crate) fn damage_at_opening(&self) -> Vec<CatalogDamage> {
        self.state.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Somebody was told of that. It is mended as far as it can be: only while others may still bring facts back that
    /// were lost with it is it told again.
    pub(crate) fn told_damage_at_opening(&self) {
        let incomplete = self.machine().is_incomplete();
        let facts_may_come = incomplete && !self.is_alone();
        let mut opened = self.state.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|record| facts_may_come && record.hides_facts());
    }

    /// The time on this node's own clock.
    pub(crate) fn now(&self) -> Time {
        self.state.clock.now()
    }

    pub(crate) fn chain(&self) -> Chain {
        self.state.chain.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a renewed certificate: written down, shown to peers, and told as a fact.
    pub(crate) fn renew(&self, chain: Chain) -> Result<(), HomeError> {
        self.home.write_chain(&chain)?;
        self.network.gate().renew(chain.clone());
        *self.state.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(())
    }

    pub(crate) fn introduce(&self) -> Vec<Command> {
        let chain = self.chain();
        self.machine().introduce(&chain)
    }

    pub(crate) fn spec(&self, job: &JobId) -> Option<JobSpec> {
        self.machine().ledger.jobs.get(job)?.spec().cloned()
    }

    /// What a task works on that others of its job made; none while not all of that is known here.
    pub(crate) fn sources(&self, job: &JobId, task: &TaskKey) -> Option<Vec<Source>> {
        Source::of(&self.machine(), job, task)
    }

    pub(crate) fn connected(&self) -> Vec<NodeId> {
        self.machine().connected().iter().copied().collect()
    }

    /// Whether nobody else is known to be of this studio.
    pub(crate) fn is_alone(&self) -> bool {
        let machine = self.machine();
        // Its disk may have lost what tells of others: then it still knows where they were reached.
        let only = machine.ledger.members.iter().all(|member| member.subject == self.me);
        only && self.state.known_peers.is_empty()
    }

    pub(crate) fn is_revoked(&self, node: &NodeId) -> bool {
        self.machine().ledger.members.is_revoked(node)
    }

    pub(crate) fn changed(&self, job: JobId) {
        // Nobody may be listening.
        let _ = self.state.changes.send(job);
    }

    pub(crate) fn leader_changed(&self) {
        let claim = self.machine().election.claim().map(|claim| (claim.term, claim.leader));
        match claim {
            Some((term, leader)) if leader == self.me => tracing::info!(term, "this node leads"),
            Some((term, leader)) => tracing::info!(term, leader = %leader.short(), "following"),
            None => tracing::info!("no leader"),
        }
    }

    /// Jobs as they change.
    pub(crate) fn changes(&self) -> broadcast::Receiver<JobId> {
        self.state.changes.subscribe()
    }

    /// Makes facts known and durable, here and on a second node where one can be reached. Says on
    /// whose disks they and the goods are.
    pub(crate) async fn author(
        &self,
        bodies: Vec<Body>,
        signed: Vec<Fact>,
        goods: Goods,
    ) -> Durable {
        let request = self.state.last_request.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).insert(request, answer);
        let stopping = || "the daemon is shutting down; nothing is promised".to_owned();
        let input = Input::Author { request, bodies, signed, goods };
        self.inputs.send(input).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }

    pub(crate) fn answer(&self, request: u64, answer: Durable) {
        let waiting =
            self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).remove(&request);
        if let Some(waiting) = waiting {
            // Whoever asked may have gone away.
            let _ = waiting.send(answer);
        }
    }

    /// Fetches and pins goods for a job.
    pub(crate) async fn keep(
        &self,
        from: &[NodeId],
        goods: &Goods,
        job: &JobId,
    ) -> Result<(), String> {
        let mut providers = from.to_vec();
        providers.extend(self.connected().into_iter().filter(|node| !from.contains(node)));
        let intake = self.store.intake();
        for tree in &goods.trees {
            let fetched = self.fetcher.tree(*tree, None, &providers).await;
            fetched.map_err(|error| error.to_string())?;
        }
        let fetched = self.fetcher.blobs(&goods.blobs, &providers).await;
        fetched.map_err(|error| error.to_string())?;
        crate::pins::pin_for(&self.store, job, goods.clone(), intake).await
    }

    /// Who is to be dialled now, each with its addresses.
    pub(crate) fn contacts(&self) -> Vec<Contact> {
        let mut machine = self.machine();
        let sought = machine.to_dial().into_iter();
        let mut contacts: Vec<Contact> = sought.map(|(node, at)| (Some(node), at)).collect();
        let connected = machine.connected();
        let (alone, large) = (connected.is_empty(), machine.is_large());
        let known = self.state.known_peers.iter().filter_map(|address| split_peer(address));
        let wanted = known.filter(|(node, _)| match node {
            Some(node) => alone || !large && !connected.contains(node),
            None => alone,
        });
        contacts.extend(wanted.map(|(node, address)| (node, vec![address])));
        contacts
    }

    /// Where a node is, in a studio so large that this one need not be connected to it.
    pub(crate) fn place(&self, node: &NodeId) -> Vec<Multiaddr> {
        let machine = self.machine();
        let known = machine.contacts.get(node).filter(|_| machine.is_large());
        known.map(|addresses| readable(addresses)).unwrap_or_default()
    }

    /// Dials a node.
    pub(crate) fn dial(&self, node: Option<NodeId>, addresses: &[String]) {
        let addresses = readable(addresses);
        if !addresses.is_empty() {
            self.network.dial(node, addresses);
        }
    }

    /// This node's advert, with an address that it listens on now.
    pub(crate) fn listening(&self, address: Multiaddr) -> Advert {
        let mut listening = self.state.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if !listening.contains(&address) {
            listening.push(address);
        }
        // Others can't use this machine's loopback, except those on this machine: last.
        listening.sort_by_key(|address| address.to_string().starts_with("/ip4/127."));
        let addresses = listening.iter().map(ToString::to_string).collect();
        drop(listening);
        let machine = self.machine();
        let advert = Advert { addresses, ..machine.adverts[&self.me].clone() };
        self.revised(advert)
    }

    fn revised(&self, mut advert: Advert) -> Advert {
        advert.revision.1 = self.state.revision.fetch_add(1, Ordering::Relaxed) + 1;
        advert
    }

    /// This node's advert with what was set for it, if that changes anything.
    pub(crate) fn advert_anew(&self) -> Option<Advert> {
        let machine = self.machine();
        let now = &machine.adverts[&self.me];
        let configured = self.configured();
        let set = machine.ledger.settings.advertise(&configured.0, configured.1);
        drop(configured);
        let anew = Advert { revision: now.revision, addresses: now.addresses.clone(), ..set };
        (anew != *now).then(|| self.revised(anew))
    }

    fn configured(&self) -> MutexGuard<'_, (Advert, u32)> {
        self.state.configured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This node's advert with what was found out that it can do, if that is new.
    pub(crate) fn found(&self, tag: String) -> Option<Advert> {
        self.configured().0.tags.insert(tag);
        self.advert_anew()
    }

    /// When this node takes new work: as was set for it, or as its configuration says.
    pub(crate) fn hours(&self) -> Option<Hours> {
        self.machine().ledger.settings.hours(&self.me).or(self.config.node.hours)
    }

    /// What this node does while somebody uses it: as was set for it, or as its configuration says.
    pub(crate) fn on_return(&self) -> OnReturn {
        let set = self.machine().ledger.settings.on_return(&self.me);
        set.unwrap_or(self.config.node.on_return)
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        let listening = self.state.listening.lock().unwrap_or_else(PoisonError::into_inner);
        listening.iter().map(ToString::to_string).collect()
    }
}

/// Those of a node's addresses that are some.
fn readable(addresses: &[String]) -> Vec<Multiaddr> {
    addresses.iter().filter_map(|address| address.parse().ok()).collect()
}
