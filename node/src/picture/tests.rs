use super::*;

use ::exr::prelude::{
    AnyChannel, AnyChannels, Encoding, FlatSamples, Image, Layer, LayerAttributes, ReadChannels,
    ReadLayers, WritableImage, f16,
};

/// More than any of these takes.
const LIMIT: u64 = 1 << 20;
/// A picture of 7 × 5 whose samples all differ.
const SIZE: (usize, usize) = (7, 5);

fn tile(grid: Grid, number: u32) -> Rect {
    let (column, row) = (number % grid.columns, number / grid.columns);
    let tile = Tile { column, row, columns: grid.columns, rows: grid.rows };
    tile.pixels(SIZE.0 as u32, SIZE.1 as u32).unwrap()
}

/// The part of a picture that a tile's file shows: what lies outside is 0 where files are full.
fn cut<T: Copy + Default>(grid: Grid, number: u32, whole: &[T]) -> (usize, usize, Vec<T>) {
    let rect = tile(grid, number);
    let inside = |x: usize, y: usize| {
        (rect.left as usize..rect.right as usize).contains(&x)
            && (rect.top as usize..rect.bottom as usize).contains(&y)
    };
    let every = (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (x, y)));
    if grid.full {
        let value = |(x, y)| if inside(x, y) { whole[y * SIZE.0 + x] } else { T::default() };
        return (SIZE.0, SIZE.1, every.map(value).collect());
    }
    let part = every.filter(|(x, y)| inside(*x, *y)).map(|(x, y)| whole[y * SIZE.0 + x]).collect();
    ((rect.right - rect.left) as usize, (rect.bottom - rect.top) as usize, part)
}

const GRIDS: [(u32, u32); 4] = [(1, 1), (2, 2), (3, 2), (7, 5)];

fn write_png(path: &Path, (width, height): (usize, usize), depth: ::png::BitDepth, data: &[u8]) {
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = ::png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(::png::ColorType::GrayscaleAlpha);
    encoder.set_depth(depth);
    encoder.write_header().unwrap().write_image_data(data).unwrap();
}

fn read_png(path: &Path) -> (u32, u32, ::png::ColorType, ::png::BitDepth, Vec<u8>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = ::png::Decoder::new(file).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    (info.width, info.height, info.color_type, info.bit_depth, data)
}

#[test]
fn png_tiles_of_8_and_16_bits_make_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let whole: Vec<[u8; 4]> = (0..35_u8).map(|n| [n, 255 - n, n ^ 0x55, n / 2]).collect();
    for (columns, rows) in GRIDS {
        for full in [false, true] {
            for depth in [::png::BitDepth::Eight, ::png::BitDepth::Sixteen] {
                let grid = Grid { columns, rows, full };
                let bytes = if depth == ::png::BitDepth::Eight { 2 } else { 4 };
                let flat = |part: &[[u8; 4]]| -> Vec<u8> {
                    part.iter().flat_map(|pixel| pixel[..bytes].to_vec()).collect()
                };
                let files: Vec<PathBuf> = (0..columns * rows)
                    .map(|number| {
                        let (width, height, part) = cut(grid, number, &whole);
                        let path = folder.path().join(format!("{number}.png"));
                        write_png(&path, (width, height), depth, &flat(&part));
                        path
                    })
                    .collect();
                let to = folder.path().join("joined.png");
                join(&files, grid, &to, LIMIT).unwrap();
                let kind = ::png::ColorType::GrayscaleAlpha;
                assert_eq!(read_png(&to), (7, 5, kind, depth, flat(&whole)), "{grid:?}");
            }
        }
    }
}

fn channels(samples: &[f32]) -> AnyChannels<FlatSamples> {
    let half = samples.iter().map(|sample| f16::from_f32(*sample)).collect();
    let whole = samples.iter().map(|sample| sample.to_bits()).collect();
    AnyChannels::sort(
        [
            AnyChannel::new("R", FlatSamples::F16(half)),
            AnyChannel::new("Depth.Z", FlatSamples::F32(samples.to_vec())),
            AnyChannel::new("Id", FlatSamples::U32(whole)),
        ]
        .into_iter()
        .collect(),
    )
}

fn write_exr(path: &Path, size: (usize, usize), samples: &[f32]) {
    let layer = |name: &str, samples: &[f32]| {
        let attributes = LayerAttributes::named(name);
        Layer::new(size, attributes, Encoding::FAST_LOSSLESS, channels(samples))
    };
    let other: Vec<f32> = samples.iter().map(|sample| -sample).collect();
    let layers: ::exr::image::Layers<_> =
        [layer("beauty", samples), layer("other", &other)].into_iter().collect();
    let bounds = ::exr::prelude::IntegerBounds::from_dimensions(size);
    let attributes = ::exr::prelude::ImageAttributes::new(bounds);
    Image::from_layers(attributes, layers).write().to_file(path).unwrap();
}

