//! Small files put together by hand, in every layout and compression.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::builder::Value::{Float, Int, Text};
use super::builder::{Builder, STYLES, Style};
use crate::analysis::{AnalyseError, AssetKind};
use crate::blender::{analyse, not_by_tiles, resolve_path, rewrite_paths};
use crate::engine::shipped;

/// A scene with a camera, a textured mesh, an unused image, and an object from a library.
pub(super) fn scene(style: Style) -> Vec<u8> {
    let mut file = Builder::new(style);
    file.put("GLOB", 1, "FileGlobal", &[("curscene", Int(0x1000))]);
    file.put(
        "SC",
        0x1000,
        "Scene",
        &[
            ("id.name", Text("SCShot")),
            ("camera", Int(0x2000)),
            ("base", Int(0x1100)),
            ("r.sfra", Int(-5)),
            ("r.efra", Int(40)),
            ("r.xsch", Int(1921)),
            ("r.ysch", Int(1080)),
            ("r.size", Int(25)),
            ("r.frs_sec", Int(25)),
            ("r.frs_sec_base", Float(2.0)),
            ("r.imtype", Int(4)),
            ("r.frame_step", Int(5)),
        ],
    );
    file.put("DATA", 0x1100, "Base", &[("next", Int(0x1200)), ("object", Int(0x2100))]);
    file.put("DATA", 0x1200, "Base", &[("object", Int(0x7000))]);
    file.put("OB", 0x2000, "Object", &[("id.name", Text("OBEye")), ("type", Int(11))]);
    file.put(
        "OB",
        0x2100,
        "Object",
        &[("id.name", Text("OBBall")), ("type", Int(1)), ("data", Int(0x3000))],
    );
    file.put("ME", 0x3000, "Mesh", &[("id.name", Text("MEBall")), ("mat", Int(0x3100))]);
    let materials = file.number(0x4000, style.pointer);
    file.block("DATA", 0x3100, 0, 1, &materials);
    file.put(
        "MA",
        0x4000,
        "Material",
        &[
            ("id.name", Text("MARed")),
            // A datablock's neighbour in its list is not what it needs.
            ("id.next", Int(0x5100)),
            ("image", Int(0x5000)),
        ],
    );
    file.put("IM", 0x5000, "Image", &[("id.name", Text("IMred")), ("name", Text("//red.png"))]);
    file.put("IM", 0x5100, "Image", &[("id.name", Text("IMold")), ("name", Text("//old.png"))]);
    file.put(
        "IM",
        0x5200,
        "Image",
        &[
            ("id.name", Text("IMpacked")),
            ("name", Text("//packed.png")),
            ("packedfile", Int(0x5300)),
        ],
    );
    file.put(
        "LI",
        0x6000,
        "Library",
        &[("id.name", Text("LIshelf")), ("name", Text("//shelf.blend"))],
    );
    file.put("ID", 0x7000, "ID", &[("name", Text("OBVase")), ("lib", Int(0x6000))]);
    file.finish()
}

