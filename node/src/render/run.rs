//! A run of attempts from its start to its end: one process, or several where the engine can't take the
//! run's frames together.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use weft_protocol::job::outcome::FailureKind;
use weft_protocol::job::spec::{JobSpec, Step};
use weft_protocol::job::warning::keep;
use weft_protocol::machine::Input;
use weft_protocol::wire::control::{AttemptKey, Lease};
use weft_scene::engine::{Builtin, Definition, command};

use super::frames::{Frame, Frames, Took};
use super::join::Source;
use super::{Ended, LiveLog, Log, Observed, Renderer, output, process};
use crate::clock::unix_now;

/// A run that was started.
pub(super) struct Started {
    /// Its number among those that were started here.
    pub(super) number: u64,
    /// Where it works.
    pub(super) folder: PathBuf,
    pub(super) lease: Lease,
    pub(super) killed: watch::Receiver<bool>,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) log: LiveLog,
    /// What it puts together, where it does that.
    pub(super) sources: Vec<Source>,
}

/// Tasks that wait this long behind another were not quick after all: they are handed back.
const NOT_QUICK: Duration = Duration::from_secs(1);

/// A failure, and what happened.
type Failed = (FailureKind, String);

/// How a process left its run.
enum Left {
    /// Every frame of it is concluded: the next process may start.
    Nothing,
    /// No further one should start; these frames of it were not come to.
    Undone(Vec<AttemptKey>),
    /// It found no licence for the first of these, which failed at no fault of its own, and came to none
    /// of the others; with what it said.
    Unlicensed(Vec<AttemptKey>, String),
    /// It was killed, and nobody waits for the rest.
    Killed,
}

impl Renderer {
    pub(super) async fn render(&self, run: Started, spec: JobSpec) {
        let attempts =
            self.runs().get(&run.number).map(|run| run.attempts.clone()).unwrap_or_default();
        let mut concluding = JoinSet::new();
        let left = self.work_off(&run, attempts, &spec, &mut concluding).await;
        run.log.close();
        while concluding.join_next().await.is_some() {}
        self.runs().remove(&run.number);
        let folder = run.folder;
        let _ = tokio::task::spawn_blocking(move || super::remove::all(&folder)).await;
        match left {
            Left::Nothing | Left::Killed => {}
            Left::Undone(attempts) => self.undone(attempts).await,
            Left::Unlicensed(mut attempts, said) => {
                let others = attempts.split_off(1);
                let step = spec.steps.get(usize::from(run.lease.attempt.task.step));
                let engine = step.map(|step| step.engine.clone()).unwrap_or_default();
                tracing::warn!(engine, said, "a licence was refused: its frames are handed back");
                for attempt in attempts {
                    self.tell(Input::LicenceRefused(attempt, engine.clone(), said.clone())).await;
                }
                self.undone(others).await;
            }
        }
    }

    /// Renders process by process; gives what became of the run in the end.
    async fn work_off(
        &self,
        run: &Started,
        attempts: Vec<AttemptKey>,
        spec: &JobSpec,
        concluding: &mut JoinSet<()>,
    ) -> Left {
        let work = run.folder.join("work");
        let step = spec.steps.get(usize::from(run.lease.attempt.task.step));
        let prepared = match step {
            None => Err("the task names no step of its job".to_owned()),
            Some(step) => {
                self.engine(step).map(|(definition, program)| (step, definition, program))
            }
        };
        let made = tokio::fs::create_dir_all(&work).await;
        let made = made.map_err(|error| format!("{}: {error}", work.display()));
        let (step, definition, program) = match made.and(prepared) {
            Ok(prepared) => prepared,
            Err(message) => {
                run.log.note(&message);
                self.fail(run, &work, attempts[0], (FailureKind::Start, message), concluding);
                return Left::Undone(attempts[1..].to_vec());
            }
        };
        let frames: Vec<i64> =
            attempts.iter().map(|attempt| i64::from(attempt.task.frame)).collect();
        let mut left = attempts.as_slice();
        // Quick tasks are assigned together, and still go into processes of as many as was asked.
        let most = (step.frames_per_task.max(1)) as usize;
        let runs = definition.runs(&frames);
        for frames in runs.iter().flat_map(|frames| frames.chunks(most)) {
            let (now, later) = left.split_at(frames.len());
            left = later;
            let engine = Engine { step, definition: &definition, program: &program, work: &work };
            let process = self.process(run, now, &engine, spec, concluding);
            tokio::pin!(process);
            let ended = tokio::select! {
                ended = &mut process => ended,
                () = tokio::time::sleep(NOT_QUICK), if attempts.len() > most && !later.is_empty() => {
                    // Others can take what this one keeps waiting.
                    if let Some(held) = self.runs().get_mut(&run.number) {
                        held.attempts.retain(|attempt| !later.contains(attempt));
                    }
                    self.undone(std::mem::take(&mut left).to_vec()).await;
                    process.await
                }
            };
            let later = left;
            match ended {
                Left::Nothing if !*run.stopped.borrow() && !left.is_empty() => {}
                Left::Nothing => return Left::Undone(later.to_vec()),
                Left::Undone(mut undone) => {
                    undone.extend(later);
                    return Left::Undone(undone);
                }
                Left::Unlicensed(mut undone, said) => {
                    undone.extend(later);
                    return Left::Unlicensed(undone, said);
                }
                Left::Killed => return Left::Killed,
            }
        }
        Left::Nothing
    }

