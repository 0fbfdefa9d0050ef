//! What the API and the command line tell people when something can't be done.

use serde::{Deserialize, Serialize};

/// What kind of failure it is; each has an exit status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// It failed.
    Failed,
    /// The call was wrong.
    Invalid,
    /// There is no such job, node or blob.
    NotFound,
    /// It does not fit what is there.
    Conflict,
    /// No node could be reached.
    Unreachable,
    /// Not a member, or not allowed.
    Refused,
    /// The studio can't do it: no such hardware or engine, or assets are missing.
    Impossible,
}

impl Code {
    /// The exit status of a command that ends so.
    #[must_use]
    pub const fn exit(self) -> u8 {
        match self {
            Self::Failed | Self::NotFound | Self::Conflict => 1,
            Self::Invalid => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::Impossible => 5,
        }
    }

    /// The HTTP status that fits.
    #[must_use]
    pub const fn http(self) -> u16 {
        match self {
            Self::Failed => 500,
            Self::Invalid => 400,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Unreachable => 503,
            Self::Refused => 403,
            Self::Impossible => 422,
        }
    }
}

/// A failure, in words: what happened, whether anything changed, what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind it is.
    pub code: Code,
    /// What happened, and whether anything changed.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub hint: String,
    /// The exit status that fits.
    pub exit: u8,
    /// Single cases, such as each missing file.
    #[serde(default)]
    pub details: Vec<String>,
}

impl ApiError {
    /// A failure of some kind.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: String::new(),
            exit: code.exit(),
            details: Vec::new(),
        }
    }

    /// With a hint at what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// With single cases.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// With another exit status than its kind's.
    #[must_use]
    pub const fn exit_with(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// The exit status that fits.
    #[must_use]
    pub const fn exit(&self) -> u8 {
        self.exit
    }
}
