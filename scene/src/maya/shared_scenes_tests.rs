//! Real scenes, compared with what independent readers found in them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{analyse, read, rewrite_paths};
use crate::analysis::{Analysis, AssetKind};

/// Counts facts, and notes those that differ.
#[derive(Default)]
struct Comparison {
    files: usize,
    facts: usize,
    mismatches: Vec<String>,
}

impl Comparison {
    fn fact<T: PartialEq + std::fmt::Debug>(&mut self, scene: &Path, name: &str, got: T, want: T) {
        self.facts += 1;
        if got != want {
            self.mismatches
                .push(format!("{}: {name}: read {got:?}, expected {want:?}", scene.display()));
        }
    }
}

/// The folder with real scenes, if it is here. Its absence is a failure where it must be there.
pub(super) fn scenes() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenes/maya");
    if root.is_dir() {
        return Some(root);
    }
    let required = std::env::var_os("WEFT_REQUIRE_SCENES").is_some_and(|value| value == "1");
    assert!(!required, "there are no scenes at {}", root.display());
    println!("skipped: there are no scenes at {}", root.display());
    None
}

/// The scene that these facts are about.
pub(super) fn scene_of(facts: &Path) -> PathBuf {
    let name = facts.file_name().unwrap().to_str().unwrap();
    facts.with_file_name(name.trim_end_matches(".expected.json"))
}

#[test]
fn shared_scenes_are_read_as_expected() {
    let Some(root) = scenes() else { return };
    let mut comparison = Comparison::default();
    for facts in expectations(&root) {
        let scene = scene_of(&facts);
        let text = std::fs::read_to_string(&facts).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        comparison.files += 1;
        match analyse(&scene) {
            Ok(analysis) => compare(&mut comparison, &scene, &analysis, &expected),
            Err(error) => comparison.mismatches.push(format!("{}: {error}", scene.display())),
        }
    }
    // Written past what a test's output is kept back by: whoever runs the tests sees the figures.
    let Comparison { files, facts, mismatches } = &comparison;
    let differ = mismatches.len();
    let told = format!("{files} .ma files read, {facts} facts compared, {differ} mismatches");
    writeln!(std::io::stderr(), "{told}").unwrap();
    assert!(comparison.mismatches.is_empty(), "{:#?}", comparison.mismatches);
    assert!(comparison.files > 0, "no expectations at {}", root.display());
}

/// There and back again: a copy with other paths names these, and one with the old paths is the scene.
#[test]
fn paths_in_shared_scenes_move_there_and_back() {
    let Some(root) = scenes() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut moved = 0;
    for scene in expectations(&root).iter().map(|facts| scene_of(facts)) {
        let paths: BTreeSet<String> =
            analyse(&scene).unwrap().assets.into_iter().map(|asset| asset.path).collect();
        let there = |path: &str| paths.contains(path).then(|| format!("moved/{path}"));
        let copy = folder.path().join("copy.ma");
        let mut bytes = Vec::new();
        let count = rewrite_paths(&scene, &mut bytes, &there).unwrap();
        std::fs::write(&copy, &bytes).unwrap();
        let named = analyse(&copy).unwrap().assets;
        let new = named.iter().filter(|asset| asset.path.starts_with("moved/")).count();
        assert!(count == 0 || new > 0, "{}: {named:?}", scene.display());
        let back = |path: &str| path.strip_prefix("moved/").map(str::to_owned);
        let mut again = Vec::new();
        assert_eq!(rewrite_paths(&copy, &mut again, &back).unwrap(), count);
        assert!(again == std::fs::read(&scene).unwrap(), "{}", scene.display());
        moved += count;
    }
    println!("{moved} strings moved there and back");
    assert!(moved > 0);
}

