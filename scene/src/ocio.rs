//! OpenColorIO configurations: the folders in which they look for their tables, and the tables that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use crate::analysis::AnalyseError;
use crate::plain_file;

/// The most bytes of a configuration that are read; ACES' own, the largest that people use, has a megabyte.
const MAX_CONFIG: u64 = 16 << 20;
/// The most files and folders of one configuration that are taken for its tables.
const MAX_ENTRIES: usize = 10_000;

/// What a configuration needs beside itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// What is there, by the path as the configuration spells it: a file, or a folder of its `search_path` with all
    /// files below it.
    pub found: BTreeMap<String, Found>,
    /// Paths that can't be told or taken along: with variables, by absolute paths that lead nowhere here, or to too much.
    pub left: Vec<String>,
}

/// What a path in a configuration leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The file or folder itself.
    pub place: PathBuf,
    /// The files there.
    pub files: Vec<PathBuf>,
}

/// Looks for the tables of the configuration at `config`.
///
/// # Errors
/// When it can't be read.
pub fn tables(config: &Path) -> io::Result<Tables> {
    let bytes = read(config)?;
    let text = String::from_utf8_lossy(&bytes);
    let beside = config.parent().unwrap_or(Path::new(""));
    let mut tables = Tables::default();
    let mut room = MAX_ENTRIES;
    let folders = search_path(&text);
    for path in &folders {
        let place = beside.join(path.replace('\\', "/"));
        if path.contains(['$', '%']) || is_absolute(path) && !place.is_dir() {
            tables.left.push((*path).to_owned());
        } else if place.is_dir() {
            match files_below(place.clone(), &mut room) {
                Some(files) => {
                    tables.found.insert((*path).to_owned(), Found { place, files });
                }
                None => tables.left.push((*path).to_owned()),
            }
        }
    }
    // Tables are looked for in these folders; where there are none, beside the configuration.
    let named: BTreeSet<&str> = named(&text).into_iter().collect();
    for path in named.into_iter().filter(|path| folders.is_empty() || is_absolute(path)) {
        let place = beside.join(path.replace('\\', "/"));
        if place.is_file() && !path.contains(['$', '%']) {
            let files = vec![place.clone()];
            tables.found.insert(path.to_owned(), Found { place, files });
        } else {
            tables.left.push(path.to_owned());
        }
    }
    Ok(tables)
}

/// Writes a copy of a configuration with other paths in it, and says how many it changed. `map` is asked for every
/// path as the configuration spells it.
///
/// # Errors
/// `Io` if it can't be read, `Write` if `dest` fails, `Unsupported` for a path that can't stand in a configuration.
pub fn rewrite_paths(
    config: &Path,
    dest: &mut impl Write,
    map: &dyn Fn(&str) -> Option<String>,
) -> Result<usize, AnalyseError> {
    let bytes = read(config).map_err(|error| AnalyseError::io(config, error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        AnalyseError::Unsupported(format!(
            "it is no text in UTF-8 ({error}), and has paths that must change"
        ))
    })?;
    let place = |part: &str| -> Range<usize> {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        start..start + part.len()
    };
    let mut paths = search_path(text);
    paths.extend(named(text));
    paths.sort_by_key(|path| place(path).start);
    let (mut changed, mut written) = (0, 0);
    for path in paths {
        let at = place(path);
        if let Some(new) = map(path).filter(|_| at.start >= written) {
            if new.contains(['"', '\'', ':', ',', '#', '[', ']', '{', '}', '$', '%']) {
                return Err(AnalyseError::Unsupported(format!(
                    "the path '{path}' has to become '{new}', which can't be written there; give its folders other names"
                )));
            }
            dest.write_all(&text.as_bytes()[written..at.start]).map_err(AnalyseError::Write)?;
            dest.write_all(new.as_bytes()).map_err(AnalyseError::Write)?;
            (written, changed) = (at.end, changed + 1);
        }
    }
    dest.write_all(&text.as_bytes()[written..]).map_err(AnalyseError::Write)?;
    Ok(changed)
}

