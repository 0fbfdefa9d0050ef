//! Blobs: counted, looked up, handed out.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use weft_protocol::ids::{BlobId, NodeId};
use weft_store::{CatalogError, ReadError, Store};

use super::stream::{self, Pieces};
use super::{Answer, State, references};
use crate::error::{ApiError, Code};
use crate::shared::Shared;
use crate::suspects;

pub(super) fn failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::Failed, error.to_string())
}

/// A change to the catalog was not made.
pub(super) fn not_changed(error: CatalogError) -> ApiError {
    let full = error.is_no_space();
    let error = failed(format!("{error}; nothing was changed"));
    if full { error.hint("Make room on the disk of WEFT_HOME, then do it again.") } else { error }
}

/// Runs something blocking over the store.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

pub(super) async fn overview(node: State) -> Answer {
    let store = Arc::clone(&node.store);
    let (jobs, marks) = (references::FromJobs::of(&node), node.config.disk);
    let document = blocking(move || {
        let stats = store.stats().map_err(failed)?;
        let partial = store.list_partial().map_err(failed)?;
        let references = references::list(&store, jobs).map_err(failed)?;
        let space = crate::upkeep::space(&store);
        Ok(json!({
            "blobs": stats.blobs,
            "bytes": stats.bytes,
            "catalog_bytes": stats.catalog_bytes,
            "partial": partial.len(),
            "disk_bytes": space.map(|(total, _)| total),
            "disk_free": space.map(|(_, available)| available),
            "high_watermark": marks.high,
            "low_watermark": marks.low,
            "references": references,
        }))
    });
    Ok(Json(document.await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HasRequest {
    hashes: Vec<String>,
}

pub(super) async fn has(node: State, Json(request): Json<HasRequest>) -> Answer {
    let store = Arc::clone(&node.store);
    let document = blocking(move || {
        let (mut existing, mut missing, mut partial) = (Vec::new(), Vec::new(), Vec::new());
        for hash in request.hashes {
            match look_up(&store, &hash)? {
                Some((id, size)) => {
                    existing.push(json!({ "hash": hash, "id": id, "size": size }));
                }
                None => {
                    if let Ok(id) = hash.parse::<BlobId>()
                        && let bytes = store.bytes_held(id).map_err(failed)?
                        && bytes > 0
                    {
                        partial.push(json!({ "hash": hash, "id": id, "bytes": bytes }));
                    }
                    missing.push(hash);
                }
            }
        }
        Ok(json!({ "existing": existing, "missing": missing, "partial": partial }))
    });
    Ok(Json(document.await?).into_response())
}

/// A blob here by a unique beginning of its id.
fn beginning(store: &Store, hash: &str) -> Result<BlobId, ApiError> {
    let found =
        if hash.is_empty() { Vec::new() } else { store.find_prefix(hash).map_err(failed)? };
    let why = match found[..] {
        [id] => return Ok(id),
        [] => format!(
            "'{hash}' is neither an id (64 hex digits) nor an MD5 (32), and no blob's id here begins so"
        ),
        _ => format!("{} blobs or more begin with '{hash}'", found.len()),
    };
    Err(ApiError::new(Code::Invalid, why))
}

/// A blob by its id (64 hex digits), its MD5 (32), or a unique beginning of the id of one that is here.
pub(super) fn look_up(
    store: &weft_store::Store,
    hash: &str,
) -> Result<Option<(BlobId, u64)>, ApiError> {
    let md5 = || {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok()?;
        <[u8; 16]>::try_from(bytes).ok()
    };
    let id = if let Ok(id) = hash.parse::<BlobId>() {
        Some(id)
    } else if let Some(md5) = md5() {
        store.find_md5(md5).map_err(failed)?.into_iter().next()
    } else {
        Some(beginning(store, hash)?)
    };
    let Some(id) = id else { return Ok(None) };
    Ok(store.info(id).map_err(failed)?.map(|info| (id, info.size)))
}

pub(super) async fn blob(node: State, Path(blob): Path<String>) -> Answer {
    let store = Arc::clone(&node.store);
    let text = blob.clone();
    let found = blocking(move || look_up(&store, &text)).await?;
    let id = match (found, blob.parse::<BlobId>()) {
        (Some((id, _)), _) | (None, Ok(id)) => id,
        (None, Err(_)) => {
            return Err(ApiError::new(Code::NotFound, format!("no blob '{blob}' is known here")));
        }
    };
    let body = bytes(&node, id, &[]).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

/// The bytes of a blob, each chunk checked as it is read; it is fetched first if it isn't here.
pub(super) async fn bytes(
    node: &Arc<Shared>,
    blob: BlobId,
    holders: &[NodeId],
) -> Result<Body, ApiError> {
    let mut providers: Vec<NodeId> = holders.iter().filter(|h| **h != node.me).copied().collect();
    providers.extend(node.connected().into_iter().filter(|peer| !holders.contains(peer)));
    if let Err(error) = node.fetcher.blobs(&[blob], &providers).await {
        return Err(not_had(node, blob, &error.to_string()).await);
    }
    let (sender, receiver) = stream::channel(4);
    let node = Arc::clone(node);
    tokio::spawn(async move {
        if let Err(error) = pour_out(&node, blob, &providers, sender.clone()).await {
            tracing::warn!(blob = %blob.short(), %error, "a file could not be handed out to its end");
            let _ = sender.send(Err(std::io::Error::other(error))).await;
        }
    });
    Ok(stream::body(receiver))
}

/// Says why a blob can't be had, and how much of it is here.
async fn not_had(node: &Shared, blob: BlobId, why: &str) -> ApiError {
    let store = Arc::clone(&node.store);
    let held = tokio::task::spawn_blocking(move || store.have(blob).ok().flatten()).await;
    match held.ok().flatten() {
        Some(held) => {
            let (missing, all) = (held.len() - held.count(), held.len());
            let words = format!(
                "the blob can't be had: {why}; {missing} of its {all} chunks are missing or damaged here"
            );
            ApiError::new(Code::NotFound, words).hint(
                "It comes once a node that has it is reached, or the same file is added again. `weft scrub` looks for more damage on this disk.",
            )
        }
        None => ApiError::new(Code::NotFound, format!("the blob can't be had: {why}")),
    }
}

/// Sends a blob's chunks. Where the disk has spoilt one, the blob is healed from peers first.
async fn pour_out(
    node: &Arc<Shared>,
    blob: BlobId,
    providers: &[NodeId],
    sender: Pieces,
) -> Result<(), ReadError> {
    let _hold = node.store.hold(blob);
    let (mut sent, mut healed) = (0, false);
    loop {
        let (store, sender) = (Arc::clone(&node.store), sender.clone());
        let pour = move || pour_from(&store, blob, sent, &sender);
        let Ok(poured) = tokio::task::spawn_blocking(pour).await else { return Ok(()) };
        let Err((good, error)) = poured else { return Ok(()) };
        if healed || !error.is_damage() {
            return Err(error);
        }
        suspects::heal(node, blob).await;
        // Somebody else may have found it damaged too, and be at it.
        if node.fetcher.blobs(&[blob], providers).await.is_err() {
            return Err(error);
        }
        (sent, healed) = (good, true);
    }
}

/// Sends a blob's chunks from one on, until nobody takes more. Where one can't be read, says how
/// many were good before it.
fn pour_from(
    store: &Store,
    blob: BlobId,
    from: u32,
    sender: &Pieces,
) -> Result<(), (u32, ReadError)> {
    let mut reader = store.open_blob(blob).map_err(|error| (from, error))?;
    reader.skip_to(from);
    let mut next = from;
    while let Some(chunk) = reader.next_chunk().map_err(|error| (next, error))? {
        next += 1;
        if sender.blocking_send(Ok(Bytes::from(chunk))).is_err() {
            break;
        }
    }
    Ok(())
}
