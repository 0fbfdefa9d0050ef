//! The demo's nodes: a home and a process each, in a folder that goes with them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use weft_node::home::Home;

use super::report;
use crate::client::{Client, segment};
use crate::document::{self, Job};
use crate::error::Failure;

/// How often the nodes are looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(50);
/// How long a node may take to start: it probes the renderers that are installed.
const START: Duration = Duration::from_secs(30);
/// How long the nodes may take to find each other and a leader.
const ELECTION: Duration = Duration::from_secs(30);
/// How long a node may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How much of a log is shown when something goes wrong, in bytes.
const TAIL: usize = 2000;

/// The nodes.
pub(super) struct Farm {
    folder: TempDir,
    keep: bool,
    members: Vec<Member>,
}

/// One node.
pub(super) struct Member {
    pub(super) name: String,
    home: Home,
    child: Child,
}

/// Who leads.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    pub(super) name: String,
    pub(super) term: u64,
}

/// A farm that goes on.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) folder: PathBuf,
    /// The homes, that of the founder first.
    pub(super) homes: Vec<PathBuf>,
    /// The nodes' processes.
    pub(super) processes: Vec<u32>,
}

impl Member {
    /// A way to it.
    pub(super) async fn client(&self) -> Result<Client, Failure> {
        Client::connect(&self.home, None).await
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    fn log(&self) -> PathBuf {
        self.home.path().with_extension("log")
    }
}

impl Farm {
    /// No nodes yet; with `keep`, those that are started outlive this process.
    pub(super) fn new(keep: bool) -> Result<Self, Failure> {
        // Local sockets have short paths only: no deep folders.
        let folder = tempfile::Builder::new().prefix("weft-demo-").tempdir();
        let folder = folder.map_err(|error| {
            Failure::failed(format!("there is no place for the demo's nodes: {error}."))
        })?;
        Ok(Self { folder, keep, members: Vec::new() })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The node that founded the studio.
    pub(super) fn first(&self) -> Result<&Member, Failure> {
        self.members.first().ok_or_else(|| Failure::failed("the demo has no node."))
    }

    /// Founds a studio, starts its first node, lets the others in and starts them.
    pub(super) async fn start(&mut self, count: u16) -> Result<(), Failure> {
        let home = |number: u16| {
            let name = format!("node-{number}");
            (Home::at(&self.folder.path().join(&name)), name)
        };
        let (first, name) = home(1);
        let others: Vec<(Home, String)> = (2..=count).map(home).collect();
        weft_node::setup::init(&first, "demo", Some(&name))?;
        self.spawn(first, name)?;
        let client = self.wait_for_start(0).await?;
        if others.is_empty() {
            return Ok(());
        }
        let invite = json!({ "role": "worker", "ttl_seconds": 600, "uses": others.len() });
        let invite = client.post("invites", Some(invite)).await?;
        let code = invite["code"].as_str().unwrap_or_default().to_owned();
        let mut joining = JoinSet::new();
        for (home, name) in &others {
            let (home, name, code) = (home.clone(), name.clone(), code.clone());
            joining.spawn(async move { weft_node::setup::join(&home, &code, Some(&name)).await });
        }
        while let Some(joined) = joining.join_next().await {
            joined
                .map_err(|error| Failure::failed(format!("a node could not join: {error}.")))??;
        }
        for (home, name) in others {
            self.spawn(home, name)?;
        }
        for at in 1..self.members.len() {
            self.wait_for_start(at).await?;
        }
        Ok(())
    }

    fn spawn(&mut self, home: Home, name: String) -> Result<(), Failure> {
        let cannot = |error: std::io::Error| {
            Failure::failed(format!("the demo's node '{name}' can't be started: {error}."))
        };
        let weft = std::env::current_exe().map_err(cannot)?;
        let log = File::create(home.path().with_extension("log")).map_err(cannot)?;
        let mut command = Command::new(weft);
        command
            .args(["up", "--listen", "127.0.0.1:0"])
            .env("WEFT_HOME", home.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Should this process end in a way that it doesn't foresee.
            .kill_on_drop(!self.keep);
        // Ctrl-C is for this process; it ends the nodes in order.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(cannot)?;
        self.members.push(Member { name, home, child });
        Ok(())
    }

    /// Waits until a node answers, and can be reached.
    async fn wait_for_start(&mut self, at: usize) -> Result<Client, Failure> {
        let begun = Instant::now();
        loop {
            let member = &mut self.members[at];
            if let Ok(Some(status)) = member.child.try_wait() {
                return Err(Failure::failed(format!(
                    "the demo's node '{}' ended ({status}).{}",
                    member.name,
                    tail(&member.log())
                )));
            }
            // An invite names the addresses, which the system gives a moment later.
            if let Ok(client) = member.client().await
                && let Ok(status) = client.get("status").await
                && status["addresses"].as_array().is_some_and(|at| !at.is_empty())
            {
                return Ok(client);
            }
            if begun.elapsed() > START {
                return Err(Failure::failed(format!(
                    "the demo's node '{}' does not answer.{}",
                    member.name,
                    tail(&member.log())
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until all nodes see each other and follow the same leader.
    pub(super) async fn wait_for_leader(&self) -> Result<Leader, Failure> {
        let begun = Instant::now();
        let mut clients = Vec::with_capacity(self.members.len());
        for member in &self.members {
            clients.push(member.client().await?);
        }
        loop {
            if let Some(leader) = agreed(&clients).await? {
                return Ok(leader);
            }
            if begun.elapsed() > ELECTION {
                return Err(Failure::failed(format!(
                    "the demo's nodes did not agree on a leader in time.{}",
                    self.logs()
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Writes the scene, apart from any node's home.
    pub(super) fn write_scene(&self, scene: &str) -> Result<PathBuf, Failure> {
        let file = self.folder.path().join("scene").join("demo.weft");
        let folder = file.parent().unwrap_or(self.folder.path());
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, scene));
        written
            .map_err(|error| Failure::failed(format!("the scene can't be written: {error}.")))?;
        Ok(file)
    }

    /// What each node did for a job.
    pub(super) async fn report(&self, job: &Job) -> Result<Vec<report::Node>, Failure> {
        let mut nodes = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let client = member.client().await?;
            let status = client.get("status").await?;
            let id = status["node"].as_str().unwrap_or_default();
            // Each knows best what it sent and received itself.
            let document = client.get(&format!("nodes/{}", segment(id))).await?;
            let node: document::Node = document::read(&document)?;
            let led = status["leader"] == status["node"];
            nodes.push(report::Node::new(job, &node, led.then(|| term(&status))));
        }
        Ok(nodes)
    }

    /// The ends of the nodes' logs.
    pub(super) fn logs(&self) -> String {
        self.members.iter().map(|member| tail(&member.log())).collect()
    }

    /// Ends the nodes, and removes their folder.
    pub(super) async fn end(mut self) {
        for member in &mut self.members {
            ask_to_end(&mut member.child);
        }
        for member in &mut self.members {
            if tokio::time::timeout(GRACE, member.child.wait()).await.is_err() {
                // One that is gone already needs no ending.
                _ = member.child.kill().await;
            }
        }
        // A folder that can't be removed lies in the system's place for what is temporary.
        _ = self.folder.close();
    }

    /// Lets the nodes go on, in their folder.
    pub(super) fn leave(self) -> Kept {
        Kept {
            homes: self.members.iter().map(|member| member.home.path().to_owned()).collect(),
            processes: self.members.iter().filter_map(|member| member.child.id()).collect(),
            folder: self.folder.keep(),
        }
    }
}

/// Asks a node to end, as the system does when it shuts down.
fn ask_to_end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(pid) =
        child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
    {
        // It was not waited for yet, so that the id still means this very process.
        _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    #[cfg(not(unix))]
    {
        // There is no gentler way: the node is built to be ended at any moment.
        _ = child.start_kill();
    }
}

fn term(status: &Value) -> u64 {
    status["term"].as_u64().unwrap_or(0)
}

/// The leader that all follow, once all see each other.
async fn agreed(clients: &[Client]) -> Result<Option<Leader>, Failure> {
    let mut leaders = Vec::with_capacity(clients.len());
    for client in clients {
        let status = client.get("status").await?;
        let leader = status["leader"].as_str().map(str::to_owned);
        let sees_all = status["peers"].as_u64().is_some_and(|p| p + 1 >= clients.len() as u64);
        match leader {
            Some(leader) if sees_all => leaders.push((leader, term(&status))),
            _ => return Ok(None),
        }
    }
    let Some((leader, term)) = leaders.pop() else { return Ok(None) };
    if leaders.iter().any(|other| *other != (leader.clone(), term)) {
        return Ok(None);
    }
    let Some(client) = clients.first() else { return Ok(None) };
    let document = client.get("nodes").await?;
    let nodes: Vec<document::Node> = document::read(&document)?;
    let alive = nodes.iter().filter(|node| node.alive).count();
    let name = nodes.iter().find(|node| node.node == leader).map(|node| node.name.clone());
    Ok(name.filter(|_| alive >= clients.len()).map(|name| Leader { name, term }))
}

/// The end of a log, below what is told already.
fn tail(log: &Path) -> String {
    let Ok(bytes) = std::fs::read(log) else { return String::new() };
    let end = &bytes[bytes.len().saturating_sub(TAIL)..];
    let text = String::from_utf8_lossy(end);
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    match text.trim() {
        "" => format!("\n{name} is empty."),
        text => format!("\nThe end of {name}:\n{text}"),
    }
}
