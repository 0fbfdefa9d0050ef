//! A Blender job of uneven frames on three nodes of this machine, beside Blender by hand: as many
//! processes at once, in the best order that is known, the longest frames first.
//!
//! With `--one-run`: cheap frames in one run on one node, beside `blender -b -a` by hand, and what a frame takes
//! longer.
//!
//! `cargo bench -p weft-tests --bench blender -- [--one-run] [--frames 60] [--runs 1, or 3] [--strict]`

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;
use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given, median, option};

const NODES: usize = 3;

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let folder = tempfile::Builder::new().prefix("weft-blender-").tempdir().expect("room");
    let folder = folder.path();
    if given("--one-run") {
        return one_run(folder);
    }
    let (frames, runs) = (option("--frames", 60), option("--runs", 1));
    let Some(scene) = scene(folder, "uneven", frames) else {
        println!("Blender is not installed, or can't make the scene: left out");
        return;
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut daemons: Vec<Daemon> =
        ["one", "two", "three"].map(|name| Daemon::local(folder, name)).into();
    daemon::found(&mut daemons);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (took, times) = submit(&daemons[0], &scene, frames, 1);
        let spread = times
            .iter()
            .map(|(time, _)| *time)
            .fold((f64::MAX, 0.0_f64), |(a, b), t| (a.min(t), b.max(t)));
        println!(
            "weft: {:.1} s; frames of {:.1} to {:.1} s",
            took.as_secs_f64(),
            spread.0,
            spread.1
        );
        ours.push(took.as_secs_f64());
        let took = by_hand(&scene, folder, times, threads);
        println!("by hand: {:.1} s", took.as_secs_f64());
        theirs.push(took.as_secs_f64());
    }
    let mut verdict = Verdict::default();
    let part = median(&theirs) / median(&ours) * 100.0;
    verdict.at_least("by hand / weft, %", part, 95.0);
    verdict.end();
}

/// Cheap frames in one process, by weft and by hand.
fn one_run(folder: &Path) {
    let (frames, runs) = (option("--frames", 60), option("--runs", 3));
    let Some(scene) = scene(folder, "cheap", frames) else {
        println!("Blender is not installed, or can't make the scene: left out");
        return;
    };
    let mut daemons = vec![Daemon::local(folder, "one")];
    daemon::found(&mut daemons);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turns, so that a machine that is busy for a while is busy for both.
    for _ in 0..runs {
        let (took, times) = submit(&daemons[0], &scene, frames, frames);
        assert_eq!(times.len(), frames, "every frame is rendered");
        let begun = Instant::now();
        let mut command = Command::new("blender");
        command.args(["--factory-startup", "-b"]).arg(&scene).arg("-o");
        command.arg(folder.join("hand_####")).args(["-F", "PNG", "-x", "1", "-a"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().is_ok_and(|status| status.success()), "Blender renders");
        theirs.push(begun.elapsed().as_secs_f64());
        ours.push(took.as_secs_f64());
        println!("weft: {:.2} s, by hand: {:.2} s", ours[ours.len() - 1], theirs[theirs.len() - 1]);
    }
    let mut verdict = Verdict::default();
    let over = (median(&ours) - median(&theirs)) / frames as f64 * 1000.0;
    verdict.at_most("longer than `blender -a` by hand, ms a frame", over, 100.0);
    verdict.end();
}

fn scene(folder: &Path, name: &str, frames: usize) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/{name}.py"));
    let path = folder.join(name).with_extension("blend");
    let mut command = Command::new("blender");
    command.args(["-b", "--factory-startup", "-P"]).arg(script).arg("--").arg(&path);
    command.arg(frames.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
    let made = command.status().is_ok_and(|status| status.success());
    (made && path.exists()).then_some(path)
}

/// Renders it with weft; gives how long that took from the call to its end, and the time of each frame.
fn submit(
    daemon: &Daemon,
    scene: &Path,
    frames: usize,
    together: usize,
) -> (Duration, Vec<(f64, i64)>) {
    let together = together.to_string();
    let (scene, spec) = (scene.display().to_string(), format!("1-{frames}"));
    let begun = Instant::now();
    let text = daemon.call(&[
        "submit",
        &scene,
        "-f",
        &spec,
        "--frames-per-task",
        &together,
        "--fresh",
        "--watch",
        "--json",
    ]);
    let took = begun.elapsed();
    let last = text.lines().last().unwrap_or_default();
    let job: Value = serde_json::from_str(&text)
        .or_else(|_| serde_json::from_str(last))
        .expect("it prints the job's document");
    assert_eq!(job["status"], "completed", "{job:#}");
    let frames = job["frames"].as_array().cloned().unwrap_or_default();
    let time = |frame: &Value| Some((frame["render_time"].as_f64()?, frame["frame"].as_i64()?));
    (took, frames.iter().filter_map(time).collect())
}

/// Renders each frame with a process of its own, so many at once, the longest first.
fn by_hand(scene: &Path, folder: &Path, mut times: Vec<(f64, i64)>, threads: usize) -> Duration {
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let left = Mutex::new(times);
    let output = folder.join("hand_####");
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..NODES {
            scope.spawn(|| {
                loop {
                    let next = left.lock().expect("no panic").pop();
                    let Some((_, frame)) = next else { return };
                    let mut command = Command::new("blender");
                    command.args(["--factory-startup", "-b"]).arg(scene).arg("-o").arg(&output);
                    command.args(["-F", "PNG", "-x", "1", "-t", &threads.to_string()]);
                    command.args(["-f", &frame.to_string()]);
                    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    let status = command.status().expect("Blender can be started");
                    assert!(status.success(), "frame {frame}");
                }
            });
        }
    });
    begun.elapsed()
}
