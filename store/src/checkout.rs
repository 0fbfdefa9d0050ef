//! Giving blobs out as files: by reflink where the file system can, else under a second name where nobody can
//! write through it, else by a checked copy.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use weft_protocol::content::{Tree, TreeEntry, TreePath};
use weft_protocol::ids::BlobId;

use crate::Store;
use crate::blobs::BlobInfo;
use crate::disk::sync_folder;
use crate::error::{CheckoutError, DiskError, ReadError};
use crate::tables::Place;

/// How a file came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It shares its blocks with the store until either is written to.
    Reflinked,
    /// It is the store's own file, under a second name.
    Linked,
    /// It is a copy; every chunk was checked on the way.
    Copied,
}

/// How a tree's files are offered to those who read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// To be written to: files of their own, or ones that share blocks until then.
    Writable,
    /// The same, and marked as read-only, which their owner can undo.
    ReadOnly,
    /// Where blocks can't be shared, large ones may be the store's own files under a second name. Whoever can
    /// change the mode of such a file can change the blob. So this is only for folders that are seen through
    /// a mount that is read-only, by all who may not write to the store anyway.
    Linked,
}

/// What a checkout of a tree has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeCheckout {
    /// Files that share their blocks with the store.
    pub reflinked: u64,
    /// Files that are the store's own, under a second name.
    pub linked: u64,
    /// Files that are copies.
    pub copied: u64,
    /// The size of all of them, in bytes.
    pub bytes: u64,
}

/// How a file is written.
#[derive(Debug, Clone, Copy)]
struct Manner {
    read_only: bool,
    /// Whether it must last before the call returns, and be checked on the way.
    durable: bool,
}

impl Store {
    /// Writes a whole blob to `dest`, in place of a file that is there: under another name first,
    /// so that nobody sees half of it. Its folder must be there.
    ///
    /// # Errors
    /// When the blob isn't here as a whole or is damaged, or the file can't be written.
    pub fn checkout(
        &self,
        blob: BlobId,
        dest: &Path,
        read_only: bool,
    ) -> Result<How, CheckoutError> {
        self.write_out(blob, dest, Manner { read_only, durable: false }, None)
    }

    /// Writes a whole blob to `dest` as [`checkout`](Self::checkout) does, always as a checked
    /// copy, which lasts when this returns: for what people get to keep.
    ///
    /// # Errors
    /// When the blob isn't here as a whole or is damaged, or the file can't be written.
    pub fn deliver(&self, blob: BlobId, dest: &Path) -> Result<(), CheckoutError> {
        self.write_out(blob, dest, Manner { read_only: false, durable: true }, None).map(|_| ())
    }

    /// Writes those files of a tree that `wanted` takes, each under its path in `dest`, which is
    /// made if it isn't there. Folders on the way are made; a link among them is refused. What shares its
    /// bytes with the store, or is the store's, is not read on the way, and so not checked.
    ///
    /// # Errors
    /// When a blob isn't here as a whole, is damaged or has another size than the tree says, or a
    /// file can't be written. What was written before stays.
    pub fn checkout_tree(
        &self,
        tree: &Tree,
        dest: &Path,
        offered: Offered,
        wanted: &mut dyn FnMut(&TreePath, &TreeEntry) -> bool,
    ) -> Result<TreeCheckout, CheckoutError> {
        fs::create_dir_all(dest).map_err(|error| DiskError::new(dest, error))?;
        let mut done = TreeCheckout::default();
        let manner = Manner { read_only: offered != Offered::Writable, durable: false };
        for (path, entry) in tree.entries() {
            if !wanted(path, entry) {
                continue;
            }
            let blob = entry.blob;
            let info = self.info(blob).map_err(ReadError::from)?;
            let info = info.ok_or(ReadError::Unknown { blob })?;
            if info.size != entry.size {
                return Err(CheckoutError::WrongSize { path: path.clone() });
            }
            let file = make_folders(dest, path)?;
            let linkable = offered == Offered::Linked && !info.inline;
            // Where the blocks of one file can't be shared, the next one's can't be either.
            let how = match linkable && done.linked > 0 && self.link(&info, &file) {
                true => How::Linked,
                false => self.write_out(blob, &file, manner, linkable.then_some(&info))?,
            };
            match how {
                How::Reflinked => done.reflinked += 1,
                How::Linked => done.linked += 1,
                How::Copied => done.copied += 1,
            }
            done.bytes = done.bytes.saturating_add(entry.size);
        }
        Ok(done)
    }

