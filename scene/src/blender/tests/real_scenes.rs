//! Real scenes against what Blender itself said about them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::analysis::{Analysis, AssetKind};
use crate::blender::analyse;

/// The folder with real scenes, if it is here. Its absence is a failure where it must be there.
pub(super) fn scenes() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenes");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("WEFT_REQUIRE_SCENES").is_none_or(|value| value != "1"),
        "WEFT_REQUIRE_SCENES=1, but there are no scenes in {}",
        folder.display()
    );
    println!("SKIPPED: there are no scenes in {}", folder.display());
    None
}

pub(super) fn blend_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(blend_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "blend") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Compares facts, and remembers those that differ.
#[derive(Default)]
pub(super) struct Comparison {
    pub(super) facts: usize,
    pub(super) mismatches: Vec<String>,
}

impl Comparison {
    fn check<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, ours: T, blenders: T) {
        self.facts += 1;
        if ours != blenders {
            self.mismatches.push(format!("{what}: {ours:?}, but Blender says {blenders:?}"));
        }
    }

    /// Compares an analysis with what Blender answered on opening the same file.
    pub(super) fn compare(&mut self, file: &str, analysis: &Analysis, facts: &Value) {
        let at = |what: &str| format!("{file}, {what}");
        let info = &analysis.scene_info;
        let active = facts["active_scene"].as_str().unwrap();
        let list = |name: &str| facts[name].as_array().cloned().unwrap_or_default();
        let scene = list("scenes").into_iter().find(|scene| scene["name"] == active).unwrap();
        let int = |name: &str| scene[name].as_i64().unwrap();
        let text = |name: &str| scene[name].as_str().unwrap_or_default().to_owned();
        let percent = |name: &str| (int(name) * int("res_pct") / 100) as u32;
        self.check(&at("start"), info.start_frame, int("frame_start"));
        self.check(&at("end"), info.end_frame, int("frame_end"));
        self.check(&at("step"), info.by_frame, int("frame_step") as f64);
        let fps = int("fps") as f64 / scene["fps_base"].as_f64().unwrap();
        self.check(&at("fps"), (info.fps * 1e3).round(), (fps * 1e3).round());
        self.check(&at("width"), info.width, percent("res_x"));
        self.check(&at("height"), info.height, percent("res_y"));
        let percentage = info.resolution_percentage.map(i64::from);
        self.check(&at("percentage"), percentage, scene["res_pct"].as_i64());
        if let Some(denoising) = scene["cycles"]["use_denoising"].as_bool()
            && info.renderer == "CYCLES"
        {
            self.check(&at("denoising"), info.denoising, Some(denoising));
        }
        self.check(&at("engine"), info.renderer.clone(), text("engine"));
        self.check(&at("format"), info.image_format.clone(), text("file_format"));
        let camera = info.render_cameras.first().cloned().unwrap_or_default();
        self.check(&at("camera"), camera, text("camera"));
        let layers = scene["view_layers"].as_array().unwrap();
        let layers: Vec<_> = layers.iter().map(|layer| layer[0].as_str().unwrap()).collect();
        self.check(&at("layers"), info.view_layers.iter().map(String::as_str).collect(), layers);
        let version = &facts["saved_version"];
        let version = (version[0].as_u64().unwrap(), version[1].as_u64().unwrap());
        let digits = if version.0 < 3 { 2 } else { 1 };
        let version = format!("{}.{:0digits$}", version.0, version.1);
        self.check(&at("version"), info.application_version.clone(), version);
        let names = |list: Vec<Value>, field: &str| -> BTreeSet<String> {
            list.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
        };
        let cameras = info.all_cameras.iter().cloned().collect();
        self.check(&at("cameras"), cameras, names(list("cameras"), "object"));
        let scenes = info.scenes.iter().cloned().collect();
        self.check(&at("scenes"), scenes, names(list("scenes"), "name"));
        self.compare_files(file, analysis, facts);
    }

    fn compare_files(&mut self, file: &str, analysis: &Analysis, facts: &Value) {
        use AssetKind::*;
        let kinds: [(&str, &[AssetKind]); 7] = [
            ("images", &[Image, ImageSequence, Udim, Movie]),
            ("libraries", &[Library]),
            ("fonts", &[Font]),
            ("sounds", &[Sound]),
            ("movieclips", &[Movie, ImageSequence]),
            ("volumes", &[Volume]),
            ("cache_files", &[Alembic, Cache]),
        ];
        for (list, kinds) in kinds {
            for item in facts[list].as_array().unwrap() {
                let raw = ["raw", "filepath"].iter().find_map(|name| item[name].as_str());
                let raw = raw.unwrap_or_default();
                let outside = item["packed"] != true
                    && !raw.is_empty()
                    && raw != "<builtin>"
                    && item["source"] != "GENERATED"
                    && item["source"] != "VIEWER";
                let node = item["name"].as_str().unwrap();
                let found = analysis
                    .assets
                    .iter()
                    .find(|asset| asset.node == node && kinds.contains(&asset.kind));
                let what = format!("{file}, {list}, {node}");
                self.check(&what, found.map(|asset| asset.path.as_str()), outside.then_some(raw));
                if let (Some(found), Some(exists)) = (found, item["exists"].as_bool()) {
                    self.check(&what, found.exists, exists);
                }
            }
        }
    }

    /// Prints the figures, and fails if anything differs.
    pub(super) fn conclude(self, files: usize) {
        // Written past what a test's output is kept back by: whoever runs the tests sees the figures.
        let (facts, differ) = (self.facts, self.mismatches.len());
        let told =
            format!("{files} .blend files read, {facts} facts compared, {differ} mismatches");
        writeln!(std::io::stderr(), "{told}").unwrap();
        assert!(self.mismatches.is_empty(), "{}", self.mismatches.join("\n"));
    }
}

