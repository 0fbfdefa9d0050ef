//! Which engines can be used on this machine: where their programs are, and which version.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use weft_scene::engine::{Definition, Executable, matches_wildcard};
use weft_scene::version::order_of_names;

/// How long a program may take to print its version: Blender takes half a second on an idle machine, and was
/// seen to take 14 s where its libraries were read from a disk that five builds used as well.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);
/// What a command of somebody's own may rely on, as a version: what it is given, and what is done with its files.
const COMMANDS: &str = "1";
/// How much of what it prints is looked at, in bytes.
const PROBE_OUTPUT: usize = 64 * 1024;

/// An engine as it was found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its program; none for one that runs inside the daemon.
    pub program: Option<PathBuf>,
    /// Its version.
    pub version: String,
    /// Other programs of it that are here and come later in its list: they render nothing.
    pub others: Vec<PathBuf>,
}

impl Found {
    /// One that needs no program of its own.
    fn without_program(version: &str) -> Self {
        Self { program: None, version: version.to_owned(), others: Vec::new() }
    }
}

/// Every engine, and where it was found or why it can't be used: `refused` says why none with a program of
/// its own can. Whether commands of members' own may run here says `commands`.
pub async fn probe(
    definitions: &BTreeMap<String, Definition>,
    weft: &Path,
    commands: bool,
    refused: Option<&str>,
) -> BTreeMap<String, Result<Found, String>> {
    // Side by side: some programs take seconds to say who they are.
    let searches = definitions.iter().map(|(name, definition)| async move {
        let found = match refused.filter(|_| definition.builtin.is_none()) {
            Some(why) => Err(why.to_owned()),
            None if definition.runs_commands() => given(commands),
            None => find(definition, weft).await,
        };
        (name.clone(), found)
    });
    futures::future::join_all(searches).await.into_iter().collect()
}

/// Commands of members' own: each names its program itself.
fn given(allowed: bool) -> Result<Found, String> {
    match allowed {
        true => Ok(Found::without_program(COMMANDS)),
        false => Err(
            "members' own commands run only where weft.toml says so: `[run]` with `allow = true`"
                .to_owned(),
        ),
    }
}

async fn find(definition: &Definition, weft: &Path) -> Result<Found, String> {
    if definition.builtin.is_some() {
        return Ok(Found::without_program(env!("CARGO_PKG_VERSION")));
    }
    if let Some(wrapper) = definition.wrapper.first()
        && Executable::parse(wrapper).is_none_or(|program| candidates(&program, weft).is_empty())
    {
        return Err(format!("its wrapper was not found: {wrapper}"));
    }
    let mut why = format!("none of its programs was found: {}", names(&definition.executables));
    let listed = definition.executables.iter();
    let mut programs = listed.flat_map(|executable| candidates(executable, weft));
    while let Some(program) = programs.next() {
        match version(definition, &program).await {
            Ok(version) => {
                let others = others(&program, programs);
                return Ok(Found { program: Some(program), version, others });
            }
            Err(error) => why = format!("{}: {error}", program.display()),
        }
    }
    Err(why)
}

/// Those that are not the same as `program` under another name, each once.
fn others(program: &Path, rest: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let one = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut seen = BTreeSet::from([one(program)]);
    rest.filter(|other| seen.insert(one(other))).collect()
}

