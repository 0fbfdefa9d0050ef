//! Copies of Maya ASCII scenes with other paths in them.
//!
//! A path may stand in any string of a scene: behind `file -r`, as an attribute's value, and inside
//! of a string once more where a reference's changes are listed. So every string that is a path
//! which moves is replaced, whatever it stands for; all other bytes stay as they are.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use super::arguments::without_copy_number;
use super::encoding::Page;
use super::pieces::Group;
use super::statements::{CHUNK, HEAD, read_head};
use super::words::MAX_WORD;
use crate::analysis::AnalyseError;

/// The longest string that is looked at, in bytes: a path, and what a reference's change says beside
/// it. Every letter of it may be two bytes, and escaped twice.
const MAX_STRING: usize = 8 * MAX_WORD;

/// Writes a copy of a Maya ASCII scene with other paths in it, and says how many it changed. `map` is
/// asked for every string, without its escapes, and answers for those that are paths which move.
///
/// # Errors
/// For a file that can't be read or is no Maya ASCII scene, `Unsupported` for a path that can't be
/// written in the scene's code page, `Write` if `dest` fails.
pub fn rewrite_paths(
    scene: &Path,
    dest: &mut impl Write,
    map: &dyn Fn(&str) -> Option<String>,
) -> Result<usize, AnalyseError> {
    let input = BufReader::with_capacity(CHUNK, super::open(scene)?);
    copy(input, scene, dest, map)
}

/// Where in a scene's text the next byte stands.
#[derive(Clone, Copy)]
enum Place {
    Code,
    /// Behind a slash outside of strings.
    Slash,
    Line,
    Block,
    /// Behind a star in a comment.
    Star,
    Text,
    /// Behind a backslash in a string.
    Escape,
    /// Behind the first byte of a letter of two.
    Trail,
}

/// As [`rewrite_paths`], from anything that can be read.
pub(super) fn copy(
    mut input: impl BufRead,
    scene: &Path,
    dest: &mut impl Write,
    map: &dyn Fn(&str) -> Option<String>,
) -> Result<usize, AnalyseError> {
    let io = |error| AnalyseError::io(scene, error);
    let head = input.fill_buf().map_err(io)?;
    let page = Page::of(&read_head(&head[..head.len().min(HEAD)])?.codeset);
    let mut place = Place::Code;
    let mut changed = 0;
    // The string that is being read, and whether a part of it was written already.
    let (mut string, mut cut) = (Vec::new(), false);
    // The parentheses that are open.
    let mut group: Option<Group> = None;
    loop {
        let chunk = input.fill_buf().map_err(io)?;
        if chunk.is_empty() {
            break;
        }
        let (length, mut rest) = (chunk.len(), chunk);
        loop {
            let plain = match place {
                Place::Code if group.is_none() => memchr::memchr3(b'"', b'/', b'(', rest),
                Place::Line => memchr::memchr2(b'\n', b'\r', rest),
                Place::Block => memchr::memchr(b'*', rest),
                _ => Some(0),
            };
            let (plain, behind) = rest.split_at(plain.unwrap_or(rest.len()));
            dest.write_all(plain).map_err(AnalyseError::Write)?;
            let Some((&byte, behind)) = behind.split_first() else { break };
            rest = behind;
            let next = place.next(byte, page);
            let was_text = place.is_text();
            if !was_text && byte == b'(' && matches!(place, Place::Code | Place::Slash) {
                group.get_or_insert_default();
            }
            match (was_text, next.is_text()) {
                (true, true) => string.push(byte),
                (true, false) => {
                    let new = if cut { None } else { replaced(&string, page, map)? };
                    let bytes = new.as_deref().unwrap_or(&string);
                    match &mut group {
                        Some(group) => {
                            group.string(&string);
                            group.changed += usize::from(new.is_some());
                            group.held.extend_from_slice(bytes);
                            group.held.push(byte);
                        }
                        None => {
                            changed += usize::from(new.is_some());
                            dest.write_all(bytes).map_err(AnalyseError::Write)?;
                            dest.write_all(&[byte]).map_err(AnalyseError::Write)?;
                        }
                    }
                    string.clear();
                    cut = false;
                }
                (false, _) => match &mut group {
                    Some(open) => {
                        open.held.push(byte);
                        if open.code(byte) {
                            let whole = open.whole().map(|whole| replaced(whole, page, map));
                            match whole.transpose()?.flatten() {
                                Some(new) => {
                                    changed += 1;
                                    let bytes = [b"(\"", &new[..], b"\")"].concat();
                                    dest.write_all(&bytes).map_err(AnalyseError::Write)?;
                                }
                                None => {
                                    changed += open.changed;
                                    dest.write_all(&open.held).map_err(AnalyseError::Write)?;
                                }
                            }
                            group = None;
                        }
                    }
                    None => dest.write_all(&[byte]).map_err(AnalyseError::Write)?,
                },
            }
            // With a comment in it, it is no path.
            let comment = matches!(next, Place::Line | Place::Block);
            if let Some(full) = group.take_if(|group| comment || group.is_full()) {
                changed += full.changed;
                dest.write_all(&full.held).map_err(AnalyseError::Write)?;
            }
            if string.len() >= MAX_STRING {
                if let Some(group) = group.take() {
                    changed += group.changed;
                    dest.write_all(&group.held).map_err(AnalyseError::Write)?;
                }
                dest.write_all(&string).map_err(AnalyseError::Write)?;
                string.clear();
                cut = true;
            }
            place = next;
        }
        input.consume(length);
    }
    if let Some(group) = group {
        changed += group.changed;
        dest.write_all(&group.held).map_err(AnalyseError::Write)?;
    }
    // A string without an end: who reads the copy says so, as of the scene.
    dest.write_all(&string).map_err(AnalyseError::Write)?;
    Ok(changed)
}

