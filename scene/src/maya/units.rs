//! Maya's names for time units and numbers for image formats.

/// Frames per second of a time unit, as in `currentUnit -t film`; 24 for what isn't known, which is
/// Maya's own default. From the documentation of the `currentUnit` command.
pub(super) fn frames_per_second(unit: &str) -> f64 {
    match unit {
        "game" => 15.0,
        "film" => 24.0,
        "pal" => 25.0,
        "ntsc" => 30.0,
        "show" => 48.0,
        "palf" => 50.0,
        "ntscf" => 60.0,
        "hour" => 1.0 / 3600.0,
        "min" => 1.0 / 60.0,
        "sec" => 1.0,
        "millisec" => 1000.0,
        other => {
            // 29.97df counts frames by dropping some of their numbers; they pass at the same rate.
            let number = other.strip_suffix("fps").or_else(|| other.strip_suffix("df"));
            match number.and_then(|number| number.parse::<f64>().ok()) {
                Some(rate) if rate.is_finite() && rate > 0.0 => rate,
                _ => 24.0,
            }
        }
    }
}

/// The name of an image format: the plug-in's key for one that a plug-in writes (50, 51), else the
/// usual file ending of the number in `imageFormat`; the number itself where it isn't known. From the
/// documentation of the node `renderGlobals`.
pub(super) fn image_format(number: i64, plugin: Option<&str>) -> String {
    let name = match number {
        0 => "gif",
        1 => "si",
        2 => "rla",
        3 => "tif",
        4 => "tif16",
        5 => "sgi",
        6 => "als",
        7 => "iff",
        8 => "jpg",
        9 => "eps",
        10 => "iff16",
        11 => "cin",
        12 => "yuv",
        13 => "sgi16",
        19 => "tga",
        20 => "bmp",
        21 => "sgimv",
        22 => "mov",
        23 => "avi",
        31 => "psd",
        32 => "png",
        35 => "dds",
        36 => "psd",
        50 | 51 => match plugin {
            Some(key) if !key.is_empty() => key,
            _ => return number.to_string(),
        },
        _ => return number.to_string(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_rates() {
        for (unit, rate) in [
            ("film", 24.0),
            ("pal", 25.0),
            ("ntscf", 60.0),
            ("59.94fps", 59.94),
            ("23.976fps", 23.976),
            ("29.97df", 29.97),
            ("120fps", 120.0),
            ("nanfps", 24.0),
            ("-5fps", 24.0),
            ("fps", 24.0),
            ("", 24.0),
        ] {
            assert_eq!(frames_per_second(unit), rate, "{unit}");
        }
    }

    #[test]
    fn formats_have_names() {
        assert_eq!(image_format(7, None), "iff");
        assert_eq!(image_format(51, Some("exr")), "exr");
        assert_eq!(image_format(8, Some("exr")), "jpg");
        assert_eq!(image_format(51, None), "51");
        assert_eq!(image_format(-3, None), "-3");
    }
}
