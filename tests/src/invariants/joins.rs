//! Cancel and completion, pause and resume, removal, join as the design says.
//!
//! Design, "How facts join": "A job whose tasks are all done is completed even if it was cancelled
//! elsewhere; otherwise cancel wins and what is done is kept. Controls carry 1 + the highest version
//! seen; equal versions: pause before resume, then author, then hash." What follows from that is
//! worked out here from the facts on a node's disk, in the plainest way, and compared.

use std::collections::{BTreeMap, BTreeSet};

use weft_protocol::fact::{Body, Fact};
use weft_protocol::ids::{FactId, JobId, NodeId};
use weft_protocol::job::control::Action;
use weft_protocol::job::spec::JobSpec;
use weft_protocol::job::status::{Activity, Status, status};
use weft_protocol::job::task::{FrameRun, TaskKey, unfold};
use weft_protocol::ladder::STEP;
use weft_protocol::machine::Machine;
use weft_protocol::settings::{Change, NodeChange};
use weft_protocol::time::Unix;

use super::Invariant;
use crate::sim::{ENGINE, World};

/// What ranks a result among those of its generation: attempt, author, fact.
type Rank = (u32, NodeId, FactId);

/// What is plainly known of a job.
#[derive(Default)]
struct Plain {
    tasks: BTreeSet<TaskKey>,
    spec: Option<Box<JobSpec>>,
    removed: bool,
    cancelled: bool,
    /// Pause or resume, by the order of controls.
    switches: BTreeMap<(u64, bool, NodeId, FactId), bool>,
    /// The versions of all controls, and the rounds of those that ask for one.
    versions: BTreeSet<u64>,
    rounds: BTreeSet<u64>,
    /// Every result, by task and generation.
    results: BTreeMap<TaskKey, BTreeMap<u32, BTreeSet<Rank>>>,
    generations: BTreeMap<TaskKey, u32>,
    extended: Vec<Action>,
    retried: Vec<Action>,
}

fn plain(facts: impl Iterator<Item = Fact>) -> BTreeMap<JobId, Plain> {
    let mut jobs: BTreeMap<JobId, Plain> = BTreeMap::new();
    for fact in facts {
        let (Ok(Some(body)), Some(id)) = (fact.body(), fact.scope()) else { continue };
        let job = jobs.entry(id).or_default();
        match body {
            Body::Spec(spec) => {
                for (step, frames) in (0..).zip(spec.steps.iter().map(|step| &step.frames)) {
                    job.tasks.extend(tasks(&spec, step, frames));
                }
                job.spec = Some(spec);
            }
            Body::Removal(_) => job.removed = true,
            Body::Control(control) => {
                let pause = control.action == Action::Pause;
                let rank = (control.version, pause, fact.author(), fact.id());
                job.versions.insert(control.version);
                if let Action::Retry { generation, .. } = control.action {
                    job.rounds.insert(generation.into());
                }
                match control.action {
                    Action::Cancel => job.cancelled = true,
                    Action::Pause | Action::Resume => {
                        job.switches.insert(rank, pause);
                    }
                    Action::Extend { .. } => job.extended.push(control.action),
                    Action::Retry { .. } => job.retried.push(control.action),
                    Action::Approve | Action::Priority(_) | Action::Keep(_) => {}
                }
            }
            Body::Outcomes(batch) => {
                for outcome in batch.outcomes.iter().filter(|outcome| outcome.is_done()) {
                    let results = job.results.entry(outcome.task).or_default();
                    let results = results.entry(outcome.generation).or_default();
                    results.insert((outcome.attempt, fact.author(), fact.id()));
                }
            }
            _ => {}
        }
    }
    for job in jobs.values_mut() {
        let Some(spec) = &job.spec else { continue };
        for action in &job.extended {
            if let Action::Extend { step, frames } = action {
                job.tasks.extend(tasks(spec, *step, frames));
            }
        }
        let counting = counting(&job.rounds);
        for action in &job.retried {
            if let Action::Retry { step, frames, generation } = action
                && u64::from(*generation) <= counting
            {
                for key in tasks(spec, *step, frames) {
                    let known = job.generations.entry(key).or_default();
                    *known = (*known).max(*generation);
                }
            }
        }
    }
    jobs
}

/// Up to which number they count: as long as no gap below one is too wide.
pub(super) fn counting(numbers: &BTreeSet<u64>) -> u64 {
    numbers.iter().fold(0, |below, n| if n - below <= STEP { *n } else { below })
}

