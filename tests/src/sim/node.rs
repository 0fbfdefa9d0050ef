//! One machine of the studio: its disk, its daemon while that runs, and what the daemon is at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weft_protocol::certificate::{Chain, Role};
use weft_protocol::fact::Fact;
use weft_protocol::hardware::{Gpu, Hardware};
use weft_protocol::ids::NodeId;
use weft_protocol::job::spec::COMPARE;
use weft_protocol::machine::{Input, Machine};
use weft_protocol::sign::Signer as _;
use weft_protocol::time::{Time, Unix};
use weft_protocol::wire::control::{Advert, AttemptKey, Lease};

use super::clock::{Clock, MILLI, Moment};
use super::disk::Disk;
use super::event::Event;
use super::keys::Keys;

/// The engine that every machine that renders has.
pub const ENGINE: &str = "demo";

/// What every machine has.
#[must_use]
pub fn hardware() -> Hardware {
    let card = Gpu { model: "RTX".into(), memory: 1 << 34 };
    Hardware { cpu_cores: 4, ram: 1 << 34, gpus: vec![card; 2], ..Hardware::default() }
}

/// An engine that runs.
#[derive(Clone, Debug)]
pub struct Run {
    pub(super) number: u64,
    /// Names its process, which may render several frames.
    pub process: AttemptKey,
    /// What it was leased.
    pub lease: Lease,
    /// The frames that the process renders after this one.
    pub(super) more: Vec<AttemptKey>,
    /// Whether it ends after this one.
    pub(super) stop: bool,
    pub(super) started: Moment,
}

impl Run {
    /// When it began.
    #[must_use]
    pub const fn started(&self) -> Moment {
        self.started
    }

    /// What its process comes to after this frame; nothing where it was told to stop.
    #[must_use]
    pub fn behind(&self) -> &[AttemptKey] {
        if self.stop { &[] } else { &self.more }
    }
}

/// One machine.
pub struct Node {
    /// Its daemon's id.
    pub id: NodeId,
    /// Its certificate.
    pub chain: Chain,
    /// Its disk.
    pub disk: Disk,
    /// The daemon, while it runs.
    pub machine: Option<Machine>,
    /// Whether it never comes back.
    pub gone: bool,
    /// Whether it was revoked by somebody.
    pub revoked: bool,
    /// Whether it is of a later release, which writes facts of kinds that others don't know.
    pub newer: bool,
    /// Whether it lies in storms.
    pub liar: bool,
    /// Whether it stands still; what comes waits.
    pub paused: bool,
    /// What its engines are at.
    pub runs: BTreeMap<AttemptKey, Run>,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    /// When its machine is told next what the wall clock shows.
    pub(super) next_clock: Moment,
    /// Counts the daemon's lives: what an earlier one began is nothing to this one.
    pub(super) life: u64,
    /// How many times as long its engines take as the fastest machine's, in tenths.
    pub(super) slowness: u64,
    /// How late its ticks come at most.
    pub(super) lag: Moment,
    /// Whether its engine fails whatever it is given.
    pub(super) broken: bool,
    /// What it was asked to keep by whom, and says to be at without being: it lies.
    pub(super) dallied: Vec<(NodeId, u64)>,
    /// Whether it has told of hardware that it hasn't.
    pub(super) boasted: bool,
    pub(super) inbox: VecDeque<Event>,
    pub(super) links: BTreeMap<usize, BTreeSet<u64>>,
    /// Machines that its configuration or its last life names.
    pub(super) known: BTreeSet<usize>,
    pub(super) price: u32,
    /// In which term each attempt was really assigned, where a planted bug hides it.
    pub(super) real_terms: BTreeMap<AttemptKey, u64>,
    /// What each attempt was really leased, where a planted bug forgets it.
    pub(super) real_leases: BTreeMap<AttemptKey, Lease>,
    /// Facts in the order in which they came, where a planted bug goes by that.
    pub(super) arrived: Vec<Fact>,
}

