//! The text encoding that a scene's `//Codeset:` line names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use encoding_rs::{CoderResult, EUC_JP, Encoding, SHIFT_JIS, UTF_8, WINDOWS_1252};
use oem_cp::OEMCPHashMap;
use oem_cp::code_table::{DECODING_TABLE_CP_MAP, ENCODING_TABLE_CP_MAP};
use oem_cp::code_table_type::TableType;

/// The longest name of a code page that is looked at, in letters; real ones have up to 20.
const MAX_NAME: usize = 40;
/// The most code pages that are told of; further ones say nothing new.
const MAX_WARNINGS: usize = 20;

/// How a scene's text is written. Its own words are ASCII in all of them.
#[derive(Clone, Copy)]
pub(super) enum Page {
    /// As texts on the web may be.
    Web(&'static Encoding),
    /// As under DOS: one byte a letter.
    Dos { number: u16, letters: &'static TableType, bytes: &'static OEMCPHashMap<char, u8> },
}

impl Page {
    /// The encoding of a codeset as Maya writes it: a Windows code page's number, or a name of the system's. Those
    /// that nothing here can read are taken for 1252.
    pub(super) fn of(codeset: &str) -> Self {
        Self::known(codeset).unwrap_or(Self::Web(WINDOWS_1252))
    }

    fn known(codeset: &str) -> Option<Self> {
        let codeset = codeset.trim().to_ascii_lowercase();
        let is_number = |text: &&str| text.parse::<u16>().is_ok();
        let page = codeset.strip_prefix("cp").filter(is_number).unwrap_or(&codeset);
        let label = match page {
            // Most scenes are UTF-8. One that says nothing, or that Maya saved where no language was set (as pipelines
            // do), has its paths as the disk has them.
            "" | "65001" | "20127" | "646" | "us-ascii" | "ansi_x3.4-1968" => {
                return Some(Self::Web(UTF_8));
            }
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
            "874" => "windows-874".to_owned(),
            other => match other.strip_prefix("2859").or_else(|| other.strip_prefix("286")) {
                // 28591 to 28599, and 28600 to 28606.
                Some(part) if other.len() == 5 => {
                    format!("iso-8859-{}", part.replacen('0', "1", 1))
                }
                _ if other.len() == 4 && other.starts_with("125") => format!("windows-{other}"),
                _ => codeset.clone(),
            },
        };
        let web = Encoding::for_label(label.as_bytes());
        let web = web.filter(|encoding| encoding.is_ascii_compatible()).map(Self::Web);
        web.or_else(|| Self::dos(page.parse().ok()?))
    }

    fn dos(number: u16) -> Option<Self> {
        let letters = DECODING_TABLE_CP_MAP.get(&number)?;
        Some(Self::Dos { number, letters, bytes: ENCODING_TABLE_CP_MAP.get(&number)? })
    }

    /// The name for people.
    pub(super) fn name(self) -> Cow<'static, str> {
        match self {
            Self::Web(encoding) => encoding.name().into(),
            Self::Dos { number, .. } => number.to_string().into(),
        }
    }

    /// A text; `None` where some of it is none.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Web(encoding) => {
                encoding.decode_without_bom_handling_and_without_replacement(bytes)
            }
            Self::Dos { letters, .. } => letters.decode_string_checked(bytes).map(Cow::Owned),
        }
    }

    /// The bytes of a text; `None` where it has letters that aren't in the page.
    pub(super) fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Web(encoding) => {
                let (written, _, lost) = encoding.encode(text);
                (!lost).then(|| written.into_owned())
            }
            Self::Dos { bytes, .. } => oem_cp::encode_string_checked(text, bytes),
        }
    }

    /// Whether a byte is the first of a letter whose second could be taken for a backslash.
    pub(super) fn is_lead(self, byte: u8) -> bool {
        let Self::Web(encoding) = self else { return false };
        let katakana = encoding == SHIFT_JIS && (0xa1..=0xdf).contains(&byte);
        let two = !encoding.is_single_byte() && encoding != UTF_8 && encoding != EUC_JP;
        two && (0x81..=0xfe).contains(&byte) && !katakana
    }

    pub(super) fn decoder(self) -> Decoder {
        match self {
            // This takes a byte order mark away too.
            Self::Web(encoding) => Decoder::Web(Box::new(encoding.new_decoder())),
            Self::Dos { letters, .. } => Decoder::Dos(letters),
        }
    }
}

