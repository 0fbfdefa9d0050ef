//! A node that fails what others can do gets nothing more until somebody forgives it.

use weft_tests::{Farm, frames_of, in_status, wait_for, write_file};

use super::{END, HELD, go, hold, wait_for_starts};

/// A scene whose frames fail on the second node while its driver is gone. The first node, which may have
/// taken either of two frames, waits until the second has failed the other one.
const NO_DRIVER: &str = "if [ $NODE = node2 ]; then\n\
    if [ -e \"$MARKS/no-driver\" ]; then echo 'no driver'; exit 3; fi\n\
    elif [ -e \"$MARKS/no-driver\" ]; then\n\
    while ! grep -q 'end .* node2 3' \"$MARKS/events\"; do sleep 0.05; done\nfi\n\
    echo fine >\"$OUTPUT\"\n";

/// The second node, as the first one tells it.
fn second(farm: &Farm) -> serde_json::Value {
    farm.node(1).ask(&["node", "node2"])
}

/// A job of two frames at once, one on each node, ends well: what the second node fails, the first one does.
fn fails_one_on_the_second(farm: &Farm, name: &str) -> i64 {
    farm.forget_starts();
    let job = farm.submit(1, &farm.script(name, NO_DRIVER), &["-f", "1-2"]);
    let done = farm.wait_for_end(&job, END);
    assert_eq!(done["status"], "completed", "{done:#}");
    let on_first = in_status(&done, "done");
    assert!(on_first.iter().all(|frame| frame["node_name"] == "node1"), "{done:#}");
    let failed = (1..=2).find(|frame| farm.starts(*frame).contains(&"node2".to_owned()));
    failed.expect("the second node was given a frame")
}

#[test]
fn a_node_that_fails_what_others_do_gets_nothing_until_it_is_forgiven() {
    let farm = Farm::found(2);
    write_file(farm.marks().join("no-driver"), "");
    fails_one_on_the_second(&farm, "one");
    let so_far = second(&farm);
    assert_eq!((&so_far["closed"], &so_far["benched"]), (&().into(), &serde_json::json!([])));
    let failed = fails_one_on_the_second(&farm, "two");

    // Two jobs that another could do: that is no fault of theirs.
    let shown = wait_for(END, "it is benched", || {
        Some(second(&farm)).filter(|shown| shown["closed"] == "benched")
    });
    let why = shown["benched"].as_array().expect("a list of failures");
    let of: Vec<&str> = why.iter().filter_map(|failure| failure["name"].as_str()).collect();
    assert!(of.len() == 2 && of.contains(&"one") && of.contains(&"two"), "{shown:#}");
    let last = why.iter().find(|failure| failure["name"] == "two").expect("just seen");
    assert_eq!(last["frame"], failed, "{shown:#}");
    let said = last["error_message"].as_str().unwrap_or_default();
    assert!(said.contains("no driver"), "{shown:#}");
    let listed = farm.node(2).run(&["nodes"]).ok().stdout;
    assert!(listed.contains(&format!("node2: benched: frame {failed} of 'two': ")), "{listed}");

    farm.forget_starts();
    let scene = farm.script("three", HELD);
    let job = farm.submit(2, &scene, &["-f", "1-3"]);
    wait_for_starts(&farm, 1);
    farm.wait_for_job(&job, END, "one frame runs, and it says why the rest waits", |job| {
        job["frames_running"] == 1
            && job["waiting_for"] == "of the nodes that fit 1 is busy, 1 is benched"
    });
    go(&farm);
    let done = farm.wait_for_end(&job, END);
    assert_eq!(frames_of(&in_status(&done, "done")), [1, 2, 3]);
    for frame in 1..=3 {
        assert_eq!(farm.starts(frame), ["node1"], "the second node gets nothing");
    }

    // Its driver is back: it gets another chance, and takes its part.
    std::fs::remove_file(farm.marks().join("no-driver")).expect("it was written");
    let forgiven = farm.node(1).ask(&["unbench", "node2"]);
    assert_eq!((&forgiven["name"], &forgiven["copies"]), (&"node2".into(), &2.into()));
    let shown = second(&farm);
    assert_eq!((&shown["closed"], &shown["benched"]), (&().into(), &serde_json::json!([])));
    hold(&farm);
    farm.forget_starts();
    let job = farm.submit(1, &scene, &["-f", "1-2"]);
    wait_for_starts(&farm, 2);
    let nodes = [farm.starts(1), farm.starts(2)].concat();
    assert!(
        nodes.contains(&"node1".to_owned()) && nodes.contains(&"node2".to_owned()),
        "{nodes:?}"
    );
    go(&farm);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
}
