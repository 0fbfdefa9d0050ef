//! Reading a `.blend` file into its [`Contents`], in two passes over the file.
//!
//! The first pass finds the DNA, which comes last, and the addresses of all datablocks. The second
//! one keeps of each datablock only what is asked for, so that a file of any size takes little
//! memory: vertices and pixels are passed over.
//!
//! What a datablock needs is found by its pointers. Data in structs is followed by the types in the
//! DNA; data without a type (arrays of pointers, mostly) is taken for pointers wherever a word equals
//! the address of a datablock. That finds too much now and then, and never too little.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use crate::analysis::AnalyseError;

use super::block::{Block, BlockReader};
use super::contents::{Contents, Id, IdKind};
use super::dna::{Dna, Pointer, Structure};
use super::group::Group;
use super::input::Input;
use super::layers::Shown;
use super::number::Layout;
use super::record::Record;
use super::settings;

/// The longest DNA block, in bytes; Blender's own have 50 to 200 KiB.
const MAX_DNA: u64 = 4 << 20;
/// The most datablocks of one file.
const MAX_IDS: usize = 2_000_000;
/// The most paths, strips and links that are kept of one file.
const MAX_KEPT: usize = 20_000_000;
/// The longest data without a type that is searched for pointers, in bytes. The longest arrays of
/// datablocks are those of materials, at most 32767.
const MAX_LOOSE: u64 = 1 << 20;
/// Blocks with this struct number are data without a type.
pub(super) const LOOSE: u32 = 0;

/// Structs that point at datablocks which the tools in the interface use, and the render doesn't.
const TOOL_STRUCTS: &[&str] = &[
    "ToolSettings",
    "Paint",
    "Sculpt",
    "VPaint",
    "UvSculpt",
    "GpPaint",
    "GpVertexPaint",
    "GpSculptPaint",
    "GpWeightPaint",
    "CurvesSculpt",
    "PaintToolSlot",
    "Paint_ToolSlot",
];

/// Reads a file's datablocks.
pub(super) fn read(path: &Path) -> Result<Contents, AnalyseError> {
    let plan = Plan::make(path)?;
    let mut reader = BlockReader::new(Input::open(path)?)?;
    let mut pass = Pass {
        contents: Contents {
            path: path.to_path_buf(),
            version: reader.version(),
            ids: Vec::new(),
            by_address: HashMap::new(),
            by_name: HashMap::new(),
            passing: HashMap::new(),
            active_scene: 0,
            sequences_animated: false,
            mutes_animated: false,
        },
        group: None,
        library: None,
        kept: 0,
        shown: Shown::default(),
        followed: HashMap::new(),
        plan: &plan,
    };
    while let Some(block) = reader.next_block()? {
        pass.block(&block, &mut reader)?;
    }
    pass.end_group()?;
    let mut contents = pass.contents;
    for address in pass.shown.left_out() {
        let id = plan.datablock_at(*address).and_then(|index| contents.ids.get_mut(index as usize));
        if let Some(id) = id {
            id.hidden = true;
        }
    }
    contents.by_address = plan.by_address;
    Ok(contents)
}

/// What the first pass finds out.
pub(super) struct Plan {
    pub(super) dna: Dna,
    layout: Layout,
    /// From the addresses of datablocks to their place in the file's order.
    by_address: HashMap<u64, u32>,
    /// The lowest and highest of these addresses.
    span: (u64, u64),
    /// Whether what is in a scene is in its collections, as from 2.80 on, and not in a list of its own.
    has_collections: bool,
}

impl Plan {
    /// Goes through a file once.
    pub(super) fn make(path: &Path) -> Result<Self, AnalyseError> {
        let mut reader = BlockReader::new(Input::open(path)?)?;
        let layout = reader.layout();
        let mut dna = None;
        let mut by_address = HashMap::new();
        let mut count = 0u32;
        let mut span = (u64::MAX, 0);
        let mut end = 0;
        while let Some(block) = reader.next_block()? {
            end = block.position.saturating_add(block.length);
            if &block.code == b"DNA1" {
                if block.length > MAX_DNA {
                    return Err(AnalyseError::TooLarge(format!(
                        "the description of its structure takes {} bytes, more than {MAX_DNA}",
                        block.length
                    )));
                }
                let mut bytes = vec![0; usize::try_from(block.length).unwrap_or(0)];
                reader.read_exact(&mut bytes)?;
                dna = Some(Dna::parse(&bytes, block.position, layout)?);
            } else if block.is_id() {
                if count as usize >= MAX_IDS {
                    return Err(AnalyseError::TooLarge(format!(
                        "it has more than {MAX_IDS} datablocks"
                    )));
                }
                if block.address != 0 {
                    by_address.entry(block.address).or_insert(count);
                    span = (span.0.min(block.address), span.1.max(block.address));
                }
                count += 1;
            }
        }
        let dna = dna.ok_or_else(|| {
            AnalyseError::corrupt(end, "the description of the file's structure (DNA) is missing")
        })?;
        let has_collections = dna.knows("CollectionObject");
        Ok(Self { dna, layout, by_address, span, has_collections })
    }

