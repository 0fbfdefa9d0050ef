//! Giving blobs out as files: under a second name where nobody can write through it, else by reflink where the
//! file system can, else by a checked copy.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weft_protocol::content::{Tree, TreeEntry, TreePath};
use weft_protocol::ids::BlobId;

use crate::Store;
use crate::disk::sync_folder;
use crate::error::{CheckoutError, DiskError, ReadError};
use crate::tables::Place;

/// The most threads that give out the files of a tree, and how many files are worth one.
const MAX_GIVERS: usize = 8;
const FILES_A_THREAD: usize = 64;

/// How a file came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It shares its blocks with the store until either is written to. It was checked within the last hour.
    Reflinked,
    /// It is the store's own file, under a second name, and was checked within the last hour.
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
    /// Large ones may be the store's own files under a second name, which costs a tenth of what sharing
    /// blocks does. Whoever can change the mode of such a file can change the blob. So this is only for folders
    /// that are seen through a mount that is read-only, by all who may not write to the store anyway.
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

impl TreeCheckout {
    const fn add(&mut self, how: How, size: u64) {
        match how {
            How::Reflinked => self.reflinked += 1,
            How::Linked => self.linked += 1,
            How::Copied => self.copied += 1,
        }
        self.bytes = self.bytes.saturating_add(size);
    }

    const fn and(self, other: Self) -> Self {
        Self {
            reflinked: self.reflinked + other.reflinked,
            linked: self.linked + other.linked,
            copied: self.copied + other.copied,
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
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
        let temporary = Unfinished::beside(dest)?;
        self.write_out(blob, dest, temporary, Manner { read_only, durable: false })
    }

    /// Writes a whole blob to `dest` as [`checkout`](Self::checkout) does, always as a checked
    /// copy, which lasts when this returns: for what people get to keep.
    ///
    /// # Errors
    /// When the blob isn't here as a whole or is damaged, or the file can't be written.
    pub fn deliver(&self, blob: BlobId, dest: &Path) -> Result<(), CheckoutError> {
        self.deliver_by(blob, dest, Unfinished::beside(dest)?)
    }

    /// Writes a whole blob to `dest` as [`deliver`](Self::deliver) does, for one who tries again after a crash: what
    /// the crash left of the file is written over. `writer` tells this one from all others that may write to `dest` at
    /// the same time.
    ///
    /// # Errors
    /// When the blob isn't here as a whole or is damaged, or the file can't be written.
    pub fn deliver_again(
        &self,
        blob: BlobId,
        dest: &Path,
        writer: &[u8],
    ) -> Result<(), CheckoutError> {
        self.deliver_by(blob, dest, Unfinished::of(writer, dest)?)
    }

    fn deliver_by(
        &self,
        blob: BlobId,
        dest: &Path,
        temporary: Unfinished,
    ) -> Result<(), CheckoutError> {
        let manner = Manner { read_only: false, durable: true };
        self.write_out(blob, dest, temporary, manner).map(drop)
    }

    /// Writes those files of a tree that `wanted` takes, each under its path in `dest`, which is
    /// made if it isn't there. Folders on the way are made; a link among them is refused. What shares its
    /// bytes with the store, or is the store's, is read and checked unless that was done within the last hour.
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
        let mut folders = Folders::new(dest);
        let mut files = Vec::new();
        for (path, entry) in tree.entries() {
            if wanted(path, entry) {
                files.push((path, entry, folders.place(path)?));
            }
        }
        // Files of one folder wait for each other in the system for a part of the time only.
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            let mut done = TreeCheckout::default();
            while !failed.load(Ordering::Relaxed)
                && let Some((path, entry, to)) = files.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let how = self.give(path, entry, to, offered);
                let how = how.inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
                done.add(how, entry.size);
            }
            Ok(done)
        };
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let more = cores.min(MAX_GIVERS).min(files.len() / FILES_A_THREAD);
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..more).map(|_| scope.spawn(work)).collect();
            let mut done: Result<TreeCheckout, CheckoutError> = work();
            for other in others {
                let theirs = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                done = done.and_then(|done| Ok(done.and(theirs?)));
            }
            done
        })
    }

    /// Writes one file of a tree.
    fn give(
        &self,
        path: &TreePath,
        entry: &TreeEntry,
        to: &Path,
        offered: Offered,
    ) -> Result<How, CheckoutError> {
        let blob = entry.blob;
        let info = self.info(blob).map_err(ReadError::from)?;
        let info = info.ok_or(ReadError::Unknown { blob })?;
        if info.size != entry.size {
            return Err(CheckoutError::WrongSize { path: path.clone() });
        }
        if offered == Offered::Linked && !info.inline {
            // One of another length than it should have is left to a copy, which says what is damaged.
            let fits = self.ensure_right(blob)?.is_some_and(|looks| looks.size == info.size);
            if fits && self.link(blob, to) {
                return Ok(How::Linked);
            }
        }
        let manner = Manner { read_only: offered != Offered::Writable, durable: false };
        self.write_out(blob, to, Unfinished::beside(to)?, manner)
    }

    fn write_out(
        &self,
        blob: BlobId,
        dest: &Path,
        temporary: Unfinished,
        manner: Manner,
    ) -> Result<How, CheckoutError> {
        let _hold = self.hold(blob);
        let folder = match dest.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let how = self.fill(blob, &temporary.path, manner)?;
        temporary.finish(dest, manner.read_only)?;
        if manner.durable {
            sync_folder(folder).map_err(|error| DiskError::new(folder, error))?;
        }
        Ok(how)
    }

    /// Writes a blob to a new file.
    fn fill(&self, blob: BlobId, path: &Path, manner: Manner) -> Result<How, CheckoutError> {
        let failed = |error| DiskError::new(path, error);
        let source = self.source(&blob)?.ok_or(ReadError::Unknown { blob })?;
        if !manner.durable && source.row.place == Place::File && self.reflink(blob, path) {
            self.ensure_right(blob)?;
            return Ok(How::Reflinked);
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

    /// Tries to give a blob's file a second name, at which nothing may be yet.
    fn link(&self, blob: BlobId, to: &Path) -> bool {
        let from = self.disk.path(&crate::names::blob(&blob));
        // Both must be of one file system, and a file has only so many names: every other error means a copy.
        match fs::hard_link(&from, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Somebody may be reading it: it is never gone.
                let beside = Unfinished::beside(to);
                beside.is_ok_and(|beside| {
                    fs::hard_link(&from, &beside.path).is_ok()
                        && fs::rename(&beside.path, to).is_ok()
                })
            }
            linked => linked.is_ok(),
        }
    }
}

