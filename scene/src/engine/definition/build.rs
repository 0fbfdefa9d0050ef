//! From the TOML shape to a checked [`Definition`].

mod patterns;

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::super::ability::Ability;
use super::super::table::{
    AbilityTable, ClaimTable, File, FormatTable, FramesPerRunTable, OptionTable, RegionsTable,
    Table, Text,
};
use super::super::template::is_argument_name;
use super::*;
use crate::frames::{MAX_FRAME, MIN_FRAME};
use patterns::{file_patterns, log_patterns, pattern};

/// How many engines may build on each other in a row.
const MAX_BASES: usize = 8;

/// What is wrong, and where in the text.
type Wrong = (Option<Range<usize>>, String);

/// The tables of `text` as written.
pub(super) fn tables(
    text: &str,
    source_name: &str,
) -> Result<BTreeMap<String, Spanned<Table>>, DefinitionError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(DefinitionError::TooLarge(source_name.to_owned()));
    }
    let file: File = toml::from_str(text).map_err(|error| DefinitionError::Syntax {
        source_name: source_name.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, &span)),
        message: error.message().to_owned(),
    })?;
    Ok(file.engine)
}

/// The definitions of `text`, which may build on `shipped` and on each other.
pub(super) fn read(
    text: &str,
    source_name: &str,
    shipped: &BTreeMap<String, Spanned<Table>>,
) -> Result<BTreeMap<String, Definition>, DefinitionError> {
    let own = tables(text, source_name)?;
    let mut engines = BTreeMap::new();
    for (name, table) in &own {
        let header = table.span();
        let definition = resolve(name, &own, shipped)
            .and_then(|merged| build(name, merged))
            .map_err(|(span, message)| DefinitionError::Invalid {
                source_name: source_name.to_owned(),
                line: line_of(text, &span.unwrap_or(header)),
                engine: name.clone(),
                message,
            })?;
        engines.insert(name.clone(), definition);
    }
    Ok(engines)
}

/// The table of `name` with everything it builds on.
fn resolve(
    name: &str,
    own: &BTreeMap<String, Spanned<Table>>,
    shipped: &BTreeMap<String, Spanned<Table>>,
) -> Result<Table, Wrong> {
    let mut merged = own[name].get_ref().clone();
    let mut at = name.to_owned();
    for _ in 0..MAX_BASES {
        let implied = shipped.contains_key(&at) && merged.args.is_none();
        let (base, span) = match merged.base.take() {
            Some(base) => (base.get_ref().clone(), Some(base.span())),
            None if implied && merged.builtin.is_none() => (at.clone(), None),
            None => return Ok(merged),
        };
        // An engine that builds on its own name means the shipped one.
        let table = if base == at { shipped.get(&base) } else { own.get(&base) };
        match table.or_else(|| shipped.get(&base)) {
            Some(table) => merged = merged_over(merged, table.get_ref()),
            None => return Err((span, format!("there is no engine {base} to build on"))),
        }
        if base == at {
            return Ok(merged);
        }
        at = base;
    }
    Err((None, format!("more than {MAX_BASES} engines build on each other")))
}

/// Like [`Table::over`], but the result goes on building on what `base` builds on.
fn merged_over(table: Table, base: &Table) -> Table {
    let next = base.base.clone();
    Table { base: next, ..table.over(base.clone()) }
}

