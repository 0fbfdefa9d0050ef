//! What people ask of a job once it is submitted.

use serde::{Deserialize, Serialize};

use super::keep::Keep;
use super::task::FrameRun;
use crate::ids::JobId;
use crate::time::Unix;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    /// Running frames finish, no new ones start.
    Pause,
    /// A paused job goes on.
    Resume,
    /// Nothing else starts, what runs is ended, what is done is kept.
    Cancel,
    /// The rest may follow the test frames.
    Approve,
    /// These frames of a step are to be made anew.
    Retry {
        /// The step, by number.
        step: u16,
        /// Its frames.
        frames: Vec<FrameRun>,
        /// The round that counts from now on for them.
        generation: u32,
    },
    /// Another priority, 0 to 100.
    Priority(u8),
    /// More frames for a step.
    Extend {
        /// The step, by number.
        step: u16,
        /// The frames that are added.
        frames: Vec<FrameRun>,
    },
    /// How long it is kept once it is over. Since version 2 of the layout.
    Keep(Keep),
}

impl Action {
    /// The word for it, as on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Approve => "approve",
            Self::Retry { .. } => "retry",
            Self::Priority(_) => "priority",
            Self::Extend { .. } => "extend",
            Self::Keep(_) => "keep",
        }
    }
}

/// One control of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The job.
    pub job: JobId,
    /// One more than the highest that counted, as far as its author had seen.
    pub version: u64,
    /// When, by the author's clock; for people.
    pub at: Unix,
    /// Who asked, for people.
    pub by: String,
    /// What is asked.
    pub action: Action,
}

impl Control {
    /// The version of the layout that it is written in: the first that has its action, so that releases
    /// which know only that one read it.
    #[must_use]
    pub const fn layout(&self) -> u16 {
        match self.action {
            Action::Keep(_) => 2,
            _ => 1,
        }
    }
}
