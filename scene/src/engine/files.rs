//! Which files a scene in a text format names, by the patterns of its engine's definition.

use std::ops::Range;

use super::log::Pattern;
use crate::analysis::AssetKind;

/// The `[files]` table of a definition.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FilePatterns {
    /// What begins a comment that ends with its line; empty if nothing does.
    pub(super) line_comment: String,
    /// What begins and ends a comment of any length.
    pub(super) block_comment: Option<(String, String)>,
    /// What strings begin and end with; no comment begins in one.
    pub(super) quotes: Vec<char>,
    /// Whether paths count from the scene's folder, whichever file names them.
    pub(crate) from_scene: bool,
    /// What begins and ends parts that the engine may pass over.
    pub(super) branches: Option<(Pattern, Pattern)>,
    /// Names of files that come with the engine, unless the scene has its own.
    pub(super) provided: Vec<Pattern>,
    pub(super) named: Vec<NamedFiles>,
    /// What keeps a scene that says so from being rendered in tiles, and why.
    pub(super) untiled: Vec<(Pattern, String)>,
}

/// One way in which a scene names files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NamedFiles {
    /// Its group `path` is the file; its group `node`, if there is one, who asks for it.
    pub(super) pattern: Pattern,
    /// Where it holds: from a line that matches the first up to one that matches the second.
    pub(super) inside: Option<(Pattern, Pattern)>,
    /// What the files are.
    pub(crate) kind: AssetKind,
    /// Whether they name files in turn.
    pub(crate) scene: bool,
    /// What the engine adds to a name that has none of these.
    pub(crate) endings: Vec<String>,
}

impl NamedFiles {
    /// What the engine looks for behind `name`, in this order: the first that is there counts.
    pub(crate) fn endings_of(&self, name: &str) -> Vec<&str> {
        let mut endings: Vec<&str> = self.endings.iter().map(String::as_str).collect();
        let has_one = endings.iter().any(|ending| name.ends_with(ending));
        endings.insert(if has_one { 0 } else { endings.len() }, "");
        endings
    }
}

/// A file that a line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// Which of [`FilePatterns::named`] found it.
    pub(crate) rule: usize,
    /// Where in the line the path stands.
    pub(crate) place: Range<usize>,
    /// Who asks for it.
    pub(crate) node: Option<&'a str>,
}

/// What earlier lines of a file began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun {
    comment: bool,
    /// How many parts have begun that the engine may pass over.
    branches: usize,
    /// By rule: whether the block it holds in has begun.
    inside: Vec<bool>,
}

impl FilePatterns {
    /// What is found by one of the ways.
    pub(crate) fn rule(&self, rule: usize) -> Option<&NamedFiles> {
        self.named.get(rule)
    }

    /// Why a scene with this line, which has no comments, can't be rendered in tiles that make the
    /// very picture that the whole frame is.
    pub(crate) fn untiled(&self, line: &str) -> impl Iterator<Item = &str> {
        let found = self.untiled.iter().filter(move |(pattern, _)| pattern.finds(line));
        found.map(|(_, why)| why.as_str())
    }

    /// Whether a file of this name comes with the engine.
    pub(crate) fn is_provided(&self, name: &str) -> bool {
        self.provided.iter().any(|pattern| pattern.finds(name))
    }

    /// Whether the engine may pass over a line, which has no comments, or a part of it.
    pub(crate) fn may_be_passed_over(&self, line: &str, begun: &mut Begun) -> bool {
        let Some((begin, end)) = &self.branches else { return false };
        let open = begun.branches + begin.all(line).count();
        begun.branches = open.saturating_sub(end.all(line).count());
        open > 0
    }

    /// Passes over what is comment: it becomes spaces, so that all else stays in its place.
    pub(crate) fn uncommented(&self, line: &str, begun: &mut Begun) -> String {
        let mut text = String::with_capacity(line.len());
        let mut rest = line;
        // What ends the string that has begun.
        let mut quote = None;
        while let Some(letter) = rest.chars().next() {
            if begun.comment {
                let end = self.block_comment.as_ref().map_or("", |(_, end)| end.as_str());
                let found = rest.find(end);
                let length = found.map_or(rest.len(), |at| at + end.len());
                begun.comment = found.is_none();
                text.extend(std::iter::repeat_n(' ', length));
                rest = &rest[length..];
                continue;
            }
            if self.quotes.contains(&letter) && quote.is_none_or(|quote| quote == letter) {
                quote = if quote.is_none() { Some(letter) } else { None };
            }
            let begins = |mark: &str| quote.is_none() && !mark.is_empty() && rest.starts_with(mark);
            if begins(&self.line_comment) {
                break;
            }
            if let Some((mark, _)) = self.block_comment.as_ref().filter(|(mark, _)| begins(mark)) {
                begun.comment = true;
                text.extend(std::iter::repeat_n(' ', mark.len()));
                rest = &rest[mark.len()..];
                continue;
            }
            text.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
        text
    }

    /// The files that a line without comments names, in the order of the ways.
    pub(crate) fn names<'a>(&self, line: &'a str, begun: &mut Begun) -> Vec<Name<'a>> {
        begun.inside.resize(self.named.len(), false);
        let mut names = Vec::new();
        for (rule, named) in self.named.iter().enumerate() {
            if let Some((from, until)) = &named.inside {
                let inside = &mut begun.inside[rule];
                if from.finds(line) {
                    *inside = true;
                } else if until.finds(line) {
                    *inside = false;
                }
                if !*inside {
                    continue;
                }
            }
            for found in named.pattern.all(line) {
                if let Some(path) = found.name("path").filter(|path| !path.is_empty()) {
                    let node = found.name("node").map(|node| node.as_str());
                    names.push(Name { rule, place: path.range(), node });
                }
            }
        }
        names
    }
}
