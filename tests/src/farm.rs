//! A farm of several nodes on this machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::call::Call;
use crate::events::{self, Event};
use crate::node::Node;
use crate::turn::Turn;
use crate::wait::Patience;
use crate::{SCRIPT_ENDING, demo_scene, engines, wait_for, write_file};

/// How long nodes may take to find each other and a leader.
const AGREEMENT: Duration = Duration::from_secs(60);
/// How long files may take to be where they belong once they are done.
const DELIVERY: Duration = Duration::from_secs(60);
/// How long what a killed daemon was just starting may go on. No other node takes its place sooner: a leader is
/// missed for 900 ms before another is elected, and a worker for longer.
const LAST_WORDS: Duration = Duration::from_millis(800);
/// How much of a node's log is shown when a test fails, in bytes.
const TAIL: usize = 6000;

/// Several nodes of one studio, each with a home and a process. They are ended when it is dropped.
#[derive(Debug)]
pub struct Farm {
    folder: TempDir,
    nodes: Vec<Node>,
    founder: Value,
    _turn: Rc<Turn>,
}

impl Farm {
    /// A studio of `count` nodes that are up, see each other and follow one leader. The first one
    /// founded it and is its admin, the others are workers; each has the engines
    /// `script` and `marked`, which note what they do.
    ///
    /// # Panics
    /// When that takes too long.
    #[must_use]
    pub fn found(count: usize) -> Self {
        Self::configured(count, |_| String::new())
    }

    /// The same, with more for the nodes' `weft.toml`, by the node's number (from 1).
    ///
    /// # Panics
    /// When that takes too long.
    #[must_use]
    pub fn configured(count: usize, more: impl Fn(usize) -> String) -> Self {
        let turn = Turn::wait();
        // Local sockets have short paths only: no deep folders.
        let folder = tempfile::Builder::new().prefix("weft-test-").tempdir();
        let folder = folder.expect("there is room for temporary files");
        let mut farm = Self { folder, nodes: Vec::new(), founder: Value::Null, _turn: turn };
        std::fs::create_dir(farm.marks()).expect("folders can be made");
        for number in 1..=count {
            farm.add(&more(number));
        }
        farm.founder = farm.node(1).ask(&["init", "--studio", "Test Pictures"]);
        farm.start(1);
        if count > 1 {
            let uses = (count - 1).to_string();
            let code = farm.invite(&["--uses", &uses]);
            let joining: Vec<_> = farm.nodes[1..]
                .iter()
                .map(|node| node.start_call(&["join", &code, "--name", node.name()]))
                .collect();
            for joining in joining {
                _ = joining.wait(Duration::from_secs(60)).ok();
            }
            farm.nodes[1..].iter_mut().for_each(Node::start);
            farm.nodes[1..].iter_mut().for_each(Node::wait_until_up);
        }
        farm.leader();
        farm
    }

    /// Adds a node with a home that belongs to no studio yet, with the script engine and `more` in
    /// its `weft.toml`, and gives its number.
    ///
    /// # Panics
    /// When the home can't be written.
    pub fn add(&mut self, more: &str) -> usize {
        let name = format!("node{}", self.nodes.len() + 1);
        let node = Node::new(self.folder.path(), &name);
        let config = format!("{}\n{more}", engines::tables(&name, &self.marks()));
        write_file(node.home().join("weft.toml"), config);
        self.nodes.push(node);
        self.nodes.len()
    }

    /// A code that the first node's admin makes with `weft invite ARGS`.
    ///
    /// # Panics
    /// When it can't be made.
    #[must_use]
    pub fn invite(&self, args: &[&str]) -> String {
        let args: Vec<&str> = std::iter::once("invite").chain(args.iter().copied()).collect();
        self.node(1).run(&args).ok().stdout.trim().to_owned()
    }

    /// What `weft init --json` printed.
    #[must_use]
    pub const fn founder(&self) -> &Value {
        &self.founder
    }

    /// The studio's recovery key.
    ///
    /// # Panics
    /// When `weft init` gave none.
    #[must_use]
    pub fn recovery_key(&self) -> &str {
        self.founder["recovery_key"].as_str().expect("`weft init` prints a recovery key")
    }

