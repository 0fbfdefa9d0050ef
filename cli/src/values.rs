//! What people write behind options, read and checked before anything is asked of a node.

use std::time::Duration;

use weft_node::keep::{KeepFor, Word};
use weft_scene::frames;

/// The longest text that is checked here, in bytes: an error of the command line's repeats it.
/// Whoever is asked checks the others, and says what is wrong without repeating them.
const LONGEST_CHECKED: usize = 256;

/// A frame spec, as it was written.
pub(crate) fn frame_spec(text: &str) -> Result<String, String> {
    if text.len() > LONGEST_CHECKED {
        return Ok(text.to_owned());
    }
    frames::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The number of one frame.
pub(crate) fn frame(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "a frame is a whole number, such as 7 or -5".to_owned())
}

/// A duration: `90`, `90s`, `1h30m`, `2d`; seconds where no unit is given.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no duration; write something like 90s, 10m, 1h30m or 2d");
    if let Ok(seconds) = text.parse::<u64>() {
        return positive(Some(seconds)).ok_or_else(wrong);
    }
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "s" | "sec" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        rest = rest[letters..].trim_start();
        let part = number.checked_mul(unit);
        seconds = part.and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
    }
    positive(Some(seconds)).ok_or_else(wrong)
}

/// More than nothing, and no more than ten years: beyond is a slip of the finger.
fn positive(seconds: Option<u64>) -> Option<Duration> {
    seconds.filter(|s| (1..=10 * 366 * 86_400).contains(s)).map(Duration::from_secs)
}

/// An MD5 in hex, in lower case.
pub(crate) fn md5(text: &str) -> Result<String, String> {
    hex(text, 32, "an MD5")
}

/// A BLAKE3 hash in hex, in lower case.
pub(crate) fn blake3(text: &str) -> Result<String, String> {
    hex(text, 64, "a BLAKE3 hash")
}

fn hex(text: &str, digits: usize, what: &str) -> Result<String, String> {
    if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("{what} has {digits} hex digits"))
    }
}

/// An xxHash64: in decimal, or in hex behind `0x`; given in decimal.
pub(crate) fn xxh64(text: &str) -> Result<String, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse::<u64>(),
    };
    let wrong = |_| "an xxHash64 is a number up to 2^64 - 1, or hex behind 0x".to_owned();
    number.map(|number| number.to_string()).map_err(wrong)
}

/// A priority: 0 to 100, or a word.
pub(crate) fn priority(text: &str) -> Result<u8, String> {
    match text {
        "low" => Ok(25),
        "normal" => Ok(weft_protocol::job::spec::NORMAL_PRIORITY),
        "high" => Ok(75),
        _ => {
            text.parse().ok().filter(|number| *number <= 100).ok_or_else(|| {
                "a priority is 0 to 100, low (25), normal (50) or high (75)".to_owned()
            })
        }
    }
}

/// `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("an argument is written KEY=VALUE".to_owned()),
    }
}

/// GiB of memory.
pub(crate) fn gib(text: &str) -> Result<f64, String> {
    // A million GiB is beyond any machine, and far below where a float loses bytes.
    let fits = |gib: &f64| *gib > 0.0 && *gib <= 1e6;
    text.parse().ok().filter(fits).ok_or_else(|| "memory is given in GiB, like 16 or 0.5".into())
}

/// GiB of memory, or 0 where none is asked.
pub(crate) fn gib_or_none(text: &str) -> Result<f64, String> {
    if text.parse() == Ok(0.0) { Ok(0.0) } else { gib(text) }
}

/// `COLUMNSxROWS`, as it was written.
pub(crate) fn tiles(text: &str) -> Result<String, String> {
    let side = |text: &str| text.parse::<u16>().is_ok_and(|side| (1..=64).contains(&side));
    match text.split_once('x') {
        Some((columns, rows)) if side(columns) && side(rows) => Ok(text.to_owned()),
        _ => Err("tiles are written COLUMNSxROWS, like 2x2; at most 64 each way".to_owned()),
    }
}

/// A value, or `default`, which is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrDefault<T>(pub(crate) Option<T>);

