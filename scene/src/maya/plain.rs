//! Statements that are plain text: whole, without comments, escapes and parentheses. Nearly all of a scene's
//! are, and their words are read where they lie.

use super::words::{MAX_WORDS, Word};

/// How far a statement's end is looked for, in bytes; a longer one is geometry, which is read otherwise.
const MAX_LENGTH: usize = 4096;

/// Where a word lies in its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it stood in quotes, which aren't part of it.
    pub(super) quoted: bool,
}

impl Span {
    pub(super) fn word(self, statement: &str) -> Word<'_> {
        let text = statement[self.start..self.end].into();
        Word { text, quoted: self.quoted, cut: false }
    }
}

/// What a byte outside of strings means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Space,
    /// It ends a word, and is none of its letters.
    Mark,
    /// A comment may begin with it.
    Slash,
}

/// By the byte: looked up, since every byte of a scene is asked for.
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Letter; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b';' | b'"' | b'(' | b')' => Class::Mark,
            b'/' => Class::Slash,
            space if space.is_ascii_whitespace() => Class::Space,
            _ => Class::Letter,
        };
        byte += 1;
    }
    classes
};

/// Finds the words of the statement with which `text` begins, and how long it is with its `;`. `None` if it
/// isn't plain, doesn't end here, or has more words than are kept; then `words` means nothing.
pub(super) fn split(text: &[u8], words: &mut Vec<Span>) -> Option<usize> {
    words.clear();
    let text = &text[..text.len().min(MAX_LENGTH)];
    let mut at = 0;
    loop {
        let byte = *text.get(at)?;
        let class = CLASSES[usize::from(byte)];
        if class == Class::Space {
            at += 1;
            continue;
        }
        let quoted = match byte {
            b';' => return Some(at + 1),
            b'(' | b')' => return None,
            byte => byte == b'"',
        };
        if words.len() == MAX_WORDS {
            return None;
        }
        let start = at + usize::from(quoted);
        let end = start + if quoted { string(&text[start..])? } else { bare(&text[start..])? };
        words.push(Span { start, end, quoted });
        at = end + usize::from(quoted);
    }
}

/// How long a string is that ends here and has no escapes.
fn string(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (text[end] == b'"').then_some(end)
}

/// How long a word outside of quotes is, if no comment begins behind it.
fn bare(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].iter().position(|byte| CLASSES[usize::from(*byte)] != Class::Letter)?;
        if text[at] != b'/' {
            return Some(at);
        }
        if matches!(text.get(at + 1)?, b'/' | b'*') {
            return None;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_where_they_lie() {
        let mut spans = Vec::new();
        for (text, expected) in [
            ("a b;c;", Some((4, vec![("a", false), ("b", false)]))),
            ("\n\ta\"b c\"-1 ;", Some((12, vec![("a", false), ("b c", true), ("-1", false)]))),
            (
                "a \"//no ; (comment)\" x/y;",
                Some((25, vec![("a", false), ("//no ; (comment)", true), ("x/y", false)])),
            ),
            ("a \"\";", Some((5, vec![("a", false), ("", true)]))),
            (";", Some((1, vec![]))),
            ("a b", None),
            ("a \"b;", None),
            ("a \"b\\\"\";", None),
            ("a // b;", None),
            ("a/* b */;", None),
            ("a (\"b\" + \"c\");", None),
            ("a /", None),
        ] {
            let found = split(text.as_bytes(), &mut spans);
            let words = |length| {
                let spans = spans.iter().map(|span| (&text[span.start..span.end], span.quoted));
                (length, spans.collect())
            };
            assert_eq!(found.map(words), expected, "{text}");
        }
        assert_eq!(split(&b"a ".repeat(MAX_WORDS + 1), &mut spans), None);
    }
}
