//! As much of HTTP as it takes to ask a node's API on loopback.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// How long a node may take to answer: one that is being killed doesn't.
const PATIENCE: Duration = Duration::from_secs(2);

/// The document at `path` of the API of the daemon in `home`; none where it doesn't answer, or
/// answers with an error.
pub(crate) fn get(home: &Path, path: &str) -> Option<Value> {
    let (head, body) = fetch(home, path)?;
    let body = head.starts_with("HTTP/1.1 200 ").then_some(body)?;
    serde_json::from_slice(&body).ok()
}

/// The head and the body that are answered for `path`; none where nobody answers.
pub(crate) fn fetch(home: &Path, path: &str) -> Option<(String, Vec<u8>)> {
    let address = std::fs::read_to_string(home.join("api.address")).ok()?;
    let token = std::fs::read_to_string(home.join("api.token")).ok()?;
    let address: SocketAddr = address.trim().parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        token.trim()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).ok()?;
    Some((head, answer.split_off(end + 4)))
}
