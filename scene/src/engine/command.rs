//! From a definition and one run's facts to an argument list.

use std::collections::BTreeMap;

use super::definition::{
    Argument, Builtin, Condition, Definition, Format, FramesPerRun, OptionGroup,
};
use super::lookup::Executable;
use super::template::{Placeholder, Template, Value};
use super::tile::{Rect, Tile};
use crate::frames::{output_name, with_hashes};

mod error;
#[cfg(test)]
mod tests;

pub use error::CommandError;

/// The longest name that [`file_safe_name`] gives, in bytes; with frame digits and an extension it
/// stays below the 255 bytes of most file systems.
const MAX_NAME_BYTES: usize = 120;

/// What a command of the artist's own may have filled in.
const IN_COMMANDS: [Placeholder; 10] = [
    Placeholder::Frame,
    Placeholder::LastFrame,
    Placeholder::Start,
    Placeholder::End,
    Placeholder::RangeEnd,
    Placeholder::Inputs,
    Placeholder::Work,
    Placeholder::Threads,
    Placeholder::Gpus,
    Placeholder::JobName,
];

/// One run of an engine: everything that its placeholders may stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The weft binary itself.
    pub weft: String,
    /// The scene file: an absolute path.
    pub scene: String,
    /// The frames of this run, in order; see [`Definition::runs`].
    pub frames: Vec<i64>,
    /// The lowest frame of the whole job.
    pub start: i64,
    /// The highest frame of the whole job.
    pub end: i64,
    /// The folder to write to, and the program's working folder: an absolute path.
    pub work: String,
    /// The folder with the job's files: an absolute path.
    pub inputs: String,
    /// How many threads the run may use.
    pub threads: u32,
    /// The graphics cards that it may use, as their numbers with commas between; empty for none.
    pub gpus: String,
    /// What the output files are named after; made [safe](file_safe_name) for that.
    pub name: String,
    /// `--format`: a name of the definition's formats, or an ending of theirs, in any case.
    pub format: Option<String>,
    /// `--camera`.
    pub camera: Option<String>,
    /// `--scene`: which of the scenes in the file.
    pub scene_name: Option<String>,
    /// `--view-layer`.
    pub view_layer: Option<String>,
    /// `--scale`, in percent.
    pub scale: Option<u32>,
    /// What the files of each view are told by, where every view has a file of its own.
    pub views: Vec<String>,
    /// The part of the picture to render.
    pub tile: Option<Tile>,
    /// `--allow-scripts`.
    pub allow_scripts: bool,
    /// `--arg K=V`.
    pub arguments: BTreeMap<String, String>,
    /// The words of a command of the artist's own, with placeholders; see [`Definition::runs_commands`].
    pub command: Vec<String>,
}

/// What to run. The arguments are whole entries of an argument list, to be given to the program
/// without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command {
    /// Set for an engine that runs inside the daemon; then there is no program.
    pub builtin: Option<Builtin>,
    /// Where the program may be, in the order to look.
    pub program_candidates: Vec<Executable>,
    /// The program's arguments; of a command of the artist's own the program as well, as the first.
    pub args: Vec<String>,
    /// Environment variables to set.
    pub env: BTreeMap<String, String>,
    /// The files that must exist afterwards, however the program ended.
    pub expected_outputs: Vec<ExpectedOutput>,
    /// The job's arguments with the engine's defaults filled in, for a builtin.
    pub arguments: BTreeMap<String, String>,
}

/// A file that a run must leave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedOutput {
    /// The frame it belongs to.
    pub frame: i64,
    /// Its path relative to the work folder, with `/` between folders.
    pub path: String,
}

