//! Who asks, and what they may.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use weft_protocol::ids::NodeId;

use crate::error::{ApiError, Code};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// This machine's user, over the local socket.
    Local,
    /// Whoever holds the token, over loopback.
    Token,
    /// A peer.
    Peer(NodeId),
}

impl Access {
    /// Only this machine's user may name files of this machine or speak in this node's name about
    /// who belongs to the studio.
    pub(crate) fn require_user(self, what: &str) -> Result<(), ApiError> {
        match self {
            Self::Local | Self::Token => Ok(()),
            Self::Peer(_) => Err(ApiError::new(
                Code::Refused,
                format!("{what} can be asked only on the machine itself; nothing was changed"),
            )),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let access = parts.extensions.get::<Self>().copied();
        access.ok_or_else(|| ApiError::new(Code::Refused, "nobody is known to ask"))
    }
}

/// What a request over TCP must show: every web page that the user opens can reach loopback.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// The port that is listened on.
    pub(super) port: u16,
    /// The token.
    pub(super) token: String,
}

/// Lets a request over TCP in, or not.
pub(super) async fn check(door: Door, mut request: Request, next: Next) -> Response {
    // Whether the daemon lives is no secret, and what watches it can't know the token.
    let open = request.uri().path() == "/health";
    match refuse(&door, request.headers(), open) {
        Some(why) => {
            ApiError::new(Code::Refused, format!("{why}; nothing was changed")).into_response()
        }
        None => {
            request.extensions_mut().insert(Access::Token);
            next.run(request).await
        }
    }
}

fn refuse(door: &Door, headers: &HeaderMap, open: bool) -> Option<&'static str> {
    let text =
        |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let hosts = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{}", door.port));
    let host = text(header::HOST).unwrap_or("");
    if !hosts.iter().any(|known| known == host) {
        return Some("the Host header does not name this API (a page may be trying to reach it)");
    }
    if let Some(origin) = text(header::ORIGIN)
        && !hosts.iter().any(|host| origin == format!("http://{host}"))
    {
        return Some("requests from other origins are not answered");
    }
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return Some("requests from other sites are not answered");
    }
    let given = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    if !open && !given.is_some_and(|given| same(given.as_bytes(), door.token.as_bytes())) {
        return Some(
            "the token in WEFT_HOME/api.token is needed, as `Authorization: Bearer TOKEN`",
        );
    }
    None
}

/// Compares in a time that does not depend on where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    blake3::hash(a) == blake3::hash(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&str, &str)], open: bool) -> bool {
        let door = Door { port: 7921, token: "secret".into() };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: header::HeaderName = name.parse().unwrap();
            map.insert(name, value.parse().unwrap());
        }
        refuse(&door, &map, open).is_some()
    }

    #[test]
    fn only_who_holds_the_token_and_is_no_foreign_page_gets_in() {
        let host = ("host", "127.0.0.1:7921");
        let token = ("authorization", "Bearer secret");
        assert!(!refused(&[host, token], false));
        assert!(!refused(&[("host", "localhost:7921"), token, ("sec-fetch-site", "none")], false));
        assert!(!refused(&[host, token, ("origin", "http://127.0.0.1:7921")], false));
        assert!(!refused(&[host], true), "/health");
        assert!(refused(&[host], false));
        assert!(refused(&[host, ("authorization", "Bearer secre")], false));
        assert!(refused(&[token], false), "no Host");
        assert!(refused(&[("host", "evil.example:7921"), token], false), "DNS rebinding");
        assert!(refused(&[("host", "127.0.0.1:80"), token], false));
        assert!(refused(&[host, token, ("origin", "http://evil.example")], false));
        assert!(refused(&[host, token, ("sec-fetch-site", "cross-site")], false));
    }
}
