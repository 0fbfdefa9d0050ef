//! Which datablocks, in which files, a scene's render needs; and the files that these name.
//!
//! The search goes from the active scene along the links between datablocks, and through stand-ins
//! into the libraries that they come from, whose other contents Blender doesn't load. What is left
//! of the scene's own file is then searched in the same way, as what merely lies there.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::analysis::{AnalyseError, Asset, AssetKind, Missing};

use super::contents::{Contents, Family, FileUse, Id, IdKind};
use super::{families, locate, read};

/// The most library files that are opened for one scene.
const MAX_FILES: usize = 2_000;
/// The most assets that one scene may have.
const MAX_ASSETS: usize = 1_000_000;

/// A datablock: the index of a file, and that of the datablock in it.
type Place = (usize, u32);

/// A search under way, and what it has found.
pub(super) struct Search {
    files: Vec<Loaded>,
    /// By canonical path; `None` for those that couldn't be read.
    by_path: HashMap<PathBuf, Option<usize>>,
    queue: Vec<Place>,
    assets: Vec<(Place, Asset)>,
    missing: Vec<(Place, Missing)>,
    /// The files whose disk caches are among the assets already.
    disk_caches: HashSet<PathBuf>,
    /// Camera objects, in linked files too.
    cameras: Vec<Place>,
    pub(super) warnings: Vec<String>,
}

struct Loaded {
    contents: Contents,
    seen: Vec<bool>,
    /// By the index of a library here: the file it leads to.
    libraries: HashMap<u32, Option<usize>>,
}

