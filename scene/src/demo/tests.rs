//! What holds for the engine as a whole.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn small() -> Scene {
    let scene = Scene::parse(builtin_scene()).unwrap();
    scene.with_overrides(Some(64), Some(36), Some(4)).unwrap()
}

fn picture(scene: &Scene, frame: i64, threads: usize) -> Image {
    render(scene, &Textures::default(), frame, threads, &mut |_, _| {}).unwrap()
}

/// The mean colour of a rectangle given in parts of the picture.
fn mean(image: &Image, [left, top, right, bottom]: [f64; 4]) -> [f64; 3] {
    let (w, h) = (f64::from(image.width), f64::from(image.height));
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for y in (top * h) as usize..(bottom * h) as usize {
        for x in (left * w) as usize..(right * w) as usize {
            for (k, part) in sum.iter_mut().enumerate() {
                *part += f64::from(image.rgb[(y * image.width as usize + x) * 3 + k]);
            }
            count += 1.0;
        }
    }
    sum.map(|part| part / count)
}

/// Replaces one piece of the built-in scene and says why that doesn't parse.
fn complaint(from: &str, to: &str) -> String {
    let text = builtin_scene().replacen(from, to, 1);
    assert_ne!(text, builtin_scene(), "{from} isn't there");
    Scene::parse(&text).expect_err(to).to_string()
}

/// The line, counted from 1, on which this first stands.
fn line_of(what: &str) -> usize {
    builtin_scene().lines().position(|l| l.contains(what)).unwrap() + 1
}

#[test]
fn threads_make_no_difference_and_runs_repeat() {
    let scene = small();
    let one = picture(&scene, 7, 1);
    for threads in [0, 2, 3, 64, usize::MAX] {
        assert!(picture(&scene, 7, threads) == one, "{threads} threads");
    }
    assert_eq!(one.to_png().unwrap(), picture(&scene, 7, 2).to_png().unwrap());
}

/// Holds the pixels themselves: they may not change by accident, nor from one platform to another.
#[test]
fn pixels_are_these() {
    let image = picture(&small(), 1, 2);
    let digest = image.rgb.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(digest, GOLDEN, "FNV-1a of frame 1 at 64 × 36, 4 samples: {digest:#018x}");
}

const GOLDEN: u64 = 0x3bb2_b501_f737_3040;

#[test]
fn the_picture_is_lit_and_its_things_differ() {
    let image = picture(&small(), 1, 2);
    assert_eq!((image.width, image.height, image.rgb.len()), (64, 36, 64 * 36 * 3));
    let [r, g, b] = mean(&image, [0.0, 0.0, 1.0, 1.0]);
    assert!(r > 90.0 && r < 200.0 && g > 80.0 && g < 195.0 && b > 60.0 && b < 190.0, "{r} {g} {b}");
    assert!(r > b, "the key light is warm");
    let gold = mean(&image, [0.68, 0.28, 0.78, 0.44]);
    assert!(gold[0] > gold[2] + 60.0, "gold is yellow: {gold:?}");
    let coral = mean(&image, [0.23, 0.67, 0.28, 0.74]);
    assert!(coral[0] > coral[1] + 60.0, "coral is red: {coral:?}");
    let glass = mean(&image, [0.53, 0.6, 0.62, 0.75]);
    let matte = mean(&image, [0.72, 0.56, 0.8, 0.64]);
    let apart: f64 = glass.iter().zip(matte).map(|(a, b)| (a - b).abs()).sum();
    assert!(apart > 15.0, "glass {glass:?} isn't the pedestal {matte:?}");
    let darkest = image.rgb.iter().min().unwrap();
    let brightest = image.rgb.iter().max().unwrap();
    assert!(*darkest < 40 && *brightest > 220, "{darkest} to {brightest}");
}

#[test]
fn glass_bends_what_is_behind_it() {
    let scene = small();
    let solid = builtin_scene().replacen(
        "kind = \"glass\"\ncolour = \"#f4fbfa\"\nior = 1.5",
        "kind = \"matte\"\ncolour = \"#f4fbfa\"",
        1,
    );
    let solid = Scene::parse(&solid).unwrap();
    let solid = solid.with_overrides(Some(64), Some(36), Some(4)).unwrap();
    let (clear, solid) = (picture(&scene, 1, 2), picture(&solid, 1, 2));
    let ball = [0.5, 0.45, 0.65, 0.72];
    let apart: f64 =
        mean(&clear, ball).iter().zip(mean(&solid, ball)).map(|(a, b)| (a - b).abs()).sum();
    assert!(apart > 30.0, "{apart}");
    let sky = [0.0, 0.0, 1.0, 0.1];
    assert_eq!(mean(&clear, sky), mean(&solid, sky), "elsewhere nothing changes");
}

