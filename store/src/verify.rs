//! Verification: what the disk has spoilt is found, and made missing, so that it can be fetched.

use std::time::Instant;

use weft_protocol::content::Bitmap;
use weft_protocol::ids::BlobId;

use crate::collect::forget_whole;
use crate::error::{CatalogError, DiskError, ReadError, WriteError};
use crate::tables::{self, BlobRow, LostRow, PartialRow, Place};
use crate::{Store, locked, names, now};

/// A record of the catalog that doesn't match its checksum or is not what its table holds, or pages that don't match theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogDamage {
    /// The table that holds it; [`ANY_TABLE`](Self::ANY_TABLE) if it is not known which does.
    pub table: &'static str,
    /// Its key; empty for pages: which records they held is not known.
    pub key: Vec<u8>,
}

impl CatalogDamage {
    /// Stands for a table's name where nobody knows to which a page belongs.
    pub const ANY_TABLE: &'static str = "(any)";

    /// Whether pins may be lost with it, or facts, of which those that set pins learn which they were.
    pub(crate) fn hides_pins(&self) -> bool {
        self.table == tables::PINS.0 || self.hides_facts()
    }

    /// Whether facts may be lost with it. Who still holds their ids in memory can tell which; else only a peer can.
    #[must_use]
    pub fn hides_facts(&self) -> bool {
        [tables::FACTS.0, Self::ANY_TABLE].contains(&self.table)
    }

    /// Whether what such a table has lost is made anew: here, with what peers have, or by who set it. Nobody else
    /// knows what this node misses, and its own values.
    #[must_use]
    pub fn is_made_anew(&self) -> bool {
        ![tables::LOST.0, tables::META.0, Self::ANY_TABLE].contains(&self.table)
    }
}

impl Store {
    /// Reads a whole blob again, and says which of its chunks are damaged, ascending.
    ///
    /// # Errors
    /// [`ReadError::Unknown`] if it isn't here as a whole.
    pub fn verify_blob(&self, blob: BlobId) -> Result<Vec<u32>, ReadError> {
        let _hold = self.hold(blob);
        // What was opened before may no longer be what lies on the disk.
        self.opened.forget(&blob);
        let (looks, begun) = (self.file_looks(&blob), Instant::now());
        let source = self.source(&blob)?.ok_or(ReadError::Unknown { blob })?;
        let mut damaged = Vec::new();
        for index in 0..source.manifest.chunk_count() {
            match source.check(index) {
                Ok(_) => {}
                // A sector that can't be read is as bad as one that lies.
                Err(ReadError::Corrupt { .. } | ReadError::Disk(DiskError::Io { .. })) => {
                    damaged.push(index);
                }
                Err(error) => return Err(error),
            }
        }
        if let (Some(looks), true) = (looks, damaged.is_empty()) {
            self.checked.note(blob, looks, begun);
        }
        Ok(damaged)
    }

    /// Makes a whole blob one that is being received, without the chunks named: from then on they
    /// are fetched, written and finished as for any other. The blob isn't whole meanwhile.
    ///
    /// # Errors
    /// [`WriteError::Unknown`] if it isn't here as a whole.
    pub fn mark_damaged(&self, blob: BlobId, chunks: &[u32]) -> Result<(), WriteError> {
        let key = &blob.0;
        let publishing = locked(&self.publishing);
        // One of that name that was removed must not come back with a crash: it is told below
        // which chunks the one that takes its place has.
        let dir = names::PARTIAL;
        let synced = self.disk.sync_dir(dir);
        synced.map_err(|error| DiskError::new(self.disk.path(dir), error))?;
        let (from, to) = (names::blob(&blob), names::partial(&blob));
        let failed = |error| DiskError::new(self.disk.path(&from), error);
        let is_there = self.disk.exists(&from).map_err(failed)?;
        let count = self.manifest(blob)?.map(|manifest| manifest.chunk_count());
        let place = self.catalog.write(|tables| {
            let (Some(row), Some(count)) = (tables.blobs.row::<BlobRow>(key)?, count) else {
                return Ok(None);
            };
            let mut held = Bitmap::full(count);
            for &chunk in chunks {
                held.unset(chunk);
            }
            forget_whole(tables, &blob)?;
            tables.lost.put_row(key, &LostRow { since: now() })?;
            match row.place {
                // It is one chunk: nothing of it is left.
                Place::Inline => {
                    tables.manifests.remove(key)?;
                }
                Place::File => {
                    // Of a file that is lost nothing is here, whoever counted.
                    let held = if is_there { held } else { Bitmap::new(count) };
                    tables.partial.put_row(key, &PartialRow { held, touched: now() })?;
                }
            }
            Ok(Some(row.place))
        });
        // Also where the disk refused: the catalog may have been told all the same. And one that was made whole by
        // a commit that was thought to have failed is on the list still, with chunks that are damaged now.
        self.opened.forget(&blob);
        locked(&self.partials).remove(&blob);
        let moved = match place? {
            None => return Err(WriteError::Unknown { blob }),
            Some(Place::Inline) => Ok(()),
            // Where this fails, whoever wants it next moves it.
            Some(Place::File) if is_there => self.disk.rename(&from, &to),
            // An empty one takes its place.
            Some(Place::File) => self.disk.create(&to).map(|_| ()),
        };
        drop(publishing);
        Ok(moved.map_err(failed)?)
    }

    /// Reads every page and every record of the catalog, and names those that are damaged. Nothing
    /// is written to the catalog while its pages are read.
    ///
    /// # Errors
    /// When the catalog can't be read at all.
    pub fn verify_catalog(&self) -> Result<Vec<CatalogDamage>, CatalogError> {
        let mut damage = Vec::new();
        if !self.catalog.is_intact()? {
            damage.push(CatalogDamage { table: CatalogDamage::ANY_TABLE, key: Vec::new() });
        }
        for name in tables::ALL {
            self.catalog.read(|snapshot| {
                snapshot.sheet(name)?.scan(&[], |key, content| {
                    // A sum that fits says what was written, not that it is of use.
                    if content.and_then(|content| name.check(key, content)).is_err() {
                        damage.push(CatalogDamage { table: name.0, key: key.to_vec() });
                    }
                    Ok(())
                })
            })?;
        }
        Ok(damage)
    }
}
