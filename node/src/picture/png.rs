//! PNG, with 8 and 16 bits a sample.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use png::{BitDepth, ColorType, Info, Reader};

use super::compare::Samples;
use super::preview::{Small, lights};
use super::{Grid, fits, say};

/// Opens a file and reads what stands before its samples.
fn open(path: &Path) -> Result<Reader<BufReader<File>>, String> {
    let file = File::open(path).map_err(|error| say(path, &error))?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let reader = decoder.read_info().map_err(|error| say(path, &error))?;
    let info = reader.info();
    let known = matches!(info.bit_depth, BitDepth::Eight | BitDepth::Sixteen)
        && info.color_type != ColorType::Indexed;
    if known {
        Ok(reader)
    } else {
        Err(say(path, &"a PNG file with a palette, or with less than 8 bits, can't be joined"))
    }
}

/// How the samples of a file are meant, and how large its picture is.
fn looks(path: &Path) -> Result<(ColorType, BitDepth, (usize, usize)), String> {
    let reader = open(path)?;
    let info = reader.info();
    Ok((info.color_type, info.bit_depth, (info.width as usize, info.height as usize)))
}

pub(super) fn join(tiles: &[PathBuf], grid: Grid, to: &Path, limit: u64) -> Result<(), String> {
    let all = tiles.iter().map(|tile| looks(tile)).collect::<Result<Vec<_>, _>>()?;
    let Some(&(color, depth, _)) = all.first() else { return Err("there are no tiles".into()) };
    let layout = grid.lay_out(&all.iter().map(|(_, _, size)| *size).collect::<Vec<_>>())?;
    let first = open(&tiles[0])?.info().clone();
    let bytes = first.bytes_per_pixel();
    let size = |(width, height): (usize, usize)| width as u64 * height as u64 * bytes as u64;
    let largest = all.iter().map(|(_, _, tile)| size(*tile)).max().unwrap_or(0);
    fits(size((layout.width, layout.height)), largest, limit)?;
    let mut joined = vec![0; layout.width * layout.height * bytes];
    for ((path, place), (own_color, own_depth, (width, height))) in
        tiles.iter().zip(&layout.places).zip(all)
    {
        if (own_color, own_depth) != (color, depth) {
            return Err(say(path, &"it has other channels than the other tiles"));
        }
        let mut samples = vec![0; width * height * bytes];
        open(path)?.next_frame(&mut samples).map_err(|error| say(path, &error))?;
        place.rows(width, layout.width, |from, at, count| {
            joined[at * bytes..][..count * bytes]
                .copy_from_slice(&samples[from * bytes..][..count * bytes]);
        });
    }
    write(&joined, &first, (layout.width, layout.height), to)
}

fn write(
    samples: &[u8],
    like: &Info<'_>,
    (width, height): (usize, usize),
    to: &Path,
) -> Result<(), String> {
    let file = File::create(to).map_err(|error| say(to, &error))?;
    let mut file = BufWriter::new(file);
    let narrow = |size: usize| u32::try_from(size).map_err(|error| say(to, &error));
    let mut info = Info::with_size(narrow(width)?, narrow(height)?);
    // What says how the samples are meant goes along; dates and render times don't.
    (info.color_type, info.bit_depth) = (like.color_type, like.bit_depth);
    info.pixel_dims = like.pixel_dims;
    info.srgb = like.srgb;
    info.gama_chunk = like.gama_chunk;
    info.chrm_chunk = like.chrm_chunk;
    info.source_gamma = like.source_gamma;
    info.source_chromaticities = like.source_chromaticities;
    info.icc_profile = like.icc_profile.as_ref().map(|profile| profile.to_vec().into());
    let encoder = png::Encoder::with_info(&mut file, info).map_err(|error| say(to, &error))?;
    let mut writer = encoder.write_header().map_err(|error| say(to, &error))?;
    writer.write_image_data(samples).map_err(|error| say(to, &error))?;
    writer.finish().map_err(|error| say(to, &error))?;
    file.flush().map_err(|error| say(to, &error))
}

/// Sums a picture up. Its rows come one by one, unless it is interlaced.
pub(super) fn small(path: &Path, limit: u64) -> Result<Small, String> {
    let file = File::open(path).map_err(|error| say(path, &error))?;
    let limits = png::Limits { bytes: usize::try_from(limit).unwrap_or(usize::MAX) };
    let mut decoder = png::Decoder::new_with_limits(BufReader::new(file), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| say(path, &error))?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let channels = reader.output_color_type().0.samples();
    let light = lights();
    let add_row = |small: &mut Small, y: usize, row: &[u8]| {
        for (x, pixel) in row.chunks_exact(channels).take(width).enumerate() {
            let part = |channel: usize| light[usize::from(pixel[channel])];
            let (color, alpha) = match channels {
                1 => ([part(0); 3], 255),
                2 => ([part(0); 3], pixel[1]),
                3 => ([part(0), part(1), part(2)], 255),
                _ => ([part(0), part(1), part(2)], pixel[3]),
            };
            small.add_straight(x, y, color, f32::from(alpha) / 255.0);
        }
    };
    if reader.info().interlaced {
        let small = Small::whole(width, height, channels, limit);
        let mut small = small.map_err(|why| say(path, &why))?;
        let mut samples = vec![0; width * height * channels];
        reader.next_frame(&mut samples).map_err(|error| say(path, &error))?;
        for (y, row) in samples.chunks_exact(width * channels).enumerate() {
            add_row(&mut small, y, row);
        }
        return Ok(small);
    }
    let mut small = Small::of(width, height).map_err(|why| say(path, &why))?;
    for y in 0..height {
        let row = reader.next_row().map_err(|error| say(path, &error))?;
        let row = row.ok_or_else(|| say(path, &"it ends early"))?;
        add_row(&mut small, y, row.data());
    }
    Ok(small)
}

/// A PNG file of colours with 8 bits a sample, in sRGB.
pub(super) fn write_small(
    pixels: &[u8],
    (width, height): (usize, usize),
) -> Result<Vec<u8>, String> {
    let narrow = |size: usize| u32::try_from(size).map_err(|error| error.to_string());
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, narrow(width)?, narrow(height)?);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(pixels).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Reads a file of which at most `limit` bytes are samples: palettes become colours, and fewer bits 8.
pub(super) fn read(path: &Path, limit: u64) -> Result<Samples, String> {
    let file = File::open(path).map_err(|error| say(path, &error))?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(|error| say(path, &error))?;
    let size = reader.output_buffer_size().unwrap_or(usize::MAX);
    fits(size as u64, 0, limit).map_err(|why| say(path, &why))?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(|error| say(path, &error))?;
    bytes.truncate(info.buffer_size());
    Ok(Samples {
        size: (info.width as usize, info.height as usize),
        channels: info.color_type.samples(),
        depth: if info.bit_depth == BitDepth::Sixteen { 2 } else { 1 },
        bytes,
    })
}
