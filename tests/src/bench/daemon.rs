//! Daemons of one studio, each with a home, on this machine or in a network namespace.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{wait_for, weft_binary};
use serde_json::Value;

/// A node's home, and the daemon that runs on it.
#[derive(Debug)]
pub struct Daemon {
    home: PathBuf,
    /// The namespace that it runs in, and its address there.
    namespace: Option<String>,
    address: String,
    child: Option<Child>,
    /// Whether it logs more than usual.
    verbose: bool,
    /// The binary that it runs, where it is another than the one under test.
    binary: Option<PathBuf>,
    /// What is set for its processes.
    environment: Vec<(String, String)>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Daemon {
    /// A node that listens on a port of this machine that the system chooses.
    #[must_use]
    pub fn local(folder: &Path, name: &str) -> Self {
        Self::new(folder, name, None, "127.0.0.1")
    }

    /// A node in a network namespace that has this address.
    #[must_use]
    pub fn within(folder: &Path, name: &str, namespace: &str, address: &str) -> Self {
        Self::new(folder, name, Some(namespace), address)
    }

    fn new(folder: &Path, name: &str, namespace: Option<&str>, address: &str) -> Self {
        Self {
            home: folder.join(name),
            namespace: namespace.map(str::to_owned),
            address: address.to_owned(),
            child: None,
            verbose: false,
            binary: None,
            environment: Vec::new(),
        }
    }

    /// Runs another binary from its next start on, or again the one under test.
    pub fn run_binary(&mut self, binary: Option<&Path>) {
        self.binary = binary.map(Path::to_owned);
    }

    /// Sets a variable for its processes, from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The same, with a log that tells when engines are started.
    #[must_use]
    pub fn logging(mut self) -> Self {
        self.verbose = true;
        self
    }

    /// Its home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Adds tables to its `weft.toml`, before it is started.
    ///
    /// # Panics
    /// When its home can't be written.
    pub fn configure(&self, tables: &str) {
        std::fs::create_dir_all(&self.home).expect("homes can be made");
        std::fs::write(self.home.join("weft.toml"), tables).expect("homes can be written");
    }

    /// The engines of the tests, which note in `marks` what they start.
    pub fn with_scripts(&self, marks: &Path) {
        self.configure(&crate::engines::tables(&self.name(), marks));
    }

    /// Its name: that of its home's folder.
    #[must_use]
    pub fn name(&self) -> String {
        self.home.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What its daemon has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.with_extension("log")).unwrap_or_default()
    }

    /// The id of its daemon's process.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn command(&self, args: &[&str]) -> Command {
        let binary = self.binary.as_deref().unwrap_or_else(|| weft_binary());
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(args).env("WEFT_HOME", &self.home).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Calls `weft ARGS`, which must succeed, and gives what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn call(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("weft can be started");
        assert!(
            output.status.success(),
            "weft {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts `weft ARGS`, and leaves it running.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start_call(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("weft can be started")
    }

    /// Calls `weft ARGS`, which must print a document.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.call(args)).expect("it prints a document")
    }

    /// Starts its daemon, and waits until it answers.
    ///
    /// # Panics
    /// When it doesn't.
    pub fn start(&mut self) {
        std::fs::create_dir_all(&self.home).expect("homes can be made");
        let log = File::options().create(true).append(true).open(self.home.with_extension("log"));
        let port = std::fs::read_to_string(self.home.join("port")).unwrap_or_default();
        let port = port.trim().parse().unwrap_or(0_u16);
        let listen = format!("{}:{port}", self.address);
        let name = self.name();
        _ = std::fs::remove_file(self.home.join("api.address"));
        let mut command = self.command(&["up", "--name", &name, "--listen", &listen]);
        command.stdout(Stdio::null()).stderr(log.expect("logs can be written"));
        if self.verbose {
            command.env("WEFT_LOG", "info,weft_node::render=debug");
        }
        self.child = Some(command.spawn().expect("weft can be started"));
        wait_for(Duration::from_secs(30), &format!("{name} answers"), || {
            let mut status = self.command(&["status"]);
            status.stdout(Stdio::null()).stderr(Stdio::null());
            status.status().is_ok_and(|status| status.success()).then_some(())
        });
    }

    /// Calls `weft ARGS`, and gives the document that it prints; none where it fails.
    #[must_use]
    pub fn try_json(&self, args: &[&str]) -> Option<Value> {
        let output = self.command(args).stderr(Stdio::null()).output().ok()?;
        serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())
    }

    /// Whether a daemon was started here, and not ended.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Ends its daemon at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // `ip netns exec` becomes what it starts: this is the daemon itself.
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// How many bytes of chunks it has sent and received, on the wire.
    ///
    /// # Panics
    /// When it doesn't tell.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        let nodes = self.json(&["nodes", "--json"]);
        let own = nodes.as_array().and_then(|nodes| {
            nodes.iter().find_map(|node| {
                Some((node["bytes_sent"].as_u64()?, node["bytes_received"].as_u64()?))
            })
        });
        own.expect("a node tells of its own traffic")
    }

    /// Waits until it sees `count` nodes alive, itself among them.
    pub fn wait_for_nodes(&self, count: usize) {
        wait_for(Duration::from_secs(60), "the nodes see each other", || {
            let nodes = self.json(&["nodes", "--json"]);
            let alive = nodes.as_array()?.iter().filter(|node| node["state"] == "alive");
            (alive.count() == count).then_some(())
        });
    }
}

/// Waits until daemons that were just started have tried what their engines can do, which begins 45 s after a start:
/// a Blender for each of them takes all cores for as long as that lasts.
pub fn settle(daemons: &[Daemon]) {
    std::thread::sleep(Duration::from_secs(60));
    while daemons.iter().filter_map(Daemon::process).any(super::usage::is_parent) {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Founds a studio of these nodes, which are up and see each other then.
///
/// # Panics
/// When that takes too long.
pub fn found(daemons: &mut [Daemon]) {
    for daemon in daemons.iter() {
        std::fs::create_dir_all(&daemon.home).expect("homes can be made");
    }
    daemons[0].call(&["init", "--studio", "Bench"]);
    daemons[0].start();
    let code = daemons[0].call(&["invite", "--uses", &daemons.len().to_string()]);
    for daemon in &mut daemons[1..] {
        daemon.call(&["join", code.trim()]);
        daemon.start();
    }
    for daemon in daemons.iter() {
        daemon.wait_for_nodes(daemons.len());
    }
}

/// Waits for the end of a call that was started, which must succeed, and says how long that took.
///
/// # Panics
/// When it fails.
pub fn finish(call: Child, begun: Instant) -> Duration {
    let output = call.wait_with_output().expect("calls end");
    let took = begun.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    took
}
