//! One datablock while it is being read: its own block, then those of the data that belongs to it.

use std::collections::{HashMap, HashSet};

use crate::analysis::AssetKind;

use super::block::Version;
use super::contents::{Family, FileUse, Id, IdKind, ImagePlay, Numbering, SceneSettings};
use super::imports::Imports;
use super::layers::Layers;
use super::path_fields::{self, PathField};
use super::properties::Properties;
use super::record::{Record, until_nul};
use super::simulations::Simulations;
use super::strips::Strips;
use super::{plays, settings};

// Object.type of a camera (OB_CAMERA in DNA_object_types.h).
const OB_CAMERA: i64 = 11;
// Image.source (IMA_SRC_* in DNA_image_types.h); 0 in files before 2.43 is a plain file.
const SOURCE_SEQUENCE: i64 = 2;
const SOURCE_MOVIE: i64 = 3;
const SOURCE_GENERATED: i64 = 4;
const SOURCE_VIEWER: i64 = 5;
const SOURCE_TILED: i64 = 6;
// MovieClip.source (MCLIP_SRC_SEQUENCE in DNA_movieclip_types.h).
const CLIP_SEQUENCE: i64 = 1;
// Text.flags: registered to run on load (TXT_ISSCRIPT in DNA_text_types.h).
const TEXT_IS_SCRIPT: i64 = 1 << 4;
// NodeShaderTexIES.mode and NodeShaderScript.mode: from a file (NODE_*_EXTERNAL).
const NODE_EXTERNAL: i64 = 1;

// PointCache.flag: kept in files, not in the scene; and in a folder of the user's choice
// (PTCACHE_* in DNA_pointcache_types.h).
const CACHE_ON_DISK: i64 = 1 << 6;
pub(super) const CACHE_EXTERNAL: i64 = 1 << 9;
// CacheFileLayer.flag: not laid over the others (CACHEFILE_LAYER_HIDDEN in DNA_cachefile_types.h).
const LAYER_HIDDEN: i64 = 1;

// Object.restrictflag (since 2.80 visibility_flag) and Collection.flag: not in renders (OB_HIDE_RENDER and
// COLLECTION_HIDE_RENDER in DNA_object_types.h and DNA_collection_types.h).
const OBJECT_HIDDEN: i64 = 1 << 2;
const COLLECTION_HIDDEN: i64 = 1 << 3;

/// Gathers what is to be known about one datablock.
pub(super) struct Group {
    id: Id,
    /// The address of the library, where the datablock itself says so.
    pub(super) library_address: u64,
    needs: HashSet<u32>,
    compositor_needs: HashSet<u32>,
    members: HashSet<u32>,
    tiles: Vec<u32>,
    /// Whether `files[0]` stands for tiles that are yet to come.
    tiled: bool,
    strips: Strips,
    pub(super) layers: Layers,
    /// Where loose texts with paths of folders will be.
    folder_texts: HashSet<u64>,
    /// Where loose texts will be that say what an animation curve moves.
    curve_texts: HashSet<u64>,
    /// Whether one of them moves a sequence, or mutes a strip.
    pub(super) animates_sequences: bool,
    pub(super) animates_mutes: bool,
    /// Nodes that use a datablock: its address, and that of the node's own settings.
    nodes: Vec<(u64, u64)>,
    /// From the addresses of nodes' settings to how they play a sequence.
    node_plays: HashMap<u64, ImagePlay>,
    simulations: Simulations,
    /// Those of a scene.
    properties: Properties,
    imports: Imports,
}

