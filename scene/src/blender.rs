//! Reading Blender's scene files, 2.4 to 5.x, without Blender.
//!
//! A `.blend` file is a row of blocks, each the contents of a piece of the writer's memory, and one
//! of them, the DNA, describes the layout of all the others. So files of every version are read by
//! the same code, by the names of fields. `block.rs` and `dna.rs` tell the format down to the byte.
//!
//! [`analyse`] tells a scene's settings and the files it needs, those of linked libraries included.
//! [`rewrite_paths`] writes a copy in which these files are named differently.

mod block;
mod contents;
mod dna;
mod families;
mod group;
mod imports;
mod input;
mod layers;
mod locate;
mod number;
mod numbered;
mod path_fields;
mod players;
mod plays;
mod properties;
mod read;
mod record;
mod rewrite;
mod search;
mod settings;
mod simulations;
mod strips;
#[cfg(test)]
mod tests;
mod tiling;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::analysis::{AnalyseError, Analysis, SceneInfo};
use crate::disk::Disk;
use crate::path_map::PathMap;

use contents::{Contents, Id, SceneSettings};
use search::Search;

pub use rewrite::rewrite_paths;
pub use tiling::not_by_tiles;

/// Reads a scene: the settings of its active scene, and the files it needs.
///
/// # Errors
/// [`AnalyseError::Unsupported`] if it isn't a Blender file or holds no scene, `Corrupt` if it is
/// damaged or cut off, `TooLarge` if it would take more memory than a scene should, `Io` if it can't
/// be read. Libraries that can't be read are no error: they are listed as missing.
pub fn analyse(scene: &Path) -> Result<Analysis, AnalyseError> {
    analyse_scene(scene, None)
}

/// Like [`analyse`], but with the scene called `name` inside the file as the active one.
///
/// # Errors
/// As [`analyse`]; [`AnalyseError::Unsupported`] if there is no such scene.
pub fn analyse_scene(scene: &Path, name: Option<&str>) -> Result<Analysis, AnalyseError> {
    analyse_for(scene, name, PathMap::default(), &BTreeMap::new())
}

/// The same on a machine on which drives and shares of others are where `paths` says, for a render with
/// `arguments`, which may switch the compositor on or off.
///
/// # Errors
/// As [`analyse_scene`].
pub fn analyse_for(
    scene: &Path,
    name: Option<&str>,
    paths: PathMap,
    arguments: &BTreeMap<String, String>,
) -> Result<Analysis, AnalyseError> {
    let path = std::path::absolute(scene).map_err(|error| AnalyseError::io(scene, error))?;
    let contents = read::read(&path)?;
    let active = match name {
        Some(name) => Some(scene_called(&contents, name).ok_or_else(|| {
            AnalyseError::Unsupported(format!(
                "{} has no scene called '{name}'; it has {}",
                scene.display(),
                scene_names(&contents, None).join(", ")
            ))
        })?),
        None => active_scene(&contents),
    };
    let mut search = Search::new(contents, Disk::mapped(paths), arguments.clone());
    if let Some(active) = active {
        search.required_by(active)?;
    }
    let unbaked = search.unbaked();
    let other_renderers: Vec<String> = search.other_renderers().into_iter().collect();
    search.rest(active.is_none())?;
    let scene_info = scene_info(&search, active).ok_or_else(|| {
        AnalyseError::Unsupported(format!("{} holds no scene to render", scene.display()))
    })?;
    let engine_is_gone = active
        .and_then(|active| group::scene_settings(search.resolved(active)?.1))
        .is_some_and(|settings| settings.engine_is_gone);
    if engine_is_gone {
        search.warnings.push(
            "the scene was made for Blender's internal renderer, which ended with 2.79; later \
             versions render it with EEVEE, and it will look different"
                .to_owned(),
        );
    }
    let settings = active.and_then(|active| group::scene_settings(search.resolved(active)?.1));
    let views = settings.map(|settings| settings.views.files().to_vec()).unwrap_or_default();
    let no_camera = scene_info.render_cameras.is_empty()
        && settings.is_none_or(|settings| !(settings.sequencer && settings.strips));
    warn_of(&scene_info, no_camera, &mut search.warnings);
    if !unbaked.is_empty() {
        search.warnings.push(format!(
            "simulations are not baked ({}): each frame follows from those before, so that one node renders \
             all frames in order; bake them to have every node render, and any frame alone",
            few(&unbaked)
        ));
    }
    Ok(Analysis { scene_info, unbaked, views, other_renderers, ..search.into_report() })
}

