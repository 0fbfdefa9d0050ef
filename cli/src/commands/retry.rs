//! `weft retry`: render again what failed, or the frames named.

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
    /// These frames, also where they are done; those that failed otherwise
    #[arg(short, long, value_name = "SPEC", allow_hyphen_values = true, value_parser = values::frame_spec)]
    frames: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    control::post(context, &args.job, "retry", control::frames(args.frames), "is rendered again")
        .await
}