impl Group {
    /// Begins with the datablock's own struct.
    pub(super) fn new(record: &Record<'_>, linked: bool) -> Self {
        let name = record.text("id.name").or_else(|| record.text("name")).unwrap_or_default();
        let mut group = Self {
            id: Id {
                name: name.to_vec(),
                kind: IdKind::Other,
                home: None,
                needs: Vec::new(),
                compositor_needs: Vec::new(),
                strips_need: Vec::new(),
                muted_need: Vec::new(),
                members: Vec::new(),
                hidden: is_hidden(record),
                files: Vec::new(),
                strip_files: Vec::new(),
                plays: Vec::new(),
                layers: Vec::new(),
                scene_strips: Vec::new(),
                has_disk_cache: false,
                simulations: None,
            },
            library_address: record
                .pointer("id.lib")
                .or_else(|| record.pointer("lib"))
                .unwrap_or(0),
            needs: HashSet::new(),
            compositor_needs: HashSet::new(),
            members: HashSet::new(),
            tiles: Vec::new(),
            tiled: false,
            strips: Strips::default(),
            layers: Layers::default(),
            folder_texts: HashSet::new(),
            curve_texts: HashSet::new(),
            animates_sequences: false,
            animates_mutes: false,
            nodes: Vec::new(),
            node_plays: HashMap::new(),
            simulations: Simulations::default(),
            properties: Properties::default(),
            imports: Imports::default(),
        };
        if linked {
            group.id.kind = IdKind::Linked { library: None };
            return group;
        }
        group.simulations.take(record, 0);
        match record.name() {
            "Scene" => {
                group.id.kind = IdKind::Scene(Box::new(settings::read(record)));
                group.properties = Properties::of_scene(record);
            }
            "Object" if record.int("type") == Some(OB_CAMERA) => {
                group.id.kind = IdKind::CameraObject;
            }
            "Text" if record.int("flags").is_some_and(|flags| flags & TEXT_IS_SCRIPT != 0) => {
                group.id.kind = IdKind::StartupScript;
            }
            "Library" => {
                let path = path_fields::of_struct("Library").and_then(|field| field.find(record));
                let path = path.map(|(_, path)| path.to_vec()).unwrap_or_default();
                group.id.kind = IdKind::Library { path, packed: is_packed(record) };
            }
            "Tex" => {
                if let (Some(image), Some(play)) =
                    (record.pointer("ima"), plays::of_image_user(record, "iuser."))
                {
                    group.id.plays.push((image, play));
                }
            }
            _ => {}
        }
        group.path_of(record);
        group
    }

    /// Adds a struct of data that belongs to the datablock and lay at `address`.
    pub(super) fn data(&mut self, record: &Record<'_>, address: u64) {
        self.simulations.take(record, address);
        if self.is_scene() {
            self.id.scene_strips.extend(self.strips.take(record, address));
        }
        match record.name() {
            "LayerCollection" => self.layers.take(record, address),
            "IDProperty" => self.properties.take(record, address),
            "bNodeSocket" => self.imports.socket(record, address),
            "bNodeSocketValueString" => {
                self.id.files.extend(self.imports.value(record, address));
            }
            "ImageTile" => {
                let number =
                    record.int("tile_number").and_then(|number| u32::try_from(number).ok());
                self.tiles.extend(number);
            }
            "SceneRenderLayer" | "ViewLayer" => {
                self.properties.add_layer(record);
                if let (IdKind::Scene(settings), Some(name)) =
                    (&mut self.id.kind, record.text("name"))
                {
                    settings.view_layers.push(String::from_utf8_lossy(name).into_owned());
                }
            }
            "SceneRenderView" => {
                if let IdKind::Scene(settings) = &mut self.id.kind {
                    settings.views.take(record);
                }
            }
            "TimeMarker" => {
                if let (IdKind::Scene(settings), Some(camera)) =
                    (&mut self.id.kind, record.pointer("camera"))
                    && camera != 0
                {
                    settings.cameras.push(camera);
                }
            }
            "NodesModifierData" | "NodesModifierBake" => {
                self.folder_texts.extend(path_fields::folder_texts(record));
            }
            "PointCache" => {
                let flags = record.int("flag").unwrap_or(0);
                if flags & CACHE_EXTERNAL != 0 {
                    self.path_of(record);
                } else if flags & CACHE_ON_DISK != 0 {
                    self.id.has_disk_cache = true;
                }
            }
            "bNode" => {
                self.imports.node(record);
                self.id.layers.extend(settings::rendered_by(record));
                if let (Some(id @ 1..), Some(storage @ 1..)) =
                    (record.pointer("id"), record.pointer("storage"))
                {
                    self.nodes.push((id, storage));
                }
            }
            "NodeTexImage" | "NodeTexEnvironment" => {
                let play = plays::of_image_user(record, "iuser.");
                self.node_plays.extend(play.map(|play| (address, play)));
            }
            "ImageUser" => {
                let play = plays::of_image_user(record, "");
                self.node_plays.extend(play.map(|play| (address, play)));
            }
            "FCurve" => self.curve_texts.extend(record.pointer("rna_path")),
            "ImageView" => self.view_of_image(record),
            _ => self.path_of(record),
        }
    }

