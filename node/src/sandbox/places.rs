//! What a run may reach: worked out from what the machine has, the engine's definition and the job.

use std::path::{Path, PathBuf};

use weft_scene::engine::Executable;

use super::Run;
use crate::guard::Fence;

/// Where programs and what they need lie. What isn't there is passed over.
const PROGRAMS: [&str; 7] = [
    "/usr",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/snap",
    "/var/cache/fontconfig",
    "/sys/devices/system",
];
/// What is a link into `/usr` on some systems, and a folder on others.
const OLD: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// What programs read of `/etc`: not passwords, keys, or how this machine is set up otherwise.
const SETTINGS: [&str; 25] = [
    "alternatives",
    "fonts",
    "glvnd",
    "group",
    "ImageMagick-6",
    "ImageMagick-7",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "machine-id",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "OpenCL",
    "os-release",
    "passwd",
    "povray",
    "python3",
    "python3.11",
    "terminfo",
    "timezone",
    "vulkan",
];
/// What is read of it by those that need the network.
const NETWORK: [&str; 8] =
    ["ca-certificates", "host.conf", "hosts", "pki", "protocols", "resolv.conf", "services", "ssl"];

/// Where settings lie.
pub(super) const ETC: &str = "/etc";
/// Where every run has a folder of its own.
const TEMPORARY: &str = "/tmp";

/// What the machine has, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct System {
    /// Folders with programs and libraries, and single files.
    pub(crate) readable: Vec<PathBuf>,
    /// A copy of those of them that lie in `/etc`, as a folder to mount there; none where there is none.
    pub(crate) settings: Option<PathBuf>,
    /// The same for those that need the network.
    pub(crate) for_network: Vec<PathBuf>,
    /// Links at the root: where to, and where.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// The node's folder.
    pub(crate) home: PathBuf,
    /// The home of the user who runs the daemon.
    pub(crate) user: Option<PathBuf>,
    /// Whether the daemon runs as root.
    pub(crate) root: bool,
    /// Where displays are: sockets and the key to them.
    pub(crate) display: Vec<PathBuf>,
}

impl System {
    /// Looks at this machine; `home` is the node's folder.
    pub(crate) fn look(home: &Path) -> Self {
        let mut system = Self { home: home.to_owned(), ..Self::default() };
        system.readable.extend(PROGRAMS.map(PathBuf::from));
        for old in OLD.map(PathBuf::from) {
            match std::fs::read_link(&old) {
                Ok(target) => system.links.push((target, old)),
                Err(_) => system.readable.push(old),
            }
        }
        let etc = |name: &&str| Path::new(ETC).join(name);
        system.readable.extend(SETTINGS.iter().map(etc));
        system.readable.retain(|path| path.exists());
        system.for_network = NETWORK.iter().map(etc).filter(|path| path.exists()).collect();
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        system.user = variable("HOME").filter(|path| path.is_absolute() && *path != Path::new("/"));
        system.display.push("/tmp/.X11-unix".into());
        system.display.extend(variable("XAUTHORITY"));
        let wayland = variable("XDG_RUNTIME_DIR").zip(variable("WAYLAND_DISPLAY"));
        system.display.extend(wayland.map(|(folder, name)| folder.join(name)));
        #[cfg(unix)]
        {
            system.root = rustix::process::geteuid().is_root();
        }
        system
    }

    /// Copies what programs read of `/etc` into the node's folder.
    pub(crate) fn copy_settings(&mut self) {
        let folder = self.home.join("sandbox").join("etc");
        let settings: Vec<PathBuf> =
            self.readable.iter().filter(|path| path.starts_with(ETC)).cloned().collect();
        match super::settings::copy(&settings, &folder) {
            Ok(()) => self.settings = Some(folder),
            Err(error) => {
                tracing::debug!(%error, "what programs read of /etc can't be copied");
                self.settings = None;
            }
        }
    }

    /// The copy of what programs read of `/etc`, where a run with these places sees nothing else of it.
    pub(crate) fn settings(&self, places: &Places) -> Option<&Path> {
        let others = places.readable.iter().filter(|path| !self.readable.contains(path));
        let mut others = others.chain(&places.hidden).chain(&places.writable).chain(&places.own);
        let none = !others.any(|path| path.starts_with(ETC));
        self.settings.as_deref().filter(|_| none)
    }

