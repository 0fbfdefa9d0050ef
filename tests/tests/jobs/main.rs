//! What a studio does with jobs: test frames, controls, logs, submitting from elsewhere, and what
//! becomes of engines.

mod abilities;
mod benched;
mod changes;
mod check;
mod controls;
mod delivery;
#[cfg(target_os = "linux")]
mod engines;
mod errors;
mod limits;
mod logs;
mod nodes;
mod own_commands;
mod previews;
mod prices;
mod processes;
mod remote;
mod retention;
mod returns;
mod reuse;
mod runs;
mod seconds;
mod shared_roots;
mod shares;
mod silence;
mod test_frames;
mod warnings;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use weft_tests::{Event, Farm, frames_of, in_status, wait_for, write_file};

/// How long a job of a few seconds may take.
const END: Duration = Duration::from_secs(60);
/// How long what must not happen is waited for: the leader plans ten times meanwhile, and each node
/// reports once or twice.
const QUIET: Duration = Duration::from_millis(1500);

/// A scene whose frames are in work until [`go`] lets them end.
const HELD: &str =
    "while [ ! -e \"$MARKS/go\" ]; do sleep 0.05; done\necho \"frame $FRAME\" >\"$OUTPUT\"\n";

/// Lets the frames of [`HELD`] scenes end.
fn go(farm: &Farm) {
    write_file(farm.marks().join("go"), "");
}

/// Makes the frames of [`HELD`] scenes wait.
fn hold(farm: &Farm) {
    std::fs::remove_file(farm.marks().join("go")).expect("they were let go");
}

/// The frames of a job that are done, as a node knows.
fn done(job: &Value) -> BTreeSet<i64> {
    frames_of(&in_status(job, "done")).into_iter().collect()
}

/// Waits until as many engines have started.
fn wait_for_starts(farm: &Farm, count: usize) {
    let started = |event: &&Event| matches!(event, Event::Start { .. });
    wait_for(END, &format!("{count} engines start"), || {
        (farm.events().iter().filter(started).count() >= count).then_some(())
    });
}

/// Watches that no engine starts for a while.
fn assert_nothing_starts(farm: &Farm, why: &str) {
    let before = farm.events();
    std::thread::sleep(QUIET);
    let starts = |events: &[Event]| {
        events.iter().filter(|event| matches!(event, Event::Start { .. })).count()
    };
    assert_eq!(starts(&farm.events()), starts(&before), "{why}, and a frame was started");
}
