//! Paths inside a tree: relative, and fit to be written on every system that weft runs on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// The longest path, in bytes of UTF-8: Linux's `PATH_MAX`.
pub const MAX_PATH: usize = 4096;

/// The longest component, in bytes of UTF-8: Linux's `NAME_MAX`.
pub const MAX_COMPONENT: usize = 255;

/// A relative path, `/` between its components.
///
/// No component is empty, `.`, `..`, too long, a device of Windows', ends in a dot or a space, or
/// holds a control character or one of `\ : * ? " < > |`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath(String);

/// Why a text is not a path inside a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreePathError {
    /// It is empty, or has two `/` in a row, or one at its beginning or end.
    #[error("a path in a tree is relative, and none of its parts is empty")]
    Empty,
    /// It goes where it is, or up.
    #[error("a path in a tree has no '.' and no '..'")]
    Dots,
    /// It or one of its components is too long.
    #[error("a path in a tree has at most 4096 bytes, and each of its parts at most 255")]
    TooLong,
    /// It holds a character that some system gives a meaning.
    #[error("a path in a tree has no control characters and none of \\ : * ? \" < > |")]
    Character,
    /// A component is the name of a device on Windows.
    #[error("a path in a tree has no part that Windows reserves, such as CON or NUL.txt")]
    Reserved,
    /// A component ends with what Windows drops.
    #[error("no part of a path in a tree ends with a dot or a space")]
    Ending,
}

impl TreePath {
    /// Checks a text.
    ///
    /// # Errors
    /// When it isn't such a path.
    pub fn new(text: impl Into<String>) -> Result<Self, TreePathError> {
        let text = text.into();
        if text.len() > MAX_PATH {
            return Err(TreePathError::TooLong);
        }
        text.split('/').try_for_each(check_component)?;
        Ok(Self(text))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// What file systems that don't tell cases apart take for the same name: decomposed, each
    /// character to upper case where that is one character and then to lower case, composed.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.nfd().flat_map(fold_char).nfc().collect()
    }
}

fn fold_char(character: char) -> impl Iterator<Item = char> {
    // Upper case first, so that ſ meets s and ς meets σ, which lower case alone leaves apart.
    let mut upper = character.to_uppercase();
    let single = match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => character,
    };
    single.to_lowercase()
}

fn check_component(component: &str) -> Result<(), TreePathError> {
    match component {
        "" => return Err(TreePathError::Empty),
        "." | ".." => return Err(TreePathError::Dots),
        _ => {}
    }
    if component.len() > MAX_COMPONENT {
        return Err(TreePathError::TooLong);
    }
    if component.chars().any(|c| c.is_control() || "\\:*?\"<>|".contains(c)) {
        return Err(TreePathError::Character);
    }
    if component.ends_with(['.', ' ']) {
        return Err(TreePathError::Ending);
    }
    if is_device(component) {
        return Err(TreePathError::Reserved);
    }
    Ok(())
}

/// Whether Windows takes a name, whatever its extension, for a device. The list, superscript
/// digits included, is that of Microsoft's "Naming Files, Paths, and Namespaces".
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let stem = stem.to_ascii_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str()) {
        return true;
    }
    stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")).is_some_and(|rest| {
        let mut rest = rest.chars();
        matches!((rest.next(), rest.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    })
}

impl TryFrom<String> for TreePath {
    type Error = TreePathError;

    fn try_from(text: String) -> Result<Self, TreePathError> {
        Self::new(text)
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> Self {
        path.0
    }
}

impl FromStr for TreePath {
    type Err = TreePathError;

    fn from_str(text: &str) -> Result<Self, TreePathError> {
        Self::new(text)
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_are_taken() {
        let long = format!("{}/a", "x".repeat(MAX_COMPONENT));
        for text in [
            "a",
            "a/b.txt",
            "textures/wood 01.exr",
            ".hidden",
            "...a",
            "ünï/日本.png",
            "com",
            "COM10",
            "console",
            "nul_",
            "a'b",
            "%d #(1)[2]{3}.exr",
            long.as_str(),
        ] {
            assert_eq!(TreePath::new(text).map(String::from).as_deref(), Ok(text));
        }
    }

    #[test]
    fn paths_that_leave_or_bend_are_refused() {
        use TreePathError::{Character, Dots, Empty, Ending, Reserved, TooLong};
        let deep = "d/".repeat(MAX_PATH / 2) + "x";
        for (text, error) in [
            ("", Empty),
            ("/", Empty),
            ("/etc/passwd", Empty),
            ("a//b", Empty),
            ("a/", Empty),
            (".", Dots),
            ("..", Dots),
            ("a/../b", Dots),
            ("./a", Dots),
            ("a\\b", Character),
            ("..\\b", Character),
            ("C:", Character),
            ("c:/x", Character),
            ("a\0b", Character),
            ("a\nb", Character),
            ("a\u{7f}", Character),
            ("a\u{85}", Character),
            ("x?", Character),
            ("f:stream", Character),
            ("a.", Ending),
            ("a ", Ending),
            ("d. /x", Ending),
            ("... ", Ending),
            ("CON", Reserved),
            ("nul.txt", Reserved),
            ("a/Com1", Reserved),
            ("lpt9.tar.gz", Reserved),
            ("aux .h", Reserved),
            ("COM²", Reserved),
            ("conin$", Reserved),
            (&"x".repeat(MAX_COMPONENT + 1), TooLong),
            (&deep, TooLong),
        ] {
            assert_eq!(TreePath::new(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn names_that_some_systems_confuse_fold_alike() {
        for (one, other) in [
            ("A/b", "a/B"),
            ("\u{e9}", "e\u{301}"),
            ("É", "e\u{301}"),
            ("ſ", "S"),
            ("ΣΑΣ", "σας"),
            ("\u{212a}", "k"),
            ("\u{1e9e}x", "ßx"),
        ] {
            let fold = |text: &str| TreePath::new(text).unwrap().folded();
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(TreePath::new("a").unwrap().folded(), TreePath::new("b").unwrap().folded());
    }
}
