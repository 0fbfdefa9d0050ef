//! `weft guard`: the process between the daemon and an engine.
//!
//! It starts the engine in a process group of its own, niced, and outlives the daemon just long
//! enough to end it: when the daemon dies, however suddenly, the pipe to the guard's standard
//! input closes, and the engine goes with all its children. On Linux the guard is a subreaper, so
//! that children that detach themselves come back to it and are ended too.
//!
//! ```text
//! weft guard --report FILE [--grace SECONDS] [--memory BYTES] [--space FOLDER BYTES] [--inside]
//!            [--fence [--read PATH]… [--write PATH]… [--network]] -- PROGRAM ARGUMENTS…
//! ```
//!
//! Into FILE it writes a line of JSON at the end: [`Report`]. `--memory` and `--space` are what the engine may
//! take at most. `--inside` says that PROGRAM is bubblewrap, whose own two processes are passed over when the
//! engine is asked to end. `--fence` lets the kernel's Landlock hold the engine to what is named.

#[cfg(target_os = "linux")]
mod fence;
mod limits;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use limits::Exceeded;
use limits::Limits;

/// How an engine's process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Why it could not be started.
    pub start_error: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The most memory that the largest of its processes held, in bytes; 0 where not known.
    pub peak_memory: u64,
    /// What it took too much of, where it was ended for that.
    #[serde(default)]
    pub exceeded: Option<Exceeded>,
}

/// How long an engine may take to end by itself once it was asked to.
pub const GRACE: Duration = Duration::from_secs(3);

/// What the command line asks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    report: PathBuf,
    grace: Duration,
    limits: Limits,
    inside: bool,
    fence: Option<Fence>,
    program: OsString,
    rest: Vec<OsString>,
}

/// What an engine is held to by the kernel's Landlock.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fence {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    network: bool,
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Arguments> {
    let mut read = Arguments { grace: GRACE, ..Arguments::default() };
    let number = |word: OsString| word.to_str()?.parse::<u64>().ok();
    loop {
        let word = args.next()?;
        match (word.to_str()?, &mut read.fence) {
            ("--report", _) => read.report = args.next()?.into(),
            ("--grace", _) => read.grace = Duration::from_secs(number(args.next()?)?),
            ("--memory", _) => read.limits.memory = Some(number(args.next()?)?),
            ("--space", _) => {
                read.limits.space = Some((args.next()?.into(), number(args.next()?)?));
            }
            ("--inside", _) => read.inside = true,
            ("--fence", fence) => *fence = Some(Fence::default()),
            ("--read", Some(fence)) => fence.read.push(args.next()?.into()),
            ("--write", Some(fence)) => fence.write.push(args.next()?.into()),
            ("--network", Some(fence)) => fence.network = true,
            ("--", _) => break,
            _ => return None,
        }
    }
    read.program = args.next()?;
    read.rest = args.collect();
    (!read.report.as_os_str().is_empty()).then_some(read)
}

/// Runs the guard; `args` are those behind `weft guard`.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    let Some(arguments) = parse(args.into_iter()) else {
        eprintln!("weft guard is used by weft itself");
        return ExitCode::from(2);
    };
    let report = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(watch(&arguments)),
        Err(error) => Report { start_error: Some(error.to_string()), ..Report::default() },
    };
    match write_report(&arguments.report, &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn write_report(path: &Path, report: &Report) -> std::io::Result<()> {
    std::fs::write(path, serde_json::to_vec(report)?)
}

async fn watch(arguments: &Arguments) -> Report {
    let mut child = match platform::spawn(arguments) {
        Ok(child) => child,
        Err(error) => {
            return Report { start_error: Some(error.to_string()), ..Report::default() };
        }
    };
    let group = child.id();
    let mut exceeded = None;
    let status = tokio::select! {
        status = child.wait() => status,
        excess = limits::exceeded(&arguments.limits) => {
            exceeded = Some(excess);
            let _ = child.start_kill();
            child.wait().await
        }
        () = daemon_gone() => {
            platform::ask_to_end(group, arguments.inside);
            match tokio::time::timeout(arguments.grace, child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    let _ = child.start_kill();
                    child.wait().await
                }
            }
        }
    };
    platform::end_all(group);
    let mut report = Report { peak_memory: platform::peak_memory(), exceeded, ..Report::default() };
    match status {
        Ok(status) => {
            report.exit_code = status.code();
            report.signal = platform::signal(&status);
            // Bubblewrap says like a shell that a signal ended the engine.
            if let Some(code @ 129..=192) = report.exit_code.filter(|_| arguments.inside) {
                (report.exit_code, report.signal) = (None, Some(code - 128));
            }
        }
        Err(error) => report.start_error = Some(error.to_string()),
    }
    report
}

/// Returns when the pipe from the daemon closes. The thread that reads it is left behind: a read of
/// a pipe can't be called off, and the process ends soon.
async fn daemon_gone() {
    let (gone, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        let mut stdin = std::io::stdin().lock();
        // The daemon never writes: anything but more bytes is its end, or its wish.
        while matches!(std::io::Read::read(&mut stdin, &mut ignored), Ok(1..)) {}
        let _ = gone.send(());
    });
    let _ = told.await;
}

#[cfg(unix)]
mod platform {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::{Pid, Signal};

    use super::Arguments;

    /// Renders yield to whatever the machine's user does, and to the daemon's own threads.
    const NICENESS: i32 = 10;

    /// How much sooner than others the kernel ends an engine when memory runs out, in thousandths.
    #[cfg(target_os = "linux")]
    const SOONER: i32 = 500;

