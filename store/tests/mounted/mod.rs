//! File systems of a test's own, in a file, which only root can mount. Where that isn't possible it
//! is said, and the test is left out; with `WEFT_REQUIRE_MOUNT` set it fails instead.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system of its own, mounted while this lives.
pub(crate) struct Mounted {
    dir: tempfile::TempDir,
}

impl Mounted {
    /// A file system of a kind (`ext4`, `xfs`, `btrfs`), and how large its disk is in bytes.
    pub(crate) fn new(kind: &str, size: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(size).unwrap();
        std::fs::create_dir(dir.path().join("disk")).unwrap();
        let more: &[&str] = if kind == "ext4" { &["-m", "0"] } else { &[] };
        let arguments = [&["-q"], more, &[path(&image)]].concat();
        let made = run(&format!("mkfs.{kind}"), &arguments);
        let mounted = Self { dir };
        match made.and_then(|()| run("mount", &["-o", "loop", path(&image), path(&mounted.disk())]))
        {
            Ok(()) => Some(mounted),
            Err(why) => {
                assert!(std::env::var_os("WEFT_REQUIRE_MOUNT").is_none(), "{why}");
                eprintln!("left out, since no {kind} can be mounted here: {why}");
                None
            }
        }
    }

    /// Its topmost folder.
    pub(crate) fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = run("umount", &[path(&self.disk())]);
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
}
