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

/// What a process uses; nothing where it is gone.
#[must_use]
pub fn of(process: u32) -> Usage {
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let status = read("status");
    let mib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    };
    // The name in the second field may hold blanks; what comes after it is counted from its end.
    let stat = read("stat");
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok());
    // A hundred ticks a second, on every system that Linux runs on today.
    let cpu = Duration::from_millis(ticks.sum::<u64>() * 10);
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
