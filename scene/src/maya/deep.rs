//! What Maya itself tells of a scene: the only way to read a `.mb` file, and a second opinion on
//! others.
//!
//! Here is the script that asks it and how its answer is read; who runs Maya's Python is elsewhere.
//! Files are looked for in the same places as for a `.ma` file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::facts::{Facts, FileUse, Listed, Settings, of_nodes};
use super::paths::Places;
use super::renderers::Pictures;
use super::{references, settings_of};
use crate::analysis::{AnalyseError, Analysis, AssetKind};
use crate::disk::Disk;
use crate::named_files::Family;
use crate::path_map::PathMap;

/// The script for Maya's Python: `mayapy SCRIPT SCENE ANSWER`.
pub const SCRIPT: &str = include_str!("deep.py");

/// The script's answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    error: Option<String>,
    warning: Option<String>,
    version: String,
    time_unit: String,
    settings: Told,
    layers: Vec<String>,
    nodes: Vec<Node>,
    references: Vec<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    renderer: Option<String>,
    image_format: Option<i64>,
    image_plugin: Option<String>,
    start_frame: Option<f64>,
    end_frame: Option<f64>,
    by_frame: Option<f64>,
    animation: Option<bool>,
    current_frame: Option<f64>,
    width: Option<u32>,
    height: Option<u32>,
    /// Attributes of nodes on which renderers have settings of their own: the node, its attribute and the value.
    own: Vec<(String, String, String)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    parent: String,
    startup: bool,
    files: Vec<(String, String)>,
    values: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    node: String,
    path: String,
    loaded: bool,
}

