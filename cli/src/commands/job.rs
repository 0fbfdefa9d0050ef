//! `weft job`: one job.

use std::collections::BTreeMap;

use clap::builder::NonEmptyStringValueParser;

use crate::client::segment;
use crate::context::Context;
use crate::document::{self, Frame, Holder, Job, short};
use crate::error::Failure;
use crate::output::{Style, plain_line, table, units};

/// How many frames' errors people are shown.
const ERRORS: usize = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id, a unique beginning of it, its name, or `last`
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    job: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = format!("jobs/{}?holders=true", segment(&args.job));
    let document = context.client().await?.get(&path).await?;
    let job: Job = document::read(&document)?;
    context.answer(&document, |style| words(&job, style))
}

/// A job for people.
pub(crate) fn words(job: &Job, style: Style) -> String {
    let engine = [job.engine.as_deref(), job.engine_version.as_deref()];
    let engine: Vec<&str> = engine.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    let failed = match job.frames_failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let folders = job.deliveries.iter().map(|to| format!("{} on {}", to.folder, to.node));
    let facts = table::facts(
        style,
        &[
            ("job", job.job.clone()),
            ("name", job.name.clone()),
            ("owner", job.owner.clone()),
            ("submitted", job.submitted.map_or(String::new(), units::date)),
            ("engine", engine.join(" ")),
            ("priority", job.priority.map_or(String::new(), |priority| priority.to_string())),
            ("each takes", claim(job)),
            ("status", job.status.clone()),
            ("why", job.error_message.clone().unwrap_or_default()),
            ("waiting", job.waiting_for.clone().unwrap_or_default()),
            ("done", format!("{} of {} frames{failed}", job.frames_done, job.frames_total)),
            ("left", job.eta_seconds.map_or(String::new(), units::duration)),
            (
                "render time",
                job.render_seconds
                    .filter(|seconds| *seconds > 0.0)
                    .map_or(String::new(), units::duration),
            ),
            ("cost", job.cost().unwrap_or_default()),
            ("checked", checked(job)),
            ("delivered to", folders.collect::<Vec<_>>().join(", ")),
            ("kept", kept(job)),
        ],
    );
    let mut words = facts + "\n\n" + &frames_table(&job.frames, style);
    if !job.holders.is_empty() {
        words = words + "\n\n" + &holders_table(&job.holders, style);
    }
    for warning in job.warnings.iter().take(ERRORS) {
        words.push_str(&format!("\nwarning: {}", plain_line(warning)));
    }
    words.push_str(&warnings(&job.frames));
    for frame in &job.frames {
        if let (Some(also), Some(who)) = (&frame.also_tried_on, frame.who()) {
            let number = frame.frame;
            words.push_str(&format!("\nframe {number} looks late on {who}: also tried on {also}"));
        }
    }
    for frame in job.frames.iter().filter(|f| f.error_message.is_some()).take(ERRORS) {
        let why = plain_line(frame.error_message.as_deref().unwrap_or_default());
        words.push_str(&format!("\nframe {}: {why}", frame.frame));
    }
    if job.frames_failed > 0 {
        let id = short(&job.job);
        words.push_str(&format!(
            "\n`weft logs {id} FRAME` shows more; `weft retry {id}` renders what failed."
        ));
    }
    words
}

/// How long it stays; nothing where only a person removes it.
fn kept(job: &Job) -> String {
    let time = job.keep_seconds.map(|seconds| units::duration(seconds.into()));
    match (job.goes, job.owed_to.as_slice(), time) {
        (Some(at), ..) => format!("until {}", units::date(at)),
        (None, [], None) => String::new(),
        (None, [], Some(time)) => format!("for {time} once it is over"),
        (None, owed, None) => format!("{} has yet to write its files", owed.join(", ")),
        (None, owed, Some(time)) => {
            format!("until {} has written its files, and {time}", owed.join(", "))
        }
    }
}

/// What each task takes of its node, where that isn't all of it.
fn claim(job: &Job) -> String {
    let Some(claim) = &job.claim else { return String::new() };
    let ram = claim.ram.map(|ram| format!("{ram} GiB"));
    let gpus = (claim.gpus > 0).then(|| units::count(claim.gpus as usize, "GPU"));
    let parts = std::iter::once(units::count(claim.cores as usize, "core")).chain(ram).chain(gpus);
    parts.collect::<Vec<_>>().join(", ") + " of a node"
}

/// What renderers warned of, each once with its frames.
fn warnings(frames: &[Frame]) -> String {
    let mut texts: Vec<(&str, Vec<i64>)> = Vec::new();
    for frame in frames {
        for text in &frame.warnings {
            match texts.iter_mut().find(|(known, _)| known == text) {
                Some((_, frames)) => frames.push(frame.frame),
                None => texts.push((text, vec![frame.frame])),
            }
        }
    }
    let mut words = String::new();
    for (text, frames) in texts.iter().take(ERRORS) {
        let which = spec(frames.iter().copied());
        words.push_str(&format!("\nwarning, frame {which}: {}", plain_line(text)));
    }
    if texts.len() > ERRORS {
        let more = texts.len() - ERRORS;
        words.push_str(&format!("\n{more} further warnings: `weft job ID --json` has them"));
    }
    words
}

/// How much of what is to be rendered twice was compared, and what came of it.
fn checked(job: &Job) -> String {
    let compared: Vec<bool> = job.checks.iter().filter_map(|check| check.same).collect();
    let differ = compared.iter().filter(|same| !**same).count();
    match (job.checks.len(), differ) {
        (0, _) => String::new(),
        (all, 0) => format!("{} of {all} frames, all the same", compared.len()),
        (all, differ) => format!("{} of {all} frames, {differ} not the same", compared.len()),
    }
}

