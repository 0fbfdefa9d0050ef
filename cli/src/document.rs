//! The nodes' documents, as far as the commands read them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::Failure;
use crate::output::units;

/// A job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Job {
    pub(crate) job: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) status: String,
    pub(crate) error_message: Option<String>,
    pub(crate) waiting_for: Option<String>,
    pub(crate) engine: Option<String>,
    pub(crate) engine_version: Option<String>,
    pub(crate) priority: Option<u8>,
    /// What each task takes of its node; all of it where none is said.
    pub(crate) claim: Option<Asked>,
    pub(crate) submitted: Option<u64>,
    pub(crate) frames_total: u64,
    pub(crate) frames_done: u64,
    pub(crate) frames_failed: u64,
    pub(crate) frames_running: u64,
    pub(crate) render_seconds: Option<f64>,
    pub(crate) rate_per_minute: Option<f64>,
    pub(crate) eta_seconds: Option<f64>,
    pub(crate) cost_so_far: Option<f64>,
    pub(crate) cost_expected: Option<f64>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) checks: Vec<Check>,
    pub(crate) warnings: Vec<String>,
    pub(crate) deliveries: Vec<Delivery>,
    /// How long it is kept once it is over.
    pub(crate) keep_seconds: Option<u32>,
    /// When it goes, in seconds since 1970.
    pub(crate) goes: Option<u64>,
    /// Who has yet to write its files before it may go.
    pub(crate) owed_to: Vec<String>,
    pub(crate) holders: Vec<Holder>,
}

/// What a task takes of its node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    pub(crate) cores: u32,
    /// GiB; none for as large a part as that of the cores.
    pub(crate) ram: Option<f64>,
    pub(crate) gpus: u32,
}

/// A part of a machine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Portion {
    pub(crate) cores: u32,
    /// GiB.
    pub(crate) ram: f64,
    pub(crate) gpus: Vec<u32>,
}

/// Something that a node works on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Task {
    pub(crate) job: String,
    pub(crate) name: Option<String>,
    pub(crate) frame: i64,
    pub(crate) phase: String,
    pub(crate) progress: f64,
    /// All of the node where none is said.
    pub(crate) claim: Option<Portion>,
}

/// A frame of a job, or a tile of one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Frame {
    pub(crate) frame: i64,
    pub(crate) tile: Option<u32>,
    pub(crate) status: String,
    pub(crate) node: Option<String>,
    pub(crate) node_name: Option<String>,
    /// Another node that tries it at the same time.
    pub(crate) also_tried_on: Option<String>,
    pub(crate) is_test_frame: bool,
    pub(crate) progress: Option<f64>,
    pub(crate) render_time: Option<f64>,
    pub(crate) reused_from: Option<String>,
    pub(crate) error_message: Option<String>,
    /// What its renderer warned of.
    pub(crate) warnings: Vec<String>,
    pub(crate) output: Vec<Output>,
}

/// A frame that is rendered a second time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Check {
    /// Whether both show the same, once they were compared.
    pub(crate) same: Option<bool>,
}

/// A finished file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Output {
    pub(crate) frame: Option<i64>,
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) id: String,
    /// MD5, in hex.
    pub(crate) hash: String,
}

/// Where a job's files are to be written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Delivery {
    pub(crate) node: String,
    pub(crate) folder: String,
}

/// How much of a job's files a node has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Holder {
    pub(crate) node_name: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// None where no node that answered knows.
    pub(crate) files_total: Option<u64>,
    pub(crate) bytes_total: Option<u64>,
}

/// A node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    pub(crate) node: String,
    pub(crate) name: String,
    pub(crate) alive: bool,
    pub(crate) state: Option<String>,
    pub(crate) leader: bool,
    pub(crate) drained: bool,
    pub(crate) drained_by: Option<Said>,
    pub(crate) benched: Vec<Trouble>,
    /// Why it takes nothing new: drained, hours, in_use, benched, disk.
    pub(crate) closed: Option<String>,
    pub(crate) hours: Option<String>,
    /// What it does while somebody uses it: ignore, finish, requeue.
    pub(crate) on_return: Option<String>,
    pub(crate) licences_refused: BTreeMap<String, String>,
    pub(crate) role: Option<String>,
    pub(crate) running: u64,
    /// Some of those, where the node that was asked knows of them.
    pub(crate) tasks: Vec<Task>,
    /// What can still be claimed of it, where that is known.
    pub(crate) free: Option<Portion>,
    pub(crate) price_per_hour: Option<f64>,
    pub(crate) engines: BTreeMap<String, String>,
    pub(crate) tags: Vec<String>,
    pub(crate) addresses: Vec<String>,
    pub(crate) release: Option<String>,
    pub(crate) hardware: Hardware,
    /// In its store; none where it did not say.
    pub(crate) bytes_held: Option<u64>,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

