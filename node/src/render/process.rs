//! One run of an engine's program under the guard, and its log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use weft_protocol::job::warning::keep;
use weft_scene::engine::{Command, Definition, LogEvent, LogReader};

use super::Observed;
use super::frames::{Frame, Frames, Took};
use crate::guard::{GRACE, Report};
use crate::sandbox::{self, Sandbox};

/// How much of a log is kept, in bytes; past that only its end is remembered.
const MAX_LOG: u64 = 64 << 20;
/// How much of a log's end goes into an error, in bytes.
const TAIL: usize = 2000;
/// The longest line that is looked at, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// How long nobody waits, which clocks can still reckon with.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How many saved files are remembered between two looks.
const MAX_SAVED: usize = 4096;

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Finished {
    /// What the guard saw.
    pub(super) report: Report,
    /// Whether it took longer than allowed.
    pub(super) timed_out: bool,
    /// Whether it was ended because it printed nothing for so long.
    pub(super) silent: Option<Duration>,
    /// What the engine said that means failure, whatever its exit code.
    pub(super) fatal: Option<String>,
    /// What it said where no licence was to be had.
    pub(super) licence_refused: Option<String>,
    /// What was seen of it besides, as far as that belongs to no frame that was done before the end.
    pub(super) observed: Observed,
    /// Whether it was ended between two frames because no further one should start.
    pub(super) stopped: bool,
}

/// How often files are looked at where the engine doesn't tell of them.
const LOOK: Duration = Duration::from_millis(100);

/// The most that a run may take, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// Memory of all its processes together.
    pub(super) memory: Option<u64>,
    /// What lies in its folder.
    pub(super) space: Option<u64>,
}

/// What to run.
pub(super) struct Run<'a> {
    pub(super) weft: &'a Path,
    pub(super) program: &'a Path,
    pub(super) command: &'a Command,
    pub(super) definition: &'a Definition,
    pub(super) work: &'a Path,
    /// The job's files.
    pub(super) inputs: &'a Path,
    /// Where the shared roots are that it needs.
    pub(super) shared: &'a [PathBuf],
    /// The folder of the attempt, which is the run's own.
    pub(super) folder: &'a Path,
    pub(super) sandbox: &'a Sandbox,
    pub(super) limits: Limits,
    /// How many frames are rendered before those that are asked for.
    pub(super) before: usize,
    /// How long a frame may take.
    pub(super) timeout: Option<Duration>,
    /// Ends it after the frame that it is at.
    pub(super) stop: watch::Receiver<bool>,
}

/// A log that is being written, and can be read meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct LiveLog {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    length: watch::Sender<Length>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    tail: Vec<u8>,
}

/// How long a log is, and whether it will grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Length {
    /// Bytes in the file.
    pub bytes: u64,
    /// Whether nothing more will come.
    pub closed: bool,
}

impl LiveLog {
    pub(super) fn new(path: PathBuf) -> Self {
        let folder = path.parent().map(std::fs::create_dir_all);
        let file = folder.transpose().and_then(|_| File::create(&path));
        let file = file.map_err(|error| tracing::warn!(%error, "a log can't be written")).ok();
        let state = State { file, tail: Vec::new() };
        Self {
            path,
            state: Arc::new(Mutex::new(state)),
            length: watch::channel(Length::default()).0,
        }
    }

    /// The file.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells how long it is whenever that changes.
    #[must_use]
    pub(crate) fn length(&self) -> watch::Receiver<Length> {
        self.length.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, bytes: &[u8]) {
        let mut state = self.state();
        let written = self.length.borrow().bytes;
        if written < MAX_LOG
            && let Some(file) = &mut state.file
            && file.write_all(bytes).is_ok()
        {
            self.length.send_modify(|length| length.bytes += bytes.len() as u64);
        } else {
            // What is not kept is a sign of life all the same.
            self.length.send_modify(|_| ());
        }
        state.tail.extend_from_slice(bytes);
        let excess = state.tail.len().saturating_sub(TAIL);
        state.tail.drain(..excess);
    }

    /// Adds a line of weft's own.
    pub(super) fn note(&self, text: &str) {
        self.push(format!("weft: {text}\n").as_bytes());
    }

    /// The end of it, from the beginning of a line where it has several.
    pub(super) fn tail(&self) -> String {
        let state = self.state();
        let text = String::from_utf8_lossy(&state.tail);
        let from = match text.find('\n') {
            Some(at) if state.tail.len() >= TAIL => at + 1,
            _ => 0,
        };
        text[from..].trim_end().to_owned()
    }

    pub(super) fn close(&self) {
        self.state().file = None;
        self.length.send_modify(|length| length.closed = true);
    }
}

