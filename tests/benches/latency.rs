//! From the call of `weft submit` to the start of the job's first task on an idle node that has the
//! files: as the daemon's log tells. With the number of syncs on the way, and with 10 ms more for
//! each, where `strace` is installed.
//!
//! `cargo bench -p weft-tests --bench latency -- [--jobs 200] [--strict]`

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given, median, option};
use weft_tests::wait_for;

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let folder = tempfile::Builder::new().prefix("weft-latency-").tempdir().expect("room");
    let folder = folder.path();
    let jobs = option("--jobs", 200);
    let mut daemons: Vec<Daemon> =
        ["one", "two", "three"].map(|name| Daemon::local(folder, name).logging()).into();
    daemon::found(&mut daemons);
    let scene = folder.join("scene.txt");
    std::fs::write(&scene, "nothing").expect("room");
    let scene = scene.display().to_string();
    let mut verdict = Verdict::default();
    // The first ones bring the file everywhere.
    _ = measure(&daemons, &scene, 5);
    let took: Vec<f64> = measure(&daemons, &scene, jobs).iter().map(|run| run.1 - run.0).collect();
    show("from submitting to the first task, ms", &took);
    verdict.at_most("the middle one, ms", median(&took), 30.0);
    verdict.at_most("99 of 100 within, ms", percentile(&took, 99), 100.0);
    match Traced::start(folder, &daemons, &[]) {
        None => println!("strace can't trace here: no syncs"),
        Some(traced) => {
            let few = (jobs / 10).max(5);
            let runs = measure(&daemons, &scene, few);
            let syncs = traced.end();
            let within =
                |run: &(f64, f64)| syncs.iter().filter(|at| run.0 < **at && **at < run.1).count();
            let counts: Vec<f64> = runs.iter().map(|run| within(run) as f64).collect();
            println!("syncs of all nodes on the way: {:.0} in the middle", median(&counts));
        }
    }
    if let Some(traced) =
        Traced::start(folder, &daemons, &["-e", "inject=fsync,fdatasync:delay_exit=10000"])
    {
        let slow = measure(&daemons, &scene, (jobs / 10).max(5));
        _ = traced.end();
        let slow: Vec<f64> = slow.iter().map(|run| run.1 - run.0).collect();
        show("the same with 10 ms more for each sync, ms", &slow);
    }
    verdict.end();
}

fn percentile(figures: &[f64], part: usize) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * part).div_ceil(100) - 1]
}

fn show(what: &str, took: &[f64]) {
    let (middle, count) = (median(took), took.len());
    let (least, most) = (percentile(took, 1), percentile(took, 100));
    println!("{what}: {middle:.1} in the middle of {count} ({least:.1} to {most:.1})");
}

/// Now, in milliseconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

/// When each job was submitted and when its first task was started, in milliseconds since 1970.
fn measure(daemons: &[Daemon], scene: &str, jobs: usize) -> Vec<(f64, f64)> {
    let mut runs = Vec::new();
    for number in 0..jobs {
        let begun = now();
        let call = ["submit", scene, "-e", "noop", "-f", "1", "--json"];
        let daemon = &daemons[number % daemons.len()];
        let job = daemon.json(&call)["job"].as_str().expect("an id").to_owned();
        let started = wait_for(Duration::from_secs(30), "its task starts", || {
            daemons.iter().find_map(|daemon| started(&daemon.log(), &job))
        });
        runs.push((begun, started));
        wait_for(Duration::from_secs(30), "it is done", || {
            (daemon.json(&["job", &job, "--json"])["status"] == "completed").then_some(())
        });
    }
    runs
}

/// When a daemon's log says that it started a task of a job, in milliseconds since 1970.
fn started(log: &str, job: &str) -> Option<f64> {
    let short = &job[..10];
    let line = log
        .lines()
        .rev()
        .take(200)
        .find(|line| line.contains("an engine is started") && line.contains(short))?;
    let stamp = line.split_whitespace().next()?;
    // Of the same day as now, in UTC: 2026-11-28T12:00:56.123456Z
    let time = stamp.split_once('T')?.1.trim_end_matches('Z');
    let parts: Vec<f64> = time.split(':').filter_map(|part| part.parse().ok()).collect();
    let [hours, minutes, seconds] = parts[..] else { return None };
    let day = 86_400_000.0;
    let of_day = ((hours * 60.0 + minutes) * 60.0 + seconds) * 1000.0;
    let now = now();
    let today = now - now.rem_euclid(day) + of_day;
    Some(if today > now + day / 2.0 { today - day } else { today })
}

/// `strace` on every daemon.
struct Traced(Vec<(Child, PathBuf)>);

impl Traced {
    fn start(folder: &Path, daemons: &[Daemon], more: &[&str]) -> Option<Self> {
        let mut traced = Self(Vec::new());
        for daemon in daemons {
            let file = folder.join(format!("{}.trace", daemon.name()));
            _ = std::fs::remove_file(&file);
            let process = daemon.process()?.to_string();
            let mut command = Command::new("strace");
            command.args(["-f", "-q", "-ttt", "-e", "trace=fsync,fdatasync"]).args(more);
            command.arg("-o").arg(&file).args(["-p", &process]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            traced.0.push((command.spawn().ok()?, file));
        }
        std::thread::sleep(Duration::from_secs(1));
        let runs = traced.0.iter_mut().all(|(child, _)| matches!(child.try_wait(), Ok(None)));
        runs.then_some(traced)
    }

    /// When anything was synced, in milliseconds since 1970.
    fn end(mut self) -> Vec<f64> {
        let mut syncs = Vec::new();
        for (mut child, file) in self.0.drain(..) {
            _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            _ = child.wait();
            let text = std::fs::read_to_string(file).unwrap_or_default();
            // A call that others came between has two lines, of which the second is no new one.
            let calls =
                text.lines().filter(|line| line.contains("sync(") && !line.contains("resumed"));
            let times =
                calls.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
            syncs.extend(times.map(|seconds| seconds * 1000.0));
        }
        syncs
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        for (child, _) in &mut self.0 {
            _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            _ = child.wait();
        }
    }
}
