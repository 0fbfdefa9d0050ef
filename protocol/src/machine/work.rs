//! Leading and working: leases out, reports in, attempts begun and concluded.

use super::{AfterWrite, Command, Machine, Order, TakenOver};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::claim::Portion;
use crate::fact::{Body, Fact, Outcomes};
use crate::ids::{BlobId, JobId, NodeId};
use crate::job::note::Notes;
use crate::job::outcome::{Ending, Outcome};
use crate::job::reuse;
use crate::job::status;
use crate::job::task::TaskKey;
use crate::leader::REPORT_PERIOD;
use crate::replicate::Goods;
use crate::settings::OnReturn;
use crate::time::Time;
use crate::wire;
use crate::wire::control::{AttemptKey, Closed, MAX_SOUGHT, Message, Phase, Report, Standing};
use crate::worker;

/// How long an engine whose licence was refused gets no further task here. Its licence server knows when
/// a seat is free, and can't tell us: often enough to take the next one, rarely enough to cost little.
const LICENCE_AGAIN: Duration = Duration::from_secs(30);
/// How many refused engines a node tells of, and how long a piece of what they said, in bytes.
const MAX_REFUSED: usize = 16;
const MAX_SAID: usize = 256;
/// How large the outcomes of one fact may be together, in bytes: it should fit into gossip.
const MAX_BATCH: usize = 12 * 1024;
/// How long an outcome waits at most, after others were signed, for those that are about to come; and for how many.
const TOGETHER: Duration = Duration::from_millis(100);
const MANY: usize = 64;
/// Of a job that failed at so many tasks no further failure is told with the end of its log, some two kilobytes. A job of
/// a hundred thousand frames that fail alike, four times each, would take a gigabyte of every node; the logs are kept.
const TELLING: usize = 100;
/// How long a leader may take to confirm an outcome before its worker goes on without.
pub(super) const HAND_IN_TIMEOUT: Duration = Duration::from_secs(3);

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
        let Some(mut leader) = self.leader.take_if(|leader| leader.is_touched()) else {
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
        let shares = self.worker.shares(&self.has());
        if !shares.is_empty() {
            self.send(leader, Message::Claims(report.seq, shares));
        }
        let standing = self.standing(now);
        if standing != Standing::default() {
            self.send(leader, Message::Standing(standing));
        }
        self.send(leader, Message::Report(Box::new(report)));
    }

    /// What attempts may use of this node.
    #[must_use]
    pub fn has(&self) -> Portion {
        self.adverts.get(&self.me).map(|me| Portion::all(&me.hardware)).unwrap_or_default()
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
            .or(self.unwritable.map(|_| Closed::Disk))
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
            let events = self.worker.assign(now, grant, &self.has(), &self.ledger.jobs);
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

    /// Whether the failure of an attempt would end its task, which the spec's tries don't ask for: a second
    /// attempt is there to gain time, and must not take from the first what it may still do.
    fn is_to_spare(&self, attempt: &AttemptKey) -> bool {
        let Some(job) = self.ledger.jobs.get(&attempt.job) else { return false };
        let Some(task) = job.task(&attempt.task) else { return false };
        let tries = job.retries().saturating_add(1);
        let last = task.failures_now().count() >= job.retries() as usize;
        let beyond = attempt.attempt > tries && attempt.attempt > task.next_attempt();
        task.generation == attempt.generation && last && beyond
    }

    /// An attempt's engine ended: what it made goes to a second node, then its outcome is signed.
    pub(super) fn ended(&mut self, now: Time, attempt: AttemptKey, mut outcome: Box<Outcome>) {
        let Some(term) = self.worker.term_of(&attempt) else {
            // Nobody waits for it any more; others of its run may wait for the same inputs in vain.
            self.worker.unprepared(&attempt);
            return;
        };
        if !outcome.is_done() && self.is_to_spare(&attempt) {
            self.undone(now, &[attempt]);
            return;
        }
        outcome.term = term;
        let events = self.worker.finishing(&attempt);
        self.worker_events(now, events);
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
        self.replicator_events(now, events);
    }

    /// Hands the outcomes of attempts in to the leader. They are over once it has them on its disk:
    /// were they gone from a report before that, it would take them for dropped. Who leads hands its own in to
    /// another node, so that they too are on two disks: to one whose disk takes them, where there is such.
    pub(super) fn hand_in(&mut self, now: Time, facts: &[Fact], over: Vec<AttemptKey>) {
        let token = self.token();
        let to = match self.election.leader() {
            Some(leader) if leader == self.me => {
                let full = |node: &NodeId| {
                    let told = self.leader.as_ref().and_then(|leader| leader.told(node));
                    told.is_some_and(|standing| standing.closed == Some(Closed::Disk))
                };
                let others = self.reachable().into_iter().filter(|node| *node != self.me);
                let (full, others): (Vec<NodeId>, Vec<NodeId>) = others.partition(full);
                let others = if others.is_empty() { full } else { others };
                self.random.sample(others, 1).into_iter().next()
            }
            leader => leader.filter(|leader| self.connected.contains(leader)),
        };
        match to {
            Some(other) => {
                let bytes = facts.iter().map(|fact| fact.as_bytes().to_vec()).collect();
                self.send(other, Message::Facts(Some(token), bytes));
                self.reported.insert(token, (other, over, now));
            }
            None => {
                self.reported.insert(token, (self.me, over, now));
                self.settle(now, token);
            }
        }
    }

    /// Another node has what was handed in under this token.
    pub(super) fn settle(&mut self, now: Time, token: u64) {
        let Some((_, over, _)) = self.reported.remove(&token) else { return };
        for attempt in over {
            self.worker.over(&attempt);
        }
        self.report(now);
    }

    /// Gives up waiting for a node that is gone, or does not answer: others know the outcome.
    pub(super) fn settle_overdue(&mut self, now: Time, gone: Option<NodeId>) {
        let overdue: Vec<u64> = self
            .reported
            .iter()
            .filter(|(_, (node, _, since))| {
                Some(*node) == gone || now.since(*since) >= HAND_IN_TIMEOUT
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
        if let Ending::Failed { message, .. } = &mut outcome.ending
            && let Some(line) = message.find('\n')
            && self.ledger.jobs.get(&attempt.job).is_some_and(|job| job.has_failed_at(TELLING))
        {
            message.truncate(line);
        }
        let goods = Goods { blobs: outcome.blobs().collect(), ..Goods::default() };
        if holder.is_none() && !goods.blobs.is_empty() {
            self.lonely.put(attempt.job, goods);
        }
        self.concluded.entry(attempt.job).or_default().push((attempt, outcome));
    }

    /// Who leads has stored results sought, before it hands out what they may be for.
    pub(super) fn seek(&mut self, now: Time, job: JobId) {
        let Some(leader) = &mut self.leader else { return };
        let known = self.ledger.jobs.get(&job);
        if known.is_none_or(|job| reuse::wanted(job).next().is_none()) {
            return;
        }
        // Results are signed by those whose machines render: where this one doesn't, another is asked.
        let renders = |node: &NodeId| self.adverts.get(node).is_some_and(|n| n.role.renders());
        if renders(&self.me) {
            leader.seek(now, job);
            self.out.push(Command::Seek(job));
        } else if let Some(other) = self.connected.iter().copied().find(renders) {
            leader.seek(now, job);
            self.send(other, Message::Sought(job, None));
        }
    }

    /// Word of stored results, from this node or another: it is for the leader.
    pub(super) fn sought(&mut self, now: Time, job: JobId, bringing: BTreeSet<TaskKey>) {
        match &mut self.leader {
            Some(leader) => leader.sought(now, job, bringing),
            None => {
                if let Some(leader) = self.election.leader() {
                    let bringing = bringing.into_iter().take(MAX_SOUGHT).collect();
                    self.send(leader, Message::Sought(job, Some(bringing)));
                }
            }
        }
    }

    /// Stored results of other jobs are here: a second node keeps them for this job's sake, as any result, one that has
    /// them already where there is one; then they become facts.
    pub(super) fn taken_over(
        &mut self,
        now: Time,
        job: JobId,
        taken: TakenOver,
        holders: &[NodeId],
    ) {
        let (results, _, blobs) = &taken;
        if self.ledger.jobs.get(&job).is_none() || results.is_empty() {
            return;
        }
        let goods = Goods { blobs: blobs.clone(), ..Goods::default() };
        let mut candidates = self.keepers(&job);
        candidates.sort_by_key(|node| {
            holders.iter().position(|holder| holder == node).unwrap_or(holders.len())
        });
        let token = self.token();
        self.orders.insert(token, Order::TakenOver(job, taken));
        let events = self.replicator.order(now, token, job, goods, candidates);
        self.replicator_events(now, events);
    }

    /// What was taken over is where it should be.
    pub(super) fn take_over(
        &mut self,
        job: JobId,
        (mut results, notes, blobs): TakenOver,
        holder: Option<NodeId>,
    ) {
        let term = self.election.term();
        for outcome in &mut results {
            outcome.term = term;
            outcome.holders = std::iter::once(self.me).chain(holder).collect();
        }
        if holder.is_none() && !blobs.is_empty() {
            self.lonely.put(job, Goods { blobs, ..Goods::default() });
        }
        let outcomes = batches(results).into_iter();
        let outcomes = outcomes.map(|outcomes| Body::Outcomes(Outcomes { job, outcomes }));
        let notes = batches(notes).into_iter().map(|notes| Body::Notes(Notes { job, notes }));
        self.publish(&outcomes.chain(notes).collect::<Vec<_>>());
    }

    /// Signs what has ended since the last write of outcomes began, unless that is under way still: the
    /// slower the disk, the more go into one fact. Where others are about to end as well, what ended waits for
    /// them a little: of tasks that take some milliseconds each a write of its own, at three nodes, is the larger part.
    pub(super) fn sign_outcomes(&mut self, now: Time) {
        let waiting = self.concluded.values().map(Vec::len).sum::<usize>();
        if self.concluding || waiting == 0 {
            return;
        }
        let more = waiting < MANY && waiting < self.worker.running();
        if more && self.signed.is_some_and(|last| now.since(last) < TOGETHER) {
            return;
        }
        self.signed = Some(now);
        let (mut facts, mut over) = (Vec::new(), Vec::new());
        for (job, ended) in std::mem::take(&mut self.concluded) {
            let (attempts, outcomes): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
            over.extend(attempts);
            for outcomes in batches(outcomes) {
                facts.push(self.sign(&Body::Outcomes(Outcomes { job, outcomes })));
            }
        }
        self.concluding = true;
        self.write(AfterWrite { facts, over, tell: true, ..AfterWrite::nothing() });
    }
}

/// Cuts what is to be signed into pieces that fit into gossip, in its order.
fn batches<T: serde::Serialize>(all: Vec<T>) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut size = 0;
    for one in all {
        let length = wire::encode(&one).len();
        match batches.last_mut().filter(|_| size + length <= MAX_BATCH) {
            Some(batch) => {
                size += length;
                batch.push(one);
            }
            None => {
                size = length;
                batches.push(vec![one]);
            }
        }
    }
    batches
}
