//! All access to the store's own files, behind two small traits, so that a test can stand in for
//! the disk: fill it, or freeze it between any two writes.
//!
//! Names are relative to the store's folder, with `/` between their parts.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A folder of files.
pub trait Disk: Debug + Send + Sync {
    /// Makes a folder, unless it is there.
    ///
    /// # Errors
    /// What the system reports.
    fn create_dir(&self, name: &str) -> io::Result<()>;

    /// The names of what is in a folder, without the folder's own.
    ///
    /// # Errors
    /// What the system reports.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Makes an empty file for reading and writing, in place of one that is there.
    ///
    /// # Errors
    /// What the system reports.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that is there.
    ///
    /// # Errors
    /// What the system reports.
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file, in place of one that is there.
    ///
    /// # Errors
    /// What the system reports.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system reports.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes what was created, renamed and removed in a folder last.
    ///
    /// # Errors
    /// What the system reports.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Whether [`sync_all`](Self::sync_all) does anything here.
    fn can_sync_all(&self) -> bool {
        false
    }

    /// Makes all that was written, created, renamed and removed last, in one go.
    ///
    /// # Errors
    /// What the system reports; `Unsupported` where it can't.
    fn sync_all(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How many bytes its file system has in all, used or not.
    ///
    /// # Errors
    /// What the system reports; `Unsupported` where it can't be told.
    fn size(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where a name is, for reflinks and for messages.
    fn path(&self, name: &str) -> PathBuf;

    /// Whether there is a file of that name.
    ///
    /// # Errors
    /// What the system reports.
    fn exists(&self, name: &str) -> io::Result<bool> {
        match self.open(name, Access::Read) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// A file, read and written at positions. Several threads may use it at once.
pub trait DiskFile: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system reports.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// What the system reports.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; else what the system reports.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the system reports. Some of the bytes may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or prolongs it with zeros.
    ///
    /// # Errors
    /// What the system reports.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Reserves room for a length, and prolongs the file to it with zeros.
    ///
    /// # Errors
    /// `StorageFull` when there isn't so much; else what the system reports.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Makes what was written last (fdatasync).
    ///
    /// # Errors
    /// What the system reports.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the real disk.
#[derive(Debug)]
pub(crate) struct RealDisk {
    root: PathBuf,
    whole: whole::Whole,
}

impl RealDisk {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), whole: whole::Whole::new(root) }
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, name: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(name))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(dir))? {
            // A name that isn't Unicode is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(true).open(self.path(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let write = access == Access::Write;
        let file = OpenOptions::new().read(true).write(write).open(self.path(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        sync_folder(&self.path(dir))
    }

    fn can_sync_all(&self) -> bool {
        self.whole.can_sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.whole.sync()
    }

    fn size(&self) -> io::Result<u64> {
        fs4::total_space(&self.root)
    }

    fn path(&self, name: &str) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(name.split('/'));
        path
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path(name).try_exists()
    }
}

/// Syncing a whole file system.
#[cfg(target_os = "linux")]
mod whole {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    /// The first kernel whose `syncfs` reports that something could not be written.
    const TELLS_ERRORS: (u32, u32) = (5, 8);

    /// The store's folder, opened before anything is written: what goes wrong from then on is
    /// told to whoever syncs through it.
    #[derive(Debug)]
    pub(super) struct Whole(Option<File>);

    impl Whole {
        pub(super) fn new(root: &Path) -> Self {
            let release = rustix::system::uname();
            let release = release.release().to_string_lossy().into_owned();
            let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
            let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            Self((version >= TELLS_ERRORS).then(|| File::open(root).ok()).flatten())
        }

        pub(super) fn can_sync(&self) -> bool {
            self.0.is_some()
        }

        pub(super) fn sync(&self) -> io::Result<()> {
            match &self.0 {
                Some(root) => Ok(rustix::fs::syncfs(root)?),
                None => Err(io::ErrorKind::Unsupported.into()),
            }
        }
    }
}

/// Elsewhere nothing does that and tells when it failed.
#[cfg(not(target_os = "linux"))]
mod whole {
    use std::io;
    use std::path::Path;

    #[derive(Debug)]
    pub(super) struct Whole;

    impl Whole {
        pub(super) fn new(_root: &Path) -> Self {
            Self
        }

        pub(super) fn can_sync(&self) -> bool {
            false
        }

        pub(super) fn sync(&self) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

/// Makes the entries of a folder last.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Windows writes folders through by itself, and can't flush them.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_exact_at(&self.0, offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        write_all_at(&self.0, offset, bytes)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        match fs4::FileExt::allocate(&self.0, length) {
            Ok(()) => {}
            // Not every file system can; then a full disk is noticed later.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_all_at(file: &File, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
