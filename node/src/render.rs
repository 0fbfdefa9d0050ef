//! Rendering: attempts from their lease to their outcome.

mod inputs;
mod output;
mod process;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use weft_protocol::ids::JobId;
use weft_protocol::job::outcome::{Ending, FailureKind, MAX_MESSAGE, Outcome};
use weft_protocol::job::spec::{JobSpec, Step};
use weft_protocol::job::task::unfold;
use weft_protocol::machine::Input;
use weft_protocol::wire::control::{AttemptKey, Lease};
use weft_protocol::worker::Event;
use weft_scene::engine::{Builtin, Command, Definition, Invocation, command};
use weft_store::{Batch, Store};

use crate::clock::unix_now;
use crate::engines::Found;
use crate::home::Home;
use crate::transfer::Fetcher;

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
    store: Arc<Store>,
    fetcher: Fetcher,
    engines: BTreeMap<String, (Definition, Found)>,
    inputs: mpsc::Sender<Input>,
    attempts: Mutex<BTreeMap<AttemptKey, Attempt>>,
    ready: inputs::Ready,
}

/// An attempt that is worked on.
struct Attempt {
    kill: watch::Sender<bool>,
    log: LiveLog,
}

/// How an attempt went, before its files are taken in.
struct Ended {
    ending: Result<Vec<PathBuf>, (FailureKind, String)>,
    /// What the engine said where no licence was to be had: then it failed at no fault of the task's.
    licence_refused: Option<String>,
    render: Duration,
    started: weft_protocol::time::Unix,
    peak_memory: u64,
}

impl Renderer {
    /// A renderer that tells the driver through `inputs` what happens.
    #[must_use]
    pub(crate) fn new(
        home: Home,
        weft: PathBuf,
        store: Arc<Store>,
        fetcher: Fetcher,
        engines: BTreeMap<String, (Definition, Found)>,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let attempts = Mutex::new(BTreeMap::new());
        let ready = inputs::Ready::new(home.jobs(), Arc::clone(&store));
        Self {
            inner: Arc::new(Inner { home, weft, store, fetcher, engines, inputs, attempts, ready }),
        }
    }

    /// Does what the worker's machine asks. `spec` is the job's, where it is known.
    pub(crate) fn act(
        &self,
        event: Event,
        spec: Option<JobSpec>,
        peers: Vec<weft_protocol::ids::NodeId>,
    ) {
        match event {
            Event::Prepare { attempt, term: _, providers } => {
                let Some(spec) = spec else { return };
                let renderer = self.clone();
                let mut providers = providers;
                providers.extend(peers);
                let mut seen = std::collections::BTreeSet::new();
                providers.retain(|node| seen.insert(*node));
                tokio::spawn(async move { renderer.prepare(attempt, spec, providers).await });
            }
            Event::Start { lease, term: _ } => {
                let Some(spec) = spec else { return };
                let (kill, killed) = watch::channel(false);
                let log = LiveLog::new(self.log_path(&lease.attempt));
                let attempt = Attempt { kill, log: log.clone() };
                self.attempts().insert(lease.attempt, attempt);
                let renderer = self.clone();
                tokio::spawn(async move { renderer.render(lease, spec, killed, log).await });
            }
            Event::Kill(attempt) => {
                if let Some(attempt) = self.attempts().get(&attempt) {
                    let _ = attempt.kill.send(true);
                }
            }
        }
    }