fn names(executables: &[Executable]) -> String {
    let names = executables.iter().map(|executable| match executable {
        Executable::Weft => "weft".to_owned(),
        Executable::Given => "the command's own".to_owned(),
        Executable::Name(name) => format!("{name} in PATH"),
        Executable::Path(path) => path.clone(),
        _ => "another".to_owned(),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The files that an entry may mean, the best first.
pub(crate) fn candidates(executable: &Executable, weft: &Path) -> Vec<PathBuf> {
    match executable {
        Executable::Weft => vec![weft.to_owned()],
        Executable::Name(name) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let name = if cfg!(windows) { format!("{name}.exe") } else { name.clone() };
            let found = std::env::split_paths(&path).map(|folder| folder.join(&name));
            found.filter(|file| file.is_file()).take(1).collect()
        }
        Executable::Path(pattern) => {
            expand(pattern, false).into_iter().filter(|file| file.is_file()).collect()
        }
        _ => Vec::new(),
    }
}

/// What matches a path with wildcards, the last by name first, numbers by their size; only what is there, if
/// `there`.
pub(crate) fn expand(pattern: &str, there: bool) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in Path::new(pattern).components() {
        let text = component.as_os_str();
        let wild = text.to_str().filter(|text| text.contains(['*', '?']));
        found = match wild {
            None => found.into_iter().map(|path| path.join(text)).collect(),
            Some(wild) => found.iter().flat_map(|folder| matching(folder, wild)).collect(),
        };
    }
    found.retain(|file| !there || file.exists());
    found.sort_by(|one: &PathBuf, other| {
        order_of_names(&other.to_string_lossy(), &one.to_string_lossy())
    });
    found
}

fn matching(folder: &Path, wild: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let fits = |name: &OsStr| name.to_str().is_some_and(|name| matches_wildcard(wild, name));
    names.filter(|name| fits(name)).map(|name| folder.join(name)).collect()
}

async fn version(definition: &Definition, program: &Path) -> Result<String, String> {
    if definition.version_args.is_empty() {
        return Ok(definition.version_from("").unwrap_or_else(|| "0".to_owned()));
    }
    let mut command = tokio::process::Command::new(program);
    command.args(&definition.version_args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PROBE_TIMEOUT, command.output())
        .await
        .map_err(|_| "it did not print its version in time".to_owned())?
        .map_err(|error| format!("it can't be started: {error}"))?;
    let mut printed = output.stdout;
    printed.extend(output.stderr);
    printed.truncate(PROBE_OUTPUT);
    let printed = String::from_utf8_lossy(&printed);
    definition
        .version_from(&printed)
        .ok_or_else(|| "it prints no version that is known; is it the right program?".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_find_the_newest_folder_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["tool-1.2", "tool-1.9", "tool-1.10", "other"] {
            let path = folder.path().join(version);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("run"), "").unwrap();
        }
        let pattern = format!("{}/tool-*/run", folder.path().display());
        let found = expand(&pattern, true);
        let newest_first = ["tool-1.10", "tool-1.9", "tool-1.2"];
        assert_eq!(found, newest_first.map(|name| folder.path().join(name).join("run")));
    }

    #[tokio::test]
    async fn an_engine_is_found_or_it_is_said_why_not() {
        let text = "[engine.sh]\nexecutables = [\"sh\"]\nargs = [\"-c\", \"true\"]\n\
                    [engine.none]\nexecutables = [\"no-such-program-here\"]\nargs = []\n";
        let definitions = weft_scene::engine::parse(text, "test").unwrap();
        let found = probe(&definitions, Path::new("/nowhere/weft"), false, None).await;
        assert_eq!(found["sh"].as_ref().map(|found| found.version.as_str()), Ok("0"));
        assert!(found["none"].as_ref().is_err_and(|why| why.contains("no-such-program-here")));
    }

    /// Which one renders is the list's order to say: a newer one that is put beside it must not change pictures.
    #[cfg(unix)]
    #[tokio::test]
    async fn programs_that_are_passed_over_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for tool in ["tool-1", "tool-2"] {
            std::fs::create_dir(at(tool)).unwrap();
            std::fs::write(at(tool).join("run"), "").unwrap();
        }
        std::fs::create_dir(at("tool-3")).unwrap();
        std::os::unix::fs::symlink(at("tool-2/run"), at("tool-3/run")).unwrap();
        let text = format!(
            "[engine.tool]\nexecutables = [\"{0}/tool-1/run\", \"{0}/tool-*/run\"]\nargs = []\n",
            folder.path().display()
        );
        let definitions = weft_scene::engine::parse(&text, "test").unwrap();
        let found = probe(&definitions, Path::new("/nowhere/weft"), false, None).await;
        let found = found["tool"].as_ref().unwrap();
        assert_eq!(found.program, Some(at("tool-1/run")));
        assert_eq!(found.others, [at("tool-3/run")], "the same one counts once");
    }

    #[tokio::test]
    async fn commands_run_where_they_may_and_nothing_runs_where_a_sandbox_is_missing() {
        let definitions = weft_scene::engine::shipped();
        let weft = Path::new("/nowhere/weft");
        let found = probe(&definitions, weft, false, Some("no sandbox")).await;
        assert_eq!(found["command"], Err("no sandbox".to_owned()));
        assert_eq!(found["demo"], Err("no sandbox".to_owned()));
        assert!(found["noop"].is_ok() && found["join"].is_ok(), "they run in the daemon");
        assert!(given(true).is_ok());
        assert!(given(false).is_err_and(|why| why.contains("[run]")));
    }
}
