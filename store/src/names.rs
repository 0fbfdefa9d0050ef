//! The names of the store's files, relative to its folder.

use weft_protocol::ids::BlobId;

/// Says which format the store has; written last when one is made, read first when it's opened.
pub(crate) const FORMAT: &str = "FORMAT";
/// Locked by the process that has the store open.
pub(crate) const LOCK: &str = "lock";
/// Keeps room for deleting.
pub(crate) const RESERVE: &str = "reserve";
/// Whole blobs, in 256 folders by the first byte of their ids.
pub(crate) const BLOBS: &str = "blobs";
/// Blobs that are being received.
pub(crate) const PARTIAL: &str = "partial";
/// Copies that are being made; emptied when the store is opened.
pub(crate) const TEMPORARY: &str = "tmp";

/// The folder of a whole blob.
pub(crate) fn blob_dir(id: &BlobId) -> String {
    fan(id.0[0])
}

/// One of the 256 folders.
pub(crate) fn fan(byte: u8) -> String {
    format!("{BLOBS}/{byte:02x}")
}

/// The file of a whole blob.
pub(crate) fn blob(id: &BlobId) -> String {
    format!("{}/{id}", blob_dir(id))
}

/// The file of a blob that is being received.
pub(crate) fn partial(id: &BlobId) -> String {
    format!("{PARTIAL}/{id}")
}