fn build(name: &str, table: Table) -> Result<Definition, Wrong> {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
    };
    if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) || name.starts_with(['.', '-']) {
        let message = "a name is 1 to 64 lower-case letters, digits, '.', '_' and '-'";
        return Err((None, message.to_owned()));
    }
    let builtin = table.builtin.as_ref().map(builtin).transpose()?;
    let executables = executables(table.executables.unwrap_or_default())?;
    if builtin.is_none() && executables.is_empty() {
        return Err((None, "executables is missing: where is the program?".to_owned()));
    }
    let version_pattern = match &table.version_pattern {
        None => None,
        Some(text) => {
            let pattern = pattern(text)?;
            if pattern.group_count() != 1 {
                let message = "version_pattern must have one group, which is the version";
                return Err((Some(text.span()), message.to_owned()));
            }
            Some(pattern)
        }
    };
    let args = table
        .args
        .unwrap_or_default()
        .iter()
        .map(argument)
        .collect::<Result<Vec<Argument>, Wrong>>()?;
    let options = table
        .options
        .unwrap_or_default()
        .iter()
        .map(|group| option_group(group, &args))
        .collect::<Result<Vec<OptionGroup>, Wrong>>()?;
    if let Some(lonely) = args.iter().find_map(|argument| match argument {
        Argument::Options(slot) if !options.iter().any(|group| group.slot == *slot) => Some(slot),
        _ => None,
    }) {
        return Err((None, format!("args has a slot {lonely:?} that no option group fills")));
    }
    let abilities = abilities(table.abilities.unwrap_or_default())?;
    let (formats, default_format) = formats(table.formats, table.default_format)?;
    let outputs = match table.outputs {
        Some(outputs) => outputs.iter().map(output).collect::<Result<_, Wrong>>()?,
        None => default_outputs(&args, &options),
    };
    let mut environment = BTreeMap::new();
    for (key, value) in table.environment.unwrap_or_default() {
        if key.is_empty() || key.contains(['=', '\0']) {
            return Err((Some(value.span()), format!("{key:?} can't name a variable")));
        }
        environment.insert(key, template(&value)?);
    }
    let mut default_arguments = BTreeMap::new();
    for (key, value) in table.default_arguments.unwrap_or_default() {
        if !is_argument_name(&key) {
            return Err((Some(value.span()), format!("{key:?} can't name an argument")));
        }
        default_arguments.insert(key, value.into_inner());
    }
    let definition = Definition {
        name: name.to_owned(),
        title: table.title.unwrap_or_else(|| name.to_owned()),
        application: table.application,
        builtin,
        executables,
        wrapper: wrapper(table.wrapper.unwrap_or_default())?,
        version_args: table.version_args.unwrap_or_default(),
        extensions: extensions(table.extensions.unwrap_or_default())?,
        formats,
        default_format,
        frames: FrameSupport {
            per_run: match table.frames_per_run {
                None | Some(FramesPerRunTable::One) => FramesPerRun::One,
                Some(FramesPerRunTable::Range) => FramesPerRun::Range,
                Some(FramesPerRunTable::List) => FramesPerRun::List,
            },
            first: table.first_frame.unwrap_or(MIN_FRAME),
            last: table.last_frame.unwrap_or(MAX_FRAME),
        },
        regions: table.regions.map(|regions| match regions {
            RegionsTable::Crop => Regions::Crop,
            RegionsTable::Full => Regions::Full,
        }),
        home: table.home.unwrap_or(false),
        network: table.network.unwrap_or(false),
        display: table.display.unwrap_or(false),
        devices: places(table.devices)?,
        reuse: table.reuse.unwrap_or(true),
        shares: matches!(table.claim, Some(ClaimTable::Share)),
        readable: places(table.readable)?,
        writable: places(table.writable)?,
        pass_environment: variables(table.pass_environment)?,
        collects: table.collect.unwrap_or(false),
        beside: table.beside.as_ref().map(folder).transpose()?,
        silence_seconds: table.silence_seconds.unwrap_or(0),
        success_exit_codes: exit_codes(table.success_exit_codes, 0)?,
        memory_exit_codes: exit_codes(table.memory_exit_codes, 137)?,
        default_arguments,
        abilities,
        paths: path_map(table.paths.unwrap_or_default())?,
        untiled_arguments: table.untiled_arguments.unwrap_or_default(),
        version_pattern,
        args,
        options,
        outputs,
        environment,
        log: log_patterns(&table.log.unwrap_or_default())?,
        files: table.files.as_ref().map(file_patterns).transpose()?,
    };
    if definition.builtin.is_some() && !definition.wrapper.is_empty() {
        return Err((None, "wrapper has nothing to start: this engine has no program".to_owned()));
    }
    let given = definition.executables.contains(&Executable::Given);
    let whole = definition.args == [Argument::Command] && definition.executables.len() == 1;
    if given != definition.args.contains(&Argument::Command) || (given && !whole) {
        let message = "{command} must be all of args and of executables, or be in neither";
        return Err((None, message.to_owned()));
    }
    if definition.collects
        && (!definition.outputs.is_empty() || definition.frames.per_run != FramesPerRun::One)
    {
        let message = "collect takes whatever lies in the work folder: it goes with neither outputs nor \
                       several frames in a run";
        return Err((None, message.to_owned()));
    }
    if definition.frames.first > definition.frames.last {
        return Err((None, "first_frame is above last_frame".to_owned()));
    }
    let circular =
        |name: &Placeholder| matches!(name, Placeholder::Output | Placeholder::OutputPattern);
    if definition.outputs.iter().any(|output| output.names().any(circular)) {
        return Err((None, "outputs can't be named by {output} or {output_pattern}".to_owned()));
    }
    Ok(definition)
}

