//! `weft hash`: files' hashes, as other tools know them. It needs no node.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weft_node::path_text;
use weft_store::{FileHashes, hash_reader};

use crate::context::Context;
use crate::error::Failure;
use crate::output::progress::{Progress, Unit};
use crate::output::units;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut progress = Hashing::of(&args.files);
    let mut hashed = Vec::with_capacity(args.files.len());
    for path in args.files {
        let hashes = progress.hash(&path)?;
        hashed.push((path, hashes));
    }
    drop(progress);
    let documents: Vec<Value> =
        hashed.iter().map(|(path, hashes)| document(path, hashes)).collect();
    context.answer(&Value::Array(documents), |_| {
        let words: Vec<String> = hashed.iter().map(|(path, hashes)| words(path, hashes)).collect();
        words.join("\n")
    })
}

pub(super) fn document(path: &Path, hashes: &FileHashes) -> Value {
    json!({
        "path": path_text::told(path),
        "size": hashes.size,
        "hash": hashes.md5,
        "xxhash": hashes.xxh64,
        "blake3": hashes.blake3,
    })
}

fn words(path: &Path, hashes: &FileHashes) -> String {
    format!(
        "{}  {}\n  md5     {}\n  xxh64   {}\n  blake3  {}",
        crate::output::plain_line(&path_text::told(path)),
        units::bytes(hashes.size),
        hashes.md5,
        hashes.xxh64,
        hashes.blake3
    )
}

/// Hashes files, and shows how far it is.
pub(super) struct Hashing {
    progress: Progress,
    done: u64,
    total: u64,
}

impl Hashing {
    pub(super) fn of(files: &[PathBuf]) -> Self {
        let sizes = files.iter().filter_map(|path| Some(std::fs::metadata(path).ok()?.len()));
        Self { progress: Progress::new(Unit::Bytes), done: 0, total: sizes.sum() }
    }

    pub(super) fn hash(&mut self, path: &Path) -> Result<FileHashes, Failure> {
        let open = || {
            // Reading a folder fails with a riddle on some systems, and a device never ends.
            let metadata = std::fs::metadata(path)?;
            if metadata.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            File::open(path)
        };
        let cannot = |error: io::Error| {
            Failure::call(format!("'{}' can't be read: {error}.", path.display()))
        };
        let file = open().map_err(cannot)?;
        hash_reader(Counted { file, hashing: self }).map_err(cannot)
    }
}

struct Counted<'a> {
    file: File,
    hashing: &'a mut Hashing,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let hashing = &mut *self.hashing;
        hashing.done += read as u64;
        hashing.progress.set(hashing.done, hashing.total.max(hashing.done));
        Ok(read)
    }
}
