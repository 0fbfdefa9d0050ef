//! What programs read of `/etc`, copied once into a folder of its own: one mount shows it, where two dozen files
//! would each take one in every run, and half of the time that a sandbox takes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The most that is copied: bytes, and files and folders. Systems have a tenth of that.
const MOST: (u64, usize) = (8 << 20, 4000);

/// Copies these of `/etc` into `folder`, which is made anew.
///
/// # Errors
/// When that fails, or they are unusually many: then each is mounted by itself.
pub(super) fn copy(paths: &[PathBuf], folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(folder)?,
    }
    let mut left = MOST;
    for path in paths {
        // What the path itself leads to is meant; links inside lead to where they led.
        if let Some(name) = path.file_name() {
            put(&path.canonicalize()?, &folder.join(name), &mut left)?;
        }
    }
    Ok(())
}

fn put(from: &Path, to: &Path, left: &mut (u64, usize)) -> io::Result<()> {
    let found = fs::symlink_metadata(from)?;
    let much = || io::Error::other("there is too much of it");
    left.1 = left.1.checked_sub(1).ok_or_else(much)?;
    if found.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            put(&entry.path(), &to.join(entry.file_name()), left)?;
        }
    } else if found.is_file() {
        left.0 = left.0.checked_sub(found.len()).ok_or_else(much)?;
        match fs::copy(from, to) {
            // What this user may not read, a run of this user could not read either.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    } else if found.is_symlink() {
        #[cfg(unix)]
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn it_is_copied_whole_and_links_stay_links() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        fs::create_dir_all(etc.join("fonts/conf.d")).unwrap();
        fs::write(root.path().join("zone"), "UTC").unwrap();
        fs::write(etc.join("fonts/fonts.conf"), "<fonts/>").unwrap();
        std::os::unix::fs::symlink("../fonts.conf", etc.join("fonts/conf.d/10")).unwrap();
        std::os::unix::fs::symlink(root.path().join("zone"), etc.join("localtime")).unwrap();
        let to = root.path().join("copy/etc");
        let paths = [etc.join("fonts"), etc.join("localtime")];
        // Twice: what an earlier daemon left is replaced.
        for text in ["UTC", "CET"] {
            fs::write(root.path().join("zone"), text).unwrap();
            copy(&paths, &to).unwrap();
            assert_eq!(fs::read_to_string(to.join("localtime")).unwrap(), text);
        }
        assert!(!to.join("localtime").is_symlink(), "what it leads to may not be in sight");
        assert!(to.join("fonts/conf.d/10").is_symlink());
        assert_eq!(fs::read_to_string(to.join("fonts/conf.d/10")).unwrap(), "<fonts/>");
        fs::write(etc.join("fonts/large"), vec![0; 9 << 20]).unwrap();
        assert!(copy(&paths, &to).is_err(), "too much of it");
    }
}
