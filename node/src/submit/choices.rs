//! What a request leaves open, or may have wrong: the engine, the frames, the format; and where they go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use weft_protocol::job::spec::COMPARE;
use weft_scene::analysis::{Analysis, SceneInfo};
use weft_scene::engine::Definition;
use weft_scene::frames;

use super::{Offered, SubmitRequest, invalid, tiles};
use crate::error::ApiError;

pub(super) fn check_scene(scene: &Path) -> Result<PathBuf, ApiError> {
    let say = |what: &str| {
        invalid(format!("the scene {} {what}; nothing was submitted", scene.display()))
    };
    if !scene.is_absolute() {
        return Err(say("is not an absolute path"));
    }
    let metadata = match std::fs::metadata(scene) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(say("does not exist"));
        }
        Err(error) => return Err(say(&format!("can't be read: {error}"))),
    };
    if !metadata.is_file() {
        return Err(say("is not a file"));
    }
    if let Err(error) = std::fs::File::open(scene) {
        return Err(say(&format!("can't be read: {error}")));
    }
    std::path::absolute(scene).map_err(|error| say(&error.to_string()))
}

pub(super) fn choose_engine(
    request: &SubmitRequest,
    scene: &Path,
    engines: &BTreeMap<String, Definition>,
    offered: &Offered,
) -> Result<String, ApiError> {
    let known = || {
        let names: BTreeSet<&str> =
            engines.keys().chain(offered.engines.keys()).map(String::as_str).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let name = scene.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let engine = match &request.engine {
        Some(engine) => engine.clone(),
        None => engines
            .values()
            .find(|definition| !definition.extensions.is_empty() && definition.takes(&name))
            .map(|definition| definition.name.clone())
            .ok_or_else(|| {
                invalid(format!("no engine is known for the scene '{name}'; nothing was submitted"))
                    .hint(format!("Name one with --engine. Known are: {}.", known()))
            })?,
    };
    if engine == tiles::JOIN || engine == COMPARE {
        return Err(invalid(format!("'{engine}' is no engine for scenes; nothing was submitted"))
            .hint("--tiles and --check ask for it by themselves."));
    }
    if engines.get(&engine).is_some_and(Definition::runs_commands) {
        return Err(invalid(format!("'{engine}' is no engine for scenes; nothing was submitted"))
            .hint("A command of one's own is handed in by `weft run -- COMMAND`."));
    }
    if !engines.contains_key(&engine) && !offered.engines.contains_key(&engine) {
        return Err(invalid(format!("there is no engine '{engine}'; nothing was submitted"))
            .hint(format!("Known are: {}. More can be defined in weft.toml.", known())));
    }
    if let Some(definition) = engines.get(&engine).filter(|definition| !definition.takes(&name)) {
        return Err(invalid(format!(
            "the engine '{engine}' does not take the scene '{name}', only files ending in {}; \
             nothing was submitted",
            definition.extensions.join(", ")
        )));
    }
    Ok(engine)
}

/// The request with the scene's own format where none is named, and what is to be known where the engine here
/// doesn't know it.
pub(super) fn in_own_format(
    request: &SubmitRequest,
    analysis: Option<&Analysis>,
    definition: Option<&Definition>,
) -> Result<(SubmitRequest, Option<String>), ApiError> {
    let own = analysis.map(|all| &all.scene_info).filter(|info| !info.image_format.is_empty());
    let (Some(info), Some(definition), None) = (own, definition, &request.format) else {
        return Ok((request.clone(), None));
    };
    let format = &info.image_format;
    if definition.names_format(format) {
        return Ok((SubmitRequest { format: Some(format.clone()), ..request.clone() }, None));
    }
    if info.makes_film() && definition.writes_formats() {
        return Err(invalid(format!(
            "the scene's output format is a film ({format}), which can't be made frame by frame; nothing was \
             submitted"
        ))
        .hint(format!("Name a picture format, such as --format {}.", definition.default_format)));
    }
    let warning = definition.writes_formats().then(|| {
        format!(
            "the scene's own format, {format}, is none that the engine '{}' is set up to write: {} is taken; \
             name another with --format",
            definition.name, definition.default_format
        )
    });
    Ok((request.clone(), warning))
}

/// What tells the files of a frame's views from each other, where each has one of its own.
pub(super) fn views(analysis: Option<&Analysis>) -> Result<Option<String>, ApiError> {
    let views = analysis.map_or(&[][..], |analysis| &analysis.views);
    let plain = |view: &String| {
        !view.is_empty()
            && !view.contains([',', '/', '\\', '#', '%'])
            && !view.contains(char::is_control)
    };
    match views.iter().find(|view| !plain(view)) {
        Some(view) => Err(invalid(format!(
            "a view's files can't be told by the suffix '{view}'; nothing was submitted"
        ))
        .hint("Choose another suffix in the scene, such as _L.")),
        None => Ok((!views.is_empty()).then(|| views.join(","))),
    }
}

pub(super) fn choose_frames(
    request: &SubmitRequest,
    analysis: Option<&Analysis>,
    definition: Option<&Definition>,
) -> Result<Vec<i64>, ApiError> {
    let own = analysis.and_then(|analysis| scene_range(&analysis.scene_info));
    let spec = match request.frames.clone().or(own) {
        Some(spec) => spec,
        None => {
            return Err(invalid(
                "which frames are to be rendered is not said; nothing was submitted",
            )
            .hint("Name them with --frames, such as --frames 1-10."));
        }
    };
    let frames = frames::parse(&spec).map_err(|error| {
        invalid(format!("the frames can't be read: {error}; nothing was submitted"))
    })?;
    if let Some(definition) = definition {
        let (first, last) = (definition.frames.first, definition.frames.last);
        if let Some(frame) = frames.iter().find(|frame| !(first..=last).contains(*frame)) {
            return Err(invalid(format!(
                "the engine '{}' can't render frame {frame}, only {first} to {last}; nothing was \
                 submitted",
                definition.name
            )));
        }
    }
    Ok(frames)
}

/// The scene's own range as a frame spec, if it is known.
pub(super) fn scene_range(info: &SceneInfo) -> Option<String> {
    Some(match info.own_frames()? {
        (start, end, 1) => format!("{start}-{end}"),
        (start, end, step) => format!("{start}-{end}x{step}"),
    })
}

pub(super) fn choose_test_frames(
    request: &SubmitRequest,
    frames: &[i64],
) -> Result<Vec<i64>, ApiError> {
    let Some(spec) = &request.test_frames else {
        if request.stop_after_test || request.approve_after_test {
            return Err(invalid("what follows the test frames is said, and no test frames are; nothing was submitted")
                .hint("Name them with --test-frames."));
        }
        return Ok(Vec::new());
    };
    frames::parse_test_frames(spec, frames).map_err(|error| {
        invalid(format!("the test frames can't be used: {error}; nothing was submitted"))
    })
}

/// The output folder must be one that can be written. Where it isn't there yet, it is made when there is something to
/// put in: a plan, or a job that is refused, leaves nothing behind.
pub(super) fn check_output(folder: &Path) -> Result<(), ApiError> {
    let say = |error: &std::io::Error| {
        invalid(format!(
            "the output folder {} can't be written: {error}; nothing was submitted",
            folder.display()
        ))
    };
    if !folder.is_absolute() {
        return Err(invalid("the output folder is not an absolute path; nothing was submitted"));
    }
    let there = folder.ancestors().find(|folder| folder.symlink_metadata().is_ok());
    tempfile::NamedTempFile::new_in(there.unwrap_or(folder)).map_err(|error| say(&error))?;
    Ok(())
}
