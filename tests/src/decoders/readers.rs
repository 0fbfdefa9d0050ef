//! What must hold of every reader of what people write (scenes, definitions of engines, lists of frames) for any bytes.

use std::path::PathBuf;
use std::sync::LazyLock;

use weft_scene::demo::Scene;
use weft_scene::engine::{Definition, Invocation, LogReader, command, parse, shipped};
use weft_scene::frames::{self, FrameSpecError};
use weft_scene::{PathMap, blender, maya, text_scene};

use super::Target;

/// All of them.
pub const READERS: [Target; 7] = [
    Target { name: "scene_blend", feed: blend },
    Target { name: "scene_ma", feed: maya_ascii },
    Target { name: "scene_maya_answer", feed: maya_answer },
    Target { name: "scene_text", feed: text },
    Target { name: "scene_engines", feed: engines },
    Target { name: "scene_frames", feed: frame_list },
    Target { name: "scene_demo", feed: demo },
];

/// POV-Ray's patterns, and those of the examples.
static ENGINES: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let examples = [
        include_str!("../../../scene/engines/examples/arnold.toml"),
        include_str!("../../../scene/engines/examples/husk.toml"),
        include_str!("../../../scene/engines/examples/nuke.toml"),
        include_str!("../../../scene/engines/examples/vray.toml"),
    ];
    let examples = examples.iter().flat_map(|text| parse(text, "example").expect("it is whole"));
    shipped().into_values().chain(examples.map(|(_, engine)| engine)).collect()
});

fn blend(bytes: &[u8]) -> bool {
    let path = file(bytes, "blend");
    let read = blender::analyse(&path).is_ok();
    let map = |path: &str| path.starts_with('/').then(|| "//moved.png".to_owned());
    let copied = blender::rewrite_paths(&path, &mut std::io::sink(), &map);
    _ = blender::not_by_tiles(&path, None, "exr", &std::collections::BTreeMap::default());
    if let (true, Err(error)) = (read, copied) {
        assert!(error.to_string().contains("longer"), "it is read, and can't be copied: {error}");
    }
    read
}

fn maya_ascii(bytes: &[u8]) -> bool {
    let path = file(bytes, "ma");
    let analysis = maya::analyse(&path);
    for asset in analysis.iter().flat_map(|analysis| &analysis.assets) {
        assert_eq!(asset.exists, !asset.files.is_empty());
    }
    let (mut same, moved) = (Vec::new(), |path: &str| Some(format!("x/{path}")));
    _ = maya::rewrite_paths(&path, &mut std::io::sink(), &moved);
    if maya::rewrite_paths(&path, &mut same, &|_| None).is_ok() {
        assert_eq!(same, bytes, "nothing was asked to be changed");
    }
    analysis.is_ok_and(|analysis| {
        _ = analysis.missing_for(&[1, 7]).count();
        true
    })
}

/// What Maya itself answers, of a scene that is nowhere.
fn maya_answer(bytes: &[u8]) -> bool {
    let scene = std::env::temp_dir().join("weft-fuzz-no-such-folder/scenes/shot.mb");
    let analysis = maya::read_answer(&scene, None, PathMap::default(), bytes);
    for asset in analysis.iter().flat_map(|analysis| &analysis.assets) {
        assert_eq!(asset.exists, !asset.files.is_empty());
    }
    analysis.is_ok_and(|analysis| {
        _ = analysis.missing_for(&[1, 7]).count();
        true
    })
}

fn text(bytes: &[u8]) -> bool {
    let path = file(bytes, "pov");
    for engine in ENGINES.iter() {
        if text_scene::analyse(&path, engine).is_none() {
            continue;
        }
        let mut copy = Vec::new();
        text_scene::rewrite_paths(&path, engine, &mut copy, &|_| None).expect("it can be read");
        assert_eq!(copy, bytes, "nothing was asked to be changed");
    }
    true
}

fn engines(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(engines) = parse(text, "weft.toml") else { return false };
    for engine in engines.values() {
        let invocation = Invocation {
            weft: "weft".into(),
            scene: "/in/shot.x".into(),
            frames: vec![7],
            start: 1,
            end: 10,
            work: "/work".into(),
            inputs: "/in".into(),
            threads: 4,
            name: "shot".into(),
            command: vec!["x".into(), "{frame:04}".into()],
            ..Invocation::default()
        };
        _ = command(engine, &invocation);
        let mut log = LogReader::new(engine).frames(1);
        for line in text.lines() {
            _ = log.push_line(line);
        }
    }
    true
}

fn frame_list(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(mut frames) = frames::parse(text) else { return false };
    // What is written is read again as the same frames, unless it is longer than a spec may be: frames by the
    // thousand without any order are written one by one.
    let mut again = match frames::parse(&frames::format(&frames)) {
        Ok(again) => again,
        Err(FrameSpecError::TooLong(_)) => return true,
        Err(error) => panic!("what is written can't be read: {error}"),
    };
    frames.sort_unstable();
    again.sort_unstable();
    assert_eq!(frames, again);
    _ = frames::parse_test_frames(text, &frames);
    true
}

fn demo(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| Scene::parse(text).is_ok())
}

/// Writes `bytes` to this process's own scene file, whose ending is `extension`: readers of scenes take a path.
fn file(bytes: &[u8], extension: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("weft-fuzz-{}", std::process::id()));
    let path = folder.join(format!("scene.{extension}"));
    if std::fs::write(&path, bytes).is_err() {
        std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        std::fs::write(&path, bytes).expect("the folder for temporary files can be written");
    }
    path
}
