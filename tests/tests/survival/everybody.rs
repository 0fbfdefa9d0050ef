//! All machines go off at once, and come back: the job goes on from where it was.

use std::collections::BTreeSet;

use weft_tests::{Event, Farm, in_status, wait_for};

use super::{END, assert_started_again_only_after_deaths, done_everywhere, names, slow};

#[test]
fn all_nodes_are_killed_and_started_again() {
    let mut farm = Farm::found(3);
    let scene = slow(&farm, 0.7);
    let out = farm.folder().join("out");
    let job = farm.submit(2, &scene, &["-f", "1-14", "-o", &out.display().to_string()]);
    // What one node alone knows as done, the others may begin anew before they hear from it.
    let before = wait_for(END, "all know that some frames are done, and some are in work", || {
        let done = done_everywhere(&farm, &job)?;
        let in_work = !in_status(&farm.job_now(&job)?, "rendering").is_empty();
        (done.len() >= 4 && in_work).then_some(done)
    });
    farm.kill9_all(&[1, 2, 3]);
    let started = farm.started();
    assert!(started.len() < 14, "the job was over too soon: {before:?}");
    farm.start_all(&[3, 1, 2]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    let events = farm.events();
    let (before_it, after) = events
        .split_at(events.iter().position(|event| matches!(event, Event::Killed { .. })).unwrap());
    assert_started_again_only_after_deaths(before_it);
    // Until they have found each other each may lead, and begin frames, as parts of a farm that is divided do.
    let mut again = BTreeSet::new();
    for event in after {
        if let Event::Start { frame, node } = event {
            let first = again.insert((*frame, node));
            assert!(first, "{node} starts frame {frame} over and over: {events:#?}");
            assert!(!before.contains(frame), "frame {frame} was done: {events:#?}");
        }
    }
    farm.wait_for_files(&out, names("slow", 14, "txt"));
}
