//! Deliveries: the frames of jobs, written where their submitters asked, as they get done.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use weft_protocol::ids::{BlobId, JobId, NodeId};
use weft_protocol::job::keep::{Round, has_written};
use weft_protocol::job::outcome::OutputFile;
use weft_protocol::job::task::TaskKey;
use weft_protocol::machine::{Input, Machine};

use crate::shared::Shared;

/// How often everything is looked through, whether or not something changed: files that could not
/// be written are tried again then.
const SWEEP: Duration = Duration::from_secs(5);

/// A file that should be in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    path: PathBuf,
    blob: BlobId,
    md5: [u8; 16],
    size: u64,
    /// The round of its frame that made it: one that is asked for anew is written anew.
    generation: u32,
}

/// What was written of each job.
#[derive(Debug, Default)]
struct Delivered(BTreeMap<JobId, BTreeSet<Wanted>>);

impl Delivered {
    /// All of these jobs are to be looked through, and they are the only ones that are known: of others nothing needs
    /// to be remembered.
    fn sweep(&mut self, known: impl Iterator<Item = JobId>) -> BTreeSet<JobId> {
        let known = known.collect();
        self.0.retain(|job, _| BTreeSet::contains(&known, job));
        known
    }

    /// What of a job is to be written now, and who holds it. What this node has said before it was started that it wrote
    /// is not looked at again: it may have been moved, changed, or made way for a newer job's by now.
    fn due(&mut self, machine: &Machine, me: NodeId, job: &JobId) -> Vec<(Wanted, Vec<NodeId>)> {
        let entry = match self.0.entry(*job) {
            Entry::Occupied(written) => return wanted(machine, me, job, written.get()),
            Entry::Vacant(entry) => entry,
        };
        let due = wanted(machine, me, job, &BTreeSet::new());
        let job = machine.ledger.jobs.get(job);
        if job.is_some_and(|job| has_written(job, &me)) {
            entry.insert(due.into_iter().map(|(file, _)| file).collect());
            return Vec::new();
        }
        entry.insert(BTreeSet::new());
        due
    }
}

/// Writes deliveries of this node for as long as the daemon runs.
pub(crate) async fn run(node: Arc<Shared>) {
    let mut changes = node.changes();
    let mut delivered = Delivered::default();
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        let mut jobs: BTreeSet<JobId> = tokio::select! {
            _ = sweep.tick() => {
                delivered.sweep(node.machine().ledger.jobs.iter().map(|(id, _, _)| id))
            }
            changed = changes.recv() => match changed {
                Ok(job) => BTreeSet::from([job]),
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
        };
        while let Ok(job) = changes.try_recv() {
            jobs.insert(job);
        }
        let jobs = in_order(&node.machine(), jobs);
        for job in jobs {
            deliver(&node, &job, &mut delivered).await;
        }
    }
}

/// The newest last: where two jobs have files of one name in one folder, its ones stay.
fn in_order(machine: &Machine, jobs: BTreeSet<JobId>) -> Vec<JobId> {
    let mut jobs: Vec<JobId> = jobs.into_iter().collect();
    jobs.sort_by_key(|job| {
        machine.ledger.jobs.get(job).and_then(|job| Some(job.spec()?.submitted))
    });
    jobs
}

async fn deliver(node: &Arc<Shared>, job: &JobId, delivered: &mut Delivered) {
    let due = delivered.due(&node.machine(), node.me, job);
    let delivered = delivered.0.entry(*job).or_default();
    for (wanted, holders) in due {
        let done = match write(node, &wanted, &holders).await {
            Ok(()) => true,
            Err(why) => {
                tracing::warn!(file = %wanted.path.display(), %why, "a frame could not be delivered; it is tried again");
                false
            }
        };
        if done {
            delivered.insert(wanted);
        }
    }
    if let Some(round) = all_written(node, job, delivered) {
        let _ = node.inputs.send(Input::Delivered(*job, round)).await;
    }
}

/// The round of a job that is over and may go once this node has said that it wrote everything, as it has.
fn all_written(node: &Shared, job: &JobId, delivered: &BTreeSet<Wanted>) -> Option<Round> {
    let machine = node.machine();
    let round = machine.owes(job)?;
    wanted(&machine, node.me, job, delivered).is_empty().then_some(round)
}

