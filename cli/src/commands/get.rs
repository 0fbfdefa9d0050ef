//! `weft get`: fetch a file from the store.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use weft_node::path_text;

use crate::context::Context;
use crate::download;
use crate::error::Failure;
use crate::output::progress::{Progress, Unit};
use crate::output::units;
use crate::paths;

/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id, or its MD5
    #[arg(value_name = "ID")]
    blob: String,
    /// Where to write it
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let to = paths::absolute(&args.to)?;
    if to.is_dir() {
        return Err(Failure::call(format!(
            "'{}' is a folder; name the file to write. Nothing was fetched.",
            args.to.display()
        )));
    }
    let client = context.client().await?;
    let known = client.post("store/has", Some(json!({ "hashes": [args.blob] }))).await?;
    let known = &known["existing"][0];
    let id = known["id"].as_str().unwrap_or(&args.blob).to_owned();
    let size = known["size"].as_u64();
    let bytes = AtomicU64::new(0);
    let md5 = (args.blob.len() == 32).then(|| args.blob.to_ascii_lowercase());
    let fetching = download::blob(&client, &id, size, md5.as_deref(), &to, &bytes);
    tokio::pin!(fetching);
    let mut progress = Progress::new(Unit::Bytes);
    let mut show = tokio::time::interval(SHOW);
    loop {
        tokio::select! {
            fetched = &mut fetching => break fetched?,
            _ = show.tick() => {
                let done = bytes.load(Ordering::Relaxed);
                progress.set(done, size.unwrap_or(done));
            }
        }
    }
    drop(progress);
    let size = bytes.load(Ordering::Relaxed);
    context.answer(&json!({ "id": id, "path": path_text::told(&args.to), "size": size }), |_| {
        format!("{} in {}", units::bytes(size), args.to.display())
    })
}
