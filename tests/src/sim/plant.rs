//! Planted bugs of joins: what the machine joined is joined anew, wrongly.

use std::collections::{BTreeMap, BTreeSet};

use weft_protocol::fact::{Body, Fact};
use weft_protocol::job::control::Action;
use weft_protocol::job::table::Jobs;
use weft_protocol::wire::control::{AttemptKey, Lease};

use super::planted::Planted;
use super::world::World;

impl World {
    /// An attempt claims nothing, as its machine sees it; its engine takes what was leased all the same.
    pub(super) fn forget_claim(&mut self, number: usize, lease: &mut Lease, more: &[AttemptKey]) {
        let nothing = Lease { cores: 0, ram: 0, gpus: Vec::new(), attempt: lease.attempt };
        let real = std::mem::replace(lease, nothing);
        for attempt in more.iter().chain([&real.attempt]) {
            let real = Lease { attempt: *attempt, ..real.clone() };
            self.nodes[number].real_leases.insert(*attempt, real);
        }
    }

    /// Facts count although they are not on the disk.
    pub(super) fn join_early(&mut self, number: usize, facts: &[Vec<u8>]) {
        let check = self.check;
        let Some(machine) = &mut self.nodes[number].machine else { return };
        for fact in facts.iter().filter_map(|bytes| Fact::from_bytes(bytes.clone()).ok()) {
            if machine.ledger.check(&fact, &check) == weft_protocol::ledger::Verdict::New
                && let Some(job) = machine.ledger.apply(&fact).job
            {
                self.notices.push(super::record::Notice::Changed(number, job));
            }
        }
    }

    /// Joins anew what came to a node, in the order in which it came, with a bug in it.
    pub(super) fn plant_after_join(&mut self, number: usize, facts: &[Fact]) {
        let last_wins = match self.planted {
            Some(Planted::LastResultWins) => true,
            Some(Planted::CancelForgets) => false,
            _ => return,
        };
        let node = &mut self.nodes[number];
        let Some(machine) = &mut node.machine else { return };
        if node.arrived.is_empty() {
            node.arrived.extend(node.disk.facts.values().cloned());
        } else {
            node.arrived.extend(facts.iter().cloned());
        }
        let mut latest = BTreeMap::new();
        for (at, fact) in node.arrived.iter().enumerate() {
            if let Ok(Some(Body::Outcomes(batch))) = fact.body() {
                for outcome in batch.outcomes.iter().filter(|outcome| outcome.is_done()) {
                    latest.insert((batch.job, outcome.task, outcome.generation), at);
                }
            }
        }
        let mut jobs = Jobs::new();
        let mut cancelled = BTreeSet::new();
        for (at, fact) in node.arrived.iter().enumerate() {
            let Ok(Some(body)) = fact.body() else { continue };
            match &body {
                Body::Outcomes(batch) if last_wins => {
                    let superseded = batch.outcomes.iter().all(|outcome| {
                        let key = (batch.job, outcome.task, outcome.generation);
                        latest.get(&key).is_some_and(|latest| *latest > at)
                    });
                    if superseded {
                        continue;
                    }
                }
                Body::Outcomes(batch) if cancelled.contains(&batch.job) => continue,
                Body::Control(control) if control.action == Action::Cancel => {
                    cancelled.insert(control.job);
                }
                _ => {}
            }
            jobs.apply(fact.id(), fact.author(), &body);
        }
        machine.ledger.jobs = jobs;
    }
}
