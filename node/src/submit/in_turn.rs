//! What the files that a scene names need in turn: stand-ins and layers in text formats, by the patterns of the engines
//! that take them, and colour configurations.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use weft_scene::analysis::{Analysis, Asset, AssetKind, Missing, TextFile};
use weft_scene::engine::Definition;
use weft_scene::{PathMap, ocio, text_scene};

/// Endings of files that name others.
const NAMES_OTHERS: [&str; 8] =
    [".ass", ".ass.gz", ".usd", ".usda", ".usdc", ".vrscene", ".rib", ".rs"];
const COLOURS: &str = ".ocio";
/// The most files that are looked into because a scene needs them: a stand-in may be one a frame.
const MAX_FILES: usize = 10_000;
/// The most files that a scene, and what it needs, may name.
const MAX_ASSETS: usize = 500_000;
/// The most warnings that are kept; further ones say nothing new.
const MAX_WARNINGS: usize = 100;

/// Where and how to look.
pub(super) struct Lookup<'a> {
    pub(super) engines: &'a BTreeMap<String, Definition>,
    /// Where drives and shares of other machines are here.
    pub(super) paths: &'a PathMap,
    /// Further folders from which paths may count.
    pub(super) folders: &'a [PathBuf],
}

/// Adds what the scene's files need, and what these need, to what the scene names.
pub(super) fn follow(analysis: &mut Analysis, lookup: &Lookup<'_>) {
    let read = analysis.text_files.keys().chain(&analysis.unread).map(|file| same(file)).collect();
    let mut walk = Walk { lookup, analysis, read, known: HashSet::new(), files: 0 };
    // What the render needs comes first: a file that it needs and that merely lies there as well is needed.
    for required in [true, false] {
        let mut at = 0;
        // What is found is looked into as well, at the end.
        while let Some(asset) = walk.analysis.assets.get(at) {
            at += 1;
            let named = asset
                .files
                .iter()
                .any(|file| is_one(file, &NAMES_OTHERS) || is_one(file, &[COLOURS]));
            if asset.required == required && named {
                let asset = asset.clone();
                if !walk.asset(&asset) {
                    walk.warn(format!(
                        "the files that the scene names need more than {MAX_FILES} in turn, or name more than \
                         {MAX_ASSETS}: not all were looked into; name what else they need with --assets"
                    ));
                    return;
                }
            }
        }
    }
}

/// Adds what the colour configurations among these files and folders need: no scene names those that a renderer's
/// environment does.
pub(super) fn follow_named(
    analysis: &mut Analysis,
    files: &BTreeSet<PathBuf>,
    lookup: &Lookup<'_>,
) {
    let configs = files.iter().filter(|file| is_one(file, &[COLOURS]));
    let assets = configs.map(|config| Asset {
        path: config.display().to_string(),
        kind: AssetKind::Other,
        exists: true,
        node: "--assets".to_owned(),
        files: vec![config.clone()],
        required: true,
        frames: None,
        needed_by: None,
        indirect: true,
    });
    let before = analysis.assets.len();
    analysis.assets.extend(assets);
    if analysis.assets.len() > before {
        follow(analysis, lookup);
    }
}

struct Walk<'a> {
    lookup: &'a Lookup<'a>,
    analysis: &'a mut Analysis,
    /// Files that were looked into, or can't be.
    read: BTreeSet<PathBuf>,
    /// What was named already: for whom, by which path, and what was found. The frames of one sequence name the same.
    known: HashSet<(String, String, Vec<PathBuf>)>,
    files: usize,
}

