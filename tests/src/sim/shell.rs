//! What stands between a machine and the world, as the daemon's driver does: commands become
//! effects, effects become inputs.

use std::collections::BTreeSet;

use weft_protocol::clocks;
use weft_protocol::fact::{Body, Fact, Kind};
use weft_protocol::ids::{FactId, JobId, NodeId};
use weft_protocol::machine::{Command, Input, TICK};
use weft_protocol::wire::control::{FACT_BATCH, Message, Sync};
use weft_protocol::wire::gossip;

use super::clock::{MILLI, micros};
use super::disk::Write;
use super::node::Chore;
use super::planted::Planted;
use super::record::{Notice, Promise};
use super::world::World;

impl World {
    /// A message has come; some planted bugs sit here.
    pub(super) fn message(&mut self, to: usize, from: usize, message: Message) {
        let mut from_id = self.nodes[from].id;
        let mut message = message;
        match (self.planted, &mut message) {
            (Some(Planted::NoFencing), Message::Assign { term, lease, .. }) => {
                let claim = self.nodes[to].machine.as_ref().and_then(|m| m.election.claim());
                if let Some((leader, followed)) = claim.map(|c| (c.leader, c.term)) {
                    let real = std::mem::replace(term, followed);
                    let attempt = lease.attempt;
                    from_id = leader;
                    self.nodes[to].real_terms.entry(attempt).or_insert(real);
                }
            }
            (Some(Planted::ClaimsForgotten), Message::Assign { lease, .. }) => {
                self.forget_claim(to, lease, &[]);
            }
            (Some(Planted::ClaimsForgotten), Message::AssignRun { lease, more, .. }) => {
                self.forget_claim(to, lease, more);
            }
            (Some(Planted::KeptBeforeFetched), Message::Keep { token, .. }) => {
                let kept = Message::Kept(*token, Ok(()));
                self.send(to, from, &kept);
            }
            (Some(Planted::UnknownKindsDropped), Message::Facts(_, facts)) => {
                facts.retain(|bytes| {
                    let fact = Fact::from_bytes(bytes.clone());
                    fact.is_ok_and(|fact| fact.body().is_ok_and(|body| body.is_some()))
                });
            }
            (Some(Planted::NothingCompared), Message::Sync(_)) => return,
            (Some(Planted::JoinedBeforeSync), Message::Facts(_, facts)) => {
                self.join_early(to, facts);
            }
            _ => {}
        }
        self.tell(to, Input::Message(from_id, message));
    }

    pub(super) fn gossip(&mut self, to: usize, author: usize, message: gossip::Message) {
        if let (Some(Planted::JoinedBeforeSync), gossip::Message::Facts(facts)) =
            (self.planted, &message)
        {
            self.join_early(to, facts);
        }
        if self.planted == Some(Planted::UnknownKindsDropped)
            && let gossip::Message::Facts(_) = &message
        {
            return;
        }
        let author = self.nodes[author].id;
        self.tell(to, Input::Gossip(author, message));
    }

