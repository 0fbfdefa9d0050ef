use super::*;
use crate::engine::{parse, shipped};

fn invocation(frames: &[i64]) -> Invocation {
    Invocation {
        weft: "/usr/bin/weft".into(),
        scene: "/job/inputs/sub dir/shot.x".into(),
        frames: frames.to_vec(),
        start: 1,
        end: 120,
        work: "/job/work".into(),
        inputs: "/job/inputs".into(),
        threads: 4,
        name: "shot".into(),
        ..Invocation::default()
    }
}

fn paths(command: &Command) -> Vec<&str> {
    command.expected_outputs.iter().map(|output| output.path.as_str()).collect()
}

fn own(text: &str) -> Definition {
    let text = format!("[engine.x]\nexecutables = ['x']\n{text}");
    parse(&text, "test").unwrap().remove("x").unwrap()
}

#[test]
fn demo() {
    let command = command(&shipped()["demo"], &invocation(&[7])).unwrap();
    assert_eq!(command.program_candidates, [Executable::Weft]);
    assert_eq!(
        command.args,
        [
            "demo-render",
            "--scene",
            "/job/inputs/sub dir/shot.x",
            "--frame",
            "7",
            "--output",
            "/job/work/shot_0007.png",
            "--threads",
            "4",
        ]
    );
    assert_eq!(paths(&command), ["shot_0007.png"]);
}

#[test]
fn blender() {
    let blender = &shipped()["blender"];
    let plain = command(blender, &invocation(&[1, 2, 3, 9])).unwrap();
    // Two scripts are run for every scene: for passes, and for fluids.
    let mut words = plain.args.clone();
    let scripts: Vec<String> = words.drain(12..16).collect();
    assert_eq!((scripts[0].as_str(), scripts[2].as_str()), ("--python-expr", "--python-expr"));
    assert!(scripts[1].contains("['/job/work', 'passes']"), "{}", scripts[1]);
    assert!(scripts[3].contains("'1..3,9'"), "{}", scripts[3]);
    assert_eq!(
        words,
        [
            "--factory-startup",
            "--disable-autoexec",
            "-b",
            "--python-exit-code",
            "1",
            "/job/inputs/sub dir/shot.x",
            "-o",
            "/job/work/shot_####",
            "-F",
            "PNG",
            "-x",
            "1",
            "-t",
            "4",
            "-f",
            "1..3,9",
        ]
    );
    assert_eq!(paths(&plain), ["shot_0001.png", "shot_0002.png", "shot_0003.png", "shot_0009.png"]);

    let full = Invocation {
        camera: Some("it's \\ a\ncamera".into()),
        scale: Some(50),
        format: Some("exr".into()),
        allow_scripts: true,
        arguments: [("device".to_owned(), "OPTIX".to_owned())].into(),
        ..invocation(&[12345])
    };
    let full = command(blender, &full).unwrap();
    let at = |text: &str| full.args.iter().position(|arg| arg == text).unwrap();
    assert!(at("--enable-autoexec") < at("-b"));
    assert!(!full.args.contains(&"--disable-autoexec".to_owned()));
    assert_eq!(full.args[at("-F") + 1], "OPEN_EXR");
    assert_eq!(full.args[at("--cycles-device") + 1], "OPTIX");
    assert!(at("--python-expr") < at("-f") && at("-f") < at("--"));
    let named = |arg: &&String| arg.contains(r"objects.get('it\'s \\ a\U0000000acamera')");
    assert_eq!(full.args.iter().filter(named).count(), 1, "{:?}", full.args);
    assert_eq!(paths(&full), ["shot_12345.exr"]);

    let with_format = |format: &str| {
        let run = Invocation { format: Some(format.into()), ..invocation(&[1]) };
        command(blender, &run).map(|run| run.expected_outputs[0].path.clone())
    };
    assert_eq!(with_format(".TIF"), Ok("shot_0001.tif".into()));
    assert_eq!(with_format("jpeg"), Ok("shot_0001.jpg".into()));
}

