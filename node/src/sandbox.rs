//! What keeps renders from the rest of the machine: found out once, when the daemon starts, by trying it.
//!
//! Under bubblewrap a run sees what programs need, the job's files read-only, and its own `work` and
//! `/tmp`; it has no network and no home, and every process of it ends with it. Where the system does not
//! let bubblewrap do that, Landlock keeps it from files and TCP. Else there is nothing but the guard.

mod bubblewrap;
mod environment;
mod places;
mod settings;
mod trial;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weft_scene::engine::Definition;
use weft_store::Offered;

pub(crate) use environment::environment;
use places::{Places, System};

use crate::guard::{Fence, Order};

/// What `sandbox` in `weft.toml` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The best that the machine has.
    #[default]
    Auto,
    /// None.
    Off,
    /// Engines are usable only in one.
    Required,
    /// Landlock, where bubblewrap would do as well.
    Landlock,
}

/// What renders run in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Namespaces of their own, made by that program.
    Bubblewrap(PathBuf),
    /// Files and TCP are held by the kernel's Landlock; false where the kernel can't hold TCP.
    Landlock(bool),
    /// Nothing but the guard.
    #[default]
    None,
}

/// The sandbox of a machine.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// What renders run in.
    pub protection: Protection,
    /// What was asked for.
    pub mode: Mode,
    /// Why there is nothing better, a sentence for each that there could be.
    pub lacks: Vec<String>,
    pub(crate) system: System,
}

/// A run that is to be confined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) definition: &'a Definition,
    pub(crate) program: &'a Path,
    pub(crate) weft: &'a Path,
    /// The job's files.
    pub(crate) inputs: &'a Path,
    /// Shared roots that it needs.
    pub(crate) shared: &'a [PathBuf],
    /// Where it writes its results, and runs.
    pub(crate) work: &'a Path,
    /// Its temporary files.
    pub(crate) temporary: &'a Path,
}

/// How a confined run is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confined {
    /// Whether it runs inside bubblewrap.
    pub(crate) inside: bool,
    /// What Landlock is to hold it to.
    pub(crate) fence: Option<Fence>,
    /// What stands before the run's own arguments: the program, and what it is started by.
    pub(crate) before: Vec<OsString>,
}

impl Confined {
    /// What a guard is told to run, with these arguments of the run's own.
    pub(crate) fn order(self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Order {
        let mut words = self.before.into_iter();
        let program = words.next().unwrap_or_default();
        let arguments = words.chain(arguments.into_iter().map(Into::into)).collect();
        Order { program, arguments, inside: self.inside, fence: self.fence, ..Order::default() }
    }
}

impl Sandbox {
    /// Finds out what this machine can do, by trying it with `weft` as the program. `home` is the node's
    /// folder, which no run may see.
    pub async fn find(mode: Mode, home: &Path, weft: &Path) -> Self {
        let mut system = System::look(home);
        let none = |lacks, system: &System| {
            let system = system.clone();
            Self { protection: Protection::None, mode, lacks, system }
        };
        if mode == Mode::Off {
            return none(vec!["weft.toml says sandbox = \"off\"".to_owned()], &system);
        }
        if !cfg!(target_os = "linux") {
            let lacks = vec![format!("weft has no sandbox for {}", std::env::consts::OS)];
            return none(lacks, &system);
        }
        system.copy_settings();
        let mut lacks = Vec::new();
        let better = match mode {
            Mode::Landlock => {
                lacks.push("weft.toml says sandbox = \"landlock\"".to_owned());
                None
            }
            _ => trial::bubblewrap().map(Protection::Bubblewrap),
        };
        if better.is_none() && lacks.is_empty() {
            lacks.push("bubblewrap: there is no program bwrap in PATH".to_owned());
        }
        for protection in
            better.into_iter().chain([Protection::Landlock(true), Protection::Landlock(false)])
        {
            let tried = Self { protection, mode, lacks: Vec::new(), system: system.clone() };
            match trial::run(&tried, weft).await {
                Ok(()) => return Self { lacks, ..tried },
                Err(why) => lacks.push(format!("{}: {why}", tried.protection.name())),
            }
        }
        none(lacks, &system)
    }

    /// Whether a scene's own scripts may run here: what the daemon owns is out of their reach.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self.protection, Protection::Bubblewrap(_))
    }

