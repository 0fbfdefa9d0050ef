//! Jobs as JSON.

mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use weft_protocol::claim::{Ask, Portion};
use weft_protocol::hardware::{GIB, Hardware, Needs};
use weft_protocol::ids::{JobId, NodeId};
use weft_protocol::job::estimate::{Running, estimate};
use weft_protocol::job::keep::Stay;
use weft_protocol::job::note::Comparison;
use weft_protocol::job::outcome::OutputFile;
use weft_protocol::job::status::{Activity, Status, error_message, status};
use weft_protocol::job::table::{Done, Job, Task, TaskState};
use weft_protocol::job::task::TaskKey;
use weft_protocol::machine::Machine;
use weft_protocol::wire::control::Phase;
use weft_store::md5_hex;

use super::checks;
use crate::shared::Shared;
use waiting::waiting_for;

/// What runs of a job just now, as the leader knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    leases: BTreeMap<TaskKey, (NodeId, u32, u32, Phase)>,
    /// Who makes a second attempt at what is late.
    seconds: BTreeMap<TaskKey, NodeId>,
    /// Which of its node's processes works on a task, where there may be several.
    processes: BTreeMap<TaskKey, u64>,
    /// What tasks have claimed of their nodes, where that is a share.
    claims: BTreeMap<TaskKey, Value>,
    /// Why the rest of it waits.
    waiting: Option<String>,
    /// Whether that is more than that the nodes are at work.
    waits_for_more: bool,
}

impl Live {
    /// What this node knows itself: everything where it leads, its own attempts elsewhere.
    pub(super) fn here(machine: &Machine, job: &JobId) -> Self {
        let mut live = Self::default();
        match &machine.leader {
            Some(leader) => {
                for held in leader.leases_of(job) {
                    let key = held.attempt;
                    let lease = (held.node, key.generation, key.attempt, held.phase);
                    live.leases.insert(key.task, lease);
                    live.processes.extend(held.process().map(|process| (key.task, process)));
                    let claim = held.claim().map(portion);
                    live.claims.extend(claim.map(|claim| (key.task, claim)));
                }
                let seconds = leader.seconds_of(job);
                live.seconds = seconds.map(|held| (held.attempt.task, held.node)).collect();
                let waiting = leader.waiting().get(job);
                live.waiting = waiting.map(|why| why.words(|node| name(machine, node)));
                live.waits_for_more = waiting.is_some_and(|why| !why.is_only_busy());
            }
            None => {
                let mut runs = BTreeMap::new();
                for (key, phase) in machine.worker.attempts().filter(|(key, _)| key.job == *job) {
                    let lease = (machine.me(), key.generation, key.attempt, phase);
                    live.leases.insert(key.task, lease);
                    let (next, run) = (runs.len() as u64, machine.worker.run_of(key));
                    live.processes.insert(key.task, *runs.entry(run).or_insert(next));
                }
            }
        }
        live
    }

    pub(super) fn document(&self) -> Value {
        let leases: Vec<Value> = self
            .leases
            .iter()
            .map(|(task, (node, generation, attempt, phase))| {
                json!({
                    "step": task.step, "frame": task.frame, "tile": task.tile,
                    "node": node, "generation": generation, "attempt": attempt,
                    "phase": phase_name(*phase), "progress": progress(*phase),
                    "claim": self.claims.get(task), "process": self.processes.get(task),
                })
            })
            .collect();
        let seconds = self.seconds.iter().map(|(task, node)| {
            json!({ "step": task.step, "frame": task.frame, "tile": task.tile, "node": node })
        });
        let seconds: Vec<Value> = seconds.collect();
        json!({
            "leases": leases, "seconds": seconds,
            "waiting": self.waiting, "waits_for_more": self.waits_for_more,
        })
    }