    /// Ends every engine; returns when they are gone.
    pub(crate) async fn shut_down(&self) {
        for attempt in self.attempts().values() {
            let _ = attempt.kill.send(true);
        }
        let deadline = Instant::now() + crate::guard::GRACE + Duration::from_secs(2);
        while !self.attempts().is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The log of an attempt that is worked on here.
    #[must_use]
    pub(crate) fn live_log(&self, attempt: &AttemptKey) -> Option<LiveLog> {
        self.attempts().get(attempt).map(|attempt| attempt.log.clone())
    }

    /// Deletes the working files of a job.
    pub(crate) fn forget(&self, job: &JobId) {
        self.inner.ready.forget(job);
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, BTreeMap<AttemptKey, Attempt>> {
        self.inner.attempts.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn prepare(
        &self,
        attempt: AttemptKey,
        spec: JobSpec,
        providers: Vec<weft_protocol::ids::NodeId>,
    ) {
        let inputs = spec.inputs;
        let frames = [attempt.task.frame];
        let bring = || {
            let (ready, fetcher) = (&self.inner.ready, &self.inner.fetcher);
            ready.bring(fetcher, attempt.job, inputs, &frames, &providers)
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
            Ok(()) => self.tell(Input::Prepared(attempt, inputs)).await,
            Err(why) => {
                tracing::warn!(job = %attempt.job.short(), frame = attempt.task.frame, %why, "inputs could not be brought here");
                let message = format!("its files could not be brought to this node: {why}");
                let ended = Ended {
                    ending: Err((FailureKind::Inputs, message)),
                    licence_refused: None,
                    render: Duration::ZERO,
                    started: unix_now(),
                    peak_memory: 0,
                };
                self.conclude(attempt, ended, None).await;
            }
        }
    }

    async fn render(
        &self,
        lease: Lease,
        spec: JobSpec,
        killed: watch::Receiver<bool>,
        log: LiveLog,
    ) {
        let attempt = lease.attempt;
        let ended = match self.command(&lease, &spec).await {
            Ok((definition, program, command, work)) => {
                self.run(&attempt, &spec, definition, program, command, work, killed, &log).await
            }
            Err((kind, message)) => {
                log.note(&message);
                Some(Ended {
                    ending: Err((kind, message)),
                    licence_refused: None,
                    render: Duration::ZERO,
                    started: unix_now(),
                    peak_memory: 0,
                })
            }
        };
        log.close();
        match ended {
            Some(Ended { ending: Err(_), licence_refused: Some(said), .. }) => {
                let step = spec.steps.get(usize::from(attempt.task.step));
                let engine = step.map(|step| step.engine.clone()).unwrap_or_default();
                tracing::warn!(engine, said, "a licence was refused: the frame is handed back");
                self.tell(Input::LicenceRefused(attempt, engine, said)).await;
            }
            Some(ended) => {
                let path = log.path().to_owned();
                self.conclude(attempt, ended, Some(path)).await;
            }
            None => {}
        }
        self.attempts().remove(&attempt);
        let folder = self.attempt_folder(&attempt);
        let _ = tokio::fs::remove_dir_all(folder).await;
    }

    /// The command line of an attempt, and its freshly made working folder.
    async fn command(
        &self,
        lease: &Lease,
        spec: &JobSpec,
    ) -> Result<(Definition, PathBuf, Command, PathBuf), (FailureKind, String)> {
        let start = |message: String| (FailureKind::Start, message);
        let task = lease.attempt.task;
        let step = spec
            .steps
            .get(usize::from(task.step))
            .ok_or_else(|| start("the task names no step of its job".into()))?;
        let (definition, found) = self
            .inner
            .engines
            .get(&step.engine)
            .ok_or_else(|| start(format!("this node has no engine '{}'", step.engine)))?;
        let work = self.attempt_folder(&lease.attempt).join("work");
        tokio::fs::create_dir_all(&work)
            .await
            .map_err(|error| start(format!("{}: {error}", work.display())))?;
        let invocation = self.invocation(lease, step, &work);
        let command = command(definition, &invocation).map_err(|error| start(error.to_string()))?;
        let program = found.program.clone().unwrap_or_default();
        Ok((definition.clone(), program, command, work))
    }

    fn invocation(&self, lease: &Lease, step: &Step, work: &std::path::Path) -> Invocation {
        let inputs = self.inner.ready.folder(&lease.attempt.job);
        let frames: Vec<i64> = unfold(&step.frames).map(i64::from).collect();
        let argument = |name: &str| step.arguments.get(name).cloned();
        let given = step
            .arguments
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("arg.")?.to_owned(), value.clone())));
        Invocation {
            weft: self.inner.weft.display().to_string(),
            scene: inputs.join(step.scene.as_str()).display().to_string(),
            frames: vec![i64::from(lease.attempt.task.frame)],
            start: frames.iter().min().copied().unwrap_or(0),
            end: frames.iter().max().copied().unwrap_or(0),
            work: work.display().to_string(),
            inputs: inputs.display().to_string(),
            threads: lease.cores.max(1),
            name: step.output.clone(),
            format: argument("format"),
            camera: argument("camera"),
            scene_name: argument("scene"),
            view_layer: argument("view_layer"),
            scale: argument("scale").and_then(|scale| scale.parse().ok()),
            tile: None,
            allow_scripts: argument("allow_scripts").is_some(),
            arguments: given.collect(),
        }
    }

