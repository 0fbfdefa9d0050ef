//! Facts on their way: checked, written down, joined, passed on, and compared with others'.

use super::{AfterWrite, Command, Machine, Order};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::catch_up::UNASKED;
use crate::fact::digest;
use crate::fact::{Body, Fact, Kind};
use crate::ids::{FactId, JobId, NodeId};
use crate::ledger::Verdict;
use crate::replicate::{Goods, HEARTBEAT};
use crate::time::Time;
use crate::wire::control::{Message, Sync};
use crate::wire::gossip;

/// How many ids or prefixes of a digest are asked for at once.
const MAX_ASKED: usize = 512;
/// For how many that are looked at one counts that is read from the disk and sent.
const SENDING: usize = 4;
/// How many requests of one peer to keep something wait for their blobs at once: a node works on
/// [`MAX_ATTEMPTS`](crate::worker::MAX_ATTEMPTS) at most, and each has one. And how many bytes of facts wait with them.
const MAX_KEEPING: usize = crate::worker::MAX_ATTEMPTS;
const MAX_KEEPING_FACTS: usize = 16 << 20;
/// How long a node takes no work after its disk did not take something. What peers hold and this node
/// lacks is tried each [`SYNC_PERIOD`](super::SYNC_PERIOD), so that a disk that stays full is found out in time.
const WRITE_AGAIN: Duration = Duration::from_secs(10);

fn size_of_all(facts: &[Fact]) -> usize {
    facts.iter().map(|fact| fact.as_bytes().len()).sum()
}

impl Machine {
    /// Joins this node's own certificate, so that others can tell who it is.
    pub fn introduce(&mut self, chain: &crate::certificate::Chain) -> Vec<Command> {
        if self.ledger.members.chain(&self.me) != Some(chain) {
            self.publish(&[Body::Certificate(Box::new(chain.clone()))]);
        }
        std::mem::take(&mut self.out)
    }

    pub(super) fn sign(&self, body: &Body) -> Fact {
        Fact::sign(self.ledger.studio(), body, self.signer.as_ref())
    }

    /// Signs what nobody waits for, writes it down and tells everybody.
    pub(super) fn publish(&mut self, bodies: &[Body]) {
        if !bodies.is_empty() {
            let facts = bodies.iter().map(|body| self.sign(body)).collect();
            self.write(AfterWrite { facts, tell: true, ..AfterWrite::nothing() });
        }
    }

    pub(super) fn write(&mut self, after: AfterWrite) {
        let token = self.token();
        self.out.push(Command::Write { token, term: after.term, facts: after.facts.clone() });
        self.writes.insert(token, after);
    }

    /// Keeps what is new and good of some facts. Says whether all of them are, or were before.
    fn sift(&mut self, from: NodeId, facts: Vec<Fact>) -> (Vec<Fact>, bool) {
        let (mut new, mut whole) = (Vec::new(), true);
        for fact in facts {
            let verdict = self.ledger.check(&fact, self.verifier.as_ref());
            // A new one has come when it is on the disk: until then it must not be asked for again.
            if !matches!(verdict, Verdict::New) {
                self.catch_up.of_no_use(&fact.id());
            }
            match verdict {
                Verdict::New => {
                    // It proves itself: what its subject signed may stand right behind it.
                    if let Ok(Some(Body::Certificate(chain))) = fact.body() {
                        self.ledger.members.add(&chain);
                        self.meet(&chain.leaf.statement.subject);
                    }
                    new.push(fact);
                }
                Verdict::Known => {}
                Verdict::UnknownAuthor => {
                    whole = false;
                    self.deferred.put(from, fact);
                }
                Verdict::Invalid(why) => {
                    whole = false;
                    self.out.push(Command::Close(from, why));
                }
            }
        }
        (new, whole)
    }

    /// Reads facts, the certificates first.
    pub(super) fn parse(&mut self, from: NodeId, facts: Vec<Vec<u8>>) -> Vec<Fact> {
        let mut parsed: Vec<Fact> = Vec::with_capacity(facts.len());
        for bytes in facts {
            match Fact::from_bytes(bytes) {
                Ok(fact) => parsed.push(fact),
                Err(_) => self.out.push(Command::Close(from, "it sent a record that is none")),
            }
        }
        // Certificates first: the others may be signed by whom they introduce.
        parsed.sort_by_key(|fact| fact.kind() != Kind::CERTIFICATE);
        parsed
    }

    pub(super) fn take_facts(&mut self, from: NodeId, token: Option<u64>, facts: Vec<Vec<u8>>) {
        let facts = self.parse(from, facts);
        self.take_parsed(from, token, facts);
    }

