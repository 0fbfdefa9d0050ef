//! The catalog: one redb database, read and written in short transactions that no caller holds.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, StorageBackend, Table,
    WriteTransaction,
};

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{CatalogError, DiskError};
use crate::reserve::Reserve;
use crate::salvage;
use crate::tables::{self, Name, Sheet};
use crate::verify::CatalogDamage;

/// The database's file, in the store's folder.
const FILE: &str = "catalog.redb";

/// Its name while it is made. What is in `tmp/` goes when the store is opened.
const UNFINISHED: &str = "tmp/catalog";

/// How much memory the database may use for pages, in bytes. Its own default is 1 GiB.
pub(crate) const CACHE: usize = 32 << 20;

/// How often a change that makes room is tried again because another one failed.
const INTERRUPTIONS: usize = 8;

type Bytes = &'static [u8];

/// The catalog. Writes wait for each other; reads don't.
pub(crate) struct Catalog {
    disk: Arc<dyn Disk>,
    /// `None` only when it could not be opened again after a failure.
    database: RwLock<Option<Database>>,
    /// Set when the database saw the disk fail: it takes nothing any more until it's opened anew.
    failed: Arc<AtomicBool>,
    /// Room for changes that make room.
    reserve: Arc<Reserve>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the catalog, or makes an empty one with all its tables. Where its pages were damaged
    /// it is a new one, of what was good; then what was left out is told.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Option<Vec<CatalogDamage>>), CatalogError> {
        let sort = |error| CatalogError::from(DiskError::new(disk.path(FILE), error));
        let reserve = Arc::new(Reserve::of(Arc::clone(&disk)));
        let mut damage = None;
        if !disk.exists(FILE).map_err(sort)? {
            replace(&disk, &reserve, |_| Ok(()))?;
        } else if !salvage::is_intact(&*disk, FILE)? {
            damage = Some(replace(&disk, &reserve, |new| salvage::copy_good(&*disk, FILE, new))?);
        }
        let catalog = Self::open_file(disk, FILE, Arc::clone(&reserve))?;
        reserve.check();
        Ok((catalog, damage))
    }

    /// Whether all its pages are as they were written. Nothing is written meanwhile.
    pub(crate) fn is_intact(&self) -> Result<bool, CatalogError> {
        let _nobody = self.database.write().unwrap_or_else(PoisonError::into_inner);
        salvage::is_intact(&*self.disk, FILE)
    }

    /// Makes it anew from what is good of it, and says what was left out.
    pub(crate) fn rebuild(&self) -> Result<Vec<CatalogDamage>, CatalogError> {
        let mut guard = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let damage = replace(&self.disk, &self.reserve, |new| {
            let damage = salvage::copy_good(&*self.disk, FILE, new)?;
            // What is in memory of the old one is not to be written any more.
            guard.take().into_iter().for_each(salvage::abandon);
            Ok(damage)
        });
        // The next to use it opens whichever there is now.
        self.failed.store(true, Ordering::Release);
        damage
    }

    fn open_file(
        disk: Arc<dyn Disk>,
        name: &'static str,
        reserve: Arc<Reserve>,
    ) -> Result<Self, CatalogError> {
        let failed = Arc::new(AtomicBool::new(false));
        let database = open_with(&reserve, &*disk, name, &failed)?;
        let catalog = Self { disk, database: RwLock::new(Some(database)), failed, reserve };
        // Who can't open it can't delete anything.
        catalog.free(|_| Ok(()))?;
        Ok(catalog)
    }

    /// Reads; what is read is of one moment. Not to be called inside another read or write.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        self.with_database(|database| {
            let transaction = database.begin_read().map_err(refused)?;
            read(&Snapshot { transaction })
        })
    }

    /// Changes all or nothing; what was changed is on disk when this returns. Not to be called
    /// inside a read or another write.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        self.with_database(|database| {
            let mut transaction = database.begin_write().map_err(refused)?;
            // Two-phase commits too: what strangers send decides the pages' content.
            transaction.set_quick_repair(true);
            let value = change(&mut Tables::open(&transaction)?)?;
            transaction.commit().map_err(refused)?;
            Ok(value)
        })
    }

    /// Changes all or nothing, as [`write`](Self::write) does, for the sake of making room: on a full
    /// disk it uses what is kept for that, and takes again what is left of it. It may be tried
    /// several times.
    pub(crate) fn free<T>(
        &self,
        mut change: impl FnMut(&mut Tables<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut interrupted = 0;
        let done = loop {
            match self.write(&mut change) {
                // On a full disk others fail all the time.
                Err(CatalogError::Interrupted) if interrupted < INTERRUPTIONS => interrupted += 1,
                Err(error) if error.is_no_space() && self.reserve.give() => {}
                done => break done,
            }
        };
        self.reserve.fill();
        done
    }

    /// Keeps room for deleting again, if it was used, as far as there is some.
    pub(crate) fn fill_reserve(&self) {
        self.reserve.fill();
    }

    /// The size of the catalog's file in bytes.
    pub(crate) fn size(&self) -> Result<u64, CatalogError> {
        let file = self.disk.open(FILE, Access::Read).map_err(|error| self.disk_error(error))?;
        file.len().map_err(|error| self.disk_error(error))
    }

    fn with_database<T>(
        &self,
        act: impl FnOnce(&Database) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        if self.failed.load(Ordering::Acquire) {
            self.reopen()?;
        }
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = guard.as_ref() else {
            return Err(CatalogError::Broken("it could not be opened again".into()));
        };
        guarded(&self.failed, || act(database))
    }

    /// Opens the database anew: what was committed is there, as after a crash.
    fn reopen(&self) -> Result<(), CatalogError> {
        let mut guard = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if !self.failed.load(Ordering::Acquire) && guard.is_some() {
            return Ok(());
        }
        guard.take().into_iter().for_each(salvage::abandon);
        self.failed.store(false, Ordering::Release);
        match open_with(&self.reserve, &*self.disk, FILE, &self.failed) {
            Ok(database) => *guard = Some(database),
            Err(error) => {
                self.failed.store(true, Ordering::Release);
                return Err(error);
            }
        }
        Ok(())
    }

    fn disk_error(&self, error: io::Error) -> CatalogError {
        DiskError::new(self.disk.path(FILE), error).into()
    }
}

