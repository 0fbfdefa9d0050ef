//! What a daemon holds of a job of 100,000 frames, and how long a node that was away takes to catch
//! up with as many outcomes as are asked for.
//!
//! `cargo bench -p weft-tests --bench long_job -- [--frames 100000] [--outcomes 1000000] [--strict]`

use std::time::{Duration, Instant};

use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given, option};
use weft_tests::bench::usage;

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let (frames, outcomes) = (option("--frames", 100_000), option("--outcomes", 1_000_000));
    let folder = tempfile::Builder::new().prefix("weft-long-").tempdir().expect("room");
    let folder = folder.path();
    let mut daemons: Vec<Daemon> =
        ["one", "two", "three"].map(|name| Daemon::local(folder, name)).into();
    daemon::found(&mut daemons);
    let scene = folder.join("scene.txt");
    std::fs::write(&scene, "nothing").expect("room");
    let scene = scene.display().to_string();
    let mut verdict = Verdict::default();
    run(&daemons[0], &scene, frames);
    let memory = |daemons: &[Daemon], what: &str| {
        let used = daemons.iter().map(|daemon| usage::of(daemon.process().expect("it runs")));
        let used: Vec<_> = used.collect();
        let shown: Vec<String> =
            used.iter().map(|used| format!("{:.0} (at most {:.0})", used.rss, used.peak)).collect();
        println!("{what}: {} MiB", shown.join(", "));
        used.iter().map(|used| used.peak).fold(0.0, f64::max)
    };
    let peak = memory(&daemons, &format!("after a job of {frames} frames"));
    verdict.at_most("the most that a daemon held, MiB", peak, 200.0);

    daemons[2].kill();
    let mut made = 0;
    while made < outcomes {
        let now = frames.min(outcomes - made);
        run(&daemons[0], &scene, now);
        made += now;
    }
    // Until they have it all.
    let wanted = done(&daemons[0]);
    let begun = Instant::now();
    daemons[2].start();
    let up = begun.elapsed();
    let took = loop {
        if done(&daemons[2]) >= wanted {
            break begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(1800), "it doesn't catch up");
        std::thread::sleep(Duration::from_millis(100));
    };
    println!(
        "a node that was away while {made} outcomes came: up in {:.1} s, all known after {:.1} s",
        up.as_secs_f64(),
        took.as_secs_f64(),
    );
    verdict.at_most("catching up, s", took.as_secs_f64(), 10.0);
    _ = memory(&daemons[..2], "those that were there");
    let peak = memory(&daemons[2..], "the one that was away");
    verdict.at_most("the most that it held, MiB", peak, 200.0);
    verdict.end();
}

/// Has a job of so many frames done that do nothing.
fn run(daemon: &Daemon, scene: &str, frames: usize) {
    let spec = format!("1-{frames}");
    let begun = Instant::now();
    let call = daemon.start_call(&["submit", scene, "-e", "noop", "-f", &spec, "--json"]);
    _ = daemon::finish(call, begun);
    let wanted = u64::try_from(frames).unwrap_or(0);
    loop {
        let jobs = daemon.json(&["jobs", "--all", "--json"]);
        let jobs = jobs.as_array().cloned().unwrap_or_default();
        let open = jobs.iter().any(|job| job["status"] != "completed");
        if !open && jobs.iter().any(|job| job["frames_total"].as_u64() == Some(wanted)) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(1800), "it isn't done");
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("{frames} frames in {:.1} s", begun.elapsed().as_secs_f64());
}

/// How many frames of all jobs a daemon knows to be done.
fn done(daemon: &Daemon) -> u64 {
    let jobs = daemon.json(&["jobs", "--all", "--json"]);
    let jobs = jobs.as_array().cloned().unwrap_or_default();
    jobs.iter().filter_map(|job| job["frames_done"].as_u64()).sum()
}
