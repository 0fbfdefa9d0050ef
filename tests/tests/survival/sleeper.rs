//! A leader's machine falls asleep in the middle of a job, and wakes up when another has taken over:
//! for a moment two nodes lead. That may cost work, and never a result.

use serde_json::Value;
use weft_tests::{Event, Farm, in_status, wait_for};

use super::{END, names, others, slow, successor};

#[test]
fn a_leader_that_slept_follows_the_next_one() {
    let farm = Farm::found(3);
    let scene = slow(&farm, 1.0);
    let out = farm.folder().join("out");
    let (leader, term) = wait_for(END, "the nodes follow one leader", || farm.agreed());
    let awake = others(&farm, leader);
    let options = ["-f", "1-12", "--retries", "0", "-o", &out.display().to_string()];
    let job = farm.submit(awake[0], &scene, &options);
    farm.wait_for_job(&job, END, "all three render", |job| in_status(job, "rendering").len() == 3);
    farm.stand_still(leader, true);
    let next = successor(&farm, leader, term);
    let path = format!("/v1/jobs/{job}");
    let done_by = |number: usize, count: usize| {
        let document = farm.node(next).get(&path)?;
        let done = in_status(&document, "done");
        let theirs = done.iter().filter(|frame| frame["node_name"] == farm.node(number).name());
        (theirs.count() >= count).then_some(())
    };
    wait_for(END, "the others go on without it", || done_by(awake[0], 2).and(done_by(awake[1], 2)));
    farm.stand_still(leader, false);

    wait_for(END, "the job is completed", || {
        farm.node(next).get(&path).filter(|job| job["status"] == "completed")
    });
    farm.wait_for_files(&out, names("slow", 12, "txt"));
    let (now, later) = wait_for(END, "the nodes follow one leader", || farm.agreed());
    assert!(later > term, "node{now} leads in term {later}, and node{leader} did in {term}");
    // The nodes that were awake rendered nothing twice.
    let mut started: Vec<i64> = farm
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Start { frame, node } if node != farm.node(leader).name() => Some(*frame),
            _ => None,
        })
        .collect();
    started.sort_unstable();
    let all = started.len();
    started.dedup();
    assert_eq!(all, started.len(), "{:#?}", farm.events());
    // What was rendered twice counts once, and all agree on which.
    wait_for(END, "every node tells the same results", || {
        let documents: Option<Vec<_>> =
            (1..=3).map(|number| farm.node(number).get(&path)).collect();
        let results: Vec<_> = documents?.iter().map(results).collect();
        (results[0] == results[1] && results[1] == results[2]).then_some(())
    });
}

/// Frames with who made them, and what.
fn results(job: &Value) -> Vec<[Value; 3]> {
    let frames = job["frames"].as_array().map_or(&[][..], Vec::as_slice);
    frames.iter().map(|frame| ["frame", "node", "output"].map(|key| frame[key].clone())).collect()
}
