//! Several nodes that fetch, promise, pin, unpin, collect and crash in any order, beside a model that says what
//! each must hold: nothing that is referred to is ever deleted, what was promised to two stays on two, and
//! in the end all that nobody refers to is gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weft_protocol::content::{Tree, TreeEntry, TreePath};
use weft_protocol::fact::{Body, Removal};
use weft_protocol::ids::{FactId, JobId, NodeId};
use weft_protocol::job::table::Jobs;
use weft_protocol::retention;

use super::dice::Dice;
use super::fake_disk::{FakeDisk, Survives};
use super::*;
use crate::Intake;

const NODES: usize = 4;
const JOBS: usize = 3;
const FILES: usize = 5;
/// After how many received bytes of a file its node's catalog is told.
const CHECKPOINT: u64 = 100_000;

/// What is done, by which node.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// Takes a job's files in and pins them, as submitting does.
    Submit(usize, usize),
    /// Begins to keep a job's files at another's request.
    Begin(usize, usize),
    /// Fetches the next file for what it was asked to keep; after the last it pins them, and has promised.
    Step(usize),
    /// Gives up what it was asked to keep.
    Abandon(usize),
    /// A user pins a file that is here.
    Pin(usize, usize),
    /// A user's pin goes.
    Unpin(usize, usize),
    /// A job is removed, and this node is the first to know.
    Remove(usize, usize),
    /// Hears of all removals there were.
    Hear(usize),
    /// Takes away pins whose job is over.
    Release(usize),
    /// Deletes what nobody refers to: all of it.
    Collect(usize),
    /// The oldest of it.
    CollectOldest(usize, u64),
    /// Loses its power after so many more changes to its disk, in the midst of something, and starts again.
    /// The last is the seed of what survives.
    Crash(usize, At, usize, u64),
}

/// What a node is at when its power fails.
#[derive(Debug, Clone, Copy)]
enum At {
    Collecting,
    /// Taking in a job's files, and pinning them.
    Submitting(usize),
    /// Fetching a job's files, and pinning them.
    Keeping(usize),
    /// Pinning a file.
    Pinning(usize),
}

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (node, job, file) = (0..NODES, 0..JOBS, 0..FILES);
    // About as many changes as each takes, so that some get to their end.
    let at = prop_oneof![
        2 => (Just(At::Collecting), 0..40_usize),
        1 => (job.clone().prop_map(At::Submitting), 0..120_usize),
        3 => (job.clone().prop_map(At::Keeping), 0..160_usize),
        1 => (file.clone().prop_map(At::Pinning), 0..15_usize),
    ];
    let op = prop_oneof![
        3 => (node.clone(), job.clone()).prop_map(|(node, job)| Op::Submit(node, job)),
        6 => (node.clone(), job.clone()).prop_map(|(node, job)| Op::Begin(node, job)),
        12 => node.clone().prop_map(Op::Step),
        1 => node.clone().prop_map(Op::Abandon),
        2 => (node.clone(), file.clone()).prop_map(|(node, file)| Op::Pin(node, file)),
        2 => (node.clone(), file).prop_map(|(node, file)| Op::Unpin(node, file)),
        1 => (node.clone(), job).prop_map(|(node, job)| Op::Remove(node, job)),
        2 => node.clone().prop_map(Op::Hear),
        2 => node.clone().prop_map(Op::Release),
        4 => node.clone().prop_map(Op::Collect),
        3 => (node.clone(), 1..100_000_u64).prop_map(|(node, bytes)| Op::CollectOldest(node, bytes)),
        4 => (node, at, any::<u64>())
            .prop_map(|(node, (at, changes), seed)| Op::Crash(node, at, changes, seed)),
    ];
    prop::collection::vec(op, 1..80)
}

/// A job's files: its tree first.
struct Job {
    id: JobId,
    files: Vec<(BlobId, Vec<u8>)>,
}

/// What a node was asked to keep, and hasn't promised yet.
struct Keeping {
    job: usize,
    missing: VecDeque<BlobId>,
    here: BTreeSet<BlobId>,
    _intake: Intake,
}

struct Node {
    disk: FakeDisk,
    store: Store,
    keeping: Option<Keeping>,
    // The model: what must be pinned here, and what this node knows of jobs.
    jobs_pinned: BTreeSet<usize>,
    files_pinned: BTreeSet<usize>,
    ledger: Jobs,
}

struct World {
    jobs: Vec<Job>,
    files: Vec<(BlobId, Vec<u8>)>,
    nodes: Vec<Node>,
    removed: BTreeSet<usize>,
    /// Jobs that two nodes have promised to keep.
    safe: BTreeSet<usize>,
}

const USER: &str = "user";

fn reason(job: &Job) -> String {
    format!("job/{}", job.id)
}

