//! How long a job is kept once it is over: what was asked, since when it is over, and what follows.
//!
//! No single clock decides. That a job is over, and everybody who was to write its files has done so, is
//! said in a fact by who leads, with the moment by the clocks of several nodes ([`crate::clocks`]); its
//! age is counted from there, by several clocks again. What outcomes and controls say of time is for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::status::{Activity, status};
use super::table::Job;
use crate::ids::{JobId, NodeId};
use crate::time::Unix;

/// What somebody asked for a job.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Keep {
    /// As the studio is set.
    #[default]
    AsSet,
    /// Until somebody removes it.
    ForEver,
    /// So many seconds after it is over.
    For(u32),
}

impl Keep {
    /// For how many seconds, where the studio's setting is `studio`; none for as long as nobody removes it.
    #[must_use]
    pub const fn seconds(self, studio: Option<u32>) -> Option<u32> {
        match self {
            Self::AsSet => studio,
            Self::ForEver => None,
            Self::For(seconds) => Some(seconds),
        }
    }
}

/// Which frames a job has been asked for so far: the retries and extensions that are known of it. What was
/// said of its end before another of them counts no more.
pub type Round = [u8; 8];

/// What is said of the end of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The job.
    pub job: JobId,
    /// Of which round.
    pub round: Round,
    /// What.
    pub ended: Ended,
}

/// What can be said of the end of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// It is over, and its author has written all the files that it was to write.
    Delivered,
    /// It is over and nobody is to write anything any more: at this moment, by the clocks of the nodes
    /// that were there.
    Over(Unix),
}

/// Everything that was said of a job's end, joined: of several moments the latest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    over: BTreeMap<Round, Unix>,
    delivered: BTreeMap<Round, std::collections::BTreeSet<NodeId>>,
}

impl Ends {
    pub(super) fn add(&mut self, author: NodeId, end: &End) {
        match end.ended {
            Ended::Delivered => {
                self.delivered.entry(end.round).or_default().insert(author);
            }
            Ended::Over(at) => {
                let known = self.over.entry(end.round).or_default();
                *known = at.max(*known);
            }
        }
    }

    fn written_by(&self, node: &NodeId, round: &Round) -> bool {
        self.delivered.get(round).is_some_and(|written| written.contains(node))
    }
}

/// What keeps a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Nothing was set, and nobody has yet to write its files: it stays until somebody removes it.
    ForEver,
    /// It is not over.
    Live,
    /// These nodes have yet to write its files.
    Owed(Vec<NodeId>),
    /// It is over, and since when has yet to be said.
    Unsaid,
    /// It stays until then.
    Until(Unix),
}

/// What keeps a job, where the studio's setting is `studio` (seconds). Who was to write files and is no
/// member any more never will.
#[must_use]
pub fn stay(job: &Job, studio: Option<u32>, is_member: impl Fn(&NodeId) -> bool) -> Stay {
    let seconds = job.switches().keep.seconds(studio);
    if !status(job, Activity::default()).is_some_and(|status| status.is_over()) {
        return if seconds.is_some() { Stay::Live } else { Stay::ForEver };
    }
    let (round, ends) = (job.round(), job.ends());
    let owes = |node: &NodeId| is_member(node) && !ends.written_by(node, &round);
    let mut owed: Vec<NodeId> = job.deliveries().map(|(node, _)| node).filter(owes).collect();
    owed.dedup();
    if !owed.is_empty() {
        return Stay::Owed(owed);
    }
    let Some(seconds) = seconds else { return Stay::ForEver };
    match ends.over.get(&round) {
        Some(at) => Stay::Until(Unix(at.0.saturating_add(u64::from(seconds) * 1000))),
        None => Stay::Unsaid,
    }
}

/// Whether a node has said that it wrote all files of a job's round.
#[must_use]
pub fn has_written(job: &Job, node: &NodeId) -> bool {
    job.ends().written_by(node, &job.round())
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
