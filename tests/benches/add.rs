//! `weft add` of 1 GiB, four files that nothing compresses and a scene in Maya's text format, into a node that has
//! nothing yet, beside `cp -r` and `sync` of the same; and the most memory that its daemon held meanwhile. Once more
//! with everything there already. The store without a daemon around it is measured by its own bench, `ingest`.
//!
//! `cargo bench -p weft-tests --bench add -- [--runs 5] [--strict]`

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::data;
use weft_tests::bench::figures::{Verdict, given, median, option, rate};
use weft_tests::bench::usage;

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let folder = tempfile::Builder::new().prefix("weft-add-").tempdir().expect("room");
    let files = folder.path().join("files");
    std::fs::create_dir(&files).expect("room");
    let mut bytes = 256 << 20;
    for number in 0..4 {
        _ = data::noise(files.join(format!("noise{number}")), number, 192);
        bytes += 192 << 20;
    }
    _ = data::maya(files.join("scene.ma"), 256);
    let (mut copied, mut added, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let mut peak = 0.0_f64;
    for _ in 0..option("--runs", 5) {
        settle();
        copied.push(rate(bytes, copy(&files, &folder.path().join("copy"))));
        let mut daemons = [Daemon::local(folder.path(), "one")];
        daemon::found(&mut daemons);
        settle();
        added.push(rate(bytes, add(&daemons[0], &files)));
        again.push(add(&daemons[0], &files).as_secs_f64());
        peak = peak.max(usage::of(daemons[0].process().expect("it runs")).peak);
        drop(daemons);
        std::fs::remove_dir_all(folder.path().join("one")).expect("it is gone");
    }
    let (copied, added, again) = (median(&copied), median(&added), median(&again));
    println!("cp -r and sync: {copied:.0} MiB/s; weft add: {added:.0} MiB/s, again {again:.2} s");
    let mut verdict = Verdict::default();
    verdict.at_least("weft add / cp -r and sync", added / copied, 0.75);
    verdict.at_most("its daemon's memory, in MiB", peak, 200.0);
    verdict.end();
}

/// What earlier runs left in memory is written first, so that no run pays for another.
fn settle() {
    _ = Command::new("sync").status();
    std::thread::sleep(Duration::from_millis(500));
}

/// How long a copy takes that is on the disk then, and goes again.
fn copy(files: &Path, to: &Path) -> Duration {
    let begun = Instant::now();
    assert!(Command::new("cp").arg("-r").arg(files).arg(to).status().is_ok_and(|cp| cp.success()));
    assert!(Command::new("sync").status().is_ok_and(|sync| sync.success()));
    let took = begun.elapsed();
    std::fs::remove_dir_all(to).expect("it is gone");
    took
}

fn add(daemon: &Daemon, files: &Path) -> Duration {
    let begun = Instant::now();
    daemon::finish(daemon.start_call(&["add", &files.display().to_string()]), begun)
}
