//! Whether two files show the same picture: decoded, sample by sample.

use std::path::Path;

use super::{exr, fits, jpeg, png, say};

/// By how much two pictures differ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// How many pixels there are; of each layer, where there are several.
    pub(crate) pixels: u64,
    /// How many of them differ by more than is tolerated, in any channel.
    pub(crate) differing: u64,
    /// The largest difference of a sample: of those with 8 or 16 bits as a part of their range, of
    /// others relative to the larger of the two or 1, and at most 1.
    pub(crate) largest: f32,
}

impl Difference {
    /// Pictures of different sizes or channels have nothing in common.
    pub(super) const fn of_shape(pixels: u64) -> Self {
        Self { pixels, differing: pixels, largest: 1.0 }
    }

    /// Adds a pixel's largest difference.
    pub(super) fn add(&mut self, difference: f32, tolerance: f32) {
        self.pixels += 1;
        self.differing += u64::from(difference > tolerance);
        self.largest = self.largest.max(difference);
    }
}

/// How far two samples are from each other; those that are no numbers are as good as each other.
pub(super) fn apart(a: f32, b: f32) -> f32 {
    if a == b || a.is_nan() && b.is_nan() {
        return 0.0;
    }
    let apart = (a - b).abs() / a.abs().max(b.abs()).max(1.0);
    if apart.is_finite() { apart.min(1.0) } else { 1.0 }
}

/// Compares two pictures that may take `limit` bytes of memory together.
///
/// # Errors
/// A sentence that names the file which can't be read.
pub(crate) fn compare(
    one: &Path,
    other: &Path,
    tolerance: f32,
    limit: u64,
) -> Result<Difference, String> {
    let ending = one.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match ending.as_str() {
        "png" => {
            compare_bytes(&png::read(one, limit / 2)?, &png::read(other, limit / 2)?, tolerance)
        }
        "jpg" | "jpeg" => {
            let read = |path| jpeg::read(path, limit / 2).map(Samples::from);
            compare_bytes(&read(one)?, &read(other)?, tolerance)
        }
        "exr" => exr::compare(one, other, tolerance, limit),
        _ => Err(say(one, &"files of this kind can't be compared")),
    }
}

/// Samples of 8 or 16 bits (high byte first), row by row.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) size: (usize, usize),
    pub(super) channels: usize,
    /// Bytes a sample.
    pub(super) depth: usize,
    pub(super) bytes: Vec<u8>,
}

impl From<jpeg::Picture> for Samples {
    fn from(picture: jpeg::Picture) -> Self {
        let jpeg::Picture { width, height, channels, samples } = picture;
        Self { size: (width, height), channels, depth: 1, bytes: samples }
    }
}

fn compare_bytes(one: &Samples, other: &Samples, tolerance: f32) -> Result<Difference, String> {
    let shape = |samples: &Samples| (samples.size, samples.channels, samples.depth);
    if shape(one) != shape(other) {
        return Ok(Difference::of_shape(one.size.0 as u64 * one.size.1 as u64));
    }
    let mut difference = Difference::default();
    let pixel = one.channels * one.depth;
    for (a, b) in one.bytes.chunks_exact(pixel).zip(other.bytes.chunks_exact(pixel)) {
        let samples = a.chunks_exact(one.depth).zip(b.chunks_exact(one.depth));
        let apart = samples.map(|(a, b)| match (a, b) {
            ([a], [b]) => f32::from(a.abs_diff(*b)) / 255.0,
            ([a, x], [b, y]) => {
                let apart = u16::from_be_bytes([*a, *x]).abs_diff(u16::from_be_bytes([*b, *y]));
                f32::from(apart) / 65535.0
            }
            _ => 1.0,
        });
        difference.add(apart.fold(0.0, f32::max), tolerance);
    }
    Ok(difference)
}

/// Whether a picture of so many bytes may be in memory twice.
pub(super) fn both_fit(bytes: u64, limit: u64) -> Result<(), String> {
    fits(bytes, bytes, limit)
}