    /// Whether the loose data at `address` may be a path.
    pub(super) fn wants_text(&self, address: u64, length: u64) -> bool {
        address != 0
            && length <= path_fields::MAX_FOLDER_TEXT
            && (self.folder_texts.contains(&address) || self.curve_texts.contains(&address))
    }

    /// Takes a path from the loose data at `address`.
    pub(super) fn text(&mut self, address: u64, bytes: &[u8]) {
        if self.curve_texts.contains(&address) {
            self.animates_sequences |= plays::is_moved_by(until_nul(bytes));
            self.animates_mutes |= plays::is_muted_by(until_nul(bytes));
        } else {
            self.add(until_nul(bytes), AssetKind::Cache, Family::Folder);
        }
    }

    /// Notes that the datablock points at another.
    pub(super) fn needs(&mut self, other: u32) {
        self.needs.insert(other);
    }

    /// The same of a scene, for its compositor.
    pub(super) fn compositor_needs(&mut self, other: u32) {
        self.compositor_needs.insert(other);
    }

    /// The same, for the strip of its sequencer that was added last.
    pub(super) fn strips_need(&mut self, other: u32) {
        self.strips.needs(other);
    }

    /// Notes that another datablock is in this one, a collection or a scene.
    pub(super) fn has_member(&mut self, other: u32) {
        self.members.insert(other);
    }

    /// How many things are held, to bound a file that has too many.
    pub(super) fn size(&self) -> usize {
        self.needs.len()
            + self.compositor_needs.len()
            + self.members.len()
            + self.id.files.len()
            + self.id.layers.len()
            + self.id.scene_strips.len()
            + self.tiles.len()
            + self.strips.size()
            + self.layers.len()
            + self.folder_texts.len()
            + self.curve_texts.len()
            + self.nodes.len()
            + self.node_plays.len()
            + self.simulations.size()
            + self.properties.len()
            + self.imports.size()
    }

    /// Whether the datablock is a scene.
    pub(super) fn is_scene(&self) -> bool {
        matches!(self.id.kind, IdKind::Scene(_))
    }

    /// The datablock of a file of this version, once all its data has been seen.
    pub(super) fn finish(mut self, version: Version) -> Id {
        if self.tiled
            && let Some(file) = self.id.files.first_mut()
        {
            self.tiles.sort_unstable();
            self.tiles.dedup();
            if self.tiles.is_empty() {
                self.tiles.push(1001);
            }
            file.family = Family::Tiles(self.tiles);
        }
        if let IdKind::Scene(settings) = &mut self.id.kind {
            let mut known = HashSet::new();
            settings.cameras.retain(|camera| known.insert(*camera));
            settings.strips = !self.strips.is_empty();
            settings.time_moved |= self.strips.play_scenes();
            settings.denoising = self.properties.denoises(version.0);
        }
        let strips = self.strips.finish();
        self.id.strip_files = strips.files;
        self.id.strips_need = sorted(strips.datablocks);
        self.id.muted_need = sorted(strips.muted);
        for (image, storage) in &self.nodes {
            let play = self.node_plays.get(storage);
            self.id.plays.extend(play.map(|&play| (*image, play)));
        }
        self.id.simulations = self.simulations.if_any();
        self.id.needs = sorted(self.needs);
        self.id.compositor_needs = sorted(self.compositor_needs);
        self.id.members = sorted(self.members);
        self.id
    }

    fn add(&mut self, path: &[u8], kind: AssetKind, family: Family) {
        if !path.is_empty() {
            // No picture shows a sound, and a film isn't made frame by frame.
            let optional = kind == AssetKind::Sound;
            self.id.files.push(FileUse { path: path.to_vec(), kind, family, optional });
        }
    }

    /// Takes the path that a struct holds, if it is of a kind that holds one and means it.
    fn path_of(&mut self, record: &Record<'_>) {
        let Some(field) = path_fields::of_struct(record.name()) else {
            return;
        };
        let Some((_, path)) = field.find(record) else {
            return;
        };
        let (kind, family) = match self.meaning(field, record, path) {
            Some(meaning) => meaning,
            None => return,
        };
        self.add(path, kind, family);
    }

