//! What became of an attempt at a task.

use serde::{Deserialize, Serialize};

use super::task::TaskKey;
use crate::content::TreePath;
use crate::ids::{BlobId, NodeId};
use crate::time::Unix;

/// The longest message of a failure, in bytes: the end of its log.
pub const MAX_MESSAGE: usize = 4096;

/// A file that an attempt made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Its path below the job's output folder.
    pub path: TreePath,
    /// Its bytes.
    pub blob: BlobId,
    /// How many they are.
    pub size: u64,
    /// Their MD5, for studios' other tools.
    pub md5: [u8; 16],
    /// Their xxHash64 with seed 0, likewise.
    pub xxh64: u64,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureKind {
    /// The engine's program could not be started.
    Start,
    /// The engine ended with an exit code that means failure.
    ExitCode(i32),
    /// The engine was ended by a signal that weft did not send.
    Signal(i32),
    /// The engine claimed success, and a file that it should have made is missing or unreadable.
    MissingOutput,
    /// It took longer than the job allows.
    Timeout,
    /// Its inputs could not be brought to the node.
    Inputs,
    /// It was killed for want of memory.
    Memory,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It made these files.
    Done(Vec<OutputFile>),
    /// It failed, and that counts against the task's retries.
    Failed {
        /// In what way.
        kind: FailureKind,
        /// What happened, for people, with the end of the log.
        message: String,
    },
}

/// What became of one attempt at one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The task.
    pub task: TaskKey,
    /// The round of the task that it belongs to.
    pub generation: u32,
    /// Which try of that round it was, from 1; 0 for a result that was taken over from another job, so
    /// that it counts before any that is rendered as well.
    pub attempt: u32,
    /// The term in which it was leased.
    pub term: u64,
    /// When the engine was started, by the author's clock.
    pub started: Unix,
    /// How long the engine ran, in milliseconds.
    pub render_ms: u32,
    /// The most memory that its processes held, in bytes; 0 where that is not known.
    pub peak_memory: u64,
    /// What the engine printed.
    pub log: Option<BlobId>,
    /// Who held the files and the log durably when this was signed.
    pub holders: Vec<NodeId>,
    /// How it ended.
    pub ending: Ending,
}

impl Outcome {
    /// Whether the task is done by it.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.ending, Ending::Done(_))
    }

    /// Every blob that it names.
    pub fn blobs(&self) -> impl Iterator<Item = BlobId> + '_ {
        let files = match &self.ending {
            Ending::Done(files) => files.as_slice(),
            Ending::Failed { .. } => &[],
        };
        files.iter().map(|file| file.blob).chain(self.log)
    }
}
