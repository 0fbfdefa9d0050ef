//! `weft drain`, `undrain` and `unbench`: whether a node takes new work.

use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use super::control;
use crate::client::segment;
use crate::context::Context;
use crate::error::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's name, or the beginning of its id
    #[arg(value_name = "NODE", value_parser = NonEmptyStringValueParser::new())]
    node: String,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Drain,
    Undrain,
    Unbench,
}

pub(crate) async fn run(work: Work, args: &Args, context: &Context) -> Result<(), Failure> {
    let (call, done) = match work {
        Work::Drain => ("drain", "takes no new tasks; those that run finish"),
        Work::Undrain => ("undrain", "takes tasks again"),
        Work::Unbench => ("unbench", "gets another chance"),
    };
    let path = format!("nodes/{}/{call}", segment(&args.node));
    let document = context.client().await?.post(&path, None).await?;
    context.answer(&document, |_| words(&document, done))
}

/// What was done to a node, for people.
pub(super) fn words(document: &Value, done: &str) -> String {
    let name = document["name"].as_str().unwrap_or_default();
    format!("{name} {done}{}", control::copies(document))
}
