//! What a loss of power leaves of a disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::{Content, Entry, FakeDisk, Inode, State, Write};
use crate::locked;
use crate::tests::dice::Dice;

/// What a disk writes at once, or not at all, in bytes.
const SECTOR: usize = 512;

/// How likely what was not synced is to be left, in 256ths. Nothing and all of it come often: the
/// machine stopped before the disk got anything, or the process died alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tests) struct Survives {
    /// Each sector of what was written.
    pub(in crate::tests) sectors: u16,
    /// Each change to a folder.
    pub(in crate::tests) names: u16,
    /// Whether the folders' changes are lost from some moment on, as a journal loses them.
    pub(in crate::tests) in_order: bool,
}

impl Survives {
    pub(in crate::tests) const ALL: Self = Self { sectors: 256, names: 256, in_order: false };

    pub(in crate::tests) fn any(dice: &mut Dice) -> Self {
        let likely = [0, 16, 128, 240, 256, 256];
        Self {
            sectors: *dice.one_of(&likely),
            names: *dice.one_of(&likely),
            in_order: dice.below(3) == 0,
        }
    }
}

impl FakeDisk {
    /// The disk as it is found after the power failed.
    pub(in crate::tests) fn after_crash(&self, survives: Survives, dice: &mut Dice) -> Self {
        let state = locked(&self.0);
        let names = state.names_left(survives, dice);
        let mut contents = vec![Content::default(); state.contents.len()];
        for &inode in names.values() {
            let left = Arc::new(state.contents[inode].left(survives.sectors, dice));
            contents[inode] =
                Content { now: Arc::clone(&left), synced: left, unsynced: Vec::new() };
        }
        Self(Arc::new(Mutex::new(State {
            contents,
            synced_names: names.clone(),
            names,
            dirs: state.dirs.clone(),
            whole: state.whole,
            room: state.room,
            size: state.size,
            dice: Dice::new(dice.next()),
            ..State::default()
        })))
    }
}

impl State {
    fn names_left(&self, survives: Survives, dice: &mut Dice) -> BTreeMap<String, Inode> {
        let mut names = self.synced_names.clone();
        let mut lost = false;
        for entry in &self.unsynced_names {
            lost = !dice.chance(survives.names) || (lost && survives.in_order);
            if lost {
                continue;
            }
            match entry {
                Entry::Made(name, inode) => _ = names.insert(name.clone(), *inode),
                Entry::Removed(name) => _ = names.remove(name),
                Entry::Renamed(from, to, inode) => {
                    names.insert(to.clone(), *inode);
                    if survives.in_order || dice.chance(survives.names) {
                        names.remove(from);
                    }
                }
            }
        }
        names
    }

    /// A sync of a file has failed: the system takes what was written as being on the disk, which
    /// it is in part.
    pub(super) fn drop_unsynced(&mut self, inode: Inode) {
        let left = self.contents[inode].left(128, &mut self.dice);
        let content = &mut self.contents[inode];
        content.synced = Arc::new(left);
        // The length is the file system's own business, and not lost by that.
        content.unsynced = vec![Write::Length(content.now.len())];
        Arc::make_mut(&mut content.synced).resize(content.now.len(), 0);
    }
}

impl Content {
    /// What was synced, and of the rest any sectors. A file's length is that of some moment since.
    fn left(&self, likely: u16, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.synced.to_vec();
        let (mut length, mut lost) = (bytes.len(), false);
        for write in &self.unsynced {
            match write {
                Write::Length(new) => {
                    // Bytes that were cut off are zeros if the file grows again.
                    if *new < bytes.len() && dice.chance(likely) {
                        bytes[*new..].fill(0);
                    }
                    bytes.resize(bytes.len().max(*new), 0);
                    lost |= !dice.chance(likely);
                    if !lost {
                        length = *new;
                    }
                }
                Write::Bytes(offset, new) => {
                    let mut taken = 0;
                    while taken < new.len() {
                        let start = offset + taken;
                        let end = (start / SECTOR + 1) * SECTOR;
                        let count = (end - start).min(new.len() - taken);
                        if dice.chance(likely) {
                            bytes[start..start + count].copy_from_slice(&new[taken..taken + count]);
                        }
                        taken += count;
                    }
                }
            }
        }
        bytes.truncate(length);
        bytes
    }
}
