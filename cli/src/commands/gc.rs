//! `weft gc`: delete what nobody refers to.

use serde_json::{Value, json};

use crate::context::Context;
use crate::document::short;
use crate::error::Failure;
use crate::output::{Style, table::Table, units};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say what would go and why, and delete nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let body = json!({ "dry_run": args.dry_run });
    let document = context.client().await?.post("store/collect", Some(body)).await?;
    context.answer(&document, |style| words(&document, style))
}

fn words(document: &Value, style: Style) -> String {
    let blobs = document["blobs"].as_array().map_or(&[][..], Vec::as_slice);
    let dry = document["dry_run"] == true;
    let mut table = Table::new(&["id", ">size", "why"]).paint("id", Style::faint);
    for blob in blobs {
        let text = |key: &str| blob[key].as_str().unwrap_or_default().to_owned();
        let size = blob["size"].as_u64().map_or(String::new(), units::bytes);
        table.row([short(&text("id")).to_owned(), size, text("why")]);
    }
    let bytes = units::bytes(document["bytes"].as_u64().unwrap_or(0));
    let files = units::count(blobs.len(), "file");
    let sum = match (blobs.is_empty(), dry) {
        (true, _) => return "everything here is kept for something".to_owned(),
        (false, true) => format!("{files}, {bytes}, would go; nothing was deleted"),
        (false, false) => format!("{files}, {bytes}, deleted"),
    };
    if dry { format!("{}\n\n{sum}", table.words(style, "")) } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_told_with_the_reason() {
        let why = "no job, result or user refers to it";
        let mut document = json!({
            "dry_run": true, "bytes": 2048,
            "blobs": [{ "id": "0123456789abcdef", "size": 2048, "why": why }],
        });
        insta::assert_snapshot!(words(&document, Style::default()), @r"
        id             size  why
        0123456789  2.0 KiB  no job, result or user refers to it

        1 file, 2.0 KiB, would go; nothing was deleted
        ");
        document["dry_run"] = json!(false);
        insta::assert_snapshot!(words(&document, Style::default()), @"1 file, 2.0 KiB, deleted");
        let nothing = words(&json!({ "dry_run": false, "blobs": [] }), Style::default());
        insta::assert_snapshot!(nothing, @"everything here is kept for something");
    }
}
