//! What a node does while somebody uses its machine.

use weft_tests::{Farm, in_status, wait_for, write_file};

use super::{END, HELD, go, hold, wait_for_starts};

#[test]
fn who_comes_back_to_their_machine_gets_it_and_the_frame_goes_out_again() {
    let somebody = |number: usize| match number {
        2 => "[node]\nin_use = [\"sh\", \"-c\", 'test -e \"$WEFT_HOME/../somebody\"']\n".to_owned(),
        _ => String::new(),
    };
    let farm = Farm::configured(2, somebody);
    let mark = farm.node(2).home().join("../somebody");
    let closed = || farm.node(1).ask(&["node", "node2"])["closed"].clone();
    let scene = farm.script("held", HELD);
    write_file(mark.clone(), "");
    _ = farm.node(1).run(&["drain", "node1"]).ok();
    let job = farm.submit(1, &scene, &["-f", "1-2", "--retries", "0"]);
    wait_for_starts(&farm, 1);
    assert!(closed().is_null(), "nobody asked it to care");

    // It finishes what it renders, and takes nothing new.
    _ = farm.node(1).run(&["node", "node2", "set", "--on-return", "finish"]).ok();
    wait_for(END, "it says that it is in use", || (closed() == "in_use").then_some(()));
    let document = farm.job(&job);
    assert_eq!(in_status(&document, "rendering").len(), 1, "{document:#}");
    wait_for(END, "everybody is told", || {
        let listed = farm.node(1).run(&["nodes"]).ok().stdout;
        listed.contains("node2: in use by somebody").then_some(())
    });
    go(&farm);
    let why = "the second frame waits, and it is said why";
    farm.wait_for_job(&job, END, why, |job| {
        let waits = job["waiting_for"].as_str().unwrap_or_default();
        job["frames_done"] == 1 && waits.contains("1 is in use by somebody")
    });
    hold(&farm);
    std::fs::remove_file(&mark).unwrap();
    wait_for_starts(&farm, 2);
    assert!(closed().is_null());

    // It hands it back at once, and that is no failure: no retry is left.
    _ = farm.node(1).run(&["node", "node2", "set", "--on-return", "requeue"]).ok();
    write_file(mark.clone(), "");
    farm.wait_for_job(&job, END, "it is handed back", |job| {
        in_status(job, "pending").len() == 1 && closed() == "in_use"
    });
    _ = farm.node(1).run(&["undrain", "node1"]).ok();
    go(&farm);
    let done = farm.wait_for_end(&job, END);
    assert_eq!(done["status"], "completed", "{done:#}");
    let by = |frame: usize| done["frames"][frame]["node_name"].clone();
    assert_eq!((by(0), by(1)), ("node2".into(), "node1".into()));
    let wrong = farm.node(1).run(&["node", "node2", "set", "--on-return", "away"]).ended_with(2);
    assert!(wrong.stderr.contains("ignore, finish or requeue"), "{wrong:?}");
}
