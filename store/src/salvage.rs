//! What is left of a catalog whose pages the disk has spoilt: every record that can still be
//! reached and matches its checksum, in a new database.
//!
//! The database that is underneath follows its pages without checking them, so that one flipped
//! bit hides records, and an answer of "no such blob" may be a lie. That is why its pages are
//! checked before a catalog is used, and whenever something depends on it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTableMetadata, StorageBackend};

use crate::catalog::{CACHE, Catalog, refused};
use crate::disk::{Access, Disk, DiskFile};
use crate::error::{CatalogError, DiskError};
use crate::locked;
use crate::pages;
use crate::pins;
use crate::tables::{self, Name, PinRow};
use crate::verify::CatalogDamage;

/// How many bytes of records are copied with one commit, give or take one.
const BATCH: usize = 8 << 20;

/// How much of the file is kept in memory together where it is written to, in bytes.
const BLOCK: u64 = 4096;

/// Whether all pages of a database are as they were written. Nobody may write to it meanwhile.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn is_intact(disk: &dyn Disk, name: &str) -> Result<bool, CatalogError> {
    let failed = |error| CatalogError::from(DiskError::new(disk.path(name), error));
    let view = View::open(disk, name).map_err(failed)?;
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let mut database = Database::builder().set_cache_size(CACHE).create_with_backend(view)?;
        let intact = database.check_integrity();
        abandon(database);
        intact
    }));
    match checked {
        Ok(Ok(intact)) => Ok(intact),
        Err(_) => Ok(false),
        Ok(Err(DatabaseError::Storage(error))) => match error {
            // That it is no database at all is told like this, and that a spoilt length leads past its end.
            redb::StorageError::Io(error)
                if [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof]
                    .contains(&error.kind()) =>
            {
                Ok(false)
            }
            redb::StorageError::Io(error) => Err(failed(error)),
            redb::StorageError::Corrupted(_) => Ok(false),
            other => Err(refused(other)),
        },
        // Every catalog was made with the version that there is.
        Ok(Err(DatabaseError::UpgradeRequired(_))) => Ok(false),
        Ok(Err(other)) => Err(refused(other)),
    }
}

/// Copies the good records of a database, as far as they are found, into a new one, and says what
/// was left out, or may have been. The old one is not changed.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn copy_good(
    disk: &dyn Disk,
    from: &str,
    to: &Catalog,
) -> Result<Vec<CatalogDamage>, CatalogError> {
    let failed = |error| CatalogError::from(DiskError::new(disk.path(from), error));
    let mut damage = Vec::new();
    let mut gaps = Vec::new();
    for name in tables::ALL {
        let mut copy = Copy::new(name, to);
        let mut complete = false;
        let view = View::open(disk, from).map_err(failed)?;
        let opened = quietly(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE);
            builder.create_with_backend(view).map_err(refused)
        });
        if let Some(database) = opened {
            complete = copy.both_ways(&database)?;
            abandon(database);
        }
        if !complete && copy.damage.is_empty() {
            copy.damage.push(CatalogDamage { table: name.0, key: Vec::new() });
        }
        if !copy.damage.is_empty() {
            gaps.push(copy.gap(complete));
        }
        damage.append(&mut copy.damage);
    }
    gaps.retain(|gap| RESCUED.contains(&gap.name));
    if !gaps.is_empty() {
        rescue(&*disk.open(from, Access::Read).map_err(failed)?, &gaps, to, &failed)?;
    }
    if damage.iter().any(CatalogDamage::hides_pins) {
        to.write(pins::doubt)?;
    }
    Ok(damage)
}

/// The tables whose records are looked for on pages that can't be reached, or are in use no more:
/// those whose records stay true, and pins, of which one too many does less harm than one too few.
const RESCUED: [Name; 4] = [tables::MANIFESTS, tables::INLINE, tables::PINS, tables::FACTS];

/// Between which keys records of a table were not found.
struct Gap {
    name: Name,
    after: Option<Vec<u8>>,
    before: Option<Vec<u8>>,
}

impl Gap {
    fn has(&self, key: &[u8]) -> bool {
        self.after.as_deref().is_none_or(|after| key > after)
            && self.before.as_deref().is_none_or(|before| key < before)
    }
}