fn abilities(tables: BTreeMap<String, AbilityTable>) -> Result<Vec<Ability>, Wrong> {
    let read = |(name, table): (String, AbilityTable)| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&name.len()) || !name.bytes().all(plain) {
            let message = format!(
                "{name:?} can't name an ability: that is 1 to 32 lower-case letters, digits and '-'"
            );
            return Err((Some(table.output.span()), message));
        }
        let args = table.args.iter().map(argument).collect::<Result<Vec<Argument>, Wrong>>()?;
        if let Some(at) = args.iter().position(|one| !matches!(one, Argument::One(_))) {
            let message = "a trial has neither options nor a command of somebody's own";
            return Err((Some(table.args[at].span()), message.to_owned()));
        }
        Ok(Ability {
            name,
            renderers: table.renderers,
            hint: table.hint,
            argument: table.argument,
            args,
            output: output(&table.output)?,
        })
    };
    tables.into_iter().map(read).collect()
}

fn builtin(text: &Text) -> Result<Builtin, Wrong> {
    match text.get_ref().as_str() {
        "noop" => Ok(Builtin::Noop),
        "join" => Ok(Builtin::Join),
        "compare" => Ok(Builtin::Compare),
        other => Err((Some(text.span()), format!("nothing called {other} is built in"))),
    }
}

fn executables(texts: Vec<Text>) -> Result<Vec<Executable>, Wrong> {
    let read = |text: &Text| {
        Executable::parse(text.get_ref()).ok_or_else(|| {
            let message = format!(
                "{:?} is neither a program's name nor an absolute path nor {{weft}} or {{command}}",
                text.get_ref()
            );
            (Some(text.span()), message)
        })
    };
    texts.iter().map(read).collect()
}

/// A command, of which the first word is a program.
fn wrapper(words: Vec<Text>) -> Result<Vec<String>, Wrong> {
    if let Some(first) = words.first() {
        let wild = first.get_ref().contains(['*', '?']);
        let program = Executable::parse(first.get_ref()).filter(|_| !wild);
        if !matches!(program, Some(Executable::Name(_) | Executable::Path(_))) {
            let message =
                format!("{:?} is neither a program's name nor an absolute path", first.get_ref());
            return Err((Some(first.span()), message));
        }
    }
    Ok(words.into_iter().map(Text::into_inner).collect())
}

/// Absolute paths.
fn places(texts: Option<Vec<Text>>) -> Result<Vec<String>, Wrong> {
    let read = |text: Text| match Executable::parse(text.get_ref()) {
        Some(Executable::Path(path)) => Ok(path),
        _ => Err((Some(text.span()), format!("{:?} is no absolute path", text.get_ref()))),
    };
    texts.unwrap_or_default().into_iter().map(read).collect()
}

/// Exit codes that a program can end with here.
fn exit_codes(codes: Option<Vec<Spanned<i32>>>, usual: i32) -> Result<Vec<i32>, Wrong> {
    let Some(codes) = codes else { return Ok(vec![usual]) };
    let read = |code: Spanned<i32>| match *code.get_ref() {
        // Windows' are any number of 32 bits, those of others have 8.
        number if cfg!(windows) || (0..=255).contains(&number) => Ok(number),
        number => {
            Err((Some(code.span()), format!("no program ends with {number}, only with 0 to 255")))
        }
    };
    codes.into_iter().map(read).collect()
}

fn path_map(places: BTreeMap<String, Text>) -> Result<PathMap, Wrong> {
    let read = |(from, to): (String, Text)| match Executable::parse(to.get_ref()) {
        Some(Executable::Path(path)) if !from.is_empty() => Ok((from, path.into())),
        _ => Err((Some(to.span()), format!("{:?} is no absolute path", to.get_ref()))),
    };
    Ok(PathMap::new(places.into_iter().map(read).collect::<Result<Vec<_>, Wrong>>()?))
}

fn variables(texts: Option<Vec<Text>>) -> Result<Vec<String>, Wrong> {
    let read = |text: Text| match text.get_ref().contains(['=', '\0']) || text.get_ref().is_empty()
    {
        false => Ok(text.into_inner()),
        true => Err((Some(text.span()), format!("{:?} can't name a variable", text.get_ref()))),
    };
    texts.unwrap_or_default().into_iter().map(read).collect()
}

fn extensions(texts: Vec<Text>) -> Result<Vec<String>, Wrong> {
    let read = |text: &Text| {
        let extension = text.get_ref().trim_start_matches('.').to_lowercase();
        if extension.is_empty() || extension.contains(['/', '\\', '*']) {
            let message = format!("{:?} is no file ending, such as \"blend\"", text.get_ref());
            return Err((Some(text.span()), message));
        }
        Ok(extension)
    };
    texts.iter().map(read).collect()
}

fn template(text: &Text) -> Result<Template, Wrong> {
    Template::parse(text.get_ref()).map_err(|message| (Some(text.span()), message))
}

