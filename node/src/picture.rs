//! Pictures: put together from their tiles, sample by sample, so that nothing is converted and one tile is in
//! memory at a time beside the picture; and shown small.

mod compare;
mod exr;
mod jpeg;
mod png;
mod preview;

use std::path::{Path, PathBuf};

use weft_protocol::hardware::gib;
use weft_scene::engine::{Rect, Tile};

pub(crate) use compare::{Difference, compare};
pub(crate) use preview::{has_preview, preview};

/// How a frame was split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) columns: u32,
    pub(crate) rows: u32,
    /// Whether a tile's file is as large as the whole picture, of which only its part counts.
    pub(crate) full: bool,
}

/// The endings of the files that can be joined.
pub(crate) const JOINED: [&str; 2] = ["png", "exr"];

/// Joins the files of a frame's tiles, row by row from the top, into one file of the same format. The
/// samples that are in memory at once take at most `limit` bytes.
///
/// # Errors
/// A sentence that names the file which does not fit.
pub(crate) fn join(tiles: &[PathBuf], grid: Grid, to: &Path, limit: u64) -> Result<(), String> {
    if tiles.len() as u64 != u64::from(grid.columns) * u64::from(grid.rows) {
        return Err(format!(
            "{} files can't be {} × {} tiles",
            tiles.len(),
            grid.columns,
            grid.rows
        ));
    }
    let ending = to.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match ending.as_str() {
        "png" => png::join(tiles, grid, to, limit),
        "exr" => exr::join(tiles, grid, to, limit),
        _ => Err(format!("tiles in files that end in .{ending} can't be joined")),
    }
}

/// Where the tiles of a picture lie, and how large it is.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    width: usize,
    height: usize,
    /// By tile: its place in the picture.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Where its first sample is in the picture.
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    /// Where its first sample is in its own file.
    from: (usize, usize),
}

impl Grid {
    /// Finds out where tiles of these sizes lie. They must be exactly those that a picture is split
    /// into.
    fn lay_out(self, sizes: &[(usize, usize)]) -> Result<Layout, String> {
        let at = |column: u32, row: u32| sizes.get((row * self.columns + column) as usize);
        let (width, height) = match self.full {
            true => sizes.first().copied().unwrap_or_default(),
            false => (
                (0..self.columns).filter_map(|column| at(column, 0)).map(|size| size.0).sum(),
                (0..self.rows).filter_map(|row| at(0, row)).map(|size| size.1).sum(),
            ),
        };
        let narrow = |size: usize| u32::try_from(size).map_err(|_| "it is too large".to_owned());
        let (wide, high) = (narrow(width)?, narrow(height)?);
        let mut places = Vec::with_capacity(sizes.len());
        for row in 0..self.rows {
            for column in 0..self.columns {
                let tile = Tile { column, row, columns: self.columns, rows: self.rows };
                let Rect { left, right, top, bottom } = tile
                    .pixels(wide, high)
                    .ok_or_else(|| format!("a picture of {width} × {height} has no such tiles"))?;
                let place = Place {
                    left: left as usize,
                    top: top as usize,
                    width: (right - left) as usize,
                    height: (bottom - top) as usize,
                    from: if self.full { (left as usize, top as usize) } else { (0, 0) },
                };
                let wanted = if self.full { (width, height) } else { (place.width, place.height) };
                let found = at(column, row).copied().unwrap_or_default();
                if found != wanted {
                    return Err(format!(
                        "the tile in column {} and row {} has {} × {} pixels, and not {} × {}",
                        column + 1,
                        row + 1,
                        found.0,
                        found.1,
                        wanted.0,
                        wanted.1
                    ));
                }
                places.push(place);
            }
        }
        Ok(Layout { width, height, places })
    }
}

impl Place {
    /// Copies the tile's rows: `row` is given where a row is in the tile's samples, where in the
    /// picture's, and how many samples it has.
    fn rows(self, tile_width: usize, width: usize, mut row: impl FnMut(usize, usize, usize)) {
        for y in 0..self.height {
            let from = (self.from.1 + y) * tile_width + self.from.0;
            let to = (self.top + y) * width + self.left;
            row(from, to, self.width);
        }
    }
}

/// Whether a picture and the largest of its tiles, given in bytes, may be in memory at once.
fn fits(picture: u64, tile: u64, limit: u64) -> Result<(), String> {
    let needed = picture.saturating_add(tile);
    let (needed_gib, limit_gib) = (gib(needed), gib(limit));
    match needed <= limit {
        true => Ok(()),
        false => Err(format!(
            "that takes {needed_gib} GiB of memory, and this node allows {limit_gib} GiB for it"
        )),
    }
}

/// What can't be read or written, and why.
fn say(path: &Path, error: &dyn std::fmt::Display) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}: {error}")
}

#[cfg(test)]
#[path = "picture/tests.rs"]
mod tests;
