//! Where the file that a path in a scene names may lie.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::facts::Family;
use super::nodes;
use crate::analysis::AssetKind;

/// How many folders up from a scene its project is sought.
const MAX_LEVELS: usize = 32;
/// The most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 500_000;

/// Where relative paths start.
#[derive(Debug, Clone)]
pub(super) struct Places {
    scene_folder: PathBuf,
    project: Option<PathBuf>,
}

/// The files that a path stands for.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    /// The frame of each file, for one file a frame.
    pub(super) frames: Option<Vec<i64>>,
    /// Whether the path names many files.
    pub(super) many: bool,
    /// Why there are no files, in words for people.
    pub(super) reason: String,
}

impl Places {
    /// The places of a scene; its project is sought above it unless given.
    pub(super) fn new(scene: &Path, project: Option<&Path>) -> Places {
        let scene = std::path::absolute(scene).unwrap_or_else(|_| scene.to_path_buf());
        let scene_folder = scene.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let project = project.map(Path::to_path_buf).or_else(|| project_of(&scene_folder));
        Places { scene_folder, project }
    }

    /// The places of a scene that this one references: it shares the project.
    pub(super) fn of_referenced(&self, scene: &Path) -> Places {
        let scene_folder = scene.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        Places { scene_folder, project: self.project.clone() }
    }

    /// Looks for what `path` names.
    pub(super) fn find(&self, path: &str, kind: AssetKind, family: Family) -> Found {
        let expanded = match expand_variables(path) {
            Ok(expanded) => expanded.replace('\\', "/"),
            Err(variable) => {
                return Found {
                    reason: format!("the environment variable {variable} is not set"),
                    ..Found::default()
                };
            }
        };
        let candidates = self.candidates(&expanded, kind);
        let family = Pattern::of(&expanded, family);
        for candidate in &candidates {
            let mut found = family.files_at(candidate);
            if !found.files.is_empty() {
                found.many = family.is_many();
                return found;
            }
        }
        let looked: Vec<String> =
            candidates.iter().map(|candidate| candidate.display().to_string()).collect();
        Found {
            many: family.is_many(),
            reason: format!("not found; looked for {}", looked.join(", ")),
            ..Found::default()
        }
    }

    /// The places to look, best first.
    fn candidates(&self, path: &str, kind: AssetKind) -> Vec<PathBuf> {
        let mut relative_to_project = Vec::new();
        let mut candidates = Vec::new();
        // Maya writes the project, `//`, and the path in it. (`//` in front is a Windows share.)
        let share = path.starts_with("//");
        let body = if share { &path[2..] } else { path };
        let plain = format!("{}{}", if share { "//" } else { "" }, body.replace("//", "/"));
        let drive = path.as_bytes().get(1) == Some(&b':');
        if path.starts_with('/') || drive {
            candidates.push(PathBuf::from(&plain));
            if let Some(at) = body.rfind("//") {
                relative_to_project.push(&body[at + 2..]);
            }
        } else {
            relative_to_project.push(&plain);
        }
        for relative in relative_to_project {
            if let Some(project) = &self.project {
                candidates.push(project.join(relative));
            }
            candidates.push(self.scene_folder.join(relative));
            if let Some(project) = &self.project {
                let folders = nodes::project_folders(kind).iter();
                candidates.extend(folders.map(|folder| project.join(folder).join(relative)));
            }
        }
        let mut seen = BTreeSet::new();
        candidates.retain(|candidate| seen.insert(candidate.clone()));
        candidates
    }
}

/// The nearest folder with a `workspace.mel`; failing that, the folder that holds `scenes`, if the
/// scene lies in a folder of that name.
fn project_of(folder: &Path) -> Option<PathBuf> {
    let marked =
        folder.ancestors().take(MAX_LEVELS).find(|folder| folder.join("workspace.mel").is_file());
    let named = || {
        let scenes = folder.ancestors().take(MAX_LEVELS);
        scenes
            .filter(|folder| folder.file_name().is_some_and(|name| name == "scenes"))
            .last()?
            .parent()
    };
    marked.or_else(named).map(Path::to_path_buf)
}

