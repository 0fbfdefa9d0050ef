//! A studio of a thousand machines in one thread, in simulated time, by the daemon's own machines: what each sends
//! while nothing happens, and a job of a hundred thousand frames. Prints how long that took and how much memory.
//!
//! `cargo bench -p weft-tests --bench large -- [--nodes 1000] [--seconds 120] [--frames 100000] [--together 10]
//! [--unit 1000] [--seed 1] [--files] [--strict]`; `--frames 0` renders nothing. A frame takes one to five units of so
//! many milliseconds. Frames leave no files unless `--files` is said: what a thousand machines know of a hundred thousand
//! is all in this process, some 60 GiB where each ends alone, and 20 where several end together (`--unit 1`).

use std::time::{Duration, Instant};

use weft_tests::bench::figures::{Verdict, given, option};
use weft_tests::bench::usage;
use weft_tests::sim::{Large, Traffic};

/// How often a node passes a message of gossip on that isn't its own, at most: to all of gossipsub's mesh, which trims
/// itself to twelve (`mesh_n_high`, as it comes), but whom it has it from. A bound: the simulator has gossip heard by
/// the shortest way, and no mesh of gossipsub's in which it could be counted.
const PASSED_ON: f64 = 11.0;

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let (nodes, seconds) = (option("--nodes", 1000), option("--seconds", 120));
    let (frames, together) = (option("--frames", 100_000), option("--together", 10));
    let mut verdict = Verdict::default();
    let begun = Instant::now();
    let seed = u64::try_from(option("--seed", 1)).unwrap_or(1);
    let unit = Duration::from_millis(option("--unit", 1000) as u64);
    let studio = Large::found(nodes, seed, given("--files"), unit);
    let mut studio = studio.expect("a leader that all follow");
    println!(
        "{nodes} machines agree after {:.0} s of their time, {:.0} s of ours; {:.1} GiB",
        studio.now().as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        gib()
    );
    let span = Duration::from_secs(seconds as u64);
    let traffic = studio.idle(span);
    let (mean, most) = told(&traffic, span);
    verdict.at_most("a machine sends while idle, mean, KiB/s", mean, 20.0);
    println!("the leader: {most:.2} KiB/s; {:.0} s of ours so far", begun.elapsed().as_secs_f64());
    if frames > 0 {
        let (frames, together) = (i32::try_from(frames), u32::try_from(together));
        let rendered =
            studio.render(frames.expect("few"), together.expect("few"), |ended, over| {
                println!(
                    "{ended} ended, {over} machines know it to be over; {:.0} s of ours, {:.1} GiB",
                    begun.elapsed().as_secs_f64(),
                    gib()
                );
            });
        let job = rendered.expect("a job that ends alike everywhere");
        println!(
            "done {}, failed {} everywhere after {:.0} s; {} facts on a disk; {:.0} s of ours, {:.1} GiB",
            job.done,
            job.failed,
            job.took.as_secs_f64(),
            job.facts,
            begun.elapsed().as_secs_f64(),
            gib()
        );
        let (mean, most) = told(&job.traffic, job.took);
        println!("a machine sent {mean:.2} KiB/s in the mean; who sent most: {most:.2}");
        println!("second attempts at frames that took long: {}", job.seconds);
        for frame in job.in_vain.iter().take(5) {
            println!("{frame}");
        }
        verdict.at_most("frames with starts that nothing asked for", job.in_vain.len() as f64, 0.0);
    }
    verdict.end();
}

/// Prints who sends what; gives KiB a second in the mean and at most, gossip's part included.
fn told(traffic: &Traffic, span: Duration) -> (f64, f64) {
    let kib = |bytes: f64| bytes / 1024.0 / span.as_secs_f64();
    let nodes = traffic.nodes.len() as f64;
    println!("message        a second   KiB/s in all");
    for (kind, sent) in &traffic.kinds {
        let rate = sent.messages as f64 / span.as_secs_f64();
        println!("{kind:12} {rate:10.1} {:14.2}", kib(sent.bytes as f64));
    }
    let gossip = traffic.gossip.bytes as f64 * PASSED_ON;
    println!(
        "gossip: {} messages, passed on by a machine at most {:.2} KiB/s",
        traffic.gossip.messages,
        kib(gossip)
    );
    let all: u64 = traffic.nodes.iter().map(|sent| sent.bytes).sum();
    let most = traffic.nodes.iter().map(|sent| sent.bytes).max().unwrap_or(0);
    (kib(all as f64 / nodes + gossip), kib(most as f64 + gossip))
}

fn gib() -> f64 {
    usage::of(std::process::id()).rss / 1024.0
}
