//! Engines end with whoever started them, and with all their children, however those hide.

use std::path::PathBuf;
use std::time::Duration;

use weft_tests::{Farm, processes, wait_for};

use super::{END, go};

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