/// Where a path leads that is spelled so in the `.blend` file at `holder`: `//` means its folder.
/// Made absolute by the letter; whether anything is there is not asked. Tokens for tiles stay.
pub fn resolve_path(holder: &Path, spelled: &str) -> PathBuf {
    let holder = std::path::absolute(holder).unwrap_or_else(|_| holder.to_path_buf());
    let folder = holder.parent().unwrap_or(Path::new("."));
    locate::by_the_letter(folder, spelled.as_bytes())
}

fn scene_called(contents: &Contents, name: &str) -> Option<u32> {
    let name = [b"SC", name.as_bytes()].concat();
    contents.by_name.get(&name).copied()
}

/// The scene that was active when the file was saved, or the first.
fn active_scene(contents: &Contents) -> Option<u32> {
    let is_scene = |id: &Id| id.name.starts_with(b"SC");
    let saved = contents.by_address.get(&contents.active_scene).copied();
    saved
        .filter(|&index| contents.ids.get(index as usize).is_some_and(is_scene))
        .or_else(|| u32::try_from(contents.ids.iter().position(is_scene)?).ok())
}

/// The names of the scenes in a file, the active one first.
fn scene_names(contents: &Contents, active: Option<u32>) -> Vec<String> {
    let active = active.and_then(|index| contents.ids.get(index as usize)).map(|id| &id.name);
    let mut names: Vec<_> = contents
        .ids
        .iter()
        .filter(|id| group::scene_settings(id).is_some() || Some(&id.name) == active)
        .collect();
    names.sort_by_key(|id| Some(&id.name) != active);
    names.iter().map(|id| id.label()).collect()
}

fn scene_info(search: &Search, active: Option<u32>) -> Option<SceneInfo> {
    let (owner, id) = search.resolved(active?)?;
    let settings = group::scene_settings(id)?;
    let contents = search.contents();
    Some(SceneInfo {
        application: "Blender".to_owned(),
        application_version: contents.version.to_string(),
        renderer: settings.engine.clone(),
        start_frame: settings.start,
        end_frame: settings.end,
        by_frame: settings.step as f64,
        animation: settings.end > settings.start,
        current_frame: None,
        fps: settings.fps,
        width: settings.size().0,
        height: settings.size().1,
        full_size: Some(settings.full_size),
        resolution_percentage: Some(settings.percentage),
        denoising: (settings.engine == "CYCLES").then_some(settings.denoising),
        image_format: settings.format.clone(),
        all_cameras: search.cameras(),
        render_cameras: render_cameras(owner, settings),
        scenes: scene_names(contents, active),
        view_layers: settings.view_layers.clone(),
    })
}

/// The scene's own camera, and those that its markers switch to.
fn render_cameras(contents: &Contents, settings: &SceneSettings) -> Vec<String> {
    let ids = settings.cameras.iter().filter_map(|address| contents.by_address.get(address));
    ids.filter_map(|&index| contents.ids.get(index as usize)).map(Id::label).collect()
}

/// Some of a list's texts, for people.
fn few(texts: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = texts.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}

fn warn_of(info: &SceneInfo, no_camera: bool, warnings: &mut Vec<String>) {
    if no_camera {
        warnings.push("the scene has no camera: it cannot be rendered as it is".to_owned());
    }
    if info.makes_film() {
        warnings.push(format!(
            "the scene's output format is a film ({}), which cannot be made frame by frame; name a \
             picture format when it is submitted (--format PNG)",
            info.image_format
        ));
    }
}
