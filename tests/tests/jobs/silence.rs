//! Engines that print nothing.

use weft_tests::{Farm, write_file};

use super::END;

#[test]
fn an_engine_that_falls_silent_is_ended_where_its_definition_says_so() {
    let impatient = "[engine.impatient]\nbase = \"script\"\nextensions = [\"quiet\"]\n\
                     silence_seconds = 5\n";
    let farm = Farm::configured(1, |_| impatient.to_owned());
    let write = |name: &str, text: &str| write_file(farm.folder().join("scenes").join(name), text);
    // Eight seconds, with a sign of life in each: that is no silence.
    let talks = "for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 1; done; echo fine >\"$OUTPUT\"\n";
    let job = farm.submit(1, &write("talks.quiet", talks), &["-f", "1"]);
    let done = farm.wait_for_end(&job, END);
    assert_eq!(done["status"], "completed", "{done:#}");
    let options = ["-f", "2", "--retries", "0"];
    let job = farm.submit(1, &write("hangs.quiet", "echo begun; sleep 600\n"), &options);
    let failed = farm.wait_for_end(&job, END);
    assert_eq!(failed["status"], "failed");
    let why = failed["error_message"].as_str().unwrap_or_default();
    assert!(why.contains("it printed nothing for 5 s") && why.contains("begun"), "{failed:#}");
    // One whose definition says nothing may be silent for as long as it likes.
    let quiet = farm.script("quiet", "sleep 8; echo fine >\"$OUTPUT\"\n");
    let job = farm.submit(1, &quiet, &["-f", "3"]);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
}