#[test]
fn povray() {
    let povray = &shipped()["povray"];
    let tile = Tile { column: 1, row: 0, columns: 2, rows: 2 };
    let run = Invocation { tile: Some(tile), ..invocation(&[7, 8]) };
    let run = command(povray, &run).unwrap();
    assert_eq!(
        run.args,
        [
            "+I\"/job/inputs/sub dir/shot.x\"",
            "+L\"/job/inputs/sub dir\"",
            "+L\"/job/inputs\"",
            "+O\"/job/work/shot_\"",
            "+KFI1",
            "+KFF120",
            "+SF7",
            "+EF8",
            "+FN",
            "+W1280",
            "+H720",
            "+WT4",
            "+SC641",
            "+EC1280",
            "+SR1",
            "+ER360",
            "-D",
            "-P",
        ]
    );
    assert_eq!(paths(&run), ["shot_007.png", "shot_008.png"]);

    // A job of one frame: the range is made longer, and the number gets the digits of its end.
    let single = Invocation { start: 9, end: 9, ..invocation(&[9]) };
    let single = command(povray, &single).unwrap();
    assert!(single.args.contains(&"+KFF10".to_owned()));
    assert_eq!(paths(&single), ["shot_09.png"]);

    // One frame that POV-Ray itself takes for a still picture is rendered as one.
    for (frame, output) in [(0, "shot_0.png"), (1, "shot_1.png")] {
        let still = Invocation { start: frame, end: frame, ..invocation(&[frame]) };
        let still = command(povray, &still).unwrap();
        assert_eq!(still.args[3..5], [format!("+O\"/job/work/{output}\""), "+FN".to_owned()]);
        assert_eq!(paths(&still), [output]);
    }

    let quote = Invocation { scene: "/job/a\" +Ib".into(), ..invocation(&[1]) };
    assert!(matches!(command(povray, &quote), Err(CommandError::BadValue { .. })));
    let width = [("width".to_owned(), "10 +Ob".to_owned())].into();
    let width = Invocation { arguments: width, ..invocation(&[1]) };
    let error = command(povray, &width).unwrap_err().to_string();
    assert_eq!(error, "the value of arg.width must be a whole number from 1");
}

