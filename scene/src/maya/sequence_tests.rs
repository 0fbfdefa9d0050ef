//! Sequences and caches: which frames read which file, and what is missing for whom.

use std::fs;
use std::path::Path;

use weft_protocol::job::task::FrameRun;

use super::analyse;
use super::tests::{asset, names, project, touch, write};
use crate::analysis::{Asset, AssetKind};

/// The settings of an animation, and nodes that count its frames.
const ANIMATED: &str = r#"select -ne :defaultRenderGlobals; setAttr ".an" yes; setAttr ".fs" 2; setAttr ".ef" 5;
    createNode expression -n "plain"; setAttr ".ixp" -type "string" ".O[0]=frame";
    createNode expression -n "later"; setAttr ".ixp" -type "string" ".O[0]=frame+100";
    createNode timeToUnitConversion -n "clock"; setAttr ".cf" 0.004;
    connectAttr ":time1.o" "plain.tim"; connectAttr ":time1.o" "later.tim"; connectAttr ":time1.o" "clock.i";
    "#;

fn frames_reading(asset: &Asset) -> Vec<(String, Vec<(i32, i32)>)> {
    let pairs = |runs: Option<&[FrameRun]>| -> Vec<(i32, i32)> {
        runs.unwrap_or_default().iter().map(|run| (run.start, run.end)).collect()
    };
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    asset.files_by_frame().map(|(file, runs)| (name(file), pairs(runs))).collect()
}

#[test]
fn sequences_are_known_by_the_frames_that_read_them() {
    let (folder, scene) = project(&format!(
        r#"createNode file -n "tex"; setAttr ".ufe" yes;
            setAttr ".ftn" -type "string" "sourceimages/f.0001.png";
        createNode imagePlane -n "plateShape"; setAttr ".ufe" yes;
            setAttr ".imn" -type "string" "sourceimages//p.0102.png";
        createNode aiStandIn -n "crowd"; setAttr ".ufe" yes; setAttr ".fo" 1;
            setAttr ".dso" -type "string" "cache/s.####.ass";
        createNode file -n "keyed"; setAttr ".ufe" yes;
            setAttr ".ftn" -type "string" "sourceimages/f.0001.png";
        createNode imagePlane -n "film"; setAttr ".ufe" yes; setAttr ".t" 2;
            setAttr ".imn" -type "string" "sourceimages/p.0102.mov";
        {ANIMATED}
        connectAttr "clock.o" "tex.fe"; connectAttr "later.out[0]" "plateShape.fe";
        connectAttr "plain.out[0]" "crowd.frameNumber"; connectAttr "curve.o" "keyed.fe";"#
    ));
    touch(
        folder.path(),
        &[
            "sourceimages/f.0001.png",
            "sourceimages/f.0002.png",
            "sourceimages/f.0004.png",
            "sourceimages/f.0005.png",
            "sourceimages/f.0008.png",
            "sourceimages/p.0102.png",
            "sourceimages/p.0103.png",
            "sourceimages/p.0102.mov",
            "sourceimages/p.0103.mov",
            "cache/s.0003.ass",
            "cache/s.0004.ass",
            "cache/s.0005.ass",
            "cache/s.0006.ass",
        ],
    );
    let analysis = analyse(&scene).unwrap();
    assert_eq!(
        frames_reading(asset(&analysis, "tex")),
        [
            ("f.0001.png".to_owned(), vec![(0, 2)]),
            ("f.0002.png".to_owned(), vec![(1, 3)]),
            ("f.0004.png".to_owned(), vec![(3, 5)]),
            ("f.0005.png".to_owned(), vec![(4, 6)]),
            ("f.0008.png".to_owned(), vec![(7, 9)]),
        ]
    );
    assert_eq!(asset(&analysis, "tex").frames, Some(vec![1, 2, 4, 5, 8]));
    assert_eq!(
        frames_reading(asset(&analysis, "plateShape"))[0],
        ("p.0102.png".into(), vec![(1, 3)])
    );
    assert_eq!(frames_reading(asset(&analysis, "crowd"))[0], ("s.0003.ass".into(), vec![(1, 3)]));
    // What drives it isn't followed: everything travels, and nothing is claimed.
    assert_eq!(asset(&analysis, "keyed").needed_by, None);
    assert_eq!(
        (asset(&analysis, "film").kind, names(asset(&analysis, "film")).len()),
        (AssetKind::Movie, 1)
    );

    let told: Vec<(&str, &str)> =
        analysis.missing.iter().map(|one| (one.node.as_str(), one.path.as_str())).collect();
    assert_eq!(
        told,
        [
            ("tex", "sourceimages/f.0003.png"),
            ("plateShape", "sourceimages//p.0104.png"),
            ("plateShape", "sourceimages//p.0105.png"),
        ]
    );
    assert!(analysis.missing[0].reason.contains("f.0003.png does not exist"));
    let lacks = |frames: &[i32]| -> Vec<String> {
        analysis.missing_for(frames).map(|one| one.path.clone()).collect()
    };
    assert!(lacks(&[2]).is_empty(), "{:?}", lacks(&[2]));
    assert_eq!(lacks(&[3]), ["sourceimages/f.0003.png"]);
    assert_eq!(lacks(&[4]), ["sourceimages//p.0104.png"]);
    // Frames that the scene doesn't count as its own.
    assert_eq!(
        lacks(&[7]),
        ["sourceimages/f.0007.png", "sourceimages//p.0106.png", "cache/s.0007.ass"]
    );
    let far: Vec<&str> = analysis.missing_for(&[500]).map(|one| one.reason.as_str()).collect();
    assert_eq!(far.len(), 3);
    assert!(far.iter().all(|reason| reason.ends_with("nor do the files after it")), "{far:?}");
}

