//! Every core is taken by renders: no node that lives is declared dead, and the leader stays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use weft_tests::bench::figures::{Verdict, option};

use crate::farm::{Farm, statuses};
use crate::history;

const NODES: usize = 9;
/// A frame computes on two cores for a while.
const FRAME: &str = "timeout 20 sh -c 'while :; do :; done' & timeout 20 sh -c 'while :; do :; done'; wait\n\
                     echo \"frame $FRAME\" >\"$OUTPUT\"\n";
/// What a daemon's log says of a node that it takes for dead.
const DEAD: &str = "it has been silent for too long";

pub(crate) fn run(verdict: &mut Verdict) {
    let minutes = option("--minutes", 10);
    let farm = Farm::found(NODES, None, |_, _| ());
    let scene = farm.script("busy", FRAME);
    let frames = NODES * (minutes * 3).max(1);
    let options = ["-f", &format!("1-{frames}")];
    let leader = farm.agree();
    let job = farm.try_submit(0, &scene, &options).expect("all are up");
    let (begun, mut dead, mut looks) = (Instant::now(), 0, 0);
    let (mut others, mut processes) = (0, 0.0_f64);
    while begun.elapsed() < Duration::from_secs(60 * minutes as u64) {
        std::thread::sleep(Duration::from_secs(2));
        processes = processes.max(load());
        for daemon in &farm.daemons {
            let Some(nodes) = daemon.try_json(&["nodes", "--json"]) else { continue };
            let all = nodes.as_array().into_iter().flatten();
            dead += all.filter(|node| node["state"] == "dead").count();
            let status = daemon.try_json(&["status", "--json"]);
            others += usize::from(status.is_some_and(|s| s["leader"] != leader.as_str()));
            looks += 1;
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{processes:.0} processes at once wanted {cores} cores; {looks} looks");
    let logged =
        farm.daemons.iter().map(|daemon| daemon.log().matches(DEAD).count()).sum::<usize>();
    verdict.at_least("times as many processes as cores", processes / cores as f64, 2.0);
    verdict.at_most("nodes seen dead that lived", dead as f64, 0.0);
    verdict.at_most("connections closed on that account", logged as f64, 0.0);
    verdict.at_most("looks that saw another leader, or none", others as f64, 0.0);
    let job_now = farm.job(0, &job).expect("a node tells");
    println!("of {frames} frames: {:?}", statuses(&job_now));
    _ = farm.wait_for_end(0, &job, Duration::from_secs(600));
    history::judge(verdict, &farm, &BTreeMap::from([(job, frames)]));
}

/// How many processes wanted a core in the last minute, on average.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
