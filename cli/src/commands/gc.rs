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
    let list = |key: &str| document[key].as_array().map_or(&[][..], Vec::as_slice);
    let (blobs, strays) = (list("blobs"), list("stray_files"));
    let dry = document["dry_run"] == true;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut table = Table::new(&["id", ">size", "why"]).paint("id", Style::faint);
    for blob in blobs {
        let size = blob["size"].as_u64().map_or(String::new(), units::bytes);
        table.row([short(&text(blob, "id")).to_owned(), size, text(blob, "why")]);
    }
    for stray in strays {
        // It is called by the id of the blob that it may once have been.
        let path = text(stray, "path");
        let id = path.rsplit('/').next().unwrap_or(&path);
        table.row([short(id).to_owned(), String::new(), text(stray, "why")]);
    }
    let bytes = units::bytes(document["bytes"].as_u64().unwrap_or(0));
    let files = format!("{}, {bytes}", units::count(blobs.len(), "file"));
    let strays = units::count(strays.len(), "stray file");
    let what = match (blobs.is_empty(), list("stray_files").is_empty()) {
        (true, true) => return "everything here is kept for something".to_owned(),
        (false, true) => format!("{files},"),
        (true, false) => strays,
        (false, false) => format!("{files}, and {strays}"),
    };
    match dry {
        true => {
            format!("{}\n\n{what} would go; nothing was deleted", table.words(style, ""))
        }
        false => format!("{what} deleted"),
    }
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
        document["stray_files"] =
            json!([{ "path": "blobs/ab/abcdef0123456789", "why": "a crash left it" }]);
        insta::assert_snapshot!(words(&document, Style::default()), @"1 file, 2.0 KiB, and 1 stray file deleted");
        document["dry_run"] = json!(true);
        document["blobs"] = json!([]);
        insta::assert_snapshot!(words(&document, Style::default()), @r"
        id          size  why
        abcdef0123        a crash left it

        1 stray file would go; nothing was deleted
        ");
        let nothing = words(&json!({ "dry_run": false, "blobs": [] }), Style::default());
        insta::assert_snapshot!(nothing, @"everything here is kept for something");
    }
}
