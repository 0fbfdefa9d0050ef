//! Whatever a stranger sends or a disk makes of a record: every decoder reads it or refuses it.
//!
//! The corpus of the fuzz targets (`fuzz/corpus`) runs here, and thousands of mutations of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use weft_tests::Random;
use weft_tests::decoders::{READERS, TARGETS, Target, mutate, samples, target};

/// How many mutations of its corpus each target gets.
const MUTATIONS: u64 = 10_000;

/// The same for what reads people's files, which takes longer, much of it to write them.
const DAMAGED_FILES: u64 = 500;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// What is committed is what is sent: were an encoding to change, this would be the first to say so.
///
/// Where that is meant to be, `WEFT_WRITE_CORPUS=1` writes the corpus anew.
#[test]
fn the_corpus_is_made_of_real_encodings() {
    let write = std::env::var_os("WEFT_WRITE_CORPUS").is_some();
    for (decoder, name, bytes) in samples() {
        assert!((target(decoder).feed)(&bytes), "{decoder}/{name} is not read");
        let folder = corpus().join(decoder);
        if write {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), &bytes).unwrap();
        }
        let committed = std::fs::read(folder.join(name)).unwrap();
        assert_eq!(committed, bytes, "{decoder}/{name} is encoded otherwise than it was");
    }
}

#[test]
fn every_decoder_has_a_fuzz_target_and_a_corpus() {
    let fuzz = corpus().join("..");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let sampled: BTreeSet<_> = samples().into_iter().map(|(target, ..)| target).collect();
    for target in TARGETS {
        assert!(sampled.contains(target.name), "{} has no corpus", target.name);
    }
    for table in weft_store::TABLES {
        // Panics where there is none.
        _ = target(&format!("record_{}", table.as_str()));
    }
    for target in TARGETS.into_iter().chain(READERS) {
        let name = target.name;
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name} is in no [[bin]]");
        let source = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("\"{name}\"")), "{name}.rs feeds another decoder");
    }
}

/// The files in a target's folder.
fn corpus_of(target: &Target) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(corpus().join(target.name)).unwrap();
    let mut inputs: Vec<_> =
        files.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    inputs.sort();
    inputs
}

#[test]
fn the_files_of_the_corpus_and_what_becomes_of_them_are_read_or_refused() {
    for target in READERS {
        let inputs = corpus_of(&target);
        for input in &inputs {
            assert!((target.feed)(input), "a file of {} is not read", target.name);
        }
        let mut random = Random::seeded(11);
        for _ in 0..DAMAGED_FILES {
            let input = &inputs[random.below(inputs.len() as u64) as usize];
            (target.feed)(&mutate(input, &mut random));
        }
    }
}

#[test]
fn the_corpus_and_what_becomes_of_it_is_read_or_refused() {
    let samples = samples();
    for target in TARGETS {
        let mut inputs = corpus_of(&target);
        for input in &inputs {
            (target.feed)(input);
        }
        // Messages of other kinds are what a confused peer sends.
        inputs.extend(samples.iter().map(|(.., bytes)| bytes.clone()));
        let mut random = Random::seeded(7);
        for _ in 0..MUTATIONS {
            let input = &inputs[random.below(inputs.len() as u64) as usize];
            (target.feed)(&mutate(input, &mut random));
        }
    }
}

/// A sequence that says it has 2⁶³ elements and then ends: no more is allocated than fits the input.
#[test]
fn lengths_that_promise_gigabytes_allocate_none_of_them() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for target in TARGETS {
        for prefix in 0..=u8::MAX {
            let bytes = [&[prefix][..], &huge].concat();
            (target.feed)(&bytes);
            (target.feed)(&[&bytes[..], &[0; 64]].concat());
        }
    }
}
