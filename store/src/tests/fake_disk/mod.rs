//! A disk in memory that counts every change and sync, keeps apart what was synced and what was
//! not, and fails when it is told to. What a loss of power leaves of it: `crash.rs`.

mod crash;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::dice::Dice;
use crate::{Access, Disk, DiskFile, locked};

pub(super) use crash::Survives;

/// What is called before a change, with how many there were.
type Watch = Box<dyn FnMut(&FakeDisk, usize) + Send>;
/// What is called before a sync.
type WatchSyncs = Arc<dyn Fn(&FakeDisk) + Send + Sync>;

/// A file, whatever its names are.
type Inode = usize;

/// A change to a file's content that was not synced.
#[derive(Debug, Clone)]
enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

/// A change to a folder that was not synced.
#[derive(Debug, Clone)]
enum Entry {
    Made(String, Inode),
    Removed(String),
    /// From, to. Whatever is left of it, the file has one of the names, or both.
    Renamed(String, String, Inode),
}

#[derive(Debug, Default, Clone)]
struct Content {
    now: Arc<Vec<u8>>,
    /// What survives a loss of power for certain.
    synced: Arc<Vec<u8>>,
    /// What came since, oldest first.
    unsynced: Vec<Write>,
}

#[derive(Default)]
struct State {
    contents: Vec<Content>,
    names: BTreeMap<String, Inode>,
    synced_names: BTreeMap<String, Inode>,
    unsynced_names: Vec<Entry>,
    dirs: BTreeSet<String>,
    /// How many more changes and syncs are made before all fail.
    fuse: Option<usize>,
    /// How many changes from now one fails, and those after it don't.
    hiccup: Option<usize>,
    /// What failed syncs have dropped is decided by it.
    dice: Dice,
    /// How many changes and syncs were made.
    changes: usize,
    /// Called before every change and sync.
    watch: Option<Watch>,
    /// Called before every sync of a file.
    watch_syncs: Option<WatchSyncs>,
    /// The places of what was read, if they are noted.
    reads: Option<Vec<(Inode, std::ops::Range<usize>)>>,
    /// How many bytes fit.
    room: Option<usize>,
    /// How many bytes it says that it has.
    size: Option<u64>,
    /// Whether all can be synced at once.
    whole: bool,
}

/// The disk.
#[derive(Default, Clone)]
pub(super) struct FakeDisk(Arc<Mutex<State>>);

impl std::fmt::Debug for FakeDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeDisk")
    }
}

#[derive(Debug)]
struct FakeFile {
    disk: FakeDisk,
    inode: Inode,
}

impl FakeDisk {
    /// Lets so many changes and syncs happen, and then none.
    pub(super) fn burn_after(&self, changes: usize) {
        locked(&self.0).fuse = Some(changes);
    }

    /// Lets one change or sync fail, after so many. What was to be synced may be dropped.
    pub(super) fn hiccup_after(&self, changes: usize) {
        locked(&self.0).hiccup = Some(changes);
    }

    /// Calls `watch` before every change and sync with the disk and how many there were.
    pub(super) fn watch(&self, watch: impl FnMut(&FakeDisk, usize) + Send + 'static) {
        locked(&self.0).watch = Some(Box::new(watch));
    }

    /// Calls `watch` before every sync of a file. Whoever wants something else goes on meanwhile.
    pub(super) fn watch_syncs(&self, watch: impl Fn(&FakeDisk) + Send + Sync + 'static) {
        locked(&self.0).watch_syncs = Some(Arc::new(watch));
    }

    /// Whether it can sync everything at once.
    pub(super) fn set_whole(&self, whole: bool) {
        locked(&self.0).whole = whole;
    }

    pub(super) fn changes(&self) -> usize {
        locked(&self.0).changes
    }

    /// Lets files have so many bytes in all.
    pub(super) fn set_room(&self, bytes: Option<usize>) {
        locked(&self.0).room = bytes;
    }

    /// Says that it has so many bytes.
    pub(super) fn set_size(&self, bytes: u64) {
        locked(&self.0).size = Some(bytes);
    }

    pub(super) fn used(&self) -> usize {
        locked(&self.0).used()
    }

    /// Which ranges of a file are read while something is done.
    pub(super) fn read_by(&self, name: &str, act: impl FnOnce()) -> Vec<std::ops::Range<usize>> {
        locked(&self.0).reads = Some(Vec::new());
        act();
        let mut state = locked(&self.0);
        let (reads, inode) = (state.reads.take().unwrap(), state.names[name]);
        let reads = reads.into_iter().filter(|(read, _)| *read == inode);
        reads.map(|(_, range)| range).collect()
    }

    /// Flips a bit of a file, for good. Says no if it has no bytes there.
    pub(super) fn flip(&self, name: &str, place: usize, bit: u8) -> bool {
        let mut state = locked(&self.0);
        let Some(&inode) = state.names.get(name) else { return false };
        let content = &mut state.contents[inode];
        for bytes in [&mut content.now, &mut content.synced] {
            match Arc::make_mut(bytes).get_mut(place) {
                Some(byte) => *byte ^= 1 << bit,
                None => return false,
            }
        }
        true
    }

