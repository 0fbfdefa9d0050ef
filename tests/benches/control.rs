//! How many tasks a second three nodes on this machine get through, where each is a lease and an
//! outcome on two disks, for tasks that do nothing. Beside Celery with Redis, which keeps nothing
//! on disk, in the same run. And how many that run `/bin/true`, in the sandbox beside bubblewrap alone, and without
//! one beside Celery.
//!
//! `cargo bench -p weft-tests --bench control -- [--runs 5] [--tasks 10000] [--strict]`

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use weft_tests::bench::celery::Celery;
use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given, median, option};

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let folder = tempfile::Builder::new().prefix("weft-control-").tempdir().expect("room");
    let folder = folder.path();
    let runs = option("--runs", 5);
    let mut verdict = Verdict::default();
    let mut daemons: Vec<Daemon> =
        ["one", "two", "three"].map(|name| Daemon::local(folder, name)).into();
    daemon::found(&mut daemons);
    let scene = folder.join("scene.txt");
    std::fs::write(&scene, "nothing").expect("room");
    let scene = scene.display().to_string();
    let tasks = option("--tasks", 10_000);
    let ours = measure("three nodes, tasks that do nothing", runs, tasks, || {
        submit(&daemons[0], &scene, tasks)
    });
    drop(daemons);
    let few = tasks / 10;
    let one = celery(folder, 1, "nothing", runs, few);
    _ = celery(folder, 3, "nothing", runs, few);
    if let Some(one) = one {
        verdict.at_least("weft / Celery with one worker, nothing to do", ours / one, 8.0);
    }
    let free = commands(folder, "off", runs, few);
    if let Some(one) = celery(folder, 1, "true", runs, few) {
        verdict.at_least("weft / Celery with one worker, /bin/true", free / one, 2.5);
    }
    if let Some(alone) = bubblewrap(runs, few) {
        let confined = commands(folder, "required", runs, few);
        verdict.at_least(
            "weft in its sandbox / bubblewrap alone, /bin/true",
            confined / alone,
            0.5,
        );
    }
    verdict.end();
}

/// Three nodes that run a command of one's own: `/bin/true`.
fn commands(folder: &Path, sandbox: &str, runs: usize, tasks: usize) -> f64 {
    let folder = folder.join(sandbox);
    let mut daemons: Vec<Daemon> =
        ["one", "two", "three"].map(|name| Daemon::local(&folder, name)).into();
    for daemon in &daemons {
        std::fs::create_dir_all(daemon.home()).expect("room");
        let config = format!("[node]\nsandbox = \"{sandbox}\"\n[run]\nallow = true\n");
        std::fs::write(daemon.home().join("weft.toml"), config).expect("room");
    }
    daemon::found(&mut daemons);
    let what = format!("three nodes, tasks that run /bin/true, sandbox = \"{sandbox}\"");
    measure(&what, runs, tasks, || {
        let frames = format!("1-{tasks}");
        let begun = Instant::now();
        let call = daemons[0].start_call(&["run", "-f", &frames, "--watch", "--", "/bin/true"]);
        daemon::finish(call, begun)
    })
}

/// Bubblewrap called by hand with all namespaces, by as many callers as the machine has cores.
fn bubblewrap(runs: usize, tasks: usize) -> Option<f64> {
    let call = || {
        let mut call = Command::new("bwrap");
        call.args(["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/"]);
        call.args(["--proc", "/proc", "--dev", "/dev", "/bin/true"]);
        call.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        call.status().is_ok_and(|status| status.success())
    };
    if !call() {
        println!("bubblewrap is not installed, or may not make namespaces: left out");
        return None;
    }
    let callers = std::thread::available_parallelism().map_or(1, usize::from);
    let each = tasks / callers;
    Some(measure("bubblewrap alone, /bin/true", runs, each * callers, || {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..callers {
                scope.spawn(|| (0..each).for_each(|_| assert!(call())));
            }
        });
        begun.elapsed()
    }))
}

/// Prints the rates, in tasks a second, and gives the one in the middle.
fn measure(what: &str, runs: usize, tasks: usize, mut run: impl FnMut() -> Duration) -> f64 {
    let rates: Vec<f64> = (0..runs).map(|_| tasks as f64 / run().as_secs_f64()).collect();
    let (least, most) =
        rates.iter().fold((f64::MAX, 0.0_f64), |(a, b), rate| (a.min(*rate), b.max(*rate)));
    println!("{what}: {:.0} tasks/s ({least:.0} to {most:.0}), {tasks} a run", median(&rates));
    median(&rates)
}

/// How long a job of so many tasks takes, from the call that submits it to its end.
fn submit(daemon: &Daemon, scene: &str, tasks: usize) -> Duration {
    let frames = format!("1-{tasks}");
    let begun = Instant::now();
    let call = daemon.start_call(&["submit", scene, "-e", "noop", "-f", &frames, "--watch"]);
    daemon::finish(call, begun)
}

fn celery(folder: &Path, workers: usize, task: &str, runs: usize, tasks: usize) -> Option<f64> {
    let Some(celery) = Celery::start(folder, workers) else {
        println!("Celery or Redis is not installed: left out");
        return None;
    };
    let what = format!("Celery, {workers} --pool=solo workers, {task}");
    Some(measure(&what, runs, tasks, || celery.drive(task, tasks)))
}
