//! Asking a node: the local daemon, another node through it, or another node directly.

mod handed_in;
mod resumed;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio_util::compat::FuturesAsyncReadCompatExt;
use tokio_util::io::StreamReader;
use weft_protocol::fact::{Body as FactBody, Delivery, Fact};
use weft_protocol::ids::NodeId;
use weft_protocol::settings::Profile;
use weft_store::Store;

use crate::api::connect_local;
use crate::config::Config;
use crate::error::{ApiError, Code};
use crate::home::{Home, Membership};
use crate::network::gate::Gate;
use crate::network::swarm::SwarmNews;
use crate::network::{API, Network, News, Setup};
use crate::submit::{self, Offered, SubmitRequest};
use crate::transfer::{self, Traffic};

/// How long another node may take to let this one in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// After how long without an answer a node is asked whether it is there at all. Much of what is asked takes long, and
/// a daemon that was stopped still has its connections taken by the system.
const QUIET: Duration = Duration::from_secs(5);
/// How long the answer to that may take, on a machine all of whose cores render.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest line of a streamed answer, in bytes.
const MAX_LINE: usize = 256 << 20;

/// A way to a node.
pub struct Client {
    home: Home,
    way: Way,
}

enum Way {
    /// The daemon of this home, for itself or for a peer that it names.
    Local(Option<String>),
    /// A node that was connected to with this home's certificate.
    Direct(Box<Direct>),
}

/// No node could be asked.
pub type ConnectError = ApiError;

/// A connection of this process's own.
struct Direct {
    network: Network,
    node: NodeId,
    membership: Membership,
}

fn unreachable(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::Unreachable, message)
}

impl Client {
    /// The daemon of a home.
    ///
    /// # Errors
    /// When none runs.
    pub async fn local(home: &Home) -> Result<Self, ConnectError> {
        let client = Self { home: home.clone(), way: Way::Local(None) };
        if connect_local(home).await.is_ok() {
            return Ok(client);
        }
        Err(match home.membership() {
            Err(error) => ApiError::new(Code::Refused, error.to_string()),
            Ok(_) => unreachable(format!("no node is running on {}", home.path().display()))
                .hint("Start it with `weft up`, or name another node with --peer."),
        })
    }

    /// Another node, by name or address where this home's daemon runs, by address where not.
    ///
    /// # Errors
    /// When it can't be reached, or doesn't let this one in.
    pub async fn peer(home: &Home, peer: &str) -> Result<Self, ConnectError> {
        if connect_local(home).await.is_ok() {
            return Ok(Self { home: home.clone(), way: Way::Local(Some(peer.to_owned())) });
        }
        let membership =
            home.membership().map_err(|error| ApiError::new(Code::Refused, error.to_string()))?;
        let address = crate::addresses::multiaddress(peer).ok_or_else(|| {
            ApiError::new(Code::Invalid, format!("'{peer}' is not an address of the form IP:PORT"))
                .hint("Names of nodes can be used where a node runs on this machine.")
        })?;
        let (network, node) = connect(&membership, address, peer).await?;
        let direct = Box::new(Direct { network, node, membership });
        Ok(Self { home: home.clone(), way: Way::Direct(direct) })
    }

