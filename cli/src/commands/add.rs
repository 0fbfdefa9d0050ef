//! `weft add`: put files into the store.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;

use crate::context::Context;
use crate::document;
use crate::error::Failure;
use crate::output::progress::{Progress, Unit};
use crate::output::{Style, table::Table, units};
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

/// How many of what could not be added are told one by one.
const TOLD: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Added {
    path: String,
    id: String,
    size: u64,
    bytes_added: u64,
    /// Why it could not be; then there is nothing but the path.
    error: Option<String>,
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
    let named: Vec<Added> = document::read(&document)?;
    let (bad, added): (Vec<_>, Vec<_>) = named.into_iter().partition(|file| file.error.is_some());
    // A table of nothing would be an empty line.
    if context.json() || bad.is_empty() || !added.is_empty() {
        context.answer(&document, |style| words(&added, style))?;
    }
    verdict(added.len(), bad)
}

fn words(added: &[Added], style: Style) -> String {
    let mut table = Table::new(&["id", ">size", ">new", "path"]);
    for file in added {
        table.row([
            file.id.clone(),
            units::bytes(file.size),
            units::bytes(file.bytes_added),
            file.path.clone(),
        ]);
    }
    table.words(style, "nothing was added: there are no files")
}

/// What could not be added makes it a failure, whatever else was.
fn verdict(added: usize, bad: Vec<Added>) -> Result<(), Failure> {
    if bad.is_empty() {
        return Ok(());
    }
    let (failed, more) = (units::count(bad.len(), "path"), bad.len().saturating_sub(TOLD));
    let words = match added {
        0 => format!("{failed} could not be added; nothing was."),
        added => format!(
            "{failed} could not be added; all else was, and is kept ({}). Once that is mended, add the \
             same again: what is there already is not read again.",
            units::count(added, "file")
        ),
    };
    let mut details: Vec<String> =
        bad.into_iter().filter_map(|file| file.error).take(TOLD).collect();
    if more > 0 {
        details.push(format!("… and {more} more, which --json lists"));
    }
    Err(Failure::failed(words).with_details(details))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_added_is_told_and_fails() {
        let bad = |count: usize| {
            let error = |n| Some(format!("'/a/{n}' is not a file"));
            (0..count).map(|n| Added { error: error(n), ..Added::default() }).collect()
        };
        assert!(verdict(3, bad(0)).is_ok());
        let some = verdict(3, bad(22)).unwrap_err();
        assert!(
            some.message().starts_with("22 paths could not be added; all else was"),
            "{some:?}"
        );
        let nothing = verdict(0, bad(1)).unwrap_err();
        assert_eq!(nothing.message(), "1 path could not be added; nothing was.");
    }
}
