//! How many tasks of an engine run at once.

use weft_tests::{Farm, in_status, wait_for};

use super::{END, HELD, assert_nothing_starts, go, wait_for_starts};

#[test]
fn no_more_tasks_of_an_engine_run_than_may() {
    let mut farm = Farm::found(3);
    assert_eq!(farm.node(1).ask(&["limits"]), serde_json::json!([]));
    let unknown = farm.node(1).run(&["limit", "abacus", "2"]).ended_with(2);
    let said = "there is no engine 'abacus'; nothing was changed. Known are: ";
    assert!(unknown.stderr.contains(said), "{unknown:?}");
    let set = farm.node(2).ask(&["limit", "script", "1"]);
    assert_eq!(
        (&set["engine"], &set["limit"], &set["copies"]),
        (&"script".into(), &1.into(), &2.into())
    );
    // Two nodes have it on their disks by now; whoever leads may be the third.
    for number in farm.up() {
        wait_for(END, "every node knows the limit", || {
            (farm.node(number).ask(&["limits"])[0]["limit"] == 1).then_some(())
        });
    }
    let scene = farm.script("held", HELD);
    let job = farm.submit(1, &scene, &["-f", "1-6"]);
    wait_for_starts(&farm, 1);
    assert_nothing_starts(&farm, "one of three nodes may take one");
    let waits = farm.wait_for_job(&job, END, "one frame runs", |job| job["frames_running"] == 1);
    assert_eq!(waits["status"], "rendering");
    farm.wait_for_job(&job, END, "it says why the rest waits", |job| {
        job["waiting_for"] == "at most one task of the engine 'script' runs at once"
    });
    let limits = farm.node(3).ask(&["limits"]);
    assert_eq!(limits, serde_json::json!([{ "engine": "script", "limit": 1, "running": 1 }]));
    let next = farm.submit(2, &scene, &["-f", "1"]);
    farm.wait_for_job(&next, END, "it says why it waits", |job| {
        job["waiting_for"] == "at most one task of the engine 'script' runs at once"
    });

    // It is a fact: whoever leads next goes by it too.
    let leader = farm.leader();
    let renders = in_status(&waits, "rendering")[0]["node_name"].clone();
    farm.kill9_all(&[leader]);
    farm.start_all(&[leader]);
    farm.leader();
    // What it rendered itself ended with it: then one frame is begun anew, of whichever job.
    let begun = if renders == farm.node(leader).name() { 2 } else { 1 };
    wait_for_starts(&farm, begun);
    assert_nothing_starts(&farm, "one runs under the next leader");
    farm.forget_starts();
    _ = farm.node(1).run(&["limit", "script", "2"]).ok();
    wait_for_starts(&farm, 1);
    assert_nothing_starts(&farm, "two run");
    let none = farm.node(1).run(&["limit", "script", "none"]).ok();
    assert!(none.stdout.contains("as there is room for"), "{none:?}");
    wait_for_starts(&farm, 2);
    go(&farm);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    assert_eq!(farm.wait_for_end(&next, END)["status"], "completed");
    assert_eq!(farm.node(2).ask(&["limits"]), serde_json::json!([]));
}