impl Search {
    /// A search in the file that `contents` came from.
    pub(super) fn new(contents: Contents) -> Self {
        let mut by_path = HashMap::new();
        by_path.insert(canonical(&contents.path), Some(0));
        Self {
            files: vec![Loaded::new(contents)],
            by_path,
            queue: Vec::new(),
            assets: Vec::new(),
            missing: Vec::new(),
            disk_caches: HashSet::new(),
            cameras: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Everything that `start`, a datablock of the scene's own file, needs.
    pub(super) fn required_by(&mut self, start: u32) -> Result<(), AnalyseError> {
        self.queue.push((0, start));
        self.run(true)
    }

    /// Everything else in the scene's own file; `required` if nothing tells what isn't.
    pub(super) fn rest(&mut self, required: bool) -> Result<(), AnalyseError> {
        let count = u32::try_from(self.files[0].contents.ids.len()).unwrap_or(u32::MAX);
        // The last goes first, so that the queue is worked off in the file's order.
        self.queue.extend((0..count).rev().map(|index| (0, index)));
        self.run(required)
    }

    fn run(&mut self, required: bool) -> Result<(), AnalyseError> {
        while let Some(place) = self.queue.pop() {
            let (file, index) = place;
            let loaded = &mut self.files[file];
            match loaded.seen.get_mut(index as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            let id = &loaded.contents.ids[index as usize];
            self.queue.extend(id.needs.iter().map(|&other| (file, other)));
            match &id.kind {
                IdKind::Linked { library: Some(library) } => {
                    let (library, name) = (*library, id.name.clone());
                    self.queue.push((file, library));
                    self.follow(file, library, &name)?;
                }
                IdKind::CameraObject => self.cameras.push(place),
                IdKind::StartupScript => self.warnings.push(format!(
                    "the text '{}' asks to be run when the file is opened; renders run it only \
                     where scripts are allowed",
                    id.label()
                )),
                _ => {}
            }
            self.files_of(place, required)?;
        }
        Ok(())
    }

    /// Looks for the files that a datablock names.
    fn files_of(&mut self, place: Place, required: bool) -> Result<(), AnalyseError> {
        let contents = &self.files[place.0].contents;
        let id = &contents.ids[place.1 as usize];
        let holder = contents.holder_of(id);
        let folder = holder.parent().unwrap_or(Path::new("."));
        let disk_cache =
            (id.has_disk_cache && self.disk_caches.insert(holder.clone())).then(|| FileUse {
                path: families::disk_cache(&holder),
                kind: AssetKind::Cache,
                family: Family::Folder,
            });
        for wanted in id.files.iter().chain(&disk_cache) {
            let found = families::find(wanted, folder);
            if let Some(doubt) = &found.doubt {
                if required {
                    self.warnings.push(format!("{}: {doubt}", id.label()));
                }
                continue;
            }
            let (asset, missing) = found.report(wanted, id.label(), required);
            self.assets.push((place, asset));
            self.missing.extend(missing.into_iter().map(|missing| (place, missing)));
        }
        if self.assets.len() + self.missing.len() > MAX_ASSETS {
            return Err(AnalyseError::TooLarge(format!("it names more than {MAX_ASSETS} files")));
        }
        Ok(())
    }

    /// Goes on at the datablock called `name` in a library of `file`.
    fn follow(&mut self, file: usize, library: u32, name: &[u8]) -> Result<(), AnalyseError> {
        let target = match self.files[file].libraries.get(&library) {
            Some(&known) => known,
            None => {
                let target = self.open_library(file, library)?;
                self.files[file].libraries.insert(library, target);
                target
            }
        };
        let Some(target) = target else { return Ok(()) };
        let contents = &self.files[target].contents;
        match contents.by_name.get(name) {
            Some(&index) => self.queue.push((target, index)),
            None => {
                // It may only pass through there, from a library of the library.
                let passed = contents.ids.iter().position(|id| id.name == name);
                match passed.and_then(|index| u32::try_from(index).ok()) {
                    Some(index) => self.queue.push((target, index)),
                    None => self.warnings.push(format!(
                        "{} has no '{}', which is linked from it",
                        contents.path.display(),
                        locate::text(name.get(2..).unwrap_or_default()),
                    )),
                }
            }
        }
        Ok(())
    }

    fn open_library(&mut self, file: usize, library: u32) -> Result<Option<usize>, AnalyseError> {
        let contents = &self.files[file].contents;
        let Some(id) = contents.ids.get(library as usize) else {
            return Ok(None);
        };
        let IdKind::Library { path: spelled, packed } = &id.kind else {
            return Ok(None);
        };
        if *packed {
            self.warnings.push(format!(
                "the library '{}' is packed into the file; files that it names are not checked",
                id.label()
            ));
            return Ok(None);
        }
        let path = locate::locate(contents.folder(), spelled);
        let key = canonical(&path);
        if let Some(&known) = self.by_path.get(&key) {
            return Ok(known);
        }
        if self.by_path.len() >= MAX_FILES {
            return Err(AnalyseError::TooLarge(format!(
                "it links from more than {MAX_FILES} other files"
            )));
        }
        let opened = if path.is_file() {
            match read::read(&path) {
                Ok(contents) => {
                    self.files.push(Loaded::new(contents));
                    Some(self.files.len() - 1)
                }
                Err(error) => {
                    let place = (file, library);
                    let missing = Missing {
                        node: id.label(),
                        path: locate::text(spelled),
                        reason: format!("it cannot be read as a library: {error}"),
                        required: true,
                    };
                    self.missing.push((place, missing));
                    None
                }
            }
        } else {
            None
        };
        self.by_path.insert(key, opened);
        Ok(opened)
    }

    /// The files' contents, in the order they were opened; the scene's own is the first.
    pub(super) fn contents(&self) -> &Contents {
        &self.files[0].contents
    }

    /// Follows a stand-in at `index` of the scene's own file to what it stands for.
    pub(super) fn resolved(&self, index: u32) -> Option<(&Contents, &Id)> {
        let (mut file, mut index) = (0, index);
        // Stand-ins can stand for stand-ins, but not in circles for ever.
        for _ in 0..64 {
            let loaded = self.files.get(file)?;
            let id = loaded.contents.ids.get(index as usize)?;
            let IdKind::Linked { library: Some(library) } = id.kind else {
                return Some((&loaded.contents, id));
            };
            file = (*loaded.libraries.get(&library)?)?;
            index = *self.files.get(file)?.contents.by_name.get(&id.name)?;
        }
        None
    }

    /// The names of all camera objects found, those of the scene's own file first.
    pub(super) fn cameras(&self) -> Vec<String> {
        let mut places = self.cameras.clone();
        places.sort_unstable();
        let mut names = Vec::new();
        for (file, index) in places {
            let name = self.files[file].contents.ids[index as usize].label();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The assets and what is missing, in the order of the files.
    pub(super) fn into_report(mut self) -> (Vec<Asset>, Vec<Missing>, Vec<String>) {
        self.assets.sort_by_key(|(place, _)| *place);
        self.missing.sort_by_key(|(place, _)| *place);
        (
            self.assets.into_iter().map(|(_, asset)| asset).collect(),
            self.missing.into_iter().map(|(_, missing)| missing).collect(),
            self.warnings,
        )
    }
}

impl Loaded {
    fn new(contents: Contents) -> Self {
        Self { seen: vec![false; contents.ids.len()], contents, libraries: HashMap::new() }
    }
}

/// The one name of a file that several paths may lead to.
fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}
