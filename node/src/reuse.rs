//! Nothing twice: results of other jobs are sought for a job's tasks, and taken over instead of rendered.
//!
//! Who leads does this for each job that is submitted, extended or retried, before it hands out its tasks.
//! It queues behind no frame: it needs files, and no renderer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_protocol::content::Tree;
use weft_protocol::content::tree::MAX_ENCODED as MAX_TREE;
use weft_protocol::ids::{BlobId, JobId, NodeId};
use weft_protocol::job::note::{Note, Noted, What};
use weft_protocol::job::outcome::{Ending, Outcome};
use weft_protocol::job::reuse::{self, Found, Inputs, Key, Maker};
use weft_protocol::job::spec::JobSpec;
use weft_protocol::job::task::TaskKey;
use weft_protocol::machine::{Input, Machine};
use weft_protocol::schedule::{NodeView, feasible};
use weft_protocol::wire::control::{Advert, AttemptKey};

use crate::clock::unix_now;
use crate::shared::Shared;

/// How long the list of a job's files may take to come here.
const LISTED: Duration = Duration::from_secs(5);
/// How many results are brought at once.
const BATCH: usize = 64;
/// How long the files of one batch may take to come, and of a single result where a batch doesn't; what
/// takes longer is rendered.
const BROUGHT: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(3));
/// How long may be lost with results that can't be brought, in all.
const LOST: Duration = Duration::from_secs(30);
/// How long results may take from here to their facts: a second node has to keep them.
const SIGNED: Duration = Duration::from_secs(20);

/// A result that is another job's, and a job's task of which it is the result as well.
struct Match {
    task: TaskKey,
    generation: u32,
    key: Key,
    found: Found,
    noted: Noted,
}

impl Match {
    fn blobs(&self) -> impl Iterator<Item = BlobId> {
        let files = self.found.files.iter().map(|file| file.blob);
        files.chain(self.found.log).chain(self.noted.preview)
    }

    fn holders(&self) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.found.author).chain(self.found.holders.iter().copied())
    }

    fn outcome(&self, job: JobId) -> Outcome {
        let attempt = AttemptKey { job, task: self.task, generation: self.generation, attempt: 0 };
        let ending = Ending::Done(self.found.files.clone());
        Outcome { log: self.found.log, ..attempt.outcome(ending, unix_now(), 0) }
    }

    fn notes(&self) -> impl Iterator<Item = Note> {
        let (task, generation) = (self.task, self.generation);
        let preview = self.noted.preview.map(What::Preview);
        let all = [What::Key(self.key), What::TakenOver(self.found.job)].into_iter().chain(preview);
        all.map(move |what| Note { task, generation, what })
    }
}

/// Seeks stored results for a job, and takes them over.
pub(crate) async fn seek(node: Arc<Shared>, job: JobId) {
    known(&node, &job).await;
    let mut matches = matches(&node, &job).await;
    // What needs the fewest files to be brought comes first: it is here.
    matches.sort_by_key(|found| (!found.holders().any(|holder| holder == node.me), found.task));
    if !matches.is_empty() {
        tracing::info!(job = %job.short(), frames = matches.len(), "other jobs have rendered what it needs");
    }
    let mut lost = Duration::ZERO;
    while !matches.is_empty() {
        let bringing = matches.iter().map(|found| found.task).collect();
        tell(&node, Input::Sought(job, bringing)).await;
        let rest = matches.split_off(matches.len().min(BATCH));
        let batch = std::mem::replace(&mut matches, rest);
        let brought = bring(&node, &job, batch, &mut lost).await;
        take_over(&node, job, brought).await;
        if lost >= LOST {
            tracing::warn!(job = %job.short(), frames = matches.len(), "stored frames can't be brought here: they are rendered");
            break;
        }
    }
    tell(&node, Input::Sought(job, BTreeSet::new())).await;
}

