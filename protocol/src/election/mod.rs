//! Who leads. Gossip can't rule out two leaders, so a leader is never an authority; terms on disk
//! keep a stale one from being followed.
//!
//! ```text
//!             leader lost, and first in rank            peers lost it too
//!  following ───────────────────────────────▶ asking ────────────────────▶ claiming (term on disk)
//!      ▲                                        │ somebody still sees it         │ written
//!      │◀───────────────────────────────────────┘                                ▼
//!      └───────────────── a higher (term, rank) was claimed ◀───────────────── leading
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::certificate::signature_bytes;
use crate::ids::{NodeId, StudioId};
use crate::sign::{Signer, Verifier};
use crate::time::Time;
use crate::wire::control::Message;

/// A leader that has not answered a report for this long is lost.
pub const SILENCE: Duration = Duration::from_millis(2500);
/// The same where the connection to it is closed and does not come back.
pub const SILENCE_UNCONNECTED: Duration = Duration::from_millis(900);
/// How long a leader that was lost here, and that others still see, may take to answer.
pub const AGAIN: Duration = Duration::from_millis(1200);
/// How long a node that starts listens before it takes the chair itself.
pub const LISTEN: Duration = Duration::from_millis(1200);
/// How long peers may take to say whether they have lost the leader too.
pub const ASKING: Duration = Duration::from_millis(400);
/// How much later each further candidate in rank tries.
pub const STAGGER: Duration = Duration::from_millis(700);
/// The furthest that one claim may raise the term: more is a liar's or a madman's.
pub const MAX_RAISE: u64 = 1 << 20;

/// How often a candidate steps back since somebody still sees a leader, until it hears that one itself. After that
/// it goes by half of the others: a single member that always said so would keep everybody from leading.
const VETOES: u8 = 3;

const DOMAIN: &[u8] = b"weft claim 1\0";

/// A signed claim of leadership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The term that is claimed.
    pub term: u64,
    /// Who leads in it.
    pub leader: NodeId,
    #[serde(with = "signature_bytes")]
    signature: [u8; 64],
}

impl Claim {
    /// Claims `term` in the signer's name.
    pub fn sign(studio: &StudioId, term: u64, signer: &dyn Signer) -> Self {
        let leader = signer.author();
        let signature = signer.sign(&claim_bytes(studio, term, &leader));
        Self { term, leader, signature }
    }

    /// Whether its leader signed it, for this studio.
    #[must_use]
    pub fn is_genuine(&self, studio: &StudioId, verifier: &dyn Verifier) -> bool {
        let bytes = claim_bytes(studio, self.term, &self.leader);
        verifier.verify(&self.leader, &bytes, &self.signature)
    }

    /// Of two claims the one with the greater order counts.
    fn order(&self) -> (u64, [u8; 32]) {
        (self.term, rank(&self.leader, self.term))
    }
}

fn claim_bytes(studio: &StudioId, term: u64, leader: &NodeId) -> Vec<u8> {
    [DOMAIN, &studio.0, &term.to_le_bytes(), &leader.0].concat()
}

/// The rank of a candidate for a term; greater is better. It is the same seen from every node, and
/// another in every term, so that one bad machine does not come first for ever.
#[must_use]
pub fn rank(node: &NodeId, term: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&term.to_le_bytes()).update(&node.0);
    *hasher.finalize().as_bytes()
}

/// What the machine asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Send a message.
    Send(NodeId, Message),
    /// Write this term down, and call [`Election::written`] once it is on disk.
    Write(u64),
    /// This node leads now: tell everybody.
    Lead(Claim),
    /// Another node is followed now.
    Follow(Claim),
    /// Nobody is followed any more.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nobody is known to lead.
    Leaderless {
        since: Time,
    },
    Following {
        claim: Claim,
        heard: Time,
        connected: bool,
        unconnected_since: Time,
        /// Whether the leader itself was heard, or claimed only now: what others tell of a leader
        /// that was lost here is no sign of life, and must not go in circles.
        confirmed: bool,
    },
    Asking {
        since: Time,
        asked: BTreeSet<NodeId>,
        agreed: BTreeSet<NodeId>,
    },
    Claiming {
        term: u64,
    },
    Leading {
        claim: Claim,
    },
}