    /// Reads another node's [`Live::document`].
    pub(super) fn read(document: &Value) -> Self {
        let mut live = Self {
            waiting: document["waiting"].as_str().map(str::to_owned),
            waits_for_more: document["waits_for_more"].as_bool().unwrap_or(false),
            ..Self::default()
        };
        let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
        let task = |lease: &Value| {
            let small = |key: &str| lease[key].as_u64().and_then(|n| u16::try_from(n).ok());
            let frame = lease["frame"].as_i64().and_then(|frame| i32::try_from(frame).ok())?;
            let (step, tile) = (small("step").unwrap_or(0), small("tile").unwrap_or(0));
            let node = lease["node"].as_str().and_then(|node| node.parse().ok())?;
            Some((TaskKey { step, tile, ..TaskKey::frame(frame) }, node))
        };
        for lease in document["leases"].as_array().into_iter().flatten() {
            let phase = match lease["phase"].as_str() {
                Some("preparing") => Phase::Preparing,
                Some("finishing") => Phase::Finishing,
                _ => {
                    // Progress is written as a part of 1.
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "clamped just before"
                    )]
                    let part =
                        (lease["progress"].as_f64().unwrap_or(0.0).clamp(0.0, 1.0) * 1000.0) as u16;
                    Phase::Rendering(part)
                }
            };
            if let Some((task, node)) = task(lease) {
                let generation = number(&lease["generation"]).unwrap_or(0);
                let attempt = number(&lease["attempt"]).unwrap_or(0);
                live.leases.insert(task, (node, generation, attempt, phase));
                live.processes.extend(lease["process"].as_u64().map(|process| (task, process)));
                if lease["claim"].is_object() {
                    live.claims.insert(task, lease["claim"].clone());
                }
            }
        }
        live.seconds =
            document["seconds"].as_array().into_iter().flatten().filter_map(task).collect();
        live
    }

    pub(super) fn activity(&self) -> Activity {
        let preparing =
            self.leases.values().filter(|(.., phase)| *phase == Phase::Preparing).count();
        Activity { preparing, rendering: self.leases.len() - preparing }
    }

    /// The processes that work on it, for estimates: a run of frames is one.
    fn running(&self) -> Vec<Running> {
        let progress = |phase: Phase| match phase {
            Phase::Preparing => 0,
            Phase::Rendering(thousandths) => thousandths,
            Phase::Finishing => 1000,
        };
        let mut processes: BTreeMap<(NodeId, u16, Option<u64>), Vec<u16>> = BTreeMap::new();
        for (task, (node, _, _, phase)) in &self.leases {
            let of = (*node, task.step, self.processes.get(task).copied());
            processes.entry(of).or_default().push(progress(*phase));
        }
        let processes = processes.into_iter();
        processes.map(|((node, ..), progress)| Running { node, progress }).collect()
    }
}

/// What an hour of a task on a node costs, in millionths, where that is known here.
fn price(machine: &Machine, job: &Job, node: &NodeId) -> Option<u64> {
    let settings = &machine.ledger.settings;
    let advert = machine.adverts.get(node).or_else(|| machine.absent.get(node));
    let whole = advert.map(|advert| settings.price(advert)).or_else(|| settings.price_set(node))?;
    match job.spec().filter(|spec| spec.share) {
        Some(spec) => Some(share_price(whole, &spec.needs, &advert?.hardware)),
        None => Some(u64::from(whole) * 1000),
    }
}

/// The same of a share, where an hour of the whole node costs so many thousandths: as much as the largest of the parts
/// that are asked for. That tasks were seen to need more memory, and claim it from then on, makes those no dearer
/// that ended before.
fn share_price(whole: u32, needs: &Needs, hardware: &Hardware) -> u64 {
    let claim = Ask::new(needs, hardware, 0).what_there_is(&Portion::all(hardware));
    u64::from(whole) * claim.thousandths(hardware)
}

/// A part of a machine.
pub(super) fn portion(portion: &Portion) -> Value {
    json!({ "cores": portion.cores, "ram": gib(portion.ram), "gpus": portion.gpus })
}

