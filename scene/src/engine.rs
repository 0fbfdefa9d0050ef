//! Render engines as data: how to find one, how to ask it for frames, how to read what it says.
//!
//! An engine is a table `[engine.NAME]` in TOML, not code. [`shipped`] gives those that come with
//! weft, [`parse`] reads a user's own, [`command`] turns a definition and one [`Invocation`] into
//! an argument list, and [`LogReader`] turns the engine's output into events. Nothing here runs a
//! process or touches a disk.
//!
//! # Placeholders
//!
//! | in `args`, `options`, `environment`, `outputs` | stands for |
//! |---|---|
//! | `{scene}` `{scene_dir}` `{inputs}` `{work}` | the scene file, its folder, the job's files, where to write |
//! | `{output}` `{output_pattern}` | the full path of the first frame's first output; the same with `####` for the frame |
//! | `{name}` `{ext}` `{format}` | what outputs are named after; the format's file ending, and what the engine calls it |
//! | `{frame}` `{last_frame}` `{frames}` | the run's first and last frame; all of them as a frame spec |
//! | `{start}` `{end}` `{range_end}` | the job's lowest and highest frame; the latter, but at least `{start}` + 1 |
//! | `{threads}` `{gpus}` `{weft}` | how many threads to use; the graphics cards, like `0,2`; the weft binary |
//! | `{camera}` `{scene_name}` `{view_layer}` `{scale}` `{arg.K}` | what the artist gave |
//! | `{tile.column}` `{tile.columns}` `{tile.row}` `{tile.rows}` | which tile of which grid, from 0, rows from the top |
//! | `{tile.left}` `{tile.right}` `{tile.top}` `{tile.bottom}` | its pixels, if `arg.width` and `arg.height` are known; right and bottom are one past the last |
//! | `{options}` `{options:SLOT}` | as an argument of its own: the option groups of that slot |
//!
//! A filter may follow: `{frame:04}` pads to 4 digits and `{frame:range_end}` to those of
//! `{range_end}`; `:plus1` and `:minus1` add to a number; `{frames:dots}` writes `1..5,8`; `:py` is a
//! Python string literal. The rest only check, and refuse a value that doesn't fit: `:int`, `:count`,
//! `:LOW..HIGH`, `:num`, `:word` (no spaces, no leading dash), `:quotable` (may stand between double quotes). Braces around
//! anything but a lower-case word are text, and `{{frame}}` is the text `{frame}`.

mod ability;
mod command;
mod definition;
mod files;
mod log;
mod lookup;
mod table;
mod template;
mod tile;
mod wrapped;

pub use ability::Ability;
pub use command::{Command, CommandError, ExpectedOutput, Invocation, command, file_safe_name};
pub use definition::{
    Builtin, Definition, DefinitionError, ExitMeaning, Format, FrameSupport, FramesPerRun, Regions,
    parse, shipped,
};
pub(crate) use files::{Begun, FilePatterns, NamedFiles};
pub use log::{LogEvent, LogReader};
pub use lookup::{Executable, matches_wildcard};
pub(crate) use template::switch;
pub use tile::{Rect, Tile};

#[cfg(test)]
mod examples_tests;
#[cfg(test)]
mod real_renderers_tests;
