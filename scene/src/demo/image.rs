//! Finished pictures: tone mapping, sRGB, and PNG files.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::LazyLock;

use super::RenderError;
use super::math::{Vec3, power};

/// The longest side a picture may have, rendered or read, in pixels.
pub const MAX_SIDE: u32 = 8192;

/// A finished picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// sRGB, three bytes a pixel, rows from the top.
    pub rgb: Vec<u8>,
}

impl Image {
    /// The picture as a PNG file's bytes; the same picture gives the same bytes.
    ///
    /// # Errors
    /// [`RenderError::Encode`] if width and height don't fit `rgb`.
    pub fn to_png(&self) -> Result<Vec<u8>, RenderError> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
        let encoded = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.rgb)?;
            writer.finish()
        });
        encoded.map_err(|e| RenderError::Encode { reason: e.to_string() })?;
        Ok(out)
    }

    /// Writes the picture as a PNG file. A file of that name is replaced at once when the new one is
    /// whole, so that a render killed here leaves no half a picture.
    ///
    /// # Errors
    /// [`RenderError::Write`] if the file can't be written, [`RenderError::Encode`] as for
    /// [`to_png`](Image::to_png).
    pub fn write_png(&self, path: &Path) -> Result<(), RenderError> {
        let bytes = self.to_png()?;
        let failed = |e: std::io::Error| RenderError::Write {
            path: path.display().to_string(),
            reason: e.to_string(),
        };
        let mut partial = path.as_os_str().to_owned();
        partial.push(".part");
        let written = File::create(&partial).and_then(|file| {
            let mut file = BufWriter::new(file);
            file.write_all(&bytes)?;
            file.flush()?;
            std::fs::rename(&partial, path)
        });
        written.map_err(|e| {
            // Best effort: what matters is the first error.
            let _ = std::fs::remove_file(&partial);
            failed(e)
        })
    }
}

/// One sRGB byte as linear light, 0 to 1.
pub(super) fn srgb_to_linear(byte: u8) -> f32 {
    static TABLE: LazyLock<[f32; 256]> = LazyLock::new(|| {
        std::array::from_fn(|i| {
            let c = i as f32 / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { power((c + 0.055) / 1.055, 2.4) }
        })
    });
    TABLE[usize::from(byte)]
}

/// Linear light, 0 to 1, as an sRGB byte.
fn linear_to_srgb(c: f32) -> u8 {
    let c = if c <= 0.003_130_8 { c * 12.92 } else { 1.055 * power(c, 1.0 / 2.4) - 0.055 };
    (c.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// Scene light as sRGB bytes, through a film-like curve: straight in the middle, soft at both ends
/// (Narkowicz's fit of the ACES reference curve).
pub(super) fn tone_map(c: Vec3) -> [u8; 3] {
    // A little of each channel goes into the others, so that bright colours turn white, not garish.
    let grey = Vec3::ONE * c.luminance();
    let c = c.mix(grey, 0.06);
    let film = |x: f32| {
        let x = x.max(0.0) * 0.8;
        let y = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14);
        linear_to_srgb(if y.is_finite() { y.min(1.0) } else { 1.0 })
    };
    [film(c.x), film(c.y), film(c.z)]
}

/// Reads a PNG as width, height and sRGB bytes; alpha is dropped. Says why it can't.
pub(super) fn decode_png(path: &Path) -> Result<(usize, usize, Vec<u8>), String> {
    let file = crate::plain_file::open(path).map_err(|e| e.to_string())?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (width, height) = reader.info().size();
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
        return Err(format!("it is {width} × {height}; at most {MAX_SIDE} × {MAX_SIDE} is read"));
    }
    let size = reader.output_buffer_size().ok_or("it is too large")?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(|e| e.to_string())?;
    let channels = info.color_type.samples();
    let rgb = bytes
        .chunks_exact(channels)
        .take(width as usize * height as usize)
        .flat_map(|pixel| if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] })
        .collect();
    Ok((width as usize, height as usize, rgb))
}

#[cfg(test)]
mod tests {
    use super::super::math::vec3;
    use super::*;

    #[test]
    fn srgb_round_trips() {
        for byte in 0..=255 {
            assert_eq!(linear_to_srgb(srgb_to_linear(byte)), byte);
        }
    }

    #[test]
    fn tone_mapping_is_monotone_and_bounded() {
        let mut last = 0;
        for i in 0..2000 {
            let [grey, ..] = tone_map(Vec3::ONE * (i as f32 * 0.01));
            assert!(grey >= last);
            last = grey;
        }
        assert_eq!(tone_map(Vec3::ZERO), [0; 3]);
        assert_eq!(tone_map(vec3(f32::INFINITY, f32::NAN, -1.0)).len(), 3);
        assert_eq!(last, 255);
    }

    #[test]
    fn a_png_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let image = Image { width: 3, height: 2, rgb: (0..18).map(|i| i * 14).collect() };
        image.write_png(&path).unwrap();
        assert_eq!(decode_png(&path).unwrap(), (3, 2, image.rgb.clone()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing left behind");

        let missing = dir.path().join("no/b.png");
        let error = image.write_png(&missing).unwrap_err();
        assert!(error.to_string().contains("b.png"), "{error}");
        let wrong = Image { width: 9, ..image };
        assert!(wrong.write_png(&path).is_err());
        assert_eq!(decode_png(&path).unwrap().0, 3, "the old file stays");
        std::fs::write(&path, b"no png").unwrap();
        assert!(decode_png(&path).is_err());
    }
}
