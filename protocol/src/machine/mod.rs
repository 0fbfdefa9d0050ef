//! One node's decisions, put together: what comes in from network, disk, processes and people, and
//! what is to be done about it. The daemon and the simulator drive this very type.

mod command;
mod deferred;
mod events;
mod facts;
mod input;
mod keep;
mod lonely;
mod mesh;
mod messages;
mod peers;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::allowance::Allowance;
use crate::catch_up::CatchUp;
use crate::clocks::Clocks;
use crate::election::Election;
use crate::fact::Fact;
use crate::ids::{BlobId, FactId, JobId, NodeId, StudioId};
use crate::job::note::Note;
use crate::job::outcome::Outcome;
use crate::leader::Leader;
use crate::ledger::Ledger;
use crate::membership::{Membership, Reach};
use crate::random::Random;
use crate::replicate::{Goods, Replicator};
use crate::settings::OnReturn;
use crate::sign::{Signer, Verifier};
use crate::time::Time;
use crate::wire::control::{Advert, AttemptKey, MAX_SOUGHT, Message};
use crate::worker::Worker;

use deferred::Deferred;
use lonely::Lonely;

pub use command::Command;
pub use input::Input;
pub use mesh::Mesh;

/// How often the shell must call with [`Input::Tick`] at least.
pub const TICK: Duration = Duration::from_millis(100);
/// How often something that is on this disk alone is brought to a second one, where there is one.
pub const MAKE_GOOD_PERIOD: Duration = Duration::from_secs(2);
/// How often facts are compared with a random peer, and a leader tells all that it leads.
pub const SYNC_PERIOD: Duration = Duration::from_secs(2);
/// How many of a leader's reminders of its claim also go to those who report to it: one of so many.
const REMIND_ALL: u32 = 3;

/// What to do once a write is on disk.
#[derive(Clone, Debug)]
struct AfterWrite {
    term: Option<u64>,
    facts: Vec<Fact>,
    /// Peers that wait to hear of it, and under which token.
    acknowledge: Vec<(NodeId, u64)>,
    /// Peers that asked to keep something of which this was the last part.
    kept: Vec<(NodeId, u64)>,
    /// A request of somebody here, and what else must be brought to a second node.
    request: Option<(u64, Goods)>,
    /// Attempts that are over by it.
    over: Vec<AttemptKey>,
    /// Whether others are told by gossip.
    tell: bool,
}

/// Results of other jobs, what is to be known of them, and the blobs that both name.
type TakenOver = (Vec<Outcome>, Vec<Note>, Vec<BlobId>);

/// What an order of the replicator was for.
#[derive(Clone, Debug)]
enum Order {
    Request(u64, JobId, Goods),
    Outcome(AttemptKey, Box<Outcome>),
    TakenOver(JobId, TakenOver),
    MakeGood(JobId, Goods),
}