#[test]
fn noop_and_engines_of_ones_own() {
    let noop = &shipped()["noop"];
    let run = command(noop, &invocation(&[1, 2])).unwrap();
    assert_eq!(run.builtin, Some(Builtin::Noop));
    assert_eq!(run.arguments["pause"], "0");
    assert!(run.expected_outputs.is_empty());

    let fail = own("args = ['-c', 'echo broken >&2; exit 3']");
    let run = command(&fail, &invocation(&[1])).unwrap();
    assert_eq!(run.args, ["-c", "echo broken >&2; exit 3"]);
    assert!(run.expected_outputs.is_empty());

    let full = own("args = ['{output}', '{output_pattern}', '{frames}', '{weft}', '{start}-{end}']
         environment = { OUT = '{work}/{name}', LANG = 'C' }
         frames_per_run = 'list'");
    let run = command(&full, &invocation(&[1, 3, 5])).unwrap();
    assert_eq!(
        run.args,
        ["/job/work/shot_0001.png", "/job/work/shot_####.png", "1-5x2", "/usr/bin/weft", "1-120"]
    );
    assert_eq!(run.env["OUT"], "/job/work/shot");
    assert_eq!(paths(&run), ["shot_0001.png", "shot_0003.png", "shot_0005.png"]);
    assert_eq!(run.expected_outputs[2].frame, 5);
}

#[test]
fn outputs_are_named_as_elsewhere() {
    let own = own("args = ['{output_pattern}']
         outputs = ['img.####.txt', 'beside_%03d.txt']
         frames_per_run = 'list'");
    let run = command(&own, &invocation(&[7, 12])).unwrap();
    assert_eq!(run.args, ["/job/work/img.####.txt"]);
    assert_eq!(paths(&run), ["img.0007.txt", "beside_007.txt", "img.0012.txt", "beside_012.txt"]);
}

#[test]
fn what_cannot_be_done_is_refused() {
    use CommandError as E;
    let engines = shipped();
    let ask = |engine: &str, change: fn(&mut Invocation)| {
        let mut run = invocation(&[1]);
        change(&mut run);
        command(&engines[engine], &run).unwrap_err()
    };
    assert_eq!(ask("demo", |run| run.frames.clear()), E::NoFrames);
    assert!(matches!(ask("demo", |run| run.frames.push(2)), E::FramesTogether { .. }));
    assert!(matches!(ask("povray", |run| run.frames.push(3)), E::FramesTogether { .. }));
    assert!(matches!(
        ask("blender", |run| run.frames = vec![5, -5]),
        E::FrameOutOfRange { frame: -5, .. }
    ));
    assert!(matches!(
        ask("blender", |run| run.frames = vec![2_000_000]),
        E::FrameOutOfRange { .. }
    ));
    assert!(matches!(ask("povray", |run| run.camera = Some("c".into())), E::NotSupported { .. }));
    assert!(matches!(ask("demo", |run| run.scale = Some(50)), E::NotSupported { .. }));
    assert!(matches!(ask("noop", |run| run.format = Some("PNG".into())), E::NotSupported { .. }));
    assert!(matches!(
        ask("blender", |run| run.format = Some("GIF".into())),
        E::UnknownFormat { .. }
    ));
    let tile = |run: &mut Invocation| {
        run.tile = Some(Tile { column: 2, row: 0, columns: 2, rows: 1 });
    };
    assert!(matches!(ask("demo", tile), E::NotSupported { .. }));
    assert!(matches!(ask("povray", tile), E::BadValue { .. }));
    let stray = ask("povray", |run| drop(run.arguments.insert("widht".into(), "1".into())));
    assert_eq!(
        stray.to_string(),
        "povray knows no argument widht; it knows antialias, antialias_recursive, height, quality, width"
    );
    let missing = command(&own("args = ['{arg.key}']"), &invocation(&[1])).unwrap_err();
    assert_eq!(missing.to_string(), "x needs a value for arg.key: give it with --arg key=…");
    let zero = Invocation { scene: "/a\0b".into(), ..invocation(&[1]) };
    assert!(matches!(command(&engines["demo"], &zero), Err(E::BadValue { .. })));
}

/// A value stays one argument whatever it holds, and is never read as a template itself.
#[test]
fn values_are_whole_arguments() {
    let engine = own("args = ['{camera}', '--x={arg.v}']");
    let nasty = "a b'; $(touch x) `y` {frame} \" \\ \n-f";
    let run = Invocation {
        camera: Some(nasty.into()),
        arguments: [("v".to_owned(), nasty.to_owned())].into(),
        ..invocation(&[1])
    };
    let run = command(&engine, &run).unwrap();
    assert_eq!(run.args, [nasty.to_owned(), format!("--x={nasty}")]);
}

#[test]
fn names_of_files_are_safe() {
    for (name, expected) in [
        ("shot 010", "shot 010"),
        ("../../etc/passwd", "_._.._etc_passwd"),
        ("-o", "_o"),
        ("a#b%04d", "a_b_04d"),
        ("trailing. .", "trailing"),
        ("日本", "日本"),
        ("a\nb\u{0}", "a_b_"),
        ("", "render"),
        (" ", "render"),
    ] {
        assert_eq!(file_safe_name(name), expected);
    }
    assert_eq!(file_safe_name(&"é".repeat(300)).len(), MAX_NAME_BYTES);
}

#[test]
fn commands_of_ones_own_are_filled_in_word_by_word() {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let engine = &super::super::shipped()["command"];
    let run = |command: &[&str]| {
        super::command(engine, &Invocation { command: words(command), ..invocation(&[7]) })
    };
    let made = run(&["ffmpeg", "-i", "{inputs}/a.{frame:04}.exr", "{{frame}} b c", "${X} {1..3}"])
        .unwrap();
    assert_eq!(made.args, ["ffmpeg", "-i", "/job/inputs/a.0007.exr", "{frame} b c", "${X} {1..3}"]);
    assert!(made.expected_outputs.is_empty() && made.builtin.is_none());
    for (command, why) in [
        (&[][..], "it is empty"),
        (&[""], "no name"),
        (&["a", "{fraem}"], "there is no placeholder {fraem}"),
        (&["a", "{scene}"], "has no {scene}"),
        (&["a", "{output}"], "has no {output}"),
        (&["a\0b"], "zero byte"),
    ] {
        let error = run(command).unwrap_err().to_string();
        assert!(error.contains(why), "{command:?}: {error}");
    }
}