/// Waits until a job is known here: who is asked to seek by another node may hear of it a little later.
async fn known(node: &Shared, job: &JobId) {
    let mut changes = node.changes();
    let comes = async { while node.spec(job).is_none() && changes.recv().await.is_ok() {} };
    let _ = tokio::time::timeout(LISTED, comes).await;
}

async fn tell(node: &Shared, input: Input) {
    // The driver outlives every search; when it is gone, so is the daemon.
    let _ = node.inputs.send(input).await;
}

/// The results of other jobs that are a job's as well.
async fn matches(node: &Arc<Shared>, job: &JobId) -> Vec<Match> {
    let Some(Search { spec, makers, wanted }) = search(node, job) else { return Vec::new() };
    let Some(tree) = tree(node, &spec).await else { return Vec::new() };
    let (node, job) = (Arc::clone(node), *job);
    let sought = tokio::task::spawn_blocking(move || {
        let inputs = Inputs::of(&tree);
        let mut keys: BTreeMap<Key, (TaskKey, u32)> = BTreeMap::new();
        for maker in &makers {
            let maker = |_: &TaskKey| Some(maker.clone());
            // Whether an engine is told the frames' span is its own affair; most are not.
            for spanned in [false, true] {
                keys.extend(wanted.iter().filter_map(|(task, generation)| {
                    let key = reuse::key(&spec, &inputs, task, spanned, &maker)?;
                    Some((key, (*task, *generation)))
                }));
            }
        }
        let machine = node.machine();
        let jobs = &machine.ledger.jobs;
        let found = reuse::find(jobs, &job, &keys.keys().copied().collect());
        let mut matches: BTreeMap<TaskKey, Match> = BTreeMap::new();
        for (key, found) in found {
            let Some((task, generation)) = keys.get(&key).copied() else { continue };
            let known = jobs.get(&found.job).and_then(|job| job.task(&found.task));
            let noted = known.map(weft_protocol::job::table::Task::noted).unwrap_or_default();
            matches.entry(task).or_insert(Match { task, generation, key, found, noted });
        }
        matches.into_values().collect()
    });
    sought.await.unwrap_or_default()
}

/// What is looked for.
struct Search {
    spec: JobSpec,
    /// What sorts of machines could render it.
    makers: BTreeSet<Maker>,
    /// Its tasks that may be taken over, each with its round.
    wanted: Vec<(TaskKey, u32)>,
}

/// What is to be looked for; none where nothing can be found, or this node may not sign results.
fn search(node: &Shared, job: &JobId) -> Option<Search> {
    let machine = node.machine();
    let jobs = &machine.ledger.jobs;
    let known = jobs.get(job)?;
    let spec = known.spec()?;
    let step = spec.steps.first()?;
    let others = |(id, _, other): (JobId, _, &JobSpec)| {
        id != *job && other.steps.first().is_some_and(|other| other.engine == step.engine)
    };
    let renders = machine.adverts.get(&node.me).is_some_and(|me| me.role.renders());
    if !renders || !jobs.iter().any(others) {
        return None;
    }
    let makers = makers(&machine, spec);
    let wanted = reuse::wanted(known);
    let wanted = wanted.filter_map(|key| Some((key, known.task(&key)?.generation)));
    let wanted: Vec<_> = wanted.collect();
    let found = !makers.is_empty() && !wanted.is_empty();
    found.then(|| Search { spec: spec.clone(), makers, wanted })
}

/// The sorts of machines that could render the first step of a job, there or not.
fn makers(machine: &Machine, spec: &JobSpec) -> BTreeSet<Maker> {
    let Some(step) = spec.steps.first() else { return BTreeSet::new() };
    let fits = |advert: &&Advert| {
        let view = NodeView {
            hardware: advert.hardware.clone(),
            engines: advert.engines.clone(),
            tags: advert.tags.clone(),
            renders: advert.role.renders(),
            ..NodeView::default()
        };
        feasible::unfit(spec, step, &view).is_none()
    };
    let fitting = machine.known().filter(fits);
    fitting.filter_map(|advert| maker(advert, spec, 0)).collect()
}