/// Reads a text piece by piece.
pub(super) enum Decoder {
    Web(Box<encoding_rs::Decoder>),
    Dos(&'static TableType),
}

impl Decoder {
    /// Writes the text of `raw` to the beginning of `text`, which grows where it is too short, and tells where it ends.
    pub(super) fn decode(&mut self, raw: &[u8], text: &mut String, last: bool) -> usize {
        match self {
            Self::Web(decoder) => {
                let room = decoder.max_utf8_buffer_length(raw.len()).unwrap_or(raw.len() * 4);
                if text.len() < room {
                    *text = "\0".repeat(room);
                }
                // The buffer has room for the worst case, so that one call decodes everything.
                let (result, _, written, _) = decoder.decode_to_str(raw, text, last);
                debug_assert_eq!(result, CoderResult::InputEmpty);
                written
            }
            Self::Dos(letters) => {
                *text = letters.decode_string_lossy(raw);
                text.len()
            }
        }
    }
}

/// A codeset that nothing here can read, as far as it is told.
pub(super) fn unknown(codeset: &str) -> Option<String> {
    let unknown = Page::known(codeset).is_none();
    unknown.then(|| codeset.trim().chars().take(MAX_NAME).collect())
}

/// The code pages that can't be read: the first scene in each, and how many there are.
#[derive(Debug, Default)]
pub(super) struct UnknownPages(BTreeMap<String, (PathBuf, usize)>);

impl UnknownPages {
    pub(super) fn add(&mut self, page: &str, scene: &Path) {
        if self.0.len() < MAX_WARNINGS || self.0.contains_key(page) {
            self.0.entry(page.to_owned()).or_insert_with(|| (scene.to_owned(), 0)).1 += 1;
        }
    }

    /// What is to be said of them.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(page, (scene, count))| {
            let others =
                if *count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            format!(
                "the code page '{page}' of {}{others} isn't known; read as 1252, so that letters beyond ASCII in names \
                 may be taken for others",
                scene.display()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, unknown};

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
            ("874", "windows-874"),
            ("54936", "gb18030"),
            ("866", "IBM866"),
            ("437", "437"),
            ("850", "850"),
            ("CP852", "852"),
            ("CP866", "IBM866"),
            ("CP949", "EUC-KR"),
            ("28592", "ISO-8859-2"),
            ("28605", "ISO-8859-15"),
            ("eucJP", "EUC-JP"),
            ("eucJP-ms", "EUC-JP"),
            ("eucKR", "EUC-KR"),
            ("eucCN", "GBK"),
            ("macRoman", "macintosh"),
            ("ISO8859-1", "windows-1252"),
            ("ANSI_X3.4-1968", "UTF-8"),
            ("US-ASCII", "UTF-8"),
        ] {
            assert_eq!(Page::known(codeset).map(Page::name).as_deref(), Some(name), "{codeset}");
            assert_eq!(unknown(codeset), None, "{codeset}");
        }
        for number in (1250..=1258).chain([874, 932, 936, 949, 950]) {
            assert!(Page::known(&number.to_string()).is_some(), "{number}: Windows' own");
        }
        for codeset in ["1361", "125", "12525", "2859", "28612", "037", "utf-16", "cp", "é"] {
            assert_eq!(unknown(codeset).as_deref(), Some(codeset));
            assert_eq!(Page::of(codeset).name(), "windows-1252", "{codeset}");
        }
    }

    #[test]
    fn pages_of_dos_are_read_and_written() {
        for (codeset, text, bytes) in [
            ("437", "Ägypten/π.png", &b"\x8egypten/\xe3.png"[..]),
            ("850", "Señor Øre", b"Se\xa4or \x9dre"),
            ("852", "Łódź", b"\x9d\xa2d\xab"),
            ("866", "Дом", b"\x84\xae\xac"),
        ] {
            let page = Page::of(codeset);
            assert_eq!(page.decode(bytes).as_deref(), Some(text), "{codeset}");
            assert_eq!(page.encode(text).as_deref(), Some(bytes), "{codeset}");
            assert_eq!(page.encode("日本"), None, "{codeset}");
        }
        // A byte that stands for nothing there.
        assert_eq!(Page::of("857").decode(b"\xd5"), None);
    }
}