    /// A file's bytes; none if it isn't there.
    pub(super) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = locked(&self.0);
        state.names.get(name).map_or(Vec::new(), |inode| state.contents[*inode].now.to_vec())
    }

    /// Makes a change, or a sync if `inode` says of what.
    fn change<T>(
        &self,
        syncs: Option<Inode>,
        change: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let watch_syncs = locked(&self.0).watch_syncs.clone();
        if let (Some(watch), Some(_)) = (watch_syncs, syncs) {
            watch(self);
        }
        let watch = locked(&self.0).watch.take();
        if let Some(mut watch) = watch {
            watch(self, self.changes());
            locked(&self.0).watch = Some(watch);
        }
        let mut state = locked(&self.0);
        for (left, once) in [(state.fuse, false), (state.hiccup, true)] {
            if left == Some(0) {
                if once {
                    state.hiccup = None;
                    if let Some(inode) = syncs {
                        state.drop_unsynced(inode);
                    }
                }
                return Err(io::Error::other("the disk failed"));
            }
        }
        state.fuse = state.fuse.map(|left| left - 1);
        state.hiccup = state.hiccup.map(|left| left - 1);
        state.changes += 1;
        change(&mut state)
    }

    fn file(&self, inode: Inode) -> Box<dyn DiskFile> {
        Box::new(FakeFile { disk: self.clone(), inode })
    }
}

impl State {
    fn used(&self) -> usize {
        let inodes: BTreeSet<_> = self.names.values().collect();
        inodes.into_iter().map(|inode| self.contents[*inode].now.len()).sum()
    }

    fn resize(&mut self, inode: Inode, length: usize) -> io::Result<()> {
        let grows = length.saturating_sub(self.contents[inode].now.len());
        if grows > 0 && self.room.is_some_and(|room| self.used() + grows > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = &mut self.contents[inode];
        Arc::make_mut(&mut content.now).resize(length, 0);
        content.unsynced.push(Write::Length(length));
        Ok(())
    }

    fn sync(&mut self, inode: Inode) {
        let content = &mut self.contents[inode];
        let synced = Arc::make_mut(&mut content.synced);
        for write in content.unsynced.drain(..) {
            match write {
                Write::Length(length) => synced.resize(length, 0),
                Write::Bytes(offset, bytes) => {
                    synced[offset..offset + bytes.len()].copy_from_slice(&bytes);
                }
            }
        }
    }

    fn sync_names(&mut self, dir: Option<&str>) {
        let within = |name: &String| dir.is_none_or(|dir| is_in(name, dir));
        let mut left = Vec::new();
        for entry in std::mem::take(&mut self.unsynced_names) {
            let synced = &mut self.synced_names;
            match entry {
                Entry::Made(name, inode) if within(&name) => _ = synced.insert(name, inode),
                Entry::Removed(name) if within(&name) => _ = synced.remove(&name),
                Entry::Renamed(from, to, inode) if within(&to) || within(&from) => {
                    synced.insert(to, inode);
                    if within(&from) {
                        synced.remove(&from);
                    } else {
                        left.push(Entry::Removed(from));
                    }
                }
                other => left.push(other),
            }
        }
        self.unsynced_names = left;
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
        let names = state.names.range(dir.to_owned()..).map(|(name, _)| name);
        let names = names.take_while(|name| name.starts_with(dir)).filter(|name| is_in(name, dir));
        Ok(names.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.change(None, |state| {
            if let Some(&inode) = state.names.get(name) {
                state.resize(inode, 0)?;
                return Ok(inode);
            }
            state.contents.push(Content::default());
            let inode = state.contents.len() - 1;
            state.names.insert(name.to_owned(), inode);
            state.unsynced_names.push(Entry::Made(name.to_owned(), inode));
            Ok(inode)
        })?;
        Ok(self.file(inode))
    }

    fn open(&self, name: &str, _: Access) -> io::Result<Box<dyn DiskFile>> {
        let inode = *locked(&self.0).names.get(name).ok_or_else(missing)?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(None, |state| {
            let inode = *state.names.get(from).ok_or_else(missing)?;
            // As POSIX has it: two names of one file both stay.
            if state.names.get(to) != Some(&inode) {
                state.names.remove(from);
                state.names.insert(to.to_owned(), inode);
                state.unsynced_names.push(Entry::Renamed(from.to_owned(), to.to_owned(), inode));
            }
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(None, |state| {
            state.names.remove(name).ok_or_else(missing)?;
            state.unsynced_names.push(Entry::Removed(name.to_owned()));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.change(None, |state| {
            state.sync_names(Some(dir));
            Ok(())
        })
    }

    fn can_sync_all(&self) -> bool {
        locked(&self.0).whole
    }

    fn sync_all(&self) -> io::Result<()> {
        self.change(None, |state| {
            state.sync_names(None);
            (0..state.contents.len()).for_each(|inode| state.sync(inode));
            Ok(())
        })
    }

    fn size(&self) -> io::Result<u64> {
        locked(&self.0).size.ok_or(io::ErrorKind::Unsupported.into())
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
        let mut state = locked(&self.disk.0);
        let start = offset as usize;
        if let Some(reads) = &mut state.reads {
            reads.push((self.inode, start..start + buffer.len()));
        }
        let bytes = state.contents[self.inode].now.get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.change(None, |state| {
            let (start, end) = (offset as usize, offset as usize + bytes.len());
            if state.contents[self.inode].now.len() < end {
                state.resize(self.inode, end)?;
            }
            let content = &mut state.contents[self.inode];
            Arc::make_mut(&mut content.now)[start..end].copy_from_slice(bytes);
            content.unsynced.push(Write::Bytes(start, bytes.to_vec()));
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.change(None, |state| state.resize(self.inode, length as usize))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.change(Some(self.inode), |state| {
            state.sync(self.inode);
            Ok(())
        })
    }
}