/// Names, sizes and samples of every channel.
fn read_exr(path: &Path) -> Vec<(String, (usize, usize), String)> {
    let image = ::exr::prelude::read()
        .no_deep_data()
        .largest_resolution_level()
        .all_channels()
        .all_layers()
        .all_attributes()
        .from_file(path)
        .unwrap();
    let mut all = Vec::new();
    for layer in &image.layer_data {
        for channel in &layer.channel_data.list {
            let size = (layer.size.0, layer.size.1);
            let name = format!("{:?} {}", layer.attributes.layer_name, channel.name);
            all.push((name, size, format!("{:?}", channel.sample_data)));
        }
    }
    let window = image.attributes.display_window;
    all.push(("window".into(), (window.size.0, window.size.1), String::new()));
    all
}

#[test]
fn exr_tiles_make_the_whole_with_every_layer_and_kind_of_sample() {
    let folder = tempfile::tempdir().unwrap();
    let whole: Vec<f32> = (0..35_u16).map(|n| f32::from(n) * 1.37 - 3.0).collect();
    let expected = folder.path().join("whole.exr");
    write_exr(&expected, SIZE, &whole);
    for (columns, rows) in GRIDS {
        for full in [false, true] {
            let grid = Grid { columns, rows, full };
            let files: Vec<PathBuf> = (0..columns * rows)
                .map(|number| {
                    let (width, height, part) = cut(grid, number, &whole);
                    let path = folder.path().join(format!("{number}.exr"));
                    write_exr(&path, (width, height), &part);
                    path
                })
                .collect();
            let to = folder.path().join("joined.exr");
            join(&files, grid, &to, LIMIT).unwrap();
            assert_eq!(read_exr(&to), read_exr(&expected), "{grid:?}");
            assert!(join(&files, grid, &to, 35 * 20).unwrap_err().contains("memory"));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let grid = Grid { columns: 2, rows: 1, full: false };
    let files = ["a.png", "b.png"].map(|name| folder.path().join(name));
    let to = folder.path().join("to.png");
    write_png(&files[0], (3, 5), ::png::BitDepth::Eight, &[0; 30]);
    write_png(&files[1], (3, 4), ::png::BitDepth::Eight, &[0; 24]);
    assert!(join(&files, grid, &to, LIMIT).unwrap_err().contains("3 × 4"));
    write_png(&files[1], (3, 5), ::png::BitDepth::Sixteen, &[0; 60]);
    assert!(join(&files, grid, &to, LIMIT).unwrap_err().contains("other channels"));
    write_png(&files[1], (3, 5), ::png::BitDepth::Eight, &[0; 30]);
    assert_eq!(join(&files, grid, &to, 60 + 30), Ok(()), "the picture and a tile");
    assert!(join(&files, grid, &to, 60 + 30 - 1).unwrap_err().contains("memory"));
    std::fs::write(&files[1], "no picture").unwrap();
    assert!(join(&files, grid, &to, LIMIT).unwrap_err().contains("b.png"));
    assert!(join(&files[..1], grid, &to, LIMIT).is_err());
    assert!(join(&files, grid, &folder.path().join("to.jpg"), LIMIT).unwrap_err().contains(".jpg"));
}

/// What stands in for a peer that made a tile of anything.
#[test]
fn damaged_tiles_are_joined_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let grid = Grid { columns: 1, rows: 1, full: false };
    let whole: Vec<f32> = (0..35_u16).map(f32::from).collect();
    let files = ["a.png", "a.exr"].map(|name| folder.path().join(name));
    write_png(&files[0], SIZE, ::png::BitDepth::Sixteen, &[9; 140]);
    write_exr(&files[1], SIZE, &whole);
    let mut seed = 7_u64;
    let mut below = |limit: usize| {
        // SplitMix64's multiplier is enough to be all over the file.
        seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
        (seed >> 33) as usize % limit
    };
    for file in files {
        let good = std::fs::read(&file).unwrap();
        let to = folder.path().join("to").with_extension(file.extension().unwrap());
        join(std::slice::from_ref(&file), grid, &to, LIMIT).unwrap();
        let mut refused = 0;
        for _ in 0..2000 {
            let mut bad = good.clone();
            for _ in 0..1 + below(4) {
                let at = below(bad.len());
                match below(3) {
                    0 => bad[at] ^= 1 << below(8),
                    1 => bad[at] = [0, 0x7f, 0x80, 0xff][below(4)],
                    _ => bad.truncate(at + 1),
                }
            }
            std::fs::write(&file, &bad).unwrap();
            refused += usize::from(join(std::slice::from_ref(&file), grid, &to, LIMIT).is_err());
        }
        assert!(refused > 200, "{}: {refused}", file.display());
    }
}
