//! Answers that come piece by piece, while somebody works on them.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender};

/// A piece of an answer, or what cut it off.
type Piece = Result<Bytes, std::io::Error>;
/// Where whoever works on an answer sends its pieces.
pub(super) type Pieces = Sender<Piece>;

/// The two ends of an answer: whoever sends waits while `ahead` pieces are unread.
pub(super) fn channel(ahead: usize) -> (Pieces, Receiver<Piece>) {
    tokio::sync::mpsc::channel(ahead)
}

/// The pieces as a body.
pub(super) fn body(pieces: Receiver<Piece>) -> Body {
    Body::from_stream(futures::stream::unfold(pieces, |mut pieces| async move {
        pieces.recv().await.map(|piece| (piece, pieces))
    }))
}

/// A document as a line.
pub(super) fn line(document: &Value) -> Piece {
    Ok(format!("{document}\n").into())
}

/// The pieces as lines, each one JSON document.
pub(super) fn lines(pieces: Receiver<Piece>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body(pieces)).into_response()
}