/// Copies good records that are in gaps from wherever in the file they are.
fn rescue(
    file: &dyn DiskFile,
    gaps: &[Gap],
    to: &Catalog,
    failed: &dyn Fn(io::Error) -> CatalogError,
) -> Result<(), CatalogError> {
    let mut found: BTreeMap<(usize, Vec<u8>), Vec<u8>> = BTreeMap::new();
    let read = pages::each_record(file, |key, record| {
        for (number, gap) in gaps.iter().enumerate() {
            if gap.has(key) && tables::is_good(gap.name, key, record) {
                let known = found.entry((number, key.to_vec())).or_insert_with(|| record.to_vec());
                // Of several the newest; only pins ever change.
                if gap.name == tables::PINS && pinned_since(record) > pinned_since(known) {
                    *known = record.to_vec();
                }
            }
        }
        Ok::<_, io::Error>(())
    });
    read.map_err(failed)?;
    to.write(|tables| {
        for ((number, key), record) in &found {
            let sheet = tables.sheet(gaps[*number].name);
            if !sheet.has(key)? {
                sheet.table.insert(&key[..], &record[..]).map_err(refused)?;
            }
        }
        Ok(())
    })
}

fn pinned_since(record: &[u8]) -> u64 {
    tables::decode::<PinRow>(tables::PINS.0, record).map_or(0, |pin| pin.since)
}

/// What comes of something that may fail or panic, since it reads spoilt pages.
fn quietly<T>(act: impl FnOnce() -> Result<T, CatalogError>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok().and_then(Result::ok)
}

/// Closes a database without writing to it. A last commit of spoilt pages may panic, and again in a destructor as
/// that unwinds, which ends the process; where a panic unwinds already redb makes none.
pub(crate) fn abandon(database: Database) {
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _closed = database;
        resume_unwind(Box::new(()))
    }));
    drop::<Result<(), _>>(unwound);
}

/// Whether a table isn't there, as in a catalog of a release that didn't have it.
fn is_absent(database: &Database, name: Name) -> bool {
    let looked = quietly(|| {
        let transaction = database.begin_read().map_err(refused)?;
        let opened = transaction.open_table(name.definition());
        Ok(matches!(opened, Err(redb::TableError::TableDoesNotExist(_))))
    });
    looked == Some(true)
}

/// One table on its way into a new database.
struct Copy<'c> {
    name: Name,
    to: &'c Catalog,
    records: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
    /// How many records were met, good or not.
    met: u64,
    /// The last key in ascending order, and in descending order, if something was in the way.
    reached: [Option<Vec<u8>>; 2],
    damage: Vec<CatalogDamage>,
}

impl<'c> Copy<'c> {
    fn new(name: Name, to: &'c Catalog) -> Self {
        let (records, reached, damage) = (Vec::new(), [None, None], Vec::new());
        Self { name, to, records, bytes: 0, met: 0, reached, damage }
    }

    /// Copies what is before a spoilt page, and what is after it. Says whether that was all.
    fn both_ways(&mut self, from: &Database) -> Result<bool, CatalogError> {
        if self.name == tables::LOST && is_absent(from, self.name) {
            return Ok(true);
        }
        if !self.one_way(from, true)? {
            self.one_way(from, false)?;
        }
        let said = quietly(|| {
            let transaction = from.begin_read().map_err(refused)?;
            let table = transaction.open_table(self.name.definition()).map_err(refused)?;
            table.len().map_err(refused)
        });
        Ok(said == Some(self.met))
    }

    /// Between which keys records were not found: those that are damaged, or anywhere where both
    /// ways met and it was not all.
    fn gap(&self, complete: bool) -> Gap {
        let [after, before] = self.reached.clone();
        let all = complete || before.is_none();
        let (after, before) = if all { (None, None) } else { (after, before) };
        Gap { name: self.name, after, before }
    }