#[test]
fn a_still_needs_the_file_of_its_frame_only() {
    let (folder, scene) = project(
        r#"createNode file -n "tex"; setAttr ".ufe" yes;
            setAttr ".ftn" -type "string" "sourceimages/f.<f>.png";
        createNode expression -n "plain"; setAttr ".ixp" -type "string" ".O[0]=frame";
        select -ne :time1; setAttr ".o" 5; setAttr ".unw" 5;
        connectAttr "plain.out[0]" "tex.fe";"#,
    );
    touch(folder.path(), &["sourceimages/f.1.png", "sourceimages/f.5.png"]);
    let analysis = analyse(&scene).unwrap();
    assert_eq!(analysis.scene_info.own_frames(), Some((5, 5, 1)));
    assert!(analysis.missing.is_empty(), "{:?}", analysis.missing);
    let beyond: Vec<&str> = analysis.missing_for(&[2]).map(|one| one.path.as_str()).collect();
    assert_eq!(beyond, ["sourceimages/f.2.png"]);
}

#[test]
fn caches_are_known_by_the_frames_that_read_them() {
    let clip = |node: &str, name: &str, more: &str| {
        format!(
            r#"createNode cacheFile -n "{node}"; setAttr ".cn" -type "string" "{name}";
            setAttr ".cp" -type "string" "cache/nCache/shot"; setAttr ".sf" 11; setAttr ".ss" 1; setAttr ".se" 4;
            {more}"#
        )
    };
    let (folder, scene) = project(&format!(
        "{ANIMATED}{}{}{}{}",
        clip("cloth", "cloth", ""),
        clip("slow", "cloth", "setAttr \".sc\" 2;"),
        clip("one", "one", ""),
        clip("bare", "bare", "")
    ));
    touch(
        folder.path(),
        &[
            "cache/nCache/shot/cloth.xml",
            "cache/nCache/shot/clothFrame1.mcx",
            "cache/nCache/shot/clothFrame2.mcx",
            "cache/nCache/shot/clothFrame2Tick125.mcx",
            "cache/nCache/shot/clothFrame4.mcx",
            "cache/nCache/shot/clothFrame9.mcx",
            "cache/nCache/shot/cloth2Frame1.mcx",
            "cache/nCache/shot/one.xml",
            "cache/nCache/shot/one.mc",
            "cache/nCache/shot/bare.xml",
        ],
    );
    let analysis = analyse(&scene).unwrap();
    let all = (-1_048_574, 1_048_574);
    assert_eq!(
        frames_reading(asset(&analysis, "cloth")),
        [
            ("cloth.xml".to_owned(), vec![all]),
            ("clothFrame1.mcx".to_owned(), vec![(all.0, 12)]),
            ("clothFrame2.mcx".to_owned(), vec![(11, 13)]),
            ("clothFrame2Tick125.mcx".to_owned(), vec![(11, 13)]),
            ("clothFrame4.mcx".to_owned(), vec![(13, all.1)]),
        ]
    );
    assert_eq!(asset(&analysis, "slow").needed_by, None);
    assert_eq!(names(asset(&analysis, "slow")).len(), 6);
    assert_eq!(names(asset(&analysis, "one")), ["one.xml", "one.mc"]);
    let told: Vec<(&str, &str)> =
        analysis.missing.iter().map(|one| (one.node.as_str(), one.path.as_str())).collect();
    assert_eq!(told, [("bare", "cache/nCache/shot/bare.xml")]);
    let later: Vec<&str> = analysis.missing_for(&[13]).map(|one| one.path.as_str()).collect();
    assert_eq!(later, ["cache/nCache/shot/bare.xml", "cache/nCache/shot/clothFrame3.mcx"]);
}