    fn datablock_at(&self, address: u64) -> Option<u32> {
        if address < self.span.0 || address > self.span.1 {
            return None;
        }
        self.by_address.get(&address).copied()
    }

    /// One struct's bytes, to be read by the names of its fields.
    pub(super) fn record<'a>(&'a self, structure: &'a Structure, bytes: &'a [u8]) -> Record<'a> {
        Record { dna: &self.dna, structure, bytes, layout: self.layout }
    }

    /// The struct that a block is an array of, and how many of them are there.
    pub(super) fn structure_of(&self, block: &Block) -> Option<(&Structure, u64)> {
        let structure = self.dna.structure(block.structure)?;
        let size = u64::try_from(structure.size).ok().filter(|&size| size > 0)?;
        Some((structure, block.count.min(block.length / size)))
    }
}

/// The second pass under way.
struct Pass<'a> {
    plan: &'a Plan,
    contents: Contents,
    /// The datablock being read.
    group: Option<Group>,
    /// The last library, which what is linked belongs to: an index in `contents.ids`.
    library: Option<u32>,
    /// How much is kept so far.
    kept: usize,
    /// What the view layers of the scenes so far show.
    shown: Shown,
    /// By struct number: the pointers to follow in it.
    followed: HashMap<u32, Rc<[Pointer]>>,
}

impl Pass<'_> {
    fn block(&mut self, block: &Block, reader: &mut BlockReader) -> Result<(), AnalyseError> {
        if block.is_id() {
            self.end_group()?;
            self.structs(block, reader, true)
        } else if &block.code == b"DATA" {
            match &self.group {
                None => Ok(()),
                Some(_) if block.structure == LOOSE => self.loose(block, reader),
                Some(_) => self.structs(block, reader, false),
            }
        } else {
            self.end_group()?;
            if &block.code == b"GLOB" {
                self.globals(block, reader)?;
            }
            Ok(())
        }
    }

    /// Reads a block of structs, one at a time.
    fn structs(
        &mut self,
        block: &Block,
        reader: &mut BlockReader,
        is_id: bool,
    ) -> Result<(), AnalyseError> {
        let plan = self.plan;
        let Some((structure, count)) = plan.structure_of(block) else {
            if is_id {
                return Err(AnalyseError::corrupt(
                    block.position,
                    "a datablock is of a kind that the file does not describe",
                ));
            }
            return Ok(());
        };
        let name = plan.dna.name_of(structure);
        if !is_id && TOOL_STRUCTS.contains(&name) {
            return Ok(());
        }
        let pointers = self.pointers(block.structure, structure);
        // Nearly everything has custom properties, and those of scenes are looked at.
        let is_property = name == "IDProperty" && self.group.as_ref().is_some_and(Group::is_scene);
        if !is_id && pointers.is_empty() && !is_of_interest(name) && !is_property {
            return Ok(());
        }
        let count = if is_id { count.min(1) } else { count };
        if is_id && count == 0 {
            return Err(AnalyseError::corrupt(block.position, "a datablock has no contents"));
        }
        let mut bytes = vec![0; structure.size];
        for _ in 0..count {
            reader.read_exact(&mut bytes)?;
            let record = Record { dna: &plan.dna, structure, bytes: &bytes, layout: plan.layout };
            let before = self.group.as_ref().map_or(0, Group::size);
            if is_id {
                self.group = Some(Group::new(&record, is_link(block)));
            }
            let Some(group) = &mut self.group else {
                return Ok(());
            };
            if !is_id {
                group.data(&record, block.address);
            }
            for pointer in pointers.iter() {
                let address = bytes.get(pointer.offset..).and_then(|at| plan.layout.pointer(at));
                if let Some(other) = address.and_then(|address| plan.datablock_at(address)) {
                    match name {
                        "CollectionObject" | "CollectionChild" => group.has_member(other),
                        "Base" if !plan.has_collections => group.has_member(other),
                        // What is in a view layer is in the scene's collections.
                        "Base" => {}
                        // A scene's own nodes are its compositor's.
                        "bNode" if group.is_scene() => group.compositor_needs(other),
                        "Scene" if address == record.pointer(settings::COMPOSITOR) => {
                            group.compositor_needs(other);
                        }
                        "Sequence" | "Strip" => group.strips_need(other),
                        _ => group.needs(other),
                    }
                }
            }
            let grown = group.size().saturating_sub(before);
            self.keep(grown)?;
        }
        Ok(())
    }

    /// Searches data without a type.
    fn loose(&mut self, block: &Block, reader: &mut BlockReader) -> Result<(), AnalyseError> {
        let plan = self.plan;
        if block.length > MAX_LOOSE {
            return Ok(());
        }
        let Some(group) = &mut self.group else {
            return Ok(());
        };
        let before = group.size();
        let mut bytes = vec![0; usize::try_from(block.length).unwrap_or(0)];
        reader.read_exact(&mut bytes)?;
        if group.wants_text(block.address, block.length) {
            group.text(block.address, &bytes);
        }
        for word in bytes.chunks_exact(plan.layout.pointer.bytes()) {
            let address = plan.layout.pointer(word);
            if let Some(other) = address.and_then(|address| plan.datablock_at(address)) {
                group.needs(other);
            }
        }
        let grown = group.size().saturating_sub(before);
        self.keep(grown)
    }

    fn globals(&mut self, block: &Block, reader: &mut BlockReader) -> Result<(), AnalyseError> {
        let Some((structure, 1..)) = self.plan.structure_of(block) else {
            return Ok(());
        };
        let mut bytes = vec![0; structure.size];
        reader.read_exact(&mut bytes)?;
        let (dna, layout) = (&self.plan.dna, self.plan.layout);
        let record = Record { dna, structure, bytes: &bytes, layout };
        self.contents.active_scene = record.pointer("curscene").unwrap_or(0);
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), AnalyseError> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        let library_address = group.library_address;
        group.layers.finish(&mut self.shown);
        self.contents.sequences_animated |= group.animates_sequences;
        self.contents.mutes_animated |= group.animates_mutes;
        let mut id: Id = group.finish(self.contents.version);
        let index = u32::try_from(self.contents.ids.len()).unwrap_or(u32::MAX);
        let names = match &mut id.kind {
            IdKind::Library { .. } => {
                self.library = Some(index);
                None
            }
            IdKind::Linked { library } => {
                // Readers go by the order of blocks; old files also say it in the datablock.
                *library = self.library.or_else(|| self.plan.datablock_at(library_address));
                Some(&mut self.contents.passing)
            }
            _ if library_address != 0 => {
                id.home = self.plan.datablock_at(library_address);
                Some(&mut self.contents.passing)
            }
            _ => Some(&mut self.contents.by_name),
        };
        if let Some(names) = names {
            names.entry(id.name.clone()).or_insert(index);
        }
        self.contents.ids.push(id);
        Ok(())
    }

    fn keep(&mut self, more: usize) -> Result<(), AnalyseError> {
        self.kept = self.kept.saturating_add(more);
        if self.kept > MAX_KEPT {
            return Err(AnalyseError::TooLarge(format!(
                "it has more than {MAX_KEPT} links between its parts"
            )));
        }
        Ok(())
    }

    /// The pointers of a struct that may lead to datablocks, and mean that these are needed.
    fn pointers(&mut self, number: u32, structure: &Structure) -> Rc<[Pointer]> {
        if let Some(known) = self.followed.get(&number) {
            return known.clone();
        }
        let dna = &self.plan.dna;
        let mut pointers = dna.pointers(structure, &is_no_need);
        pointers.retain(|pointer| {
            dna.structure_of_type(pointer.target).is_none_or(|target| dna.is_id(target))
        });
        let pointers: Rc<[Pointer]> = pointers.into();
        self.followed.insert(number, pointers.clone());
        pointers
    }
}

