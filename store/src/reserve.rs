//! Room that is kept for making room. To forget something takes some first: on a full disk nothing
//! could be deleted.

use std::io;
use std::sync::{Arc, Mutex};

use crate::disk::{Access, Disk, DiskFile};
use crate::{locked, names};

/// How much is kept on a large disk, in bytes.
const MOST: u64 = 8 << 20;

/// How much is kept on a small disk, in bytes: a commit writes some 100 KiB.
const LEAST: u64 = 512 << 10;

/// Which part of a disk is kept in between: one in so many bytes.
const PART: u64 = 32;

/// The least that is worth giving or taking, in bytes.
const STEP: u64 = 64 << 10;

/// A file whose blocks wait for a commit that makes room and finds none.
#[derive(Debug)]
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    /// How many bytes there should be; 0 where the disk doesn't say how large it is.
    wanted: u64,
    /// How many there are.
    length: Mutex<u64>,
}

impl Reserve {
    /// What a disk has of it. Nothing is changed.
    pub(crate) fn of(disk: Arc<dyn Disk>) -> Self {
        let wanted = disk.size().map_or(0, |size| (size / PART).clamp(LEAST, MOST));
        let file = disk.open(names::RESERVE, Access::Read);
        let length = file.and_then(|file| file.len()).unwrap_or(0);
        Self { disk, wanted, length: Mutex::new(length) }
    }

    /// Gives half of it to whoever asks next, and says whether there was any.
    pub(crate) fn give(&self) -> bool {
        let mut length = locked(&self.length);
        if *length == 0 {
            return false;
        }
        let left = if *length > 2 * STEP { *length / 2 } else { 0 };
        let given = self.disk.open(names::RESERVE, Access::Write).and_then(|file| {
            file.set_len(left)?;
            // Some file systems give blocks away only once it is certain that they are free.
            file.sync()
        });
        match given {
            Ok(()) => *length = left,
            Err(error) => tracing::warn!(%error, "the room that is kept could not be given"),
        }
        *length == left
    }

    /// Takes as much of what is missing as there is room for.
    pub(crate) fn fill(&self) {
        let mut length = locked(&self.length);
        if *length >= self.wanted {
            return;
        }
        if let Err(error) = self.grow(&mut length) {
            tracing::warn!(%error, "no room could be kept for deleting");
        }
    }

    /// As [`fill`](Self::fill), of a file that may have the length and not the blocks: a copy of a
    /// store does.
    pub(crate) fn check(&self) {
        let mut length = locked(&self.length);
        *length = 0;
        if self.wanted > 0
            && let Err(error) = self.grow(&mut length)
        {
            tracing::warn!(%error, "no room could be kept for deleting");
        }
    }

    fn grow(&self, length: &mut u64) -> io::Result<()> {
        let file: Box<dyn DiskFile> = match self.disk.open(names::RESERVE, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.disk.create(names::RESERVE)?
            }
            opened => opened?,
        };
        let mut step = self.wanted.saturating_sub(*length);
        while step >= STEP && *length < self.wanted {
            if file.allocate(*length + step).is_ok() {
                *length += step;
            }
            step /= 2;
        }
        // What was tried in vain may have taken a part.
        file.set_len(*length)
    }
}
