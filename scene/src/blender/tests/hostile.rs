//! Damaged and malicious files: each is refused with a sentence, or read; nothing panics or hangs.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::builder::{Builder, STYLES, Style, Value};
use super::made_up::scene;
use super::real_scenes::{blend_files, scenes};
use crate::analysis::{AnalyseError, Analysis};
use crate::blender::{analyse, not_by_tiles, rewrite_paths};

/// Reads bytes as a file, in all ways.
fn try_bytes(bytes: &[u8]) -> Result<Analysis, AnalyseError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let map = |path: &str| Some(format!("//elsewhere/{path}"));
    // What comes of it doesn't matter here, only that something does.
    let _ = rewrite_paths(file.path(), &mut std::io::sink(), &map);
    let _ = not_by_tiles(file.path(), None, "exr", &std::collections::BTreeMap::new());
    analyse(file.path())
}

fn cube(name: &str) -> Option<Vec<u8>> {
    Some(fs::read(scenes()?.join("cube").join(name)).unwrap())
}

fn refused_at(result: Result<Analysis, AnalyseError>) -> u64 {
    match result {
        Err(AnalyseError::Corrupt { position, .. }) => position,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_scene_is_said_to_be_none() {
    for bytes in
        [&b""[..], b"B", b"BLENDER", b"BLENDER-v30", b"not a scene at all", b"BLENDER?v304...."]
    {
        let error = try_bytes(bytes).unwrap_err();
        assert!(error.to_string().ends_with("is not a Blender file"), "{error}");
    }
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let error = try_bytes(pointer).unwrap_err();
    assert!(error.to_string().contains("`git lfs pull`"), "{error}");
    let error = try_bytes(b"BLENDER99-01v0502 and so on").unwrap_err();
    assert!(error.to_string().contains("newer Blender"), "{error}");
    let error = try_bytes(b"BLENDER17-09v0602 and so on").unwrap_err();
    assert!(error.to_string().contains("newer Blender"), "{error}");
    let missing = analyse(Path::new("there/is/no/such.blend")).unwrap_err();
    assert!(matches!(missing, AnalyseError::Io { .. }), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(analyse(folder.path()).unwrap_err(), AnalyseError::Io { .. }));
}

/// Each name that a library lacks is looked for in it, and there may be any number of both.
#[test]
fn many_names_that_a_library_lacks_do_not_hang() {
    const COUNT: i64 = 150_000;
    let folder = tempfile::tempdir().unwrap();
    for (file, name, linked) in
        [("scene.blend", "MEa", "//set.blend"), ("set.blend", "MEb", "//far.blend")]
    {
        let mut made = Builder::new(STYLES[1]);
        made.put("SC", 0x100, "Scene", &[("id.name", Value::Text("SCx"))]);
        let linked = [("id.name", Value::Text("LIx")), ("name", Value::Text(linked))];
        made.put("LI", 0x200, "Library", &linked);
        for number in 0..COUNT {
            let name = format!("{name}{number}");
            made.put("ID", 0x1000 + number * 16, "ID", &[("name", Value::Text(&name))]);
        }
        fs::write(folder.path().join(file), made.finish()).unwrap();
    }
    let begun = Instant::now();
    let analysis = analyse(&folder.path().join("scene.blend")).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let lacks = analysis.warnings.iter().filter(|warning| warning.contains("set.blend has no 'a"));
    assert_eq!(lacks.count() as i64, COUNT);
}

#[test]
fn a_file_cut_off_anywhere_is_refused_with_its_position() {
    for style in STYLES {
        let whole = scene(style);
        let header = if style.large_headers { 17 } else { 12 };
        // The end marker's code is enough; its header and what follows carry nothing.
        let end = whole.windows(4).rposition(|four| four == b"ENDB").unwrap() + 4;
        for length in header..end {
            let position = refused_at(try_bytes(&whole[..length]));
            assert!(position <= length as u64, "{style:?} {length} {position}");
        }
        try_bytes(&whole[..end]).unwrap();
    }
}

#[test]
fn real_files_cut_off_anywhere_are_refused() {
    let Some(folder) = scenes() else { return };
    for path in blend_files(&folder) {
        let whole = fs::read(&path).unwrap();
        let plain = whole.starts_with(b"BLENDER");
        // Of a plain file the end marker's code is enough; of a packed one its seek table may lack.
        let end = if plain {
            whole.windows(4).rposition(|four| four == b"ENDB").unwrap() + 3
        } else {
            whole.len() * 9 / 10
        };
        for step in 0..60 {
            let length = 17 + step * (end - 17) / 60;
            let position = refused_at(try_bytes(&whole[..length]));
            assert!(!plain || position <= length as u64, "{} {length}", path.display());
        }
    }
}

/// Numbers below what is asked for, of Marsaglia's xorshift64 (shifts 13, 7, 17).
fn random(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

#[test]
fn real_files_with_flipped_bits_do_no_harm() {
    let Some(folder) = scenes() else { return };
    let mut random = random(0x2545_f491_4f6c_dd1d);
    for path in blend_files(&folder) {
        let whole = fs::read(&path).unwrap();
        for _ in 0..30 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random(30) {
                let at = random(bytes.len());
                bytes[at] ^= 1 << random(8);
            }
            let _ = try_bytes(&bytes);
        }
    }
}

#[test]
fn flipped_bytes_in_a_real_file_do_no_harm() {
    for name in ["cube.blend", "cube_zstd.blend"] {
        let Some(whole) = cube(name) else { return };
        let mut random = random(0x9e37_79b9_7f4a_7c15);
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random(20) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            let _ = try_bytes(&bytes);
        }
        // The DNA is where a wrong number leads furthest.
        let Some(dna) = whole.windows(4).rposition(|four| four == b"SDNA") else {
            continue;
        };
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random(6) {
                let at = dna + random(bytes.len() - dna);
                bytes[at] = random(256) as u8;
            }
            let _ = try_bytes(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_do_no_harm(
        style in 0..STYLES.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = scene(STYLES[style]);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = try_bytes(&bytes);
    }

    #[test]
    fn garbage_after_a_good_header_does_no_harm(
        style in 0..STYLES.len(),
        garbage in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut bytes = Builder::new(STYLES[style]).bytes;
        bytes.extend(garbage);
        prop_assert!(try_bytes(&bytes).is_err());
    }
}

const MODERN: Style = STYLES[1];

#[test]
fn lengths_beyond_the_file_are_refused() {
    for length in [i64::from(i32::MAX), -1] {
        let mut file = Builder::new(MODERN);
        let length_field = file.number(length, 4);
        file.block("DATA", 1, 0, 1, &[]);
        let at = file.bytes.len() - 20;
        file.bytes[at..at + 4].copy_from_slice(&length_field);
        refused_at(try_bytes(&file.finish()));
    }
    let mut file = Builder::new(STYLES[4]);
    file.block("DATA", 1, 0, 1, &[]);
    let at = file.bytes.len() - 16;
    file.bytes[at..at + 8].copy_from_slice(&i64::MAX.to_le_bytes());
    refused_at(try_bytes(&file.finish()));
}

/// A block of zeros, far longer than the cap that such a small file has.
fn write_zeros(mut packer: impl Write) {
    packer.write_all(&Builder::new(STYLES[4]).bytes).unwrap();
    let mut header = b"DATA".to_vec();
    header.extend(0i32.to_le_bytes());
    header.extend(1u64.to_le_bytes());
    header.extend((8i64 << 30).to_le_bytes());
    header.extend(1i64.to_le_bytes());
    packer.write_all(&header).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1100 {
        packer.write_all(&zeros).unwrap();
    }
}

fn assert_not_unpacked(bomb: &[u8], most: usize) {
    let begun = Instant::now();
    assert!(bomb.len() < most, "{}", bomb.len());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bomb).unwrap();
    let error = analyse(file.path()).unwrap_err();
    assert!(matches!(error, AnalyseError::TooLarge(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_bomb_of_zstd_is_not_unpacked_whole() {
    let mut packer = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    write_zeros(&mut packer);
    assert_not_unpacked(&packer.finish().unwrap(), 1 << 20);
}

#[test]
fn a_bomb_of_gzip_is_not_unpacked_whole() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    write_zeros(&mut packer);
    // It packs no better than a thousandth.
    assert_not_unpacked(&packer.finish().unwrap(), 6 << 20);
}

#[test]
fn structs_that_hold_themselves_do_not_hang() {
    // Two types of no size, each with many fields of the other: following them would never end.
    let mut dna = b"SDNANAME".to_vec();
    dna.extend(1i32.to_le_bytes());
    dna.extend(b"a\0\0\0TYPE");
    dna.extend(2i32.to_le_bytes());
    dna.extend(b"A\0B\0TLEN\0\0\0\0STRC");
    dna.extend(2i32.to_le_bytes());
    for (own, other) in [(0u16, 1u16), (1, 0)] {
        dna.extend(own.to_le_bytes());
        dna.extend(200u16.to_le_bytes());
        for _ in 0..200 {
            dna.extend(other.to_le_bytes());
            dna.extend(0u16.to_le_bytes());
        }
    }
    let mut file = Builder::new(MODERN);
    file.block("SC", 1, 0, 1, &[0; 64]);
    file.block("DNA1", 0, 0, 1, &dna);
    file.block("ENDB", 0, 0, 0, &[]);
    assert!(try_bytes(&file.bytes).is_err());
}

#[test]
fn a_file_without_a_scene_says_so() {
    let mut file = Builder::new(MODERN);
    file.put("OB", 1, "Object", &[("id.name", Value::Text("OBAlone"))]);
    let error = try_bytes(&file.finish()).unwrap_err();
    assert!(error.to_string().ends_with("holds no scene to render"), "{error}");
}

/// What the fuzz target begins with. `WEFT_WRITE_CORPUS=1` writes it anew.
#[test]
fn the_fuzz_corpus_is_made_of_these_scenes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/scene_blend");
    for (number, style) in STYLES.into_iter().enumerate() {
        let path = corpus.join(format!("style_{number}"));
        let bytes = scene(style);
        if std::env::var_os("WEFT_WRITE_CORPUS").is_some() {
            fs::create_dir_all(&corpus).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert!(fs::read(&path).unwrap() == bytes, "{} is another scene", path.display());
    }
}
