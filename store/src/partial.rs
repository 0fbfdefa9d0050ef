//! A blob that is being received: what of it has come, and where that is.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use weft_protocol::content::{Bitmap, Manifest};
use weft_protocol::ids::{BlobId, ChunkId};

use crate::disk::DiskFile;
use crate::error::{DiskError, ReadError, WriteError};
use crate::{locked, now};

/// A blob that is being received.
#[derive(Debug)]
pub(crate) struct Partial {
    id: BlobId,
    manifest: Manifest,
    encoded: Vec<u8>,
    offsets: Vec<u64>,
    /// The places of those chunks that the blob has more than once.
    twins: BTreeMap<ChunkId, Vec<u32>>,
    place: Place,
    /// Whether all that has come has done so since it was opened, which may be long ago otherwise.
    of_one_go: bool,
    progress: Mutex<Progress>,
    /// Held while the catalog is told, so that it is told the newest last. Says whether the
    /// file's name lasts.
    pub(crate) telling: Mutex<bool>,
}

/// Where the bytes go.
#[derive(Debug)]
pub(crate) enum Place {
    /// A blob so small that it is put into the catalog when it is whole.
    Memory(Mutex<Vec<u8>>),
    File {
        name: String,
        file: Box<dyn DiskFile>,
    },
}

#[derive(Debug)]
struct Progress {
    /// What was written, and may be served.
    held: Bitmap,
    /// What was synced; it survives a crash once the catalog is told.
    synced: Bitmap,
    /// How many bytes were written since, or are being written.
    unsynced: u64,
    /// How many bytes are being written right now. A sync may miss them.
    in_flight: u64,
    /// How often a sync was begun.
    syncs: u64,
    /// When somebody last wanted it, in seconds since 1970.
    touched: u64,
}

impl Partial {
    /// A blob of which `held` has come for certain, and that was wanted last at `touched`, in seconds
    /// since 1970. The manifest is the one that was decoded from `encoded`.
    pub(crate) fn new(
        manifest: Manifest,
        encoded: Vec<u8>,
        place: Place,
        held: Bitmap,
        touched: u64,
    ) -> Self {
        let mut twins: BTreeMap<ChunkId, Vec<u32>> = BTreeMap::new();
        for (index, chunk) in (0_u32..).zip(&manifest.chunks) {
            twins.entry(chunk.id).or_default().push(index);
        }
        let of_one_go = held.count() == 0;
        twins.retain(|_, places| places.len() > 1);
        let progress =
            Progress { synced: held.clone(), held, unsynced: 0, in_flight: 0, syncs: 0, touched };
        Self {
            id: Manifest::id_of(&encoded),
            offsets: manifest.offsets().collect(),
            manifest,
            encoded,
            twins,
            place,
            of_one_go,
            progress: Mutex::new(progress),
            telling: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> BlobId {
        self.id
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What was synced, and would survive a crash if the catalog knew, and when somebody last
    /// wanted it.
    pub(crate) fn synced(&self) -> (Bitmap, u64) {
        let progress = locked(&self.progress);
        (progress.synced.clone(), progress.touched)
    }

    /// What has come, and when somebody last wanted it.
    pub(crate) fn state(&self) -> (Bitmap, u64) {
        let progress = locked(&self.progress);
        (progress.held.clone(), progress.touched)
    }

    /// Notes that somebody wants it now.
    pub(crate) fn touch(&self) {
        locked(&self.progress).touched = now();
    }

    /// Notes that a chunk has come to a place, and says whether it was missing there.
    fn came(&self, place: u32) -> bool {
        let mut progress = locked(&self.progress);
        progress.touched = now();
        progress.held.set(place)
    }

    /// How often a sync was begun.
    pub(crate) fn syncs(&self) -> u64 {
        locked(&self.progress).syncs
    }

    /// Sets bytes aside for a chunk that is to be written. If with them more than `most` would
    /// not be synced, says instead how often a sync was begun so far: first one more is due.
    fn reserve(&self, length: u64, most: u64) -> Result<Reserved<'_>, u64> {
        let mut progress = locked(&self.progress);
        if progress.unsynced > 0 && progress.unsynced + length > most {
            return Err(progress.syncs);
        }
        progress.unsynced += length;
        progress.in_flight += length;
        Ok(Reserved { partial: self, length })
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    pub(crate) fn held(&self) -> Bitmap {
        locked(&self.progress).held.clone()
    }

    /// Whether all of its bytes were written since it was opened.
    pub(crate) fn is_of_one_go(&self) -> bool {
        self.of_one_go
    }

    pub(crate) fn file_name(&self) -> Option<&str> {
        match &self.place {
            Place::Memory(_) => None,
            Place::File { name, .. } => Some(name),
        }
    }

    /// The bytes of a small blob.
    pub(crate) fn in_memory(&self) -> Option<Vec<u8>> {
        match &self.place {
            Place::Memory(bytes) => Some(locked(bytes).clone()),
            Place::File { .. } => None,
        }
    }

    /// Makes what was written last. If that fails, whatever was written since it last went well
    /// counts as lost: the system may have dropped it.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        let Place::File { name, file } = &self.place else {
            return Ok(());
        };
        let mut progress = locked(&self.progress);
        let held = progress.held.clone();
        progress.unsynced = progress.in_flight;
        progress.syncs += 1;
        drop(progress);
        let result = file.sync();
        let mut progress = locked(&self.progress);
        match result {
            Ok(()) => {
                // What was found spoilt meanwhile stays out.
                let Progress { held: still, synced, .. } = &mut *progress;
                *synced = held;
                synced.keep_only(still);
                Ok(())
            }
            Err(error) => {
                progress.held = progress.synced.clone();
                Err(DiskError::new(name, error))
            }
        }
    }

    /// A chunk that has come, checked. One that the disk has spoilt counts as not come.
    pub(crate) fn chunk(&self, index: u32) -> Result<Vec<u8>, ReadError> {
        let blob = self.id;
        let position = index as usize;
        let (Some(chunk), Some(&offset)) =
            (self.manifest.chunks.get(position), self.offsets.get(position))
        else {
            return Err(ReadError::NoSuchChunk { blob, index });
        };
        if !locked(&self.progress).held.get(index) {
            return Err(ReadError::NotHeld { blob, index });
        }
        let mut bytes = vec![0; chunk.len as usize];
        match &self.place {
            Place::Memory(all) => {
                // A small blob is one chunk.
                bytes.clone_from(&locked(all));
            }
            Place::File { name, file } => match file.read_at(offset, &mut bytes) {
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(DiskError::new(name, error).into());
                }
                _ => {}
            },
        }
        if *blake3::hash(&bytes).as_bytes() == chunk.id.0 {
            return Ok(bytes);
        }
        let mut progress = locked(&self.progress);
        progress.held.unset(index);
        progress.synced.unset(index);
        Err(ReadError::Corrupt { blob, index })
    }