/// The machine of one node.
pub struct Machine {
    me: NodeId,
    signer: Box<dyn Signer + Send>,
    verifier: Box<dyn Verifier + Send>,
    random: Random,
    /// What is known of the studio and its jobs.
    pub ledger: Ledger,
    /// Who is there.
    pub membership: Membership,
    /// Who leads.
    pub election: Election,
    /// The leader's part, while this node leads.
    pub leader: Option<Leader>,
    /// The worker's part.
    pub worker: Worker,
    /// What nodes told of themselves, this one included.
    pub adverts: BTreeMap<NodeId, Advert>,
    /// What nodes told of themselves that have not been there since this one started.
    pub absent: BTreeMap<NodeId, Advert>,
    /// Addresses of other members, as they or peers told them; not all of them need be reachable.
    pub contacts: BTreeMap<NodeId, Vec<String>>,
    /// What each peer named besides, who may yet turn out to be members.
    strangers: BTreeMap<NodeId, BTreeMap<NodeId, Vec<String>>>,
    connected: BTreeSet<NodeId>,
    mesh: Mesh,
    /// How often facts were compared: now and then a peer is told of others with that.
    rounds: u32,
    replicator: Replicator,
    orders: BTreeMap<u64, Order>,
    /// What is on this disk alone, and should not be.
    lonely: Lonely,
    keeping: BTreeMap<(NodeId, u64), (Vec<Fact>, Time)>,
    writes: BTreeMap<u64, AfterWrite>,
    /// Outcomes that become facts with the next write, by job; and whether one is under way. What
    /// ends meanwhile is signed together.
    concluded: BTreeMap<JobId, Vec<(AttemptKey, Outcome)>>,
    concluding: bool,
    /// When some were signed last.
    signed: Option<Time>,
    /// Attempts whose outcome another node has been told, mostly the leader, and not confirmed yet: until then they
    /// count as running, so that it does not hand out their tasks a second time.
    reported: BTreeMap<u64, (NodeId, Vec<AttemptKey>, Time)>,
    deferred: Deferred,
    catch_up: CatchUp,
    /// Whether the disk has lost facts, and nobody was found since to hold none that are lacking here.
    incomplete: bool,
    allowance: Allowance,
    /// Engines whose licence was refused here, until when that is told, and what they said.
    refused: BTreeMap<String, (Time, String)>,
    clocks: Clocks,
    within_hours: bool,
    in_use: Option<OnReturn>,
    /// Until when this node takes no work, since its disk did not take something.
    unwritable: Option<Time>,
    /// Who led last, as far as this node followed.
    led: Option<NodeId>,
    /// The term in which somebody is followed, and since when.
    follows: Option<(u64, Time)>,
    tokens: u64,
    next_report: Time,
    /// How often peers were reminded of this node's claim.
    reminders: u32,
    next_sync: Time,
    next_good: Time,
    out: Vec<Command>,
    /// Messages from this node to itself: a leader is one of its own workers.
    loopback: VecDeque<Message>,
}

impl Machine {
    /// A node that starts at `now` with the facts and the term of its disk.
    pub fn new(
        now: Time,
        studio: StudioId,
        signer: Box<dyn Signer + Send>,
        verifier: Box<dyn Verifier + Send>,
        advert: Advert,
        written_term: u64,
        seed: u64,
    ) -> Self {
        let me = signer.author();
        let incarnation = advert.revision.0;
        Self {
            me,
            signer,
            verifier,
            random: Random::seeded(seed),
            ledger: Ledger::new(studio),
            membership: Membership::new(me, incarnation),
            election: Election::new(me, studio, written_term, now),
            leader: None,
            worker: Worker::new(),
            adverts: BTreeMap::from([(me, advert)]),
            absent: BTreeMap::new(),
            contacts: BTreeMap::new(),
            strangers: BTreeMap::new(),
            connected: BTreeSet::new(),
            mesh: Mesh::default(),
            rounds: 0,
            replicator: Replicator::new(),
            orders: BTreeMap::new(),
            lonely: Lonely::default(),
            keeping: BTreeMap::new(),
            writes: BTreeMap::new(),
            concluded: BTreeMap::new(),
            concluding: false,
            signed: None,
            reported: BTreeMap::new(),
            deferred: Deferred::default(),
            catch_up: CatchUp::default(),
            incomplete: false,
            allowance: Allowance::default(),
            refused: BTreeMap::new(),
            clocks: Clocks::default(),
            within_hours: true,
            in_use: None,
            unwritable: None,
            led: None,
            follows: None,
            tokens: 0,
            next_report: now,
            reminders: 0,
            next_sync: now,
            next_good: now,
            out: Vec::new(),
            loopback: VecDeque::new(),
        }
    }

