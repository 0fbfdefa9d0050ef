//! `weft priority`: change a job's priority.

use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::control;
use crate::context::Context;
use crate::error::Failure;
use crate::values;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job's id, a unique beginning of it, its name, or `last`
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    job: String,
    /// 0 to 100, low (25), normal (50) or high (75); more goes first
    #[arg(value_name = "N", value_parser = values::priority)]
    priority: u8,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (body, done) =
        (json!({ "priority": args.priority }), format!("has priority {}", args.priority));
    control::post(context, &args.job, "priority", body, &done).await
}
