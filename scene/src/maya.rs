//! Maya ASCII scenes (`.ma`): their settings, cameras and files.
//!
//! A scene may be gigabytes of geometry: it is read once, front to back, statement by statement, and
//! what doesn't matter here is dropped as it goes by. Referenced scenes are read the same way.
//! [`rewrite_paths`] writes a copy in which files are named differently.

mod arguments;
mod deep;
mod edits;
mod encoding;
mod facts;
mod folder_map;
mod node;
mod nodes;
mod paths;
mod pieces;
mod plain;
mod references;
mod renderers;
mod rewrite;
mod sequences;
mod statements;
mod units;
mod words;
mod workspace;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod sequence_tests;
#[cfg(test)]
mod shared_scenes_tests;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::analysis::{AnalyseError, Analysis, SceneInfo};
use crate::disk::Disk;
use crate::path_map::PathMap;
use crate::plain_file;
use facts::Facts;
use paths::Places;

pub use deep::{SCRIPT, read_answer};
pub use folder_map::FolderMap;
pub use rewrite::rewrite_paths;

/// The folder of a scene's project where none is given: the nearest above it with a `workspace.mel`, or else the one that
/// holds its `scenes`.
#[must_use]
pub fn project_of(scene: &Path) -> Option<PathBuf> {
    let scene = std::path::absolute(scene).ok()?;
    paths::project_of(scene.parent()?)
}

/// Settings, cameras and files of the Maya ASCII scene at `scene`, those of the scenes it references
/// included. Its project is the nearest folder above it with a `workspace.mel`.
///
/// # Errors
/// [`AnalyseError`] for a file that can't be read, is no Maya ASCII scene, or ends in the middle of a
/// statement. What is wrong with a referenced scene is among the warnings instead.
pub fn analyse(scene: &Path) -> Result<Analysis, AnalyseError> {
    analyse_in(scene, None)
}

/// Like [`analyse`], with the folder of the scene's project, which relative paths start from.
///
/// # Errors
/// As [`analyse`].
pub fn analyse_in(scene: &Path, project: Option<&Path>) -> Result<Analysis, AnalyseError> {
    analyse_mapped(scene, project, PathMap::default())
}

/// The same on a machine on which drives and shares of others are where `paths` says.
///
/// # Errors
/// As [`analyse`].
pub fn analyse_mapped(
    scene: &Path,
    project: Option<&Path>,
    paths: PathMap,
) -> Result<Analysis, AnalyseError> {
    let facts = read(scene)?;
    let mut analysis = settings_of(&facts);
    let places = Places::new(scene, project, Disk::mapped(paths));
    references::collect(scene, places, facts, &mut analysis)?;
    Ok(analysis)
}

/// The facts of one file, without what it references.
fn read(scene: &Path) -> Result<Facts, AnalyseError> {
    read_from(open(scene)?, scene)
}

fn open(scene: &Path) -> Result<File, AnalyseError> {
    plain_file::open(scene).map_err(|error| AnalyseError::io(scene, error))
}

fn read_from(input: impl Read, name: &Path) -> Result<Facts, AnalyseError> {
    let (header, statements) = statements::open(input, name, facts::matters)?;
    facts::collect(header, statements)
}

/// What the settings say, and what a person should know of them.
fn settings_of(facts: &Facts) -> Analysis {
    let info = scene_info(facts);
    let by = info.by_frame;
    let fraction = info.animation && by.fract() != 0.0;
    let warning = info.own_frames().filter(|_| fraction).map(|(start, end, step)| {
        format!(
            "the scene's frames are {by} apart, and a job renders whole frames: of {start} to {end} it takes those that \
             are {step} apart, which aren't the ones that Maya renders; --frames names others"
        )
    });
    Analysis { scene_info: info, warnings: warning.into_iter().collect(), ..Analysis::default() }
}

/// The settings as Maya would show them: what the file doesn't say has the node's default. A scene
/// is new at its first frame of 24 a second, whatever its own are. What its renderer says on a node of its own goes first.
fn scene_info(facts: &Facts) -> SceneInfo {
    let settings = &facts.settings;
    let rate = units::frames_per_second(&facts.time_unit);
    let renderer = settings.renderer.clone().unwrap_or_else(|| "mayaSoftware".to_owned());
    let own = settings.pictures.of(&renderer);
    let version = [&facts.header_version, &facts.required_version];
    SceneInfo {
        application: "Maya".to_owned(),
        application_version: version
            .into_iter()
            .find(|version| !version.is_empty())
            .cloned()
            .unwrap_or_default(),
        start_frame: whole(settings.start_frame.unwrap_or(1.0)),
        end_frame: whole(settings.end_frame.unwrap_or(10.0)),
        by_frame: settings.by_frame.unwrap_or(1.0),
        animation: settings.animation.unwrap_or(false),
        current_frame: Some(whole(settings.current_frame.unwrap_or(rate / 24.0))),
        fps: rate,
        width: own.and_then(|own| own.width).or(settings.width).unwrap_or(960),
        height: own.and_then(|own| own.height).or(settings.height).unwrap_or(540),
        image_format: settings.pictures.format_of(&renderer).unwrap_or_else(|| {
            units::image_format(
                settings.image_format.unwrap_or(7),
                settings.image_plugin.as_deref(),
            )
        }),
        renderer,
        view_layers: facts.render_layers.clone(),
        ..SceneInfo::default()
    }
}

/// The nearest whole frame; Maya allows fractions, renderers of frames don't.
fn whole(frame: f64) -> i64 {
    // A float that is no number becomes 0, one too large the nearest there is.
    frame.round() as i64
}
