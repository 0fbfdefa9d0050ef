//! A worker never starts a frame for a term below the highest that it has written.
//!
//! Design, "Control": "workers take assignments only from the leader they follow, at a term not
//! below the highest they have written".

use super::Invariant;
use crate::sim::{Notice, World};

/// Nothing to remember: the disk does.
#[derive(Default)]
pub(super) struct Fencing;

impl Invariant for Fencing {
    fn name(&self) -> &'static str {
        "no frame starts for a stale term"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        if let Notice::Started { node, lease, term, .. } = notice {
            let written = world.nodes[*node].disk.term;
            if *term < written {
                let frame = lease.attempt.task.frame;
                return Err(format!(
                    "node{node} starts frame {frame} for term {term}, and has written {written}"
                ));
            }
        }
        Ok(())
    }
}
