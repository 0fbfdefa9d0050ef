//! Temporary pins, in memory: what somebody is using right now is not collected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use weft_protocol::ids::BlobId;

use crate::{Store, locked};

/// Who is used how often.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<BTreeMap<BlobId, usize>>);

impl Holds {
    pub(crate) fn has(&self, blob: &BlobId) -> bool {
        locked(&self.0).contains_key(blob)
    }

    pub(crate) fn hold(self: &Arc<Self>, blob: BlobId) -> Hold {
        *locked(&self.0).entry(blob).or_default() += 1;
        Hold { holds: Arc::clone(self), blob }
    }
}

/// Keeps a blob from being collected for as long as this lives, or the process.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    holds: Arc<Holds>,
    blob: BlobId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holds = locked(&self.holds.0);
        if let Some(count) = holds.get_mut(&self.blob) {
            *count -= 1;
            if *count == 0 {
                holds.remove(&self.blob);
            }
        }
    }
}

impl Store {
    /// Keeps a blob from being collected while the result lives. Take it before looking the blob
    /// up: what is looked up first may be gone by then.
    pub fn hold(&self, blob: BlobId) -> Hold {
        self.holds.hold(blob)
    }
}
