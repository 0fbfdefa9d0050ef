//! The name of one frame's file, from a pattern with `####` or `%04d`.

/// The widest `%0Nd` that is taken as a placeholder; a wider one is left as it stands.
const MAX_PRINTF_WIDTH: usize = 32;

/// `pattern` with the frame's number filled in.
///
/// - Each run of `#` becomes the number padded with zeros to as many digits as there are `#`. The
///   sign of a negative frame stands before the digits and takes no place of them, as Blender 3.4
///   does it: `####` gives `-0005` for frame -5.
/// - `%d` and `%04d` become the number as C's `printf` writes it: there the sign takes a place, and
///   `%04d` gives `-005`.
///
/// A number with more digits than places is written whole.
pub fn output_name(pattern: &str, frame: i64) -> String {
    fill(pattern, |places| match places {
        Places::Hashes(places) => digits(frame, places),
        Places::Printf(width) => format!("{frame:0width$}"),
    })
}

/// `pattern` with a run of `#` for each `%d` and `%04d`.
pub fn with_hashes(pattern: &str) -> String {
    fill(pattern, |places| match places {
        Places::Hashes(places) | Places::Printf(places) => "#".repeat(places.max(1)),
    })
}

/// How many places a number has, and by which rule.
enum Places {
    Hashes(usize),
    Printf(usize),
}

fn fill(pattern: &str, number: impl Fn(Places) -> String) -> String {
    let mut name = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(at) = rest.find(['#', '%']) {
        name.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = if rest.starts_with('#') {
            let places = rest.bytes().take_while(|&byte| byte == b'#').count();
            name.push_str(&number(Places::Hashes(places)));
            places
        } else if let Some((width, length)) = printf(rest) {
            name.push_str(&number(Places::Printf(width)));
            length
        } else {
            name.push('%');
            1
        };
        rest = &rest[length..];
    }
    name.push_str(rest);
    name
}

/// The width, and the length in bytes, of a `%d` or `%04d` that begins `text`.
fn printf(text: &str) -> Option<(usize, usize)> {
    let after = text.strip_prefix('%')?;
    let count = after.bytes().take_while(u8::is_ascii_digit).count();
    if after.as_bytes().get(count) != Some(&b'd') {
        return None;
    }
    let width = match &after[..count] {
        "" => 0,
        // Without the 0 printf pads with spaces, which nobody wants in the name of a file.
        number => number.strip_prefix('0')?.parse().unwrap_or(usize::MAX),
    };
    (width <= MAX_PRINTF_WIDTH).then_some((width, count + 2))
}

/// The frame's digits padded to `places`, its sign before them.
fn digits(frame: i64, places: usize) -> String {
    let sign = if frame < 0 { "-" } else { "" };
    format!("{sign}{:0places$}", frame.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::{output_name, with_hashes};

    /// The `#` rows are what Blender 3.4.1's `render.frame_path` gives, the `%` rows what C's
    /// `printf` does.
    #[test]
    fn numbers_are_filled_in() {
        for (pattern, frame, expected) in [
            ("out_####.png", 7, "out_0007.png"),
            ("out_####.png", -5, "out_-0005.png"),
            ("out_##.png", 123_456, "out_123456.png"),
            ("#/a_##.exr", 3, "3/a_03.exr"),
            ("out.%04d.exr", 7, "out.0007.exr"),
            ("out.%04d.exr", -5, "out.-005.exr"),
            ("out%d.exr", 7, "out7.exr"),
            ("%d-####", 12, "12-0012"),
            ("beauty.png", 1, "beauty.png"),
            ("100%.png", 1, "100%.png"),
            ("%5d.png", 1, "%5d.png"),
            ("%099999999999999999999d.png", 1, "%099999999999999999999d.png"),
            ("é%é#.png", 1, "é%é1.png"),
            ("", 1, ""),
        ] {
            assert_eq!(output_name(pattern, frame), expected, "{pattern} {frame}");
        }
    }

    #[test]
    fn a_pattern_has_hashes_only() {
        for (pattern, expected) in
            [("a.%04d.exr", "a.####.exr"), ("%d-##", "#-##"), ("100%.png", "100%.png")]
        {
            assert_eq!(with_hashes(pattern), expected);
        }
    }
}
