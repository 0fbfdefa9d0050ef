//! Cameras and files of a scene and of the scenes that it references.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::encoding::UnknownPages;
use super::facts::{By, Camera, Facts, FileUse, Reference, Renamed};
use super::paths::Places;
use super::sequences::{self, Needs};
use crate::analysis::{AnalyseError, Analysis, Asset, AssetKind, Missing};
use crate::named_files::Family;
use crate::sequence::Range;

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
    /// Whether the frames of its sequences are as it says itself.
    frames_hold: bool,
    /// The files on the way from the scene to it, itself included.
    chain: Vec<PathBuf>,
}

/// Adds the cameras and files of `facts`, and of everything it references, to `analysis`.
///
/// # Errors
/// For more references or files than any scene has.
pub(super) fn collect(
    scene: &Path,
    places: Places,
    facts: Facts,
    analysis: &mut Analysis,
) -> Result<(), AnalyseError> {
    let (start, end, step) = analysis.scene_info.own_frames().unwrap_or((0, 0, 1));
    let mut tree = Tree {
        unloaded: facts.unloaded.clone(),
        renamed: HashMap::new(),
        renderable: HashMap::new(),
        range: Range { start, end, step },
        time_unit: facts.time_unit.clone(),
        analysis,
        read: HashMap::new(),
        seen: HashSet::new(),
        cameras: Vec::new(),
        references: 0,
        assembled: HashSet::new(),
        pages: UnknownPages::default(),
    };
    tree.note_page(&facts, scene);
    if !facts.closed {
        tree.warn(
            "the scene doesn't end with the line that Maya writes last; it may have been cut off"
                .to_owned(),
        );
    }
    let mut waiting = vec![Visit {
        facts: Rc::new(facts),
        places,
        prefix: String::new(),
        loaded: true,
        frames_hold: true,
        chain: vec![canonical(scene)],
    }];
    while let Some(visit) = waiting.pop() {
        tree.visit(&visit, &mut waiting)?;
    }
    tree.add_renamed()?;
    tree.name_cameras();
    tree.analysis.warnings.extend(tree.pages.warnings());
    Ok(())
}

struct Tree<'a> {
    /// The nodes of the references that the scene keeps unloaded.
    unloaded: HashSet<String>,
    /// What referencing scenes tell nodes of referenced ones, until it is used: the path, and where
    /// the path starts.
    renamed: HashMap<(String, AssetKind), (Renamed, Places)>,
    /// Which nodes of referenced scenes referencing ones tell whether they are rendered.
    renderable: HashMap<String, bool>,
    /// The frames that a render of the scene as it is makes.
    range: Range,
    /// The scene's own unit of time.
    time_unit: String,
    analysis: &'a mut Analysis,
    /// Referenced files that were read, `None` for those that couldn't be.
    read: HashMap<PathBuf, Option<Rc<Facts>>>,
    seen: HashSet<(String, String)>,
    cameras: Vec<Camera>,
    references: usize,
    /// The files of assemblies that were looked into, and whether they are needed: a scene may show one thousands of
    /// times, and each time it is the same.
    assembled: HashSet<(PathBuf, bool)>,
    pages: UnknownPages,
}

