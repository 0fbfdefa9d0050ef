//! Engines: inputs brought, frames that take their time, files made or not.

use weft_protocol::content::TreePath;
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::job::outcome::{Ending, FailureKind, Outcome, OutputFile};
use weft_protocol::machine::Input;
use weft_protocol::wire::control::{AttemptKey, Lease};
use weft_protocol::worker::Event;

use super::clock::{MILLI, Moment, SECOND, micros};
use super::fetch::{Fetch, Purpose};
use super::node::{Chore, ENGINE, Run};
use super::planted::Planted;
use super::record::Notice;
use super::world::World;

/// How often a job's inputs are sought before an attempt fails, and how long apart, as in the daemon.
const BRING_TRIES: u32 = 4;
const BRING_AGAIN: Moment = SECOND;
/// Of so many engines one is refused its licence.
const UNLICENSED: u64 = 61;

/// What an attempt needs.
#[derive(Default)]
struct Inputs {
    /// The tree of its job, where it needs that.
    tree: Option<BlobId>,
    blobs: Vec<BlobId>,
    /// Who is known to hold them.
    holders: Vec<NodeId>,
}

/// A number that belongs to an attempt at a place, the same in every run.
fn fate(attempt: &AttemptKey, what: u8, node: Option<&NodeId>) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&attempt.job.0).update(&attempt.task.frame.to_le_bytes());
    hasher.update(&[what, u8::try_from(attempt.task.step % 256).unwrap_or(0)]);
    hasher.update(&attempt.task.tile.to_le_bytes());
    if let Some(node) = node {
        hasher.update(&node.0).update(&attempt.attempt.to_le_bytes());
        hasher.update(&attempt.generation.to_le_bytes());
    }
    let mut number = [0; 8];
    number.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(number)
}

impl World {
    /// Does what the worker's machine asks.
    pub(super) fn work(&mut self, number: usize, event: Event) {
        match event {
            Event::Prepare { attempt, more: _, term: _, providers } => {
                self.bring(number, attempt, providers, 1)
            }
            Event::Start { run, lease, more, term } => {
                self.start_engine(number, run, lease, more, term);
            }
            Event::Kill(run) => {
                if let Some(attempt) = self.nodes[number].engine_of(&run) {
                    self.nodes[number].runs.remove(&attempt);
                    self.notices.push(Notice::Killed { node: number, attempt });
                }
            }
            Event::Stop(run) => {
                if let Some(attempt) = self.nodes[number].engine_of(&run)
                    && let Some(run) = self.nodes[number].runs.get_mut(&attempt)
                {
                    run.stop = true;
                }
            }
        }
    }

    /// What an attempt needs here, by the facts that this node knows; none while they don't tell. What
    /// is made of other tasks' results needs those, all else the tree of its job: what checks a frame renders it.
    fn inputs(&self, number: usize, attempt: &AttemptKey) -> Option<Inputs> {
        let job = self.nodes[number].machine.as_ref()?.ledger.jobs.get(&attempt.job)?;
        let spec = job.spec()?;
        let before = spec.before(&attempt.task);
        let step = attempt.task.step;
        if before.is_empty() || spec.is_check(step) && !spec.compares(step) {
            let tree = Some(spec.inputs);
            return Some(Inputs { tree, blobs: vec![spec.inputs], holders: Vec::new() });
        }
        let mut inputs = Inputs::default();
        for key in before {
            let done = job.task(&key)?.done()?;
            inputs.blobs.extend(done.files.iter().map(|file| file.blob));
            inputs.holders.extend(done.holders.iter().copied());
        }
        Some(inputs)
    }

    pub(super) fn bring(
        &mut self,
        number: usize,
        attempt: AttemptKey,
        providers: Vec<NodeId>,
        tries: u32,
    ) {
        let Some(Inputs { blobs, holders, .. }) = self.inputs(number, &attempt) else { return };
        let nodes = holders.iter().chain(&providers).filter_map(|node| self.node(node)).collect();
        let purpose = Purpose::Attempt(attempt, providers, tries);
        let fetch = Fetch { blobs, providers: nodes, from: None, tries: 0, purpose };
        self.fetch(number, fetch);
    }

    pub(super) fn brought(
        &mut self,
        number: usize,
        attempt: AttemptKey,
        providers: Vec<NodeId>,
        tries: u32,
        good: bool,
    ) {
        let Some(inputs) = self.inputs(number, &attempt) else { return };
        let machine = self.nodes[number].machine.as_ref();
        if good {
            if self.planted == Some(Planted::GateIgnored) {
                let lease = Lease { attempt, cores: 4, ram: 1 << 34, gpus: Vec::new() };
                let term = machine.and_then(|machine| machine.worker.term_of(&attempt));
                self.start_engine(number, attempt, lease, Vec::new(), term.unwrap_or(0));
            }
            self.tell(number, Input::Prepared(attempt, inputs.tree));
        } else if tries < BRING_TRIES {
            self.chore(BRING_AGAIN, number, Chore::Bring(attempt, providers, tries + 1));
        } else {
            let why = "its files could not be brought to this node".to_owned();
            let ending = Ending::Failed { kind: FailureKind::Inputs, message: why };
            let outcome = attempt.outcome(ending, self.nodes[number].clock.wall(self.now), 0);
            self.tell(number, Input::Ended(attempt, Box::new(outcome)));
        }
    }

