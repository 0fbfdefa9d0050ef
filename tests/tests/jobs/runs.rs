//! Runs of frames: several in one process, each done on its own.

use std::time::Instant;

use serde_json::Value;
use weft_tests::{Farm, in_status, wait_for, write_file};

use super::{END, done, wait_for_starts};

/// Frame 7 breaks unless the file `mended` is there, and mends itself.
const BREAKS: &str = "if [ $FRAME = 7 ] && [ ! -e \"$MARKS/mended\" ]; then\n\
    touch \"$MARKS/mended\"; echo 'out of film' >&2; exit 9\nfi\n\
    sleep 0.2; echo \"frame $FRAME\" >\"$OUTPUT\"; echo \"said of $FRAME\"\n";

/// The frames of each process that was started, as frame specs.
fn processes(farm: &Farm) -> Vec<String> {
    let noted = std::fs::read_to_string(farm.marks().join("processes")).unwrap_or_default();
    noted.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
}

fn frame(job: &Value, number: i64) -> Value {
    let frames = job["frames"].as_array().unwrap();
    frames.iter().find(|frame| frame["frame"] == number).unwrap().clone()
}

#[test]
fn a_crash_after_some_frames_keeps_those() {
    let farm = Farm::found(1);
    for ending in ["shs", "shq"] {
        let scene = write_file(farm.folder().join("scenes").join(format!("film.{ending}")), BREAKS);
        let out = farm.folder().join(ending);
        let out_text = out.display().to_string();
        let options = ["-f", "1-10", "--chunk-size", "10", "--retries", "1", "-o", &out_text];
        let begun = Instant::now();
        let job = farm.submit(1, &scene, &options);
        let document = farm.wait_for_end(&job, END);
        let elapsed = begun.elapsed().as_secs_f64();
        assert_eq!(document["status"], "completed", "{document:#}");
        assert_eq!(document["frames_done"], 10);
        assert_eq!(processes(&farm)[0], "1-10");
        // Where the engine does not tell, nobody knows whether the last file before the crash is whole.
        let (crashed, again) = if ending == "shs" { (7, 7) } else { (6, 7) };
        let mut took = 0.0;
        for number in 1..=10 {
            let starts = farm.starts(number).len();
            let twice = (crashed..=again).contains(&number);
            assert_eq!(starts, if twice { 2 } else { 1 }, "frame {number}: {ending}");
            let document = frame(&document, number);
            took += document["render_time"].as_f64().unwrap();
            assert_eq!(document["attempt"], if number == crashed { 2 } else { 1 });
            assert!(document["output"][0]["hash"].is_string());
            // And the part of the log that is its own.
            let log = farm.node(1).run(&["logs", &job, &number.to_string()]).ok().stdout;
            assert!(log.contains(&format!("said of {number}\n")), "{number}: {log}");
            // Where the engine does not tell when it saves, all that was said so far.
            let alone = number == 1
                || ending == "shq"
                || !log.contains(&format!("said of {}\n", number - 1));
            assert!(alone, "{log}");
        }
        // Each has a time of its own: what the frames before took is not in it. A single one is known as well as
        // its end was noticed; together they are what has passed, of which each slept its part.
        assert!((1.9..=elapsed).contains(&took), "{took} of {elapsed}: {document:#}");
        let names = (1..=10).map(|number| format!("film_{number:04}.txt"));
        farm.wait_for_files(&out, names);
        let text = std::fs::read_to_string(out.join("film_0007.txt")).unwrap();
        assert_eq!(text, "frame 7\n");
        for file in ["mended", "processes"] {
            std::fs::remove_file(farm.marks().join(file)).unwrap();
        }
        farm.forget_starts();
    }
}

