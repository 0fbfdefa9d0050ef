//! Jobs submitted from a folder that is gone once they are acknowledged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use weft_tests::{Call, Farm, Node, Output, Running, in_status, wait_for};

/// How long a job of a few small frames may take, on a machine that does other things as well.
pub(crate) const END: Duration = Duration::from_secs(180);
/// How long a submission may take, and the first frame to begin.
const BEGIN: Duration = Duration::from_secs(60);

/// A submission that is being put together.
pub(crate) struct Submission {
    source: TempDir,
    scene: PathBuf,
    options: Vec<String>,
}

/// A submission that was acknowledged, from a folder that is gone.
pub(crate) struct Acknowledged {
    call: Running,
    out: PathBuf,
    id: String,
}

/// A job that is over.
pub(crate) struct Job {
    /// Its document.
    pub(crate) document: Value,
    /// Where its frames were delivered.
    pub(crate) out: PathBuf,
    /// What the call that submitted it printed.
    pub(crate) output: Output,
}

impl Submission {
    /// Of a scene in a folder of its own.
    pub(crate) fn of(source: TempDir, scene: &str) -> Self {
        let scene = source.path().join(scene);
        Self { source, scene, options: Vec::new() }
    }

    /// With more options.
    pub(crate) fn options(mut self, options: &[&str]) -> Self {
        self.options = options.iter().map(ToString::to_string).collect();
        self
    }

    /// Submits with `-o` and `--watch`, and removes the scene's folder as soon as it is acknowledged.
    pub(crate) fn start(self, farm: &Farm, at: usize) -> Acknowledged {
        let call = farm.node(at).call(&[]);
        self.start_with(farm, call)
    }

    /// The same, with a call of `weft` to which only the subcommand is to be added.
    fn start_with(self, farm: &Farm, call: Call) -> Acknowledged {
        let count = std::fs::read_dir(farm.folder()).map_or(0, Iterator::count);
        let out = farm.folder().join(format!("out{count}"));
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let call = call.arg("submit").arg(&self.scene).args(&options);
        let mut call = call.args(&["--watch", "-o"]).arg(&out).start();
        let id = wait_for(BEGIN, "the submission is acknowledged", || {
            let said = call.stdout();
            if let Some((id, _)) = said.split_once(": ").filter(|_| said.contains(" is queued")) {
                return Some(id.to_owned());
            }
            let ended = call.ended();
            assert!(ended.is_none(), "it was not acknowledged: {ended:?}");
            None
        });
        self.source.close().expect("the scene's folder can be removed");
        Acknowledged { call, out, id }
    }

    /// Submits, removes the scene's folder, and waits until the job is over.
    pub(crate) fn watch(self, farm: &Farm, at: usize) -> Job {
        let submission = self.start(farm, at);
        let id = submission.id.clone();
        submission.wait(farm, id)
    }

    /// The same, from a member's home on which no daemon runs, at the node with an address.
    pub(crate) fn watch_from(self, farm: &Farm, home: &Path, address: &str) -> Job {
        let submission = self.start_with(farm, Call::new(home, &["--peer", address]));
        let id = submission.id.clone();
        submission.wait(farm, id)
    }
}

impl Acknowledged {
    /// Waits until the job is over.
    pub(crate) fn wait(self, farm: &Farm, job: String) -> Job {
        let output = self.call.wait(END);
        // Whoever submitted knows the end first; others hear of it.
        let document = farm.wait_for_end(&job, Duration::from_secs(60));
        Job { document, out: self.out, output }
    }
}

impl Job {
    /// All frames are done.
    pub(crate) fn assert_completed(&self, frames: usize) {
        assert_eq!(self.output.status, 0, "{:?}\n{:#}", self.output, self.document);
        assert_eq!(self.document["status"], "completed", "{:#}", self.document);
        assert_eq!(in_status(&self.document, "done").len(), frames, "{:#}", self.document);
        assert_eq!(self.document["frames_done"], frames, "{:#}", self.document);
    }

    /// The job failed with so many frames; gives the reason, which the call said too.
    pub(crate) fn assert_failed(&self, frames: usize) -> String {
        assert_eq!(self.output.status, 1, "{:?}\n{:#}", self.output, self.document);
        assert_eq!(self.document["status"], "failed", "{:#}", self.document);
        assert_eq!(in_status(&self.document, "failed").len(), frames, "{:#}", self.document);
        let why = self.document["error_message"].as_str().expect("a failed job says why");
        let first = why.lines().next().unwrap_or_default();
        assert!(self.output.stderr.contains(first), "{why}\nbut the call said {:?}", self.output);
        why.to_owned()
    }

    /// A frame's document.
    pub(crate) fn frame(&self, frame: i64) -> &Value {
        let frames = self.document["frames"].as_array().expect("a job has frames");
        frames.iter().find(|document| document["frame"] == frame).expect("the frame is the job's")
    }
}

/// The nodes that rendered a job's frames.
pub(crate) fn workers(document: &Value) -> BTreeSet<String> {
    let done = in_status(document, "done").into_iter();
    done.filter_map(|frame| frame["node"].as_str().map(str::to_owned)).collect()
}

/// Waits until a node is in the middle of one of a job's frames; gives the job and the frame.
pub(crate) fn wait_until_rendering(
    farm: &Farm,
    submission: &Acknowledged,
    node: &str,
) -> (String, i64) {
    let rendering = |document: &Value| {
        let mut frames = in_status(document, "rendering").into_iter();
        let frame = frames.find(|frame| {
            frame["node"] == node && frame["progress"].as_f64().is_some_and(|part| part > 0.0)
        });
        frame.and_then(|frame| frame["frame"].as_i64())
    };
    let what = "the node is in the middle of a frame";
    let id = &submission.id;
    let document = farm.wait_for_job(id, BEGIN, what, |document| rendering(document).is_some());
    (id.clone(), rendering(&document).expect("it was seen just before"))
}

/// What a node that was killed had started has ended too.
#[cfg(target_os = "linux")]
pub(crate) fn assert_no_renderer_left(node: &Node) {
    let home = node.home().as_os_str().as_encoded_bytes();
    let belongs = |process: std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.windows(home.len()).any(|window| window == home).then_some(line)
    };
    wait_for(Duration::from_secs(30), "the killed node's renderer has ended", || {
        let processes = std::fs::read_dir("/proc").expect("Linux tells its processes");
        processes.flatten().filter_map(belongs).next().is_none().then_some(())
    });
}

/// Only where the system tells every process's command line can this be looked up.
#[cfg(not(target_os = "linux"))]
pub(crate) fn assert_no_renderer_left(_: &Node) {}
