//! Files of a work folder, opened as what they are: an engine that put a link, a pipe or a device where its
//! result should lie gets nothing of this machine into the studio's store.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a regular file below a folder, on whose way there is no link.
pub(super) fn open(folder: &Path, file: &Path) -> io::Result<File> {
    let inside = file.strip_prefix(folder).map_err(io::Error::other)?;
    let opened = open_at(folder, inside)?;
    match opened.metadata()?.is_file() {
        true => Ok(opened),
        false => Err(io::Error::other("it is no file")),
    }
}

#[cfg(unix)]
fn open_at(folder: &Path, inside: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};

    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = openat(CWD, folder, flags | OFlags::DIRECTORY, Mode::empty())?;
    let mut parts = inside.components().peekable();
    while let Some(part) = parts.next() {
        let std::path::Component::Normal(name) = part else {
            return Err(io::Error::other("its path leads out of the work folder"));
        };
        // A pipe that nobody writes to must not keep the daemon waiting.
        let kind = if parts.peek().is_some() { OFlags::DIRECTORY } else { OFlags::NONBLOCK };
        at = openat(&at, name, flags | kind, Mode::empty())?;
    }
    Ok(File::from(at))
}

#[cfg(not(unix))]
fn open_at(folder: &Path, inside: &Path) -> io::Result<File> {
    let mut path = folder.to_owned();
    for part in inside.components() {
        path.push(part);
        if std::fs::symlink_metadata(&path)?.is_symlink() {
            return Err(io::Error::other("there is a link on its way"));
        }
    }
    File::open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_but_a_file_of_the_folder_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let secret = elsewhere.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir_all(work.join("sub")).unwrap();
        std::fs::write(work.join("sub/real.png"), "x").unwrap();
        symlink(&secret, work.join("link.png")).unwrap();
        symlink(elsewhere.path(), work.join("away")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(work.join("pipe.png")).status();
        assert!(pipe.is_ok_and(|status| status.success()));
        assert!(open(&work, &work.join("sub/real.png")).is_ok());
        for wrong in ["link.png", "away/secret", "pipe.png", "sub", "../outside", "nothing"] {
            assert!(open(&work, &work.join(wrong)).is_err(), "{wrong}");
        }
        assert!(open(&work, &secret).is_err());
    }
}
