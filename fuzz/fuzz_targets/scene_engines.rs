#![no_main]
use weft_scene::engine::{Invocation, LogReader, command, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(engines) = parse(text, "weft.toml") else { return };
    for engine in engines.values() {
        let invocation = Invocation {
            weft: "weft".into(),
            scene: "/in/shot.x".into(),
            frames: vec![7],
            start: 1,
            end: 10,
            work: "/work".into(),
            inputs: "/in".into(),
            threads: 4,
            name: "shot".into(),
            format: None,
            camera: None,
            scene_name: None,
            view_layer: None,
            scale: None,
            tile: None,
            allow_scripts: false,
            arguments: Default::default(),
            command: vec!["x".into(), "{frame:04}".into()],
        };
        _ = command(engine, &invocation);
        let mut log = LogReader::new(engine).frames(1);
        for line in text.lines() {
            _ = log.push_line(line);
        }
    }
});
