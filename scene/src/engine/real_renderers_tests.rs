//! The command lines of the shipped definitions, run with the renderers that this machine has.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};

use super::*;

/// Says that a test is left out for want of something; a failure where that must be there.
fn skip(why: &str, variable: &str) {
    let required = std::env::var_os(variable).is_some_and(|value| value == "1");
    assert!(!required, "{why}, and {variable}=1 asks for it");
    println!("SKIPPED: {why}");
}

/// A job's folder with a scene in it.
struct Job {
    folder: tempfile::TempDir,
    engine: &'static str,
    scene: String,
}

impl Job {
    /// `None`, said on the output, when this machine lacks the engine.
    fn new(engine: &'static str, scene_name: &str) -> Option<Job> {
        let definition = &shipped()[engine];
        let program = program(definition);
        let version = Process::new(&program).args(&definition.version_args).output();
        let Ok(version) = version else {
            skip(&format!("there is no {program} here"), "WEFT_REQUIRE_RENDERERS");
            return None;
        };
        let printed = [version.stdout, version.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(definition.version_from(&printed).is_some(), "{printed}");
        let folder = tempfile::tempdir().unwrap();
        // A space and a quote, which have to survive.
        let inputs = folder.path().join("the inputs");
        std::fs::create_dir_all(&inputs).unwrap();
        std::fs::create_dir_all(folder.path().join("the work")).unwrap();
        let scene = inputs.join(scene_name).to_str().unwrap().to_owned();
        Some(Job { folder, engine, scene })
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("the work")
    }

    fn invocation(&self, frames: &[i64]) -> Invocation {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        Invocation {
            scene: self.scene.clone(),
            frames: frames.to_vec(),
            start: 1,
            end: 10,
            work: path("the work"),
            inputs: path("the inputs"),
            threads: 2,
            name: "my shot".into(),
            ..Invocation::default()
        }
    }

    fn run(&self, invocation: &Invocation) -> (Output, Vec<LogEvent>, Command) {
        let definition = &shipped()[self.engine];
        let command = command(definition, invocation).unwrap();
        let output = Process::new(program(definition))
            .args(&command.args)
            .current_dir(self.work())
            .env("HOME", self.folder.path())
            .output()
            .unwrap();
        let mut reader = LogReader::new(definition).frames(invocation.frames.len());
        let mut events = Vec::new();
        for stream in [&output.stdout, &output.stderr] {
            for line in String::from_utf8_lossy(stream).lines() {
                events.extend(reader.push_line(line));
            }
        }
        (output, events, command)
    }

    /// Runs, and asserts that all and only the expected files are there.
    fn render(&self, invocation: &Invocation) -> Vec<LogEvent> {
        let (output, events, command) = self.run(invocation);
        let said = format!("{command:?}\n{output:?}");
        assert_eq!(
            shipped()[self.engine].exit_meaning(output.status.code().unwrap()),
            ExitMeaning::Success,
            "{said}"
        );
        let mut expected: Vec<String> =
            command.expected_outputs.iter().map(|output| output.path.clone()).collect();
        expected.sort();
        let mut found: Vec<String> = std::fs::read_dir(self.work())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, expected, "{said}");
        assert!(events.contains(&LogEvent::Progress(1.0)), "{events:?}\n{said}");
        events
    }

    fn size(&self, file: &str) -> (u32, u32) {
        png::Decoder::new(std::io::BufReader::new(
            std::fs::File::open(self.work().join(file)).unwrap(),
        ))
        .read_info()
        .unwrap()
        .info()
        .size()
    }

