//! What an engine may take of the machine, and whether it took more: its memory, its folder, and how many
//! processes it has. Looked at now and then, since nothing but root could let the kernel do it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Told;

/// How often memory is looked at: as a rule, and once half of what is allowed is held.
#[cfg(target_os = "linux")]
const LOOK: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(25));
/// What part of the most that was held so far it takes to tell of more.
#[cfg(target_os = "linux")]
const NOTICEABLE: u64 = 32;
/// How often the folder is looked at, and what part of the time that may take at most.
const LOOK_AT_FOLDER: Duration = Duration::from_secs(1);
const PART_OF_TIME: u32 = 20;
/// The most processes and threads' parents that an engine may have: far more than any renderer, fewer than
/// would keep a machine from starting others.
#[cfg(target_os = "linux")]
const MOST_PROCESSES: usize = 4096;
/// What is counted for a file however small: it takes a block, and a place in the file system's list.
const LEAST_FILE: u64 = 4096;
/// How much of a disk is left to everybody else: a part of it, and no more than so much.
const LEFT: (u64, u64) = (50, 1 << 30);

/// The most that an engine may take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Memory of all its processes, in bytes.
    pub(super) memory: Option<u64>,
    /// Bytes below a folder.
    pub(super) space: Option<(PathBuf, u64)>,
}

/// What an engine took too much of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    /// Bytes of memory: held, and allowed.
    Memory(u64, u64),
    /// Bytes below its folder: held, and allowed.
    Space(u64, u64),
    /// Bytes that are left on the disk of its folder.
    Disk(u64),
    /// Folders in folders, deeper than any path.
    Depth,
    /// Processes.
    Processes(usize),
}

/// Returns when the engine has taken too much, and never if it does not. Tells meanwhile how much memory it holds.
pub(super) async fn exceeded(limits: &Limits, told: &mpsc::Sender<Told>) -> Exceeded {
    tokio::select! {
        excess = processes(limits, told) => excess,
        excess = folder(limits) => excess,
    }
}

async fn folder(limits: &Limits) -> Exceeded {
    let Some((folder, most)) = &limits.space else {
        return std::future::pending().await;
    };
    let floor = left_to_others(folder);
    let mut pause = LOOK_AT_FOLDER;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        match below(folder, *most) {
            Some(held) if held > *most => return Exceeded::Space(held, *most),
            Some(_) => {}
            None => return Exceeded::Depth,
        }
        let left = free(folder).map(|(free, _)| free);
        if let Some(left) = left.filter(|left| floor.is_some_and(|floor| *left < floor)) {
            return Exceeded::Disk(left);
        }
        pause = LOOK_AT_FOLDER.max(begun.elapsed() * PART_OF_TIME);
    }
}

/// What must stay free on a folder's disk, in bytes; nothing where that isn't free already.
fn left_to_others(folder: &Path) -> Option<u64> {
    let (free, total) = free(folder)?;
    let floor = (total / LEFT.0).min(LEFT.1);
    (free > floor.saturating_mul(2)).then_some(floor)
}