    /// Copies in ascending order; or in descending order, down to where that ended. Says whether
    /// nothing was in the way.
    fn one_way(&mut self, from: &Database, up: bool) -> Result<bool, CatalogError> {
        loop {
            let mut more = false;
            let read = quietly(|| {
                let transaction = from.begin_read().map_err(refused)?;
                let table = transaction.open_table(self.name.definition()).map_err(refused)?;
                let [low, high] = self.reached.clone();
                let bound = |key| Option::as_deref(key).map_or(Unbounded, Excluded);
                let range = table.range::<&[u8]>((bound(&low), bound(&high)));
                let mut range = range.map_err(refused)?;
                while let Some(entry) = if up { range.next() } else { range.next_back() } {
                    let (key, record) = entry.map_err(refused)?;
                    let key = key.value();
                    let [low, high] = &mut self.reached;
                    let goes_on = low.as_deref().is_none_or(|low| key > low)
                        && high.as_deref().is_none_or(|high| key < high);
                    if !goes_on {
                        return Err(CatalogError::Damaged { table: self.name.0 });
                    }
                    *(if up { low } else { high }) = Some(key.to_vec());
                    self.take(key, record.value());
                    if self.bytes >= BATCH {
                        more = true;
                        break;
                    }
                }
                Ok(())
            });
            self.put()?;
            if !more {
                return Ok(read.is_some());
            }
        }
    }

    fn take(&mut self, key: &[u8], record: &[u8]) {
        self.met += 1;
        if tables::is_good(self.name, key, record) {
            self.bytes += key.len() + record.len();
            self.records.push((key.to_vec(), record.to_vec()));
        } else {
            self.damage.push(CatalogDamage { table: self.name.0, key: key.to_vec() });
        }
    }

    fn put(&mut self) -> Result<(), CatalogError> {
        self.bytes = 0;
        let records = std::mem::take(&mut self.records);
        self.to.write(|tables| {
            let sheet = tables.sheet(self.name);
            for (key, record) in &records {
                sheet.table.insert(&key[..], &record[..]).map_err(refused)?;
            }
            Ok(())
        })
    }
}

/// A file that is read, and not written: what is written stays in memory.
#[derive(Debug)]
struct View {
    file: Box<dyn DiskFile>,
    changed: Mutex<Changed>,
}

#[derive(Debug)]
struct Changed {
    length: u64,
    /// Blocks that were written, by their numbers.
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl View {
    fn open(disk: &dyn Disk, name: &str) -> io::Result<Self> {
        let file = disk.open(name, Access::Read)?;
        let length = file.len()?;
        Ok(Self { file, changed: Mutex::new(Changed { length, blocks: BTreeMap::new() }) })
    }

    /// Bytes as the file has them; zeros after its end.
    fn read_file(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.file.len()?.saturating_sub(offset).min(out.len() as u64) as usize;
        out[there..].fill(0);
        match there {
            0 => Ok(()),
            _ => self.file.read_at(offset, &mut out[..there]),
        }
    }

    /// A block as the file has it; zeros after its end.
    fn original(&self, number: u64) -> io::Result<Vec<u8>> {
        let mut block = vec![0; BLOCK as usize];
        self.read_file(number * BLOCK, &mut block)?;
        Ok(block)
    }
}

impl StorageBackend for View {
    fn len(&self) -> io::Result<u64> {
        Ok(locked(&self.changed).length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changed = locked(&self.changed);
        let end = offset + out.len() as u64;
        if end > changed.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What was written is not read from the file.
        let mut at = offset;
        for (number, block) in changed.blocks.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let start = number * BLOCK;
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            self.read_file(at, &mut out[(at - offset) as usize..(from - offset) as usize])?;
            out[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&block[(from - start) as usize..(to - start) as usize]);
            at = to;
        }
        self.read_file(at, &mut out[(at - offset) as usize..])
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut changed = locked(&self.changed);
        if len < changed.length {
            // What is cut off reads as zeros if the file grows again.
            for number in len / BLOCK..changed.length.div_ceil(BLOCK) {
                let mut block = match changed.blocks.remove(&number) {
                    Some(block) => block,
                    None => self.original(number)?,
                };
                block[(len.saturating_sub(number * BLOCK).min(BLOCK)) as usize..].fill(0);
                changed.blocks.insert(number, block);
            }
        }
        changed.length = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changed = locked(&self.changed);
        let end = offset + data.len() as u64;
        for number in offset / BLOCK..end.div_ceil(BLOCK) {
            let start = number * BLOCK;
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            let mut block = match changed.blocks.remove(&number) {
                Some(block) => block,
                None if to - from == BLOCK => vec![0; BLOCK as usize],
                None => self.original(number)?,
            };
            block[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
            changed.blocks.insert(number, block);
        }
        changed.length = changed.length.max(end);
        Ok(())
    }
}
