//! Previews: a small picture of a frame, for people who look through a job.
//!
//! All sizes are averaged in linear light, each sample bounded to 0 to 1 before that, so that a firefly is
//! one bright pixel and no bright square. OpenEXR's samples are taken for linear light with Rec. 709's
//! primaries, at exposure 0, and shown through sRGB's curve; PNG's and JPEG's for sRGB. What is see-through
//! lies over a neutral grey.

use std::path::Path;

use super::{exr, fits, jpeg, png};

/// How wide and how high a preview is at most, in pixels.
const SIDE: usize = 256;
/// What a picture may take in memory while its preview is made, in bytes; more is refused.
const MEMORY: u64 = 512 << 20;
/// How many pixels a picture may have whose rows come one by one: a minute's work.
const MAX_PIXELS: u64 = 1 << 28;
/// The grey behind what is see-through, in linear light: of what falls on it, it throws back 18 %.
const GREY: f32 = 0.18;

/// The endings of the files of which there are previews.
const SHOWN: [&str; 4] = ["png", "jpg", "jpeg", "exr"];

/// Whether a preview can be made of files of this name.
pub(crate) fn has_preview(path: &str) -> bool {
    ending(Path::new(path)).is_some_and(|ending| SHOWN.contains(&ending.as_str()))
}

fn ending(path: &Path) -> Option<String> {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

/// Makes a preview: the bytes of a PNG file with 8 bits a sample, at most 256 pixels wide and high, and
/// none of them where the file is of another kind.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn preview(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let small = match ending(path).as_deref() {
        Some("png") => png::small(path, MEMORY)?,
        Some("jpg" | "jpeg") => jpeg::small(path, MEMORY)?,
        Some("exr") => exr::small(path, MEMORY)?,
        _ => return Ok(None),
    };
    small.encode().map(Some)
}

/// A small picture in the making: each of its pixels sums up those of the picture that it stands for.
#[derive(Clone, Debug)]
pub(super) struct Small {
    /// Of the picture.
    size: (usize, usize),
    /// Of this one.
    own: (usize, usize),
    sums: Vec<[f32; 3]>,
}

impl Small {
    /// Of a picture with so many columns and rows.
    pub(super) fn of(width: usize, height: usize) -> Result<Self, String> {
        if width == 0 || height == 0 {
            return Err("it has no pixels".to_owned());
        }
        if (width as u64).saturating_mul(height as u64) > MAX_PIXELS {
            return Err(format!("{width} × {height} pixels are too many for a preview"));
        }
        let longer = width.max(height);
        let own = |side: usize| match longer <= SIDE {
            true => side,
            false => (side * SIDE / longer).max(1),
        };
        let own = (own(width), own(height));
        Ok(Self { size: (width, height), own, sums: vec![[0.0; 3]; own.0 * own.1] })
    }

    /// The same, for a picture that is in memory as a whole, with so many bytes a pixel.
    pub(super) fn whole(
        width: usize,
        height: usize,
        bytes: usize,
        limit: u64,
    ) -> Result<Self, String> {
        let samples = (width as u64).saturating_mul(height as u64).saturating_mul(bytes as u64);
        fits(samples, 0, limit)?;
        Self::of(width, height)
    }

    /// Adds a pixel, in linear light, its colour not yet multiplied by `alpha`.
    pub(super) fn add_straight(&mut self, x: usize, y: usize, color: [f32; 3], alpha: f32) {
        self.add(x, y, color.map(|part| bounded(part) * bounded(alpha)), alpha);
    }

    /// Adds a pixel, in linear light, its colour multiplied by `alpha` already.
    pub(super) fn add(&mut self, x: usize, y: usize, color: [f32; 3], alpha: f32) {
        let behind = (1.0 - bounded(alpha)) * GREY;
        let column = x * self.own.0 / self.size.0;
        let row = y * self.own.1 / self.size.1;
        if let Some(sum) = self.sums.get_mut(row * self.own.0 + column) {
            for (sum, part) in sum.iter_mut().zip(color) {
                *sum += bounded(bounded(part) + behind);
            }
        }
    }

    /// How many of `of` columns or rows become the one of this number, of `own`.
    fn share(number: usize, own: usize, of: usize) -> usize {
        let from = |number: usize| (number * of).div_ceil(own);
        from(number + 1) - from(number)
    }

    /// The bytes of a PNG file.
    fn encode(&self) -> Result<Vec<u8>, String> {
        let mut pixels = Vec::with_capacity(self.sums.len() * 3);
        for (at, sum) in self.sums.iter().enumerate() {
            let columns = Self::share(at % self.own.0, self.own.0, self.size.0);
            let rows = Self::share(at / self.own.0, self.own.1, self.size.1);
            #[expect(
                clippy::cast_precision_loss,
                reason = "far below 2^24 for any picture of weight"
            )]
            let count = (columns * rows) as f32;
            pixels.extend(sum.map(|part| srgb(part / count)));
        }
        png::write_small(&pixels, self.own)
    }
}

/// A sample between 0 and 1; 0 for what is no number.
fn bounded(sample: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(0.0, 1.0) }
}

/// sRGB's curve, from linear light to a sample of 8 bits.
fn srgb(light: f32) -> u8 {
    let light = bounded(light);
    let sample = match light <= 0.003_130_8 {
        true => light * 12.92,
        false => 1.055 * light.powf(1.0 / 2.4) - 0.055,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 255 by construction"
    )]
    let byte = (sample * 255.0).round() as u8;
    byte
}

/// The light that each sample of 8 bits stands for.
pub(super) fn lights() -> [f32; 256] {
    std::array::from_fn(|sample| {
        #[expect(clippy::cast_precision_loss, reason = "at most 255")]
        let sample = sample as f32 / 255.0;
        match sample <= 0.040_45 {
            true => sample / 12.92,
            false => ((sample + 0.055) / 1.055).powf(2.4),
        }
    })
}
