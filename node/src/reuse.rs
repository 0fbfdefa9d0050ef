//! Nothing twice: results of other jobs are sought for a job's tasks, and taken over instead of rendered.
//!
//! Who leads does this for each job that is submitted, extended or retried, before it hands out its tasks.
//! It queues behind no frame: it needs files, and no renderer. Results that lie on other nodes' disks are taken over by
//! those nodes, so that no file travels; only what they can't take over is brought.

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
use weft_protocol::replicate::Goods;
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
/// How long nothing may come of nodes that were asked to take results over, before those are brought here; how long
/// it may be until that is looked at, and how much is looked at together.
const ENTRUSTED: Duration = Duration::from_secs(30);
const LOOKED: Duration = Duration::from_secs(5);
const TOGETHER: Duration = Duration::from_millis(20);

/// A result that is another job's, and a job's task of which it is the result as well.
struct Match {
    task: TaskKey,
    generation: u32,
    key: Key,
    found: Found,
    noted: Noted,
    /// Whether its files are on this node's disk.
    here: bool,
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
    let matches = matches(&node, &job).await;
    if matches.is_empty() {
        tell(&node, Input::Sought(job, BTreeSet::new())).await;
        return;
    }
    tracing::info!(job = %job.short(), frames = matches.len(), "other jobs have rendered what it needs");
    let (here, elsewhere): (Vec<Match>, Vec<Match>) =
        matches.into_iter().partition(|found| found.here);
    announce(&node, &job, &here, &elsewhere).await;
    let entrusted = entrust(&node, job, &elsewhere).await;
    let mut lost = Duration::ZERO;
    bring_all(&node, &job, here, &elsewhere, &mut lost).await;
    let elsewhere = await_others(&node, &job, elsewhere, &entrusted).await;
    bring_all(&node, &job, elsewhere, &[], &mut lost).await;
    tell(&node, Input::Sought(job, BTreeSet::new())).await;
}

/// Results of other jobs lie on this node's disk and are a job's: they are taken over here, as the leader asks. What
/// turns out to be gone is left to it.
pub(crate) async fn take_over_here(node: Arc<Shared>, job: JobId, tasks: BTreeSet<TaskKey>) {
    known(&node, &job).await;
    let mut matches = matches(&node, &job).await;
    matches.retain(|found| found.here && tasks.contains(&found.task));
    while !matches.is_empty() {
        let batch = next_batch(&mut matches);
        if fetch(&node, &job, &batch, BROUGHT.0).await {
            take_over(&node, job, batch).await;
        }
    }
}

/// Takes the first results off a list, as many as are brought at once.
fn next_batch(matches: &mut Vec<Match>) -> Vec<Match> {
    let rest = matches.split_off(matches.len().min(BATCH));
    std::mem::replace(matches, rest)
}

/// The leader hands none of these results' tasks out for a while.
async fn announce(node: &Shared, job: &JobId, some: &[Match], others: &[Match]) {
    let bringing = some.iter().chain(others).map(|found| found.task).collect();
    tell(node, Input::Sought(*job, bringing)).await;
}

/// Brings results here and takes them over, while `others` are to be waited for as well; `lost` is how much time was
/// lost so far with some that don't come.
async fn bring_all(
    node: &Arc<Shared>,
    job: &JobId,
    mut matches: Vec<Match>,
    others: &[Match],
    lost: &mut Duration,
) {
    while !matches.is_empty() {
        if *lost >= LOST {
            tracing::warn!(job = %job.short(), frames = matches.len(), "stored frames can't be brought here: they are rendered");
            return;
        }
        announce(node, job, &matches, others).await;
        let batch = next_batch(&mut matches);
        let brought = bring(node, job, batch, lost).await;
        take_over(node, *job, brought).await;
    }
}

/// Asks nodes to take over what lies on their disks; gives the tasks of which one was asked. They do so for their
/// leader only, and sign no results where they don't render.
async fn entrust(node: &Shared, job: JobId, matches: &[Match]) -> BTreeSet<TaskKey> {
    let mut asked: BTreeMap<NodeId, Vec<TaskKey>> = BTreeMap::new();
    {
        let machine = node.machine();
        let renders =
            |id: &NodeId| machine.adverts.get(id).is_some_and(|advert| advert.role.renders());
        let able = |id: &NodeId| renders(id) && machine.connected().contains(id);
        for found in matches.iter().filter(|_| machine.election.leads()) {
            if let Some(holder) = found.holders().find(able) {
                asked.entry(holder).or_default().push(found.task);
            }
        }
    }
    let entrusted = asked.values().flatten().copied().collect();
    for (holder, tasks) in asked {
        tell(node, Input::Entrusted(holder, job, tasks)).await;
    }
    entrusted
}

/// Waits until others have taken over what they were asked to, or nothing more comes of it; gives what is left.
async fn await_others(
    node: &Shared,
    job: &JobId,
    mut matches: Vec<Match>,
    entrusted: &BTreeSet<TaskKey>,
) -> Vec<Match> {
    let mut changes = node.changes();
    let (mut progress, mut told) = (Instant::now(), Instant::now());
    loop {
        let before = matches.len();
        {
            let machine = node.machine();
            matches.retain(|found| !is_done(&machine, job, found));
        }
        if matches.len() < before {
            progress = Instant::now();
        }
        let over = !matches.iter().any(|found| entrusted.contains(&found.task));
        if over || progress.elapsed() >= ENTRUSTED {
            return matches;
        }
        if told.elapsed() >= LOOKED {
            told = Instant::now();
            announce(node, job, &matches, &[]).await;
        }
        // Of many facts that come together each is a change.
        let _ = tokio::time::timeout(LOOKED, changes.recv()).await;
        tokio::time::sleep(TOGETHER).await;
    }
}

/// Whether a task has a result, or its job is gone.
fn is_done(machine: &Machine, job: &JobId, found: &Match) -> bool {
    let known = machine.ledger.jobs.get(job);
    known.is_none_or(|job| job.task(&found.task).is_none_or(|task| task.done().is_some()))
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
            let here = false;
            matches.entry(task).or_insert(Match { task, generation, key, found, noted, here });
        }
        drop(machine);
        let mut matches: Vec<Match> = matches.into_values().collect();
        for found in &mut matches {
            let here = found.blobs().all(|blob| node.store.has(blob).unwrap_or(false));
            found.here = here;
        }
        matches
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
    let goods = Goods { blobs, ..Goods::default() };
    crate::pins::pin_for(&node.store, job, goods, intake).await.is_ok()
}

/// The other nodes that hold results, who holds most of them first.
fn holders(matches: &[Match], me: &NodeId) -> Vec<NodeId> {
    let mut held: BTreeMap<NodeId, usize> = BTreeMap::new();
    for holder in matches.iter().flat_map(Match::holders).filter(|holder| holder != me) {
        *held.entry(holder).or_default() += 1;
    }
    let mut holders: Vec<NodeId> = held.keys().copied().collect();
    holders.sort_by_key(|holder| std::cmp::Reverse(held[holder]));
    holders
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
        holders: holders(&brought, &node.me),
    };
    tell(node, taken).await;
    let done = |found: &Match| is_done(&node.machine(), &job, found);
    let signed = async {
        while !brought.iter().all(done) {
            if let Err(tokio::sync::broadcast::error::RecvError::Closed) = changes.recv().await {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(SIGNED, signed).await;
}
