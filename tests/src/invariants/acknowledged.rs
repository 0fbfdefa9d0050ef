//! An acknowledged submission is known again, with every blob that it names, after any failures
//! that leave one of its copies.
//!
//! Design, rule 2: "a submission is acknowledged when its record and every blob it names are
//! fsynced on two nodes; a control when it is on two. Every acknowledgement says how many copies
//! it stands on."

use weft_protocol::ids::FactId;

use super::Invariant;
use crate::sim::{Notice, Promise, SECOND, World};

/// How long nothing must have failed until a promise on one disk alone, where others were there,
/// is a mistake.
const SETTLED: u64 = 30 * SECOND;

/// How long an answer may take while nothing fails: several peers may refuse, and files travel.
const ANSWERED: u64 = 60 * SECOND;

/// The promises that were made are the world's to remember.
#[derive(Default)]
pub(super) struct Acknowledged {
    checked: u64,
}

fn is_removed(world: &World, promise: &Promise) -> bool {
    promise.job.is_some_and(|job| world.record.removed.contains_key(&job))
}

fn lacks(world: &World, number: usize, promise: &Promise) -> Option<String> {
    let disk = &world.nodes[number].disk;
    let fact = promise.facts.iter().find(|fact| !disk.facts.contains_key(fact));
    if let Some(fact) = fact {
        return Some(format!("node{number} does not have {fact:?} on its disk"));
    }
    let blob = promise.blobs.iter().find(|blob| !disk.blobs.contains(blob));
    blob.map(|blob| format!("node{number} does not have {blob:?} on its disk"))
}

impl Acknowledged {
    /// What was promised is on the disks on which it was said to be.
    fn stands(world: &World, promise: &Promise) -> Result<(), String> {
        if is_removed(world, promise) {
            return Ok(());
        }
        for number in promise.copies.iter().filter_map(|copy| world.node(copy)) {
            let node = &world.nodes[number];
            // A liar's word is worth nothing, and a disk that left the studio is out of reach.
            if node.liar || node.gone {
                continue;
            }
            if let Some(what) = lacks(world, number, promise) {
                return Err(format!("promised on {:?}: {what}", promise.copies));
            }
        }
        Ok(())
    }

    fn known(world: &World, promise: &Promise, fact: &FactId) -> Result<(), String> {
        for (number, _, machine) in world.up() {
            if !machine.ledger.ids().contains(fact) {
                return Err(format!("node{number} does not know {fact:?} of {:?}", promise.job));
            }
        }
        Ok(())
    }
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "what was acknowledged stays"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        match notice {
            Notice::Promised(number) => {
                let promise = &world.record.promises[*number];
                let reachable = world.up().count();
                if promise.copies.len() < 2 && world.calm_for() > SETTLED && reachable > 1 {
                    return Err(format!("promised on one node, with {reachable} there"));
                }
                Self::stands(world, promise)
            }
            Notice::Up(node) => {
                let id = world.nodes[*node].id;
                let here = world.record.promises.iter();
                here.filter(|promise| promise.copies.contains(&id))
                    .try_for_each(|promise| Self::stands(world, promise))
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        if world.calm_for() > ANSWERED {
            let late = world.unanswered().find(|(_, at)| at + ANSWERED < world.now);
            if let Some((number, at)) = late {
                let seconds = (world.now - at) / SECOND;
                return Err(format!("node{number} has not answered for {seconds} s"));
            }
        }
        self.checked += 1;
        if !self.checked.is_multiple_of(60) {
            return Ok(());
        }
        world.record.promises.iter().try_for_each(|promise| Self::stands(world, promise))
    }

    fn end(&mut self, world: &World) -> Result<(), String> {
        for promise in world.record.promises.iter().filter(|promise| !is_removed(world, promise)) {
            let honest = |copy| {
                let node = &world.nodes[world.node(copy)?];
                Some(!node.liar && node.is_member())
            };
            if !promise.copies.iter().any(|copy| honest(copy) == Some(true)) {
                continue;
            }
            promise.facts.iter().try_for_each(|fact| Self::known(world, promise, fact))?;
            let here = |blob| world.nodes.iter().any(|node| node.disk.blobs.contains(blob));
            if let Some(blob) = promise.blobs.iter().find(|blob| !here(blob)) {
                return Err(format!("{blob:?} of {:?} is nowhere", promise.job));
            }
        }
        Ok(())
    }
}