/// How much is free on a folder's disk, and how large it is, in bytes.
#[cfg(unix)]
fn free(folder: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some((disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<(u64, u64)> {
    None
}

/// How many bytes lie below a folder, up to the first that is more than `most`; none where something lies
/// deeper than paths reach. Links count as themselves.
fn below(folder: &Path, most: u64) -> Option<u64> {
    let (mut folders, mut sum) = (vec![folder.to_owned()], 0_u64);
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidFilename => return None,
            // It was just removed, or its owner lets nobody read it: then the disk tells.
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            sum = sum.saturating_add(on_disk(&metadata).max(LEAST_FILE));
            if sum > most {
                return Some(sum);
            }
        }
    }
    Some(sum)
}

#[cfg(unix)]
fn on_disk(metadata: &std::fs::Metadata) -> u64 {
    // In units of 512 bytes, whatever the disk's own are; holes don't count.
    std::os::unix::fs::MetadataExt::blocks(metadata).saturating_mul(512)
}

#[cfg(not(unix))]
fn on_disk(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}

#[cfg(target_os = "linux")]
async fn processes(limits: &Limits, told: &mpsc::Sender<Told>) -> Exceeded {
    let most = limits.memory.unwrap_or(u64::MAX);
    let me = rustix::process::getpid().as_raw_nonzero().get();
    let mut pause = LOOK.0;
    // The most so far: before and after what they share was counted once.
    let (mut summed, mut peak) = (0, 0);
    let noticeably_above = |held: u64, before: u64| held > before + before / NOTICEABLE;
    loop {
        tokio::time::sleep(pause).await;
        let all = descendants(me);
        if all.len() > MOST_PROCESSES {
            return Exceeded::Processes(all.len());
        }
        let held: u64 = all.iter().map(|pid| memory(*pid)).sum();
        // What several share is counted once only where it matters: asking for it takes a while.
        if held > most || noticeably_above(held, summed) {
            let together = all.iter().map(|pid| share(*pid).unwrap_or_else(|| memory(*pid))).sum();
            if together > most {
                return Exceeded::Memory(together, most);
            }
            // Nothing here may wait for who listens: where there is no room the next look tells.
            match noticeably_above(together, peak).then(|| told.try_send(Told::Held(together))) {
                Some(Ok(())) => (summed, peak) = (held, together),
                Some(Err(_)) => {}
                None => summed = held,
            }
        }
        pause = if held > most / 2 { LOOK.1 } else { LOOK.0 };
    }
}

#[cfg(not(target_os = "linux"))]
async fn processes(_: &Limits, _: &mpsc::Sender<Told>) -> Exceeded {
    std::future::pending().await
}

/// The children of a process.
#[cfg(target_os = "linux")]
pub(super) fn children(pid: i32) -> Vec<i32> {
    // Each thread has its own.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.map(|thread| std::fs::read_to_string(thread.path().join("children")));
    let pids = |list: String| -> Vec<i32> {
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    lists.flatten().flat_map(pids).collect()
}

/// All processes below one, which is not among them; those that hide by leaving their parents come back to
/// the guard.
#[cfg(target_os = "linux")]
pub(super) fn descendants(pid: i32) -> Vec<i32> {
    let mut all = children(pid);
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        all.extend(children(pid));
        at += 1;
        if all.len() > 2 * MOST_PROCESSES {
            break;
        }
    }
    all
}

/// The memory that a process holds for itself, in bytes.
#[cfg(target_os = "linux")]
fn memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    kib_of(&status, &["RssAnon:", "RssShmem:", "VmSwap:"]) * 1024
}

/// The same, where what it shares with others is divided among them.
#[cfg(target_os = "linux")]
fn share(pid: i32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(kib_of(&rollup, &["Pss_Anon:", "Pss_Shmem:", "SwapPss:"]) * 1024)
}

/// The sum of some lines like `RssAnon:  12 kB`.
#[cfg(target_os = "linux")]
fn kib_of(text: &str, names: &[&str]) -> u64 {
    let number = |line: &str| {
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
        rest.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    text.lines().filter_map(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_a_folder_counts_and_what_links_lead_to_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let far = tempfile::tempdir().unwrap();
        std::fs::write(far.path().join("large"), vec![1; 1 << 20]).unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/b/file"), vec![1; 100_000]).unwrap();
        std::fs::write(folder.path().join("small"), "x").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(far.path(), folder.path().join("away")).unwrap();
        let held = below(folder.path(), u64::MAX).unwrap();
        assert!((100_000..300_000).contains(&held), "{held}");
        assert!(below(folder.path(), 10_000).unwrap() > 10_000, "it stops counting early");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn processes_and_their_memory_are_found() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(descendants(me).contains(&pid));
        let (held, shared) = (memory(pid), share(pid).unwrap_or(0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(held > 0 && held < 64 << 20, "{held}");
        assert!(shared < 64 << 20, "{shared}");
        assert_eq!(memory(pid), 0, "one that is gone holds nothing");
    }
}