    /// Runs an engine; none when it was killed, and nobody waits for what it made.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is used once, and a struct would only rename them"
    )]
    async fn run(
        &self,
        attempt: &AttemptKey,
        spec: &JobSpec,
        definition: Definition,
        program: PathBuf,
        command: Command,
        work: PathBuf,
        mut killed: watch::Receiver<bool>,
        log: &LiveLog,
    ) -> Option<Ended> {
        let (started, clock) = (unix_now(), Instant::now());
        let expected: Vec<PathBuf> =
            command.expected_outputs.iter().map(|output| work.join(&output.path)).collect();
        if command.builtin == Some(Builtin::Noop) {
            let pause = command.arguments.get("pause").and_then(|pause| pause.parse().ok());
            let pause = Duration::from_millis(pause.unwrap_or(0));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = process::until_killed(&mut killed) => return None,
            }
            let render = clock.elapsed();
            let ending = Ok(Vec::new());
            return Some(Ended { ending, licence_refused: None, render, started, peak_memory: 0 });
        }
        let run = process::Run {
            weft: &self.inner.weft,
            program: &program,
            command: &command,
            definition: &definition,
            work: &work,
            report: self.attempt_folder(attempt).join("report.json"),
            timeout: (spec.timeout > 0).then(|| Duration::from_secs(u64::from(spec.timeout))),
        };
        let inputs = self.inner.inputs.clone();
        let key = *attempt;
        let progress = move |thousandths: u16| {
            let _ = inputs.try_send(Input::Progress(key, thousandths));
        };
        let report = process::run(run, log, killed, progress).await?;
        let render = clock.elapsed();
        let ending = output::judge(&definition, &report, &expected, log);
        let licence_refused = report.licence_refused;
        Some(Ended { ending, licence_refused, render, started, peak_memory: report.peak_memory })
    }

    /// Takes in what an attempt made, and hands its outcome to the machine.
    async fn conclude(&self, attempt: AttemptKey, ended: Ended, log: Option<PathBuf>) {
        let store = Arc::clone(&self.inner.store);
        let reason = crate::pins::job(&attempt.job);
        let work = self.attempt_folder(&attempt).join("work");
        let taken = tokio::task::spawn_blocking(move || {
            let _intake = store.intake();
            let log = log.and_then(|path| Some(store.ingest_file(&path, &mut |_| ()).ok()?.id));
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
            let ending = match store.commit(&pins) {
                Ok(()) => ending,
                Err(error) => Ending::Failed {
                    kind: FailureKind::MissingOutput,
                    message: format!("its results could not be kept: {error}"),
                },
            };
            (ending, log, ended.render, ended.started, ended.peak_memory)
        });
        let Ok((ending, log, render, started, peak_memory)) = taken.await else {
            return;
        };
        let took = weft_protocol::fact::body::millis(render);
        let outcome = Outcome { peak_memory, log, ..attempt.outcome(ending, started, took) };
        self.tell(Input::Ended(attempt, Box::new(outcome))).await;
    }
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
