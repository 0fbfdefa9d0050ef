//! Which files a scene needs, and under which paths they travel.
//!
//! All files keep their places relative to each other: the tree's root is the lowest folder that
//! holds them all (or the project's). Paths that would lead elsewhere there are rewritten in the copy
//! that travels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tempfile::TempPath;
use weft_protocol::content::TreePath;
use weft_protocol::job::task::FrameRun;
use weft_scene::analysis::{AnalyseError, Analysis, Asset, join_frames};
use weft_scene::engine::Definition;
use weft_scene::{Mapped, blender, demo, maya, text_scene};

use super::in_turn::{self, Lookup};
use super::invalid;
use super::maya_paths;
use super::rewrite::{Rewriter, Ways, has_ending};
use crate::error::ApiError;
use crate::mayapy;
use crate::shared_roots::SharedRoots;

/// What stands for the scene in the spec of a job that has none.
const NO_SCENE: &str = "none";
/// How many files `--assets` folders may hold in all.
const MAX_FILES: usize = 200_000;

/// What is known of a submission's files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs<'a> {
    pub(super) scene: Option<&'a Path>,
    pub(super) analysis: Option<&'a Analysis>,
    pub(super) engine: Option<&'a Definition>,
    /// All that are known here: what a scene needs may be in the format of another.
    pub(super) engines: &'a BTreeMap<String, Definition>,
    /// Further files and folders.
    pub(super) assets: &'a [PathBuf],
    /// The folder from which paths count; the lowest that holds all files where none is given.
    pub(super) project: Option<&'a Path>,
    /// What lies below these is referred to.
    pub(super) shared: &'a SharedRoots,
    /// Where copies of scenes are written.
    pub(super) scratch: &'a Path,
}

/// One file that travels.
#[derive(Debug)]
pub(super) struct GatheredFile {
    /// Where it is.
    pub(super) source: PathBuf,
    /// Its path in the tree.
    pub(super) path: TreePath,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Whether it is the scene itself.
    pub(super) is_scene: bool,
    /// The frames that read it; none where every frame may.
    pub(super) frames: Option<Vec<FrameRun>>,
    /// What travels in its place: a copy of a scene with paths rewritten.
    pub(super) rewritten: Option<TempPath>,
}

/// All files that travel.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) files: Vec<GatheredFile>,
    /// The scene's path in the tree.
    pub(super) scene: TreePath,
    /// The shared roots in which files lie that don't travel.
    pub(super) shared: BTreeSet<String>,
    pub(super) warnings: Vec<String>,
}

/// How a scene is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Which of the file's scenes.
    pub scene_name: Option<&'a str>,
    /// The folder from which relative paths count.
    pub project: Option<&'a Path>,
    /// Maya is asked for all of its scenes.
    pub deep: bool,
    /// The job's arguments, which may change what its scene needs.
    pub arguments: Option<&'a BTreeMap<String, String>>,
}

/// Reads a scene by its ending, or by the patterns of its engine; none for kinds that weft does not read.
/// Maya itself is asked for what only it can read, and for its other scenes if that is wanted. What the scene needs
/// is looked into by the patterns of whichever of `engines` takes it.
#[must_use]
pub fn analyse(
    scene: &Path,
    asked: Asked<'_>,
    engine: Option<&Definition>,
    engines: &BTreeMap<String, Definition>,
) -> Option<Result<Analysis, AnalyseError>> {
    let Asked { scene_name, project, deep, arguments } = asked;
    let extension = scene.extension()?.to_string_lossy().to_lowercase();
    let paths = engine.map(|engine| engine.paths.clone()).unwrap_or_default();
    let mut analysed = match extension.as_str() {
        "blend" => {
            let none = BTreeMap::new();
            blender::analyse_for(scene, scene_name, paths.clone(), arguments.unwrap_or(&none))
        }
        "ma" if !deep => maya::analyse_mapped(scene, project, paths.clone()),
        "ma" | "mb" => mayapy::analyse(scene, project, paths.clone()),
        "weft" => demo::analyse(scene),
        _ => text_scene::analyse(scene, engine?)?,
    };
    if let Ok(analysis) = &mut analysed {
        // Stand-ins may count from a project as the scene does.
        let project = match matches!(extension.as_str(), "ma" | "mb") {
            true => project.map(Path::to_path_buf).or_else(|| maya::project_of(scene)),
            false => None,
        };
        let folders = project.as_slice();
        in_turn::follow(analysis, &Lookup { engines, paths: &paths, folders });
        analysis.warnings.extend(in_turn::unread_warning(&analysis.unread));
        // In a .blend file two slashes begin what counts from it, and no share.
        let own = |asset: &&Asset| {
            extension == "blend" && !asset.indirect && asset.path.starts_with("//")
        };
        let assets = analysis.assets.iter().filter(|asset| !own(asset));
        analysis.mapped = paths.used(assets);
        let gone = analysis.mapped.iter().filter(|mapped| !mapped.exists);
        analysis.warnings.extend(gone.map(|Mapped { from, to, .. }| {
            format!(
                "paths that begin with {from} are looked for in {}, which isn't there",
                to.display()
            )
        }));
    }
    Some(analysed)
}

