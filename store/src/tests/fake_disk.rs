//! A disk in memory that forgets what was not synced, and fails when it is told to.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::{Access, Disk, DiskFile, locked};

/// Something that changed, or was made last, since the disk was made.
type Inode = usize;

#[derive(Debug, Default, Clone)]
struct Content {
    now: Vec<u8>,
    /// What survives a loss of power.
    synced: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    contents: Vec<Content>,
    names: BTreeMap<String, Inode>,
    synced_names: BTreeMap<String, Inode>,
    dirs: std::collections::BTreeSet<String>,
    /// How many more changes and syncs are made before all fail.
    fuse: Option<usize>,
    /// How many were made.
    changes: usize,
    /// How many bytes fit.
    room: Option<usize>,
}

/// The disk.
#[derive(Debug, Default, Clone)]
pub(super) struct FakeDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct FakeFile {
    disk: FakeDisk,
    inode: Inode,
}

/// What of the unsynced is left after the power failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survives {
    /// Nothing.
    Synced,
    /// All of it: the process died, not the machine.
    All,
    /// All names, and of each file's content what was synced.
    Names,
    /// All content, and of the names what was synced.
    Contents,
}

impl FakeDisk {
    /// Lets so many changes and syncs happen, and then none.
    pub(super) fn burn_after(&self, changes: usize) {
        locked(&self.0).fuse = Some(changes);
    }

    pub(super) fn changes(&self) -> usize {
        locked(&self.0).changes
    }

    /// Lets files have so many bytes in all.
    pub(super) fn set_room(&self, bytes: Option<usize>) {
        locked(&self.0).room = bytes;
    }

    pub(super) fn used(&self) -> usize {
        locked(&self.0).used()
    }

    /// The disk as it is found after the power failed.
    pub(super) fn after_crash(&self, survives: Survives) -> Self {
        use Survives::{All, Contents, Names};
        let state = locked(&self.0);
        let content = |content: &Content| {
            let bytes = if matches!(survives, All | Contents) {
                content.now.clone()
            } else {
                content.synced.clone()
            };
            Content { now: bytes.clone(), synced: bytes }
        };
        let names =
            if matches!(survives, All | Names) { &state.names } else { &state.synced_names };
        Self(Arc::new(Mutex::new(State {
            contents: state.contents.iter().map(content).collect(),
            names: names.clone(),
            synced_names: names.clone(),
            dirs: state.dirs.clone(),
            ..State::default()
        })))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = locked(&self.0);
        match &mut state.fuse {
            Some(0) => return Err(io::Error::other("the power failed")),
            Some(left) => *left -= 1,
            None => {}
        }
        state.changes += 1;
        change(&mut state)
    }

    fn file(&self, inode: Inode) -> Box<dyn DiskFile> {
        Box::new(FakeFile { disk: self.clone(), inode })
    }
}

impl State {
    fn used(&self) -> usize {
        self.names.values().map(|inode| self.contents[*inode].now.len()).sum()
    }

    fn resize(&mut self, inode: Inode, length: usize) -> io::Result<()> {
        let grows = length.saturating_sub(self.contents[inode].now.len());
        if grows > 0 && self.room.is_some_and(|room| self.used() + grows > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.contents[inode].now.resize(length, 0);
        Ok(())
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn is_in(name: &str, dir: &str) -> bool {
    name.rsplit_once('/').map_or("", |(parent, _)| parent) == dir
}

impl Disk for FakeDisk {
    fn create_dir(&self, name: &str) -> io::Result<()> {
        locked(&self.0).dirs.insert(name.to_owned());
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = locked(&self.0);
        let names = state.names.keys().filter(|name| is_in(name, dir));
        Ok(names.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.change(|state| {
            state.contents.push(Content::default());
            let inode = state.contents.len() - 1;
            state.names.insert(name.to_owned(), inode);
            Ok(inode)
        })?;
        Ok(self.file(inode))
    }

    fn open(&self, name: &str, _: Access) -> io::Result<Box<dyn DiskFile>> {
        let inode = *locked(&self.0).names.get(name).ok_or_else(missing)?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|state| {
            let inode = state.names.remove(from).ok_or_else(missing)?;
            state.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|state| state.names.remove(name).map(|_| ()).ok_or_else(missing))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.change(|state| {
            state.synced_names.retain(|name, _| !is_in(name, dir));
            let now = state.names.iter().filter(|(name, _)| is_in(name, dir));
            state.synced_names.extend(now.map(|(name, inode)| (name.clone(), *inode)));
            Ok(())
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/fake").join(name)
    }
}

impl DiskFile for FakeFile {
    fn len(&self) -> io::Result<u64> {
        Ok(locked(&self.disk.0).contents[self.inode].now.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = locked(&self.disk.0);
        let start = offset as usize;
        let bytes = state.contents[self.inode].now.get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.change(|state| {
            let (start, end) = (offset as usize, offset as usize + bytes.len());
            if state.contents[self.inode].now.len() < end {
                state.resize(self.inode, end)?;
            }
            state.contents[self.inode].now[start..end].copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.change(|state| state.resize(self.inode, length as usize))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.change(|state| {
            let content = &mut state.contents[self.inode];
            content.synced.clone_from(&content.now);
            Ok(())
        })
    }
}
