//! What a user keeps, what goes, and what is read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_protocol::content::Tree;
use weft_protocol::content::tree::MAX_ENCODED as MAX_TREE;
use weft_protocol::ids::{BlobId, NodeId};
use weft_store::{CatalogDamage, CatalogError, CollectError, Plan};

use super::references;
use super::store::{blocking, failed, look_up, not_changed};
use super::stream::{self, Pieces};
use super::{Access, Answer, State};
use crate::error::{ApiError, Code};
use crate::shared::Shared;
use crate::transfer::FetchError;
use crate::{pins, upkeep};

/// How often a scrub tells how far it is.
const TELL: Duration = Duration::from_millis(100);

/// The blob that somebody names: by its id, its MD5, or a unique beginning of its id.
async fn named(node: &Shared, text: &str) -> Result<BlobId, ApiError> {
    if let Ok(id) = text.parse::<BlobId>() {
        return Ok(id);
    }
    let (store, name) = (Arc::clone(&node.store), text.to_owned());
    blocking(move || {
        if name.len() == 32
            && let Some((id, _)) = look_up(&store, &name)?
        {
            return Ok(id);
        }
        let found = store.find_prefix(&name).map_err(failed)?;
        match found[..] {
            [id] => Ok(id),
            [] => Err(ApiError::new(
                Code::NotFound,
                format!("no blob '{name}' is known here; nothing was changed"),
            )
            .hint("a whole id (64 hex digits) is looked for on the other nodes too")),
            _ => Err(ApiError::new(
                Code::Invalid,
                format!("{} blobs begin with '{name}'; nothing was changed", found.len()),
            )),
        }
    })
    .await
}

pub(super) async fn pin(node: State, access: Access, Path(blob): Path<String>) -> Answer {
    access.require_user("pinning")?;
    let id = named(&node, &blob).await?;
    let peers: Vec<NodeId> = node.connected().into_iter().collect();
    let unavailable = |why: FetchError| {
        ApiError::new(Code::NotFound, format!("the blob can't be had: {why}; nothing was changed"))
    };
    let intake = node.store.intake();
    node.fetcher.blobs(&[id], &peers).await.map_err(unavailable)?;
    let store = Arc::clone(&node.store);
    let tree = blocking(move || match store.info(id).map_err(failed)? {
        // A tree keeps what it names.
        Some(info) if info.size <= MAX_TREE as u64 => {
            let bytes = store.read_all(id, MAX_TREE as u64).map_err(failed)?;
            Ok(Tree::decode(&bytes).is_ok())
        }
        _ => Ok(false),
    })
    .await?;
    if tree {
        node.fetcher.tree(id, None, &peers).await.map_err(unavailable)?;
    }
    let store = Arc::clone(&node.store);
    blocking(move || store.commit(&pins::keep(id, tree)).map_err(not_changed)).await?;
    drop(intake);
    Ok(Json(json!({ "id": id, "pinned": true })).into_response())
}

