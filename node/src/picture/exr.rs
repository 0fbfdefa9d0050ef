//! OpenEXR: half, float and whole numbers, any channels in any layers.

use std::path::{Path, PathBuf};

use exr::image::{AnyChannel, AnyChannels, FlatSamples, Image, Layer, Layers};
use exr::meta::MetaData;
use exr::meta::header::Header;
use exr::prelude::{
    IntegerBounds, ReadChannels, ReadLayers, ReadSpecificChannel, Vec2, WritableImage, f16,
};

use super::compare::{Difference, apart, both_fit};
use super::preview::Small;
use super::{Grid, Layout, Place, fits, say};

/// The name of a channel that no file has.
const NO_ALPHA: &str = "\u{1}";

type Picture = Image<Layers<AnyChannels<FlatSamples>>>;

fn read(path: &Path) -> Result<Picture, String> {
    exr::prelude::read()
        .no_deep_data()
        .largest_resolution_level()
        .all_channels()
        .all_layers()
        .all_attributes()
        .non_parallel()
        .from_file(path)
        .map_err(|error| say(path, &error))
}

/// How many bytes the samples of a layer take when it has this size.
fn bytes(header: &Header, (width, height): (usize, usize)) -> u64 {
    (width as u64)
        .saturating_mul(height as u64)
        .saturating_mul(header.channels.bytes_per_pixel as u64)
}

pub(super) fn join(tiles: &[PathBuf], grid: Grid, to: &Path, limit: u64) -> Result<(), String> {
    let meta =
        |path: &PathBuf| MetaData::read_from_file(path, false).map_err(|error| say(path, &error));
    let metas = tiles.iter().map(meta).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = metas.first() else { return Err("there are no tiles".to_owned()) };
    let mut layouts = Vec::new();
    let mut whole = 0_u64;
    for (number, header) in first.headers.iter().enumerate() {
        let size = |meta: &MetaData| {
            meta.headers.get(number).map(|header| (header.layer_size.0, header.layer_size.1))
        };
        let sizes: Option<Vec<_>> = metas.iter().map(size).collect();
        let layout = grid.lay_out(&sizes.ok_or("the tiles have different layers")?)?;
        whole = whole.saturating_add(bytes(header, (layout.width, layout.height)));
        layouts.push(layout);
    }
    let own = |header: &Header| bytes(header, (header.layer_size.0, header.layer_size.1));
    let all = |meta: &MetaData| meta.headers.iter().map(own).fold(0, u64::saturating_add);
    let largest = metas.iter().map(all).max().unwrap_or(0);
    fits(whole, largest, limit)?;
    let part = read(&tiles[0])?;
    // The first tile's file, with all that it says besides pixels, becomes the picture.
    let mut joined = blank(&part, grid, &layouts)?;
    lay(&mut joined, &part, 0, &layouts, &tiles[0])?;
    drop(part);
    for (number, path) in tiles.iter().enumerate().skip(1) {
        lay(&mut joined, &read(path)?, number, &layouts, path)?;
    }
    joined.write().non_parallel().to_file(to).map_err(|error| say(to, &error))
}

/// A picture without samples that is otherwise like one of its tiles.
fn blank(like: &Picture, grid: Grid, layouts: &[Layout]) -> Result<Picture, String> {
    let mut attributes = like.attributes.clone();
    let mut layers = Layers::new();
    for (layer, layout) in like.layer_data.iter().zip(layouts) {
        let size = Vec2(layout.width, layout.height);
        if !grid.full {
            attributes.display_window =
                IntegerBounds::new(attributes.display_window.position, size);
        }
        if layer.channel_data.list.iter().any(|channel| channel.sampling != Vec2(1, 1)) {
            return Err("channels with fewer samples than the picture can't be joined".into());
        }
        let nothing = |samples: &FlatSamples| match samples {
            FlatSamples::F16(_) => FlatSamples::F16(vec![f16::ZERO; size.area()]),
            FlatSamples::F32(_) => FlatSamples::F32(vec![0.0; size.area()]),
            FlatSamples::U32(_) => FlatSamples::U32(vec![0; size.area()]),
        };
        let list = layer.channel_data.list.iter().map(|channel| AnyChannel {
            name: channel.name.clone(),
            sample_data: nothing(&channel.sample_data),
            quantize_linearly: channel.quantize_linearly,
            sampling: channel.sampling,
        });
        layers.push(Layer {
            channel_data: AnyChannels { list: list.collect() },
            attributes: layer.attributes.clone(),
            size,
            encoding: layer.encoding,
        });
    }
    Ok(Image { attributes, layer_data: layers })
}

