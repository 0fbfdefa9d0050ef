//! The arguments of bubblewrap for a run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Run;
use super::places::{ETC, Places, System};

/// Everything before `--`. Later entries lie on top of earlier ones.
pub(super) fn arguments(system: &System, places: &Places, run: &Run<'_>) -> Vec<OsString> {
    let mut all = Arguments(Vec::new());
    // A namespace of processes: whatever hides in it ends with the run's first process.
    all.words(&["--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
    all.words(&["--unshare-cgroup-try", "--die-with-parent"]);
    if !places.network {
        all.words(&["--unshare-net"]);
    }
    if system.root {
        // Root keeps its rights over what it was given, and could make the read-only mounts writable.
        all.words(&["--cap-drop", "ALL"]);
    }
    let [inputs, work, temporary] = &places.own;
    for (target, link) in &system.links {
        all.pair("--symlink", target, link);
    }
    // On the disk, and not in memory, so that what is written there counts.
    all.pair("--bind", temporary, Path::new("/tmp"));
    let settings = system.settings(places);
    if let Some(copy) = settings {
        all.pair("--ro-bind", copy, Path::new(ETC));
    }
    let shown = |path: &&PathBuf| settings.is_none() || !path.starts_with(ETC);
    for path in places.readable.iter().filter(shown) {
        all.same("--ro-bind-try", path);
    }
    for path in &places.writable {
        all.same("--bind", path);
    }
    for path in &places.hidden {
        all.one("--tmpfs", path);
    }
    // What was asked for by itself is there, even in what is hidden otherwise.
    let inside = |path: &&PathBuf| {
        places.hidden.iter().any(|hidden| path.starts_with(hidden) && *path != hidden)
    };
    for path in places.readable.iter().filter(inside) {
        all.same("--ro-bind-try", path);
    }
    for path in places.writable.iter().filter(inside) {
        all.same("--bind", path);
    }
    all.words(&["--proc", "/proc", "--dev", "/dev"]);
    all.pair("--bind", temporary, Path::new("/dev/shm"));
    for path in &places.devices {
        all.same("--dev-bind-try", path);
    }
    all.same("--ro-bind", inputs);
    all.same("--bind", work);
    for path in &places.hidden {
        all.one("--remount-ro", path);
    }
    all.words(&["--remount-ro", "/dev", "--remount-ro", "/"]);
    all.one("--chdir", run.work);
    all.0
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn one(&mut self, word: &str, path: &Path) {
        self.0.extend([word.into(), path.into()]);
    }

    fn pair(&mut self, word: &str, from: &Path, to: &Path) {
        self.0.extend([word.into(), from.into(), to.into()]);
    }

    /// At the same path inside: what logs and scenes say stays true.
    fn same(&mut self, word: &str, path: &Path) {
        self.pair(word, path, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system() -> System {
        System {
            readable: vec!["/usr".into(), "/opt".into(), "/etc/passwd".into()],
            settings: None,
            for_network: vec!["/etc/resolv.conf".into()],
            links: vec![("usr/bin".into(), "/bin".into())],
            home: "/home/ada/weft".into(),
            user: Some("/home/ada".into()),
            root: false,
            display: vec!["/tmp/.X11-unix".into()],
        }
    }

    fn of(system: &System, table: &str, program: &str) -> String {
        let text = format!("[engine.x]\nexecutables = ['/p']\n{table}\n");
        let definition = &weft_scene::engine::parse(&text, "test").unwrap()["x"];
        let run = Run {
            definition,
            program: Path::new(program),
            weft: Path::new("/usr/bin/weft"),
            inputs: Path::new("/home/ada/weft/jobs/j/inputs"),
            shared: &[],
            work: Path::new("/home/ada/weft/jobs/j/a/work"),
            temporary: Path::new("/home/ada/weft/jobs/j/a/tmp"),
        };
        let words = arguments(system, &Places::of(system, &run), &run);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ").replace(" --", "\n--")
    }

    #[test]
    fn a_run_sees_programs_its_files_and_its_own_folders() {
        insta::assert_snapshot!(of(&system(), "", "/usr/bin/tracer"), @r"
        --unshare-user-try
        --unshare-pid
        --unshare-ipc
        --unshare-uts
        --unshare-cgroup-try
        --die-with-parent
        --unshare-net
        --symlink usr/bin /bin
        --bind /home/ada/weft/jobs/j/a/tmp /tmp
        --ro-bind-try /usr /usr
        --ro-bind-try /opt /opt
        --ro-bind-try /etc/passwd /etc/passwd
        --proc /proc
        --dev /dev
        --bind /home/ada/weft/jobs/j/a/tmp /dev/shm
        --ro-bind /home/ada/weft/jobs/j/inputs /home/ada/weft/jobs/j/inputs
        --bind /home/ada/weft/jobs/j/a/work /home/ada/weft/jobs/j/a/work
        --remount-ro /dev
        --remount-ro /
        --chdir /home/ada/weft/jobs/j/a/work
        ");
    }

    #[test]
    fn settings_take_one_mount_where_nothing_else_of_their_folder_is_asked_for() {
        let system = System { settings: Some("/home/ada/weft/etc".into()), ..system() };
        let text = of(&system, "", "/usr/bin/tracer");
        assert!(text.contains("--ro-bind /home/ada/weft/etc /etc\n"), "{text}");
        assert!(!text.contains("/etc/passwd"), "{text}");
        for asked in ["network = true", "readable = ['/etc/tracer']", "writable = ['/etc/x']"] {
            let text = of(&system, asked, "/usr/bin/tracer");
            assert!(!text.contains("/weft/etc"), "{text}");
            assert!(text.contains("--ro-bind-try /etc/passwd /etc/passwd\n"), "{text}");
        }
    }

    #[test]
    fn more_is_reached_only_where_the_definition_asks() {
        let asked =
            "network = true\nreadable = ['/studio/lib']\nwritable = ['/scratch']\ndisplay = true";
        let text = of(&system(), asked, "/home/ada/tracer-2/bin/tracer");
        for line in [
            "--ro-bind-try /etc/resolv.conf /etc/resolv.conf",
            "--ro-bind-try /tmp/.X11-unix /tmp/.X11-unix",
            "--ro-bind-try /home/ada/tracer-2/bin /home/ada/tracer-2/bin",
            "--ro-bind-try /studio/lib /studio/lib",
            "--bind /scratch /scratch",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("--unshare-net") && !text.contains("--cap-drop"), "{text}");
        let root = System { root: true, ..system() };
        assert!(of(&root, "", "/usr/bin/tracer").contains("--cap-drop ALL"));
    }

    #[test]
    fn homes_stay_out_of_sight_wherever_they_lie() {
        // A program right in the home shows itself, and not the home.
        let text = of(&system(), "", "/home/ada/tracer");
        assert!(text.contains("--ro-bind-try /home/ada/tracer /home/ada/tracer\n"), "{text}");
        assert!(!text.contains("/home/ada /home/ada"), "{text}");
        // A service's home may lie where programs do.
        let service =
            System { home: "/opt/weft/node".into(), user: Some("/opt/weft".into()), ..system() };
        let text = of(&service, "", "/usr/bin/tracer");
        assert!(text.contains("--tmpfs /opt/weft\n") && text.contains("--remount-ro /opt/weft\n"));
        // Who asks for a home gets it, without weft's own folder in it.
        let text = of(&system(), "readable = ['/home/ada']", "/usr/bin/tracer");
        let at = |line: &str| text.lines().position(|found| found == line).unwrap();
        assert!(at("--tmpfs /home/ada/weft") > at("--ro-bind-try /home/ada /home/ada"), "{text}");
        let inputs = PathBuf::from("/home/ada/weft/jobs/j/inputs").display().to_string();
        assert!(at(&format!("--ro-bind {inputs} {inputs}")) > at("--tmpfs /home/ada/weft"));
        // No more does who may write there.
        let text = of(&system(), "writable = ['/home/ada']", "/usr/bin/tracer");
        let at = |line: &str| text.lines().position(|found| found == line).unwrap();
        assert!(at("--tmpfs /home/ada/weft") > at("--bind /home/ada /home/ada"), "{text}");
        // A folder that is asked for by itself is there, wherever it lies.
        let text = of(&service, "writable = ['/opt/weft/scratch']", "/usr/bin/tracer");
        let at = |line: &str| {
            text.lines().collect::<Vec<_>>().iter().rposition(|found| *found == line).unwrap()
        };
        assert!(
            at("--bind /opt/weft/scratch /opt/weft/scratch") > at("--tmpfs /opt/weft"),
            "{text}"
        );
    }
}
