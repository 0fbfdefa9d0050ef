//! Rendering: attempts from their lease to their outcome.

mod compare;
mod frames;
mod inputs;
mod join;
mod output;
mod process;
mod remove;
mod run;
mod trial;
mod within;

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use weft_protocol::ids::JobId;
use weft_protocol::job::outcome::{Ending, FailureKind, MAX_MESSAGE, Outcome};
use weft_protocol::job::spec::{JobSpec, Step, VIEWS};
use weft_protocol::job::task::span;
use weft_protocol::machine::Input;
use weft_protocol::wire::control::{AttemptKey, Lease};
use weft_protocol::worker::Event;
use weft_scene::engine::{Builtin, Definition, Invocation, Tile};
use weft_store::{Batch, Store};

use crate::clock::unix_now;
use crate::engines::Found;
use crate::guards::Guards;
use crate::home::Home;
use crate::notes::Made;
use crate::sandbox::Sandbox;
use crate::shared_roots::SharedRoots;
use crate::transfer::Fetcher;

pub(crate) use join::{FULL, Source};
pub(crate) use process::LiveLog;

/// How often a job's inputs are sought before an attempt fails for want of them, and how long
/// apart: nodes come and go.
const BRING_TRIES: u32 = 4;
const BRING_AGAIN: Duration = Duration::from_secs(1);

/// What of a machine's memory is no run's: a part of it, and at least so many bytes.
const KEPT: (u64, u64) = (20, 256 << 20);

/// Everything that attempts need.
#[derive(Clone)]
pub(crate) struct Renderer {
    inner: Arc<Inner>,
}

struct Inner {
    home: Home,
    weft: PathBuf,
    guards: Arc<Guards>,
    store: Arc<Store>,
    fetcher: Fetcher,
    engines: BTreeMap<String, (Definition, Found)>,
    sandbox: Sandbox,
    allowed: Allowed,
    inputs: mpsc::Sender<Input>,
    made: mpsc::Sender<Made>,
    runs: Mutex<BTreeMap<AttemptKey, Run>>,
    ready: inputs::Ready,
}

/// What runs may take of this machine, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    /// Its memory, where that is known.
    pub(crate) ram: u64,
    /// What a run may leave in its folder; half of what is free where nothing is set.
    pub(crate) work: Option<u64>,
    /// How many graphics cards it has.
    pub(crate) cards: usize,
}

/// A run that is worked on: one frame, or several that share a process.
struct Run {
    kill: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    attempts: Vec<AttemptKey>,
    log: LiveLog,
}

/// What an engine printed about an attempt.
enum Log {
    None,
    /// The whole of a file.
    File(PathBuf),
    /// Some bytes of one: from, and up to.
    Part(PathBuf, u64, u64),
}

impl Log {
    /// Takes it into the store, where it can be read. An engine that printed nothing has no log.
    fn take_in(&self, store: &Store) -> Option<weft_protocol::ids::BlobId> {
        match self {
            Self::None => None,
            Self::File(path) => {
                let written = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
                written.then(|| store.ingest_file(path, &mut |_| ()).ok())?.map(|log| log.id)
            }
            Self::Part(_, from, to) if to <= from => None,
            Self::Part(path, from, to) => {
                let mut file = std::fs::File::open(path).ok()?;
                file.seek(SeekFrom::Start(*from)).ok()?;
                let mut part = file.take(to.saturating_sub(*from));
                Some(store.ingest_reader(&mut part).ok()?.id)
            }
        }
    }
}

/// How an attempt went, before its files are taken in.
struct Ended {
    ending: Result<Vec<PathBuf>, (FailureKind, String)>,
    render: Duration,
    started: weft_protocol::time::Unix,
    observed: Observed,
}

/// What was seen of an attempt besides how it ended.
#[derive(Clone, Debug, Default)]
struct Observed {
    /// The most memory that its engine held, in bytes; 0 where not known.
    peak_memory: u64,
    /// What its engine warned of.
    warnings: Vec<String>,
}

