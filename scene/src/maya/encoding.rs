//! The text encoding that a scene's `//Codeset:` line names.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// The encoding of a codeset as Maya writes it: a Windows code page's number, or a name. A scene
/// without one is taken for UTF-8, in which most are and whose ASCII part all others share.
pub(super) fn of_codeset(codeset: &str) -> &'static Encoding {
    let codeset = codeset.trim();
    let label = match codeset.to_ascii_lowercase().as_str() {
        "" | "65001" => return UTF_8,
        "932" => "shift_jis".to_owned(),
        "936" => "gbk".to_owned(),
        "949" | "1361" => "euc-kr".to_owned(),
        "950" => "big5".to_owned(),
        "20932" | "51932" | "eucjp" => "euc-jp".to_owned(),
        "10000" => "macintosh".to_owned(),
        "20866" => "koi8-r".to_owned(),
        "28591" => "latin1".to_owned(),
        "874" => "windows-874".to_owned(),
        number if number.len() == 4 && number.starts_with("125") => format!("windows-{number}"),
        name => name.to_owned(),
    };
    // Maya names code pages that no list has, such as 437; what isn't ASCII in them is lost.
    Encoding::for_label(label.as_bytes()).unwrap_or(WINDOWS_1252)
}

#[cfg(test)]
mod tests {
    use super::of_codeset;

    #[test]
    fn codesets_are_known() {
        for (codeset, name) in [
            ("UTF-8", "UTF-8"),
            (" UTF-8\r", "UTF-8"),
            ("", "UTF-8"),
            ("1252", "windows-1252"),
            ("1251", "windows-1251"),
            ("932", "Shift_JIS"),
            ("936", "GBK"),
            ("949", "EUC-KR"),
            ("950", "Big5"),
            ("eucJP", "EUC-JP"),
            ("ISO8859-1", "windows-1252"),
            ("437", "windows-1252"),
        ] {
            assert_eq!(of_codeset(codeset).name(), name, "{codeset}");
        }
    }
}
