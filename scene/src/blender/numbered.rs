//! Names with a number in them, one file a frame.

use std::fs;
use std::path::{Path, PathBuf};

/// The most files of one sequence.
const MAX_FILES: usize = 200_000;

/// A path, taken apart around the last number of its name (BLI_path_sequence_decode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered<'a> {
    pub(super) head: &'a [u8],
    /// As many as there are; numbers with more have them all.
    pub(super) digits: usize,
    pub(super) tail: &'a [u8],
    /// `None` if it is larger than any frame's.
    pub(super) number: Option<i64>,
    /// Whether only the extension follows, where some of Blender's code looks only there
    /// (BLI_path_frame_get).
    pub(super) before_extension: bool,
}

/// Takes a path apart. The extension's digits don't count. `None` without a number in the name.
pub(super) fn decode(path: &[u8]) -> Option<Numbered<'_>> {
    let name = path.iter().rposition(|byte| b"/\\".contains(byte)).map_or(0, |slash| slash + 1);
    let dot = path[name..].iter().rposition(|&byte| byte == b'.');
    let stem_end = dot.map_or(path.len(), |dot| name + dot);
    let end = path[name..stem_end].iter().rposition(u8::is_ascii_digit)? + name + 1;
    let start = path[name..end].iter().rposition(|byte| !byte.is_ascii_digit());
    let start = start.map_or(name, |at| name + at + 1);
    let number = std::str::from_utf8(&path[start..end]).ok()?.parse().ok();
    Some(Numbered {
        head: &path[..start],
        digits: end - start,
        tail: &path[end..],
        number: number.filter(|&number: &i64| number <= i64::from(i32::MAX)),
        before_extension: end == stem_end && dot.is_some(),
    })
}

impl Numbered<'_> {
    /// The path with another number (BLI_path_sequence_encode).
    pub(super) fn with(&self, number: i64) -> Vec<u8> {
        let number = format!("{:0width$}", number.max(0), width = self.digits.min(64));
        [self.head, number.as_bytes(), self.tail].concat()
    }
}

/// The files that differ from `path` in the last number of its name only, and that number, in order.
/// A name without digits stands for itself, as frame 0.
pub(super) fn files(path: &Path) -> Vec<(i64, PathBuf)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let Some(wanted) = decode(name.as_encoded_bytes()) else {
        return if path.is_file() { vec![(0, path.to_path_buf())] } else { Vec::new() };
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let candidate = entry.file_name();
        let candidate = candidate.as_encoded_bytes();
        let number =
            candidate.strip_prefix(wanted.head).and_then(|rest| rest.strip_suffix(wanted.tail));
        let Some(number) = number else { continue };
        // Numbers that outgrow their padding are written without zeros.
        let padded =
            number.len() == wanted.digits || number.len() > wanted.digits && number[0] != b'0';
        if !padded || !number.iter().all(u8::is_ascii_digit) {
            continue;
        }
        let Some(frame) = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok())
        else {
            continue;
        };
        if entry.path().is_file() {
            found.push((frame, entry.path()));
        }
        if found.len() >= MAX_FILES {
            break;
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_apart_at_their_last_number() {
        for (path, head, digits, tail, number, framed) in [
            ("//tex/run_0012.png", "//tex/run_", 4, ".png", Some(12), true),
            ("//v2/run_0012_left.png", "//v2/run_", 4, "_left.png", Some(12), false),
            ("a\\007.exr", "a\\", 3, ".exr", Some(7), true),
            ("12", "", 2, "", Some(12), false),
            ("x99999999999999999999.mp4", "x", 20, ".mp4", None, true),
        ] {
            let found = decode(path.as_bytes()).unwrap();
            assert_eq!(
                (found.head, found.digits, found.tail, found.number, found.before_extension),
                (head.as_bytes(), digits, tail.as_bytes(), number, framed),
                "{path}"
            );
        }
        for path in ["", "run.png", "v2/run.mp4", ".1"] {
            assert_eq!(decode(path.as_bytes()), None, "{path}");
        }
        let with = |number| decode(b"//a/r01.x").unwrap().with(number);
        assert_eq!(
            (with(7), with(123), with(-5)),
            (b"//a/r07.x".to_vec(), b"//a/r123.x".to_vec(), b"//a/r00.x".to_vec())
        );
    }
}