/// The command line of `invocation` for the engine of `definition`.
///
/// # Errors
/// [`CommandError`]: what was asked for and can't be done by this engine is refused, never left out.
pub fn command(definition: &Definition, invocation: &Invocation) -> Result<Command, CommandError> {
    check_frames(definition, &invocation.frames)?;
    check_support(definition, invocation)?;
    let mut run = Run {
        definition,
        invocation,
        name: file_safe_name(&invocation.name),
        scene_dir: folder_of(&invocation.scene).to_owned(),
        format: format(definition, invocation.format.as_deref())?,
        arguments: arguments(definition, &invocation.arguments)?,
        pixels: None,
        view: String::new(),
        output: String::new(),
        output_pattern: String::new(),
    };
    run.pixels = run.tile_pixels()?;

    let mut expected_outputs = Vec::new();
    for &frame in &invocation.frames {
        for output in &definition.outputs {
            let by_view = output.names().any(|name| *name == Placeholder::View);
            let views = run.invocation.views.len().max(1);
            for view in 0..if by_view { views } else { 1 } {
                run.view = run.invocation.views.get(view).cloned().unwrap_or_default();
                let path = output.expand(run.range_end(), |name| run.value(name, frame))?;
                let path = output_name(&path, frame);
                expected_outputs.push(ExpectedOutput { frame, path });
            }
        }
    }
    run.view = run.invocation.views.first().cloned().unwrap_or_default();
    if let (Some(first), Some(template)) = (expected_outputs.first(), definition.outputs.first()) {
        run.output = join(&invocation.work, &first.path);
        let pattern = template
            .expand_as_pattern(run.range_end(), |name| run.value(name, invocation.frames[0]))?;
        run.output_pattern = join(&invocation.work, &with_hashes(&pattern));
    }

    let mut args = Vec::new();
    for argument in &definition.args {
        match argument {
            Argument::One(template) => args.push(run.expand(template)?),
            Argument::Command => args.extend(run.own_command()?),
            Argument::Options(slot) => {
                let groups = definition.options.iter().filter(|group| group.slot == *slot);
                for group in groups.filter(|group| run.applies(group)) {
                    for template in &group.args {
                        args.push(run.expand(template)?);
                    }
                }
            }
        }
    }
    let mut env = BTreeMap::new();
    for (key, template) in &definition.environment {
        env.insert(key.clone(), run.expand(template)?);
    }
    Ok(Command {
        builtin: definition.builtin,
        program_candidates: definition.executables.clone(),
        args,
        env,
        expected_outputs,
        arguments: run.arguments,
    })
}

/// `name` with what file systems and renderers make something of replaced by `_`: separators,
/// control characters, `# % : * ? " < > |`, quotes, and a leading `.` or `-`. At most 120 bytes;
/// `render` if nothing is left.
pub fn file_safe_name(name: &str) -> String {
    let name = name.trim();
    let mut safe = String::new();
    for letter in name.chars() {
        let leading = safe.is_empty() && matches!(letter, '.' | '-');
        let special = "/\\#%:*?\"'<>|{}".contains(letter) || letter.is_control();
        let letter = if leading || special { '_' } else { letter };
        if safe.len() + letter.len_utf8() > MAX_NAME_BYTES {
            break;
        }
        safe.push(letter);
    }
    // Windows drops dots and spaces at the end of a name.
    safe.truncate(safe.trim_end_matches(['.', ' ']).len());
    if safe.is_empty() { "render".to_owned() } else { safe }
}

/// One invocation with everything derived from it.
struct Run<'a> {
    definition: &'a Definition,
    invocation: &'a Invocation,
    name: String,
    scene_dir: String,
    format: &'a Format,
    arguments: BTreeMap<String, String>,
    pixels: Option<Rect>,
    view: String,
    output: String,
    output_pattern: String,
}

impl<'a> Run<'a> {
    /// The end of the job's range, but not its start: for renderers that divide by its length, or
    /// take a range of one frame for no range at all.
    fn range_end(&self) -> i64 {
        self.invocation.end.max(self.invocation.start.saturating_add(1))
    }

    fn expand(&self, template: &Template) -> Result<String, CommandError> {
        let first = self.invocation.frames[0];
        template.expand(self.range_end(), |name| self.value(name, first))
    }

    /// The words of the artist's own command. What they ask for must be something that a command has.
    fn own_command(&self) -> Result<Vec<String>, CommandError> {
        let wrong =
            |word: &str, why: String| CommandError::BadCommand { word: word.to_owned(), why };
        if self.invocation.command.is_empty() {
            return Err(wrong("", "it is empty".to_owned()));
        }
        let words = self.invocation.command.iter().map(|word| {
            let template = Template::parse(word).map_err(|why| wrong(word, why))?;
            if let Some(name) = template.names().find(|name| !IN_COMMANDS.contains(name)) {
                let why = format!("a command of one's own has no {{{name}}}");
                return Err(wrong(word, why));
            }
            self.expand(&template)
        });
        let words = words.collect::<Result<Vec<String>, CommandError>>()?;
        match words.iter().find(|word| word.contains('\0')) {
            Some(word) => Err(wrong(word, "it holds a zero byte".to_owned())),
            None if words[0].is_empty() => Err(wrong("", "its program has no name".to_owned())),
            None => Ok(words),
        }
    }