/// Whole and tenths of a GiB are what people compare.
#[expect(clippy::cast_precision_loss, reason = "rounded to a tenth of a GiB anyway")]
pub(super) fn gib(bytes: u64) -> f64 {
    (bytes as f64 / GIB as f64 * 10.0).round() / 10.0
}

/// What each task takes of its node, where that is no whole one; no memory where that is as large a part as
/// the cores.
fn claim(job: &Job) -> Option<Value> {
    let needs = &job.spec().filter(|spec| spec.share)?.needs;
    Some(json!({
        "cores": needs.cores.max(1),
        "ram": (needs.ram > 0).then(|| gib(needs.ram)),
        "gpus": needs.cards(),
    }))
}

pub(super) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Preparing => "preparing",
        Phase::Rendering(_) => "rendering",
        Phase::Finishing => "finishing",
    }
}

pub(super) fn progress(phase: Phase) -> f64 {
    match phase {
        Phase::Preparing => 0.0,
        Phase::Rendering(thousandths) => f64::from(thousandths) / 1000.0,
        Phase::Finishing => 1.0,
    }
}

/// One file that an attempt made.
pub(super) fn output(file: &OutputFile) -> Value {
    json!({
        "path": file.path.as_str(),
        "size": file.size,
        "id": file.blob,
        "hash": md5_hex(&file.md5),
        "xxhash": file.xxh64.to_string(),
    })
}

/// What the engine warned of that made the result that counts, in whichever job.
fn warnings(machine: &Machine, key: &TaskKey, task: &Task) -> Vec<String> {
    let jobs = &machine.ledger.jobs;
    let from = task.noted().from.and_then(|from| jobs.get(&from)?.task(key));
    from.unwrap_or(task).warnings().to_vec()
}

fn frame(names: &Names<'_>, job: &Job, status: Status, live: &Live, key: TaskKey) -> Value {
    let Some(task) = job.task(&key) else {
        return Value::Null;
    };
    let lease = live.leases.get(&key);
    let state = job.state(&key).unwrap_or(TaskState::Open);
    let word = match (state, lease) {
        (TaskState::Done, _) => "done",
        (TaskState::Failed, _) => "failed",
        (TaskState::Open, _) if status == Status::Cancelled => "cancelled",
        (TaskState::Open, Some((.., Phase::Preparing))) => "assigned",
        (TaskState::Open, Some(_)) => "rendering",
        (TaskState::Open, None) => "pending",
    };
    let done = task.done();
    let failure = task.failures_now().last();
    let counted = done.filter(|_| state == TaskState::Done);
    let who = counted
        .map(|done| done.author)
        .or(lease.map(|(node, ..)| *node))
        .or(failure.map(|(key, _)| key.2));
    let attempt = counted
        .map(|done| done.attempt)
        .or(lease.map(|(_, _, attempt, _)| *attempt))
        .or(failure.map(|(key, _)| key.1))
        .unwrap_or(0);
    let seconds = |ms: u32| f64::from(ms) / 1000.0;
    json!({
        "frame": key.frame,
        "tile": if is_tiled(job, key.step) { json!(key.tile) } else { Value::Null },
        "status": word,
        "node": who,
        "node_name": who.map(|who| names.of(&who)),
        "also_tried_on": live.seconds.get(&key).filter(|_| state == TaskState::Open).map(|node| names.of(node)),
        "attempt": attempt,
        "claim": live.claims.get(&key),
        "generation": counted.map_or(task.generation, |done| done.generation),
        "is_test_frame": job.is_test(&key),
        "progress": if word == "done" { 1.0 } else { lease.map_or(0.0, |(.., phase)| progress(*phase)) },
        "render_time": counted.map(|done| seconds(done.render_ms)).or(failure.filter(|_| word == "failed").map(|(_, f)| seconds(f.render_ms))),
        "peak_memory": counted.map(|done| done.peak_memory).filter(|bytes| *bytes > 0),
        "copies": counted.map(|done| done.holders.len()),
        "error_message": (word == "failed").then(|| why_failed(job, &key)),
        "reused_from": counted.and_then(|_| task.noted().from),
        "preview": counted.and_then(|_| task.noted().preview),
        "warnings": match word {
            "failed" => task.warnings_of_failure().to_vec(),
            _ => counted.map_or(Vec::new(), |_| warnings(names.0, &key, task)),
        },
        "output": done.map(|done: Done<'_>| done.files.iter().map(output).collect::<Vec<_>>()).unwrap_or_default(),
    })
}

/// Why a task failed: what it said itself, or what those said that it waited for, such as a frame's tiles.
fn why_failed(job: &Job, key: &TaskKey) -> Option<String> {
    let said = |key: &TaskKey| {
        let (_, failure) = job.task(key)?.failures_now().last()?;
        Some(failure.message.clone())
    };
    if let Some(own) = said(key) {
        return Some(own);
    }
    let spec = job.spec()?;
    let before = spec.before(key);
    let mut failed = before.iter().filter(|before| job.state(before) == Some(TaskState::Failed));
    let of_frame = failed.find_map(|before| {
        let why = why_failed(job, before)?;
        Some(if is_tiled(job, before.step) { format!("tile {}: {why}", before.tile) } else { why })
    });
    of_frame.or_else(|| {
        let whole: Vec<u16> = spec.before_as_a_whole(key.step).collect();
        let first = job.failed().find(|failed| whole.contains(&failed.step))?;
        Some(format!("frame {}: {}", first.frame, why_failed(job, &first)?))
    })
}

/// Whether a step renders parts of frames.
fn is_tiled(job: &Job, step: u16) -> bool {
    let step = job.spec().and_then(|spec| spec.steps.get(usize::from(step)));
    step.is_some_and(|step| step.tiles != (1, 1))
}

/// A node's name, for people.
pub(super) fn name(machine: &Machine, node: &NodeId) -> String {
    Names(machine).of(node)
}

/// Names of nodes, for people.
pub(super) struct Names<'a>(pub(super) &'a Machine);