pub(super) fn expectations(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(expectations(&path));
        } else if path.to_str().unwrap().ends_with(".ma.expected.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn compare(all: &mut Comparison, scene: &Path, analysis: &Analysis, expected: &Value) {
    let info = &analysis.scene_info;
    let texts = |values: &Value, key: &str| -> Vec<String> {
        let list = values.as_array().cloned().unwrap_or_default();
        list.iter().map(|value| value[key].as_str().unwrap_or_default().to_owned()).collect()
    };
    let version = expected["header_version"].as_str().unwrap();
    all.fact(scene, "version", info.application_version.as_str(), version);
    all.fact(scene, "renderer", info.renderer.as_str(), expected["renderer"].as_str().unwrap());
    for (name, got) in [
        ("start_frame", info.start_frame as f64),
        ("end_frame", info.end_frame as f64),
        ("by_frame", info.by_frame),
        ("fps", info.fps),
    ] {
        all.fact(scene, name, Some(got), expected[name].as_f64());
    }
    let current = expected["current_time"].as_f64().map(|frame| frame.round() as i64);
    all.fact(scene, "current frame", info.current_frame, current);
    all.fact(scene, "animation", Some(info.animation), expected["animation"].as_bool());
    let size = [u64::from(info.width), u64::from(info.height)].map(Some);
    let resolution = &expected["resolution"];
    all.fact(scene, "size", size, [resolution[0].as_u64(), resolution[1].as_u64()]);
    let format = match expected["image_format_plugin_key"].as_str() {
        Some(key) => key.to_owned(),
        None => super::units::image_format(expected["image_format_code"].as_i64().unwrap(), None),
    };
    all.fact(scene, "image format", info.image_format.as_str(), format.as_str());

    let cameras = &expected["cameras"];
    all.fact(scene, "cameras", info.all_cameras.clone(), texts(cameras, "shape"));
    let renderable = Value::Array(
        cameras
            .as_array()
            .unwrap()
            .iter()
            .filter(|camera| camera["renderable"] == true)
            .cloned()
            .collect(),
    );
    all.fact(scene, "render cameras", info.render_cameras.clone(), texts(&renderable, "shape"));
    let layers: Vec<String> = serde_json::from_value(expected["render_layers"].clone()).unwrap();
    all.fact(scene, "render layers", info.view_layers.clone(), layers);

    let of_kind = |kinds: &[AssetKind]| -> BTreeSet<(String, String)> {
        let wanted = analysis.assets.iter().filter(|asset| kinds.contains(&asset.kind));
        wanted.map(|asset| (asset.node.clone(), asset.path.clone())).collect()
    };
    let pairs = |lists: &[&str], key: &str| -> BTreeSet<(String, String)> {
        let values = lists.iter().flat_map(|list| expected[list].as_array().unwrap());
        values
            // What reference nodes repeat of `file -r` is no further file.
            .filter(|value| value["type"] != "reference")
            .map(|value| {
                let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
                (text(key), text("path"))
            })
            .collect()
    };
    let images = [AssetKind::Image, AssetKind::ImageSequence, AssetKind::Udim];
    all.fact(scene, "textures", of_kind(&images), pairs(&["file_textures"], "node"));
    all.fact(scene, "references", of_kind(&[AssetKind::Reference]), pairs(&["references"], "rn"));
    // What the file remembers of the references of its references, which a render reads where these can't be.
    let nested = read(scene).unwrap().nested;
    let nested: BTreeSet<(String, String)> =
        nested.into_iter().map(|reference| (reference.node, reference.path)).collect();
    let depths = expected["reference_depth_info"].as_array().unwrap().iter();
    let deeper = depths.filter(|one| one["depth"].as_u64().unwrap() > 1).map(|one| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        (text("rn"), text("path"))
    });
    all.fact(scene, "nested references", nested, deeper.collect());
    let others: Vec<AssetKind> = analysis
        .assets
        .iter()
        .map(|asset| asset.kind)
        .filter(|kind| !images.contains(kind) && *kind != AssetKind::Reference)
        .collect();
    let lists = ["image_planes", "caches", "audio", "other_path_like_attrs"];
    all.fact(scene, "other files", of_kind(&others), pairs(&lists, "node"));
    let absent = analysis.assets.iter().filter(|asset| !asset.exists).count();
    all.fact(scene, "missing", analysis.missing.len(), absent);
}
