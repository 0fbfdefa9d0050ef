//! What is set for nodes and for the studio.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use weft_protocol::fact::Body;
use weft_protocol::ids::NodeId;
use weft_protocol::job::trouble::benched;
use weft_protocol::replicate::Goods;
use weft_protocol::settings::{Change, Hours, NodeChange, Setting};

use super::forward::resolve;
use super::jobs::by;
use super::{Access, Answer, State};
use crate::clock::unix_now;
use crate::config;
use crate::error::{ApiError, Code};
use crate::shared::Shared;

/// Makes settings known; says on how many nodes they are.
pub(super) async fn set(
    node: &Shared,
    access: Access,
    changes: Vec<Change>,
) -> Result<usize, ApiError> {
    let by = by(node, access);
    let mut bodies = Vec::with_capacity(changes.len());
    for change in changes {
        let version = node.machine().ledger.settings.next_version(&change);
        let setting = Setting { version, at: unix_now(), by: by.clone(), change };
        setting.check().map_err(|error| {
            ApiError::new(Code::Invalid, format!("{error}; nothing was changed"))
        })?;
        bodies.push(Body::Setting(setting));
    }
    let copies = node.author(bodies, Vec::new(), Goods::default()).await;
    copies.map(|copies| copies.len()).map_err(|why| ApiError::new(Code::Failed, why))
}

async fn set_of_node(
    node: &Shared,
    access: Access,
    id: NodeId,
    changes: Vec<NodeChange>,
) -> Answer {
    let changes = changes.into_iter().map(|change| Change::Node(id, change)).collect();
    let copies = set(node, access, changes).await?;
    let name = super::documents::name(&node.machine(), &id);
    Ok(Json(json!({ "node": id, "name": name, "copies": copies })).into_response())
}

fn conflict(what: String) -> ApiError {
    ApiError::new(Code::Conflict, format!("{what}; nothing was changed"))
}

pub(super) async fn drain(node: State, access: Access, Path(name): Path<String>) -> Answer {
    let id = resolve(&node, &name)?;
    if let Some(said) = node.machine().ledger.settings.drained(&id) {
        return Err(conflict(format!("the node is drained already, by {}", said.by)));
    }
    set_of_node(&node, access, id, vec![NodeChange::Drained(true)]).await
}

pub(super) async fn undrain(node: State, access: Access, Path(name): Path<String>) -> Answer {
    let id = resolve(&node, &name)?;
    if node.machine().ledger.settings.drained(&id).is_none() {
        return Err(conflict("the node is not drained".to_owned()));
    }
    set_of_node(&node, access, id, vec![NodeChange::Drained(false)]).await
}

pub(super) async fn unbench(node: State, access: Access, Path(name): Path<String>) -> Answer {
    let id = resolve(&node, &name)?;
    let last = {
        let machine = node.machine();
        let benched = benched(&machine.ledger.jobs, &machine.ledger.settings);
        let troubles = benched.get(&id).into_iter().flatten();
        troubles.map(|trouble| trouble.started).max()
    };
    let last = last.ok_or_else(|| conflict("the node is not benched".to_owned()))?;
    set_of_node(&node, access, id, vec![NodeChange::Forgiven(last)]).await
}

/// What is to be set of a node: left out what stays, null what is to be as its configuration says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct NodeRequest {
    #[serde(deserialize_with = "given")]
    price_per_hour: Option<Option<f64>>,
    #[serde(deserialize_with = "given")]
    cores: Option<Option<u32>>,
    #[serde(deserialize_with = "given")]
    tags: Option<Option<BTreeSet<String>>>,
    #[serde(deserialize_with = "given")]
    hours: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    on_return: Option<Option<String>>,
}

/// Tells what is null from what was left out.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// A price in thousandths.
pub(super) fn thousandths(price: f64) -> Result<u32, ApiError> {
    config::thousandths(price).ok_or_else(|| {
        let why = format!("{price} is no price: 0 to 1000000 an hour; nothing was changed");
        ApiError::new(Code::Invalid, why)
    })
}

pub(super) async fn set_node(
    node: State,
    access: Access,
    Path(name): Path<String>,
    Json(request): Json<NodeRequest>,
) -> Answer {
    let id = resolve(&node, &name)?;
    let mut changes = Vec::new();
    if let Some(price) = request.price_per_hour {
        changes.push(NodeChange::Price(price.map(thousandths).transpose()?));
    }
    if let Some(cores) = request.cores {
        changes.push(NodeChange::Cores(cores));
    }
    if let Some(tags) = request.tags {
        changes.push(NodeChange::Tags(tags));
    }
    if let Some(hours) = request.hours {
        let hours: Option<Hours> =
            hours.map(|hours| hours.parse()).transpose().map_err(|error| {
                ApiError::new(Code::Invalid, format!("{error}; nothing was changed"))
            })?;
        changes.push(NodeChange::Hours(hours));
    }
    if let Some(what) = request.on_return {
        let what = what.map(|what| what.parse()).transpose().map_err(|error| {
            ApiError::new(Code::Invalid, format!("{error}; nothing was changed"))
        })?;
        changes.push(NodeChange::OnReturn(what));
    }
    if changes.is_empty() {
        let why = "what is to be set is not said; nothing was changed";
        return Err(ApiError::new(Code::Invalid, why));
    }
    set_of_node(&node, access, id, changes).await
}
