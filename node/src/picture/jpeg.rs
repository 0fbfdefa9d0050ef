//! JPEG, read only.

use std::path::Path;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::preview::{Small, lights};
use super::{fits, say};

/// A picture of 8 bits a sample, row by row.
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    /// 1 for grey, 3 for colours.
    pub(super) channels: usize,
    pub(super) samples: Vec<u8>,
}

/// Reads a file that takes at most `limit` bytes of memory, with what reading it takes.
pub(super) fn read(path: &Path, limit: u64) -> Result<Picture, String> {
    let size = std::fs::metadata(path).map_err(|error| say(path, &error))?.len();
    fits(size, 0, limit).map_err(|why| say(path, &why))?;
    let bytes = std::fs::read(path).map_err(|error| say(path, &error))?;
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| say(path, &error))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| say(path, &"it has no size"))?;
    let channels = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => {
            decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
            1
        }
        _ => 3,
    };
    // Of files that are refined scan by scan all coefficients are in memory, two bytes each, beside the samples.
    let pixels = (width as u64).saturating_mul(height as u64);
    fits(pixels.saturating_mul(4 * 2), pixels.saturating_mul(4), limit.saturating_sub(size))
        .map_err(|why| say(path, &why))?;
    let samples = decoder.decode().map_err(|error| say(path, &error))?;
    match samples.len() == width * height * channels {
        true => Ok(Picture { width, height, channels, samples }),
        false => Err(say(path, &"it has other channels than it says")),
    }
}

pub(super) fn small(path: &Path, limit: u64) -> Result<Small, String> {
    let picture = read(path, limit)?;
    let mut small = Small::of(picture.width, picture.height).map_err(|why| say(path, &why))?;
    let light = lights();
    for (at, pixel) in picture.samples.chunks_exact(picture.channels).enumerate() {
        let part = |channel: usize| light[usize::from(pixel[channel.min(picture.channels - 1)])];
        let color = [part(0), part(1), part(2)];
        small.add(at % picture.width, at / picture.width, color, 1.0);
    }
    Ok(small)
}
