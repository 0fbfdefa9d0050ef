//! `weft outputs`: list a job's finished files, or fetch them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};
use weft_node::path_text;

use crate::client::{Client, segment};
use crate::context::Context;
use crate::document::{self, Output};
use crate::download::{Downloads, Fetched};
use crate::error::Failure;
use crate::output::progress::{Progress, Unit};
use crate::output::{table::Table, units};

/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job's id, a unique beginning of it, its name, or `last`
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    job: String,
    /// Fetch them into this folder; what is there already and the same is not fetched again
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let client = Arc::new(context.client().await?);
    let document = client.get(&format!("jobs/{}/outputs", segment(&args.job))).await?;
    let outputs: Vec<Output> = document::read(&document)?;
    match &args.to {
        Some(folder) => {
            let fetched = fetch(&client, &outputs, folder).await?;
            answer(context, folder, &fetched)
        }
        None => context.answer(&document, |style| {
            let mut table = Table::new(&[">frame", "path", ">size", "md5"]);
            for output in &outputs {
                table.row([
                    output.frame.map_or(String::new(), |frame| frame.to_string()),
                    output.path.clone(),
                    units::bytes(output.size),
                    output.hash.clone(),
                ]);
            }
            table.words(style, "no files are there yet")
        }),
    }
}

async fn fetch(
    client: &Arc<Client>,
    outputs: &[Output],
    folder: &Path,
) -> Result<Vec<Fetched>, Failure> {
    let mut downloads = Downloads::into_folder(folder)?;
    let total = outputs.iter().map(|output| output.size).sum();
    outputs.iter().for_each(|output| downloads.want(client, output));
    let mut progress = Progress::new(Unit::Bytes);
    let mut show = tokio::time::interval(SHOW);
    let (mut fetched, mut failures) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            next = downloads.next() => match next {
                Some(Ok(file)) => fetched.push(file),
                // The others come all the same.
                Some(Err(failure)) => failures.push(failure),
                None => break,
            },
            _ = show.tick() => progress.set(downloads.bytes(), total),
        }
    }
    drop(progress);
    let more = failures.len().saturating_sub(1);
    match failures.into_iter().next() {
        Some(failure) if more > 0 => {
            Err(failure.and(&format!("So did {} more.", units::count(more, "file"))))
        }
        Some(failure) => Err(failure),
        None => {
            fetched.sort_by(|a, b| a.output.path.cmp(&b.output.path));
            Ok(fetched)
        }
    }
}

fn answer(context: &Context, folder: &Path, fetched: &[Fetched]) -> Result<(), Failure> {
    let documents: Vec<Value> = fetched
        .iter()
        .map(|file| {
            json!({
                "frame": file.output.frame, "path": path_text::told(&file.path), "size": file.output.size,
                "id": file.output.id, "hash": file.output.hash, "was_there": file.was_there,
            })
        })
        .collect();
    context.answer(&Value::Array(documents), |_| {
        let there = fetched.iter().filter(|file| file.was_there).count();
        let came = fetched.len() - there;
        let size = fetched.iter().filter(|file| !file.was_there).map(|file| file.output.size).sum();
        format!(
            "{} fetched ({}), {there} there already, in {}",
            units::count(came, "file"),
            units::bytes(size),
            folder.display()
        )
    })
}
