//! The options of `weft submit`, and the request they make.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::shared::{Basics, Shared, joined};
use crate::error::Failure;
use crate::paths;
use crate::values;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scene file
    scene: PathBuf,
    /// Which frames, like 1-100, 1-100x5 or 1,10,20-30; the scene's own range otherwise
    #[arg(short, long, value_name = "SPEC", allow_hyphen_values = true, value_parser = values::frame_spec)]
    frames: Option<String>,
    /// The renderer, as `weft engines` names it; by the scene's ending otherwise
    #[arg(short, long, value_name = "NAME")]
    engine: Option<String>,
    #[command(flatten)]
    pub(super) basics: Basics,

    /// The camera
    #[arg(long, value_name = "NAME", help_heading = "What to render")]
    camera: Option<String>,
    /// Which of the file's scenes
    #[arg(long = "scene", value_name = "NAME", help_heading = "What to render")]
    scene_name: Option<String>,
    /// Which view layer
    #[arg(long, value_name = "NAME", help_heading = "What to render")]
    view_layer: Option<String>,
    /// The file format, as the renderer names it
    #[arg(long, value_name = "NAME", help_heading = "What to render")]
    format: Option<String>,
    /// The picture's size in percent
    #[arg(
        long,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u32).range(1..=1000),
        help_heading = "What to render"
    )]
    scale: Option<u32>,
    /// An argument of the renderer's
    #[arg(
        long = "arg",
        value_name = "K=V",
        value_parser = values::key_value,
        help_heading = "What to render"
    )]
    args: Vec<(String, String)>,
    /// Scripts inside the scene may run
    #[arg(long, help_heading = "What to render")]
    allow_scripts: bool,

    #[command(flatten)]
    shared: Shared,
    /// Ask Maya itself what its scene needs, where it is installed; `.mb` scenes are read so anyway
    #[arg(long, help_heading = "Files")]
    deep: bool,
    /// Refuse the scene if its MD5 is another
    #[arg(long, value_name = "HEX", value_parser = values::md5, help_heading = "Files")]
    expect_md5: Option<String>,
    /// Render without the files that are missing
    #[arg(long, help_heading = "Files")]
    ignore_missing: bool,
    /// How many frames one process of the renderer takes
    #[arg(
        long,
        visible_alias = "chunk-size",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "How to render"
    )]
    frames_per_task: Option<u32>,
    /// Split every frame into columns and rows, like 2x2
    #[arg(
        long,
        value_name = "CxR",
        value_parser = values::tiles,
        help_heading = "How to render"
    )]
    tiles: Option<String>,
    /// Render everything, also what other jobs have rendered already
    #[arg(long, help_heading = "How to render")]
    fresh: bool,
    /// Render so many percent of the frames a second time on another node, and compare
    #[arg(
        long,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(..=100),
        help_heading = "How to render"
    )]
    check: Option<u8>,
}

impl Args {
    /// The request to a node.
    pub(super) fn request(&self) -> Result<Value, Failure> {
        let scene = paths::sent(&self.scene)?;
        match std::fs::metadata(&scene) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                return Err(Failure::call(format!(
                    "the scene '{}' is not a file; nothing was submitted.",
                    self.scene.display()
                )));
            }
            Err(error) => {
                return Err(Failure::call(format!(
                    "the scene '{}' can't be read: {error}; nothing was submitted.",
                    self.scene.display()
                )));
            }
        }
        self.basics.check_frames(self.frames.as_deref())?;
        let mut arguments = BTreeMap::new();
        for (key, value) in &self.args {
            if arguments.insert(key, value).is_some() {
                return Err(Failure::call(format!(
                    "the argument '{key}' is given twice; nothing was submitted."
                )));
            }
        }
        let own = json!({
            "scene": scene,
            "frames": self.frames,
            "engine": self.engine,
            "camera": self.camera,
            "scene_name": self.scene_name,
            "view_layer": self.view_layer,
            "format": self.format,
            "scale": self.scale,
            "args": arguments,
            "allow_scripts": self.allow_scripts,
            "expect_md5": self.expect_md5,
            "ignore_missing": self.ignore_missing,
            "deep": self.deep,
            "frames_per_task": self.frames_per_task,
            "tiles": self.tiles,
            "fresh": self.fresh,
            "check": self.check,
        });
        joined([own, self.basics.request()?, self.shared.request()?])
    }
}

