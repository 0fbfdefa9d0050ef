//! Nothing twice: what one job has rendered, others are given.

use serde_json::Value;
use weft_tests::{Farm, wait_for};

use super::{END, HELD, done, go, wait_for_starts};

/// The built-in path tracer, noted, whose results are used again.
const AGAIN: &str = "[engine.again]\nbase = \"marked\"\nreuse = true\n";

fn frame(job: &Value, number: i64) -> Value {
    let frames = job["frames"].as_array().into_iter().flatten();
    let found = frames.into_iter().find(|frame| frame["frame"] == number);
    found.unwrap_or_else(|| panic!("frame {number} is not in {job:#}")).clone()
}

/// Waits until every node knows what is noted of a job's frames, and gives its document.
fn noted(farm: &Farm, job: &str) -> Value {
    for number in farm.up() {
        wait_for(END, "its frames are noted everywhere", || {
            let job = farm.node(number).get(&format!("/v1/jobs/{job}"))?;
            let frames = job["frames"].as_array()?;
            frames.iter().all(|frame| frame["preview"].is_string()).then_some(())
        });
    }
    farm.node(1).ask(&["job", job])
}

#[test]
fn what_was_rendered_is_there_at_once_and_the_rest_is_rendered() {
    let farm = Farm::configured(3, |_| AGAIN.to_owned());
    let scene = farm.scene("ball", 24, 1);
    let first = farm.submit(1, &scene, &["-e", "again", "-f", "1-4"]);
    assert_eq!(farm.wait_for_end(&first, END)["status"], "completed");
    let rendered = noted(&farm, &first);
    assert_eq!(farm.started(), [1, 2, 3, 4].into());

    // Every node is busy, and what is stored comes all the same.
    let held = farm.submit(2, &farm.script("held", HELD), &["-f", "11-13"]);
    wait_for_starts(&farm, 7);
    farm.forget_starts();
    let out = farm.folder().join("out");
    let options = ["-e", "again", "-f", "1-6", "-n", "more", "-o", &out.display().to_string()];
    let second = farm.submit(2, &scene, &options);
    let document = farm.wait_for_job(&second, END, "four frames are there", |job| {
        done(job) == [1, 2, 3, 4].into()
    });
    assert_eq!(farm.started(), [].into(), "and none was rendered");
    for number in 1..=4 {
        let (own, other) = (frame(&document, number), frame(&rendered, number));
        assert_eq!(own["reused_from"], first.as_str(), "{own:#}");
        assert_eq!((&own["output"], &own["render_time"]), (&other["output"], &0.0.into()));
        assert_eq!((&own["attempt"], &own["copies"]), (&0.into(), &2.into()), "{own:#}");
        assert_eq!(other["reused_from"], Value::Null);
    }
    assert_eq!(document["render_seconds"], 0.0);
    go(&farm);
    for job in [&held, &second] {
        assert_eq!(farm.wait_for_end(job, END)["status"], "completed");
    }
    assert_eq!(farm.started(), [5, 6].into());
    for number in 1..=6 {
        let file = out.join(format!("ball_{number:04}.png"));
        wait_for(END, "it is delivered", || file.exists().then_some(()));
    }

    // Anew where somebody says so, or did not like what was there; and that is what counts from then on.
    farm.forget_starts();
    let fresh = farm.submit(3, &scene, &["-e", "again", "-f", "3", "--fresh"]);
    assert_eq!(farm.wait_for_end(&fresh, END)["status"], "completed");
    _ = farm.node(1).run(&["retry", &second, "--frames", "4"]).ok();
    wait_for(END, "frame 4 is rendered", || farm.started().contains(&4).then_some(()));
    assert_eq!(farm.wait_for_end(&second, END)["status"], "completed");
    assert_eq!(farm.started(), [3, 4].into());
    for job in [&fresh, &second] {
        _ = noted(&farm, job);
    }

    // More frames of a job are sought as well.
    farm.forget_starts();
    let third = farm.submit(1, &scene, &["-e", "again", "-f", "3", "-n", "third"]);
    assert_eq!(farm.wait_for_end(&third, END)["status"], "completed");
    _ = farm.node(2).run(&["extend", &third, "--frames", "4"]).ok();
    let document =
        farm.wait_for_job(&third, END, "two frames are there", |job| done(job) == [3, 4].into());
    assert_eq!(farm.started(), [].into());
    assert_eq!(frame(&document, 3)["reused_from"], fresh.as_str());
    assert_eq!(frame(&document, 4)["reused_from"], second.as_str());

    // What is on no disk any more is rendered.
    for job in [&first, &second, &fresh, &third] {
        _ = farm.node(1).run(&["rm", job]).ok();
    }
    let last = farm.submit(1, &scene, &["-e", "again", "-f", "1"]);
    assert_eq!(farm.wait_for_end(&last, END)["status"], "completed");
    assert_eq!(farm.started(), [1].into());
}

/// How many blobs each node holds.
fn blobs(farm: &Farm) -> Vec<Value> {
    farm.up().into_iter().map(|number| farm.node(number).ask(&["store"])["blobs"].clone()).collect()
}

#[test]
fn what_lies_on_other_nodes_is_taken_over_there() {
    let farm = Farm::configured(4, |_| AGAIN.to_owned());
    let scene = farm.scene("ball", 24, 1);
    // Whoever writes the files keeps them as well, and not the leader.
    let leader = farm.leader();
    let artist = leader % 4 + 1;
    let out = farm.folder().join("out").display().to_string();
    let first = farm.submit(artist, &scene, &["-e", "again", "-f", "1-12", "-o", &out]);
    assert_eq!(farm.wait_for_end(&first, END)["status"], "completed");
    let rendered = noted(&farm, &first);
    let before = blobs(&farm);
    farm.forget_starts();
    let second = farm.submit(artist, &scene, &["-e", "again", "-f", "1-12", "-n", "again"]);
    assert_eq!(farm.wait_for_end(&second, END)["status"], "completed");
    let document = noted(&farm, &second);
    assert_eq!(farm.started(), [].into());
    let leader = farm.node(leader).ask(&["status"])["node"].clone();
    let mut elsewhere = 0;
    for number in 1..=12 {
        let (own, other) = (frame(&document, number), frame(&rendered, number));
        assert_eq!(own["reused_from"], first.as_str(), "{own:#}");
        assert_eq!(own["copies"], 2, "{own:#}");
        elsewhere += usize::from(own["node"] != leader);
        assert!(own["node"] == leader || own["node"] == other["node"], "{own:#} of {other:#}");
    }
    assert!(elsewhere > 0, "the leader held all of it: {document:#}");
    assert_eq!(blobs(&farm), before, "no file went anywhere");
}
