//! Jobs that fail, and what can't be done to a job.

use std::time::Duration;

use weft_tests::{Farm, Output};

use crate::cases::Cases;

/// How long a job of a few scripts may take.
const END: Duration = Duration::from_secs(60);

pub(crate) fn try_all(farm: &Farm, cases: &mut Cases) {
    failures(farm, cases);
    controls(farm, cases);
}

fn failures(farm: &Farm, cases: &mut Cases) {
    let fails = farm.script("fails", "echo 'the brush is dry' >&2; exit 3");
    let watch = ["-f", "1-2", "--retries", "1", "--watch"];
    let output = farm.submission(2, &fails, &watch).within(END).run();
    cases.check("the engine fails", &output);
    cases.require(output.stderr.contains("the brush is dry"), "the end of the log is not said");
    let starts = farm.starts(1);
    let wanted = starts.len() == 2 && starts[0] != starts[1];
    cases.require(wanted, &format!("a failed frame is tried once more, elsewhere: {starts:?}"));

    let case = "the engine claims success, and a file is missing or empty";
    for (name, text) in [("lazy", "exit 0"), ("hollow", ": >\"$OUTPUT\"")] {
        let lazy = farm.script(name, text);
        let watch = ["-f", "1", "--retries", "0", "--watch"];
        cases.check(case, &farm.submission(2, &lazy, &watch).within(END).run());
    }

    farm.forget_starts();
    let test =
        ["-f", "1-9", "--retries", "0", "--test-frames", "5", "--stop-after-test", "--watch"];
    let output = farm.submission(2, &fails, &test).within(END).run();
    cases.check("a test frame fails, with `--stop-after-test`", &output);
    let started: Vec<i64> = (1..=9).filter(|frame| !farm.starts(*frame).is_empty()).collect();
    cases.require(started == [5], &format!("frames {started:?} were started"));
    let case = "retrying others, or extending, where a test frame has failed and the rest was not to start";
    for args in [["retry", "last", "--frames", "1-4"], ["extend", "last", "--frames", "20"]] {
        cases.refused(farm, case, || farm.node(2).run(&args));
    }
}

fn controls(farm: &Farm, cases: &mut Cases) {
    let run = |args: &[&str]| farm.node(2).run(args);
    let refused = |cases: &mut Cases, case: &str, args: &[&str]| {
        cases.refused(farm, case, || run(args));
    };
    refused(cases, "job that isn't there", &["job", "nothing-like-it"]);
    refused(cases, "job that isn't there", &["pause", "ffffffffffff"]);

    let case = "nothing where a job, a node or a profile should be named";
    for args in [&["job", ""][..], &["pause", ""], &["logs", "", "1"], &["drain", ""]] {
        refused(cases, case, args);
    }

    let quick = farm.script("quick", "echo done >\"$OUTPUT\"");
    let options = ["-f", "1", "-n", "twin"];
    let over = farm.submit(2, &quick, &options);
    let twin = farm.submit(2, &quick, &options);
    for job in [&over, &twin] {
        assert_eq!(farm.wait_for_end(job, END)["status"], "completed");
    }
    refused(cases, "beginning of an id, or a name, that several jobs have", &["job", "twin"]);
    refused(cases, "beginning of an id, or a name, that several jobs have", &["rm", "twin"]);
    // What was meant is not guessed; a whole id always means its job.
    let begins = &over[..8];
    for name in [begins, &over] {
        let named = farm.submit(2, &quick, &["-f", "1", "-n", name]);
        assert_eq!(farm.wait_for_end(&named, END)["status"], "completed");
    }
    let case = "name of a job with which another's id begins";
    refused(cases, case, &["job", begins]);
    refused(cases, case, &["rm", begins]);
    assert_eq!(farm.node(2).ask(&["job", &over])["name"], "twin");
    refused(cases, "pausing a job that is over", &["pause", &over]);
    refused(cases, "resuming a job that isn't paused", &["resume", &over]);
    refused(cases, "approving a job that doesn't wait for it", &["approve", &over]);
    refused(cases, "cancelling a job that is over", &["cancel", &over]);
    refused(cases, "retrying where nothing failed", &["retry", &over]);
    let case = "retrying a frame that isn't the job's";
    refused(cases, case, &["retry", &over, "--frames", "99"]);
    refused(cases, "malformed frame spec", &["retry", &over, "--frames", "1-"]);
    refused(cases, "malformed frame spec", &["extend", &over, "--frames", "1-"]);
    refused(cases, "extending by frames that are all there", &["extend", &over, "--frames", "1"]);
    refused(cases, "changing the priority of a job that is over", &["priority", &over, "9"]);
    refused(cases, "log of a frame that is no number", &["logs", &over, "seven"]);

    // A job that waits for what never comes.
    let patient = farm.script("patient", "while [ ! -e \"$MARKS/go\" ]; do sleep 0.1; done");
    let job = farm.submit(2, &patient, &["-f", "1-8"]);
    // Its status changes by itself until then.
    _ = farm.wait_for_job(&job, END, "it renders", |job| job["status"] == "rendering");
    refused(cases, "removing a job that goes on", &["rm", &job]);
    refused(cases, "resuming a job that isn't paused", &["resume", &job]);
    _ = run(&["pause", &job]).ok();
    refused(cases, "pausing a paused job", &["pause", &job]);
    refused(cases, "removing a job that goes on", &["rm", &job]);
    let case = "log of a frame that nothing rendered so far";
    refused(cases, case, &["logs", &job, "8"]);
    _ = run(&["cancel", &job]).ok();
    _ = farm.wait_for_end(&job, END);
    let case = "retrying or extending a cancelled job, also where all that it had was done by then";
    refused(cases, case, &["retry", &job]);
    refused(cases, case, &["extend", &job, "--frames", "9"]);
    refused(cases, "cancelling a job that is over", &["cancel", &job]);
    let kept: Output = run(&["job", &job]);
    cases.require(kept.status == 0, "a job to which much was refused can't be shown");
}
