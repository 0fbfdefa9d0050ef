//! A tile of a picture, in whole pixels.

/// One cell of a grid laid over a picture; columns count from the left, rows from the top, both
/// from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Which column, from 0.
    pub column: u32,
    /// Which row, from 0 at the top.
    pub row: u32,
    /// How many columns the grid has.
    pub columns: u32,
    /// How many rows the grid has.
    pub rows: u32,
}

/// Pixels of a picture: from `left` up to but without `right`, from `top` up to but without
/// `bottom`, counted from the picture's top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// The first column of pixels.
    pub left: u32,
    /// One past the last column of pixels.
    pub right: u32,
    /// The first row of pixels.
    pub top: u32,
    /// One past the last row of pixels.
    pub bottom: u32,
}

impl Tile {
    /// Whether the tile lies in its grid.
    pub fn is_valid(&self) -> bool {
        self.column < self.columns && self.row < self.rows
    }

    /// The tile's pixels in a picture of `width` × `height`: column c of C begins at c·width/C,
    /// rounded down, so that the tiles of a grid cover each pixel once. `None` for a tile outside
    /// its grid, or with no pixel of its own because the grid has more cells than the picture has
    /// pixels.
    pub fn pixels(&self, width: u32, height: u32) -> Option<Rect> {
        if !self.is_valid() {
            return None;
        }
        let edge = |at: u32, of: u32, size: u32| {
            u32::try_from(u64::from(at) * u64::from(size) / u64::from(of)).ok()
        };
        let rect = Rect {
            left: edge(self.column, self.columns, width)?,
            right: edge(self.column + 1, self.columns, width)?,
            top: edge(self.row, self.rows, height)?,
            bottom: edge(self.row + 1, self.rows, height)?,
        };
        (rect.left < rect.right && rect.top < rect.bottom).then_some(rect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Tile;

    proptest! {
        #[test]
        fn tiles_cover_each_pixel_once(
            columns in 1u32..6, rows in 1u32..6, width in 6u32..40, height in 6u32..40,
        ) {
            let mut covered = vec![0u8; (width * height) as usize];
            for row in 0..rows {
                for column in 0..columns {
                    let rect = Tile { column, row, columns, rows }.pixels(width, height).unwrap();
                    for y in rect.top..rect.bottom {
                        for x in rect.left..rect.right {
                            covered[(y * width + x) as usize] += 1;
                        }
                    }
                }
            }
            prop_assert!(covered.iter().all(|&count| count == 1));
        }
    }

    #[test]
    fn impossible_tiles_have_no_pixels() {
        let tile = |column, row, columns, rows| Tile { column, row, columns, rows }.pixels(3, 2);
        assert_eq!(tile(1, 0, 1, 1), None);
        assert_eq!(tile(0, 0, 0, 0), None);
        assert_eq!(tile(0, 0, 4, 1), None);
        assert!(tile(1, 0, 4, 1).is_some());
        let max = Tile { column: u32::MAX - 1, row: 0, columns: u32::MAX, rows: 1 };
        assert_eq!(max.pixels(u32::MAX, 1).map(|rect| rect.right), Some(u32::MAX));
    }
}
