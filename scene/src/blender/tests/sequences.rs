//! Image sequences: which files which frames need, and which of them are missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::builder::Value::{Int, Text};
use super::builder::{Builder, STYLES, Style};
use super::made_by_blender::{blender, by_node, names};
use crate::analysis::{Analysis, AssetKind};
use crate::blender::analyse;

/// How a node of the made-up scene plays the sequence.
#[derive(Clone, Copy)]
struct User {
    start: i64,
    length: i64,
    offset: i64,
    cyclic: bool,
    follows: bool,
}

const PLAIN: User = User { start: 1, length: 4, offset: 0, cyclic: false, follows: true };

/// A scene of frames 1 to 6 with a mesh whose material plays a sequence once for each user.
fn scene(style: Style, users: &[User], engine: &str, curve: &str) -> Vec<u8> {
    let mut file = Builder::new(style);
    file.put("GLOB", 1, "FileGlobal", &[("curscene", Int(0x1000))]);
    let settings = [
        ("id.name", Text("SCShot")),
        ("base", Int(0x1100)),
        ("r.sfra", Int(1)),
        ("r.efra", Int(6)),
    ];
    let settings = [&settings[..], &[("r.engine", Text(engine))]].concat();
    file.put("SC", 0x1000, "Scene", &settings);
    file.put("DATA", 0x1100, "Base", &[("object", Int(0x2000))]);
    file.put("OB", 0x2000, "Object", &[("id.name", Text("OBScreen")), ("data", Int(0x3000))]);
    file.put("ME", 0x3000, "Mesh", &[("id.name", Text("MEScreen")), ("mat", Int(0x3100))]);
    let materials = file.number(0x4000, style.pointer);
    file.block("DATA", 0x3100, 0, 1, &materials);
    file.put("MA", 0x4000, "Material", &[("id.name", Text("MAGlow"))]);
    for (at, user) in (0x4100..).step_by(0x10).zip(users) {
        file.put("DATA", at, "bNode", &[("id", Int(0x5000)), ("storage", Int(at + 1))]);
        let fields = [
            ("iuser.framenr", Int(2)),
            ("iuser.frames", Int(user.length)),
            ("iuser.offset", Int(user.offset)),
            ("iuser.sfra", Int(user.start)),
            ("iuser.cycl", Int(i64::from(user.cyclic))),
            ("iuser.flag", Int(i64::from(user.follows))),
        ];
        file.put("DATA", at + 1, "NodeTexImage", &fields);
    }
    if !curve.is_empty() {
        file.put("AC", 0x6000, "Material", &[("id.name", Text("ACMove"))]);
        file.put("DATA", 0x6100, "FCurve", &[("rna_path", Int(0x6200))]);
        file.block("DATA", 0x6200, 0, 1, &[curve.as_bytes(), b"\0"].concat());
    }
    let image = [("id.name", Text("IMrun")), ("name", Text("//screen/run_0001.png"))];
    file.put("IM", 0x5000, "Image", &[&image[..], &[("source", Int(2))]].concat());
    file.finish()
}

fn read(numbers: &[i64], bytes: &[u8]) -> Analysis {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("screen")).unwrap();
    for number in numbers {
        fs::write(folder.path().join(format!("screen/run_{number:04}.png")), "x").unwrap();
    }
    let path = folder.path().join("scene.blend");
    fs::write(&path, bytes).unwrap();
    analyse(&path).unwrap()
}

fn missing(analysis: &Analysis) -> Vec<&str> {
    analysis.missing.iter().map(|missing| missing.path.as_str()).collect()
}

/// The numbers of the files that a frame reads.
fn read_by(analysis: &Analysis, node: &str, frame: i32) -> Vec<i64> {
    let asset = by_node(analysis, node);
    let needed_by = asset.needed_by.as_ref().expect("frames are told apart");
    assert_eq!(needed_by.len(), asset.files.len());
    let numbers = asset.frames.as_ref().unwrap();
    let reads = needed_by.iter().zip(numbers).filter(|(runs, _)| {
        assert!(!runs.is_empty());
        runs.iter().any(|run| run.contains(frame))
    });
    reads.map(|(_, number)| *number).collect()
}

