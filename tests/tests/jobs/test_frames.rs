//! Test frames go first, and nothing else starts before the outcome of each is known.

use weft_tests::{Event, Farm, in_status, write_file};

use super::{END, assert_nothing_starts, done};

/// Frame 4 fails unless the file `mended` is there; where `sometimes` is there, it fails once.
const DARK: &str = "sleep 0.3\nif [ $FRAME = 4 ] && [ ! -e \"$MARKS/mended\" ]; then\n\
    [ -e \"$MARKS/sometimes\" ] && mv \"$MARKS/sometimes\" \"$MARKS/mended\"\necho 'the lens cap is on' >&2; exit 9\nfi\n\
    echo \"frame $FRAME\" >\"$OUTPUT\"\n";

const TESTS: [&str; 4] = ["-f", "1-9", "--test-frames", "7,4"];

fn frame(job: &serde_json::Value, number: i64) -> &serde_json::Value {
    let frames = job["frames"].as_array().unwrap();
    frames.iter().find(|frame| frame["frame"] == number).unwrap()
}

/// Where in the order of events the first engine started on another than the test frames.
fn first_other(events: &[Event]) -> usize {
    let other =
        |event: &Event| matches!(event, Event::Start { frame, .. } if ![4, 7].contains(frame));
    events.iter().position(other).unwrap_or(events.len())
}

#[test]
fn test_frames_go_first_and_the_rest_goes_on() {
    let farm = Farm::found(3);
    let scene = farm.script("dark", DARK);
    // Frame 4 fails the first time: its outcome is known only after the second.
    write_file(farm.marks().join("sometimes"), "");
    let job = farm.submit(2, &scene, &[&TESTS[..], &["--retries", "1"]].concat());
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    let events = farm.events();
    let tests = &events[..first_other(&events)];
    let ended = |frame: i64, status: i32| {
        tests.iter().any(|event| {
            matches!(event, Event::End { frame: f, status: s, .. } if *f == frame && *s == status)
        })
    };
    assert!(ended(7, 0) && ended(4, 9) && ended(4, 0), "{events:#?}");
    let numbers = |of: &dyn Fn(&serde_json::Value) -> bool| -> Vec<i64> {
        let frames = document["frames"].as_array().unwrap().iter();
        let mut numbers: Vec<i64> =
            frames.filter(|frame| of(frame)).filter_map(|frame| frame["frame"].as_i64()).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(&|frame| frame["is_test_frame"] == true), [4, 7]);
    assert_eq!(
        numbers(&|frame| frame["render_time"].as_f64() >= Some(0.3)),
        (1..=9).collect::<Vec<_>>()
    );
    // Each frame's hashes are those of its file.
    let to = farm.folder().join("fetched");
    _ = farm.node(1).call(&["outputs", &job, "--to"]).arg(&to).run().ok();
    for number in 1..=9 {
        let output = &frame(&document, number)["output"][0];
        let file = to.join(output["path"].as_str().unwrap());
        let hashes = farm.node(1).call(&["hash", "--json"]).arg(file).run().ok().json();
        assert_eq!(output["hash"], hashes[0]["hash"]);
        assert_eq!(output["xxhash"], hashes[0]["xxhash"]);
    }

    // A test frame that fails for good: without more words the rest goes on all the same.
    std::fs::remove_file(farm.marks().join("mended")).unwrap();
    farm.forget_starts();
    let job = farm.submit(1, &scene, &[&TESTS[..], &["--retries", "0"]].concat());
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "failed", "{document:#}");
    assert_eq!(done(&document).len(), 8);
    let events = farm.events();
    let failed = |event: &Event| matches!(event, Event::End { frame: 4, .. });
    let known = events.iter().position(failed).unwrap();
    assert!(known < first_other(&events), "{events:#?}");
}

#[test]
fn a_failed_test_frame_stops_the_job_if_asked_to() {
    let farm = Farm::found(3);
    let scene = farm.script("dark", DARK);
    let options = [&TESTS[..], &["--retries", "1", "--test-must-pass"]].concat();
    let job = farm.submit(2, &scene, &options);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "failed", "{document:#}");
    let message = document["error_message"].as_str().unwrap();
    for part in ["test frame 4", "exit code 9", "the lens cap is on"] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_nothing_starts(&farm, "a test frame failed");
    assert_eq!(farm.started().into_iter().collect::<Vec<_>>(), [4, 7]);
    assert_eq!(farm.starts(4).len(), 2);
    // The other test frame's outcome is kept. Once the cause is mended, the job can go on.
    assert_eq!(frame(&document, 7)["status"], "done");
    write_file(farm.marks().join("mended"), "");
    _ = farm.node(3).run(&["retry", &job]).ok();
    let document =
        farm.wait_for_job(&job, END, "it is completed", |job| job["status"] == "completed");
    assert_eq!(done(&document).len(), 9);
    assert_eq!(farm.starts(7).len(), 1);
}

#[test]
fn the_rest_waits_for_approval_if_asked_to() {
    let farm = Farm::found(2);
    write_file(farm.marks().join("mended"), "");
    let scene = farm.script("dark", DARK);
    let job = farm.submit(2, &scene, &[&TESTS[..], &["--approve-after-test"]].concat());
    let document =
        farm.wait_for_job(&job, END, "it waits", |job| job["status"] == "awaiting_approval");
    assert_eq!(in_status(&document, "done").len(), 2);
    assert_nothing_starts(&farm, "nobody approved");
    _ = farm.node(1).run(&["approve", &job]).ok();
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    assert_eq!(farm.started().len(), 9);
}
