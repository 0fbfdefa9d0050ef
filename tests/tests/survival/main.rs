//! What must survive: machines die at any moment, and nothing that was acknowledged is lost.

mod everybody;
mod failures;
mod leader;
mod submitter;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use weft_tests::{Event, Farm};

/// How long a job of a few seconds may take when machines die meanwhile.
const END: Duration = Duration::from_secs(60);

/// The nodes' numbers but one.
fn others(farm: &Farm, but: usize) -> Vec<usize> {
    farm.up().into_iter().filter(|number| *number != but).collect()
}

/// A scene whose frames take some seconds, and hold the frame's number.
fn slow(farm: &Farm, seconds: f32) -> PathBuf {
    farm.script("slow", &format!("sleep {seconds}\necho \"frame $FRAME\" >\"$OUTPUT\"\n"))
}

/// The names of the files of frames 1 to `last`.
fn names(stem: &str, last: i64, ending: &str) -> Vec<String> {
    (1..=last).map(|frame| format!("{stem}_{frame:04}.{ending}")).collect()
}

/// Nothing was started twice for no reason: whenever a frame is started again, the node that had
/// started it was killed in between.
fn assert_started_again_only_after_deaths(events: &[Event]) {
    let mut running: std::collections::BTreeMap<i64, String> = std::collections::BTreeMap::new();
    for event in events {
        match event {
            Event::Start { frame, node } => {
                let before = running.insert(*frame, node.clone());
                let twice = "frame was started a second time, and nobody had died:";
                assert!(
                    before.is_none(),
                    "{twice} {frame} by {before:?}, then {node}: {events:#?}"
                );
            }
            Event::Killed { node } => running.retain(|_, who| who != node),
            Event::End { .. } => {}
        }
    }
}
