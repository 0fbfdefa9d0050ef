//! Logs of attempts: live from whichever node renders, kept as blobs afterwards.

use std::io::SeekFrom;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use weft_protocol::ids::{BlobId, JobId, NodeId};
use weft_protocol::job::status::{Activity, status};
use weft_protocol::wire::control::AttemptKey;

use super::documents::Live;
use super::jobs::{changed, find, live};
use super::{Answer, State, stream};
use crate::error::{ApiError, Code};
use crate::render::LiveLog;
use crate::shared::Shared;

#[derive(Deserialize, Default)]
pub(super) struct LogQuery {
    /// Whether the answer goes on while the frame renders, and waits for it to start.
    #[serde(default)]
    follow: bool,
    /// Whether only this node's own attempts are meant: how nodes ask each other.
    #[serde(default)]
    here: bool,
}

pub(super) async fn log(
    node: State,
    Path((job, frame)): Path<(String, i32)>,
    Query(query): Query<LogQuery>,
) -> Answer {
    let id = find(&node, &job)?;
    if query.here {
        let here = running_here(&node, &id, frame);
        return here.map(|log| stream(log, query.follow)).ok_or_else(|| nothing_yet(frame));
    }
    let mut changes = node.changes();
    loop {
        if let Some(log) = running(&node, &id, frame, query.follow).await {
            return Ok(log);
        }
        match last(&node, &id, frame)? {
            Last::Kept(blob, holders) => {
                return Ok(text(super::store::bytes(&node, blob, &holders).await?));
            }
            Last::Silent => return Ok(text(Body::empty())),
            // Whoever follows waits for the attempt; it may also run where it can't be asked yet.
            Last::ToCome if query.follow => changed(&mut changes, &id).await,
            Last::ToCome | Last::Never => return Err(nothing_yet(frame)),
        }
    }
}

fn nothing_yet(frame: i32) -> ApiError {
    let why = format!("frame {frame} has no log yet: nothing rendered it so far");
    ApiError::new(Code::NotFound, why).hint("`weft logs JOB FRAME -f` waits for it.")
}

/// The log of an attempt that is running now, here or elsewhere.
async fn running(node: &Shared, job: &JobId, frame: i32, follow: bool) -> Option<Response> {
    if let Some(log) = running_here(node, job, frame) {
        return Some(stream(log, follow));
    }
    let other = rendering_node(node, job, frame).await?;
    let path = format!("/v1/jobs/{job}/logs/{frame}?here=true&follow={follow}");
    let request = axum::extract::Request::builder().uri(path).header("host", "peer");
    let request = request.body(Body::empty()).ok()?;
    let response = super::forward::forward(&node.network, &other, request).await.ok()?;
    response.status().is_success().then_some(response)
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

/// What there is of a frame that isn't rendered just now.
enum Last {
    /// The log of the last attempt whose outcome is known, and who keeps it.
    Kept(BlobId, Vec<NodeId>),
    /// An outcome is known, and its engine printed nothing.
    Silent,
    /// Nothing, but its job is not over.
    ToCome,
    /// Nothing, and its job is over.
    Never,
}

fn last(node: &Shared, job: &JobId, frame: i32) -> Result<Last, ApiError> {
    let machine = node.machine();
    let known = machine.ledger.jobs.get(job);
    let known = known.ok_or_else(|| ApiError::new(Code::NotFound, "there is no such job"))?;
    let of_frame = known.tasks().filter(|(key, _)| key.frame == frame);
    let tasks: Vec<_> = of_frame.map(|(_, task)| task).collect();
    // Of a frame in tiles the one that failed tells most.
    let failed = tasks.iter().find(|task| task.failures_now().next().is_some());
    let Some(task) = failed.or(tasks.first()) else {
        let why = format!("frame {frame} is not one of the job's");
        return Err(ApiError::new(Code::NotFound, why));
    };
    let failure = task.failures_now().last().map(|(key, f)| (f.log, vec![key.2]));
    let done = task.done().map(|done| (done.log, done.holders.to_vec()));
    let over = status(known, Activity::default()).is_some_and(|status| status.is_over());
    Ok(match done.or(failure) {
        Some((Some(blob), holders)) => Last::Kept(blob, holders),
        Some((None, _)) => Last::Silent,
        None if over => Last::Never,
        None => Last::ToCome,
    })
}
