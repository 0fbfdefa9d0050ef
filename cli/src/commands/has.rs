//! `weft has`: which hashes the store has.

use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Failure;
use crate::output::{Style, table::Table, units};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ids (64 hex digits) or MD5s (32)
    #[arg(required = true, value_name = "HASH")]
    hashes: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let body = json!({ "hashes": args.hashes });
    let document = context.client().await?.post("store/has", Some(body)).await?;
    context.answer(&document, |style| words(&document, style))
}

fn words(document: &Value, style: Style) -> String {
    let mut table = Table::new(&["hash", "there", ">size"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for blob in document["existing"].as_array().into_iter().flatten() {
        let size = blob["size"].as_u64().map_or(String::new(), units::bytes);
        table.row([text(&blob["hash"]), "yes".into(), size]);
    }
    for hash in document["missing"].as_array().into_iter().flatten() {
        table.row([text(hash), "no".into()]);
    }
    table.words(style, "")
}
