//! The studio and its machines.

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_protocol::certificate::Role;
use weft_protocol::fact::{Body, Revocation};
use weft_protocol::ids::NodeId;
use weft_protocol::machine::Machine;
use weft_protocol::replicate::Goods;

use super::nodes::hardware_document;
use super::{Access, Answer, State};
use crate::admission::{self, InviteError};
use crate::clock::unix_now;
use crate::error::{ApiError, Code};
use crate::home::Membership;
use crate::path_text;
use crate::shared::Shared;

pub(super) async fn health(node: State) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "node": node.me,
        "release": env!("CARGO_PKG_VERSION"),
        "time_ms": unix_now().0,
    }))
}

/// This machine's local time, by which its hours go, as `HH:MM`.
fn local_time() -> String {
    let minute = crate::clock::local_minute();
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Members that refuse this node, and why. What nodes of other studios say is of no account.
pub(super) fn refusals(node: &Shared, machine: &Machine) -> Vec<(NodeId, String)> {
    let all = node.network.gate().refusals().into_iter();
    all.filter(|(peer, _)| machine.ledger.members.get(peer).is_some()).collect()
}

pub(super) async fn status(node: State) -> Json<Value> {
    let machine = node.machine();
    let claim = machine.election.claim();
    let leader = claim.map(|claim| claim.leader);
    // When this node began to follow it, by this machine's clock.
    let since = machine.leader_since().map(|since| {
        let ago = u64::try_from(node.now().since(since).as_millis()).unwrap_or(0);
        unix_now().0.saturating_sub(ago) / 1000
    });
    let leader_name = leader.and_then(|leader| machine.adverts.get(&leader)).map(|a| &a.name);
    let jobs =
        machine.ledger.jobs.iter().filter_map(|(id, job, _)| {
            weft_protocol::job::status::status(job, machine.activity(&id))
        });
    let live = jobs.filter(|status| !status.is_over()).count();
    let refused_by: Vec<Value> = refusals(&node, &machine)
        .into_iter()
        .map(|(peer, reason)| {
            let name = machine.ledger.members.get(&peer).map(|member| &member.name);
            json!({ "node": peer, "name": name, "reason": reason })
        })
        .collect();
    Json(json!({
        "node": node.me,
        "name": node.name,
        "studio": node.studio.name,
        "studio_id": node.studio.id,
        "role": node.chain().leaf.statement.role.name(),
        "leader": leader,
        "leader_name": leader_name,
        "leader_since": since,
        "term": machine.election.term(),
        "peers": machine.connected().len(),
        "refused_by": refused_by,
        "jobs": live,
        "addresses": node.addresses(),
        "release": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": unix_now().0.saturating_sub(node.started.0) / 1000,
        "home": path_text::told(node.home.path()),
        "local_time": local_time(),
    }))
}

pub(super) async fn members(node: State) -> Json<Value> {
    let machine = node.machine();
    let members: Vec<Value> =
        machine
            .ledger
            .members
            .iter()
            .map(|statement| {
                json!({
                    "node": statement.subject,
                    "name": statement.name,
                    "role": statement.role.name(),
                    "expires": statement.expires.seconds(),
                    "revoked": false,
                })
            })
            .chain(
                machine.ledger.members.revoked().map(
                    |(node, reason)| json!({ "node": node, "revoked": true, "reason": reason }),
                ),
            )
            .collect();
    Json(Value::Array(members))
}

#[derive(Deserialize)]
pub(super) struct RevokeRequest {
    #[serde(default)]
    reason: String,
}

pub(super) async fn revoke(
    node: State,
    access: Access,
    Path(name): Path<String>,
    request: Option<Json<RevokeRequest>>,
) -> Answer {
    access.require_user("revoking a member")?;
    if node.chain().leaf.statement.role != Role::Admin {
        return Err(ApiError::new(
            Code::Refused,
            "only an admin's node revokes members, and this one is none; nothing was changed",
        ));
    }
    let id = {
        let machine = node.machine();
        let fits = |id: &&NodeId| {
            id.to_string().starts_with(&name)
                || machine.ledger.members.get(id).is_some_and(|member| member.name == name)
        };
        let members: Vec<NodeId> = machine.ledger.members.iter().map(|m| m.subject).collect();
        let found: Vec<NodeId> = members.iter().filter(fits).copied().collect();
        match found[..] {
            [id] => id,
            [] => {
                return Err(ApiError::new(Code::NotFound, format!("there is no member '{name}'")));
            }
            _ => {
                let why = format!("several members are called '{name}': name one by its id");
                return Err(ApiError::new(Code::Invalid, why));
            }
        }
    };
    if id == node.me {
        return Err(ApiError::new(
            Code::Invalid,
            "a node can't revoke itself; nothing was changed",
        ));
    }
    let reason = request.map(|Json(request)| request.reason).unwrap_or_default();
    let body = Body::Revocation(Revocation { node: id, reason });
    let copies = node
        .author(vec![body], Vec::new(), Goods::default())
        .await
        .map_err(|why| ApiError::new(Code::Failed, why))?;
    Ok(Json(json!({ "node": id, "revoked": true, "copies": copies.len() })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteRequest {
    #[serde(default = "worker")]
    role: RoleName,
    #[serde(default = "hour")]
    ttl_seconds: u64,
    #[serde(default = "one")]
    uses: u32,
    #[serde(default)]
    recovery_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    Worker,
    Artist,
    Admin,
}

const fn worker() -> RoleName {
    RoleName::Worker
}

const fn hour() -> u64 {
    3600
}

const fn one() -> u32 {
    1
}

pub(super) async fn invite(
    node: State,
    access: Access,
    Json(request): Json<InviteRequest>,
) -> Answer {
    access.require_user("an invite")?;
    let role = match request.role {
        RoleName::Worker => Role::Worker,
        RoleName::Artist => Role::Artist,
        RoleName::Admin => Role::Admin,
    };
    // Right after the start the addresses are not known yet, and a code without one is of no use.
    for _ in 0..40 {
        if !node.addresses().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let membership =
        Membership { keys: node.keys.clone(), chain: node.chain(), studio: node.studio.clone() };
    let code = admission::invite(
        &membership,
        &node.store,
        role,
        Duration::from_secs(request.ttl_seconds.min(366 * 24 * 3600)),
        request.uses.clamp(1, 1000),
        request.recovery_key.as_deref(),
        node.addresses(),
    );
    let code = code.map_err(|error| {
        let kind = match error {
            InviteError::NotAdmin | InviteError::WrongKey(_) => Code::Refused,
            InviteError::NeedsRecoveryKey => Code::Invalid,
            _ => Code::Failed,
        };
        ApiError::new(kind, error.to_string())
    })?;
    let expires = code.expires.seconds();
    Ok(Json(json!({ "code": code.write(), "role": role.name(), "expires": expires }))
        .into_response())
}

pub(super) async fn engines(node: State) -> Json<Value> {
    let engines: Vec<Value> = node
        .engines
        .iter()
        .map(|(name, found)| {
            let title = node.config.engines.get(name).map(|definition| &definition.title);
            match found {
                Ok(found) => json!({
                    "name": name, "title": title, "usable": true, "version": found.version,
                    "program": found.program.as_deref().map(path_text::told),
                    "others": found.others.iter().map(|other| path_text::told(other)).collect::<Vec<_>>(),
                }),
                Err(why) => json!({
                    "name": name, "title": title, "usable": false, "reason": why,
                }),
            }
        })
        .collect();
    Json(Value::Array(engines))
}

pub(super) async fn hardware(node: State) -> Json<Value> {
    let hardware = node.machine().adverts[&node.me].hardware.clone();
    let mut document = hardware_document(&hardware);
    let sandbox = &node.sandbox;
    document["sandbox"] = json!({
        "protection": sandbox.protection.name(),
        "whole": sandbox.is_whole(),
        "words": sandbox.words(),
        "lacks": sandbox.lacks,
    });
    Json(document)
}
