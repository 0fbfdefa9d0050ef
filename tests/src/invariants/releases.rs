//! Two releases side by side lose no fact that one of them doesn't know.
//!
//! Design, "Facts travel and are kept as exact signed bytes": "Kinds that a node doesn't know are
//! kept, forwarded and counted in digests all the same, so that two releases work side by side".

use super::Invariant;
use crate::sim::{Moment, SECOND, World};

/// How long a fact may take to every node once nothing fails.
const SPREAD: Moment = 30 * SECOND;

/// Nothing to remember: the record does.
#[derive(Default)]
pub(super) struct Releases;

impl Releases {
    fn check(world: &World) -> Result<(), String> {
        for (id, job) in &world.record.foreign {
            let removed = job.is_some_and(|job| world.record.removed.contains_key(&job));
            let born = world.record.born.get(id).copied();
            if removed || born.is_none_or(|born| born + SPREAD > world.now) {
                continue;
            }
            // Where its only holder left before it told anybody, nobody can have it.
            let held = |node: &crate::sim::Node| node.disk.facts.contains_key(id);
            let holders = world.nodes.iter().filter(|node| node.is_member() && held(node)).count();
            let lacks = world
                .up()
                .find(|(_, node, machine)| !held(node) || !machine.ledger.ids().contains(id));
            if let Some((number, ..)) = lacks.filter(|_| holders > 0) {
                return Err(format!("node{number} has lost {id:?}, which it can't read"));
            }
        }
        Ok(())
    }
}

impl Invariant for Releases {
    fn name(&self) -> &'static str {
        "unknown kinds are kept"
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        // Who has just joined knows nothing yet.
        let settled = world.calm_for() > SPREAD && world.now > world.record.stirred + SPREAD;
        match settled && (world.now / SECOND).is_multiple_of(15) {
            true => Self::check(world),
            false => Ok(()),
        }
    }

    fn end(&mut self, world: &World) -> Result<(), String> {
        Self::check(world)
    }
}
