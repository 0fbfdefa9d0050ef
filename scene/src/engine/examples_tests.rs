//! The example definitions in `engines/examples`: untested with their programs, but whole.

use std::fs;
use std::path::Path;

use super::definition::Condition;
use super::{Definition, Invocation, Tile, command, parse};
use crate::analysis::Analysis;
use crate::text_scene;

const EXAMPLES: [(&str, &str); 5] = [
    ("arnold", include_str!("../../engines/examples/arnold.toml")),
    ("husk", include_str!("../../engines/examples/husk.toml")),
    ("maya", include_str!("../../engines/examples/maya.toml")),
    ("nuke", include_str!("../../engines/examples/nuke.toml")),
    ("vray", include_str!("../../engines/examples/vray.toml")),
];

fn example(name: &str) -> Definition {
    let (_, text) = EXAMPLES.into_iter().find(|(known, _)| *known == name).unwrap();
    parse(text, name).unwrap().remove(name).unwrap()
}

fn words(engine: &str, extension: &str) -> Vec<String> {
    let invocation = Invocation {
        weft: "weft".into(),
        scene: format!("/in/shot.{extension}"),
        frames: vec![7],
        start: 1,
        end: 10,
        work: "/work".into(),
        inputs: "/in".into(),
        threads: 4,
        name: "shot".into(),
        camera: (engine != "nuke").then(|| "cam".to_owned()),
        ..Invocation::default()
    };
    command(&example(engine), &invocation).unwrap().args
}

#[test]
fn every_example_is_here_and_says_that_it_is_untested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/examples");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().replace(".toml", ""))
        .collect();
    names.sort();
    assert_eq!(names, EXAMPLES.map(|(name, _)| name));
    for (name, text) in EXAMPLES {
        assert!(text.contains("NOT TESTED"), "{name}");
        let engine = example(name);
        assert!(!engine.extensions.is_empty() && !engine.version_args.is_empty(), "{name}");
    }
}

#[test]
fn their_commands_are_what_the_programs_document() {
    let kick = words("arnold", "ass");
    assert_eq!(
        kick[..8],
        ["-i", "/in/shot.ass", "-o", "/work/shot_0007.exr", "-dw", "-dp", "-nstdin", "-v"]
    );
    assert_eq!(kick[kick.len() - 2..], ["-c", "cam"]);
    let vray = words("vray", "vrscene");
    assert_eq!(vray[..2], ["-sceneFile=/in/shot.vrscene", "-frames=7-7"]);
    let nuke = words("nuke", "nk");
    assert_eq!(nuke, ["-F", "7-7", "-m", "4", "-X", "Write1", "-x", "/in/shot.nk"]);
    let maya = words("maya", "ma");
    assert_eq!(maya[..4], ["-r", "file", "-s", "7"]);
    assert_eq!(maya.last().unwrap(), "/in/shot.ma");
    let husk = words("husk", "usda");
    assert_eq!(husk[2..6], ["--frame", "7", "--frame-count", "1"]);
}

/// The arguments where all that the engine knows is asked for.
fn all_words(engine: &str, extension: &str) -> Vec<String> {
    let definition = example(engine);
    let mut asked = Invocation {
        scene: format!("/in/shot.{extension}"),
        frames: vec![7],
        work: "/work".into(),
        inputs: "/in".into(),
        threads: 4,
        name: "shot".into(),
        ..Invocation::default()
    };
    for group in &definition.options {
        match &group.when {
            Condition::Camera => asked.camera = Some("cam".into()),
            Condition::SceneName => asked.scene_name = Some("scene".into()),
            Condition::ViewLayer => asked.view_layer = Some("layer".into()),
            Condition::Scale => asked.scale = Some(50),
            Condition::Format => asked.format = Some(definition.default_format.clone()),
            Condition::Tile => asked.tile = Some(Tile { column: 1, row: 1, columns: 2, rows: 2 }),
            Condition::AllowScripts => asked.allow_scripts = true,
            Condition::Still => (asked.start, asked.end) = (1, 1),
            Condition::Arg(name) if name == "width" => {
                let size = [("width", "1280"), ("height", "720")];
                asked.arguments.extend(size.map(|(name, value)| (name.into(), value.into())));
            }
            Condition::Arg(name) => panic!("{engine}: what is --arg {name}?"),
        }
    }
    // Whoever says that it can render parts says how.
    assert_eq!(definition.regions.is_some(), asked.tile.is_some(), "{engine}");
    let args =
        command(&definition, &asked).unwrap_or_else(|error| panic!("{engine}: {error}")).args;
    assert!(args.iter().all(|word| !word.contains(['{', '}'])), "{args:?}");
    args
}

