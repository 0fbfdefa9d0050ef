//! Logs of attempts: live from whichever node renders, kept as blobs afterwards.

use std::io::SeekFrom;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use weft_protocol::ids::{BlobId, JobId, NodeId};
use weft_protocol::wire::control::AttemptKey;

use super::documents::Live;
use super::jobs::{find, live};
use super::{Access, Answer, State, stream};
use crate::error::{ApiError, Code};
use crate::node::Shared;
use crate::render::LiveLog;

#[derive(Deserialize, Default)]
pub(super) struct LogQuery {
    #[serde(default)]
    follow: bool,
}

pub(super) async fn log(
    node: State,
    access: Access,
    Path((job, frame)): Path<(String, i32)>,
    Query(query): Query<LogQuery>,
) -> Answer {
    let id = find(&node, &job)?;
    if let Some(running) = running_here(&node, &id, frame) {
        return Ok(stream(running, query.follow));
    }
    // A peer asks the node that renders; nobody is sent on a second time.
    if !matches!(access, Access::Peer(_))
        && let Some(other) = rendering_node(&node, &id, frame).await
    {
        let path = format!("/v1/jobs/{id}/logs/{frame}?follow={}", query.follow);
        let request = axum::extract::Request::builder()
            .uri(path)
            .header("host", "peer")
            .body(Body::empty())
            .map_err(|error| ApiError::new(Code::Failed, error.to_string()))?;
        if let Ok(response) = super::forward::forward(&node.network, &other, request).await
            && response.status().is_success()
        {
            return Ok(response);
        }
    }
    kept(&node, &id, frame).await
}

fn running_here(node: &Shared, job: &JobId, frame: i32) -> Option<LiveLog> {
    let keys: Vec<AttemptKey> = {
        let machine = node.machine();
        let fits = |key: &&AttemptKey| key.job == *job && key.task.frame == frame;
        machine.worker.attempts().map(|(key, _)| key).filter(fits).copied().collect()
    };
    keys.iter().find_map(|key| node.renderer.live_log(key))
}

async fn rendering_node(node: &Shared, job: &JobId, frame: i32) -> Option<NodeId> {
    let live: Live = live(node, job).await;
    let document = live.document();
    let leases = document["leases"].as_array()?;
    let lease = leases.iter().find(|lease| lease["frame"].as_i64() == Some(i64::from(frame)))?;
    let holder: NodeId = lease["node"].as_str()?.parse().ok()?;
    (holder != node.me).then_some(holder)
}

fn text(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// A log that is being written: what is there, and with `follow` what comes.
fn stream(log: LiveLog, follow: bool) -> Response {
    let (sender, receiver) = stream::channel(8);
    tokio::spawn(async move {
        let mut length = log.length();
        let Ok(mut file) = tokio::fs::File::open(log.path()).await else {
            return;
        };
        let mut at: u64 = 0;
        loop {
            let now = *length.borrow_and_update();
            while at < now.bytes {
                let mut buffer = vec![0; 64 * 1024];
                if file.seek(SeekFrom::Start(at)).await.is_err() {
                    return;
                }
                let Ok(read @ 1..) = file.read(&mut buffer).await else {
                    return;
                };
                buffer.truncate(read);
                at += read as u64;
                if sender.send(Ok(buffer.into())).await.is_err() {
                    return;
                }
            }
            if now.closed || !follow || length.changed().await.is_err() {
                return;
            }
        }
    });
    text(stream::body(receiver))
}

/// The log of the last attempt whose outcome is known.
async fn kept(node: &std::sync::Arc<Shared>, job: &JobId, frame: i32) -> Answer {
    let (blob, holders): (BlobId, Vec<NodeId>) = {
        let machine = node.machine();
        let known = machine.ledger.jobs.get(job);
        let known = known.ok_or_else(|| ApiError::new(Code::NotFound, "there is no such job"))?;
        let mut tasks = known.tasks().filter(|(key, _)| key.frame == frame);
        let Some((_, task)) = tasks.next() else {
            let why = format!("frame {frame} is not one of the job's");
            return Err(ApiError::new(Code::NotFound, why));
        };
        let failure = task.failures_now().last().and_then(|(key, f)| Some((f.log?, vec![key.2])));
        let done = task.done.as_ref().and_then(|done| Some((done.log?, done.holders.clone())));
        done.or(failure).ok_or_else(|| {
            ApiError::new(
                Code::NotFound,
                format!("frame {frame} has no log yet: nothing rendered it so far"),
            )
        })?
    };
    let bytes = super::store::bytes(node, blob, &holders).await?;
    Ok(text(bytes))
}
