//! How long it takes after the leader is killed, and after it is cut off, until another one has handed
//! out a task: with three and with nine nodes. And whether frames that other nodes render meanwhile
//! are lost or started twice.
//!
//! `cargo bench -p weft-tests --bench failover -- [--trials 30] [--strict]`; the cuts need root

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given, median, option};
use weft_tests::bench::network::Network;
use weft_tests::wait_for;

/// A frame is rendered for as long as the bench holds the lock of its own file.
const HELD: &str = "flock -s \"$MARKS/lock$FRAME\" true\necho \"frame $FRAME\" >\"$OUTPUT\"\n";
/// How long the farm may take for what is no figure.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let trials = option("--trials", 30);
    let mut verdict = Verdict::default();
    for nodes in [3, 9] {
        let folder = tempfile::Builder::new().prefix("weft-failover-").tempdir().expect("room");
        let folder = folder.path();
        let mut killed = Vec::new();
        {
            let mut farm = Farm::new(folder.join("killed"), nodes, None);
            for _ in 0..trials {
                killed.push(farm.trial(&mut verdict));
            }
        }
        judge(&mut verdict, &format!("{nodes} nodes, the leader is killed"), &killed, 3.0);
        let Some(network) = Network::new(nodes, 1000) else {
            println!("network namespaces can't be made here (root is needed): no cuts");
            continue;
        };
        let mut cut = Vec::new();
        {
            let mut farm = Farm::new(folder.join("cut"), nodes, Some(&network));
            for _ in 0..trials {
                cut.push(farm.trial(&mut verdict));
            }
        }
        judge(&mut verdict, &format!("{nodes} nodes, the leader is cut off"), &cut, 6.0);
    }
    verdict.end();
}

fn judge(verdict: &mut Verdict, what: &str, took: &[f64], most: f64) {
    let mut sorted = took.to_vec();
    sorted.sort_by(f64::total_cmp);
    let p95 = sorted[(sorted.len() * 95).div_ceil(100) - 1];
    let (least, longest) = (sorted[0], sorted[sorted.len() - 1]);
    let (middle, trials) = (median(took), took.len());
    println!("{what}: {middle:.2} s in the middle of {trials}, {least:.2} to {longest:.2}");
    verdict.at_most(&format!("{what}: 95 of 100 within, s"), p95, most);
}

struct Farm<'a> {
    daemons: Vec<Daemon>,
    network: Option<&'a Network>,
    folder: PathBuf,
    scene: String,
    trials: usize,
}

impl<'a> Farm<'a> {
    fn new(folder: PathBuf, nodes: usize, network: Option<&'a Network>) -> Self {
        std::fs::create_dir_all(folder.join("marks")).expect("room");
        let daemon = |number: usize| {
            let name = format!("n{number}");
            match network {
                None => Daemon::local(&folder, &name),
                Some(network) => {
                    let address = network.address(number);
                    Daemon::within(&folder, &name, &network.name(number), &address)
                }
            }
        };
        let mut daemons: Vec<Daemon> = (0..nodes).map(daemon).collect();
        for daemon in &daemons {
            daemon.with_scripts(&folder.join("marks"));
        }
        daemon::found(&mut daemons);
        let scene = folder.join("held.sh");
        std::fs::write(&scene, HELD).expect("room");
        Self { daemons, network, scene: scene.display().to_string(), folder, trials: 0 }
    }

    fn mark(&self, name: &str) -> PathBuf {
        self.folder.join("marks").join(name)
    }

    /// The frames that were started, with the node of each start.
    fn starts(&self) -> Vec<(usize, String)> {
        let notes = std::fs::read_to_string(self.mark("events")).unwrap_or_default();
        let whole = notes.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let read = whole.filter_map(|line| {
            let mut words = line.split_whitespace();
            let frame = (words.next()? == "start").then(|| words.next()?.parse().ok())??;
            Some((frame, words.next()?.to_owned()))
        });
        read.collect()
    }

    fn hold(&self, frame: usize) -> File {
        let file = File::create(self.mark(&format!("lock{frame}"))).expect("room");
        file.lock().expect("a file can be locked");
        file
    }

    /// The number of the node that all others say leads.
    fn leader(&self) -> usize {
        wait_for(PATIENCE, "all follow one leader", || {
            let said = self.daemons.iter().map(|daemon| {
                let status = daemon.json(&["status", "--json"]);
                status["leader"].as_str().map(str::to_owned)
            });
            let said: Vec<Option<String>> = said.collect();
            let first = said.first().cloned().flatten()?;
            if said.iter().any(|leader| leader.as_ref() != Some(&first)) {
                return None;
            }
            let own =
                |daemon: &Daemon| daemon.json(&["status", "--json"])["node"] == first.as_str();
            self.daemons.iter().position(own)
        })
    }

    /// Takes the leader away while every node renders a frame and more wait, and lets one of the
    /// others finish its frame; gives how long it took until a new leader handed out another one.
    fn trial(&mut self, verdict: &mut Verdict) -> f64 {
        self.trials += 1;
        let count = self.daemons.len();
        _ = std::fs::remove_file(self.mark("events"));
        let mut held: BTreeMap<usize, File> =
            (1..=2 * count).map(|frame| (frame, self.hold(frame))).collect();
        let leader = self.leader();
        let asked = (leader + 1) % count;
        let frames = format!("1-{}", 2 * count);
        let name = format!("trial{}", self.trials);
        let call = ["submit", &self.scene, "-f", &frames, "-n", &name, "--json"];
        let job = self.daemons[asked].json(&call)["job"].as_str().expect("an id").to_owned();
        let before = wait_for(PATIENCE, "every node renders", || {
            let starts = self.starts();
            (starts.len() == count).then_some(starts)
        });
        let lost = self.daemons[leader].name();
        let others: Vec<usize> =
            before.iter().filter(|(_, node)| *node != lost).map(|(frame, _)| *frame).collect();
        let begun = Instant::now();
        match self.network {
            None => self.daemons[leader].kill(),
            Some(network) => network.cut(leader, true),
        }
        drop(held.remove(&others[0]));
        let took = loop {
            if self.starts().len() > count {
                break begun.elapsed();
            }
            assert!(begun.elapsed() < PATIENCE, "nobody hands anything out");
            std::thread::sleep(Duration::from_millis(2));
        };
        match self.network {
            None => self.daemons[leader].start(),
            Some(network) => network.cut(leader, false),
        }
        // Who was cut off would go on with the others' frames in its own half.
        _ = self.leader();
        held.clear();
        wait_for(PATIENCE, "the job is done", || {
            let job = self.daemons[asked].json(&["job", &job, "--json"]);
            (job["status"] == "completed").then_some(())
        });
        let starts = self.starts();
        for frame in others {
            let on = starts.iter().filter(|(started, _)| *started == frame);
            let on: Vec<&str> = on.map(|(_, node)| node.as_str()).collect();
            if on.len() != 1 {
                let nodes = on.join(", then on ");
                let what = format!("starts of frame {frame}, without {lost}: on {nodes}");
                verdict.at_most(&what, on.len() as f64, 1.0);
            }
        }
        for daemon in &self.daemons {
            daemon.wait_for_nodes(count);
        }
        took.as_secs_f64()
    }
}

impl Drop for Farm<'_> {
    fn drop(&mut self) {
        self.daemons.clear();
        forget(&self.folder);
    }
}

/// Deletes what a farm has left, so that the next one has the room.
fn forget(folder: &Path) {
    _ = std::fs::remove_dir_all(folder);
}