    fn applies(&self, group: &OptionGroup) -> bool {
        let given = match &group.when {
            Condition::Camera => self.invocation.camera.is_some(),
            Condition::SceneName => self.invocation.scene_name.is_some(),
            Condition::ViewLayer => self.invocation.view_layer.is_some(),
            Condition::Scale => self.invocation.scale.is_some(),
            Condition::Format => self.invocation.format.is_some(),
            Condition::Tile => self.invocation.tile.is_some(),
            Condition::AllowScripts => self.invocation.allow_scripts,
            Condition::Still => {
                let (start, end) = (self.invocation.start, self.invocation.end);
                start == end && matches!(start, 0 | 1)
            }
            Condition::Arg(key) => self.arguments.contains_key(key),
        };
        given != group.negated
    }

    fn value<'v>(&'v self, name: &Placeholder, frame: i64) -> Result<Value<'v>, CommandError> {
        let run = self.invocation;
        let text = |value: &'v str| Ok(Value::Text(value));
        let number = |value: u32| Ok(Value::Integer(i64::from(value)));
        let optional = |value: &'v Option<String>| match value {
            Some(value) => Ok(Value::Text(value.as_str())),
            None => Err(self.missing(name)),
        };
        let tile = |get: fn(&Tile) -> u32| match &run.tile {
            Some(tile) => number(get(tile)),
            None => Err(self.missing(name)),
        };
        let pixel = |get: fn(&Rect) -> u32| match &self.pixels {
            Some(rect) => number(get(rect)),
            None => Err(self.missing(name)),
        };
        match name {
            Placeholder::Scene => text(&run.scene),
            Placeholder::SceneDir => text(&self.scene_dir),
            Placeholder::Frame => Ok(Value::Integer(frame)),
            Placeholder::LastFrame => {
                Ok(Value::Integer(run.frames.last().copied().unwrap_or(frame)))
            }
            Placeholder::Frames => Ok(Value::Frames(&run.frames)),
            Placeholder::Start => Ok(Value::Integer(run.start)),
            Placeholder::End => Ok(Value::Integer(run.end)),
            Placeholder::RangeEnd => Ok(Value::Integer(self.range_end())),
            Placeholder::Output => text(&self.output),
            Placeholder::OutputPattern => text(&self.output_pattern),
            Placeholder::Work => text(&run.work),
            Placeholder::Inputs => text(&run.inputs),
            Placeholder::Threads => number(run.threads.max(1)),
            Placeholder::Gpus => text(&run.gpus),
            Placeholder::Format => text(&self.format.value),
            Placeholder::Extension => text(&self.format.extension),
            Placeholder::View => text(&self.view),
            Placeholder::JobName => text(&self.name),
            Placeholder::Weft => text(&run.weft),
            Placeholder::Camera => optional(&run.camera),
            Placeholder::SceneName => optional(&run.scene_name),
            Placeholder::ViewLayer => optional(&run.view_layer),
            Placeholder::Scale => run.scale.map_or_else(|| Err(self.missing(name)), number),
            Placeholder::TileColumn => tile(|tile| tile.column),
            Placeholder::TileColumns => tile(|tile| tile.columns),
            Placeholder::TileRow => tile(|tile| tile.row),
            Placeholder::TileRows => tile(|tile| tile.rows),
            Placeholder::TileLeft => pixel(|rect| rect.left),
            Placeholder::TileRight => pixel(|rect| rect.right),
            Placeholder::TileTop => pixel(|rect| rect.top),
            Placeholder::TileBottom => pixel(|rect| rect.bottom),
            Placeholder::Arg(key) => {
                self.arguments.get(key).map_or_else(|| Err(self.missing(name)), |value| text(value))
            }
        }
    }

    /// The tile's pixels, where the picture's size is known from `arg.width` and `arg.height`.
    fn tile_pixels(&self) -> Result<Option<Rect>, CommandError> {
        let Some(tile) = &self.invocation.tile else {
            return Ok(None);
        };
        let bad =
            |why: &str| CommandError::BadValue { name: "tile".to_owned(), why: why.to_owned() };
        if !tile.is_valid() {
            return Err(bad("lies outside its grid"));
        }
        let size = |key| self.arguments.get(key).and_then(|value| value.trim().parse().ok());
        match (size("width"), size("height")) {
            (Some(width), Some(height)) => match tile.pixels(width, height) {
                Some(rect) => Ok(Some(rect)),
                None => Err(bad("has no pixels: the picture is smaller than the grid")),
            },
            _ => Ok(None),
        }
    }

    fn missing(&self, name: &Placeholder) -> CommandError {
        let hint = match name {
            Placeholder::Arg(key) => format!(": give it with --arg {key}=…"),
            Placeholder::TileLeft
            | Placeholder::TileRight
            | Placeholder::TileTop
            | Placeholder::TileBottom => {
                ": give the picture's size with --arg width=… and --arg height=…".to_owned()
            }
            _ => String::new(),
        };
        CommandError::MissingValue {
            engine: self.definition.name.clone(),
            name: name.to_string(),
            hint,
        }
    }
}