/// The frames by status, in the order of the first of each.
fn frames_table(frames: &[Frame], style: Style) -> String {
    let mut groups: Vec<(&str, Vec<&Frame>)> = Vec::new();
    for frame in frames {
        match groups.iter_mut().find(|(status, _)| *status == frame.status) {
            Some((_, group)) => group.push(frame),
            None => groups.push((&frame.status, vec![frame])),
        }
    }
    let mut table = table::Table::new(&["status", ">count", "frames", ">mean time", "by"])
        .paint("status", Style::status);
    for (status, group) in &groups {
        let rendered = group.iter().filter(|frame| frame.reused_from.is_none());
        let times: Vec<f64> = rendered.filter_map(|frame| frame.render_time).collect();
        #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
        let mean = times.iter().sum::<f64>() / times.len().max(1) as f64;
        table.row([
            (*status).to_owned(),
            group.len().to_string(),
            spec(group.iter().map(|frame| frame.frame)),
            if times.is_empty() { String::new() } else { units::duration(mean) },
            by(group),
        ]);
    }
    table.words(style, "no frames")
}

/// How much of the job's files each node has.
fn holders_table(holders: &[Holder], style: Style) -> String {
    let of = |has: String, total: Option<String>| match total {
        Some(total) => format!("{has} of {total}"),
        None => has,
    };
    let mut table = table::Table::new(&["node", ">has", ">files"]);
    for holder in holders {
        table.row([
            holder.node_name.clone(),
            of(units::bytes(holder.bytes), holder.bytes_total.map(units::bytes)),
            of(holder.files.to_string(), holder.files_total.map(|files| files.to_string())),
        ]);
    }
    table.words(style, "")
}

/// Frames as a spec; tiles of one frame count once.
pub(crate) fn spec(frames: impl Iterator<Item = i64>) -> String {
    let mut frames: Vec<i64> = frames.collect();
    frames.sort_unstable();
    frames.dedup();
    weft_scene::frames::format(&frames)
}

/// Who works on frames or did: names with how many.
fn by(frames: &[&Frame]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for who in frames.iter().filter_map(|frame| frame.who()) {
        *counts.entry(who).or_default() += 1;
    }
    let words = counts.iter().map(|(who, count)| format!("{who} {count}"));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frame(number: i64, status: &str, node: Option<&str>) -> serde_json::Value {
        json!({
            "frame": number, "status": status, "node": node, "node_name": node,
            "render_time": (status == "done").then_some(2.0 + number as f64),
            "error_message": (status == "failed").then_some("Blender says: out of memory\nsee the log"),
        })
    }

    #[test]
    fn a_frame_that_two_nodes_try_names_both() {
        let mut late = frame(7, "rendering", Some("render-a"));
        late["also_tried_on"] = "render-b".into();
        let job: Job = document::read(&json!({ "job": "ab", "frames": [late] })).unwrap();
        let words = words(&job, Style::default());
        assert!(
            words.ends_with("frame 7 looks late on render-a: also tried on render-b"),
            "{words}"
        );
    }

    #[test]
    fn a_job_shows_its_frames_in_few_lines() {
        let mut warned = frame(1, "done", Some("render-a"));
        warned["warnings"] = json!(["scripts disabled for shot\nskipped"]);
        let frames = [
            warned,
            frame(2, "done", Some("render-b")),
            json!({ "frame": 3, "status": "done", "node_name": "render-a", "render_time": 0.0, "reused_from": "ab" }),
            frame(4, "failed", Some("render-b")),
            frame(5, "rendering", Some("render-a")),
            frame(6, "pending", None),
            frame(7, "pending", None),
        ];
        let job: Job = document::read(&json!({
            "job": "0123456789abcdef", "name": "shot_010", "owner": "ada@ws1", "status": "rendering",
            "engine": "blender", "engine_version": "3.4.1", "priority": 50,
            "claim": { "cores": 4, "ram": null, "gpus": 1 }, "submitted": 1_709_210_100,
            "frames_total": 7, "frames_done": 3, "frames_failed": 1, "frames": frames,
            "eta_seconds": 9, "render_seconds": 12,
            "deliveries": [{ "node": "ws1", "folder": "/home/ada/out" }],
            "holders": [
                { "node_name": "render-a", "files": 3, "files_total": 3, "bytes": 4_404_019, "bytes_total": 4_404_019 },
                { "node_name": "render-b", "files": 0, "files_total": 3, "bytes": 2048, "bytes_total": 4_404_019 },
            ],
        }))
        .unwrap();
        insta::assert_snapshot!(words(&job, Style::default()), @r"
        job           0123456789abcdef
        name          shot_010
        owner         ada@ws1
        submitted     2024-02-29 12:35 UTC
        engine        blender 3.4.1
        priority      50
        each takes    4 cores, 1 GPU of a node
        status        rendering
        done          3 of 7 frames, 1 failed
        left          9.0 s
        render time   12 s
        delivered to  /home/ada/out on ws1

        status     count  frames  mean time  by
        done           3  1-3         3.5 s  render-a 1, render-b 1, taken over 1
        failed         1  4                  render-b 1
        rendering      1  5                  render-a 1
        pending        2  6-7

        node                     has   files
        render-a  4.2 MiB of 4.2 MiB  3 of 3
        render-b  2.0 KiB of 4.2 MiB  0 of 3
        warning, frame 1: scripts disabled for shot skipped
        frame 4: Blender says: out of memory see the log
        `weft logs 0123456789 FRAME` shows more; `weft retry 0123456789` renders what failed.
        ");
    }

    #[test]
    fn tiles_of_a_frame_count_once_in_specs() {
        assert_eq!(spec([3, 1, 2, 2, 9].into_iter()), "1-3,9");
    }
}
