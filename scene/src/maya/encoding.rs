//! The text encoding that a scene's `//Codeset:` line names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::statements::{HEAD, read_head};

/// The longest name of a code page that is looked at, in letters; real ones have up to 20.
const MAX_NAME: usize = 40;
/// The most code pages that are told of; further ones say nothing new.
const MAX_WARNINGS: usize = 20;

/// The encoding of a codeset as Maya writes it: a Windows code page's number, or a name of the system's. A scene
/// without one is taken for UTF-8, in which most are and whose ASCII part all others share.
pub(super) fn of_codeset(codeset: &str) -> &'static Encoding {
    known(codeset).unwrap_or(WINDOWS_1252)
}

/// As [`of_codeset`]; `None` for code pages that nothing here can read, such as 437.
fn known(codeset: &str) -> Option<&'static Encoding> {
    let codeset = codeset.trim().to_ascii_lowercase();
    let label = match codeset.as_str() {
        "" | "65001" => return Some(UTF_8),
        "932" => "shift_jis".to_owned(),
        "936" | "20936" | "51936" | "euccn" => "gbk".to_owned(),
        "54936" => "gb18030".to_owned(),
        "949" | "51949" | "euckr" => "euc-kr".to_owned(),
        "950" => "big5".to_owned(),
        "20932" | "51932" | "eucjp" | "eucjp-ms" => "euc-jp".to_owned(),
        "10000" | "macroman" => "macintosh".to_owned(),
        "10007" => "x-mac-cyrillic".to_owned(),
        "20866" => "koi8-r".to_owned(),
        "21866" => "koi8-u".to_owned(),
        "20127" | "646" => "us-ascii".to_owned(),
        "866" => "ibm866".to_owned(),
        "874" => "windows-874".to_owned(),
        other => match other.strip_prefix("2859").or_else(|| other.strip_prefix("286")) {
            // 28591 to 28599, and 28600 to 28606.
            Some(part) if other.len() == 5 => format!("iso-8859-{}", part.replacen('0', "1", 1)),
            _ if other.len() == 4 && other.starts_with("125") => format!("windows-{other}"),
            _ => other.to_owned(),
        },
    };
    // A scene's own words are ASCII in every code page.
    Encoding::for_label(label.as_bytes()).filter(|encoding| encoding.is_ascii_compatible())
}

/// What is to be said of the code pages of these scenes: those of them that can't be read.
pub(super) fn unknown(scenes: &BTreeSet<PathBuf>) -> Vec<String> {
    // By code page: the first scene, and how many there are.
    let mut pages: BTreeMap<String, (&Path, usize)> = BTreeMap::new();
    for scene in scenes {
        let page = codeset_of(scene).filter(|codeset| known(codeset).is_none());
        if let Some(page) = page {
            pages.entry(page).or_insert((scene, 0)).1 += 1;
        }
    }
    let say = |(page, (scene, count)): (String, (&Path, usize))| {
        let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        format!(
            "the code page '{page}' of {}{others} isn't known; read as 1252, so that letters beyond ASCII in names may be \
             taken for others",
            scene.display()
        )
    };
    pages.into_iter().take(MAX_WARNINGS).map(say).collect()
}

/// What the head of a Maya ASCII scene says; none of other files.
fn codeset_of(scene: &Path) -> Option<String> {
    let mut head = Vec::new();
    super::open(scene).ok()?.take(HEAD as u64).read_to_end(&mut head).ok()?;
    let (_, codeset) = read_head(&head).ok()?;
    Some(codeset.trim().chars().take(MAX_NAME).collect())
}

#[cfg(test)]
mod tests {
    use super::{known, of_codeset};

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
            ("54936", "gb18030"),
            ("866", "IBM866"),
            ("28592", "ISO-8859-2"),
            ("28605", "ISO-8859-15"),
            ("eucJP", "EUC-JP"),
            ("eucJP-ms", "EUC-JP"),
            ("eucKR", "EUC-KR"),
            ("eucCN", "GBK"),
            ("macRoman", "macintosh"),
            ("ISO8859-1", "windows-1252"),
            ("ANSI_X3.4-1968", "windows-1252"),
        ] {
            assert_eq!(known(codeset).map(|encoding| encoding.name()), Some(name), "{codeset}");
        }
        for codeset in ["437", "850", "1361", "125", "12525", "2859", "28612", "utf-16", "é"] {
            assert_eq!(known(codeset), None, "{codeset}");
            assert_eq!(of_codeset(codeset).name(), "windows-1252", "{codeset}");
        }
    }
}