/// Runs a program until it ends, takes too long, or is killed; none when it was killed. Frames of
/// `frames` that are done before the end are given to `done`, with what was seen of them. `progress`
/// is told how much of the whole run is done.
pub(super) async fn run(
    run: Run<'_>,
    log: &LiveLog,
    mut killed: watch::Receiver<bool>,
    progress: impl Fn(f32) + Send + Clone + 'static,
    frames: &mut Frames,
    done: &mut (dyn FnMut(Frame, Took, Observed) + Send),
) -> Option<Finished> {
    let mut guard = match start(&run) {
        Ok(guard) => guard,
        Err(error) => {
            let start_error = Some(format!("{}: {error}", run.weft.display()));
            let report = Report { start_error, ..Report::default() };
            return Some(Finished { report, ..Finished::default() });
        }
    };
    let stdin = guard.stdin.take();
    let seen = Arc::new(Seen::default());
    let reader = || LogReader::new(run.definition).frames(run.before + frames.len());
    let readers = [
        guard.stdout.take().map(|pipe| {
            tokio::spawn(follow(pipe, log.clone(), reader(), Arc::clone(&seen), progress.clone()))
        }),
        guard.stderr.take().map(|pipe| {
            tokio::spawn(follow(pipe, log.clone(), reader(), Arc::clone(&seen), progress))
        }),
    ];
    let limit = run.timeout.unwrap_or(FOREVER);
    let first = u32::try_from(run.before + 1).unwrap_or(u32::MAX);
    let mut deadline = tokio::time::Instant::now() + limit.saturating_mul(first).min(FOREVER);
    let mut look = tokio::time::interval(LOOK);
    let silent = silence(run.definition, log);
    tokio::pin!(silent);
    let mut finished = Finished::default();
    let ended = loop {
        tokio::select! {
            status = guard.wait() => break status.is_ok(),
            () = until_killed(&mut killed) => {
                end(guard, stdin).await;
                return None;
            }
            () = tokio::time::sleep_until(deadline) => {
                finished.timed_out = true;
                end(guard, stdin).await;
                break true;
            }
            silent = &mut silent => {
                finished.silent = Some(silent);
                end(guard, stdin).await;
                break true;
            }
            () = seen.saved.notified() => {}
            _ = look.tick(), if frames.must_look() => {}
        }
        if seen.pass_on(frames, false, done) {
            deadline = tokio::time::Instant::now() + limit;
            if *run.stop.borrow() && frames.left().next().is_some() {
                finished.stopped = true;
                end(guard, stdin).await;
                break true;
            }
        }
    };
    for reader in readers.into_iter().flatten() {
        // The pipes close with the last process that holds them; the guard ended them all.
        let _ = tokio::time::timeout(Duration::from_secs(5), reader).await;
    }
    seen.pass_on(frames, true, done);
    let report = tokio::fs::read(report(&run)).await.ok();
    let report = report.and_then(|bytes| serde_json::from_slice::<Report>(&bytes).ok());
    finished.report = report.unwrap_or_else(|| {
        let what = if ended { "its guard was killed" } else { "its guard could not be waited for" };
        Report { start_error: Some(what.to_owned()), ..Report::default() }
    });
    let mut told = seen.told();
    finished.fatal.clone_from(&told.fatal);
    finished.licence_refused.clone_from(&told.licence_refused);
    let last = std::mem::take(&mut told.warned);
    finished.observed = told.observed(&last);
    let held = finished.observed.peak_memory.max(finished.report.peak_memory);
    finished.observed.peak_memory = held;
    drop(told);
    Some(finished)
}

/// Where the guard writes how it went: out of the run's reach.
fn report(run: &Run<'_>) -> PathBuf {
    run.folder.join("report.json")
}

/// Starts the guard with the program.
fn start(run: &Run<'_>) -> std::io::Result<tokio::process::Child> {
    let temporary = run.folder.join("tmp");
    std::fs::create_dir_all(&temporary)?;
    let (program, args) = match run.command.args.split_first() {
        // The first word of a command of the artist's own is its program.
        Some((first, rest)) if run.definition.runs_commands() => (Path::new(first), rest),
        _ => (run.program, &run.command.args[..]),
    };
    let confinement = sandbox::Run {
        definition: run.definition,
        program,
        weft: run.weft,
        inputs: run.inputs,
        shared: run.shared,
        work: run.work,
        temporary: &temporary,
    };
    let confined = run.sandbox.confine(&confinement);
    let mut command = tokio::process::Command::new(run.weft);
    command.arg("guard").arg("--report").arg(report(run));
    if let Some(memory) = run.limits.memory {
        command.args(["--memory", &memory.to_string()]);
    }
    if let Some(space) = run.limits.space {
        command.arg("--space").arg(run.folder).arg(space.to_string());
    }
    command.args(&confined.guard).arg("--").args(&confined.before).args(args);
    command.env_clear().envs(sandbox::environment(std::env::vars_os(), run.definition));
    if let Some(folder) = run.sandbox.temporary(&confinement) {
        let names = if cfg!(windows) { &["TEMP", "TMP"][..] } else { &["TMPDIR"] };
        command.envs(names.iter().map(|name| (name, folder)));
    }
    command
        .envs(&run.command.env)
        .current_dir(run.work)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if run.definition.home {
        command.env("HOME", run.work);
    }
    command.spawn()
}

