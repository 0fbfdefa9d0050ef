//! Where in a `.blend` file paths are: which field of which struct.

use crate::analysis::AssetKind;

use super::dna::Field;
use super::record::Record;

/// A struct that holds a path.
pub(super) struct PathField {
    structure: &'static str,
    /// The names that the field has had; the first that a file knows is the one.
    fields: &'static [&'static str],
    /// What the path leads to, unless other fields say more.
    pub(super) kind: AssetKind,
}

/// Every struct with a path in a fixed array. Names that changed in Blender's own code mostly stay
/// as they were in files (`dna_rename_defs.h`); both are listed. A library of 2.5 to 4.x has both:
/// there `name` is what was typed, `filepath` where the writer found it.
const PATH_FIELDS: &[PathField] = &[
    path("Image", &["filepath", "name"], AssetKind::Image),
    path("Library", &["name", "filepath"], AssetKind::Library),
    // One view each, where an image has several.
    path("ImageView", &["filepath"], AssetKind::Image),
    path("VFont", &["filepath", "name"], AssetKind::Font),
    path("bSound", &["filepath", "name"], AssetKind::Sound),
    path("MovieClip", &["filepath", "name"], AssetKind::Movie),
    path("Volume", &["filepath"], AssetKind::Volume),
    path("CacheFile", &["filepath"], AssetKind::Cache),
    // Laid over the cache's own file.
    path("CacheFileLayer", &["filepath"], AssetKind::Cache),
    path("MeshCacheModifierData", &["filepath"], AssetKind::Cache),
    path("NodeShaderTexIES", &["filepath"], AssetKind::Ies),
    path("NodeShaderScript", &["filepath"], AssetKind::Other),
    // What a multiresolution mesh has outside the scene.
    path("CustomDataExternal", &["filepath", "filename"], AssetKind::Cache),
    path("OceanModifierData", &["cachepath"], AssetKind::Cache),
    path("PointCache", &["path"], AssetKind::Cache),
    path("FluidDomainSettings", &["cache_directory"], AssetKind::Cache),
    // Any text of a node's; of those only the paths of nodes that import files are taken for paths.
    path(NODES_TEXT, &["value"], AssetKind::Other),
];

const NODES_TEXT: &str = "bNodeSocketValueString";

const fn path(
    structure: &'static str,
    fields: &'static [&'static str],
    kind: AssetKind,
) -> PathField {
    PathField { structure, fields, kind }
}

/// The entry for a struct, if it holds a path.
pub(super) fn of_struct(name: &str) -> Option<&'static PathField> {
    PATH_FIELDS.iter().find(|entry| entry.structure == name)
}

impl PathField {
    /// Whether a text in it may be a path: a node's that counts from nowhere is a word, to be shown perhaps.
    pub(super) fn may_be_path(&self, text: &[u8]) -> bool {
        let rooted =
            text.starts_with(b"/") || text.starts_with(b"\\") || text.get(1) == Some(&b':');
        rooted || self.structure != NODES_TEXT
    }

    /// The field that holds the path, and the path.
    pub(super) fn find<'a>(&self, record: &Record<'a>) -> Option<(Field, &'a [u8])> {
        self.fields.iter().find_map(|name| {
            let path = record.text(name)?;
            Some((record.dna.field(record.structure, name)?, path))
        })
    }
}

/// The structs that point at such texts as [`folder_texts`] finds.
pub(super) const NAME_TEXTS: &[&str] = &["NodesModifierData", "NodesModifierBake"];

/// The addresses of the texts, data without a type, in which a struct has paths of folders.
pub(super) fn folder_texts(record: &Record<'_>) -> impl Iterator<Item = u64> {
    let fields: &[&str] = match record.name() {
        "NodesModifierData" => &["bake_directory", "simulation_bake_directory"],
        "NodesModifierBake" => &["directory"],
        _ => &[],
    };
    fields.iter().filter_map(|field| record.pointer(field).filter(|address| *address != 0))
}

/// The longest path that is taken from such data, in bytes; Blender's own limit is 1024.
pub(super) const MAX_FOLDER_TEXT: u64 = 4096;

/// The field with the folder of a strip of the sequencer. The names in it are in `StripElem`s.
pub(super) const STRIP_FOLDER: &str = "dir";

/// A folder and a name in it, as one path.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = folder.to_vec();
    if !path.is_empty() && !path.ends_with(b"/") && !path.ends_with(b"\\") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
