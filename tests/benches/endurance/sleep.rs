//! Machines that sleep for 1 to 60 s and wake, some at once: no stale leader's word is followed, and
//! nothing is lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use weft_tests::Random;
use weft_tests::bench::figures::{Verdict, option};

use crate::farm::Farm;
use crate::history;

const NODES: usize = 9;
/// How many stand still at once, at most.
const AT_ONCE: usize = 3;
/// Frames of which each takes a second.
const FRAME: &str = "sleep 1\necho \"frame $FRAME\" >\"$OUTPUT\"\n";
/// The frames of a job; there is always one that goes on.
const FRAMES: usize = 400;

pub(crate) fn run(verdict: &mut Verdict) {
    let stops = option("--stops", 200);
    let farm = Farm::found(NODES, None, |_, _| ());
    let mut random = Random::seeded(11);
    let scene = farm.script("second", FRAME);
    let (mut jobs, mut current) = (BTreeMap::new(), None::<String>);
    let mut asleep: BTreeMap<usize, Instant> = BTreeMap::new();
    let (begun, mut made, mut slept, mut leaders) = (Instant::now(), 0, 0.0, 0);
    while made < stops || !asleep.is_empty() {
        let now = Instant::now();
        for number in 0..NODES {
            if asleep.get(&number).is_some_and(|until| now >= *until) {
                stand_still(&farm, number, false);
                asleep.remove(&number);
            }
        }
        let awake: Vec<usize> = (0..NODES).filter(|n| !asleep.contains_key(n)).collect();
        if asleep.len() < AT_ONCE && made < stops {
            // Every third is the leader, by the word of somebody who is awake.
            let leader = || {
                let status = farm.daemons[awake[0]].try_json(&["status", "--json"])?;
                let name = status["leader_name"].as_str()?;
                awake.iter().copied().find(|n| farm.daemons[*n].name() == name)
            };
            let leader = if made % 3 == 0 { leader() } else { None };
            leaders += usize::from(leader.is_some());
            let any = awake[random.below(awake.len() as u64) as usize];
            // From 1 to 60 s, every order of magnitude as often.
            let fraction = random.below(10_000) as f64 / 10_000.0;
            let seconds = 60_f64.powf(fraction);
            let number = leader.unwrap_or(any);
            stand_still(&farm, number, true);
            asleep.insert(number, now + Duration::from_secs_f64(seconds));
            made += 1;
            slept += seconds;
            if made % 20 == 0 {
                println!("{made} stops after {:.0} s", begun.elapsed().as_secs_f64());
            }
        } else {
            let over = current.as_ref().is_none_or(|job| {
                farm.job(awake[0], job).is_some_and(|job| crate::farm::is_over(&job))
            });
            if over {
                let (frames, name) = (format!("1-{FRAMES}"), format!("job{}", jobs.len()));
                let options = ["-f", &frames, "-n", &name];
                if let Some(job) = farm.try_submit(awake[0], &scene, &options) {
                    jobs.insert(job.clone(), FRAMES);
                    current = Some(job);
                }
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    println!(
        "{made} stops of {:.1} s on average, {leaders} of them the leader's",
        slept / made as f64
    );
    let leader = farm.agree();
    println!("all follow {}", &leader[..8.min(leader.len())]);
    for job in jobs.keys() {
        _ = farm.wait_for_end(0, job, Duration::from_secs(600));
    }
    history::judge(verdict, &farm, &jobs);
    history::judge_terms(verdict, &farm);
}

/// A node's daemon stands still, or goes on.
fn stand_still(farm: &Farm, number: usize, still: bool) {
    use rustix::process::{Pid, Signal, kill_process};
    let process = farm.daemons[number].process().and_then(|id| Pid::from_raw(id.cast_signed()));
    let signal = if still { Signal::STOP } else { Signal::CONT };
    kill_process(process.expect("it is up"), signal).expect("a process of ours can be signalled");
}
