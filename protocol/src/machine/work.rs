//! Leading and working: leases out, reports in, attempts begun and concluded.

use super::{AfterWrite, Command, Machine, Order};
use std::time::Duration;

use crate::fact::{Body, Fact, Outcomes};
use crate::ids::{BlobId, JobId, NodeId};
use crate::job::outcome::Outcome;
use crate::job::status;
use crate::leader::REPORT_PERIOD;
use crate::replicate::Goods;
use crate::settings::OnReturn;
use crate::time::Time;
use crate::wire;
use crate::wire::control::{AttemptKey, Closed, Message, Phase, Report, Standing};
use crate::worker;

/// How long an engine whose licence was refused gets no further task here. Its licence server knows when
/// a seat is free, and can't tell us: often enough to take the next one, rarely enough to cost little.
const LICENCE_AGAIN: Duration = Duration::from_secs(30);
/// How many refused engines a node tells of, and how long a piece of what they said, in bytes.
const MAX_REFUSED: usize = 16;
const MAX_SAID: usize = 256;
/// How large the outcomes of one fact may be together, in bytes: it should fit into gossip.
const MAX_BATCH: usize = 12 * 1024;
/// How long a leader may take to confirm an outcome before its worker goes on without.
const HAND_IN_TIMEOUT: Duration = Duration::from_secs(3);

impl Machine {
    /// How a job's leases stand, by this node's own knowledge.
    #[must_use]
    pub fn activity(&self, job: &JobId) -> status::Activity {
        let phases: Vec<Phase> = match &self.leader {
            Some(leader) => leader.leases_of(job).map(|held| held.phase).collect(),
            None => {
                let own = self.worker.attempts().filter(|(key, _)| key.job == *job);
                own.map(|(_, phase)| phase).collect()
            }
        };
        let preparing = phases.iter().filter(|phase| **phase == Phase::Preparing).count();
        status::Activity { preparing, rendering: phases.len() - preparing }
    }

    pub(super) fn lead(&mut self, now: Time) {
        let Some(mut leader) = self.leader.take() else {
            return;
        };
        let reachable = self.reachable();
        let sends = leader.tick(now, &self.ledger, &self.adverts, &reachable);
        self.leader = Some(leader);
        for (to, message) in sends {
            self.send(to, message);
        }
    }

    pub(super) fn report(&mut self, now: Time) {
        self.next_report = now + REPORT_PERIOD;
        let Some((term, leader)) = self.election.claim().map(|claim| (claim.term, claim.leader))
        else {
            return;
        };
        let report = self.worker.report(term);
        let standing = self.standing(now);
        if standing != Standing::default() {
            self.send(leader, Message::Standing(standing));
        }
        self.send(leader, Message::Report(Box::new(report)));
    }

    /// What keeps this node from taking work.
    #[must_use]
    pub fn standing(&self, now: Time) -> Standing {
        let refused = self.refused.iter().filter(|(_, (until, _))| *until > now);
        Standing {
            closed: self.closed(),
            refused: refused.map(|(engine, (_, said))| (engine.clone(), said.clone())).collect(),
        }
    }

    fn closed(&self) -> Option<Closed> {
        let drained = self.ledger.settings.drained(&self.me).map(|_| Closed::Drained);
        let in_use = self.in_use.is_some_and(|what| what != OnReturn::Ignore);
        drained
            .or((!self.within_hours).then_some(Closed::Hours))
            .or(in_use.then_some(Closed::InUse))
    }

    /// Whether this node takes new work may have changed.
    pub(super) fn settle_standing(&mut self) {
        self.worker.close(self.closed().is_some());
        self.worker.give_way(self.in_use == Some(OnReturn::Requeue));
    }

    /// An engine found no licence: its attempt is handed back, and others are tried before this node
    /// is again.
    pub(super) fn licence_refused(
        &mut self,
        now: Time,
        attempt: &AttemptKey,
        engine: String,
        mut said: String,
    ) {
        said.truncate(said.floor_char_boundary(MAX_SAID));
        self.refused.retain(|_, (until, _)| *until > now);
        if self.refused.len() < MAX_REFUSED {
            self.refused.insert(engine, (now + LICENCE_AGAIN, said));
        }
        self.worker.over(attempt);
        self.report(now);
    }

    pub(super) fn take_report(&mut self, now: Time, from: NodeId, report: &Report) {
        let Some(leader) = &mut self.leader else {
            // Whoever reports here follows a leader that is none (any more): the claim that is
            // known here helps it on.
            if let Some(claim) = self.election.claim().cloned() {
                self.send(from, Message::Claim(claim));
            }
            return;
        };
        leader.report(now, from, report);
        let term = self.election.term();
        self.send(from, Message::Reported(term, report.seq));
    }

    pub(super) fn worker_events(&mut self, now: Time, events: Vec<worker::Event>) {
        let changed = !events.is_empty();
        for event in events {
            self.out.push(Command::Work(event));
        }
        if changed {
            self.report(now);
        }
    }

