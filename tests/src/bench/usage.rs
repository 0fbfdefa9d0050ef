//! What a process uses, as Linux counts it.

use std::path::Path;
use std::time::Duration;

/// What a process used so far, and uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on processors, those of its threads together.
    pub cpu: Duration,
    /// Memory that it holds, in MiB.
    pub rss: f64,
    /// The most that it held, in MiB.
    pub peak: f64,
}

fn read(process: &str, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default()
}

/// The fields of a process's `stat`, from the third on: the name in the second may hold blanks.
fn stat(process: &str) -> Vec<u64> {
    let stat = read(process, "stat");
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect()
}

/// Whether a process has others that it started.
#[must_use]
pub fn is_parent(process: u32) -> bool {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|name| name.parse::<u32>().is_ok() && stat(&name).get(1) == Some(&u64::from(process)))
}

/// What a process uses; nothing where it is gone.
#[must_use]
pub fn of(process: u32) -> Usage {
    let process = process.to_string();
    let status = read(&process, "status");
    let mib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    };
    // A hundred ticks a second, on every system that Linux runs on today.
    let ticks: u64 = stat(&process).iter().skip(11).take(2).sum();
    let cpu = Duration::from_millis(ticks * 10);
    Usage { cpu, rss: mib("VmRSS:"), peak: mib("VmHWM:") }
}

/// How many MiB the files in a folder have together.
#[must_use]
pub fn disk(folder: &Path) -> f64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => disk(&entry.path()),
        Ok(kind) if kind.is_file() => {
            entry.metadata().map_or(0.0, |found| found.len() as f64 / f64::from(1 << 20))
        }
        _ => 0.0,
    });
    sizes.sum()
}
