//! After the faults stop: a leader that everyone follows within 10 s, to whom everyone reports and with equal
//! replicas within 30 s, and every frame that can be rendered is, within a time that follows from what is left.
//!
//! Design, rule 1: "the leader optimises; it is never an authority"; "Repair: a node that slept
//! for a week catches up by itself".

use std::collections::BTreeSet;

use weft_protocol::ids::{FactId, NodeId};
use weft_protocol::job::status::{Activity, Status, startable, status};
use weft_protocol::machine::Machine;

use super::Invariant;
use crate::sim::{Moment, Node, SECOND, World};

/// How long a leader may be wanting.
const LEADER: Moment = 10 * SECOND;
/// How long replicas may differ.
const REPLICAS: Moment = 30 * SECOND;
/// What a frame may take besides its engine: leasing, fetching, a second copy, handing in, and a
/// try that was in vain.
const OVERHEAD: Moment = 30 * SECOND;

/// How long everybody may be idle while something could start: a lease that nobody holds any more
/// ends, a new leader waits for reports, inputs are sought in vain.
const IDLE: Moment = 40 * SECOND;

/// What must come right, and by when.
#[derive(Default)]
pub(super) struct Recovery {
    /// Until when all work must be done.
    due: Option<Moment>,
    /// Since when nobody does anything though something could be done.
    idle_since: Option<Moment>,
}

impl Recovery {
    fn one_leader(world: &World) -> Result<(), String> {
        let leaders: BTreeSet<Option<NodeId>> =
            world.up().map(|(_, _, machine)| machine.election.leader()).collect();
        let leads = world.up().filter(|(.., machine)| machine.election.leads()).count();
        match leaders.len() == 1 && leads == 1 {
            true => Ok(()),
            false => Err(format!("{leads} lead, and these are followed: {leaders:?}")),
        }
    }

    /// Whoever stood still, or was away, reports again: a leader gives nothing to others.
    fn all_report(world: &World) -> Result<(), String> {
        for (number, node, machine) in world.up() {
            let Some(leader) = &machine.leader else { continue };
            let heard = |other: &Node| leader.hears(node.now(world.now), &other.id);
            if let Some((silent, ..)) = world.up().find(|(_, other, _)| !heard(other)) {
                return Err(format!("node{silent} doesn't report to node{number}, which leads"));
            }
        }
        Ok(())
    }

    fn equal_replicas(world: &World) -> Result<(), String> {
        let old = |at: Moment| at + REPLICAS < world.now;
        // Facts of a job that is being removed go here before they go there.
        let going = world.record.removed.iter().filter(|(_, at)| !old(**at));
        let going: BTreeSet<FactId> = going
            .flat_map(|(job, _)| world.up().flat_map(|(.., machine)| machine.ledger.facts_of(job)))
            .collect();
        let born = world.record.born.iter().filter(|(id, at)| old(**at) && !going.contains(id));
        for (id, _) in born {
            let mut holders = BTreeSet::new();
            let mut lack = BTreeSet::new();
            for (number, _, machine) in world.up() {
                match machine.ledger.ids().contains(id) {
                    true => holders.insert(number),
                    false => lack.insert(number),
                };
            }
            if !holders.is_empty() && !lack.is_empty() {
                return Err(format!("{id:?} is known to {holders:?} and not to {lack:?}"));
            }
        }
        Ok(())
    }

    /// A frame that could start, if no machine does anything.
    fn neglected(world: &World) -> Option<String> {
        let busy = |machine: &Machine| machine.worker.running() > 0;
        if world.up().any(|(_, node, machine)| busy(machine) || !node.runs.is_empty()) {
            return None;
        }
        // Where everybody is drained, people mean it.
        let renders = |(_, node, machine): &(usize, &Node, &Machine)| {
            node.role().renders() && machine.ledger.settings.drained(&node.id).is_none()
        };
        world.up().find(renders)?;
        let (number, _, machine) = world.up().next()?;
        machine.ledger.jobs.iter().find_map(|(id, job, _)| {
            let frame = startable(job).next()?.frame;
            let leaders = world.up().filter_map(|(_, _, machine)| machine.leader.as_ref());
            let why: Vec<_> = leaders.filter_map(|leader| leader.waiting().get(&id)).collect();
            Some(format!(
                "node{number} sees frame {frame} of {id:?} wait, and everybody is idle; leaders say {why:?}"
            ))
        })
    }

    /// How long everything that can be rendered may take, one after the other on the slowest.
    fn bound(world: &World) -> Moment {
        let mut bound = 60 * SECOND;
        let Some((.., machine)) = world.up().next() else { return bound };
        for (id, job, spec) in machine.ledger.jobs.iter() {
            let longest = world.record.longest.get(&id).copied().unwrap_or(10) * SECOND * 5 / 2;
            let tasks = job.open().count() as u64;
            bound += tasks * (longest + OVERHEAD) * u64::from(spec.retries + 2) / 2;
        }
        bound
    }

    /// What can never be rendered must not keep a job from its end.
    fn undecided(world: &World) -> Option<String> {
        let (number, _, machine) = world.up().next()?;
        machine.ledger.jobs.iter().find_map(|(id, job, _)| {
            let status = status(job, Activity::default())?;
            let people = matches!(status, Status::Paused | Status::AwaitingApproval);
            let ends = status.is_over() || people;
            (!ends)
                .then(|| format!("node{number} sees {id:?} {status:?}, and nothing of it starts"))
        })
    }

    fn left(world: &World) -> Option<String> {
        world.up().find_map(|(number, node, machine)| {
            let waiting = machine.ledger.jobs.iter().find_map(|(id, job, _)| {
                let key = startable(job).next()?;
                Some(format!("node{number} sees frame {} of {id:?} wait", key.frame))
            });
            let running = node.runs.keys().next();
            waiting.or_else(|| running.map(|key| format!("node{number} is at {key:?}")))
        })
    }
}

impl Invariant for Recovery {
    fn name(&self) -> &'static str {
        "recovery"
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        // Whoever comes or goes meanwhile has that time as well.
        if world.calm_for() > LEADER && world.now > world.record.stirred + LEADER {
            Self::one_leader(world)?;
        }
        let settled = world.calm_for() > REPLICAS && world.now > world.record.stirred + REPLICAS;
        if settled && (world.now / SECOND).is_multiple_of(10) {
            Self::all_report(world)?;
            Self::equal_replicas(world)?;
        }
        let neglected = (world.calm_for() > 0).then(|| Self::neglected(world)).flatten();
        let Some(what) = neglected else {
            self.idle_since = None;
            return Ok(());
        };
        match world.now - *self.idle_since.get_or_insert(world.now) > IDLE {
            true => Err(what),
            false => Ok(()),
        }
    }

    fn finished(&mut self, world: &World) -> Result<bool, String> {
        let due = *self.due.get_or_insert_with(|| world.now + Self::bound(world));
        if world.calm_for() < 2 * REPLICAS {
            return Ok(false);
        }
        match Self::left(world) {
            None => Ok(true),
            Some(what) if world.now > due => Err(format!("work is left over: {what}")),
            Some(_) => Ok(false),
        }
    }

    fn end(&mut self, world: &World) -> Result<(), String> {
        Self::undecided(world).map_or(Ok(()), Err)
    }
}