    fn start_engine(
        &mut self,
        number: usize,
        process: AttemptKey,
        lease: Lease,
        more: Vec<AttemptKey>,
        term: u64,
    ) {
        let attempt = lease.attempt;
        if self.nodes[number].runs.contains_key(&attempt) {
            return;
        }
        let term = self.nodes[number].real_terms.get(&attempt).copied().unwrap_or(term);
        let lease = self.nodes[number].real_leases.get(&attempt).cloned().unwrap_or(lease);
        self.begin_frame(number, process, lease.clone(), more.clone());
        let lease = Box::new(lease);
        self.notices.push(Notice::Started { node: number, lease, more, term });
    }

    /// A process comes to a frame; `more` are those that it renders after it.
    fn begin_frame(
        &mut self,
        number: usize,
        process: AttemptKey,
        lease: Lease,
        more: Vec<AttemptKey>,
    ) {
        let attempt = lease.attempt;
        self.record.started += 1;
        let run = Run {
            number: self.record.started,
            process,
            lease,
            more,
            stop: false,
            started: self.now,
        };
        self.trace.event(self.now, number, 11, &attempt.task.frame.to_le_bytes());
        self.trace.say(self.now, || {
            let (job, frame) = (attempt.job.short(), attempt.task.frame);
            format!("node{number} renders {job} frame {frame}")
        });
        let longest = self.record.longest.get(&attempt.job).copied().unwrap_or(10).max(2);
        let shortest = (longest / 3).max(1);
        let seconds = shortest + fate(&attempt, 1, None) % (longest - shortest + 1);
        let node = &self.nodes[number];
        let takes = match node.broken {
            true => SECOND,
            false => seconds * micros(self.setup.unit) * node.slowness / 10,
        };
        self.chore(takes, number, Chore::EngineEnds(attempt, run.number));
        let half = Input::Progress(attempt, 500);
        self.chore(takes / 2, number, Chore::Tell(Box::new(half)));
        self.nodes[number].runs.insert(attempt, run);
        self.notices.push(Notice::Begun { node: number, attempt });
    }

    pub(super) fn engine_ends(&mut self, number: usize, attempt: AttemptKey, run: u64) {
        let leaves_files = self.setup.files;
        let node = &mut self.nodes[number];
        if node.runs.get(&attempt).is_none_or(|running| running.number != run) {
            return;
        }
        let Some(run) = node.runs.remove(&attempt) else { return };
        let name = |what: u8| {
            let bytes = [&attempt.job.0[..], &node.id.0, &run.number.to_le_bytes(), &[what]];
            BlobId(*blake3::hash(&bytes.concat()).as_bytes())
        };
        let (picture, log) = (name(0), name(1));
        // Now and then an engine that is asked for a frame finds no seat of its licence free.
        if run.number.is_multiple_of(UNLICENSED) {
            let refused = Input::LicenceRefused(attempt, ENGINE.into(), "no seat is free".into());
            self.chore(MILLI, number, Chore::Tell(Box::new(refused)));
            self.chore(MILLI, number, Chore::Tell(Box::new(Input::Undone(run.more))));
            return;
        }
        // Some frames fail anywhere, some once in a while; what can't be kept is not done.
        let broken = node.broken || fate(&attempt, 2, None).is_multiple_of(40);
        let unlucky = fate(&attempt, 3, Some(&node.id)).is_multiple_of(25);
        let path = TreePath::new(format!("shot_{:04}.png", attempt.task.frame));
        let failed = |kind, message: &str| Ending::Failed { kind, message: message.to_owned() };
        let (ending, log) = match path {
            _ if node.disk.full => {
                (failed(FailureKind::MissingOutput, "its results could not be kept"), None)
            }
            _ if broken || unlucky => {
                (failed(FailureKind::ExitCode(1), "it broke"), leaves_files.then_some(log))
            }
            Ok(_) if !leaves_files => (Ending::Done(Vec::new()), None),
            Ok(path) => {
                let file = OutputFile { path, blob: picture, size: 1, md5: [0; 16], xxh64: 0 };
                (Ending::Done(vec![file]), Some(log))
            }
            Err(_) => (failed(FailureKind::Start, "a path"), None),
        };
        let started = node.clock.wall(run.started);
        let took = u32::try_from((self.now - run.started) / 1000).unwrap_or(u32::MAX);
        let outcome = Outcome { log, ..attempt.outcome(ending, started, took) };
        node.disk.blobs.extend(outcome.blobs());
        let delay = self.between(2 * MILLI, 40 * MILLI);
        let failed = !outcome.is_done();
        let ended = Input::Ended(attempt, Box::new(outcome));
        self.chore(delay, number, Chore::Tell(Box::new(ended)));
        let Run { process, lease, mut more, stop, .. } = run;
        if more.is_empty() {
            return;
        }
        // What crashed comes to no further frame, and what was stopped doesn't either.
        if failed || stop {
            self.chore(delay, number, Chore::Tell(Box::new(Input::Undone(more))));
        } else {
            let lease = Lease { attempt: more.remove(0), ..lease };
            self.begin_frame(number, process, lease, more);
        }
    }
}
