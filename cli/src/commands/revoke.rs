//! `weft revoke`: take a member's rights away, for good.

use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::control;
use crate::client::segment;
use crate::context::Context;
use crate::document::short;
use crate::error::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's name, or the beginning of its id
    #[arg(value_name = "NODE", value_parser = NonEmptyStringValueParser::new())]
    node: String,
    /// Why; everyone sees it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = format!("members/{}/revoke", segment(&args.node));
    let body = json!({ "reason": args.reason });
    let document = context.client().await?.post(&path, Some(body)).await?;
    context.answer(&document, |_| {
        format!(
            "{} is no member any more{}. It comes back only by a new invite, as another node.",
            short(document["node"].as_str().unwrap_or(&args.node)),
            control::copies(&document)
        )
    })
}
