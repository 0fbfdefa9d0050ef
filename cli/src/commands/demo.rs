//! `weft demo`: a farm of local nodes, real ones, that renders the built-in scene.

mod farm;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::{submit, watch};
use crate::context::Context;
use crate::document::Job;
use crate::error::Failure;
use crate::follow::Follow;
use crate::output::units;
use crate::paths;
use crate::signals;
use crate::values;
use farm::Farm;
use report::Report;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    nodes: u16,
    /// Which frames; the scene is a loop of 24
    #[arg(
        short,
        long,
        value_name = "SPEC",
        default_value = "1-24",
        allow_hyphen_values = true,
        value_parser = values::frame_spec
    )]
    frames: String,
    /// Where the frames go
    #[arg(short, long, value_name = "DIR", default_value = "weft-demo")]
    output: PathBuf,
    /// Leave the farm running, and say how to use it
    #[arg(long)]
    keep: bool,
    /// Only print the built-in scene, to change it and submit it like any other
    #[arg(long)]
    scene: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let scene = weft_scene::demo::builtin_scene();
    if args.scene {
        return context.answer(&json!({ "scene": scene }), |_| scene.to_owned());
    }
    let output = PathBuf::from(paths::sent(&args.output)?);
    std::fs::create_dir_all(&output).map_err(|error| {
        Failure::call(format!(
            "the frames can't be written to '{}': {error}. Nothing was started.",
            args.output.display()
        ))
    })?;
    let started = Instant::now();
    let mut farm = Farm::new(args.keep)?;
    let shown = tokio::select! {
        shown = show(&mut farm, &args, &output, scene, context) => shown,
        () = signals::asked_to_end() => Err(interrupted(context)),
    };
    let report = match shown {
        Ok((job, nodes)) => Report::new(&job, nodes, started.elapsed(), &output),
        Err(failure) => {
            farm.end().await;
            return Err(failure);
        }
    };
    let kept = if args.keep {
        Some(farm.leave())
    } else {
        farm.end().await;
        None
    };
    context.answer(&report.document(kept.as_ref()), |style| report.words(kept.as_ref(), style))
}

fn interrupted(context: &Context) -> Failure {
    context.note("Interrupted; the demo's nodes are ended.");
    Failure::told(Failure::DETACHED)
}

async fn show(
    farm: &mut Farm,
    args: &Args,
    output: &Path,
    scene: &str,
    context: &Context,
) -> Result<(Job, Vec<report::Node>), Failure> {
    context.note(&format!(
        "Starting {} in {}",
        units::count(args.nodes.into(), "node"),
        farm.folder().display()
    ));
    farm.start(args.nodes).await?;
    let leader = farm.wait_for_leader().await?;
    context.note(&format!(
        "They are a studio: {} leads, term {}. {} is given the scene.",
        leader.name,
        leader.term,
        farm.first()?.name
    ));
    let file = farm.write_scene(scene)?;
    let client = farm.first()?.client().await?;
    let request = json!({
        "scene": paths::sent(&file)?, "frames": args.frames, "output": paths::sent(output)?, "name": "demo",
    });
    let submitted = submit::submit(&client, request).await?;
    let Some(id) = submitted["job"].as_str() else {
        return Err(Failure::failed("the node's answer has no job in it."));
    };
    let here = Context::at(farm.first()?.home(), context);
    let mut follow = Follow::new(&here, Arc::new(client), id).await?;
    let (_, job) = watch::watch(&mut follow, None, &mut |_, _, _| Ok(())).await?;
    if job.status != "completed" {
        let why = job.error_message.as_deref().unwrap_or("its frames could not be rendered");
        return Err(Failure::failed(format!(
            "the demo's job is {}: {why}.{}",
            job.status,
            farm.logs()
        )));
    }
    submit::delivered(&job, output).await?;
    let nodes = farm.report(&job).await?;
    Ok((job, nodes))
}
