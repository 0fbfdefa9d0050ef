use std::fs;
use std::path::Path;

use super::*;
use crate::analysis::{Asset, AssetKind};

const HEAD: &str = "//Maya ASCII 2024 scene\n//Codeset: UTF-8\nrequires maya \"2024\";\n";

/// A project with one scene of this body in `scenes/`.
pub(super) fn project(body: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scenes")).unwrap();
    fs::write(folder.path().join("workspace.mel"), "").unwrap();
    let scene = folder.path().join("scenes/shot.ma");
    write(&scene, body);
    (folder, scene)
}

pub(super) fn write(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{HEAD}{body}// End of shot.ma\n")).unwrap();
}

pub(super) fn touch(root: &Path, paths: &[&str]) {
    for path in paths {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
}

pub(super) fn asset<'a>(analysis: &'a Analysis, node: &str) -> &'a Asset {
    let found = analysis.assets.iter().find(|asset| asset.node == node);
    found.unwrap_or_else(|| panic!("no {node} in {:#?}", analysis.assets))
}

pub(super) fn names(asset: &Asset) -> Vec<&str> {
    asset.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn settings_are_read_by_both_names() {
    let (_folder, scene) = project(
        r#"currentUnit -l centimeter -a degree -t ntscf;
        createNode camera -n "shotCamShape" -p "shotCam";
        createNode camera -s -n "perspShape" -p "persp";
            setAttr -k off ".v" no;
            setAttr ".rnd" no;
        createNode renderLayer -n "defaultRenderLayer";
        select -ne :defaultRenderGlobals;
            setAttr ".ren" -type "string" "arnold";
            setAttr -k on ".outf" 51;
            setAttr ".imfPluginKey" -type "string" "exr";
            setAttr -av -k on ".an" yes;
            setAttr -l on -k on ".fs" 100.4;
            setAttr ".endFrame" 120;
            setAttr -k on ".fs";
            setAttr ".byFrameStep" 2.5;
        select -ne :defaultResolution;
            setAttr -av -k on ".w" 1920;
            setAttr -av ".height" 1080;
        "#,
    );
    let analysis = analyse(&scene).unwrap();
    let info = &analysis.scene_info;
    assert_eq!(
        (info.application.as_str(), info.application_version.as_str(), info.renderer.as_str()),
        ("Maya", "2024", "arnold")
    );
    assert_eq!((info.start_frame, info.end_frame, info.by_frame), (100, 120, 2.5));
    assert_eq!((info.animation, info.fps, info.image_format.as_str()), (true, 60.0, "exr"));
    assert_eq!((info.width, info.height), (1920, 1080));
    assert_eq!(info.all_cameras, ["shotCamShape", "perspShape"]);
    assert_eq!(info.render_cameras, ["shotCamShape"]);
    assert_eq!(info.view_layers, ["defaultRenderLayer"]);
    let [warning] = &analysis.warnings[..] else { panic!("{:?}", analysis.warnings) };
    assert!(warning.contains("2.5 apart") && warning.contains("3 apart"), "{warning}");
    assert!(analysis.missing.is_empty());
    // One frame has no step, and whole ones are as Maya's.
    for same in
        ["setAttr \".an\" no; setAttr \".bfs\" 2.5;", "setAttr \".an\" yes; setAttr \".bfs\" 2;"]
    {
        let (_folder, scene) = project(&format!("select -ne :defaultRenderGlobals; {same}\n"));
        assert_eq!(analyse(&scene).unwrap().warnings, Vec::<String>::new());
    }
}

/// V-Ray goes by its own size and format, whatever Maya's are; other renderers don't look at V-Ray's.
#[test]
fn renderers_have_settings_of_their_own() {
    let scene_of = |renderer: &str| {
        project(&format!(
            r#"createNode VRaySettingsNode -s -n "vraySettings";
            setAttr ".wi" 1920; setAttr ".he" 804; setAttr ".imgfs" -type "string" "exr (multichannel)";
            createNode aiAOVDriver -s -n "defaultArnoldDriver";
            setAttr -k on ".ai_translator" -type "string" "tiff";
            createNode RedshiftOptions -s -n "redshiftOptions";
            select -ne :defaultRenderGlobals; setAttr ".ren" -type "string" "{renderer}";
            select -ne :defaultResolution; setAttr ".w" 640;
            "#
        ))
    };
    for (renderer, size, format) in [
        ("vray", (1920, 804), "exr"),
        ("arnold", (640, 540), "tif"),
        ("redshift", (640, 540), "exr"),
        ("mayaSoftware", (640, 540), "iff"),
    ] {
        let (_folder, scene) = scene_of(renderer);
        let info = analyse(&scene).unwrap().scene_info;
        assert_eq!(((info.width, info.height), &*info.image_format), (size, format), "{renderer}");
    }
}

#[test]
fn silence_means_the_defaults() {
    let (_folder, scene) = project("");
    let info = analyse(&scene).unwrap().scene_info;
    assert_eq!((info.start_frame, info.end_frame, info.by_frame), (1, 10, 1.0));
    assert_eq!((info.animation, info.fps, info.width, info.height), (false, 24.0, 960, 540));
    assert_eq!((info.renderer.as_str(), info.image_format.as_str()), ("mayaSoftware", "iff"));
    assert!(info.all_cameras.is_empty());
}

#[test]
fn nonsense_in_settings_leaves_the_defaults() {
    let (_folder, scene) = project(
        r#"currentUnit -t parsec;
        select -ne :defaultRenderGlobals;
            setAttr ".fs" nan; setAttr ".ef" 1e999; setAttr ".outf" x; setAttr ".bfs" -type "string" "";
            setAttr; setAttr ".fs" -type; setAttr -k; setAttr "fs" 3; setAttr "." 3; setAttr "" 1;
        select -ne :defaultResolution; setAttr ".w" -5; setAttr ".h" 99999999999;
        select; select -ne; createNode; file; file -r; currentUnit; requires; requires maya;
        "#,
    );
    let info = analyse(&scene).unwrap().scene_info;
    assert_eq!((info.start_frame, info.end_frame, info.by_frame), (1, 10, 1.0));
    assert_eq!((info.fps, info.width, info.height), (24.0, 960, 540));
}

#[test]
fn files_of_nodes_are_found() {
    let (folder, scene) = project(
        r#"createNode file -n "plain"; setAttr ".ftn" -type "string" "sourceimages/a.png";
        createNode file -n "gone"; setAttr ".ftn" -type "string" "H:/old//sourceimages/gone.png";
        createNode file -n "moved"; setAttr ".ftn" -type "string" "H:/old//sourceimages/a.png";
        createNode file -n "backslash"; setAttr ".ftn" -type "string" "sourceimages\\a.png";
        createNode file -n "tiles"; setAttr ".uvt" 3;
            setAttr ".ftn" -type "string" "sourceimages/t.1001.exr";
        createNode file -n "tagged"; setAttr ".ftn" -type "string" "sourceimages/t.<UDIM>.exr";
        createNode file -n "frames"; setAttr ".ufe" yes;
            setAttr ".fileTextureName" -type "string" "sourceimages/f.0001.jpg";
        createNode imagePlane -n "plate"; setAttr ".ufe" on;
            setAttr ".imn" -type "string" ( "sourceimages/"
                + "f.0001.jpg" );
        createNode gpuCache -n "gpu"; setAttr ".cfn" -type "string" "cache/g.abc";
        createNode AlembicNode -n "abc"; setAttr ".fns" -type "stringArray" 2 "cache/g.abc" "cache/h.abc";
        createNode aiStandIn -n "standin"; setAttr ".dso" -type "string" "cache/s.####.ass";
        createNode cacheFile -n "ncache"; setAttr ".cn" -type "string" "hair";
            setAttr ".cp" -type "string" "cache/nCache/shot//";
        createNode audio -n "sound"; setAttr ".f" -type "string" "sound/x.wav";
        createNode newLight -n "guessed"; setAttr ".profile" -type "string" "data/l.IES";
        createNode file -n "empty"; setAttr ".ftn" -type "string" "";
        createNode script -n "script"; setAttr ".b" -type "string" "sourceimages/a.png";
        select -ne :defaultColorMgtGlobals;
            setAttr ".cfp" -type "string" "<MAYA_RESOURCES>/OCIO-configs/Maya2022-default/config.ocio";
        createNode file -n "variable"; setAttr ".ftn" -type "string" "$WEFT_UNSET_1/a.png";
        "#,
    );
    touch(
        folder.path(),
        &[
            "sourceimages/a.png",
            "sourceimages/t.1001.exr",
            "sourceimages/t.1012.exr",
            "sourceimages/t.jpg",
            "sourceimages/f.0010.jpg",
            "sourceimages/f.0009.jpg",
            "cache/g.abc",
            "cache/s.0003.ass",
            "cache/nCache/shot/hair.xml",
            "cache/nCache/shot/hairFrame1.mcx",
            "cache/nCache/shot/hairFrame2.mcx",
            "data/l.IES",
        ],
    );
    let analysis = analyse(&scene).unwrap();
    let of = |node: &str| {
        let asset = asset(&analysis, node);
        (asset.kind, names(asset))
    };
    for node in ["plain", "moved", "backslash"] {
        assert_eq!(of(node), (AssetKind::Image, vec!["a.png"]), "{node}");
    }
    assert_eq!(asset(&analysis, "moved").path, "H:/old//sourceimages/a.png");
    for node in ["tiles", "tagged"] {
        assert_eq!(of(node), (AssetKind::Udim, vec!["t.1001.exr", "t.1012.exr"]), "{node}");
    }
    assert_eq!(of("frames"), (AssetKind::ImageSequence, vec!["f.0009.jpg", "f.0010.jpg"]));
    assert_eq!(asset(&analysis, "frames").frames, Some(vec![9, 10]));
    assert_eq!(of("plate"), (AssetKind::ImagePlane, vec!["f.0009.jpg", "f.0010.jpg"]));
    assert_eq!(of("gpu"), (AssetKind::GpuCache, vec!["g.abc"]));
    assert_eq!(of("abc"), (AssetKind::Alembic, vec!["g.abc"]));
    assert_eq!(of("standin"), (AssetKind::Standin, vec!["s.0003.ass"]));
    assert_eq!(
        of("ncache"),
        (AssetKind::Cache, vec!["hair.xml", "hairFrame1.mcx", "hairFrame2.mcx"])
    );
    assert_eq!(of("guessed"), (AssetKind::Ies, vec!["l.IES"]));
    assert!(
        !analysis
            .assets
            .iter()
            .any(|asset| ["empty", "script", "defaultColorMgtGlobals"].contains(&&*asset.node))
    );

    let missing: Vec<(&str, &str, bool)> = analysis
        .missing
        .iter()
        .map(|missing| (missing.node.as_str(), missing.path.as_str(), missing.required))
        .collect();
    assert_eq!(
        missing,
        [
            ("gone", "H:/old//sourceimages/gone.png", true),
            ("abc", "cache/h.abc", true),
            ("sound", "sound/x.wav", false),
            ("variable", "$WEFT_UNSET_1/a.png", true),
        ]
    );
    assert!(analysis.missing[3].reason.contains("WEFT_UNSET_1"));
    assert!(analysis.assets.iter().all(|asset| asset.exists != asset.files.is_empty()));
}

#[test]
fn references_are_followed() {
    let (folder, scene) = project(
        r#"file -rdi 1 -ns "set" -rfn "setRN" -typ "mayaAscii" "scenes/set.ma";
        file -rdi 1 -ns "set1" -dr 1 -rfn "setRN1" "scenes/set.ma{1}";
        file -rdi 1 -ns "gone" -dr 1 -rfn "goneRN" "scenes/gone.ma";
        file -rdi 2 -ns "prop" -rfn "set:propRN" -typ "mayaAscii" "scenes/prop.ma";
        file -r -ns "set" -dr 1 -rfn "setRN" -typ "mayaAscii" "scenes/set.ma";
        file -r -ns "set1" -dr 1 -rfn "setRN1" "scenes/set.ma{1}";
        file -rdi 2 -ns "lamp" -rfn "bin:lampRN" "scenes/lamp.ma";
        file -r -ns "bin" -dr 1 -rfn "binRN" "scenes/bin.mb";
        file -r -ns "gone" -dr 1 -rfn "goneRN" "scenes/gone.ma";
        createNode camera -s -n "perspShape" -p "persp";
        "#,
    );
    let scenes = folder.path().join("scenes");
    write(
        &scenes.join("set.ma"),
        r#"file -r -ns ":" -rfn "propRN" "scenes/prop.ma";
        createNode camera -s -n "perspShape" -p "persp";
        createNode camera -n "setCamShape" -p "setCam"; setAttr ".rnd" no;
        select -ne :defaultResolution; setAttr ".w" 4;
        "#,
    );
    write(
        &scenes.join("prop.ma"),
        r#"createNode file -n "wood"; setAttr ".ftn" -type "string" "sourceimages/wood.png";
        file -r -ns "back" -rfn "backRN" "scenes/shot.ma";
        "#,
    );
    touch(folder.path(), &["scenes/bin.mb", "sourceimages/wood.png"]);
    let analysis = analyse(&scene).unwrap();
    let seen: Vec<(&str, bool, bool)> = analysis
        .assets
        .iter()
        .map(|asset| (asset.node.as_str(), asset.exists, asset.required))
        .collect();
    assert_eq!(
        seen,
        [
            ("setRN", true, true),
            ("setRN1", true, false),
            ("binRN", true, true),
            ("bin:lampRN", false, true),
            ("goneRN", false, false),
            ("set:propRN", true, true),
            ("set:wood", true, true),
            ("set:backRN", true, true),
            ("set1:propRN", true, false),
            ("set1:wood", true, false),
            ("set1:backRN", true, false),
        ]
    );
    assert_eq!(analysis.scene_info.all_cameras, ["perspShape", "set:setCamShape"]);
    assert_eq!(analysis.scene_info.render_cameras, ["perspShape"]);
    assert_eq!(analysis.scene_info.width, 960);
    let warned = |word: &str| analysis.warnings.iter().any(|warning| warning.contains(word));
    assert!(warned("references itself") && warned("bin.mb"), "{:?}", analysis.warnings);
    assert!(analysis.missing.iter().any(|missing| missing.reason.contains("isn't loaded")));
}

/// A scene shows an assembly by its definition, which is a scene, and that by one of its representations.
#[test]
fn assemblies_are_followed_like_references() {
    let (folder, scene) = project(
        r#"createNode assemblyReference -n "tree1"; setAttr ".def" -type "string" "P:/show//assets/tree_AD.ma";
        setAttr ".rns" -type "string" "forest";
        createNode assemblyReference -n "tree2"; setAttr ".def" -type "string" "assets/tree_AD.ma";
        createNode assemblyReference -n "lost"; setAttr ".def" -type "string" "assets/lost_AD.ma";
        "#,
    );
    write(
        &folder.path().join("assets/tree_AD.ma"),
        r#"createNode assemblyDefinition -n "tree";
        setAttr ".icn" -type "string" "assets/icon.png";
        setAttr ".rep[0].rty" -type "string" "Locator"; setAttr ".rep[0].rda" -type "string" "a tree";
        setAttr ".rep[1].rty" -type "string" "Scene"; setAttr ".rep[1].rda" -type "string" "assets/tree.ma";
        setAttr ".rep[2].rty" -type "string" "Cache"; setAttr ".rep[2].rda" -type "string" "cache/tree.abc";
        setAttr ".rep[3].rty" -type "string" "Scene"; setAttr ".rep[3].rda" -type "string" "assets/far.mb";
        createNode file -n "leaf"; setAttr ".ftn" -type "string" "sourceimages/leaf.png";
        "#,
    );
    write(
        &folder.path().join("assets/tree.ma"),
        r#"createNode file -n "bark"; setAttr ".ftn" -type "string" "P:/t/inner.png";"#,
    );
    touch(folder.path(), &["cache/tree.abc"]);
    let analysis = analyse(&scene).unwrap();
    let seen: Vec<_> =
        analysis.assets.iter().map(|one| (&*one.node, one.exists, one.required)).collect();
    assert_eq!(
        seen,
        [
            ("tree1", true, true),
            ("tree2", true, true),
            ("lost", false, true),
            ("forest:tree", true, false),
            ("forest:leaf", false, true),
            ("forest:tree", true, false),
            ("forest:tree", false, false),
            ("forest:bark", false, false),
        ]
    );
    let missing = analysis.missing.iter().map(|one| (&*one.path, one.required));
    assert_eq!(
        missing.collect::<Vec<_>>(),
        [
            ("assets/lost_AD.ma", true),
            ("sourceimages/leaf.png", true),
            ("assets/far.mb", false),
            ("P:/t/inner.png", false),
        ]
    );
}

#[test]
fn damaged_references_are_warnings() {
    let (folder, scene) = project("file -r -ns \"a\" -rfn \"aRN\" \"scenes/a.ma\";\n");
    fs::write(folder.path().join("scenes/a.ma"), "no scene").unwrap();
    let analysis = analyse(&scene).unwrap();
    assert!(analysis.assets[0].exists);
    assert!(analysis.warnings[0].contains("scenes/a.ma"), "{:?}", analysis.warnings);
}

/// Their own and those of what they reference.
#[test]
fn code_pages_that_are_not_known_are_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, codeset: &str, text: &str| {
        let path = folder.path().join(name);
        let head = format!("//Maya ASCII 2020 scene\n//Codeset: {codeset}\n");
        fs::write(&path, format!("{head}{text}// End of {name}\n")).unwrap();
        path
    };
    let references = "file -r -rfn \"aRN\" \"a.ma\";file -r -rfn \"bRN\" \"b.ma\";\n";
    let scene = file("shot.ma", "eucKR", references);
    file("a.ma", "1361", "");
    file("b.ma", "1361", "");
    let analysis = analyse(&scene).unwrap();
    let [warning] = &analysis.warnings[..] else { panic!("{:?}", analysis.warnings) };
    let place = folder.path().join("a.ma");
    let words =
        format!("the code page '1361' of {} and 1 more isn't known; read as 1252", place.display());
    assert!(warning.starts_with(&words), "{warning}");
    file("shot.ma", "utf-16", "");
    assert!(analyse(&scene).unwrap().warnings[0].contains("'utf-16' of "));
}

