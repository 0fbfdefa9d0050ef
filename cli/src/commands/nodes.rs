//! `weft nodes`: the studio's nodes.

use crate::context::Context;
use crate::document::{self, Gpu, Hardware, Node, short};
use crate::error::Failure;
use crate::output::{Style, plain_line, table::Table, units};

/// How much of a failure's message stands in a list, in bytes.
const WHY: usize = 160;

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let document = context.client().await?.get("nodes?held=true").await?;
    let nodes: Vec<Node> = document::read(&document)?;
    context.answer(&document, |style| words(&nodes, style))
}

fn words(nodes: &[Node], style: Style) -> String {
    let mut table = Table::new(&[
        "name", "node", "state", ">running", ">cores", ">GiB", "gpus", "engines", "os", ">holds",
    ])
    .paint("state", Style::status)
    .paint("node", Style::faint);
    for node in nodes {
        table.row([
            node.name.clone(),
            short(&node.node).to_owned(),
            state(node),
            node.running.to_string(),
            node.hardware.cpu_cores.to_string(),
            format!("{:.0}", node.hardware.ram),
            gpus(&node.hardware),
            engines(node),
            node.hardware.os.clone(),
            node.bytes_held.map_or(String::new(), units::bytes),
        ]);
    }
    let mut words = table.words(style, "no nodes");
    for node in nodes {
        if let Some(room) = room(node) {
            words.push_str(&format!("\n{}: {room} free", node.name));
        }
        for why in why_closed(node) {
            words.push_str(&format!("\n{}: {why}", node.name));
        }
    }
    words
}

/// What is free of a node on which tasks have shares.
pub(super) fn room(node: &Node) -> Option<String> {
    let free = node.free.as_ref().filter(|_| node.tasks.iter().any(|t| t.claim.is_some()))?;
    let Hardware { cpu_cores, ram, gpus, .. } = &node.hardware;
    let mut words = format!("{} of {cpu_cores} cores", free.cores);
    words.push_str(&format!(", {:.1} of {ram:.1} GiB", free.ram));
    if !gpus.is_empty() {
        words.push_str(&format!(", {} of {} GPUs", free.gpus.len(), gpus.len()));
    }
    Some(words)
}

/// Why a node takes no new work, a line each.
pub(super) fn why_closed(node: &Node) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(said) = &node.drained_by {
        lines.push(format!("drained by {} on {}", said.by, units::date(said.at)));
    }
    if node.closed.as_deref() == Some("hours") {
        let hours = node.hours.as_deref().unwrap_or_default();
        lines.push(format!("outside its hours {hours}").trim_end().to_owned());
    }
    if node.closed.as_deref() == Some("in_use") {
        lines.push("in use by somebody".to_owned());
    }
    if node.closed.as_deref() == Some("disk") {
        lines.push("its disk is full, or takes nothing for another reason".to_owned());
    }
    for failure in &node.benched {
        let why = plain_line(&failure.error_message);
        let why = why.get(..why.floor_char_boundary(WHY)).unwrap_or_default();
        lines.push(format!("benched: frame {} of '{}': {why}", failure.frame, failure.name));
    }
    for (engine, said) in &node.licences_refused {
        lines.push(format!("no licence of {engine} a moment ago: {}", plain_line(said)));
    }
    lines
}

/// Whether a node is there, and what else is to be said of it.
pub(super) fn state(node: &Node) -> String {
    let word = node.state.as_deref().unwrap_or(if node.alive { "alive" } else { "dead" });
    let mut words = vec![word];
    words.extend(node.leader.then_some("leader"));
    words.extend(node.drained.then_some("drained"));
    words.extend((!node.benched.is_empty()).then_some("benched"));
    words.extend((node.closed.as_deref() == Some("hours")).then_some("outside its hours"));
    words.extend((node.closed.as_deref() == Some("in_use")).then_some("in use"));
    words.extend((node.closed.as_deref() == Some("disk")).then_some("disk full"));
    words.join(", ")
}

/// Engines with their versions; those that every weft has come last.
pub(super) fn engines(node: &Node) -> String {
    let built_in = |name: &str| matches!(name, "demo" | "join" | "noop");
    let mut engines: Vec<_> = node.engines.iter().collect();
    engines.sort_by_key(|(name, _)| built_in(name));
    let words = engines.into_iter().map(|(name, version)| {
        if built_in(name) || version.is_empty() {
            name.clone()
        } else {
            format!("{name} {version}")
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Graphics cards, equal ones counted.
pub(super) fn gpus(hardware: &Hardware) -> String {
    let mut kinds: Vec<(&Gpu, usize)> = Vec::new();
    for gpu in &hardware.gpus {
        match kinds.iter_mut().find(|(kind, _)| kind.model == gpu.model) {
            Some((_, count)) => *count += 1,
            None => kinds.push((gpu, 1)),
        }
    }
    let words = kinds.iter().map(|(gpu, count)| {
        let times = if *count > 1 { format!("{count} × ") } else { String::new() };
        format!("{times}{} ({:.0} GiB)", gpu.model, gpu.memory)
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_are_listed_with_what_they_have() {
        let card = json!({ "model": "NVIDIA RTX 4090", "memory": 24.0 });
        let document = json!([
            { "node": "0123456789abcdef", "name": "ws1", "alive": true, "state": "alive",
              "bytes_held": 4_404_019, "leader": true, "running": 1,
              "free": { "cores": 60, "ram": 235.9, "gpus": [1] },
              "tasks": [{ "job": "00", "frame": 7, "claim": { "cores": 4, "ram": 15.7, "gpus": [0] } }], "engines": { "demo": "0.1.0", "blender": "3.4.1" },
              "hardware": { "os": "Debian 12", "cpu_cores": 64, "ram": 251.6, "gpus": [card, card] } },
            { "node": "fedcba9876543210", "name": "ws2", "alive": false, "state": "dead",
              "drained": true, "drained_by": { "by": "ada@ws1", "node": "ws1", "at": 1_709_210_100 },
              "benched": [{ "job": "00", "name": "shot", "frame": 7, "at": 0, "error_message": "no\ndriver" }],
              "engines": {}, "hardware": { "os": "Windows 11", "cpu_cores": 8, "ram": 31.9 } },
            { "node": "00112233445566", "name": "ws3", "alive": true, "closed": "in_use",
              "hardware": { "os": "Debian 12", "cpu_cores": 8, "ram": 31.9 } },
        ]);
        let nodes: Vec<Node> = document::read(&document).unwrap();
        insta::assert_snapshot!(words(&nodes, Style::default()), @r"
        name  node        state                   running  cores  GiB  gpus                          engines              os            holds
        ws1   0123456789  alive, leader                 1     64  252  2 × NVIDIA RTX 4090 (24 GiB)  blender 3.4.1, demo  Debian 12   4.2 MiB
        ws2   fedcba9876  dead, drained, benched        0      8   32                                                     Windows 11
        ws3   0011223344  alive, in use                 0      8   32                                                     Debian 12
        ws1: 60 of 64 cores, 235.9 of 251.6 GiB, 1 of 2 GPUs free
        ws2: drained by ada@ws1 on 2024-02-29 12:35 UTC
        ws2: benched: frame 7 of 'shot': no driver
        ws3: in use by somebody
        ");
    }
}
