//! What is asked of a submission, and what is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use weft_protocol::job::spec::JobSpec;
use weft_protocol::settings::Profile;
use weft_scene::Mapped;

use crate::keep::KeepFor;

/// What is asked, as the API takes it. Paths are absolute, on the machine of the node that is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubmitRequest {
    /// The scene file.
    pub scene: PathBuf,
    /// What tells this submission from all others, 32 hex digits: asked again with the same, a node that has the job
    /// answers with it. Made up where it is absent.
    pub nonce: Option<String>,
    /// A frame spec; the scene's own range where none is given.
    pub frames: Option<String>,
    /// The engine; by the scene's ending where none is given.
    pub engine: Option<String>,
    /// The folder where the frames are to be written on this machine.
    pub output: Option<PathBuf>,
    /// The job's name; the scene's where none is given.
    pub name: Option<String>,
    /// Frames that go first.
    pub test_frames: Option<String>,
    /// A failed test frame fails the job.
    pub stop_after_test: bool,
    /// The rest waits for approval.
    pub approve_after_test: bool,
    /// The camera to render.
    pub camera: Option<String>,
    /// Which of the file's scenes.
    pub scene_name: Option<String>,
    /// Which view layer.
    pub view_layer: Option<String>,
    /// The file format.
    pub format: Option<String>,
    /// The size in percent.
    pub scale: Option<u32>,
    /// Arguments of the engine's.
    pub args: BTreeMap<String, String>,
    /// The words of a command of one's own, in place of a scene.
    pub command: Vec<String>,
    /// Scripts inside the scene may run.
    pub allow_scripts: bool,
    /// Further files and folders that the scene needs.
    pub assets: Vec<PathBuf>,
    /// The folder from which paths inside the job count.
    pub project: Option<PathBuf>,
    /// Maya itself is asked what its scene needs.
    pub deep: bool,
    /// The scene's MD5 must be this.
    pub expect_md5: Option<String>,
    /// Missing files are no reason not to render.
    pub ignore_missing: bool,
    /// Files are read even if they look as they did when they were taken in last.
    pub rehash: bool,
    /// The profile whose needs it has; what else is needed comes on top.
    pub hardware: Option<String>,
    /// Memory needed, in GiB.
    pub ram: Option<f64>,
    /// Cores needed.
    pub cores: Option<u32>,
    /// Graphics cards needed.
    pub gpus: Option<u32>,
    /// A part of their model's name.
    pub gpu_model: Option<String>,
    /// Tags that the node must have.
    pub tags: Vec<String>,
    /// Each task takes no more of its node than is needed, and leaves the rest to others; as the engine
    /// says where nothing is said.
    pub share: Option<bool>,
    /// 0 to 100.
    pub priority: Option<u8>,
    /// How many frames one process renders.
    pub frames_per_task: Option<u32>,
    /// Columns and rows, as `CxR`.
    pub tiles: Option<String>,
    /// How often a failed frame is tried again.
    pub retries: Option<u32>,
    /// How long an attempt may take, in seconds.
    pub timeout_seconds: Option<u64>,
    /// Everything is rendered, also what other jobs have rendered.
    pub fresh: bool,
    /// How many percent of the frames are rendered a second time, by another node, and compared.
    pub check: Option<u8>,
    /// How long it is kept once it is over; as the studio is set where that is not said.
    pub keep: Option<KeepFor>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What the studio offers, as far as a submission depends on it.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    /// Engines and their versions.
    pub engines: BTreeMap<String, BTreeSet<String>>,
    /// Those of nodes that are not there just now, and may come back.
    pub away: BTreeMap<String, BTreeSet<String>>,
    /// Profiles, by name.
    pub profiles: BTreeMap<String, Profile>,
}

/// A job that is ready to be signed.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What is to be signed.
    pub spec: JobSpec,
    /// Bytes of chunks that the store did not have.
    pub bytes_added: u64,
    /// Bytes that it had.
    pub bytes_already_known: u64,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// The job's frames, as a spec.
    pub frames: String,
    /// Whether they are the scene's own, because none were named.
    pub own_frames: bool,
    /// How many files its tree has.
    pub files: usize,
    /// Where drives and shares of other machines that its scene names are here.
    pub mapped: Vec<Mapped>,
}

/// How far a submission is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Files taken in.
    pub files: usize,
    /// Files in all.
    pub files_total: usize,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}