/// The library that [`scene`] links from.
fn shelf(style: Style) -> Vec<u8> {
    let mut file = Builder::new(style);
    file.put(
        "OB",
        0x100,
        "Object",
        &[("id.name", Text("OBVase")), ("type", Int(1)), ("data", Int(0x200))],
    );
    file.put("ME", 0x200, "Mesh", &[("id.name", Text("MEVase")), ("mat", Int(0x210))]);
    let materials = file.number(0x300, style.pointer);
    file.block("DATA", 0x210, 0, 1, &materials);
    file.put("MA", 0x300, "Material", &[("id.name", Text("MAclay")), ("image", Int(0x400))]);
    file.put("IM", 0x400, "Image", &[("id.name", Text("IMclay")), ("name", Text("//clay.png"))]);
    file.put("IM", 0x500, "Image", &[("id.name", Text("IMother")), ("name", Text("//other.png"))]);
    file.finish()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    fs::write(folder.join(name), bytes).unwrap();
    folder.join(name)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// As Blender does it: a row of frames, and a skippable one.
fn zstd_frames(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    for piece in bytes.chunks(700) {
        packed.extend(zstd::encode_all(piece, 1).unwrap());
    }
    packed.extend([0x5e, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
    packed
}

#[test]
fn every_layout_and_compression_reads_the_same() {
    for style in STYLES {
        for (packing, pack) in [
            ("plain", None),
            ("gzip", Some(gzipped as fn(&[u8]) -> _)),
            ("zstd", Some(zstd_frames)),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let wrap = |bytes: Vec<u8>| pack.map_or(bytes.clone(), |pack| pack(&bytes));
            let path = write(folder.path(), "scene.blend", &wrap(scene(style)));
            // The library comes from another kind of machine.
            write(folder.path(), "shelf.blend", &wrap(shelf(STYLES[2])));
            write(folder.path(), "red.png", b"red");
            let analysis =
                analyse(&path).unwrap_or_else(|error| panic!("{style:?} {packing}: {error}"));
            let what = format!("{style:?} {packing} {analysis:#?}");
            let info = &analysis.scene_info;
            let version = if style.large_headers { "5.2" } else { "2.49" };
            assert_eq!(info.application_version, version, "{what}");
            // Nobody older reads the scene, and neither what it links from.
            let newest =
                analysis.saved_by.as_ref().map(|by| (by.version.as_str(), by.file.clone()));
            assert_eq!(newest, Some((version, path.clone())), "{what}");
            assert_eq!((info.start_frame, info.end_frame, info.by_frame), (-5, 40, 5.0), "{what}");
            assert_eq!((info.width, info.height), (480, 270), "{what}");
            assert_eq!(info.fps, 12.5, "{what}");
            assert_eq!(info.image_format, "JPEG", "{what}");
            assert_eq!(info.renderer, "BLENDER_EEVEE", "{what}");
            assert_eq!(info.all_cameras, ["Eye"], "{what}");
            assert_eq!(info.render_cameras, ["Eye"], "{what}");
            let assets: Vec<_> = analysis
                .assets
                .iter()
                .map(|asset| (asset.node.as_str(), asset.kind, asset.exists, asset.required))
                .collect();
            assert_eq!(
                assets,
                [
                    ("red", AssetKind::Image, true, true),
                    ("old", AssetKind::Image, false, false),
                    ("shelf", AssetKind::Library, true, true),
                    ("clay", AssetKind::Image, false, true),
                ],
                "{what}"
            );
            let missing: BTreeMap<_, _> = analysis
                .missing
                .iter()
                .map(|missing| (missing.path.as_str(), missing.required))
                .collect();
            assert_eq!(
                missing,
                BTreeMap::from([("//clay.png", true), ("//old.png", false)]),
                "{what}"
            );
        }
    }
}

/// Films of every age are films, and a format that isn't known is told by its number.
#[test]
fn formats_go_by_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for (number, format, film) in [
        (15, "AVI_RAW", true),
        (17, "PNG", false),
        (18, "FFMPEG", true),
        (19, "FFMPEG", true),
        (24, "FFMPEG", true),
        (25, "FRAMESERVER", false),
        (36, "FFMPEG", true),
        (37, "AVIF", false),
        (38, "38", false),
    ] {
        let mut file = Builder::new(STYLES[1]);
        let settings = [("id.name", Text("SCx")), ("r.imtype", Int(number))];
        file.put("SC", 0x100, "Scene", &settings);
        let info = analyse(&write(folder.path(), "a.blend", &file.finish())).unwrap().scene_info;
        assert_eq!((info.image_format.as_str(), info.makes_film()), (format, film), "{number}");
    }
}

/// Which is any of a scene's view layers, in files of that age.
#[test]
fn view_layers_said_whether_they_are_denoised() {
    let folder = tempfile::tempdir().unwrap();
    // The last is of a version in which the scene says it, and is silent.
    for (style, value, denoising) in [(1, 1, true), (1, 0, false), (2, 1, true), (4, 0, true)] {
        let mut file = Builder::new(STYLES[style]);
        let settings = [("id.name", Text("SCx")), ("r.engine", Text("CYCLES"))];
        file.put("SC", 0x100, "Scene", &settings);
        file.put("DATA", 0x150, "ViewLayer", &[("name", Text("plain"))]);
        file.put(
            "DATA",
            0x200,
            "ViewLayer",
            &[("name", Text("clean")), ("id_properties", Int(0x300))],
        );
        // The numbers of groups and of whole numbers in DNA_ID.h.
        let (group, whole) = (Int(6), Int(1));
        file.put("DATA", 0x300, "IDProperty", &[("type", group), ("data.group.first", Int(0x400))]);
        file.put(
            "DATA",
            0x400,
            "IDProperty",
            &[("type", group), ("name", Text("cycles")), ("data.group.first", Int(0x500))],
        );
        let own = [("type", whole), ("name", Text("use_denoising")), ("data.val", Int(value))];
        file.put("DATA", 0x500, "IDProperty", &own);
        let path = write(folder.path(), "a.blend", &file.finish());
        let info = analyse(&path).unwrap().scene_info;
        assert_eq!(info.view_layers, ["plain", "clean"]);
        assert_eq!(info.denoising, Some(denoising), "{style}, {value}");
        let why = not_by_tiles(&path, None, "png", &BTreeMap::new()).unwrap();
        let denoised = why.iter().any(|why| why.contains("denoising"));
        assert_eq!(denoised, denoising, "{style}, {value}: {why:?}");
    }
}

/// The names that a scene's renderer gets here are those that Blender's definition asks for a node's ability by.
#[test]
fn scenes_for_eevee_need_nodes_that_have_it() {
    let blender = &shipped()["blender"];
    let needed = |renderer: &str, asked: Option<&str>| -> Vec<String> {
        let arguments = asked.map(|engine| ("engine".to_owned(), engine.to_owned()));
        let arguments = arguments.into_iter().collect();
        let abilities = blender.needed_abilities(renderer, &[], &arguments);
        abilities.map(|ability| blender.tag_of(ability)).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    for (engine, on_some_nodes) in [
        ("", true),
        ("BLENDER_RENDER", true),
        ("BLENDER_EEVEE", true),
        ("BLENDER_EEVEE_NEXT", true),
        ("BLENDER_WORKBENCH", true),
        ("CYCLES", false),
    ] {
        let mut file = Builder::new(STYLES[1]);
        let settings = [("id.name", Text("SCx")), ("r.engine", Text(engine))];
        file.put("SC", 0x100, "Scene", &settings);
        let info = analyse(&write(folder.path(), "a.blend", &file.finish())).unwrap().scene_info;
        let expected = if on_some_nodes { &["can:blender-eevee"][..] } else { &[] };
        assert_eq!(needed(&info.renderer, None), expected, "{engine}");
        if engine.starts_with("BLENDER_") && engine != "BLENDER_RENDER" {
            assert_eq!(needed("CYCLES", Some(engine)), expected, "--arg engine={engine}");
            assert!(needed(&info.renderer, Some("CYCLES")).is_empty(), "{engine}");
        }
    }
}

#[test]
fn a_library_by_a_newer_version_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "scene.blend", &scene(STYLES[1]));
    let library = write(folder.path(), "shelf.blend", &shelf(STYLES[4]));
    let saved_by = analyse(&path).unwrap().saved_by.unwrap();
    assert_eq!((saved_by.version.as_str(), saved_by.file), ("5.2", library));
}

/// A library may link what is linked from it.
#[test]
fn what_passes_through_a_library_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let library = |file: &mut Builder, path: &str| {
        let fields = [("id.name", Text("LIx")), ("name", Text(path))];
        file.put("LI", 0x1000, "Library", &fields);
        file.put("ID", 0x2000, "ID", &[("name", Text("OBEye")), ("lib", Int(0x1000))]);
    };
    let mut scene = Builder::new(STYLES[1]);
    scene.put("SC", 0x100, "Scene", &[("id.name", Text("SCx")), ("camera", Int(0x2000))]);
    library(&mut scene, "//set.blend");
    let mut set = Builder::new(STYLES[1]);
    library(&mut set, "//rig.blend");
    let mut rig = Builder::new(STYLES[1]);
    rig.put("OB", 0x100, "Object", &[("id.name", Text("OBEye")), ("type", Int(11))]);
    write(folder.path(), "set.blend", &set.finish());
    write(folder.path(), "rig.blend", &rig.finish());
    let analysis = analyse(&write(folder.path(), "scene.blend", &scene.finish())).unwrap();
    assert_eq!(analysis.scene_info.render_cameras, ["Eye"]);
    assert!(!analysis.warnings.iter().any(|warning| warning.contains("linked")), "{analysis:?}");
}

