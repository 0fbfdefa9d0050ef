//! Engine definitions, read from TOML.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::ability::Ability;
use super::files::FilePatterns;
use super::log::LogPatterns;
use super::log::Pattern;
use super::lookup::Executable;
use super::template::{Placeholder, Template};
use crate::path_map::PathMap;

mod build;
#[cfg(test)]
mod tests;

/// The longest text that [`parse`] reads, in bytes.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// The definitions that come with weft, each a file of its own.
const SHIPPED: [(&str, &str); 7] = [
    ("blender.toml", include_str!("../../engines/blender.toml")),
    ("command.toml", include_str!("../../engines/command.toml")),
    ("compare.toml", include_str!("../../engines/compare.toml")),
    ("demo.toml", include_str!("../../engines/demo.toml")),
    ("join.toml", include_str!("../../engines/join.toml")),
    ("noop.toml", include_str!("../../engines/noop.toml")),
    ("povray.toml", include_str!("../../engines/povray.toml")),
];

/// An engine, from a table `[engine.NAME]`. Every key but `executables` (or `builtin`) has a
/// default; those documented here that have no field of their own are read by [`command`] and
/// [`LogReader`]:
///
/// - `base = "NAME"`: take what this table doesn't say from that engine. A table with the name of
///   a shipped engine and without `args` of its own builds on the shipped one.
/// - `version_pattern`: a regular expression whose one group is the version, sought in what the
///   program prints when called with `version_args`.
/// - `args`: the program's arguments, with [placeholders](super#placeholders); `{options}` or
///   `{options:SLOT}` as an argument of its own stands for the option groups of that slot. `{command}`, as
///   the only one, stands for a command of the artist's own: its first word is the program.
/// - `[[options]]` with `when`, `args` and `slot`: arguments that appear only when `when` holds:
///   `camera`, `scene_name`, `view_layer`, `scale`, `format`, `tile`, `allow_scripts` or `arg.K` was
///   given, or was not, with `!` before it.
/// - `[abilities.NAME]` with `renderers`, `argument`, `args`, `output` and `hint`: what the engine does on some
///   machines only. Jobs whose scene, or `--arg` of that name, asks for one of the renderers go to nodes on which
///   the program called with `args` left the file `output`.
/// - `outputs`: the files a run leaves for each frame, relative to its work folder; the first one is
///   what `{output}` names. By default `{name}_{frame:04}.{ext}` if the arguments mention
///   `{output}` or `{output_pattern}`, and none otherwise.
/// - `environment`: variables to set, with placeholders.
/// - `default_arguments`: values for `--arg K=V` where the artist gives none.
/// - `[log]`: lists of regular expressions `progress` (groups `percent`, or `done` and `total`),
///   `frame` (group `frame`: which one is being rendered), `memory` (`value`, `unit`), `saved`
///   (`path`), and `warning`, `error`, `fatal` (failed whatever the exit code) and `licence` (group
///   `text`, or the whole line); and `wrap`, the most bytes of a line where the program breaks longer ones.
/// - `untiled_arguments`: why a scene can't be rendered in tiles when `--arg K=V` is given, by `K`.
/// - `[files]`: how scenes in a text format name files, and what in them keeps a scene from tiles; read by
///   [`text_scene`](crate::text_scene).
///
/// [`command`]: super::command()
/// [`LogReader`]: super::LogReader
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Definition {
    /// The engine's name: lower-case letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// The application that it is, as scenes name it: its versions are those that scenes are saved by, and it
    /// is given none that a newer one saved.
    pub application: Option<String>,
    /// Set for an engine that runs inside the daemon, and has no program.
    pub builtin: Option<Builtin>,
    /// Where to look for its program, in this order.
    pub executables: Vec<Executable>,
    /// A command that starts the program, such as `xvfb-run -a`: a program's name or absolute path, and its
    /// arguments, before the program's own; empty for none. Whoever asks for the version does without.
    pub wrapper: Vec<String>,
    /// Arguments that make the program print its version; empty when it can't.
    pub version_args: Vec<String>,
    /// The scene files it takes, as lower-case endings without the dot; empty for any.
    pub extensions: Vec<String>,
    /// The file formats it writes, by name.
    pub formats: BTreeMap<String, Format>,
    /// The format it writes when nothing else was asked for; a key of `formats`.
    pub default_format: String,
    /// Which frames one run of the program can render (`frames_per_run`, `first_frame`,
    /// `last_frame`).
    pub frames: FrameSupport,
    /// How it renders a part of a picture; `None` if it can't.
    pub regions: Option<Regions>,
    /// Whether it needs a home folder to write to.
    pub home: bool,
    /// Whether it needs the network, as those with a licence server do.
    pub network: bool,
    /// Whether it needs a display.
    pub display: bool,
    /// The device files it uses, such as `/dev/dri`; `*` and `?` may stand in their names.
    pub devices: Vec<String>,
    /// Whether equal inputs, arguments and versions give equal results, so that what was rendered once is
    /// used again; true unless the table says otherwise.
    pub reuse: bool,
    /// Whether its tasks take just the cores, memory and cards of a node that their job asks for, unless that says
    /// otherwise (`claim = "share"`); the whole node by default.
    pub shares: bool,
    /// Further files and folders that it reads, beside the job's own and what programs need.
    pub readable: Vec<String>,
    /// Further folders that it writes to, beside its work folder.
    pub writable: Vec<String>,
    /// The daemon's environment variables that it gets as well, by name; `*` and `?` may stand in it.
    pub pass_environment: Vec<String>,
    /// Whether every regular file that a run leaves in its work folder is a result (`collect`).
    pub collects: bool,
    /// A folder below the work folder: every regular file that a run leaves there is a result of the frame whose
    /// number ends its name, beside the `outputs` (`beside`).
    pub beside: Option<String>,
    /// How many seconds a run may print nothing before it counts as hung (`silence_seconds`); 0, the
    /// default, for as long as it likes: silence isn't death.
    pub silence_seconds: u32,
    /// Exit codes that mean success; 0 by default.
    pub success_exit_codes: Vec<i32>,
    /// Exit codes that mean the memory ran out; 137 by default, which is a kill.
    pub memory_exit_codes: Vec<i32>,
    /// Values for `--arg K=V` where the artist gives none.
    pub default_arguments: BTreeMap<String, String>,
    /// Where drives and shares that scenes name are on this machine (`[paths]`).
    pub paths: PathMap,
    /// What it does on some machines only.
    pub abilities: Vec<Ability>,
    pub(super) untiled_arguments: BTreeMap<String, String>,
    pub(super) version_pattern: Option<Pattern>,
    pub(super) args: Vec<Argument>,
    pub(super) options: Vec<OptionGroup>,
    pub(super) outputs: Vec<Template>,
    pub(super) environment: BTreeMap<String, Template>,
    pub(super) log: LogPatterns,
    pub(crate) files: Option<FilePatterns>,
}

