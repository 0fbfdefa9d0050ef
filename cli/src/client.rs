//! The one place that speaks to nodes.

use serde_json::Value;
use tokio::io::AsyncRead;
use weft_node::client::{Client as NodeClient, result_of};
use weft_node::home::Home;

use crate::error::Failure;

/// A way to a node.
pub(crate) struct Client {
    inner: NodeClient,
}

/// Documents that come one after the other.
pub(crate) struct Lines {
    inner: weft_node::client::Lines,
}

impl Client {
    /// The node that was named, or the one on this machine.
    pub(crate) async fn connect(home: &Home, peer: Option<&str>) -> Result<Self, Failure> {
        let inner = match peer {
            Some(peer) => NodeClient::peer(home, peer).await?,
            None => NodeClient::local(home).await?,
        };
        Ok(Self { inner })
    }

    /// Whether a node runs on this machine's home, which brings what is delivered here.
    pub(crate) fn node_runs_here(&self) -> bool {
        self.inner.is_local()
    }

    /// Asks for a document.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.inner.request("GET", path, None).await?)
    }

    /// Asks for something to be done.
    pub(crate) async fn post(&self, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        Ok(self.inner.request("POST", path, body).await?)
    }

    /// Asks for something to be removed.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.inner.request("DELETE", path, None).await?)
    }

    /// Asks for documents that come one after the other.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        Ok(Lines { inner: self.inner.lines("GET", path, None).await? })
    }

    /// Asks for bytes.
    pub(crate) async fn bytes(&self, path: &str) -> Result<impl AsyncRead + Send + Unpin, Failure> {
        Ok(self.inner.bytes(path).await?)
    }

    /// Asks for something that takes a while and tells how far it is.
    pub(crate) async fn post_with_progress(
        &self,
        path: &str,
        body: Value,
        progress: &mut (dyn FnMut(&Value) + Send),
    ) -> Result<Value, Failure> {
        Ok(result_of(self.inner.lines("POST", path, Some(body)).await?, progress).await?)
    }

    /// Submits a job.
    pub(crate) async fn submit(
        &self,
        request: Value,
        progress: &mut (dyn FnMut(&Value) + Send),
    ) -> Result<Value, Failure> {
        Ok(self.inner.submit(request, progress).await?)
    }
}

impl Lines {
    /// The next document; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        Ok(self.inner.next().await?)
    }
}

/// A piece of a path: names of jobs may have anything in them. RFC 3986's unreserved characters
/// stay as they are.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            segment.push(char::from(byte));
        } else if byte == b'.' && !matches!(text, "." | "..") {
            segment.push('.');
        } else {
            // Writing to a string can't fail.
            _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn names_with_anything_in_them_stay_one_piece_of_a_path() {
        assert_eq!(segment("shot_010-v2.final"), "shot_010-v2.final");
        assert_eq!(segment("a b/c?d#e%"), "a%20b%2Fc%3Fd%23e%25");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("é"), "%C3%A9");
    }
}