impl Names<'_> {
    pub(super) fn of(&self, node: &NodeId) -> String {
        let advert = self.0.adverts.get(node).or_else(|| self.0.absent.get(node));
        let advert = advert.map(|advert| advert.name.clone());
        let member = || self.0.ledger.members.get(node).map(|member| member.name.clone());
        advert.or_else(member).unwrap_or_else(|| node.short())
    }
}

/// The line of a job in a list.
pub(super) fn summary(machine: &Machine, id: &JobId, job: &Job, live: &Live) -> Option<Value> {
    let spec = job.spec()?;
    let status = status(job, live.activity())?;
    let (all, done, failed) = job.frame_counts();
    let reckoned =
        estimate(job, status.is_over(), &live.running(), |node| price(machine, job, node));
    // What is paused goes on when somebody says so, and nobody knows when.
    let moves = status != Status::Paused;
    #[expect(clippy::cast_precision_loss, reason = "for people, and far below 2^53")]
    let money = |millionths: Option<u64>| millionths.map(|cost| cost as f64 / 1e6);
    #[expect(clippy::cast_precision_loss, reason = "frames a minute, in thousandths")]
    let rate = reckoned.per_minute.filter(|_| moves).map(|rate| rate as f64 / 1000.0);
    let names = Names(machine);
    Some(json!({
        "job": id,
        "name": spec.name,
        "owner": spec.owner,
        "submitter": job.submitter().map(|node| names.of(&node)),
        "status": status.name(),
        "error_message": if status == Status::Failed { error_message(job, |node| names.of(node)) } else { None },
        "waiting_for": waiting_for(job, status, live),
        "priority": job.switches().priority,
        "claim": claim(job),
        "engine": spec.steps.first().map(|step| &step.engine),
        "engine_version": spec.steps.first().map(|step| &step.engine_version),
        "submitted": spec.submitted.seconds(),
        "frames_total": all,
        "frames_done": done,
        "frames_failed": failed,
        "frames_running": live.leases.keys().map(|key| key.frame).collect::<BTreeSet<_>>().len(),
        "render_seconds": Duration::from_millis(reckoned.rendered_ms).as_secs_f64(),
        "rate_per_minute": rate,
        "eta_seconds": reckoned.left_ms.filter(|_| moves).map(|left| left.div_ceil(1000)),
        "cost_so_far": money(reckoned.cost),
        "cost_expected": money(reckoned.cost_expected),
    }))
}