#[test]
fn cameras_of_the_same_name_are_told_apart() {
    let (_folder, scene) = project(
        "createNode camera -n \"cShape\" -p \"a\";createNode camera -n \"cShape\" -p \"|x|b\";\
         createNode camera -n \"dShape\" -p \"d\";",
    );
    let info = analyse(&scene).unwrap().scene_info;
    assert_eq!(info.all_cameras, ["a|cShape", "b|cShape", "dShape"]);
}

#[test]
fn the_project_can_be_given() {
    let (folder, scene) = project(
        "createNode file -n \"f\"; setAttr \".ftn\" -type \"string\" \"sourceimages/a.png\";\n",
    );
    let other = folder.path().join("other");
    touch(&other, &["sourceimages/a.png"]);
    assert!(!analyse(&scene).unwrap().assets[0].exists);
    assert!(analyse_in(&scene, Some(&other)).unwrap().assets[0].exists);
}

#[test]
fn a_project_says_where_its_files_are() {
    let (folder, scene) = project(
        r#"createNode file -n "body"; setAttr ".uvt" 3;
        setAttr ".ftn" -type "string" "body.1001.exr";
        createNode file -n "old"; setAttr ".ftn" -type "string" "old.png";
        createNode file -n "far"; setAttr ".ftn" -type "string" "far.png";
        createNode AlembicNode -n "abc"; setAttr ".fn" -type "string" "walk.abc";
        file -r -ns "set" -rfn "setRN" "set.ma";
        "#,
    );
    let lib = tempfile::tempdir().unwrap();
    touch(folder.path(), &["tex map/body.1001.exr", "tex map/body.1002.exr", "abc/walk.abc"]);
    touch(folder.path(), &["sourceimages/old.png"]);
    touch(lib.path(), &["far.png"]);
    write(
        &folder.path().join("sets/set.ma"),
        "createNode file -n \"in\"; setAttr \".ftn\" -type \"string\" \"old.png\";\n",
    );
    assert_eq!(analyse(&scene).unwrap().missing.len(), 4);
    let rules = format!(
        "workspace -fr \"sourceImages\" \"tex map\";\nworkspace -fr \"3dPaintTextures\" \"{}\";\n\
         workspace -fr \"alembicCache\" \"abc\";\nworkspace -fr \"scene\" \"sets\";\n",
        lib.path().display().to_string().replace('\\', "/")
    );
    std::fs::write(folder.path().join("workspace.mel"), rules).unwrap();
    let analysis = analyse(&scene).unwrap();
    assert_eq!(analysis.missing, []);
    assert_eq!(names(asset(&analysis, "body")), ["body.1001.exr", "body.1002.exr"]);
    assert_eq!(names(asset(&analysis, "set:in")), ["old.png"]);
}

