//! Opening a store: its lock, its format, and what a crash left half done.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use weft_protocol::ids::BlobId;

use crate::catalog::Catalog;
use crate::checked::Checked;
use crate::disk::{Access, Disk, RealDisk, sync_folder};
use crate::error::{DiskError, OpenError};
use crate::ingest::LONG_AT_ONCE;
use crate::receive::CHECKPOINT;
use crate::tables::{self, FORMAT};
use crate::turns::Turns;
use crate::{Store, names, source};

pub(crate) fn open(dir: &Path) -> Result<Store, OpenError> {
    if !dir.exists() {
        fs::create_dir_all(dir).map_err(|error| DiskError::new(dir, error))?;
        // Whatever is synced within it is there after a crash only if it is there itself.
        let around = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = around {
            sync_folder(parent).map_err(|error| DiskError::new(parent, error))?;
        }
    }
    let lock = take_lock(dir)?;
    open_on(Arc::new(RealDisk::new(dir)), Some(lock))
}

fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(names::LOCK);
    let failed = |error| DiskError::new(&path, error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(failed(error).into()),
    }
}

/// Whether another process has the store in a folder open; nothing is made or changed.
///
/// # Errors
/// When the folder can't be looked at.
pub fn in_use(dir: &Path) -> io::Result<bool> {
    let lock = OpenOptions::new().read(true).write(true).open(dir.join(names::LOCK));
    let lock = match lock {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Opens a store on any disk; whoever calls it holds whatever lock there is.
pub(crate) fn open_on(disk: Arc<dyn Disk>, lock: Option<File>) -> Result<Store, OpenError> {
    let marked = read_format(&*disk)?;
    let failed = |name: &str, error| DiskError::new(disk.path(name), error);
    for dir in [names::BLOBS, names::PARTIAL, names::TEMPORARY] {
        disk.create_dir(dir).map_err(|error| failed(dir, error))?;
    }
    for byte in 0..=u8::MAX {
        let dir = names::fan(byte);
        disk.create_dir(&dir).map_err(|error| failed(&dir, error))?;
    }
    for name in list(&*disk, names::TEMPORARY)? {
        remove(&*disk, &format!("{}/{name}", names::TEMPORARY))?;
    }
    let (catalog, damage) = Catalog::open(Arc::clone(&disk))?;
    if !marked {
        disk.sync_dir(names::BLOBS).map_err(|error| failed(names::BLOBS, error))?;
        write_format(&*disk)?;
    }
    let mut store = Store {
        disk,
        catalog,
        holds: Arc::default(),
        opened: source::Cache::default(),
        partials: Mutex::default(),
        publishing: Mutex::default(),
        reading: Turns::new(LONG_AT_ONCE),
        temporary: AtomicU64::new(0),
        checked: Checked::default(),
        suspects: Arc::default(),
        checkpoint: CHECKPOINT,
        mended: None,
        _lock: lock,
    };
    store.settle_partials()?;
    if let Some(damage) = damage {
        store.mended = Some(store.mend(damage)?);
    }
    Ok(store)
}

/// Whether the store says its format; an error if it is none that this release reads.
fn read_format(disk: &dyn Disk) -> Result<bool, OpenError> {
    let path = disk.path(names::FORMAT);
    let file = match disk.open(names::FORMAT, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(DiskError::new(path, error).into()),
    };
    let mut bytes = [0; 64];
    let length = file.len().map_err(|error| DiskError::new(&path, error))?;
    let line = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.get_mut(..length))
        .ok_or_else(|| OpenError::NotAStore { path: path.clone() })?;
    file.read_at(0, line).map_err(|error| DiskError::new(&path, error))?;
    let found: u32 = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.trim_end().strip_prefix(FORMAT_LINE))
        .and_then(|number| number.parse().ok())
        .ok_or(OpenError::NotAStore { path })?;
    match found {
        0..=FORMAT => Ok(true),
        _ => Err(OpenError::Newer { found, supported: FORMAT }),
    }
}

/// What the file that says the format begins with; the number follows.
const FORMAT_LINE: &str = "weft store ";

fn write_format(disk: &dyn Disk) -> Result<(), OpenError> {
    let failed = |error| DiskError::new(disk.path(names::FORMAT), error);
    let temporary = format!("{}/format", names::TEMPORARY);
    let file = disk.create(&temporary).map_err(failed)?;
    file.write_at(0, format!("{FORMAT_LINE}{FORMAT}\n").as_bytes()).map_err(failed)?;
    file.sync().map_err(failed)?;
    disk.rename(&temporary, names::FORMAT).map_err(failed)?;
    Ok(disk.sync_dir("").map_err(failed)?)
}

fn list(disk: &dyn Disk, dir: &str) -> Result<Vec<String>, DiskError> {
    disk.list(dir).map_err(|error| DiskError::new(disk.path(dir), error))
}

fn remove(disk: &dyn Disk, name: &str) -> Result<(), DiskError> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::new(disk.path(name), error))
        }
        _ => Ok(()),
    }
}

impl Store {
    /// Brings `partial/` and the catalog in line after a crash.
    fn settle_partials(&self) -> Result<(), OpenError> {
        let mut known = Vec::new();
        let mut lost = Vec::new();
        self.catalog.read(|snapshot| {
            snapshot.sheet(tables::PARTIAL)?.scan(&[], |key, _| {
                known.push(BlobId(tables::id_in(tables::PARTIAL.0, key)?));
                Ok(())
            })
        })?;
        let files = list(&*self.disk, names::PARTIAL)?;
        let mut moved = false;
        for id in &known {
            let (whole, partial) = (names::blob(id), names::partial(id));
            if files.contains(&id.to_string()) {
                // Of a name that was changed both may be left.
                if !self.has(*id)? {
                    remove(&*self.disk, &whole)?;
                }
                continue;
            }
            // It was whole, renamed, and the catalog was not told; or it is to be received anew
            // in parts, and was not renamed yet.
            match self.disk.rename(&whole, &partial) {
                Ok(()) => moved = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => lost.push(*id),
                Err(error) => {
                    return Err(DiskError::new(self.disk.path(&whole), error).into());
                }
            }
        }
        if moved {
            let dir = names::PARTIAL;
            let synced = self.disk.sync_dir(dir);
            synced.map_err(|error| DiskError::new(self.disk.path(dir), error))?;
        }
        for name in files {
            if !known.iter().any(|id| id.to_string() == name) {
                remove(&*self.disk, &format!("{}/{name}", names::PARTIAL))?;
            }
        }
        if !lost.is_empty() {
            self.catalog.free(|tables| {
                for id in &lost {
                    tables.partial.remove(&id.0)?;
                    if !tables.blobs.has(&id.0)? {
                        tables.manifests.remove(&id.0)?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
