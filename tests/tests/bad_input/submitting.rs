//! Submissions that can't be.

use std::path::Path;

use weft_tests::{Call, Farm, Output, write_file};

use crate::blend;
use crate::cases::Cases;

/// A Maya scene that reads a texture in its folder, and plays a sound that no render needs.
const MAYA: &str = r#"//Maya ASCII 2020 scene
requires maya "2020";
createNode file -n "wood";
	setAttr ".ftn" -type "string" "wood.png";
createNode audio -n "track";
	setAttr ".f" -type "string" "track.wav";
"#;

pub(crate) fn try_all(farm: &Farm, cases: &mut Cases) {
    scenes(farm, cases);
    engines(farm, cases);
    blender(farm, cases);
    commands(farm, cases);
    frames(farm, cases);
    needs(farm, cases);
    files(farm, cases);
    settings(farm, cases);
}

fn submit(farm: &Farm, scene: &Path, options: &[&str]) -> Output {
    farm.submission(2, scene, options).run()
}

fn commands(farm: &Farm, cases: &mut Cases) {
    let run = |command: &[&str]| farm.node(2).call(&["run", "--"]).args(command).run();
    let case = "command of one's own, where no node lets members run any";
    cases.refused(farm, case, || run(&["true", "{frame}"]));
    let case = "command with a placeholder that a command doesn't have";
    cases.refused(farm, case, || run(&["true", "{scene}"]));
    cases.refused(farm, case, || run(&["true", "{fraem:04}"]));
    let case = "command with a word that is too long";
    cases.refused(farm, case, || run(&["true", &"x".repeat(5000)]));
    let case = "renderer that works on some machines only (EEVEE), where none was found to run it";
    let any = farm.scene("ability", 16, 1);
    cases.refused(farm, case, || submit(farm, &any, &["-f", "1", "--tag", "can:blender-eevee"]));
    let case = "scripts allowed, where no node has a sandbox";
    let scene = farm.scene("scripts", 16, 1);
    cases.refused(farm, case, || submit(farm, &scene, &["-f", "1", "--allow-scripts"]));
}

fn scenes(farm: &Farm, cases: &mut Cases) {
    let folder = farm.folder().join("bad");
    let missing = folder.join("missing.weft");
    cases.refused(farm, "scene that doesn't exist", || submit(farm, &missing, &["-f", "1"]));
    let scene_folder = write_file(folder.join("scene.weft/file"), "x");
    let scene_folder = scene_folder.parent().unwrap();
    cases.refused(farm, "scene that is a folder", || submit(farm, scene_folder, &["-f", "1"]));
    let case = "scene that this user may not read";
    cases.refused(farm, case, || submit(farm, &unreadable(farm), &["-f", "1"]));

    let case = "scene that is damaged, cut off, or no scene";
    let noise: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761) as u8).collect();
    let header = *b"BLENDER-v304DATA\xff\xff\xff\xff";
    for (name, bytes) in [
        ("noise.blend", &noise[..]),
        ("empty.blend", b""),
        ("cut.blend", &header[..14]),
        ("damaged.blend", &header),
        ("zstd.blend", b"\x28\xb5\x2f\xfd\x00\x00\x00"),
        ("noise.weft", &noise),
        ("words.weft", b"frames = twelve"),
    ] {
        let scene = write_file(folder.join(name), bytes);
        cases.refused(farm, case, || submit(farm, &scene, &["-f", "1"]));
    }

    let scene = farm.scene("fine", 16, 1);
    let other = folder.join("elsewhere");
    _ = Call::new(&other, &["init", "--studio", "Elsewhere"]).run().ok();
    cases.refused(farm, "no node runs here", || {
        Call::new(&other, &["submit", "-f", "1"]).arg(&scene).run()
    });
}

/// A scene that can't be read. Root may read everything, except what is below a file.
fn unreadable(farm: &Farm) -> std::path::PathBuf {
    let scene = farm.scene("locked", 16, 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&scene, PermissionsExt::from_mode(0o000)).unwrap();
    }
    match std::fs::File::open(&scene) {
        Err(_) => scene,
        Ok(_) => scene.join("below.weft"),
    }
}

