//! What this node notes about the results that it made, once they are signed: their previews, the keys by
//! which other jobs find them, and what their engines warned of.
//!
//! No frame waits for this, and none fails by it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use weft_protocol::content::Tree;
use weft_protocol::fact::Body;
use weft_protocol::ids::{BlobId, JobId};
use weft_protocol::job::note::{Note, Noted, Notes, What};
use weft_protocol::job::outcome::OutputFile;
use weft_protocol::job::reuse::{Inputs, Key, key as key_of};
use weft_protocol::job::spec::JobSpec;
use weft_protocol::job::status::{Activity, status};
use weft_protocol::job::table::TaskState;
use weft_protocol::job::task::TaskKey;
use weft_protocol::job::warning::{Warned, Warnings, keep};
use weft_protocol::replicate::Goods;
use weft_scene::engine::{Definition, LogEvent, LogReader};
use weft_store::{Batch, Store};

use crate::shared::Shared;
use crate::{picture, reuse};

/// How many results may wait for their notes; of further ones nothing is noted.
pub(crate) const MAX_WAITING: usize = 4096;
/// How many are noted together, with one signature.
const BATCH: usize = 32;
/// How much of a log is read for its warnings, in bytes.
const MAX_LOG: u64 = 4 << 20;
/// How long a result may take from its files to its outcome: a second node has to fetch it.
const SIGNED: Duration = Duration::from_secs(600);

/// A result that this node made, or an attempt of its that failed, which has no files.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) job: JobId,
    pub(crate) task: TaskKey,
    pub(crate) generation: u32,
    pub(crate) attempt: u32,
    pub(crate) files: Vec<OutputFile>,
    /// What its engine warned of.
    pub(crate) warnings: Vec<String>,
}

/// Notes what there is to note about results for as long as the daemon runs.
pub(crate) async fn run(node: Arc<Shared>, mut results: mpsc::Receiver<Made>) {
    // What was made just before the end.
    let mut batch = unnoted(&node).await;
    loop {
        let mut later = batch.split_off(batch.len().min(BATCH));
        note(&node, std::mem::take(&mut batch)).await;
        batch.append(&mut later);
        if batch.is_empty() && results.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
    }
}

/// Results of this node's of which nothing is noted, in jobs that are not over.
async fn unnoted(node: &Arc<Shared>) -> Vec<Made> {
    let found = found_unnoted(node);
    let node = Arc::clone(node);
    let read = tokio::task::spawn_blocking(move || {
        let warned = |(made, engine, log): (Made, String, BlobId)| {
            let warnings = node.config.engines.get(&engine).and_then(|engine| {
                let bytes = node.store.read_all(log, MAX_LOG).ok()?;
                Some(warnings(engine, &String::from_utf8_lossy(&bytes)))
            });
            Made { warnings: warnings.unwrap_or_default(), ..made }
        };
        let (logged, silent): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(_, _, log)| log.is_some());
        let logged =
            logged.into_iter().filter_map(|(made, engine, log)| Some((made, engine, log?)));
        let silent = silent.into_iter().map(|(made, ..)| made);
        logged.map(warned).chain(silent).collect()
    });
    read.await.unwrap_or_default()
}

/// What an engine warned of, by its log.
fn warnings(engine: &Definition, log: &str) -> Vec<String> {
    let (mut reader, mut warnings) = (LogReader::new(engine), Vec::new());
    for event in log.lines().flat_map(|line| reader.push_line(line)) {
        if let LogEvent::Warning(text) = event {
            keep(&mut warnings, &text);
        }
    }
    warnings
}

/// These results, each with its engine and its log.
fn found_unnoted(node: &Shared) -> Vec<(Made, String, Option<BlobId>)> {
    let machine = node.machine();
    let mut all = Vec::new();
    for (id, job, spec) in machine.ledger.jobs.iter() {
        if status(job, Activity::default()).is_none_or(|status| status.is_over()) {
            continue;
        }
        for (task, known) in job.tasks() {
            let done = known.done().filter(|done| done.author == node.me);
            let done = done.filter(|done| !done.is_taken_over());
            let done =
                done.filter(|_| known.noted() == Noted::default() && known.warnings().is_empty());
            let engine = spec.steps.get(usize::from(task.step)).map(|step| step.engine.clone());
            all.extend(done.map(|done| {
                let made = Made {
                    job: id,
                    task,
                    generation: done.generation,
                    attempt: done.attempt,
                    files: done.files.to_vec(),
                    warnings: Vec::new(),
                };
                (made, engine.unwrap_or_default(), done.log)
            }));
        }
    }
    all
}

