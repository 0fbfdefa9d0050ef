#![no_main]
use weft_scene::frames::{FrameSpecError, format, parse, parse_test_frames};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(frames) = parse(text) {
        // What is written is read again as the same frames, unless it is longer than a spec may be:
        // frames by the thousand without any order are written one by one.
        let (mut frames, mut again) = match parse(&format(&frames)) {
            Ok(again) => (frames, again),
            Err(FrameSpecError::TooLong(_)) => return,
            Err(error) => panic!("what is written can't be read: {error}"),
        };
        frames.sort_unstable();
        again.sort_unstable();
        assert_eq!(frames, again);
        _ = parse_test_frames(text, &frames);
    }
});