    async fn process(
        &self,
        run: &Started,
        attempts: &[AttemptKey],
        engine: &Engine<'_>,
        spec: &JobSpec,
        concluding: &mut JoinSet<()>,
    ) -> Left {
        let Engine { step, definition, program, work } = *engine;
        let lease = Lease { attempt: attempts[0], ..run.lease.clone() };
        let wanted: Vec<i32> = attempts.iter().map(|attempt| attempt.task.frame).collect();
        let rendered: Vec<i64> =
            spec.rendered_for(step, &wanted).into_iter().map(i64::from).collect();
        let all = rendered.clone();
        // Those that are rendered for what follows from them only.
        let before = rendered.len().saturating_sub(attempts.len());
        let command = match command(definition, &self.invocation(&lease, step, rendered, work)) {
            Ok(command) => command,
            Err(error) => {
                run.log.note(&error.to_string());
                let why = (FailureKind::Start, error.to_string());
                self.fail(run, work, attempts[0], why, concluding);
                return Left::Undone(attempts[1..].to_vec());
            }
        };
        if command.builtin == Some(Builtin::Noop) {
            let pause = command.arguments.get("pause").and_then(|pause| pause.parse().ok());
            let pause = Duration::from_millis(pause.unwrap_or(0));
            return self.do_nothing(run, attempts, pause, work, concluding).await;
        }
        if command.builtin == Some(Builtin::Join) {
            let (took, made) = self.join_tiles(run, spec, attempts[0], work).await;
            let log = Log::File(run.log.path().to_owned());
            self.finish(work, attempts[0], made, took, Observed::default(), log, concluding);
            return Left::Undone(attempts[1..].to_vec());
        }
        if command.builtin == Some(Builtin::Compare) {
            let (took, made) = self.compare(run, spec, attempts[0], work).await;
            let log = Log::File(run.log.path().to_owned());
            self.finish(work, attempts[0], made, took, Observed::default(), log, concluding);
            return Left::Undone(attempts[1..].to_vec());
        }
        if step.arguments.contains_key("allow_scripts") && !self.inner.sandbox.is_whole() {
            let what = "the job lets scripts inside its scene run, which takes a sandbox, and this node has";
            let why = format!("{what} {}", self.inner.sandbox.words());
            run.log.note(&why);
            self.fail(run, work, attempts[0], (FailureKind::Start, why), concluding);
            return Left::Undone(attempts[1..].to_vec());
        }
        let told = definition.tells_saved();
        let mut frames = Frames::new(attempts, &command.expected_outputs, work, told);
        let process = process::Run {
            weft: &self.inner.weft,
            guards: &self.inner.guards,
            program,
            command: &command,
            definition,
            work,
            inputs: &self.inner.ready.folder(&run.lease.attempt.job),
            shared: &self.inner.ready.shared(&spec.needs.tags),
            folder: &run.folder,
            sandbox: &self.inner.sandbox,
            limits: self.limits(&lease),
            cards: super::limits::visible(&lease.gpus, self.inner.allowed.cards),
            before,
            timeout: (spec.timeout > 0).then(|| Duration::from_secs(u64::from(spec.timeout))),
            stop: run.stopped.clone(),
        };
        let (inputs, keys) = (self.inner.inputs.clone(), attempts.to_vec());
        let progress = move |part: f32| {
            if let Some((key, thousandths)) = at_frame(&keys, before, part) {
                let _ = inputs.try_send(Input::Progress(key, thousandths));
            }
        };
        let mut logged = run.log.length().borrow().bytes;
        let beside = output::Beside::new(definition, work, &all);
        let mut done = |frame: Frame, took: Took, observed: Observed| {
            let part = self.next_part(run, &mut logged, told);
            let made = beside.added_to(frame.expected, frame.attempt.task.frame);
            self.finish(work, frame.attempt, made, took, observed, part, concluding);
        };
        let killed = run.killed.clone();
        let ran = process::run(process, &run.log, killed, progress, &mut frames, &mut done).await;
        let Some(report) = ran else { return Left::Killed };
        let verdict = output::judge(definition, &report, &run.log);
        let left: Vec<Frame> = frames.left().cloned().collect();
        if report.stopped {
            return Left::Undone(left.iter().map(|frame| frame.attempt).collect());
        }
        for (at, frame) in left.iter().enumerate() {
            let part = match frames.len() {
                1 => Log::File(run.log.path().to_owned()),
                _ => self.next_part(run, &mut logged, told),
            };
            let took = frames.take_time();
            let made = match &verdict {
                Ok(()) if definition.collects => {
                    let several = step.frames.iter().map(|run| run.len()).sum::<usize>() > 1;
                    let frame = several.then_some(frame.attempt.task.frame);
                    output::collect(work, frame, &run.log)
                }
                Ok(()) => output::present(work, &frame.expected, &run.log)
                    .and_then(|files| beside.added_to(files, frame.attempt.task.frame)),
                Err(why) => Err(why.clone()),
            };
            let made = made.map_err(|why| output::told(why, &report));
            if let (Err(_), Some(said)) = (&made, &report.licence_refused) {
                let undone = left[at..].iter().map(|frame| frame.attempt).collect();
                return Left::Unlicensed(undone, said.clone());
            }
            let mut observed = report.observed.clone();
            frame.warnings.iter().for_each(|text| keep(&mut observed.warnings, text));
            self.finish(work, frame.attempt, made, took, observed, part, concluding);
            if verdict.is_err() {
                // What ended it is this frame's; the others go out again.
                return Left::Undone(left[at + 1..].iter().map(|frame| frame.attempt).collect());
            }
        }
        Left::Nothing
    }

