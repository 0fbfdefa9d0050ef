//! Jobs that are changed after they were submitted: rendered anew, extended, moved up, removed.

use weft_tests::{Event, Farm, wait_for, write_file};

use super::{END, HELD, done, go, wait_for_starts};

#[test]
fn frames_are_rendered_anew_and_added() {
    let farm = Farm::found(2);
    let take = farm.marks().join("take");
    write_file(take.clone(), "first");
    let scene = farm.script("takes", "cp \"$MARKS/take\" \"$OUTPUT\"\n");
    let out = farm.folder().join("out");
    let job = farm.submit(1, &scene, &["-f", "1-4", "-o", &out.display().to_string()]);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    let text = |frame: i64| std::fs::read_to_string(out.join(format!("takes_{frame:04}.txt"))).ok();
    wait_for(END, "the first take", || (1..=4).all(|frame| text(frame).is_some()).then_some(()));

    write_file(take, "second");
    farm.forget_starts();
    _ = farm.node(2).run(&["retry", &job, "--frames", "2-3"]).ok();
    wait_for(END, "the second take of two frames", || {
        (text(2)? == "second" && text(3)? == "second").then_some(())
    });
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    assert_eq!(farm.started(), [2, 3].into());
    assert_eq!((text(1).as_deref(), text(4).as_deref()), (Some("first"), Some("first")));

    _ = farm.node(2).run(&["extend", &job, "--frames", "5-6"]).ok();
    let document = farm.wait_for_job(&job, END, "six frames are done", |job| done(job).len() == 6);
    assert_eq!((&document["status"], &document["frames_total"]), (&"completed".into(), &6.into()));
    wait_for(END, "the new frames", || {
        (text(5)? == "second" && text(6)? == "second").then_some(())
    });
    let refused = farm.node(1).run(&["retry", &job, "--frames", "7"]).ended_with(1);
    assert!(refused.stderr.contains("nothing was changed"), "{refused:?}");
}

#[test]
fn a_job_that_is_moved_up_goes_first() {
    let farm = Farm::found(1);
    let scene = farm.script("held", HELD);
    let other = farm.script("other", "echo x >\"$OUTPUT\"\n");
    let first = farm.submit(1, &scene, &["-f", "1-3"]);
    wait_for_starts(&farm, 1);
    let second = farm.submit(1, &other, &["-f", "11-12"]);
    let third = farm.submit(1, &other, &["-f", "21-22", "--priority", "low"]);
    _ = farm.node(1).run(&["priority", &third, "90"]).ok();
    go(&farm);
    for job in [&first, &second, &third] {
        assert_eq!(farm.wait_for_end(job, END)["status"], "completed");
    }
    let order: Vec<i64> = farm
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Start { frame, .. } => Some(*frame),
            _ => None,
        })
        .collect();
    assert_eq!(order, [1, 21, 22, 2, 3, 11, 12]);
}

#[test]
fn a_removed_job_is_gone_everywhere_and_stays_gone() {
    let mut farm = Farm::found(3);
    let scene = farm.script("quick", "echo x >\"$OUTPUT\"\n");
    let job = farm.submit(2, &scene, &["-f", "1-6", "-n", "gone"]);
    let kept = farm.submit(2, &scene, &["-f", "1-2", "-n", "kept"]);
    for job in [&job, &kept] {
        assert_eq!(farm.wait_for_end(job, END)["status"], "completed");
    }
    // One of them is off, and hears of it later.
    farm.stop(3);
    let removed = farm.node(1).ask(&["rm", "gone"]);
    assert_eq!(removed["status"], "removed");
    wait_for(END, "both nodes forget it", || only(&farm, 1, &kept).and(only(&farm, 2, &kept)));
    farm.start(3);
    wait_for(END, "the third forgets it as well", || only(&farm, 3, &kept));
    farm.leader();
    // Nor does it come back when they compare what they know, or start again.
    farm.kill9_all(&[1, 2, 3]);
    farm.start_all(&[1, 2, 3]);
    farm.leader();
    for number in 1..=3 {
        let refused = farm.node(number).run(&["job", &job]).ended_with(1);
        assert!(refused.stderr.contains("there is no job"), "{refused:?}");
        assert_eq!(farm.node(number).ask(&["jobs", "--all"]).as_array().map(Vec::len), Some(1));
    }
}

/// Whether a node knows just that one job.
fn only(farm: &Farm, number: usize, job: &str) -> Option<()> {
    let jobs = farm.node(number).get("/v1/jobs?all=true")?;
    let known: Vec<_> = jobs.as_array()?.iter().map(|job| job["job"].as_str()).collect();
    (known == [Some(job)]).then_some(())
}
