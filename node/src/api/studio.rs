//! The studio and its machines.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_protocol::certificate::Role;
use weft_protocol::fact::{Body, Revocation};
use weft_protocol::hardware::{GIB, Hardware};
use weft_protocol::ids::NodeId;
use weft_protocol::membership::Liveness;
use weft_protocol::replicate::Goods;
use weft_protocol::wire::control::Advert;

use super::forward::resolve;
use super::{Access, Answer, State, held};
use crate::admission::{self, InviteError};
use crate::clock::unix_now;
use crate::error::{ApiError, Code};
use crate::home::Membership;
use crate::node::Shared;

pub(super) async fn health(node: State) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "node": node.me,
        "release": env!("CARGO_PKG_VERSION"),
    }))
}

pub(super) async fn status(node: State) -> Json<Value> {
    let machine = node.machine();
    let claim = machine.election.claim();
    let leader = claim.map(|claim| claim.leader);
    let leader_name = leader.and_then(|leader| machine.adverts.get(&leader)).map(|a| &a.name);
    let jobs =
        machine.ledger.jobs.iter().filter_map(|(id, job, _)| {
            weft_protocol::job::status::status(job, machine.activity(&id))
        });
    let live = jobs.filter(|status| !status.is_over()).count();
    // What nodes of other studios say is of no account.
    let refusals = node.network.gate().refusals().into_iter();
    let refusals = refusals.filter(|(peer, _)| machine.ledger.members.get(peer).is_some());
    let refused_by: Vec<Value> = refusals
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
        "term": machine.election.term(),
        "peers": machine.connected().len(),
        "refused_by": refused_by,
        "jobs": live,
        "addresses": node.addresses(),
        "release": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": unix_now().0.saturating_sub(node.started.0) / 1000,
        "home": node.home.path(),
    }))
}

fn hardware_document(hardware: &Hardware) -> Value {
    // Whole and tenths of a GiB are what people compare.
    #[expect(clippy::cast_precision_loss, reason = "rounded to a tenth of a GiB anyway")]
    let gib = |bytes: u64| (bytes as f64 / GIB as f64 * 10.0).round() / 10.0;
    let gpus: Vec<Value> = hardware
        .gpus
        .iter()
        .map(|gpu| json!({ "model": gpu.model, "memory": gib(gpu.memory) }))
        .collect();
    json!({
        "os": hardware.os,
        "arch": hardware.arch,
        "cpu_model": hardware.cpu_model,
        "cpu_cores": hardware.cpu_cores,
        "ram": gib(hardware.ram),
        "gpu_count": hardware.gpus.len(),
        "gpu_model": hardware.gpus.first().map(|gpu| &gpu.model),
        "gpus": gpus,
    })
}

fn node_document(node: &Shared, advert: &Advert, running: &BTreeMap<NodeId, usize>) -> Value {
    let machine = node.machine();
    let me = advert.node == node.me;
    let liveness = machine.membership.liveness(&advert.node);
    let leader = machine.election.claim().is_some_and(|claim| claim.leader == advert.node);
    let own = machine.worker.running();
    drop(machine);
    let (sent, received) = node.traffic.totals();
    let mut document = json!({
        "node": advert.node,
        "name": advert.name,
        "alive": liveness != Liveness::Dead,
        "state": match liveness {
            Liveness::Alive => "alive",
            Liveness::Suspect => "suspect",
            Liveness::Dead => "dead",
        },
        "leader": leader,
        "drained": false,
        "role": advert.role.name(),
        "running": if me { own } else { running.get(&advert.node).copied().unwrap_or(0) },
        "price_per_hour": f64::from(advert.price) / 1000.0,
        "engines": advert.engines,
        "tags": advert.tags,
        "addresses": advert.addresses,
        "release": advert.release,
        "hardware": hardware_document(&advert.hardware),
    });
    if me {
        document["bytes_sent"] = sent.into();
        document["bytes_received"] = received.into();
    }
    document
}

/// How many attempts every node works on, as far as this node knows: all where it leads.
fn running(node: &Shared) -> BTreeMap<NodeId, usize> {
    let machine = node.machine();
    let mut running = BTreeMap::new();
    for held in machine.leader.iter().flat_map(|leader| leader.leases()) {
        *running.entry(held.node).or_default() += 1;
    }
    running
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodesQuery {
    /// Whether every node is asked how much it holds.
    #[serde(default)]
    held: bool,
}

pub(super) async fn nodes(node: State, Query(query): Query<NodesQuery>) -> Json<Value> {
    let adverts: Vec<Advert> = node.machine().adverts.values().cloned().collect();
    // The leader knows what everyone works on; its own document of each node is the better one.
    let mut counts = running(&node);
    let leader = node.machine().election.claim().map(|claim| claim.leader);
    if let Some(leader) = leader.filter(|leader| *leader != node.me)
        && let Ok(Value::Array(seen)) = ask(&node, &leader, "/v1/nodes").await
    {
        for document in seen {
            let id = document["node"].as_str().and_then(|id| id.parse::<NodeId>().ok());
            if let (Some(id), Some(count)) = (id, document["running"].as_u64()) {
                counts.insert(id, usize::try_from(count).unwrap_or(usize::MAX));
            }
        }
    }
    let mut documents: Vec<Value> =
        adverts.iter().map(|advert| node_document(&node, advert, &counts)).collect();
    if query.held {
        held::add_to_nodes(&node, &mut documents).await;
    }
    Json(Value::Array(documents))
}

/// Asks a peer for a document; it must answer soon, or do without.
pub(super) async fn ask(node: &Shared, peer: &NodeId, path: &str) -> Result<Value, ApiError> {
    let request = axum::extract::Request::builder()
        .uri(path)
        .header("host", "peer")
        .body(axum::body::Body::empty())
        .map_err(|error| ApiError::new(Code::Failed, error.to_string()))?;
    let asking = async {
        let response = super::forward::forward(&node.network, peer, request).await?;
        let bytes = axum::body::to_bytes(response.into_body(), 64 << 20)
            .await
            .map_err(|error| ApiError::new(Code::Unreachable, error.to_string()))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::new(Code::Failed, error.to_string()))
    };
    tokio::time::timeout(Duration::from_millis(700), asking)
        .await
        .map_err(|_| ApiError::new(Code::Unreachable, "the peer did not answer in time"))?
}

pub(super) async fn node(node: State, Path(name): Path<String>) -> Answer {
    let id = resolve(&node, &name)?;
    if id != node.me {
        let document = ask(&node, &id, &format!("/v1/nodes/{id}")).await;
        if let Ok(document) = document {
            return Ok(Json(document).into_response());
        }
    }
    let advert = node.machine().adverts.get(&id).cloned();
    let advert = advert.ok_or_else(|| ApiError::new(Code::NotFound, "no such node"))?;
    Ok(Json(node_document(&node, &advert, &running(&node))).into_response())
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
                    "program": found.program,
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
    Json(hardware_document(&hardware))
}
