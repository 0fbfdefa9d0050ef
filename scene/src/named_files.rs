//! The files that a path in a scene stands for: one, or those of a sequence, a set of tiles or a cache.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::disk::Disk;

/// The most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 500_000;
/// The endings of the data of caches.
const CACHE_DATA: &str = "mc|mcx|mcc|mchp";

/// The files that a path stands for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Found {
    pub(crate) files: Vec<PathBuf>,
    /// The number in the name of each file of a sequence, in the same order; `None` for those that
    /// have none, as a cache's description.
    pub(crate) numbers: Vec<Option<i64>>,
    /// A name with a number as the files of a sequence have them.
    pub(crate) name: Option<NumberedName>,
    /// Whether the path names many files.
    pub(crate) many: bool,
    /// What lacks although there are files, in words for people.
    pub(crate) lacks: Option<String>,
    /// Why there are no files, in words for people.
    pub(crate) reason: String,
}

/// A name with a number in it that can be another.
#[derive(Debug, Clone)]
pub(crate) struct NumberedName {
    pub(crate) folder: PathBuf,
    pub(crate) before: String,
    /// How many digits numbers have at least.
    pub(crate) digits: usize,
    pub(crate) after: String,
}

impl NumberedName {
    /// The path as the scene would spell it, and the file on this machine.
    pub(crate) fn with(&self, number: i64, spelled: &str) -> (String, PathBuf) {
        let sign = if number < 0 { "-" } else { "" };
        let number =
            format!("{sign}{:0width$}", number.unsigned_abs(), width = self.digits.min(32));
        let name = format!("{}{number}{}", self.before, self.after);
        let folder = spelled.rfind(['/', '\\']).map_or("", |slash| &spelled[..=slash]);
        (format!("{folder}{name}"), self.folder.join(name))
    }
}

/// Which files a path stands for, beyond what placeholders in its name say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    One,
    /// The number in its name is a frame's.
    Frames,
    /// The number in its name is a UDIM tile's.
    Udim,
    /// `u1_v1` in its name is a tile's.
    Tiles,
    /// A cache's description, with the data beside it.
    Cache,
    /// All particles' files in its folder.
    Particles,
}

/// Which names of files a path stands for.
pub(crate) enum Pattern {
    One,
    /// Names that match; the group `frame`, where there is one, is the frame's number.
    Many(Regex),
    /// The path itself, a cache's description, with the data that has these names.
    Cache(Regex),
}

impl Pattern {
    pub(crate) fn of(path: &str, family: Family) -> Pattern {
        let name = path.rsplit('/').next().unwrap_or(path);
        let anchored = |pattern: &str| Regex::new(&format!("^{pattern}$")).ok();
        if family == Family::Cache {
            let stem = regex::escape(name.strip_suffix(".xml").unwrap_or(name));
            // A frame's file, that of a part of a frame, or one file for all frames.
            let part = "Frame(?<frame>-?[0-9]+)(?:Tick-?[0-9]+)?";
            return anchored(&format!(r"{stem}(?:{part})?\.(?:{CACHE_DATA})"))
                .map_or(Pattern::One, Pattern::Cache);
        }
        if family == Family::Particles {
            return anchored(r".*\.pdc").map_or(Pattern::One, Pattern::Many);
        }
        let pattern = placeholders(name).or_else(|| match family {
            Family::Frames => last_number(name, r"[0-9]+", r"(?<frame>-?[0-9]+)"),
            Family::Udim => last_number(name, r"1[0-9]{3}", r"1[0-9]{3}"),
            Family::Tiles => last_number(name, r"u[0-9]+_v[0-9]+", r"u[0-9]+_v[0-9]+"),
            Family::One | Family::Cache | Family::Particles => None,
        });
        pattern.and_then(|pattern| anchored(&pattern)).map_or(Pattern::One, Pattern::Many)
    }

    pub(crate) fn is_many(&self) -> bool {
        !matches!(self, Pattern::One)
    }

    /// The files at this path, or at the one that differs from it in the case of letters only.
    pub(crate) fn files_at(&self, path: &Path, disk: &Disk) -> Found {
        let found = self.files_exactly_at(path);
        if !found.files.is_empty() {
            return found;
        }
        let caseless = |pattern: &Regex| Regex::new(&format!("(?i){}", pattern.as_str())).ok();
        let (pattern, path) = match self {
            Pattern::One => (Some(Pattern::One), disk.spelling(path)),
            Pattern::Cache(pattern) => (caseless(pattern).map(Pattern::Cache), disk.spelling(path)),
            Pattern::Many(pattern) => {
                (caseless(pattern).map(Pattern::Many), disk.spelling_of_folder(path))
            }
        };
        match (pattern, path) {
            (Some(pattern), Some(path)) => pattern.files_exactly_at(&path),
            _ => found,
        }
    }

