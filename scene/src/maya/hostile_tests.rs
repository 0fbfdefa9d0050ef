//! Files made to break the reader: it may refuse them, but not panic, hang or swell.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::shared_scenes_tests::{expectations, scene_of, scenes};
use super::{read_from, rewrite};
use crate::analysis::AnalyseError;

fn read(bytes: impl Read) -> bool {
    read_from(bytes, Path::new("hostile.ma")).is_ok()
}

/// Copies with every path moved, and with none: the second is the scene.
fn copy(bytes: &[u8]) {
    let name = Path::new("hostile.ma");
    let _ = rewrite::copy(bytes, name, &mut std::io::sink(), &|path| Some(format!("x/{path}")));
    let mut same = Vec::new();
    if rewrite::copy(bytes, name, &mut same, &|_| None).is_ok() {
        assert_eq!(same, bytes);
    }
}

const SCENE: &str = "//Maya ASCII 2017 scene\n//Codeset: 932\nfile -r -ns \"a\" -rfn \"aRN\" \"a.ma\";\n\
    requires maya \"2017\";\ncurrentUnit -l centimeter -t 59.94fps;\n\
    createNode camera -s -n \"c\" -p \"p\";\n\tsetAttr -k off \".rnd\" no;\n\
    createNode file -n \"f\";\n\tsetAttr \".ftn\" -type \"string\" (\"x/\" + \"y.<udim>.png\");\n\
    select -ne :defaultRenderGlobals;\n\tsetAttr \".fs\" 1; /* c */ setAttr \".ef\" 1e3;\n// End of x\n";

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let head: &[u8] = b"//Maya ASCII 2017 scene\n";
        read(head.chain(&bytes[..]));
        read(&bytes[..]);
        copy(&[head, &bytes[..]].concat());
    }

    #[test]
    fn any_syntax(text in "[a-z\"();/*+ \n\\\\.:$<>{}-]{0,300}") {
        let head: &[u8] = b"//Maya ASCII 2017 scene\n";
        read(head.chain(text.as_bytes()));
        copy(&[head, text.as_bytes()].concat());
    }

    #[test]
    fn damaged_scenes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
                      cut in any::<prop::sample::Index>()) {
        let mut bytes = SCENE.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        read(&bytes[..]);
        copy(&bytes);
    }
}

#[test]
fn floods_are_bounded() {
    let begun = Instant::now();
    let head: &[u8] = b"//Maya ASCII 2017 scene\n";
    let flood = |byte: u8| head.chain(std::io::repeat(byte).take(16 << 20));
    for byte in [b'"', b'(', b'a', b' ', b'\\', b';', b'+', b'/', b'-', b'\n', 0, 0xff] {
        read(flood(byte));
    }
    let open: &[u8] = b"a \"";
    assert!(!read(head.chain(open).chain(std::io::repeat(b'x').take(64 << 20))));
    // Far more time than it takes: a guard against growth that isn't linear.
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
}

#[test]
fn more_items_than_any_scene_has_are_refused() {
    let camera = "createNode camera;\n".repeat(200_010);
    let text = format!("//Maya ASCII 2017 scene\n{camera}");
    let error = read_from(text.as_bytes(), Path::new("t")).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
}

/// A small generator, so that every run tries the same.
fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below.max(1) as u64) as usize
}

#[test]
fn real_scenes_cut_off_anywhere_say_so() {
    let Some(root) = scenes() else { return };
    for scene in expectations(&root).iter().map(|facts| scene_of(facts)) {
        let whole = std::fs::read(&scene).unwrap();
        for step in 0..300 {
            let length = step * whole.len() / 300;
            match read_from(&whole[..length], &scene) {
                Ok(facts) => {
                    assert!(length >= "//Maya ASCII".len(), "{} at {length}", scene.display());
                    assert!(!facts.closed, "{} at {length}", scene.display());
                }
                Err(AnalyseError::Corrupt { position, .. }) => assert!(position <= length as u64),
                Err(other) => panic!("{} at {length}: {other}", scene.display()),
            }
        }
    }
}

#[test]
fn real_scenes_with_flipped_bits_do_no_harm() {
    let Some(root) = scenes() else { return };
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for scene in expectations(&root).iter().map(|facts| scene_of(facts)) {
        let whole = std::fs::read(&scene).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random(&mut state, 40) {
                let at = random(&mut state, bytes.len());
                bytes[at] ^= 1 << random(&mut state, 8);
            }
            read(&bytes[..]);
        }
    }
}