async fn note(node: &Arc<Shared>, batch: Vec<Made>) {
    let mut noted: BTreeMap<JobId, (Vec<Note>, Vec<Warned>, Goods)> = BTreeMap::new();
    let mut trees = BTreeMap::new();
    // What is made here is kept until the job has pinned it.
    let _intake = node.store.intake();
    for made in batch {
        if !counts(node, &made).await {
            continue;
        }
        let (notes, warned, goods) = noted.entry(made.job).or_default();
        if !made.warnings.is_empty() {
            let texts = made.warnings.clone();
            warned.push(Warned { task: made.task, generation: made.generation, texts });
        }
        if made.files.is_empty() {
            continue;
        }
        let mut say =
            |what| notes.push(Note { task: made.task, generation: made.generation, what });
        if let Some(key) = key(node, &made, &mut trees).await {
            say(What::Key(key));
        }
        if let Some(blob) = preview(node, &made).await {
            goods.blobs.push(blob);
            say(What::Preview(blob));
        }
    }
    for (job, (notes, warned, goods)) in noted {
        let notes = (!notes.is_empty()).then_some(Body::Notes(Notes { job, notes }));
        let warned = (!warned.is_empty()).then_some(Body::Warnings(Warnings { job, warned }));
        let bodies: Vec<Body> = notes.into_iter().chain(warned).collect();
        if bodies.is_empty() {
            continue;
        }
        if let Err(why) = node.author(bodies, Vec::new(), goods).await {
            tracing::warn!(job = %job.short(), %why, "what is noted of its frames could not be kept");
        }
    }
}

/// Waits until a result is signed; says whether it is one that counts. A failure does where it was the last: what an
/// attempt warned of that is followed by another is nobody's concern.
async fn counts(node: &Shared, made: &Made) -> bool {
    let mut changes = node.changes();
    let stands = || {
        let machine = node.machine();
        let Some(job) = machine.ledger.jobs.get(&made.job) else { return Some(false) };
        if made.files.is_empty() {
            let ended = job.task(&made.task)?.has_ended(made.generation, made.attempt, &node.me);
            return ended.then(|| job.state(&made.task) == Some(TaskState::Failed));
        }
        let done = job.task(&made.task)?.done()?;
        let own = done.author == node.me && done.generation == made.generation;
        (own || done.generation >= made.generation).then_some(own)
    };
    let signed = async {
        loop {
            if let Some(counts) = stands() {
                return counts;
            }
            loop {
                match changes.recv().await {
                    Ok(job) if job != made.job => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return false,
                }
            }
        }
    };
    tokio::time::timeout(SIGNED, signed).await.unwrap_or(false)
}

/// The key of a result, unless its engine makes something else each time.
async fn key(
    node: &Arc<Shared>,
    made: &Made,
    trees: &mut BTreeMap<JobId, Option<(JobSpec, Tree)>>,
) -> Option<Key> {
    if let std::collections::btree_map::Entry::Vacant(unknown) = trees.entry(made.job) {
        let spec = node.spec(&made.job)?;
        let tree = reuse::tree(node, &spec).await;
        unknown.insert(tree.map(|tree| (spec, tree)));
    }
    let (spec, tree) = trees.get(&made.job)?.as_ref()?;
    let engine = |step: u16| {
        let step = spec.steps.get(usize::from(step))?;
        node.config.engines.get(&step.engine)
    };
    // What is put together is made by the engine of what it is made from.
    let rendered = spec.before(&made.task).first().map_or(made.task.step, |task| task.step);
    let (own, rendered) = (engine(made.task.step)?, engine(rendered)?);
    if !own.reuse || !rendered.reuse || spec.is_check(made.task.step) {
        return None;
    }
    // All files of the job are looked at: before others have to wait.
    let inputs = Inputs::of(tree);
    let machine = node.machine();
    let job = machine.ledger.jobs.get(&made.job)?;
    let maker = |task: &TaskKey| {
        let author = job.task(task)?.done()?.author;
        reuse::maker(machine.adverts.get(&author)?, spec, task.step)
    };
    key_of(spec, &inputs, &made.task, rendered.is_told_span(), &maker)
}

/// Makes the preview of a frame, and pins it for its job; none of a tile, nor of files that are no pictures.
async fn preview(node: &Arc<Shared>, made: &Made) -> Option<BlobId> {
    let is_result = node.spec(&made.job)?.is_result(made.task.step);
    let shown = made.files.iter().find(|file| picture::has_preview(file.path.as_str()));
    let file = shown.filter(|_| is_result)?.clone();
    let (store, job) = (Arc::clone(&node.store), made.job);
    let folder = node.home.jobs().join(job.to_string()).join("previews");
    let frame = made.task.frame;
    let made = tokio::task::spawn_blocking(move || make(&store, &job, &file, &folder)).await;
    match made.map_err(|error| error.to_string()).flatten() {
        Ok(blob) => blob,
        Err(why) => {
            tracing::info!(job = %job.short(), frame, %why, "a frame has no preview");
            None
        }
    }
}

fn make(
    store: &Store,
    job: &JobId,
    file: &OutputFile,
    folder: &std::path::Path,
) -> Result<Option<BlobId>, String> {
    let name = file.path.as_str().rsplit('/').next().unwrap_or_default();
    let path: PathBuf = folder.join(name);
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    store.deliver(file.blob, &path).map_err(|error| error.to_string())?;
    let preview = picture::preview(&path);
    let _ = std::fs::remove_dir_all(folder);
    let Some(bytes) = preview? else { return Ok(None) };
    let added = store.ingest_bytes(&bytes).map_err(|error| error.to_string())?;
    let pin = Batch::new().pin(added.id, crate::pins::job(job));
    store.commit(&pin).map_err(|error| error.to_string())?;
    Ok(Some(added.id))
}
