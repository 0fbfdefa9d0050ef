//! Whether all nodes tell the same of what happened, and nothing of it is missing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weft_tests::bench::figures::Verdict;
use weft_tests::wait_for;

use crate::farm::{Farm, PATIENCE};

/// What one result says, in the words of the job's document.
fn results(job: &Value) -> Vec<String> {
    let frames = job["frames"].as_array().into_iter().flatten();
    let result = |frame: &Value| {
        let of = |field: &str| frame[field].to_string();
        ["frame", "status", "generation", "attempt", "node", "output"].map(of).join(" ")
    };
    frames.map(result).collect()
}

/// Judges jobs that are over, each of so many frames: every frame is done, once, and all nodes tell the
/// same of it.
pub(crate) fn judge(verdict: &mut Verdict, farm: &Farm, jobs: &BTreeMap<String, usize>) {
    let (mut lost, mut apart) = (0, 0);
    for (job, frames) in jobs {
        let told = || -> Vec<Vec<String>> {
            let all = 0..farm.daemons.len();
            all.map(|at| farm.job(at, job).map(|job| results(&job)).unwrap_or_default()).collect()
        };
        let mut seen = told();
        if seen.iter().any(|other| *other != seen[0]) {
            seen = wait_for(PATIENCE, "all nodes tell the same", || {
                let seen = told();
                seen.iter().all(|other| *other == seen[0]).then_some(seen)
            });
            apart += 1;
        }
        let done = seen[0].iter().filter(|line| line.contains(" \"done\" ")).count();
        let names: BTreeSet<&str> =
            seen[0].iter().filter_map(|line| line.split(' ').next()).collect();
        lost += frames.abs_diff(done) + frames.abs_diff(names.len());
    }
    let frames: usize = jobs.values().sum();
    println!("{} jobs with {frames} frames, looked at on {} nodes", jobs.len(), farm.daemons.len());
    println!("jobs of which the last results were still on their way to some node: {apart}");
    verdict.at_most("frames that are not done exactly once", lost as f64, 0.0);
}

/// The starts of engines in a node's log, in order: the term of each, and the highest term that the node had
/// told of before.
fn starts(log: &str) -> Vec<(u64, u64)> {
    let (mut highest, mut starts) = (0, Vec::new());
    for line in log.lines() {
        let Some(term) = line.split("term=").nth(1) else { continue };
        let term = term.split_whitespace().next().and_then(|term| term.parse().ok());
        let Some(term) = term else { continue };
        if line.contains("an engine is started") {
            starts.push((term, highest));
        } else {
            highest = highest.max(term);
        }
    }
    starts
}

/// Judges that no node has started anything for a term below one that it had followed.
pub(crate) fn judge_terms(verdict: &mut Verdict, farm: &Farm) {
    let logs = farm.daemons.iter().map(|daemon| starts(&daemon.log()));
    let all: Vec<(u64, u64)> = logs.flatten().collect();
    let stale = all.iter().filter(|(term, highest)| term < highest).count();
    println!("{} starts of engines", all.len());
    verdict.at_least("starts of engines that were looked at", all.len() as f64, 1.0);
    verdict.at_most("starts by a stale leader's word", stale as f64, 0.0);
}