/// Who asked for something, and when.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    pub(crate) by: String,
    pub(crate) at: u64,
}

/// A failure that speaks against a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Trouble {
    pub(crate) name: String,
    pub(crate) frame: i64,
    pub(crate) error_message: String,
}

/// A profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Profile {
    pub(crate) name: String,
    /// GiB.
    pub(crate) ram: f64,
    pub(crate) cores: u32,
    pub(crate) gpus: u32,
    pub(crate) gpu_model: String,
    pub(crate) price_per_hour: f64,
    /// How many nodes meet it.
    pub(crate) nodes: u64,
}

/// How many tasks of an engine may run at once, and how many do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Limit {
    pub(crate) engine: String,
    pub(crate) limit: u64,
    pub(crate) running: u64,
}

/// A machine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Hardware {
    pub(crate) os: String,
    pub(crate) arch: String,
    pub(crate) cpu_model: String,
    pub(crate) cpu_cores: u32,
    /// GiB.
    pub(crate) ram: f64,
    pub(crate) gpus: Vec<Gpu>,
    /// Of the node that was asked alone.
    pub(crate) sandbox: Option<Sandbox>,
}

/// What renders run in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Sandbox {
    pub(crate) words: String,
}

/// A graphics card.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Gpu {
    pub(crate) model: String,
    /// GiB.
    pub(crate) memory: f64,
}

/// How many hex digits of an id people are shown; as the nodes shorten theirs.
const SHORT: usize = 10;

/// The beginning of an id, for people.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// The texts of a list in a document, with commas between.
pub(crate) fn listed(texts: &Value) -> String {
    let texts = texts.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}

/// Reads a document.
pub(crate) fn read<'a, T: Deserialize<'a>>(document: &'a Value) -> Result<T, Failure> {
    T::deserialize(document).map_err(|error| {
        Failure::failed(format!(
            "the node's answer can't be read: {error}. Is it another release of weft?"
        ))
    })
}

impl Job {
    /// Whether nothing more will happen to it by itself.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "cancelled")
    }

    /// What it costs, in words: so far, and in the end; none where nothing costs anything.
    pub(crate) fn cost(&self) -> Option<String> {
        let so_far = self.cost_so_far?;
        let expected = self.cost_expected.filter(|_| !self.is_over());
        if so_far == 0.0 && expected.unwrap_or(0.0) == 0.0 {
            return None;
        }
        let so_far = units::money(so_far);
        Some(match expected {
            Some(expected) => format!("{so_far} of about {}", units::money(expected)),
            None => so_far,
        })
    }

    /// What people call it: its name, and what it can be asked for by.
    pub(crate) fn label(&self) -> String {
        format!("{} ({})", self.name, short(&self.job))
    }

    /// Its finished files, as they are delivered: parts of frames are not.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.frames.iter().filter(|frame| frame.tile.is_none()).flat_map(|frame| &frame.output)
    }
}

impl Frame {
    /// Who renders or rendered it, or that nobody did.
    pub(crate) fn who(&self) -> Option<&str> {
        if self.reused_from.is_some() {
            return Some("taken over");
        }
        self.node_name.as_deref().or(self.node.as_deref().map(short))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_may_have_more_fields_and_nulls_where_nothing_is_known() {
        let job: Job = read(&json!({
            "job": "abcdef012345", "name": "shot", "status": "rendering", "error_message": null,
            "frames_total": 1, "a field of a later release": 3,
            "frames": [{ "frame": -1, "tile": null, "node": null, "render_time": null }],
        }))
        .unwrap();
        assert_eq!(job.label(), "shot (abcdef0123)");
        let output = |path: &str| Output { path: path.into(), ..Output::default() };
        let frame = |tile, path| Frame { tile, output: vec![output(path)], ..Frame::default() };
        let tiled = Job {
            frames: vec![frame(Some(0), "tile"), frame(Some(1), "tile"), frame(None, "whole")],
            ..Job::default()
        };
        assert_eq!(tiled.outputs().collect::<Vec<_>>(), [&output("whole")]);
        assert_eq!(job.frames[0].frame, -1);
        assert!(!job.is_over() && job.cost().is_none());
        let costs = |status: &str, so_far, expected| Job {
            status: status.into(),
            cost_so_far: Some(so_far),
            cost_expected: expected,
            ..Job::default()
        };
        assert_eq!(costs("rendering", 0.0, Some(0.0)).cost(), None);
        assert_eq!(costs("rendering", 0.5, Some(12.0)).cost().unwrap(), "0.50 of about 12.00");
        assert_eq!(costs("completed", 0.5, Some(0.5)).cost().unwrap(), "0.50");
        assert!(read::<Job>(&json!([1])).is_err());
    }
}
