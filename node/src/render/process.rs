//! One run of an engine's program under the guard, and its log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use weft_protocol::job::warning::keep;
use weft_scene::engine::{Command, Definition, LogEvent, LogReader};

use super::Observed;
use super::frames::{Frame, Frames, Took};
use crate::guard::{Order, Report, Told};
use crate::guards::{Guard, Guards};
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
    /// What it called an error since it saved a file last. Whether that was one its exit code and its files say.
    pub(super) errors: Vec<String>,
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
    pub(super) guards: &'a Arc<Guards>,
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
    /// The graphics cards that it may see, where there are others.
    pub(super) cards: Option<String>,
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
    progress: impl Fn(f32) + Send,
    frames: &mut Frames,
    done: &mut (dyn FnMut(Frame, Took, Observed) + Send),
) -> Option<Finished> {
    let mut guard = match start(&run).await {
        Ok(guard) => guard,
        Err(error) => {
            let start_error = Some(format!("{}: {error}", run.weft.display()));
            let report = Report { start_error, ..Report::default() };
            return Some(Finished { report, ..Finished::default() });
        }
    };
    let reader = || Lines {
        reader: LogReader::new(run.definition).frames(run.before + frames.len()),
        line: Vec::new(),
    };
    let (mut out, mut err, mut seen) = (reader(), reader(), Seen::default());
    let limit = run.timeout.unwrap_or(FOREVER);
    let first = u32::try_from(run.before + 1).unwrap_or(u32::MAX);
    let mut deadline = tokio::time::Instant::now() + limit.saturating_mul(first).min(FOREVER);
    let mut look = tokio::time::interval(LOOK);
    let silent = silence(run.definition, log);
    tokio::pin!(silent);
    let mut finished = Finished::default();
    let mut hear = |told: Told, seen: &mut Seen| match told {
        Told::Printed(bytes) => out.read(&bytes, log, seen, &progress),
        Told::Complained(bytes) => err.read(&bytes, log, seen, &progress),
        Told::Held(bytes) => seen.memory = seen.memory.max(bytes),
        Told::Over(..) => {}
    };
    let report = loop {
        let mut looks = false;
        tokio::select! {
            told = guard.told() => match told {
                Some(Told::Over(report, again)) => {
                    if again {
                        run.guards.keep(guard);
                    }
                    break Some(report);
                }
                Some(told) => hear(told, &mut seen),
                None => break None,
            },
            () = until_killed(&mut killed) => {
                _ = guard.end(|_| ()).await;
                return None;
            }
            () = tokio::time::sleep_until(deadline) => {
                finished.timed_out = true;
                break guard.end(|told| hear(told, &mut seen)).await;
            }
            silent = &mut silent => {
                finished.silent = Some(silent);
                break guard.end(|told| hear(told, &mut seen)).await;
            }
            _ = look.tick(), if frames.must_look() => looks = true,
        }
        if (looks || std::mem::take(&mut seen.frames)) && seen.pass_on(frames, false, done) {
            deadline = tokio::time::Instant::now() + limit;
            if *run.stop.borrow() && frames.left().next().is_some() {
                finished.stopped = true;
                break guard.end(|told| hear(told, &mut seen)).await;
            }
        }
    };
    for lines in [&mut out, &mut err] {
        lines.close(&mut seen, &progress);
    }
    seen.pass_on(frames, true, done);
    finished.report = report.unwrap_or_else(|| {
        let start_error = Some("its guard was killed".to_owned());
        Report { start_error, ..Report::default() }
    });
    let last = std::mem::take(&mut seen.warned);
    finished.observed = seen.observed(&last);
    let held = finished.observed.peak_memory.max(finished.report.held());
    finished.observed.peak_memory = held;
    (finished.fatal, finished.errors) = (seen.fatal, seen.errors);
    finished.licence_refused = seen.licence_refused;
    Some(finished)
}

