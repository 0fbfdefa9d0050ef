//! The files on this machine that a path stands for: one, or a whole family.

use std::fs;
use std::path::{Path, PathBuf};

use crate::analysis::{Asset, AssetKind, Missing};

use super::contents::{Family, FileUse};
use super::locate::{locate, text};
use super::path_fields;

/// The most files of one family.
const MAX_FAMILY: usize = 200_000;
/// The deepest folder inside a cache's folder.
const MAX_DEPTH: usize = 8;

/// What was found of a [`FileUse`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    pub(super) frames: Option<Vec<i64>>,
    /// What isn't there: the path as spelled, and why it is missing.
    pub(super) missing: Vec<(String, String)>,
    /// What isn't there and may have to be: a cache that nobody has made yet. For people.
    pub(super) doubt: Option<String>,
}

/// The folder of the disk caches of the file at `holder`, as that file would spell it (ptcache_path
/// in pointcache.c). The name isn't in the file, but follows from its own.
pub(super) fn disk_cache(holder: &Path) -> Vec<u8> {
    let name = holder.file_stem().unwrap_or_default();
    [b"//blendcache_", name.as_encoded_bytes()].concat()
}

/// Looks for what `wanted` stands for. `//` means `folder`, that of the file which spells the path.
pub(super) fn find(wanted: &FileUse, folder: &Path) -> Found {
    let spelled = text(&wanted.path);
    let mut found = Found::default();
    match &wanted.family {
        Family::Single => {
            let path = locate(folder, &wanted.path);
            found.one(path, spelled);
        }
        Family::Sequence => {
            let path = locate(folder, &wanted.path);
            let numbered = numbered_files(&path);
            if numbered.is_empty() {
                let reason = format!("no numbered file like {} was found", path.display());
                found.missing.push((spelled, reason));
            } else {
                let (frames, files) = numbered.into_iter().unzip();
                found.frames = Some(frames);
                found.files = files;
            }
        }
        Family::Tiles(tiles) => {
            for &tile in tiles.iter().take(MAX_FAMILY) {
                let path = locate(folder, &tile_path(&wanted.path, tile));
                if path.is_file() {
                    found.files.push(path);
                } else {
                    let reason =
                        format!("tile {tile} is missing: {} {}", path.display(), lack(&path));
                    found.missing.push((spelled.clone(), reason));
                }
            }
        }
        Family::Listed(names) => {
            for name in names.iter().take(MAX_FAMILY) {
                let whole = path_fields::join(&wanted.path, name);
                found.one(locate(folder, &whole), text(&whole));
            }
        }
        Family::Folder => {
            let path = locate(folder, &wanted.path);
            if folder.starts_with(&path) {
                // A slip in a path must not take a whole disk along.
                found.doubt = Some(format!(
                    "the cache folder {spelled} holds the scene itself, and is left out: give the \
                     cache a folder of its own"
                ));
            } else if path.is_dir() {
                files_below(&path, 0, &mut found.files);
            } else {
                found.doubt = Some(format!(
                    "there is no cache folder {}; if the render needs it, bake it first",
                    path.display()
                ));
            }
        }
    }
    found
}

impl Found {
    fn one(&mut self, path: PathBuf, spelled: String) {
        if path.is_file() {
            self.files.push(path);
        } else {
            let reason = format!("{} {}", path.display(), lack(&path));
            self.missing.push((spelled, reason));
        }
    }

    /// The asset, and what is missing of it, for the datablock called `node`.
    pub(super) fn report(
        self,
        wanted: &FileUse,
        node: String,
        required: bool,
    ) -> (Asset, Vec<Missing>) {
        let path = match &wanted.family {
            Family::Listed(names) => {
                let first = names.first().map(Vec::as_slice).unwrap_or_default();
                text(&path_fields::join(&wanted.path, first))
            }
            _ => text(&wanted.path),
        };
        let exists = !self.files.is_empty() || wanted.family == Family::Folder;
        let missing = self
            .missing
            .into_iter()
            .map(|(path, reason)| Missing { node: node.clone(), path, reason, required })
            .collect();
        let frames = self.frames;
        let kind = match (wanted.kind, &wanted.family) {
            (AssetKind::ImageSequence, Family::Listed(names)) if names.len() == 1 => {
                AssetKind::Image
            }
            (kind, _) => kind,
        };
        (Asset { path, kind, exists, node, files: self.files, required, frames }, missing)
    }
}

fn lack(path: &Path) -> &'static str {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => "is a folder",
        Ok(_) => "is not a plain file",
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => "cannot be read",
        Err(_) => "does not exist",
    }
}

/// The path of one tile. Blender writes `<UDIM>` or `<UVTILE>`; before 3.1 the number of the first
/// tile stood there.
fn tile_path(path: &[u8], tile: u32) -> Vec<u8> {
    let number = tile.to_string().into_bytes();
    if let Some(done) = replace(path, b"<UDIM>", &number) {
        return done;
    }
    let across = tile.saturating_sub(1001);
    let uv = format!("u{}_v{}", across % 10 + 1, across / 10 + 1);
    if let Some(done) = replace(path, b"<UVTILE>", uv.as_bytes()) {
        return done;
    }
    let name = path.iter().rposition(|byte| b"/\\".contains(byte)).map_or(0, |slash| slash + 1);
    let is_tile = |digits: &[u8]| {
        digits.iter().all(u8::is_ascii_digit) && (&b"1001"[..]..=&b"2000"[..]).contains(&digits)
    };
    let places =
        (name..(path.len() + 1).saturating_sub(4)).filter(|&at| is_tile(&path[at..at + 4]));
    let alone = |&at: &usize| {
        let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        !digit(path.get(at + 4)) && (at == name || !digit(path.get(at - 1)))
    };
    match places.clone().rfind(alone).or_else(|| places.clone().next()) {
        Some(at) => [&path[..at], &number, &path[at + 4..]].concat(),
        None => path.to_vec(),
    }
}

fn replace(path: &[u8], token: &[u8], with: &[u8]) -> Option<Vec<u8>> {
    let at = path.windows(token.len()).position(|window| window == token)?;
    Some([&path[..at], with, &path[at + token.len()..]].concat())
}

/// The files that differ from `path` in the last number of its name only, and that number, in order.
/// As in Blender (BLI_path_sequence_decode), the extension's digits don't count. A name without
/// digits stands for itself, as frame 0.
fn numbered_files(path: &Path) -> Vec<(i64, PathBuf)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let name = name.as_encoded_bytes();
    let stem_end = name.iter().rposition(|&byte| byte == b'.').unwrap_or(name.len());
    let Some(last) = name[..stem_end].iter().rposition(u8::is_ascii_digit) else {
        return if path.is_file() { vec![(0, path.to_path_buf())] } else { Vec::new() };
    };
    let first = name[..last].iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let (head, digits, tail) = (&name[..first], last + 1 - first, &name[last + 1..]);
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let candidate = entry.file_name();
        let candidate = candidate.as_encoded_bytes();
        let number = candidate.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
        let Some(number) = number else { continue };
        // Numbers that outgrow their padding are written without zeros.
        let padded = number.len() == digits || number.len() > digits && number[0] != b'0';
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
        if found.len() >= MAX_FAMILY {
            break;
        }
    }
    found.sort();
    found
}

fn files_below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if found.len() >= MAX_FAMILY {
            return;
        }
        if path.is_dir() {
            if depth < MAX_DEPTH {
                files_below(&path, depth + 1, found);
            }
        } else if path.is_file() {
            found.push(path);
        }
    }
}
