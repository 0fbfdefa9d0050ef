//! What is told where no node runs, and how calls are refused.

mod common;

use std::process::Stdio;

use common::Place;

#[test]
fn the_version_is_what_the_demo_engine_looks_for() {
    let version = Place::new().weft(&["--version"]);
    assert_eq!(version.stdout, format!("weft {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_lists_what_there_is() {
    let place = Place::new();
    insta::assert_snapshot!(place.weft(&["--help"]).stdout, @r"
    A render farm with no server: every machine runs the same program

    Usage: weft [OPTIONS] <COMMAND>

    Commands:
      demo         Show it all here: local nodes form a studio and render the built-in scene
      init         Found a studio on this machine; prints its recovery key, once
      invite       Print a code that lets a machine join the studio
      join         Join this machine to a studio
      recover      Make this member an admin by the studio's recovery key
      up           Run this machine's node, until it is told to end
      status       This node, its studio and the leader, at a glance
      doctor       What is wrong on this machine, and how to mend it
      submit       Submit a scene to be rendered
      run          Run a command of one's own for frames, on nodes that let members do that
      jobs         List jobs
      job          Show one job
      watch        Follow a job until it is over
      logs         Show what the renderer said about a frame
      pause        Pause a job: frames that run finish, no new ones start
      resume       Let a paused job go on
      approve      Let a job go on that waits for its test frames' approval
      cancel       End a job; what is done is kept
      rm           Remove a job and its results from the studio
      keep         Say how long a job is kept once it is over
      retry        Render again what failed, or the frames named
      priority     Change a job's priority
      extend       Add frames to a job
      outputs      List a job's finished files, or fetch them
      nodes        List the studio's nodes
      node         Show one node, or set something of it
      drain        Give a node no new tasks; those that run finish
      undrain      Give a drained node tasks again
      unbench      Forgive a node the failures for which it gets no tasks
      profiles     List the studio's profiles of hardware and their prices, or change them
      limits       List how many tasks of an engine may run at once
      limit        Let only so many tasks of an engine run at once in the studio
      retention    How long the studio keeps jobs that are over
      hardware     What this node's machine is
      engines      Which renderers this node has, and why not the others
      analyse      What a scene holds, needs and lacks [alias: analyze]
      hash         Print files' MD5, xxHash64 and BLAKE3
      verify       Compare a file with the hashes it should have
      add          Put files or folders into the studio's store
      get          Fetch a file from the store
      has          Ask which hashes the store has
      store        What the store holds, and why
      pin          Keep a blob on this node until it is unpinned
      unpin        Keep a blob no longer for your sake
      gc           Delete what nobody refers to
      scrub        Read every stored byte again, and heal from other nodes what the disk has spoilt
      members      List the studio's members
      revoke       Take a member's rights away, for good
      completions  Print a shell's completions

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Everywhere:
          --json              Print JSON for scripts: one document, or one a line for commands that go
                              on
          --peer <ADDR|NAME>  Ask this node, and not the one on this machine

    A job is named by its id, any unique beginning of it, its name, or `last`.
    Exit status: 0 done; 1 it failed; 2 the call was wrong; 3 no node could be reached; 4 refused; 5 the
    studio can't do it; 130 detached by Ctrl-C, while the job goes on.
    WEFT_HOME names the node's folder, by which its daemon is found; NO_COLOR turns colours off.
    ");
    insta::assert_snapshot!(place.weft(&["submit", "--help"]).stdout, @r"
    Submit a scene to be rendered

    Usage: weft submit [OPTIONS] <SCENE>

    Arguments:
      <SCENE>  The scene file

    Options:
      -f, --frames <SPEC>  Which frames, like 1-100, 1-100x5 or 1,10,20-30; the scene's own range
                           otherwise
      -e, --engine <NAME>  The renderer, as `weft engines` names it; by the scene's ending otherwise
      -o, --output <DIR>   Bring the frames into this folder as they get done
      -n, --name <TEXT>    The job's name; the scene's or the program's otherwise
      -w, --watch          Follow the job until it is over; its end decides the exit status
          --dry-run        Only say what would be done
      -h, --help           Print help

    Test frames:
          --test-frames <SPEC>  Render these first, and nothing else before their outcome is known
          --stop-after-test     If a test frame fails, the job fails [alias: --test-must-pass]
          --approve-after-test  The rest waits until somebody approves

    What to render:
          --camera <NAME>      The camera
          --scene <NAME>       Which of the file's scenes
          --view-layer <NAME>  Which view layer
          --format <NAME>      The file format, as the renderer names it
          --scale <PERCENT>    The picture's size in percent
          --arg <K=V>          An argument of the renderer's
          --allow-scripts      Scripts inside the scene may run

    Files:
          --assets <PATH>     A further file or folder that is needed
          --project <DIR>     The folder of the project, from which the scene's relative paths count
          --rehash            Read files again that look unchanged since they were added last
          --deep              Ask Maya itself what its scene needs, where it is installed; `.mb` scenes
                              are read so anyway
          --expect-md5 <HEX>  Refuse the scene if its MD5 is another
          --ignore-missing    Render without the files that are missing

    Where to render:
          --hardware <PROFILE>  The profile that a machine must meet, as `weft profiles` lists them
          --ram <GIB>           Memory that a machine must have, in GiB
          --cores <N>           Cores that it must have
          --gpus <N>            Graphics cards that it must have
          --gpu-model <TEXT>    A part of those cards' model
          --share[=<BOOL>]      Each task takes just that of its node; as many run as fit
          --tag <T>             A tag that the node must carry

    How to render:
          --priority <N>             0 to 100, low (25), normal (50) or high (75); more goes first
          --retries <N>              How many times more a failed frame is tried
          --timeout <DURATION>       How long an attempt may take: 90s, 10m, 1h30m, 2d
          --keep <DURATION|forever>  How long to keep the job once it is over, like 30d, or `forever`;
                                     as `weft retention` says otherwise
          --frames-per-task <N>      How many frames one process of the renderer takes [alias:
                                     --chunk-size]
          --tiles <CxR>              Split every frame into columns and rows, like 2x2
          --fresh                    Render everything, also what other jobs have rendered already
          --check <PERCENT>          Render so many percent of the frames a second time on another node,
                                     and compare

    Everywhere:
          --json              Print JSON for scripts: one document, or one a line for commands that go
                              on
          --peer <ADDR|NAME>  Ask this node, and not the one on this machine
    ");
    let nothing = place.weft(&[]);
    assert_eq!(nothing.status, 2);
    assert!(nothing.stderr.contains("Usage: weft"), "{nothing:?}");
    place.weft(&["frobnicate"]).assert_fails(2, &["frobnicate"]);
}

#[test]
fn without_a_studio_commands_say_how_to_get_into_one() {
    let place = Place::new();
    for call in [&["status"][..], &["nodes"], &["jobs"], &["up"], &["recover", "x"]] {
        place.weft(call).assert_fails(4, &["weft init", "weft join"]);
    }
}

#[test]
fn without_a_node_commands_say_how_to_start_one() {
    let place = Place::new();
    let founded =
        place.weft(&["init", "--studio", "Moving Pictures", "--name", "a", "--json"]).json();
    assert_eq!(founded["studio"], "Moving Pictures");
    assert!(founded["recovery_key"].as_str().is_some_and(|key| key.len() > 20));
    place.write("s.weft", "x");
    // The doctor looks at the machine itself, and says all that is wrong: here that one thing.
    let found = place.weft(&["doctor", "--json"]);
    assert_eq!(found.status, 1, "{found:?}");
    let found: serde_json::Value = serde_json::from_str(&found.stdout).expect("one document");
    let findings = found["findings"].as_array().expect("it is a list");
    let of = |check: &str| findings.iter().find(|finding| finding["check"] == check);
    let daemon = of("daemon").expect("it looks for the daemon");
    assert_eq!((&daemon["level"], &found["well"]), (&"problem".into(), &false.into()));
    assert!(daemon["mend"].as_str().is_some_and(|mend| mend.contains("weft up")), "{daemon}");
    let well = |check: &str| of(check).is_some_and(|finding| finding["level"] == "ok");
    assert!(well("studio") && well("certificate") && well("config") && well("store"), "{found:#}");
    for call in
        [&["status"][..], &["jobs"], &["watch", "last"], &["add", "s.weft"], &["submit", "s.weft"]]
    {
        place.weft(call).assert_fails(3, &["no node is running", "weft up"]);
    }
    place
        .weft(&["init", "--studio", "Other"])
        .assert_fails(2, &["Moving Pictures", "nothing was changed"]);
    place.weft(&["join", "weft1abc"]).assert_fails(2, &["nothing was changed"]);
    place.weft(&["recover", "wrong"]).assert_fails(4, &["error: "]);
    // What `init` printed works, also where it comes by the standard input.
    let key = founded["recovery_key"].as_str().unwrap_or_default();
    place.write("key", key);
    let mut recover = place.command(&["recover"]);
    recover.stdin(std::fs::File::open(place.path().join("key")).expect("the key is there"));
    assert!(recover.output().expect("weft runs").status.success());
}

#[test]
fn a_garbled_invite_is_refused() {
    let place = Place::new();
    place.weft(&["join", "weft1abc"]).assert_fails(2, &["error: "]);
    assert!(!place.path().join("home").exists(), "nothing was made");
}

#[test]
fn submissions_are_checked_before_a_node_is_asked() {
    let place = Place::new();
    place.write("s.weft", "x");
    place.weft(&["submit", "gone.weft"]).assert_fails(2, &["'gone.weft'", "nothing was submitted"]);
    place.weft(&["submit", "."]).assert_fails(2, &["not a file", "nothing was submitted"]);
    for (options, why) in [
        (&["-f", ""][..], "names no frame"),
        (&["-f", "1-"], "no frame or range"),
        (&["-f", "1-99999999"], "outside"),
        (&["-f", "1-5000000"], "more than 1000000"),
        (&["-f", "1-10", "--test-frames", "20"], "test frame 20"),
        (&["--stop-after-test"], "--test-frames"),
        (&["--ram", "lots"], "GiB"),
        (&["--timeout", "soon"], "90s, 10m"),
    ] {
        let call: Vec<&str> = ["submit", "s.weft"].iter().chain(options).copied().collect();
        place.weft(&call).assert_fails(2, &[why]);
    }
    let absurd = "1,".repeat(60_000) + "1";
    place.weft(&["submit", "s.weft", "-f", &absurd]).assert_fails(2, &["bytes long"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let mut child = place
        .command(&["demo", "--scene"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("weft runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("weft ends");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn completions_are_scripts_of_their_shell() {
    let place = Place::new();
    for (shell, word) in
        [("bash", "complete"), ("zsh", "#compdef weft"), ("fish", "complete -c weft")]
    {
        let script = place.weft(&["completions", shell]).stdout;
        assert!(script.contains(word), "{shell}");
        assert!(script.contains("analyse"), "{shell}");
    }
    place.weft(&["completions", "tcsh"]).assert_fails(2, &["tcsh"]);
}

#[test]
fn answers_have_no_colours_where_nobody_sees_them() {
    let place = Place::new();
    let refused = place.weft(&["status"]);
    assert!(
        !refused.stderr.contains('\u{1b}') && !refused.stdout.contains('\u{1b}'),
        "{refused:?}"
    );
}
