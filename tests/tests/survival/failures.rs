//! A frame whose command fails is tried elsewhere, then failed; the others go on.

use weft_tests::{Farm, frames_of, in_status, write_file};

use super::{END, names};

#[test]
fn a_frame_that_fails_is_tried_elsewhere_then_failed_and_retried_alone() {
    let farm = Farm::found(3);
    let text = "if [ $FRAME = 3 ] && [ ! -e \"$MARKS/mended\" ]; then\n\
                for line in 1 2 3; do echo \"light $line is out\"; done\necho 'no light left' >&2\nexit 7\nfi\n\
                echo fine >\"$OUTPUT\"\n";
    let scene = farm.script("lights", text);
    let out = farm.folder().join("out");
    let options = ["-f", "1-8", "--retries", "2", "-o", &out.display().to_string()];
    let job = farm.submit(1, &scene, &options);

    let watched = farm.node(2).run(&["watch", &job]).ended_with(1);
    assert!(watched.stderr.contains("no light left"), "{watched:?}");
    // What one node was told of the end another may not have heard yet.
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "failed", "{document:#}");
    let counts = [&document["frames_total"], &document["frames_done"], &document["frames_failed"]];
    assert_eq!(counts, [8, 7, 1]);
    let failed = in_status(&document, "failed");
    assert_eq!(frames_of(&failed), [3]);
    for message in [&document["error_message"], &failed[0]["error_message"]] {
        let message = message.as_str().unwrap();
        for part in ["exit code 7", "light 3 is out", "no light left"] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }
    assert!(document["error_message"].as_str().unwrap().contains("frame 3"));
    let mut tried = farm.starts(3);
    tried.sort();
    assert_eq!(tried, ["node1", "node2", "node3"], "each try is on another node");
    farm.wait_for_files(&out, names("lights", 8, "txt").into_iter().filter(|n| !n.contains('3')));

    // The other nodes tell the same, log included.
    for node in 1..=3 {
        let log = farm.node(node).run(&["logs", &job, "3"]).ok().stdout;
        assert!(log.contains("light 1 is out") && log.contains("no light left"), "{log}");
    }

    farm.forget_starts();
    _ = farm.node(3).run(&["retry", &job]).ok();
    let document = farm.wait_for_job(&job, END, "it fails again", |job| {
        job["status"] == "failed" && farm.starts(3).len() == 3
    });
    assert_eq!(document["frames_failed"], 1);
    write_file(farm.marks().join("mended"), "");
    _ = farm.node(3).run(&["retry", &job]).ok();
    let document =
        farm.wait_for_job(&job, END, "it is completed", |job| job["status"] == "completed");
    assert_eq!(document["error_message"], serde_json::Value::Null);
    assert_eq!(farm.started().into_iter().collect::<Vec<_>>(), [3], "only what failed");
    let generation = |frame: i64| {
        let done = in_status(&document, "done");
        let document = done.iter().find(|document| document["frame"] == frame);
        document.and_then(|document| document["generation"].as_u64()).unwrap()
    };
    assert_eq!(generation(3), generation(2) + 2);
    farm.wait_for_files(&out, names("lights", 8, "txt"));
}
