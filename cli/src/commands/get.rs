//! `weft get`: fetch a file from the store.

use std::path::{Path, PathBuf};
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
    /// Its id, its MD5, or a unique beginning of the id of one that the node has
    #[arg(value_name = "ID")]
    blob: String,
    /// Where to write it
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let to = target(&args.to)?;
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

/// The file to write. A link's target is: the link stays. What is there and no file would be lost if a file took its
/// place.
fn target(to: &Path) -> Result<PathBuf, Failure> {
    let why = match std::fs::metadata(to) {
        Ok(metadata) if metadata.is_dir() => "a folder",
        Ok(metadata) if !metadata.is_file() => "no file",
        Ok(_) => {
            return to.canonicalize().map_err(|error| {
                Failure::failed(format!("'{}' can't be written: {error}.", to.display()))
                    .and("Nothing was fetched.")
            });
        }
        Err(_) => return paths::absolute(to),
    };
    let to = to.display();
    Err(Failure::call(format!("'{to}' is {why}; name the file to write. Nothing was fetched.")))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let [file, link, pipe, new] = ["file", "link", "pipe", "new"].map(|name| folder.join(name));
        std::fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&pipe).unwrap();
        assert_eq!(target(&file).unwrap(), file);
        assert_eq!(target(&link).unwrap(), file, "the link stays");
        assert_eq!(target(&new).unwrap(), new);
        for refused in [&*folder, &*pipe, Path::new("/dev/null")] {
            assert!(target(refused).is_err(), "{}", refused.display());
        }
    }
}