fn engines(farm: &Farm, cases: &mut Cases) {
    let scene = farm.scene("fine", 16, 1);
    let script = farm.script("fine", "exit 0");
    let strange = write_file(farm.folder().join("bad/strange.xyz"), "x");
    let sized = write_file(farm.folder().join("bad/scene.sized"), "x");
    let absent = write_file(farm.folder().join("bad/scene.absent"), "x");
    let pov = write_file(farm.folder().join("bad/plain.pov"), "// no radiosity\nsphere { 0, 1 }\n");
    let radiosity = "global_settings { radiosity { count 10 } }\n";
    let radiosity = write_file(farm.folder().join("bad/radiosity.pov"), radiosity);
    let case = "scene of a kind that no engine takes, without `--engine`";
    cases.refused(farm, case, || submit(farm, &strange, &["-f", "1"]));
    for (case, scene, options) in [
        ("engine that nobody defined", &scene, &["-f", "1", "-e", "nobodys"][..]),
        ("engine that is defined and on no node", &absent, &["-f", "1"]),
        ("scene that the engine doesn't take", &scene, &["-f", "1", "-e", "script"]),
        ("argument that the engine doesn't know", &script, &["-f", "1", "--arg", "speed=fast"]),
        ("format that the engine doesn't write", &script, &["-f", "1", "--format", "NOPE"]),
        (
            "tiles that the engine has no way to be asked for",
            &scene,
            &["-f", "1", "--tiles", "2x2"],
        ),
        (
            "tiles in a format that can't be joined bit for bit",
            &pov,
            &["-f", "1", "--tiles", "2x2", "--format", "JPEG"],
        ),
        (
            "tiles of a scene that would make another picture",
            &radiosity,
            &["-f", "1", "--tiles", "2x2"],
        ),
        (
            "tiles of a scene that would make another picture",
            &pov,
            &["-f", "1", "--tiles", "2x2", "--arg", "antialias=0.3"],
        ),
        (
            "tiles of a picture whose size nobody said, where the engine counts in pixels",
            &sized,
            &["-f", "1", "--tiles", "2x2"],
        ),
        (
            "tiles of a picture that has fewer pixels",
            &pov,
            &["-f", "1", "--tiles", "4x1", "--arg", "width=3"],
        ),
        (
            "tiles of a picture that has fewer pixels",
            &pov,
            &["-f", "1", "--tiles", "1x4", "--arg", "height=3", "--dry-run"],
        ),
        (
            "more frames in one process than can be reported",
            &pov,
            &["-f", "1-1000", "--frames-per-task", "257", "--dry-run"],
        ),
        (
            "tiles and runs of frames at once",
            &pov,
            &["-f", "1-4", "--tiles", "2x2", "--frames-per-task", "2"],
        ),
        ("checking frames in tiles", &pov, &["-f", "1", "--tiles", "2x2", "--check", "5"]),
        ("checking files that can't be compared", &script, &["-f", "1", "--check", "5"]),
    ] {
        cases.refused(farm, case, || submit(farm, scene, options));
    }
    let case = "camera, scene, view layer or scale, where the engine has no way to be told";
    for option in [["--camera", "X"], ["--scene", "X"], ["--view-layer", "X"], ["--scale", "50"]] {
        cases.refused(farm, case, || submit(farm, &script, &[&["-f", "1"], &option[..]].concat()));
    }
}

/// What is known of Blender's scenes before it sees them.
fn blender(farm: &Farm, cases: &mut Cases) {
    let scene = |version| {
        write_file(farm.folder().join(format!("bad/{version}.blend")), blend::saved_by(version))
    };
    let (older, newer) = (scene(304), scene(405));
    let case = "scene that was saved by a newer Blender than any node has";
    for dry_run in [&[][..], &["--dry-run"]] {
        cases.refused(farm, case, || {
            let output = submit(farm, &newer, &[&["-f", "1", "-e", "older"], dry_run].concat());
            for version in ["Blender 4.5", "is 3.4.1"] {
                assert!(output.stderr.contains(version), "{version}: {output:?}");
            }
            output
        });
    }
    let there = "camera or view layer that the scene doesn't have";
    let kind = "argument whose value is none of its kind: a width below 1 or beyond what Blender can have, a switch \
                that is neither on nor off, an engine or a device of Blender's that isn't there";
    for (case, option) in [
        (there, ["--camera", "nope"]),
        (there, ["--view-layer", "nope"]),
        (kind, ["--arg", "width=-5"]),
        (kind, ["--arg", "height=0"]),
        (kind, ["--arg", "samples=0"]),
        (kind, ["--arg", "compositing=maybe"]),
        (kind, ["--arg", "engine=NOPE"]),
        (kind, ["--arg", "width=99999999"]),
        (kind, ["--arg", "height=65537"]),
        (kind, ["--arg", "samples=16777217"]),
        (kind, ["--arg", "device=NOPE"]),
        (kind, ["--arg", "device=CUDA+OPTIX"]),
    ] {
        let options = [&["-f", "1", "-e", "older", "--dry-run"], &option[..]].concat();
        cases.refused(farm, case, || submit(farm, &older, &options));
    }
    let options = [
        "-f",
        "1",
        "-e",
        "older",
        "--arg",
        "engine=CYCLES",
        "--camera",
        "Camera",
        "--arg",
        "compositing=OFF",
    ];
    let planned = submit(farm, &older, &[&options[..], &["--dry-run"]].concat());
    cases.require(planned.status == 0, &format!("what is there is refused: {planned:?}"));
}