pub(super) async fn unpin(node: State, access: Access, Path(blob): Path<String>) -> Answer {
    access.require_user("unpinning")?;
    let id = named(&node, &blob).await?;
    let store = Arc::clone(&node.store);
    let still = blocking(move || {
        let pins = store.pins(id).map_err(failed)?;
        if !pins.iter().any(|pin| pin.reason == pins::USER) {
            return Err(ApiError::new(
                Code::NotFound,
                format!("no user has pinned {} here; nothing was changed", id.short()),
            ));
        }
        store.commit(&pins::release(id)).map_err(not_changed)?;
        references::reasons(&store, id).map_err(failed)
    })
    .await?;
    Ok(Json(json!({ "id": id, "pinned": false, "still_kept_by": still })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CollectRequest {
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn collect(
    node: State,
    access: Access,
    Json(request): Json<CollectRequest>,
) -> Answer {
    access.require_user("deleting what nobody keeps")?;
    let (store, dry_run) = (Arc::clone(&node.store), request.dry_run);
    let collect = move || store.collect(Duration::ZERO, dry_run).map_err(not_collected);
    let plan = blocking(collect).await?;
    Ok(Json(plan_document(&plan, dry_run)).into_response())
}

fn plan_document(plan: &Plan, dry_run: bool) -> Value {
    let blobs: Vec<Value> = plan
        .blobs
        .iter()
        .map(|blob| {
            let why = match blob.whole {
                true => "no job, result or user refers to it",
                false => "it came in part, and nobody waits for the rest",
            };
            json!({ "id": blob.blob, "size": blob.size, "why": why })
        })
        .collect();
    let why = "a crash left it: the catalog doesn't know it";
    let files: Vec<Value> =
        plan.strays.iter().map(|path| json!({ "path": path, "why": why })).collect();
    json!({
        "dry_run": dry_run, "blobs": blobs, "bytes": plan.bytes(),
        "strays": files.len(), "stray_files": files,
    })
}

/// Why not all went that nobody keeps, and what to do next.
fn not_collected(error: CollectError) -> ApiError {
    let full = error.is_no_space();
    match error {
        CollectError::Changed => ApiError::new(Code::Conflict, error.to_string()),
        error if full => failed(format!("{error}; not everything was deleted"))
            .hint("Make room on the disk of WEFT_HOME, then collect again."),
        CollectError::Disk(error) | CollectError::Catalog(CatalogError::Disk(error)) => {
            failed(format!("{error}; not everything was deleted"))
                .hint("Collecting again goes on from there.")
        }
        error => failed(format!("{error}; what it names is kept"))
            .hint("`weft scrub` finds what the disk has spoilt, and heals it from the other nodes"),
    }
}

pub(super) async fn scrub(node: State, access: Access) -> Answer {
    access.require_user("scrubbing")?;
    let (sender, receiver) = stream::channel(16);
    let node = Arc::clone(&node);
    tokio::spawn(async move {
        match scrub_all(&node, &sender).await {
            Ok(Some(result)) => {
                if sender.send(stream::line(&json!({ "result": result }))).await.is_ok() {
                    node.told_damage_at_opening();
                }
            }
            // Whoever asked has gone away.
            Ok(None) => {}
            Err(error) => _ = sender.send(stream::line(&json!({ "error": error }))).await,
        }
    });
    Ok(stream::lines(receiver))
}

async fn scrub_all(node: &Shared, lines: &Pieces) -> Result<Option<Value>, ApiError> {
    let mended = upkeep::mend(node).await.map_err(|why| ApiError::new(Code::Failed, why))?;
    let mut damaged = upkeep::bring_back(node).await;
    let store = Arc::clone(&node.store);
    let blobs = blocking(move || store.list().map_err(failed)).await?;
    let total: u64 = blobs.iter().map(|blob| blob.size).sum();
    let mut bytes = 0_u64;
    let mut told = Instant::now();
    for blob in &blobs {
        damaged.extend(upkeep::check(node, blob).await);
        bytes += blob.size;
        if told.elapsed() >= TELL {
            told = Instant::now();
            let progress = json!({ "progress": { "bytes": bytes, "bytes_total": total } });
            if lines.send(stream::line(&progress)).await.is_err() {
                return Ok(None);
            }
        }
    }
    let facts_are_back = upkeep::facts_are_back(node).await;
    let healed = damaged.iter().filter(|damage| damage.healed).count();
    // What was found when the store was opened is told, too: nobody has asked then.
    let opened = node.damage_at_opening();
    let records: Vec<Value> = opened
        .iter()
        .map(|record| (record, true))
        .chain(mended.damage.iter().map(|record| (record, false)))
        .map(|(record, at_opening): (&CatalogDamage, bool)| {
            let healed = record.is_made_anew() && (facts_are_back || !record.hides_facts());
            json!({ "table": record.table, "healed": healed, "at_opening": at_opening })
        })
        .collect();
    Ok(Some(json!({
        "blobs": blobs.len(), "bytes": bytes, "damaged": damaged, "healed": healed,
        "damaged_records": records,
    })))
}

#[cfg(test)]
mod tests {
    use weft_store::DiskError;

    use super::*;

    #[test]
    fn what_to_do_next_fits_the_reason() {
        let full = || CatalogError::Disk(DiskError::NoSpace { path: "catalog.redb".into() });
        for refused in [not_collected(full().into()), not_changed(full())] {
            assert!(refused.message.contains("no space left"), "{refused:?}");
            assert!(refused.hint.starts_with("Make room"), "{refused:?}");
        }
        let spoilt = not_collected(CatalogError::Spoilt.into());
        assert!(spoilt.hint.contains("weft scrub"), "{spoilt:?}");
        let other = DiskError::Io { path: "blobs".into(), source: std::io::Error::other("busy") };
        let other = not_collected(other.into());
        assert!(!other.hint.contains("scrub") && !other.hint.is_empty(), "{other:?}");
    }
}
