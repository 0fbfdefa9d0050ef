//! Previews of frames, as pictures.

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;

use super::jobs::find;
use super::{Answer, State};
use crate::error::{ApiError, Code};

/// More than 256 × 256 pixels take in a PNG file, whatever they show.
const MAX_BYTES: usize = 1 << 20;

pub(super) async fn preview(node: State, Path((job, frame)): Path<(String, i32)>) -> Answer {
    let id = find(&node, &job)?;
    let missing = |why: String| ApiError::new(Code::NotFound, why);
    let (blob, holders) = {
        let machine = node.machine();
        let known = machine.ledger.jobs.get(&id);
        let known = known.ok_or_else(|| missing("there is no such job".to_owned()))?;
        let counts = |step| known.spec().is_some_and(|spec| spec.is_result(step));
        let task = known.tasks().find(|(key, _)| key.frame == frame && counts(key.step));
        let (_, task) =
            task.ok_or_else(|| missing(format!("frame {frame} is not one of the job's")))?;
        let done = task.done();
        let done = done.ok_or_else(|| missing(format!("frame {frame} is not done")))?;
        let preview = task.noted().preview.ok_or_else(|| {
            missing(format!("frame {frame} has no preview")).hint(
                "There are previews of PNG, JPEG and OpenEXR files, soon after they are done.",
            )
        })?;
        let holders = std::iter::once(done.author).chain(done.holders.iter().copied());
        (preview, holders.collect::<Vec<_>>())
    };
    let body = super::store::bytes(&node, blob, &holders).await?;
    let bytes = axum::body::to_bytes(body, MAX_BYTES).await.map_err(super::store::failed)?;
    Ok(([(header::CONTENT_TYPE, "image/png")], bytes).into_response())
}