    /// Takes a view of an image, which is what the image is: one file, or a sequence.
    fn view_of_image(&mut self, record: &Record<'_>) {
        let field = path_fields::of_struct(record.name());
        let Some((_, path)) = field.and_then(|field| field.find(record)) else { return };
        // An image without a file of its own is inside the scene, with its views, or is made.
        let Some(FileUse { path: own, kind, family, .. }) = self.id.files.first().cloned() else {
            return;
        };
        if own != path {
            self.add(path, kind, family);
        }
    }

    fn meaning(
        &mut self,
        field: &PathField,
        record: &Record<'_>,
        path: &[u8],
    ) -> Option<(AssetKind, Family)> {
        if is_packed(record) {
            return None;
        }
        let external = || record.int("mode") == Some(NODE_EXTERNAL);
        Some(match record.name() {
            "Image" => match record.int("source").unwrap_or_default() {
                SOURCE_GENERATED | SOURCE_VIEWER => return None,
                SOURCE_SEQUENCE => (AssetKind::ImageSequence, Family::Sequence(Numbering::ByUsers)),
                SOURCE_MOVIE => (AssetKind::Movie, Family::Single),
                SOURCE_TILED => {
                    self.tiled = true;
                    (AssetKind::Udim, Family::Single)
                }
                _ => (AssetKind::Image, Family::Single),
            },
            "MovieClip" if record.int("source") == Some(CLIP_SEQUENCE) => {
                (AssetKind::ImageSequence, plays::family(plays::of_clip(record, path)))
            }
            "Volume" => (AssetKind::Volume, plays::family(plays::of_volume(record, path))),
            "CacheFile" => (cache_kind(path), plays::family(plays::of_cache(record, path))),
            "CacheFileLayer" => {
                if record.int("flag").is_some_and(|flag| flag & LAYER_HIDDEN != 0) {
                    return None;
                }
                (cache_kind(path), Family::Single)
            }
            "OceanModifierData" if record.int("cached").unwrap_or(0) == 0 => return None,
            "VFont" if path == b"<builtin>" => return None,
            "NodeShaderTexIES" | "NodeShaderScript" if !external() => return None,
            "FluidDomainSettings" | "PointCache" | "OceanModifierData" => {
                (field.kind, Family::Folder)
            }
            _ => (field.kind, Family::Single),
        })
    }
}

fn sorted(set: HashSet<u32>) -> Vec<u32> {
    let mut all: Vec<u32> = set.into_iter().collect();
    all.sort_unstable();
    all
}

/// What a file with geometry of many frames is.
fn cache_kind(path: &[u8]) -> AssetKind {
    let is_alembic = path.to_ascii_lowercase().ends_with(b".abc");
    if is_alembic { AssetKind::Alembic } else { AssetKind::Cache }
}

/// Whether a datablock's file is inside the `.blend`, so that none outside is read.
fn is_packed(record: &Record<'_>) -> bool {
    // From 5.0 on, what was linked can be kept in an archive inside the file.
    ["packedfile", "packedfiles.first", "archive_parent_library"]
        .iter()
        .any(|field| record.pointer(field).is_some_and(|address| address != 0))
}

/// Whether renders don't show an object or a collection, as far as that is for ever: what is animated, and what
/// overrides a library's, may be shown.
fn is_hidden(record: &Record<'_>) -> bool {
    let set = |fields: &[&str], bit: i64| {
        fields.iter().find_map(|field| record.int(field)).is_some_and(|flags| flags & bit != 0)
    };
    let changes = ["adt", "id.override_library", "id.override_static"];
    let changes =
        changes.iter().any(|field| record.pointer(field).is_some_and(|address| address != 0));
    match record.name() {
        "Object" => set(&["restrictflag", "visibility_flag"], OBJECT_HIDDEN) && !changes,
        "Collection" => set(&["flag"], COLLECTION_HIDDEN) && !changes,
        _ => false,
    }
}

/// The settings of a datablock that is a scene.
pub(super) fn scene_settings(id: &Id) -> Option<&SceneSettings> {
    match &id.kind {
        IdKind::Scene(settings) => Some(settings),
        _ => None,
    }
}
