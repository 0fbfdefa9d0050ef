//! How many tasks of an engine run at once.

use weft_tests::{Event, Farm, wait_for};

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
    // How many run its leader knows: where that doesn't answer soon, it is left out.
    wait_for(END, "the third node tells how many run", || {
        let expected = serde_json::json!([{ "engine": "script", "limit": 1, "running": 1 }]);
        (farm.node(3).ask(&["limits"]) == expected).then_some(())
    });
    let next = farm.submit(2, &scene, &["-f", "1"]);
    farm.wait_for_job(&next, END, "it says why it waits", |job| {
        job["waiting_for"] == "at most one task of the engine 'script' runs at once"
    });

    _ = farm.node(1).run(&["limit", "script", "2"]).ok();
    wait_for_starts(&farm, 2);
    assert_nothing_starts(&farm, "two run");

    // It is a fact: whoever leads next goes by it too.
    let leader = farm.leader();
    let name = farm.node(leader).name();
    let rendered =
        farm.events().iter().any(|e| matches!(e, Event::Start { node, .. } if node == name));
    farm.forget_starts();
    farm.kill9_all(&[leader]);
    farm.start_all(&[leader]);
    farm.leader();
    // What it rendered itself ended with it: then one frame is begun anew, of whichever job. Until it has found the
    // others it may lead itself alone, and begin one; that makes three at most, and no more.
    wait_for_starts(&farm, usize::from(rendered));
    assert_nothing_starts(&farm, "two run under the next leader");
    let none = farm.node(1).run(&["limit", "script", "none"]).ok();
    assert!(none.stdout.contains("as there is room for"), "{none:?}");
    wait_for(END, "every node renders", || {
        let running = |job| farm.job_now(job)?["frames_running"].as_u64();
        (running(&job)? + running(&next)? == 3).then_some(())
    });
    go(&farm);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    assert_eq!(farm.wait_for_end(&next, END)["status"], "completed");
    assert_eq!(farm.node(2).ask(&["limits"]), serde_json::json!([]));
}
