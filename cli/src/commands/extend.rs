//! `weft extend`: add frames to a job.

use clap::builder::NonEmptyStringValueParser;

use super::control;
use crate::context::Context;
use crate::error::Failure;
use crate::values;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job's id, a unique beginning of it, its name, or `last`
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    job: String,
    /// The frames to add
    #[arg(short, long, value_name = "SPEC", allow_hyphen_values = true, value_parser = values::frame_spec)]
    frames: String,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    control::post(context, &args.job, "extend", control::frames(Some(args.frames)), "extended")
        .await
}
