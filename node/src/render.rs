//! Rendering: attempts from their lease to their outcome.

mod compare;
mod conclude;
mod frames;
mod inputs;
mod invocation;
mod join;
mod limits;
mod output;
mod process;
mod remove;
mod run;
mod trial;
mod within;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use weft_protocol::ids::JobId;
use weft_protocol::job::outcome::FailureKind;
use weft_protocol::job::spec::{JobSpec, Step};
use weft_protocol::machine::Input;
use weft_protocol::wire::control::AttemptKey;
use weft_protocol::worker::Event;
use weft_scene::engine::{Builtin, Definition};
use weft_store::Store;

use crate::clock::unix_now;
use crate::engines::Found;
use crate::guards::Guards;
use crate::home::Home;
use crate::notes::Made;
use crate::sandbox::Sandbox;
use crate::shared_roots::SharedRoots;
use crate::transfer::Fetcher;

use conclude::{Ended, Log, Observed};
pub(crate) use join::{FULL, Source};
pub(crate) use limits::Allowed;
pub(crate) use process::LiveLog;

/// How often a job's inputs are sought before an attempt fails for want of them, and how long
/// apart: nodes come and go.
const BRING_TRIES: u32 = 4;
const BRING_AGAIN: Duration = Duration::from_secs(1);

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
    /// By their numbers: where a run is given back and comes again, its engine may still be ending.
    runs: Mutex<BTreeMap<u64, Run>>,
    /// How many runs were started.
    started: AtomicU64,
    ready: inputs::Ready,
}

/// A run that is worked on: one frame, or several that share a process.
struct Run {
    /// Its first attempt as it was prepared.
    name: AttemptKey,
    kill: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    attempts: Vec<AttemptKey>,
    log: LiveLog,
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
            started: AtomicU64::new(0),
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
                let number = self.inner.started.fetch_add(1, Ordering::Relaxed);
                let folder = self.folder_of(&run, number);
                let log = LiveLog::new(folder.join("log.txt"));
                let attempts = std::iter::once(lease.attempt).chain(more).collect();
                self.runs()
                    .insert(number, Run { name: run, kill, stop, attempts, log: log.clone() });
                let started = run::Started { number, folder, lease, killed, stopped, log, sources };
                let renderer = self.clone();
                tokio::spawn(async move { renderer.render(started, spec).await });
            }
            // One of the same name that is still ending was killed before.
            Event::Kill(name) => {
                for run in self.runs().values().filter(|run| run.name == name) {
                    let _ = run.kill.send(true);
                }
            }
            Event::Stop(name) => {
                for run in self.runs().values().filter(|run| run.name == name) {
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
        let run = runs.values().rev().find(|run| run.attempts.contains(attempt));
        run.map(|run| run.log.clone())
    }

    /// Deletes the working files of a job.
    pub(crate) fn forget(&self, job: &JobId) {
        self.inner.ready.forget(job);
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Run>> {
        self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder_of(&self, run: &AttemptKey, number: u64) -> PathBuf {
        let AttemptKey { job, task, generation, attempt } = run;
        let task = format!("{}-{}-{}", task.step, task.frame, task.tile);
        let name = format!("{task}-{generation}-{attempt}-{number}");
        self.inner.home.jobs().join(job.to_string()).join("attempts").join(name)
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
        // It never came to work anywhere.
        self.conclude(PathBuf::new(), attempt, ended, Log::None).await;
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
}