/// Maya looks there by a texture's mere name, whatever folder was before it.
#[test]
fn textures_are_found_in_the_folder_for_them() {
    let (folder, scene) = project(
        r#"createNode file -n "drive";
            setAttr ".ftn" -type "string" "D:\\old\\show\\wood.png";
        createNode file -n "relative";
            setAttr ".ftn" -type "string" "maps/wood.png";
        createNode file -n "tiles";
            setAttr ".ftn" -type "string" "/elsewhere/skin.<UDIM>.exr";
            setAttr ".uvt" 3;
        createNode file -n "gone";
            setAttr ".ftn" -type "string" "D:/old/gone.png";
        createNode gpuCache -n "cache";
            setAttr ".cfn" -type "string" "D:/old/city.abc";
        createNode pxrUsdReferenceAssembly -n "set";
            setAttr ".fp" -type "string" "set.usda";
        "#,
    );
    let textures = ["wood.png", "skin.1001.exr", "skin.1002.exr", "city.abc"];
    touch(&folder.path().join("sourceimages"), &textures);
    touch(folder.path(), &["set.usda"]);
    let analysis = analyse(&scene).unwrap();
    for (node, found) in [
        ("drive", &["wood.png"][..]),
        ("relative", &["wood.png"]),
        ("tiles", &["skin.1001.exr", "skin.1002.exr"]),
        ("gone", &[]),
        ("cache", &[]),
        ("set", &["set.usda"]),
    ] {
        assert_eq!(names(asset(&analysis, node)), found, "{node}");
    }
}

