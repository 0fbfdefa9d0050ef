//! All machines go off at once, and come back: the job goes on from where it was.

use std::collections::BTreeSet;

use weft_tests::{Event, Farm, frames_of, in_status};

use super::{END, assert_started_again_only_after_deaths, names, slow};

#[test]
fn all_nodes_are_killed_and_started_again() {
    let mut farm = Farm::found(3);
    let scene = slow(&farm, 0.7);
    let out = farm.folder().join("out");
    let job = farm.submit(2, &scene, &["-f", "1-14", "-o", &out.display().to_string()]);
    let before = farm.wait_for_job(&job, END, "some frames are done, and some in work", |job| {
        in_status(job, "done").len() >= 4 && !in_status(job, "rendering").is_empty()
    });
    farm.kill9_all(&[1, 2, 3]);
    let started = farm.started();
    assert!(started.len() < 14, "the job was over too soon: {before:#}");
    farm.start_all(&[3, 1, 2]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    let events = farm.events();
    let (before_it, after) = events
        .split_at(events.iter().position(|event| matches!(event, Event::Killed { .. })).unwrap());
    assert_started_again_only_after_deaths(before_it);
    let again: Vec<i64> = after
        .iter()
        .filter_map(|event| match event {
            Event::Start { frame, .. } => Some(*frame),
            _ => None,
        })
        .collect();
    for frame in frames_of(&in_status(&before, "done")) {
        assert!(
            !again.contains(&frame),
            "frame {frame} was done, and is rendered again: {again:?}"
        );
    }
    // Until they have found each other each may lead, and begin a frame, as parts of a farm that is divided do.
    let frames: BTreeSet<i64> = again.iter().copied().collect();
    assert!(again.len() - frames.len() <= 2, "frames are started over and over: {events:#?}");
    farm.wait_for_files(&out, names("slow", 14, "txt"));
}
