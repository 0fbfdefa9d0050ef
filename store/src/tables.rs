//! Every table of the catalog: its keys, its records, and the checksum that each record carries.
//!
//! Keys are bytes. A record is its content (postcard, unless said otherwise) and 8 bytes: the
//! beginning of the BLAKE3 hash of the table's name (its length in one byte before it), the key
//! (its length in four bytes, little-endian, before it) and the content. A flipped bit in a page
//! can read as a wrong value, or as the value of another key; such a record is never believed.
//!
//! | table | key | content |
//! |---|---|---|
//! | manifests | blob id (32) | the encoded manifest, as it is |
//! | blobs | blob id (32) | [`BlobRow`]: a whole blob |
//! | inline | blob id (32) | the bytes of a small blob, as they are |
//! | chunks | chunk id (32), blob id (32) | [`ChunkRow`]: where a whole blob's file has it |
//! | md5 | MD5 (16), blob id (32) | nothing |
//! | partial | blob id (32) | [`PartialRow`]: a blob that is not whole |
//! | lost | blob id (32) | [`LostRow`]: a blob that was whole, and of which the disk spoilt something |
//! | pins | blob id (32), reason (UTF-8) | [`PinRow`] |
//! | facts | fact id (32) | the signed bytes, as they are |
//! | meta | name (UTF-8) | the value, as it is |
//! | remembered | absolute path (the system's bytes) | [`RememberedRow`] |

use redb::{ReadableTable, Table, TableDefinition};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use weft_protocol::content::Bitmap;
use weft_protocol::ids::BlobId;

use crate::catalog::refused;
use crate::error::CatalogError;
use crate::pins::pin_in;

/// The format of stores that this release writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;

type Bytes = &'static [u8];

/// A table of the catalog, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub(crate) &'static str);

impl Name {
    /// The name itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether a record's key and content (without its checksum) are what this table holds.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if they aren't.
    pub fn check(self, key: &[u8], content: &[u8]) -> Result<(), CatalogError> {
        let damaged = CatalogError::Damaged { table: self.0 };
        let holds = |good: bool| if good { Ok(()) } else { Err(damaged) };
        match self {
            MANIFESTS => {
                holds(key.len() == 32 && weft_protocol::content::Manifest::decode(content).is_ok())
            }
            BLOBS => decode::<BlobRow>(self.0, content).and(holds(key.len() == 32)),
            CHUNKS => decode::<ChunkRow>(self.0, content).and(holds(key.len() == 64)),
            PARTIAL => decode::<PartialRow>(self.0, content).and(holds(key.len() == 32)),
            LOST => decode::<LostRow>(self.0, content).and(holds(key.len() == 32)),
            PINS => pin_in(key, content).map(|_| ()),
            REMEMBERED => decode::<RememberedRow>(self.0, content).map(|_| ()),
            MD5 => holds(key.len() == 48 && content.is_empty()),
            INLINE | FACTS => holds(key.len() == 32),
            // Values are their writers' own.
            _ => Ok(()),
        }
    }

    pub(crate) const fn definition(self) -> TableDefinition<'static, Bytes, Bytes> {
        TableDefinition::new(self.0)
    }
}

pub(crate) const MANIFESTS: Name = Name("manifests");
pub(crate) const BLOBS: Name = Name("blobs");
pub(crate) const INLINE: Name = Name("inline");
pub(crate) const CHUNKS: Name = Name("chunks");
pub(crate) const MD5: Name = Name("md5");
pub(crate) const PARTIAL: Name = Name("partial");
pub(crate) const LOST: Name = Name("lost");
pub(crate) const PINS: Name = Name("pins");
pub(crate) const FACTS: Name = Name("facts");
pub(crate) const META: Name = Name("meta");
pub(crate) const REMEMBERED: Name = Name("remembered");

/// All of them.
pub const ALL: [Name; 11] =
    [MANIFESTS, BLOBS, INLINE, CHUNKS, MD5, PARTIAL, LOST, PINS, FACTS, META, REMEMBERED];

/// Where a whole blob's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// In a file of its own.
    File,
    /// In the catalog.
    Inline,
}

/// A whole blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobRow {
    pub(crate) place: Place,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) xxh64: u64,
    /// When it was last added or asked to stay, in seconds since 1970.
    pub(crate) touched: u64,
}

/// Where a chunk is in a blob's file; the first place, where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkRow {
    pub(crate) index: u32,
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

/// A blob that is being received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartialRow {
    /// The chunks that are on disk for certain.
    pub(crate) held: Bitmap,
    pub(crate) touched: u64,
}

/// A blob that was whole here and isn't, until it is again or nobody keeps it. It tells one that is missed from one
/// that never came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LostRow {
    /// Since when, in seconds since 1970.
    pub(crate) since: u64,
}

/// A reason for a blob to stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinRow {
    /// Whether it also holds for all that the blob, a tree, names.
    pub(crate) tree: bool,
    /// Since when, in seconds since 1970.
    pub(crate) since: u64,
    /// Until when, in seconds since 1970; without end if `None`.
    pub(crate) until: Option<u64>,
}

/// A file that was taken in, and how it looked then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RememberedRow {
    pub(crate) looks: Looks,
    pub(crate) blob: BlobId,
}

