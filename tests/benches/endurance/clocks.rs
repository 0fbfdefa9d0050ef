//! Clocks that are set a day forward and back while the daemons run, and when they start: no certificate drops
//! out, and work goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use weft_tests::bench::figures::Verdict;

use crate::farm::{Farm, PATIENCE};
use crate::history;

const NODES: usize = 5;
/// Which node's clock is set, and how far off, in seconds.
const SET: [(usize, i64); 2] = [(1, 86_400), (3, -86_400)];
/// For how long they must still see each other: longer than any liveness takes.
const WATCHED: Duration = Duration::from_secs(45);
const FRAME: &str = "echo \"frame $FRAME\" >\"$OUTPUT\"\n";

/// Builds what lies to a program about the date; none where there is no C compiler.
fn library(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/endurance/clock.c");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
    compile.status().is_ok_and(|status| status.success()).then_some(library)
}

fn clock(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("clock{number}"))
}

pub(crate) fn run(verdict: &mut Verdict) {
    let clocks = tempfile::tempdir().expect("room");
    let Some(library) = library(clocks.path()) else {
        println!("there is no C compiler, with which clocks are set: left out");
        return;
    };
    let set = |number: usize, seconds: i64| {
        std::fs::write(clock(clocks.path(), number), seconds.to_string()).expect("room");
    };
    (0..NODES).for_each(|number| set(number, 0));
    let mut farm = Farm::found(NODES, None, |number, daemon| {
        daemon.set("LD_PRELOAD", &library.display().to_string());
        let file = clock(clocks.path(), number).display().to_string();
        daemon.set("CLOCK_OFFSET", &file);
    });
    let scene = farm.script("dated", FRAME);
    let mut jobs = BTreeMap::new();
    let work = |farm: &Farm, jobs: &mut BTreeMap<String, usize>| {
        for at in 0..NODES {
            let name = format!("job{}", jobs.len());
            let options = ["-f", "1-20", "-n", &name];
            let job = farm.try_submit(at, &scene, &options).expect("every node takes jobs");
            jobs.insert(job, 20);
        }
        for job in jobs.keys() {
            _ = farm.wait_for_end(0, job, PATIENCE);
        }
    };
    for (offsets, what) in [(true, "set a day off"), (false, "set right again")] {
        for (number, offset) in SET {
            set(number, if offsets { offset } else { 0 });
        }
        println!("clocks are {what} while the daemons run");
        watch(verdict, &farm, what);
        work(&farm, &mut jobs);
        for (number, offset) in SET {
            set(number, if offsets { offset } else { 0 });
            farm.daemons[number].kill();
            farm.daemons[number].start();
        }
        println!("clocks are {what} when the daemons start");
        for daemon in &farm.daemons {
            daemon.wait_for_nodes(NODES);
        }
        watch(verdict, &farm, &format!("{what}, and started anew"));
        work(&farm, &mut jobs);
    }
    history::judge(verdict, &farm, &jobs);
    history::judge_terms(verdict, &farm);
}

/// Looks for a while whether every node sees all others alive.
fn watch(verdict: &mut Verdict, farm: &Farm, what: &str) {
    let (begun, mut missing, mut looks) = (Instant::now(), 0, 0);
    while begun.elapsed() < WATCHED {
        for daemon in &farm.daemons {
            let nodes = daemon.json(&["nodes", "--json"]);
            let alive = nodes.as_array().into_iter().flatten();
            let alive = alive.filter(|node| node["state"] != "dead").count();
            missing += NODES.abs_diff(alive);
            looks += 1;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let what = format!("clocks {what}: nodes missing in {looks} looks");
    verdict.at_most(&what, missing as f64, 0.0);
}