fn argument(text: &Text) -> Result<Argument, Wrong> {
    let whole = text.get_ref().as_str();
    if whole == "{command}" {
        return Ok(Argument::Command);
    }
    if whole == "{options}" {
        return Ok(Argument::Options(String::new()));
    }
    if let Some(slot) = whole.strip_prefix("{options:").and_then(|rest| rest.strip_suffix('}')) {
        return Ok(Argument::Options(slot.to_owned()));
    }
    template(text).map(Argument::One)
}

fn option_group(group: &OptionTable, args: &[Argument]) -> Result<OptionGroup, Wrong> {
    let slot = group.slot.as_ref().map_or(String::new(), |slot| slot.get_ref().clone());
    if !args.contains(&Argument::Options(slot.clone())) {
        let placeholder =
            if slot.is_empty() { "{options}".to_owned() } else { format!("{{options:{slot}}}") };
        let span = group.slot.as_ref().unwrap_or(&group.when).span();
        return Err((Some(span), format!("args has no {placeholder} for these options")));
    }
    let text = group.when.get_ref();
    let (negated, what) = match text.strip_prefix('!') {
        Some(what) => (true, what),
        None => (false, text.as_str()),
    };
    let when = match what {
        "camera" => Condition::Camera,
        "scene_name" => Condition::SceneName,
        "view_layer" => Condition::ViewLayer,
        "scale" => Condition::Scale,
        "format" => Condition::Format,
        "tile" => Condition::Tile,
        "allow_scripts" => Condition::AllowScripts,
        "still" => Condition::Still,
        other => match other.strip_prefix("arg.") {
            Some(key) if is_argument_name(key) => Condition::Arg(key.to_owned()),
            _ => {
                let message = format!(
                    "when can be camera, scene_name, view_layer, scale, format, tile, \
                     allow_scripts, still or arg.K, but not {other:?}"
                );
                return Err((Some(group.when.span()), message));
            }
        },
    };
    let args = group.args.iter().map(template).collect::<Result<_, Wrong>>()?;
    Ok(OptionGroup { slot, when, negated, args })
}

fn formats(
    tables: Option<BTreeMap<String, Spanned<FormatTable>>>,
    default: Option<Text>,
) -> Result<(BTreeMap<String, Format>, String), Wrong> {
    let mut formats = BTreeMap::new();
    for (name, table) in tables.unwrap_or_default() {
        let span = table.span();
        let (extension, value) = match table.into_inner() {
            FormatTable::Extension(extension) => (extension, None),
            FormatTable::Full(full) => (full.extension, full.value),
        };
        let extension = extension.trim_start_matches('.').to_owned();
        if extension.is_empty() || extension.contains(['/', '\\']) {
            return Err((Some(span), format!("{extension:?} is no file ending")));
        }
        let value = value.unwrap_or_else(|| name.clone());
        formats.insert(name, Format { extension, value });
    }
    if formats.is_empty() {
        let png = Format { extension: "png".to_owned(), value: "PNG".to_owned() };
        formats.insert("PNG".to_owned(), png);
    }
    let default_format = match default {
        Some(text) if !formats.contains_key(text.get_ref()) => {
            let message = format!("default_format {} is not among its formats", text.get_ref());
            return Err((Some(text.span()), message));
        }
        Some(text) => text.into_inner(),
        None if formats.len() > 1 && !formats.contains_key("PNG") => {
            return Err((None, "default_format is missing: which of the formats?".to_owned()));
        }
        None if formats.contains_key("PNG") => "PNG".to_owned(),
        None => formats.keys().next().cloned().unwrap_or_default(),
    };
    Ok((formats, default_format))
}

fn output(text: &Text) -> Result<Template, Wrong> {
    let path = text.get_ref();
    let leaves = path.split(['/', '\\']).any(|part| part == "..");
    if path.is_empty() || leaves || path.starts_with(['/', '\\']) || path.contains(":\\") {
        let message = format!("{path:?} doesn't lie below the work folder");
        return Err((Some(text.span()), message));
    }
    template(text)
}

/// A single folder below the work folder.
fn folder(text: &Text) -> Result<String, Wrong> {
    let name = text.get_ref();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) {
        true => Ok(name.clone()),
        false => Err((
            Some(text.span()),
            format!("{name:?} is no folder's name: that is letters, digits, '_' and '-'"),
        )),
    }
}

fn default_outputs(args: &[Argument], options: &[OptionGroup]) -> Vec<Template> {
    let always = args.iter().filter_map(|argument| match argument {
        Argument::One(template) => Some(template),
        Argument::Options(_) | Argument::Command => None,
    });
    let mut names =
        always.chain(options.iter().flat_map(|group| &group.args)).flat_map(Template::names);
    if names.any(|name| matches!(name, Placeholder::Output | Placeholder::OutputPattern)) {
        Template::parse("{name}_{frame:04}.{ext}").into_iter().collect()
    } else {
        Vec::new()
    }
}