    /// The files at this very path.
    pub(crate) fn files_exactly_at(&self, path: &Path) -> Found {
        let (pattern, itself) = match self {
            Pattern::One => (None, true),
            Pattern::Many(pattern) => (Some(pattern), false),
            Pattern::Cache(pattern) => (Some(pattern), true),
        };
        let mut found = Found::default();
        if itself {
            if !path.is_file() {
                return found;
            }
            found.files.push(path.to_path_buf());
            found.numbers.push(None);
        }
        let mut siblings = pattern.map(|pattern| matching(path, pattern)).unwrap_or_default();
        siblings.sort();
        let digits = siblings.iter().filter_map(|one| Some(one.number_at.as_ref()?.len())).min();
        if let Some(last) = siblings.iter().rev().find(|one| one.number_at.is_some())
            && let (Some(at), Some(digits)) = (&last.number_at, digits)
        {
            let name = file_name(&last.file);
            found.name = Some(NumberedName {
                folder: path.parent().unwrap_or(Path::new("")).to_path_buf(),
                before: name[..at.start].to_owned(),
                digits,
                after: name[at.end..].to_owned(),
            });
        }
        if matches!(self, Pattern::Cache(_)) && siblings.is_empty() {
            let data = path.with_extension(CACHE_DATA.replace('|', ", ."));
            found.lacks = Some(format!(
                "the cache's description is there and its data isn't: looked for {} and the like",
                data.display()
            ));
        }
        found.numbers.extend(siblings.iter().map(|one| one.number));
        found.files.extend(siblings.into_iter().map(|one| one.file));
        found
    }
}

/// A file whose name matches.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Sibling {
    number: Option<i64>,
    file: PathBuf,
    /// Where its digits stand in the name.
    number_at: Option<NumberAt>,
}

/// From and to which byte of a name, the latter excluded.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct NumberAt {
    start: usize,
    end: usize,
}

impl NumberAt {
    fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The files beside `path` that match.
fn matching(path: &Path, pattern: &Regex) -> Vec<Sibling> {
    let sibling = |file: PathBuf| {
        let name = file_name(&file);
        let captures = pattern.captures(&name)?;
        let (number, number_at) = match captures.name("frame") {
            None => (None, None),
            Some(frame) => {
                // No frame has a number that is larger than this.
                let number: i64 = frame.as_str().parse().ok()?;
                let start = frame.start() + usize::from(number < 0);
                (Some(number), Some(NumberAt { start, end: frame.end() }))
            }
        };
        file.is_file().then_some(Sibling { number, file, number_at })
    };
    siblings(path).filter_map(sibling).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The entries of the folder that `path` lies in.
fn siblings(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    entries
        .into_iter()
        .flatten()
        .take(MAX_ENTRIES)
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
}

/// A pattern for a name with placeholders such as `<udim>`, `<f>`, `####` or `%04d`; `None` if it has
/// none.
fn placeholders(name: &str) -> Option<String> {
    static TOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"<(?<tag>[A-Za-z]+)(?::?[0-9]+)?>|(?<hashes>#+)|(?<printed>%(?:0(?<width>[0-9]))?d)",
        )
        .ok()
    });
    let token = TOKEN.as_ref()?;
    let mut pattern = String::new();
    let mut read = 0;
    let mut found = false;
    let mut framed = false;
    for captures in token.captures_iter(name) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        let Some(part) = token_pattern(&captures, framed) else {
            continue;
        };
        pattern.push_str(&regex::escape(&name[read..whole.start()]));
        pattern.push_str(&part);
        framed |= part.contains("<frame>");
        read = whole.end();
        found = true;
    }
    pattern.push_str(&regex::escape(&name[read..]));
    found.then_some(pattern)
}

/// Of several frame numbers in a name one is enough to tell the frame: `framed` once there was one.
fn token_pattern(captures: &Captures<'_>, framed: bool) -> Option<String> {
    let frame = |digits: String| {
        if framed { format!("-?{digits}") } else { format!("(?<frame>-?{digits})") }
    };
    if let Some(hashes) = captures.name("hashes") {
        return Some(frame(format!("[0-9]{{{},}}", hashes.len().min(16))));
    }
    if captures.name("printed").is_some() {
        let width = captures.name("width").map_or("1", |width| width.as_str());
        return Some(frame(format!("[0-9]{{{},}}", width.parse::<u8>().ok()?)));
    }
    match captures.name("tag")?.as_str().to_ascii_lowercase().as_str() {
        "udim" => Some("1[0-9]{3}".to_owned()),
        "tile" | "uvtile" => Some("_?u[0-9]+_v[0-9]+".to_owned()),
        "u" | "v" => Some("[0-9]+".to_owned()),
        "f" | "frame" => Some(frame("[0-9]+".to_owned())),
        _ => None,
    }
}

