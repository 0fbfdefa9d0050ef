//! libtorrent with its Python binding, where that is installed, as the peer of the swarm's bench.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::network::Network;
use crate::wait_for;

/// The system's own Python: Debian's `python3-libtorrent` is for that one.
const PYTHON: &str = "/usr/bin/python3";
/// How long a swarm may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/torrent.py")
}

/// Whether it can be run here.
#[must_use]
pub fn is_installed() -> bool {
    let mut command = Command::new(PYTHON);
    command.args(["-c", "import libtorrent"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Ends what it holds when it is dropped.
struct Sharing(Vec<Child>);

impl Drop for Sharing {
    fn drop(&mut self) {
        for child in &mut self.0 {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// How long it takes until the last of `peers` peers has a file, which one seed has: the seed is in
/// namespace 0, the peers are in those behind it. Each of them knows all others.
///
/// # Panics
/// When it can't be run, or takes too long.
#[must_use]
pub fn last_peer(network: &Network, folder: &Path, file: &Path, peers: usize) -> Duration {
    let folder = tempfile::Builder::new().prefix("torrent-").tempdir_in(folder).expect("room");
    let torrent = folder.path().join("torrent");
    let made = Command::new(PYTHON).arg(script()).arg("make").args([file, &torrent]).status();
    assert!(made.is_ok_and(|status| status.success()), "libtorrent can't describe the file");
    let go = folder.path().join("go");
    let mark = |what: &str, number: usize| folder.path().join(format!("{what}{number}"));
    let mut sharing = Sharing(Vec::new());
    for number in 0..=peers {
        let save = mark("files", number);
        let save = if number == 0 { file.parent().expect("a folder") } else { save.as_path() };
        std::fs::create_dir_all(save).expect("room");
        let others = (0..=peers).filter(|other| *other < number).map(|n| network.address(n));
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &network.name(number), PYTHON])
            .args([&script(), Path::new("share"), &torrent, save])
            .arg(network.address(number))
            .arg(others.collect::<Vec<_>>().join(","))
            .args([mark("ready", number), go.clone(), mark("done", number)])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        sharing.0.push(command.spawn().expect("`ip` can be started"));
    }
    let all = |what: &str| (0..=peers).all(|number| mark(what, number).exists()).then_some(());
    wait_for(PATIENCE, "libtorrent listens everywhere", || all("ready"));
    let begun = Instant::now();
    File::create(go).expect("room");
    wait_for(PATIENCE, "libtorrent's last peer is done", || all("done"));
    begun.elapsed()
}
