//! What the demo tells in the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use weft_node::path_text;

use super::farm::Kept;
use crate::commands::job::spec;
use crate::document::{self, Job};
use crate::output::{Style, table::Table, units};

/// What came of it.
#[derive(Debug)]
pub(super) struct Report {
    job: String,
    frames: u64,
    nodes: Vec<Node>,
    seconds: f64,
    output: PathBuf,
}

/// What a node did.
#[derive(Debug)]
pub(super) struct Node {
    node: String,
    name: String,
    frames: Vec<i64>,
    bytes_received: u64,
    bytes_sent: u64,
    /// The term, where it leads.
    term: Option<u64>,
}

impl Node {
    pub(super) fn new(job: &Job, node: &document::Node, term: Option<u64>) -> Self {
        let own = |frame: &&document::Frame| frame.node.as_deref() == Some(node.node.as_str());
        Self {
            node: node.node.clone(),
            name: node.name.clone(),
            frames: job.frames.iter().filter(own).map(|frame| frame.frame).collect(),
            bytes_received: node.bytes_received,
            bytes_sent: node.bytes_sent,
            term,
        }
    }
}

impl Report {
    pub(super) fn new(job: &Job, nodes: Vec<Node>, took: Duration, output: &Path) -> Self {
        Self {
            job: job.job.clone(),
            frames: job.frames_done,
            nodes,
            seconds: took.as_secs_f64(),
            output: output.to_owned(),
        }
    }

    /// Every byte that one node sent and another received, once.
    fn travelled(&self) -> u64 {
        self.nodes.iter().map(|node| node.bytes_received).sum()
    }

    fn leader(&self) -> Option<(&Node, u64)> {
        self.nodes.iter().find_map(|node| Some((node, node.term?)))
    }

    pub(super) fn document(&self, kept: Option<&Kept>) -> Value {
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .map(|node| {
                json!({
                    "node": node.node, "name": node.name,
                    "frames": spec(node.frames.iter().copied()), "frames_rendered": node.frames.len(),
                    "bytes_received": node.bytes_received, "bytes_sent": node.bytes_sent,
                })
            })
            .collect();
        let leader = self
            .leader()
            .map(|(node, term)| json!({ "node": node.node, "name": node.name, "term": term }));
        let mut document = json!({
            "job": self.job,
            "frames_done": self.frames,
            "output": path_text::told(&self.output),
            "seconds": (self.seconds * 1000.0).round() / 1000.0,
            "leader": leader,
            "nodes": nodes,
            "bytes_travelled": self.travelled(),
        });
        if let Some(kept) = kept {
            document["homes"] = kept.homes.iter().map(|home| path_text::told(home)).collect();
            document["processes"] = json!(kept.processes);
        }
        document
    }

    pub(super) fn words(&self, kept: Option<&Kept>, style: Style) -> String {
        let mut table = Table::new(&["node", ">frames", "which", ">received", ">sent"]);
        for node in &self.nodes {
            table.row([
                node.name.clone(),
                node.frames.len().to_string(),
                spec(node.frames.iter().copied()),
                units::bytes(node.bytes_received),
                units::bytes(node.bytes_sent),
            ]);
        }
        let mut words = table.words(style, "no nodes");
        words.push_str(&format!(
            "\n\n{} in {}; {} travelled between the nodes",
            units::count(usize::try_from(self.frames).unwrap_or(usize::MAX), "frame"),
            units::duration(self.seconds),
            units::bytes(self.travelled()),
        ));
        if let Some((leader, term)) = self.leader() {
            words.push_str(&format!("; {} led, term {term}", leader.name));
        }
        words.push_str(&format!(".\nThe frames are in {}", self.output.display()));
        if let Some(kept) = kept {
            words.push_str(&kept_words(kept));
        }
        words
    }
}

fn kept_words(kept: &Kept) -> String {
    let home = kept.homes.first().map_or(String::new(), |home| path_text::told(home));
    let processes: Vec<String> = kept.processes.iter().map(u32::to_string).collect();
    let set = if cfg!(windows) { "set " } else { "export " };
    format!(
        "\n\nThe farm goes on. To use it:  {set}WEFT_HOME={home}\nThen, for example:           weft nodes\n\
         To end it:                   {} {}\nIts folder is                {}",
        if cfg!(windows) { "taskkill /F /PID" } else { "kill" },
        processes.join(if cfg!(windows) { " /PID " } else { " " }),
        kept.folder.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_report_tells_who_did_what() {
        let frames: Vec<Value> = (1..=4)
            .map(|n| json!({ "frame": n, "status": "done", "node": if n < 4 { "aa" } else { "bb" } }))
            .collect();
        let job = json!({ "job": "j", "frames_done": 4, "frames": frames });
        let job: Job = document::read(&job).unwrap();
        let node = |id: &str, name: &str| document::Node {
            node: id.into(),
            name: name.into(),
            bytes_received: 200_000,
            bytes_sent: 1000,
            ..document::Node::default()
        };
        let nodes = vec![
            Node::new(&job, &node("aa", "node-1"), None),
            Node::new(&job, &node("bb", "node-2"), Some(3)),
        ];
        let report = Report::new(&job, nodes, Duration::from_millis(12_345), Path::new("/out"));
        insta::assert_snapshot!(report.words(None, Style::default()), @r"
        node    frames  which  received    sent
        node-1       3  1-3     195 KiB  1000 B
        node-2       1  4       195 KiB  1000 B

        4 frames in 12 s; 391 KiB travelled between the nodes; node-2 led, term 3.
        The frames are in /out
        ");
        let document = report.document(None);
        assert_eq!(document["leader"], json!({ "node": "bb", "name": "node-2", "term": 3 }));
        assert_eq!(document["nodes"][0]["frames"], "1-3");
        assert_eq!(document["bytes_travelled"], 400_000);
        assert_eq!(document["seconds"], 12.345);
    }
}
