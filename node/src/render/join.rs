//! Joining: the tiles of a frame, made by a step before, become its picture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use weft_protocol::hardware::GIB;
use weft_protocol::ids::{BlobId, JobId, NodeId};
use weft_protocol::job::outcome::{FailureKind, OutputFile};
use weft_protocol::job::spec::JobSpec;
use weft_protocol::job::task::TaskKey;
use weft_protocol::machine::{Input, Machine};
use weft_protocol::replicate::Goods;
use weft_protocol::wire::control::AttemptKey;
use weft_store::Store;

use super::frames::Took;
use super::run::Started;
use super::{BRING_AGAIN, BRING_TRIES, Renderer};
use crate::clock::unix_now;
use crate::picture::{self, Grid};

/// The name of the argument that says that a tile's file is as large as the picture.
pub(crate) const FULL: &str = "full";
/// What a join may hold in memory where nobody knows how much the machine has, in bytes.
const MEMORY: u64 = 2 * GIB;

/// What one task made that another one works on.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(super) task: TaskKey,
    pub(super) files: Vec<OutputFile>,
    /// Who has them: first who made them.
    pub(super) holders: Vec<NodeId>,
    /// On what sort of machine they were made, where that is known.
    pub(super) class: Option<String>,
}

impl Source {
    /// What a task works on, as the facts tell: nothing for one that waits for no other, and none while
    /// some of it is not known to be done.
    pub(crate) fn of(machine: &Machine, job: &JobId, task: &TaskKey) -> Option<Vec<Self>> {
        let job = machine.ledger.jobs.get(job)?;
        let spec = job.spec()?;
        let made = spec.before(task).into_iter().map(|key| {
            let done = job.task(&key)?.done()?;
            let holders = std::iter::once(done.author).chain(done.holders.iter().copied());
            let maker = machine.adverts.get(&done.author);
            let maker = maker.and_then(|advert| crate::reuse::maker(advert, spec, key.step));
            Some(Self {
                task: key,
                files: done.files.to_vec(),
                holders: holders.collect(),
                class: maker.map(|maker| maker.class),
            })
        });
        made.collect()
    }
}

impl Renderer {
    /// Brings the tiles here, and keeps them for the job.
    pub(super) async fn prepare_join(
        &self,
        attempt: AttemptKey,
        sources: Vec<Source>,
        providers: Vec<NodeId>,
    ) {
        let mut brought = self.bring_tiles(&attempt, &sources, &providers).await;
        for _ in 1..BRING_TRIES {
            if brought.is_ok() {
                break;
            }
            tokio::time::sleep(BRING_AGAIN).await;
            brought = self.bring_tiles(&attempt, &sources, &providers).await;
        }
        match brought {
            Ok(()) => self.tell(Input::Prepared(attempt, None)).await,
            Err(why) => self.lack(attempt, &why).await,
        }
    }

    pub(super) async fn bring_tiles(
        &self,
        attempt: &AttemptKey,
        sources: &[Source],
        providers: &[NodeId],
    ) -> Result<(), String> {
        let files = sources.iter().flat_map(|source| &source.files);
        let blobs: Vec<BlobId> = files.map(|file| file.blob).collect();
        let mut from: Vec<NodeId> = Vec::new();
        for node in sources.iter().flat_map(|source| &source.holders).chain(providers) {
            if !from.contains(node) {
                from.push(*node);
            }
        }
        let intake = self.inner.store.intake();
        let fetched = self.inner.fetcher.blobs(&blobs, &from).await;
        fetched.map_err(|error| error.to_string())?;
        let goods = Goods { blobs, ..Goods::default() };
        crate::pins::pin_for(&self.inner.store, &attempt.job, goods, intake).await
    }

    /// Puts the files of a frame together; those of one name belong together.
    pub(super) async fn join_tiles(
        &self,
        run: &Started,
        spec: &JobSpec,
        attempt: AttemptKey,
        work: &Path,
    ) -> (Took, Result<Vec<PathBuf>, (FailureKind, String)>) {
        let (started, clock) = (unix_now(), Instant::now());
        let made = match self.bring_tiles(&attempt, &run.sources, &[]).await {
            // Which results count may have changed since its tiles were brought here.
            Err(why) => Err((FailureKind::Inputs, why)),
            Ok(()) => {
                let (grid, limit) = (grid(spec, &attempt), memory(run.lease.ram));
                let folder = work.with_file_name("tiles");
                let (store, work, sources) =
                    (Arc::clone(&self.inner.store), work.to_owned(), run.sources.clone());
                let join = move || join_files(&store, &sources, &folder, grid, &work, limit);
                let joined = tokio::task::spawn_blocking(join).await;
                let joined = joined.map_err(|error| error.to_string()).flatten();
                joined.map_err(|why| (FailureKind::MissingOutput, why))
            }
        };
        let made = made.map_err(|(kind, why)| {
            let why = format!("its tiles can't be joined: {why}");
            run.log.note(&why);
            (kind, why)
        });
        (Took { started, render: clock.elapsed() }, made)
    }
}

/// How the frames are split that a join puts together.
fn grid(spec: &JobSpec, attempt: &AttemptKey) -> Grid {
    let step = spec.steps.get(usize::from(attempt.task.step));
    let tiled = step.and_then(|step| spec.steps.get(usize::from(*step.after.first()?)));
    let (columns, rows) = tiled.map_or((1, 1), |step| step.tiles);
    let full = step.is_some_and(|step| step.arguments.contains_key(FULL));
    Grid { columns: columns.into(), rows: rows.into(), full }
}

/// How much a join may hold in memory, given what was leased with it, both in bytes: half, since the
/// machine has other things to do as well.
pub(super) const fn memory(leased: u64) -> u64 {
    if leased == 0 { MEMORY } else { leased / 2 }
}

fn join_files(
    store: &Store,
    sources: &[Source],
    folder: &Path,
    grid: Grid,
    work: &Path,
    limit: u64,
) -> Result<Vec<PathBuf>, String> {
    let make_folder = |file: &Path| match file.parent() {
        Some(folder) => std::fs::create_dir_all(folder).map_err(|error| error.to_string()),
        None => Ok(()),
    };
    let mut parts: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for source in sources {
        for file in &source.files {
            let part = folder.join(source.task.tile.to_string()).join(file.path.as_str());
            make_folder(&part)?;
            store.deliver(file.blob, &part).map_err(|error| error.to_string())?;
            parts.entry(file.path.as_str().to_owned()).or_default().push(part);
        }
    }
    if parts.is_empty() {
        return Err("they have no files".to_owned());
    }
    let mut made = Vec::new();
    for (path, tiles) in parts {
        let to = work.join(&path);
        make_folder(&to)?;
        picture::join(&tiles, grid, &to, limit)?;
        made.push(to);
    }
    Ok(made)
}
