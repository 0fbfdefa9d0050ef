//! Second attempts at the last frames of a job.

use weft_tests::{Event, Farm, in_status, wait_for};

use super::END;

/// Its last frame stands still on whichever node starts it first.
const STUCK: &str = "if [ $FRAME = 5 ] && mkdir \"$MARKS/stuck\" 2>/dev/null; then\n\
    echo $NODE >\"$MARKS/slow\"; while :; do sleep 0.1; done\nfi\n\
    sleep 0.3; echo \"frame $FRAME\" >\"$OUTPUT\"\n";

#[test]
fn the_last_frame_is_begun_elsewhere_when_it_looks_late_and_the_other_is_called_back() {
    let farm = Farm::found(2);
    let scene = farm.script("stuck", STUCK);
    let job = farm.submit(1, &scene, &["-f", "1-5", "--retries", "0"]);
    let shown = farm.wait_for_job(&job, END, "both nodes try it", |job| {
        in_status(job, "rendering").iter().any(|frame| frame["also_tried_on"].is_string())
    });
    let slow = std::fs::read_to_string(farm.marks().join("slow")).unwrap().trim().to_owned();
    let frame = in_status(&shown, "rendering")[0].clone();
    let other = if slow == "node1" { "node2" } else { "node1" };
    assert_eq!(
        (&frame["node_name"], &frame["also_tried_on"], &frame["attempt"]),
        (&slow.as_str().into(), &other.into(), &1.into()),
        "{shown:#}"
    );
    let done = farm.wait_for_end(&job, END);
    assert_eq!((&done["status"], &done["frames_failed"]), (&"completed".into(), &0.into()));
    let frame = &done["frames"][4];
    assert_eq!((&frame["node_name"], &frame["attempt"]), (&other.into(), &2.into()), "{done:#}");
    assert!(frame["also_tried_on"].is_null());
    assert_eq!(farm.starts(5).len(), 2, "and no third time");

    // The one that stood still is ended, though nothing but the other's result says so, and its node
    // works again.
    wait_for(END, "nobody works on anything", || {
        let nodes = farm.node(1).ask(&["nodes"]);
        nodes.as_array()?.iter().all(|node| node["running"] == 0).then_some(())
    });
    let ended = || {
        let events = farm.events().into_iter();
        events.filter(|e| matches!(e, Event::End { frame: 5, node, .. } if *node == slow)).count()
    };
    assert_eq!(ended(), 0, "it was killed");
    farm.forget_starts();
    let both = "while [ $(ls \"$MARKS\" | grep -c here) -lt 2 ]; do touch \"$MARKS/here-$NODE\"; \
                sleep 0.05; done\necho fine >\"$OUTPUT\"\n";
    let job = farm.submit(1, &farm.script("both", both), &["-f", "1-2"]);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    assert_eq!(ended(), 0);
}