/// An engine that runs inside the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Builtin {
    /// Does nothing for `arg.pause` milliseconds, and leaves no files; to measure the farm.
    Noop,
    /// Puts pictures together from the tiles that another step of the job rendered.
    Join,
    /// Compares the pictures that two other steps of the job rendered.
    Compare,
}

/// A file format that an engine writes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Format {
    /// The ending of its files, without the dot.
    pub extension: String,
    /// What the engine calls it: the value of `{format}`.
    pub value: String,
}

/// Which frames an engine can render in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSupport {
    /// How many, and which together.
    pub per_run: FramesPerRun,
    /// The lowest frame number it takes.
    pub first: i64,
    /// The highest frame number it takes.
    pub last: i64,
}

/// Which frames may share one run of an engine's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramesPerRun {
    /// Each frame is a run of its own.
    One,
    /// Frames that follow each other upwards without a gap.
    Range,
    /// Any frames in any order.
    List,
}

/// What the file of a part of a picture looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Regions {
    /// Just the part.
    Crop,
    /// The whole picture, of which only the part counts.
    Full,
}

/// What an exit code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitMeaning {
    /// The program says that it did its work; its files tell whether it did.
    Success,
    /// The memory ran out.
    OutOfMemory,
    /// It failed.
    Failure,
}

/// Why a text holds no engine definitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// Not TOML, or not the shape of an engine's table.
    #[error("{source_name}, line {line}: {message}")]
    Syntax {
        /// The file.
        source_name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A table that can't work.
    #[error("{source_name}, line {line}: engine {engine}: {message}")]
    Invalid {
        /// The file.
        source_name: String,
        /// The line, from 1.
        line: usize,
        /// The engine.
        engine: String,
        /// What is wrong.
        message: String,
    },
    /// Too much text.
    #[error("{0} is larger than {MAX_TEXT_BYTES} bytes")]
    TooLarge(String),
}

/// An entry of `args`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    One(Template),
    Options(String),
    /// The words of a command of the artist's own.
    Command,
}

/// Arguments that depend on what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OptionGroup {
    pub(super) slot: String,
    pub(super) when: Condition,
    pub(super) negated: bool,
    pub(super) args: Vec<Template>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Camera,
    SceneName,
    ViewLayer,
    Scale,
    Format,
    Tile,
    AllowScripts,
    /// The job is one frame, 0 or 1: no part of an animation.
    Still,
    Arg(String),
}

/// The engines that come with weft, by name.
pub fn shipped() -> BTreeMap<String, Definition> {
    let mut engines = BTreeMap::new();
    for (file, text) in SHIPPED {
        // These texts are part of the program, and a test reads them all.
        engines.extend(build::read(text, file, &BTreeMap::new()).expect("shipped engines parse"));
    }
    engines
}