fn read(config: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file::open(config)?.take(MAX_CONFIG + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_CONFIG {
        let message = format!("it is larger than {MAX_CONFIG} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn is_absolute(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.as_bytes().get(1) == Some(&b':')
}

/// The value of `search_path`: a text with colons between folders, or a list.
fn search_path(text: &str) -> Vec<&str> {
    const KEY: &str = "search_path:";
    let mut lines = text.lines().skip_while(|line| !line.starts_with(KEY));
    let Some(first) = lines.next() else { return Vec::new() };
    let value = plain(&first[KEY.len()..]);
    let listed = value.strip_prefix('[').map(|list| list.trim_end_matches(']'));
    let paths: Vec<&str> = match listed {
        Some(list) => list.split(',').map(plain).collect(),
        None if value.is_empty() => {
            lines.map_while(|line| line.trim_start().strip_prefix("- ")).map(plain).collect()
        }
        None => value.split(':').map(str::trim).collect(),
    };
    paths.into_iter().filter(|path| !path.is_empty()).collect()
}

/// The tables that its transforms name.
fn named(text: &str) -> Vec<&str> {
    // In braces on one line, or with one key a line.
    static TABLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let other = r"[A-Za-z_]+:[^,}\n]*[,\n]\s*";
        let path = r#"(?<path>"[^"\n]*"|'[^'\n]*'|[^,}\n]+)"#;
        Regex::new(&format!(r"!<FileTransform>\s*\{{?\s*(?:{other})*?src:\s*{path}")).ok()
    });
    let found = TABLE.iter().flat_map(|table| table.captures_iter(text));
    let paths = found.filter_map(|found| Some(plain(found.name("path")?.as_str())));
    paths.filter(|path| !path.is_empty()).collect()
}

/// A value without its quotes, and without a comment behind it.
fn plain(value: &str) -> &str {
    let value = value.split(" #").next().unwrap_or(value).trim();
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// All files below a folder; `None` where there are more than `room` has left.
fn files_below(folder: PathBuf, room: &mut usize) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            *room = room.checked_sub(1)?;
            // Links to folders could lead anywhere, in circles too.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if entry.path().is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Some(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_are_a_text_or_a_list() {
        for (text, paths) in [
            ("ocio_profile_version: 1\nsearch_path: luts\nstrictparsing: true\n", &["luts"][..]),
            ("search_path: \"luts:../more luts\"\n", &["luts", "../more luts"]),
            ("search_path:\n  - luts\n  - 'b/c' # ours\nroles:\n  - x\n", &["luts", "b/c"]),
            ("search_path: [luts, \"b\"]\r\n", &["luts", "b"]),
            ("search_path: \"\"\n", &[]),
            ("# search_path: old\nroles:\n", &[]),
        ] {
            assert_eq!(search_path(text), paths, "{text}");
        }
    }

    #[test]
    fn tables_lie_in_the_folders_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("aces/luts/film")).unwrap();
        fs::create_dir(at("more")).unwrap();
        for name in ["aces/luts/a.spi1d", "aces/luts/film/b.cube", "more/c.csp", "aces/no.txt"] {
            fs::write(at(name), "").unwrap();
        }
        let config = at("aces/config.ocio");
        fs::write(&config, "search_path: luts:gone:../more:/abs/luts:$SHOW/luts\n").unwrap();
        let found = tables(&config).unwrap();
        let names: Vec<(&str, usize)> =
            found.found.iter().map(|(path, found)| (&**path, found.files.len())).collect();
        assert_eq!(names, [("../more", 1), ("luts", 2)]);
        assert_eq!(found.found["luts"].files[1], at("aces/luts/film/b.cube"));
        assert_eq!(found.left, ["/abs/luts", "$SHOW/luts"]);
        // Nobody's whole disk goes along.
        for number in 0..=MAX_ENTRIES {
            fs::write(at(&format!("more/{number}")), "").unwrap();
        }
        assert_eq!(tables(&config).unwrap().left, ["../more", "/abs/luts", "$SHOW/luts"]);
        // Where no folders are said, each table is named from the configuration.
        let text = "colorspaces:\n - !<FileTransform> {src: no.txt}\n - !<FileTransform>\n   \
                    interpolation: linear\n   src: \"luts/a.spi1d\" # ours\n - !<FileTransform> {src: gone.csp}\n \
                    - !<ColorSpaceTransform> {src: raw, dst: lin}\n";
        fs::write(&config, text).unwrap();
        let found = tables(&config).unwrap();
        assert_eq!(found.found.keys().collect::<Vec<_>>(), ["luts/a.spi1d", "no.txt"]);
        assert_eq!(found.left, ["gone.csp"]);
        fs::write(&config, "roles:\n").unwrap();
        assert_eq!(tables(&config).unwrap(), Tables::default());
    }

    #[test]
    fn absolute_paths_are_rewritten() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir_all(at("far/luts")).unwrap();
        for name in ["far/luts/a.spi1d", "far/b.cube"] {
            fs::write(at(name), "").unwrap();
        }
        let config = folder.path().join("config.ocio");
        let write = |luts: &str, table: &str| {
            let text = format!(
                "search_path: [\"{luts}\", near]\n# {luts}\nlooks:\n  - !<FileTransform> {{interpolation: linear, src: \
                 '{table}'}}\n  - !<FileTransform> {{src: a.spi1d}}\n"
            );
            fs::write(&config, &text).unwrap();
            text
        };
        let (luts, table) = (at("far/luts"), at("far/b.cube"));
        let before = write(&luts, &table);
        let found = tables(&config).unwrap();
        assert_eq!(found.found.keys().collect::<Vec<_>>(), [&table, &luts]);
        assert_eq!(found.found[&luts].files, [folder.path().join("far/luts/a.spi1d")]);
        assert_eq!(found.left, Vec::<String>::new());
        let map = |path: &str| Some(path.strip_prefix(&at("far/"))?.to_owned());
        let mut copy = Vec::new();
        assert_eq!(rewrite_paths(&config, &mut copy, &map).unwrap(), 2);
        let mut after = write("luts", "b.cube");
        // A comment is no path.
        after = after.replacen("# luts", &format!("# {luts}"), 1);
        assert_eq!(String::from_utf8(copy).unwrap(), after);
        // Letters of old code pages in a comment are nobody's business until something must change.
        fs::write(&config, [b"# \xe9\n", before.as_bytes()].concat()).unwrap();
        assert_eq!(tables(&config).unwrap(), found);
        assert!(rewrite_paths(&config, &mut Vec::new(), &map).is_err());
        fs::write(&config, &before).unwrap();
        let odd = |_: &str| Some("a:b".to_owned());
        let error = rewrite_paths(&config, &mut Vec::new(), &odd).unwrap_err();
        assert!(error.to_string().contains("'a:b'"), "{error}");
    }
}