#[test]
fn all_that_they_offer_is_filled_in() {
    let ends = |engine: &str, extension: &str, expected: &[&str]| {
        let args = all_words(engine, extension);
        assert_eq!(args[args.len() - expected.len()..], *expected);
    };
    ends("arnold", "ass", &["-c", "cam", "-r", "1280", "720", "-rg", "640", "360", "1279", "719"]);
    let vray = ["-camera=cam", "-imgWidth=1280", "-imgHeight=720", "-region=640;360;1280;720"];
    ends("vray", "vrscene", &vray);
    ends("maya", "ma", &["-cam", "cam", "-rl", "layer", "-percentRes", "50", "/in/shot.ma"]);
    ends("husk", "usda", &["--camera", "cam", "--res-scale", "50", "/in/shot.usda"]);
    ends("nuke", "nk", &["-X", "Write1", "-x", "/in/shot.nk"]);
}

#[test]
fn versions_are_read_from_what_the_programs_are_said_to_print() {
    for (engine, printed, version) in [
        ("maya", "Maya 2024, Cut Number 202302170737\n", "2024"),
        ("arnold", "Arnold 7.2.4.1 [abc] linux clang-15 oiio-2.4.1\n", "7.2.4.1"),
        ("husk", "husk 20.0.547\n", "20.0.547"),
        ("nuke", "Nuke 14.0v5, 64 bit, built Jun  9 2023.\n", "14.0v5"),
        ("vray", "V-Ray Core, version 6.10.00 for x64\n", "6.10.00"),
    ] {
        assert_eq!(example(engine).version_from(printed).as_deref(), Some(version), "{engine}");
    }
}

/// The analysis of a scene with this text, beside files with these names.
fn analysed(engine: &str, text: &str, files: &[&str]) -> Analysis {
    let folder = tempfile::tempdir().unwrap();
    let engine = example(engine);
    // Text, whichever the first ending is.
    let ending = if engine.name == "husk" { "usda" } else { &engine.extensions[0] };
    let scene = folder.path().join(format!("shot.{ending}"));
    fs::write(&scene, text).unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    text_scene::analyse(&scene, &engine).unwrap().unwrap()
}

/// The paths that a scene with this text names.
fn named(engine: &str, text: &str) -> Vec<String> {
    analysed(engine, text, &[]).assets.into_iter().map(|asset| asset.path).collect()
}

#[test]
fn sequences_are_found_however_they_are_spelled() {
    let plates = ["tex/a.0001.exr", "tex/a.0002.exr", "tex/b.0001.exr"];
    for (engine, text) in [
        ("nuke", "Read {\n file tex/a.####.exr\n first 1\n}\n"),
        ("nuke", "Read {\n file tex/a.%04d.exr\n}\n# file tex/b.0001.exr\n"),
        ("nuke", "Read {\n file \"tex/a.####.exr\"\n}\n"),
        ("vray", "BitmapBuffer b {\n  file=\"tex/a.<frame04>.exr\"; // as \"b\"\n}\n"),
        ("vray", "BitmapBuffer b {\n  file=\"tex/a.<frame>.exr\";\n}\n"),
        ("husk", "#usda 1.0\n{ asset inputs:file = @tex/a.####.exr@ # @tex/b.0001.exr@\n}\n"),
        ("husk", "#usda 1.0\n{ string templateAssetPath = \"tex/a.####.exr\"\n}\n"),
        ("arnold", "image\n{\n filename \"tex/a.####.exr\"\n} # \"tex/b.0001.exr\"\n"),
    ] {
        let analysis = analysed(engine, text, &plates);
        let [asset] = &analysis.assets[..] else { panic!("{text}: {:?}", analysis.assets) };
        assert_eq!(asset.frames.as_deref(), Some(&[1, 2][..]), "{text}");
    }
}

#[test]
fn what_is_read_is_told_from_what_is_written() {
    let ass = "options\n{\n include \"\"\n}\nimage\n{\n name a\n filename \"tex/a.<udim>.tx\"\n}\n\
        driver_exr\n{\n name d\n filename \"out.exr\"\n}\n### procedural\nprocedural\n{\n filename \"b.ass\"\n}\n\
        include \"lights.ass\"\ndriver_png\n{\n name e\n filename \"out.png\"\n}\n\
        procedural\n{\n filename 1 2 STRING \"c.ass\"\n}\nprocedural\n{\n filename \"d.abc\"\n}\n\
        procedural\n{\n filename \"e.ass.gz\"\n}\n";
    let all = ["tex/a.<udim>.tx", "b.ass", "lights.ass", "c.ass", "d.abc", "e.ass.gz"];
    assert_eq!(named("arnold", ass), all);
    let vrscene = "#include \"geo.vrscene\"\nBitmapBuffer b {\n  file=\"C:\\\\tex\\\\a.png\";\n}\n\
        SettingsOutput o {\n  img_file=\"out.exr\";\n}\n// file=\"old.png\";\n";
    assert_eq!(named("vray", vrscene), ["geo.vrscene", "C:\\\\tex\\\\a.png"]);
    let usda = "#usda 1.0\n( subLayers = [@./a.usda@, @b.usd@] )\ndef Xform \"x\" (\n\
        references = @set.usdc@</a>\n)\n{ asset inputs:file = @tex/c.<UDIM>.exr@ # @no.png@\n\
        token productName = \"out.exr\" }\n( references = @mat.mtlx@</m> )\n{ asset file = @lamp.ies@ }\n";
    let all = named("husk", usda);
    assert_eq!(all, ["./a.usda", "b.usd", "set.usdc", "tex/c.<UDIM>.exr", "mat.mtlx", "lamp.ies"]);
    let nk = "Root {\n name /a/b.nk\n}\nRead {\n inputs 0\n file /plates/p.%04d.exr\n first 1\n}\n\
        Read {\n file \"C:/with space/q.####.exr\"\n}\nRead {\n file p/r.####.exr\n}\nWrite {\n file out/x.####.exr\n}\n\
        Camera2 {\n file {cam.fbx}\n}\n";
    assert_eq!(
        named("nuke", nk),
        ["/plates/p.%04d.exr", "C:/with space/q.####.exr", "p/r.####.exr"]
    );
}

