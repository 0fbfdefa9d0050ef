//! Queues and memory stay bounded, and what waited is gone once nothing fails any more.
//!
//! Style, "Bound everything: queues, in-flight bytes per peer, lengths before allocation".

use weft_protocol::fact::Fact;
use weft_protocol::ids::{JobId, NodeId};

use super::Invariant;
use crate::sim::{SECOND, World};

/// More than this in one queue of one machine is not the simulated load's, which is small.
const MOST: usize = 2048;
/// More than this between all machines likewise.
const MOST_EVENTS: usize = 50_000;
/// When, after the last fault, nothing may wait any more but what runs.
const EMPTY: u64 = 60 * SECOND;

/// Nothing to remember.
#[derive(Default)]
pub(super) struct Bounds;

impl Invariant for Bounds {
    fn name(&self) -> &'static str {
        "queues are bounded"
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        if world.queued() > MOST_EVENTS {
            return Err(format!("{} things are still to happen", world.queued()));
        }
        for (number, node, machine) in world.up() {
            // Each peer has its own room there, and a liar names facts without end.
            let liars = world.nodes.iter().filter(|node| node.liar).count();
            let most = |queue| if queue == "catch_up" { MOST * (1 + liars) } else { MOST };
            let queues = machine.queues();
            let full = queues.into_iter().find(|(queue, length)| *length > most(*queue));
            if let Some((queue, length)) = full {
                return Err(format!("node{number} has {length} in '{queue}'"));
            }
            // What a node says of itself may come before it is known here that it is connected.
            let stranger = |node: &&NodeId| {
                machine.ledger.members.chain(node).is_none() && world.node(node).is_none()
            };
            if let Some(stranger) = machine.contacts.keys().find(stranger) {
                return Err(format!("node{number} calls {stranger:?}, whom there isn't"));
            }
            if node.disk.waiting() > MOST {
                return Err(format!("{} writes wait for node{number}'s disk", node.disk.waiting()));
            }
        }
        Ok(())
    }

    fn end(&mut self, world: &World) -> Result<(), String> {
        if world.calm_for() < EMPTY {
            return Ok(());
        }
        // Of two attempts at one task the later may just be ending when all jobs are over: what it made is
        // brought to a second node all the same.
        let idle = world.up().all(|(.., machine)| machine.worker.running() == 0);
        for (number, node, machine) in world.up() {
            for (queue, length) in machine.queues() {
                // What runs at the end, and the copies of what has just ended, come and go.
                // Facts of authors that don't exist wait as well, up to a bound.
                let stuck = queue == "lonely"
                    || matches!(queue, "keeping" | "orders") && idle
                    || queue == "writes" && node.disk.waiting() == 0;
                if stuck && length > 0 {
                    return Err(format!("node{number} still has {length} in '{queue}'"));
                }
            }
            let joined = machine.ledger.ids();
            // Those of a job that was removed a moment ago are being deleted.
            let removed = |job: JobId| world.record.removed.get(&job).copied();
            let going = |fact: &Fact| {
                fact.scope().and_then(removed).is_some_and(|at| at + SECOND > world.now)
            };
            let facts = || node.disk.facts.values();
            let left = || facts().filter(|fact| !joined.contains(&fact.id()) && !going(fact));
            if let Some(first) = left().next()
                && node.disk.waiting() == 0
            {
                let (count, kind) = (left().count(), first.kind());
                let job = first.scope().map_or("no job".to_owned(), |job| job.short());
                let what = format!("{count} facts on its disk that mean nothing");
                return Err(format!("node{number} has {what}, the first of {kind:?} about {job}"));
            }
        }
        Ok(())
    }
}
