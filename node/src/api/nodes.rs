//! Nodes: their documents, and what keeps them from taking work.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_protocol::claim::Portion;
use weft_protocol::hardware::Hardware;
use weft_protocol::ids::NodeId;
use weft_protocol::job::trouble::{self, Trouble};
use weft_protocol::machine::Machine;
use weft_protocol::membership::Liveness;
use weft_protocol::settings::{OnReturn, Said};
use weft_protocol::time::Time;
use weft_protocol::wire::control::{Advert, AttemptKey, Closed, Phase};

use super::forward::resolve;
use super::{Answer, State, documents, held};
use crate::error::{ApiError, Code};
use crate::shared::Shared;

/// The fields of a node's document that its leader alone knows for sure.
const TOLD_TO_THE_LEADER: [&str; 4] = ["closed", "licences_refused", "free", "tasks"];
/// The most tasks that a node's document lists; quick ones go out by the hundred.
const MAX_TASKS: usize = 64;

/// Those that it knows best where a studio is so large that other nodes aren't connected to everybody.
const SEEN_BY_THE_LEADER: [&str; 2] = ["alive", "state"];

/// What keeps a node from taking work, as far as this node knows.
struct Standing {
    drained: Option<Value>,
    benched: Vec<Value>,
    closed: Option<Closed>,
    refused: BTreeMap<String, String>,
}

impl Standing {
    fn of(machine: &Machine, node: &NodeId, now: Time, benched: &Benched) -> Self {
        let settings = &machine.ledger.settings;
        let drained = settings.drained(node);
        let own = (*node == machine.me()).then(|| machine.standing(now));
        let told = machine.leader.as_ref().and_then(|leader| leader.told(node)).cloned();
        let told = own.or(told).unwrap_or_default();
        let benched = benched.get(node).map(Vec::as_slice).unwrap_or_default();
        let closed = drained.as_ref().map(|_| Closed::Drained).or(told.closed);
        Self {
            drained: drained.map(|said| said_document(machine, &said)),
            closed: closed.or((!benched.is_empty()).then_some(Closed::Benched)),
            benched: benched.iter().map(|trouble| trouble_document(machine, trouble)).collect(),
            refused: told.refused,
        }
    }
}

/// Which nodes are benched, and for what: worked out once for all documents of an answer.
type Benched = BTreeMap<NodeId, Vec<Trouble>>;

fn benched(node: &Shared) -> Benched {
    let machine = node.machine();
    trouble::benched(&machine.ledger.jobs, &machine.ledger.settings)
}

/// Why a node takes no new work, in a word, as far as this node knows.
pub(super) fn closed_of(machine: &Machine, node: &NodeId, now: Time) -> Option<String> {
    let benched = trouble::benched(&machine.ledger.jobs, &machine.ledger.settings);
    let closed = Standing::of(machine, node, now, &benched).closed;
    closed.map(|closed| closed_name(closed).to_owned())
}

const fn closed_name(closed: Closed) -> &'static str {
    match closed {
        Closed::Drained => "drained",
        Closed::Hours => "hours",
        Closed::InUse => "in_use",
        Closed::Benched => "benched",
        Closed::Disk => "disk",
    }
}

/// Who set something, and when.
pub(super) fn said_document(machine: &Machine, said: &Said) -> Value {
    json!({ "by": said.by, "node": documents::name(machine, &said.node), "at": said.at.seconds() })
}

fn trouble_document(machine: &Machine, trouble: &Trouble) -> Value {
    let spec = machine.ledger.jobs.get(&trouble.job).and_then(|job| job.spec());
    json!({
        "job": trouble.job,
        "name": spec.map(|spec| &spec.name),
        "frame": trouble.task.frame,
        "at": trouble.started.seconds(),
        "error_message": trouble.message,
    })
}