    /// Whether a folder may be shown as a whole because a program lies in it: not where that shows the
    /// node's own folder, or a user's.
    fn may_show(&self, folder: &Path) -> bool {
        let shows = |hidden: &Path| hidden.starts_with(folder);
        let temporary = folder == std::env::temp_dir();
        !temporary && !shows(&self.home) && !self.user.as_deref().is_some_and(shows)
    }

    /// A program with what lies beside it, as far as it is not shown anyway: where it is called, and where
    /// the file really is.
    fn program(&self, program: &Path) -> Vec<PathBuf> {
        let real = program.canonicalize().ok();
        let all = std::iter::once(program.to_owned()).chain(real);
        let shown = |path: &PathBuf| path.is_absolute() && !self.shows(path);
        let beside = |path: PathBuf| match path.parent() {
            Some(folder) if self.may_show(folder) => folder.to_owned(),
            _ => path,
        };
        let mut places: Vec<PathBuf> = all.filter(shown).map(beside).collect();
        places.dedup();
        places
    }

    /// Whether a path is shown to every run.
    fn shows(&self, path: &Path) -> bool {
        let all = self.readable.iter().chain(self.links.iter().map(|(_, link)| link));
        all.into_iter().any(|shown| path.starts_with(shown))
    }
}

/// What one run may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// What it may read, and run programs from.
    pub(crate) readable: Vec<PathBuf>,
    /// Folders among those that it may not see.
    pub(crate) hidden: Vec<PathBuf>,
    /// Where it may write as well.
    pub(crate) writable: Vec<PathBuf>,
    /// Device files.
    pub(crate) devices: Vec<PathBuf>,
    /// The job's files, its work folder, and its temporary files.
    pub(crate) own: [PathBuf; 3],
    /// Whether it may use the network.
    pub(crate) network: bool,
}

impl Places {
    pub(crate) fn of(system: &System, run: &Run<'_>) -> Self {
        let definition = run.definition;
        let mut readable = system.readable.clone();
        if definition.network {
            readable.extend(system.for_network.iter().cloned());
        }
        if definition.display {
            readable.extend(system.display.iter().cloned());
        }
        let devices: Vec<PathBuf> = definition
            .devices
            .iter()
            .flat_map(|pattern| crate::engines::expand(pattern, true))
            .collect();
        if !devices.is_empty() {
            // Drivers look up what their devices are.
            readable.push("/sys".into());
        }
        // What shows a user's home shows it only where the definition asks for that.
        let below =
            |shown: &[PathBuf], path: &Path| shown.iter().any(|shown| path.starts_with(shown));
        let mut hidden: Vec<PathBuf> =
            system.user.iter().filter(|user| below(&readable, user)).cloned().collect();
        // Of weft's own folder the binary is all that a run may need.
        let is_weft = definition.executables.contains(&Executable::Weft) && run.program == run.weft;
        if !is_weft && !definition.runs_commands() {
            readable.extend(system.program(run.program));
        }
        if let Some(wrapper) = definition.wrapper.first() {
            readable.extend(system.program(Path::new(wrapper)));
        }
        readable.extend(definition.readable.iter().map(PathBuf::from));
        readable.extend(run.shared.iter().cloned());
        let writable: Vec<PathBuf> = definition.writable.iter().map(PathBuf::from).collect();
        let temporary = system.home.starts_with(TEMPORARY);
        if (temporary || below(&readable, &system.home) || below(&writable, &system.home))
            && !hidden.iter().any(|hidden| system.home.starts_with(hidden))
        {
            hidden.push(system.home.clone());
        }
        if !system.shows(run.weft) {
            readable.push(run.weft.to_owned());
        }
        Self {
            readable,
            hidden,
            writable,
            devices,
            own: [run.inputs, run.work, run.temporary].map(Path::to_owned),
            network: definition.network,
        }
    }

    /// The same for the guard, which asks the kernel's Landlock to hold it.
    pub(crate) fn fence(&self, tcp: bool) -> Fence {
        let [inputs, work, temporary] = &self.own;
        let dev =
            ["/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"];
        let dev = dev.map(PathBuf::from);
        // Below what may be read nothing can be hidden: what hides something is left out.
        let hides = |path: &&PathBuf| !self.hidden.iter().any(|hidden| hidden.starts_with(path));
        let proc = PathBuf::from("/proc");
        let read = self.readable.iter().filter(hides).chain([inputs, &proc]);
        let write = self.writable.iter().filter(hides);
        let write = write.chain(&self.devices).chain(&dev).chain([work, temporary]);
        Fence {
            read: read.map(Into::into).collect(),
            write: write.map(Into::into).collect(),
            network: self.network || !tcp,
        }
    }
}