/// The engines in the tables `[engine.NAME]` of `text`, by name; other tables are left alone.
/// `source_name` stands for the text in errors.
///
/// # Errors
/// [`DefinitionError`], naming the line.
pub fn parse(
    text: &str,
    source_name: &str,
) -> Result<BTreeMap<String, Definition>, DefinitionError> {
    let mut bases = BTreeMap::new();
    for (file, text) in SHIPPED {
        bases.extend(build::tables(text, file)?);
    }
    build::read(text, source_name, &bases)
}

impl Definition {
    /// Whether it runs commands of artists' own: then the program is what the job says.
    pub fn runs_commands(&self) -> bool {
        self.executables.contains(&Executable::Given)
    }

    /// The version in what the program printed when it was called with `version_args`; `"0"` for
    /// an engine that has no way to tell. `None` when it should be there and isn't: then this
    /// isn't the program.
    pub fn version_from(&self, printed: &str) -> Option<String> {
        match &self.version_pattern {
            Some(pattern) => pattern.first_group(printed),
            None => Some("0".to_owned()),
        }
    }

    /// Whether the engine takes a scene file of this name.
    pub fn takes(&self, file_name: &str) -> bool {
        let name = file_name.to_lowercase();
        self.extensions.is_empty()
            || self.extensions.iter().any(|extension| {
                name.strip_suffix(extension.as_str())
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            })
    }

    /// Whether it says how its scenes name files, so that they can be found in them.
    pub fn names_files(&self) -> bool {
        self.files.is_some()
    }

    /// Whether paths in its scenes count from the scene's folder, also those in files that a scene names.
    pub fn counts_from_scene(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.from_scene)
    }

    /// Whether a run is told the first or the last of all the job's frames: what it makes of one may depend
    /// on them.
    pub fn is_told_span(&self) -> bool {
        let span = |name: &Placeholder| {
            matches!(name, Placeholder::Start | Placeholder::End | Placeholder::RangeEnd)
        };
        self.names().any(span)
    }

    /// Whether it names the files that it saved.
    pub fn tells_saved(&self) -> bool {
        !self.log.saved.is_empty()
    }

    /// Why tiles would not make the very picture that the whole frame is, where such arguments are given.
    pub fn untiled_arguments(&self, given: &BTreeMap<String, String>) -> Vec<String> {
        let is_given =
            |key: &String| given.contains_key(key) || self.default_arguments.contains_key(key);
        let found = self.untiled_arguments.iter().filter(|(key, _)| is_given(key));
        found.map(|(key, why)| format!("--arg {key}: {why}")).collect()
    }

    /// The ending of the files that it writes in a format, or where none is named in its default.
    pub fn ending(&self, format: Option<&str>) -> Option<&str> {
        super::command::format(self, format).ok().map(|format| format.extension.as_str())
    }

    /// Whether it knows a format by this name.
    pub fn names_format(&self, name: &str) -> bool {
        self.formats.keys().any(|known| known.eq_ignore_ascii_case(name)) && self.writes_formats()
    }

    /// Whether the program is told which format to write.
    pub fn writes_formats(&self) -> bool {
        self.names().any(|name| matches!(name, Placeholder::Format | Placeholder::Extension))
    }

    /// What an exit code means; a process ended by signal N counts as 128 + N.
    pub fn exit_meaning(&self, code: i32) -> ExitMeaning {
        if self.success_exit_codes.contains(&code) {
            ExitMeaning::Success
        } else if self.memory_exit_codes.contains(&code) {
            ExitMeaning::OutOfMemory
        } else {
            ExitMeaning::Failure
        }
    }

    /// `frames` cut into what single runs of the program can render, in their order.
    pub fn runs(&self, frames: &[i64]) -> Vec<Vec<i64>> {
        let together = |a: i64, b: i64| match self.frames.per_run {
            FramesPerRun::One => false,
            FramesPerRun::Range => a.checked_add(1) == Some(b),
            FramesPerRun::List => true,
        };
        frames.chunk_by(|&a, &b| together(a, b)).map(<[i64]>::to_vec).collect()
    }

    /// The names K that the engine knows in `--arg K=V`.
    pub fn arguments(&self) -> BTreeSet<String> {
        let mut known: BTreeSet<String> = self.default_arguments.keys().cloned().collect();
        for name in self.names() {
            if let Placeholder::Arg(key) = name {
                known.insert(key.clone());
            }
        }
        for group in &self.options {
            if let Condition::Arg(key) = &group.when {
                known.insert(key.clone());
            }
        }
        if self.builtin == Some(Builtin::Noop) {
            known.insert("pause".to_owned());
        }
        known
    }

    /// Every placeholder that the definition uses.
    pub(super) fn names(&self) -> impl Iterator<Item = &Placeholder> {
        let args = self.args.iter().filter_map(|argument| match argument {
            Argument::One(template) => Some(template),
            Argument::Options(_) | Argument::Command => None,
        });
        args.chain(self.options.iter().flat_map(|group| &group.args))
            .chain(&self.outputs)
            .chain(self.environment.values())
            .flat_map(Template::names)
    }
}

/// The line, from 1, on which `span` begins.
fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}