#[cfg(test)]
mod tests {
    use crate::args;
    use clap::Parser as _;
    use serde_json::Value;

    fn request(rest: &[&str]) -> Result<Value, String> {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("s.weft");
        std::fs::write(&scene, "x").unwrap();
        let line =
            ["weft", "submit", scene.to_str().unwrap()].into_iter().chain(rest.iter().copied());
        let args = args::Args::try_parse_from(line).map_err(|error| error.to_string())?;
        let args::Command::Submit(args) = args.command else { panic!("it is a submission") };
        args.request().map_err(|failure| failure.message().to_owned())
    }

    #[test]
    fn options_become_a_request_that_nodes_take() {
        let request = request(&[
            "-f",
            "-5-5",
            "--test-frames",
            "-5",
            "--test-must-pass",
            "--arg",
            "a=b",
            "--hardware",
            "standard",
            "--tag",
            "x",
            "--tag",
            "y",
            "--chunk-size",
            "4",
            "--share",
            "--priority",
            "high",
            "--timeout",
            "10m",
            "--keep",
            "30d",
            "-o",
            "out",
        ])
        .unwrap();
        assert_eq!(request["frames"], "-5-5");
        assert_eq!(request["stop_after_test"], true);
        assert_eq!(request["args"]["a"], "b");
        assert_eq!(request["tags"], serde_json::json!(["x", "y"]));
        assert_eq!(request["hardware"], "standard");
        assert_eq!(request["frames_per_task"], 4);
        assert_eq!((&request["priority"], &request["share"]), (&75.into(), &true.into()));
        assert_eq!(request["timeout_seconds"], 600);
        assert_eq!(request["keep"], 30 * 86_400);
        // The node takes exactly these fields, and no others.
        let typed: weft_node::submit::SubmitRequest = serde_json::from_value(request).unwrap();
        assert!(typed.output.unwrap().is_absolute() && typed.scene.is_absolute());
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_no_text_leads_to_are_refused_before_a_node_is_asked() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let strange = OsStr::from_bytes(b"shot\xff");
        let scene = tempfile::NamedTempFile::new().unwrap();
        let fine = scene.path().as_os_str();
        for words in [
            &[strange][..],
            &[fine, OsStr::new("-o"), strange],
            &[fine, OsStr::new("--assets"), strange],
            &[fine, OsStr::new("--project"), strange],
        ] {
            let line = ["weft", "submit"].map(OsStr::new).into_iter().chain(words.iter().copied());
            let args = args::Args::try_parse_from(line).unwrap();
            let args::Command::Submit(args) = args.command else { panic!("it is a submission") };
            let refused = args.request().unwrap_err();
            assert!(refused.message().contains("is not text in UTF-8"), "{refused:?}");
        }
    }

    #[test]
    fn whether_tasks_take_shares_is_said_or_left_to_the_engine() {
        let share = |rest: &[&str]| request(rest).unwrap()["share"].clone();
        assert_eq!(share(&[]), Value::Null);
        assert_eq!((share(&["--share"]), share(&["--share=false"])), (true.into(), false.into()));
        assert!(request(&["--share=some"]).is_err());
    }

    #[test]
    fn wrong_calls_are_refused_before_a_node_is_asked() {
        for (rest, why) in [
            (&["-f", "1-"][..], "no frame or range"),
            (&["-f", ""], "names no frame"),
            (&["-f", "1-10", "--test-frames", "11"], "test frame 11 is not one"),
            (&["--stop-after-test"], "--test-frames"),
            (
                &["--test-frames", "1", "--stop-after-test", "--approve-after-test"],
                "cannot be used",
            ),
            (&["--arg", "a=1", "--arg", "a=2"], "given twice"),
            (&["--ram", "-1"], "GiB"),
            (&["--priority", "101"], "0 to 100"),
            (&["--keep", "0d"], "no duration"),
            (&["--expect-md5", "12"], "32 hex digits"),
        ] {
            let error = request(rest).unwrap_err();
            assert!(error.contains(why), "{rest:?}: {error}");
        }
    }
}