#[test]
fn shared_scenes_are_what_blender_says() {
    let Some(folder) = scenes() else { return };
    let mut comparison = Comparison::default();
    let mut files = 0;
    for path in blend_files(&folder.join("blend")) {
        let analysis = analyse(&path).unwrap();
        files += 1;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut expectations = 0;
        for reader in ["blender-3.4.1", "bpy-5.0.1"] {
            let Ok(json) = fs::read(format!("{}.{reader}.json", path.display())) else {
                continue;
            };
            let facts = serde_json::from_slice(&json).unwrap();
            comparison.compare(&format!("{name} ({reader})"), &analysis, &facts);
            expectations += 1;
        }
        assert!(expectations > 0, "nothing is known about {}", path.display());
    }
    assert!(files > 0, "there are no .blend files in {}", folder.display());
    comparison.conclude(files);
}

#[test]
fn the_cube_has_its_texture_compressed_or_not() {
    let Some(folder) = scenes() else { return };
    let folder = folder.join("cube");
    let plain = analyse(&folder.join("cube.blend")).unwrap();
    let mut packed = analyse(&folder.join("cube_zstd.blend")).unwrap();
    // They are two files, by one Blender.
    for (by, file) in packed.saved_by.iter_mut().zip(plain.saved_by.iter().map(|by| &by.file)) {
        by.file.clone_from(file);
    }
    assert_eq!(plain, packed);
    assert_eq!(plain.missing, []);
    let [texture] = &plain.assets[..] else { panic!("{:?}", plain.assets) };
    assert_eq!(texture.path, "//tex.png");
    assert_eq!(texture.node, "tex.png");
    assert_eq!(texture.kind, AssetKind::Image);
    assert!(texture.exists && texture.required);
    let [file] = &texture.files[..] else { panic!("{:?}", texture.files) };
    assert!(file.is_absolute());
    assert_eq!(fs::canonicalize(file).unwrap(), fs::canonicalize(folder.join("tex.png")).unwrap());
    assert_eq!((plain.scene_info.start_frame, plain.scene_info.end_frame), (1, 10));
    assert_eq!((plain.scene_info.width, plain.scene_info.height), (320, 180));
}