/// What belongs to a datablock and lies in files of its own.
#[test]
fn what_lies_outside_the_scene_is_found() {
    let mut file = Builder::new(STYLES[1]);
    file.put("SC", 0x100, "Scene", &[("id.name", Text("SCx"))]);
    file.put("ME", 0x200, "Mesh", &[("id.name", Text("MEhead"))]);
    file.put("DATA", 0x210, "CustomDataExternal", &[("filename", Text("//head.btx"))]);
    for (at, name, path, cached) in [(0x300, "OBsea", "//sea", 1), (0x400, "OBlake", "//lake", 0)] {
        file.put("OB", at, "Object", &[("id.name", Text(name)), ("type", Int(1))]);
        let ocean = [("cachepath", Text(path)), ("cached", Int(cached))];
        file.put("DATA", at + 0x10, "OceanModifierData", &ocean);
    }
    file.put("IM", 0x500, "Image", &[("id.name", Text("IMsky")), ("name", Text("//sky_L.png"))]);
    for (at, path) in [(0x510, "//sky_L.png"), (0x520, "//sky_R.png")] {
        file.put("DATA", at, "ImageView", &[("filepath", Text(path))]);
    }
    let packed =
        [("id.name", Text("IMin")), ("name", Text("//in.png")), ("packedfile", Int(0x610))];
    file.put("IM", 0x600, "Image", &packed);
    file.put("DATA", 0x620, "ImageView", &[("filepath", Text("//in_R.png"))]);
    file.put(
        "CF",
        0x700,
        "CacheFile",
        &[("id.name", Text("CFcar")), ("filepath", Text("//car.abc"))],
    );
    for (at, path, hidden) in [(0x710, "//paint.abc", 0), (0x720, "//old.abc", 1)] {
        file.put("DATA", at, "CacheFileLayer", &[("filepath", Text(path)), ("flag", Int(hidden))]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "scene.blend", &file.finish());
    fs::create_dir(folder.path().join("sea")).unwrap();
    let there = ["head.btx", "sea/disp_0001.exr", "sky_L.png", "sky_R.png", "car.abc", "paint.abc"];
    for name in there {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let analysis = analyse(&path).unwrap();
    let mut found: Vec<_> = analysis.assets.iter().flat_map(|asset| &asset.files).collect();
    let mut wanted = there.map(|name| folder.path().join(name));
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "{analysis:#?}");
    assert_eq!(analysis.missing, []);
    let doubts = analysis.warnings.iter().filter(|warning| warning.contains("cache folder"));
    assert_eq!(doubts.count(), 0, "{analysis:#?}");
    let mut moved = Vec::new();
    let map = |path: &str| path.strip_prefix("//").map(|rest| format!("/moved/{rest}"));
    // Where the copy goes it names all of them elsewhere, whether a render reads them or not.
    assert_eq!(rewrite_paths(&path, &mut moved, &map).unwrap(), 11);
}

#[test]
fn a_rewritten_copy_differs_in_the_paths_only() {
    for style in STYLES {
        let folder = tempfile::tempdir().unwrap();
        let bytes = scene(style);
        let path = write(folder.path(), "scene.blend", &zstd_frames(&bytes));

        let mut same = Vec::new();
        assert_eq!(rewrite_paths(&path, &mut same, &|_| None).unwrap(), 0);
        assert!(same == bytes, "{style:?}");

        let mut copy = Vec::new();
        let map = |path: &str| path.strip_prefix("//").map(|rest| format!("//in/{rest}"));
        assert_eq!(rewrite_paths(&path, &mut copy, &map).unwrap(), 4);
        assert_eq!(copy.len(), bytes.len());
        let changed = copy.iter().zip(&bytes).filter(|(a, b)| a != b).count();
        assert!(changed > 10 && changed < 60, "{changed}");
        let path = write(folder.path(), "copy.blend", &copy);
        let spelled: Vec<String> =
            analyse(&path).unwrap().assets.into_iter().map(|asset| asset.path).collect();
        assert_eq!(spelled, ["//in/red.png", "//in/old.png", "//in/shelf.blend"]);

        // A shorter path leaves nothing of the longer one behind.
        let mut back = Vec::new();
        let map = |path: &str| path.strip_prefix("//in/").map(|rest| format!("//{rest}"));
        assert_eq!(rewrite_paths(&path, &mut back, &map).unwrap(), 4);
        assert!(back == bytes, "{style:?}");
    }
}

#[test]
fn a_path_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "scene.blend", &scene(STYLES[1]));
    for (length, fits) in [(239, true), (240, false), (5000, false)] {
        let map = |path: &str| (path == "//red.png").then(|| "x".repeat(length));
        match rewrite_paths(&path, &mut Vec::new(), &map) {
            Ok(changed) => assert!(fits && changed == 1, "{length}"),
            Err(AnalyseError::PathTooLong { limit, .. }) => assert!(!fits && limit == 239),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Where nodes keep what they simulated is a text of its own, which has just its own room.
#[test]
fn folders_in_texts_are_rewritten_where_they_fit() {
    for style in STYLES {
        let mut file = Builder::new(style);
        file.put("SC", 0x100, "Scene", &[("id.name", Text("SCx"))]);
        file.put("OB", 0x200, "Object", &[("id.name", Text("OBrain")), ("type", Int(1))]);
        let bakes = [("bake_directory", Int(0x220)), ("bakes", Int(0x230))];
        file.put("DATA", 0x210, "NodesModifierData", &bakes);
        file.block("DATA", 0x220, 0, 1, b"/show/cache/all\0");
        file.put("DATA", 0x230, "NodesModifierBake", &[("directory", Int(0x240))]);
        file.block("DATA", 0x240, 0, 1, b"/show/cache/one\0");
        // Not every text is a path, and an address counts within its datablock.
        file.block("DATA", 0x250, 0, 1, b"/show/cache/two\0");
        file.put("OB", 0x300, "Object", &[("id.name", Text("OBsnow")), ("type", Int(1))]);
        file.block("DATA", 0x220, 0, 1, b"/show/cache/all\0");
        let bytes = file.finish();
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "scene.blend", &bytes);
        let rewrite = |to: &str| {
            let map = |path: &str| path.strip_prefix("/show").map(|rest| format!("{to}{rest}"));
            let mut copy = Vec::new();
            rewrite_paths(&path, &mut copy, &map).map(|changed| (changed, copy))
        };
        let (changed, copy) = rewrite("//..").unwrap();
        assert_eq!((changed, copy.len()), (2, bytes.len()), "{style:?}");
        let count = |text: &[u8]| copy.windows(text.len()).filter(|part| *part == text).count();
        assert_eq!(count(b"//../cache/all\0\0"), 1);
        assert_eq!(count(b"//../cache/one\0\0"), 1);
        assert_eq!((count(b"/show/cache/all\0"), count(b"/show/cache/two\0")), (1, 1));
        assert_eq!(rewrite("/shot").unwrap().0, 2, "{style:?}");
        let too_long = rewrite("//../..").unwrap_err();
        assert!(matches!(too_long, AnalyseError::PathTooLong { limit: 15, .. }), "{too_long}");
    }
}

#[test]
fn what_was_linked_and_packed_needs_no_library_but_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("props")).unwrap();
    write(&folder.path().join("props"), "oak.png", b"oak");
    let mut file = Builder::new(STYLES[4]);
    file.put("GLOB", 1, "FileGlobal", &[("curscene", Int(0x10))]);
    file.put("SC", 0x10, "Scene", &[("id.name", Text("SCShot")), ("base", Int(0x11))]);
    file.put("DATA", 0x11, "Base", &[("object", Int(0x20))]);
    file.put("OB", 0x20, "Object", &[("id.name", Text("OBChair")), ("data", Int(0x50))]);
    let library = |name, parent| {
        [
            ("id.name", Text(name)),
            ("name", Text("//props/chair.blend")),
            ("archive_parent_library", Int(parent)),
        ]
    };
    file.put("LI", 0x30, "Library", &library("LIchair", 0));
    file.put("LI", 0x40, "Library", &library("LIchair.001", 0x30));
    file.put(
        "IM",
        0x50,
        "Image",
        &[("id.name", Text("IMoak")), ("id.lib", Int(0x40)), ("name", Text("//oak.png"))],
    );
    let path = write(folder.path(), "scene.blend", &file.finish());
    let analysis = analyse(&path).unwrap();
    let assets: Vec<_> = analysis
        .assets
        .iter()
        .map(|asset| (asset.node.as_str(), asset.exists, asset.required))
        .collect();
    assert_eq!(assets, [("chair", false, false), ("oak", true, true)]);
}

