//! The reasons for which this daemon pins blobs.

use std::collections::BTreeSet;
use std::sync::Arc;

use weft_protocol::ids::{BlobId, JobId};
use weft_protocol::job::spec::JobSpec;
use weft_protocol::job::table::{Job, Jobs};
use weft_protocol::replicate::Goods;
use weft_store::{Batch, CatalogError, Intake, Store};

/// A job whose inputs, results and logs are kept until it is removed.
#[must_use]
pub(crate) fn job(job: &JobId) -> String {
    format!("job/{job}")
}

/// Pins goods of a job that came here under an intake, which ends with that.
///
/// # Errors
/// When the catalog can't be written.
pub(crate) async fn pin_for(
    store: &Arc<Store>,
    id: &JobId,
    goods: Goods,
    intake: Intake,
) -> Result<(), String> {
    let (store, reason) = (Arc::clone(store), job(id));
    let pinned = tokio::task::spawn_blocking(move || {
        let trees = goods.trees.iter().map(|tree| (tree, true));
        let all = trees.chain(goods.blobs.iter().map(|blob| (blob, false)));
        let batch = all.fold(Batch::new(), |batch, (id, tree)| pin(batch, *id, &reason, tree));
        let committed = store.commit(&batch);
        drop(intake);
        committed
    });
    pinned.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Pins a blob with others, a tree with all that it names.
fn pin(batch: Batch, blob: BlobId, reason: &str, tree: bool) -> Batch {
    if tree { batch.pin_tree(blob, reason) } else { batch.pin(blob, reason) }
}

/// What a blob is to a job that refers to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'j> {
    /// The tree of its inputs.
    Inputs,
    /// A file that a frame made.
    Output(&'j str),
    /// The preview of a frame.
    Preview(i32),
    /// The log of an attempt at a frame.
    Log(i32),
}

/// Tells every blob that a job refers to itself; its inputs' tree names more.
pub(crate) fn each<'j>(job: &'j Job, spec: &JobSpec, mut say: impl FnMut(BlobId, Part<'j>)) {
    say(spec.inputs, Part::Inputs);
    for (key, task) in job.tasks() {
        for file in task.done().into_iter().flat_map(|done| done.files) {
            say(file.blob, Part::Output(file.path.as_str()));
        }
        if let Some(preview) = task.noted().preview {
            say(preview, Part::Preview(key.frame));
        }
        let logs = task.done().into_iter().filter_map(|done| done.log);
        for log in logs.chain(task.failures().filter_map(|(_, failure)| failure.log)) {
            say(log, Part::Log(key.frame));
        }
    }
}

/// A pin that somebody has to have set: the reason, the blob, and whether all that it names is kept, too.
type Wanted = (String, BlobId, bool);

/// The pins that jobs need on nodes where their blobs are.
pub(crate) fn of_jobs(jobs: &Jobs) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (id, of_job, spec) in jobs.iter() {
        let reason = job(&id);
        each(of_job, spec, |blob, part| {
            wanted.push((reason.clone(), blob, matches!(part, Part::Inputs)));
        });
    }
    wanted
}

/// Before the id of what a user added: under that name the catalog remembers what it was.
pub(crate) const ADDED: &str = "added/";

/// Before the id of what a user keeps: under that name the catalog remembers whether it is a tree.
const KEPT: &str = "kept/";

/// Keeps a blob for a user's sake, a tree with all that it names. Nobody else knows of it, so that it is
/// remembered twice.
pub(crate) fn keep(blob: BlobId, tree: bool) -> Batch {
    pin(Batch::new().put_meta(format!("{KEPT}{blob}"), [u8::from(tree)]), blob, USER, tree)
}

/// Keeps it no longer for a user's sake.
pub(crate) fn release(blob: BlobId) -> Batch {
    let remembered = [KEPT, ADDED].map(|before| format!("{before}{blob}"));
    remembered.into_iter().fold(Batch::new().unpin(blob, USER), Batch::remove_meta)
}

/// How many pins are set with one commit.
const AT_ONCE: usize = 4096;

/// Sets pins again after the disk has spoilt some: those of jobs where their blobs are here, or were, and users'.
/// Says how many.
///
/// # Errors
/// When the catalog can't be read or written. Nothing is collected until this has been done.
pub(crate) fn set_again(store: &Store, of_jobs: Vec<Wanted>) -> Result<usize, CatalogError> {
    let missed: BTreeSet<BlobId> = store.lost()?.into_iter().map(|lost| lost.blob).collect();
    let mut pins = Vec::new();
    for pin in of_jobs {
        if missed.contains(&pin.1) || store.has(pin.1)? {
            pins.push(pin);
        }
    }
    for before in [ADDED, KEPT] {
        let by_users = store.metas(before)?.into_iter();
        pins.extend(by_users.filter_map(|(name, value)| {
            let blob = name.strip_prefix(before)?.parse().ok()?;
            Some((USER.to_owned(), blob, before == KEPT && value == [1]))
        }));
    }
    for some in pins.chunks(AT_ONCE) {
        let batch = some
            .iter()
            .fold(Batch::new(), |batch, (reason, blob, tree)| pin(batch, *blob, reason, *tree));
        store.commit(&batch)?;
    }
    store.pins_are_set()?;
    Ok(pins.len())
}

/// The job for whose sake something is pinned for this reason, if it is for a job's.
pub(crate) fn job_of(reason: &str) -> Option<JobId> {
    reason.strip_prefix("job/")?.parse().ok()
}

/// What somebody added by hand.
pub(crate) const USER: &str = "user";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_tell_their_job() {
        let id = JobId([7; 32]);
        assert_eq!(job_of(&job(&id)), Some(id));
        assert_eq!((job_of(USER), job_of("job/nonsense")), (None, None));
    }
}
