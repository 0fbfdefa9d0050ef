//! The files on this machine that a path stands for: one, or a whole family.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use weft_protocol::job::task::FrameRun;

use crate::analysis::{Asset, AssetKind, Missing};
use crate::disk::Disk;
use crate::sequence::{Holes, Outside, Play, Range, frames_of, holes};

use super::contents::{Family, FileUse};
use super::locate::{locate, text};
use super::{numbered, path_fields};

/// The most files of one family.
const MAX_FAMILY: usize = 200_000;
/// The deepest folder inside a cache's folder.
const MAX_DEPTH: usize = 8;

/// What was found of a [`FileUse`].
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    pub(super) frames: Option<Vec<i64>>,
    /// The frames that read each of `files`; `None` if all read all.
    needed_by: Option<Vec<Vec<FrameRun>>>,
    /// What isn't there: the path as spelled, and why it is missing.
    pub(super) missing: Vec<(String, String)>,
    /// What isn't there of a sequence of which something is.
    holes: Holes,
    /// What isn't there and may have to be: a cache that nobody has made yet. For people.
    pub(super) doubt: Option<String>,
    /// What a person should know of it besides.
    pub(super) notice: Option<String>,
}

/// Who plays a sequence, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct Playing {
    /// All who play it as far as known; what they ask for must be there.
    pub(super) plays: Vec<Play>,
    /// Other numbers that may be read, and need not be there.
    pub(super) also: Vec<Play>,
    /// Whether nobody else plays it.
    pub(super) complete: bool,
    /// The frames that the scene is made of.
    pub(super) range: Range,
}

/// The folder of the disk caches of the file at `holder`, as that file would spell it (ptcache_path
/// in pointcache.c). The name isn't in the file, but follows from its own.
pub(super) fn disk_cache(holder: &Path) -> Vec<u8> {
    let name = holder.file_stem().unwrap_or_default();
    [b"//blendcache_", name.as_encoded_bytes()].concat()
}

/// Looks for what `wanted` stands for. `//` means `folder`, that of the file which spells the path.
/// Of a sequence, `playing` says what is needed.
pub(super) fn find(wanted: &FileUse, folder: &Path, playing: &Playing, disk: &Disk) -> Found {
    let locate = |folder: &Path, path: &[u8]| locate(folder, path, disk);
    let spelled = text(&wanted.path);
    let mut found = Found::default();
    match &wanted.family {
        Family::Single => {
            let path = locate(folder, &wanted.path);
            found.one(path, spelled);
        }
        Family::Sequence(_) => found.sequence(wanted, locate(folder, &wanted.path), playing),
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
    fn sequence(&mut self, wanted: &FileUse, path: PathBuf, playing: &Playing) {
        let mut numbered = numbered::files(&path);
        if numbered.is_empty() {
            let reason = format!("no numbered file like {} was found", path.display());
            self.missing.push((text(&wanted.path), reason));
            return;
        }
        let pattern = path.file_name().and_then(|name| numbered::decode(name.as_encoded_bytes()));
        if let (Some(pattern), Some(spelled)) = (pattern, numbered::decode(&wanted.path)) {
            let told = |number: i64| {
                let file = pattern.with(number);
                let file = path.with_file_name(String::from_utf8_lossy(&file).as_ref());
                Missing {
                    node: String::new(),
                    path: text(&spelled.with(number)),
                    reason: format!("{} {}", file.display(), lack(&file)),
                    required: true,
                    frames: None,
                }
            };
            let present: BTreeSet<i64> = numbered.iter().map(|(number, _)| *number).collect();
            self.holes = holes(&present, &playing.plays, playing.range, &told);
            let plays = [&playing.plays[..], &playing.also].concat();
            if playing.complete {
                // What no frame reads needn't be there.
                let mut needed_by = Vec::new();
                numbered.retain(|(number, _)| {
                    let runs = frames_of(*number, &plays);
                    let read = !runs.is_empty();
                    needed_by.extend(read.then_some(runs));
                    read
                });
                self.needed_by = Some(needed_by);
            }
            let zero = playing.plays.iter().find(|play| {
                play.outside == Outside::NearestOrZero
                    && playing.range.start < play.start
                    && !present.contains(&play.offset.max(0))
            });
            self.notice = zero.map(|play| {
                format!(
                    "frames before {} ask for {}, which does not exist",
                    play.start,
                    told(play.offset).path
                )
            });
        }
        let (frames, files) = numbered.into_iter().unzip();
        self.frames = Some(frames);
        self.files = files;
    }

    fn one(&mut self, path: PathBuf, spelled: String) {
        if path.is_file() {
            self.files.push(path);
        } else {
            let reason = format!("{} {}", path.display(), lack(&path));
            self.missing.push((spelled, reason));
        }
    }

    /// The asset, and what is missing of it, in the scene's frames and beyond, for the datablock
    /// called `node`.
    pub(super) fn report(
        self,
        wanted: &FileUse,
        node: String,
        required: bool,
    ) -> (Asset, Vec<Missing>, Vec<Missing>) {
        let path = match &wanted.family {
            Family::Listed(names) => {
                let first = names.first().map(Vec::as_slice).unwrap_or_default();
                text(&path_fields::join(&wanted.path, first))
            }
            _ => text(&wanted.path),
        };
        let found = !self.files.is_empty() || self.frames.is_some();
        let exists = found || wanted.family == Family::Folder;
        let of = |missing: Missing| Missing { node: node.clone(), required, ..missing };
        let missing = self.missing.into_iter().map(|(path, reason)| {
            of(Missing { node: String::new(), path, reason, required, frames: None })
        });
        let missing = missing.chain(self.holes.needed.into_iter().map(of)).collect();
        let beyond = self.holes.beyond.into_iter().map(of).collect();
        let (frames, needed_by) = (self.frames, self.needed_by);
        let kind = match (wanted.kind, &wanted.family) {
            (AssetKind::ImageSequence, Family::Listed(names)) if names.len() == 1 => {
                AssetKind::Image
            }
            (kind, _) => kind,
        };
        let files = self.files;
        (
            Asset { path, kind, exists, node, files, required, frames, needed_by, indirect: false },
            missing,
            beyond,
        )
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
