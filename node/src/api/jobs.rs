//! Jobs: listed, shown, watched, controlled.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use weft_protocol::fact::{Body as FactBody, Removal};
use weft_protocol::ids::JobId;
use weft_protocol::job::control::{Action, Control};
use weft_protocol::job::status::{Activity, check_control, status};
use weft_protocol::job::table::Job;
use weft_protocol::job::task::{FrameRun, TaskKey, runs};
use weft_protocol::machine::Machine;
use weft_protocol::replicate::Goods;
use weft_scene::frames;

use super::documents::{self, Live};
use super::nodes::ask;
use super::{Access, Answer, State, held, stream};
use crate::clock::unix_now;
use crate::error::{ApiError, Code};
use crate::shared::Shared;

/// How often a watched job is looked at when nothing is said to have changed: progress inside
/// frames is no fact.
const LOOK: Duration = Duration::from_millis(500);

/// A job by its id, a unique beginning of it, its name, or `last`.
pub(super) fn find(node: &Shared, text: &str) -> Result<JobId, ApiError> {
    let machine = node.machine();
    let jobs = || machine.ledger.jobs.iter();
    if text == "last" {
        let last = jobs().max_by_key(|(id, _, spec)| (spec.submitted, *id));
        return last.map(|(id, _, _)| id).ok_or_else(|| {
            ApiError::new(Code::NotFound, "there is no job yet")
                .hint("Submit one with `weft submit SCENE`.")
        });
    }
    // Whoever gives a whole id means that job, whatever others are called.
    if let Ok(id) = text.parse::<JobId>()
        && machine.ledger.jobs.get(&id).and_then(Job::spec).is_some()
    {
        return Ok(id);
    }
    let lower = text.to_lowercase();
    let by_id: Vec<JobId> = jobs()
        .map(|(id, _, _)| id)
        .filter(|id| !lower.is_empty() && id.to_string().starts_with(&lower))
        .collect();
    let named: Vec<JobId> =
        jobs().filter(|(_, _, spec)| spec.name == text).map(|(id, _, _)| id).collect();
    match (&named[..], &by_id[..]) {
        ([], []) => Err(ApiError::new(Code::NotFound, format!("there is no job '{text}'"))
            .hint("`weft jobs --all` lists them.")),
        ([id], []) | ([], [id]) => Ok(*id),
        ([id], [same]) if id == same => Ok(*id),
        ([], _) => {
            Err(ApiError::new(Code::Invalid, format!("several jobs' ids begin with '{text}'"))
                .hint("Give more of the id."))
        }
        ([_], _) => Err(ApiError::new(
            Code::Invalid,
            format!("'{text}' is the name of a job, and the id of another begins with it"),
        )
        .hint("Give more of the id of the one that is meant; `weft jobs --all` shows them.")),
        _ => Err(ApiError::new(Code::Invalid, format!("several jobs are called '{text}'"))
            .hint("Name one by its id; `weft jobs --all` shows them.")),
    }
}

/// What runs of a job just now: as the leader says, or as this node knows where it can't be asked.
pub(super) async fn live(node: &Shared, job: &JobId) -> Live {
    let leader = {
        let machine = node.machine();
        let leader = machine.election.leader();
        leader.filter(|leader| *leader != node.me && !is_over(&machine, job))
    };
    if let Some(leader) = leader
        && let Ok(document) = ask(node, &leader, &format!("/v1/jobs/{job}/leases")).await
        && document["leases"].is_array()
    {
        return Live::read(&document);
    }
    Live::here(&node.machine(), job)
}

/// Whether a job has ended: what runs of it makes no difference to that.
fn is_over(machine: &Machine, job: &JobId) -> bool {
    let status = machine.ledger.jobs.get(job).and_then(|job| status(job, Activity::default()));
    status.is_some_and(|status| status.is_over())
}

#[derive(Deserialize, Default)]
pub(super) struct ListQuery {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    mine: bool,
}

pub(super) async fn list(node: State, Query(query): Query<ListQuery>) -> Json<Value> {
    let mine = owner(&node);
    let ids: Vec<JobId> = {
        let machine = node.machine();
        let mut jobs: Vec<_> = machine
            .ledger
            .jobs
            .iter()
            .filter(|(_, _, spec)| !query.mine || spec.owner == mine)
            .filter(|(_, job, _)| {
                let status = status(job, weft_protocol::job::status::Activity::default());
                query.all || status.is_some_and(|status| !status.is_over())
            })
            .map(|(id, _, spec)| (spec.submitted, id))
            .collect();
        jobs.sort();
        jobs.into_iter().map(|(_, id)| id).collect()
    };
    let mut documents = Vec::with_capacity(ids.len());
    for id in ids {
        let live = live(&node, &id).await;
        let machine = node.machine();
        let job = machine.ledger.jobs.get(&id);
        documents.extend(job.and_then(|job| documents::summary(&machine, &id, job, &live)));
    }
    Json(Value::Array(documents))
}

