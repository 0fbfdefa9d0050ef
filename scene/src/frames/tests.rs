use proptest::prelude::*;

use super::*;

/// What fileseq for Python gives, row by row.
#[test]
fn specs_give_the_frames_that_fileseq_gives() {
    for (spec, expected) in [
        ("7", vec![7]),
        ("01-05", vec![1, 2, 3, 4, 5]),
        ("0-0", vec![0]),
        ("5-5x2", vec![5]),
        ("10-6", vec![10, 9, 8, 7, 6]),
        ("1-10x3", vec![1, 4, 7, 10]),
        ("10-1x3", vec![10, 7, 4, 1]),
        ("10-1x-3", vec![10, 7, 4, 1]),
        ("1-10x20", vec![1]),
        ("1-10y3", vec![2, 3, 5, 6, 8, 9]),
        ("10-1y3", vec![9, 8, 6, 5, 3, 2]),
        ("1-2y2", vec![2]),
        ("1-10:3", vec![1, 4, 7, 10, 3, 5, 9, 2, 6, 8]),
        ("10-1:3", vec![10, 7, 4, 1, 8, 6, 2, 9, 5, 3]),
        ("1-10:20", vec![1, 10, 9, 8, 7, 6, 5, 4, 3, 2]),
        ("-2-1", vec![-2, -1, 0, 1]),
        ("-10--8", vec![-10, -9, -8]),
        ("1--3", vec![1, 0, -1, -2, -3]),
        ("1,10,20-22", vec![1, 10, 20, 21, 22]),
        ("3,1-5", vec![3, 1, 2, 4, 5]),
        (" 1, 2 ,\t5 - 6 x 1 ", vec![1, 2, 5, 6]),
    ] {
        assert_eq!(parse(spec), Ok(expected), "{spec}");
    }
}

#[test]
fn what_is_no_spec_is_refused_by_name() {
    use FrameSpecError as E;
    for spec in ["", "  ", "1-10y1", "5-5y2"] {
        assert_eq!(parse(spec), Err(E::Empty), "{spec:?}");
    }
    for spec in ["1,,2", "1-5,", ","] {
        assert_eq!(parse(spec), Err(E::EmptyPart(spec.into())));
    }
    for spec in [
        "a", "-", "--5", "+5", "1.5", "1-", "1-10X2", "1-10x", "1-10x2x3", "1..5", "1 2", "1−5",
        "٣",
    ] {
        assert_eq!(parse(&format!("1,{spec}")), Err(E::Malformed(spec.into())), "{spec}");
    }
    for spec in ["1-10x0", "1-10y0", "1-10:0", "1-10x-3", "10-1y-3", "5x-1"] {
        let error = parse(spec).unwrap_err();
        assert!(matches!(error, E::Step(_) | E::Malformed(_)), "{spec}: {error}");
    }
    for spec in ["10000001", "-10000001-5", "1-99999999999999999999999", "1-2x99999999999"] {
        assert_eq!(parse(spec), Err(E::OutOfRange(spec.into())));
    }
}

#[test]
fn sizes_are_capped() {
    assert_eq!(parse("1-1000000").map(|frames| frames.len()), Ok(MAX_FRAMES));
    assert_eq!(parse("0-1000000:1000").unwrap_err(), FrameSpecError::TooManyFrames);
    assert_eq!(parse("-10000000-10000000").unwrap_err(), FrameSpecError::TooManyFrames);
    assert_eq!(parse("-10000000-10000000x1000").map(|frames| frames.len()), Ok(20_001));
    assert_eq!(parse("1-10000000y1"), Err(FrameSpecError::Empty));
    // The same million a thousand times over costs one million, not a thousand.
    assert_eq!(parse(&["1-1000000"; 1000].join(",")).unwrap_err(), FrameSpecError::TooManyFrames);
    let long = "1,".repeat(MAX_SPEC_BYTES);
    assert_eq!(parse(&long), Err(FrameSpecError::TooLong(long.len())));
    let error = parse(&"é".repeat(1000)).unwrap_err().to_string();
    assert!(error.len() < 300, "{error}");
}

#[test]
fn test_frames_belong_to_the_job() {
    let frames = parse("1-100x5").unwrap();
    assert_eq!(parse_test_frames("51, 1", &frames), Ok(vec![51, 1]));
    assert_eq!(parse_test_frames("1,5,2", &frames), Err(FrameSpecError::NotInJob(5)));
    assert_eq!(parse_test_frames("", &frames), Err(FrameSpecError::Empty));
}

#[test]
fn frames_are_written_short() {
    for (frames, expected) in [
        (vec![], ""),
        (vec![4], "4"),
        (vec![1, 2], "1-2"),
        (vec![1, 3], "1,3"),
        (vec![1, 3, 5, 8, 9, 10, 7], "1-5x2,8-10,7"),
        (vec![10, 9, 8], "10-8"),
        (vec![10, 7, 4], "10-4x3"),
        (vec![-3, -2, -1, 0], "-3-0"),
        (vec![5, 5, 6], "5,5-6"),
        (vec![i64::MIN, i64::MAX], "-9223372036854775808,9223372036854775807"),
    ] {
        assert_eq!(format(&frames), expected);
    }
}

proptest! {
    #[test]
    fn frames_survive_being_written(
        runs in prop::collection::vec((-60i64..60, -4i64..5, 1usize..12), 1..12)
    ) {
        let mut frames: Vec<i64> = Vec::new();
        for (first, step, length) in runs {
            for at in 0..length {
                let frame = first + step * i64::try_from(at).unwrap();
                if !frames.contains(&frame) {
                    frames.push(frame);
                }
            }
        }
        prop_assert_eq!(parse(&format(&frames)), Ok(frames));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-0-9xy:, a#]{0,30}|\\PC{0,30}") {
        if let Ok(frames) = parse(&text) {
            prop_assert!(frames.len() <= MAX_FRAMES);
            prop_assert_eq!(parse(&format(&frames)), Ok(frames));
        }
    }

    /// Staggering and a step with its complement both give the whole range, each frame once.
    #[test]
    fn ways_to_take_a_range_agree(first in -50i64..50, last in -50i64..50, step in 1i64..20) {
        let mut whole = parse(&format!("{first}-{last}")).unwrap();
        whole.sort_unstable();
        let mut staggered = parse(&format!("{first}-{last}:{step}")).unwrap();
        staggered.sort_unstable();
        prop_assert_eq!(&staggered, &whole);
        let mut both = parse(&format!("{first}-{last}x{step},{first}-{last}y{step}")).unwrap();
        both.sort_unstable();
        prop_assert_eq!(&both, &whole);
    }

    /// Two frames never share a file, whatever the pattern, where it has a place for the number.
    #[test]
    fn each_frame_has_its_own_name(
        pattern in "\\PC{0,40}|[#%0-9d./]{0,12}",
        frame in any::<i64>(),
        other in -20i64..20,
    ) {
        prop_assert_eq!(
            output_name(&pattern, frame) == output_name(&pattern, other),
            frame == other || !with_hashes(&pattern).contains('#')
        );
    }
}
