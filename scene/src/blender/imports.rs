//! Geometry nodes that import a file, from Blender 4.5 on.
//!
//! The path is the value that their first socket has while nothing is connected to it, which isn't known
//! here. So the file travels, and may as well be missing.

use std::collections::HashSet;

use crate::analysis::AssetKind;

use super::contents::{Family, FileUse};
use super::record::Record;

/// What their types begin with: `GeometryNodeImportOBJ`, and the like for PLY, STL, CSV, VDB and text.
const NODES: &[u8] = b"GeometryNodeImport";
/// What a path in the socket is called; a text node has other texts beside it.
const SOCKET: &[u8] = b"Path";
/// The most that are looked for in one datablock.
const MAX_SOCKETS: usize = 100_000;

/// Where their paths will be. A node is written before its sockets, and each socket before its value.
#[derive(Default)]
pub(super) struct Imports {
    /// Sockets of such nodes that are to come, and whether each imports a volume.
    sockets: HashSet<(u64, bool)>,
    /// The values of those that hold a path.
    values: HashSet<(u64, bool)>,
}

impl Imports {
    /// Takes a `bNode`.
    pub(super) fn node(&mut self, record: &Record<'_>) {
        let Some(kind) = record.text("idname").and_then(|name| name.strip_prefix(NODES)) else {
            return;
        };
        self.await_socket(record.pointer("inputs.first"), kind == b"VDB");
    }

    fn await_socket(&mut self, address: Option<u64>, volume: bool) {
        if let Some(address @ 1..) = address
            && self.sockets.len() < MAX_SOCKETS
        {
            self.sockets.insert((address, volume));
        }
    }

    /// Takes a `bNodeSocket` that lay at `address`.
    pub(super) fn socket(&mut self, record: &Record<'_>, address: u64) {
        for volume in [false, true] {
            if self.sockets.remove(&(address, volume)) {
                self.await_socket(record.pointer("next"), volume);
                if record.text("identifier") == Some(SOCKET)
                    && let Some(value @ 1..) = record.pointer("default_value")
                {
                    self.values.insert((value, volume));
                }
            }
        }
    }

    /// Takes a `bNodeSocketValueString` that lay at `address`.
    pub(super) fn value(&mut self, record: &Record<'_>, address: u64) -> Option<FileUse> {
        let volume =
            [false, true].into_iter().find(|&kind| self.values.remove(&(address, kind)))?;
        let path = record.text("value").filter(|path| !path.is_empty())?;
        Some(FileUse {
            path: path.to_vec(),
            kind: if volume { AssetKind::Volume } else { AssetKind::Other },
            family: Family::Single,
            optional: true,
        })
    }

    /// How many things are held, to bound a file that has too many.
    pub(super) fn size(&self) -> usize {
        self.sockets.len() + self.values.len()
    }
}