/// The election machine of one node.
#[derive(Clone, Debug)]
pub struct Election {
    me: NodeId,
    studio: StudioId,
    /// The highest term on disk.
    written: u64,
    /// The highest term seen in a genuine claim.
    highest: u64,
    state: State,
    /// A claim that waits until its term is on disk.
    incoming: Option<Claim>,
    /// The term and the leader of the claim that was lost last.
    lost: Option<(u64, NodeId)>,
    /// How often this node stepped back since somebody still saw a leader, since it heard one itself.
    vetoes: u8,
}

impl Election {
    /// A machine that knows of no leader; `written` is the highest term on its disk.
    #[must_use]
    pub const fn new(me: NodeId, studio: StudioId, written: u64, now: Time) -> Self {
        let state = State::Leaderless { since: now };
        Self { me, studio, written, highest: written, state, incoming: None, lost: None, vetoes: 0 }
    }

    /// The leader that this node follows or is, with its claim.
    #[must_use]
    pub const fn claim(&self) -> Option<&Claim> {
        match &self.state {
            State::Following { claim, .. } | State::Leading { claim } => Some(claim),
            State::Leaderless { .. } | State::Asking { .. } | State::Claiming { .. } => None,
        }
    }

    /// Who is followed, or this node where it leads.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.claim().map(|claim| claim.leader)
    }

    /// Whether this node leads.
    #[must_use]
    pub const fn leads(&self) -> bool {
        matches!(self.state, State::Leading { .. })
    }

    /// The highest term on disk.
    #[must_use]
    pub const fn term(&self) -> u64 {
        self.written
    }

    /// Whether a word of `leader` in `term` may be acted on: it is followed, and the term is not
    /// below the highest that was written.
    #[must_use]
    pub fn obeys(&self, leader: &NodeId, term: u64) -> bool {
        let followed = self.claim().is_some_and(|c| c.leader == *leader && c.term == term);
        followed && term >= self.written
    }

    /// The leader that is followed answered.
    pub fn heard_leader(&mut self, now: Time, from: &NodeId, term: u64) {
        if let State::Following { claim, heard, confirmed, .. } = &mut self.state
            && claim.leader == *from
            && claim.term == term
        {
            (*heard, *confirmed) = (now, true);
            self.vetoes = 0;
        }
    }

    /// The connection to a node came or went.
    pub fn connection(&mut self, now: Time, node: &NodeId, up: bool) {
        if let State::Following { claim, connected, unconnected_since, .. } = &mut self.state
            && claim.leader == *node
        {
            if *connected && !up {
                *unconnected_since = now;
            }
            *connected = up;
        }
    }

    /// Whether the leader of `term`, if this node follows it, is lost from here.
    fn leader_lost(&self, now: Time) -> bool {
        match &self.state {
            State::Following { heard, connected, unconnected_since, .. } => {
                now.since(*heard) >= SILENCE
                    || (!connected && now.since(*unconnected_since) >= SILENCE_UNCONNECTED)
            }
            State::Leading { .. } => false,
            State::Leaderless { .. } | State::Asking { .. } | State::Claiming { .. } => true,
        }
    }

    /// The claim that counts here where another one says that it leads: of two leaders that are not connected to each
    /// other neither hears of the other by itself. That of a leader which was lost here is no answer.
    #[must_use]
    pub fn outranks(&self, other: &Claim) -> Option<&Claim> {
        let unsure = matches!(self.state, State::Following { confirmed: false, .. });
        self.claim().filter(|ours| !unsure && ours.order() > other.order())
    }

    /// A claim came, from whomever: it is genuine or nothing.
    pub fn claimed(&mut self, now: Time, claim: Claim, verifier: &dyn Verifier) -> Vec<Event> {
        let ours = self.claim().map(Claim::order);
        let pending = self.incoming.as_ref().map(Claim::order);
        let worse = ours.max(pending).is_some_and(|known| claim.order() <= known);
        // A higher term of our own is on its way to the disk: a lower one must not follow it there.
        let below = matches!(self.state, State::Claiming { term } if claim.term < term);
        if worse || below || claim.term < self.written || claim.leader == self.me {
            return Vec::new();
        }
        if !claim.is_genuine(&self.studio, verifier) {
            return Vec::new();
        }
        // Who was raised further, step by step, must be caught up with in steps as well.
        let furthest = self.highest.saturating_add(MAX_RAISE);
        self.highest = self.highest.max(claim.term.min(furthest));
        if claim.term > furthest {
            return Vec::new();
        }
        if claim.term > self.written {
            let term = claim.term;
            self.incoming = Some(claim);
            return vec![Event::Write(term)];
        }
        self.follow(now, claim)
    }

    fn follow(&mut self, now: Time, claim: Claim) -> Vec<Event> {
        let again = self.lost == Some((claim.term, claim.leader));
        self.state = State::Following {
            claim: claim.clone(),
            heard: if again { now - (SILENCE - AGAIN) } else { now },
            connected: true,
            unconnected_since: now,
            confirmed: !again,
        };
        vec![Event::Follow(claim)]
    }

    /// A term is on disk.
    pub fn written(&mut self, now: Time, term: u64, signer: &dyn Signer) -> Vec<Event> {
        self.written = self.written.max(term);
        if let Some(claim) = self.incoming.take_if(|claim| claim.term <= self.written)
            && claim.term == self.written
        {
            return self.follow(now, claim);
        }
        if self.state == (State::Claiming { term }) && term == self.written {
            let claim = Claim::sign(&self.studio, term, signer);
            self.state = State::Leading { claim: claim.clone() };
            return vec![Event::Lead(claim)];
        }
        if matches!(self.state, State::Claiming { .. }) && term >= self.written {
            self.state = State::Leaderless { since: now };
        }
        Vec::new()
    }

    /// A term could not be written: nothing comes of the claim that waited for it. Others' claims
    /// will be heard again.
    pub fn write_failed(&mut self, now: Time, term: u64) {
        self.incoming.take_if(|claim| claim.term == term);
        if self.state == (State::Claiming { term }) {
            self.state = State::Leaderless { since: now };
        }
    }

    /// This node can't lead as it should: somebody else shall, if there is anybody. The others miss its
    /// answers to their reports, and find a leader among themselves. It stands again like anybody.
    pub fn resign(&mut self, now: Time) -> Vec<Event> {
        let State::Leading { claim } = &self.state else {
            return Vec::new();
        };
        self.lost = Some((claim.term, self.me));
        self.state = State::Leaderless { since: now };
        vec![Event::Lost]
    }

    /// A peer asks whether the leader of `term` is lost from here as well.
    #[must_use]
    pub fn asked(&self, now: Time, from: NodeId, term: u64) -> Vec<Event> {
        // Who has written a higher term can't follow our leader any more: for it, it is lost.
        let below = self.claim().is_some_and(|claim| claim.term < term);
        let above = self.claim().is_some_and(|claim| claim.term > term);
        let unsure = matches!(self.state, State::Following { confirmed: false, .. });
        let lost = below || (!above && (unsure || self.leader_lost(now)));
        let mut events = vec![Event::Send(from, Message::Lost(term, lost, self.highest))];
        if let Some(claim) = self.claim().filter(|claim| !lost && claim.term >= term) {
            events.push(Event::Send(from, Message::Claim(claim.clone())));
        }
        events
    }

    /// A peer answered whether it has lost the leader too.
    pub fn answered(
        &mut self,
        now: Time,
        from: NodeId,
        term: u64,
        lost: bool,
        highest: u64,
    ) -> Vec<Event> {
        if highest <= self.highest.saturating_add(MAX_RAISE) {
            self.highest = self.highest.max(highest);
        }
        let State::Asking { asked, agreed, .. } = &mut self.state else {
            return Vec::new();
        };
        if !asked.contains(&from) || term > self.written {
            return Vec::new();
        }
        if lost {
            agreed.insert(from);
            if agreed.len() == asked.len() {
                return self.claim_term(now);
            }
            return Vec::new();
        }
        if self.vetoes >= VETOES {
            return Vec::new();
        }
        self.vetoes += 1;
        // Somebody still sees a leader: it will tell us, or lose it in turn.
        self.state = State::Leaderless { since: now };
        Vec::new()
    }

    fn claim_term(&mut self, now: Time) -> Vec<Event> {
        // Somebody else's claim waits for the disk. A higher term of our own would come there after it:
        // its leader would be followed, and never obeyed.
        if self.incoming.is_some() {
            self.state = State::Leaderless { since: now };
            return Vec::new();
        }
        let term = self.highest.max(self.written).saturating_add(1);
        self.highest = term;
        self.state = State::Claiming { term };
        vec![Event::Write(term)]
    }

    /// Time has passed. `alive` are the nodes that may lead, this one included; `reachable` those
    /// of them that can be asked now.
    pub fn tick(
        &mut self,
        now: Time,
        alive: &BTreeSet<NodeId>,
        reachable: &BTreeSet<NodeId>,
    ) -> Vec<Event> {
        match &self.state {
            State::Following { claim, .. } if self.leader_lost(now) => {
                self.lost = Some((claim.term, claim.leader));
                // The wait before a claim counts from now; the silence was long enough already.
                self.state = State::Leaderless { since: now - LISTEN };
                let mut events = vec![Event::Lost];
                events.extend(self.stand(now, alive, reachable));
                events
            }
            State::Leaderless { .. } => self.stand(now, alive, reachable),
            State::Asking { since, asked, agreed } if now.since(*since) >= ASKING => {
                // Whoever does not answer has no say, unless most are silent, or see a leader: then it is this
                // node that is cut off, or they are busy, and it asks again.
                if agreed.len() * 2 >= asked.len() {
                    self.claim_term(now)
                } else {
                    self.state = State::Leaderless { since: now };
                    Vec::new()
                }
            }
            _ => Vec::new(),
        }
    }

    /// Stands for the chair when this node's turn has come.
    fn stand(
        &mut self,
        now: Time,
        alive: &BTreeSet<NodeId>,
        reachable: &BTreeSet<NodeId>,
    ) -> Vec<Event> {
        let State::Leaderless { since } = self.state else {
            return Vec::new();
        };
        let term = self.highest.max(self.written) + 1;
        let mine = rank(&self.me, term);
        // Nothing is followed here, so that the one that was lost last is the one that is missed.
        let lost = self.lost.map(|(_, leader)| leader);
        let ahead = alive.iter().filter(|node| Some(**node) != lost && rank(node, term) > mine);
        let turn = u32::try_from(ahead.count()).unwrap_or(u32::MAX);
        if now.since(since) < LISTEN + STAGGER.saturating_mul(turn) {
            return Vec::new();
        }
        let asked: BTreeSet<NodeId> = reachable
            .iter()
            .filter(|node| **node != self.me && Some(**node) != lost)
            .copied()
            .collect();
        if asked.is_empty() {
            return self.claim_term(now);
        }
        let ask = |node: &NodeId| Event::Send(*node, Message::AskLost(self.written));
        let events = asked.iter().map(ask).collect();
        self.state = State::Asking { since: now, asked, agreed: BTreeSet::new() };
        events
    }
}

#[cfg(test)]
mod tests;
