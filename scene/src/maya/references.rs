//! Cameras and files of a scene and of the scenes that it references.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::facts::{Camera, Facts, Family, FileUse, Reference};
use super::paths::{Found, Places};
use crate::analysis::{AnalyseError, Analysis, Asset, AssetKind, Missing};

/// How deep references may nest.
const MAX_DEPTH: usize = 32;
/// The most references of a scene, nested ones included.
const MAX_REFERENCES: usize = 10_000;
/// The most files that a scene and its references may name.
const MAX_ASSETS: usize = 500_000;
/// The most warnings that are kept; further ones say nothing new.
const MAX_WARNINGS: usize = 100;

/// One scene of the tree of references.
struct Visit {
    facts: Rc<Facts>,
    places: Places,
    /// Before its names: `a:b:`, or nothing for the scene itself.
    prefix: String,
    /// Whether Maya loads it with the scene.
    loaded: bool,
    /// The files on the way from the scene to it, itself included.
    chain: Vec<PathBuf>,
}

/// Adds the cameras and files of `facts`, and of everything it references, to `analysis`.
///
/// # Errors
/// For more references or files than any scene has.
pub(super) fn collect(
    scene: &Path,
    project: Option<&Path>,
    facts: Facts,
    analysis: &mut Analysis,
) -> Result<(), AnalyseError> {
    let mut tree = Tree {
        unloaded: facts.unloaded.clone(),
        analysis,
        read: HashMap::new(),
        seen: HashSet::new(),
        cameras: Vec::new(),
        references: 0,
    };
    if !facts.closed {
        tree.warn(
            "the scene doesn't end with the line that Maya writes last; it may have been cut off"
                .to_owned(),
        );
    }
    let mut waiting = vec![Visit {
        facts: Rc::new(facts),
        places: Places::new(scene, project),
        prefix: String::new(),
        loaded: true,
        chain: vec![canonical(scene)],
    }];
    while let Some(visit) = waiting.pop() {
        tree.visit(&visit, &mut waiting)?;
    }
    tree.name_cameras();
    Ok(())
}

struct Tree<'a> {
    /// The nodes of the references that the scene keeps unloaded.
    unloaded: HashSet<String>,
    analysis: &'a mut Analysis,
    /// Referenced files that were read, `None` for those that couldn't be.
    read: HashMap<PathBuf, Option<Rc<Facts>>>,
    seen: HashSet<(String, String)>,
    cameras: Vec<Camera>,
    references: usize,
}

