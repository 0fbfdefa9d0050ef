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
    let mut below = numbers(7);
    for file in files {
        let to = folder.path().join("to").with_extension(file.extension().unwrap());
        let joins = || join(std::slice::from_ref(&file), grid, &to, LIMIT).is_ok();
        assert!(joins());
        let refused = refused(&file, 2000, &mut below, joins);
        assert!(refused > 200, "{}: {refused}", file.display());
    }
}

/// The size of a preview, and its pixels.
fn preview_of(path: &Path) -> ((u32, u32), Vec<u8>) {
    let bytes = preview(path).unwrap().expect("a picture of that kind has a preview");
    let shown = path.with_file_name("shown.png");
    std::fs::write(&shown, bytes).unwrap();
    let (width, height, color, depth, pixels) = read_png(&shown);
    assert_eq!((color, depth), (::png::ColorType::Rgb, ::png::BitDepth::Eight));
    ((width, height), pixels)
}

/// A file of some channels of floats.
fn write_channels(path: &Path, size: (usize, usize), channels: &[(&str, &[f32])]) {
    let list = channels
        .iter()
        .map(|(name, samples)| AnyChannel::new(*name, FlatSamples::F32(samples.to_vec())));
    let channels = AnyChannels::sort(list.collect());
    let attributes = LayerAttributes::default();
    let layer = Layer::new(size, attributes, Encoding::FAST_LOSSLESS, channels);
    Image::from_layer(layer).write().to_file(path).unwrap();
}

#[test]
fn previews_keep_small_pictures_and_shrink_large_ones_in_linear_light() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.png");
    // Grey with alpha: white, black, and nothing at all, which lies over a grey of 18 %.
    let data = [255, 255, 0, 255, 9, 0];
    write_png(&file, (3, 1), ::png::BitDepth::Eight, &data);
    let grey = preview_of(&file).1[6];
    assert!((117..=119).contains(&grey), "{grey}");
    assert_eq!(preview_of(&file), ((3, 1), vec![255, 255, 255, 0, 0, 0, grey, grey, grey]));
    // A checkerboard of black and white has half of white's light, and not half of its number.
    let board: Vec<u8> = (0..512 * 256)
        .flat_map(|at| [if (at % 512 + at / 512) % 2 == 0 { 255 } else { 0 }, 255])
        .collect();
    write_png(&file, (512, 256), ::png::BitDepth::Eight, &board);
    let (size, pixels) = preview_of(&file);
    assert_eq!(size, (256, 128));
    assert!(pixels.iter().all(|sample| *sample == 188), "{:?}", &pixels[..9]);
    // Sides that don't divide: every pixel of a white picture stays white.
    for size in [(1000, 3), (7, 999), (257, 256), (1, 1)] {
        let white = vec![255; size.0 * size.1 * 2];
        write_png(&file, size, ::png::BitDepth::Eight, &white);
        let (own, pixels) = preview_of(&file);
        assert!(own.0 >= 1 && own.0 <= 256 && own.1 >= 1 && own.1 <= 256, "{own:?}");
        assert!(pixels.iter().all(|sample| *sample == 255), "{size:?}");
    }
}

#[test]
fn previews_of_exr_show_the_picture_that_is_meant_and_bound_what_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.exr");
    let (full, none) = ([1.0_f32; 5], [0.0_f32; 5]);
    let odd = [0.18, f32::NAN, f32::INFINITY, -3.0, 65504.0];
    write_channels(&file, (5, 1), &[("R", &odd), ("G", &odd), ("B", &odd)]);
    let grey = preview_of(&file).1[0];
    assert!((117..=119).contains(&grey), "{grey}");
    let shown: Vec<u8> = preview_of(&file).1.chunks(3).map(|pixel| pixel[2]).collect();
    assert_eq!(shown, [grey, 0, 255, 0, 255]);
    // Of several layers the one that the renderer shows; of its colours none that another one has.
    let layers = [
        ("A.Mist.R", &none),
        ("A.Mist.G", &none),
        ("A.Mist.B", &none),
        ("ViewLayer.Combined.R", &full),
        ("ViewLayer.Combined.G", &none),
        ("ViewLayer.Combined.B", &none),
        ("ViewLayer.Combined.A", &full),
    ];
    write_channels(&file, (5, 1), &layers.map(|(name, samples)| (name, &samples[..])));
    assert_eq!(preview_of(&file).1[..3], [255, 0, 0]);
    // One channel is grey; and what is see-through lies over grey, its colour being multiplied already.
    write_channels(&file, (5, 1), &[("Depth.Z", &odd)]);
    assert_eq!(preview_of(&file).1[..3], [grey; 3]);
    write_channels(&file, (5, 1), &[("Y", &none), ("A", &none)]);
    assert_eq!(preview_of(&file).1[..3], [grey; 3]);
    write_exr(&file, SIZE, &[0.5; 35]);
    assert_eq!(preview_of(&file).0, (7, 5), "several layers");
}

