//! Content: how bytes are cut, named and listed.
//!
//! A file is cut into chunks where its own bytes say so ([`chunker`]); a [`manifest`] lists the
//! chunks of one file, and its hash names that file; a [`tree`] names the files of a folder; a
//! [`bitmap`] says which chunks of a file somebody holds.

pub mod bitmap;
pub mod chunker;
mod layout;
pub mod manifest;
pub mod path;
pub mod tree;

pub use bitmap::{Bitmap, BitmapError};
pub use chunker::{MAX_CHUNK, first_chunk};
pub use manifest::{ChunkRef, MAX_CHUNKS, Manifest, ManifestError};
pub use path::{TreePath, TreePathError};
pub use tree::{Tree, TreeEntry, TreeError};
