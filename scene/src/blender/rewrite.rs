//! Writing a copy of a `.blend` file in which files are named differently.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;

use crate::analysis::AnalyseError;

use super::block::{Block, BlockReader};
use super::dna::Structure;
use super::input::Input;
use super::locate;
use super::path_fields;
use super::read::{LOOSE, Plan};
use super::record::{Record, until_nul};

/// The most texts of one datablock that may be paths of folders.
const MAX_TEXTS: usize = 1_000_000;

/// Writes to `dest` an uncompressed copy of `scene` with other paths in it, and says how many
/// fields it changed.
///
/// `map` is asked for the path of every image, library, font, sound, film, volume and cache, as the
/// scene spells it (as in [`Asset::path`](crate::analysis::Asset::path)), and answers with the path
/// to put in its place, if any. Of a strip of the sequencer it is asked for its first file; only
/// its folder can change, not the file's name. All else stays as it is, byte for byte.
///
/// # Errors
/// [`AnalyseError::PathTooLong`] if a new path doesn't fit where the old one was: Blender reserves a
/// fixed size. `Write` if `dest` fails. Else as [`analyse`](super::analyse). What `dest` got until
/// then is of no use.
pub fn rewrite_paths(
    scene: &Path,
    dest: &mut impl Write,
    map: &dyn Fn(&str) -> Option<String>,
) -> Result<usize, AnalyseError> {
    let plan = Plan::make(scene)?;
    let folders = strip_folders(scene, &plan, map)?;
    let mut copy = Copy {
        reader: BlockReader::new(Input::open(scene)?)?,
        dest,
        plan: &plan,
        folder_texts: HashSet::new(),
        changed: 0,
    };
    copy.header()?;
    while let Some(block) = copy.reader.next_block()? {
        copy.header()?;
        copy.block(&block, map, &folders)?;
    }
    copy.header()?;
    copy.tail()?;
    Ok(copy.changed)
}

/// By the position of the block of a strip's data: its new folder.
fn strip_folders(
    scene: &Path,
    plan: &Plan,
    map: &dyn Fn(&str) -> Option<String>,
) -> Result<HashMap<u64, Vec<u8>>, AnalyseError> {
    let mut reader = BlockReader::new(Input::open(scene)?)?;
    let layout = reader.layout();
    // The data of the strips of one datablock, waiting for their names: by the names' address.
    let mut waiting: HashMap<u64, (u64, Vec<u8>)> = HashMap::new();
    let mut folders = HashMap::new();
    while let Some(block) = reader.next_block()? {
        if &block.code != b"DATA" {
            waiting.clear();
            continue;
        }
        let Some((structure, 1..)) = plan.structure_of(&block) else {
            continue;
        };
        let name = plan.dna.name_of(structure);
        if !matches!(name, "Strip" | "StripData" | "StripElem") {
            continue;
        }
        let mut bytes = vec![0; structure.size];
        reader.read_exact(&mut bytes)?;
        let record = Record { dna: &plan.dna, structure, bytes: &bytes, layout };
        if name == "StripElem" {
            let Some((position, folder)) = waiting.remove(&block.address) else {
                continue;
            };
            let file = record.text("name").unwrap_or_default();
            let old = locate::text(&path_fields::join(&folder, file));
            if let Some(new) = map(&old) {
                let cut = new.rfind(['/', '\\']).map_or(0, |slash| slash + 1);
                if new.as_bytes()[cut..] == *file {
                    folders.insert(position, new.as_bytes()[..cut].to_vec());
                }
            }
        } else if let (Some(folder), Some(names)) =
            (record.text(path_fields::STRIP_FOLDER), record.pointer("stripdata"))
        {
            waiting.insert(names, (block.position, folder.to_vec()));
        }
    }
    Ok(folders)
}

struct Copy<'a, W> {
    reader: BlockReader,
    dest: &'a mut W,
    plan: &'a Plan,
    /// Where texts with paths of folders will be, of the datablock that is copied.
    folder_texts: HashSet<u64>,
    changed: usize,
}