    /// Checks a chunk and writes it wherever the blob has it; which of its places are new. At most
    /// `most` bytes are left unsynced, or this one chunk: before it would be more, `sync` is called
    /// with how often one was begun so far.
    pub(crate) fn write(
        &self,
        index: u32,
        bytes: &[u8],
        most: u64,
        sync: impl Fn(u64) -> Result<(), WriteError>,
    ) -> Result<Vec<u32>, WriteError> {
        let blob = self.id;
        let chunk = self.manifest.chunks.get(index as usize);
        let chunk = chunk.ok_or(WriteError::NoSuchChunk { blob, index })?;
        if bytes.len() != chunk.len as usize || *blake3::hash(bytes).as_bytes() != chunk.id.0 {
            return Err(WriteError::Mismatch { blob, index });
        }
        let only = [index];
        let places = self.twins.get(&chunk.id).map_or(&only[..], Vec::as_slice);
        let held = self.held();
        let mut new = Vec::new();
        for &place in places.iter().filter(|place| !held.get(**place)) {
            match &self.place {
                Place::Memory(all) => {
                    *locked(all) = bytes.to_vec();
                    if self.came(place) {
                        new.push(place);
                    }
                }
                Place::File { name, file } => {
                    let mut reserved = self.reserve(bytes.len() as u64, most);
                    while let Err(syncs) = reserved {
                        sync(syncs)?;
                        reserved = self.reserve(bytes.len() as u64, most);
                    }
                    let offset = self.offsets.get(place as usize).copied().unwrap_or_default();
                    let written = file.write_at(offset, bytes);
                    written.map_err(|error| DiskError::new(name, error))?;
                    if self.came(place) {
                        new.push(place);
                    }
                    drop(reserved);
                }
            }
        }
        Ok(new)
    }
}

/// Bytes that are being written.
#[derive(Debug)]
struct Reserved<'p> {
    partial: &'p Partial,
    length: u64,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        locked(&self.partial.progress).in_flight -= self.length;
    }
}
