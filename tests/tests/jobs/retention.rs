//! Jobs that go by themselves once they are over.

use std::time::Duration;

use weft_tests::{Farm, in_status, wait_for};

use super::{END, HELD, go};

/// Clocks are asked every ten seconds, deliveries looked through every five.
const GONE: Duration = Duration::from_secs(120);

#[test]
fn a_job_goes_by_itself_once_it_is_over_delivered_and_old_enough() {
    let mut farm = Farm::found(3);
    assert_eq!(farm.node(1).ask(&["retention"]), serde_json::json!({ "keep_seconds": null }));
    let scene = farm.script("held", HELD);
    let out = farm.folder().join("out");
    let kept = farm.submit(2, &scene, &["-f", "1", "--keep", "forever"]);
    let goes = farm.submit(2, &scene, &["-f", "1-2", "-o", out.to_str().unwrap()]);
    let never = farm.folder().join("never");
    let removed = farm.submit(2, &scene, &["-f", "3", "-o", never.to_str().unwrap()]);
    let set = farm.node(3).ask(&["retention", "1s"]);
    assert_eq!((&set["keep_seconds"], &set["copies"]), (&1.into(), &2.into()));
    // Two nodes have it on their disks by now, and the third hears of it.
    let job = wait_for(END, "the first node knows", || {
        Some(farm.node(1).ask(&["job", &goes])).filter(|job| job["keep_seconds"] == 1)
    });
    assert!(job["goes"].is_null(), "{job}");
    let words = farm.node(1).run(&["job", &goes]).ok().stdout;
    assert!(words.contains("for 1.0 s once it is over"), "{words}");

    // Who submitted it, and is to write its files, is off.
    farm.kill9_all(&[2]);
    go(&farm);
    farm.wait_for_job(&goes, END, "it is over", |job| job["status"] == "completed");
    let owed = farm.wait_for_job(&goes, END, "it is owed", |job| {
        job["owed_to"].as_array().is_some_and(|owed| owed.len() == 1)
    });
    assert_eq!(in_status(&owed, "done").len(), 2);
    let words = farm.node(1).run(&["job", &goes]).ok().stdout;
    assert!(words.contains("has written its files, and 1.0 s"), "{words}");

    // Whoever removes such a job is told what won't be written.
    farm.wait_for_job(&removed, END, "it is over", |job| job["status"] == "completed");
    let words = farm.node(1).run(&["rm", &removed]).ok().stdout;
    assert!(words.contains("had not written all its files"), "{words}");

    farm.start_all(&[2]);
    wait_for(GONE, "it goes once its files are written", || {
        let jobs = farm.node(3).ask(&["jobs", "--all"]);
        let ids: Vec<&str> =
            jobs.as_array()?.iter().filter_map(|job| job["job"].as_str()).collect();
        assert!(ids.contains(&kept.as_str()), "the other is kept: {jobs}");
        (!ids.contains(&goes.as_str())).then_some(())
    });
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2, "its files are in their folder");
    let forever = farm.node(1).run(&["retention", "forever"]).ok();
    assert!(forever.stdout.contains("until somebody removes them"), "{forever:?}");
    _ = farm.node(1).run(&["keep", &kept, "30d"]).ok();
    wait_for(END, "the third node knows", || {
        (farm.node(3).ask(&["job", &kept])["keep_seconds"] == 30 * 86_400).then_some(())
    });
}
