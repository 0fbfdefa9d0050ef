//! Two builds that differ in the kinds of facts that they write: nodes go from the old one to the new one and
//! back while frames are rendered, and none is lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use weft_tests::bench::figures::Verdict;
use weft_tests::wait_for;

use crate::farm::{Farm, PATIENCE};
use crate::history;

const NODES: usize = 5;
const FRAMES: usize = 400;
const FRAME: &str = "sleep 1\necho \"frame $FRAME\" >\"$OUTPUT\"\n";
/// How long the farm works in each mixture.
const BETWEEN: Duration = Duration::from_secs(5);
/// What a job says that is given to the first node of this build while all others are of the old one, in a fact that
/// that one can't read: the frames, and for how long it is kept.
const KEPT: (usize, &str, u64) = (20, "30d", 30 * 24 * 3600);

pub(crate) fn run(verdict: &mut Verdict) {
    let old = std::env::args().skip_while(|arg| arg != "--old").nth(1).map(PathBuf::from);
    let Some(old) = old.filter(|old| old.is_file()) else {
        println!("`--old BINARY` names the weft of another build: left out");
        return;
    };
    let mut farm = Farm::found(NODES, None, |_, daemon| daemon.run_binary(Some(&old)));
    let scene = farm.script("long", FRAME);
    let (mut jobs, mut kept) = (BTreeMap::new(), None);
    let frames = format!("1-{FRAMES}");
    for (round, to) in [None, Some(&old), None].into_iter().enumerate() {
        let name = format!("round{round}");
        let job = farm.try_submit(round, &scene, &["-f", &frames, "-n", &name]);
        jobs.insert(job.expect("all are up"), FRAMES);
        let words = if to.is_none() { "this" } else { "the other" };
        println!("all nodes go to {words} build, one by one");
        for number in 0..NODES {
            std::thread::sleep(BETWEEN);
            farm.daemons[number].kill();
            farm.daemons[number].run_binary(to.map(PathBuf::as_path));
            farm.daemons[number].start();
            if (round, number) == (0, 0) {
                let (count, keep, _) = KEPT;
                let frames = format!("1-{count}");
                let options = ["-f", &frames, "-n", "kept", "--keep", keep];
                let job = wait_for(PATIENCE, "the first of this build takes a job", || {
                    farm.try_submit(0, &scene, &options)
                });
                jobs.insert(job.clone(), count);
                kept = Some(job);
            }
        }
    }
    _ = farm.agree();
    for job in jobs.keys() {
        _ = farm.wait_for_end(0, job, Duration::from_secs(900));
    }
    history::judge(verdict, &farm, &jobs);
    let knows = |at: &usize| {
        let job = kept.as_ref().and_then(|job| farm.job(*at, job));
        job.is_some_and(|job| job["keep_seconds"] == KEPT.2)
    };
    let know = (0..NODES).filter(knows).count();
    verdict.at_least("nodes that know how long the job is kept", know as f64, NODES as f64);
}
