//! What ten daemons use that have nothing to do: memory, processor, and the bytes that they send each
//! other, as their network interfaces count them.
//!
//! `cargo bench -p weft-tests --bench idle -- [--nodes 10] [--seconds 60] [--strict]`; the bytes need
//! root, for network namespaces

use std::time::{Duration, Instant};

use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given, option};
use weft_tests::bench::network::Network;
use weft_tests::bench::usage;

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let (nodes, seconds) = (option("--nodes", 10), option("--seconds", 60));
    let folder = tempfile::Builder::new().prefix("weft-idle-").tempdir().expect("room");
    let folder = folder.path();
    let network = Network::new(nodes, 1000);
    let mut verdict = Verdict::default();
    let daemon = |number: usize| {
        let name = format!("n{number}");
        match &network {
            None => Daemon::local(folder, &name),
            Some(network) => {
                let address = network.address(number);
                Daemon::within(folder, &name, &network.name(number), &address)
            }
        }
    };
    let mut daemons: Vec<Daemon> = (0..nodes).map(daemon).collect();
    daemon::found(&mut daemons);
    // Until all have met, and what they told each other is known.
    daemon::settle(&daemons);
    std::thread::sleep(Duration::from_secs(10));
    let look = || -> Vec<(usage::Usage, (u64, u64))> {
        let numbered = daemons.iter().enumerate();
        let one = |(number, daemon): (usize, &Daemon)| {
            let bytes = network.as_ref().map_or((0, 0), |network| network.bytes(number));
            (usage::of(daemon.process().expect("it runs")), bytes)
        };
        numbered.map(one).collect()
    };
    let (before, begun) = (look(), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let (after, took) = (look(), begun.elapsed().as_secs_f64());
    println!("node   MiB   % of a core   KiB/s sent   KiB/s received");
    let (mut rss, mut cpu, mut bytes) = (0.0_f64, 0.0_f64, Vec::new());
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        let percent = (after.0.cpu - before.0.cpu).as_secs_f64() / took * 100.0;
        let rate = |after: u64, before: u64| (after - before) as f64 / 1024.0 / took;
        let (sent, received) = (rate(after.1.0, before.1.0), rate(after.1.1, before.1.1));
        let held = after.0.rss;
        println!("{number:4} {held:5.1} {percent:13.2} {sent:12.2} {received:16.2}");
        (rss, cpu) = (rss.max(held), cpu.max(percent));
        bytes.push(sent.max(received));
    }
    verdict.at_most("memory of the largest daemon, MiB", rss, 40.0);
    verdict.at_most("processor of the busiest, % of a core", cpu, 0.5);
    if network.is_some() {
        // The leader is reported to by all others, and answers each.
        let most = bytes.iter().copied().fold(0.0, f64::max);
        println!("most bytes one way, which are the leader's: {most:.2} KiB/s");
        let mean = bytes.iter().sum::<f64>() / bytes.len() as f64;
        verdict.at_most("bytes one way in the mean, with all headers, KiB/s", mean, 2.0);
    } else {
        println!("network namespaces can't be made here (root is needed): no bytes");
    }
    verdict.end();
}
