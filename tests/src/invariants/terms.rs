//! Terms never regress on a node, across crashes too, and none is used before it is on the disk.
//!
//! Design, "Words": the term "grows, is on disk before it is used, and fences stale leaders".

use std::collections::BTreeMap;

use super::Invariant;
use crate::sim::{Notice, World};

/// The highest term that each machine is known to have written.
#[derive(Default)]
pub(super) struct Terms(BTreeMap<usize, u64>);

impl Invariant for Terms {
    fn name(&self) -> &'static str {
        "terms never regress"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        match notice {
            Notice::Up(node) | Notice::Committed { node, .. } => {
                let term = world.nodes[*node].disk.term;
                let before = self.0.insert(*node, term).unwrap_or(0);
                if term < before {
                    return Err(format!("node{node} had written term {before}, and has {term}"));
                }
                let machine = world.nodes[*node].machine.as_ref();
                let thinks = machine.map_or(term, |machine| machine.election.term());
                if matches!(notice, Notice::Up(_)) && thinks < before {
                    return Err(format!("node{node} starts at term {thinks}, not {before}"));
                }
                Ok(())
            }
            Notice::Led { node, term } => {
                let written = world.nodes[*node].disk.term;
                match *term > written {
                    true => Err(format!(
                        "node{node} leads in term {term}, and has only {written} on its disk"
                    )),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        for (number, node, machine) in world.up() {
            let (thinks, written) = (machine.election.term(), node.disk.term);
            if thinks > written {
                return Err(format!(
                    "node{number} goes by term {thinks}, and has only {written} on its disk"
                ));
            }
        }
        Ok(())
    }
}