    async fn do_nothing(
        &self,
        run: &Started,
        attempts: &[AttemptKey],
        pause: Duration,
        work: &Path,
        concluding: &mut JoinSet<()>,
    ) -> Left {
        for (at, attempt) in attempts.iter().enumerate() {
            let (started, clock) = (unix_now(), Instant::now());
            let mut killed = run.killed.clone();
            // The shortest sleep of the runtime is a millisecond.
            if !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = process::until_killed(&mut killed) => return Left::Killed,
                }
            }
            let took = Took { started, render: clock.elapsed() };
            let log = Log::File(run.log.path().to_owned());
            let observed = Observed::default();
            self.finish(work, *attempt, Ok(Vec::new()), took, observed, log, concluding);
            if *run.stopped.borrow() {
                return Left::Undone(attempts[at + 1..].to_vec());
            }
        }
        Left::Nothing
    }

    /// What the engine printed since the frame before was done. Where it does not tell when it saves,
    /// nobody knows which lines are whose: then it is everything so far.
    fn next_part(&self, run: &Started, from: &mut u64, told: bool) -> Log {
        let to = run.log.length().borrow().bytes;
        let since = std::mem::replace(from, to);
        Log::Part(run.log.path().to_owned(), if told { since } else { 0 }, to)
    }

    fn fail(
        &self,
        run: &Started,
        work: &Path,
        attempt: AttemptKey,
        why: Failed,
        concluding: &mut JoinSet<()>,
    ) {
        let took = Took { started: unix_now(), render: Duration::ZERO };
        let log = Log::File(run.log.path().to_owned());
        self.finish(work, attempt, Err(why), took, Observed::default(), log, concluding);
    }

    /// Concludes an attempt, while its engine may go on with others.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is used once, and a struct would only rename them"
    )]
    fn finish(
        &self,
        work: &Path,
        attempt: AttemptKey,
        ending: Result<Vec<PathBuf>, Failed>,
        took: Took,
        observed: Observed,
        log: Log,
        concluding: &mut JoinSet<()>,
    ) {
        let ended = Ended { ending, render: took.render, started: took.started, observed };
        let (renderer, work) = (self.clone(), work.to_owned());
        concluding.spawn(async move { renderer.conclude(work, attempt, ended, log).await });
    }
}

/// An engine as a run uses it.
#[derive(Clone, Copy)]
struct Engine<'a> {
    step: &'a Step,
    definition: &'a Definition,
    program: &'a Path,
    work: &'a Path,
}

/// Which of a run's frames is being rendered when so much of the run is done, and how much of it is. So many are
/// rendered `before` them, which are nobody's.
fn at_frame(keys: &[AttemptKey], before: usize, part: f32) -> Option<(AttemptKey, u16)> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part is 0 to 1, and a run has at most some thousands of frames"
    )]
    let (at, thousandths) = {
        let all = (before + keys.len()) as f32;
        let frames = (part * all - before as f32).max(0.0);
        (frames as usize, (frames.fract() * 1000.0) as u16)
    };
    match keys.get(at) {
        Some(key) => Some((*key, thousandths)),
        None => Some((*keys.last()?, 1000)),
    }
}
