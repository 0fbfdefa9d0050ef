//! A second node gets 1 GiB from the first, over loopback: four files that nothing compresses and a
//! scene in Maya's text format. Measured against an rsync daemon, and against `sendme` where it is
//! installed, on the same files in the same minutes. Then the scene alone, over a gigabit, and new versions of it where
//! an older one is.
//!
//! `cargo bench -p weft-tests --bench pair -- [--runs 5] [--cold] [--strict]`

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given, median, option, rate};
use weft_tests::bench::{data, network::Network, usage};

/// What a wire of a gigabit carries, in bytes a second.
const GIGABIT: f64 = 125_000_000.0;

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let folder = tempfile::Builder::new().prefix("weft-pair-").tempdir().expect("room");
    let files = folder.path().join("files");
    std::fs::create_dir(&files).expect("room");
    let mut paths: Vec<PathBuf> =
        (0..4).map(|n| data::noise(files.join(format!("noise{n}")), n, 192)).collect();
    paths.push(data::maya(files.join("scene.ma"), 256));
    let mut verdict = Verdict::default();
    if !given("--wire-only") {
        loopback(folder.path(), &paths, &mut verdict);
    }
    if !given("--loopback-only") {
        over_a_gigabit(folder.path(), &paths[4], &mut verdict);
    }
    verdict.end();
}

fn size(paths: &[PathBuf]) -> u64 {
    paths.iter().map(|path| std::fs::metadata(path).map_or(0, |found| found.len())).sum()
}

/// What earlier runs left in memory is written first, so that no run pays for another.
fn settle() {
    _ = Command::new("sync").status();
    if given("--cold") {
        // What is read comes from the disk then. Needs root.
        _ = std::fs::write("/proc/sys/vm/drop_caches", "1");
    }
    std::thread::sleep(Duration::from_millis(500));
}

/// How long a node takes to get a tree, which it forgets again.
fn fetch(daemon: &Daemon, tree: &str) -> Duration {
    let begun = Instant::now();
    let took = daemon::finish(daemon.start_call(&["pin", tree]), begun);
    daemon.call(&["unpin", tree]);
    daemon.call(&["gc"]);
    took
}

fn loopback(folder: &Path, paths: &[PathBuf], verdict: &mut Verdict) {
    let bytes = size(paths);
    let mut daemons = vec![Daemon::local(folder, "one"), Daemon::local(folder, "two")];
    daemon::found(&mut daemons);
    let tree = data::add(&daemons[0], folder, paths);
    let rsync = Rsync::start(folder);
    let sendme = Sendme::start(folder, &folder.join("files"));
    let (mut ours, mut sendmes) = (Vec::new(), Vec::new());
    let (mut rsyncs, mut synced) = (Vec::new(), Vec::new());
    let (mut cores, both) = (Vec::new(), [daemons[0].process(), daemons[1].process()]);
    let used =
        || both.iter().flatten().map(|process| usage::of(*process).cpu.as_secs_f64()).sum::<f64>();
    for run in 1..=option("--runs", 5) {
        if let Some(rsync) = &rsync {
            settle();
            rsyncs.push(rate(bytes, rsync.copy(folder, &[])));
            settle();
            synced.push(rate(bytes, rsync.copy(folder, &["--fsync"])));
        }
        if let Some(sendme) = &sendme {
            settle();
            sendmes.push(rate(bytes, sendme.copy(folder)));
        }
        settle();
        let before = used();
        ours.push(rate(bytes, fetch(&daemons[1], &tree)));
        cores.push((used() - before) * 1000.0 / (bytes as f64 / f64::from(1 << 20)));
        let last = |rates: &[f64]| rates.last().copied().unwrap_or(f64::NAN);
        println!(
            "run {run}: weft {:.0} MiB/s, rsync -W --fsync {:.0}, rsync -W {:.0}, sendme {:.0}",
            last(&ours),
            last(&synced),
            last(&rsyncs),
            last(&sendmes),
        );
    }
    println!(
        "medians: weft {:.0} MiB/s, rsync -W --fsync {:.0}, rsync -W {:.0}, sendme {:.0}",
        median(&ours),
        median(&synced),
        median(&rsyncs),
        median(&sendmes),
    );
    println!("      of the cores, both ends: {:.2} ms a MiB", median(&cores));
    if rsync.is_some() {
        // What weft says to have, it has on disk: rsync does that only when it is told to.
        verdict.at_least("weft / rsync -W --fsync", median(&ours) / median(&synced), 1.3);
        println!(
            "      weft / rsync -W, which leaves it in memory: {:.2}",
            median(&ours) / median(&rsyncs)
        );
    }
    if sendme.is_some() {
        verdict.at_least("weft / sendme", median(&ours) / median(&sendmes), 2.5);
    }
}