    /// Whether a daemon runs on this machine's home.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self.way, Way::Local(_))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<hyper::Response<Incoming>, ApiError> {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/v1/{path}") };
        let mut request = Request::builder().method(method).uri(path).header("host", "weft");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Way::Local(Some(peer)) = &self.way {
            request = request.header(crate::api::PEER_HEADER, peer);
        }
        let bytes = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = request
            .body(Body::from(bytes))
            .map_err(|error| ApiError::new(Code::Invalid, error.to_string()))?;
        let lost = |error: &dyn std::fmt::Display| {
            unreachable(format!("the node can't be asked: {error}"))
                .hint("Is it still running? What was acknowledged before is safe.")
        };
        let answer = self.exchange(request);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer.map_err(|error| lost(&error)),
                () = tokio::time::sleep(QUIET) => if !self.is_there().await {
                    return Err(unreachable("the node took the question, and does not answer")
                        .hint("It may have been stopped, or hang. What was acknowledged before is safe; whether this was done is not known."));
                },
            }
        }
    }

    /// Whether the node answers at all, whatever that is.
    async fn is_there(&self) -> bool {
        let request = Request::builder().uri("/v1/").header("host", "weft").body(Body::empty());
        let Ok(request) = request else { return true };
        tokio::time::timeout(PATIENCE, self.exchange(request)).await.is_ok()
    }

    async fn exchange(
        &self,
        request: Request<Body>,
    ) -> Result<hyper::Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
        match &self.way {
            Way::Local(_) => {
                let stream = connect_local(&self.home).await?;
                Ok(exchange(TokioIo::new(stream), request).await?)
            }
            Way::Direct(direct) => {
                let Direct { network, node, .. } = direct.as_ref();
                let stream = network.open(node, API).await?;
                Ok(exchange(TokioIo::new(stream.compat()), request).await?)
            }
        }
    }

    /// Asks, and takes a JSON document.
    ///
    /// # Errors
    /// What the node says, or that it can't be asked.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ApiError> {
        let response = self.send(method, path, body.as_ref()).await?;
        let ok = response.status().is_success();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| unreachable(format!("the node's answer broke off: {error}")))?
            .to_bytes();
        let document: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let text = String::from_utf8_lossy(&bytes).chars().take(200).collect::<String>();
            ApiError::new(Code::Invalid, format!("the node did not take the request: {text}"))
        })?;
        if ok { Ok(document) } else { Err(read_error(&document)) }
    }

    /// Asks, and takes JSON documents, a line each.
    ///
    /// # Errors
    /// What the node says, or that it can't be asked.
    pub async fn lines(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Lines, ApiError> {
        let response = self.send(method, path, body.as_ref()).await?;
        if !response.status().is_success() {
            let bytes = response.into_body().collect().await.map(|body| body.to_bytes());
            let document = serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default();
            return Err(read_error(&document));
        }
        Ok(Lines { body: response.into_body(), buffer: Vec::new() })
    }

    /// Asks, and takes bytes.
    ///
    /// # Errors
    /// What the node says, or that it can't be asked.
    pub async fn bytes(&self, path: &str) -> Result<impl AsyncRead + Send + Unpin, ApiError> {
        let response = self.send("GET", path, None).await?;
        if !response.status().is_success() {
            let bytes = response.into_body().collect().await.map(|body| body.to_bytes());
            let document = serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default();
            return Err(read_error(&document));
        }
        let stream = response.into_body().into_data_stream();
        Ok(StreamReader::new(stream.map(|piece| piece.map_err(std::io::Error::other))))
    }

    /// Submits a scene of this machine. Where no daemon runs here, its files are taken into this
    /// home's store, the job is signed with this home's key, and the other node fetches from here.
    ///
    /// # Errors
    /// When it can't be submitted.
    pub async fn submit(
        &self,
        request: Value,
        progress: &mut (dyn FnMut(&Value) + Send),
    ) -> Result<Value, ApiError> {
        let Way::Direct(direct) = &self.way else {
            return self.submit_here(request, progress).await;
        };
        let Direct { network, membership, .. } = direct.as_ref();
        let request: SubmitRequest = serde_json::from_value(request)
            .map_err(|error| ApiError::new(Code::Invalid, error.to_string()))?;
        let store = Store::open(&self.home.store())
            .map_err(|error| ApiError::new(Code::Failed, error.to_string()))?;
        let store = Arc::new(store);
        let traffic = Traffic::default();
        tokio::spawn(transfer::serve(network.clone(), Arc::clone(&store), traffic.clone()));
        let config = Config::load(&self.home.config())
            .map_err(|error| ApiError::new(Code::Invalid, error.to_string()))?;
        let offered = self.offered(request.hardware.is_some()).await?;
        let user = std::env::var("USER").unwrap_or_else(|_| "user".to_owned());
        let statement = &membership.chain.leaf.statement;
        let owner = format!("{user}@{}", statement.name);
        let (dry_run, output, keep) = (request.dry_run, request.output.clone(), request.keep);
        let (by, into) = (owner.clone(), Arc::clone(&store));
        let prepare = move |tell: &mut dyn FnMut(submit::Progress)| {
            let (engines, roots) = (&config.engines, &config.shared_roots);
            submit::prepare(&request, &into, engines, roots, &offered, &owner, tell)
        };
        let prepared = handed_in::read(prepare, progress).await?;
        let job = prepared.spec.id();
        let (mut added, mut known) = (prepared.bytes_added, prepared.bytes_already_known);
        let mut answer = if dry_run {
            serde_json::json!({ "job": null, "name": prepared.spec.name, "status": "not submitted", "copies": 0 })
        } else {
            let sign = |body: &FactBody| {
                let fact = Fact::sign(&membership.studio.id, body, &membership.keys);
                data_encoding::HEXLOWER.encode(fact.as_bytes())
            };
            // Who has never run a daemon is known to nobody yet: the certificate goes first.
            let mut facts = vec![
                sign(&FactBody::Certificate(Box::new(membership.chain.clone()))),
                sign(&FactBody::Spec(Box::new(prepared.spec.clone()))),
            ];
            // Whenever a daemon runs on this home it delivers; until then, whoever watches does.
            facts.extend(output.map(|folder| {
                let folder = folder.display().to_string();
                sign(&FactBody::Delivery(Delivery { job, node: statement.subject, folder }))
            }));
            facts.extend(keep.map(|keep| sign(&crate::keep::of_new_job(job, by, keep))));
            let body = serde_json::json!({ "facts": facts });
            let sending = self.to_send(&store, &prepared).await?;
            let handed_in = self.request("POST", "jobs/signed", Some(body));
            let answer = handed_in::send(handed_in, sending, &traffic, progress).await?;
            // What is in this home's store tells nobody what travelled.
            (added, known) = sending.came_to(traffic.given());
            answer
        };
        answer["bytes_added"] = added.into();
        answer["bytes_already_known"] = known.into();
        answer["frames"] = prepared.frames.clone().into();
        answer["files"] = prepared.files.into();
        answer["warnings"] = prepared.warnings.clone().into();
        Ok(answer)
    }

    async fn offered(&self, profiles: bool) -> Result<Offered, ApiError> {
        let nodes = self.request("GET", "nodes", None).await?;
        let mut offered = Offered::default();
        for node in nodes.as_array().into_iter().flatten() {
            for (engine, version) in node["engines"].as_object().into_iter().flatten() {
                let version = version.as_str().unwrap_or_default().to_owned();
                offered.engines.entry(engine.clone()).or_default().insert(version);
            }
        }
        if profiles {
            let profiles = self.request("GET", "profiles", None).await?;
            let profiles = profiles.as_array().into_iter().flatten();
            offered.profiles.extend(profiles.filter_map(read_profile));
        }
        Ok(offered)
    }
}