    /// A node by its number, from 1.
    #[must_use]
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number - 1]
    }

    /// The numbers of the nodes that are up.
    #[must_use]
    pub fn up(&self) -> Vec<usize> {
        (1..=self.nodes.len()).filter(|number| self.node(*number).is_up()).collect()
    }

    /// The folder around everything; what a test puts there goes with the farm.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A folder that is the same for all nodes, as no real farm has one: for what tests and engines
    /// tell each other.
    #[must_use]
    pub fn marks(&self) -> PathBuf {
        self.folder.path().join("marks")
    }

    fn notes(&self) -> PathBuf {
        self.marks().join("events")
    }

    /// What happened since the farm was founded or [`Farm::forget_starts`] was called.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        events::read(&std::fs::read_to_string(self.notes()).unwrap_or_default())
    }

    /// The names of the nodes that started an engine on a frame, in order, a name a start.
    #[must_use]
    pub fn starts(&self, frame: i64) -> Vec<String> {
        let started = |event| match event {
            Event::Start { frame: of, node } if of == frame => Some(node),
            _ => None,
        };
        self.events().into_iter().filter_map(started).collect()
    }

    /// The frames that engines were started on.
    #[must_use]
    pub fn started(&self) -> BTreeSet<i64> {
        let frame = |event| match event {
            Event::Start { frame, .. } => Some(frame),
            _ => None,
        };
        self.events().into_iter().filter_map(frame).collect()
    }

    /// Forgets what happened so far.
    ///
    /// # Panics
    /// When the notes can't be removed.
    pub fn forget_starts(&self) {
        if self.notes().exists() {
            std::fs::remove_file(self.notes()).expect("notes can be removed");
        }
    }

    /// Writes a scene of the script engine, outside of every home.
    ///
    /// # Panics
    /// When it can't be written.
    #[must_use]
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join("scenes").join(name).with_extension(SCRIPT_ENDING);
        write_file(path, text)
    }

    /// Writes a scene of the built-in path tracer, outside of every home.
    ///
    /// # Panics
    /// When it can't be written.
    #[must_use]
    pub fn scene(&self, name: &str, side: u32, samples: u32) -> PathBuf {
        let path = self.folder.path().join("scenes").join(name).with_extension("weft");
        write_file(path, demo_scene(side, samples))
    }

    /// Submits a scene at a node with more options, and gives the job's id.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn submit(&self, at: usize, scene: &Path, options: &[&str]) -> String {
        let call = self.submission(at, scene, options).arg("--json");
        let document = call.run().ok().json();
        document["job"].as_str().expect("an acknowledgement names the job").to_owned()
    }

    /// `weft submit SCENE OPTIONS` at a node, to be completed and called.
    #[must_use]
    pub fn submission(&self, at: usize, scene: &Path, options: &[&str]) -> Call {
        self.node(at).call(&["submit"]).arg(scene).args(options)
    }

    /// Ends a node's daemon as a crash does, notes that, and says when it was.
    ///
    /// # Panics
    /// When it is down already.
    pub fn kill9(&mut self, number: usize) -> Instant {
        self.kill9_all(&[number])
    }

    /// Ends several nodes' daemons as a power cut does, notes that, and says when it was.
    ///
    /// # Panics
    /// When one is down already.
    pub fn kill9_all(&mut self, numbers: &[usize]) -> Instant {
        let now = Instant::now();
        numbers.iter().for_each(|number| self.nodes[number - 1].kill9());
        // An engine that was being started just then still notes it, and then is ended as well.
        std::thread::sleep(LAST_WORDS);
        for number in numbers {
            let notes = File::options().create(true).append(true).open(self.notes());
            let line = format!("killed {}\n", self.node(*number).name());
            notes.and_then(|mut notes| notes.write_all(line.as_bytes())).expect("notes are taken");
        }
        now
    }

    /// Makes a node's daemon stand still, as a machine that sleeps does, or go on. What it started
    /// goes on meanwhile.
    ///
    /// # Panics
    /// When it is down.
    #[cfg(unix)]
    pub fn stand_still(&self, number: usize, still: bool) {
        self.node(number).stand_still(still);
    }

    /// Asks a node's daemon to end, and waits until it has.
    ///
    /// # Panics
    /// When it doesn't.
    pub fn stop(&mut self, number: usize) {
        let node = &mut self.nodes[number - 1];
        node.ask_to_end();
        assert!(node.wait_until_down(), "{} did not end when it was asked to", node.name());
    }

    /// Starts a node's daemon, and waits until it answers.
    ///
    /// # Panics
    /// When it doesn't.
    pub fn start(&mut self, number: usize) {
        self.start_all(&[number]);
    }

    /// Starts several nodes' daemons, and waits until they answer.
    ///
    /// # Panics
    /// When one doesn't.
    pub fn start_all(&mut self, numbers: &[usize]) {
        numbers.iter().for_each(|number| self.nodes[number - 1].start());
        numbers.iter().for_each(|number| self.nodes[number - 1].wait_until_up());
    }

    /// The number of the leader and its term, if all nodes that are up see each other and follow
    /// the same one.
    #[must_use]
    pub fn agreed(&self) -> Option<(usize, u64)> {
        self.agreement().ok()
    }

    /// The same, or what they don't agree on.
    fn agreement(&self) -> Result<(usize, u64), String> {
        let (mut claims, mut ids, mut chair) = (BTreeSet::new(), BTreeSet::new(), None);
        for number in self.up() {
            let status = self.node(number).get("/v1/status");
            let status = status.ok_or_else(|| format!("node{number} does not tell its status"))?;
            let text = |field: &str| status[field].as_str().map(str::to_owned);
            let (id, leader) = (text("node"), text("leader"));
            let leader = leader.ok_or_else(|| format!("node{number} knows of no leader"))?;
            if id.as_ref() == Some(&leader) {
                chair = Some(number);
            }
            claims.insert((leader, status["term"].as_u64()));
            ids.extend(id);
        }
        for number in self.up() {
            let nodes = self.node(number).get("/v1/nodes");
            let nodes = nodes.ok_or_else(|| format!("node{number} does not tell of its nodes"))?;
            let alive = nodes.as_array().into_iter().flatten().filter(|n| n["state"] == "alive");
            let alive: BTreeSet<String> =
                alive.filter_map(|node| Some(node["node"].as_str()?.to_owned())).collect();
            if alive != ids {
                return Err(format!("node{number} sees {alive:?} alive, and there are {ids:?}"));
            }
        }
        match (chair, claims.first()) {
            (Some(chair), Some((_, Some(term)))) if claims.len() == 1 => Ok((chair, *term)),
            _ => Err(format!("they follow {claims:?}")),
        }
    }

    /// Waits until all nodes that are up, and no others, see each other alive and follow the same
    /// leader; gives its number.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn leader(&self) -> usize {
        let mut patience = Patience::of(AGREEMENT);
        loop {
            match self.agreement() {
                Ok((leader, _)) => return leader,
                Err(why) => patience.wait().unwrap_or_else(|looks| {
                    panic!("after {AGREEMENT:?} and {looks} looks the nodes do not agree: {why}")
                }),
            }
        }
    }

    /// A job's document, as the first node that answers gives it.
    #[must_use]
    pub fn job_now(&self, job: &str) -> Option<Value> {
        let path = format!("/v1/jobs/{job}");
        self.up().into_iter().find_map(|number| self.node(number).get(&path))
    }

    /// A job's document.
    ///
    /// # Panics
    /// When no node has one.
    #[must_use]
    pub fn job(&self, job: &str) -> Value {
        let what = "a node tells about the job";
        wait_for(Duration::from_secs(60), what, || self.job_now(job))
    }

    /// Waits until something holds of a job's document, which it gives.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait_for_job(
        &self,
        job: &str,
        deadline: Duration,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut patience = Patience::of(deadline);
        let mut last = Value::Null;
        loop {
            if let Some(document) = self.job_now(job) {
                if holds(&document) {
                    return document;
                }
                last = document;
            }
            if let Err(looks) = patience.wait() {
                panic!("after {deadline:?} and {looks} looks still not: {what}\n{last:#}");
            }
        }
    }

    /// Waits until a job is over, and gives its document.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait_for_end(&self, job: &str, deadline: Duration) -> Value {
        self.wait_for_job(job, deadline, "the job is over", is_over)
    }

    /// Waits until a folder holds exactly the files of those names.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait_for_files(&self, folder: &Path, names: impl IntoIterator<Item = String>) {
        let names: BTreeSet<_> = names.into_iter().collect();
        let mut patience = Patience::of(DELIVERY);
        loop {
            let files = files_in(folder);
            if files == names {
                return;
            }
            if let Err(looks) = patience.wait() {
                let folder = folder.display();
                panic!("after {looks} looks {folder} has {files:?}, and not {names:?}");
            }
        }
    }
}