    /// Makes effects of commands.
    pub(super) fn obey(&mut self, number: usize, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Send(to, message) => self.command_send(number, &to, &message),
                Command::SendFacts(to, ids) => {
                    if let Some(to) = self.node(&to) {
                        let delay = self.between(MILLI / 5, 3 * MILLI);
                        self.chore(delay, number, Chore::SendFacts(to, ids));
                    }
                }
                Command::Gossip(message) => {
                    if let gossip::Message::Claim(claim) = &message {
                        self.led(number, claim.leader, claim.term);
                    }
                    self.publish(number, &message);
                }
                Command::Write { token, term, facts } => self.write(number, token, term, facts),
                Command::Forget(job, ids) => self.forget(number, job, ids),
                Command::Work(event) => self.work(number, event),
                Command::Store { from, token, goods, job: _ } => {
                    let blobs = goods.trees.iter().chain(&goods.blobs).copied().collect();
                    self.keep(number, from, token, blobs);
                }
                Command::Answer(request, answer) => self.answered(number, request, answer),
                Command::Changed(job) => self.notices.push(Notice::Changed(number, job)),
                Command::LetGo(_) => {}
                // Every frame of the simulator's is rendered: what it compares is who rendered it.
                Command::Seek(job) => {
                    let nothing = Box::new(Input::Sought(job, BTreeSet::new()));
                    self.chore(0, number, Chore::Tell(nothing));
                }
                Command::TakeOver(..) => {}
                Command::LeaderChanged => self.dial_sought(number),
                Command::Set => {}
                Command::Close(node, why) => {
                    self.trace.say(self.now, || format!("node{number} closes {node:?}: {why}"));
                    if let Some(peer) = self.node(&node) {
                        self.hang_up(number, peer);
                    }
                }
            }
        }
    }

    fn command_send(&mut self, number: usize, to: &NodeId, message: &Message) {
        let Some(to) = self.node(to) else { return };
        match message {
            Message::Claim(claim) => self.led(number, claim.leader, claim.term),
            Message::Hello { claim: Some(claim), .. } => {
                self.led(number, claim.leader, claim.term);
            }
            Message::Assign { term, lease, .. } => {
                let id = self.nodes[number].id;
                self.led(number, id, *term);
                if self.withheld(*term, &lease.attempt.job, number) {
                    return;
                }
            }
            Message::Keep { token, .. }
                if self.planted == Some(Planted::KeptAssumed)
                    || self.planted == Some(Planted::NeverMadeGood) && self.ticking =>
            {
                let (token, id) = (*token, self.nodes[to].id);
                let kept = Input::Message(id, Message::Kept(token, Ok(())));
                self.chore(MILLI, number, Chore::Tell(Box::new(kept)));
                return;
            }
            // Submissions wait for their trees; what is made good is ordered by the clock.
            Message::Keep { token, trees, facts, .. }
                if self.planted == Some(Planted::DoneAlone)
                    && trees.is_empty()
                    && facts.is_empty()
                    && !self.ticking =>
            {
                let (token, id) = (*token, self.nodes[to].id);
                let kept = Input::Message(id, Message::Kept(token, Err("it is busy".into())));
                self.chore(0, number, Chore::Tell(Box::new(kept)));
                return;
            }
            Message::Keep { blobs, trees, .. } if self.lies_now(to) => {
                self.record.entrusted_to_liars.extend(blobs.iter().chain(trees));
            }
            Message::Sync(Sync::Summary(prefix, _))
                if self.lies_now(number) && self.random.below(4) == 0 =>
            {
                let invented = self.invented_summary(prefix);
                self.send(number, to, &invented);
                return;
            }
            _ => {}
        }
        self.send(number, to, message);
    }

    /// Planted bugs of leaders: what they don't hand out.
    fn withheld(&self, term: u64, job: &JobId, leader: usize) -> bool {
        match self.planted {
            Some(Planted::LeaderStuck) => term > 2,
            Some(Planted::OwnerStarved) => {
                let machine = self.nodes[leader].machine.as_ref();
                let job = machine.and_then(|machine| machine.ledger.jobs.get(job));
                job.and_then(|job| job.spec()).is_some_and(|spec| spec.owner == "cleo")
            }
            _ => false,
        }
    }

    /// A node spoke as a leader; only for itself can it break a promise.
    fn led(&mut self, number: usize, leader: NodeId, term: u64) {
        if self.nodes[number].id == leader {
            self.notices.push(Notice::Led { node: number, term });
        }
    }

    /// Notes what a node says by itself of the end of jobs.
    fn note_ends(&mut self, number: usize, facts: &[Fact]) {
        let id = self.nodes[number].id;
        let tells = |fact: &&Fact| matches!(fact.kind(), Kind::END | Kind::REMOVAL);
        for fact in facts.iter().filter(|fact| fact.author() == id).filter(tells) {
            let Ok(Some(body)) = fact.body() else { continue };
            if !self.record.asked.values().any(|asked| asked.signed.contains(&fact.id())) {
                let body = Box::new(body);
                self.notices.push(Notice::ByItself { node: number, body });
            }
        }
    }

    fn write(&mut self, number: usize, token: u64, term: Option<u64>, facts: Vec<Fact>) {
        self.note_ends(number, &facts);
        let early = match self.planted {
            Some(Planted::AckBeforeSync) => true,
            Some(Planted::TermUsedEarly) => term.is_some(),
            _ => false,
        };
        let kept_term = match self.planted {
            Some(Planted::TermNotKept) if self.nodes[number].disk.waiting() > 0 => None,
            _ => term,
        };
        let facts = facts.into_iter().map(|fact| self.record.shared(fact)).collect();
        if self.nodes[number].disk.queue(Write { token, term: kept_term, facts }) {
            self.sync_later(number);
        }
        if early {
            self.chore(0, number, Chore::Tell(Box::new(Input::Written(token))));
        }
    }

    fn sync_later(&mut self, number: usize) {
        // Mostly a few milliseconds; now and then the disk is busy.
        let delay = match self.random.below(50) {
            0 => self.between(50 * MILLI, 800 * MILLI),
            _ => self.between(MILLI, 12 * MILLI),
        };
        self.chore(delay, number, Chore::Synced);
    }

    fn synced(&mut self, number: usize) {
        let (writes, good) = self.nodes[number].disk.commit();
        self.trace.event(self.now, number, 8, &[u8::from(good)]);
        if self.nodes[number].disk.begin() {
            self.sync_later(number);
        }
        if good {
            let term = writes.iter().filter_map(|write| write.term).max();
            let facts = writes.iter().flat_map(|write| write.facts.clone()).collect();
            self.note_commit(number, term, facts);
        }
        // As the daemon's driver does: what happened at once goes in at once.
        let inputs = writes.iter().map(|write| match good {
            true => Input::Written(write.token),
            false => Input::WriteFailed(write.token, "there is no space left".into()),
        });
        let life = self.nodes[number].life;
        self.tell_all(number, inputs.collect());
        if good && self.nodes[number].life == life {
            for write in writes {
                self.plant_after_join(number, &write.facts);
            }
        }
    }

    pub(super) fn note_commit(&mut self, node: usize, term: Option<u64>, facts: Vec<Fact>) {
        for fact in &facts {
            self.record.born.entry(fact.id()).or_insert(self.now);
            match fact.body() {
                Ok(Some(Body::Removal(removal))) => {
                    self.record.removed.entry(removal.job).or_insert(self.now);
                }
                Ok(Some(Body::Revocation(revocation))) => self.revoked(&revocation.node),
                _ => {}
            }
        }
        if term.is_some() || !facts.is_empty() {
            self.notices.push(Notice::Committed { node, term, facts });
        }
    }

    /// A revocation is on a disk: who asks for one of a machine whose disk is full is told that nothing came of it.
    fn revoked(&mut self, node: &NodeId) {
        if let Some(victim) = self.node(node).filter(|victim| !self.nodes[*victim].revoked) {
            self.nodes[victim].revoked = true;
            self.record.stirred = self.now;
        }
    }

    fn forget(&mut self, number: usize, job: JobId, ids: Vec<FactId>) {
        let mut ids = ids;
        if self.planted == Some(Planted::TombstoneLost) {
            let machine = self.nodes[number].machine.as_ref();
            ids.extend(machine.into_iter().flat_map(|machine| machine.ledger.facts_of(&job)));
        }
        let delay = self.between(MILLI, 12 * MILLI);
        self.chore(delay, number, Chore::Forget(ids));
    }

    fn answered(&mut self, number: usize, request: u64, answer: Result<Vec<NodeId>, String>) {
        let Some(asked) = self.record.asked.remove(&request) else { return };
        let Ok(copies) = answer else { return };
        self.trace
            .say(self.now, || format!("node{number} answers {request}: on {} nodes", copies.len()));
        let promise = Promise {
            at: self.now,
            job: asked.job,
            blobs: asked.blobs,
            facts: asked.signed,
            copies,
        };
        self.record.promises.push(promise);
        self.notices.push(Notice::Promised(self.record.promises.len() - 1));
    }

    pub(super) fn do_chore(&mut self, number: usize, chore: Chore) {
        match chore {
            Chore::Tick => self.tick(number),
            Chore::Dial => self.dial(number),
            Chore::Synced => self.synced(number),
            Chore::Tell(input) => self.tell(number, *input),
            Chore::Bring(attempt, providers, tries) => {
                self.bring(number, attempt, providers, tries)
            }
            Chore::EngineEnds(attempt, run) => self.engine_ends(number, attempt, run),
            Chore::Fetched(fetch) => self.fetched(number, *fetch),
            Chore::SendFacts(to, ids) => self.send_facts(number, to, &ids),
            Chore::Forget(ids) => {
                let disk = &mut self.nodes[number].disk;
                disk.facts.retain(|id, _| !ids.contains(id));
            }
        }
    }

    fn tick(&mut self, number: usize) {
        self.trace.event(self.now, number, 9, &[]);
        self.ticking = true;
        self.tell(number, Input::Tick);
        self.ticking = false;
        self.tell_clock(number);
        let lag = self.nodes[number].lag;
        let late = self.between(0, lag);
        self.chore(micros(TICK) + late, number, Chore::Tick);
    }

    /// Tells a machine what its wall clock shows, now and then, and that what it was to deliver is where it
    /// should be.
    fn tell_clock(&mut self, number: usize) {
        if self.now < self.nodes[number].next_clock {
            return;
        }
        self.nodes[number].next_clock = self.now + micros(clocks::PERIOD);
        let delivers = self.random.below(2) == 0;
        let machine = self.nodes[number].machine.as_ref().filter(|_| delivers);
        let owed: Vec<_> = machine
            .into_iter()
            .flat_map(|machine| machine.ledger.jobs.iter().map(move |(id, ..)| (machine, id)))
            .filter_map(|(machine, id)| Some((id, machine.owes(&id)?)))
            .collect();
        for (job, round) in owed {
            self.tell(number, Input::Delivered(job, round));
        }
        let mut clock = self.nodes[number].clock.wall(self.now);
        if self.planted == Some(Planted::ClocksRace) {
            clock.0 += self.now / MILLI * 19;
        }
        // The last of this moment: what comes of it is looked at as it stands then.
        self.tell(number, Input::Clock(clock));
    }

    fn send_facts(&mut self, number: usize, to: usize, ids: &[FactId]) {
        let (mut batch, mut size) = (Vec::new(), 0);
        for id in ids {
            let Some(fact) = self.nodes[number].disk.facts.get(id) else { continue };
            size += fact.as_bytes().len();
            batch.push(fact.as_bytes().to_vec());
            if size >= FACT_BATCH {
                let full = std::mem::take(&mut batch);
                self.send(number, to, &Message::Facts(None, full));
                size = 0;
            }
        }
        if !batch.is_empty() {
            self.send(number, to, &Message::Facts(None, batch));
        }
    }
}
