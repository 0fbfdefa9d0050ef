//! Why a command line can't be made.

/// Why a job can't be run by an engine as it was asked for. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A run without frames.
    #[error("there is no frame to render")]
    NoFrames,
    /// A frame number that the engine would misread.
    #[error("{engine} can't render frame {frame}, only {first} to {last}")]
    FrameOutOfRange {
        /// The engine.
        engine: String,
        /// The frame.
        frame: i64,
        /// The lowest frame it takes.
        first: i64,
        /// The highest frame it takes.
        last: i64,
    },
    /// Frames that can't share a run.
    #[error("{engine} can't render these frames in one run; see how its runs are cut")]
    FramesTogether {
        /// The engine.
        engine: String,
    },
    /// Something was asked for that the engine's definition has no place for.
    #[error("{engine} has no way to be told {what}")]
    NotSupported {
        /// The engine.
        engine: String,
        /// What was asked for.
        what: String,
    },
    /// A format that the engine doesn't write.
    #[error("{engine} doesn't write {format}; it writes {known}")]
    UnknownFormat {
        /// The engine.
        engine: String,
        /// What was asked for.
        format: String,
        /// What there is.
        known: String,
    },
    /// An argument that the engine doesn't know.
    #[error("{engine} knows no argument {key}; it knows {known}")]
    UnknownArgument {
        /// The engine.
        engine: String,
        /// What was given.
        key: String,
        /// What there is.
        known: String,
    },
    /// A placeholder without a value, most often an argument the engine needs and nobody gave.
    #[error("{engine} needs a value for {name}{hint}")]
    MissingValue {
        /// The engine.
        engine: String,
        /// The placeholder.
        name: String,
        /// How to give one.
        hint: String,
    },
    /// A word of a command of the artist's own that can't be used.
    #[error("the command can't be run: {word:?}: {why}")]
    BadCommand {
        /// The word as it was given.
        word: String,
        /// What is wrong with it.
        why: String,
    },
    /// A value that the engine can't be given.
    #[error("the value of {name} {why}")]
    BadValue {
        /// The placeholder.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}