fn check_frames(definition: &Definition, frames: &[i64]) -> Result<(), CommandError> {
    let engine = || definition.name.clone();
    let support = &definition.frames;
    if frames.is_empty() {
        return Err(CommandError::NoFrames);
    }
    let allowed = support.first..=support.last;
    if let Some(&frame) = frames.iter().find(|frame| !allowed.contains(frame)) {
        let (first, last) = (support.first, support.last);
        return Err(CommandError::FrameOutOfRange { engine: engine(), frame, first, last });
    }
    let together = match support.per_run {
        FramesPerRun::One => frames.len() == 1,
        FramesPerRun::Range => frames.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        FramesPerRun::List => true,
    };
    if together { Ok(()) } else { Err(CommandError::FramesTogether { engine: engine() }) }
}

/// What was asked for must appear in the arguments; a setting that is quietly left out gives wrong
/// pictures.
fn check_support(definition: &Definition, run: &Invocation) -> Result<(), CommandError> {
    let uses = |wanted: &[Placeholder]| definition.names().any(|name| wanted.contains(name));
    let wanted: [(bool, &str, &[Placeholder]); 4] = [
        (run.camera.is_some(), "which camera to render", &[Placeholder::Camera]),
        (run.scene_name.is_some(), "which scene of the file to render", &[Placeholder::SceneName]),
        (run.view_layer.is_some(), "which view layer to render", &[Placeholder::ViewLayer]),
        (run.scale.is_some(), "a scale", &[Placeholder::Scale]),
    ];
    let refuse = |what: &str| {
        let (engine, what) = (definition.name.clone(), what.to_owned());
        Err(CommandError::NotSupported { engine, what })
    };
    for (asked, what, names) in wanted {
        if asked && !uses(names) {
            return refuse(what);
        }
    }
    if run.tile.is_some() && definition.regions.is_none() {
        return refuse("which part of the picture to render");
    }
    if !run.views.is_empty() && !uses(&[Placeholder::View]) {
        return refuse("which views of a frame to render");
    }
    if run.format.is_some() && !definition.writes_formats() {
        return refuse("a format");
    }
    Ok(())
}

/// The format that is wanted, or the definition's own.
pub(super) fn format<'a>(
    definition: &'a Definition,
    wanted: Option<&str>,
) -> Result<&'a Format, CommandError> {
    let wanted = wanted.unwrap_or(&definition.default_format);
    let formats = &definition.formats;
    // Where several formats share an ending, it takes a name to tell them apart.
    let by_extension = || {
        let ending = wanted.trim_start_matches('.');
        let mut same =
            formats.values().filter(|known| known.extension.eq_ignore_ascii_case(ending));
        same.next().filter(|_| same.next().is_none())
    };
    let by_name = formats.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    by_name.map(|(_, format)| format).or_else(by_extension).ok_or_else(|| {
        CommandError::UnknownFormat {
            engine: definition.name.clone(),
            format: wanted.to_owned(),
            known: formats.keys().cloned().collect::<Vec<_>>().join(", "),
        }
    })
}

fn arguments(
    definition: &Definition,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, CommandError> {
    let known = definition.arguments();
    if let Some(key) = given.keys().find(|key| !known.contains(*key)) {
        let names = known.into_iter().collect::<Vec<_>>().join(", ");
        return Err(CommandError::UnknownArgument {
            engine: definition.name.clone(),
            key: key.clone(),
            known: if names.is_empty() { "none".to_owned() } else { names },
        });
    }
    let mut all = definition.default_arguments.clone();
    all.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
    Ok(all)
}

fn folder_of(path: &str) -> &str {
    match path.rfind(['/', '\\']) {
        Some(0) => &path[..1],
        Some(at) => &path[..at],
        None => ".",
    }
}

fn join(folder: &str, path: &str) -> String {
    format!("{}/{path}", folder.trim_end_matches(['/', '\\']))
}