#[test]
fn previews_of_jpeg_in_colours_and_grey_and_of_other_files_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.JPG");
    std::fs::write(&file, include_bytes!("samples/halves.jpg")).unwrap();
    let (size, pixels) = preview_of(&file);
    assert_eq!(size, (32, 16));
    let near = |at: usize, wanted: [u8; 3]| {
        let pixel = &pixels[at * 3..][..3];
        assert!(pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 4), "{pixel:?} {wanted:?}");
    };
    near(2, [255, 0, 0]);
    near(29, [0, 0, 255]);
    std::fs::write(&file, include_bytes!("samples/grey.jpg")).unwrap();
    let (_, pixels) = preview_of(&file);
    assert!(pixels.iter().all(|sample| sample.abs_diff(55) <= 2), "{:?}", &pixels[..3]);
    let text = folder.path().join("a.txt");
    std::fs::write(&text, "no picture").unwrap();
    assert_eq!(preview(&text), Ok(None));
    assert!(has_preview("x/a.EXR") && has_preview("a.jpeg") && !has_preview("a.tif"));
    assert!(preview(&folder.path().join("gone.png")).unwrap_err().contains("gone.png"));
}

/// What any renderer may leave: a preview, or a sentence.
#[test]
fn previews_of_damaged_pictures_are_made_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [png, exr, jpg] = ["a.png", "a.exr", "a.jpg"].map(|name| folder.path().join(name));
    write_png(&png, SIZE, ::png::BitDepth::Sixteen, &[9; 140]);
    write_channels(&exr, (5, 1), &[("R", &[0.5; 5]), ("G", &[0.5; 5]), ("B", &[0.5; 5])]);
    std::fs::write(&jpg, include_bytes!("samples/halves.jpg")).unwrap();
    let mut below = numbers(11);
    for file in [png, exr, jpg] {
        assert!(preview(&file).unwrap().is_some());
        let refused = refused(&file, 1000, &mut below, || preview(&file).is_ok());
        assert!(refused > 50, "{}: {refused}", file.display());
    }
}

#[test]
fn pictures_are_compared_by_what_they_show() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a.png", "b.png"].map(|name| folder.path().join(name));
    let found = |a: &Path, b: &Path, tolerance| compare(a, b, tolerance, LIMIT).unwrap();
    let same = Difference { pixels: 35, ..Difference::default() };
    for (depth, bytes) in [(::png::BitDepth::Eight, 2), (::png::BitDepth::Sixteen, 4)] {
        let mut data = vec![9; 35 * bytes];
        write_png(&a, SIZE, depth, &data);
        write_png(&b, SIZE, depth, &data);
        assert_eq!(found(&a, &b, 0.0), same);
        // Both samples of one pixel, and one of another: the last bit, and a quarter of the range.
        data[0] ^= 1;
        data[bytes / 2] ^= 1;
        data[bytes * 7] += 64;
        write_png(&b, SIZE, depth, &data);
        let strict = found(&a, &b, 0.0);
        assert_eq!((strict.pixels, strict.differing), (35, 2), "{depth:?}");
        assert!((strict.largest - 0.25).abs() < 0.002, "{strict:?}");
        assert_eq!(found(&a, &b, 0.02).differing, 1);
    }
    write_png(&b, (5, 7), ::png::BitDepth::Sixteen, &[9; 140]);
    assert_eq!(found(&a, &b, 0.5), Difference { pixels: 35, differing: 35, largest: 1.0 });
    assert!(compare(&a, &b, 0.0, 100).unwrap_err().contains("memory"));

    let [a, b] = ["a.exr", "b.exr"].map(|name| folder.path().join(name));
    let mut samples = [0.5, f32::NAN, f32::INFINITY, 1000.0, -2.0];
    let write = |path: &Path, samples: &[f32]| {
        write_channels(path, (5, 1), &[("R", samples), ("Depth.Z", &[1.0; 5])]);
    };
    write(&a, &samples);
    write(&b, &samples);
    assert_eq!(found(&a, &b, 0.0), Difference { pixels: 5, ..Difference::default() });
    samples[3] = 1010.0;
    write(&b, &samples);
    assert_eq!((found(&a, &b, 0.0).differing, found(&a, &b, 0.02).differing), (1, 0));
    samples[2] = 7.0;
    write(&b, &samples);
    assert_eq!(found(&a, &b, 0.02), Difference { pixels: 5, differing: 1, largest: 1.0 });
    write_channels(&b, (5, 1), &[("G", &samples)]);
    assert_eq!(found(&a, &b, 0.02).differing, 5, "other channels");

    let [a, b] = ["a.jpg", "b.jpg"].map(|name| folder.path().join(name));
    std::fs::write(&a, include_bytes!("samples/halves.jpg")).unwrap();
    std::fs::write(&b, include_bytes!("samples/grey.jpg")).unwrap();
    assert_eq!(found(&a, &a, 0.0).differing, 0);
    assert_eq!(found(&a, &b, 0.0).differing, 512);
    let text = folder.path().join("a.txt");
    std::fs::write(&text, "x").unwrap();
    assert!(compare(&text, &text, 0.0, LIMIT).unwrap_err().contains("a.txt"));
}

/// Numbers below a limit, from a seed: SplitMix64's multiplier is enough to be all over a file.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |limit| {
        seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
        (seed >> 33) as usize % limit
    }
}

/// Damages a file so often in other ways, and says how often it was not `read` then.
fn refused(
    file: &Path,
    tries: usize,
    below: &mut impl FnMut(usize) -> usize,
    read: impl Fn() -> bool,
) -> usize {
    let good = std::fs::read(file).unwrap();
    let damaged = (0..tries).filter(|_| {
        let mut bad = good.clone();
        for _ in 0..1 + below(4) {
            let at = below(bad.len());
            match below(3) {
                0 => bad[at] ^= 1 << below(8),
                1 => bad[at] = [0, 0x7f, 0x80, 0xff][below(4)],
                _ => bad.truncate(at + 1),
            }
        }
        std::fs::write(file, &bad).unwrap();
        !read()
    });
    damaged.count()
}