    fn clear(&self) {
        for entry in std::fs::read_dir(self.work()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

fn program(definition: &Definition) -> String {
    match &definition.executables[0] {
        Executable::Name(name) => name.clone(),
        other => panic!("{other:?} is no name"),
    }
}

fn arguments(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn povray_renders_what_is_expected() {
    let Some(job) = Job::new("povray", "a scene.pov") else {
        return;
    };
    std::fs::write(Path::new(&job.scene).with_file_name("part.inc"), "sphere{<clock,0,0>,1}\n")
        .unwrap();
    let scene = "#version 3.7;\nglobal_settings{assumed_gamma 1}\ncamera{location <0,0,-5> look_at 0}\n\
        light_source{<5,5,-5> 1}\n#include \"part.inc\"\n\
        #debug concat(\"FRAME \",str(frame_number,0,0),\" CLOCK \",str(clock,0,2),\" ON \",str(clock_on,0,0),\"\\n\")\n";
    std::fs::write(&job.scene, scene).unwrap();
    let small = arguments(&[("width", "64"), ("height", "48"), ("antialias", "0.3")]);

    let run = Invocation { arguments: small.clone(), ..job.invocation(&[3, 4]) };
    let (output, ..) = job.run(&run);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("FRAME 3 CLOCK 0.22") && said.contains("FRAME 4 CLOCK 0.33"), "{said}");
    job.render(&run);
    assert_eq!(job.size("my shot_03.png"), (64, 48));
    for (end, is) in [(1, "FRAME 0 CLOCK 0.00 ON 0"), (2, "FRAME 1 CLOCK 0.00 ON 1")] {
        let alone = Invocation { start: 1, end, arguments: small.clone(), ..job.invocation(&[1]) };
        let said = String::from_utf8_lossy(&job.run(&alone).0.stderr).into_owned();
        assert!(said.contains(is), "{is}: {said}");
    }

    for (frame, start, end, file) in [
        (1, 1, 1, "my shot_1.png"),
        (0, 0, 0, "my shot_0.png"),
        (9, 9, 9, "my shot_09.png"),
        (1000, 1, 1000, "my shot_1000.png"),
        (1, 1, 1000, "my shot_0001.png"),
    ] {
        job.clear();
        job.render(&Invocation {
            start,
            end,
            arguments: small.clone(),
            ..job.invocation(&[frame])
        });
        assert!(job.work().join(file).is_file(), "{file}");
    }

    for (format, extension) in [
        ("EXR", "exr"),
        ("JPEG", "jpg"),
        ("TARGA", "tga"),
        ("BMP", "bmp"),
        ("HDR", "hdr"),
        ("PPM", "ppm"),
    ] {
        job.clear();
        let format = Some(format.to_owned());
        job.render(&Invocation { format, arguments: small.clone(), ..job.invocation(&[1]) });
        assert!(job.work().join(format!("my shot_01.{extension}")).is_file());
    }

    job.clear();
    let tile = Some(Tile { column: 1, row: 1, columns: 3, rows: 2 });
    job.render(&Invocation { tile, arguments: small.clone(), ..job.invocation(&[1]) });
    assert_eq!(job.size("my shot_01.png"), (64, 48));

    std::fs::write(&job.scene, "sphere{").unwrap();
    let (output, events, _) = job.run(&run);
    assert_eq!(output.status.code(), Some(1));
    assert!(events.iter().any(|event| matches!(event, LogEvent::Error(_))), "{events:?}");
}

/// Of a scene that names files without their endings, POV-Ray is given those that were found, and no others.
#[test]
fn povray_renders_with_what_was_found() {
    let Some(job) = Job::new("povray", "shot.pov") else {
        return;
    };
    let source = tempfile::tempdir().unwrap();
    let scene = "#version 3.7;\nglobal_settings{assumed_gamma 1}\n#include \"inc/x\"\n\
        #include \"both\"\ncamera{location <0,0,Both-5> look_at 0}\nlight_source{<5,5,-5> 1}\n\
        sphere{0,X pigment{image_map{png \"inc/t e\"}}}\nsphere{1,X pigment{image_map{ppm\n\"inc/t e\"}}}\n";
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&[255, 0, 0]).unwrap();
    for (name, bytes) in [
        ("shot.pov", scene.as_bytes()),
        ("inc/x.inc", b"#declare X = 1;\n"),
        ("both", b"#error \"this is not the one\"\n"),
        ("both.inc", b"#declare Both = 0;\n"),
        ("inc/t e.PNG", &picture),
        ("inc/t e.ppm", b"P6\n1 1\n255\n\xff\0\0"),
    ] {
        let path = source.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let scene = source.path().join("shot.pov");
    let analysis = crate::text_scene::analyse(&scene, &shipped()["povray"]).unwrap().unwrap();
    assert_eq!(analysis.missing, []);
    for file in analysis.assets.iter().flat_map(|asset| &asset.files).chain([&scene]) {
        let path = Path::new(&job.scene).with_file_name(file.strip_prefix(source.path()).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(file, path).unwrap();
    }
    let small = arguments(&[("width", "16"), ("height", "12")]);
    job.render(&Invocation { arguments: small, ..job.invocation(&[1]) });
}

#[test]
fn blender_renders_what_is_expected() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenes/cube");
    if !shared.is_dir() {
        skip(&format!("there are no scenes at {}", shared.display()), "WEFT_REQUIRE_SCENES");
        return;
    }
    let Some(job) = Job::new("blender", "a cube's.blend") else {
        return;
    };
    std::fs::copy(shared.join("cube.blend"), &job.scene).unwrap();
    std::fs::copy(shared.join("tex.png"), Path::new(&job.scene).with_file_name("tex.png")).unwrap();
    let quick = arguments(&[("samples", "1"), ("width", "100"), ("height", "60")]);

    let run = Invocation {
        scale: Some(50),
        camera: Some("Camera".into()),
        scene_name: Some("Scene".into()),
        view_layer: Some("ViewLayer".into()),
        arguments: quick.clone(),
        ..job.invocation(&[1, 2, 7])
    };
    let events = job.render(&run);
    assert_eq!(job.size("my shot_0007.png"), (50, 30));
    assert!(events.iter().any(|event| matches!(event, LogEvent::Memory(1_000_000..))));
    let saved = events.iter().filter(|event| matches!(event, LogEvent::Saved(_))).count();
    assert_eq!(saved, 3);

    // 100 × 60 in three columns: 33, 33 and 34 pixels wide.
    for (column, width) in [(0, 33), (1, 33), (2, 34)] {
        job.clear();
        let tile = Some(Tile { column, row: 0, columns: 3, rows: 2 });
        job.render(&Invocation { tile, arguments: quick.clone(), ..job.invocation(&[1]) });
        assert_eq!(job.size("my shot_0001.png"), (width, 30));
    }

    // Names that aren't there, one of them made to break out of its string.
    job.clear();
    let nasty = "x' + __import__('os').system('touch broken') + '\n".to_owned();
    for change in [
        |run: &mut Invocation, name| run.camera = Some(name),
        |run: &mut Invocation, name| run.scene_name = Some(name),
        |run: &mut Invocation, name| run.view_layer = Some(name),
    ] {
        let mut run = job.invocation(&[1]);
        change(&mut run, nasty.clone());
        let (output, events, _) = job.run(&run);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told =
            |event: &LogEvent| matches!(event, LogEvent::Error(text) if text.contains("has no "));
        assert!(events.iter().any(told), "{events:?}");
        assert_eq!(std::fs::read_dir(job.work()).unwrap().count(), 0);
    }
}

/// A job over a scene of the shared ones; none where these, or Blender, aren't here.
fn cube() -> Option<Job> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenes/cube/cube.blend");
    if !shared.is_file() {
        skip(&format!("there is no {}", shared.display()), "WEFT_REQUIRE_SCENES");
        return None;
    }
    let job = Job::new("blender", "cube.blend")?;
    std::fs::copy(shared, &job.scene).unwrap();
    Some(job)
}

/// The formats that studios use, with the extensions that the definition names.
#[test]
fn blender_names_files_by_their_format() {
    let Some(job) = cube() else { return };
    for name in ["JPEG", "EXR", "OPEN_EXR_MULTILAYER", "TIFF"] {
        job.clear();
        job.render(&Invocation {
            format: Some(name.to_owned()),
            arguments: arguments(&[("samples", "1"), ("width", "32"), ("height", "32")]),
            ..job.invocation(&[1])
        });
    }
}

/// Seven ways in which Blender ends with 0 and has not made what it was asked for. The files that must be there tell
/// four of them; what would leave such a file all the same is looked after before and while it renders.
#[test]
fn blender_fails_in_seven_ways_and_ends_with_0() {
    // Its texture isn't there: of that Blender says nothing.
    let Some(job) = cube() else { return };
    let wrong = "import bpy; bpy.context.scene.render.resolution_x = 'wide'";
    let ways: [(&str, &[&str], &[&str], bool); 7] = [
        ("a texture that isn't there", &[], &["-f", "1"], true),
        ("a scene that isn't there", &["-S", "Nowhere"], &["-f", "1"], true),
        ("a mistake in Python", &["--python-expr", wrong], &["-f", "1"], true),
        ("a format that isn't there", &["-F", "NOPE"], &["-f", "1"], false),
        ("no number", &[], &["-f", "abc"], false),
        ("a number that is too large", &[], &["-f", "2000000"], false),
        ("a number below zero", &[], &["-f", "-5"], false),
    ];
    let small = "import bpy; r = bpy.context.scene.render; r.resolution_x = r.resolution_y = 8";
    for (what, set, frame, made) in ways {
        job.clear();
        let output = job.work().join("x_####");
        let output = Process::new(program(&shipped()["blender"]))
            .args(["--factory-startup", "-b", &job.scene, "--python-expr", small])
            .arg("-o")
            .arg(&output)
            .args(["-x", "1"])
            .args(set)
            .args(frame)
            .env("HOME", job.folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{what}: {output:?}");
        // What each was to leave.
        let expected = match (set, frame) {
            (["-F", ..], _) => "x_0001.nope".to_owned(),
            (_, [_, frame]) => format!("x_{frame:0>4}.png"),
            _ => unreachable!("each renders something"),
        };
        assert_eq!(job.work().join(&expected).is_file(), made, "{what}: {output:?}");
    }
    // Those that leave one are no success by the shipped definition, or can't be asked for.
    job.clear();
    let asked = |wanted: Invocation| job.run(&wanted).0.status.code();
    let nowhere = Invocation { scene_name: Some("Nowhere".into()), ..job.invocation(&[1]) };
    assert_eq!(asked(nowhere), Some(1));
    let texture = crate::blender::analyse(Path::new(&job.scene)).unwrap().missing;
    assert!(texture.iter().any(|missing| missing.required), "{texture:?}");
    for frame in [-5, 2_000_000] {
        let refused = command(&shipped()["blender"], &job.invocation(&[frame]));
        assert!(matches!(refused, Err(CommandError::FrameOutOfRange { .. })), "{refused:?}");
    }
}

/// Blender makes of a number that it can't have one that it can, and ends with 0. Those that the shipped
/// definition lets through it takes as they are; where a version takes fewer, its own bounds are not the
/// definition's, and the frame fails.
#[test]
fn numbers_that_blender_would_change_are_no_success() {
    let Some(job) = cube() else { return };
    for (key, most, value) in [
        ("width", "65536", "render.resolution_x"),
        ("height", "65536", "render.resolution_y"),
        ("samples", "16777216", "cycles.samples"),
    ] {
        let with = |number: &str| Invocation {
            arguments: arguments(&[(key, number)]),
            ..job.invocation(&[1])
        };
        let more = (most.parse::<u64>().unwrap() + 1).to_string();
        for refused in [more.as_str(), "0", "99999999999"] {
            let refused = command(&shipped()["blender"], &with(refused));
            assert!(matches!(refused, Err(CommandError::BadValue { .. })), "{refused:?}");
        }
        let most_is = with(most);
        let command = command(&shipped()["blender"], &most_is).unwrap();
        let set = command.args.iter().find(|arg| arg.contains("RuntimeError('Blender makes of"));
        let set = set.expect("it is looked after");
        for (script, ends) in [(set.clone(), 0), (set.replace(most, &more), 1)] {
            let say = format!("import bpy; print('IS', bpy.context.scene.{value})");
            let output = Process::new(program(&shipped()["blender"]))
                .args(["--factory-startup", "-b", "--python-exit-code", "1", &job.scene])
                .args(["--python-expr", &script, "--python-expr", &say])
                .env("HOME", job.folder.path())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(ends), "{key}: {output:?}");
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(said.contains(&format!("IS {most}")), ends == 0, "{key}: {said}");
        }
    }
}

/// What every node tries before it says that it can render with EEVEE. Whether this machine can is its own affair:
/// it leaves its picture, or ends as a failure.
#[test]
fn the_trial_of_eevee_leaves_its_picture_or_fails() {
    let Some(job) = Job::new("blender", "none.blend") else { return };
    let definition = &shipped()["blender"];
    let ability = definition.abilities.iter().find(|ability| ability.name == "eevee").unwrap();
    let trial = command(&definition.trial(ability), &job.invocation(&[1])).unwrap();
    let output = Process::new(program(definition))
        .args(&trial.args)
        .current_dir(job.work())
        .env("HOME", job.folder.path())
        .output()
        .unwrap();
    let left = &trial.expected_outputs[0].path;
    let made = job.work().join(left).is_file();
    assert_eq!(output.status.success(), made, "{output:?}");
    if made {
        assert_eq!(job.size(left), (16, 16));
    } else {
        assert!(!output.stderr.is_empty() || !output.stdout.is_empty(), "it says why: {output:?}");
    }
    println!("EEVEE renders here: {made}");
}
