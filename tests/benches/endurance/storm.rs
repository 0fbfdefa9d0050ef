//! Nine nodes in network namespaces: one is killed every ten seconds, and the farm is parted every minute.
//! Nothing may be lost, nothing delivered twice, both parts go on, and one history is there at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use weft_tests::Random;
use weft_tests::bench::figures::{Verdict, option};
use weft_tests::bench::network::Network;

use crate::farm::{Farm, PATIENCE, is_over, statuses};
use crate::history;

const NODES: usize = 9;
/// How often a node is killed, and for how long it is down.
const KILLS: Duration = Duration::from_secs(10);
const DOWN: Duration = Duration::from_secs(3);
/// How often the farm is parted, and for how long.
const PARTITIONS: Duration = Duration::from_secs(60);
const PARTED: Duration = Duration::from_secs(25);
/// The frames of a job that both parts are given while they are apart.
const APART: usize = 8;
/// The frames whose files are delivered.
const DELIVERED: usize = 300;
/// A frame that takes a moment and makes a file that tells which one it is.
const SLOW: &str = "sleep 2\necho \"frame $FRAME\" >\"$OUTPUT\"\n";
const QUICK: &str = "echo \"frame $FRAME\" >\"$OUTPUT\"\n";

/// When what happens next.
struct Storm<'a> {
    farm: Farm,
    network: &'a Network,
    random: Random,
    begun: Instant,
    /// Nodes that are down, and since when.
    down: BTreeMap<usize, Instant>,
    /// The nodes of one part, while there are two, and the jobs that the parts were given.
    parted: Option<(Instant, Vec<usize>, [Option<Given>; 2])>,
    jobs: BTreeMap<String, usize>,
    kills: usize,
    partitions: usize,
    /// Parts that ended their own job while they were apart, how many had taken one, and how many parts there were.
    alone: (usize, usize, usize),
    /// When the file of each delivered name was written and made, and those that were written again.
    written: BTreeMap<String, (SystemTime, Option<SystemTime>)>,
    again: BTreeSet<String>,
}

/// A job that one part was given: at which node, and whether it was over while they were apart.
struct Given {
    job: String,
    over: bool,
}