#[test]
fn what_is_no_scene_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("a.mb");
    fs::write(&binary, b"FOR8\0\0\0\0").unwrap();
    assert!(analyse(&binary).unwrap_err().to_string().contains("Maya Binary"));
    assert!(matches!(analyse(folder.path()), Err(AnalyseError::Io { .. })));
    assert!(matches!(analyse(&folder.path().join("none.ma")), Err(AnalyseError::Io { .. })));
    let cut = folder.path().join("cut.ma");
    fs::write(&cut, format!("{HEAD}createNode file;\n")).unwrap();
    assert!(analyse(&cut).unwrap().warnings[0].contains("cut off"));
}

/// XGen names its file without a folder.
#[test]
fn hair_lies_beside_the_scene() {
    let (folder, scene) = project(
        r#"createNode xgmPalette -n "hair";
        setAttr ".xfn" -type "string" "shot__hair.xgen";
        createNode xgmPalette -n "lost";
        setAttr ".xfn" -type "string" "shot__lost.xgen";
        "#,
    );
    touch(folder.path(), &["scenes/shot__hair.xgen"]);
    let analysis = analyse(&scene).unwrap();
    assert_eq!(names(asset(&analysis, "hair")), ["shot__hair.xgen"]);
    let [missing] = &analysis.missing[..] else { panic!("{:?}", analysis.missing) };
    assert_eq!((missing.node.as_str(), missing.required), ("lost", true));
}