/// What a node is to a step: its engine's version and its device class.
pub(crate) fn maker(advert: &Advert, spec: &JobSpec, step: u16) -> Option<Maker> {
    let step = spec.steps.get(usize::from(step))?;
    let version = advert.engines.get(&step.engine)?.clone();
    Some(Maker { version, class: reuse::device_class(spec, step, &advert.hardware) })
}

/// The list of a job's files, from wherever it is.
pub(crate) async fn tree(node: &Arc<Shared>, spec: &JobSpec) -> Option<Tree> {
    let inputs = spec.inputs;
    let fetched = async {
        let _intake = node.store.intake();
        node.fetcher.blobs(&[inputs], &node.connected()).await.ok()?;
        let store = Arc::clone(&node.store);
        let read = move || store.read_all(inputs, MAX_TREE as u64);
        let bytes = tokio::task::spawn_blocking(read).await.ok()?.ok()?;
        Tree::decode(&bytes).ok()
    };
    tokio::time::timeout(LISTED, fetched).await.ok().flatten()
}

/// Brings the files of results here and pins them for the job; gives those of which that worked.
async fn bring(
    node: &Arc<Shared>,
    job: &JobId,
    batch: Vec<Match>,
    lost: &mut Duration,
) -> Vec<Match> {
    let begun = Instant::now();
    if fetch(node, job, &batch, BROUGHT.0).await {
        return batch;
    }
    *lost += begun.elapsed();
    let mut brought = Vec::new();
    for found in batch {
        if *lost >= LOST {
            break;
        }
        let begun = Instant::now();
        let one = [found];
        let came = fetch(node, job, &one, BROUGHT.1).await;
        let [found] = one;
        match came {
            true => brought.push(found),
            false => *lost += begun.elapsed(),
        }
    }
    brought
}

async fn fetch(node: &Arc<Shared>, job: &JobId, results: &[Match], time: Duration) -> bool {
    let blobs: BTreeSet<BlobId> = results.iter().flat_map(Match::blobs).collect();
    let blobs: Vec<BlobId> = blobs.into_iter().collect();
    let holders: BTreeSet<NodeId> = results.iter().flat_map(Match::holders).collect();
    let mut providers: Vec<NodeId> = holders.into_iter().filter(|id| *id != node.me).collect();
    let others = node.connected().into_iter().filter(|peer| !providers.contains(peer));
    providers.extend(others.collect::<Vec<_>>());
    let intake = node.store.intake();
    let fetched = tokio::time::timeout(time, node.fetcher.blobs(&blobs, &providers)).await;
    if !matches!(fetched, Ok(Ok(()))) {
        return false;
    }
    crate::pins::pin_for(&node.store, job, blobs, intake).await.is_ok()
}

/// Hands results in, and waits until they are the job's.
async fn take_over(node: &Shared, job: JobId, brought: Vec<Match>) {
    if brought.is_empty() {
        return;
    }
    let mut changes = node.changes();
    let blobs: BTreeSet<BlobId> = brought.iter().flat_map(Match::blobs).collect();
    let taken = Input::TakenOver {
        job,
        results: brought.iter().map(|found| found.outcome(job)).collect(),
        notes: brought.iter().flat_map(Match::notes).collect(),
        blobs: blobs.into_iter().collect(),
    };
    tell(node, taken).await;
    let done = |found: &Match| {
        let machine = node.machine();
        let known = machine.ledger.jobs.get(&job);
        known.is_none_or(|job| job.task(&found.task).is_none_or(|task| task.done().is_some()))
    };
    let signed = async {
        while !brought.iter().all(done) {
            if let Err(tokio::sync::broadcast::error::RecvError::Closed) = changes.recv().await {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(SIGNED, signed).await;
}