#[test]
fn test_frames_go_in_runs_of_their_own_and_retries_too() {
    let farm = Farm::found(2);
    let scene = farm.folder().join("scenes/film.shs");
    let scene = write_file(scene, "sleep 0.1; echo \"$FRAME $RANDOM\" >\"$OUTPUT\"\n");
    let options = ["-f", "1-12", "--frames-per-task", "4", "--test-frames", "2,5,11"];
    let job = farm.submit(2, &scene, &options);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    let noted = processes(&farm);
    assert_eq!(noted[0], "2,5,11", "{noted:?}");
    assert_eq!(noted.len(), 4, "{noted:?}");
    _ = farm.node(1).run(&["retry", &job, "--frames", "3-6"]).ok();
    let again = |document: &Value| {
        let frames = in_status(document, "done").into_iter();
        frames.filter(|frame| frame["generation"] == 1).count() == 4
    };
    let _ = farm.wait_for_job(&job, END, "four frames are rendered anew", again);
    // A test frame that is wanted anew goes before the others again.
    assert_eq!(processes(&farm)[4..], ["5", "3-4,6"]);
}

#[test]
fn a_pause_ends_a_run_between_two_frames_and_cancel_ends_it_at_once() {
    let farm = Farm::found(1);
    let scene = farm.folder().join("scenes/film.shs");
    let text = "while [ ! -e \"$MARKS/go$FRAME\" ]; do sleep 0.05; done\necho x >\"$OUTPUT\"\n";
    let scene = write_file(scene, text);
    let job = farm.submit(1, &scene, &["-f", "1-6", "--frames-per-task", "6"]);
    wait_for_starts(&farm, 1);
    let job_is = |status: &'static str| move |document: &Value| document["status"] == status;
    _ = farm.node(1).run(&["pause", &job]).ok();
    let _ = farm.wait_for_job(&job, END, "it is paused", job_is("paused"));
    write_file(farm.marks().join("go1"), "");
    let what = "the frame that was begun is done, and the others are open again";
    let document = farm.wait_for_job(&job, END, what, |document| {
        done(document).len() == 1 && in_status(document, "pending").len() == 5
    });
    assert_eq!(done(&document).into_iter().collect::<Vec<_>>(), [1]);
    _ = farm.node(1).run(&["resume", &job]).ok();
    wait_for(END, "the rest goes out again", || (processes(&farm).len() == 2).then_some(()));
    assert_eq!(processes(&farm)[1], "2-6");
    let took = frame(&document, 1)["render_time"].as_f64().unwrap();
    farm.wait_for_job(&job, END, "they are done one after the other", |document| {
        let rate = document["rate_per_minute"].as_f64();
        rate.is_some_and(|rate| rate * took < 61.0) && document["frames_running"] == 5
    });
    write_file(farm.marks().join("go2"), "");
    let _ = farm.wait_for_job(&job, END, "two are done", |document| done(document).len() == 2);
    _ = farm.node(1).run(&["cancel", &job]).ok();
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "cancelled");
    assert_eq!(done(&document).into_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_refused_licence_keeps_what_is_done_of_a_run_and_puts_the_rest_back() {
    let licence = "[engine.licensed]\nbase = \"runs\"\nextensions = [\"licensed\"]\n\
                   [engine.licensed.log]\nlicence = ['no licence for (?<text>.*)']\n";
    let farm = Farm::configured(1, |_| licence.to_owned());
    let text = "if [ $FRAME = 3 ] && [ ! -e \"$MARKS/seat\" ]; then\n\
                echo 'no licence for shiny 3'; exit 1\nfi\necho fine >\"$OUTPUT\"\n";
    let scene = write_file(farm.folder().join("scenes/film.licensed"), text);
    let options = ["-f", "1-4", "--frames-per-task", "4", "--retries", "0"];
    let job = farm.submit(1, &scene, &options);
    let document = farm.wait_for_job(&job, END, "the rest waits for a licence", |job| {
        let why = job["waiting_for"].as_str();
        // It says so as soon as the rest is back, when what was rendered may not be done yet.
        why.is_some_and(|why| why.contains("shiny 3")) && done(job).len() == 2
    });
    assert_eq!(done(&document).into_iter().collect::<Vec<_>>(), [1, 2], "{document:#}");
    write_file(farm.marks().join("seat"), "");
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    assert_eq!(processes(&farm), ["1-4", "3-4"]);
    assert_eq!(frame(&document, 3)["attempt"], 1, "it counts as no attempt");
}