/// Attributes that nobody knows may hold anything.
#[test]
fn what_is_only_guessed_refuses_nothing() {
    let (folder, scene) = project(
        r#"createNode transform -n "asset"; setAttr ".publishPath" -type "string" "P:/pub/tree.ma";
        setAttr ".thumb" -type "string" "pub/tree.jpg";
        createNode newLight -n "lamp"; setAttr ".profile" -type "string" "data/l.IES";
        createNode file -n "wood"; setAttr ".copyOf" -type "string" "sourceimages/wood.png";
        setAttr ".ftn" -type "string" "sourceimages/wood.png";
        createNode shot -n "cut"; setAttr ".cl" -type "string" "cuts/cut.mov";
        createNode VRaySettingsNode -s -n "vraySettings";
        setAttr ".mSceneName" -type "string" "C:/Users/ann/shot.ma";
        createNode reference -n "setRN"; setAttr ".ed" -type "dataReferenceEdits"
            "setRN" "setRN" 0 "setRN" 2
            2 "|set:tree" "publishPath" " -type \"string\" \"P:/pub/set.ma\""
            2 "set:bark" "fileTextureName" " -type \"string\" \"P:/tex/bark.png\"";
        "#,
    );
    touch(folder.path(), &["pub/tree.jpg"]);
    let analysis = analyse(&scene).unwrap();
    let seen: Vec<_> = analysis.assets.iter().map(|a| (&*a.node, &*a.path, a.required)).collect();
    assert_eq!(
        seen,
        [
            ("asset", "P:/pub/tree.ma", false),
            ("asset", "pub/tree.jpg", false),
            ("lamp", "data/l.IES", false),
            ("wood", "sourceimages/wood.png", true),
            ("set:bark", "P:/tex/bark.png", true),
            ("set:tree", "P:/pub/set.ma", false),
        ]
    );
    let required: Vec<_> =
        analysis.missing.iter().filter(|one| one.required).map(|one| &*one.node).collect();
    assert_eq!(required, ["wood", "set:bark"]);
    assert_eq!(analysis.missing.len(), 5);
}

