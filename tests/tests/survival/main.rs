//! What must survive: machines die at any moment, and nothing that was acknowledged is lost.

mod blender;
mod everybody;
mod failures;
mod leader;
#[cfg(unix)]
mod sleeper;
mod submitter;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use weft_tests::{Event, Farm, frames_of, in_status, wait_for};

/// How long a job of a few seconds may take when machines die meanwhile, and have much else to do.
const END: Duration = Duration::from_secs(180);

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

/// The frames of a job that all nodes that are up know as done; none unless all of them tell.
fn done_everywhere(farm: &Farm, job: &str) -> Option<BTreeSet<i64>> {
    let done = |number: usize| -> Option<BTreeSet<i64>> {
        let document = farm.node(number).get(&format!("/v1/jobs/{job}"))?;
        Some(frames_of(&in_status(&document, "done")).into_iter().collect())
    };
    let known: Option<Vec<_>> = farm.up().into_iter().map(done).collect();
    known?.into_iter().reduce(|all, more| &all & &more)
}

/// Nothing was started twice for no reason: whenever a frame is started again, the node that had
/// started it was killed in between.
fn assert_started_again_only_after_deaths(events: &[Event]) {
    let mut running: BTreeMap<i64, String> = BTreeMap::new();
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

/// Waits until all nodes that are left follow one of them, in a higher term.
fn successor(farm: &Farm, dead: usize, term: u64) -> usize {
    let left = others(farm, dead);
    wait_for(END, "another node leads", || {
        let statuses: Option<Vec<_>> =
            left.iter().map(|number| farm.node(*number).get("/v1/status")).collect();
        let statuses = statuses?;
        let leader = &statuses[0]["leader"];
        let same = statuses.iter().all(|status| status["leader"] == *leader);
        let later = statuses.iter().all(|status| status["term"].as_u64() > Some(term));
        let at = statuses.iter().position(|status| status["node"] == *leader)?;
        (same && later).then_some(left[at])
    })
}