/// How many frames are described at once: the machine, whose leases and probes can't wait, is others' in between.
const FRAMES_AT_ONCE: usize = 1000;
/// How long at least.
const BETWEEN: Duration = Duration::from_millis(1);

/// A job's whole document.
pub(super) async fn job(node: &Shared, id: &JobId, live: &Live) -> Option<Value> {
    let (mut document, status, keys) = but_for_frames(node, id, live)?;
    let mut frames = Vec::with_capacity(keys.len());
    for some in keys.chunks(FRAMES_AT_ONCE) {
        if !frames.is_empty() {
            tokio::time::sleep(BETWEEN).await;
        }
        let machine = node.machine();
        let job = machine.ledger.jobs.get(id)?;
        let names = Names(&machine);
        frames.extend(some.iter().map(|key| frame(&names, job, status, live, *key)));
    }
    document["frames"] = frames.into();
    Some(document)
}

/// What there is to say of a job beside its frames, its status, and which those are.
fn but_for_frames(node: &Shared, id: &JobId, live: &Live) -> Option<(Value, Status, Vec<TaskKey>)> {
    let machine = node.machine();
    let job = machine.ledger.jobs.get(id)?;
    let mut document = summary(&machine, id, job, live)?;
    let status = status(job, live.activity())?;
    let names = Names(&machine);
    // What only checks others is no frame.
    let checks = |key: &TaskKey| job.spec().is_some_and(|spec| spec.is_check(key.step));
    let frames = job.tasks().map(|(key, _)| key).filter(|key| !checks(key)).collect();
    let compared: Vec<(i32, Option<Comparison>)> = job
        .tasks()
        .filter(|(key, _)| checks(key) && job.spec().is_some_and(|spec| spec.compares(key.step)))
        .map(|(key, task)| (key.frame, task.noted().compared))
        .collect();
    document["checks"] = checks::documents(&names, &compared);
    document["warnings"] = checks::warnings(&names, &compared);
    let winners = job.controls().map(|(control, author)| {
        json!({
            "action": control.action.name(), "version": control.version, "by": control.by,
            "node": names.of(&author), "at": control.at.seconds(),
        })
    });
    document["controls"] = winners.collect();
    let stay = machine.stay(id);
    document["keep_seconds"] = json!(job.switches().keep.seconds(machine.ledger.settings.keep()));
    document["goes"] = match &stay {
        Some(Stay::Until(at)) => at.seconds().into(),
        _ => Value::Null,
    };
    document["owed_to"] = json!(owed_to(&names, stay.as_ref()));
    document["deliveries"] = job
        .deliveries()
        .map(|(to, folder)| json!({ "node": names.of(&to), "folder": folder }))
        .collect();
    Some((document, status, frames))
}

/// The names of the nodes that have yet to write the files of a job that stays so.
pub(super) fn owed_to(names: &Names<'_>, stay: Option<&Stay>) -> Vec<String> {
    match stay {
        Some(Stay::Owed(nodes)) => nodes.iter().map(|node| names.of(node)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_costs_as_much_of_its_node_as_the_largest_of_its_parts_that_were_asked_for() {
        let hardware = Hardware { cpu_cores: 8, ram: 32 * GIB, ..Hardware::default() };
        let part = |cores, ram: u64| {
            share_price(1000, &Needs { cores, ram: ram * GIB, ..Needs::default() }, &hardware)
        };
        assert_eq!((part(2, 0), part(2, 16), part(0, 4)), (250_000, 500_000, 125_000));
        assert_eq!(part(8, 64), 1_000_000, "there is no more of it");
    }
}
