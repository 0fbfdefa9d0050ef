//! Which paths in Maya's scenes move, and where.
//!
//! Maya looks for what a relative path names in its project, wherever the scene that names it lies; a
//! job's project is the folder of all files that travel. So the copies name every file by its way
//! from there. Binary scenes can't be rewritten; a script beside them tells Maya where their folders are.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};
use weft_protocol::content::TreePath;
use weft_scene::analysis::{Asset, AssetKind};
use weft_scene::maya::FolderMap;

use super::collect::{GatheredFile, canonical};
use super::invalid;
use super::rewrite::Ways;
use crate::error::ApiError;

/// Where the script lies in a job's folder: the definition of Maya names that folder.
const SCRIPT: &str = ".weft-maya/userSetup.py";

/// By the paths as the scenes spell them, those that have to be others.
pub(super) fn moved<'a>(
    assets: impl Iterator<Item = &'a Asset>,
    ways: Ways<'_>,
) -> BTreeMap<String, String> {
    let mut moved = BTreeMap::new();
    for asset in assets {
        let first = asset.files.first().and_then(|file| canonical(file).ok());
        let Some(place) = first.and_then(|file| ways.to(&file)) else { continue };
        let way = way_to(&place, &asset.path);
        if way == asset.path {
            continue;
        }
        // A cache is named by its folder, and apart from that by its name.
        let cache = |path: &str| Some(path.strip_suffix(".xml")?.rsplit_once('/')?.0.to_owned());
        if asset.kind == AssetKind::Cache
            && let (Some(folder), Some(there)) = (cache(&asset.path), cache(&way))
        {
            moved.entry(format!("{folder}/")).or_insert_with(|| there.clone());
            moved.entry(folder).or_insert(there);
        }
        moved.entry(asset.path.clone()).or_insert(way);
    }
    moved
}

/// The script that leads Maya to the files of binary scenes, as a file that travels; none where none is needed.
///
/// # Errors
/// Where it can't be written.
pub(super) fn script(map: &FolderMap, scratch: &Path) -> Result<Option<GatheredFile>, ApiError> {
    let Some(text) = map.script() else { return Ok(None) };
    let write = || -> std::io::Result<TempPath> {
        let mut file = NamedTempFile::new_in(scratch)?;
        file.write_all(text.as_bytes())?;
        Ok(file.into_temp_path())
    };
    let said = |error: &dyn std::fmt::Display| {
        invalid(format!(
            "the map of Maya's folders can't be written: {error}; nothing was submitted"
        ))
    };
    let file = write().map_err(|error| said(&error))?;
    Ok(Some(GatheredFile {
        source: file.to_path_buf(),
        path: TreePath::new(SCRIPT).map_err(|error| said(&error))?,
        size: text.len() as u64,
        is_scene: false,
        frames: None,
        rewritten: Some(file),
    }))
}

/// The way to the file at `place` in the tree; what stands for tiles and frames in the path as it was
/// spelled stays in it.
fn way_to(place: &str, spelled: &str) -> String {
    let spelled = spelled.replace('\\', "/");
    let mut parts: Vec<&str> = place.split('/').collect();
    let names = parts.iter_mut().rev().zip(spelled.split('/').rev());
    for (at, (part, name)) in names.enumerate() {
        let stands_for_others = name.contains(['<', '#', '%']);
        let is_name = at == 0 && !part.eq_ignore_ascii_case(name);
        if (stands_for_others || is_name) && !name.is_empty() {
            *part = name;
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stay() {
        for (place, spelled, way) in [
            ("tex/a.png", "C:\\show\\tex\\a.png", "tex/a.png"),
            ("tex/A.png", "/show/TEX/a.PNG", "tex/A.png"),
            ("tex/a.1001.exr", "/show/tex/a.<UDIM>.exr", "tex/a.<UDIM>.exr"),
            ("tex/f.0003.png", "/show/tex/f.0001.png", "tex/f.0001.png"),
            ("t/1001/a.exr", "x:/t/<udim>/a.exr", "t/<udim>/a.exr"),
            ("a.png", "a.png", "a.png"),
        ] {
            assert_eq!(way_to(place, spelled), way);
        }
    }
}