pub(super) fn hardware_document(hardware: &Hardware) -> Value {
    let gib = documents::gib;
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

/// What a node works on as far as this one knows, and what is free of it; nothing where it doesn't know.
fn work(machine: &Machine, advert: &Advert) -> (Vec<Value>, Option<Value>) {
    let node = &advert.node;
    let task = |key: &AttemptKey, phase: Phase, claim: Option<&Portion>| {
        let spec = machine.ledger.jobs.get(&key.job).and_then(|job| job.spec());
        json!({
            "job": key.job,
            "name": spec.map(|spec| &spec.name),
            "step": key.task.step,
            "frame": key.task.frame,
            "tile": key.task.tile,
            "attempt": key.attempt,
            "phase": documents::phase_name(phase),
            "progress": documents::progress(phase),
            "claim": claim.map(documents::portion),
        })
    };
    let all = Portion::all(&advert.hardware);
    match &machine.leader {
        Some(leader) => {
            let held = leader.leases().filter(|held| held.node == *node).take(MAX_TASKS);
            let tasks = held.map(|held| task(&held.attempt, held.phase, held.claim())).collect();
            (tasks, Some(documents::portion(&leader.free(node, all))))
        }
        None if *node == machine.me() => {
            let attempts = machine.worker.claims_of_attempts().take(MAX_TASKS);
            let share = |claim: &Portion| (*claim != all).then(|| claim.clone());
            let tasks =
                attempts.map(|(key, phase, claim)| task(key, phase, share(&claim).as_ref()));
            (tasks.collect(), Some(documents::portion(&machine.worker.left(&all))))
        }
        None => (Vec::new(), None),
    }
}

fn node_document(
    node: &Shared,
    advert: &Advert,
    running: &BTreeMap<NodeId, usize>,
    benched: &Benched,
) -> Value {
    let machine = node.machine();
    let me = advert.node == node.me;
    let liveness = machine.membership.liveness(&advert.node);
    let leader = machine.election.leader() == Some(advert.node);
    let own = machine.worker.running();
    let standing = Standing::of(&machine, &advert.node, node.now(), benched);
    let price = machine.ledger.settings.price(advert);
    let hours =
        machine.ledger.settings.hours(&advert.node).or(node.config.node.hours.filter(|_| me));
    let on_return = machine.ledger.settings.on_return(&advert.node);
    let on_return = on_return.or(me.then_some(node.config.node.on_return));
    let (tasks, free) = work(&machine, advert);
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
        "drained": standing.drained.is_some(),
        "drained_by": standing.drained,
        "benched": standing.benched,
        "closed": standing.closed.map(closed_name),
        "licences_refused": standing.refused,
        "hours": hours.map(|hours| hours.to_string()),
        "on_return": on_return.map(OnReturn::name),
        "role": advert.role.name(),
        "running": if me { own } else { running.get(&advert.node).copied().unwrap_or(0) },
        "tasks": tasks,
        "free": free,
        "price_per_hour": f64::from(price) / 1000.0,
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
    let adverts: Vec<Advert> = node.machine().known().cloned().collect();
    // The leader knows what everyone works on; its own document of each node is the better one.
    let mut counts = running(&node);
    let mut standings = BTreeMap::new();
    let leader = node.machine().election.leader();
    if let Some(leader) = leader.filter(|leader| *leader != node.me)
        && let Ok(Value::Array(seen)) = ask(&node, &leader, "/v1/nodes").await
    {
        for document in seen {
            let id = document["node"].as_str().and_then(|id| id.parse::<NodeId>().ok());
            let Some(id) = id else { continue };
            if let Some(count) = document["running"].as_u64() {
                counts.insert(id, usize::try_from(count).unwrap_or(usize::MAX));
            }
            standings.insert(id, document);
        }
    }
    let benched = benched(&node);
    let mut documents: Vec<Value> =
        adverts.iter().map(|advert| node_document(&node, advert, &counts, &benched)).collect();
    let large = node.machine().is_large();
    for (document, advert) in documents.iter_mut().zip(&adverts) {
        if let Some(mut seen) = standings.remove(&advert.node) {
            let seen_there: &[&str] = if large { &SEEN_BY_THE_LEADER } else { &[] };
            for field in TOLD_TO_THE_LEADER.iter().chain(seen_there) {
                document[*field] = seen[*field].take();
            }
        }
    }
    if large {
        // This node need not have heard of everybody, and its leader is connected to all.
        documents.extend(standings.into_values());
    }
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
    let advert = node.machine().known().find(|advert| advert.node == id).cloned();
    let advert = advert.ok_or_else(|| ApiError::new(Code::NotFound, "no such node"))?;
    Ok(Json(node_document(&node, &advert, &running(&node), &benched(&node))).into_response())
}
