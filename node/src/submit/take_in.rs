//! A submission's files become blobs, and a tree that names them.

use std::collections::BTreeMap;
use std::path::Path;

use weft_protocol::content::{Tree, TreeEntry, TreePath};
use weft_protocol::ids::BlobId;
use weft_store::{AddOptions, Store};

use super::{Progress, SubmitRequest, collect, invalid};
use crate::error::{ApiError, Code};

/// Takes every file into the store, and the tree that names them.
pub(super) fn take_in(
    store: &Store,
    request: &SubmitRequest,
    gathered: &collect::Gathered,
    progress: &mut dyn FnMut(Progress),
) -> Result<(BlobId, u64, u64), ApiError> {
    let failed = |error: &weft_store::IngestError| {
        let hint = match error.is_no_space() {
            true => {
                "Make room on the disk of WEFT_HOME, then submit again: what was read before is there still, unless \
                 its room was needed."
            }
            false => "",
        };
        ApiError::new(
            Code::Failed,
            format!("a file could not be taken in: {error}; nothing was submitted"),
        )
        .hint(hint)
    };
    let total: u64 = gathered.files.iter().map(|file| file.size).sum();
    let mut at =
        Progress { files_total: gathered.files.len(), bytes_total: total, ..Progress::default() };
    let mut before: Vec<u64> = Vec::with_capacity(gathered.files.len());
    let mut sum = 0;
    for file in &gathered.files {
        before.push(sum);
        sum += file.size;
    }
    let options = AddOptions::default().rehash(request.rehash);
    let paths: Vec<&Path> = gathered.files.iter().map(|file| file.source.as_path()).collect();
    let added = store
        .ingest_with(&paths, &options, &mut |position, bytes| {
            at.files = position;
            at.bytes = before.get(position).copied().unwrap_or(0) + bytes;
            progress(at);
        })
        .map_err(|error| failed(&error))?;
    let (mut entries, mut new, mut known) = (BTreeMap::new(), 0, 0);
    for (file, added) in gathered.files.iter().zip(added) {
        let added = added.map_err(|error| failed(&error))?;
        if file.is_scene {
            check_md5(request, &weft_store::md5_hex(&added.md5))?;
        }
        let added = match &file.rewritten {
            None => added,
            Some(copy) => {
                let mut copy = std::fs::File::open(copy).map_err(|error| {
                    let why = format!("a copy could not be read: {error}; nothing was submitted");
                    ApiError::new(Code::Failed, why)
                })?;
                store.ingest_reader(&mut copy).map_err(|error| failed(&error))?
            }
        };
        new += added.bytes_added;
        known += added.size - added.bytes_added;
        let entry = TreeEntry { blob: added.id, size: added.size, frames: file.frames.clone() };
        entries.insert(file.path.clone(), entry);
    }
    let tree = tree(entries)?;
    let added = store.ingest_bytes(&tree.encode()).map_err(|error| failed(&error))?;
    at.files = at.files_total;
    at.bytes = total;
    progress(at);
    Ok((added.id, new, known))
}

/// Refuses what [`take_in`] would refuse of files that can be read, and takes in nothing.
pub(super) fn check(request: &SubmitRequest, gathered: &collect::Gathered) -> Result<(), ApiError> {
    let scene = gathered.files.iter().find(|file| file.is_scene);
    if let Some(scene) = scene.filter(|_| request.expect_md5.is_some()) {
        let hashes = weft_store::hash_file(&scene.source).map_err(|error| {
            let path = scene.source.display();
            invalid(format!("the scene {path} can't be read: {error}; nothing was submitted"))
        })?;
        check_md5(request, &hashes.md5)?;
    }
    let entry = |file: &collect::GatheredFile| {
        let frames = file.frames.clone();
        (file.path.clone(), TreeEntry { blob: BlobId([0; 32]), size: file.size, frames })
    };
    tree(gathered.files.iter().map(entry).collect()).map(drop)
}

fn tree(entries: BTreeMap<TreePath, TreeEntry>) -> Result<Tree, ApiError> {
    Tree::new(entries).map_err(|error| {
        invalid(format!("the scene's files can't be sent: {error}; nothing was submitted"))
    })
}

fn check_md5(request: &SubmitRequest, found: &str) -> Result<(), ApiError> {
    match &request.expect_md5 {
        Some(expected) if !expected.eq_ignore_ascii_case(found) => Err(ApiError::new(
            Code::Failed,
            format!(
                "the scene is not the one that is meant: its MD5 is {found}, and {expected} was expected; nothing \
                 was submitted"
            ),
        )),
        _ => Ok(()),
    }
}