impl World {
    fn new() -> Self {
        let scratch = Scratch::new();
        let lengths = [40_000, 300, 900_000, 20, 17_000];
        let files: Vec<_> = (1..)
            .zip(lengths)
            .map(|(seed, length)| {
                let bytes = noise(seed, length);
                (scratch.ingest_bytes(&bytes).unwrap().id, bytes)
            })
            .collect();
        let jobs = (0..JOBS).map(|number| {
            // Two jobs share a file, and all share one.
            let named = [number, number + 1, FILES - 1].map(|at| &files[at]);
            let entries = named.iter().enumerate().map(|(at, (blob, bytes))| {
                let entry = TreeEntry { blob: *blob, size: bytes.len() as u64, frames: None };
                (TreePath::new(format!("{number}/{at}")).unwrap(), entry)
            });
            let tree = Tree::new(entries.collect()).unwrap().encode();
            let id = scratch.ingest_bytes(&tree).unwrap().id;
            let files = [(id, tree)].into_iter().chain(named.into_iter().cloned()).collect();
            Job { id: JobId([number as u8 + 1; 32]), files }
        });
        let nodes = (0..NODES).map(|_| {
            let disk = FakeDisk::default();
            let store = open(&disk);
            Node {
                disk,
                store,
                keeping: None,
                jobs_pinned: BTreeSet::new(),
                files_pinned: BTreeSet::new(),
                ledger: Jobs::new(),
            }
        });
        let (jobs, nodes) = (jobs.collect(), nodes.collect());
        Self { jobs, files, nodes, removed: BTreeSet::new(), safe: BTreeSet::new() }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Submit(node, job) => self.submit(node, job).unwrap(),
            Op::Begin(node, job) => self.begin(node, job),
            Op::Step(node) => self.step(node).unwrap(),
            Op::Abandon(node) => self.nodes[node].keeping = None,
            Op::Pin(node, file) => self.pin(node, file).unwrap(),
            Op::Unpin(node, file) => {
                self.nodes[node].store.unpin(self.files[file].0, USER).unwrap();
                self.nodes[node].files_pinned.remove(&file);
            }
            Op::Remove(node, job) => {
                self.removed.insert(job);
                self.hear(node);
            }
            Op::Hear(node) => self.hear(node),
            Op::Release(node) => self.release(node),
            Op::Collect(node) => self.collect(node).unwrap(),
            Op::CollectOldest(node, bytes) => {
                drop(self.nodes[node].store.collect_oldest(bytes).unwrap())
            }
            Op::Crash(node, at, changes, seed) => {
                self.nodes[node].disk.burn_after(changes);
                // It may get to its end, or not. What was said to be done by then holds.
                let _: Result = match at {
                    At::Collecting => self.collect(node),
                    At::Submitting(job) => self.submit(node, job),
                    At::Keeping(job) => self.keep(node, job),
                    At::Pinning(file) => self.pin(node, file),
                };
                let here = &mut self.nodes[node];
                here.keeping = None;
                let mut dice = Dice::new(seed);
                let survives = Survives::any(&mut dice);
                here.disk = here.disk.after_crash(survives, &mut dice);
                here.store = open(&here.disk);
            }
        }
    }

    fn submit(&mut self, node: usize, job: usize) -> Result {
        if self.removed.contains(&job) {
            return Ok(());
        }
        let (job_files, here) = (&self.jobs[job], &mut self.nodes[node]);
        let _intake = here.store.intake();
        for (_, bytes) in &job_files.files {
            here.store.ingest_bytes(bytes)?;
        }
        here.store.pin_tree(job_files.files[0].0, &reason(job_files))?;
        here.jobs_pinned.insert(job);
        self.promised(job);
        Ok(())
    }

    fn begin(&mut self, node: usize, job: usize) {
        let files = self.jobs[job].files.iter().map(|(blob, _)| *blob).collect();
        let here = &mut self.nodes[node];
        let _intake = here.store.intake();
        here.keeping = Some(Keeping { job, missing: files, here: BTreeSet::new(), _intake });
    }

    /// From being asked to keep a job's files to the promise.
    fn keep(&mut self, node: usize, job: usize) -> Result {
        self.begin(node, job);
        while self.nodes[node].keeping.is_some() {
            self.step(node)?;
        }
        Ok(())
    }

    fn pin(&mut self, node: usize, file: usize) -> Result {
        let (blob, here) = (self.files[file].0, &mut self.nodes[node]);
        let _hold = here.store.hold(blob);
        if here.store.has(blob)? {
            here.store.pin(blob, USER)?;
            here.files_pinned.insert(file);
        }
        Ok(())
    }

    fn collect(&mut self, node: usize) -> Result {
        self.nodes[node].store.collect(Duration::ZERO, false)?;
        Ok(())
    }

    /// Fetches a file from whoever has it. Where nobody has, what was asked is refused.
    fn step(&mut self, node: usize) -> Result {
        let Some(mut keeping) = self.nodes[node].keeping.take() else {
            return Ok(());
        };
        if let Some(blob) = keeping.missing.pop_front() {
            let mut others = self.nodes.iter().map(|other| &other.store);
            let from = others.find(|store| store.has(blob).unwrap());
            let Some(from) = from else {
                return Ok(());
            };
            fetch(from, &self.nodes[node].store, blob)?;
            keeping.here.insert(blob);
            self.nodes[node].keeping = Some(keeping);
            return Ok(());
        }
        let (job, here) = (&self.jobs[keeping.job], &mut self.nodes[node]);
        here.store.pin_tree(job.files[0].0, &reason(job))?;
        here.jobs_pinned.insert(keeping.job);
        self.promised(keeping.job);
        Ok(())
    }

    /// A node has promised to keep a job's files.
    fn promised(&mut self, job: usize) {
        let holders = self.nodes.iter().filter(|node| node.jobs_pinned.contains(&job));
        if holders.count() >= 2 {
            self.safe.insert(job);
        }
    }

    fn hear(&mut self, node: usize) {
        let here = &mut self.nodes[node];
        for &job in &self.removed {
            let removal = Body::Removal(Removal { job: self.jobs[job].id });
            // Once: what is joined already says nothing.
            let fact = FactId([job as u8; 32]);
            if here.ledger.apply(fact, NodeId([1; 32]), &removal).is_some() {
                here.store.unpin_reason(&reason(&self.jobs[job])).unwrap();
                here.jobs_pinned.remove(&job);
            }
        }
    }

    fn release(&mut self, node: usize) {
        let here = &mut self.nodes[node];
        let by_reason: BTreeMap<_, _> = self.jobs.iter().map(|job| (reason(job), job.id)).collect();
        let mut over = here.store.all_pins().unwrap();
        over.retain(|pin| {
            let job = by_reason.get(&pin.reason);
            job.is_some_and(|job| retention::is_over(&here.ledger, job, Duration::ZERO))
        });
        here.store.unpin_listed(&over).unwrap();
        here.jobs_pinned.retain(|job| !here.ledger.is_removed(&self.jobs[*job].id));
    }

    /// Compares each node with what it must hold.
    fn check(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            let files = node.files_pinned.iter().map(|file| &self.files[*file]);
            let jobs = node.jobs_pinned.iter().flat_map(|job| &self.jobs[*job].files);
            for (blob, bytes) in files.chain(jobs) {
                let read = node.store.read_all(*blob, u64::MAX);
                assert!(read.as_ref().is_ok_and(|read| read == bytes), "node {number}: {read:?}");
            }
            for blob in node.keeping.iter().flat_map(|keeping| &keeping.here) {
                assert!(node.store.has(*blob).unwrap(), "node {number} lost what it was fetching");
            }
        }
        for job in self.safe.difference(&self.removed) {
            let whole = |node: &&Node| {
                self.jobs[*job].files.iter().all(|(blob, _)| node.store.has(*blob).unwrap())
            };
            let copies = self.nodes.iter().filter(whole).count();
            assert!(copies >= 2, "job {job} was on two nodes, and is on {copies}");
        }
    }

    /// Ends all reasons; then nothing may be left.
    fn end(&mut self) {
        self.removed.extend(0..JOBS);
        for node in 0..NODES {
            self.nodes[node].keeping = None;
            self.hear(node);
            self.release(node);
            for file in 0..FILES {
                self.act(Op::Unpin(node, file));
            }
            let store = &self.nodes[node].store;
            store.collect(Duration::ZERO, false).unwrap();
            assert_eq!(store.all_pins().unwrap(), [], "node {node}");
            assert_eq!(store.list().unwrap(), [], "node {node}");
            assert_eq!(store.list_partial().unwrap(), [], "node {node}");
            let left = store.collect(Duration::ZERO, true).unwrap();
            assert_eq!((left.blobs.len(), left.strays.len()), (0, 0), "node {node}");
        }
    }
}

fn open(disk: &FakeDisk) -> Store {
    let mut store = crate::open::open_on(Arc::new(disk.clone()), None).unwrap();
    // Told often, so that the power fails while it is.
    store.checkpoint = CHECKPOINT;
    store
}

fn fetch(from: &Store, to: &Store, blob: BlobId) -> Result {
    let (manifest, chunks) = for_a_peer(from, blob);
    let have = to.begin_partial(blob, &manifest)?;
    for index in have.missing() {
        to.write_chunk(blob, index, &chunks[index as usize])?;
    }
    to.finish(blob)?;
    Ok(())
}

/// How many runs: a dozen, or as many as `PROPTEST_CASES` says.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_referred_to_stays_and_the_rest_goes(ops in ops()) {
        let mut world = World::new();
        for op in ops {
            world.act(op);
            world.check();
        }
        world.end();
    }
}

/// A crash while a name was changed may leave both: the file went under one, and was a stray under the other.
#[test]
fn a_file_that_a_crash_has_left_under_two_names_goes_with_its_blob() {
    let mut world = World::new();
    world.act(Op::Submit(0, 1));
    world.act(Op::Crash(1, At::Keeping(1), 83, 2_716_351_233_863_045_323));
    world.check();
    world.end();
}