/// Whether a block only stands for a datablock of a library.
fn is_link(block: &Block) -> bool {
    block.id_code() == Some(*b"ID")
}

/// Pointers that link datablocks into lists, or lead from a copy to what it was made from.
fn is_no_need(structure: &str, field: &str) -> bool {
    structure == "ID" && matches!(field, "next" | "prev" | "newid" | "orig_id")
        || structure == "Library" && field == "archive_parent_library"
        // Where the scene was at when it was drawn last.
        || structure == "ImageUser" && field == "scene"
        // Tells how the scene's collections are shown in a view layer.
        || structure == "LayerCollection"
        // Pictures behind a camera are seen in the interface only.
        || structure == "CameraBGImage"
        || TOOL_STRUCTS.contains(&structure)
}

/// Structs that [`Group::data`] takes something from though they may point at no datablock.
fn is_of_interest(name: &str) -> bool {
    matches!(
        name,
        "ImageTile"
            | "SceneRenderLayer"
            | "SceneRenderView"
            | "ViewLayer"
            | "LayerCollection"
            | "TimeMarker"
            | "Sequence"
            | "Strip"
            | "StripData"
            | "StripElem"
            | "Editing"
            | "MetaStack"
            | "SeqTimelineChannel"
            | "NodesModifierData"
            | "NodesModifierBake"
            | "NodeTexImage"
            | "NodeTexEnvironment"
            | "ImageUser"
            | "FCurve"
            | "bNodeSocket"
    ) || super::simulations::STRUCTS.contains(&name)
        || super::path_fields::of_struct(name).is_some()
}
