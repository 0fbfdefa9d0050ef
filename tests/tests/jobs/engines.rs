//! Engines end with whoever started them, and with all their children, however those hide.

use std::path::PathBuf;
use std::time::Duration;

use weft_tests::{Farm, in_status, processes, wait_for, write_file};

use super::{END, go, wait_for_starts};

/// How long engines may take to be gone: they get three seconds to end by themselves, and the machine may have much
/// else to do.
const GONE: Duration = Duration::from_secs(60);

/// A scene with children of four kinds, none of which ends by itself or when it is asked to: a plain
/// one, one in a session of its own, one whose parent has ended as well, and one elsewhere on the
/// disk. `$1` is what tells them from all other processes.
fn stubborn(farm: &Farm, mark: &str, then: &str) -> PathBuf {
    let text = format!(
        "trap '' TERM HUP INT\n\
         sleep {mark} &\n\
         setsid sleep {mark} &\n\
         ( setsid sh -c 'trap \"\" TERM; sleep {mark} & sleep 0.1' & )\n\
         ( cd / && setsid sleep {mark} </dev/null >/dev/null 2>&1 & )\n\
         echo ready\n{then}\n"
    );
    farm.script(&format!("stubborn{mark}"), &text)
}

/// Seconds that no other test sleeps.
fn mark(case: u32) -> String {
    format!("{}.{case}", 40_000 + std::process::id() % 10_000)
}

/// Submits a stubborn scene, and waits until the engine and all of its children run.
fn run(farm: &Farm, mark: &str, then: &str, options: &[&str]) -> String {
    let scene = stubborn(farm, mark, then);
    let job = farm.submit(1, &scene, &[&["-f", "1", "--retries", "0"], options].concat());
    wait_for(END, "the engine and its children run", || {
        (processes(mark, &farm.folder().join("nowhere")).len() == 4).then_some(())
    });
    job
}

fn wait_until_gone(farm: &Farm, mark: &str, why: &str) {
    // Whatever has its working folder in a home is an engine's: daemons run where tests do.
    let homes = farm.node(1).home();
    wait_for(GONE, &format!("{why}: every process of the engine is gone"), || {
        processes(mark, homes).is_empty().then_some(())
    });
}

#[test]
fn engines_end_with_all_their_children() {
    let mut farm = Farm::found(1);
    let forever = "while :; do sleep 0.2; done";

    let cancelled = mark(1);
    let job = run(&farm, &cancelled, forever, &[]);
    _ = farm.node(1).run(&["cancel", &job]).ok();
    wait_until_gone(&farm, &cancelled, "the job was cancelled");

    let slow = mark(2);
    let job = run(&farm, &slow, forever, &["--timeout", "10s"]);
    wait_until_gone(&farm, &slow, "it took too long");
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "failed");
    let message = document["error_message"].as_str().unwrap();
    assert!(message.contains("longer") && message.contains("ready"), "{message}");

    // An engine that ends well, and leaves its children behind.
    let left = mark(3);
    let wait = "while [ ! -e \"$MARKS/go\" ]; do sleep 0.1; done; echo x >\"$OUTPUT\"";
    let job = run(&farm, &left, wait, &[]);
    go(&farm);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    wait_until_gone(&farm, &left, "the engine ended");

    let stopped = mark(4);
    let job = run(&farm, &stopped, forever, &[]);
    farm.stop(1);
    wait_until_gone(&farm, &stopped, "the daemon was asked to end");
    farm.start(1);
    // That was no failure of the frame's: it is started again.
    farm.wait_for_job(&job, END, "it renders again", |job| job["frames_running"] == 1);
    _ = farm.node(1).run(&["cancel", &job]).ok();
    wait_until_gone(&farm, &stopped, "the job was cancelled");

    let killed = mark(5);
    _ = run(&farm, &killed, forever, &[]);
    farm.kill9(1);
    wait_until_gone(&farm, &killed, "the daemon was killed");
}

/// An engine that ends no sooner than it must, and a node that is in use while there is a file `somebody`.
const SLOW: &str = r#"
[node]
in_use = ["sh", "-c", 'test -e "$WEFT_HOME/../somebody"']

[engine.slow_to_end]
base = "script"
extensions = ["slow"]
args = ["-c", '''trap "" TERM; echo "start $FRAME $NODE" >>"$MARKS/events"; sh "$0"''', "{scene}"]
"#;

#[test]
fn a_frame_that_comes_back_while_its_engine_still_ends_is_rendered_all_the_same() {
    let farm = Farm::configured(1, |_| SLOW.to_owned());
    let (mark, nowhere) = (mark(6), farm.folder().join("nowhere"));
    let engines = |count: usize, why: &str| {
        wait_for(GONE, why, || (processes(&mark, &nowhere).len() == count).then_some(()));
    };
    _ = farm.node(1).run(&["node", "node1", "set", "--on-return", "requeue"]).ok();
    let scene = write_file(
        farm.folder().join("scenes/held.slow"),
        format!(
            "sleep {mark} &\nwhile [ ! -e \"$MARKS/go\" ]; do sleep 0.05; done\necho x >\"$OUTPUT\"\n"
        ),
    );
    let job = farm.submit(1, &scene, &["-f", "1", "--retries", "0"]);
    engines(1, "it runs");

    // They are gone again before the engine has ended, which takes the three seconds that it gets.
    let somebody = write_file(farm.node(1).home().join("../somebody"), "");
    farm.wait_for_job(&job, END, "it is handed back", |job| in_status(job, "pending").len() == 1);
    std::fs::remove_file(somebody).unwrap();
    wait_for_starts(&farm, 2);
    engines(1, "the first has ended");
    go(&farm);
    let done = farm.wait_for_end(&job, END);
    assert_eq!(done["status"], "completed", "{done:#}");
}