    /// How jobs' files are offered to runs on this machine: as second names of the store's own files only
    /// where every run sees them through a read-only mount, and no engine may write where they lie. A chmod, which neither
    /// the kernel's Landlock nor a file's mode keeps its owner from, would otherwise reach the store.
    pub(crate) fn offered<'a>(&self, engines: impl IntoIterator<Item = &'a Definition>) -> Offered {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let home = real(&self.system.home);
        let reaches = |path: PathBuf| home.starts_with(&path) || path.starts_with(&home);
        let mut writable = engines.into_iter().flat_map(|engine| &engine.writable);
        match self.is_whole() && !writable.any(|path| reaches(real(Path::new(path)))) {
            true => Offered::Linked,
            false => Offered::ReadOnly,
        }
    }

    /// Why engines can't be used here, where a sandbox is required and there is none.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let refused = self.mode == Mode::Required && self.protection == Protection::None;
        refused.then(|| {
            format!(
                "weft.toml says sandbox = \"required\", and there is none here ({})",
                self.lacks.join("; ")
            )
        })
    }

    /// In a few words, for people.
    #[must_use]
    pub fn words(&self) -> String {
        let why = match self.lacks.is_empty() {
            true => String::new(),
            false => format!(" ({})", self.lacks.join("; ")),
        };
        match &self.protection {
            Protection::Bubblewrap(program) => format!("bubblewrap, {}", program.display()),
            Protection::Landlock(true) => format!("Landlock: files and TCP{why}"),
            Protection::Landlock(false) => format!("Landlock: files only{why}"),
            Protection::None => format!("none{why}"),
        }
    }

    /// How a run is started.
    pub(crate) fn confine(&self, run: &Run<'_>) -> Confined {
        let places = Places::of(&self.system, run);
        let wrapper = run.definition.wrapper.iter().map(OsString::from);
        let program = wrapper.chain([run.program.as_os_str().to_owned()]);
        match &self.protection {
            Protection::Bubblewrap(wrap) => {
                let mut before = vec![wrap.as_os_str().to_owned()];
                before.extend(bubblewrap::arguments(&self.system, &places, run));
                before.push("--".into());
                before.extend(program);
                Confined { inside: true, fence: None, before }
            }
            Protection::Landlock(tcp) => Confined {
                inside: false,
                fence: Some(places.fence(*tcp)),
                before: program.collect(),
            },
            Protection::None => Confined { before: program.collect(), ..Confined::default() },
        }
    }

    /// Where a run finds its temporary files, where not in its own `/tmp`.
    pub(crate) fn temporary<'a>(&self, run: &Run<'a>) -> Option<&'a Path> {
        (!self.is_whole()).then_some(run.temporary)
    }
}

impl Protection {
    /// A word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bubblewrap(_) => "bubblewrap",
            Self::Landlock(_) => "landlock",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engines(table: &str) -> std::collections::BTreeMap<String, Definition> {
        let text = format!("[engine.x]\nexecutables = ['/p']\n{table}\n");
        weft_scene::engine::parse(&text, "test").unwrap()
    }

    #[test]
    fn only_a_read_only_mount_that_nothing_leads_around_shows_the_stores_own_files() {
        let home = tempfile::tempdir().unwrap();
        let offered = |protection: Protection, table: &str| {
            let system = System { home: home.path().to_owned(), ..System::default() };
            let sandbox = Sandbox { protection, system, ..Sandbox::default() };
            sandbox.offered(engines(table).values())
        };
        let wrap = || Protection::Bubblewrap("/usr/bin/bwrap".into());
        assert_eq!(offered(wrap(), ""), Offered::Linked);
        assert_eq!(offered(wrap(), "writable = ['/scratch']"), Offered::Linked);
        for protection in
            [Protection::None, Protection::Landlock(true), Protection::Landlock(false)]
        {
            assert_eq!(offered(protection.clone(), ""), Offered::ReadOnly, "{protection:?}");
        }
        let above = home.path().parent().unwrap().to_owned();
        let link = above.join(format!("weft-link-{}", std::process::id()));
        #[cfg(unix)]
        std::os::unix::fs::symlink(home.path(), &link).unwrap();
        for writable in [home.path().join("jobs"), home.path().to_owned(), above, link.clone()] {
            let table = format!("writable = ['{}']", writable.display());
            let found = offered(wrap(), &table);
            assert!(cfg!(not(unix)) || found == Offered::ReadOnly, "{table}: {found:?}");
        }
        #[cfg(unix)]
        std::fs::remove_file(link).unwrap();
    }
}
