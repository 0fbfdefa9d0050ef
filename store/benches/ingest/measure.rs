//! Times, medians, and the tables they are printed in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) struct Settings {
    pub(crate) dir: PathBuf,
    pub(crate) runs: usize,
    pub(crate) scale: f64,
}

impl Settings {
    pub(crate) fn from_env(dir: &Path) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        Self {
            dir: dir.to_path_buf(),
            runs: number("WEFT_BENCH_RUNS").map_or(5, |runs: f64| runs.max(1.0) as usize),
            scale: number("WEFT_BENCH_SCALE").unwrap_or(1.0),
        }
    }

    /// A number of bytes or files, scaled.
    pub(crate) fn scaled(&self, number: u64) -> u64 {
        ((number as f64 * self.scale) as u64).max(1)
    }

    /// A folder that is not there yet.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path).expect("the last run's folder goes");
        }
        sync(&self.dir);
        path
    }
}

/// How long something takes.
pub(crate) fn time<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let value = act();
    (started.elapsed(), value)
}

/// `cp -r`, and a sync of the file system it wrote to.
pub(crate) fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(done.expect("cp").success(), "cp failed");
    sync(to);
}

/// Syncs the file system of a path.
pub(crate) fn sync(path: &Path) {
    let done = Command::new("sync").arg("-f").arg(path).status();
    assert!(done.expect("sync").success(), "sync failed");
}

/// The median of the times, which are sorted.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// One row: a name, the median, the least and the most, and what follows from the median.
pub(crate) fn row(name: &str, times: &mut [Duration], rest: impl FnOnce(f64) -> String) {
    let middle = median(times).as_secs_f64();
    let (least, most) = (times[0].as_secs_f64(), times[times.len() - 1].as_secs_f64());
    println!("  {name:<34} {middle:8.3} s  ({least:.3} to {most:.3})  {}", rest(middle));
}

/// The most memory that this process has had resident, in MiB; 0 where the system doesn't tell.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// What the files below a folder take on the disk, in bytes.
pub(crate) fn on_disk(dir: &Path) -> u64 {
    let out = Command::new("du").args(["-s", "--block-size=1"]).arg(dir).output().expect("du");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