#[test]
fn every_frame_differs() {
    let scene = small().with_overrides(Some(32), Some(18), Some(1)).unwrap();
    let frames: BTreeSet<Vec<u8>> =
        (scene.start_frame..=scene.end_frame).map(|f| picture(&scene, f, 2).rgb).collect();
    assert_eq!(frames.len(), 24);
}

#[test]
fn the_filter_takes_noise_away() {
    let text = builtin_scene();
    let size = |text: &str, samples| {
        let scene = Scene::parse(text).unwrap();
        picture(&scene.with_overrides(Some(64), Some(36), Some(samples)).unwrap(), 1, 2)
    };
    let raw = text.replacen("denoise = true", "denoise = false", 1);
    let clean = size(&raw, 256);
    let error = |image: &Image| {
        let squares = image.rgb.iter().zip(&clean.rgb).map(|(a, b)| {
            let d = f64::from(*a) - f64::from(*b);
            d * d
        });
        (squares.sum::<f64>() / image.rgb.len() as f64).sqrt()
    };
    let (noisy, smooth) = (error(&size(&raw, 4)), error(&size(text, 4)));
    assert!(smooth < noisy * 0.9, "{noisy} -> {smooth}");
}

#[test]
fn progress_counts_every_row_once() {
    for threads in [1, 3] {
        let mut seen = Vec::new();
        let scene = small();
        render(&scene, &Textures::default(), 1, threads, &mut |done, of| seen.push((done, of)))
            .unwrap();
        assert_eq!(seen, (1..=36).map(|row| (row, 36)).collect::<Vec<_>>());
    }
}

#[test]
fn a_texture_shows_and_a_lost_one_is_named() {
    let text = builtin_scene().replacen(
        "[materials.studio]\nkind = \"matte\"",
        "[materials.studio]\nkind = \"matte\"\ntexture = \"maps/floor.png\"\ntexture_size = 0.5",
        1,
    );
    let scene = Scene::parse(&text).unwrap();
    let scene = scene.with_overrides(Some(64), Some(36), Some(1)).unwrap();
    assert_eq!(scene.assets(), ["maps/floor.png"]);
    assert!(small().assets().is_empty());

    let dir = tempfile::tempdir().unwrap();
    let error = Textures::load(&scene, dir.path()).unwrap_err();
    assert!(error.to_string().contains("maps/floor.png"), "{error}");
    let unloaded = render(&scene, &Textures::default(), 1, 1, &mut |_, _| {}).unwrap_err();
    assert_eq!(unloaded, RenderError::Textures { expected: 1, given: 0 });

    std::fs::create_dir(dir.path().join("maps")).unwrap();
    let green = Image { width: 1, height: 1, rgb: vec![20, 200, 40] };
    green.write_png(&dir.path().join("maps/floor.png")).unwrap();
    let textures = Textures::load(&scene, dir.path()).unwrap();
    let image = render(&scene, &textures, 1, 1, &mut |_, _| {}).unwrap();
    let [r, g, _] = mean(&image, [0.3, 0.93, 0.7, 1.0]);
    assert!(g > r + 40.0, "the floor is green: {r} {g}");
}

#[test]
fn complaints_name_the_line() {
    for (from, to, words, at) in [
        ("samples = 8", "samples = 70000", "samples must be 1 to 65536", "samples = 8"),
        ("samples = 8", "samples = 0", "samples must be 1 to 65536", "samples = 8"),
        ("width = 480", "width = 8193", "width must be 1 to 8192", "width = 480"),
        ("fps = 12", "fps = nan", "fps must be", "fps = 12"),
        ("end_frame = 24", "end_frame = 0", "before start_frame", "end_frame = 24"),
        ("distance = 8.2", "distance = inf", "distance must be", "[camera]"),
        ("colour = \"#d9432f\"", "colour = \"red\"", "'red' isn't a colour", "[materials.coral]"),
        ("colour = \"#d9432f\"", "ior = nan", "ior must be", "[materials.coral]"),
        ("colour = \"#d9432f\"", "roughness = 0.1", "no roughness", "[materials.coral]"),
    ] {
        let said = complaint(from, to);
        assert!(said.contains(words), "{to}: {said}");
        assert!(said.contains(&format!("line {} ", line_of(at))), "{to}: {said}");
    }
    // What TOML's reader says shows the line too.
    for (from, to, words) in [
        ("seed = 1 ", "sede = 1 ", "unknown field `sede`"),
        ("seed = 1 ", "seed = -1 ", "invalid value"),
        ("kind = \"glass\"", "kind = \"jelly\"", "unknown variant `jelly`"),
        ("[camera]", "[camera", "TOML parse error"),
        ("width = 480", "", "missing field `width`"),
    ] {
        let said = complaint(from, to);
        assert!(said.contains(words) && said.contains("line "), "{to}: {said}");
    }
    let object = complaint("material = \"gold\"", "material = \"lead\"");
    assert!(object.contains("no material 'lead'"), "{object}");
    let line = line_of("material = \"gold\"");
    let near = (line - 3..=line).any(|l| object.contains(&format!("line {l} ")));
    assert!(near, "about line {line}: {object}");
}

