//! Some daemons of one studio, and what they are asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::network::Network;
use weft_tests::wait_for;

/// How long a farm in good health may take for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The farm; its processes end and its folder goes when it is dropped.
pub(crate) struct Farm {
    pub(crate) daemons: Vec<Daemon>,
    folder: tempfile::TempDir,
}

impl Farm {
    /// A studio of `count` nodes that see each other, each made ready by `prepare`.
    pub(crate) fn found(
        count: usize,
        network: Option<&Network>,
        prepare: impl Fn(usize, &mut Daemon),
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("weft-endurance-").tempdir().expect("room");
        let marks = folder.path().join("marks");
        std::fs::create_dir(&marks).expect("room");
        let make = |number: usize| {
            let name = format!("n{number}");
            let mut daemon = match network {
                None => Daemon::local(folder.path(), &name),
                Some(network) => {
                    let address = network.address(number);
                    Daemon::within(folder.path(), &name, &network.name(number), &address)
                }
            };
            daemon.with_scripts(&marks);
            prepare(number, &mut daemon);
            daemon.logging()
        };
        let mut daemons: Vec<Daemon> = (0..count).map(make).collect();
        daemon::found(&mut daemons);
        Self { daemons, folder }
    }

    /// The folder around everything.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a script that renders a frame.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name).with_extension("sh");
        std::fs::write(&path, text).expect("room");
        path
    }

    /// Submits a scene at a node that is up, with more options, and gives the job's id; none where the
    /// node did not acknowledge it.
    pub(crate) fn try_submit(&self, at: usize, scene: &Path, options: &[&str]) -> Option<String> {
        let scene = scene.display().to_string();
        let call: Vec<&str> =
            ["submit", &scene, "--json"].into_iter().chain(options.iter().copied()).collect();
        let said = self.daemons[at].try_json(&call)?;
        Some(said["job"].as_str().expect("an acknowledgement names the job").to_owned())
    }

    /// A job's document, as a node has it.
    pub(crate) fn job(&self, at: usize, job: &str) -> Option<Value> {
        self.daemons[at].try_json(&["job", job, "--json"])
    }

    /// Waits until a job is over, by the word of a node.
    pub(crate) fn wait_for_end(&self, at: usize, job: &str, deadline: Duration) -> Value {
        wait_for(deadline, "a job is over", || self.job(at, job).filter(is_over))
    }

    /// The name of the node that all say leads, once they agree and see each other.
    pub(crate) fn agree(&self) -> String {
        for daemon in &self.daemons {
            daemon.wait_for_nodes(self.daemons.len());
        }
        wait_for(PATIENCE, "all follow one leader", || {
            let leader = |daemon: &Daemon| {
                daemon.try_json(&["status", "--json"])?["leader"].as_str().map(str::to_owned)
            };
            let mut said = self.daemons.iter().map(leader);
            let first = said.next()??;
            said.all(|leader| leader.as_ref() == Some(&first)).then_some(first)
        })
    }
}

/// Whether a job's document says that it is over.
pub(crate) fn is_over(job: &Value) -> bool {
    matches!(job["status"].as_str(), Some("completed" | "failed" | "cancelled"))
}

/// How many frames of a job are in which status.
pub(crate) fn statuses(job: &Value) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for frame in job["frames"].as_array().into_iter().flatten() {
        let status = frame["status"].as_str().unwrap_or("?").to_owned();
        *counts.entry(status).or_default() += 1;
    }
    counts
}
