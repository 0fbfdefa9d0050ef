//! The options that a scene and a command of one's own share, and what they add to a request.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use weft_node::keep::KeepFor;

use crate::error::Failure;
use crate::paths;
use crate::values;

/// What a job is called, where its files go, and how the call goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Basics {
    /// Bring the frames into this folder as they get done
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// The job's name; the scene's or the program's otherwise
    #[arg(short, long, value_name = "TEXT")]
    name: Option<String>,
    /// Follow the job until it is over; its end decides the exit status
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Render these first, and nothing else before their outcome is known
    #[arg(
        long,
        value_name = "SPEC",
        allow_hyphen_values = true,
        value_parser = values::frame_spec,
        help_heading = "Test frames"
    )]
    test_frames: Option<String>,
    /// If a test frame fails, the job fails
    #[arg(
        long,
        visible_alias = "test-must-pass",
        requires = "test_frames",
        conflicts_with = "approve_after_test",
        help_heading = "Test frames"
    )]
    stop_after_test: bool,
    /// The rest waits until somebody approves
    #[arg(long, requires = "test_frames", help_heading = "Test frames")]
    approve_after_test: bool,
}

/// Files that travel along, where to run, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Shared {
    /// A further file or folder that is needed
    #[arg(long, value_name = "PATH", help_heading = "Files")]
    assets: Vec<PathBuf>,
    /// The folder of the project, from which the scene's relative paths count
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    project: Option<PathBuf>,
    /// Read files again that look unchanged since they were added last
    #[arg(long, help_heading = "Files")]
    rehash: bool,

    /// The profile that a machine must meet, as `weft profiles` lists them
    #[arg(long, value_name = "PROFILE", help_heading = "Where to render")]
    hardware: Option<String>,
    /// Memory that a machine must have, in GiB
    #[arg(long, value_name = "GIB", allow_negative_numbers = true, value_parser = values::gib, help_heading = "Where to render")]
    ram: Option<f64>,
    /// Cores that it must have
    #[arg(long, value_name = "N", help_heading = "Where to render")]
    cores: Option<u32>,
    /// Graphics cards that it must have
    #[arg(long, value_name = "N", help_heading = "Where to render")]
    gpus: Option<u32>,
    /// A part of those cards' model
    #[arg(long, value_name = "TEXT", help_heading = "Where to render")]
    gpu_model: Option<String>,
    /// Each task takes just that of its node; as many run as fit
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Where to render"
    )]
    share: Option<bool>,
    /// A tag that the node must carry
    #[arg(long = "tag", value_name = "T", help_heading = "Where to render")]
    tags: Vec<String>,

    /// 0 to 100, low (25), normal (50) or high (75); more goes first
    #[arg(
        long,
        value_name = "N",
        value_parser = values::priority,
        help_heading = "How to render"
    )]
    priority: Option<u8>,
    /// How many times more a failed frame is tried
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(..=100),
        help_heading = "How to render"
    )]
    retries: Option<u32>,
    /// How long an attempt may take: 90s, 10m, 1h30m, 2d
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = values::duration,
        help_heading = "How to render"
    )]
    timeout: Option<Duration>,
    /// How long to keep the job once it is over, like 30d, or `forever`; as `weft retention` says otherwise
    #[arg(
        long,
        value_name = "DURATION|forever",
        value_parser = values::keep,
        help_heading = "How to render"
    )]
    keep: Option<KeepFor>,
}

impl Basics {
    /// The folder where the files go, absolute.
    pub(crate) fn output_folder(&self) -> Result<Option<PathBuf>, Failure> {
        self.output.as_deref().map(paths::absolute).transpose()
    }

    /// Whether the frames can be read: very long specs were not checked where they were, so that they
    /// aren't repeated.
    pub(crate) fn check_frames(&self, frames: Option<&str>) -> Result<(), Failure> {
        let wrong = |error| Failure::call(format!("{error}; nothing was submitted."));
        let frames = frames.map(weft_scene::frames::parse).transpose();
        if let (Some(frames), Some(test)) = (frames.map_err(wrong)?, &self.test_frames) {
            weft_scene::frames::parse_test_frames(test, &frames).map_err(wrong)?;
        }
        Ok(())
    }

    /// Their part of the request to a node.
    pub(crate) fn request(&self) -> Result<Value, Failure> {
        Ok(json!({
            "output": self.output.as_deref().map(paths::sent).transpose()?,
            "name": self.name,
            "test_frames": self.test_frames,
            "stop_after_test": self.stop_after_test,
            "approve_after_test": self.approve_after_test,
            "dry_run": self.dry_run,
        }))
    }
}

impl Shared {
    /// Their part of the request to a node.
    pub(crate) fn request(&self) -> Result<Value, Failure> {
        let assets: Vec<String> =
            self.assets.iter().map(|path| paths::sent(path)).collect::<Result<_, _>>()?;
        Ok(json!({
            "assets": assets,
            "project": self.project.as_deref().map(paths::sent).transpose()?,
            "rehash": self.rehash,
            "hardware": self.hardware,
            "ram": self.ram,
            "cores": self.cores,
            "gpus": self.gpus,
            "gpu_model": self.gpu_model,
            "share": self.share,
            "tags": self.tags,
            "priority": self.priority,
            "retries": self.retries,
            "keep": self.keep,
            "timeout_seconds": self.timeout.map(|timeout| timeout.as_secs()),
        }))
    }
}

/// One request of several parts.
pub(crate) fn joined(parts: impl IntoIterator<Item = Value>) -> Result<Value, Failure> {
    let mut whole = serde_json::Map::new();
    for part in parts {
        if let Value::Object(part) = part {
            whole.extend(part);
        }
    }
    Ok(Value::Object(whole))
}