    /// A leader grants attempts; who is none is not obeyed.
    pub(super) fn assigned(&mut self, now: Time, from: NodeId, grant: worker::Grant) {
        let renders = self.adverts.get(&self.me).is_some_and(|me| me.role.renders());
        if renders && self.election.obeys(&from, grant.term) {
            if self.ledger.jobs.get(&grant.lease.attempt.job).is_none() {
                // Its spec is on its way, or was missed: comparing facts brings it.
                self.send_root(from);
            }
            let events = self.worker.assign(now, grant);
            self.worker_events(now, events);
        }
    }

    /// An engine ended before it came to these: they are handed back.
    pub(super) fn undone(&mut self, now: Time, attempts: &[AttemptKey]) {
        for attempt in attempts {
            self.worker.over(attempt);
        }
        self.report(now);
    }

    pub(super) fn prepared(&mut self, now: Time, attempt: &AttemptKey, inputs: Option<BlobId>) {
        let events = self.worker.prepared(now, attempt, inputs, &self.ledger.jobs);
        self.worker_events(now, events);
    }

    /// An attempt's engine ended: what it made goes to a second node, then its outcome is signed.
    pub(super) fn ended(&mut self, now: Time, attempt: AttemptKey, mut outcome: Box<Outcome>) {
        let Some(term) = self.worker.term_of(&attempt) else {
            return;
        };
        outcome.term = term;
        self.worker.finishing(&attempt);
        let goods = Goods { blobs: outcome.blobs().collect(), ..Goods::default() };
        if goods.blobs.is_empty() {
            // There is nothing but the outcome itself, which the leader keeps as well.
            self.conclude(attempt, *outcome, None);
            return;
        }
        let candidates = self.keepers(&attempt.job);
        let token = self.token();
        self.orders.insert(token, Order::Outcome(attempt, outcome));
        let events = self.replicator.order(now, token, attempt.job, goods, candidates);
        self.replicator_events(events);
    }

    /// Hands the outcomes of attempts in to the leader. They are over once it has them on its disk:
    /// were they gone from a report before that, it would take them for dropped.
    pub(super) fn hand_in(&mut self, now: Time, facts: &[Fact], over: Vec<AttemptKey>) {
        let leader = self.election.claim().map(|claim| claim.leader);
        let token = self.token();
        match leader.filter(|leader| self.connected.contains(leader)) {
            Some(leader) => {
                let bytes = facts.iter().map(|fact| fact.as_bytes().to_vec()).collect();
                self.send(leader, Message::Facts(Some(token), bytes));
                self.reported.insert(token, (leader, over, now));
            }
            None => {
                self.reported.insert(token, (self.me, over, now));
                self.settle(now, token);
            }
        }
    }

    /// The leader has what was handed in under this token.
    pub(super) fn settle(&mut self, now: Time, token: u64) {
        let Some((_, over, _)) = self.reported.remove(&token) else { return };
        for attempt in over {
            self.worker.over(&attempt);
        }
        self.report(now);
    }

    /// Gives up waiting for a leader that is gone, or does not answer: others know the outcome.
    pub(super) fn settle_overdue(&mut self, now: Time, gone: Option<NodeId>) {
        let overdue: Vec<u64> = self
            .reported
            .iter()
            .filter(|(_, (leader, _, since))| {
                Some(*leader) == gone || now.since(*since) >= HAND_IN_TIMEOUT
            })
            .map(|(token, _)| *token)
            .collect();
        for token in overdue {
            self.settle(now, token);
        }
    }

    /// What an attempt made is where it should be: its outcome becomes a fact.
    pub(super) fn conclude(
        &mut self,
        attempt: AttemptKey,
        mut outcome: Outcome,
        holder: Option<NodeId>,
    ) {
        outcome.holders = std::iter::once(self.me).chain(holder).collect();
        let goods = Goods { blobs: outcome.blobs().collect(), ..Goods::default() };
        if holder.is_none() && !goods.blobs.is_empty() {
            self.lonely.push_back((attempt.job, goods));
        }
        self.concluded.entry(attempt.job).or_default().push((attempt, outcome));
        self.sign_outcomes();
    }

    /// Signs what has ended since the last write of outcomes began, unless that is under way still: the
    /// slower the disk, the more go into one fact.
    pub(super) fn sign_outcomes(&mut self) {
        if self.concluding || self.concluded.is_empty() {
            return;
        }
        let (mut facts, mut over) = (Vec::new(), Vec::new());
        for (job, ended) in std::mem::take(&mut self.concluded) {
            let mut outcomes = Vec::new();
            let mut size = 0;
            for (attempt, outcome) in ended {
                over.push(attempt);
                let length = wire::encode(&outcome).len();
                if size + length > MAX_BATCH && !outcomes.is_empty() {
                    let outcomes = std::mem::take(&mut outcomes);
                    facts.push(self.sign(&Body::Outcomes(Outcomes { job, outcomes })));
                    size = 0;
                }
                size += length;
                outcomes.push(outcome);
            }
            facts.push(self.sign(&Body::Outcomes(Outcomes { job, outcomes })));
        }
        self.concluding = true;
        self.write(AfterWrite { facts, over, tell: true, ..AfterWrite::nothing() });
    }
}
