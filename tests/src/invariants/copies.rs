//! What counts as done is on two disks, or on one where only one node was reachable, and then on
//! two soon after.
//!
//! Design, rule 2: "a task is done when its output and its outcome are on two (one, where only one
//! is reachable, and then it is said, and made good as soon as another comes)".

use weft_protocol::fact::{Body, Fact};
use weft_protocol::ids::BlobId;
use weft_protocol::job::outcome::{Ending, Outcome};
use weft_protocol::machine::Machine;

use super::Invariant;
use crate::sim::{Moment, Notice, SECOND, World};

/// How long it may take until all that was on one disk alone is on two.
const SOON: u64 = 120 * SECOND;
/// How long nothing must have failed before a result on one disk alone is a fault: those who were asked in the
/// storm before are passed over by then, one after the other.
const SETTLED: Moment = 60 * SECOND;

/// Nothing to remember: the disks do.
#[derive(Default)]
pub(super) struct Copies;

impl Copies {
    /// Whoever is named as a holder holds it.
    fn held(world: &World, author: usize, outcome: &Outcome) -> Result<(), String> {
        for number in outcome.holders.iter().filter_map(|holder| world.node(holder)) {
            let node = &world.nodes[number];
            let here = |blob: BlobId| node.disk.blobs.contains(&blob);
            if !node.liar && !outcome.blobs().all(here) {
                let frame = outcome.task.frame;
                return Err(format!(
                    "node{author} says that node{number} holds frame {frame}, and it doesn't"
                ));
            }
        }
        Ok(())
    }

    fn signed(world: &World, fact: &Fact, node: usize) -> Result<(), String> {
        let author = world.node(&fact.author());
        if author != Some(node) || world.nodes[node].liar {
            return Ok(());
        }
        let Ok(Some(Body::Outcomes(batch))) = fact.body() else { return Ok(()) };
        let done = batch.outcomes.iter().filter(|o| matches!(o.ending, Ending::Done(_)));
        for outcome in done {
            if !outcome.holders.contains(&fact.author()) {
                return Err(format!("node{node} signed a result that it does not hold itself"));
            }
            Self::held(world, node, outcome)?;
            if outcome.holders.len() == 1 && outcome.blobs().next().is_some() {
                Self::alone(world, node, outcome)?;
            }
        }
        Ok(())
    }

    /// A result is on one disk alone only where no other can be reached; that it is made good later is no excuse.
    fn alone(world: &World, author: usize, outcome: &Outcome) -> Result<(), String> {
        let settled = world.calm_for() > SETTLED && world.now > world.record.stirred + SETTLED;
        let other = world.up().find(|(number, node, _)| *number != author && !node.liar);
        match other {
            Some((other, ..)) if settled && world.nodes[author].is_member() => Err(format!(
                "node{author} alone holds frame {}, and node{other} could as well",
                outcome.task.frame
            )),
            _ => Ok(()),
        }
    }
}

impl Invariant for Copies {
    fn name(&self) -> &'static str {
        "done is on two disks"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        match notice {
            Notice::Committed { node, facts, .. } => {
                facts.iter().try_for_each(|fact| Self::signed(world, fact, *node))
            }
            _ => Ok(()),
        }
    }

    fn finished(&mut self, world: &World) -> Result<bool, String> {
        let lonely =
            |machine: &Machine| machine.queues().iter().any(|(q, n)| *q == "lonely" && *n > 0);
        let waits = world.up().any(|(.., machine)| lonely(machine));
        match waits && world.calm_for() > SOON {
            true => Err("what is on one disk alone is not made good".into()),
            false => Ok(!waits),
        }
    }

    fn end(&mut self, world: &World) -> Result<(), String> {
        let Some((.., machine)) = world.up().next() else { return Ok(()) };
        for (id, job, _) in machine.ledger.jobs.iter() {
            for (key, done) in job.tasks().filter_map(|(k, t)| Some((k, t.done()?))) {
                let author = world.node(&done.author);
                // What liars say that they made is nobody's to keep; who left took theirs along.
                if author.is_none_or(|author| {
                    world.nodes[author].liar || !world.nodes[author].is_member()
                }) {
                    continue;
                }
                let blobs: Vec<BlobId> =
                    done.files.iter().map(|file| file.blob).chain(done.log).collect();
                let whole = |node: &&crate::sim::Node| {
                    blobs.iter().all(|blob| node.disk.blobs.contains(blob))
                };
                let copies = world.nodes.iter().filter(whole).count();
                // A copy that a liar promised to keep is nowhere, and nobody can tell: what is left
                // is the one of who made it.
                let entrusted = |blob| world.record.entrusted_to_liars.contains(blob);
                let least = if blobs.iter().any(entrusted) { 1 } else { 2 };
                if copies < least {
                    let frame = key.frame;
                    return Err(format!("frame {frame} of {id:?} is on {copies} disks at the end"));
                }
            }
        }
        Ok(())
    }
}
