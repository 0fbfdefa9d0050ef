//! Where to look for an engine's program.

/// One place to look for an engine's program; the node tries them in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Executable {
    /// `{weft}`: the weft binary itself.
    Weft,
    /// `{command}`: the first word of a command of the artist's own.
    Given,
    /// A bare name, to be found in `PATH` (on Windows with `.exe` added).
    Name(String),
    /// An absolute path, in which `*` and `?` may stand in any component
    /// (`/opt/blender-*/blender`). Where several files match, the last by name is meant, numbers by
    /// their size: the newest version in most people's way of naming folders.
    Path(String),
}

impl Executable {
    /// Reads an entry of `executables`; `None` for a relative path, which would depend on where
    /// the daemon was started, and for an empty entry.
    pub fn parse(text: &str) -> Option<Executable> {
        if text == "{weft}" {
            return Some(Executable::Weft);
        }
        if text == "{command}" {
            return Some(Executable::Given);
        }
        let mut start = text.chars();
        let drive = start.next().is_some_and(|letter| letter.is_ascii_alphabetic())
            && start.next() == Some(':')
            && matches!(start.next(), Some('/' | '\\'));
        if text.starts_with('/') || text.starts_with("\\\\") || drive {
            return Some(Executable::Path(text.to_owned()));
        }
        let bare = !text.is_empty() && !text.contains(['/', '\\', '\0', '*', '?', '{', '}']);
        bare.then(|| Executable::Name(text.to_owned()))
    }
}

/// Whether one component of a path matches a pattern in which `*` stands for any characters and `?`
/// for one. Everything else stands for itself, case included.
pub fn matches_wildcard(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // Where to go on when what follows the latest `*` turns out not to match.
    let mut retry = None;
    while let Some(read) = name.clone().next() {
        match pattern.next() {
            Some('*') => retry = Some((pattern.clone(), name.clone())),
            Some(wanted) if wanted == '?' || wanted == read => _ = name.next(),
            _ => {
                let Some((after_star, from)) = &mut retry else {
                    return false;
                };
                from.next();
                (pattern, name) = (after_star.clone(), from.clone());
            }
        }
    }
    pattern.all(|rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::{Executable, matches_wildcard};

    #[test]
    fn places_are_told_apart() {
        assert_eq!(Executable::parse("{weft}"), Some(Executable::Weft));
        assert_eq!(Executable::parse("{command}"), Some(Executable::Given));
        assert_eq!(Executable::parse("sh"), Some(Executable::Name("sh".into())));
        for path in ["/opt/b-*/b", "C:\\Program Files\\b.exe", "c:/b.exe", "\\\\server\\b.exe"] {
            assert_eq!(Executable::parse(path), Some(Executable::Path(path.into())));
        }
        for nonsense in ["", "./b", "b/c", "..\\b", "b*", "{work}"] {
            assert_eq!(Executable::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn wildcards_match() {
        for (pattern, name, expected) in [
            ("blender", "blender", true),
            ("blender", "Blender", false),
            ("blender-*", "blender-4.2", true),
            ("blender-*", "blender", false),
            ("*-*", "a-b-c", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXb", false),
            ("v?", "v1", true),
            ("v?", "v12", false),
            ("*", "", true),
            ("", "", true),
            ("é?", "éß", true),
        ] {
            assert_eq!(matches_wildcard(pattern, name), expected, "{pattern} {name}");
        }
        let stars = "*a".repeat(200);
        assert!(!matches_wildcard(&stars, &"a".repeat(199)));
    }
}
