//! Removing folders in which engines wrote what they liked: folders that nobody may read, or so many in each
//! other that no path reaches the last. Nothing that a link leads to is touched, whatever becomes a link
//! meanwhile.

use std::io;
use std::path::Path;

/// Removes a folder with all that is in it.
#[cfg(unix)]
pub(super) fn all(folder: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, unlinkat};

    let name = folder.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let above = open(&CWD, folder.parent().unwrap_or(Path::new("/")))?;
    let top = open(&above, Path::new(name))?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let (stem, mut lifted) = (u64::from_le_bytes(random), 0_u64);
    loop {
        let folders = empty(&top)?;
        if folders.is_empty() {
            return Ok(unlinkat(&above, name, AtFlags::REMOVEDIR)?);
        }
        for inner in folders {
            let opened = open(&top, Path::new(&inner))?;
            // What lies in it comes to lie beside it, so that nothing gets deep.
            for deeper in empty(&opened)? {
                lifted += 1;
                let beside = format!("{stem:016x}-{lifted}");
                rustix::fs::renameat(&opened, deeper.as_os_str(), &top, beside.as_str())?;
            }
            unlinkat(&top, inner.as_os_str(), AtFlags::REMOVEDIR)?;
        }
    }
}

/// Removes the files of a folder, and names the folders in it.
#[cfg(unix)]
fn empty(folder: &std::os::fd::OwnedFd) -> io::Result<Vec<std::ffi::OsString>> {
    use std::os::unix::ffi::OsStringExt;

    use rustix::fs::{AtFlags, Dir, FileType, statat, unlinkat};

    let mut folders = Vec::new();
    let entries: Vec<_> = Dir::read_from(folder)?.collect::<Result<_, _>>()?;
    for entry in entries {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                FileType::from_raw_mode(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
            }
            known => known,
        };
        match kind {
            FileType::Directory => {
                folders.push(std::ffi::OsString::from_vec(name.to_bytes().to_vec()))
            }
            _ => unlinkat(folder, name, AtFlags::empty())?,
        }
    }
    Ok(folders)
}

/// Opens a folder that is none by way of a link, and lets its owner in where that is needed.
#[cfg(unix)]
fn open(at: &impl std::os::fd::AsFd, name: &Path) -> io::Result<std::os::fd::OwnedFd> {
    use rustix::fs::{AtFlags, Mode, OFlags, chmodat, openat};

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let attempt = || openat(at, name, flags, Mode::empty());
    let opened = match attempt() {
        Err(rustix::io::Errno::ACCESS) => {
            chmodat(at, name, Mode::RWXU, AtFlags::empty())?;
            attempt()?
        }
        opened => opened?,
    };
    // Writing into it takes a right of its own.
    let mode = rustix::fs::fstat(&opened)?.st_mode;
    if mode & Mode::RWXU.as_raw_mode() != Mode::RWXU.as_raw_mode() {
        rustix::fs::fchmod(&opened, Mode::RWXU)?;
    }
    Ok(opened)
}

/// Removes a folder with all that is in it.
#[cfg(not(unix))]
pub(super) fn all(folder: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_engine_left_goes_and_what_its_links_lead_to_stays() {
        let kept = tempfile::tempdir().unwrap();
        std::fs::write(kept.path().join("kept"), "x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("job");
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        std::fs::write(root.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink(kept.path(), root.join("a/b/away")).unwrap();
        std::fs::create_dir_all(root.join("closed/inner")).unwrap();
        let nobody = || std::os::unix::fs::PermissionsExt::from_mode(0o000);
        std::fs::set_permissions(root.join("closed/inner"), nobody()).unwrap();
        std::fs::set_permissions(root.join("closed"), nobody()).unwrap();
        // Deeper than a path reaches.
        let mut at = open(&rustix::fs::CWD, &root).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "deep", rustix::fs::Mode::RWXU).unwrap();
            at = open(&at, Path::new("deep")).unwrap();
        }
        drop(at);
        all(&root).unwrap();
        assert!(!root.exists() && kept.path().join("kept").exists());
        assert!(all(&root).is_err(), "what is not there is not removed");
        std::os::unix::fs::symlink(kept.path(), &root).unwrap();
        assert!(all(&root).is_err(), "a link is no folder");
        assert!(kept.path().join("kept").exists());
    }
}
