//! Pictures, by what they show: their files differ on every run, in dates and render times.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// What a PNG file shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    size: (u32, u32),
    format: (png::ColorType, png::BitDepth),
    pixels: Vec<u8>,
}

impl Picture {
    /// Its width and height, and how many different colours it has.
    pub(crate) fn seen(&self) -> (u32, u32, usize) {
        let colors: BTreeSet<&[u8]> = self.pixels.chunks_exact(self.format.0.samples()).collect();
        (self.size.0, self.size.1, colors.len())
    }

    /// How far it is from another of its size and format: the mean of the differences of its bytes.
    pub(crate) fn distance(&self, other: &Self) -> f64 {
        assert_eq!((self.size, self.format), (other.size, other.format));
        let pairs = self.pixels.iter().zip(&other.pixels);
        let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / self.pixels.len() as f64
    }
}

/// Pictures by frame.
pub(crate) type Pictures = BTreeMap<i64, Picture>;

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (width, height) = self.size;
        write!(f, "{width} × {height} {:?}", self.format)
    }
}

/// Decodes a PNG file.
pub(crate) fn picture(path: &Path) -> Picture {
    let say = |error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}", path.display()) };
    let file = File::open(path).unwrap_or_else(|error| say(&error));
    let decoder = png::Decoder::new(BufReader::new(file));
    let mut reader = decoder.read_info().unwrap_or_else(|error| say(&error));
    let size = reader.output_buffer_size().expect("the picture fits into memory");
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).unwrap_or_else(|error| say(&error));
    pixels.truncate(frame.buffer_size());
    Picture {
        size: (frame.width, frame.height),
        format: (frame.color_type, frame.bit_depth),
        pixels,
    }
}

/// The pictures NAME_FRAME.png of a folder, in which nothing else is.
pub(crate) fn pictures(folder: &Path, name: &str) -> Pictures {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let numbered = entries.map(|entry| {
        let path = entry.expect("folders can be listed").path();
        let stem = path.file_name().and_then(|file| file.to_str()?.strip_suffix(".png"));
        let frame = stem.and_then(|stem| stem.strip_prefix(name)?.strip_prefix('_')?.parse().ok());
        let frame = frame.unwrap_or_else(|| panic!("{} has no business there", path.display()));
        (frame, picture(&path))
    });
    numbered.collect()
}

/// Every frame shows what it should, to the pixel.
pub(crate) fn assert_same(there: &Pictures, expected: &Pictures) {
    let frames = |pictures: &Pictures| pictures.keys().copied().collect::<Vec<_>>();
    assert_eq!(frames(there), frames(expected));
    for (frame, picture) in expected {
        let other = &there[frame];
        assert_eq!((other.size, other.format), (picture.size, picture.format), "frame {frame}");
        let differ = picture.pixels.iter().zip(&other.pixels).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "frame {frame}: {differ} of {} values differ", picture.pixels.len());
    }
}