/// `$NAME` and `${NAME}` replaced by the environment's; the name of the first that isn't set.
fn expand_variables(path: &str) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let braced = rest.starts_with('{');
        let body = if braced { &rest[1..] } else { rest };
        let length = body.bytes().take_while(|&b| b.is_ascii_alphanumeric() || b == b'_').count();
        let name = &body[..length];
        if name.is_empty() || (braced && !body[length..].starts_with('}')) {
            expanded.push('$');
            continue;
        }
        let value = std::env::var(name).ok().filter(|value| value.len() < 32 * 1024);
        expanded.push_str(&value.ok_or_else(|| name.to_owned())?);
        rest = &body[length + usize::from(braced)..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Which names of files a path stands for.
enum Pattern {
    One,
    /// Names that match; the group `frame`, where there is one, is the frame's number.
    Many(Regex),
    /// Names that begin with this and end like the data of a cache, besides the path itself.
    Cache(String),
}

impl Pattern {
    fn of(path: &str, family: Family) -> Pattern {
        let name = path.rsplit('/').next().unwrap_or(path);
        if family == Family::Cache {
            let stem = name.strip_suffix(".xml").unwrap_or(name);
            return Pattern::Cache(stem.to_owned());
        }
        let pattern = placeholders(name).or_else(|| match family {
            Family::Frames => last_number(name, r"[0-9]+", r"(?<frame>-?[0-9]+)"),
            Family::Udim => last_number(name, r"1[0-9]{3}", r"1[0-9]{3}"),
            Family::Tiles => last_number(name, r"u[0-9]+_v[0-9]+", r"u[0-9]+_v[0-9]+"),
            Family::One | Family::Cache => None,
        });
        match pattern.and_then(|pattern| Regex::new(&format!("^{pattern}$")).ok()) {
            Some(pattern) => Pattern::Many(pattern),
            None => Pattern::One,
        }
    }

    fn is_many(&self) -> bool {
        !matches!(self, Pattern::One)
    }

    fn files_at(&self, path: &Path) -> Found {
        let mut found = Found::default();
        match self {
            Pattern::One => {
                if path.is_file() {
                    found.files.push(path.to_path_buf());
                }
            }
            Pattern::Cache(stem) => {
                if path.is_file() {
                    found.files.push(path.to_path_buf());
                    found.files.extend(siblings(path).filter(|file| {
                        let name = file.file_name().unwrap_or_default().to_string_lossy();
                        let data = [".mc", ".mcx", ".mcc", ".mchp"];
                        name.starts_with(stem.as_str())
                            && data.iter().any(|ending| name.ends_with(ending))
                    }));
                    found.files[1..].sort();
                }
            }
            Pattern::Many(pattern) => {
                let mut files: Vec<(i64, PathBuf)> = Vec::new();
                let framed = pattern.capture_names().any(|name| name == Some("frame"));
                for file in siblings(path) {
                    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let Some(captures) = pattern.captures(&name) else {
                        continue;
                    };
                    let frame =
                        captures.name("frame").and_then(|frame| frame.as_str().parse().ok());
                    if file.is_file() {
                        files.push((frame.unwrap_or(0), file));
                    }
                }
                files.sort();
                if framed {
                    found.frames = Some(files.iter().map(|(frame, _)| *frame).collect());
                }
                found.files = files.into_iter().map(|(_, file)| file).collect();
            }
        }
        found
    }
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
        Regex::new(r"<(?<tag>[A-Za-z]+)(?::[0-9]+)?>|(?<hashes>#+)|%0(?<width>[0-9])d").ok()
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
    if let Some(width) = captures.name("width") {
        return Some(frame(format!("[0-9]{{{},}}", width.as_str().parse::<u8>().ok()?)));
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
            ("a/c<f>_<f>.exr", Family::One, "c7_8.exr", Some(Some(7))),
            ("a/v2.0001.exr", Family::Frames, "v2.0099.exr", Some(Some(99))),
            ("a/v2.0001.exr", Family::Frames, "v3.0099.exr", None),
            ("a/c.1001.mp4", Family::Udim, "c.1002.mp4", Some(None)),
            ("a/c_u1_v1.exr", Family::Tiles, "c_u2_v10.exr", Some(None)),
            ("a/plain.exr", Family::One, "plain.exr", None),
            ("a/<unknown>.exr", Family::One, "<unknown>.exr", None),
            ("a/no number.exr", Family::Frames, "no number.exr", None),
        ] {
            assert_eq!(matches(path, family, name), expected, "{path} {name}");
        }
    }

    #[test]
    fn variables_are_replaced() {
        // PATH is set wherever this runs; the other one nowhere.
        let path = std::env::var("PATH").unwrap();
        assert_eq!(expand_variables("${PATH}/x$PATH."), Ok(format!("{path}/x{path}.")));
        assert_eq!(expand_variables("a/$WEFT_UNSET_1/b"), Err("WEFT_UNSET_1".to_owned()));
        for same in ["no", "a$", "a${", "a${b", "$-", "${}"] {
            assert_eq!(expand_variables(same).as_deref(), Ok(same));
        }
    }

    #[test]
    fn the_project_comes_first() {
        let places = Places { scene_folder: "/show/scenes".into(), project: Some("/show".into()) };
        let of = |path: &str| {
            let found = places.candidates(path, AssetKind::Image);
            found.iter().map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            of("sourceimages/a.png"),
            [
                "/show/sourceimages/a.png",
                "/show/scenes/sourceimages/a.png",
                "/show/sourceimages/sourceimages/a.png",
            ]
        );
        assert_eq!(
            of("H:/old/show//sourceimages/a.png")[..2],
            ["H:/old/show/sourceimages/a.png", "/show/sourceimages/a.png"]
        );
        assert_eq!(of("/abs/a.png"), ["/abs/a.png"]);
        assert_eq!(of("//server/share//a.png")[..2], ["//server/share/a.png", "/show/a.png"]);
    }
}
