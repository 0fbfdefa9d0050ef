//! From a path as a file spells it to one that this machine understands.

use std::path::{Component, Path, PathBuf};

use crate::disk::Disk;

/// A path as Blender shows it on anything but Windows: with slashes only, whichever it was saved with.
pub(super) fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(&slashed(path)).into_owned()
}

/// Turns backslashes into slashes, save for the two that begin a Windows share (`\\server\share`):
/// two slashes there would mean the file's own folder.
fn slashed(path: &[u8]) -> Vec<u8> {
    let share = if path.starts_with(br"\\") { 2 } else { 0 };
    let slash = |&byte: &u8| if byte == b'\\' { b'/' } else { byte };
    path[..share].iter().copied().chain(path[share..].iter().map(slash)).collect()
}

/// Where a path leads: from `folder` if it begins with `//` or has no root. Where nothing is there,
/// what differs in the case of letters only is meant.
pub(super) fn locate(folder: &Path, path: &[u8], disk: &Disk) -> PathBuf {
    let letter = mapped(path, disk).unwrap_or_else(|| by_the_letter(folder, path));
    if letter.exists() {
        return letter;
    }
    // A name may stand for others.
    disk.spelling(&letter).or_else(|| disk.spelling_of_folder(&letter)).unwrap_or(letter)
}

/// Where a path leads that begins with a drive or a share of other machines; not one that counts from its file.
fn mapped(path: &[u8], disk: &Disk) -> Option<PathBuf> {
    if path.starts_with(b"//") { None } else { disk.place(&String::from_utf8_lossy(path)) }
}

/// Where a path leads, without asking for the case of letters.
pub(super) fn by_the_letter(folder: &Path, path: &[u8]) -> PathBuf {
    // A backslash may be part of a name outside Windows, but is a separator far more often.
    let as_spelled = absolute(folder, path);
    if cfg!(windows) || !path.contains(&b'\\') || as_spelled.exists() {
        return as_spelled;
    }
    absolute(folder, &slashed(path))
}

fn absolute(folder: &Path, path: &[u8]) -> PathBuf {
    let path = if let Some(relative) = path.strip_prefix(b"//") {
        let relative = relative
            .iter()
            .position(|&byte| byte != b'/' && byte != b'\\')
            .map_or(&b""[..], |start| &relative[start..]);
        folder.join(native(relative))
    } else {
        // Blender drops the drive of Windows paths elsewhere (BLI_path_abs).
        let path = match path {
            [drive, b':', rest @ ..] if !cfg!(windows) && drive.is_ascii_alphabetic() => rest,
            _ => path,
        };
        folder.join(native(path))
    };
    normalised(&path)
}

#[cfg(unix)]
fn native(path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(path))
}

#[cfg(not(unix))]
fn native(path: &[u8]) -> PathBuf {
    PathBuf::from(text(path))
}

/// Takes `.` and `..` out by the letter, as Blender does, without asking about symbolic links.
fn normalised(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !normal.pop() {
                    normal.push(component);
                }
            }
            other => normal.push(other),
        }
    }
    normal
}
