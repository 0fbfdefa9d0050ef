//! Bringing finished files here: several at once, checked, and whole or not at all.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use weft_protocol::content::TreePath;

use crate::client::{Client, segment};
use crate::document::Output;
use crate::error::Failure;

/// How many files come at once.
const AT_ONCE: usize = 4;
/// How often a file is asked for.
const TRIES: u32 = 3;
/// Before a file is asked for again.
const PAUSE: Duration = Duration::from_millis(500);

/// A file that is in its place.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) output: Output,
    pub(crate) path: PathBuf,
    /// Whether it was there already, and the same.
    pub(crate) was_there: bool,
}

/// Files on their way into a folder.
pub(crate) struct Downloads {
    folder: PathBuf,
    waiting: VecDeque<(Arc<Client>, Output)>,
    running: JoinSet<Result<Fetched, Failure>>,
    asked: BTreeSet<(String, String)>,
    bytes: Arc<AtomicU64>,
}

impl Downloads {
    /// Nothing yet, into a folder, which is made if need be.
    pub(crate) fn into_folder(folder: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        Ok(Self {
            folder: folder.to_owned(),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            asked: BTreeSet::new(),
            bytes: Arc::default(),
        })
    }

    /// Asks for a file, unless the very same was asked for before.
    pub(crate) fn want(&mut self, client: &Arc<Client>, output: &Output) {
        if self.asked.insert((output.path.clone(), output.id.clone())) {
            self.waiting.push_back((Arc::clone(client), output.clone()));
            self.start();
        }
    }

    fn start(&mut self) {
        while self.running.len() < AT_ONCE
            && let Some((client, output)) = self.waiting.pop_front()
        {
            let (folder, bytes) = (self.folder.clone(), Arc::clone(&self.bytes));
            self.running.spawn(async move { bring(&client, output, &folder, &bytes).await });
        }
    }

    /// The next file that is in its place; none while nothing is on its way. Nothing is lost when
    /// the caller stops waiting and asks again.
    pub(crate) async fn next(&mut self) -> Option<Result<Fetched, Failure>> {
        let joined = self.running.join_next().await?;
        self.start();
        Some(
            joined.unwrap_or_else(|error| {
                Err(Failure::failed(format!("a download broke off: {error}")))
            }),
        )
    }

