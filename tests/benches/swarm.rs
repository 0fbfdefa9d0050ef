//! Nodes that fetch the same file at once, each in a network namespace behind a link of its own,
//! from one that has it. Measured against what the links could carry at best: all of the file
//! must go up the seed's link once and down every peer's, and what all links carry up together
//! must make a copy for each peer.
//!
//! libtorrent, where Debian's `python3-libtorrent` is installed, does the same on the same links in
//! the same run.
//!
//! Needs root, `ip` and `tc`. The daemons share this machine's cores and disk.
//!
//! `cargo bench -p weft-tests --bench swarm -- [--runs 5] [--small-only|--large-only] [--strict]`; `--mbit N` gives the
//! links another rate, to see what the cores limit and what the links.

use std::process::Child;
use std::time::{Duration, Instant};

use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::data;
use weft_tests::bench::figures::{Verdict, given, median, option};
use weft_tests::bench::network::Network;
use weft_tests::bench::torrent;
use weft_tests::wait_for;

/// A swarm to measure.
struct Case {
    peers: usize,
    mib: usize,
    mbit: usize,
    /// How much longer than the limit the last peer may take.
    ratio: f64,
    /// Whether one more peer joins when the others are half-way.
    late: bool,
}

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let mut verdict = Verdict::default();
    let small = Case { peers: 6, mib: 256, mbit: option("--mbit", 200), ratio: 1.3, late: true };
    let large = Case { peers: 12, mib: 128, mbit: option("--mbit", 100), ratio: 1.35, late: false };
    if !given("--large-only") {
        measure(&small, &mut verdict);
    }
    if !given("--small-only") {
        measure(&large, &mut verdict);
    }
    verdict.end();
}

fn measure(case: &Case, verdict: &mut Verdict) {
    let nodes = 1 + case.peers + usize::from(case.late);
    let Some(network) = Network::new(nodes, case.mbit) else {
        println!("no network namespaces can be made here: swarms are left out");
        return;
    };
    let folder = tempfile::Builder::new().prefix("weft-swarm-").tempdir().expect("room");
    let folder = folder.path();
    let mut daemons: Vec<Daemon> = (0..nodes)
        .map(|n| Daemon::within(folder, &format!("node{n}"), &network.name(n), &network.address(n)))
        .collect();
    daemon::found(&mut daemons);
    daemon::settle(&daemons);
    let Case { peers, mib, mbit, ratio, .. } = *case;
    let file = data::noise(folder.join("file"), 5, mib);
    let blob = daemons[0].json(&["add", "--json", &file.display().to_string()]);
    let blob = blob[0]["id"].as_str().expect("an id").to_owned();
    let bytes = (mib << 20) as f64;
    let rate = mbit as f64 * 1e6 / 8.0;
    let limit = (bytes / rate).max(peers as f64 * bytes / (rate * (peers + 1) as f64));
    println!("{peers} peers, {mib} MiB, {mbit} Mbit/s: at best {limit:.2} s");
    let (mut lasts, mut copies, mut lates) = (Vec::new(), Vec::new(), Vec::new());
    let mut torrents = Vec::new();
    for run in 1..=option("--runs", 5) {
        let before: Vec<(u64, u64)> = daemons.iter().map(Daemon::traffic).collect();
        let begun = Instant::now();
        let calls: Vec<Child> =
            daemons[1..=peers].iter().map(|d| d.start_call(&["pin", &blob])).collect();
        let late = case.late.then(|| {
            let half = (bytes / 2.0) as u64;
            wait_for(Duration::from_secs(120), "a peer is half-way", || {
                (daemons[1].traffic().1 - before[1].1 >= half).then_some(())
            });
            (daemons[nodes - 1].start_call(&["pin", &blob]), Instant::now())
        });
        let mut took: Vec<f64> =
            finish_all(calls, begun).iter().map(Duration::as_secs_f64).collect();
        took.sort_by(f64::total_cmp);
        let late =
            late.map(|(call, begun)| daemon::finish(call, begun).as_secs_f64() / (bytes / rate));
        let moved = |n: usize| {
            let (sent, received) = daemons[n].traffic();
            ((sent - before[n].0) as f64 / bytes, (received - before[n].1) as f64 / bytes)
        };
        let received: Vec<f64> = (1..=peers).map(|n| moved(n).1).collect();
        let last = took[took.len() - 1];
        println!(
            "run {run}: first {:.2} s, last {last:.2} s ({:.2} of the limit); the seed sent {:.2} copies, \
             the peers received {:.3} each at the median{}",
            took[0],
            last / limit,
            moved(0).0,
            median(&received),
            late.map_or(String::new(), |late| format!("; the late one {late:.2} of its limit")),
        );
        if torrent::is_installed() {
            let took = torrent::last_peer(&network, folder, &file, peers).as_secs_f64();
            println!("run {run}: libtorrent's last {took:.2} s ({:.2} of the limit)", took / limit);
            torrents.push(took / limit);
        }
        lasts.push(last / limit);
        copies.push(moved(0).0);
        lates.extend(late);
        for daemon in &daemons[1..] {
            daemon.call(&["unpin", &blob]);
        }
        // What is being sent to somebody stays until that is over.
        for daemon in &daemons[1..] {
            wait_for(Duration::from_secs(60), "the file is gone again", || {
                daemon.call(&["gc"]);
                let held = daemon.json(&["has", &blob, "--json"]);
                held["existing"].as_array().is_some_and(Vec::is_empty).then_some(())
            });
        }
    }
    if torrents.is_empty() {
        println!("python3-libtorrent is not installed: nothing to compare with");
    } else {
        let ratio = median(&torrents) / median(&lasts);
        println!("{peers} peers: libtorrent's last one takes {ratio:.2} times as long");
    }
    let what = format!("{peers} peers: the last one / the limit");
    verdict.at_most(&what, median(&lasts), ratio);
    verdict.at_most(&format!("{peers} peers: copies that the seed sent"), median(&copies), 1.5);
    if case.late {
        verdict.at_most("a peer that joins half-way / its limit", median(&lates), 1.3);
    }
}

/// Waits for the end of all calls, and says how long each took.
fn finish_all(mut calls: Vec<Child>, begun: Instant) -> Vec<Duration> {
    let mut took = vec![Duration::ZERO; calls.len()];
    loop {
        let mut running = 0;
        for (call, took) in calls.iter_mut().zip(&mut took).filter(|(_, took)| took.is_zero()) {
            match call.try_wait().expect("calls can be waited for") {
                Some(status) => {
                    *took = begun.elapsed();
                    assert!(status.success(), "a peer could not fetch: {status}");
                }
                None => running += 1,
            }
        }
        if running == 0 {
            return took;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
