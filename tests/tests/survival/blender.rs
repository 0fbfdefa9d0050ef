//! The same with Blender: one job outlives the node that it was submitted to, its leader, and then a
//! power cut, and has the very pixels that Blender makes by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use weft_tests::{Farm, in_status, installed, wait_for};

use super::{done_everywhere, names, others, successor};

/// How long a few frames of some seconds may take when machines die meanwhile.
const END: Duration = Duration::from_secs(120);
/// How many paths a pixel has: so many that a frame takes some seconds.
const SAMPLES: &str = "600";

fn blender(arguments: &[&str]) {
    let mut command = Command::new("blender");
    command.args(["--factory-startup", "-b"]).args(arguments).stdin(Stdio::null());
    let output = command.output().expect("Blender can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {said}");
}

fn pixels(file: &Path) -> Vec<u8> {
    let file =
        std::fs::File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

#[test]
fn a_blender_job_outlives_submitter_leader_and_power_cut() {
    if !installed("blender") {
        return;
    }
    let mut farm = Farm::found(3);
    let text = |path: PathBuf| path.display().to_string();
    let (folder, by_hand) = (farm.folder().join("project"), farm.folder().join("by-hand"));
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "scenes", "make_linked.py"].iter().collect();
    blender(&["--python", &text(script), "--", &text(folder.clone())]);
    let scene = folder.join("shots").join("linked.blend");
    let samples = format!("import bpy; bpy.context.scene.cycles.samples = {SAMPLES}");
    let output = text(by_hand.join("linked_####"));
    blender(&[
        &text(scene.clone()),
        "--python-expr",
        &samples,
        "-o",
        &output,
        "-s",
        "1",
        "-e",
        "4",
        "-a",
    ]);

    let (leader, term) = wait_for(END, "the nodes follow one leader", || farm.agreed());
    let submitter = others(&farm, leader)[0];
    let samples = format!("samples={SAMPLES}");
    let job = farm.submit(submitter, &scene, &["-f", "1-4", "--arg", &samples]);
    farm.kill9(submitter);
    std::fs::remove_dir_all(&folder).unwrap();
    farm.wait_for_job(&job, END, "two render", |job| in_status(job, "rendering").len() == 2);
    farm.kill9(leader);
    let left = others(&farm, leader)[0];
    assert_eq!(successor(&farm, leader, term), left);
    farm.start(submitter);
    let known = wait_for(END, "both know that a frame is done", || {
        done_everywhere(&farm, &job).filter(|done| !done.is_empty())
    });
    assert!(known.len() < 4, "the job was over too soon: {known:?}");
    let before = farm.job(&job);
    let up = farm.up();
    farm.kill9_all(&up);
    farm.start_all(&[leader, submitter, left]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    let known = |frame: &&Value| frame["frame"].as_i64().is_some_and(|n| known.contains(&n));
    for frame in in_status(&before, "done").into_iter().filter(known) {
        let now = in_status(&document, "done");
        let now = now.iter().find(|now| now["frame"] == frame["frame"]).unwrap();
        assert_eq!((&now["node"], &now["output"]), (&frame["node"], &frame["output"]));
    }

    let out = farm.folder().join("out");
    wait_for(END, "the node that led knows that, too", || {
        let document = farm.node(leader).get(&format!("/v1/jobs/{job}"))?;
        (document["status"] == "completed").then_some(())
    });
    _ = farm.node(leader).call(&["outputs", &job, "--to"]).arg(&out).run().ok();
    farm.wait_for_files(&out, names("linked", 4, "png"));
    for name in names("linked", 4, "png") {
        let same = pixels(&out.join(&name)) == pixels(&by_hand.join(&name));
        assert!(same, "{name} has other pixels than by hand");
    }
}