/// A pattern for a name in which the last match of `number` before the extension may be any match of
/// `any`; `None` without one.
fn last_number(name: &str, number: &str, any: &str) -> Option<String> {
    let stem = name.rfind('.').map_or(name, |at| &name[..at]);
    let last = Regex::new(number).ok()?.find_iter(stem).last()?;
    let (before, after) = (&name[..last.start()], &name[last.end()..]);
    Some(format!("{}{any}{}", regex::escape(before), regex::escape(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(path: &str, family: Family, name: &str) -> Option<Option<i64>> {
        let Pattern::Many(pattern) = Pattern::of(path, family) else {
            return None;
        };
        let captures = pattern.captures(name)?;
        Some(captures.name("frame").map(|frame| frame.as_str().parse().unwrap()))
    }

    #[test]
    fn families_have_patterns() {
        for (path, family, name, expected) in [
            ("a/c.<UDIM>.exr", Family::One, "c.1001.exr", Some(None)),
            ("a/c.<udim>.exr", Family::One, "c.0001.exr", None),
            ("a/c.<udim>.exr", Family::One, "cx1001.exr", None),
            ("a/c<tile>.tx", Family::One, "c_u1_v2.tx", Some(None)),
            ("a/c_<u>_<v>.tx", Family::One, "c_1_12.tx", Some(None)),
            ("a/c.<f>.exr", Family::One, "c.0012.exr", Some(Some(12))),
            ("a/c.####.exr", Family::One, "c.0012.exr", Some(Some(12))),
            ("a/c.####.exr", Family::One, "c.12.exr", None),
            ("a/c.%04d.exr", Family::One, "c.12345.exr", Some(Some(12345))),
            ("a/c.%d.exr", Family::One, "c.7.exr", Some(Some(7))),
            ("a/c.<frame04>.exr", Family::One, "c.0012.exr", Some(Some(12))),
            ("a/c.<frame>.exr", Family::One, "c.12.exr", Some(Some(12))),
            ("a/100%done.exr", Family::One, "100%done.exr", None),
            ("a/c<f>_<f>.exr", Family::One, "c7_8.exr", Some(Some(7))),
            ("a/v2.0001.exr", Family::Frames, "v2.0099.exr", Some(Some(99))),
            ("a/v2.0001.exr", Family::Frames, "v3.0099.exr", None),
            ("a/c.1001.mp4", Family::Udim, "c.1002.mp4", Some(None)),
            ("a/*.pdc", Family::Particles, "sparks.250.pdc", Some(None)),
            ("a/*.pdc", Family::Particles, "sparks.xml", None),
            ("a/c_u1_v1.exr", Family::Tiles, "c_u2_v10.exr", Some(None)),
            ("a/plain.exr", Family::One, "plain.exr", None),
            ("a/<unknown>.exr", Family::One, "<unknown>.exr", None),
            ("a/no number.exr", Family::Frames, "no number.exr", None),
        ] {
            assert_eq!(matches(path, family, name), expected, "{path} {name}");
        }
    }

    #[test]
    fn names_have_other_numbers() {
        let name = NumberedName {
            folder: "/a".into(),
            before: "f.".into(),
            digits: 4,
            after: ".png".into(),
        };
        let with = |number| name.with(number, "x//f.0001.png");
        assert_eq!(with(12), ("x//f.0012.png".into(), "/a/f.0012.png".into()));
        assert_eq!(with(-3).0, "x//f.-0003.png");
        assert_eq!(with(12345).0, "x//f.12345.png");
    }

    #[test]
    fn names_in_another_case_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        std::fs::create_dir_all(base.join("Tex")).unwrap();
        for name in ["Tex/Wood.PNG", "Tex/run_0001.png", "Tex/two.png", "Tex/Two.png"] {
            std::fs::write(base.join(name), "x").unwrap();
        }
        let disk = Disk::default();
        let found =
            |path: &str| Pattern::of(path, Family::One).files_at(&base.join(path), &disk).files;
        assert_eq!(found("tex/wood.png"), [base.join("Tex/Wood.PNG")]);
        assert_eq!(found("TEX/RUN_####.PNG"), [base.join("Tex/run_0001.png")]);
        assert_eq!(found("tex/two.png"), [base.join("Tex/two.png")]);
        // Which of the two is meant nobody can tell.
        assert_eq!(found("tex/TWO.png"), Vec::<PathBuf>::new());
        assert_eq!(disk.spelling(&base.join("tex/none.png")), None);
        assert_eq!(disk.spelling(&base.join("tex")), Some(base.join("Tex")));
    }
}