#[test]
fn a_hole_is_missing() {
    for style in STYLES {
        let bytes = scene(style, &[PLAIN], "CYCLES", "");
        let whole = read(&[1, 2, 3, 4, 5], &bytes);
        assert_eq!(missing(&whole), [""; 0], "{style:?}");
        let asset = by_node(&whole, "run");
        assert_eq!((asset.kind, asset.required), (AssetKind::ImageSequence, true));
        let expected = ["run_0001.png", "run_0002.png", "run_0003.png", "run_0004.png"];
        assert_eq!(names(&asset.files), expected, "the fifth is never shown");
        let frames: Vec<_> = (1..7).map(|frame| read_by(&whole, "run", frame)).collect();
        assert_eq!(frames, [vec![1], vec![2], vec![3], vec![4], vec![4], vec![4]]);

        let holed = read(&[1, 2, 4], &bytes);
        assert_eq!(missing(&holed), ["//screen/run_0003.png"], "{style:?}");
        let hole = &holed.missing[0];
        assert!(hole.required && hole.node == "run", "{hole:?}");
        assert!(hole.reason.ends_with("run_0003.png does not exist"), "{hole:?}");
        assert!(hole.needed_for(&[3]) && !hole.needed_for(&[1, 2, 4, 5]), "{hole:?}");
        assert!(by_node(&holed, "run").exists);
        assert_eq!(holed.missing_for(&[3]).count(), 1);
        assert_eq!(holed.missing_for(&[1, 2]).count(), 0);

        let last = read(&[1, 2, 3], &bytes);
        assert_eq!(missing(&last), ["//screen/run_0004.png"]);
        assert!(last.missing[0].needed_for(&[900]), "the last one is held");
    }
}

#[test]
fn where_frames_lead_is_what_the_user_says() {
    let style = STYLES[1];
    let shown = |user: User, numbers: &[i64]| read(numbers, &scene(style, &[user], "CYCLES", ""));
    let offset = shown(User { start: 3, offset: 10, ..PLAIN }, &[10, 11, 12, 14]);
    assert_eq!(missing(&offset), ["//screen/run_0013.png"]);
    let late = shown(User { start: 3, offset: 10, ..PLAIN }, &[11, 12, 13, 14]);
    assert_eq!(missing(&late), [""; 0]);
    let warned = |warning: &String| warning.contains("before 3 ask for //screen/run_0010.png");
    assert!(late.warnings.iter().any(warned), "{:?}", late.warnings);

    let beyond = shown(User { length: 9, ..PLAIN }, &[1, 2, 3, 4, 5, 6, 8]);
    assert_eq!(missing(&beyond), [""; 0], "the scene ends before");
    let others: Vec<&str> = beyond.missing_for(&[7, 9]).map(|one| one.path.as_str()).collect();
    assert_eq!(others, ["//screen/run_0007.png", "//screen/run_0009.png"]);

    let cyclic = shown(User { length: 2, cyclic: true, ..PLAIN }, &[1]);
    assert_eq!(missing(&cyclic), ["//screen/run_0002.png"]);
    assert!(cyclic.missing[0].needed_for(&[400]) && !cyclic.missing[0].needed_for(&[401]));
    assert_eq!(read_by(&cyclic, "run", 401), [1]);
    assert_eq!(read_by(&cyclic, "run", 400), [0; 0]);

    // Several users share one image.
    let both = [PLAIN, User { start: 5, length: 1, offset: 6, ..PLAIN }];
    let both = read(&[1, 2, 3, 4, 6], &scene(style, &both, "CYCLES", ""));
    assert_eq!(missing(&both), ["//screen/run_0007.png"]);
    assert_eq!(read_by(&both, "run", 2), [2, 6]);
}

