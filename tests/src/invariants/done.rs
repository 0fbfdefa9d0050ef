//! Within a generation done never goes back, and replicas that have heard the same agree on
//! everything, which result counts included.
//!
//! Design, "How facts join": "Within a generation done never goes back; among results of one
//! generation the smallest by (attempt, author, hash) wins; a higher generation's result replaces
//! a lower one's once it is done." And docs/joins.md: the same facts, the same state.

use std::collections::BTreeMap;

use weft_protocol::fact::digest;
use weft_protocol::ids::{FactId, JobId, NodeId};
use weft_protocol::job::task::TaskKey;

use super::Invariant;
use crate::sim::{Notice, World};

/// How good a result is: the greater generation, then the smaller of the rest.
type Rank = (std::cmp::Reverse<u32>, u32, NodeId, FactId);

/// The best result of every task that a node has ever shown.
#[derive(Default)]
pub(super) struct Done {
    seen: BTreeMap<(usize, JobId), BTreeMap<TaskKey, Rank>>,
    looks: u64,
}

impl Done {
    fn check(&mut self, world: &World, number: usize, id: JobId) -> Result<(), String> {
        let Some(machine) = &world.nodes[number].machine else { return Ok(()) };
        let Some(job) = machine.ledger.jobs.get(&id) else {
            let seen = self.seen.remove(&(number, id)).is_some();
            let gone = seen && !machine.ledger.jobs.is_removed(&id);
            return match gone && !world.record.removed.contains_key(&id) {
                true => Err(format!("node{number} knows nothing of {id:?} any more")),
                false => Ok(()),
            };
        };
        let seen = self.seen.entry((number, id)).or_default();
        let mut now = BTreeMap::new();
        for (key, task) in job.tasks() {
            if let Some(done) = task.done() {
                let generation = std::cmp::Reverse(done.generation);
                now.insert(key, (generation, done.attempt, done.author, done.fact));
            }
        }
        for (key, before) in &*seen {
            let frame = key.frame;
            match now.get(key) {
                None => return Err(format!("node{number}: frame {frame} of {id:?} was done")),
                Some(after) if after > before => {
                    return Err(format!(
                        "node{number}: frame {frame} of {id:?} counted as {before:?}, and now as \
                         the lesser {after:?}"
                    ));
                }
                Some(_) => {}
            }
        }
        *seen = now;
        Ok(())
    }

    fn agree(world: &World) -> Result<(), String> {
        let mut alike: BTreeMap<[u8; 8], usize> = BTreeMap::new();
        for (number, _, machine) in world.up() {
            let root = digest::root(machine.ledger.ids());
            let first = *alike.entry(root).or_insert(number);
            let Some(other) = &world.nodes[first].machine else { continue };
            if first != number
                && machine.ledger.ids() == other.ledger.ids()
                && (machine.ledger.jobs != other.ledger.jobs
                    || machine.ledger.settings != other.ledger.settings)
            {
                return Err(format!(
                    "node{first} and node{number} hold the same facts, and differ"
                ));
            }
        }
        Ok(())
    }
}

impl Invariant for Done {
    fn name(&self) -> &'static str {
        "done stays, and replicas agree"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        match notice {
            Notice::Changed(node, job) => self.check(world, *node, *job),
            Notice::Up(node) => {
                let jobs: Vec<JobId> = self
                    .seen
                    .range((*node, JobId([0; 32]))..=(*node, JobId([255; 32])))
                    .map(|((_, job), _)| *job)
                    .collect();
                jobs.into_iter().try_for_each(|job| self.check(world, *node, job))
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        self.looks += 1;
        match self.looks % 10 {
            0 => Self::agree(world),
            _ => Ok(()),
        }
    }

    fn end(&mut self, world: &World) -> Result<(), String> {
        Self::agree(world)
    }
}