/// The tasks of a step for some frames, and of the steps that follow from it frame by frame: here none follows from
/// one that follows, but where a step compares what two have rendered. What checks has some of the frames only.
fn tasks(spec: &JobSpec, step: u16, frames: &[FrameRun]) -> Vec<TaskKey> {
    let own = spec.steps.get(usize::from(step));
    let mut tasks = Vec::new();
    for (number, other) in (0..).zip(&spec.steps) {
        let checks = spec.check > 0 && number > 0;
        let same = own.is_some_and(|own| own.frames == other.frames);
        let follows = other.after.contains(&step) && (same || checks);
        if number == step || follows {
            let has = |frame: &i32| !checks || other.frames.iter().any(|run| run.contains(*frame));
            for frame in unfold(frames).filter(has) {
                let tiles = 0..other.tiles.0 * other.tiles.1;
                let key = TaskKey { step: number, ..TaskKey::frame(frame) };
                tasks.extend(tiles.map(|tile| TaskKey { tile, ..key }));
            }
        }
    }
    tasks
}

fn compare(number: usize, machine: &Machine, id: JobId, plain: &Plain) -> Result<(), String> {
    let wrong = |what: String| Err(format!("node{number}, {id:?}: {what}"));
    let jobs = &machine.ledger.jobs;
    if plain.removed != jobs.is_removed(&id) {
        return wrong(format!("removed is {}, and was {}", jobs.is_removed(&id), plain.removed));
    }
    let Some(job) = jobs.get(&id).filter(|_| plain.spec.is_some()) else {
        return Ok(());
    };
    let (mut done, round) = (0, counting(&plain.rounds));
    for key in &plain.tasks {
        let generations = plain.results.get(key);
        let asked = |generation: &u32| u64::from(*generation) <= round;
        let best = generations
            .and_then(|generations| generations.iter().rfind(|(generation, _)| asked(generation)));
        let best = best.and_then(|(generation, all)| Some((*generation, *all.first()?)));
        let shown = job.task(key).and_then(|task| task.done());
        let shown = shown.map(|done| (done.generation, (done.attempt, done.author, done.fact)));
        if best != shown {
            return wrong(format!("frame {} should be {best:?}, and is {shown:?}", key.frame));
        }
        let wanted = plain.generations.get(key).copied().unwrap_or(0);
        done += usize::from(best.is_some_and(|(generation, _)| generation >= wanted));
    }
    let highest = counting(&plain.versions);
    if job.next_version() != highest + 1 {
        return wrong(format!("{} should be the next version", highest + 1));
    }
    let mut switches = plain.switches.iter().filter(|((version, ..), _)| *version <= highest);
    let paused = switches.next_back().is_some_and(|(_, pause)| *pause);
    if job.switches().paused != paused {
        return wrong(format!("paused should be {paused}"));
    }
    let status = status(job, Activity::default());
    let completed = done == plain.tasks.len();
    match status {
        Some(Status::Completed) if completed => Ok(()),
        Some(Status::Completed) => wrong(format!("completed with {done} done")),
        _ if completed => wrong(format!("{status:?} with all done")),
        Some(Status::Cancelled) if plain.cancelled => Ok(()),
        _ if plain.cancelled => wrong(format!("{status:?}, and was cancelled")),
        _ => Ok(()),
    }
}

/// Nothing to remember: the disks do.
#[derive(Default)]
pub(super) struct Joins {
    looks: u64,
}

impl Joins {
    fn all(world: &World, stride: u64) -> Result<(), String> {
        for (number, node, machine) in world.up() {
            if !(number as u64 + world.now / 1_000_000).is_multiple_of(stride)
                || node.disk.waiting() > 0
            {
                continue;
            }
            // A fact that is on the disk and not joined yet would be no mistake.
            let ids = machine.ledger.ids();
            let facts = node.disk.facts.values().filter(|fact| ids.contains(&fact.id())).cloned();
            let settings = &machine.ledger.settings;
            let of_nodes = world.nodes.iter().flat_map(|node| {
                [NodeChange::Drained(false), NodeChange::Forgiven(Unix(0)), NodeChange::Price(None)]
                    .map(|change| Change::Node(node.id, change))
            });
            let mut changes =
                of_nodes.chain([Change::Limit(ENGINE.into(), None), Change::Keep(None)]);
            let for_good = |change: &Change| settings.next_version(change) > u64::MAX / 2;
            if let Some(change) = changes.find(for_good) {
                return Err(format!("node{number} can't set {change:?} any more"));
            }
            for (id, plain) in plain(facts) {
                compare(number, machine, id, &plain)?;
            }
        }
        Ok(())
    }
}

impl Invariant for Joins {
    fn name(&self) -> &'static str {
        "facts join as the design says"
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        self.looks += 1;
        match self.looks % 20 {
            0 => Self::all(world, 3),
            _ => Ok(()),
        }
    }

    fn end(&mut self, world: &World) -> Result<(), String> {
        Self::all(world, 1)
    }
}