    /// This node.
    #[must_use]
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// How much waits in each of this machine's queues, by name: for diagnosis and for bounds.
    #[must_use]
    pub fn queues(&self) -> [(&'static str, usize); 10] {
        [
            ("strangers", self.strangers.values().map(BTreeMap::len).sum()),
            ("orders", self.orders.len()),
            ("replicator", self.replicator.open()),
            ("lonely", self.lonely.len()),
            ("keeping", self.keeping.len()),
            ("writes", self.writes.len()),
            ("reported", self.reported.len()),
            ("deferred", self.deferred.len()),
            ("catch_up", self.catch_up.open()),
            ("attempts", self.worker.running()),
        ]
    }

    /// Every node that is known and was not revoked, those that are off included.
    pub fn known(&self) -> impl Iterator<Item = &Advert> {
        let all = self.adverts.values().chain(self.absent.values());
        all.filter(|advert| !self.ledger.members.is_revoked(&advert.node))
    }

    /// Since when this node follows its leader, or leads.
    #[must_use]
    pub fn leader_since(&self) -> Option<Time> {
        let term = self.election.claim()?.term;
        self.follows.filter(|(of, _)| *of == term).map(|(_, since)| since)
    }

    /// The peers that are connected.
    #[must_use]
    pub const fn connected(&self) -> &BTreeSet<NodeId> {
        &self.connected
    }

    /// Joins facts that were read from this node's own disk at its start.
    pub fn load(&mut self, facts: impl Iterator<Item = Fact>) {
        let mut later = Vec::new();
        for fact in facts {
            match fact.kind() {
                crate::fact::Kind::CERTIFICATE => drop(self.ledger.apply(&fact)),
                _ => later.push(fact),
            }
        }
        for fact in later {
            let applied = self.ledger.apply(&fact);
            // A job may have been removed just before the end, and its facts be there still.
            if let Some(job) = fact.scope()
                && !applied.obsolete.is_empty()
            {
                self.out.push(Command::Forget(job, applied.obsolete));
            }
        }
        self.find_lonely();
        self.settle_standing();
    }

    /// The disk has lost something: these facts, and perhaps the term. Peers are asked for the facts as for any that
    /// this node never had, and the term is written again. What is to be done about it is said with what is taken in
    /// next.
    pub fn forget(&mut self, lost: &BTreeSet<FactId>) {
        self.ledger.forget(lost);
        self.incomplete |= !lost.is_empty();
        let (token, term) = (self.token(), Some(self.election.term()));
        self.writes.insert(token, AfterWrite::nothing());
        self.out.push(Command::Write { token, term, facts: Vec::new() });
    }

    /// The disk that this node starts with may have lost facts, and nobody here knows which.
    pub const fn doubt_disk(&mut self) {
        self.incomplete = true;
    }

    /// Whether this node may lack facts that its disk has lost: it has not been found since to hold all that a peer
    /// does.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Takes in what happened, and says what to do about it.
    pub fn handle(&mut self, now: Time, input: Input) -> Vec<Command> {
        self.handle_all(now, [input])
    }

    /// Takes in all that happened since the last time, in its order. To plan takes a leader of a thousand machines
    /// some milliseconds: the more comes to it meanwhile, the more is planned at once.
    pub fn handle_all(
        &mut self,
        now: Time,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Vec<Command> {
        for input in inputs {
            self.take(now, input);
        }
        self.sign_outcomes(now);
        // What this node sends itself arrives at once, and what changed by it is planned at once.
        loop {
            self.lead(now);
            let Some(message) = self.loopback.pop_front() else {
                break;
            };
            self.message(now, self.me, message);
        }
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, now: Time, input: Input) {
        match input {
            Input::Tick => self.tick(now),
            Input::Connected(chain) => self.connect(now, &chain),
            Input::Disconnected(node) => self.disconnect(now, node),
            // What comes of a revoked node was on its way when its connections were closed.
            Input::Message(from, _) | Input::Gossip(from, _)
                if self.ledger.members.is_revoked(&from) => {}
            Input::Message(from, message) => {
                // A certificate alone makes no node: a command line shows one too. Who introduces
                // itself takes part.
                if self.adverts.contains_key(&from) || matches!(message, Message::Hello { .. }) {
                    let events = self.membership.heard(now, from);
                    self.membership_events(now, events);
                }
                self.message(now, from, message);
            }
            Input::Gossip(from, message) => self.gossip(now, from, message),
            Input::Written(token) => self.written(now, token),
            Input::WriteFailed(token, why) => self.write_failed(now, token, &why),
            Input::Advert(advert) => self.own_advert(*advert),
            Input::Author { request, bodies, signed, goods } => {
                self.author(request, &bodies, signed, goods);
            }
            Input::Prepared(attempt, inputs) => self.prepared(now, &attempt, inputs),
            Input::Progress(attempt, thousandths) => self.worker.progress(&attempt, thousandths),
            Input::LicenceRefused(attempt, engine, said) => {
                self.licence_refused(now, &attempt, engine, said);
            }
            Input::Sought(job, bringing) => {
                self.sought(now, job, bringing);
            }
            Input::TakenOver { job, results, notes, blobs, holders } => {
                self.taken_over(now, job, (results, notes, blobs), &holders);
            }
            Input::Entrusted(node, job, mut tasks) => {
                tasks.truncate(MAX_SOUGHT);
                self.send(node, Message::TakeOver(job, tasks));
            }
            Input::Clock(clock) => self.clock(now, clock),
            Input::Delivered(job, round) => self.delivered(job, round),
            Input::WithinHours(within) => {
                self.within_hours = within;
                self.settle_standing();
            }
            Input::InUse(what) => {
                self.in_use = what;
                self.settle_standing();
                self.report(now);
            }
            Input::Ended(attempt, outcome) => self.ended(now, attempt, outcome),
            Input::Undone(attempts) => self.undone(now, &attempts),
            Input::Stored(from, token, stored) => self.stored(from, token, stored),
        }
    }

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    fn send(&mut self, to: NodeId, message: Message) {
        if to == self.me {
            self.loopback.push_back(message);
        } else if self.connected.contains(&to) {
            self.out.push(Command::Send(to, message));
        }
    }

    /// The connected peers that take part: those that have introduced themselves.
    fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.connected.iter().filter(|node| self.adverts.contains_key(*node)).copied()
    }

    /// Nodes that are alive and that this one can talk to, itself included.
    fn reachable(&self) -> BTreeSet<NodeId> {
        let alive = self.membership.alive();
        let reaches = |node: &&NodeId| **node == self.me || self.connected.contains(*node);
        alive.iter().filter(reaches).copied().collect()
    }

    fn tick(&mut self, now: Time) {
        let leader = self.election.leader();
        let reach = Reach { connected: &self.connected, leader, large: self.is_large() };
        let events = self.membership.tick(now, reach, &mut self.random);
        self.membership_events(now, events);
        let reachable = self.reachable();
        let alive = self.membership.alive();
        let events = self.election.tick(now, &alive, &reachable);
        self.election_events(now, events);
        let events = self.replicator.tick(now);
        self.replicator_events(now, events);
        self.keep_alive(now);
        self.settle_overdue(now, None);
        if self.unwritable.take_if(|until| *until <= now).is_some() {
            self.settle_standing();
        }
        let events = self.worker.review(now, &self.ledger.jobs);
        self.worker_events(now, events);
        if now >= self.next_report {
            self.report(now);
        }
        if now >= self.next_sync {
            self.next_sync = now + SYNC_PERIOD;
            let peers: Vec<NodeId> = self.peers().collect();
            for peer in self.random.sample(peers.clone(), 1) {
                self.send_root(peer);
            }
            for peer in self.connected.clone() {
                if !self.adverts.contains_key(&peer) {
                    self.hello(peer);
                }
            }
            self.make_known();
            // A claim that was lost would leave two leaders side by side. Who reports here has it, most likely.
            if let Some(claim) = self.election.claim().filter(|_| self.election.leads()).cloned() {
                self.reminders += 1;
                let all = self.reminders.is_multiple_of(REMIND_ALL);
                let reports = |peer: &NodeId| {
                    self.leader.as_ref().is_some_and(|leader| leader.hears(now, peer))
                };
                let peers: Vec<NodeId> =
                    peers.into_iter().filter(|peer| all || !reports(peer)).collect();
                for peer in peers {
                    self.send(peer, Message::Claim(claim.clone()));
                }
            }
        }
        if now >= self.next_good {
            self.next_good = now + MAKE_GOOD_PERIOD;
            self.make_good(now);
        }
        self.ask_for_more(now);
        if let Some(leader) = &mut self.leader {
            // Reports age and leases end without anything else happening.
            leader.touch();
        }
    }
}

impl AfterWrite {
    const fn nothing() -> Self {
        Self {
            term: None,
            facts: Vec::new(),
            acknowledge: Vec::new(),
            kept: Vec::new(),
            request: None,
            over: Vec::new(),
            tell: false,
        }
    }
}

#[cfg(test)]
mod tests;