/// Who submits here, for people and for fair share.
pub(super) fn owner(node: &Shared) -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("USERNAME"));
    format!("{}@{}", user.unwrap_or_else(|_| "user".to_owned()), node.name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// Whether every node is asked how much of the job's files it has.
    #[serde(default)]
    holders: bool,
}

pub(super) async fn show(
    node: State,
    Path(job): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Answer {
    let id = find(&node, &job)?;
    let live = live(&node, &id).await;
    let document = documents::job(&node, &id, &live).await;
    let mut document = document
        .ok_or_else(|| ApiError::new(Code::NotFound, format!("there is no job '{job}'")))?;
    if query.holders {
        held::add_to_job(&node, &id, &mut document).await;
    }
    Ok(Json(document).into_response())
}

pub(super) async fn leases(node: State, Path(job): Path<String>) -> Answer {
    let id = find(&node, &job)?;
    let document = Live::here(&node.machine(), &id).document();
    Ok(Json(document).into_response())
}

/// Waits until something of a job may have changed.
pub(super) async fn changed(changes: &mut broadcast::Receiver<JobId>, job: &JobId) {
    let changed = async {
        while let Ok(other) = changes.recv().await {
            if other == *job {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LOOK, changed).await;
}

/// How long it takes at least from one document to the next, unless the job has ended.
const REST: Duration = Duration::from_millis(200);

pub(super) async fn watch(axum::extract::State(node): State, Path(job): Path<String>) -> Answer {
    let id = find(&node, &job)?;
    let mut changes = node.changes();
    let (sender, receiver) = stream::channel(8);
    tokio::spawn(async move {
        let mut last = Value::Null;
        loop {
            let live = live(&node, &id).await;
            let begun = Instant::now();
            let Some(document) = documents::job(&node, &id, &live).await else {
                return;
            };
            let over = ["completed", "failed", "cancelled"]
                .iter()
                .any(|status| document["status"] == *status);
            let line = (document != last).then(|| format!("{document}\n"));
            let took = begun.elapsed();
            if let Some(line) = line {
                if sender.send(Ok(line.into())).await.is_err() {
                    return;
                }
                last = document;
            }
            if over {
                return;
            }
            changed(&mut changes, &id).await;
            // Whoever watches takes a tenth of a core at most, however large the job and however quick its tasks.
            let rest = (took * 9).max(REST);
            let ended = async {
                while !is_over(&node.machine(), &id) {
                    changed(&mut changes, &id).await;
                }
            };
            _ = tokio::time::timeout(rest, ended).await;
        }
    });
    Ok(stream::lines(receiver))
}

/// Makes a control of a job known, if it fits.
pub(super) async fn control(node: &Shared, access: Access, job: &str, action: Action) -> Answer {
    let id = find(node, job)?;
    let by = by(node, access);
    let body = {
        let machine = node.machine();
        let known = machine.ledger.jobs.get(&id);
        let known = known.ok_or_else(|| ApiError::new(Code::NotFound, "there is no such job"))?;
        check_control(known, &action).map_err(|refusal| {
            ApiError::new(Code::Conflict, format!("{refusal}; nothing was changed"))
        })?;
        let version = known.next_version();
        FactBody::Control(Control { job: id, version, at: unix_now(), by, action })
    };
    Ok(Json(commit(node, &id, body).await?).into_response())
}

pub(super) fn by(node: &Shared, access: Access) -> String {
    match access {
        Access::Local | Access::Token => owner(node),
        Access::Peer(peer) => {
            let machine = node.machine();
            let member = machine.ledger.members.get(&peer);
            member.map_or_else(|| peer.short(), |member| member.name.clone())
        }
    }
}

async fn commit(node: &Shared, id: &JobId, body: FactBody) -> Result<Value, ApiError> {
    let copies = node
        .author(vec![body], Vec::new(), Goods::default())
        .await
        .map_err(|why| ApiError::new(Code::Failed, why))?;
    let live = live(node, id).await;
    let machine = node.machine();
    let now = machine.ledger.jobs.get(id).and_then(|job| status(job, live.activity()));
    let word = now.map_or("removed", |status| status.name());
    Ok(json!({ "job": id, "status": word, "copies": copies.len() }))
}

pub(super) async fn pause(node: State, access: Access, Path(job): Path<String>) -> Answer {
    control(&node, access, &job, Action::Pause).await
}

pub(super) async fn resume(node: State, access: Access, Path(job): Path<String>) -> Answer {
    control(&node, access, &job, Action::Resume).await
}

pub(super) async fn approve(node: State, access: Access, Path(job): Path<String>) -> Answer {
    control(&node, access, &job, Action::Approve).await
}

pub(super) async fn cancel(node: State, access: Access, Path(job): Path<String>) -> Answer {
    control(&node, access, &job, Action::Cancel).await
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Frames {
    #[serde(default)]
    frames: Option<String>,
}

fn parse_frames(spec: &str) -> Result<Vec<FrameRun>, ApiError> {
    let frames = frames::parse(spec).map_err(|error| {
        ApiError::new(
            Code::Invalid,
            format!("the frames can't be read: {error}; nothing was changed"),
        )
    })?;
    let narrow: Result<Vec<i32>, _> = frames.into_iter().map(i32::try_from).collect();
    let narrow = narrow.map_err(|_| ApiError::new(Code::Invalid, "a frame number is too large"))?;
    Ok(runs(&narrow))
}

pub(super) async fn retry(
    node: State,
    access: Access,
    Path(job): Path<String>,
    request: Option<Json<Frames>>,
) -> Answer {
    let named = request.and_then(|Json(request)| request.frames);
    let named = named.as_deref().map(parse_frames).transpose()?;
    let id = find(&node, &job)?;
    let action = {
        let machine = node.machine();
        let known = machine.ledger.jobs.get(&id);
        let known = known.ok_or_else(|| ApiError::new(Code::NotFound, "there is no such job"))?;
        let failed = || {
            let (step, frames) = known.failed_frames();
            (step, runs(&frames))
        };
        let (step, frames) = named.map_or_else(failed, |frames| (0, frames));
        Action::Retry { step, frames, generation: known.next_round() }
    };
    control(&node, access, &id.to_string(), action).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Priority {
    priority: u8,
}

pub(super) async fn priority(
    node: State,
    access: Access,
    Path(job): Path<String>,
    Json(request): Json<Priority>,
) -> Answer {
    control(&node, access, &job, Action::Priority(request.priority)).await
}

pub(super) async fn extend(
    node: State,
    access: Access,
    Path(job): Path<String>,
    Json(request): Json<Frames>,
) -> Answer {
    let spec = request.frames.ok_or_else(|| ApiError::new(Code::Invalid, "which frames?"))?;
    let frames = parse_frames(&spec)?;
    control(&node, access, &job, Action::Extend { step: 0, frames }).await
}

pub(super) async fn remove(node: State, Path(job): Path<String>) -> Answer {
    let id = find(&node, &job)?;
    let live = live(&node, &id).await;
    let owed = {
        let machine = node.machine();
        let known = machine.ledger.jobs.get(&id).and_then(|job| status(job, live.activity()));
        if let Some(status) = known.filter(|status| !status.is_over()) {
            return Err(ApiError::new(
                Code::Conflict,
                format!("the job is {}; nothing was changed", status.name()),
            )
            .hint("Cancel it first with `weft cancel`."));
        }
        documents::owed_to(&documents::Names(&machine), machine.stay(&id).as_ref())
    };
    let mut document = commit(&node, &id, FactBody::Removal(Removal { job: id })).await?;
    document["owed_to"] = json!(owed);
    Ok(Json(document).into_response())
}

pub(super) async fn outputs(node: State, Path(job): Path<String>) -> Answer {
    let id = find(&node, &job)?;
    let machine = node.machine();
    let known = machine.ledger.jobs.get(&id);
    let known = known.ok_or_else(|| ApiError::new(Code::NotFound, "there is no such job"))?;
    let mut outputs = Vec::new();
    let counts = |key: &TaskKey| known.spec().is_some_and(|spec| spec.is_result(key.step));
    for (key, task) in known.tasks().filter(|(key, _)| counts(key)) {
        for file in task.done().into_iter().flat_map(|done| done.files) {
            let mut document = documents::output(file);
            document["frame"] = key.frame.into();
            outputs.push(document);
        }
    }
    Ok(Json(Value::Array(outputs)).into_response())
}
