//! Machines die at any moment, and nothing that was acknowledged is lost.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use weft_tests::{Farm, in_status, wait_for};

const MINUTE: Duration = Duration::from_secs(60);

/// Renders for a while, then writes the frame's number and the node's name.
fn slow(farm: &Farm, seconds: &str) -> PathBuf {
    farm.script("slow", &format!("sleep {seconds}\necho \"$FRAME $NODE\" > \"$OUTPUT\"\n"))
}

fn out(farm: &Farm) -> String {
    farm.folder().join("out").display().to_string()
}

/// Waits until every frame is in `folder`, once, and says what each holds.
fn delivered(folder: &str, frames: usize) -> Vec<String> {
    let mut files = wait_for(MINUTE, "every frame in the output folder", || {
        let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        // What is being written has another name until it is whole.
        let whole = entries.filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".txt") && !name.starts_with('.')
        });
        let files: Vec<PathBuf> = whole.collect();
        (files.len() >= frames).then_some(files)
    });
    assert_eq!(files.len(), frames, "{files:?}");
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn frame_of(line: &str) -> i64 {
    line.split(' ').next().and_then(|frame| frame.parse().ok()).unwrap_or(-1)
}

/// SplitMix64, seeded by the test's number: moments that are random, and the same in every run.
fn moments(count: u64) -> impl Iterator<Item = Duration> {
    (1..=count).map(|n| {
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_millis(200 + (z ^ (z >> 31)) % 1500)
    })
}