    pub(super) fn take_parsed(&mut self, from: NodeId, token: Option<u64>, facts: Vec<Fact>) {
        let (new, whole) = self.sift(from, facts);
        let acknowledge: Vec<(NodeId, u64)> =
            token.filter(|_| whole).map(|token| (from, token)).into_iter().collect();
        if !new.is_empty() || !acknowledge.is_empty() {
            self.write(AfterWrite { facts: new, acknowledge, ..AfterWrite::nothing() });
        }
    }

    /// Somebody here wants facts to be known.
    pub(super) fn author(
        &mut self,
        request: u64,
        bodies: &[Body],
        signed: Vec<Fact>,
        goods: Goods,
    ) {
        let mut facts: Vec<Fact> = bodies.iter().map(|body| self.sign(body)).collect();
        for fact in signed {
            match self.ledger.check(&fact, self.verifier.as_ref()) {
                Verdict::New => facts.push(fact),
                // Sent a second time: it is replicated again, and answered like the first.
                Verdict::Known => facts.push(fact),
                Verdict::UnknownAuthor => {
                    let why = "its author is no member that is known here".to_owned();
                    self.out.push(Command::Answer(request, Err(why)));
                    return;
                }
                Verdict::Invalid(why) => {
                    self.out.push(Command::Answer(request, Err(why.to_owned())));
                    return;
                }
            }
        }
        let request = Some((request, goods));
        self.write(AfterWrite { facts, request, tell: true, ..AfterWrite::nothing() });
    }

    pub(super) fn write_failed(&mut self, now: Time, token: u64, why: &str) {
        let Some(after) = self.writes.remove(&token) else {
            return;
        };
        if let Some(term) = after.term {
            self.election.write_failed(now, term);
        }
        self.unwritable = Some(now + WRITE_AGAIN);
        self.settle_standing();
        // Who can't take facts in doesn't learn of what is to be done.
        let events = self.election.resign(now);
        self.election_events(now, events);
        let why = format!("it could not be written to this node's disk: {why}");
        if let Some((request, _)) = after.request {
            self.out.push(Command::Answer(request, Err(why.clone())));
        }
        for (node, theirs) in after.kept {
            self.send(node, Message::Kept(theirs, Err(why.clone())));
        }
        self.concluding &= after.over.is_empty();
        for attempt in after.over {
            self.worker.over(&attempt);
        }
        self.report(now);
    }

    pub(super) fn written(&mut self, now: Time, token: u64) {
        let Some(after) = self.writes.remove(&token) else {
            return;
        };
        if let Some(term) = after.term {
            let events = self.election.written(now, term, self.signer.as_ref());
            self.worker.fence(self.election.term());
            self.election_events(now, events);
        }
        for fact in &after.facts {
            self.join(now, fact);
        }
        for (node, theirs) in after.acknowledge {
            self.send(node, Message::FactsStored(theirs));
        }
        for (node, theirs) in after.kept {
            self.send(node, Message::Kept(theirs, Ok(())));
        }
        if after.tell {
            self.tell(&after.facts);
        }
        if !after.over.is_empty() {
            self.concluding = false;
            self.hand_in(now, &after.facts, after.over);
        }
        if let Some((request, mut goods)) = after.request {
            goods.facts = after.facts.iter().map(|fact| fact.as_bytes().to_vec()).collect();
            let job = after.facts.iter().find_map(Fact::scope).unwrap_or(JobId([0; 32]));
            let candidates = self.keepers(&job);
            let token = self.token();
            self.orders.insert(token, Order::Request(request, job, goods.clone()));
            let events = self.replicator.order(now, token, job, goods, candidates);
            self.replicator_events(now, events);
        }
        self.ask_for_more(now);
        let events = self.worker.review(now, &self.ledger.jobs);
        self.worker_events(now, events);
    }

    /// Joins one fact that is on disk.
    fn join(&mut self, now: Time, fact: &Fact) {
        let applied = self.ledger.apply(fact);
        self.catch_up.came(&fact.id());
        if let Some(job) = applied.job {
            self.out.push(Command::Changed(job));
            if let Some(leader) = &mut self.leader {
                match fact.kind() {
                    Kind::OUTCOMES => leader.outcomes(fact.author()),
                    _ => leader.touch(),
                }
            }
            // Only these bring tasks that were not there before.
            if matches!(fact.kind(), Kind::SPEC | Kind::CONTROL) {
                self.seek(now, job);
            }
        }
        if let Some(job) = fact.scope().filter(|job| self.ledger.jobs.is_removed(job)) {
            // Also where the removal, or a better one, was joined while this was on its way to the disk.
            self.out.push(Command::Forget(job, applied.obsolete));
        }
        if applied.set {
            self.settle_standing();
            self.out.push(Command::Set);
            if let Some(leader) = &mut self.leader {
                leader.touch();
            }
        }
        if let Some(node) = applied.revoked {
            self.out.push(Command::Close(node, "its certificate was revoked"));
            if let Some(leader) = &mut self.leader {
                leader.lose(&node);
            }
        }
        if fact.kind() == Kind::CERTIFICATE {
            let members = &self.ledger.members;
            let waited = self.deferred.take(|author| members.chain(author).is_some());
            let mut facts = Vec::new();
            for (from, waited) in waited {
                facts.extend(self.sift(from, waited).0);
            }
            if !facts.is_empty() {
                self.write(AfterWrite { facts, ..AfterWrite::nothing() });
            }
        }
    }