/// A file under a name that nobody reads, removed unless it's finished.
pub(crate) struct Unfinished {
    pub(crate) path: PathBuf,
    finished: bool,
}

impl Unfinished {
    /// A name for what will be `dest`; nothing is there yet.
    fn beside(dest: &Path) -> Result<Self, DiskError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| DiskError::new(dest, io::Error::other(error)))?;
        Ok(Self::named(random, dest))
    }

    /// The name that one writer has for what will be `dest`, each time the same; what is there goes.
    pub(crate) fn of(writer: &[u8], dest: &Path) -> Result<Self, DiskError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(writer);
        hasher.update(dest.file_name().unwrap_or_default().as_encoded_bytes());
        let mut hash = [0; 8];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        let unfinished = Self::named(hash, dest);
        match fs::remove_file(&unfinished.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DiskError::new(&unfinished.path, error))
            }
            _ => Ok(unfinished),
        }
    }

    fn named(number: [u8; 8], dest: &Path) -> Self {
        let name = format!(".weft-{:016x}.tmp", u64::from_le_bytes(number));
        Self { path: dest.with_file_name(name), finished: false }
    }

    fn finish(mut self, dest: &Path, read_only: bool) -> Result<(), DiskError> {
        let failed = |error| DiskError::new(dest, error);
        if read_only {
            let mut permissions = fs::metadata(&self.path).map_err(failed)?.permissions();
            permissions.set_readonly(true);
            fs::set_permissions(&self.path, permissions).map_err(failed)?;
        }
        fs::rename(&self.path, dest).map_err(failed)?;
        self.finished = true;
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

/// The folders of a tree below `dest`. None of them may be a link: it could lead out of `dest`.
struct Folders<'d> {
    dest: &'d Path,
    /// Those that were made, or found to be folders.
    sound: BTreeSet<PathBuf>,
}

impl<'d> Folders<'d> {
    fn new(dest: &'d Path) -> Self {
        Self { dest, sound: BTreeSet::new() }
    }

    /// Makes the folders of a path, and says where its file goes.
    fn place(&mut self, path: &TreePath) -> Result<PathBuf, CheckoutError> {
        let mut place = self.dest.to_path_buf();
        let mut components = path.components().peekable();
        while let Some(component) = components.next() {
            place.push(component);
            if components.peek().is_some() && !self.sound.contains(&place) {
                make_folder(&place)?;
                self.sound.insert(place.clone());
            }
        }
        Ok(place)
    }
}

fn make_folder(place: &Path) -> Result<(), CheckoutError> {
    match fs::create_dir(place) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(DiskError::new(place, error).into()),
    }
    match fs::symlink_metadata(place).map_err(|error| DiskError::new(place, error))?.is_dir() {
        true => Ok(()),
        false => Err(CheckoutError::InTheWay { path: place.to_owned() }),
    }
}
