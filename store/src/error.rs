//! What can go wrong, by operation. None of these panics; a failed write has changed nothing that
//! was acknowledged.

use std::io;
use std::path::{Path, PathBuf};

use weft_protocol::content::{ManifestError, TreeError, TreePath};
use weft_protocol::ids::BlobId;

/// The disk refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The disk or the user's quota is full. Nothing that was acknowledged is lost.
    #[error("there is no space left to write '{}'", path.display())]
    NoSpace {
        /// What was to be written.
        path: PathBuf,
    },
    /// The disk is mounted read-only, or this user has no right to it.
    #[error("'{}' can't be used: it is read-only, or belongs to another user", path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
    },
    /// This process, or the system, may open no more files. Nothing that was acknowledged is lost.
    #[error("'{}' can't be opened: too many files are open; a higher limit helps (`ulimit -n`)", path.display())]
    NoHandles {
        /// What was to be opened.
        path: PathBuf,
    },
    /// Anything else that the system reports.
    #[error("'{}': {source}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl DiskError {
    /// Sorts what the system reports about `path`.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, source: io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path }
            }
            _ if is_out_of_handles(&source) => Self::NoHandles { path },
            _ => Self::Io { path, source },
        }
    }
}

/// Whether the process or the system may open no more files.
fn is_out_of_handles(error: &io::Error) -> bool {
    // ENFILE and EMFILE, by the same numbers on Linux, macOS and the BSDs; on Windows
    // ERROR_TOO_MANY_OPEN_FILES.
    let codes: &[i32] = if cfg!(windows) { &[4] } else { &[23, 24] };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// The catalog could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The disk refused; the transaction was not made, in whole or in part.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A record doesn't match its checksum. It is not believed.
    #[error("a record of the catalog's table '{table}' is damaged")]
    Damaged {
        /// The table that holds it.
        table: &'static str,
    },
    /// Pages of the catalog are damaged, so that records may be hidden. Nothing was changed.
    #[error("pages of the catalog are damaged; scrubbing mends it; nothing was changed")]
    Spoilt,
    /// A name or a reason is longer than what the catalog takes.
    #[error("'{0}…' is too long: at most 512 bytes are kept")]
    TooLong(String),
    /// Another change failed, and this one with it. Nothing was changed; it can be tried again.
    #[error("the catalog was closed, since another change to it failed; nothing was changed")]
    Interrupted,
    /// The database underneath refuses.
    #[error("the catalog can't be used: {0}")]
    Broken(String),
}

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store in '{}' is in use by another process", path.display())]
    InUse {
        /// The store's folder.
        path: PathBuf,
    },
    /// A newer release wrote it. Nothing was changed.
    #[error(
        "this store has format {found}; this release knows formats up to {supported}; \
             nothing was changed"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// The newest that this release knows.
        supported: u32,
    },
    /// The file that names its format doesn't. Nothing was changed.
    #[error("'{}' does not say which format this store has; nothing was changed", path.display())]
    NotAStore {
        /// That file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The catalog could not be opened.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Bytes could not be taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The source can't be read.
    #[error("'{}' can't be read: {source}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The source is no regular file.
    #[error("'{}' is not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The source changed while it was read.
    #[error("'{}' changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The source has more chunks than a manifest may list.
    #[error("'{}' is too long for one blob", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The store's disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The catalog could not be read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl IngestError {
    /// Whether it would hinder other files too.
    pub(crate) fn is_the_stores(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Catalog(_))
    }
}

