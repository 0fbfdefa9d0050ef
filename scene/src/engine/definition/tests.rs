use super::*;

#[test]
fn shipped_engines_are_there_and_whole() {
    let engines = shipped();
    assert_eq!(
        engines.keys().collect::<Vec<_>>(),
        ["blender", "command", "compare", "demo", "join", "noop", "povray"]
    );
    assert_eq!(engines["join"].builtin, Some(Builtin::Join));
    assert_eq!(engines["noop"].builtin, Some(Builtin::Noop));
    assert_eq!(engines["demo"].executables, [Executable::Weft]);
    for (engine, printed, version) in [
        ("blender", "Blender 3.4.1\n\tbuild date: 2022-12-20\n", Some("3.4.1")),
        ("blender", "Blender 4.2.1 LTS", Some("4.2.1")),
        ("blender", "sh: blender: not found", None),
        (
            "povray",
            "povray: cannot open the user configuration file\nPOV-Ray 3.7.0.10.unofficial\n",
            Some("3.7.0.10"),
        ),
        ("demo", "weft 0.1.0\n", Some("0.1.0")),
        ("noop", "", Some("0")),
    ] {
        assert_eq!(engines[engine].version_from(printed).as_deref(), version, "{printed}");
    }
}

#[test]
fn few_keys_are_enough() {
    let text = r#"
        name = "a node's own setting"
        [engine.fail]
        executables = ["sh"]
        args = ["-c", "echo broken >&2; exit 3"]
    "#;
    let engines = parse(text, "weft.toml").unwrap();
    let fail = &engines["fail"];
    assert_eq!(engines.len(), 1);
    assert_eq!(fail.title, "fail");
    assert_eq!(fail.version_from(""), Some("0".into()));
    assert!(fail.takes("anything.at.all") && fail.takes("bare"));
    assert!(fail.outputs.is_empty());
    assert_eq!(fail.exit_meaning(0), ExitMeaning::Success);
    assert_eq!(fail.exit_meaning(3), ExitMeaning::Failure);
    assert_eq!(fail.exit_meaning(137), ExitMeaning::OutOfMemory);
    assert_eq!(parse("", "weft.toml"), Ok(BTreeMap::new()));
}

#[test]
fn tables_build_on_others() {
    let text = r#"
        [engine.blender]
        executables = ["/opt/blender-lts/blender"]
        environment = { OCIO = "{inputs}/config.ocio" }

        [engine.blender-net]
        base = "blender"
        network = true
        silence_seconds = 600
        [engine.blender-net.formats]
        PNG = { extension = "PNG", value = "PNG" }

        [engine.povray]
        executables = ["true"]
        args = ["{frame}"]
    "#;
    let engines = parse(text, "weft.toml").unwrap();
    let stock = &shipped()["blender"];
    let own = &engines["blender"];
    assert_eq!(own.executables, [Executable::Path("/opt/blender-lts/blender".into())]);
    assert_eq!((&own.args, &own.log, own.home), (&stock.args, &stock.log, true));
    // On the one defined above, not on the shipped one.
    let net = &engines["blender-net"];
    assert_eq!((&net.executables, net.network), (&own.executables, true));
    assert_eq!((stock.silence_seconds, own.silence_seconds, net.silence_seconds), (0, 0, 600));
    assert_eq!(net.formats["PNG"].extension, "PNG");
    assert_eq!(net.formats["TIFF"].extension, "tif");
    // A table with arguments of its own stands for itself.
    assert!(engines["povray"].default_arguments.is_empty());
}

#[test]
fn runs_are_cut_as_the_engine_can() {
    let engines = shipped();
    let frames = [1, 2, 3, 5, 4, 10];
    assert_eq!(engines["demo"].runs(&frames).len(), 6);
    assert_eq!(engines["blender"].runs(&frames), [frames.to_vec()]);
    assert_eq!(engines["povray"].runs(&frames), [vec![1, 2, 3], vec![5], vec![4], vec![10]]);
    assert!(engines["blender"].runs(&[]).is_empty());
}

#[test]
fn scene_files_are_recognised_by_their_ending() {
    let blender = &shipped()["blender"];
    for (name, taken) in [
        ("shot.blend", true),
        ("SHOT.BLEND", true),
        ("shot.blend1", false),
        (".blend", false),
        ("blend", false),
        ("shotblend", false),
    ] {
        assert_eq!(blender.takes(name), taken, "{name}");
    }
}

