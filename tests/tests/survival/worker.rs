//! A worker dies in mid-frame: its frame is rendered elsewhere.

use weft_tests::{Farm, frames_of, in_status, wait_for};

use super::{END, assert_started_again_only_after_deaths, names, others};

#[test]
fn a_worker_is_killed_in_mid_frame() {
    let mut farm = Farm::found(3);
    let leader = farm.leader();
    let victim = others(&farm, leader)[0];
    // It is at its frame for as long as this test may need to see that, and end it.
    let name = farm.node(victim).name();
    let text = format!(
        "if [ $NODE = {name} ]; then sleep 60; else sleep 2; fi\necho \"frame $FRAME\" >\"$OUTPUT\"\n"
    );
    let scene = farm.script("slow", &text);
    let out = farm.folder().join("out");
    let job = farm.submit(leader, &scene, &["-f", "1-6", "-o", &out.display().to_string()]);
    let frame = wait_for(END, "the victim renders", || {
        let document = farm.job_now(&job)?;
        let frames = in_status(&document, "rendering");
        let mine = frames.iter().filter(|frame| frame["node_name"] == farm.node(victim).name());
        frames_of(&mine.copied().collect::<Vec<_>>()).first().copied()
    });
    // Its engine has a moment to go until it says so itself.
    let starts = wait_for(END, "its engine starts", || {
        Some(farm.starts(frame)).filter(|starts| !starts.is_empty())
    });
    assert_eq!(starts, [farm.node(victim).name()]);
    farm.kill9(victim);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    let starts = farm.starts(frame);
    assert!(starts.len() == 2 && starts[1] != farm.node(victim).name(), "{frame}: {starts:?}");
    assert_started_again_only_after_deaths(&farm.events());
    assert_eq!(farm.started().len(), 6);
    farm.wait_for_files(&out, names("slow", 6, "txt"));
    // It is told as done by the one that did it, and never as having failed. Where the first attempt looked
    // late before its lease had ended, the other is a second one; else it is the first once more.
    let done = &in_status(&document, "done");
    let it = done.iter().find(|document| document["frame"] == frame).unwrap();
    assert_eq!(it["node_name"], starts[1].as_str());
    assert!(it["attempt"] == 1 || it["attempt"] == 2, "{it:#}");
}
