//! What runs on a machine has never claimed more than it has, and no card twice.
//!
//! Design, "Words": a lease is "the leader's grant of an attempt, for a duration, with the resources it claims
//! (cores, RAM, GPU indices; the whole node by default)". docs/operations.md, "Several tasks on one node":
//! a node takes on nothing that does not fit, whoever assigns it.

use std::collections::BTreeMap;

use weft_protocol::claim::Portion;
use weft_protocol::wire::control::AttemptKey;

use super::Invariant;
use crate::sim::{Notice, World, hardware};

/// Nothing to remember: what runs tells.
#[derive(Default)]
pub(super) struct Claims;

fn check(world: &World, number: usize) -> Result<(), String> {
    let runs = world.nodes[number].runs.values();
    let processes: BTreeMap<AttemptKey, Portion> =
        runs.map(|run| (run.process, run.lease.claim())).collect();
    let mut left = Portion::all(&hardware());
    for claim in processes.values() {
        if !left.covers(claim) {
            return Err(format!(
                "node{number} runs {} engines, and of {left:?} another claims {claim:?}",
                processes.len()
            ));
        }
        left = left.without(claim);
    }
    Ok(())
}

impl Invariant for Claims {
    fn name(&self) -> &'static str {
        "claims never exceed what a node has"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        match notice {
            Notice::Started { node, .. } => check(world, *node),
            _ => Ok(()),
        }
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        (0..world.nodes.len()).try_for_each(|number| check(world, number))
    }
}
