//! Mending a catalog: what it has lost is made anew from the bytes that are here, and the rest is
//! named with what needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;

use weft_protocol::content::ChunkRef;
use weft_protocol::ids::BlobId;

use crate::collect::forget_whole;
use crate::disk::{Access, DiskFile};
use crate::error::{CatalogError, DiskError, IngestError};
use crate::pass::{Keep, Pass};
use crate::publish::{Body, Prepared, record_new};
use crate::source::decode_manifest;
use crate::tables::{self, BlobRow, LostRow, Place};
use crate::verify::CatalogDamage;
use crate::{Store, locked, names, now};

/// How many blobs are mended with one commit.
const BATCH: usize = 256;

/// What became of a catalog that the disk had spoilt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// Which records were damaged, and the tables of which pages were.
    pub damage: Vec<CatalogDamage>,
    /// Blobs whose records were made anew from the bytes that are here.
    pub rebuilt: Vec<BlobId>,
    /// Blobs that were here and have to be fetched again, or added.
    pub lost: Vec<Lost>,
}

/// A blob of which too little is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The blob.
    pub blob: BlobId,
    /// The reasons of its pins: what needs it.
    pub needed_by: Vec<String>,
}

/// What a catalog still says of its blobs.
#[derive(Default)]
struct Left {
    rows: BTreeMap<BlobId, Place>,
    manifests: BTreeSet<BlobId>,
    inline: BTreeSet<BlobId>,
    partial: BTreeSet<BlobId>,
    pins: BTreeMap<BlobId, Vec<String>>,
}

impl Store {
    /// What was mended when the store was opened; `None` if its catalog was as it was left.
    #[must_use]
    pub fn mended(&self) -> Option<&Mended> {
        self.mended.as_ref()
    }

    /// Makes the catalog anew from all of it that is good, and what it has lost from the blobs'
    /// bytes, which are read again where nothing else tells what they are. All else waits
    /// meanwhile.
    ///
    /// What peers have can be fetched again then. Facts, values and pins that are lost are only
    /// known by their table; where pins may be, [nothing is collected](Self::pins_are_in_doubt) until
    /// they are set again.
    ///
    /// # Errors
    /// When the disk refuses; the catalog is as it was then, or mended in part.
    pub fn mend_catalog(&self) -> Result<Mended, CatalogError> {
        let publishing = locked(&self.publishing);
        let damage = self.catalog.rebuild()?;
        let mended = self.mend(damage)?;
        drop(publishing);
        Ok(mended)
    }

    /// Makes anew what a catalog lacks that was made of what was good of another.
    pub(crate) fn mend(&self, damage: Vec<CatalogDamage>) -> Result<Mended, CatalogError> {
        let left = self.left()?;
        let files = self.files()?;
        let mut mended = Mended::default();
        let unsure = |damage: &CatalogDamage| {
            [tables::CHUNKS.0, tables::MD5.0, tables::PINS.0].contains(&damage.table)
        };
        let all = damage.iter().any(unsure);
        // What is pinned may have been here where nothing else tells of it any more.
        let pinned = damage.iter().any(hides_blobs).then(|| left.pins.keys());
        let mut prepared = Vec::new();
        let known = left.rows.keys().chain(&left.manifests).chain(&left.inline);
        let known = known.chain(pinned.into_iter().flatten());
        let ids: BTreeSet<BlobId> = known.chain(&files).copied().collect();
        for id in ids {
            let is_file = files.contains(&id);
            let row = left.rows.get(&id);
            let good = left.manifests.contains(&id)
                && match row {
                    Some(Place::File) => true,
                    Some(Place::Inline) => left.inline.contains(&id),
                    None => left.partial.contains(&id),
                };
            // Where a whole blob's file is gone all its chunks are: verification finds that.
            let is_lost = row == Some(&Place::File) && !is_file;
            if good && (!all || is_lost || row.is_none()) {
                continue;
            }
            match self.found(id, &left, is_file)? {
                Some(blob) => {
                    if !good {
                        mended.rebuilt.push(id);
                    }
                    prepared.push(blob);
                }
                None if left.partial.contains(&id) => {}
                None => {
                    self.give_up(id)?;
                    let needed_by = left.pins.get(&id).cloned().unwrap_or_default();
                    // Of a file that nobody has heard of nothing is lost.
                    if !is_file || row.is_some() || !needed_by.is_empty() {
                        mended.lost.push(Lost { blob: id, needed_by });
                    }
                }
            }
            if prepared.len() >= BATCH {
                self.record(std::mem::take(&mut prepared))?;
            }
        }
        self.record(prepared)?;
        mended.damage = damage;
        let Mended { damage, rebuilt, lost } = &mended;
        let (damage, rebuilt) = (damage.len(), rebuilt.len());
        tracing::warn!(damage, rebuilt, ?lost, "the catalog was damaged, and has been mended");
        Ok(mended)
    }

    fn left(&self) -> Result<Left, CatalogError> {
        let mut left = Left::default();
        let id = |key: &[u8]| tables::id_in(tables::BLOBS.0, key).map(BlobId);
        self.catalog.read(|snapshot| {
            snapshot.sheet(tables::BLOBS)?.scan(&[], |key, content| {
                let row: BlobRow = tables::decode(tables::BLOBS.0, content?)?;
                left.rows.insert(id(key)?, row.place);
                Ok(())
            })?;
            snapshot.sheet(tables::MANIFESTS)?.scan(&[], |key, content| {
                if decode_manifest(&id(key)?, content?).is_ok() {
                    left.manifests.insert(id(key)?);
                }
                Ok(())
            })?;
            snapshot.sheet(tables::INLINE)?.scan(&[], |key, _| {
                left.inline.insert(id(key)?);
                Ok(())
            })?;
            snapshot.sheet(tables::PARTIAL)?.scan(&[], |key, _| {
                left.partial.insert(id(key)?);
                Ok(())
            })?;
            snapshot.sheet(tables::PINS)?.scan(&[], |key, _| {
                let reason = String::from_utf8_lossy(&key[id(key)?.0.len()..]).into_owned();
                left.pins.entry(id(key)?).or_default().push(reason);
                Ok(())
            })
        })?;
        Ok(left)
    }

