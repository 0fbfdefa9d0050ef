//! How names are spelled on the disk, where a scene spells them in another case.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::path_map::PathMap;

/// The most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 500_000;
/// The most entries of folders that are remembered.
const MAX_REMEMBERED: usize = 1_000_000;

/// By lower case: the names that a folder has.
type Names = HashMap<String, Vec<OsString>>;

/// The folders of this machine as they are during one reading of a scene. What was listed once is
/// remembered, so that a thousand missing files of one folder don't list it a thousand times.
#[derive(Debug, Default)]
pub struct Disk {
    folders: RefCell<HashMap<PathBuf, Rc<Names>>>,
    paths: PathMap,
}

impl Disk {
    /// The disk of a machine on which drives and shares of others are where `paths` says.
    #[must_use]
    pub fn mapped(paths: PathMap) -> Self {
        Self { paths, ..Self::default() }
    }

    /// Where a path leads that begins with a drive or a share of other machines.
    #[must_use]
    pub fn place(&self, spelled: &str) -> Option<PathBuf> {
        self.paths.place(spelled)
    }

    /// What a path means on a disk that minds the case of letters, where it was spelled on one that
    /// doesn't: what is there under just that name, or else the one thing there whose name differs in
    /// case only. `None` if there is no such thing, or more than one.
    #[must_use]
    pub fn spelling(&self, path: &Path) -> Option<PathBuf> {
        let mut place = PathBuf::new();
        for component in path.components() {
            let Component::Normal(name) = component else {
                place.push(component);
                continue;
            };
            if place.join(name).symlink_metadata().is_ok() {
                place.push(name);
                continue;
            }
            let names = self.names(&place);
            let [one] = &names.get(&name.to_str()?.to_lowercase())?[..] else { return None };
            place.push(one);
        }
        Some(place)
    }

    /// Like [`spelling`](Self::spelling), for a path whose name stands for others: only its folder is
    /// looked for.
    #[must_use]
    pub fn spelling_of_folder(&self, path: &Path) -> Option<PathBuf> {
        Some(self.spelling(path.parent()?)?.join(path.file_name()?))
    }

    /// The names in a folder; none in one that can't be read.
    fn names(&self, folder: &Path) -> Rc<Names> {
        let mut folders = self.folders.borrow_mut();
        if let Some(known) = folders.get(folder) {
            return Rc::clone(known);
        }
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut names = Names::new();
        for entry in std::fs::read_dir(here).into_iter().flatten().take(MAX_ENTRIES).flatten() {
            let name = entry.file_name();
            if let Some(text) = name.to_str() {
                names.entry(text.to_lowercase()).or_default().push(name);
            }
        }
        let names = Rc::new(names);
        if folders.values().map(|names| names.len()).sum::<usize>() > MAX_REMEMBERED {
            folders.clear();
        }
        folders.insert(folder.to_path_buf(), Rc::clone(&names));
        names
    }
}
