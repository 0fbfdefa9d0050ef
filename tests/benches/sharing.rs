//! Ten people submit a job each at once, to three nodes: whether all get through, and as much of
//! the farm as each other. With what the daemons use meanwhile.
//!
//! `cargo bench -p weft-tests --bench sharing -- [--frames 100] [--side 128] [--samples 32] [--strict]`

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given, option};
use weft_tests::bench::usage::{self, Usage};
use weft_tests::{demo_scene, weft_binary};

const PEOPLE: usize = 10;
/// How wide the pictures are, and of how many samples a pixel: some tenths of a second of a core each.
const SIDE: usize = 128;
const SAMPLES: usize = 32;
/// How often what the daemons use is shown.
const ROW: Duration = Duration::from_secs(5);

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let frames = option("--frames", 100);
    let side = option("--side", SIDE);
    let folder = tempfile::Builder::new().prefix("weft-sharing-").tempdir().expect("room");
    let folder = folder.path();
    let mut daemons: Vec<Daemon> =
        ["one", "two", "three"].map(|name| Daemon::local(folder, name)).into();
    daemon::found(&mut daemons);
    let people = invite(folder, &daemons[0]);
    let scenes: Vec<PathBuf> = (0..PEOPLE).map(|number| scene(folder, number)).collect();
    let addresses: Vec<String> = daemons.iter().map(address).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (number, person) in people.iter().enumerate() {
            let (scene, address) = (&scenes[number], &addresses[number % addresses.len()]);
            scope.spawn(move || submit(person, address, scene, frames));
        }
    });
    let submitted = begun.elapsed().as_secs_f64();
    println!(
        "{PEOPLE} jobs of {frames} frames, {side} pixels wide, were submitted in {submitted:.1} s"
    );
    println!("   s   done   % of a core (each)      MiB (each)              disk, MiB (all)");
    let (mut shares, mut row, mut before) = (None, Instant::now(), used(&daemons));
    let done = loop {
        let jobs = daemons[0].json(&["jobs", "--all", "--json"]);
        let jobs = jobs.as_array().cloned().unwrap_or_default();
        let done: Vec<u64> = jobs.iter().filter_map(|job| job["frames_done"].as_u64()).collect();
        let over = |job: &Value| job["status"] == "completed";
        if shares.is_none() && jobs.iter().any(over) {
            shares = Some(done.clone());
        }
        let took = row.elapsed();
        if took >= ROW || jobs.iter().all(over) {
            let now = used(&daemons);
            let pairs = before.iter().zip(&now);
            let percent = pairs.map(|(before, now)| {
                (now.cpu - before.cpu).as_secs_f64() / took.as_secs_f64() * 100.0
            });
            let percent: Vec<String> = percent.map(|part| format!("{part:.1}")).collect();
            let memory: Vec<String> = now.iter().map(|now| format!("{:.1}", now.rss)).collect();
            let (all, disk) = (done.iter().sum::<u64>(), usage::disk(folder));
            let seconds = begun.elapsed().as_secs();
            println!(
                "{seconds:4}   {all:4}   {:22}  {:22}  {disk:.1}",
                percent.join(" "),
                memory.join(" ")
            );
            (row, before) = (Instant::now(), now);
        }
        if jobs.len() == PEOPLE && jobs.iter().all(over) {
            break jobs;
        }
        assert!(begun.elapsed() < Duration::from_secs(1800), "they don't get through");
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut verdict = Verdict::default();
    verdict.at_least("jobs that are completed", done.len() as f64, PEOPLE as f64);
    let shares = shares.unwrap_or_default();
    let mean = shares.iter().sum::<u64>() as f64 / shares.len().max(1) as f64;
    let furthest = shares.iter().map(|share| (*share as f64 - mean).abs()).fold(0.0, f64::max);
    println!("done of each when the first was: {shares:?}");
    verdict.at_most("furthest from an even share then, %", furthest / mean * 100.0, 10.0);
    verdict.end();
}

fn used(daemons: &[Daemon]) -> Vec<Usage> {
    daemons.iter().map(|daemon| usage::of(daemon.process().expect("it runs"))).collect()
}

fn address(daemon: &Daemon) -> String {
    let port = std::fs::read_to_string(daemon.home().join("port")).unwrap_or_default();
    format!("127.0.0.1:{}", port.trim())
}

fn weft(person: &Daemon, args: &[&str]) {
    let mut command = Command::new(weft_binary());
    command.args(args).env("WEFT_HOME", person.home()).env("USER", person.name());
    let output = command.stdin(Stdio::null()).output().expect("weft can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "weft {}: {said}", args.join(" "));
}

/// A scene of somebody's own: frames that are alike would be rendered once for all.
fn scene(folder: &Path, person: usize) -> PathBuf {
    let number = |number: usize| u32::try_from(number).expect("small pictures");
    let text = demo_scene(number(option("--side", SIDE)), number(option("--samples", SAMPLES)));
    let path = folder.join(format!("scene{person}.weft"));
    std::fs::write(&path, text.replace("seed = 1", &format!("seed = {}", person + 1)))
        .expect("room");
    path
}

/// People with machines of their own, on which no daemon runs.
fn invite(folder: &Path, daemon: &Daemon) -> Vec<Daemon> {
    let uses = PEOPLE.to_string();
    let code = daemon.call(&["invite", "--role", "artist", "--uses", &uses]);
    let person = |number: usize| {
        let person = Daemon::local(folder, &format!("artist{number}"));
        std::fs::create_dir_all(person.home()).expect("homes can be made");
        weft(&person, &["join", code.trim()]);
        person
    };
    (0..PEOPLE).map(person).collect()
}

fn submit(person: &Daemon, address: &str, scene: &Path, frames: usize) {
    let frames = format!("1-{frames}");
    let scene = scene.display().to_string();
    let args = ["submit", &scene, "-f", &frames, "--peer", address];
    weft(person, &args);
}