/// What can be limited, or, with `none`, not be.
pub(crate) fn or_none(text: &str) -> Result<OrDefault<u32>, String> {
    match text {
        "none" => Ok(OrDefault(None)),
        _ => {
            let wrong = |_| "a limit is a whole number from 0, or `none`".to_owned();
            text.parse().map(|limit| OrDefault(Some(limit))).map_err(wrong)
        }
    }
}

/// How long a job is kept: a duration, or `forever`.
pub(crate) fn keep(text: &str) -> Result<KeepFor, String> {
    if text == "forever" {
        return Ok(KeepFor::Word(Word::Forever));
    }
    let seconds = u32::try_from(duration(text)?.as_secs());
    seconds
        .map(KeepFor::Seconds)
        .map_err(|_| format!("'{text}' is longer than can be said; write forever"))
}

/// The same, or `default`.
pub(crate) fn keep_or_default(text: &str) -> Result<OrDefault<KeepFor>, String> {
    default_or(text, keep)
}

/// A number, of which `inf` and `NaN` are none: a document would carry them as nothing.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| format!("'{text}' is no number"))
}

/// The same, or `default`.
pub(crate) fn number_or_default(text: &str) -> Result<OrDefault<f64>, String> {
    default_or(text, number)
}

/// What can be set, or brought back to its default.
pub(crate) fn or_default<T: std::str::FromStr>(text: &str) -> Result<OrDefault<T>, String>
where
    T::Err: std::fmt::Display,
{
    default_or(text, |text| text.parse().map_err(|error: T::Err| error.to_string()))
}

fn default_or<T>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<OrDefault<T>, String> {
    match text {
        "default" => Ok(OrDefault(None)),
        _ => read(text).map(|value| OrDefault(Some(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_slips_refused() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("1h30m", 5400),
            ("10 min", 600),
            ("1h 5s", 3605),
            ("2d", 172_800),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "0s", "h", "1x", "-5", "1.5h", "99999999999999999999", "9999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hashes_are_read_in_any_case() {
        assert_eq!(
            md5("65A8E27D8879283831B664BD8B7F0AD4").as_deref(),
            Ok("65a8e27d8879283831b664bd8b7f0ad4")
        );
        assert!(md5("65a8").is_err() && md5(&"g".repeat(32)).is_err());
        assert!(blake3(&"a".repeat(64)).is_ok() && blake3(&"a".repeat(32)).is_err());
        assert_eq!(xxh64("0xef46db3751d8e999").as_deref(), Ok("17241709254077376921"));
        assert_eq!(xxh64("17241709254077376921").as_deref(), Ok("17241709254077376921"));
        assert!(xxh64("ef46").is_err() && xxh64("-1").is_err());
    }

    #[test]
    fn priorities_are_numbers_or_words() {
        assert_eq!((priority("0"), priority("100")), (Ok(0), Ok(100)));
        assert_eq!((priority("low"), priority("high")), (Ok(25), Ok(75)));
        assert!(priority("101").is_err() && priority("urgent").is_err());
    }

    #[test]
    fn the_rest_is_read_strictly() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(key_value("ab").is_err() && key_value("=b").is_err());
        assert_eq!(gib("0.5"), Ok(0.5));
        assert_eq!(gib_or_none("0"), Ok(0.0));
        assert!(gib_or_none("-1").is_err() && or_none("-1").is_err() && or_none("").is_err());
        assert_eq!((or_none("none"), or_none("0")), (Ok(OrDefault(None)), Ok(OrDefault(Some(0)))));
        assert_eq!((number("-1.5"), number_or_default("default")), (Ok(-1.5), Ok(OrDefault(None))));
        assert!(["NaN", "inf", "-inf", "", "1 5"].iter().all(|text| number(text).is_err()));
        assert_eq!(keep("forever"), Ok(KeepFor::Word(Word::Forever)));
        assert_eq!(keep_or_default("default"), Ok(OrDefault(None)));
        assert!(keep("0d").is_err() && keep("default").is_err() && keep_or_default("x").is_err());
        assert!(gib("0").is_err() && gib("NaN").is_err() && gib("-1").is_err());
        assert!(tiles("2x3").is_ok() && tiles("0x3").is_err() && tiles("2").is_err());
        assert!(frame_spec("1-10").is_ok() && frame_spec("1-").is_err());
    }
}