/// Whether a job's document tells of one that is over.
#[must_use]
pub fn is_over(job: &Value) -> bool {
    ["completed", "failed", "cancelled"].iter().any(|status| job["status"] == *status)
}

/// The names of what is in a folder, without what is hidden.
#[must_use]
pub fn files_in(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// The frames of a job's document that have a status.
#[must_use]
pub fn in_status<'a>(job: &'a Value, status: &str) -> Vec<&'a Value> {
    let frames = job["frames"].as_array().map_or(&[][..], Vec::as_slice);
    frames.iter().filter(|frame| frame["status"] == status).collect()
}

/// The numbers of frames' documents.
#[must_use]
pub fn frames_of(frames: &[&Value]) -> Vec<i64> {
    frames.iter().filter_map(|frame| frame["frame"].as_i64()).collect()
}

impl Drop for Farm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                let log = node.log();
                let mut from = log.len().saturating_sub(TAIL);
                while !log.is_char_boundary(from) {
                    from += 1;
                }
                eprintln!("--- the end of the log of {}:\n{}", node.name(), &log[from..]);
                let nodes = node.get("/v1/nodes").unwrap_or_default();
                for other in nodes.as_array().into_iter().flatten() {
                    eprintln!("it sees {} {}", other["name"], other["state"]);
                }
            }
        }
        self.nodes.iter_mut().for_each(Node::ask_to_end);
        for node in &mut self.nodes {
            node.wait_until_down();
        }
    }
}