impl<W: Write> Copy<'_, W> {
    /// Writes the header that was just read.
    fn header(&mut self) -> Result<(), AnalyseError> {
        self.dest.write_all(self.reader.header_bytes()).map_err(AnalyseError::Write)
    }

    fn block(
        &mut self,
        block: &Block,
        map: &dyn Fn(&str) -> Option<String>,
        folders: &HashMap<u64, Vec<u8>>,
    ) -> Result<(), AnalyseError> {
        if block.is_id() {
            self.folder_texts.clear();
        }
        let is_text = &block.code == b"DATA" && block.structure == LOOSE;
        if is_text && self.folder_texts.contains(&block.address) {
            self.folder_text(block, map)?;
        } else if (block.is_id() || &block.code == b"DATA")
            && let Some((structure, count)) = self.plan.structure_of(block)
        {
            let name = self.plan.dna.name_of(structure);
            let field = path_fields::of_struct(name);
            let folder = folders.get(&block.position);
            let names_texts = path_fields::NAME_TEXTS.contains(&name);
            if field.is_some() || folder.is_some() || names_texts {
                let mut bytes = vec![0; structure.size];
                for _ in 0..count {
                    self.reader.read_exact(&mut bytes)?;
                    if let Some(field) = field {
                        self.replace_path(structure, &mut bytes, field, map)?;
                    } else if let Some(folder) = folder {
                        self.put(structure, path_fields::STRIP_FOLDER, &mut bytes, folder)?;
                    } else if self.folder_texts.len() < MAX_TEXTS {
                        let record = self.plan.record(structure, &bytes);
                        self.folder_texts.extend(path_fields::folder_texts(&record));
                    }
                    self.dest.write_all(&bytes).map_err(AnalyseError::Write)?;
                }
            }
        }
        let mut buffer = [0; 64 * 1024];
        while self.reader.left() > 0 {
            let piece = buffer.len().min(usize::try_from(self.reader.left()).unwrap_or(usize::MAX));
            self.reader.read_exact(&mut buffer[..piece])?;
            self.dest.write_all(&buffer[..piece]).map_err(AnalyseError::Write)?;
        }
        Ok(())
    }

    fn replace_path(
        &mut self,
        structure: &Structure,
        bytes: &mut [u8],
        field: &path_fields::PathField,
        map: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), AnalyseError> {
        let record = Record { dna: &self.plan.dna, structure, bytes, layout: self.reader.layout() };
        let Some((place, old)) = field.find(&record) else {
            return Ok(());
        };
        if old.is_empty() || !field.may_be_path(old) {
            return Ok(());
        }
        match map(&locate::text(old)) {
            Some(new) => self.put(structure, &place.name, bytes, new.as_bytes()),
            None => Ok(()),
        }
    }

    /// Copies a text that is all of a block.
    fn folder_text(
        &mut self,
        block: &Block,
        map: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), AnalyseError> {
        if block.length > path_fields::MAX_FOLDER_TEXT {
            return Ok(());
        }
        let mut bytes = vec![0; usize::try_from(block.length).unwrap_or(0)];
        self.reader.read_exact(&mut bytes)?;
        let old = until_nul(&bytes);
        let new = Some(locate::text(old)).filter(|old| !old.is_empty()).and_then(|old| map(&old));
        if let Some(new) = new {
            self.fill(&mut bytes, new.as_bytes())?;
        }
        self.dest.write_all(&bytes).map_err(AnalyseError::Write)
    }

    /// Puts a text into a field of char, followed by NULs.
    fn put(
        &mut self,
        structure: &Structure,
        field: &str,
        bytes: &mut [u8],
        text: &[u8],
    ) -> Result<(), AnalyseError> {
        let Some(place) = self.plan.dna.field(structure, field) else {
            return Ok(());
        };
        let Some(room) = bytes.get_mut(place.offset..place.offset + place.size) else {
            return Ok(());
        };
        self.fill(room, text)
    }

    /// Fills the room of a text with another one.
    fn fill(&mut self, room: &mut [u8], text: &[u8]) -> Result<(), AnalyseError> {
        if text.len() >= room.len() {
            return Err(AnalyseError::PathTooLong {
                path: locate::text(text),
                limit: room.len().saturating_sub(1),
            });
        }
        if until_nul(room) != text {
            room.fill(0);
            room[..text.len()].copy_from_slice(text);
            self.changed += 1;
        }
        Ok(())
    }

    /// Copies what follows the end marker's code.
    fn tail(&mut self) -> Result<(), AnalyseError> {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.reader.read_tail(&mut buffer)? {
                0 => return Ok(()),
                count => self.dest.write_all(&buffer[..count]).map_err(AnalyseError::Write)?,
            }
        }
    }
}
