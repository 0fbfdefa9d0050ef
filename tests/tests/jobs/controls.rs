//! Pause, resume and cancel: each is on two nodes before it is acknowledged, and holds on all.

use weft_tests::{Farm, files_in, frames_of, in_status, wait_for};

use super::{END, HELD, assert_nothing_starts, done, go, hold, wait_for_starts};

/// What a job's document says, without what goes by with time.
fn lasting(farm: &Farm, job: &str) -> serde_json::Value {
    let mut document = farm.job(job);
    for passing in ["eta_seconds", "rate_per_minute", "waiting_for"] {
        document[passing] = serde_json::Value::Null;
    }
    document
}

/// Waits until a node knows a job's status: two have it on their disks when it is acknowledged, and others hear.
fn wait_for_status(farm: &Farm, number: usize, job: &str, status: &str) {
    wait_for(END, &format!("node{number} knows that it is {status}"), || {
        let document = farm.node(number).get(&format!("/v1/jobs/{job}"))?;
        (document["status"] == status).then_some(())
    });
}

#[test]
fn a_paused_job_lets_frames_finish_and_starts_none_whoever_leads() {
    let mut farm = Farm::found(3);
    let scene = farm.script("held", HELD);
    let job = farm.submit(1, &scene, &["-f", "1-9"]);
    wait_for_starts(&farm, 3);
    let paused = farm.node(2).ask(&["pause", &job]);
    assert_eq!((&paused["status"], paused["copies"].as_u64() >= Some(2)), (&"paused".into(), true));
    for number in [1, 3] {
        wait_for_status(&farm, number, &job, "paused");
    }
    let refused = farm.node(3).run(&["pause", &job]).ended_with(1);
    assert!(refused.stderr.contains("paused already"), "{refused:?}");
    let document = farm.wait_for_job(&job, END, "running frames go on", |job| {
        in_status(job, "rendering").len() == 3
    });
    let waits = document["waiting_for"].as_str().unwrap_or_default();
    assert!(waits.starts_with("paused by ") && waits.ends_with(" ago"), "{waits}");
    go(&farm);
    farm.wait_for_job(&job, END, "running frames finish", |job| done(job).len() == 3);
    assert_nothing_starts(&farm, "the job is paused");

    // Another leader knows that, and so does a node that comes back.
    let leader = farm.leader();
    farm.kill9(leader);
    let next = wait_for(END, "another node leads", || {
        farm.agreed().map(|(number, _)| number).filter(|number| *number != leader)
    });
    assert_nothing_starts(&farm, "the job is paused");
    farm.start(leader);
    farm.leader();
    for number in [leader, next] {
        assert_eq!(farm.node(number).ask(&["job", &job])["status"], "paused");
    }
    let before = lasting(&farm, &job);
    let refused = farm.node(leader).run(&["approve", &job]).ended_with(1);
    assert!(refused.stderr.contains("nothing was changed"), "{refused:?}");
    assert_eq!(lasting(&farm, &job), before);

    hold(&farm);
    _ = farm.node(leader).run(&["resume", &job]).ok();
    wait_for(END, "the next leader knows that it goes on", || {
        let document = farm.node(next).get(&format!("/v1/jobs/{job}"))?;
        (document["status"] != "paused").then_some(())
    });
    let refused = farm.node(next).run(&["resume", &job]).ended_with(1);
    assert!(refused.stderr.contains("not paused"), "{refused:?}");
    wait_for_starts(&farm, 6);
    go(&farm);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    for frame in 1..=9 {
        assert_eq!(
            farm.starts(frame).len(),
            1,
            "frame {frame}: only what isn't done goes out again"
        );
    }
    let before = lasting(&farm, &job);
    for control in ["pause", "resume", "approve", "cancel", "retry"] {
        let refused = farm.node(1).run(&[control, &job]).ended_with(1);
        assert!(refused.stderr.contains("nothing was changed"), "{refused:?}");
    }
    assert_eq!(lasting(&farm, &job), before);
}

#[test]
fn a_cancelled_job_ends_and_keeps_what_is_done() {
    let farm = Farm::found(3);
    let text = format!("if [ $FRAME -le 2 ]; then echo early >\"$OUTPUT\"; exit; fi\n{HELD}");
    let scene = farm.script("held", &text);
    let job = farm.submit(1, &scene, &["-f", "1-9"]);
    farm.wait_for_job(&job, END, "two frames are done, three in work", |job| {
        done(job).len() == 2 && in_status(job, "rendering").len() == 3
    });
    let cancelled = farm.node(2).ask(&["cancel", &job]);
    assert_eq!(cancelled["status"], "cancelled");
    for number in 1..=3 {
        wait_for(END, "every node knows", || {
            let document = farm.node(number).get(&format!("/v1/jobs/{job}"))?;
            let cancelled = frames_of(&in_status(&document, "cancelled"));
            (document["status"] == "cancelled" && cancelled == (3..=9).collect::<Vec<_>>())
                .then_some(())
        });
    }
    // Their engines were ended, so nobody notes an end; and nothing takes their place.
    go(&farm);
    assert_nothing_starts(&farm, "the job is cancelled");
    assert_eq!(done(&farm.job(&job)), [1, 2].into());
    let to = farm.folder().join("fetched");
    _ = farm.node(3).call(&["outputs", &job, "--to"]).arg(&to).run().ok();
    assert_eq!(files_in(&to).len(), 2);
    // The nodes are free for others.
    let other = farm.submit(3, &scene, &["-f", "1-6"]);
    assert_eq!(farm.wait_for_end(&other, END)["status"], "completed");
}
