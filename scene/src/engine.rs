//! Render engines as data: how to find one, how to ask it for frames, how to read what it says.
//!
//! An engine is a table `[engine.NAME]` in TOML, not code. [`shipped`] gives those that come with
//! weft, [`parse`] reads a user's own, [`command`] turns a definition and one [`Invocation`] into
//! an argument list, and [`LogReader`] turns the engine's output into events. Nothing here runs a
//! process or touches a disk.

mod command;
mod definition;
mod log;
mod lookup;
mod table;
mod template;
mod tile;

pub use command::{Command, CommandError, ExpectedOutput, Invocation, command, file_safe_name};
pub use definition::{
    Builtin, Definition, DefinitionError, ExitMeaning, Format, FrameSupport, FramesPerRun, Regions,
    parse, shipped,
};
pub use log::{LogEvent, LogReader};
pub use lookup::{Executable, matches_wildcard};
pub use tile::{Rect, Tile};

#[cfg(test)]
mod real_renderers_tests;
