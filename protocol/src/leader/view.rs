//! What a leader knows, as the scheduler sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Leader;
use super::held::{Held, Share, Shares};
use super::leases::Key;
use crate::claim::Portion;
use crate::ids::{JobId, NodeId};
use crate::job::table::Job;
use crate::job::task::TaskKey;
use crate::job::trouble::benched;
use crate::ledger::Ledger;
use crate::schedule::{NodeView, Process, Rendering, Room, View};
use crate::time::Time;
use crate::wire::control::{Advert, AttemptKey, Closed, Phase};
use crate::worker::MAX_ATTEMPTS;

/// For which steps of jobs nodes are had whole.
type Whole = BTreeMap<NodeId, BTreeSet<(JobId, u16)>>;

impl Leader {
    /// Which nodes are had whole, and for which steps of jobs; and the processes that have shares of others, each
    /// with one of its attempts, and how many attempts there are of those.
    fn claimed(&self) -> (Whole, Shares, BTreeMap<NodeId, usize>) {
        let (mut whole, mut shares, mut attempts) = (Whole::new(), Shares::new(), BTreeMap::new());
        // Mostly the next lease is for the next frame of the same run.
        let mut last = None;
        for held in self.leases() {
            let AttemptKey { job, task: TaskKey { step, .. }, .. } = held.attempt;
            match &held.share {
                None if last == Some((held.node, job, step)) => {}
                None => {
                    whole.entry(held.node).or_default().insert((job, step));
                    last = Some((held.node, job, step));
                }
                Some(share) => {
                    let of = shares.entry(held.node).or_default();
                    of.insert(share.number, (held.attempt, Arc::clone(share)));
                    *attempts.entry(held.node).or_default() += 1;
                }
            }
        }
        (whole, shares, attempts)
    }

    /// What is free of a node that has so much: what its tasks have claimed is not.
    #[must_use]
    pub fn free(&self, node: &NodeId, has: Portion) -> Portion {
        let held = || self.leases.of_node(node).chain(self.seconds.of_node(node));
        if held().any(|held| held.share.is_none()) {
            return Portion::default();
        }
        let shares: BTreeMap<u64, &Portion> =
            held().filter_map(|held| Some((held.share.as_ref()?.number, held.claim()?))).collect();
        shares.into_values().fold(has, |left, claim| left.without(claim))
    }

    /// What the scheduler sees; of attempts that may be late only with each `sweep`. Who holds what is lent.
    pub(super) fn view(
        &mut self,
        now: Time,
        sweep: bool,
        ledger: &Ledger,
        adverts: &BTreeMap<NodeId, Advert>,
        alive: &BTreeSet<NodeId>,
    ) -> View {
        let Ledger { jobs, settings, .. } = ledger;
        let (whole, shares, attempts) = self.claimed();
        if self.benched.0 != Some(ledger.revision()) {
            let nodes = benched(jobs, settings).into_keys().collect();
            self.benched = (Some(ledger.revision()), nodes);
        }
        let benched = &self.benched.1;
        let absent = || self.absent.iter().filter(|(node, _)| !adverts.contains_key(*node));
        let is_member = |node: &NodeId| !ledger.members.is_revoked(node);
        let known = || adverts.iter().chain(absent()).filter(|(node, _)| is_member(node));
        let mut nodes = std::mem::take(&mut self.views.1);
        if self.views.0 != Some(ledger.settings_revision()) {
            nodes.clear();
        }
        let mut count = 0;
        for (node, advert) in known() {
            count += 1;
            let there = alive.contains(node);
            let worker = self.workers.get(node);
            let reports = self.hears(now, node);
            let standing = worker.map(|worker| &worker.standing.0);
            let attempts = attempts.get(node).copied().unwrap_or(0);
            let full = whole.contains_key(node) || attempts >= MAX_ATTEMPTS;
            let room = match shares.get(node) {
                _ if !there || !reports || full => Room::Nothing,
                None => Room::Whole,
                Some(shares) => {
                    let all = Portion::all(&advert.hardware);
                    let left = shares.values().fold(all, |left, (_, s)| left.without(&s.claim));
                    Room::Part(left)
                }
            };
            // It says only which of those with room is taken.
            let has_room = room != Room::Nothing;
            let held = worker.map(|worker| &worker.held);
            let held = held.filter(|held| has_room && !held.is_empty());
            let holds = held
                .into_iter()
                .flat_map(|held| jobs.iter().filter(|(_, _, spec)| held.contains(&spec.inputs)));
            if self.adverts.get(node) != Some(&advert.revision) {
                self.adverts.insert(*node, advert.revision);
                nodes.remove(node);
            }
            let view = nodes.entry(*node).or_insert_with(|| NodeView {
                hardware: advert.hardware.clone(),
                engines: advert.engines.clone(),
                tags: advert.tags.clone(),
                price: settings.price(advert),
                renders: advert.role.renders(),
                ..NodeView::default()
            });
            (view.off, view.room, view.attempts) = (!there, room, attempts);
            view.closed = None
                .or_else(|| settings.drained(node).map(|_| Closed::Drained))
                .or_else(|| standing.and_then(|standing| standing.closed))
                .or_else(|| benched.contains(node).then_some(Closed::Benched));
            view.refused = standing.map(|standing| standing.refused.clone()).unwrap_or_default();
            view.holds = holds.map(|(id, _, _)| id).collect();
        }
        self.views.0 = Some(ledger.settings_revision());
        if nodes.len() > count {
            let known: BTreeSet<&NodeId> = known().map(|(node, _)| node).collect();
            nodes.retain(|node, _| known.contains(node));
        }
        let (limits, served) = (settings.limits(), std::mem::take(&mut self.served));
        let mut view = View { nodes, limits, served, ..View::default() };
        for (node, shares) in shares {
            let process = |(at, share): (AttemptKey, Arc<Share>)| {
                let (job, step, claim) = (at.job, at.task.step, share.claim.clone());
                Process { node, job, step, claim }
            };
            view.processes.extend(shares.into_values().map(process));
        }
        // Who shares may have claimed all that there is.
        for (node, processes) in whole {
            let shares = |job: &JobId| jobs.get(job).and_then(Job::spec).is_some_and(|s| s.share);
            let all = view.nodes.get(&node).map(|node| Portion::all(&node.hardware));
            let claim = all.unwrap_or_default();
            for (job, step) in processes.into_iter().filter(|(job, _)| shares(job)) {
                view.processes.push(Process { node, job, step, claim: claim.clone() });
            }
        }
        let sought = self.sought.iter();
        view.sought = sought.map(|(job, (_, _, tasks))| (*job, tasks.clone())).collect();
        if sweep {
            view.rendering = self.leases.iter().filter_map(|of| self.rendering(now, of)).collect();
        }
        (view.leased, view.seconds) = (self.leases.lend(), self.seconds.lend());
        view
    }

    /// An attempt that renders, at a task of which no second was made.
    fn rendering(&self, now: Time, (key, held): (&Key, &Held)) -> Option<Rendering> {
        let Held { node, attempt, phase: Phase::Rendering(progress), rendering, .. } = *held else {
            return None;
        };
        let elapsed = u64::try_from(now.since(rendering?).as_millis()).unwrap_or(u64::MAX);
        let doubled = self.seconds.contains(key)
            || self.doubled.contains(&(key.0, key.1, attempt.generation));
        (!doubled).then_some(Rendering { node, attempt, elapsed, progress })
    }
}