impl Tree<'_> {
    fn visit(&mut self, visit: &Visit, waiting: &mut Vec<Visit>) -> Result<(), AnalyseError> {
        let top = visit.prefix.is_empty() && visit.chain.len() == 1;
        for camera in &visit.facts.cameras {
            // A referenced file's startup cameras are the scene's own, and what isn't loaded has none.
            if top || (visit.loaded && !camera.startup) {
                let shape = format!("{}{}", visit.prefix, camera.shape);
                let told = self.renderable.get(&shape).copied().filter(|_| !top);
                self.cameras.push(Camera {
                    renderable: told.unwrap_or(camera.renderable),
                    shape,
                    parent: format!("{}{}", visit.prefix, camera.parent.trim_start_matches('|')),
                    ..*camera
                });
            }
        }
        // The outermost scene has the last word.
        for (node, rendered) in &visit.facts.renderable {
            self.renderable.entry(format!("{}{node}", visit.prefix)).or_insert(*rendered);
        }
        for ((node, kind), renamed) in &visit.facts.renamed {
            let key = (format!("{}{node}", visit.prefix), *kind);
            let told = || (renamed.clone(), visit.places.clone());
            self.renamed.entry(key).or_insert_with(told);
        }
        for file in &visit.facts.files {
            // Nodes that every scene has (`:time1`) are taken from the scene itself only.
            let node = file.node.trim_start_matches(':');
            if !top && node.len() < file.node.len() {
                continue;
            }
            let mut file = FileUse { node: format!("{}{node}", visit.prefix), ..file.clone() };
            file.choice = file.choice.filter(|_| visit.frames_hold);
            let renamed = self.renamed.remove(&(file.node.clone(), file.kind)).filter(|_| !top);
            let told;
            let places = match renamed {
                Some((renamed, places)) => {
                    file.path = renamed.path;
                    told = places;
                    &told
                }
                None => &visit.places,
            };
            // Sounds are for playing a scene, not for rendering it.
            let required = visit.loaded && file.kind != AssetKind::Audio;
            self.add(file, places, required)?;
        }
        let first = waiting.len();
        for reference in &visit.facts.references {
            self.references += usize::from(reference.by == By::Reference);
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
            && reference.by != By::Representation
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
        if reference.by != By::Reference && !self.assembled.insert((place.clone(), loaded)) {
            return Ok(());
        }
        let inner = match reference.namespace.as_str() {
            "" => from.prefix.clone(),
            namespace => format!("{}{namespace}:", from.prefix),
        };
        match self.facts_of(&file, &place, &reference.path) {
            Some(facts) => waiting.push(Visit {
                // Time in another unit makes other numbers.
                frames_hold: from.frames_hold
                    && !from.facts.edits_frames
                    && facts.time_unit == self.time_unit,
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
        let found = places.find(&reference.path, AssetKind::Reference, Family::One);
        let file = found.files.first().cloned();
        let used = FileUse {
            node: format!("{prefix}{}", reference.node),
            path: reference.path.clone(),
            kind: AssetKind::Reference,
            family: Family::One,
            choice: None,
            guessed: reference.by == By::Representation,
        };
        self.add(used, places, loaded)?;
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
        if let Some(facts) = &read {
            self.note_page(facts, file);
        }
        let facts = read.map(Rc::new);
        self.read.insert(place.to_path_buf(), facts.clone());
        facts
    }

    /// What is told of nodes that weren't met: those of references that can't be read.
    fn add_renamed(&mut self) -> Result<(), AnalyseError> {
        let mut renamed: Vec<_> = self.renamed.drain().collect();
        renamed.sort_by(|one, other| one.0.cmp(&other.0));
        for ((node, kind), (Renamed { path, guessed }, places)) in renamed {
            let file = FileUse { node, path, kind, family: Family::One, choice: None, guessed };
            self.add(file, &places, true)?;
        }
        Ok(())
    }

    fn add(&mut self, file: FileUse, places: &Places, required: bool) -> Result<(), AnalyseError> {
        if !self.seen.insert((file.node.clone(), file.path.clone())) {
            return Ok(());
        }
        if self.analysis.assets.len() >= MAX_ASSETS {
            let message = format!("it names more than {MAX_ASSETS} files");
            return Err(AnalyseError::TooLarge(message));
        }
        let mut found = places.find(&file.path, file.kind, file.family);
        if file.kind == AssetKind::Reference && !required {
            let why = match file.guessed {
                true => "one of its representations is shown",
                false => "the reference isn't loaded",
            };
            found.reason = format!("{why}, and {}", found.reason);
        }
        let required = required && !file.guessed;
        let needs = file.choice.filter(|_| found.numbers.iter().any(Option::is_some));
        let needs = needs.map(|choice| sequences::needs(&found, choice, self.range, &file.path));
        let FileUse { node, path, kind, .. } = file;
        let exists = !found.files.is_empty();
        let missing = |path: String, reason: String| Missing {
            node: node.clone(),
            path,
            reason,
            required,
            frames: None,
        };
        if !exists {
            self.analysis.missing.push(missing(path.clone(), found.reason));
        } else if let Some(reason) = found.lacks {
            self.analysis.missing.push(missing(path.clone(), reason));
        }
        let whole: Option<Vec<i64>> = found.numbers.iter().copied().collect();
        let framed = exists && found.numbers.len() == found.files.len() && whole.is_some();
        let mut asset = Asset {
            path,
            kind: match kind {
                AssetKind::Image if framed => AssetKind::ImageSequence,
                AssetKind::Image if found.many => AssetKind::Udim,
                other => other,
            },
            exists,
            node: node.clone(),
            files: found.files,
            required,
            frames: whole.filter(|_| framed),
            needed_by: None,
            indirect: false,
        };
        if let Some(Needs { needed_by, holes }) = needs {
            let of = |one: Missing| Missing { node: node.clone(), required, ..one };
            self.analysis.missing.extend(holes.needed.into_iter().map(of));
            self.analysis.missing_beyond.extend(holes.beyond.into_iter().map(of));
            asset.read_by(needed_by);
        }
        self.analysis.assets.push(asset);
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

    fn note_page(&mut self, facts: &Facts, scene: &Path) {
        if let Some(page) = &facts.unknown_page {
            self.pages.add(page, scene);
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