fn frames(farm: &Farm, cases: &mut Cases) {
    let scene = farm.scene("fine", 16, 1);
    let script = farm.script("fine", "exit 0");
    let short = write_file(farm.folder().join("bad/scene.short"), "x");
    // A spec that names few frames, in as many words as the system lets a call have.
    let long = vec!["1-2"; 30_000].join(",");
    for (case, scene, options) in [
        ("no frames named, and the scene has no range", &script, &[][..]),
        ("empty frame spec", &scene, &["-f", ""]),
        ("empty frame spec", &scene, &["-f", "1-3", "--test-frames", ""]),
        ("malformed frame spec", &scene, &["-f", "abc"]),
        ("malformed frame spec", &scene, &["-f", "1-"]),
        ("malformed frame spec", &scene, &["-f", "1-10x0x2"]),
        ("malformed frame spec", &scene, &["-f", "1-10", "--test-frames", "5;6"]),
        ("absurdly large frame spec", &scene, &["-f", "1-2000000"]),
        ("absurdly long frame spec", &scene, &["-f", &long]),
        ("absurdly long frame spec", &scene, &["-f", "1-2", "--test-frames", &long]),
        ("frame number out of reach", &scene, &["-f", "1-100000000000"]),
        ("frame number out of reach", &scene, &["-f", "99999999999999999999999"]),
        ("frame that the engine can't render", &short, &["-f", "1-10"]),
        ("test frame outside the job", &scene, &["-f", "1-10", "--test-frames", "11"]),
        ("test frame outside the job", &scene, &["--test-frames", "25"]),
        (
            "`--stop-after-test` or `--approve-after-test` without `--test-frames`",
            &scene,
            &["--stop-after-test"],
        ),
        (
            "`--stop-after-test` or `--approve-after-test` without `--test-frames`",
            &scene,
            &["--approve-after-test"],
        ),
    ] {
        cases.refused(farm, case, || submit(farm, scene, options));
    }
}

fn needs(farm: &Farm, cases: &mut Cases) {
    let scene = farm.scene("fine", 16, 1);
    let nodes = farm.node(1).ask(&["nodes"]);
    let ram = nodes.as_array().into_iter().flatten().filter_map(|node| {
        let ram = node["hardware"]["ram"].as_f64();
        ram.filter(|ram| *ram > 0.0)
    });
    let largest = ram.fold(0.0, f64::max);
    cases.refused(farm, "more memory than any node has", || {
        let output = submit(farm, &scene, &["-f", "1", "--ram", "4000"]);
        // To a tenth, which one way of telling rounds and the other cuts off.
        let told = [largest, largest - 0.1].map(|gib| format!("largest node has {gib:.1}"));
        let told = told.map(|words| words.trim_end_matches(".0").to_owned());
        assert!(told.iter().any(|words| output.stderr.contains(words)), "{told:?}: {output:?}");
        output
    });
    for (case, options) in [
        ("more memory than any node has", &["--ram", "4000", "--dry-run"][..]),
        ("more cores than any node has", &["--cores", "100000"]),
        ("GPUs, or a model, that no node has", &["--gpus", "1000"]),
        ("GPUs, or a model, that no node has", &["--gpu-model", "Abacus 9000"]),
        ("tag that no node has", &["--tag", "moon"]),
        ("profile that isn't there", &["--hardware", "hers"]),
        ("profile that no node meets", &["--hardware", "high_performance", "--cores", "9999"]),
        ("needs that no single node meets at once", &["--tag", "east", "--tag", "west"]),
    ] {
        let options = [&["-f", "1"], options].concat();
        cases.refused(farm, case, || submit(farm, &scene, &options));
    }
}