/// What tells, without reading it, that a file is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looks {
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i128,
    /// Where the system has them: when its inode changed, in nanoseconds since 1970, its device,
    /// and its inode number; else 0.
    pub(crate) changed: i128,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

const CHECKSUM: usize = 8;

fn checksum(table: &str, key: &[u8], content: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    // Both lengths are far below their types' limits: names are constants, keys are capped.
    hasher.update(&[table.len() as u8]).update(table.as_bytes());
    hasher.update(&(key.len() as u32).to_le_bytes()).update(key);
    hasher.update(content);
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM]);
    sum
}

fn open<'a>(table: &'static str, key: &[u8], record: &'a [u8]) -> Result<&'a [u8], CatalogError> {
    record
        .split_last_chunk::<CHECKSUM>()
        .filter(|(content, sum)| **sum == checksum(table, key, content))
        .map(|(content, _)| content)
        .ok_or(CatalogError::Damaged { table })
}

/// Whether a record is as it was written.
pub(crate) fn is_good(table: Name, key: &[u8], record: &[u8]) -> bool {
    open(table.0, key, record).is_ok()
}

/// A key with its record's content, or why that isn't believed.
pub(crate) type Entry = (Vec<u8>, Result<Vec<u8>, CatalogError>);

/// A table in a transaction, writable (`T` is redb's `Table`) or not.
pub(crate) struct Sheet<T> {
    pub(crate) name: &'static str,
    pub(crate) table: T,
}

impl<T: ReadableTable<Bytes, Bytes>> Sheet<T> {
    /// The content of a key's record.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, CatalogError> {
        match self.table.get(key).map_err(refused)? {
            Some(record) => Ok(Some(open(self.name, key, record.value())?.to_vec())),
            None => Ok(None),
        }
    }

    /// The content of a key's record, read as `R`.
    pub(crate) fn row<R: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<R>, CatalogError> {
        self.get(key)?.map(|content| decode(self.name, &content)).transpose()
    }

    /// Whether there is a record of that key, good or not.
    pub(crate) fn has(&self, key: &[u8]) -> Result<bool, CatalogError> {
        Ok(self.table.get(key).map_err(refused)?.is_some())
    }

    /// Whether there is a record whose key begins with `prefix`, good or not.
    pub(crate) fn any(&self, prefix: &[u8]) -> Result<bool, CatalogError> {
        match self.table.range(prefix..).map_err(refused)?.next() {
            Some(entry) => Ok(entry.map_err(refused)?.0.value().starts_with(prefix)),
            None => Ok(false),
        }
    }

    /// Up to `limit` entries whose keys begin with `prefix`, ascending, after a key if given.
    pub(crate) fn page(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, CatalogError> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = after.map_or(Included(prefix), Excluded);
        let mut entries = Vec::new();
        let range = self.table.range::<&[u8]>((from, Unbounded)).map_err(refused)?;
        for entry in range.take(limit) {
            let (key, record) = entry.map_err(refused)?;
            let key = key.value();
            if !key.starts_with(prefix) {
                break;
            }
            let content = open(self.name, key, record.value()).map(<[u8]>::to_vec);
            entries.push((key.to_vec(), content));
        }
        Ok(entries)
    }

    /// Calls `each` with every entry whose key begins with `prefix`, ascending.
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        mut each: impl FnMut(&[u8], Result<&[u8], CatalogError>) -> Result<(), CatalogError>,
    ) -> Result<(), CatalogError> {
        for entry in self.table.range(prefix..).map_err(refused)? {
            let (key, record) = entry.map_err(refused)?;
            let key = key.value();
            if !key.starts_with(prefix) {
                break;
            }
            each(key, open(self.name, key, record.value()))?;
        }
        Ok(())
    }
}

impl Sheet<Table<'_, Bytes, Bytes>> {
    /// Sets a key's record.
    pub(crate) fn put(&mut self, key: &[u8], content: &[u8]) -> Result<(), CatalogError> {
        let length = content.len() + CHECKSUM;
        let mut record = self.table.insert_reserve(key, length).map_err(refused)?;
        let (head, tail) = record.as_mut().split_at_mut(content.len());
        head.copy_from_slice(content);
        tail.copy_from_slice(&checksum(self.name, key, content));
        Ok(())
    }

    /// Sets a key's record to what `row` encodes to.
    pub(crate) fn put_row<R: Serialize>(
        &mut self,
        key: &[u8],
        row: &R,
    ) -> Result<(), CatalogError> {
        let content = postcard::to_stdvec(row)
            .map_err(|error| CatalogError::Broken(format!("a record can't be encoded: {error}")))?;
        self.put(key, &content)
    }

    /// Removes a key's record, and says whether there was one.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<bool, CatalogError> {
        Ok(self.table.remove(key).map_err(refused)?.is_some())
    }
}

/// Reads a record's content.
pub(crate) fn decode<R: DeserializeOwned>(
    table: &'static str,
    content: &[u8],
) -> Result<R, CatalogError> {
    postcard::from_bytes(content).map_err(|_| CatalogError::Damaged { table })
}

/// The 32 bytes of an id at the beginning of a key.
pub(crate) fn id_in(table: &'static str, key: &[u8]) -> Result<[u8; 32], CatalogError> {
    key.first_chunk::<32>().copied().ok_or(CatalogError::Damaged { table })
}

/// A key of two parts.
pub(crate) fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, second].concat()
}
