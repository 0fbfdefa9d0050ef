//! How long jobs are kept once they are over: in the studio, and one by one.

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_protocol::job::control::Action;
use weft_protocol::job::keep::Keep;
use weft_protocol::settings::Change;

use super::settings::set;
use super::{Access, Answer, State};
use crate::keep::KeepFor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeepRequest {
    /// Null: for ever in the studio, and as the studio is set for a job.
    keep: Option<KeepFor>,
}

pub(super) async fn show(node: State) -> Json<Value> {
    Json(json!({ "keep_seconds": node.machine().ledger.settings.keep() }))
}

pub(super) async fn change(
    node: State,
    access: Access,
    Json(request): Json<KeepRequest>,
) -> Answer {
    let seconds = request.keep.and_then(|keep| Keep::from(keep).seconds(None));
    let copies = set(&node, access, vec![Change::Keep(seconds)]).await?;
    Ok(Json(json!({ "keep_seconds": seconds, "copies": copies })).into_response())
}

pub(super) async fn keep_job(
    node: State,
    access: Access,
    Path(job): Path<String>,
    Json(request): Json<KeepRequest>,
) -> Answer {
    let keep = request.keep.map_or(Keep::AsSet, Keep::from);
    super::jobs::control(&node, access, &job, Action::Keep(keep)).await
}
