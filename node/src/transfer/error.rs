//! Why a fetch failed.

use weft_protocol::ids::BlobId;
use weft_store::WriteError;

/// A fetch failed. Whatever came is kept, and a further try goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FetchError {
    /// No peer that could be asked has it.
    #[error("no node that can be reached has blob {}", .0.short())]
    Nowhere(BlobId),
    /// The peers that have it fell silent.
    #[error("the nodes that hold blob {} stopped answering", .0.short())]
    Silent(BlobId),
    /// It could not be written here.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It could not be read here.
    #[error(transparent)]
    Read(#[from] weft_store::ReadError),
    /// It is no tree.
    #[error("blob {} is not a tree of files: {reason}", blob.short())]
    NotATree {
        /// The blob.
        blob: BlobId,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon is ending.
    #[error("the daemon is shutting down")]
    ShuttingDown,
}