/// Returns when the attempt is to be ended, and never if it is not.
pub(super) async fn until_killed(killed: &mut watch::Receiver<bool>) {
    if killed.wait_for(|killed| *killed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Returns when an engine has printed nothing for as long as its definition allows, and never where
/// that says nothing.
async fn silence(definition: &Definition, log: &LiveLog) -> Duration {
    let limit = Duration::from_secs(u64::from(definition.silence_seconds));
    let mut length = log.length();
    while !limit.is_zero() {
        match tokio::time::timeout(limit, length.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break,
            Err(_) => return limit,
        }
    }
    std::future::pending().await
}

/// Closes the guard's standard input, which makes it end the engine, and waits.
async fn end(mut guard: tokio::process::Child, stdin: Option<tokio::process::ChildStdin>) {
    drop(stdin);
    if tokio::time::timeout(GRACE + Duration::from_secs(2), guard.wait()).await.is_err() {
        let _ = guard.kill().await;
    }
}

/// What the engine's lines said.
#[derive(Default)]
struct Seen {
    told: Mutex<Told>,
    /// A file was saved, or a frame begun.
    saved: tokio::sync::Notify,
}

#[derive(Default)]
struct Told {
    memory: u64,
    fatal: Option<String>,
    licence_refused: Option<String>,
    /// Files that it saved, each with what it had warned of since the one before.
    saved: Vec<(String, Vec<String>)>,
    /// Whether a file was saved by now.
    any_saved: bool,
    begun: usize,
    /// What it warned of before its first frame, which concerns all of them.
    warned_first: Vec<String>,
    /// What it warned of since it saved a file last.
    warned: Vec<String>,
}

impl Told {
    fn warning(&mut self, text: &str) {
        let is_first = self.begun == 0 && !self.any_saved;
        keep(if is_first { &mut self.warned_first } else { &mut self.warned }, text);
    }

    /// What is to be known of a frame whose own warnings are these.
    fn observed(&self, own: &[String]) -> Observed {
        let mut warnings = self.warned_first.clone();
        own.iter().for_each(|text| keep(&mut warnings, text));
        Observed { peak_memory: self.memory, warnings }
    }
}

impl Seen {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives on what is whole; says whether something was.
    fn pass_on(
        &self,
        frames: &mut Frames,
        ended: bool,
        done: &mut (dyn FnMut(Frame, Took, Observed) + Send),
    ) -> bool {
        let (saved, begun) = {
            let mut told = self.told();
            (std::mem::take(&mut told.saved), told.begun)
        };
        for (path, warned) in saved {
            frames.saved(&path, &warned);
        }
        let whole = frames.whole(begun, ended);
        let some = !whole.is_empty();
        for (frame, took) in whole {
            let mut told = self.told();
            // Where nothing tells when a frame is saved, nobody knows whose they are.
            let untold =
                if frames.is_told() { Vec::new() } else { std::mem::take(&mut told.warned) };
            let observed = told.observed(&[&frame.warnings[..], &untold].concat());
            drop(told);
            done(frame, took, observed);
        }
        some
    }
}

/// Copies what an engine prints into its log, and reads it by the definition's patterns.
async fn follow(
    mut pipe: impl AsyncRead + Unpin,
    log: LiveLog,
    mut reader: LogReader,
    seen: Arc<Seen>,
    progress: impl Fn(f32),
) {
    let (mut buffer, mut line) = (vec![0; 16 * 1024], Vec::new());
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        log.push(&buffer[..read]);
        for byte in &buffer[..read] {
            // Some engines redraw their progress with carriage returns only.
            if *byte == b'\n' || *byte == b'\r' {
                look(&mut reader, &line, &seen, &progress);
                line.clear();
            } else if line.len() < MAX_LINE {
                line.push(*byte);
            }
        }
    }
    look(&mut reader, &line, &seen, &progress);
}

fn look(reader: &mut LogReader, line: &[u8], seen: &Seen, progress: &impl Fn(f32)) {
    if line.is_empty() {
        return;
    }
    let begun = reader.frames_begun();
    for event in reader.push_line(&String::from_utf8_lossy(line)) {
        let mut told = seen.told();
        match event {
            LogEvent::Progress(part) => progress(part.clamp(0.0, 1.0)),
            LogEvent::Memory(bytes) => told.memory = told.memory.max(bytes),
            LogEvent::Warning(text) => told.warning(&text),
            LogEvent::Fatal(text) => told.fatal = Some(text),
            LogEvent::LicenceRefused(text) => told.licence_refused = Some(text),
            // More than a run has frames would be noise.
            LogEvent::Saved(path) if told.saved.len() < MAX_SAVED => {
                let warned = std::mem::take(&mut told.warned);
                told.saved.push((path, warned));
                told.any_saved = true;
                seen.saved.notify_one();
            }
            _ => {}
        }
    }
    if reader.frames_begun() != begun {
        let mut told = seen.told();
        told.begun = told.begun.max(reader.frames_begun() as usize);
    }
}