/// Where such caches aren't there Maya simulates, and V-Ray computes its light anew.
#[test]
fn caches_of_all_kinds_travel_where_they_are() {
    let (folder, scene) = project(
        r#"createNode diskCache -n "jiggle1Cache";
        setAttr ".cn" -type "string" "shot.ma_jiggle1.mcj"; setAttr ".hcn" -type "string" "hidden1_jiggle1.mcj";
        createNode diskCache -n "initial"; setAttr ".cn" -type "string" "E:/old//data/fluid.mcfi";
        createNode diskCache -n "gone"; setAttr ".cn" -type "string" "./gone.mcfp";
        createNode dynGlobals -n "dynGlobals1"; setAttr ".upd" yes; setAttr ".cd" -type "string" "shot";
        createNode dynGlobals -n "unused"; setAttr ".cd" -type "string" "shot";
        createNode VRaySettingsNode -s -n "vraySettings";
        setAttr ".fnm" -type "string" "gi/shot.vrmap"; setAttr ".asf" -type "string" "gi/auto.vrmap";
        createNode substanceNode -n "rust"; setAttr ".sbs" -type "string" "sourceimages/rust.sbsar";
        "#,
    );
    touch(
        folder.path(),
        &[
            "data/shot.ma_jiggle1.mcj",
            "data/fluid.mcfi",
            "fx/shot/sparks.250.pdc",
            "fx/shot/sparks.500.pdc",
            "fx/shot/notes.txt",
            "gi/shot.vrmap",
            "gi/auto.vrmap",
            "sourceimages/rust.sbsar",
        ],
    );
    std::fs::write(folder.path().join("workspace.mel"), "workspace -fr \"particles\" \"fx\";\n")
        .unwrap();
    let analysis = analyse(&scene).unwrap();
    let found: Vec<_> = analysis.assets.iter().map(|one| (&*one.node, names(one))).collect();
    assert_eq!(
        found,
        [
            ("jiggle1Cache", vec!["shot.ma_jiggle1.mcj"]),
            ("initial", vec!["fluid.mcfi"]),
            ("gone", vec![]),
            ("dynGlobals1", vec!["sparks.250.pdc", "sparks.500.pdc"]),
            ("vraySettings", vec!["shot.vrmap"]),
            ("rust", vec!["rust.sbsar"]),
        ]
    );
    let [missing] = &analysis.missing[..] else { panic!("{:?}", analysis.missing) };
    assert_eq!((&*missing.node, missing.required), ("gone", false));
}

/// Maya's colours are configured by a file, or aren't.
#[test]
fn colour_configurations_count_where_they_are_used() {
    for (said, wanted) in
        [("setAttr \".cfe\" no;", None), ("setAttr \".cfe\" yes;", Some(true)), ("", Some(false))]
    {
        let (_folder, scene) = project(&format!(
            "select -ne :defaultColorMgtGlobals; {said}\n\tsetAttr \".cfp\" -type \"string\" \"P:/aces/config.ocio\";\n"
        ));
        let missing = analyse(&scene).unwrap().missing;
        assert_eq!(missing.first().map(|one| one.required), wanted, "{said}");
    }
}
