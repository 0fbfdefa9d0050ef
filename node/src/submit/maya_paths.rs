//! Which paths in Maya's scenes move, and where.
//!
//! Maya looks for what a relative path names in its project, wherever the scene that names it lies; a
//! job's project is the folder of all files that travel. So the copies name every file by its way
//! from there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use weft_protocol::content::TreePath;
use weft_scene::analysis::{Asset, AssetKind};

use super::collect::canonical;

/// By the paths as the scenes spell them, those that have to be others.
pub(super) fn moved<'a>(
    assets: impl Iterator<Item = &'a Asset>,
    files: &BTreeMap<PathBuf, TreePath>,
) -> BTreeMap<String, String> {
    let mut moved = BTreeMap::new();
    for asset in assets {
        let first = asset.files.first().and_then(|file| canonical(file).ok());
        let Some(place) = first.and_then(|file| files.get(&file)) else { continue };
        let way = way_to(place.as_str(), &asset.path);
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