/// Each row: what is wrong, on which line, and a word of the message.
#[test]
fn errors_name_the_line() {
    let start = "[engine.x]\nexecutables = [\"x\"]\n";
    let named = "[[engine.x.files.named]]\npattern = '(?<path>a)'\n";
    for (text, line, word) in [
        ("[engine.x]\nexecutables = [\n", 2, "]"),
        ("\n[engine.x]\nexecutible = []\n", 3, "executible"),
        ("[engine.x]\ntitle = 3\n", 2, "string"),
        ("[other]\n\n[engine.x]\ntitle = \"t\"\n", 3, "executables"),
        ("[engine.x]\nexecutables = [\n  \"x\",\n  \"./y\",\n]\n", 4, "./y"),
        ("[engine.X]\nexecutables = [\"x\"]\n", 1, "lower-case"),
        (&format!("{start}args = [\n\"{{scene}}\",\n\"{{scnee}}\"]\n"), 5, "scnee"),
        (&format!("{start}args = ['{{arg.x y}}']\nbase = 'nope'\n"), 4, "nope"),
        (&format!("{start}builtin = \"magic\"\n"), 3, "magic"),
        (&format!("{start}outputs = [\"../{{frame}}\"]\n"), 3, "below"),
        (&format!("{start}outputs = [\"/{{frame}}\"]\n"), 3, "below"),
        (&format!("{start}outputs = [\"{{output}}\"]\n"), 1, "{output}"),
        (&format!("{start}frames_per_run = \"many\"\n"), 3, "many"),
        (&format!("{start}version_pattern = \"a\"\n"), 3, "group"),
        (&format!("{start}version_pattern = \"(a\"\n"), 3, "regular"),
        (&format!("{start}default_format = \"EXR\"\n"), 3, "EXR"),
        (&format!("{start}formats = {{ A = \"a\", B = \"b\" }}\n"), 1, "default_format"),
        (&format!("{start}first_frame = 5\nlast_frame = 4\n"), 1, "last_frame"),
        (&format!("{start}[engine.x.log]\nprogress = ['a', 'b']\n"), 4, "percent"),
        (&format!("{start}[engine.x.log]\nprogress = ['(?<done>a)']\n"), 4, "total"),
        (&format!("{start}[engine.x.log]\nsaved = ['(.*)']\n"), 4, "path"),
        (&format!("{start}[[engine.x.options]]\nwhen = \"tile\"\nargs = []\n"), 4, "{options}"),
        (
            &format!(
                "{start}args = ['{{options}}']\n[[engine.x.options]]\nwhen = 'moon'\nargs = []\n"
            ),
            5,
            "moon",
        ),
        (&format!("{start}args = ['{{options:s}}']\n"), 1, "slot"),
        (&format!("{start}{named}endings = [\n'.inc', 'png']\n"), 6, "with its dot"),
        (&format!("{start}{named}endings = ['.']\n"), 5, "with its dot"),
        (&format!("{start}{named}endings = ['.a/b']\n"), 5, "with its dot"),
        (&format!("{start}{named}endings = '.inc'\n"), 5, "sequence"),
        (&format!("{start}{named}ending = ['.inc']\n"), 5, "ending"),
        (&format!("{start}environment = {{ \"A=B\" = \"\" }}\n"), 3, "A=B"),
        (&format!("{start}devices = [\n\"/dev/dri\",\n\"dev/x*\"]\n"), 5, "dev/x*"),
        #[cfg(not(windows))]
        (&format!("{start}success_exit_codes = [0,\n300]\n"), 4, "300"),
        #[cfg(not(windows))]
        (&format!("{start}memory_exit_codes = [-1]\n"), 3, "-1"),
    ] {
        let error = parse(text, "weft.toml").unwrap_err();
        let found = match &error {
            DefinitionError::Syntax { line, .. } | DefinitionError::Invalid { line, .. } => *line,
            DefinitionError::TooLarge(_) => 0,
        };
        let message = error.to_string();
        assert_eq!(found, line, "{message}\n{text}");
        assert!(message.contains(word), "{message}");
        assert!(message.starts_with("weft.toml, line "), "{message}");
    }
}