#[test]
fn paths_lead_where_blender_says() {
    let holder = if cfg!(windows) { "C:/show/shot/a.blend" } else { "/show/shot/a.blend" };
    let root = if cfg!(windows) { "C:" } else { "" };
    for (spelled, leads_to) in [
        ("//tex/a.png", "/show/shot/tex/a.png"),
        ("//../tex/./a.png", "/show/tex/a.png"),
        ("//..\\tex\\a.png", "/show/tex/a.png"),
        ("///a.png", "/show/shot/a.png"),
        ("a.png", "/show/shot/a.png"),
        ("//wall.<UDIM>.png", "/show/shot/wall.<UDIM>.png"),
        ("/other/a.png", "/other/a.png"),
        ("C:\\other\\a.png", "/other/a.png"),
    ] {
        let found = resolve_path(Path::new(holder), spelled);
        assert_eq!(found, Path::new(&format!("{root}{leads_to}")), "{spelled}");
    }
}

/// Whether something is connected in their place isn't known.
#[test]
fn what_nodes_import_travels_and_may_be_missing() {
    for style in STYLES {
        let mut file = Builder::new(style);
        file.put("SC", 0x1000, "Scene", &[("id.name", Text("SCShot")), ("camera", Int(0x2000))]);
        file.put(
            "OB",
            0x2000,
            "Object",
            &[("id.name", Text("OBCar")), ("type", Int(1)), ("data", Int(0x3000))],
        );
        file.put("NT", 0x3000, "bNodeTree", &[("id.name", Text("NTimport"))]);
        let mut at = 0x3100;
        for (kind, path) in [
            ("GeometryNodeImportOBJ", "//car.obj"),
            ("GeometryNodeImportVDB", "/abs/smoke.vdb"),
            ("GeometryNodeImportPLY", ""),
            ("FunctionNodeInputString", "//text.txt"),
        ] {
            let kind = ("idname", Text(kind));
            file.put("DATA", at, "bNode", &[kind, ("inputs.first", Int(at + 0x10))]);
            for (place, name, text) in [(0x10, "Delimiter", "tex"), (0x20, "Path", path)] {
                let next = if place == 0x10 { at + 0x20 } else { 0 };
                let value = ("default_value", Int(at + place + 8));
                let name = ("identifier", Text(name));
                file.put("DATA", at + place, "bNodeSocket", &[("next", Int(next)), value, name]);
                let text = [("value", Text(text))];
                file.put("DATA", at + place + 8, "bNodeSocketValueString", &text);
            }
            at += 0x100;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "scene.blend", &file.finish());
        write(folder.path(), "car.obj", b"o");
        let analysis = analyse(&path).unwrap();
        let found: Vec<_> = analysis
            .assets
            .iter()
            .map(|asset| (asset.path.as_str(), asset.kind, asset.exists, asset.required))
            .collect();
        assert_eq!(
            found,
            [
                ("//car.obj", AssetKind::Other, true, false),
                ("/abs/smoke.vdb", AssetKind::Volume, false, false)
            ],
            "{style:?}"
        );
        assert!(analysis.missing.iter().all(|missing| !missing.required), "{style:?}");
        let mut copy = Vec::new();
        // A word is none, whatever folder has its name.
        let map = |path: &str| match path {
            "/abs/smoke.vdb" => Some("//smoke.vdb".to_owned()),
            "tex" => Some("//tex".to_owned()),
            _ => None,
        };
        assert_eq!(rewrite_paths(&path, &mut copy, &map).unwrap(), 1);
        let copy = write(folder.path(), "copy.blend", &copy);
        assert_eq!(analyse(&copy).unwrap().assets[1].path, "//smoke.vdb");
    }
}
