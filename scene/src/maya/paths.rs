//! Where the file that a path in a scene names may lie.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::nodes;
use super::workspace::Workspace;
use crate::analysis::AssetKind;
use crate::disk::Disk;
use crate::named_files::{Family, Found, Pattern};

/// How many folders up from a scene its project is sought.
const MAX_LEVELS: usize = 32;

/// The most paths whose files are remembered.
const MAX_REMEMBERED: usize = 2000;

/// What was found for a path of a kind and family.
type Remembered = HashMap<(String, AssetKind, Family), Found>;

/// Where relative paths start.
#[derive(Debug, Clone)]
pub(super) struct Places {
    scene_folder: PathBuf,
    project: Option<PathBuf>,
    workspace: Rc<Workspace>,
    disk: Rc<Disk>,
    /// What was looked for already: many nodes name the same file.
    found: Rc<RefCell<Remembered>>,
}

impl Places {
    /// The places of a scene; its project is sought above it unless given.
    pub(super) fn new(scene: &Path, project: Option<&Path>, disk: Disk) -> Places {
        let scene = std::path::absolute(scene).unwrap_or_else(|_| scene.to_path_buf());
        let scene_folder = scene.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let project = project.map(Path::to_path_buf).or_else(|| project_of(&scene_folder));
        let workspace = Rc::new(project.as_deref().map(Workspace::of).unwrap_or_default());
        Places { scene_folder, project, workspace, disk: Rc::new(disk), found: Rc::default() }
    }

    /// The places of a scene that this one references: it shares the project.
    pub(super) fn of_referenced(&self, scene: &Path) -> Places {
        let scene_folder = scene.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        Places {
            scene_folder,
            project: self.project.clone(),
            workspace: Rc::clone(&self.workspace),
            disk: Rc::clone(&self.disk),
            found: Rc::default(),
        }
    }

    /// Looks for what `path` names.
    pub(super) fn find(&self, path: &str, kind: AssetKind, family: Family) -> Found {
        let key = (path.to_owned(), kind, family);
        if let Some(known) = self.found.borrow().get(&key) {
            return known.clone();
        }
        let found = self.look_for(path, kind, family);
        let mut all = self.found.borrow_mut();
        if all.len() >= MAX_REMEMBERED {
            all.clear();
        }
        all.insert(key, found.clone());
        found
    }

    fn look_for(&self, path: &str, kind: AssetKind, family: Family) -> Found {
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
            let mut found = family.files_at(candidate, &self.disk);
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

    /// The folders of the project for files of a kind: those that it names itself come first.
    fn folders(&self, project: &Path, kind: AssetKind) -> impl Iterator<Item = PathBuf> {
        let (rules, usual) = nodes::project_folders(kind);
        let named = rules.iter().filter_map(|rule| self.workspace.folder(rule));
        named.chain(usual.iter().copied()).map(|folder| {
            // A rule may name a drive, or begin with a variable.
            let folder = expand_variables(folder).unwrap_or_else(|_| folder.to_owned());
            self.disk.place(&folder).unwrap_or_else(|| project.join(folder))
        })
    }

    /// The places to look, best first.
    fn candidates(&self, path: &str, kind: AssetKind) -> Vec<PathBuf> {
        let mut relative_to_project = Vec::new();
        // What stands for another machine's drive or share comes first.
        let mut candidates = Vec::from_iter(self.disk.place(path));
        // Maya writes the project, `//`, and the path in it. (`//` in front is a Windows share.)
        let share = path.starts_with("//");
        let body = if share { &path[2..] } else { path };
        let plain = format!("{}{}", if share { "//" } else { "" }, body.replace("//", "/"));
        if is_absolute(path) {
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
                let folders = self.folders(project, kind);
                candidates.extend(folders.map(|folder| folder.join(relative)));
            }
        }
        // As Maya does: a texture that isn't where its path leads may lie in the project's folder for them.
        if let (AssetKind::Image, Some(project)) = (kind, &self.project)
            && let Some(name) = plain.rsplit('/').next().filter(|name| !name.is_empty())
        {
            candidates.extend(self.folders(project, kind).map(|folder| folder.join(name)));
        }
        let mut seen = BTreeSet::new();
        candidates.retain(|candidate| seen.insert(candidate.clone()));
        candidates
    }
}

/// Whether a path with slashes counts from a root, on any system: a drive's, a share's or the only one.
pub(super) fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || path.as_bytes().get(1) == Some(&b':')
}

/// The nearest folder with a `workspace.mel`; failing that, the folder that holds `scenes`, if the
/// scene lies in a folder of that name.
pub(super) fn project_of(folder: &Path) -> Option<PathBuf> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let places = Places {
            scene_folder: "/show/scenes".into(),
            project: Some("/show".into()),
            workspace: Rc::default(),
            disk: Rc::default(),
            found: Rc::default(),
        };
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
        assert_eq!(of("/abs/a.png"), ["/abs/a.png", "/show/sourceimages/a.png"]);
        // Of textures only that is known.
        let archive = places.candidates("/abs/a.abc", AssetKind::Alembic);
        assert_eq!(archive, [Path::new("/abs/a.abc")]);
        assert_eq!(of("//server/share//a.png")[..2], ["//server/share/a.png", "/show/a.png"]);
    }
}
