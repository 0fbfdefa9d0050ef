#![no_main]
#[path = "scene_file.rs"]
mod scene_file;

use std::sync::LazyLock;

use weft_scene::engine::{Definition, parse, shipped};
use weft_scene::text_scene::{analyse, rewrite_paths};

/// POV-Ray's patterns, and those of the examples.
static ENGINES: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let examples = [
        include_str!("../../scene/engines/examples/arnold.toml"),
        include_str!("../../scene/engines/examples/husk.toml"),
        include_str!("../../scene/engines/examples/nuke.toml"),
        include_str!("../../scene/engines/examples/vray.toml"),
    ];
    let examples = examples.iter().flat_map(|text| parse(text, "example").expect("it is whole"));
    shipped().into_values().chain(examples.map(|(_, engine)| engine)).collect()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = scene_file::write(bytes, "pov");
    for engine in ENGINES.iter() {
        if analyse(&path, engine).is_none() {
            continue;
        }
        let mut copy = Vec::new();
        rewrite_paths(&path, engine, &mut copy, &|_| None).expect("it can be read");
        assert_eq!(copy, bytes, "nothing was asked to be changed");
    }
});