    /// Tells everybody of facts by gossip.
    fn tell(&mut self, facts: &[Fact]) {
        let (mut small, mut large) = (Vec::new(), Vec::new());
        let mut size = 0;
        for fact in facts {
            let length = fact.as_bytes().len();
            if length > gossip::MAX_INLINE_FACT || size + length > gossip::MAX_MESSAGE / 2 {
                large.push(fact.id());
            } else {
                size += length;
                small.push(fact.as_bytes().to_vec());
            }
        }
        if !small.is_empty() {
            self.out.push(Command::Gossip(gossip::Message::Facts(small)));
        }
        if !large.is_empty() {
            self.out.push(Command::Gossip(gossip::Message::Announce(self.me, large)));
        }
    }

    /// Whom to ask to keep something for a job: who will write its frames first, then the leader,
    /// then anybody.
    pub(super) fn keepers(&mut self, job: &JobId) -> Vec<NodeId> {
        let leader = self.election.leader();
        let deliveries: Vec<NodeId> = self
            .ledger
            .jobs
            .get(job)
            .map(|job| job.deliveries().map(|(node, _)| node).collect())
            .unwrap_or_default();
        let others: Vec<NodeId> = self.peers().collect();
        let count = others.len();
        let mut keepers = Vec::new();
        let shuffled = self.random.sample(others, count);
        for node in deliveries.into_iter().chain(leader).chain(shuffled) {
            let reachable = self.peers().any(|peer| peer == node);
            if reachable && node != self.me && !keepers.contains(&node) {
                keepers.push(node);
            }
        }
        keepers
    }

    /// After a start: what this node made or submitted and, as far as its facts tell, holds alone. Others may have
    /// kept it long ago: they are asked all the same, since who did may be gone for good, and of what is there only
    /// its id travels. For 100,000 frames that is some 800 messages of 8 KiB, one after the other, and one commit each.
    pub(super) fn find_lonely(&mut self) {
        for (id, job, spec) in self.ledger.jobs.iter() {
            let status = crate::job::status::status(job, crate::job::status::Activity::default());
            let live = status.is_some_and(|status| !status.is_over());
            if live && job.submitter() == Some(self.me) {
                let goods = Goods { trees: vec![spec.inputs], ..Goods::default() };
                self.lonely.put(id, goods);
            }
            let alone = job
                .tasks()
                .filter_map(|(_, task)| task.done())
                .filter(|done| done.author == self.me && done.holders.len() < 2);
            for done in alone {
                let blobs = done.files.iter().map(|file| file.blob).chain(done.log).collect();
                self.lonely.put(id, Goods { blobs, ..Goods::default() });
            }
        }
    }

    /// Rule 2: what is on one disk alone is brought to a second one as soon as there is one, much of a job at once,
    /// and the next as soon as that is there.
    pub(super) fn make_good(&mut self, now: Time) {
        let is_on = |order: &Order| matches!(order, Order::MakeGood(..));
        if self.orders.values().any(is_on) {
            return;
        }
        while self.peers().next().is_some()
            && let Some((job, goods)) = self.lonely.take()
        {
            // A job that was removed meanwhile needs nothing any more.
            if self.ledger.jobs.get(&job).is_none() {
                continue;
            }
            let candidates = self.keepers(&job);
            let token = self.token();
            self.orders.insert(token, Order::MakeGood(job, goods.clone()));
            let events = self.replicator.order(now, token, job, goods, candidates);
            self.replicator_events(now, events);
            return;
        }
    }