/// Puts a tile where it belongs.
fn lay(
    joined: &mut Picture,
    part: &Picture,
    number: usize,
    layouts: &[Layout],
    path: &Path,
) -> Result<(), String> {
    let wrong = || say(path, &"it has other channels than the other tiles");
    for ((to, from), layout) in joined.layer_data.iter_mut().zip(&part.layer_data).zip(layouts) {
        let place = *layout.places.get(number).ok_or_else(wrong)?;
        let (to_list, from_list) = (&mut to.channel_data.list, &from.channel_data.list);
        if to_list.len() != from_list.len() {
            return Err(wrong());
        }
        for (to, from_channel) in to_list.iter_mut().zip(from_list) {
            if to.name != from_channel.name {
                return Err(wrong());
            }
            let widths = (from.size.0, layout.width);
            let laid = match (&mut to.sample_data, &from_channel.sample_data) {
                (FlatSamples::F16(to), FlatSamples::F16(from)) => paste(place, widths, from, to),
                (FlatSamples::F32(to), FlatSamples::F32(from)) => paste(place, widths, from, to),
                (FlatSamples::U32(to), FlatSamples::U32(from)) => paste(place, widths, from, to),
                _ => false,
            };
            if !laid {
                return Err(wrong());
            }
        }
    }
    Ok(())
}

/// Copies the rows of one channel; says whether there were as many as there should be.
fn paste<T: Copy>(
    place: Place,
    (tile_width, width): (usize, usize),
    from: &[T],
    to: &mut [T],
) -> bool {
    let mut fits = true;
    place.rows(tile_width, width, |at, to_at, count| {
        match (from.get(at..at + count), to.get_mut(to_at..to_at + count)) {
            (Some(from), Some(to)) => to.copy_from_slice(from),
            _ => fits = false,
        }
    });
    fits
}

/// Which channels make the picture that people mean.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// Red, green and blue, or three times the one that there is.
    color: [String; 3],
    alpha: Option<String>,
}

/// The channels to show of those with these names: plain ones; else those of the layer that is called after
/// what the renderer's window shows; else the first layer's, or the first channel's as grey.
fn shown(names: &[String]) -> Option<Shown> {
    let has = |name: &str| names.iter().find(|known| *known == name).cloned();
    let of = |layer: &str| {
        let part = |part: &str| has(&format!("{layer}{part}"));
        let color = [part("R")?, part("G")?, part("B")?];
        Some(Shown { color, alpha: part("A") })
    };
    let mut layers: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix('R')).collect();
    let rank = |layer: &str| {
        let lower = layer.to_lowercase();
        let called = |name: &str| lower.split('.').any(|part| part == name);
        // Blender's compositor comes before the view layers that it works on.
        let ranks = [
            layer.is_empty(),
            called("composite") && called("combined"),
            called("combined"),
            called("beauty") || called("rgba"),
        ];
        ranks.iter().position(|is| *is).unwrap_or(ranks.len())
    };
    layers.sort_by_key(|layer| rank(layer));
    let grey = || {
        let name = has("Y").or_else(|| names.iter().find(|name| *name != "A").cloned())?;
        Some(Shown { color: [name.clone(), name.clone(), name], alpha: has("A") })
    };
    layers.into_iter().find_map(of).or_else(grey)
}