/// The analysis of `scene` by what [`SCRIPT`] answered, on a machine on which drives and shares of others are
/// where `paths` says. Which frames read which file of a sequence isn't asked: every frame may read all of them.
///
/// # Errors
/// `Unsupported` with what Maya said, or if the answer can't be understood.
pub fn read_answer(
    scene: &Path,
    project: Option<&Path>,
    paths: PathMap,
    answer: &[u8],
) -> Result<Analysis, AnalyseError> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| {
        AnalyseError::Unsupported(format!("what Maya answered can't be understood: {error}"))
    })?;
    if let Some(error) = answer.error {
        return Err(AnalyseError::Unsupported(format!("Maya can't read the scene: {error}")));
    }
    let Told { renderer, image_format, image_plugin, width, height, .. } = answer.settings;
    let Told { start_frame, end_frame, by_frame, animation, current_frame, .. } = answer.settings;
    let mut pictures = Pictures::default();
    for (node, attribute, value) in &answer.settings.own {
        pictures.set(node, attribute, value);
    }
    let listed = answer.nodes.into_iter().map(|node| Listed {
        kind: node.kind,
        name: node.name,
        parent: node.parent,
        startup: node.startup,
        files: node.files,
        values: node.values,
    });
    let mut facts = Facts {
        header_version: answer.version,
        time_unit: answer.time_unit,
        render_layers: answer.layers,
        settings: Settings {
            renderer,
            image_format,
            image_plugin: image_plugin.filter(|plugin| !plugin.is_empty()),
            start_frame,
            end_frame,
            by_frame,
            animation,
            current_frame,
            width,
            height,
            pictures,
        },
        closed: true,
        ..of_nodes(listed)
    };
    let mut warnings = Vec::new();
    for Reference { node, path, loaded } in answer.references {
        // Maya knows nothing of the places of other machines: what lies there isn't loaded either.
        let unknown =
            paths.place(&path).is_some_and(|place| place.is_file()) && !Path::new(&path).exists();
        if !loaded && !unknown {
            continue;
        }
        if !loaded {
            warnings.push(format!(
                "Maya could not load {path} (of {node}) here: it is sent, and what it needs in turn was not \
                 looked for"
            ));
        }
        let (kind, family) = (AssetKind::Reference, Family::One);
        facts.files.push(FileUse { node, path, kind, family, choice: None, guessed: false });
    }
    let mut analysis = settings_of(&facts);
    analysis.warnings.extend(answer.warning.map(|text| format!("Maya, opening the scene: {text}")));
    analysis.warnings.extend(warnings);
    let places = Places::new(scene, project, Disk::mapped(paths));
    references::collect(scene, places, facts, &mut analysis)?;
    Ok(analysis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_an_analysis() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["tex/a.1001.exr", "tex/a.1002.exr", "set.mb", "odd.dat"] {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let answer = r#"{"version": "2024", "time_unit": "pal",
            "settings": {"renderer": "arnold", "image_format": 51, "image_plugin": "exr", "start_frame": 1.0,
                "end_frame": 8.0, "by_frame": 2.0, "animation": true, "current_frame": 1.0, "width": 640, "height": 360,
                "own": [["defaultArnoldDriver", "aiTranslator", "tiff"], ["vraySettings", "width", "1920"]]},
            "layers": ["defaultRenderLayer"],
            "nodes": [
                {"type": "file", "name": "set:wood", "files": [["fileTextureName", "tex/a.1001.exr"]],
                 "values": {"uvTilingMode": "3", "useFrameExtension": "no"}},
                {"type": "myPlugin", "name": "p", "files": [["dataFile", "odd.dat"]], "values": {}},
                {"type": "file", "name": "lost", "files": [["fileTextureName", "tex/lost.png"]], "values": {}},
                {"type": "camera", "name": "perspShape", "parent": "persp", "startup": true, "files": [],
                 "values": {"renderable": "no"}},
                {"type": "camera", "name": "shotShape", "parent": "shot", "startup": false, "files": [],
                 "values": {"renderable": "yes"}}],
            "references": [{"node": "setRN", "path": "set.mb", "loaded": true},
                {"node": "oldRN", "path": "old.mb", "loaded": false}],
            "warning": null}"#;
        let scene = folder.path().join("shot.mb");
        let analysis = read_answer(&scene, None, PathMap::default(), answer.as_bytes()).unwrap();
        let info = &analysis.scene_info;
        assert_eq!(
            (info.renderer.as_str(), info.image_format.as_str(), info.fps, info.own_frames()),
            ("arnold", "tif", 25.0, Some((1, 8, 2)))
        );
        assert_eq!((info.width, info.height), (640, 360));
        assert_eq!(info.all_cameras, ["perspShape", "shotShape"]);
        assert_eq!(info.render_cameras, ["shotShape"]);
        let found: Vec<_> =
            analysis.assets.iter().map(|a| (a.node.as_str(), a.kind, a.files.len())).collect();
        assert_eq!(
            found,
            [
                ("set:wood", AssetKind::Udim, 2),
                ("p", AssetKind::Other, 1),
                ("lost", AssetKind::Image, 0),
                ("setRN", AssetKind::Reference, 1)
            ]
        );
        assert_eq!(analysis.missing.len(), 1);
    }

    #[test]
    fn places_of_other_machines_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["tex/a.png", "set.mb"] {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let answer = r#"{"version": "2024", "time_unit": "film",
            "nodes": [{"type": "file", "name": "wood", "files": [["fileTextureName", "P:\\tex\\a.png"]]}],
            "references": [{"node": "setRN", "path": "P:/set.mb", "loaded": false},
                {"node": "offRN", "path": "P:/off.mb", "loaded": false}]}"#;
        let paths = PathMap::new([("P:".to_owned(), folder.path().to_owned())]);
        let read =
            read_answer(&folder.path().join("a.mb"), None, paths, answer.as_bytes()).unwrap();
        let found: Vec<_> = read.assets.iter().map(|a| (a.path.as_str(), a.files.len())).collect();
        assert_eq!(found, [("P:\\tex\\a.png", 1), ("P:/set.mb", 1)]);
        assert!(read.missing.is_empty() && read.warnings.iter().any(|text| text.contains("setRN")));
    }

    #[test]
    fn what_maya_says_is_shown() {
        let told = |answer: &str| {
            let answer = answer.as_bytes();
            let analysed = read_answer(Path::new("/a.mb"), None, PathMap::default(), answer);
            analysed.unwrap_err().to_string()
        };
        assert!(told("{\"error\": \"File not found\"}").contains("File not found"));
        assert!(told("nonsense").contains("can't be understood"));
    }
}
