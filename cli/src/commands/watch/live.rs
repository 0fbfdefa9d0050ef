//! What changes while a job is watched, frame by frame and node by node.

use std::collections::BTreeMap;

use crate::document::{Frame, Job};
use crate::output::{plain_line, units};

/// How many nodes are named at once.
const NODES: usize = 4;
/// How much of a failure's message stands in a line, in bytes.
const WHY: usize = 160;

/// What was told of a job's frames.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Each frame's status; none before the first document.
    told: Option<BTreeMap<(i64, Option<u32>), String>>,
}

impl Live {
    /// A line for each frame that ended since the last document.
    pub(super) fn lines(&mut self, job: &Job) -> Vec<String> {
        let status = |frame: &Frame| ((frame.frame, frame.tile), frame.status.clone());
        let now: BTreeMap<_, _> = job.frames.iter().map(status).collect();
        let before = self.told.replace(now);
        let Some(before) = before else { return Vec::new() };
        let changed =
            |frame: &&Frame| before.get(&(frame.frame, frame.tile)) != Some(&frame.status);
        job.frames.iter().filter(changed).filter_map(line).collect()
    }
}

fn line(frame: &Frame) -> Option<String> {
    let what = called(frame);
    let on = frame.who().map_or(String::new(), |who| format!(" on {who}"));
    match frame.status.as_str() {
        "done" if frame.reused_from.is_some() => {
            Some(format!("frame {what} is done: another job rendered it"))
        }
        "done" => {
            let time = frame.render_time.map(units::duration);
            let time = time.map_or(String::new(), |time| format!(" in {time}"));
            Some(format!("frame {what} is done{on}{time}"))
        }
        "failed" => {
            let why = plain_line(frame.error_message.as_deref().unwrap_or("nobody says why"));
            let why = why.get(..why.floor_char_boundary(WHY)).unwrap_or_default();
            Some(format!("frame {what} failed{on}: {why}"))
        }
        _ => None,
    }
}

fn called(frame: &Frame) -> String {
    match frame.tile {
        Some(tile) => format!("{}.{tile}", frame.frame),
        None => frame.frame.to_string(),
    }
}

/// Who works on which frame, and how far each is.
pub(super) fn at_work(job: &Job) -> Option<String> {
    let mut nodes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for frame in &job.frames {
        let how_far = match frame.status.as_str() {
            "rendering" => format!("{:.0} %", frame.progress.unwrap_or(0.0) * 100.0),
            "assigned" => "files".to_owned(),
            _ => continue,
        };
        let frames = nodes.entry(frame.who().unwrap_or("somebody")).or_default();
        let also = frame.also_tried_on.as_deref();
        let also = also.map_or(String::new(), |also| format!(", also tried on {also}"));
        frames.push(format!("{} ({how_far}{also})", called(frame)));
    }
    let more = nodes.len().saturating_sub(NODES);
    let named =
        nodes.iter().take(NODES).map(|(node, frames)| format!("{node}: {}", frames.join(" ")));
    let mut words: Vec<String> = named.collect();
    words.extend((more > 0).then(|| format!("and {}", units::count(more, "node"))));
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document;

    fn job(frames: &serde_json::Value) -> Job {
        document::read(&json!({ "job": "ab", "frames": frames })).unwrap()
    }

    #[test]
    fn each_frame_that_ends_is_a_line() {
        let mut live = Live::default();
        let first = job(&json!([
            { "frame": 1, "status": "done", "node_name": "a", "render_time": 2.0 },
            { "frame": 2, "status": "rendering", "node_name": "b", "progress": 0.41,
              "also_tried_on": "c" },
            { "frame": 3, "status": "assigned", "node_name": "a" },
        ]));
        assert_eq!(live.lines(&first), [""; 0], "what was done before is no news");
        assert_eq!(at_work(&first).unwrap(), "a: 3 (files), b: 2 (41 %, also tried on c)");
        let then = job(&json!([
            { "frame": 1, "status": "done", "node_name": "a", "render_time": 2.0 },
            { "frame": 2, "status": "done", "node_name": "b", "render_time": 12.4 },
            { "frame": 3, "status": "failed", "node_name": "a", "error_message": "no\nmemory" },
        ]));
        let lines = ["frame 2 is done on b in 12 s", "frame 3 failed on a: no memory"];
        assert_eq!(live.lines(&then), lines);
        assert_eq!(live.lines(&then), [""; 0]);
        assert_eq!(at_work(&then), None);
    }

    #[test]
    fn of_many_nodes_some_are_named() {
        let frame = |n: i64| json!({ "frame": n, "tile": 0, "status": "rendering", "node_name": format!("n{n}") });
        let job = job(&(1..=6).map(frame).collect());
        let words = at_work(&job).unwrap();
        assert_eq!(
            words,
            "n1: 1.0 (0 %), n2: 2.0 (0 %), n3: 3.0 (0 %), n4: 4.0 (0 %), and 2 nodes"
        );
    }
}
