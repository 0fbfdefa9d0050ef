//! How many processes of an engine may run at once in the studio.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_protocol::settings::Change;

use super::nodes::ask;
use super::settings::set;
use super::{Access, Answer, State};
use crate::error::{ApiError, Code};
use crate::shared::Shared;

/// How many processes run of each engine, as the leader knows and counts them; as far as this node knows where it can't be
/// asked.
async fn running(node: &Shared) -> BTreeMap<String, u64> {
    let leader = node.machine().election.leader();
    if let Some(leader) = leader.filter(|leader| *leader != node.me)
        && let Ok(Value::Array(seen)) = ask(node, &leader, "/v1/limits").await
    {
        let running = seen.iter().filter_map(|limit| {
            Some((limit["engine"].as_str()?.to_owned(), limit["running"].as_u64()?))
        });
        return running.collect();
    }
    let machine = node.machine();
    let running = machine.leader.iter().flat_map(|leader| leader.processes(&machine.ledger.jobs));
    running.map(|(engine, count)| (engine.to_owned(), count)).collect()
}

pub(super) async fn list(node: State) -> Json<Value> {
    let running = running(&node).await;
    let limits = node.machine().ledger.settings.limits();
    let limits = limits.iter().map(|(engine, limit)| {
        let running = running.get(engine).copied().unwrap_or(0);
        json!({ "engine": engine, "limit": limit, "running": running })
    });
    Json(limits.collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitRequest {
    /// None where as many may run as there is room for.
    limit: Option<u32>,
}

/// The engines that are known here: this node's own, and those that others have.
fn engines(node: &Shared) -> BTreeSet<String> {
    let machine = node.machine();
    let others = machine.known().flat_map(|advert| advert.engines.keys().cloned());
    node.config.engines.keys().cloned().chain(others).collect()
}

pub(super) async fn change(
    node: State,
    access: Access,
    Path(engine): Path<String>,
    Json(request): Json<LimitRequest>,
) -> Answer {
    let known = engines(&node);
    let limited = node.machine().ledger.settings.limits().contains_key(&engine);
    if !known.contains(&engine) && !limited {
        let why = format!("there is no engine '{engine}'; nothing was changed");
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let hint = format!("Known are: {}.", known.join(", "));
        return Err(ApiError::new(Code::Invalid, why).hint(hint));
    }
    let copies = set(&node, access, vec![Change::Limit(engine.clone(), request.limit)]).await?;
    Ok(Json(json!({ "engine": engine, "limit": request.limit, "copies": copies })).into_response())
}