    /// The blobs that have a file.
    fn files(&self) -> Result<BTreeSet<BlobId>, CatalogError> {
        let mut files = BTreeSet::new();
        for byte in 0..=u8::MAX {
            let dir = names::fan(byte);
            let listed = self.disk.list(&dir);
            let listed = listed.map_err(|error| DiskError::new(self.disk.path(&dir), error))?;
            files.extend(listed.iter().filter_map(|name| name.parse::<BlobId>().ok()));
        }
        Ok(files)
    }

    /// A blob as it is here, with its manifest; `None` if its bytes aren't, or are others.
    fn found(
        &self,
        blob: BlobId,
        left: &Left,
        is_file: bool,
    ) -> Result<Option<Prepared<'_>>, CatalogError> {
        let read =
            |name: tables::Name| self.catalog.read(|snapshot| snapshot.sheet(name)?.get(&blob.0));
        let inline = if is_file { None } else { read(tables::INLINE)? };
        if !is_file && inline.is_none() {
            return Ok(None);
        }
        let body = |inline: Option<Vec<u8>>| inline.map_or(Body::Elsewhere, Body::Inline);
        if left.manifests.contains(&blob)
            && let Some(encoded) = read(tables::MANIFESTS)?
        {
            let manifest = decode_manifest(&blob, &encoded)?;
            let (body, _hold) = (body(inline), self.hold(blob));
            return Ok(Some(Prepared { id: blob, manifest, encoded, body, remember: None, _hold }));
        }
        let (path, nothing) = (Path::new("(store)"), &mut |_: &ChunkRef| Keep::Nothing);
        let mut pass = Pass::new(self);
        let taken = match &inline {
            Some(bytes) => pass.take(&mut &bytes[..], path, nothing, &mut |_| {}),
            None => {
                let name = names::blob(&blob);
                let file = self.disk.open(&name, Access::Read);
                let file = file.map_err(|error| DiskError::new(self.disk.path(&name), error))?;
                pass.take(&mut Bytes { file, place: 0 }, path, nothing, &mut |_| {})
            }
        };
        match taken {
            Ok(taken) if taken.id == blob => Ok(Some(Prepared { body: body(inline), ..taken })),
            // It can't be read, or it is something else: nobody knows what of it is right.
            Ok(_) | Err(IngestError::Source { .. } | IngestError::TooLong { .. }) => Ok(None),
            Err(IngestError::Disk(error)) => Err(error.into()),
            Err(IngestError::Catalog(error)) => Err(error),
            Err(other) => Err(CatalogError::Broken(other.to_string())),
        }
    }

    fn record(&self, prepared: Vec<Prepared<'_>>) -> Result<(), CatalogError> {
        if prepared.is_empty() {
            return Ok(());
        }
        self.catalog.write(|tables| {
            for blob in &prepared {
                let inline = match &blob.body {
                    Body::Inline(bytes) => Some(bytes),
                    _ => None,
                };
                record_new(tables, blob, inline, true)?;
            }
            Ok(())
        })?;
        prepared.iter().for_each(|blob| self.opened.forget(&blob.id));
        Ok(())
    }

    /// Forgets a blob of which too little is left; its pins stay.
    fn give_up(&self, blob: BlobId) -> Result<(), CatalogError> {
        self.opened.forget(&blob);
        self.catalog.write(|tables| {
            forget_whole(tables, &blob)?;
            tables.manifests.remove(&blob.0)?;
            tables.lost.put_row(&blob.0, &LostRow { since: now() })
        })
    }

    /// The blobs that were whole here and aren't, for as long as somebody may need them: they have to be fetched
    /// again, or added.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn lost(&self) -> Result<Vec<Lost>, CatalogError> {
        let mut lost = Vec::new();
        self.catalog.read(|snapshot| {
            let pins = snapshot.sheet(tables::PINS)?;
            snapshot.sheet(tables::LOST)?.scan(&[], |key, _| {
                let blob = BlobId(tables::id_in(tables::LOST.0, key)?);
                let mut needed_by = Vec::new();
                pins.scan(key, |key, _| {
                    needed_by.push(String::from_utf8_lossy(&key[blob.0.len()..]).into_owned());
                    Ok(())
                })?;
                lost.push(Lost { blob, needed_by });
                Ok(())
            })
        })?;
        Ok(lost)
    }
}

/// Whether blobs may have been here of which a catalog with such damage tells nothing.
fn hides_blobs(damage: &CatalogDamage) -> bool {
    let tables = [tables::BLOBS.0, tables::MANIFESTS.0, tables::INLINE.0];
    tables.contains(&damage.table) || damage.table == CatalogDamage::ANY_TABLE
}

/// A file of the store, from its beginning to its end.
struct Bytes {
    file: Box<dyn DiskFile>,
    place: u64,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len()?.saturating_sub(self.place);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.file.read_at(self.place, &mut buffer[..count])?;
        self.place += count as u64;
        Ok(count)
    }
}
