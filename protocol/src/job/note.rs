//! What nodes note about results besides the outcomes themselves: nothing that decides whether a
//! task is done, so that releases which don't know them miss nothing that matters.

use serde::{Deserialize, Serialize};

use super::reuse::Key;
use super::task::TaskKey;
use crate::ids::{BlobId, JobId, NodeId};

/// The most results of one task of which something is remembered: as many as are tried in a bad hour.
const MAX_NOTED: usize = 16;

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

/// What is noted of one task's results, by round and node, ascending: a handful, and mostly one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book(Vec<((u32, NodeId), Noted)>);

impl Book {
    /// What is noted of the result that a node made in a round.
    pub(super) fn of(&self, generation: u32, author: NodeId) -> Noted {
        let at = self.0.binary_search_by_key(&(generation, author), |(key, _)| *key);
        at.ok().and_then(|at| self.0.get(at)).map(|(_, noted)| *noted).unwrap_or_default()
    }

    /// Joins a note. Of two about the same the smaller stays, and of too many results those of the
    /// latest rounds, so that the order in which notes come makes no difference.
    pub(super) fn add(&mut self, generation: u32, author: NodeId, what: What) {
        let key = (generation, author);
        let at = match self.0.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, Noted::default()));
                at
            }
        };
        let noted = &mut self.0[at].1;
        match what {
            What::Preview(blob) => smaller(&mut noted.preview, blob),
            What::Key(key) => smaller(&mut noted.key, key),
            What::TakenOver(job) => smaller(&mut noted.from, job),
            What::Compared(comparison) => smaller(&mut noted.compared, comparison),
        }
        if self.0.len() > MAX_NOTED {
            self.0.remove(0);
        }
    }
}

fn smaller<T: Ord + Copy>(known: &mut Option<T>, new: T) {
    *known = Some(known.map_or(new, |known| known.min(new)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_results_the_latest_are_remembered_whatever_the_order() {
        let node = |n: u8| NodeId([n; 32]);
        let all: Vec<(u32, u8, u8)> =
            (0..20).flat_map(|g| [(g, 1, 7), (g, 2, 7), (g, 1, 3)]).collect();
        let book = |notes: &mut dyn Iterator<Item = &(u32, u8, u8)>| {
            let mut book = Book::default();
            for (generation, author, blob) in notes {
                book.add(*generation, node(*author), What::Preview(BlobId([*blob; 32])));
            }
            book
        };
        let (forth, back) = (book(&mut all.iter()), book(&mut all.iter().rev()));
        assert_eq!(forth, back);
        assert_eq!(forth.0.len(), MAX_NOTED);
        assert_eq!(forth.of(19, node(1)).preview, Some(BlobId([3; 32])), "the smaller");
        assert_eq!(forth.of(0, node(1)), Noted::default());
        assert_eq!(forth.of(19, node(3)), Noted::default());
    }
}