/// Adds what the files need that a person names with `--assets`, as far as nothing else tells.
pub(super) fn follow_named(
    analysis: &mut Analysis,
    assets: &[PathBuf],
    engine: Option<&Definition>,
    engines: &BTreeMap<String, Definition>,
) -> Result<(), ApiError> {
    let mut files = BTreeSet::new();
    for asset in assets {
        add_all(&canonical(asset)?, &mut files)?;
    }
    let paths = engine.map(|engine| engine.paths.clone()).unwrap_or_default();
    in_turn::follow_named(analysis, &files, &Lookup { engines, paths: &paths, folders: &[] });
    Ok(())
}

/// The engine by whose definition a scene of this name is read: one that says how its scenes name files, or else any
/// that takes it.
#[must_use]
pub fn reader<'a>(engines: &'a BTreeMap<String, Definition>, name: &str) -> Option<&'a Definition> {
    let takes = |engine: &&Definition| !engine.extensions.is_empty() && engine.takes(name);
    let by_patterns = engines.values().find(|engine| engine.names_files() && takes(engine));
    by_patterns.or_else(|| engines.values().find(takes))
}

/// Without a scene what is named keeps its names, and the tree's root is the folder that holds it all.
pub(super) fn gather(inputs: &Inputs<'_>) -> Result<Gathered, ApiError> {
    let Inputs { scene, analysis, engine, engines, assets, project, shared, scratch } = *inputs;
    let scene = scene.map(canonical).transpose()?;
    let mut sources = BTreeSet::new();
    let mut named = BTreeSet::new();
    let mut by_frame: BTreeMap<PathBuf, Option<Vec<FrameRun>>> = BTreeMap::new();
    for (file, frames) in analysis.iter().flat_map(|analysis| analysis.files_by_frame()) {
        // Two ways to spell a path may lead to one file.
        let known = by_frame.entry(canonical(file)?).or_insert_with(|| Some(Vec::new()));
        *known = join_frames(known.take(), frames);
    }
    sources.extend(scene.clone());
    for asset in assets {
        let asset = canonical(asset)?;
        add_all(&asset, &mut sources)?;
        named.insert(asset);
    }
    let roots = shared.resolved();
    let mut referred: BTreeMap<String, usize> = BTreeMap::new();
    by_frame.retain(|file, _| {
        // The scene itself and what the user names travel in any case, and are for every frame.
        let named = sources.contains(file);
        let shared = roots.way(file).filter(|_| !named);
        if let Some((name, _)) = &shared {
            *referred.entry((*name).to_owned()).or_default() += 1;
        }
        !named && shared.is_none()
    });
    sources.extend(by_frame.keys().cloned());
    let root = match project {
        Some(project) => canonical(project)?,
        None => common_folder(if scene.is_some() { &sources } else { &named }).unwrap_or_default(),
    };
    let mut places: BTreeMap<PathBuf, TreePath> = BTreeMap::new();
    for source in &sources {
        let relative = source.strip_prefix(&root).map_err(|_| {
            invalid(format!(
                "{} lies outside the project folder {}; nothing was submitted",
                source.display(),
                root.display()
            ))
            .hint("Name a project folder that holds all files, or none.")
        })?;
        let text: Vec<&str> = relative.iter().filter_map(|part| part.to_str()).collect();
        let whole = text.len() == relative.iter().count();
        let path = TreePath::new(text.join("/")).ok().filter(|_| whole).ok_or_else(|| {
            invalid(format!(
                "{} has a name that can't exist on every platform; nothing was submitted",
                source.display()
            ))
        })?;
        places.insert(source.clone(), path);
    }
    let mut files = Vec::new();
    let mut warnings: Vec<String> = referred
        .iter()
        .map(|(name, count)| {
            format!(
                "{count} file(s) in the shared root '{name}' are not sent: nodes read them there"
            )
        })
        .collect();
    let ways = Ways { files: &places, shared: &roots };
    let rewriter =
        scene.as_ref().map(|scene| Rewriter::new(scene, engine, engines, analysis, ways, scratch));
    for (source, path) in &places {
        let size = std::fs::metadata(source).map(|metadata| metadata.len()).unwrap_or(0);
        let rewritten = match &rewriter {
            Some(rewriter) => rewriter.rewrite(source)?,
            None => None,
        };
        let is_scene = scene.as_ref() == Some(source);
        files.push(GatheredFile {
            source: source.clone(),
            path: path.clone(),
            size,
            is_scene,
            frames: by_frame.remove(source).flatten().filter(|runs| !runs.is_empty()),
            rewritten,
        });
    }
    let rewrites = files.iter().filter(|file| file.rewritten.is_some()).count();
    if rewrites > 0 {
        warnings.push(format!(
            "paths were made to lead to the files that travel in the copies of {rewrites} scene file(s); the files here are unchanged"
        ));
    }
    if let Some(map) = rewriter.as_ref().and_then(Rewriter::folder_map) {
        // What a scene in Maya's text format spells is rewritten, and leads there anyhow.
        let binary = scene.as_ref().is_some_and(|scene| has_ending(scene, "mb"));
        if let Some(first) = map.left.first().filter(|_| binary) {
            warnings.push(format!(
                "{} path(s) in Maya binary scenes won't lead to the files that travel ({first}): no folder leads there; \
                 save the scenes as Maya ASCII",
                map.left.len()
            ));
        }
        files.extend(maya_paths::script(&map, scratch)?);
    }
    drop(rewriter);
    let scene = match scene {
        Some(scene) => places.remove(&scene).ok_or_else(|| invalid("the scene has no place"))?,
        None => TreePath::new(NO_SCENE).map_err(|error| invalid(error.to_string()))?,
    };
    Ok(Gathered { files, scene, shared: referred.into_keys().collect(), warnings })
}

