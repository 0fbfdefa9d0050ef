//! `weft add`: put files into the store.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;

use crate::context::Context;
use crate::document;
use crate::error::Failure;
use crate::output::progress::{Progress, Unit};
use crate::output::{table::Table, units};
use crate::paths;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or folders with all that is in them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read files again that look unchanged since they were added last
    #[arg(long)]
    rehash: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Added {
    path: String,
    id: String,
    size: u64,
    bytes_added: u64,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let paths: Vec<String> =
        args.paths.iter().map(|path| paths::sent(path)).collect::<Result<_, _>>()?;
    let mut progress = Progress::new(Unit::Bytes);
    let document = context
        .client()
        .await?
        .post_with_progress(
            "store/add",
            json!({ "paths": paths, "rehash": args.rehash }),
            &mut |at| {
                let number = |key: &str| at[key].as_u64().unwrap_or(0);
                progress.set(number("bytes"), number("bytes_total"));
            },
        )
        .await?;
    drop(progress);
    let added: Vec<Added> = document::read(&document)?;
    context.answer(&document, |style| {
        let mut table = Table::new(&["id", ">size", ">new", "path"]);
        for file in &added {
            table.row([
                file.id.clone(),
                units::bytes(file.size),
                units::bytes(file.bytes_added),
                file.path.clone(),
            ]);
        }
        table.words(style, "nothing was added: there are no files")
    })
}
