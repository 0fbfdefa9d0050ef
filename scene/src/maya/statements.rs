//! The statements of a Maya ASCII file, one after another, in bounded memory.

use std::io::{ErrorKind, Read};
use std::path::Path;

use super::edits::Edits;
use super::encoding::{Decoder, Page};
use super::plain::{self, Span};
use super::words::{Collector, EDITS, Word};
use crate::analysis::AnalyseError;

/// How much is read at a time, in bytes.
pub(super) const CHUNK: usize = 256 * 1024;
/// How far the comments at the head of a file are looked at, in bytes.
pub(super) const HEAD: usize = 4096;
/// What ends a line, and a comment with it: any of them, as on Windows, Linux and old Macs.
pub(super) const LINE_ENDS: [char; 2] = ['\n', '\r'];
/// The comments at the head of a file.
#[derive(Debug, Default, Clone)]
pub(super) struct Header {
    /// From `//Maya ASCII 2017 scene`.
    pub(super) version: String,
    /// From `//Codeset: 1252`; empty without one.
    pub(super) codeset: String,
}

/// One statement, from its command up to the `;`.
#[derive(Debug, Default)]
pub(super) struct Statement<'a> {
    /// The first words; at least one.
    pub(super) words: Vec<Word<'a>>,
    /// What it changes in a referenced scene.
    pub(super) edits: Edits,
}

/// Reads statements.
pub(super) struct Statements<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    /// Which commands' statements are asked for; others are passed over.
    asked: fn(&str) -> bool,
    /// Where the words of the statement lie that was looked at last.
    spans: Vec<Span>,
    /// The decoded chunk up to `end`, and how far it has been read; what lies behind is room.
    text: String,
    end: usize,
    at: usize,
    /// Bytes of the file up to the end of the decoded chunk.
    chunk_end: u64,
    /// The line of the place in the chunk up to which lines were counted.
    line: u64,
    counted: usize,
    /// What ends a line: a carriage return where there is nothing else, as on old Macs.
    line_end: u8,
    ended: bool,
    /// The comment read last, as far as it could be Maya's closing line.
    comment: Vec<u8>,
}

/// Starts to read, having looked at the head: the statements of the commands that are `asked` for, and
/// perhaps some others.
///
/// # Errors
/// For a file that can't be read, or that is no Maya ASCII scene.
pub(super) fn open<R: Read>(
    mut input: R,
    name: &Path,
    asked: fn(&str) -> bool,
) -> Result<(Header, Statements<R>), AnalyseError> {
    let mut head = vec![0; HEAD];
    let mut length = 0;
    while length < HEAD {
        match input.read(&mut head[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(AnalyseError::io(name, error)),
        }
    }
    head.truncate(length);
    let header = read_head(&head)?;
    let mut statements = Statements {
        input,
        decoder: Page::of(&header.codeset).decoder(),
        raw: vec![0; CHUNK],
        asked,
        spans: Vec::new(),
        text: String::new(),
        end: 0,
        at: 0,
        chunk_end: 0,
        line: 1,
        counted: 0,
        line_end: if head.contains(&b'\n') { b'\n' } else { b'\r' },
        ended: false,
        comment: Vec::new(),
    };
    statements.decode(&head, false);
    Ok((header, statements))
}

/// What the comments at the head of a file say.
///
/// # Errors
/// For a file that is no Maya ASCII scene.
pub(super) fn read_head(head: &[u8]) -> Result<Header, AnalyseError> {
    let binary = [&b"FOR4"[..], b"FOR8", b"FORM"];
    if binary.iter().any(|magic| head.starts_with(magic)) {
        return Err(AnalyseError::Unsupported(
            "this is a Maya Binary scene (.mb), which only Maya's own mayapy can read; save it as Maya \
             ASCII (.ma), in Maya or by mayapy where Maya is installed, and give that file instead"
                .to_owned(),
        ));
    }
    let text = String::from_utf8_lossy(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head));
    let mut lines = text.split(LINE_ENDS);
    let first = lines.next().unwrap_or_default();
    let Some(version) = first.strip_prefix("//Maya ASCII") else {
        return Err(AnalyseError::if_pointer(head).unwrap_or_else(|| {
            let what = "the first line of a Maya ASCII scene says so, and this one doesn't";
            AnalyseError::corrupt(0, what)
        }));
    };
    let version = version.trim().trim_end_matches("scene").trim().to_owned();
    let codeset = lines
        .filter(|line| !line.is_empty())
        .take_while(|line| line.starts_with("//"))
        .find_map(|line| line.strip_prefix("//Codeset:"))
        .unwrap_or_default()
        .to_owned();
    Ok(Header { version, codeset })
}