    /// A peer asks to keep blobs and facts.
    pub(super) fn asked_to_keep(
        &mut self,
        now: Time,
        from: NodeId,
        token: u64,
        job: JobId,
        goods: Goods,
    ) {
        let Goods { blobs, trees, facts } = goods;
        let facts = self.parse(from, facts);
        let mine = self.keeping.range((from, 0)..=(from, u64::MAX));
        let (waiting, size) = mine
            .fold((0, size_of_all(&facts)), |(count, size), (_, (facts, _))| {
                (count + 1, size + size_of_all(facts))
            });
        if waiting >= MAX_KEEPING || size > MAX_KEEPING_FACTS {
            let why = "it asks for more at once than is kept".to_owned();
            self.send(from, Message::Kept(token, Err(why)));
            return;
        }
        self.keeping.insert((from, token), (facts, now));
        let goods = Goods { blobs, trees, facts: Vec::new() };
        if goods == Goods::default() {
            self.stored(from, token, Ok(()));
        } else {
            self.out.push(Command::Store { from, token, goods, job });
        }
    }

    /// Tells those who asked to keep something that it is being fetched.
    pub(super) fn keep_alive(&mut self, now: Time) {
        let mut due = Vec::new();
        for ((from, token), (_, told)) in &mut self.keeping {
            if now.since(*told) >= HEARTBEAT {
                *told = now;
                due.push((*from, *token));
            }
        }
        for (from, token) in due {
            self.send(from, Message::Keeping(token));
        }
    }

    pub(super) fn stored(&mut self, from: NodeId, token: u64, stored: Result<(), String>) {
        let Some((facts, _)) = self.keeping.remove(&(from, token)) else {
            return;
        };
        if let Err(why) = stored {
            self.send(from, Message::Kept(token, Err(why)));
            return;
        }
        let (new, whole) = self.sift(from, facts);
        if whole {
            let kept = vec![(from, token)];
            self.write(AfterWrite { facts: new, kept, ..AfterWrite::nothing() });
        } else {
            let why = "a record among them is not valid here".to_owned();
            self.send(from, Message::Kept(token, Err(why)));
        }
    }

    pub(super) fn send_root(&mut self, to: NodeId) {
        let root = digest::root(self.ledger.ids());
        self.send(to, Message::Sync(Sync::Root(root)));
    }

    /// Asks for what is lacking, as far as there is room.
    pub(super) fn ask_for_more(&mut self, now: Time) {
        for (to, sync) in self.catch_up.next(now) {
            self.send(to, Message::Sync(sync));
        }
    }

    pub(super) fn sync(&mut self, now: Time, from: NodeId, sync: Sync) {
        let ids = self.ledger.ids();
        let mut grants = |facts| self.allowance.grants(now, from, facts, ids.len());
        match sync {
            // Once for the hash, and once for the summary.
            Sync::Root(_) if !grants(2 * ids.len()) => {}
            Sync::Root(root) if root != digest::root(ids) => {
                let summary = digest::summary(ids, &[]);
                self.send(from, Message::Sync(Sync::Summary(Vec::new(), summary)));
            }
            Sync::Root(_) => self.incomplete = false,
            Sync::Ask(prefixes) => {
                let mut prefixes: BTreeSet<_> = prefixes.into_iter().take(MAX_ASKED).collect();
                prefixes.retain(|prefix| grants(digest::cost(ids.len(), prefix)));
                for prefix in prefixes {
                    let summary = digest::summary(self.ledger.ids(), &prefix);
                    self.send(from, Message::Sync(Sync::Summary(prefix, summary)));
                }
            }
            // What was asked for is no imposition.
            Sync::Summary(prefix, _)
                if !self.catch_up.awaits(&from, &prefix)
                    && !grants(digest::cost(ids.len(), &prefix)) => {}
            Sync::Summary(prefix, theirs) => {
                let found = digest::compare(ids, &prefix, &theirs);
                // Of one that nobody asked for, and that is not of all, nothing follows for the rest.
                let of_all = prefix.is_empty() || self.catch_up.awaits(&from, &prefix);
                self.catch_up.found(from, &prefix, &found);
                self.incomplete &= !(of_all && self.catch_up.has_all_of(&from));
                if found.offered.len() > UNASKED {
                    if self.catch_up.invites(now, from) {
                        let ours = digest::summary(self.ledger.ids(), &prefix);
                        self.send(from, Message::Sync(Sync::Summary(prefix, ours)));
                    }
                } else if !found.offered.is_empty() {
                    self.out.push(Command::SendFacts(from, found.offered));
                }
                self.ask_for_more(now);
            }
            Sync::Want(wanted) => {
                let mut held: BTreeSet<FactId> = wanted.into_iter().take(MAX_ASKED).collect();
                held.retain(|id| ids.contains(id) && grants(SENDING));
                if !held.is_empty() {
                    self.out.push(Command::SendFacts(from, held.into_iter().collect()));
                }
            }
        }
    }
}