pub(crate) fn run(verdict: &mut Verdict) {
    let minutes = option("--minutes", 20);
    let tasks = option("--tasks", 10_000);
    let Some(network) = Network::new(NODES, 1000) else {
        println!("network namespaces can't be made here (root is needed): left out");
        return;
    };
    let farm = Farm::found(NODES, Some(&network), |_, _| ());
    let last = Duration::from_secs(60 * minutes as u64);
    // Seven of nine nodes at work on average, for nine tenths of the time.
    let pause = (last.as_millis() as usize * 63 / 10 / tasks).max(1);
    let begun = Instant::now();
    let mut storm = Storm {
        farm,
        network: &network,
        random: Random::seeded(7),
        begun,
        down: BTreeMap::new(),
        parted: None,
        jobs: BTreeMap::new(),
        kills: 0,
        partitions: 0,
        alone: (0, 0, 0),
        written: BTreeMap::new(),
        again: BTreeSet::new(),
    };
    let (noop, out) = storm.submit(tasks, pause);
    let mut next_kill = begun + KILLS;
    let mut next_partition = begun + PARTITIONS / 2;
    let mut next_word = begun + Duration::from_secs(60);
    while begun.elapsed() < last {
        let now = Instant::now();
        storm.start_again(now);
        if now >= next_kill {
            next_kill += KILLS;
            storm.kill(now);
        }
        if now >= next_partition {
            next_partition += PARTITIONS;
            storm.part(now);
        }
        storm.look_at_the_parts(now);
        storm.look_at_the_files(&out);
        if now >= next_word {
            next_word += Duration::from_secs(60);
            storm.tell(&noop);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    storm.calm();
    storm.judge(verdict, &noop, tasks, &out);
}

impl Storm<'_> {
    /// The tasks, and the job whose files are delivered: their ids, and the folder.
    fn submit(&mut self, tasks: usize, pause: usize) -> (String, std::path::PathBuf) {
        let scene = self.farm.script("nothing", "");
        let (frames, argument) = (format!("1-{tasks}"), format!("pause={pause}"));
        let noop = ["-e", "noop", "-f", &frames, "--arg", &argument];
        let noop = self.farm.try_submit(0, &scene, &noop).expect("all are up");
        self.jobs.insert(noop.clone(), tasks);
        let scene = self.farm.script("slow", SLOW);
        let out = self.farm.folder().join("out");
        let (frames, folder) = (format!("1-{DELIVERED}"), out.display().to_string());
        let options = ["-f", &frames, "-o", &folder, "--priority", "60"];
        let delivered = self.farm.try_submit(1, &scene, &options).expect("all are up");
        self.jobs.insert(delivered, DELIVERED);
        println!(
            "{tasks} tasks of {pause} ms, and {DELIVERED} frames of 2 s whose files are delivered"
        );
        (noop, out)
    }

    fn up(&self) -> Vec<usize> {
        (0..NODES).filter(|number| !self.down.contains_key(number)).collect()
    }

    fn start_again(&mut self, now: Instant) {
        let due: Vec<usize> =
            self.down.iter().filter(|(_, at)| now - **at >= DOWN).map(|(n, _)| *n).collect();
        for number in due {
            self.farm.daemons[number].start();
            self.down.remove(&number);
        }
    }

    fn kill(&mut self, now: Instant) {
        let up = self.up();
        let number = up[self.random.below(up.len() as u64) as usize];
        self.farm.daemons[number].kill();
        self.down.insert(number, now);
        self.kills += 1;
    }

    fn part(&mut self, now: Instant) {
        let mut apart: BTreeSet<usize> = BTreeSet::new();
        while apart.len() < 4 {
            apart.insert(self.random.below(NODES as u64) as usize);
        }
        let apart: Vec<usize> = apart.into_iter().collect();
        self.network.part(&apart);
        self.partitions += 1;
        self.parted = Some((now, apart, [None, None]));
    }

    fn look_at_the_parts(&mut self, now: Instant) {
        let Some((since, apart, mut given)) = self.parted.take() else { return };
        let up = self.up();
        for (part, given) in given.iter_mut().enumerate() {
            let in_part = |number: &&usize| apart.contains(number) == (part == 0);
            let Some(at) = up.iter().find(in_part).copied() else { continue };
            match given {
                // They need some seconds to see that they are alone.
                None if now - since >= Duration::from_secs(8) => *given = self.give(at),
                Some(given) if !given.over => {
                    given.over = self.farm.job(at, &given.job).is_some_and(|job| is_over(&job));
                }
                _ => {}
            }
        }
        if now - since < PARTED {
            self.parted = Some((since, apart, given));
            return;
        }
        self.network.part(&[]);
        self.alone.2 += given.len();
        for given in given.into_iter().flatten() {
            self.alone.0 += usize::from(given.over);
            self.alone.1 += 1;
        }
    }

    /// A file that is written is put in its place as a new one: who writes it again leaves another in the same place,
    /// with the same bytes.
    fn look_at_the_files(&mut self, out: &std::path::Path) {
        for entry in std::fs::read_dir(out).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let file =
                entry.metadata().and_then(|file| Ok((file.modified()?, file.created().ok())));
            if let Ok(file) = file
                && *self.written.entry(name.clone()).or_insert(file) != file
            {
                self.again.insert(name);
            }
        }
    }

    fn give(&mut self, at: usize) -> Option<Given> {
        let scene = self.farm.script("quick", QUICK);
        let (frames, name) = (format!("1-{APART}"), format!("apart{}", self.jobs.len()));
        let options = ["-f", &frames, "-n", &name, "--priority", "90"];
        // The node may have been killed a moment ago: then nothing was acknowledged.
        let job = self.farm.try_submit(at, &scene, &options)?;
        self.jobs.insert(job.clone(), APART);
        Some(Given { job, over: false })
    }

    fn tell(&self, noop: &str) {
        let up = self.up();
        let job = up.iter().find_map(|at| self.farm.job(*at, noop));
        let counts = job.as_ref().map(statuses).unwrap_or_default();
        let (minutes, kills) = (self.begun.elapsed().as_secs() / 60, self.kills);
        println!("after {minutes} min: {kills} kills, {} partitions, {counts:?}", self.partitions);
    }

    /// Nothing bad happens any more: all is done some time.
    fn calm(&mut self) {
        self.network.part(&[]);
        self.parted = None;
        for number in std::mem::take(&mut self.down).into_keys() {
            self.farm.daemons[number].start();
        }
        let begun = Instant::now();
        _ = self.farm.agree();
        println!("the farm agrees {:.1} s after the end", begun.elapsed().as_secs_f64());
        let left = Duration::from_secs(600);
        for job in self.jobs.keys() {
            _ = self.farm.wait_for_end(0, job, left);
        }
        println!("all is over {:.1} s after the end", begun.elapsed().as_secs_f64());
    }

    fn judge(&mut self, verdict: &mut Verdict, noop: &str, tasks: usize, out: &std::path::Path) {
        println!("{} kills, {} partitions", self.kills, self.partitions);
        history::judge(verdict, &self.farm, &self.jobs);
        history::judge_terms(verdict, &self.farm);
        let (over, given, parts) = self.alone;
        verdict.at_least("parts that there were", parts as f64, 2.0);
        verdict.at_least("jobs that they were given, one each", given as f64, parts as f64);
        verdict.at_least("of them ended before the parts met", over as f64, given as f64);
        let job = self.farm.job(0, noop).expect("a node tells");
        let attempts: u64 = job["frames"]
            .as_array()
            .map_or(0, |frames| frames.iter().filter_map(|frame| frame["attempt"].as_u64()).sum());
        println!("{attempts} attempts for {tasks} tasks");
        weft_tests::wait_for(PATIENCE, "all files are delivered", || {
            (files(out).len() >= DELIVERED).then_some(())
        });
        let expected: BTreeMap<String, String> = (1..=DELIVERED)
            .map(|frame| (format!("slow_{frame:04}.txt"), format!("frame {frame}\n")))
            .collect();
        let wrong =
            files(out).iter().filter(|(name, text)| expected.get(*name) != Some(text)).count();
        verdict.at_most("files that are not as they should be", wrong as f64, 0.0);
        let times = files(out).len().abs_diff(DELIVERED);
        verdict.at_most("files too many or too few", times as f64, 0.0);
        self.look_at_the_files(out);
        verdict.at_most("files that were written again", self.again.len() as f64, 0.0);
    }
}

fn files(folder: &std::path::Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let read = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), text))
    };
    entries.filter_map(read).collect()
}