/// A Read node that is cloned stands behind its clone's name.
#[test]
fn what_cloned_nodes_read_is_found() {
    let nk = "clone node7f0|Read|12 Read {\n inputs 0\n file p/a.####.exr\n}\n\
        clone node7f1|Write|12 Write {\n file out/b.####.exr\n}\nclone $N7f0 {\n file c.exr\n}\n";
    assert_eq!(named("nuke", nk), ["p/a.####.exr"]);
}

#[test]
fn what_an_asset_calls_itself_is_no_file() {
    let usda = "#usda 1.0\ndef Xform \"x\" (\n    assetInfo = {\n        asset identifier = @x/x.usd@\n\
        asset[] payloadAssetDependencies = [@a.usda@, @b.abc@]\n    }\n)\n\
        ( references = @c.abc:SDF_FORMAT_ARGS:abcLayers=d.abc@</e> )\n{ asset inputs:file = @f.tex@\n}\n";
    assert_eq!(named("husk", usda), ["a.usda", "b.abc", "c.abc", "f.tex"]);
}

#[test]
fn what_is_in_archives_is_said_not_to_be_known() {
    let ass = "procedural\n{\n filename \"p.ass.gz\"\n}\n";
    let folder = tempfile::tempdir().unwrap();
    let scene = folder.path().join("shot.ass");
    fs::write(&scene, ass).unwrap();
    fs::write(folder.path().join("p.ass.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\x03").unwrap();
    let analysis = text_scene::analyse(&scene, &example("arnold")).unwrap().unwrap();
    assert_eq!(analysis.missing, []);
    assert_eq!(analysis.unread, [folder.path().join("p.ass.gz")]);
}

/// What a script works out by itself is not known here, but for its own folder.
#[test]
fn paths_that_nuke_works_out_are_found_or_missing() {
    let own = r"\[file dirname \[value root.name]]";
    for (path, found) in [
        (format!("\"{own}/tex/a.png\""), true),
        (format!("{own}/tex/a.png"), true),
        (r#""\[getenv SHOW]/tex/a.png""#.to_owned(), false),
        ("[getenv SHOW]/tex/a.png".to_owned(), false),
        (r#""\[value root.plates]/a.####.exr""#.to_owned(), false),
    ] {
        let text = format!("Read {{\n file {path}\n}}\n");
        let analysis = analysed("nuke", &text, &["tex/a.png", "a.0001.exr"]);
        assert_eq!(analysis.assets.len(), 1, "{path}");
        assert_eq!(analysis.missing.is_empty(), found, "{path}: {:?}", analysis.missing);
    }
}

#[test]
fn what_materials_of_a_stage_read_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let scene = folder.path().join("shot.usda");
    fs::write(&scene, "#usda 1.0\n( references = @mats/mat.mtlx@</m> )\n").unwrap();
    fs::create_dir(folder.path().join("mats")).unwrap();
    let material = "<?xml version=\"1.0\"?>\n<materialx version=\"1.38\">\n <image name=\"a\" type=\"color3\">\n\
        <input name=\"file\" type=\"filename\" value=\"wood.png\" colorspace=\"srgb_texture\"/>\n </image>\n</materialx>\n";
    fs::write(folder.path().join("mats/mat.mtlx"), material).unwrap();
    fs::write(folder.path().join("mats/wood.png"), "").unwrap();
    let analysis = text_scene::analyse(&scene, &example("husk")).unwrap().unwrap();
    let paths: Vec<&str> = analysis.assets.iter().map(|asset| asset.path.as_str()).collect();
    assert_eq!((paths, analysis.missing), (vec!["mats/mat.mtlx", "wood.png"], vec![]));
}