fn over_a_gigabit(folder: &Path, scene: &Path, verdict: &mut Verdict) {
    let Some(network) = Network::new(2, 1000) else {
        println!("no network namespaces can be made here: the gigabit is left out");
        return;
    };
    let bytes = size(&[scene.to_owned()]);
    let place =
        |n: usize, name: &str| Daemon::within(folder, name, &network.name(n), &network.address(n));
    let mut daemons = vec![place(0, "wired-one"), place(1, "wired-two")];
    daemon::found(&mut daemons);
    let tree = data::add(&daemons[0], folder, &[scene.to_owned()]);
    let mut times = Vec::new();
    for run in 1..=option("--runs", 5) {
        settle();
        let took = fetch(&daemons[1], &tree);
        times.push(bytes as f64 / GIGABIT / took.as_secs_f64());
        println!(
            "run {run}: the scene in {:.2} s, {:.0} MiB/s",
            took.as_secs_f64(),
            rate(bytes, took)
        );
    }
    verdict.at_least("the scene over a gigabit / the wire alone", median(&times), 2.5);
    new_versions(folder, scene, &network, &daemons, verdict);
}

/// A node that has a scene gets others that differ from it a little: what is sent for them, and how soon they are there.
fn new_versions(
    folder: &Path,
    scene: &Path,
    network: &Network,
    daemons: &[Daemon],
    verdict: &mut Verdict,
) {
    let tree = data::add(&daemons[0], folder, &[scene.to_owned()]);
    daemons[1].call(&["pin", &tree]);
    let text = std::fs::read(scene).expect("it was written");
    let (mut longest, mut most) = (0.0_f64, 0.0_f64);
    for (name, edited) in data::versions(&text) {
        let (mut times, mut sent) = (Vec::new(), Vec::new());
        for run in 0..option("--runs", 5) {
            // Each time another file, so that nothing of it is there.
            let path = folder.join("edited.ma");
            std::fs::write(&path, [&edited[..], format!("// {run}\n").as_bytes()].concat())
                .expect("room");
            let tree = data::add(&daemons[0], folder, &[path]);
            settle();
            let before = network.bytes(0).0;
            times.push(fetch(&daemons[1], &tree).as_secs_f64());
            sent.push((network.bytes(0).0 - before) as f64 / f64::from(1 << 20));
        }
        println!("{name}: {:.2} MiB were sent, there after {:.2} s", median(&sent), median(&times));
        longest = longest.max(median(&times));
        most = most.max(median(&sent));
    }
    verdict.at_most("MiB sent for a new version", most, 4.0);
    verdict.at_most("s until it is there", longest, 2.0);
}

/// A program that serves; it is ended when this is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// An rsync daemon on loopback.
struct Rsync {
    _server: Server,
    port: u16,
}

impl Rsync {
    fn start(folder: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let config = folder.join("rsyncd.conf");
        let text = format!(
            "use chroot = no\nport = {port}\naddress = 127.0.0.1\nuid = root\ngid = root\n[files]\npath = {}\n",
            folder.join("files").display()
        );
        std::fs::write(&config, text).ok()?;
        let mut command = Command::new("rsync");
        command.args(["--daemon", "--no-detach", "--config"]).arg(&config);
        let child = command.stdin(Stdio::null()).spawn();
        let Ok(child) = child else {
            println!("rsync is not installed: it is left out");
            return None;
        };
        std::thread::sleep(Duration::from_millis(300));
        Some(Self { _server: Server(child), port })
    }

    fn copy(&self, folder: &Path, options: &[&str]) -> Duration {
        let to = folder.join("rsynced");
        let begun = Instant::now();
        let mut command = Command::new("rsync");
        command
            .arg("-rW")
            .args(options)
            .arg(format!("rsync://127.0.0.1:{}/files/", self.port))
            .arg(&to);
        let copied = command.status().expect("rsync can be started");
        let took = begun.elapsed();
        assert!(copied.success(), "rsync failed");
        std::fs::remove_dir_all(&to).expect("it was copied");
        took
    }
}

/// A `sendme` that offers the files.
struct Sendme {
    _server: Server,
    ticket: String,
}

impl Sendme {
    fn start(folder: &Path, files: &Path) -> Option<Self> {
        let output = folder.join("sendme.out");
        let mut command = Command::new("sendme");
        command.args(["send", "--relay", "disabled"]).arg(files).current_dir(folder);
        let child = command
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&output).ok()?)
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            println!("sendme is not installed: it is left out");
            return None;
        };
        let server = Server(child);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            let text = std::fs::read_to_string(&output).unwrap_or_default();
            let ticket = text.split_whitespace().find(|word| word.starts_with("blob"));
            if let Some(ticket) = ticket {
                return Some(Self { _server: server, ticket: ticket.to_owned() });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("sendme offers nothing: it is left out");
        None
    }

    fn copy(&self, folder: &Path) -> Duration {
        let to = folder.join("received");
        std::fs::create_dir(&to).expect("folders can be made");
        let begun = Instant::now();
        let mut command = Command::new("sendme");
        command.args(["receive", "--relay", "disabled", &self.ticket]).current_dir(&to);
        let copied =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let took = begun.elapsed();
        assert!(copied.expect("sendme can be started").success(), "sendme failed");
        std::fs::remove_dir_all(&to).expect("it was received");
        took
    }
}
