//! OpenColorIO configurations: the folders in which they look for their tables.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::plain_file;

/// The most bytes of a configuration that are read; ACES' own, the largest that people use, has a megabyte.
const MAX_CONFIG: u64 = 16 << 20;
/// The most files and folders of one configuration that are taken for its tables.
const MAX_ENTRIES: usize = 10_000;

/// What a configuration needs beside itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Folders of its `search_path` that are there, as it spells them, each with all files below it.
    pub folders: Vec<(String, Vec<PathBuf>)>,
    /// Those that can't be told or must not be taken whole: with variables, by absolute paths, or too full.
    pub left: Vec<String>,
}

/// Looks for the tables of the configuration at `config`.
///
/// # Errors
/// When it can't be read.
pub fn tables(config: &Path) -> io::Result<Tables> {
    let mut bytes = Vec::new();
    plain_file::open(config)?.take(MAX_CONFIG).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut tables = Tables::default();
    let spelled = search_path(&text);
    if spelled.is_empty() && text.contains("<FileTransform>") {
        // They count from its own folder then, which may hold anything.
        tables.left.push(".".to_owned());
    }
    let beside = config.parent().unwrap_or(Path::new(""));
    let mut room = MAX_ENTRIES;
    for path in spelled {
        let absolute = path.starts_with(['/', '\\']) || path.as_bytes().get(1) == Some(&b':');
        let folder = beside.join(path.replace('\\', "/"));
        if absolute || path.contains(['$', '%']) {
            tables.left.push(path);
        } else if folder.is_dir() {
            match files_below(folder, &mut room) {
                Some(files) => tables.folders.push((path, files)),
                None => tables.left.push(path),
            }
        }
    }
    Ok(tables)
}

/// The value of `search_path`: a text with colons between folders, or a list.
fn search_path(text: &str) -> Vec<String> {
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
    paths.into_iter().filter(|path| !path.is_empty()).map(str::to_owned).collect()
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
            found.folders.iter().map(|(path, files)| (&**path, files.len())).collect();
        assert_eq!(names, [("luts", 2), ("../more", 1)]);
        assert_eq!(found.folders[0].1[1], at("aces/luts/film/b.cube"));
        assert_eq!(found.left, ["/abs/luts", "$SHOW/luts"]);
        // Nobody's whole disk goes along.
        for number in 0..=MAX_ENTRIES {
            fs::write(at(&format!("more/{number}")), "").unwrap();
        }
        assert_eq!(tables(&config).unwrap().left, ["../more", "/abs/luts", "$SHOW/luts"]);
        fs::write(&config, "colorspaces:\n - !<FileTransform> {src: a.spi1d}\n").unwrap();
        assert_eq!(tables(&config).unwrap().left, ["."]);
        fs::write(&config, "roles:\n").unwrap();
        assert_eq!(tables(&config).unwrap(), Tables::default());
    }
}