#[test]
fn hostile_scenes_are_refused_before_they_cost() {
    let many = |what: &str, piece: &str, n: usize| {
        let text = builtin_scene().to_owned() + &piece.repeat(n);
        let said = Scene::parse(&text).unwrap_err().to_string();
        assert!(said.contains(what), "{said}");
    };
    let ball =
        "\n[[objects]]\nshape = \"sphere\"\nmaterial = \"gold\"\nat = [0, 0, 0]\nradius = 1\n";
    many("at most 10000", ball, MAX_OBJECTS);
    let lamp = "\n[[lights]]\nshape = \"ball\"\nat = [0, 0, 0]\nradius = 1\ncolour = \"#ffffff\"\nstrength = 1\n";
    many("at most 16", lamp, MAX_LIGHTS);
    assert_eq!(
        Scene::parse(&" ".repeat(MAX_TEXT + 1)).unwrap_err(),
        SceneError::TooLong(MAX_TEXT + 1)
    );
    for (from, to) in [
        ("radius = 0.62", "radius = nan"),
        ("radius = 0.62", "radius = -1.0"),
        ("radius = 0.62", "radius = 1e30"),
        ("radius = 0.62", "tube = 1.0"),
        ("rotate = [20.0, 28.0, 14.0]", "rotate = [nan, 0.0, 0.0]"),
        ("strength = 0.66", "strength = -inf"),
        ("size = 0.188", "size = 0.0"),
        ("round = 0.07", "round = 0.3"),
        ("target = [0.0, 0.4, 0.0]", "target = [-4.2, 5.2, 3.4]"),
        ("fade = [2.5, 10.0]", "fade = [10.0, 2.5]"),
    ] {
        complaint(from, to);
    }
    for (width, height, samples) in [(0, 1, 1), (8193, 1, 1), (1, 8193, 1), (1, 1, 65_537)] {
        assert!(small().with_overrides(Some(width), Some(height), Some(samples)).is_err());
    }
}

#[test]
fn odd_scenes_render() {
    // A camera inside a ball, looking straight down, at an object as far away as goes.
    let text = "
        width = 5
        height = 1
        samples = 3
        camera = { fov = 170, aperture = 1, keys = [{ frame = 1, position = [0, 5, 0], target = [0, 0, 0] }] }
        sky = { zenith = '#000000', horizon = '#ffffff', ground = '#000000', strength = 1 }
        objects = [
            { shape = 'sphere', material = 'a', at = [0, 5, 0], radius = 9 },
            { shape = 'sphere', material = 'a', at = [0, 5, 0], radius = 9 },
            { shape = 'box', material = 'b', at = [1e6, -1e6, 1e6], size = [1e6, 1e6, 1e6] },
            { shape = 'torus', material = 'c', at = [0, 0, 0], radius = 1e-4, tube = 1e-4 },
        ]
        lights = [{ shape = 'ball', at = [0, 5, 0], radius = 3, colour = '#ffffff', strength = 1 }]
        [materials]
        a = { kind = 'glass', ior = 4.0 }
        b = { kind = 'metal', roughness = 1.0, brushed = 1.0 }
        c = { kind = 'plastic', colour = '#000000' }
    ";
    let scene = Scene::parse(text).unwrap();
    for frame in [i64::MIN, 0, 1, i64::MAX] {
        assert_eq!(picture(&scene, frame, 2).rgb.len(), 15);
    }
    let nothing = text.split("objects = [").next().unwrap().to_owned() + "[materials]\n";
    assert_eq!(picture(&Scene::parse(&nothing).unwrap(), 1, 1).rgb.len(), 15);
}

#[test]
fn a_missing_folder_is_no_reason_to_fail_without_textures() {
    assert!(Textures::load(&small(), Path::new("/nowhere/at/all")).is_ok());
}
