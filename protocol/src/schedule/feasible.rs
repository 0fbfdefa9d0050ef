//! Which nodes can take a job at all.

use super::NodeView;
use crate::hardware::{Shortfall, gib};
use crate::job::spec::{JobSpec, Step};

/// Why a node can't take a step of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Its certificate doesn't let it render.
    Role,
    /// It has no such engine.
    Engine,
    /// It has another version of the engine; which.
    Version(String),
    /// Its hardware falls short.
    Hardware(Vec<Shortfall>),
}

/// Why `node` can't take `step`; empty when it can.
#[must_use]
pub fn unfit(spec: &JobSpec, step: &Step, node: &NodeView) -> Option<Unfit> {
    if !node.renders {
        return Some(Unfit::Role);
    }
    match node.engines.get(&step.engine) {
        None => return Some(Unfit::Engine),
        Some(version) if !step.engine_version.is_empty() && *version != step.engine_version => {
            return Some(Unfit::Version(version.clone()));
        }
        Some(_) => {}
    }
    let lacks = spec.needs.shortfalls(&node.hardware, &node.tags);
    (!lacks.is_empty()).then_some(Unfit::Hardware(lacks))
}

/// Says what a job asks that no node has, each with the best that there is. None when some node fits.
#[must_use]
pub fn explain<'a>(
    spec: &JobSpec,
    step: &Step,
    nodes: impl Iterator<Item = &'a NodeView> + Clone,
) -> Option<String> {
    let rendering: Vec<&NodeView> = nodes.filter(|node| node.renders).collect();
    if rendering.iter().any(|node| unfit(spec, step, node).is_none()) {
        return None;
    }
    let with_engine: Vec<&NodeView> =
        rendering.iter().filter(|node| node.engines.contains_key(&step.engine)).copied().collect();
    if with_engine.is_empty() {
        return Some(format!("no node of the studio has the engine '{}'", step.engine));
    }
    let with_version: Vec<&NodeView> = with_engine
        .iter()
        .filter(|node| !matches!(unfit(spec, step, node), Some(Unfit::Version(_))))
        .copied()
        .collect();
    if with_version.is_empty() {
        return Some(format!(
            "no node of the studio has version {} of the engine '{}'",
            step.engine_version, step.engine
        ));
    }
    let best = |measure: fn(&NodeView) -> u64| with_version.iter().map(|n| measure(n)).max();
    let mut sentences = Vec::new();
    let needs = &spec.needs;
    let largest_ram = best(|node| node.hardware.ram).unwrap_or(0);
    if needs.ram > largest_ram {
        sentences.push(format!(
            "{} GiB of RAM are asked, and the largest node has {} GiB",
            gib(needs.ram),
            gib(largest_ram)
        ));
    }
    let most_cores = best(|node| u64::from(node.hardware.cpu_cores)).unwrap_or(0);
    if u64::from(needs.cores) > most_cores {
        sentences.push(format!(
            "{} cores are asked, and the largest node has {most_cores}",
            needs.cores
        ));
    }
    let model = needs.gpu_model.as_str();
    let most_gpus = with_version.iter().map(|node| node.hardware.gpus_of(model)).max().unwrap_or(0);
    let gpus = if model.is_empty() { needs.gpus } else { needs.gpus.max(1) };
    if gpus > most_gpus {
        let what = if model.is_empty() { "GPUs".into() } else { format!("GPUs '{model}'") };
        sentences.push(format!("{gpus} {what} are asked, and the best node has {most_gpus}"));
    }
    for tag in &needs.tags {
        if !with_version.iter().any(|node| node.tags.contains(tag)) {
            sentences.push(format!("no node has the tag '{tag}'"));
        }
    }
    if sentences.is_empty() {
        sentences.push("no single node has all that is asked at once".into());
    }
    Some(sentences.join("; "))
}
