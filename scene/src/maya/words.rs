//! The words of a statement as they come in.

use std::borrow::Cow;

use super::edits::Edits;

/// The most words of a statement that are kept; what is wanted stands near its beginning, and the
/// points of a mesh don't.
pub(super) const MAX_WORDS: usize = 64;
/// The most of one word that is kept, in bytes. The longest path of any system is 32 KiB.
pub(super) const MAX_WORD: usize = 32 * 1024;

/// The type of a value that lists changes to a reference.
pub(super) const EDITS: &str = "dataReferenceEdits";

/// A word of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: Cow<'a, str>,
    /// Whether it stood in quotes, and so is no flag.
    pub(super) quoted: bool,
    /// Whether it was longer than what is kept of it.
    pub(super) cut: bool,
}

/// The words of a statement in the making.
#[derive(Default)]
pub(super) struct Collector {
    words: Vec<Word<'static>>,
    bare: Vec<u8>,
    string: Vec<u8>,
    /// Whether anything at all was seen, kept or not.
    seen: bool,
    cut: bool,
    /// How many parentheses are open; the strings within them are one word.
    pub(super) depth: usize,
    group: Option<Word<'static>>,
    /// Of a value that lists changes to a reference, only these are kept.
    edits: Option<Edits>,
}

impl Collector {
    pub(super) fn is_empty(&self) -> bool {
        !self.seen
    }

    pub(super) fn full(&self) -> bool {
        match &self.edits {
            Some(edits) => edits.full(),
            None => self.words.len() >= MAX_WORDS,
        }
    }

    pub(super) fn bare(&mut self, byte: u8) {
        self.seen = true;
        if self.bare.len() < MAX_WORD && !self.full() {
            self.bare.push(byte);
        } else {
            self.cut = true;
        }
    }

    pub(super) fn end_bare(&mut self) {
        if !self.bare.is_empty() {
            let text = text(&mut self.bare);
            self.push(Word { text: text.into(), quoted: false, cut: self.cut });
        }
        self.cut = false;
    }

    pub(super) fn open_string(&mut self) {
        self.seen = true;
        self.string.clear();
        self.cut = false;
    }

    pub(super) fn letters(&mut self, bytes: &[u8]) {
        let room = if self.full() { 0 } else { MAX_WORD - self.string.len() };
        self.string.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.cut |= bytes.len() > room;
    }

    pub(super) fn close_string(&mut self) {
        let text = text(&mut self.string);
        let cut = std::mem::take(&mut self.cut);
        match &mut self.group {
            Some(group) => {
                group.quoted = true;
                group.cut |= cut || group.text.len() + text.len() > MAX_WORD;
                if !group.cut {
                    group.text.to_mut().push_str(&text);
                }
            }
            None => self.push(Word { text: text.into(), quoted: true, cut }),
        }
    }

    pub(super) fn open_group(&mut self) {
        self.end_bare();
        self.seen = true;
        self.depth += 1;
        self.group.get_or_insert_with(|| Word { text: Cow::default(), quoted: false, cut: false });
    }

    pub(super) fn close_group(&mut self) {
        self.end_bare();
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        // Parentheses without a string in them were around numbers, which are words already.
        if let Some(group) = self.group.take().filter(|group| group.quoted) {
            self.push(group);
        }
    }

    fn push(&mut self, word: Word<'static>) {
        if self.full() {
            return;
        }
        match &mut self.edits {
            Some(edits) if word.quoted => edits.string(word.text.into_owned()),
            Some(_) => {}
            None => {
                let sets = self.words.first().is_some_and(|first| first.text == "setAttr");
                if sets && word.quoted && word.text == EDITS {
                    self.edits = Some(Edits::default());
                }
                self.words.push(word);
            }
        }
    }

    pub(super) fn finish(&mut self) -> (Vec<Word<'static>>, Edits) {
        self.depth = 0;
        self.end_group();
        self.seen = false;
        (std::mem::take(&mut self.words), self.edits.take().unwrap_or_default())
    }
}

/// The bytes as text; they were decoded before, and only a cut can have split a letter.
fn text(bytes: &mut Vec<u8>) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    bytes.clear();
    text
}
