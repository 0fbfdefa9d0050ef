//! The words of a statement as they come in.

use super::edits::Edits;

/// The most words of a statement that are kept; what is wanted stands near its beginning, and the
/// points of a mesh don't.
pub(super) const MAX_WORDS: usize = 64;
/// The most of one word that is kept, in bytes. The longest path of any system is 32 KiB.
pub(super) const MAX_WORD: usize = 32 * 1024;

/// A word of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Whether it stood in quotes, and so is no flag.
    pub(super) quoted: bool,
    /// Whether it was longer than what is kept of it.
    pub(super) cut: bool,
}

/// The words of a statement in the making.
#[derive(Default)]
pub(super) struct Collector {
    words: Vec<Word>,
    bare: Vec<u8>,
    string: Vec<u8>,
    /// Whether anything at all was seen, kept or not.
    seen: bool,
    cut: bool,
    /// How many parentheses are open; the strings within them are one word.
    pub(super) depth: usize,
    group: Option<Word>,
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
            self.push(Word { text, quoted: false, cut: self.cut });
        }
        self.cut = false;
    }

    pub(super) fn open_string(&mut self) {
        self.seen = true;
        self.string.clear();
        self.cut = false;
    }

    pub(super) fn letter(&mut self, byte: u8) {
        if self.string.len() < MAX_WORD && !self.full() {
            self.string.push(byte);
        } else {
            self.cut = true;
        }
    }

    pub(super) fn close_string(&mut self) {
        let text = text(&mut self.string);
        let cut = std::mem::take(&mut self.cut);
        match &mut self.group {
            Some(group) => {
                group.quoted = true;
                group.cut |= cut || group.text.len() + text.len() > MAX_WORD;
                if !group.cut {
                    group.text.push_str(&text);
                }
            }
            None => self.push(Word { text, quoted: true, cut }),
        }
    }

    pub(super) fn open_group(&mut self) {
        self.end_bare();
        self.seen = true;
        self.depth += 1;
        self.group.get_or_insert_with(|| Word { text: String::new(), quoted: false, cut: false });
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

    fn push(&mut self, word: Word) {
        if self.full() {
            return;
        }
        match &mut self.edits {
            Some(edits) if word.quoted => edits.string(word.text),
            Some(_) => {}
            None => {
                let sets = self.words.first().is_some_and(|first| first.text == "setAttr");
                if sets && word.quoted && word.text == "dataReferenceEdits" {
                    self.edits = Some(Edits::default());
                }
                self.words.push(word);
            }
        }
    }

    pub(super) fn finish(&mut self) -> (Vec<Word>, Edits) {
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
