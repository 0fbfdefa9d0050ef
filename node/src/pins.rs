//! The reasons for which this daemon pins blobs.

use std::sync::Arc;

use weft_protocol::ids::{BlobId, JobId};
use weft_store::{Batch, Intake, Store};

/// A job whose inputs, results and logs are kept until it is removed.
#[must_use]
pub(crate) fn job(job: &JobId) -> String {
    format!("job/{job}")
}

/// Pins blobs for a job that came here under an intake, which ends with that.
///
/// # Errors
/// When the catalog can't be written.
pub(crate) async fn pin_for(
    store: &Arc<Store>,
    id: &JobId,
    blobs: Vec<BlobId>,
    intake: Intake,
) -> Result<(), String> {
    let (store, reason) = (Arc::clone(store), job(id));
    let pinned = tokio::task::spawn_blocking(move || {
        let batch = blobs.iter().fold(Batch::new(), |batch, blob| batch.pin(*blob, &reason));
        let committed = store.commit(&batch);
        drop(intake);
        committed
    });
    pinned.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
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