/// A blob or chunk could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store knows no such blob.
    #[error("blob {} is not in this store", blob.short())]
    Unknown {
        /// The blob.
        blob: BlobId,
    },
    /// The blob is not whole yet, and this chunk has not come.
    #[error("chunk {index} of blob {} has not come yet", blob.short())]
    NotHeld {
        /// The blob.
        blob: BlobId,
        /// The chunk.
        index: u32,
    },
    /// The blob has fewer chunks.
    #[error("blob {} has no chunk {index}", blob.short())]
    NoSuchChunk {
        /// The blob.
        blob: BlobId,
        /// The chunk.
        index: u32,
    },
    /// What the disk gave is not what was stored: it is not returned.
    #[error("chunk {index} of blob {} is damaged on this disk", blob.short())]
    Corrupt {
        /// The blob.
        blob: BlobId,
        /// The chunk.
        index: u32,
    },
    /// The blob is longer than the caller takes.
    #[error("blob {} has {size} bytes; at most {cap} are read at once", blob.short())]
    TooLong {
        /// The blob.
        blob: BlobId,
        /// Its size in bytes.
        size: u64,
        /// The most the caller takes.
        cap: u64,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The catalog could not be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// What a peer sent could not be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The manifest is not the one that the blob's id names.
    #[error("this is not the manifest of blob {}", blob.short())]
    WrongManifest {
        /// The blob.
        blob: BlobId,
    },
    /// The manifest has the right hash, and makes no sense all the same.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Nobody began to receive this blob.
    #[error("blob {} is not being received", blob.short())]
    Unknown {
        /// The blob.
        blob: BlobId,
    },
    /// The blob has fewer chunks.
    #[error("blob {} has no chunk {index}", blob.short())]
    NoSuchChunk {
        /// The blob.
        blob: BlobId,
        /// The chunk.
        index: u32,
    },
    /// These are not the chunk's bytes. Nothing was stored.
    #[error("these are not the bytes of chunk {index} of blob {}", blob.short())]
    Mismatch {
        /// The blob.
        blob: BlobId,
        /// The chunk.
        index: u32,
    },
    /// The blob can't be finished yet.
    #[error("{missing} chunks of blob {} are missing", blob.short())]
    Incomplete {
        /// The blob.
        blob: BlobId,
        /// How many chunks have not come.
        missing: u32,
    },
    /// The blob is too long to be handed over at once.
    #[error("blob {} is too long to be stored at once", blob.short())]
    NotSmall {
        /// The blob.
        blob: BlobId,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The catalog could not be read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// A blob could not be written where it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckoutError {
    /// The blob can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The destination can't be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A link, or a file where a folder should be, stands in the way.
    #[error("'{}' is in the way: it is not a folder", path.display())]
    InTheWay {
        /// What stands there.
        path: PathBuf,
    },
    /// The tree and the blob's manifest differ about a file's size.
    #[error("'{path}' doesn't have the size that its tree says")]
    WrongSize {
        /// The file.
        path: TreePath,
    },
}

/// What may be deleted could not be worked out, or not be deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// A pinned tree can't be read, so that nobody knows what it protects: nothing was deleted.
    #[error("pinned tree {} can't be read, so nothing was deleted: {source}", tree.short())]
    Tree {
        /// The tree.
        tree: BlobId,
        /// Why it can't.
        source: Box<ReadError>,
    },
    /// A blob is pinned as a tree and isn't one: nothing was deleted.
    #[error("blob {} is pinned as a tree, so nothing was deleted: {source}", tree.short())]
    NotATree {
        /// The blob.
        tree: BlobId,
        /// What it is.
        source: TreeError,
    },
    /// Trees were pinned each time that it was worked out what may go: nothing was deleted.
    #[error(
        "what is kept changed while it was worked out what may go; nothing was deleted; run it again"
    )]
    Changed,
    /// The disk has spoilt pins, and not all of them are set again: nothing was deleted.
    #[error(
        "the disk has spoilt what says which files are kept; nothing is deleted until that is set again"
    )]
    PinsInDoubt,
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The catalog could not be read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

macro_rules! no_space {
    ($($error:ident),*) => {$(
        impl $error {
            /// Whether the reason is a full disk or quota.
            #[must_use]
            pub fn is_no_space(&self) -> bool {
                match self {
                    Self::Disk(DiskError::NoSpace { .. }) => true,
                    Self::Catalog(error) => error.is_no_space(),
                    _ => false,
                }
            }
        }
    )*};
}
no_space!(OpenError, IngestError, ReadError, WriteError, CollectError);

impl CatalogError {
    /// Whether the reason is a full disk or quota.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Disk(DiskError::NoSpace { .. }))
    }
}

impl CheckoutError {
    /// Whether the reason is a full disk or quota.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Disk(DiskError::NoSpace { .. }) => true,
            Self::Read(error) => error.is_no_space(),
            _ => false,
        }
    }
}