    /// Starts the engine as the leader of a group of its own. Only the leader is waited for: what
    /// it leaves behind in its group is ended, not waited for.
    pub(super) fn spawn(arguments: &Arguments) -> std::io::Result<tokio::process::Child> {
        // Away from the daemon's terminal, into which an engine could type.
        let _ = rustix::process::setsid();
        let _ = rustix::process::nice(NICENESS);
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        #[cfg(target_os = "linux")]
        let _ = std::fs::write("/proc/self/oom_score_adj", SOONER.to_string());
        #[cfg(target_os = "linux")]
        let child = match &arguments.fence {
            Some(fence) => super::fence::within(fence, || start(arguments)),
            None => start(arguments),
        };
        #[cfg(not(target_os = "linux"))]
        let child = start(arguments);
        #[cfg(target_os = "linux")]
        let _ = std::fs::write("/proc/self/oom_score_adj", "0");
        child
    }

    fn start(arguments: &Arguments) -> std::io::Result<tokio::process::Child> {
        tokio::process::Command::new(&arguments.program)
            .args(&arguments.rest)
            .stdin(std::process::Stdio::null())
            .process_group(0)
            .spawn()
    }

    fn group(id: Option<u32>) -> Option<Pid> {
        Pid::from_raw(i32::try_from(id?).ok()?)
    }

    /// Asks the engine to end. Where it runs `inside` bubblewrap, whatever is below bubblewrap's own two
    /// processes is asked: those would end it at once, without a word.
    pub(super) fn ask_to_end(id: Option<u32>, inside: bool) {
        #[cfg(target_os = "linux")]
        if let Some(wrap) = group(id).filter(|_| inside) {
            for first in super::limits::children(wrap.as_raw_nonzero().get()) {
                for pid in super::limits::descendants(first).into_iter().filter_map(Pid::from_raw) {
                    let _ = rustix::process::kill_process(pid, Signal::TERM);
                }
            }
            return;
        }
        let _ = inside;
        if let Some(group) = group(id) {
            let _ = rustix::process::kill_process_group(group, Signal::TERM);
        }
    }

    /// Ends what is left of the group, and on Linux every other descendant.
    pub(super) fn end_all(id: Option<u32>) {
        if let Some(group) = group(id) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        #[cfg(target_os = "linux")]
        end_descendants();
    }

    /// Whoever detached itself was inherited by this subreaper: it is a child now, and so is what
    /// its end leaves behind.
    #[cfg(target_os = "linux")]
    fn end_descendants() {
        let me = rustix::process::getpid().as_raw_nonzero();
        for _ in 0..64 {
            let list = format!("/proc/{me}/task/{me}/children");
            let children = std::fs::read_to_string(list).unwrap_or_default();
            let pids: Vec<Pid> = children
                .split_whitespace()
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
                .collect();
            if pids.is_empty() {
                return;
            }
            for pid in pids {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            }
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn peak_memory() -> u64 {
        // The kernel sums up what waited-for children used; the unit is KiB on Linux.
        const KIB: u64 = 1024;
        children_max_rss_kib().saturating_mul(KIB)
    }

    #[cfg(target_os = "linux")]
    fn children_max_rss_kib() -> u64 {
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
        usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) const fn peak_memory() -> u64 {
        0
    }

    pub(super) fn signal(status: &std::process::ExitStatus) -> Option<i32> {
        status.signal()
    }
}

#[cfg(windows)]
mod platform {
    use process_wrap::tokio::{ChildWrapper, CommandWrap, JobObject};

    use super::Arguments;

    pub(super) fn spawn(arguments: &Arguments) -> std::io::Result<Box<dyn ChildWrapper>> {
        CommandWrap::with_new(&arguments.program, |command| {
            command.args(&arguments.rest).stdin(std::process::Stdio::null());
        })
        .wrap(JobObject)
        .spawn()
    }

    /// Windows has no gentle way that every program understands.
    pub(super) fn ask_to_end(_: Option<u32>, _: bool) {}

    /// The job object ends everything in it when its last handle closes.
    pub(super) fn end_all(_: Option<u32>) {}

    pub(super) const fn peak_memory() -> u64 {
        0
    }

    pub(super) const fn signal(_: &std::process::ExitStatus) -> Option<i32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> impl Iterator<Item = OsString> {
        text.split(' ').map(OsString::from).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_command_line_is_read_strictly() {
        let read = parse(words("--report r --grace 7 -- prog --report x")).unwrap();
        assert_eq!(read.report, Path::new("r"));
        assert_eq!(read.grace, Duration::from_secs(7));
        assert_eq!(read.program, "prog");
        assert_eq!(read.rest, ["--report", "x"]);
        let fenced =
            "--report r --memory 5 --space w 7 --fence --read /usr --write w --network -- p";
        let fenced = parse(words(fenced)).unwrap();
        assert_eq!(fenced.limits, Limits { memory: Some(5), space: Some(("w".into(), 7)) });
        let fence = fenced.fence.unwrap();
        assert_eq!((fence.read, fence.write), (vec!["/usr".into()], vec!["w".into()]));
        assert!(fence.network && !fenced.inside);
        for wrong in [
            "-- prog",
            "--report r",
            "--report r --grace x -- p",
            "--report r --",
            "x",
            "--report r --read /usr -- p",
            "--report r --space w -- p",
        ] {
            assert_eq!(parse(words(wrong)), None, "{wrong}");
        }
    }
}
