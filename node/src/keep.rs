//! How long a job is to be kept, as requests say it.

use serde::{Deserialize, Serialize};
use weft_protocol::fact::Body;
use weft_protocol::ids::JobId;
use weft_protocol::job::control::{Action, Control};
use weft_protocol::job::keep::Keep;

use crate::clock::unix_now;

/// How long to keep something: so many seconds, or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum KeepFor {
    /// Seconds.
    Seconds(u32),
    /// In a word.
    Word(Word),
}

/// What is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Until somebody removes it.
    Forever,
}

impl From<KeepFor> for Keep {
    fn from(keep: KeepFor) -> Self {
        match keep {
            KeepFor::Seconds(seconds) => Self::For(seconds),
            KeepFor::Word(Word::Forever) => Self::ForEver,
        }
    }
}

/// The first control of a job, which is submitted with it.
pub(crate) fn of_new_job(job: JobId, by: String, keep: KeepFor) -> Body {
    let action = Action::Keep(keep.into());
    Body::Control(Control { job, version: 1, at: unix_now(), by, action })
}
