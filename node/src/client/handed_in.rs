//! A job handed to another node by a process that is none: its files are read here, and then the other
//! node fetches what it lacks of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use weft_protocol::content::Tree;
use weft_protocol::content::tree::MAX_ENCODED as MAX_TREE;
use weft_protocol::ids::BlobId;
use weft_store::Store;

use super::Client;
use crate::error::{ApiError, Code};
use crate::submit::{Prepared, Progress};
use crate::transfer::Traffic;

/// How often it is told how far it is.
const TELL: Duration = Duration::from_millis(100);
/// How many reports of progress wait to be told; those that find no place are not missed.
const WAITING: usize = 16;
/// About how many blobs the other node is asked at once: a request has its limit in bytes.
const ASKED_AT_ONCE: usize = 10_000;

/// How far the other node is with fetching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sending {
    /// It is being sent, not read.
    sending: bool,
    /// Bytes that the other node has.
    bytes: u64,
    /// Bytes in all.
    bytes_total: u64,
    /// Files in all.
    files_total: usize,
    /// Bytes that the other node had before.
    bytes_already_known: u64,
}

impl Sending {
    /// Once these bytes were sent: of what was counted as missing the other node may also find parts in
    /// other files, and what is lost on the way is sent twice.
    fn after(self, sent: u64) -> Self {
        let bytes = self.bytes_already_known.saturating_add(sent).min(self.bytes_total);
        Self { bytes, ..self }
    }

    /// What was added to the other node's store, and what it had, once all is there.
    pub(super) fn came_to(self, sent: u64) -> (u64, u64) {
        let added = sent.min(self.bytes_total);
        (added, self.bytes_total - added)
    }
}

/// Reads a job's files, and tells how far it is.
pub(super) async fn read(
    work: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<Prepared, ApiError> + Send + 'static,
    progress: &mut (dyn FnMut(&Value) + Send),
) -> Result<Prepared, ApiError> {
    let (told, mut heard) = tokio::sync::mpsc::channel(WAITING);
    let mut reading = tokio::task::spawn_blocking(move || {
        work(&mut |at| {
            let _ = told.try_send(at);
        })
    });
    loop {
        tokio::select! {
            read = &mut reading => {
                return read.map_err(|error| ApiError::new(Code::Failed, error.to_string()))?;
            }
            Some(at) = heard.recv() => progress(&json!(at)),
        }
    }
}

/// Waits until the other node has answered, and tells how much of the files it has by then.
pub(super) async fn send(
    answer: impl Future<Output = Result<Value, ApiError>>,
    sending: Sending,
    traffic: &Traffic,
    progress: &mut (dyn FnMut(&Value) + Send),
) -> Result<Value, ApiError> {
    tokio::pin!(answer);
    let mut tell = tokio::time::interval(TELL);
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            _ = tell.tick() => progress(&json!(sending.after(traffic.given()))),
        }
    }
}

impl Client {
    /// What is to be sent of a job's files: what of it the other node has, it need not fetch.
    pub(super) async fn to_send(
        &self,
        store: &Arc<Store>,
        prepared: &Prepared,
    ) -> Result<Sending, ApiError> {
        let failed = |error: &dyn std::fmt::Display| ApiError::new(Code::Failed, error.to_string());
        let (store, inputs) = (Arc::clone(store), prepared.spec.inputs);
        let read = tokio::task::spawn_blocking(move || store.read_all(inputs, MAX_TREE as u64));
        let bytes = read.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let tree = Tree::decode(&bytes).map_err(|error| failed(&error))?;
        // Two paths may have the same bytes, which travel once.
        let sizes: BTreeMap<BlobId, u64> =
            tree.entries().values().map(|entry| (entry.blob, entry.size)).collect();
        let blobs: Vec<BlobId> = sizes.keys().copied().collect();
        let mut known = 0_u64;
        for asked in blobs.chunks(ASKED_AT_ONCE) {
            let has = self.request("POST", "store/has", Some(json!({ "hashes": asked }))).await?;
            known = known.saturating_add(bytes_in(&has));
        }
        let bytes_total = sizes.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
        let known = known.min(bytes_total);
        Ok(Sending {
            sending: true,
            bytes: known,
            bytes_total,
            files_total: prepared.files,
            bytes_already_known: known,
        })
    }
}

/// How many bytes a node has of what it was asked for, as a whole or in part.
fn bytes_in(has: &Value) -> u64 {
    let sum = |list: &str, key: &str| {
        let blobs = has[list].as_array().into_iter().flatten();
        blobs.filter_map(|blob| blob[key].as_u64()).fold(0, u64::saturating_add)
    };
    sum("existing", "size").saturating_add(sum("partial", "bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_node_has_need_not_travel() {
        let has = json!({
            "existing": [{ "size": 300 }, { "size": 200 }],
            "missing": ["a", "b"], "partial": [{ "bytes": 100 }],
        });
        assert_eq!(bytes_in(&has), 600);
        assert_eq!(
            bytes_in(&json!({ "existing": [], "missing": ["a"] })),
            0,
            "of an older release"
        );
        let sending = Sending {
            sending: true,
            bytes: 600,
            bytes_total: 1000,
            files_total: 4,
            bytes_already_known: 600,
        };
        assert_eq!(sending.after(0), sending);
        assert_eq!((sending.after(150).bytes, sending.after(900).bytes), (750, 1000));
        assert_eq!(sending.came_to(350), (350, 650), "a part was found in other files");
    }

    #[tokio::test]
    async fn reading_and_sending_tell_how_far_they_are() {
        let mut told = Vec::new();
        let mut tell = |at: &Value| told.push(at.clone());
        let refused = read(
            |progress| {
                progress(Progress { files: 1, files_total: 2, bytes: 3, bytes_total: 4 });
                std::thread::sleep(TELL);
                Err(ApiError::new(Code::Invalid, "no"))
            },
            &mut tell,
        );
        assert_eq!(refused.await.unwrap_err().message, "no");
        assert_eq!(told, [json!({ "files": 1, "files_total": 2, "bytes": 3, "bytes_total": 4 })]);
    }
}
