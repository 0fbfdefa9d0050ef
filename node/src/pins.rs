//! The reasons for which this daemon pins blobs.

use weft_protocol::ids::JobId;

/// A job whose inputs, results and logs are kept until it is removed.
#[must_use]
pub(crate) fn job(job: &JobId) -> String {
    format!("job/{job}")
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
