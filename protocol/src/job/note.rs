//! What nodes note about results besides the outcomes themselves: nothing that decides whether a
//! task is done, so that releases which don't know them miss nothing that matters.

use serde::{Deserialize, Serialize};

use super::reuse::Key;
use super::task::TaskKey;
use crate::ids::{BlobId, JobId, NodeId};

/// Two pictures of one frame, by two nodes, compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Comparison {
    /// Who made the one that counts.
    pub first: NodeId,
    /// Who rendered it a second time.
    pub second: NodeId,
    /// Whether their device classes are alike, so that nothing at all may differ.
    pub alike: bool,
    /// How many pixels there are.
    pub pixels: u64,
    /// How many of them differ by more than is tolerated.
    pub differing: u64,
    /// The largest difference of a sample, in millionths of its range.
    pub largest: u32,
}

/// What is noted of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A small picture of it, as a PNG file.
    Preview(BlobId),
    /// All that it depends on, as a hash.
    Key(Key),
    /// It was not rendered, but taken over from this job.
    TakenOver(JobId),
    /// It is a comparison, and this came of it.
    Compared(Comparison),
}

/// Something about the result of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The task.
    pub task: TaskKey,
    /// The round of the task in which the result was made, by the node that signs.
    pub generation: u32,
    /// What is to be known of it.
    pub what: What,
}

/// Notes about results of one job, signed once by the node that made those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// The job they all belong to.
    pub job: JobId,
    /// The notes.
    pub notes: Vec<Note>,
}

/// What is noted of one result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// A small picture of it.
    pub preview: Option<BlobId>,
    /// All that it depends on, as a hash.
    pub key: Option<Key>,
    /// The job that it was taken over from.
    pub from: Option<JobId>,
    /// What a comparison found.
    pub compared: Option<Comparison>,
}

impl Noted {
    /// Joins a note. Of two about the same the smaller stays, so that the order in which notes come makes no
    /// difference.
    pub(super) fn add(&mut self, what: What) {
        match what {
            What::Preview(blob) => smaller(&mut self.preview, blob),
            What::Key(key) => smaller(&mut self.key, key),
            What::TakenOver(job) => smaller(&mut self.from, job),
            What::Compared(comparison) => smaller(&mut self.compared, comparison),
        }
    }
}

/// The smaller of what was known and what is new: whichever came first, it is the same.
fn smaller<T: Ord + Copy>(known: &mut Option<T>, new: T) {
    *known = Some(known.map_or(new, |known| known.min(new)));
}
