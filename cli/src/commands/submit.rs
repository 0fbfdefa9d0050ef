//! `weft submit`: hand a scene to the studio.

mod arguments;
mod shared;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) use arguments::Args;
pub(crate) use shared::{Basics, Shared, joined};

use super::{control, watch};
use crate::client::Client;
use crate::context::Context;
use crate::document::{Job, Output, listed, short};
use crate::download::{Downloads, is_there};
use crate::error::Failure;
use crate::follow::Follow;
use crate::output::progress::{Progress, Unit};
use crate::output::{plain, units};
use crate::signals;

/// How long the node's delivery may bring nothing before that is said to have failed.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(60);
/// How soon it is looked again whether files were delivered: first, and later.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    hand_in(args.request()?, &args.basics, context).await
}

/// Hands in what a request asks for, and follows it where that is asked.
pub(crate) async fn hand_in(
    request: Value,
    basics: &Basics,
    context: &Context,
) -> Result<(), Failure> {
    let client = Arc::new(context.client().await?);
    let submitted = tokio::select! {
        submitted = submit(&client, request) => submitted?,
        () = signals::interrupted() => return Err(given_up(context)),
    };
    for warning in submitted["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str)
    {
        context.note(&format!("warning: {}", plain(warning)));
    }
    let Some(job) = submitted["job"].as_str().filter(|_| basics.watch && !basics.dry_run) else {
        if basics.output.is_some() && !basics.dry_run && !client.node_runs_here() {
            context.note(
                "No node runs on this machine, so nothing brings the frames by itself: `weft outputs` \
                 fetches them, or a node that is started here (`weft up`).",
            );
        }
        return context.answer(&submitted, |_| words(&submitted, context));
    };
    if !context.json() {
        context.print(&words(&submitted, context))?;
    }
    tokio::select! {
        followed = follow(basics, context, client, job) => followed,
        () = signals::interrupted() => Err(watch::detached(context, job)),
    }
}

/// Ended by Ctrl-C before the node answered. It submits nothing for one who has gone, unless it was about to answer.
fn given_up(context: &Context) -> Failure {
    Failure::interrupted(format!(
        "ended before the job was submitted; `{}` shows it if it was so just before. What was read is kept, and the \
         same call goes on from there.",
        context.call("jobs"),
    ))
}

/// Submits, with progress while the files are read, and while they are sent where no node runs here.
pub(crate) async fn submit(client: &Client, request: Value) -> Result<Value, Failure> {
    let mut progress = Progress::new(Unit::Bytes);
    let (mut sending, mut waiting) = (false, false);
    client
        .submit(request, &mut |at| {
            if at["sending"] == true && !sending {
                sending = true;
                // How fast files are read tells nothing of how fast they travel.
                progress = Progress::new(Unit::Bytes);
            }
            if at["waiting"] == true {
                if !waiting {
                    waiting = true;
                    progress.line(
                        "The node went away before it answered; waiting for it to come back.",
                    );
                }
                return;
            }
            waiting = false;
            let number = |key: &str| at[key].as_u64().unwrap_or(0);
            progress.set_with(number("bytes"), number("bytes_total"), &how_far(at));
        })
        .await
}

/// What there is to say beside the bytes: what is done with them, and how many files they are.
fn how_far(at: &Value) -> String {
    let files = |key: &str| at[key].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let total = units::count(files("files_total"), "file");
    if at["sending"] != true {
        return format!("{} of {total} read", files("files"));
    }
    match at["bytes_already_known"].as_u64() {
        Some(known) if known > 0 => {
            format!("sending {total}: {} were there already", units::bytes(known))
        }
        _ => format!("sending {total}"),
    }
}

async fn follow(
    basics: &Basics,
    context: &Context,
    client: Arc<Client>,
    job: &str,
) -> Result<(), Failure> {
    let folder = basics.output_folder()?;
    let here = client.node_runs_here();
    // Where no node runs here, nobody else would bring the files.
    let mut downloads =
        folder.as_deref().filter(|_| !here).map(Downloads::into_folder).transpose()?;
    let mut follow = Follow::new(context, client, job).await?;
    let mut tell = watch::Tell::new(context);
    let mut each = |_: &Value, job: &Job, progress: &mut Progress| {
        tell.tell(job, progress);
        Ok(())
    };
    let (document, job) = watch::watch(&mut follow, downloads.as_mut(), &mut each).await?;
    let delivered = match &folder {
        Some(folder) if here => delivered(&job, folder).await,
        _ => Ok(()),
    };
    if context.json() {
        context.document(&document)?;
    } else {
        context.print(&watch::said(&job))?;
        if let Some(folder) = folder.filter(|_| job.frames_done > 0 && delivered.is_ok()) {
            context.print(&format!("The frames are in {}", folder.display()))?;
        }
    }
    watch::verdict(&job)?;
    delivered
}

/// Waits until this machine's node has brought a job's files.
pub(crate) async fn delivered(job: &Job, folder: &Path) -> Result<(), Failure> {
    let mut missing: Vec<&Output> = job.outputs().collect();
    let total = missing.len() as u64;
    let mut progress = Progress::new(Unit::Files);
    let (mut brought, mut pause) = (Instant::now(), LOOK.0);
    loop {
        let mut left = Vec::new();
        for output in &missing {
            if !is_there(&folder.join(&output.path), output).await {
                left.push(*output);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if left.len() < missing.len() {
            (brought, pause) = (Instant::now(), LOOK.0);
        }
        missing = left;
        if brought.elapsed() > DELIVERY_PATIENCE {
            return Err(Failure::failed(format!(
                "the job is over, but {} aren't in {} yet. The studio keeps them, and the node goes \
                 on trying; its log says why. `weft outputs {} --to DIR` fetches them elsewhere.",
                units::count(missing.len(), "file"),
                folder.display(),
                short(&job.job),
            )));
        }
        progress.set(total - missing.len() as u64, total);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK.1);
    }
}

fn words(submitted: &Value, context: &Context) -> String {
    let text = |key: &str| submitted[key].as_str().unwrap_or_default();
    let bytes = |key: &str| units::bytes(submitted[key].as_u64().unwrap_or(0));
    let engine = match (text("engine"), text("engine_version")) {
        ("", _) => String::new(),
        (engine, "") => format!(" with {engine}"),
        (engine, version) => format!(" with {engine} {version}"),
    };
    let files = match submitted["files"].as_u64().and_then(|files| usize::try_from(files).ok()) {
        Some(files) => format!(" in {}", units::count(files, "file")),
        None => String::new(),
    };
    let size = format!(
        "{} added and {} known already{files}",
        bytes("bytes_added"),
        bytes("bytes_already_known")
    );
    let fitting = submitted["nodes_fitting"].as_u64().and_then(|n| usize::try_from(n).ok());
    let fitting = fitting.map_or(String::new(), |n| {
        let verb = if n == 1 { "fits" } else { "fit" };
        format!("; {} {verb}", units::count(n, "node"))
    });
    let own = if submitted["own_frames"] == true { ", the scene's own," } else { "" };
    match submitted["job"].as_str() {
        None => plan(submitted, own, &engine),
        Some(job) => {
            let job = short(job);
            format!(
                "{job}: '{}' is {}: frames {}{own}{engine}{}\n{size}{fitting}\n`{}` follows it",
                text("name"),
                text("status"),
                text("frames"),
                control::copies(submitted),
                context.call(&format!("watch {job}")),
            )
        }
    }
}

/// What a submission would do, line by line.
fn plan(submitted: &Value, own: &str, engine: &str) -> String {
    let text = |key: &str| submitted[key].as_str().unwrap_or_default();
    let files = submitted["files"].as_u64().and_then(|files| usize::try_from(files).ok());
    let files = files.map_or(String::new(), |files| format!("{}, ", units::count(files, "file")));
    let warnings = submitted["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = match warnings.filter(|warning| warning.starts_with("missing")).count() {
        0 => "nothing".to_owned(),
        missing => format!("{}: see the warnings", units::count(missing, "file")),
    };
    let time = match (submitted["expected_seconds"].as_u64(), submitted["like"].as_str()) {
        (Some(seconds), Some(like)) => {
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            format!("about {}, by the frames of {}", units::duration(seconds.into()), short(like))
        }
        _ => "not known: nothing like it was rendered".to_owned(),
    };
    let mapped = submitted["mapped"].as_array().into_iter().flatten().map(|place| {
        let text = |key: &str| place[key].as_str().unwrap_or_default();
        let there = if place["exists"] == true { "" } else { ", which isn't there" };
        let (paths, found) = (&place["paths"], &place["found"]);
        format!(
            "mapped   {} to {}{there}: {found} of {paths} paths found\n",
            text("from"),
            text("to")
        )
    });
    let mapped: String = mapped.collect();
    format!(
        "'{}' could be submitted:\nframes   {}{own}{engine}\nto send  {files}at most {}\n\
         missing  {missing}\n{mapped}nodes    {}\ntime     {time}\nNothing was submitted.",
        text("name"),
        text("frames"),
        units::bytes(submitted["bytes_added"].as_u64().unwrap_or(0)),
        listed(&submitted["nodes"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn how_far_a_submission_is_tells_reading_from_sending() {
        let reading = json!({ "files": 3, "files_total": 7, "bytes": 1, "bytes_total": 9 });
        assert_eq!(how_far(&reading), "3 of 7 files read");
        let mut sending = json!({ "sending": true, "files_total": 7, "bytes_already_known": 0 });
        assert_eq!(how_far(&sending), "sending 7 files");
        sending["bytes_already_known"] = json!(2048);
        assert_eq!(how_far(&sending), "sending 7 files: 2.0 KiB were there already");
    }

    #[test]
    fn a_submission_says_what_travels_and_how_to_follow() {
        let context = Context::for_tests();
        let submitted = json!({
            "job": "0123456789abcdef", "name": "shot_010", "status": "queued", "copies": 2,
            "bytes_added": 4_404_019, "bytes_already_known": 0, "files": 3, "frames": "1-10",
            "engine": "blender", "engine_version": "3.4.1", "warnings": [], "nodes_fitting": 2,
        });
        insta::assert_snapshot!(words(&submitted, &context), @r"
        0123456789: 'shot_010' is queued: frames 1-10 with blender 3.4.1, on 2 nodes
        4.2 MiB added and 0 B known already in 3 files; 2 nodes fit
        `weft watch 0123456789` follows it
        ");
        let dry = json!({
            "job": null, "name": "shot_010", "status": "not submitted", "copies": 0,
            "bytes_added": 12, "bytes_already_known": 0, "frames": "1-10", "nodes_fitting": 2,
            "own_frames": true, "nodes": ["ws1", "render-a"], "files": 3, "warnings": [],
            "mapped": [{ "from": "p:", "to": "/mnt/p", "exists": false, "paths": 3, "found": 0 }],
            "expected_seconds": 90, "like": "0123456789abcdef", "engine": "demo",
        });
        insta::assert_snapshot!(words(&dry, &context), @r"
        'shot_010' could be submitted:
        frames   1-10, the scene's own, with demo
        to send  3 files, at most 12 B
        missing  nothing
        mapped   p: to /mnt/p, which isn't there: 0 of 3 paths found
        nodes    ws1, render-a
        time     about 1 min 30 s, by the frames of 0123456789
        Nothing was submitted.
        ");
    }
}