#[test]
fn what_is_not_known_takes_every_file_along() {
    let style = STYLES[1];
    let numbers = [1, 2, 7];
    for (users, engine, curve) in [
        (&[][..], "CYCLES", ""),
        (&[PLAIN], "CYCLES", "nodes[\"Image\"].image_user.frame_offset"),
        (&[User { length: 0, ..PLAIN }], "CYCLES", ""),
    ] {
        let mut bytes = scene(style, users, engine, curve);
        if users.is_empty() {
            // A user that is no node: the image is a pointer among the material's own.
            let mut file = Builder::new(style);
            file.put("GLOB", 1, "FileGlobal", &[("curscene", Int(0x10))]);
            file.put("SC", 0x10, "Scene", &[("id.name", Text("SCShot")), ("base", Int(0x11))]);
            file.put("DATA", 0x11, "Base", &[("object", Int(0x20))]);
            file.put("MA", 0x20, "Material", &[("id.name", Text("MAx")), ("image", Int(0x50))]);
            let image = [("id.name", Text("IMrun")), ("name", Text("//screen/run_0001.png"))];
            file.put("IM", 0x50, "Image", &[&image[..], &[("source", Int(2))]].concat());
            bytes = file.finish();
        }
        let analysis = read(&numbers, &bytes);
        let asset = by_node(&analysis, "run");
        assert!(asset.required && asset.files.len() == 3, "{curve} {asset:?}");
        assert_eq!(asset.needed_by, None, "{curve}");
        assert_eq!(missing(&analysis), [""; 0], "{curve}");
    }
    let moved = read(&numbers, &scene(style, &[PLAIN], "CYCLES", "location"));
    assert_eq!(missing(&moved), ["//screen/run_0003.png", "//screen/run_0004.png"]);
}

#[test]
fn pictures_that_do_not_follow_stand_still_except_in_cycles() {
    let user = User { follows: false, ..PLAIN };
    let cycles = read(&[1, 2, 4], &scene(STYLES[1], &[user], "CYCLES", ""));
    assert_eq!(missing(&cycles), ["//screen/run_0003.png"]);
    assert_eq!(read_by(&cycles, "run", 1), [1, 2], "and the one that was saved");
    let other = read(&[1, 4], &scene(STYLES[1], &[user], "BLENDER_EEVEE", ""));
    assert_eq!(missing(&other), ["//screen/run_0002.png"]);
}

#[test]
fn frames_ask_for_what_blender_says() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/blender/tests/make_sequences.py");
    let Some(said) = blender(&script, &[folder.path()]) else { return };
    assert!(said.contains("made all sequences"), "{said}");
    let facts = fs::read(folder.path().join("asked.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
    let first = facts["first"].as_i64().unwrap();
    let asked: BTreeMap<String, Vec<Vec<i64>>> =
        serde_json::from_value(facts["asked"].clone()).unwrap();
    assert_eq!(asked.len(), 10);

    let scene = folder.path().join("plays.blend");
    let analysis = analyse(&scene).unwrap();
    assert_eq!(analysis.missing, []);
    for (name, frames) in &asked {
        let kind = by_node(&analysis, name).kind;
        let margin = usize::from(kind == AssetKind::Volume);
        // Volumes of which a frame shows nothing have the greatest number there is.
        for at in margin..frames.len() - margin {
            let mut expected: Vec<i64> = frames[at - margin..=at + margin].concat();
            expected.retain(|&number| number < i64::from(i32::MAX));
            expected.iter_mut().for_each(|number| *number = (*number).max(0));
            expected.sort_unstable();
            expected.dedup();
            let frame = i32::try_from(first).unwrap() + i32::try_from(at).unwrap();
            assert_eq!(read_by(&analysis, name, frame), expected, "{name} {frame}");
        }
    }

    fs::remove_file(folder.path().join("plain/run_0003.png")).unwrap();
    fs::remove_file(folder.path().join("extend/run_0002.vdb")).unwrap();
    fs::remove_file(folder.path().join("late/run_0015.png")).unwrap();
    let analysis = analyse(&scene).unwrap();
    let expected = ["//extend/run_0002.vdb", "//plain/run_0003.png"];
    assert_eq!(missing(&analysis), expected);
    let animated = analyse(&folder.path().join("animated.blend")).unwrap();
    assert_eq!(missing(&animated), [""; 0]);
    assert_eq!(by_node(&animated, "plain").needed_by, None);
}
