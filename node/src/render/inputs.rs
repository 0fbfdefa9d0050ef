//! A job's inputs on this machine: fetched, then laid out in a folder that engines only read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;
use weft_protocol::ids::{BlobId, JobId, NodeId};
use weft_store::Store;

use super::remove;
use crate::transfer::Fetcher;

/// Which jobs' inputs are laid out.
pub(super) struct Ready {
    jobs: PathBuf,
    store: Arc<Store>,
    /// One lock a job: attempts of a job that prepare together lay its inputs out once.
    laid_out: Mutex<BTreeMap<JobId, Arc<Mutex<Done>>>>,
}

/// What of a job's inputs is laid out.
enum Done {
    /// What these frames need.
    Frames(BTreeSet<i32>),
    /// All of it.
    Everything,
}

impl Default for Done {
    fn default() -> Self {
        Self::Frames(BTreeSet::new())
    }
}

impl Done {
    fn covers(&self, frames: &[i32]) -> bool {
        match self {
            Self::Frames(done) => frames.iter().all(|frame| done.contains(frame)),
            Self::Everything => true,
        }
    }

    fn add(&mut self, frames: &[i32]) {
        if let Self::Frames(done) = self {
            done.extend(frames);
        }
    }
}

impl Ready {
    pub(super) fn new(jobs: PathBuf, store: Arc<Store>) -> Self {
        // What a daemon before this one laid out may be incomplete.
        if let Ok(entries) = std::fs::read_dir(&jobs) {
            for entry in entries.flatten() {
                let _ = remove::all(&entry.path());
            }
        }
        Self { jobs, store, laid_out: Mutex::default() }
    }

    /// Where a job's inputs are laid out.
    pub(super) fn folder(&self, job: &JobId) -> PathBuf {
        self.jobs.join(job.to_string()).join("inputs")
    }

    /// Brings what `frames` need of a job's inputs here and lays it out.
    pub(super) async fn bring(
        &self,
        fetcher: &Fetcher,
        job: JobId,
        inputs: BlobId,
        frames: &[i32],
        providers: &[NodeId],
    ) -> Result<(), String> {
        let lock = Arc::clone(self.laid_out.lock().await.entry(job).or_default());
        let mut done = lock.lock().await;
        if done.covers(frames) {
            return Ok(());
        }
        let intake = self.store.intake();
        let tree = fetcher
            .tree(inputs, Some(frames), providers)
            .await
            .map_err(|error| error.to_string())?;
        let (store, folder, wanted) = (Arc::clone(&self.store), self.folder(&job), frames.to_vec());
        let reason = crate::pins::job(&job);
        let every_frame = tree.entries().values().all(|entry| entry.frames.is_none());
        let laid_out = tokio::task::spawn_blocking(move || {
            store.pin_tree(inputs, &reason).map_err(|error| error.to_string())?;
            drop(intake);
            store
                .checkout_tree(&tree, &folder, true, &mut |_, entry| entry.needed_for(&wanted))
                .map(drop)
                .map_err(|error| error.to_string())
        });
        laid_out.await.map_err(|error| error.to_string())??;
        match every_frame {
            true => *done = Done::Everything,
            false => done.add(frames),
        }
        Ok(())
    }

    /// Deletes a job's working files.
    pub(super) fn forget(&self, job: &JobId) {
        let folder = self.jobs.join(job.to_string());
        if let Ok(mut laid_out) = self.laid_out.try_lock() {
            laid_out.remove(job);
        }
        tokio::task::spawn_blocking(move || drop(remove::all(&folder)));
    }
}
