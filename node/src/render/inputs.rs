//! A job's inputs on this machine: fetched, then laid out in a folder that engines only read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;
use weft_protocol::ids::{BlobId, JobId, NodeId};
use weft_store::{Offered, Store};

use super::remove;
use crate::shared_roots::{self, SharedRoots};
use crate::transfer::Fetcher;

/// Which jobs' inputs are laid out.
pub(super) struct Ready {
    jobs: PathBuf,
    store: Arc<Store>,
    roots: SharedRoots,
    /// What the sandbox of all runs here allows.
    offered: Offered,
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
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Frames(done) if done.is_empty())
    }

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
    pub(super) fn new(
        jobs: PathBuf,
        store: Arc<Store>,
        roots: SharedRoots,
        offered: Offered,
    ) -> Self {
        // What a daemon before this one laid out may be incomplete.
        if let Ok(entries) = std::fs::read_dir(&jobs) {
            for entry in entries.flatten() {
                let _ = remove::all(&entry.path());
            }
        }
        Self { jobs, store, roots, offered, laid_out: Mutex::default() }
    }

    /// Where a job's inputs are laid out.
    pub(super) fn folder(&self, job: &JobId) -> PathBuf {
        self.jobs.join(job.to_string()).join("inputs")
    }

    /// Where this machine has the shared roots that a job with these tags needs.
    pub(super) fn shared(&self, tags: &BTreeSet<String>) -> Vec<PathBuf> {
        self.roots.needed(tags).0.into_values().collect()
    }

    /// Brings what `frames` need of a job's inputs here and lays it out.
    pub(super) async fn bring(
        &self,
        fetcher: &Fetcher,
        (job, inputs): (JobId, BlobId),
        tags: &BTreeSet<String>,
        frames: &[i32],
        providers: &[NodeId],
    ) -> Result<(), String> {
        let lock = Arc::clone(self.laid_out.lock().await.entry(job).or_default());
        let mut done = lock.lock().await;
        if done.covers(frames) {
            return Ok(());
        }
        let (places, lacking) = self.roots.needed(tags);
        if let Some(root) = lacking.first() {
            return Err(format!("the shared root '{root}' is not mounted on this machine"));
        }
        let intake = self.store.intake();
        let tree = fetcher
            .tree(inputs, Some(frames), providers)
            .await
            .map_err(|error| error.to_string())?;
        let (store, folder, wanted) = (Arc::clone(&self.store), self.folder(&job), frames.to_vec());
        let reason = crate::pins::job(&job);
        let (first, offered) = (done.is_nothing(), self.offered);
        let every_frame = tree.entries().values().all(|entry| entry.frames.is_none());
        let laid_out = tokio::task::spawn_blocking(move || {
            store.pin_tree(inputs, &reason).map_err(|error| error.to_string())?;
            drop(intake);
            if first && folder.exists() {
                // Left by an attempt that failed, or by a daemon whose runs were confined otherwise: files
                // of the store's own must not be among what others can write to.
                remove::all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
            store
                .checkout_tree(&tree, &folder, offered, &mut |_, entry| entry.needed_for(&wanted))
                .map_err(|error| error.to_string())?;
            shared_roots::link(&folder, &places)
                .map_err(|error| format!("the shared roots can't be linked to: {error}"))
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
