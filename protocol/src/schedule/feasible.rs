//! Which nodes can take a job at all.

use super::NodeView;
use crate::hardware::{CAN, SANDBOX, SHARED, Shortfall, gib};
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

/// What a job asks of a node, a line each, with the best that the studio has.
#[must_use]
pub fn requirements<'a>(
    spec: &JobSpec,
    step: &Step,
    nodes: impl Iterator<Item = &'a NodeView>,
) -> Vec<String> {
    let rendering: Vec<&NodeView> = nodes.filter(|node| node.renders).collect();
    let has = |count: usize| match count {
        0 => "no node has it".to_owned(),
        1 => "one node has it".to_owned(),
        _ => format!("{count} nodes have it"),
    };
    let best = |measure: &dyn Fn(&NodeView) -> u64| {
        rendering.iter().map(|node| measure(node)).max().unwrap_or(0)
    };
    let with =
        |fits: &dyn Fn(&NodeView) -> bool| has(rendering.iter().filter(|node| fits(node)).count());
    let Step { engine, engine_version: version, .. } = step;
    let versions = |node: &NodeView| {
        node.engines.get(engine).is_some_and(|has| version.is_empty() || has == version)
    };
    let called = format!("the engine '{engine}' {version}");
    let mut lines = vec![format!("{}: {}", called.trim_end(), with(&versions))];
    let needs = &spec.needs;
    if needs.ram > 0 {
        let most = best(&|node| node.hardware.ram);
        lines.push(format!(
            "{} GiB of RAM: the largest node has {} GiB",
            gib(needs.ram),
            gib(most)
        ));
    }
    if needs.cores > 0 {
        let most = best(&|node| u64::from(node.hardware.cpu_cores));
        lines.push(format!("{} cores: the largest node has {most}", needs.cores));
    }
    let model = needs.gpu_model.as_str();
    let gpus = needs.cards();
    if gpus > 0 {
        let most = best(&|node| u64::from(node.hardware.gpus_of(model)));
        let what = if model.is_empty() { "GPUs".into() } else { format!("GPUs '{model}'") };
        lines.push(format!("{gpus} {what}: the best node has {most}"));
    }
    for tag in &needs.tags {
        lines.push(format!("the tag '{tag}': {}", with(&|node| node.tags.contains(tag))));
    }
    lines
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
    let gpus = needs.cards();
    if gpus > most_gpus {
        let what = if model.is_empty() { "GPUs".into() } else { format!("GPUs '{model}'") };
        sentences.push(format!("{gpus} {what} are asked, and the best node has {most_gpus}"));
    }
    for tag in &needs.tags {
        if !with_version.iter().any(|node| node.tags.contains(tag)) {
            sentences.push(match tag.as_str() {
                SANDBOX => "it must run in a sandbox, and no node has one".to_owned(),
                _ if tag.starts_with(CAN) => {
                    let what = tag.strip_prefix(CAN).unwrap_or(tag);
                    format!("it takes '{what}', and no node was found to do that")
                }
                _ => match tag.strip_prefix(SHARED) {
                    Some(root) => format!(
                        "files lie in the shared root '{root}', and no node has that ([shared_roots] in weft.toml)"
                    ),
                    None => format!("no node has the tag '{tag}'"),
                },
            });
        }
    }
    if sentences.is_empty() {
        sentences.push("no single node has all that is asked at once".into());
    }
    Some(sentences.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::{GIB, Gpu, Hardware, Needs};
    use crate::job::samples::spec;

    #[test]
    fn each_requirement_is_said_with_the_best_there_is() {
        let machine = |ram: u64, cores: u32, gpus: usize| NodeView {
            hardware: Hardware {
                cpu_cores: cores,
                ram: ram * GIB,
                gpus: vec![Gpu { model: "RTX 4090".into(), memory: 24 * GIB }; gpus],
                ..Hardware::default()
            },
            engines: [("demo".to_owned(), "1".to_owned())].into(),
            renders: true,
            ..NodeView::default()
        };
        let artist = NodeView { renders: false, ..machine(512, 128, 8) };
        let nodes = [machine(64, 8, 1), machine(16, 32, 0), artist];
        let mut spec = spec(1);
        let lines = |spec: &JobSpec| requirements(spec, &spec.steps[0], nodes.iter());
        assert_eq!(lines(&spec), ["the engine 'demo': 2 nodes have it"]);
        spec.steps[0].engine_version = "2".into();
        spec.needs = Needs {
            ram: 64 * GIB,
            cores: 24,
            gpus: 0,
            gpu_model: "rtx".into(),
            tags: ["lab".to_owned()].into(),
        };
        assert_eq!(
            lines(&spec),
            [
                "the engine 'demo' 2: no node has it",
                "64 GiB of RAM: the largest node has 64 GiB",
                "24 cores: the largest node has 32",
                "1 GPUs 'rtx': the best node has 1",
                "the tag 'lab': no node has it",
            ]
        );
    }
}