impl Place {
    const fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Escape | Self::Trail)
    }

    /// Where the byte behind `byte` stands.
    fn next(self, byte: u8, page: Page) -> Self {
        match (self, byte) {
            (Self::Slash, b'/') => Self::Line,
            (Self::Slash, b'*') => Self::Block,
            (Self::Code | Self::Slash, b'"') => Self::Text,
            (Self::Code, b'/') => Self::Slash,
            (Self::Line, b'\n' | b'\r') | (Self::Star, b'/') | (Self::Text, b'"') => Self::Code,
            (Self::Block | Self::Star, b'*') => Self::Star,
            (Self::Block | Self::Star, _) => Self::Block,
            (Self::Line, _) => Self::Line,
            (Self::Code | Self::Slash, _) => Self::Code,
            (Self::Text, b'\\') => Self::Escape,
            (Self::Text | Self::Escape, _) if page.is_lead(byte) => Self::Trail,
            (Self::Text | Self::Escape | Self::Trail, _) => Self::Text,
        }
    }
}

/// The bytes to stand in a string's place, if a path in it moves.
fn replaced(
    string: &[u8],
    page: Page,
    map: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Vec<u8>>, AnalyseError> {
    // What can't be read could not be written again either.
    let Some(text) = page.decode(string) else { return Ok(None) };
    let text = unescaped(&text);
    let new = match text.contains('"') {
        true => replaced_within(&text, map),
        false => moved(&text, map),
    };
    let Some(new) = new else { return Ok(None) };
    let escaped = escaped(&new);
    let bytes = page.encode(&escaped).ok_or_else(|| {
        AnalyseError::Unsupported(format!(
            "the path '{new}' has letters that the scene's code page ({}) lacks; save the scene as UTF-8",
            page.name()
        ))
    })?;
    Ok(Some(bytes))
}

/// Where a path moves; the number of a reference's copy stays behind it.
fn moved(text: &str, map: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let path = without_copy_number(text);
    map(path).map(|new| new + &text[path.len()..])
}

/// A string with strings in it, in which paths move.
fn replaced_within(text: &str, map: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let (mut new, mut changed) = (String::new(), false);
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('"') {
        let mut escape = false;
        let end = from.bytes().position(|byte| {
            let ends = byte == b'"' && !escape;
            escape = byte == b'\\' && !escape;
            ends
        })?;
        new.push_str(before);
        new.push('"');
        match moved(&unescaped(&from[..end]), map) {
            Some(path) => {
                new.push_str(&escaped(&path));
                changed = true;
            }
            None => new.push_str(&from[..end]),
        }
        new.push('"');
        rest = &from[end + 1..];
    }
    new.push_str(rest);
    changed.then_some(new)
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.extend(match letter {
            '\\' => letters.next().map(|letter| match letter {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            other => Some(other),
        });
    }
    Cow::Owned(plain)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\\' => escaped.extend(['\\', letter]),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &[u8], map: &dyn Fn(&str) -> Option<String>) -> (Vec<u8>, usize) {
        let mut copies = Vec::new();
        // However few bytes come at a time, the copy is the same.
        for size in [text.len().min(HEAD), CHUNK] {
            let mut copy_of = Vec::new();
            let input = BufReader::with_capacity(size.max(1), text);
            let changed = copy(input, Path::new("t.ma"), &mut copy_of, map).unwrap();
            copies.push((copy_of, changed));
        }
        assert_eq!(copies[0], copies[1]);
        copies.remove(0)
    }

    fn to_x(path: &str) -> Option<String> {
        (path == "C:/a/b.png" || path == "C:\\a\\b.png" || path == "//s/a.ma")
            .then(|| "x/b.png".into())
    }

    #[test]
    fn paths_are_replaced_wherever_they_stand() {
        for (line, expected, count) in [
            ("file -r -ns \"a\" \"//s/a.ma\";", "file -r -ns \"a\" \"x/b.png\";", 1),
            ("file -r \"//s/a.ma{12}\";", "file -r \"x/b.png{12}\";", 1),
            (r#"setAttr ".ftn" "C:\\a\\b.png";"#, r#"setAttr ".ftn" "x/b.png";"#, 1),
            (
                r#"2 "n:f" "fileTextureName" " -type \"string\" \"C:/a/b.png\"""#,
                r#"2 "n:f" "fileTextureName" " -type \"string\" \"x/b.png\"""#,
                1,
            ),
            (
                r#"" -type \"string\" \"C:\\\\a\\\\b.png\" \"C:/a/b.png\"""#,
                r#"" -type \"string\" \"x/b.png\" \"x/b.png\"""#,
                1,
            ),
            ("// \"C:/a/b.png\"", "// \"C:/a/b.png\"", 0),
            ("// x\ra \"C:/a/b.png\";", "// x\ra \"x/b.png\";", 1),
            (
                "/* \" */ \"C:/a/b.png\" /** \"C:/a/b.png\" **/",
                "/* \" */ \"x/b.png\" /** \"C:/a/b.png\" **/",
                1,
            ),
            (
                r#"a ( "C:/a/" + ("b" +"\n.png")) "C:/a/b.png""#,
                r#"a ( "C:/a/" + ("b" +"\n.png")) "x/b.png""#,
                1,
            ),
            (
                r#"a ( "C:/a/"
 + ("b" +".png") ) b"#,
                r#"a ("x/b.png") b"#,
                1,
            ),
            (r#"a ("C:\\a" + "\\b.png");"#, r#"a ("x/b.png");"#, 1),
            (r#"a ("q" + "C:/a/b.png") ("C:/a/b.png");"#, r#"a ("q" + "x/b.png") ("x/b.png");"#, 2),
            (
                r#"a ("C:/a/" + $b + "b.png") ("C:/a/" "#,
                r#"a ("C:/a/" + $b + "b.png") ("C:/a/" "#,
                0,
            ),
            ("1/2 \"C:/a/b.png\"; a/ \"C:/a/b.png\"", "1/2 \"x/b.png\"; a/ \"x/b.png\"", 2),
            ("\"C:/a/b.pngs\" \"\\q\\\"\" \"a", "\"C:/a/b.pngs\" \"\\q\\\"\" \"a", 0),
        ] {
            let head = "//Maya ASCII 2024 scene\n";
            let (copy, changed) = rewritten(format!("{head}{line}\n").as_bytes(), &to_x);
            assert_eq!(String::from_utf8(copy).unwrap(), format!("{head}{expected}\n"));
            assert_eq!(changed, count, "{line}");
        }
    }

    /// In Shift-JIS the second byte of 表 is a backslash.
    #[test]
    fn code_pages_are_kept() {
        let text = |path: &[u8]| {
            let head = b"//Maya ASCII 2017 scene\n//Codeset: 932\na \"\x95\x5c\" \"";
            [&head[..], path, b"\" \"\x83\x7b\";\n"].concat()
        };
        let map = |path: &str| (path == "D:/表.png").then(|| "表/ボ.png".to_owned());
        let (copy, changed) = rewritten(&text(b"D:/\x95\x5c.png"), &map);
        assert_eq!((copy, changed), (text(b"\x95\x5c/\x83\x7b.png"), 1));
        let dos = |path: &[u8]| {
            let head = b"//Maya ASCII 8.5 scene\n//Codeset: 850\na \"\xff\" \"";
            [&head[..], path, b"\";\n"].concat()
        };
        let map = |path: &str| (path == "D:/Ørsted.png").then(|| "Ø/æ.png".to_owned());
        let (copy, changed) = rewritten(&dos(b"D:/\x9drsted.png"), &map);
        assert_eq!((copy, changed), (dos(b"\x9d/\x91.png"), 1));
    }

    #[test]
    fn letters_that_a_code_page_lacks_are_told() {
        let text = b"//Maya ASCII 2017 scene\n//Codeset: 1252\na \"D:/a.png\";\n";
        let map = |path: &str| (path == "D:/a.png").then(|| "表.png".to_owned());
        let told = copy(&text[..], Path::new("t"), &mut Vec::new(), &map).unwrap_err();
        assert!(told.to_string().contains("windows-1252"), "{told}");
    }

    #[test]
    fn what_does_not_move_is_copied_to_the_byte() {
        let long = "x\\\\".repeat(MAX_STRING);
        let noise = b"//Maya ASCII 2017 scene\na \"\xff\xfe\\\" ; \" \r\n \"\xc3\";";
        for text in
            [noise.to_vec(), format!("//Maya ASCII 1 scene\n\"{long}\" \"a\";").into_bytes()]
        {
            assert_eq!(rewritten(&text, &|_| None), (text.clone(), 0));
            assert_eq!(rewritten(&text, &to_x).0, text);
        }
    }
}