impl Renderer {
    /// A renderer that tells the driver through `inputs` what happens, and through `made` what was made.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is used once, and a struct would only rename them"
    )]
    pub(crate) fn new(
        home: Home,
        weft: PathBuf,
        store: Arc<Store>,
        fetcher: Fetcher,
        engines: BTreeMap<String, (Definition, Found)>,
        (sandbox, shared_roots): (Sandbox, SharedRoots),
        allowed: Allowed,
        (inputs, made): (mpsc::Sender<Input>, mpsc::Sender<Made>),
    ) -> Self {
        let runs = Mutex::new(BTreeMap::new());
        let offered = sandbox.offered(engines.values().map(|(definition, _)| definition));
        let ready = inputs::Ready::new(home.jobs(), Arc::clone(&store), shared_roots, offered);
        let inner = Inner {
            home,
            guards: Guards::new(weft.clone()),
            weft,
            store,
            fetcher,
            engines,
            sandbox,
            allowed,
            inputs,
            made,
            runs,
            ready,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Does what the worker's machine asks. `spec` is the job's, where it is known.
    pub(crate) fn act(
        &self,
        event: Event,
        spec: Option<JobSpec>,
        sources: Vec<Source>,
        peers: Vec<weft_protocol::ids::NodeId>,
    ) {
        match event {
            Event::Prepare { attempt, more, term: _, providers } => {
                let Some(spec) = spec else { return };
                let renderer = self.clone();
                let mut providers = providers;
                providers.extend(peers);
                let mut seen = std::collections::BTreeSet::new();
                providers.retain(|node| seen.insert(*node));
                tokio::spawn(async move {
                    match renderer.joins(&spec, &attempt) {
                        true => renderer.prepare_join(attempt, sources, providers).await,
                        false => renderer.prepare(attempt, more, spec, providers).await,
                    }
                });
            }
            Event::Start { run, lease, more, term } => {
                let Some(spec) = spec else { return };
                let (job, frame) = (lease.attempt.job.short(), lease.attempt.task.frame);
                tracing::debug!(%job, frame, term, "an engine is started");
                let (kill, killed) = watch::channel(false);
                let (stop, stopped) = watch::channel(false);
                let log = LiveLog::new(self.log_path(&run));
                let attempts = std::iter::once(lease.attempt).chain(more).collect();
                let started =
                    run::Started { name: run, lease, killed, stopped, log: log.clone(), sources };
                self.runs().insert(run, Run { kill, stop, attempts, log });
                let renderer = self.clone();
                tokio::spawn(async move { renderer.render(started, spec).await });
            }
            Event::Kill(run) => {
                if let Some(run) = self.runs().get(&run) {
                    let _ = run.kill.send(true);
                }
            }
            Event::Stop(run) => {
                if let Some(run) = self.runs().get(&run) {
                    let _ = run.stop.send(true);
                }
            }
        }
    }

    /// Ends every engine; returns when they are gone.
    pub(crate) async fn shut_down(&self) {
        for run in self.runs().values() {
            let _ = run.kill.send(true);
        }
        let deadline = Instant::now() + crate::guard::GRACE + Duration::from_secs(2);
        while !self.runs().is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The log of an attempt that is worked on here.
    #[must_use]
    pub(crate) fn live_log(&self, attempt: &AttemptKey) -> Option<LiveLog> {
        let runs = self.runs();
        let run = runs.values().find(|run| run.attempts.contains(attempt));
        run.map(|run| run.log.clone())
    }

    /// Deletes the working files of a job.
    pub(crate) fn forget(&self, job: &JobId) {
        self.inner.ready.forget(job);
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, BTreeMap<AttemptKey, Run>> {
        self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt_folder(&self, attempt: &AttemptKey) -> PathBuf {
        let AttemptKey { job, task, generation, attempt } = attempt;
        let name = format!("{}-{}-{}-{generation}-{attempt}", task.step, task.frame, task.tile);
        self.inner.home.jobs().join(job.to_string()).join("attempts").join(name)
    }

    fn log_path(&self, attempt: &AttemptKey) -> PathBuf {
        self.attempt_folder(attempt).join("log.txt")
    }

    async fn tell(&self, input: Input) {
        // The driver outlives every attempt; when it is gone, so is the daemon.
        let _ = self.inner.inputs.send(input).await;
    }

    /// Whether an attempt works on what others made.
    fn joins(&self, spec: &JobSpec, attempt: &AttemptKey) -> bool {
        let step = spec.steps.get(usize::from(attempt.task.step));
        let engine = step.and_then(|step| self.inner.engines.get(&step.engine));
        let builtin = engine.and_then(|(definition, _)| definition.builtin);
        matches!(builtin, Some(Builtin::Join | Builtin::Compare))
    }

    /// The attempt fails for want of what it works on.
    async fn lack(&self, attempt: AttemptKey, why: &str) {
        tracing::warn!(job = %attempt.job.short(), frame = attempt.task.frame, %why, "inputs could not be brought here");
        let message = format!("its files could not be brought to this node: {why}");
        let ended = Ended {
            ending: Err((FailureKind::Inputs, message)),
            render: Duration::ZERO,
            started: unix_now(),
            observed: Observed::default(),
        };
        self.conclude(attempt, ended, Log::None).await;
    }

    async fn prepare(
        &self,
        attempt: AttemptKey,
        more: Vec<AttemptKey>,
        spec: JobSpec,
        providers: Vec<weft_protocol::ids::NodeId>,
    ) {
        let inputs = spec.inputs;
        let tags = &spec.needs.tags;
        let run = std::iter::once(&attempt).chain(&more);
        let frames: Vec<i32> = run.map(|attempt| attempt.task.frame).collect();
        let frames = match spec.steps.get(usize::from(attempt.task.step)) {
            Some(step) => spec.rendered_for(step, &frames),
            None => frames,
        };
        let bring = || {
            let (ready, fetcher) = (&self.inner.ready, &self.inner.fetcher);
            ready.bring(fetcher, (attempt.job, inputs), tags, &frames, &providers)
        };
        let mut brought = bring().await;
        for _ in 1..BRING_TRIES {
            if brought.is_ok() {
                break;
            }
            tokio::time::sleep(BRING_AGAIN).await;
            brought = bring().await;
        }
        match brought {
            Ok(()) => self.tell(Input::Prepared(attempt, Some(inputs))).await,
            Err(why) => self.lack(attempt, &why).await,
        }
    }

    /// Hands attempts back to which nothing happened.
    async fn undone(&self, attempts: Vec<AttemptKey>) {
        if !attempts.is_empty() {
            self.tell(Input::Undone(attempts)).await;
        }
    }

    /// An engine's definition and its program here.
    fn engine(&self, step: &Step) -> Result<(Definition, PathBuf), String> {
        let engine = self.inner.engines.get(&step.engine);
        let (definition, found) =
            engine.ok_or_else(|| format!("this node has no engine '{}'", step.engine))?;
        Ok((definition.clone(), found.program.clone().unwrap_or_default()))
    }

    /// What fills the placeholders of a command line that renders `frames`.
    fn invocation(
        &self,
        lease: &Lease,
        step: &Step,
        rendered: Vec<i64>,
        work: &std::path::Path,
    ) -> Invocation {
        let inputs = self.inner.ready.folder(&lease.attempt.job);
        let (start, end) = span(&step.frames).unwrap_or_default();
        let argument = |name: &str| step.arguments.get(name).cloned();
        let given = step
            .arguments
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("arg.")?.to_owned(), value.clone())));
        Invocation {
            weft: self.inner.weft.display().to_string(),
            scene: inputs.join(step.scene.as_str()).display().to_string(),
            frames: rendered,
            start: start.into(),
            end: end.into(),
            work: work.display().to_string(),
            inputs: inputs.display().to_string(),
            threads: lease.cores.max(1),
            gpus: numbers(&lease.gpus),
            name: step.output.clone(),
            format: argument("format"),
            camera: argument("camera"),
            scene_name: argument("scene"),
            view_layer: argument("view_layer"),
            scale: argument("scale").and_then(|scale| scale.parse().ok()),
            views: argument(VIEWS)
                .map_or(Vec::new(), |all| all.split(',').map(str::to_owned).collect()),
            tile: tile_of(step, lease.attempt.task.tile),
            allow_scripts: argument("allow_scripts").is_some(),
            arguments: given.collect(),
            command: crate::own_command::decode(&step.arguments),
        }
    }

    /// The most that a run may take.
    fn limits(&self, lease: &Lease) -> process::Limits {
        let Allowed { ram, work, .. } = self.inner.allowed;
        let free = || crate::upkeep::space_at(&self.inner.home.jobs()).map(|(_, free)| free / 2);
        process::Limits { memory: most_memory(lease.ram, ram), space: work.or_else(free) }
    }

    /// Takes in what an attempt made, and hands its outcome to the machine.
    async fn conclude(&self, attempt: AttemptKey, ended: Ended, log: Log) {
        let work = self.attempt_folder(&attempt).join("work");
        self.conclude_in(work, attempt, ended, log).await;
    }

    /// The same, for what lies in a run's folder.
    async fn conclude_in(&self, work: PathBuf, attempt: AttemptKey, ended: Ended, log: Log) {
        let store = Arc::clone(&self.inner.store);
        let reason = crate::pins::job(&attempt.job);
        let taken = tokio::task::spawn_blocking(move || {
            let _intake = store.intake();
            let log = log.take_in(&store);
            let mut pins = log.iter().fold(Batch::new(), |batch, log| batch.pin(*log, &reason));
            let ending = match ended.ending {
                Ok(files) => match output::take_in(&store, &work, &files) {
                    Ok(files) => {
                        pins = files.iter().fold(pins, |pins, file| pins.pin(file.blob, &reason));
                        Ending::Done(files)
                    }
                    Err(message) => Ending::Failed { kind: FailureKind::MissingOutput, message },
                },
                Err((kind, message)) => Ending::Failed { kind, message: shorten(message) },
            };
            // What could not be pinned is not kept for sure, so it is not done.
            let kept = if pins.is_empty() { Ok(()) } else { store.commit(&pins) };
            let ending = match kept {
                Ok(()) => ending,
                Err(error) => Ending::Failed {
                    kind: FailureKind::MissingOutput,
                    message: format!("its results could not be kept: {error}"),
                },
            };
            (ending, log, ended.render, ended.started, ended.observed)
        });
        let Ok((ending, log, render, started, observed)) = taken.await else {
            return;
        };
        let took = weft_protocol::fact::body::millis(render);
        let Observed { peak_memory, warnings } = observed;
        let outcome = Outcome { peak_memory, log, ..attempt.outcome(ending, started, took) };
        let made = match &outcome.ending {
            Ending::Done(files) if !files.is_empty() => Some(files.clone()),
            Ending::Failed { .. } if !warnings.is_empty() => Some(Vec::new()),
            Ending::Done(_) | Ending::Failed { .. } => None,
        };
        self.tell(Input::Ended(attempt, Box::new(outcome))).await;
        if let Some(files) = made {
            let AttemptKey { job, task, generation, attempt } = attempt;
            // Where too many wait, nothing is noted of this one: it is done all the same.
            let made = Made { job, task, generation, attempt, files, warnings };
            let _ = self.inner.made.try_send(made);
        }
    }
}

/// How much memory a run may take: what was leased, and no more than leaves something to the system and
/// this daemon. Where a machine's memory isn't known there is no limit.
fn most_memory(leased: u64, machine: u64) -> Option<u64> {
    let kept = (machine / KEPT.0).max(KEPT.1);
    let most = match machine {
        0 => u64::MAX,
        _ => machine.saturating_sub(kept).max(machine / 2),
    };
    match leased {
        0 => (most < u64::MAX).then_some(most),
        _ => Some(leased.min(most)),
    }
}

/// The graphics cards that programs are to see, as their drivers want to be told; none where that is all
/// that there are, and nobody need be told.
fn visible(leased: &[u32], cards: usize) -> Option<String> {
    (leased.len() < cards).then(|| numbers(leased))
}

/// Numbers with commas between.
fn numbers(numbers: &[u32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Which part of the picture a task renders; none for a whole frame.
fn tile_of(step: &Step, number: u16) -> Option<Tile> {
    let (columns, rows) = (u32::from(step.tiles.0), u32::from(step.tiles.1));
    let number = u32::from(number);
    (step.tiles != (1, 1)).then(|| Tile {
        column: number % columns,
        row: number / columns,
        columns,
        rows,
    })
}

/// The end of a message that is longer than an outcome may carry.
fn shorten(message: String) -> String {
    if message.len() <= MAX_MESSAGE {
        return message;
    }
    let mut from = message.len() - (MAX_MESSAGE - 4);
    while !message.is_char_boundary(from) {
        from += 1;
    }
    format!("…{}", &message[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_sees_the_cards_that_it_has_claimed() {
        assert_eq!(visible(&[0, 2], 3).as_deref(), Some("0,2"));
        assert_eq!(visible(&[], 2).as_deref(), Some(""), "those of others are hidden");
        assert_eq!((visible(&[0, 1], 2), visible(&[], 0)), (None, None));
    }

    #[test]
    fn a_run_leaves_memory_to_the_machine() {
        const GIB: u64 = 1 << 30;
        assert_eq!(most_memory(64 * GIB, 64 * GIB), Some(64 * GIB - 64 * GIB / 20));
        assert_eq!(most_memory(GIB / 4, 64 * GIB), Some(GIB / 4), "what is set for the node holds");
        assert_eq!(most_memory(GIB / 4, GIB / 4), Some(GIB / 8), "a tiny machine keeps half");
        assert_eq!((most_memory(0, 0), most_memory(GIB, 0)), (None, Some(GIB)));
    }
}