pub(super) fn canonical(path: &Path) -> Result<PathBuf, ApiError> {
    // Links are followed for folders, so that one file has one place; names stay as spelled.
    let say = |error: std::io::Error| {
        invalid(format!("{} can't be read: {error}; nothing was submitted", path.display()))
    };
    let absolute = std::path::absolute(path).map_err(say)?;
    match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => {
            let place = folder.canonicalize().map_err(say)?.join(name);
            std::fs::metadata(&place).map_err(say)?;
            Ok(place)
        }
        _ => absolute.canonicalize().map_err(say),
    }
}

/// Adds a file, or all files of a folder.
fn add_all(path: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), ApiError> {
    if !path.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    let say = |error: std::io::Error| {
        invalid(format!("{} can't be read: {error}; nothing was submitted", path.display()))
    };
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(say)? {
            let entry = entry.map_err(say)?;
            // Links to folders could lead anywhere, in circles too.
            if entry.file_type().map_err(say)?.is_dir() {
                folders.push(entry.path());
            } else if entry.path().is_file() {
                files.insert(entry.path());
            }
            if files.len() > MAX_FILES {
                return Err(invalid(format!(
                    "{} holds more than {MAX_FILES} files; nothing was submitted",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

/// The lowest folder that holds all files.
fn common_folder(files: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    let mut folders = files.iter().filter_map(|file| file.parent());
    let mut common = folders.next()?.to_owned();
    for folder in folders {
        while !folder.starts_with(&common) {
            common = common.parent()?.to_owned();
        }
    }
    Some(common)
}

#[cfg(test)]
mod tests;