/// What of a job should be written by this node and was not yet, and who holds it.
fn wanted(
    machine: &Machine,
    me: NodeId,
    job: &JobId,
    delivered: &BTreeSet<Wanted>,
) -> Vec<(Wanted, Vec<NodeId>)> {
    let Some(job) = machine.ledger.jobs.get(job) else {
        return Vec::new();
    };
    let folders: Vec<PathBuf> = job
        .deliveries()
        .filter(|(to, _)| *to == me)
        .map(|(_, folder)| PathBuf::from(folder))
        .collect();
    if folders.is_empty() {
        return Vec::new();
    }
    let mut wanted = Vec::new();
    let mut takes: BTreeMap<PathBuf, (TaskKey, BlobId)> = BTreeMap::new();
    // Tiles are nobody's picture.
    let counts = |key: &TaskKey| job.spec().is_some_and(|spec| spec.is_result(key.step));
    for (key, task) in job.tasks().filter(|(key, _)| counts(key)) {
        let Some(done) = task.done() else { continue };
        for (folder, file) in folders.iter().flat_map(|f| done.files.iter().map(move |x| (f, x))) {
            let OutputFile { path, blob, size, md5, .. } = file;
            let path = folder.join(path.as_str());
            // Of two frames' files of one name the first frame's stays where it is.
            let (first, there) = *takes.entry(path.clone()).or_insert((key, *blob));
            if first != key && there != *blob {
                let frame = key.frame;
                let (file, first) = (path.display(), first.frame);
                tracing::warn!(%file, frame, first, "two frames made a file of this name: only the first frame's is delivered, `weft outputs` names both");
                continue;
            }
            let generation = done.generation;
            let file = Wanted { path, blob: *blob, md5: *md5, size: *size, generation };
            if !delivered.contains(&file) {
                let mut holders = vec![done.author];
                holders.extend(done.holders.iter().copied());
                wanted.push((file, holders));
            }
        }
    }
    wanted
}

async fn write(node: &Arc<Shared>, wanted: &Wanted, holders: &[NodeId]) -> Result<(), String> {
    if is_there(wanted).await {
        return Ok(());
    }
    let mut providers: Vec<NodeId> = holders.iter().filter(|h| **h != node.me).copied().collect();
    providers.extend(node.connected().into_iter().filter(|peer| !holders.contains(peer)));
    let fetched = node.fetcher.blobs(&[wanted.blob], &providers).await;
    fetched.map_err(|error| error.to_string())?;
    let (store, path, blob) = (Arc::clone(&node.store), wanted.path.clone(), wanted.blob);
    let me = node.me;
    let written = tokio::task::spawn_blocking(move || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        // Written beside its place and renamed: whoever looks sees whole frames only.
        store.deliver_again(blob, &path, &me.0).map_err(|error| error.to_string())
    });
    written.await.map_err(|error| error.to_string())?
}

/// Whether the very file is in its place already: after a restart nothing is written twice.
async fn is_there(wanted: &Wanted) -> bool {
    async fn same(path: &Path, size: u64, md5: [u8; 16]) -> Option<bool> {
        let metadata = tokio::fs::metadata(path).await.ok()?;
        if metadata.len() != size {
            return Some(false);
        }
        let path = path.to_owned();
        let hashed = tokio::task::spawn_blocking(move || weft_store::hash_file(&path));
        Some(hashed.await.ok()?.ok()?.md5 == weft_store::md5_hex(&md5))
    }
    same(&wanted.path, wanted.size, wanted.md5).await == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_jobs_that_are_gone_nothing_is_remembered() {
        let path = PathBuf::from("out/0001.png");
        let file = Wanted { path, blob: BlobId([1; 32]), md5: [2; 16], size: 3, generation: 0 };
        let (stays, goes) = (JobId([1; 32]), JobId([2; 32]));
        let mut delivered = Delivered::default();
        for job in [stays, goes] {
            delivered.0.entry(job).or_default().insert(file.clone());
        }
        let new = JobId([3; 32]);
        assert_eq!(delivered.sweep([stays, new].into_iter()), [stays, new].into());
        assert_eq!(delivered.0.into_iter().collect::<Vec<_>>(), [(stays, [file].into())]);
    }
}
