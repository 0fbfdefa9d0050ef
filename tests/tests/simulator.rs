//! The simulator in CI: many seeds, the same twice, real signatures, and planted bugs.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weft_tests::sim::{Outcome, Planted, Setup, run};

/// How many seeds are run, for how long each. `WEFT_SEEDS` asks for another number.
const SEEDS: u64 = 300;
const SPAN: Duration = Duration::from_secs(3600);
/// How many seeds a planted bug has to be found in.
const PLANTED_SEEDS: u64 = 16;

/// Runs seeds on all cores until `stop` is content with an outcome, and says which it was.
fn search(
    seeds: std::ops::Range<u64>,
    setup: impl Fn(u64) -> Setup + Sync,
    stop: impl Fn(&Outcome) -> bool + Sync,
) -> Option<(u64, Outcome)> {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while found.lock().expect("no panic").is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(&setup(seed));
                    if stop(&outcome) {
                        *found.lock().expect("no panic") = Some((seed, outcome));
                    }
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}

fn seed(seed: u64) -> Setup {
    Setup { span: SPAN, ..Setup::new(seed) }
}

#[test]
fn every_invariant_holds_in_every_seed() {
    let asked = std::env::var("WEFT_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let seeds = asked.unwrap_or(SEEDS);
    let broken = search(1..seeds + 1, seed, |outcome| outcome.broken.is_some());
    if let Some((seed, outcome)) = broken {
        let broken = outcome.broken.expect("it is why the search ended");
        panic!("seed {seed}: {broken}\nsee it again with: simulate --seed {seed}");
    }
}

#[test]
fn a_seed_happens_the_same_way_every_time() {
    let mut traces = BTreeSet::new();
    for number in 500..504 {
        let short = || Setup { span: Duration::from_secs(900), ..seed(number) };
        let (first, second) = (run(&short()), run(&short()));
        assert_eq!((first.trace, first.figures), (second.trace, second.figures), "seed {number}");
        traces.insert(first.trace);
    }
    assert_eq!(traces.len(), 4, "and every seed in another");
}

#[test]
fn it_holds_with_real_signatures() {
    let setup = |number| {
        let span = Duration::from_secs(600);
        Setup { real_signatures: true, span, ..seed(number) }
    };
    let broken = search(1..5, setup, |outcome| outcome.broken.is_some());
    assert!(broken.is_none(), "{:?}", broken.map(|(seed, outcome)| (seed, outcome.broken)));
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for planted in Planted::ALL {
        let setup = |number| Setup { planted: Some(*planted), ..seed(number) };
        match search(1..PLANTED_SEEDS + 1, setup, |outcome| outcome.broken.is_some()) {
            Some((seed, outcome)) => {
                let broken = outcome.broken.expect("it is why the search ended");
                println!("{}: seed {seed}, {broken}", planted.name());
            }
            None => missed.push(planted.name()),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