/// Sums a picture up, block by block.
pub(super) fn small(path: &Path, limit: u64) -> Result<Small, String> {
    let meta = MetaData::read_from_file(path, false).map_err(|error| say(path, &error))?;
    // The first layer that can be shown, as the reader will take the first with those channels.
    let plain = meta.headers.iter().filter(|header| !header.deep);
    let header = plain.into_iter().next().ok_or_else(|| say(path, &"it has no flat layer"))?;
    let names: Vec<String> = header
        .channels
        .list
        .iter()
        .filter(|channel| channel.sampling == Vec2(1, 1))
        .map(|channel| channel.name.to_string())
        .collect();
    let shown = shown(&names).ok_or_else(|| say(path, &"it has no channel that can be shown"))?;
    let block = header.max_block_byte_size() as u64;
    // Packed and unpacked.
    fits(block, block, limit).map_err(|why| say(path, &why))?;
    let Vec2(width, height) = header.layer_size;
    let empty = Small::of(width, height).map_err(|why| say(path, &why))?;
    let start = move |_: Vec2<usize>| empty.clone();
    let reader = exr::prelude::read().no_deep_data().largest_resolution_level();
    let [red, green, blue] = &shown.color;
    let text = |name: &str| exr::meta::attribute::Text::new_or_none(name).unwrap_or_default();
    let alpha = shown.alpha.as_deref().unwrap_or(NO_ALPHA);
    let failed = |error: exr::error::Error| say(path, &error);
    if red == green {
        let image = reader
            .specific_channels()
            .required(text(red))
            .optional(text(alpha), 1.0_f32)
            .collect_pixels(
                move |size, _: &_| start(size),
                |small: &mut Small, Vec2(x, y), (light, alpha): (f32, f32)| {
                    small.add(x, y, [light; 3], alpha);
                },
            )
            .first_valid_layer()
            .all_attributes()
            .non_parallel()
            .from_file(path)
            .map_err(failed)?;
        return Ok(image.layer_data.channel_data.pixels);
    }
    let image = reader
        .specific_channels()
        .required(text(red))
        .required(text(green))
        .required(text(blue))
        .optional(text(alpha), 1.0_f32)
        .collect_pixels(
            move |size, _: &_| start(size),
            |small: &mut Small, Vec2(x, y), (r, g, b, alpha): (f32, f32, f32, f32)| {
                small.add(x, y, [r, g, b], alpha);
            },
        )
        .first_valid_layer()
        .all_attributes()
        .non_parallel()
        .from_file(path)
        .map_err(failed)?;
    Ok(image.layer_data.channel_data.pixels)
}

/// Compares two files, channel by channel.
pub(super) fn compare(
    one: &Path,
    other: &Path,
    tolerance: f32,
    limit: u64,
) -> Result<Difference, String> {
    for path in [one, other] {
        let meta = MetaData::read_from_file(path, false).map_err(|error| say(path, &error))?;
        let own = |header: &Header| bytes(header, (header.layer_size.0, header.layer_size.1));
        let all = meta.headers.iter().map(own).fold(0, u64::saturating_add);
        both_fit(all, limit).map_err(|why| say(path, &why))?;
    }
    let (one, other) = (read(one)?, read(other)?);
    let area = |picture: &Picture| picture.layer_data.iter().map(|l| l.size.area() as u64).sum();
    let shape = |picture: &Picture| -> Vec<_> {
        let layers = picture.layer_data.iter();
        let list = |layer: &Layer<AnyChannels<FlatSamples>>| -> Vec<_> {
            layer.channel_data.list.iter().map(|c| (c.name.clone(), c.sampling)).collect()
        };
        layers.map(|layer| (layer.size, list(layer))).collect()
    };
    if shape(&one) != shape(&other) {
        return Ok(Difference::of_shape(area(&one)));
    }
    let mut difference = Difference::default();
    for (one, other) in one.layer_data.iter().zip(&other.layer_data) {
        let mut largest = vec![0.0_f32; one.size.area()];
        for (a, b) in one.channel_data.list.iter().zip(&other.channel_data.list) {
            let samples = a.sample_data.values_as_f32().zip(b.sample_data.values_as_f32());
            // Of channels with fewer samples than the picture nobody knows here whose they are.
            for (at, (a, b)) in samples.enumerate() {
                let at = at.min(largest.len().saturating_sub(1));
                if let Some(largest) = largest.get_mut(at) {
                    *largest = largest.max(apart(a, b));
                }
            }
        }
        for apart in largest {
            difference.add(apart, tolerance);
        }
    }
    Ok(difference)
}