/// Puts a new catalog in place.
fn replace<T>(
    disk: &Arc<dyn Disk>,
    reserve: &Arc<Reserve>,
    fill: impl FnOnce(&Catalog) -> Result<T, CatalogError>,
) -> Result<T, CatalogError> {
    let sort = |error| CatalogError::from(DiskError::new(disk.path(FILE), error));
    // Under another name first: half a database can't be opened again.
    disk.create(UNFINISHED).map_err(sort)?;
    let new = Catalog::open_file(Arc::clone(disk), UNFINISHED, Arc::clone(reserve))?;
    let filled = fill(&new)?;
    drop(new);
    disk.rename(UNFINISHED, FILE).map_err(sort)?;
    disk.sync_dir("").map_err(sort)?;
    Ok(filled)
}

/// Runs what uses the database. Where it reads pages that were damaged, it may panic; that is an
/// error like others, after which it is opened anew.
fn guarded<T>(
    failed: &AtomicBool,
    act: impl FnOnce() -> Result<T, CatalogError>,
) -> Result<T, CatalogError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        failed.store(true, Ordering::Release);
        Err(CatalogError::Broken("its pages are damaged".into()))
    })
}

/// Closes a database. Where its pages are damaged that may panic too.
fn close(database: Option<Database>) {
    if catch_unwind(AssertUnwindSafe(|| drop(database))).is_err() {
        tracing::warn!("the catalog's pages are damaged; it was not closed in good order");
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        close(self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Opens the database's file, with the room that is kept if it takes some: whoever can't open it can't
/// delete anything.
fn open_with(
    reserve: &Reserve,
    disk: &dyn Disk,
    name: &str,
    failed: &Arc<AtomicBool>,
) -> Result<Database, CatalogError> {
    loop {
        match open_database(disk, name, failed) {
            Err(error) if error.is_no_space() && reserve.give() => {
                failed.store(false, Ordering::Release);
            }
            opened => return opened,
        }
    }
}

/// Opens the database's file. One that can't be opened as it is may be so after every page was
/// checked and what follows from them made anew.
fn open_database(
    disk: &dyn Disk,
    name: &str,
    failed: &Arc<AtomicBool>,
) -> Result<Database, CatalogError> {
    let open = |check: bool| {
        let file = disk.open(name, Access::Write);
        let file = file.map_err(|error| DiskError::new(disk.path(name), error))?;
        guarded(failed, || {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE).set_check_integrity_on_open(check);
            let file = CatalogFile { file, failed: Arc::clone(failed) };
            builder.create_with_backend(file).map_err(refused)
        })
    };
    match open(false) {
        Err(CatalogError::Broken(reason)) => {
            tracing::warn!(reason, "the catalog is damaged; all of it is checked");
            failed.store(false, Ordering::Release);
            open(true)
        }
        other => other,
    }
}

/// What the database says, in our words.
pub(crate) fn refused(error: impl Into<redb::Error>) -> CatalogError {
    match error.into() {
        redb::Error::Io(error) => DiskError::new(FILE, error).into(),
        redb::Error::PreviousIo => CatalogError::Interrupted,
        other => CatalogError::Broken(other.to_string()),
    }
}

/// One moment of the catalog.
pub(crate) struct Snapshot {
    transaction: ReadTransaction,
}

impl Snapshot {
    pub(crate) fn sheet(
        &self,
        name: Name,
    ) -> Result<Sheet<ReadOnlyTable<Bytes, Bytes>>, CatalogError> {
        let table = self.transaction.open_table(name.definition()).map_err(refused)?;
        Ok(Sheet { name: name.0, table })
    }
}

type Writable<'t> = Sheet<Table<'t, Bytes, Bytes>>;

/// All tables, to be changed together.
pub(crate) struct Tables<'t> {
    pub(crate) manifests: Writable<'t>,
    pub(crate) blobs: Writable<'t>,
    pub(crate) inline: Writable<'t>,
    pub(crate) chunks: Writable<'t>,
    pub(crate) md5: Writable<'t>,
    pub(crate) partial: Writable<'t>,
    pub(crate) lost: Writable<'t>,
    pub(crate) pins: Writable<'t>,
    pub(crate) facts: Writable<'t>,
    pub(crate) meta: Writable<'t>,
    pub(crate) remembered: Writable<'t>,
}

impl<'t> Tables<'t> {
    /// The table of a name.
    pub(crate) fn sheet(&mut self, name: Name) -> &mut Writable<'t> {
        match name {
            tables::MANIFESTS => &mut self.manifests,
            tables::BLOBS => &mut self.blobs,
            tables::INLINE => &mut self.inline,
            tables::CHUNKS => &mut self.chunks,
            tables::MD5 => &mut self.md5,
            tables::PARTIAL => &mut self.partial,
            tables::LOST => &mut self.lost,
            tables::PINS => &mut self.pins,
            tables::FACTS => &mut self.facts,
            tables::META => &mut self.meta,
            _ => &mut self.remembered,
        }
    }

    fn open(transaction: &'t WriteTransaction) -> Result<Self, CatalogError> {
        let sheet = |name: Name| -> Result<_, CatalogError> {
            let table = transaction.open_table(name.definition()).map_err(refused)?;
            Ok(Sheet { name: name.0, table })
        };
        Ok(Self {
            manifests: sheet(tables::MANIFESTS)?,
            blobs: sheet(tables::BLOBS)?,
            inline: sheet(tables::INLINE)?,
            chunks: sheet(tables::CHUNKS)?,
            md5: sheet(tables::MD5)?,
            partial: sheet(tables::PARTIAL)?,
            lost: sheet(tables::LOST)?,
            pins: sheet(tables::PINS)?,
            facts: sheet(tables::FACTS)?,
            meta: sheet(tables::META)?,
            remembered: sheet(tables::REMEMBERED)?,
        })
    }
}

/// The database's file on a [`Disk`]. Whoever opens a store holds its lock already.
#[derive(Debug)]
struct CatalogFile {
    file: Box<dyn DiskFile>,
    failed: Arc<AtomicBool>,
}

impl CatalogFile {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        result
    }
}

impl StorageBackend for CatalogFile {
    fn len(&self) -> io::Result<u64> {
        self.note(self.file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.note(self.file.read_at(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(self.file.sync())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(self.file.write_at(offset, data))
    }
}
