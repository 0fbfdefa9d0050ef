//! Nothing twice: what a frame's result depends on, as one hash, and where a result of that hash is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::outcome::OutputFile;
use super::spec::{JobSpec, Step};
use super::table::{Job, Jobs};
use super::task::{FrameRun, TaskKey, span};
use crate::content::{Tree, TreePath};
use crate::hardware::{CAN, Hardware};
use crate::ids::{BlobId, JobId, NodeId};
use crate::time::Unix;
use crate::wire;

/// The hash of all that a result depends on: of equal ones the results are the same.
pub type Key = [u8; 32];

/// What sort of machine makes something with an engine: two of one sort make the same of the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Maker {
    /// The engine's version.
    pub version: String,
    /// The device class, as [`device_class`] gives it.
    pub class: String,
}

/// The argument by which a scene is rendered on other devices than processors.
const DEVICE: &str = "arg.device";

/// Machines of one class give the same pixels: those with processors of one architecture, and where a
/// job asks for graphics cards, or for what a node was found able to do (to draw with them, or without), with
/// the same models of those.
#[must_use]
pub fn device_class(spec: &JobSpec, step: &Step, hardware: &Hardware) -> String {
    let needs = &spec.needs;
    let cards = needs.gpus > 0
        || !needs.gpu_model.is_empty()
        || step.arguments.contains_key(DEVICE)
        || needs.tags.iter().any(|tag| tag.starts_with(CAN));
    let mut class = hardware.arch.clone();
    if cards {
        let models: BTreeSet<&str> = hardware.gpus.iter().map(|gpu| gpu.model.as_str()).collect();
        for model in models {
            class.push('+');
            class.push_str(model);
        }
    }
    class
}

/// The files of a tree, ready to be hashed for many frames: those that all need once.
#[derive(Debug)]
pub struct Inputs<'a> {
    common: Key,
    some: Vec<(&'a TreePath, BlobId, &'a [FrameRun])>,
}

impl<'a> Inputs<'a> {
    /// Those of a tree.
    #[must_use]
    pub fn of(tree: &'a Tree) -> Self {
        let (mut common, mut some) = (Vec::new(), Vec::new());
        for (path, entry) in tree.entries() {
            match &entry.frames {
                None => common.push((path, entry.blob)),
                Some(runs) => some.push((path, entry.blob, runs.as_slice())),
            }
        }
        Self { common: hash(&("weft inputs 1", common)), some }
    }

    /// What of them one frame needs.
    fn of_frame(&self, frame: i32) -> (Key, Vec<(&'a TreePath, BlobId)>) {
        let needed = self.some.iter().filter(|(_, _, runs)| runs.iter().any(|r| r.contains(frame)));
        (self.common, needed.map(|(path, blob, _)| (*path, *blob)).collect())
    }
}

fn hash(what: &impl Serialize) -> Key {
    *blake3::hash(&wire::encode(what)).as_bytes()
}

/// What a result is made from.
#[derive(Serialize)]
enum Source<'a> {
    /// Files, by an engine on some sort of machine. The frames' span counts where the engine is told it.
    Files {
        version: &'a str,
        class: &'a str,
        scene: &'a TreePath,
        span: Option<(i32, i32)>,
        files: (Key, Vec<(&'a TreePath, BlobId)>),
    },
    /// What other tasks made.
    Results(Vec<Key>),
}

/// The key of a task's result. `maker` says what makes the tasks' results (of those that put others
/// together it is not asked), and `spanned` whether the engine is told of the first and last frame.
/// None of a task that waits for others than its own frame's, or where no maker is known.
pub fn key(
    spec: &JobSpec,
    inputs: &Inputs<'_>,
    task: &TaskKey,
    spanned: bool,
    maker: &dyn Fn(&TaskKey) -> Option<Maker>,
) -> Option<Key> {
    let step = spec.steps.get(usize::from(task.step))?;
    let made;
    let source = if step.after.is_empty() {
        made = maker(task)?;
        Source::Files {
            version: &made.version,
            class: &made.class,
            scene: &step.scene,
            span: if spanned { span(&step.frames) } else { None },
            files: inputs.of_frame(task.frame),
        }
    } else {
        if !step.after.iter().all(|earlier| spec.frame_by_frame(*earlier, task.step)) {
            return None;
        }
        let before = spec.before(task).into_iter();
        let keys = before.map(|task| key(spec, inputs, &task, spanned, maker));
        Source::Results(keys.collect::<Option<_>>()?)
    };
    let TaskKey { layer, camera, view, frame, tile, step: _ } = *task;
    let place = (layer, camera, view, frame, tile, step.tiles);
    Some(hash(&("weft key 1", &step.engine, &step.arguments, &step.output, place, source)))
}

/// A result that is known under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The job.
    pub job: JobId,
    /// Its task.
    pub task: TaskKey,
    /// Its round.
    pub generation: u32,
    /// Who made it.
    pub author: NodeId,
    /// What it made.
    pub files: Vec<OutputFile>,
    /// What the engine printed.
    pub log: Option<BlobId>,
    /// Who held the files when it was signed.
    pub holders: Vec<NodeId>,
}

/// Looks results up by their keys, in all jobs but `besides`.
///
/// Only what an engine made is given, never what was taken over itself. Whoever has a frame rendered anew
/// found the one before wrong: so of all tasks with a key those of the highest round count, and while
/// one of that round is still to be rendered there is none. Of several the job's counts that was
/// submitted last.
#[must_use]
pub fn find(jobs: &Jobs, besides: &JobId, keys: &BTreeSet<Key>) -> BTreeMap<Key, Found> {
    type Rank = (u32, Unix, JobId, TaskKey);
    let mut best: BTreeMap<Key, (Option<Rank>, u32)> = BTreeMap::new();
    for (id, job, spec) in jobs.iter() {
        for (task, known) in job.tasks() {
            let Some((done, key)) = known.done().zip(known.noted().key) else { continue };
            if !keys.contains(&key) {
                continue;
            }
            let (rank, round) = best.entry(key).or_default();
            // The round that was asked for last, whether or not it is there by now.
            *round = (*round).max(known.generation);
            if !done.is_taken_over() && id != *besides {
                *rank = (*rank).max(Some((done.generation, spec.submitted, id, task)));
            }
        }
    }
    let current = best.into_iter().filter_map(|(key, (rank, round))| {
        let (generation, _, job, task) = rank?;
        let done = jobs.get(&job)?.task(&task)?.done()?;
        let found = || Found {
            job,
            task,
            generation,
            author: done.author,
            files: done.files.to_vec(),
            log: done.log,
            holders: done.holders.to_vec(),
        };
        (generation >= round).then(|| (key, found()))
    });
    current.collect()
}

/// The tasks of a job for which stored results may be used: those that are open, and of which nothing was
/// done in an earlier round, since that was wrong.
pub fn wanted(job: &Job) -> impl Iterator<Item = TaskKey> {
    let fresh = job.spec().is_none_or(|spec| spec.fresh || spec.check > 0);
    let none = fresh || job.switches().cancelled;
    let open = job.open().filter(|key| job.task(key).is_some_and(|task| task.done().is_none()));
    open.filter(move |_| !none)
}

#[cfg(test)]
#[path = "reuse_tests.rs"]
mod tests;
