//! The HTTP API of a node: what the command line, browsers, scripts and other nodes speak.
//!
//! It is served three ways, and each knows who asks: over a local socket that only this user can
//! open, over loopback TCP to whoever shows the token, and over streams from peers whose
//! certificates were checked when they connected. Nothing else listens.

mod access;
mod adding;
mod checks;
mod doctor;
mod documents;
mod forward;
mod held;
mod jobs;
mod limits;
mod listen;
mod logs;
mod nodes;
mod openapi;
mod previews;
mod profiles;
mod references;
mod retention;
mod settings;
mod store;
mod stream;
mod studio;
mod submission;
mod upkeep;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::error::{ApiError, Code};
use crate::shared::Shared;

pub(crate) use access::Access;
pub(crate) use forward::PEER_HEADER;
pub(crate) use listen::ServeError;
pub(crate) use listen::{clean_up, connect_local, serve};

/// The longest refusal of axum's that is passed on, in bytes.
const MAX_REFUSAL: usize = 4096;
/// The largest body that is taken, in bytes.
const MAX_BODY: usize = 8 << 20;

type State = axum::extract::State<Arc<Shared>>;
type Answer = Result<Response, ApiError>;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({ "error": self }))).into_response()
    }
}

/// What axum itself refuses (no JSON, an unknown field, too large) is told like everything else.
async fn as_document(response: Response) -> Response {
    let status = response.status();
    let content = response.headers().get(header::CONTENT_TYPE);
    let is_text = content.is_some_and(|value| value.as_bytes().starts_with(b"text/plain"));
    if !status.is_client_error() || !is_text {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), MAX_REFUSAL).await.unwrap_or_default();
    let why = String::from_utf8_lossy(&text);
    let error = ApiError::new(Code::Invalid, format!("{why}; nothing was changed"));
    // To axum what is JSON but not what is asked for is "unprocessable": that says here that the studio can't do it.
    let status =
        if status == StatusCode::UNPROCESSABLE_ENTITY { StatusCode::BAD_REQUEST } else { status };
    (status, Json(json!({ "error": error }))).into_response()
}

fn router(node: Arc<Shared>) -> Router {
    Router::new()
        .route("/health", get(studio::health))
        .route("/openapi.json", get(openapi::document))
        .route("/v1/status", get(studio::status))
        .route("/v1/doctor", get(doctor::examine))
        .route("/v1/nodes", get(nodes::nodes))
        .route("/v1/nodes/{node}", get(nodes::node))
        .route("/v1/nodes/{node}/drain", post(settings::drain))
        .route("/v1/nodes/{node}/undrain", post(settings::undrain))
        .route("/v1/nodes/{node}/unbench", post(settings::unbench))
        .route("/v1/nodes/{node}/settings", post(settings::set_node))
        .route("/v1/profiles", get(profiles::list))
        .route("/v1/profiles/{name}", post(profiles::change).delete(profiles::remove))
        .route("/v1/retention", get(retention::show).post(retention::change))
        .route("/v1/limits", get(limits::list))
        .route("/v1/limits/{engine}", post(limits::change))
        .route("/v1/members", get(studio::members))
        .route("/v1/members/{node}/revoke", post(studio::revoke))
        .route("/v1/invites", post(studio::invite))
        .route("/v1/engines", get(studio::engines))
        .route("/v1/hardware", get(studio::hardware))
        .route("/v1/analyse", post(submission::analyse))
        .route("/v1/jobs", get(jobs::list).post(submission::submit))
        .route("/v1/jobs/signed", post(submission::submit_signed))
        .route("/v1/jobs/{job}", get(jobs::show).delete(jobs::remove))
        .route("/v1/jobs/{job}/watch", get(jobs::watch))
        .route("/v1/jobs/{job}/leases", get(jobs::leases))
        .route("/v1/jobs/{job}/held", get(held::job_here))
        .route("/v1/jobs/{job}/pause", post(jobs::pause))
        .route("/v1/jobs/{job}/resume", post(jobs::resume))
        .route("/v1/jobs/{job}/approve", post(jobs::approve))
        .route("/v1/jobs/{job}/cancel", post(jobs::cancel))
        .route("/v1/jobs/{job}/retry", post(jobs::retry))
        .route("/v1/jobs/{job}/priority", post(jobs::priority))
        .route("/v1/jobs/{job}/extend", post(jobs::extend))
        .route("/v1/jobs/{job}/keep", post(retention::keep_job))
        .route("/v1/jobs/{job}/outputs", get(jobs::outputs))
        .route("/v1/jobs/{job}/logs/{frame}", get(logs::log))
        .route("/v1/jobs/{job}/frames/{frame}/preview", get(previews::preview))
        .route("/v1/store", get(store::overview))
        .route("/v1/store/held", get(held::here))
        .route("/v1/store/add", post(adding::add))
        .route("/v1/store/has", post(store::has))
        .route("/v1/store/collect", post(upkeep::collect))
        .route("/v1/store/scrub", post(upkeep::scrub))
        .route("/v1/store/pins/{blob}", post(upkeep::pin).delete(upkeep::unpin))
        .route("/v1/blobs/{blob}", get(store::blob))
        .fallback(|| async { ApiError::new(Code::NotFound, "there is nothing at this path") })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&node), forward::to_peer))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::map_response(as_document))
        .with_state(node)
}
