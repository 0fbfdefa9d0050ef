//! What a scene changes in those that it references, as far as it is about files and frames.
//!
//! A reference's node lists them all in one value: the kind of change as a number and its parts as
//! strings, of which `2 "ns:node" "attribute" " -type \"string\" \"value\""` is the one for a text, and
//! `2 "ns:node" "renderable" " 1"` says whether a camera renders.

use super::arguments::is_true;

/// The most changes to texts and cameras of one reference that are kept, and the most bytes of them.
const MAX_TEXTS: usize = 20_000;
const MAX_BYTES: usize = 8 << 20;

/// Changes to the nodes of one reference.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Edits {
    /// Attributes that have another text.
    pub(super) texts: Vec<Text>,
    /// Whether a node, and with it the folders it lies in, is rendered.
    pub(super) renderable: Vec<(String, bool)>,
    /// Whether what chooses the file of a sequence is changed, or there was more than is kept.
    pub(super) frames: bool,
    bytes: usize,
    /// The strings read last, which may name a node and its attribute.
    node: String,
    attribute: String,
}

/// One attribute's other text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The node, with the folders it lies in: `|ns:group|ns:node`.
    pub(super) node: String,
    pub(super) attribute: String,
    pub(super) value: String,
}

impl Edits {
    /// Whether no more is kept.
    pub(super) fn full(&self) -> bool {
        self.texts.len() + self.renderable.len() >= MAX_TEXTS || self.bytes >= MAX_BYTES
    }

    /// The next string of the value.
    pub(super) fn string(&mut self, text: String) {
        if let Some(value) = text_value(&text) {
            self.bytes += value.len() + self.node.len() + self.attribute.len();
            self.texts.push(Text {
                node: std::mem::take(&mut self.node),
                attribute: std::mem::take(&mut self.attribute),
                value,
            });
            self.frames |= self.full();
        }
        if self.attribute == "renderable" {
            self.bytes += self.node.len();
            let value = text.split_whitespace().last().unwrap_or_default();
            self.renderable.push((std::mem::take(&mut self.node), is_true(value)));
        }
        let attribute = text.rsplit('.').next().unwrap_or(&text);
        self.frames |= matches!(
            attribute,
            "frameExtension" | "frameNumber" | "frameOffset" | "useFrameExtension"
        );
        self.node = std::mem::replace(&mut self.attribute, text);
    }
}

/// The text in ` -type "string" "text"`, whose quotes and backslashes are escaped once more.
fn text_value(edit: &str) -> Option<String> {
    let quoted = edit.trim().strip_prefix("-type \"string\"")?.trim();
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.replace("\\\\", "\\").replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_frames_are_seen() {
        let mut edits = Edits::default();
        for text in ["setRN", "|set:ball", "translate", " -type \"double3\" 1 2 3"] {
            edits.string(text.to_owned());
        }
        assert_eq!(edits.texts, []);
        let path = r#" -type "string" "C:\\tex\\a.png""#;
        for text in ["|set:x|set:file1", "fileTextureName", path] {
            edits.string(text.to_owned());
        }
        let [text] = &edits.texts[..] else { panic!("{edits:?}") };
        assert_eq!(
            (&*text.node, &*text.attribute, &*text.value),
            ("|set:x|set:file1", "fileTextureName", r"C:\tex\a.png")
        );
        for text in
            ["|set:shot|set:shotShape", "renderable", " 1", "set:b", "renderable", " -k on no"]
        {
            edits.string(text.to_owned());
        }
        let cameras = [("|set:shot|set:shotShape", true), ("set:b", false)];
        assert_eq!(edits.renderable, cameras.map(|(node, rendered)| (node.to_owned(), rendered)));
        assert!(!edits.frames);
        edits.string("set:file1.frameExtension".to_owned());
        assert!(edits.frames);
    }

    #[test]
    fn floods_are_cut() {
        let mut edits = Edits::default();
        while !edits.full() {
            edits.string("-type \"string\" \"x\"".to_owned());
        }
        assert_eq!((edits.texts.len(), edits.frames), (MAX_TEXTS, true));
    }
}