#[test]
fn the_leader_is_killed_at_twenty_moments() {
    let mut farm = Farm::found(3);
    let scene = slow(&farm, "0.4");
    let mut took = Vec::new();
    for (round, moment) in moments(20).enumerate() {
        farm.forget_starts();
        let folder = farm.folder().join(format!("out{round}"));
        let leader = farm.leader();
        let at = (1..=3).find(|node| *node != leader).unwrap();
        let options = ["-f", "1-12", "-o", &folder.display().to_string()];
        let job = farm.submit(at, &scene, &options);
        std::thread::sleep(moment);
        let before = farm.job_now(&job).unwrap_or_default();
        let elsewhere: Vec<i64> = in_status(&before, "rendering")
            .iter()
            .filter(|frame| frame["node_name"] != farm.node(leader).name())
            .filter_map(|frame| frame["frame"].as_i64())
            .collect();
        farm.kill9(leader);
        let killed = Instant::now();
        let next = wait_for(MINUTE, "another leader", || {
            farm.agreed().map(|(leader, _)| leader).filter(|next| *next != leader)
        });
        took.push(killed.elapsed());
        let document = farm.wait_for_end(&job, MINUTE);
        assert_eq!(document["status"], "completed", "round {round}");
        for frame in elsewhere {
            let starts = farm.starts(frame);
            assert_eq!(starts.len(), 1, "round {round}: frame {frame} was started by {starts:?}");
        }
        let lines = delivered(&folder.display().to_string(), 12);
        let frames: Vec<i64> = lines.iter().map(|line| frame_of(line)).collect();
        assert_eq!(frames, (1..=12).collect::<Vec<_>>(), "round {round}");
        farm.start(leader);
        assert_ne!(next, leader);
    }
    took.sort();
    let p95 = took[took.len() * 95 / 100 - 1];
    println!("20 leaders killed: another led after {:?} in the median, p95 {p95:?}", took[10]);
    assert!(p95 <= Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_worker_is_killed_in_mid_frame() {
    let mut farm = Farm::found(3);
    let scene = slow(&farm, "1.5");
    let leader = farm.leader();
    let job = farm.submit(leader, &scene, &["-f", "1-6", "-o", &out(&farm)]);
    let (victim, frame) = wait_for(MINUTE, "a frame on another node", || {
        let document = farm.job_now(&job)?;
        let rendering = in_status(&document, "rendering");
        rendering.iter().find_map(|frame| {
            let number = (1..=3).find(|n| frame["node_name"] == farm.node(*n).name())?;
            (number != leader).then_some((number, frame["frame"].as_i64()?))
        })
    });
    farm.kill9(victim);
    let document = farm.wait_for_end(&job, MINUTE);
    assert_eq!(document["status"], "completed");
    assert_eq!(delivered(&out(&farm), 6).len(), 6);
    assert!(farm.starts(frame).len() >= 2, "frame {frame} was rendered elsewhere");
}

#[test]
fn the_node_that_was_submitted_to_is_killed_right_after() {
    let mut farm = Farm::found(3);
    let scene = slow(&farm, "0.3");
    let leader = farm.leader();
    let at = (1..=3).find(|node| *node != leader).unwrap();
    let job = farm.submit(at, &scene, &["-f", "1-8"]);
    farm.kill9(at);
    std::fs::remove_file(&scene).unwrap();
    let document = farm.wait_for_end(&job, MINUTE);
    assert_eq!(document["status"], "completed");
    let other = farm.up()[0];
    let to = farm.folder().join("fetched");
    _ = farm.node(other).run(&["outputs", &job, "--to", &to.display().to_string()]).ok();
    assert_eq!(delivered(&to.display().to_string(), 8).len(), 8);
}

#[test]
fn all_nodes_are_killed_and_started_again() {
    let mut farm = Farm::found(3);
    let scene = slow(&farm, "0.4");
    let job = farm.submit(1, &scene, &["-f", "1-12", "-o", &out(&farm)]);
    let done = |document: &Value| document["frames_done"].as_u64().unwrap_or(0);
    wait_for(MINUTE, "some frames", || farm.job_now(&job).filter(|job| done(job) >= 4));
    for node in 1..=3 {
        farm.kill9(node);
    }
    farm.start_all(&[1, 2, 3]);
    let known = wait_for(MINUTE, "the job to be known again", || {
        farm.job_now(&job).filter(|job| done(job) >= 4)
    });
    let were_done: Vec<i64> =
        in_status(&known, "done").iter().filter_map(|frame| frame["frame"].as_i64()).collect();
    let document = farm.wait_for_end(&job, MINUTE);
    assert_eq!(document["status"], "completed");
    for frame in were_done.into_iter().take(4) {
        assert_eq!(farm.starts(frame).len(), 1, "frame {frame} was done, and rendered again");
    }
    assert_eq!(delivered(&out(&farm), 12).len(), 12);
}

#[test]
fn a_failing_frame_fails_after_its_retries_and_is_retried_alone() {
    let farm = Farm::found(3);
    let flag = farm.folder().join("mended");
    let text = format!(
        "if [ \"$FRAME\" = 3 ] && [ ! -e {0} ]; then echo no light in frame 3; exit 7; fi\n\
         echo \"$FRAME $NODE\" > \"$OUTPUT\"\n",
        flag.display()
    );
    let scene = farm.script("broken", &text);
    let job = farm.submit(1, &scene, &["-f", "1-5", "--retries", "2", "-o", &out(&farm)]);
    let document = farm.wait_for_end(&job, MINUTE);
    assert_eq!(document["status"], "failed");
    let message = document["error_message"].as_str().unwrap();
    assert!(message.contains("frame 3") && message.contains("no light in frame 3"), "{message}");
    assert_eq!(document["frames_done"], 4);
    let mut tried = farm.starts(3);
    tried.sort();
    tried.dedup();
    assert_eq!(tried.len(), 3, "each try on another node");
    let log = farm.node(2).run(&["logs", &job, "3"]).ok();
    assert!(log.stdout.contains("no light in frame 3"), "{log:?}");
    farm.forget_starts();
    std::fs::write(&flag, "").unwrap();
    _ = farm.node(3).run(&["retry", &job]).ok();
    let document = farm.wait_for_end(&job, MINUTE);
    assert_eq!(document["status"], "completed");
    for frame in [1, 2, 4, 5] {
        assert!(farm.starts(frame).is_empty(), "frame {frame} was done");
    }
    assert_eq!(delivered(&out(&farm), 5).len(), 5);
}

#[test]
fn test_frames_gate_the_rest_and_controls_that_do_not_fit_change_nothing() {
    let farm = Farm::found(2);
    let text = "if [ \"$FRAME\" = 4 ]; then echo dark; exit 1; fi\necho \"$FRAME\" > \"$OUTPUT\"\n";
    let scene = farm.script("dark", text);
    let tests = ["-f", "1-6", "--test-frames", "2,4", "--retries", "0"];
    let job = farm.submit(1, &scene, &[&tests[..], &["--stop-after-test"]].concat());
    let document = farm.wait_for_end(&job, MINUTE);
    assert_eq!(document["status"], "failed");
    let message = document["error_message"].as_str().unwrap();
    assert!(message.contains("test frame 4") && message.contains("dark"), "{message}");
    for frame in [1, 3, 5, 6] {
        assert!(farm.starts(frame).is_empty(), "frame {frame} started");
    }
    let is_test = |document: &Value, frame: i64| {
        let frames = document["frames"].as_array().unwrap();
        frames.iter().any(|f| f["frame"] == frame && f["is_test_frame"] == true)
    };
    assert!(is_test(&document, 2) && !is_test(&document, 1));
    for refused in [&["pause", &job][..], &["resume", &job], &["approve", &job]] {
        let refused = farm.node(2).run(refused).ended_with(1);
        assert!(refused.stderr.contains("nothing was changed"), "{refused:?}");
    }
    farm.forget_starts();
    let job = farm.submit(1, &scene, &tests);
    let document = farm.wait_for_end(&job, MINUTE);
    assert_eq!((&document["status"], &document["frames_done"]), (&"failed".into(), &5.into()));
    _ = farm.node(1).run(&["rm", &job]).ok();
    _ = farm.node(2).run(&["job", &job]).ended_with(1);
}

#[test]
fn a_paused_job_rests_and_a_cancelled_one_ends_its_engines() {
    let farm = Farm::found(2);
    let marker = farm.folder().join("left");
    let text = format!(
        "(trap '' TERM; sleep 30; echo x > {0}) &\nsetsid sh -c 'sleep 30; echo y > {0}' &\nsleep 2\n\
         echo \"$FRAME\" > \"$OUTPUT\"\nkill %1\n",
        marker.display()
    );
    let scene = farm.script("forks", &text);
    let job = farm.submit(1, &scene, &["-f", "1-20"]);
    wait_for(MINUTE, "frames to render", || {
        farm.job_now(&job).filter(|job| in_status(job, "rendering").len() == 2)
    });
    _ = farm.node(2).run(&["pause", &job]).ok();
    let paused = wait_for(MINUTE, "running frames to finish", || {
        farm.job_now(&job).filter(|job| in_status(job, "rendering").is_empty())
    });
    assert_eq!(paused["status"], "paused");
    _ = farm.node(1).run(&["resume", &job]).ok();
    wait_for(MINUTE, "frames to render again", || {
        farm.job_now(&job).filter(|job| !in_status(job, "rendering").is_empty())
    });
    _ = farm.node(1).run(&["cancel", &job]).ok();
    let folder = farm.folder().to_owned();
    wait_for(MINUTE, "every engine to be gone", || (running_below(&folder) == 0).then_some(()));
    let document = farm.job(&job);
    assert_eq!(document["status"], "cancelled");
    assert!(!marker.exists());
}

/// How many processes of engines have their working folder below `folder`.
fn running_below(folder: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| {
            std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| {
                cwd.starts_with(folder) && cwd.to_string_lossy().contains("attempts")
            })
        })
        .count()
}