/// A profile from a node's document of it; its price is of no account here.
fn read_profile(document: &Value) -> Option<(String, Profile)> {
    let number = |key: &str| u32::try_from(document[key].as_u64()?).ok();
    let profile = Profile {
        ram: submit::bytes_of(document["ram"].as_f64()?)?,
        cores: number("cores")?,
        gpus: number("gpus")?,
        gpu_model: document["gpu_model"].as_str()?.to_owned(),
        price: 0,
    };
    Some((document["name"].as_str()?.to_owned(), profile))
}

/// The result at the end of a stream of progress.
///
/// # Errors
/// What the node says, or that the stream broke off.
pub async fn result_of(
    mut lines: Lines,
    progress: &mut (dyn FnMut(&Value) + Send),
) -> Result<Value, ApiError> {
    while let Some(mut line) = lines.next().await? {
        if line.get("result").is_some() {
            return Ok(line["result"].take());
        }
        if line.get("error").is_some() {
            return Err(read_error(&line));
        }
        progress(&line["progress"]);
    }
    Err(unreachable("the node's answer broke off: whether it was done is not known")
        .hint("Is the node still running? What it has acknowledged is safe."))
}

async fn exchange<S>(
    stream: S,
    request: Request<Body>,
) -> Result<hyper::Response<Incoming>, hyper::Error>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

fn read_error(document: &Value) -> ApiError {
    serde_json::from_value(document["error"].clone()).unwrap_or_else(|_| {
        ApiError::new(Code::Failed, format!("the node answered what can't be read: {document}"))
    })
}

async fn connect(
    membership: &Membership,
    address: libp2p::Multiaddr,
    text: &str,
) -> Result<(Network, NodeId), ApiError> {
    let keys = libp2p::identity::Keypair::ed25519_from_bytes(membership.keys.secret())
        .map_err(|error| ApiError::new(Code::Failed, error.to_string()))?;
    let gate = Gate::member(&keys, membership.chain.clone(), None)
        .map_err(|error| ApiError::new(Code::Failed, error.to_string()))?;
    let me = membership.keys.public();
    let studio = membership.studio.id;
    let setup = Setup { keys, gate: gate.clone(), studio, listen: Vec::new(), full: false };
    let (network, mut news) = Network::start(me, setup)
        .map_err(|error| ApiError::new(Code::Failed, error.to_string()))?;
    network.dial(None, vec![address]);
    let connected = async {
        while let Some(told) = news.recv().await {
            if let News::Swarm(SwarmNews::Connected(chain)) = told {
                return Some(chain.leaf.statement.subject);
            }
        }
        None
    };
    let refused = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if let Some(why) = gate.refusals().into_values().next() {
                return why;
            }
        }
    };
    tokio::select! {
        connected = tokio::time::timeout(CONNECT_TIMEOUT, connected) => match connected {
            Ok(Some(node)) => {
                // Whatever else happens on this connection is nobody's business here.
                tokio::spawn(async move { while news.recv().await.is_some() {} });
                Ok((network, node))
            }
            _ => Err(unreachable(format!("no node answers at {text}"))
                .hint("Is `weft up` running there, and is the address right? `weft status` there shows it.")),
        },
        why = refused => Err(ApiError::new(
            Code::Refused,
            format!("the node at {text} does not let this machine in: {why}"),
        )),
    }
}

/// Documents that come a line each.
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next document; none at the end.
    ///
    /// # Errors
    /// When the answer breaks off, or is no JSON.
    pub async fn next(&mut self) -> Result<Option<Value>, ApiError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let document = serde_json::from_slice(&line).map_err(|error| {
                    ApiError::new(Code::Failed, format!("the node's answer can't be read: {error}"))
                })?;
                return Ok(Some(document));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(unreachable(format!("the node's answer broke off: {error}")));
                }
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if self.buffer.len() + data.len() > MAX_LINE {
                        let why = "the node's answer has a line that is too long";
                        return Err(ApiError::new(Code::Failed, why));
                    }
                    self.buffer.extend_from_slice(&data);
                }
            }
        }
    }
}