#[test]
fn circles_and_floods_are_refused() {
    let circle = "[engine.a]\nbase = 'b'\n[engine.b]\nbase = 'a'\n";
    let error = parse(circle, "t").unwrap_err().to_string();
    assert!(error.contains("build on each other"), "{error}");
    let flood = " ".repeat(MAX_TEXT_BYTES + 1);
    assert_eq!(parse(&flood, "t"), Err(DefinitionError::TooLarge("t".into())));
    let bomb = "[engine.x]\nexecutables=['x']\n[engine.x.log]\nerror=['(a{1000}){1000}']\n";
    assert!(parse(bomb, "t").is_err());
}

#[test]
fn commands_of_ones_own_take_the_whole_command_line() {
    let command = &shipped()["command"];
    assert!(command.runs_commands() && command.collects);
    assert!(shipped().values().filter(|engine| engine.runs_commands()).count() == 1);
    for wrong in [
        "executables = ['{command}']\nargs = ['a']",
        "executables = ['sh']\nargs = ['{command}']",
        "executables = ['{command}']\nargs = ['-c', '{command}']",
        "executables = ['{command}', 'sh']\nargs = ['{command}']",
    ] {
        let error = parse(&format!("[engine.x]\n{wrong}\n"), "t").unwrap_err().to_string();
        assert!(error.contains("{command} must be all"), "{wrong}: {error}");
    }
}

#[test]
fn an_engine_may_claim_shares_where_the_job_says_nothing() {
    let with = |line: &str| parse(&format!("[engine.x]\nexecutables = ['x']\n{line}\n"), "t");
    let shares = |line| with(line).unwrap()["x"].shares;
    assert_eq!(
        [shares("claim = 'share'"), shares("claim = 'node'"), shares("")],
        [true, false, false]
    );
    assert!(with("claim = 'half'").unwrap_err().to_string().contains("half"));
    let based = "[engine.y]\nbase = 'x'\n[engine.x]\nexecutables = ['x']\nclaim = 'share'\n";
    assert!(parse(based, "t").unwrap()["y"].shares);
    assert!(shipped().values().all(|engine| !engine.shares));
}

#[test]
fn what_lies_in_the_work_folder_is_collected_or_named() {
    let both = "[engine.x]\nexecutables = ['x']\nargs = ['{output}']\ncollect = true\n";
    assert!(parse(both, "t").unwrap_err().to_string().contains("collect"));
    let runs = "[engine.x]\nexecutables = ['x']\nframes_per_run = 'list'\ncollect = true\n";
    assert!(parse(runs, "t").is_err());
}

#[test]
fn a_wrapper_is_a_program_and_its_arguments() {
    let with = |line: &str| parse(&format!("[engine.x]\nexecutables = ['x']\n{line}\n"), "t");
    let engine = with("wrapper = ['xvfb-run', '-a', '--server-args=-screen 0 64x64x24']").unwrap();
    assert_eq!(engine["x"].wrapper, ["xvfb-run", "-a", "--server-args=-screen 0 64x64x24"]);
    assert!(with("").unwrap()["x"].wrapper.is_empty());
    for wrong in ["./run", "", "{weft}", "/opt/*/run"] {
        let error = with(&format!("wrapper = ['{wrong}']")).unwrap_err().to_string();
        assert!(
            error.contains("line 3") && error.contains("neither a program"),
            "{wrong}: {error}"
        );
    }
    let inside = parse("[engine.x]\nbuiltin = 'noop'\nwrapper = ['env']\n", "t").unwrap_err();
    assert!(inside.to_string().contains("has no program"), "{inside}");
}

#[test]
fn what_a_run_reaches_beside_its_own_is_named_by_whole_paths() {
    let with = |line: &str| parse(&format!("[engine.x]\nexecutables = ['x']\n{line}\n"), "t");
    let engine =
        with("readable = ['/studio/lib']\nwritable = ['/scratch']\npass_environment = ['FOO_*']");
    let engine = &engine.unwrap()["x"];
    assert_eq!(
        (&engine.readable[..], &engine.writable[..]),
        (&["/studio/lib".to_owned()][..], &["/scratch".to_owned()][..])
    );
    assert_eq!(engine.pass_environment, ["FOO_*"]);
    for (line, why) in [
        ("readable = ['lib']", "no absolute path"),
        ("writable = ['{work}']", "no absolute path"),
        ("pass_environment = ['A=B']", "can't name a variable"),
    ] {
        let error = with(line).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains(why), "{line}: {error}");
    }
}