fn files(farm: &Farm, cases: &mut Cases) {
    let folder = farm.folder().join("bad");
    let scene = farm.scene("fine", 16, 1);
    let file = write_file(folder.join("file"), "not a folder");
    let case = "output folder that can't be written";
    for out in [file.clone(), file.join("below"), file.join("far/below")] {
        let call = farm.submission(2, &scene, &["-f", "1", "-o"]).arg(&out);
        cases.refused(farm, case, || call.run());
    }
    let unchanged = std::fs::read(&file).is_ok_and(|bytes| bytes == b"not a folder");
    cases.require(unchanged, "a file where the output folder should be was changed");

    let maya = write_file(folder.join("maya/shot.ma"), MAYA);
    let noop = ["-f", "1", "-e", "noop"];
    cases.refused(farm, "missing file that the render reads", || {
        let output = submit(farm, &maya, &noop);
        let listed: Vec<&str> =
            output.stderr.lines().filter(|line| line.starts_with("  ")).collect();
        assert!(listed.len() == 1 && listed[0].contains("wood.png"), "{listed:?} {output:?}");
        output
    });
    let ignoring = [&noop[..], &["--watch", "--ignore-missing"]].concat();
    cases.check("the same with `--ignore-missing`", &submit(farm, &maya, &ignoring));
    write_file(folder.join("maya/wood.png"), "a picture");
    let watching = [&noop[..], &["--watch"]].concat();
    cases.check("missing file that the render never reaches", &submit(farm, &maya, &watching));

    let outside = write_file(folder.join("outside.png"), "x");
    let strange = write_file(folder.join("strange/what?.png"), "x");
    for (case, option, path) in [
        ("`--assets` that doesn't exist", "--assets", folder.join("nowhere")),
        ("file with a name that some platform can't have", "--assets", strange),
    ] {
        let call = farm.submission(2, &maya, &noop).arg(option).arg(path);
        cases.refused(farm, case, || call.run());
    }
    let call = farm.submission(2, &maya, &noop).arg("--project").arg(folder.join("maya"));
    let call = call.arg("--assets").arg(outside);
    cases.refused(farm, "file outside `--project`", || call.run());

    let case = "scene with another MD5 than `--expect-md5`";
    let other = ["-f", "1", "--expect-md5", "00000000000000000000000000000000"];
    cases.refused(farm, case, || submit(farm, &scene, &other));
    let planned = [&other[..], &["--dry-run"]].concat();
    cases.refused(farm, case, || submit(farm, &scene, &planned));
    let case = "empty name for a job";
    cases.refused(farm, case, || submit(farm, &scene, &["-f", "1", "-n", ""]));
    cases.refused(farm, case, || farm.node(2).run(&["run", "-n", " ", "--", "true"]));
    let case = "name for a job that would steer a terminal";
    cases.refused(farm, case, || submit(farm, &scene, &["-f", "1", "-n", "red\u{1b}[31m"]));
    same_but_for_case(farm, cases);
}

fn same_but_for_case(farm: &Farm, cases: &mut Cases) {
    let case = "files whose names differ in case alone";
    let scene = farm.scene("twins", 16, 1);
    let folder = farm.folder().join("bad/twins");
    let files = ["wood.png", "Wood.png"].map(|name| write_file(folder.join(name), name));
    if std::fs::read(&files[0]).is_ok_and(|bytes| bytes == b"Wood.png") {
        // There is one file only where the system doesn't tell cases apart.
        return cases.skipped(case);
    }
    for dry_run in [&[][..], &["--dry-run"]] {
        cases.refused(farm, case, || {
            let call = farm.submission(2, &scene, &["-f", "1", "--assets"]);
            let output = call.arg(&folder).args(dry_run).run();
            for name in ["wood.png", "Wood.png"] {
                assert!(output.stderr.contains(name), "{name} is not told: {output:?}");
            }
            output
        });
    }
}

/// What is set for the studio.
fn settings(farm: &Farm, cases: &mut Cases) {
    for (case, call) in [
        ("removing a profile that isn't there", &["profiles", "rm", "hers"][..]),
        ("profile with a price that is none", &["profiles", "set", "hers", "--price", "-1"]),
        ("limit of an engine that nobody has", &["limit", "abacus", "3"]),
        ("limit that is no number", &["limit", "demo", "many"]),
    ] {
        cases.refused(farm, case, || farm.node(2).run(call));
    }
}
