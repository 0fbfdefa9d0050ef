#![no_main]
use weft_scene::frames::{format, parse, parse_test_frames};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(frames) = parse(text) {
        // What is written is read again as the same frames, in order.
        let again = parse(&format(&frames)).expect("what is written can be read");
        let (mut frames, mut again) = (frames, again);
        frames.sort_unstable();
        again.sort_unstable();
        assert_eq!(frames, again);
        _ = parse_test_frames(text, &frames);
    }
});