impl Node {
    pub(super) fn new(keys: Keys, chain: Chain, clock: Clock, slowness: u64, price: u32) -> Self {
        Self {
            id: keys.author(),
            chain,
            disk: Disk::default(),
            machine: None,
            gone: false,
            revoked: false,
            newer: false,
            liar: false,
            paused: false,
            runs: BTreeMap::new(),
            keys,
            clock,
            next_clock: 0,
            life: 0,
            slowness,
            lag: MILLI,
            broken: false,
            dallied: Vec::new(),
            boasted: false,
            inbox: VecDeque::new(),
            links: BTreeMap::new(),
            known: BTreeSet::new(),
            price,
            real_terms: BTreeMap::new(),
            real_leases: BTreeMap::new(),
            arrived: Vec::new(),
        }
    }

    /// What the process of a run is at.
    pub(super) fn engine_of(&self, process: &AttemptKey) -> Option<AttemptKey> {
        self.runs.iter().find(|(_, run)| run.process == *process).map(|(at, _)| *at)
    }

    /// Whether the daemon runs and goes on.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.machine.is_some() && !self.paused
    }

    /// Whether it counts on being treated as a member.
    #[must_use]
    pub const fn is_member(&self) -> bool {
        !self.gone && !self.revoked
    }

    /// What its monotonic clock shows.
    #[must_use]
    pub const fn now(&self, now: Moment) -> Time {
        self.clock.now(now)
    }

    /// What its wall clock shows.
    #[must_use]
    pub const fn wall(&self, now: Moment) -> Unix {
        self.clock.wall(now)
    }

    /// What its certificate lets it do.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.chain.leaf.statement.role
    }

    pub(super) fn advert(&self, number: usize, now: Moment) -> Advert {
        let engines = [ENGINE, COMPARE].map(|engine| (engine.to_owned(), "1".to_owned()));
        Advert {
            node: self.id,
            name: format!("node{number}"),
            role: self.role(),
            revision: (self.clock.wall(now).0, 0),
            release: if self.newer { "0.2.0" } else { "0.1.0" }.to_owned(),
            hardware: hardware(),
            engines: engines.into(),
            tags: BTreeSet::new(),
            price: self.price,
            addresses: vec![format!("/memory/{number}")],
        }
    }

    /// The daemon is gone, with all that was in its memory.
    pub(super) fn stop(&mut self) {
        self.machine = None;
        self.paused = false;
        self.life += 1;
        self.runs.clear();
        self.dallied.clear();
        self.boasted = false;
        self.inbox.clear();
        self.links.clear();
        self.real_terms.clear();
        self.real_leases.clear();
        self.arrived.clear();
    }

    /// Whether it may talk to a peer: not to one that it knows to be revoked.
    pub(super) fn admits(&self, peer: &NodeId) -> bool {
        let known = self.machine.as_ref().map(|machine| &machine.ledger.members);
        known.is_some_and(|members| !members.is_revoked(peer))
    }

    /// The smallest connection to a peer, if there is any.
    pub(super) fn link_to(&self, peer: usize) -> Option<u64> {
        self.links.get(&peer).and_then(|links| links.first().copied())
    }
}

/// What happens within one machine, apart from the network: only for the life that began it.
#[derive(Clone, Debug)]
pub(super) enum Chore {
    /// Time for a tick.
    Tick,
    /// Time to dial who is known and not connected.
    Dial,
    /// The disk has finished a commit.
    Synced,
    /// Something tells the machine.
    Tell(Box<Input>),
    /// Inputs are sought for the n-th time.
    Bring(AttemptKey, Vec<NodeId>, u32),
    /// An engine ends.
    EngineEnds(AttemptKey, u64),
    /// Blobs for a peer have come, or not.
    Fetched(Box<super::fetch::Fetch>),
    /// Facts are read and sent.
    SendFacts(usize, Vec<weft_protocol::ids::FactId>),
    /// Facts that mean nothing any more are deleted.
    Forget(Vec<weft_protocol::ids::FactId>),
}
