//! The leader dies: another node leads soon, and what rendered elsewhere goes on.

use std::time::{Duration, Instant};

use weft_tests::{Event, Farm, Random, frames_of, in_status, is_over, wait_for};

use super::{END, assert_started_again_only_after_deaths, names, others, successor};

/// How many leaders are killed.
const KILLS: usize = 20;
/// Within what time another node leads, in half of the cases.
const SOON: Duration = Duration::from_secs(5);
/// Within what time one leads in all of them: a vote waits for disks and cores that are busy.
const AT_LAST: Duration = Duration::from_secs(30);
/// How many frames a job has: enough for a few deaths. Each is short, since one that looks late may rightly be
/// begun a second time.
const FRAMES: i64 = 60;

#[test]
fn leaders_are_killed_at_random_moments_of_jobs() {
    let mut farm = Farm::found(3);
    let scene = farm.scene("ball", 160, 16);
    let mut random = Random::seeded(2);
    let mut took = Vec::new();
    for round in 1.. {
        farm.forget_starts();
        let out = farm.folder().join(format!("out{round}"));
        let at = farm.up()[random.below(3) as usize];
        let frames = format!("1-{FRAMES}");
        let options = ["-f", &frames, "-e", "marked", "-o", &out.display().to_string()];
        let job = farm.submit(at, &scene, &options);
        let mut done = Vec::new();
        while took.len() < KILLS {
            std::thread::sleep(Duration::from_millis(random.below(1500)));
            let (leader, term) = agreement(&farm);
            // The others' word: what is done is known to more than the one that dies.
            let path = format!("/v1/jobs/{job}");
            let document = farm.node(others(&farm, leader)[0]).get(&path).unwrap_or_default();
            if is_over(&document) {
                break;
            }
            done.push(frames_of(&in_status(&document, "done")));
            let killed = farm.kill9(leader);
            let again = successor(&farm, leader, term);
            took.push(killed.elapsed());
            println!(
                "job {round}: {} of {FRAMES} frames done, node{leader} killed, node{again} led after {:?}",
                done[done.len() - 1].len(),
                took[took.len() - 1]
            );
            farm.start(leader);
        }
        let begun = Instant::now();
        let document = farm.wait_for_end(&job, END);
        assert_eq!(document["status"], "completed", "{document:#}");
        farm.wait_for_files(&out, names("ball", FRAMES, "png"));
        println!("job {round}: over and delivered {:?} after the last death", begun.elapsed());
        let events = farm.events();
        assert_started_again_only_after_deaths(&events);
        assert_done_stays_done(&events, &done);
        if took.len() == KILLS {
            break;
        }
    }
    took.sort_unstable();
    let (median, p95) = (took[KILLS / 2], took[KILLS * 95 / 100 - 1]);
    println!("{KILLS} leaders killed: another led after {took:?}; median {median:?}, p95 {p95:?}");
    assert!(median <= SOON && took[KILLS - 1] <= AT_LAST, "{took:?}");
}

fn agreement(farm: &Farm) -> (usize, u64) {
    wait_for(END, "the nodes follow one leader", || farm.agreed())
}

/// What was done before a death isn't started after it. `done` holds what was done before each.
fn assert_done_stays_done(events: &[Event], done: &[Vec<i64>]) {
    let mut deaths = 0;
    for event in events {
        match event {
            Event::Killed { .. } => deaths += 1,
            Event::Start { frame, node } if deaths > 0 => {
                let was_done = done[deaths - 1].contains(frame);
                assert!(!was_done, "frame {frame} was done, and started by {node}: {events:#?}");
            }
            _ => {}
        }
    }
}