impl Tree<'_> {
    fn visit(&mut self, visit: &Visit, waiting: &mut Vec<Visit>) -> Result<(), AnalyseError> {
        let top = visit.prefix.is_empty() && visit.chain.len() == 1;
        for camera in &visit.facts.cameras {
            // A referenced file's startup cameras are the scene's own, and what isn't loaded has none.
            if top || (visit.loaded && !camera.startup) {
                self.cameras.push(Camera {
                    shape: format!("{}{}", visit.prefix, camera.shape),
                    parent: format!("{}{}", visit.prefix, camera.parent.trim_start_matches('|')),
                    ..*camera
                });
            }
        }
        for file in &visit.facts.files {
            // Nodes that every scene has (`:time1`) are taken from the scene itself only.
            let node = file.node.trim_start_matches(':');
            if !top && node.len() < file.node.len() {
                continue;
            }
            let found = visit.places.find(&file.path, file.kind, file.family);
            let file = FileUse { node: format!("{}{node}", visit.prefix), ..file.clone() };
            // Sounds are for playing a scene, not for rendering it.
            let required = visit.loaded && file.kind != AssetKind::Audio;
            self.add(file, found, required)?;
        }
        let first = waiting.len();
        for reference in &visit.facts.references {
            self.references += 1;
            if self.references > MAX_REFERENCES {
                let message = format!("it references more than {MAX_REFERENCES} scenes");
                return Err(AnalyseError::TooLarge(message));
            }
            self.reference(reference, visit, waiting)?;
        }
        // The stack gives them back in the order of the file.
        waiting[first..].reverse();
        Ok(())
    }

    fn reference(
        &mut self,
        reference: &Reference,
        from: &Visit,
        waiting: &mut Vec<Visit>,
    ) -> Result<(), AnalyseError> {
        let node = format!("{}{}", from.prefix, reference.node);
        let loaded = from.loaded
            && !from.facts.unloaded.contains(&reference.node)
            && !self.unloaded.contains(&node);
        let Some(file) = self.add_reference(reference, &from.prefix, &from.places, loaded)? else {
            return Ok(());
        };
        let place = canonical(&file);
        if from.chain.contains(&place) {
            self.warn(format!("{} references itself", reference.path));
            return Ok(());
        }
        if from.chain.len() >= MAX_DEPTH {
            self.warn(format!("{} is nested too deeply to be read", reference.path));
            return Ok(());
        }
        let inner = match reference.namespace.as_str() {
            "" => from.prefix.clone(),
            namespace => format!("{}{namespace}:", from.prefix),
        };
        match self.facts_of(&file, &place, &reference.path) {
            Some(facts) => waiting.push(Visit {
                facts,
                places: from.places.of_referenced(&file),
                prefix: inner,
                loaded,
                chain: from.chain.iter().cloned().chain([place]).collect(),
            }),
            // What can't be read is known only from what the scene remembers of it.
            None => {
                for nested in &from.facts.nested {
                    let inside = match reference.namespace.as_str() {
                        "" => !nested.node.contains(':'),
                        namespace => nested
                            .node
                            .strip_prefix(namespace)
                            .is_some_and(|rest| rest.starts_with(':')),
                    };
                    if inside {
                        let loaded = loaded && !from.facts.unloaded.contains(&nested.node);
                        self.add_reference(nested, &from.prefix, &from.places, loaded)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The file of the reference, if it is there.
    fn add_reference(
        &mut self,
        reference: &Reference,
        prefix: &str,
        places: &Places,
        loaded: bool,
    ) -> Result<Option<PathBuf>, AnalyseError> {
        let mut found = places.find(&reference.path, AssetKind::Reference, Family::One);
        if !loaded {
            found.reason = format!("the reference isn't loaded, and {}", found.reason);
        }
        let file = found.files.first().cloned();
        let used = FileUse {
            node: format!("{prefix}{}", reference.node),
            path: reference.path.clone(),
            kind: AssetKind::Reference,
            family: Family::One,
        };
        self.add(used, found, loaded)?;
        Ok(file)
    }

    fn facts_of(&mut self, file: &Path, place: &Path, spelled: &str) -> Option<Rc<Facts>> {
        if let Some(known) = self.read.get(place) {
            return known.clone();
        }
        let ascii = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("ma"));
        let read = if ascii {
            super::read(file)
                .map_err(|error| self.warn(format!("the reference {spelled}: {error}")))
                .ok()
        } else {
            self.warn(format!(
                "the reference {spelled} is no Maya ASCII scene, so that the files it needs in turn \
                 are known only as far as this scene remembers them"
            ));
            None
        };
        let facts = read.map(Rc::new);
        self.read.insert(place.to_path_buf(), facts.clone());
        facts
    }

    fn add(&mut self, file: FileUse, found: Found, required: bool) -> Result<(), AnalyseError> {
        let FileUse { node, path, kind, .. } = file;
        if !self.seen.insert((node.clone(), path.clone())) {
            return Ok(());
        }
        if self.analysis.assets.len() >= MAX_ASSETS {
            let message = format!("it names more than {MAX_ASSETS} files");
            return Err(AnalyseError::TooLarge(message));
        }
        let exists = !found.files.is_empty();
        if !exists {
            self.analysis.missing.push(Missing {
                node: node.clone(),
                path: path.clone(),
                reason: found.reason,
                required,
                frames: None,
            });
        }
        let framed = found.frames.is_some();
        self.analysis.assets.push(Asset {
            path,
            kind: match kind {
                AssetKind::Image if framed => AssetKind::ImageSequence,
                AssetKind::Image if found.many => AssetKind::Udim,
                other => other,
            },
            exists,
            node,
            files: found.files,
            required,
            frames: found.frames,
            needed_by: None,
        });
        Ok(())
    }

    /// Cameras as Maya lists them: by the name of their shape, with its parent's before it where two
    /// have the same.
    fn name_cameras(&mut self) {
        let mut count: HashMap<&str, usize> = HashMap::new();
        for camera in &self.cameras {
            *count.entry(camera.shape.as_str()).or_default() += 1;
        }
        for camera in &self.cameras {
            let parent = camera.parent.rsplit('|').next().unwrap_or_default();
            let unique = count.get(camera.shape.as_str()).is_none_or(|&count| count == 1);
            let name = if unique || parent.is_empty() {
                camera.shape.clone()
            } else {
                format!("{parent}|{}", camera.shape)
            };
            if camera.renderable {
                self.analysis.scene_info.render_cameras.push(name.clone());
            }
            self.analysis.scene_info.all_cameras.push(name);
        }
    }

    fn warn(&mut self, warning: String) {
        let warnings = &mut self.analysis.warnings;
        if warnings.len() < MAX_WARNINGS {
            warnings.push(warning);
        }
    }
}

/// One path for one file, however it was reached.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
