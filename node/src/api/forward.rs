//! Asking another node through this one: `weft --peer NAME` where a daemon runs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio_util::compat::FuturesAsyncReadCompatExt;
use weft_protocol::ids::NodeId;

use super::Access;
use crate::error::{ApiError, Code};
use crate::network::{API, Network};
use crate::shared::Shared;

/// The header that names the node to ask.
pub(crate) const PEER_HEADER: &str = "x-weft-peer";

/// Forwards a local user's request to the node that it names; all others go on here.
pub(super) async fn to_peer(
    State(node): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let local = request.extensions().get::<Access>() == Some(&Access::Local);
    let Some(peer) = request.headers_mut().remove(PEER_HEADER).filter(|_| local) else {
        return next.run(request).await;
    };
    let name = peer.to_str().unwrap_or_default().to_owned();
    match resolve(&node, &name) {
        Err(error) => error.into_response(),
        Ok(peer) if peer == node.me => next.run(request).await,
        Ok(peer) => match forward(&node.network, &peer, request).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        },
    }
}

/// A node by its name, the beginning of its id, or one of its addresses.
pub(super) fn resolve(node: &Shared, text: &str) -> Result<NodeId, ApiError> {
    let machine = node.machine();
    let address = crate::addresses::multiaddress(text).map(|address| address.to_string());
    let fits = |advert: &&weft_protocol::wire::control::Advert| {
        advert.name == text
            || (text.len() >= 4 && advert.node.to_string().starts_with(&text.to_lowercase()))
            || address.as_ref().is_some_and(|address| advert.addresses.contains(address))
    };
    let found: Vec<NodeId> = machine.known().filter(fits).map(|a| a.node).collect();
    match found[..] {
        [node] => Ok(node),
        [] => Err(ApiError::new(Code::Unreachable, format!("no node '{text}' is known here"))
            .hint("`weft nodes` lists those that are.")),
        _ => Err(ApiError::new(Code::Invalid, format!("several nodes are called '{text}'"))
            .hint("Name it by its id; `weft nodes --json` shows it.")),
    }
}

/// Sends a request to a peer over a stream of its own.
pub(crate) async fn forward(
    network: &Network,
    peer: &NodeId,
    request: Request,
) -> Result<Response, ApiError> {
    let unreachable =
        |error: &dyn std::fmt::Display| ApiError::new(Code::Unreachable, error.to_string());
    let stream = network.open(peer, API).await.map_err(|error| unreachable(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream.compat()))
            .await
            .map_err(|error| unreachable(&error))?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    Ok(response.map(Body::new))
}
