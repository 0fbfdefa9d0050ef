//! One node of a farm: a home, and the process that runs on it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::call::{Call, Output, Running};
use crate::{http, wait_for, weft_binary};

/// How long a node may take to end once it was asked to: its engines get three seconds, and it
/// waits a little longer for their guards.
const END: Duration = Duration::from_secs(30);
/// How long a daemon may take until it answers: longer than a renderer may take to say its version.
const START: Duration = Duration::from_secs(90);

/// A node.
#[derive(Debug)]
pub struct Node {
    name: String,
    home: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// The node `name`, whose home will be in `folder`.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let home = folder.join(name);
        Self { name: name.to_owned(), log: home.with_extension("log"), home, child: None }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `WEFT_HOME`.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What its daemons wrote to their standard error.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether a daemon was started here, and neither killed nor stopped.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// The id of its daemon's process.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.as_ref().unwrap_or_else(|| panic!("{} is down", self.name)).id()
    }

    /// `weft ARGS`, to be completed and called.
    #[must_use]
    pub fn call(&self, args: &[&str]) -> Call {
        Call::new(&self.home, args)
    }

    /// Calls `weft ARGS`, and waits for the end.
    ///
    /// # Panics
    /// When it can't be started, or doesn't end within a minute.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        self.call(args).run()
    }

    /// Calls `weft ARGS --json`, which must succeed, and gives the document that it prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn ask(&self, args: &[&str]) -> Value {
        self.call(args).arg("--json").run().ok().json()
    }

    /// Calls `weft ARGS`, and leaves it running.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start_call(&self, args: &[&str]) -> Running {
        self.call(args).start()
    }

    /// The head and the body of what its API on loopback answers for `path`; none where it doesn't.
    #[must_use]
    pub fn fetch(&self, path: &str) -> Option<(String, Vec<u8>)> {
        http::fetch(self.home(), path)
    }

    /// The document at a path of its API; none where it doesn't answer.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Value> {
        http::get(&self.home, path)
    }

    /// How many bytes of chunks it has sent since it started.
    ///
    /// # Panics
    /// When it doesn't answer.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        let own =
            |nodes: Value| nodes.as_array()?.iter().find_map(|node| node["bytes_sent"].as_u64());
        wait_for(Duration::from_secs(60), "a node tells what it sent", || {
            self.get("/v1/nodes").and_then(own)
        })
    }

    /// Which of these files its store has as a whole, by their numbers from 0.
    ///
    /// # Panics
    /// When it doesn't answer, or they can't be read.
    #[must_use]
    pub fn has_files(&self, files: &[PathBuf]) -> Vec<usize> {
        let hash =
            |file: &PathBuf| weft_store::hash_file(file).expect("a file that can be read").md5;
        let hashes: Vec<String> = files.iter().map(hash).collect();
        let asked: Vec<&str> = hashes.iter().map(String::as_str).collect();
        let told = self.ask(&[&["has"][..], &asked].concat());
        let missing = told["missing"].as_array().expect("what is missing");
        let is_missing = |hash: &str| missing.iter().any(|other| other == hash);
        (0..files.len()).filter(|number| !is_missing(&hashes[*number])).collect()
    }

    /// Its node id.
    ///
    /// # Panics
    /// When it doesn't answer.
    #[must_use]
    pub fn id(&self) -> String {
        let status = wait_for(Duration::from_secs(60), &format!("{} answers", self.name), || {
            self.get("/v1/status")
        });
        status["node"].as_str().expect("a status names its node").to_owned()
    }

    /// `IP:PORT`, where others reach it.
    ///
    /// # Panics
    /// When it was never up.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port().expect("it was up"))
    }

    fn port(&self) -> Option<u16> {
        std::fs::read_to_string(self.home.join("port")).ok()?.trim().parse().ok()
    }

    /// Starts its daemon, on the port that it had last, and doesn't wait for it.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "{} is up already", self.name);
        // What an earlier daemon left would be taken for this one's.
        _ = std::fs::remove_file(self.home.join("api.address"));
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("a node's log can be written");
        let mut command = Command::new(weft_binary());
        command
            .args(["up", "--name", &self.name])
            .args(["--listen", &format!("127.0.0.1:{}", self.port().unwrap_or(0))])
            .env("WEFT_HOME", &self.home)
            .env("NO_COLOR", "1")
            .env_remove("WEFT_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(level) = std::env::var_os("WEFT_TEST_LOG") {
            command.env("WEFT_LOG", level);
        }
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}", self.name)));
    }

    /// Waits until its daemon answers.
    pub(crate) fn wait_until_up(&mut self) {
        let what = format!("{} answers", self.name);
        wait_for(START, &what, || {
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!("{} ended with {status}", self.name);
            }
            self.get("/v1/status")
        });
    }

    /// Ends its daemon as a crash does: at once, without a word.
    pub(crate) fn kill9(&mut self) {
        let mut child = self.child.take().unwrap_or_else(|| panic!("{} is down", self.name));
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    }

    /// Makes its daemon stand still, as a machine that sleeps does, or go on.
    #[cfg(unix)]
    pub(crate) fn stand_still(&self, still: bool) {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} is down", self.name));
        signal(child, if still { Signal::STOP } else { Signal::CONT });
    }

    /// Asks its daemon to end.
    pub(crate) fn ask_to_end(&mut self) {
        if let Some(child) = &mut self.child {
            ask_to_end(child);
        }
    }

    /// Waits for the end of a daemon that was asked to; says whether it ended by itself in time.
    pub(crate) fn wait_until_down(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return true };
        let begun = std::time::Instant::now();
        while begun.elapsed() < END {
            if !matches!(child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(crate::LOOK);
        }
        _ = child.kill();
        _ = child.wait();
        false
    }
}

#[cfg(unix)]
fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It was not waited for yet, so that the id still means this very process.
        _ = kill_process(pid, signal);
    }
}

#[cfg(unix)]
fn ask_to_end(child: &Child) {
    signal(child, Signal::TERM);
    // One that stands still hears nothing.
    signal(child, Signal::CONT);
}

#[cfg(not(unix))]
fn ask_to_end(child: &mut Child) {
    // There is no gentler way.
    _ = child.kill();
}