#[test]
fn what_a_scene_changes_in_its_references_counts() {
    let (folder, scene) = project(&format!(
        r#"{ANIMATED}
        file -r -ns "set" -rfn "setRN" "scenes/set.ma";
        file -r -ns "bin" -rfn "binRN" "scenes/bin.mb";
        createNode reference -n "setRN";
            setAttr ".ed" -type "dataReferenceEdits"
                "setRN" "setRN" 2
                2 "|set:ball" "translate" " -type \"double3\" 0 0 0"
                2 "set:wood" "fileTextureName" " -type \"string\" \"sourceimages/oak.png\"";
        createNode reference -n "binRN";
            setAttr ".ed" -type "dataReferenceEdits" "binRN" "binRN" 1
                2 "bin:sky" "fileTextureName" " -type \"string\" \"sourceimages/sky.png\"";
        "#
    ));
    let set = r#"createNode file -n "wood"; setAttr ".ftn" -type "string" "sourceimages/gone.png";
        createNode file -n "run"; setAttr ".ufe" yes; setAttr ".ftn" -type "string" "sourceimages/f.1.png";
        createNode expression -n "plain"; setAttr ".ixp" -type "string" ".O[0]=frame";
        connectAttr "plain.out[0]" "run.fe";"#;
    write(&folder.path().join("scenes/set.ma"), set);
    touch(
        folder.path(),
        &["scenes/bin.mb", "sourceimages/oak.png", "sourceimages/sky.png", "sourceimages/f.4.png"],
    );
    let analysis = analyse(&scene).unwrap();
    assert_eq!(names(asset(&analysis, "set:wood")), ["oak.png"]);
    assert_eq!(names(asset(&analysis, "bin:sky")), ["sky.png"]);
    assert!(asset(&analysis, "set:run").needed_by.is_some());
    assert_eq!(analysis.missing.len(), 3, "f.2, f.3 and f.5: {:?}", analysis.missing);

    // Whoever changes the frames from outside makes the file's own word worthless.
    let text = fs::read_to_string(&scene)
        .unwrap()
        .replace("|set:ball\" \"translate", "set:run\" \"frameOffset");
    fs::write(&scene, text).unwrap();
    let analysis = analyse(&scene).unwrap();
    assert_eq!(asset(&analysis, "set:run").needed_by, None);
    assert!(analysis.missing.is_empty(), "{:?}", analysis.missing);
    // And so does another unit of time.
    let slower = format!("currentUnit -t pal;{set}");
    write(&folder.path().join("scenes/set.ma"), &slower);
    let text = fs::read_to_string(&scene).unwrap().replace("frameOffset", "scale");
    fs::write(&scene, text).unwrap();
    assert_eq!(asset(&analyse(&scene).unwrap(), "set:run").needed_by, None);
}

/// A shot's camera comes from a file of its own, whose cameras don't render: the shot says that one does.
#[test]
fn a_scene_says_which_cameras_of_its_references_render() {
    let edits = |node: &str, list: &str| {
        format!(
            "createNode reference -n \"{node}\"; setAttr \".ed\" -type \"dataReferenceEdits\" \"{node}\"\n\
             \t\"{node}\" 0 {list};\n"
        )
    };
    let said =
        |camera: &str, value: &str| format!("\n\t2 \"{camera}\" \"renderable\" \" {value}\"");
    let outer = [
        said("|cam:shot|cam:shotShape", "1"),
        said("|cam:rig|cam:in:leftShape", "0"),
        said("cam:in:|gone", "1"),
    ];
    let (folder, scene) = project(&format!(
        "file -r -ns \"cam\" -rfn \"camRN\" \"scenes/cam.ma\";\n{}\
         createNode camera -n \"ownShape\" -p \"own\"; setAttr \".rnd\" no;\n",
        edits("camRN", &outer.concat())
    ));
    let inner = [said("|in:left|in:leftShape", "1"), said("|in:right|in:rightShape", "yes")];
    let camera = |name: &str, renders: &str| {
        format!("createNode camera -n \"{name}Shape\" -p \"{name}\"; setAttr \".rnd\" {renders};\n")
    };
    let cam = format!(
        "file -r -ns \"in\" -rfn \"inRN\" \"scenes/in.ma\";\n{}{}{}",
        edits("inRN", &inner.concat()),
        camera("shot", "no"),
        camera("other", "yes")
    );
    write(&folder.path().join("scenes/cam.ma"), &cam);
    let nested = ["left", "right"].map(|name| camera(name, "no")).concat();
    write(&folder.path().join("scenes/in.ma"), &nested);
    let info = analyse(&scene).unwrap().scene_info;
    assert_eq!(
        info.all_cameras,
        ["ownShape", "cam:shotShape", "cam:otherShape", "cam:in:leftShape", "cam:in:rightShape"]
    );
    // The outer scene's word on the left one holds.
    assert_eq!(info.render_cameras, ["cam:shotShape", "cam:otherShape", "cam:in:rightShape"]);
}
