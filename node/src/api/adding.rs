//! Files of this machine, added to its store by a user's hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_store::{AddOptions, Added, Batch, IngestError, Store, md5_hex};

use super::store::failed;
use super::{Access, Answer, State, references, stream};
use crate::error::{ApiError, Code};
use crate::path_text;

/// How often it is told how far it is.
const TELL: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddRequest {
    paths: Vec<PathBuf>,
    #[serde(default)]
    rehash: bool,
}

pub(super) async fn add(node: State, access: Access, Json(request): Json<AddRequest>) -> Answer {
    access.require_user("adding files")?;
    let store = Arc::clone(&node.store);
    let owner = super::jobs::owner(&node);
    let (sender, receiver) = stream::channel(16);
    tokio::task::spawn_blocking(move || {
        // What is added is kept until it is pinned.
        let intake = store.intake();
        // A terminal that was stopped reads nothing: the store, and others who add, don't wait for it.
        let progress = |document| _ = sender.try_send(stream::line(&document));
        let last = match add_all(&store, &request, &owner, &progress) {
            Ok(added) => json!({ "result": added }),
            Err(error) => json!({ "error": error }),
        };
        drop(intake);
        let _ = sender.blocking_send(stream::line(&last));
    });
    Ok(stream::lines(receiver))
}

/// What lies at the paths that were named: files, and what can't be taken in.
#[derive(Default)]
struct Listed {
    /// Their paths, and sizes in bytes.
    files: Vec<(PathBuf, u64)>,
    /// Where something can't be read, and why.
    failed: Vec<(PathBuf, String)>,
}

impl Listed {
    fn of(paths: &[PathBuf]) -> Result<Self, ApiError> {
        let mut listed = Self::default();
        for path in paths {
            // A path that isn't there is a slip of the pen in the call: better said before the rest is read.
            fs::metadata(path).map_err(|error| {
                let why = format!("'{}' can't be read: {error}; nothing was added", path.display());
                ApiError::new(Code::Invalid, why)
            })?;
        }
        paths.iter().for_each(|path| listed.list(path));
        Ok(listed)
    }

    fn list(&mut self, path: &Path) {
        if let Err(error) = self.try_list(path) {
            let why = format!("'{}' can't be read: {error}", path.display());
            self.failed.push((path.to_owned(), why));
        }
    }

    fn try_list(&mut self, path: &Path) -> std::io::Result<()> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            self.files.push((path.to_owned(), metadata.len()));
            return Ok(());
        }
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            // Links to folders could lead in circles.
            if !entry.file_type()?.is_symlink() || entry.path().is_file() {
                self.list(&entry.path());
            }
        }
        Ok(())
    }
}

/// Adds and pins all that can be; what can't be is named with the reason in its document.
fn add_all(
    store: &Store,
    request: &AddRequest,
    owner: &str,
    say: &dyn Fn(Value),
) -> Result<Vec<Value>, ApiError> {
    let Listed { files, failed: mut unread } = Listed::of(&request.paths)?;
    let added = take_in(store, request, &files, say)?;
    let (mut documents, mut pins) = (Vec::with_capacity(added.len()), Batch::new());
    for ((path, _), added) in files.into_iter().zip(added) {
        match added {
            Ok(added) => {
                let path = path_text::told(&path);
                pins = references::keep(pins, added.id, &path, owner);
                documents.push(document(&path, &added));
            }
            Err(error) => unread.push((path, error.to_string())),
        }
    }
    store.commit(&pins).map_err(failed)?;
    documents.extend(
        unread
            .into_iter()
            .map(|(path, why)| json!({ "path": path_text::told(&path), "error": why })),
    );
    Ok(documents)
}

fn take_in(
    store: &Store,
    request: &AddRequest,
    files: &[(PathBuf, u64)],
    say: &dyn Fn(Value),
) -> Result<Vec<Result<Added, IngestError>>, ApiError> {
    let mut total = 0;
    let before: Vec<u64> = files
        .iter()
        .map(|(_, size)| {
            let before = total;
            total += size;
            before
        })
        .collect();
    let paths: Vec<&PathBuf> = files.iter().map(|(path, _)| path).collect();
    let options = AddOptions::default().rehash(request.rehash);
    let mut told = Instant::now();
    let added = store.ingest_with(&paths, &options, &mut |position, bytes| {
        if told.elapsed() >= TELL {
            told = Instant::now();
            let bytes = before.get(position).copied().unwrap_or(0) + bytes;
            say(json!({ "progress": {
                "files": position, "files_total": files.len(),
                "bytes": bytes, "bytes_total": total,
            }}));
        }
    });
    added.map_err(not_added)
}

fn document(path: &str, added: &Added) -> Value {
    json!({
        "path": path, "id": added.id, "size": added.size,
        "hash": md5_hex(&added.md5), "xxhash": added.xxh64.to_string(),
        "bytes_added": added.bytes_added,
    })
}

/// The store's own trouble, which is every file's.
fn not_added(error: IngestError) -> ApiError {
    let full = error.is_no_space();
    let error = ApiError::new(Code::Failed, format!("{error}; not everything was added"));
    match full {
        true => error.hint(
            "Make room on the disk of WEFT_HOME, then add the same again: what was read before is there still, unless \
             its room was needed.",
        ),
        false => error.hint("Once that is mended, add the same again."),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn added(store: &Store, paths: &[&Path]) -> Result<Vec<Value>, ApiError> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        add_all(store, &AddRequest { paths, rehash: false }, "ada@ws1", &|_| ())
    }

    #[test]
    fn what_cannot_be_read_hinders_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        // Before the others, and between them.
        let _sockets = ["a", "m"].map(|name| UnixListener::bind(files.join(name)).unwrap());
        for (name, bytes) in [("b", "one"), ("n", "two"), ("z", "three")] {
            fs::write(files.join(name), bytes).unwrap();
        }
        let documents = added(&store, &[&files]).unwrap();
        let (good, bad): (Vec<_>, Vec<_>) =
            documents.iter().partition(|document| document["error"].is_null());
        assert_eq!((good.len(), bad.len()), (3, 2), "{documents:?}");
        for (document, name) in bad.into_iter().zip(["a", "m"]) {
            let path = path_text::told(&files.join(name));
            assert_eq!((&document["path"], &document["id"]), (&path.clone().into(), &Value::Null));
            assert!(document["error"].as_str().unwrap().contains(&path), "{document}");
        }
        let pinned = store.all_pins().unwrap().into_iter();
        assert_eq!(pinned.filter(|pin| pin.reason == crate::pins::USER).count(), 3);
        let nothing = added(&store, &[&files, Path::new("/none/such")]).unwrap_err();
        assert_eq!(nothing.code, Code::Invalid, "{nothing}");
        assert!(nothing.message.ends_with("nothing was added"), "{nothing}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_is_no_text_is_told_as_far_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        fs::write(files.join(OsStr::from_bytes(b"a\xff")), "x").unwrap();
        let documents = added(&store, &[&files]).unwrap();
        let path = documents[0]["path"].as_str().unwrap();
        assert!(path.ends_with("a\u{fffd}") && documents[0]["id"].is_string(), "{documents:?}");
    }
}