impl<R: Read> Statements<R> {
    /// The next statement; `None` at the end of the file.
    ///
    /// # Errors
    /// For a file that can't be read, or that ends within a statement, a string or a comment.
    pub(super) fn next(&mut self) -> Result<Option<Statement<'_>>, AnalyseError> {
        // Most statements are short and plain, and there are millions of them.
        while let Some(length) =
            plain::split(&self.text.as_bytes()[self.at..self.end], &mut self.spans)
        {
            let begun = self.at;
            let text = &self.text[begun..begun + length];
            let word = |span: &Span| &text[span.start..span.end];
            let asked = self.spans.first().map(word).is_some_and(self.asked);
            // What a reference changes is no word, even where there is little of it.
            if asked && self.spans.iter().any(|span| span.quoted && word(span) == EDITS) {
                break;
            }
            self.at += length;
            if asked {
                let words = self.spans.iter().map(|span| span.word(&self.text[begun..self.at]));
                return Ok(Some(Statement { words: words.collect(), edits: Edits::default() }));
            }
        }
        self.next_of_any_kind()
    }

    /// The next statement, byte by byte: it may go beyond the chunk, and have comments in it.
    fn next_of_any_kind(&mut self) -> Result<Option<Statement<'static>>, AnalyseError> {
        let mut collector = Collector::default();
        let mut begun = self.line();
        while let Some(byte) = self.take()? {
            if byte.is_ascii_whitespace() {
                collector.end_bare();
                if collector.full() {
                    self.skip_plain();
                }
                continue;
            }
            let slash = byte == b'/' && matches!(self.peek()?, Some(b'/' | b'*'));
            if collector.is_empty() && !slash {
                begun = self.line();
            }
            match byte {
                b'/' if slash => {
                    collector.end_bare();
                    self.skip_comment()?;
                }
                b';' => {
                    collector.end_bare();
                    let (words, edits) = collector.finish();
                    if !words.is_empty() {
                        return Ok(Some(Statement { words, edits }));
                    }
                    collector = Collector::default();
                }
                b'"' => {
                    collector.end_bare();
                    self.read_string(&mut collector)?;
                }
                // Points and normals go by unread.
                _ if collector.full() => self.skip_plain(),
                b'(' => collector.open_group(),
                b')' => collector.close_group(),
                b'+' if collector.depth > 0 => {}
                other => collector.bare(other),
            }
        }
        if collector.is_empty() {
            Ok(None)
        } else {
            Err(self.ends_within(format!("the statement that begins on line {begun}")))
        }
    }

    /// Whether the last comment is the line with which Maya ends a scene; ask after the last
    /// statement.
    pub(super) fn is_closed(&self) -> bool {
        self.comment.trim_ascii_start().starts_with(b"End of")
    }

    /// The line that is being read. Few ask, so that lines are counted when somebody does.
    fn line(&mut self) -> u64 {
        let passed = &self.text.as_bytes()[self.counted..self.at];
        self.line += memchr::memchr_iter(self.line_end, passed).count() as u64;
        self.counted = self.at;
        self.line
    }

    /// What was decoded and not read yet.
    fn ahead(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..self.end]
    }

    /// Past everything that neither ends a statement nor begins a string or a comment. Parentheses go
    /// by as well: no word is kept any more.
    fn skip_plain(&mut self) {
        let rest = self.ahead();
        let plain = memchr::memchr3(b';', b'"', b'/', rest).unwrap_or(rest.len());
        self.at += plain;
    }

    fn read_string(&mut self, collector: &mut Collector) -> Result<(), AnalyseError> {
        let begun = self.line();
        collector.open_string();
        loop {
            let rest = self.ahead();
            let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            collector.letters(&rest[..plain]);
            self.at += plain;
            match self.take()? {
                Some(b'"') => {
                    collector.close_string();
                    return Ok(());
                }
                Some(b'\\') => match self.take()? {
                    Some(b'n') => collector.letters(b"\n"),
                    Some(b't') => collector.letters(b"\t"),
                    Some(b'r') => collector.letters(b"\r"),
                    Some(other) => collector.letters(&[other]),
                    None => break,
                },
                Some(other) => collector.letters(&[other]),
                None => break,
            }
        }
        Err(self.ends_within(format!("the string that begins on line {begun}")))
    }

    /// Behind the first `/`, before what makes it a comment.
    fn skip_comment(&mut self) -> Result<(), AnalyseError> {
        if self.take()? == Some(b'/') {
            self.comment.clear();
            while let Some(byte) = self.take()? {
                if LINE_ENDS.contains(&char::from(byte)) {
                    break;
                }
                if self.comment.len() < 32 {
                    self.comment.push(byte);
                }
            }
            return Ok(());
        }
        let begun = self.line();
        let mut star = false;
        while let Some(byte) = self.take()? {
            if star && byte == b'/' {
                return Ok(());
            }
            star = byte == b'*';
        }
        Err(self.ends_within(format!("the comment that begins on line {begun}")))
    }

    fn ends_within(&self, what: String) -> AnalyseError {
        AnalyseError::corrupt(self.chunk_end, format!("the file ends within {what}"))
    }

    #[inline]
    fn peek(&mut self) -> Result<Option<u8>, AnalyseError> {
        if self.at == self.end {
            self.refill()?;
        }
        Ok(self.ahead().first().copied())
    }

    #[inline]
    fn take(&mut self) -> Result<Option<u8>, AnalyseError> {
        let byte = self.peek()?;
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }

    fn refill(&mut self) -> Result<(), AnalyseError> {
        while self.at == self.end && !self.ended {
            let mut raw = std::mem::take(&mut self.raw);
            let count = self.input.read(&mut raw);
            match count {
                Ok(count) => self.decode(&raw[..count], count == 0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = format!("reading failed on line {}: {error}", self.line());
                    return Err(AnalyseError::corrupt(self.chunk_end, what));
                }
            }
            self.raw = raw;
        }
        Ok(())
    }

    fn decode(&mut self, raw: &[u8], last: bool) {
        self.line();
        (self.at, self.counted) = (0, 0);
        self.chunk_end += raw.len() as u64;
        self.ended = last;
        self.end = self.decoder.decode(raw, &mut self.text, last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::words::{MAX_WORD, MAX_WORDS};
    use super::*;

    fn read(text: impl Read) -> Result<Vec<Vec<String>>, AnalyseError> {
        let (_, mut statements) = open(text, Path::new("test.ma"), |_| true)?;
        let mut all = Vec::new();
        while let Some(statement) = statements.next()? {
            let words = statement.words.into_iter();
            all.push(words.map(|word| word.text.into_owned()).collect());
        }
        Ok(all)
    }

    fn body(text: &str) -> Vec<Vec<String>> {
        read(format!("//Maya ASCII 2017 scene\n{text}").as_bytes()).unwrap()
    }

    #[test]
    fn statements_end_at_semicolons_outside_strings() {
        for (text, expected) in [
            ("a b;c;", vec![vec!["a", "b"], vec!["c"]]),
            ("a\n\tb // x; y\n\"c;d\";", vec![vec!["a", "b", "c;d"]]),
            ("a /* ; \" */ b;;", vec![vec!["a", "b"]]),
            (r#"a "x\"y\\" "\n\t\r\q";"#, vec![vec!["a", "x\"y\\", "\n\t\rq"]]),
            ("a ( \"b\" + \"c\"\n\t\t+ \"d\" ) e;", vec![vec!["a", "bcd", "e"]]),
            ("a (1 + 2) (\"x\");", vec![vec!["a", "1", "2", "x"]]),
            ("a \"//no comment\" -1;", vec![vec!["a", "//no comment", "-1"]]),
            ("a ( \"b\" + \"c\";d;", vec![vec!["a", "bc"], vec!["d"]]),
            ("a\r\n;\r\n// End of it\r\n", vec![vec!["a"]]),
            ("", vec![]),
        ] {
            assert_eq!(body(text), expected, "{text}");
        }
    }

    #[test]
    fn files_that_end_early_are_refused_with_the_line() {
        for (text, word) in [
            ("a;\nb \"c;", "the string that begins on line 3"),
            ("a;\n\nb c", "the statement that begins on line 4"),
            ("a;\n/* c", "the comment that begins on line 3"),
            ("a \"b\\", "the string that begins on line 2"),
            ("(", "the statement that begins on line 2"),
        ] {
            let text = format!("//Maya ASCII 2017 scene\n{text}");
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert!(matches!(error, AnalyseError::Corrupt { position, .. }
                if position == text.len() as u64));
        }
    }

    #[test]
    fn other_files_are_refused() {
        let error = read(&b"FOR8\0\0\0\0"[..]).unwrap_err().to_string();
        assert!(error.contains("Maya Binary") && error.contains("mayapy"), "{error}");
        let pointer = &b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"[..];
        assert!(read(pointer).unwrap_err().to_string().contains("`git lfs pull`"));
        for other in [&b""[..], b"BLENDER-v304", b"\xff\xfe\x00"] {
            assert!(matches!(read(other), Err(AnalyseError::Corrupt { position: 0, .. })));
        }
    }

    /// In Shift-JIS the second byte of 表 is a backslash and that of ボ ends like none in ASCII.
    #[test]
    fn text_is_decoded_before_it_is_split() {
        let mut text = b"//Maya ASCII 2017 scene\n//Codeset: 932\na \"".to_vec();
        text.extend(b"\x95\x5c\x83\x7b\" \"b\";");
        assert_eq!(read(&text[..]).unwrap(), [["a", "表ボ", "b"]]);
        let utf8 = "\u{feff}//Maya ASCII 2017 scene\na \"表ボ\";";
        assert_eq!(read(utf8.as_bytes()).unwrap(), [["a", "表ボ"]]);
        let dos = b"//Maya ASCII 8.5 scene\n//Codeset: 850\na \"\x9d\";";
        assert_eq!(read(&dos[..]).unwrap(), [["a", "Ø"]]);
        let latin = b"//Maya ASCII 8.5 scene\n//Codeset: 1252\na \"\xe9\";";
        assert_eq!(read(&latin[..]).unwrap(), [["a", "é"]]);
    }

    #[test]
    fn long_statements_are_cut_and_read_past() {
        let points = "0.1 ".repeat(100_000);
        let long = "x".repeat(200_000);
        let text =
            format!("a {points} \"unkept;\";b \"{long}\";c {long};d (\"{long}\" + \"y\");e;");
        let text = format!("//Maya ASCII 2017 scene\n{text}");
        let (_, mut statements) = open(text.as_bytes(), Path::new("t"), |_| true).unwrap();
        let mut read = Vec::new();
        while let Some(statement) = statements.next().unwrap() {
            let last = statement.words.last().unwrap();
            assert!(last.text.len() <= MAX_WORD);
            read.push((statement.words.len(), last.cut));
        }
        assert_eq!(read, [(MAX_WORDS, false), (2, true), (2, true), (2, true), (1, false)]);
    }

    /// Gives one byte at a time, so that no statement lies whole in what was read.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = buffer.len().min(self.0.len()).min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    proptest! {
        /// The same statements whatever the sizes in which the bytes arrive.
        #[test]
        fn pieces_do_not_matter(body in "(?:[a-z]{1,3}|[ \"\"()/*+;;\n\r\\\\.é-]){0,60}") {
            let filler = "// filler\n".repeat(500);
            let text = format!("//Maya ASCII 2017 scene\n//Codeset: UTF-8\n{filler}{body}");
            match (read(text.as_bytes()), read(Drip(text.as_bytes()))) {
                (Ok(whole), Ok(dripped)) => prop_assert_eq!(whole, dripped),
                (Err(whole), Err(dripped)) => {
                    prop_assert_eq!(whole.to_string(), dripped.to_string());
                }
                different => prop_assert!(false, "{different:?}"),
            }
        }
    }

    #[test]
    fn only_what_is_asked_for_is_told() {
        let text = "//Maya ASCII 2017 scene\na a;x \"a\";a b;x;\nx;a c;";
        let open = open(text.as_bytes(), Path::new("t"), |command| command == "a");
        let (_, mut statements) = open.unwrap();
        for word in ["a", "b", "c"] {
            assert_eq!(statements.next().unwrap().unwrap().words[1].text, word);
        }
        assert!(statements.next().unwrap().is_none());
    }

    /// As old Macs wrote them: a comment ends there too, and lines are counted.
    #[test]
    fn lines_may_end_with_a_carriage_return_alone() {
        let head = "//Maya ASCII 2017 scene\r//Codeset: 932\r//\r";
        let mut text = head.as_bytes().to_vec();
        text.extend(b"a \"\x95\x5c\";\r// c\rb;\r// End of it\r");
        let (_, mut statements) = open(&text[..], Path::new("t"), |_| true).unwrap();
        assert_eq!(statements.next().unwrap().unwrap().words[1].text, "表");
        assert_eq!(statements.next().unwrap().unwrap().words[0].text, "b");
        assert!(statements.next().unwrap().is_none() && statements.is_closed());
        let error = read(format!("{head}a\r;b").as_bytes()).unwrap_err().to_string();
        assert!(error.contains("begins on line 5"), "{error}");
    }
}