    /// Writes a blob out; where its blocks can't be shared, `linkable` may become a second name of its file.
    fn write_out(
        &self,
        blob: BlobId,
        dest: &Path,
        manner: Manner,
        linkable: Option<&BlobInfo>,
    ) -> Result<How, CheckoutError> {
        let _hold = self.hold(blob);
        let folder = match dest.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| DiskError::new(dest, io::Error::other(error)))?;
        let name = format!(".weft-{:016x}.tmp", u64::from_le_bytes(random));
        let temporary = Unfinished { path: folder.join(name), finished: false };
        let how = self.fill(blob, &temporary.path, manner, linkable)?;
        // A second name leaves the file as it is: its mode is the blob's.
        temporary.finish(dest, manner.read_only && how != How::Linked)?;
        if manner.durable {
            sync_folder(folder).map_err(|error| DiskError::new(folder, error))?;
        }
        Ok(how)
    }

    /// Writes a blob to a new file.
    fn fill(
        &self,
        blob: BlobId,
        path: &Path,
        manner: Manner,
        linkable: Option<&BlobInfo>,
    ) -> Result<How, CheckoutError> {
        let failed = |error| DiskError::new(path, error);
        let source = self.source(&blob)?.ok_or(ReadError::Unknown { blob })?;
        if !manner.durable && source.row.place == Place::File && self.reflink(blob, path) {
            return Ok(How::Reflinked);
        }
        if linkable.is_some_and(|info| self.link(info, path)) {
            return Ok(How::Linked);
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
        for index in 0..source.manifest.chunk_count() {
            file.write_all(&source.chunk(index)?).map_err(failed)?;
        }
        if manner.durable {
            file.sync_data().map_err(failed)?;
        }
        Ok(How::Copied)
    }

    /// Tries to share a blob's blocks with a new file.
    fn reflink(&self, blob: BlobId, to: &Path) -> bool {
        let from = self.disk.path(&crate::names::blob(&blob));
        // Both must be of one file system that can do it; every error means a copy.
        reflink_copy::reflink(from, to).is_ok()
    }

    /// Tries to give a blob's file a second name, at which nothing may be yet. One of another length than it
    /// should have is left to a copy, which says what is damaged.
    fn link(&self, info: &BlobInfo, to: &Path) -> bool {
        let from = self.disk.path(&crate::names::blob(&info.id));
        let found = fs::symlink_metadata(&from);
        let sound = found.is_ok_and(|found| found.is_file() && found.len() == info.size);
        // Both must be of one file system, and a file has only so many names; every error means a copy.
        sound && fs::hard_link(from, to).is_ok()
    }
}

/// A file under a name that nobody reads, removed unless it's finished.
struct Unfinished {
    path: PathBuf,
    finished: bool,
}

impl Unfinished {
    fn finish(mut self, dest: &Path, read_only: bool) -> Result<(), DiskError> {
        let failed = |error| DiskError::new(dest, error);
        if read_only {
            let mut permissions = fs::metadata(&self.path).map_err(failed)?.permissions();
            permissions.set_readonly(true);
            fs::set_permissions(&self.path, permissions).map_err(failed)?;
        }
        fs::rename(&self.path, dest).map_err(failed)?;
        // Two names of one file stay two names.
        self.finished = !self.path.exists();
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // It may not be there yet; if it can't be removed, its name says what it is.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the folders of a path below `dest`, and says where its file goes. None of them may be a
/// link: it could lead out of `dest`.
fn make_folders(dest: &Path, path: &TreePath) -> Result<PathBuf, CheckoutError> {
    let mut place = dest.to_path_buf();
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        place.push(component);
        if components.peek().is_none() {
            break;
        }
        match fs::create_dir(&place) {
            Ok(()) => continue,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DiskError::new(&place, error).into()),
        }
        let kind = fs::symlink_metadata(&place).map_err(|error| DiskError::new(&place, error))?;
        if !kind.is_dir() {
            return Err(CheckoutError::InTheWay { path: place });
        }
    }
    Ok(place)
}