impl Walk<'_> {
    /// Looks into the files of one that the scene names; `false` where they are too many.
    fn asset(&mut self, asset: &Asset) -> bool {
        for file in &asset.files {
            let colours = is_one(file, &[COLOURS]);
            if !colours && !is_one(file, &NAMES_OTHERS) || !self.read.insert(same(file)) {
                continue;
            }
            if self.files >= MAX_FILES || self.analysis.assets.len() > MAX_ASSETS {
                return false;
            }
            match colours {
                true => self.colours(file, asset),
                false => self.text(file, asset),
            }
        }
        true
    }

    fn text(&mut self, file: &Path, asset: &Asset) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let takes = |engine: &&Definition| {
            engine.names_files() && !engine.extensions.is_empty() && engine.takes(&name)
        };
        let Some(engine) = self.lookup.engines.values().find(takes) else {
            self.analysis.unread.push(file.to_path_buf());
            return;
        };
        let mut engine = engine.clone();
        engine.paths = self.lookup.paths.clone();
        let read = text_scene::analyse_beside(file, &engine, self.lookup.folders, &self.read);
        let found = match read {
            Some(Ok(found)) => found,
            Some(Err(error)) => return self.warn(format!("{}: {error}", file.display())),
            None => return,
        };
        for warning in found.warnings {
            self.warn(warning);
        }
        self.files += found.text_files.len().max(1);
        self.read.extend(found.text_files.keys().chain(&found.unread).map(|file| same(file)));
        self.analysis.text_files.extend(found.text_files);
        self.analysis.unread.extend(found.unread);
        let who = |node: &str| format!("{}, {name}, {node}", asset.node);
        let spelled = |one: &Missing| ((one.node.clone(), one.path.clone()), one.clone());
        let mut missing: HashMap<_, _> = found.missing.iter().map(spelled).collect();
        for one in found.assets {
            let key = (asset.node.clone(), one.path.clone(), one.files.clone());
            if !self.known.insert(key) {
                continue;
            }
            let (node, required) = (who(&one.node), asset.required);
            if let Some(lost) = missing.remove(&(one.node.clone(), one.path.clone())) {
                self.analysis.missing.push(Missing { node: node.clone(), required, ..lost });
            }
            self.analysis.assets.push(Asset { node, required, indirect: true, ..one });
        }
    }

    fn colours(&mut self, config: &Path, asset: &Asset) {
        let tables = match ocio::tables(config) {
            Ok(tables) => tables,
            Err(error) => {
                return self.warn(format!("{} can't be read: {error}", config.display()));
            }
        };
        if let [first, others @ ..] = &tables.left[..] {
            let others = match others.len() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            self.warn(format!(
                "the colour configuration {} names what can't be told, found or taken along ({first}{others}): name what \
                 it needs with --assets",
                config.display(),
            ));
        }
        let name = config.file_name().unwrap_or_default().to_string_lossy();
        let spelled = |(path, found): (&String, &ocio::Found)| (path.clone(), found.place.clone());
        let text = TextFile {
            engine: String::new(),
            scene: config.to_owned(),
            paths: tables.found.iter().map(spelled).collect(),
        };
        self.analysis.text_files.insert(config.to_owned(), text);
        for (path, ocio::Found { files, .. }) in tables.found {
            self.analysis.assets.push(Asset {
                path,
                kind: AssetKind::Other,
                exists: true,
                node: format!("{}, {name}", asset.node),
                files,
                required: asset.required,
                frames: None,
                needed_by: None,
                indirect: true,
            });
        }
    }

    fn warn(&mut self, warning: String) {
        if self.analysis.warnings.len() < MAX_WARNINGS {
            self.analysis.warnings.push(warning);
        }
    }
}

/// What a person should know of the files that nothing here can look into.
pub(super) fn unread_warning(unread: &[PathBuf]) -> Option<String> {
    // A .usdz is a zip that holds what it needs.
    let mut files = unread.iter().filter(|file| !is_one(file, &[".usdz"]));
    let first = files.next()?.display();
    let count = 1 + files.count();
    Some(format!(
        "what {count} file(s) need in turn isn't known ({first}{}): they are no text, or no engine in weft.toml says how \
         such files name others; name what they need with --assets",
        if count > 1 { ", …" } else { "" }
    ))
}

fn is_one(file: &Path, endings: &[&str]) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// One path for one file, however it was reached.
fn same(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_looked_into_is_counted() {
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(unread_warning(&files(&["/a/whole.usdz"])), None);
        let warning =
            unread_warning(&files(&["/a/whole.USDZ", "/a/b.usdc", "/a/c.ass.gz"])).unwrap();
        assert!(
            warning.starts_with("what 2 file(s)") && warning.contains("/a/b.usdc"),
            "{warning}"
        );
    }
}