    /// Bytes that are here, those of files that were here before included.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Where a file goes. What others named must not lead out of the folder.
fn place(folder: &Path, output: &Output) -> Result<PathBuf, Failure> {
    match TreePath::new(output.path.as_str()) {
        Ok(path) => Ok(path.components().fold(folder.to_owned(), |at, part| at.join(part))),
        Err(error) => Err(Failure::failed(format!(
            "the file '{}' can't be written here: {error}",
            output.path
        ))),
    }
}

/// Whether the very file is in a place.
pub(crate) async fn is_there(path: &Path, output: &Output) -> bool {
    let size = tokio::fs::metadata(path).await.map(|metadata| metadata.len());
    size.is_ok_and(|size| size == output.size)
        && md5_of(path).await.is_ok_and(|md5| md5 == output.hash)
}

async fn md5_of(path: &Path) -> io::Result<String> {
    let path = path.to_owned();
    let hashed = tokio::task::spawn_blocking(move || weft_store::hash_file(&path)).await;
    Ok(hashed.map_err(io::Error::other)??.md5)
}

async fn bring(
    client: &Client,
    output: Output,
    folder: &Path,
    bytes: &AtomicU64,
) -> Result<Fetched, Failure> {
    let path = place(folder, &output)?;
    if is_there(&path, &output).await {
        bytes.fetch_add(output.size, Ordering::Relaxed);
        return Ok(Fetched { output, path, was_there: true });
    }
    let mut tries = 1;
    loop {
        let counted = AtomicU64::new(0);
        match fetch(client, &output, &path, (bytes, &counted)).await {
            Ok(()) => return Ok(Fetched { output, path, was_there: false }),
            Err(Trouble::Network(_) | Trouble::BrokeOff(_)) if tries < TRIES => {
                bytes.fetch_sub(counted.into_inner(), Ordering::Relaxed);
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(trouble) => {
                return Err(trouble
                    .failure()
                    .and("What came before is kept; the same call goes on from there."));
            }
        }
    }
}

/// Fetches one blob by its id to a place, checked by MD5 and size where they are known; `bytes`
/// counts what came.
pub(crate) async fn blob(
    client: &Client,
    id: &str,
    size: Option<u64>,
    md5: Option<&str>,
    path: &Path,
    bytes: &AtomicU64,
) -> Result<(), Failure> {
    let output = Output {
        frame: None,
        path: id.to_owned(),
        size: size.unwrap_or(u64::MAX),
        id: id.to_owned(),
        hash: md5.unwrap_or_default().to_owned(),
    };
    let mut tries = 1;
    loop {
        let counted = AtomicU64::new(0);
        match fetch(client, &output, path, (bytes, &counted)).await {
            Ok(()) => return Ok(()),
            // An answer that has begun can't say why it broke off; the next one can.
            Err(Trouble::BrokeOff(_)) if tries < TRIES => {
                bytes.fetch_sub(counted.into_inner(), Ordering::Relaxed);
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(trouble) => return Err(trouble.failure().and("Nothing was written.")),
        }
    }
}

enum Trouble {
    /// It began to come, and did not come to its end.
    BrokeOff(Failure),
    /// Trying again may help.
    Network(Failure),
    /// It will not.
    Disk(Failure),
}

impl Trouble {
    fn failure(self) -> Failure {
        match self {
            Self::BrokeOff(failure) | Self::Network(failure) | Self::Disk(failure) => failure,
        }
    }
}

/// Writes beside the place and renames: whoever looks into the folder sees whole files only.
async fn fetch(
    client: &Client,
    output: &Output,
    path: &Path,
    (sum, counted): (&AtomicU64, &AtomicU64),
) -> Result<(), Trouble> {
    let disk = |error: io::Error| Trouble::Disk(cannot_write(path, &error));
    let parent = path.parent().unwrap_or(Path::new("."));
    tokio::fs::create_dir_all(parent).await.map_err(disk)?;
    // The file goes when this value does, unless it was renamed.
    let (file, temporary) = beside(parent).map_err(disk)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let blob = format!("blobs/{}", segment(&output.id));
    let mut source =
        client.bytes(&blob).await.map_err(Trouble::Network)?.take(output.size.saturating_add(1));
    let mut buffer = vec![0; 256 << 10];
    let mut size: u64 = 0;
    loop {
        let read = source.read(&mut buffer).await.map_err(|error| {
            Trouble::BrokeOff(Failure::from_parts(
                Failure::UNREACHABLE,
                format!("'{}' broke off: {error}.", output.path),
            ))
        })?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).await.map_err(disk)?;
        size += read as u64;
        sum.fetch_add(read as u64, Ordering::Relaxed);
        counted.fetch_add(read as u64, Ordering::Relaxed);
    }
    file.flush().await.map_err(disk)?;
    file.sync_all().await.map_err(disk)?;
    drop(file);
    if output.size != u64::MAX && size != output.size {
        return Err(Trouble::Network(Failure::failed(format!(
            "'{}' should have {} bytes, and {size} came.",
            output.path, output.size
        ))));
    }
    let md5 = md5_of(&temporary).await.map_err(disk)?;
    if !output.hash.is_empty() && md5 != output.hash {
        return Err(Trouble::Network(Failure::failed(format!(
            "'{}' should have the MD5 {}, and {md5} came.",
            output.path, output.hash
        ))));
    }
    temporary.persist(path).map_err(|error| disk(error.error))
}

/// An empty file that other users may read as far as this user's mask lets them.
fn beside(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".weft-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("'{}' can't be written: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside_the_folder() {
        let output = |path: &str| Output { path: path.to_owned(), ..Output::default() };
        let folder = Path::new("out");
        assert_eq!(place(folder, &output("a/b.png")).unwrap(), Path::new("out/a/b.png"));
        for hostile in ["../a", "/etc/passwd", "a/../../b", "", "a//b", "..", "C:\\a"] {
            assert!(place(folder, &output(hostile)).is_err(), "{hostile}");
        }
    }

    #[tokio::test]
    async fn only_the_very_file_counts_as_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        let mut output = Output {
            size: 13,
            hash: "65a8e27d8879283831b664bd8b7f0ad4".into(),
            ..Output::default()
        };
        assert!(!is_there(&path, &output).await);
        std::fs::write(&path, "Hello, World!").unwrap();
        assert!(is_there(&path, &output).await);
        std::fs::write(&path, "Hello, world!").unwrap();
        assert!(!is_there(&path, &output).await, "the same size, other bytes");
        output.size = 12;
        assert!(!is_there(&path, &output).await);
    }
}
