//! Who holds how much: each node tells for itself, and one that is asked for all asks the others at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use weft_protocol::content::Tree;
use weft_protocol::content::tree::MAX_ENCODED as MAX_TREE;
use weft_protocol::ids::{BlobId, JobId, NodeId};
use weft_store::Store;

use super::nodes::ask;
use super::store::{blocking, failed};
use super::{Answer, State};
use crate::error::{ApiError, Code};
use crate::shared::Shared;

/// How much is in this node's store.
pub(super) async fn here(node: State) -> Answer {
    Ok(Json(store(&node).await?).into_response())
}

async fn store(node: &Shared) -> Result<Value, ApiError> {
    let store = Arc::clone(&node.store);
    blocking(move || {
        let stats = store.stats().map_err(failed)?;
        Ok(json!({ "blobs": stats.blobs, "bytes": stats.bytes }))
    })
    .await
}

/// How much of a job's files is in this node's store.
pub(super) async fn job_here(node: State, Path(job): Path<String>) -> Answer {
    let job = super::jobs::find(&node, &job)?;
    Ok(Json(of_job(&node, &job).await?).into_response())
}

async fn of_job(node: &Shared, job: &JobId) -> Result<Value, ApiError> {
    let spec = node.spec(job);
    let spec = spec.ok_or_else(|| ApiError::new(Code::NotFound, "the job is not known here"))?;
    let store = Arc::clone(&node.store);
    blocking(move || count(&store, spec.inputs)).await
}

/// Files and bytes of a tree, and how many of them are here: a file counts once it is whole. Where the tree
/// itself isn't here, nothing has come yet, and nobody knows how much it will be.
fn count(store: &Store, inputs: BlobId) -> Result<Value, ApiError> {
    let tree = store.read_all(inputs, MAX_TREE as u64).ok();
    let Some(tree) = tree.and_then(|bytes| Tree::decode(&bytes).ok()) else {
        return Ok(json!({ "files": 0, "bytes": 0, "files_total": null, "bytes_total": null }));
    };
    let (mut files, mut bytes) = (0_u64, 0_u64);
    for entry in tree.entries().values() {
        let held = store.bytes_held(entry.blob).map_err(failed)?.min(entry.size);
        files += u64::from(store.has(entry.blob).map_err(failed)?);
        bytes = bytes.saturating_add(held);
    }
    Ok(json!({
        "files": files, "bytes": bytes,
        "files_total": tree.entries().len(), "bytes_total": tree.size(),
    }))
}

/// Everybody's answer to a question that this node answers with `own`; those who don't answer soon are left out.
async fn everybody(
    node: &Arc<Shared>,
    path: &str,
    own: Result<Value, ApiError>,
) -> Vec<(NodeId, Value)> {
    let peers = node.connected();
    let asked = peers.iter().map(|peer| async {
        let answer = ask(node, peer, path).await.ok()?;
        // An error is a document too.
        answer.get("bytes").is_some().then_some((*peer, answer))
    });
    let answers = futures::future::join_all(asked).await.into_iter().flatten();
    own.ok().map(|own| (node.me, own)).into_iter().chain(answers).collect()
}

/// Adds to each node's document what it holds, where it says so.
pub(super) async fn add_to_nodes(node: &Arc<Shared>, documents: &mut [Value]) {
    let own = store(node).await;
    for (id, held) in everybody(node, "/v1/store/held", own).await {
        let id = json!(id);
        if let Some(document) = documents.iter_mut().find(|document| document["node"] == id) {
            document["blobs_held"] = held["blobs"].clone();
            document["bytes_held"] = held["bytes"].clone();
        }
    }
}

/// Adds to a job's document how much of its files each node has.
pub(super) async fn add_to_job(node: &Arc<Shared>, job: &JobId, document: &mut Value) {
    let own = of_job(node, job).await;
    let mut answers = everybody(node, &format!("/v1/jobs/{job}/held"), own).await;
    let known = answers.iter().map(|(_, held)| held).find(|held| !held["bytes_total"].is_null());
    let totals = known.map(|held| (held["files_total"].clone(), held["bytes_total"].clone()));
    for (id, held) in &mut answers {
        held["node"] = json!(id);
        held["node_name"] = json!(super::documents::name(&node.machine(), id));
        if let Some((files, bytes)) = &totals {
            held["files_total"].clone_from(files);
            held["bytes_total"].clone_from(bytes);
        }
    }
    document["holders"] = answers.into_iter().map(|(_, held)| held).collect();
}