/// Starts the program under a guard.
async fn start(run: &Run<'_>) -> std::io::Result<Guard> {
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
    let mut environment = sandbox::environment(std::env::vars_os(), run.definition);
    if let Some(folder) = run.sandbox.temporary(&confinement) {
        let names = if cfg!(windows) { &["TEMP", "TMP"][..] } else { &["TMPDIR"] };
        environment.extend(names.iter().map(|name| (name.into(), folder.into())));
    }
    let of_command = run.command.env.iter().map(|(name, value)| (name.into(), value.into()));
    environment.extend(of_command);
    if run.definition.home {
        environment.insert("HOME".into(), run.work.into());
    }
    if let Some(cards) = &run.cards {
        // Numbered as the driver's management library does, from which the node has them.
        environment.insert("CUDA_DEVICE_ORDER".into(), "PCI_BUS_ID".into());
        environment.insert("CUDA_VISIBLE_DEVICES".into(), cards.into());
    }
    let order = Order {
        environment: environment.into_iter().collect(),
        folder: run.work.into(),
        memory: run.limits.memory,
        space: run.limits.space.map(|most| (run.folder.into(), most)),
        ..run.sandbox.confine(&confinement).order(args)
    };
    run.guards.run(&order).await
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

/// What the engine's lines said.
#[derive(Default)]
struct Seen {
    memory: u64,
    fatal: Option<String>,
    /// What it called an error since it saved a file last.
    errors: Vec<String>,
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
    /// A file was saved, or a frame begun.
    frames: bool,
}

impl Seen {
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

    /// Gives on what is whole; says whether something was.
    fn pass_on(
        &mut self,
        frames: &mut Frames,
        ended: bool,
        done: &mut (dyn FnMut(Frame, Took, Observed) + Send),
    ) -> bool {
        let saved = std::mem::take(&mut self.saved);
        let begun = self.begun;
        for (path, warned) in saved {
            frames.saved(&path, &warned);
        }
        let whole = frames.whole(begun, ended);
        let some = !whole.is_empty();
        for (frame, took) in whole {
            // Where nothing tells when a frame is saved, nobody knows whose they are.
            let untold =
                if frames.is_told() { Vec::new() } else { std::mem::take(&mut self.warned) };
            let observed = self.observed(&[&frame.warnings[..], &untold].concat());
            done(frame, took, observed);
        }
        some
    }
}

/// What an engine prints on one of its two ways, line by line.
struct Lines {
    reader: LogReader,
    line: Vec<u8>,
}

impl Lines {
    /// Copies what it prints into its log, and reads it by the definition's patterns.
    fn read(&mut self, bytes: &[u8], log: &LiveLog, seen: &mut Seen, progress: &impl Fn(f32)) {
        log.push(bytes);
        for byte in bytes {
            // Some engines redraw their progress with carriage returns only.
            if *byte == b'\n' || *byte == b'\r' {
                self.end(seen, progress);
            } else if self.line.len() < MAX_LINE {
                self.line.push(*byte);
            }
        }
    }

    /// A line is whole.
    fn end(&mut self, seen: &mut Seen, progress: &impl Fn(f32)) {
        let line = std::mem::take(&mut self.line);
        let events = self.reader.push(&line);
        self.hear(events, seen, progress);
    }

    /// Nothing more comes.
    fn close(&mut self, seen: &mut Seen, progress: &impl Fn(f32)) {
        self.end(seen, progress);
        let events = self.reader.end();
        self.hear(events, seen, progress);
    }

    fn hear(&mut self, events: Vec<LogEvent>, seen: &mut Seen, progress: &impl Fn(f32)) {
        for event in events {
            match event {
                LogEvent::Progress(part) => progress(part.clamp(0.0, 1.0)),
                LogEvent::Memory(bytes) => seen.memory = seen.memory.max(bytes),
                LogEvent::Warning(text) => seen.warning(&text),
                LogEvent::Error(text) => keep(&mut seen.errors, &text),
                LogEvent::Fatal(text) => seen.fatal = Some(text),
                LogEvent::LicenceRefused(text) => seen.licence_refused = Some(text),
                // More than a run has frames would be noise.
                LogEvent::Saved(path) if seen.saved.len() < MAX_SAVED => {
                    let warned = std::mem::take(&mut seen.warned);
                    seen.saved.push((path, warned));
                    seen.errors.clear();
                    seen.any_saved = true;
                    seen.frames = true;
                }
                _ => {}
            }
        }
        let begun = self.reader.frames_begun() as usize;
        seen.frames |= begun > seen.begun;
        seen.begun = seen.begun.max(begun);
    }
}
