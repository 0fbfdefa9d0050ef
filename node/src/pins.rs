//! The reasons for which this daemon pins blobs.

use weft_protocol::ids::JobId;

/// A job whose inputs, results and logs are kept until it is removed.
#[must_use]
pub(crate) fn job(job: &JobId) -> String {
    format!("job/{job}")
}

/// What somebody added by hand.
pub(crate) const USER: &str = "user";
