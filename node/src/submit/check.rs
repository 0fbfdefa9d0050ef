//! Checking: some frames are rendered a second time by another node, and compared.

use std::collections::BTreeMap;

use weft_protocol::job::spec::{COMPARE, JobSpec, Step};
use weft_protocol::job::task::runs;
use weft_scene::engine::Definition;

use super::{SubmitRequest, invalid};
use crate::error::ApiError;
use crate::picture;

/// Refuses what can't be checked.
pub(super) fn check(
    request: &SubmitRequest,
    tiles: (u16, u16),
    definition: Option<&Definition>,
) -> Result<(), ApiError> {
    let percent = match request.check {
        None | Some(0) => return Ok(()),
        Some(percent) => percent,
    };
    if percent > 100 {
        return Err(invalid("at most 100 % of the frames can be checked; nothing was submitted"));
    }
    if tiles != (1, 1) {
        return Err(invalid("frames in tiles can't be checked; nothing was submitted")
            .hint("Leave out --tiles or --check."));
    }
    let program = definition.filter(|engine| engine.builtin.is_none());
    let ending = program.and_then(|engine| engine.ending(request.format.as_deref()));
    if !ending.is_some_and(|ending| picture::has_preview(&format!("x.{ending}"))) {
        return Err(invalid(
            "what the engine makes can't be compared, only PNG, JPEG and OpenEXR files; nothing \
             was submitted",
        )
        .hint("Leave out --check, or ask for another --format."));
    }
    Ok(())
}

/// Adds the steps that check the first one, where the job is to be checked.
pub(super) fn add_steps(spec: &mut JobSpec) {
    if spec.check == 0 {
        return;
    }
    let frames = runs(&spec.frames_to_check());
    let again = Step {
        name: "again".into(),
        frames: frames.clone(),
        frames_per_task: 1,
        after: vec![0],
        ..spec.steps[0].clone()
    };
    let compare = Step {
        name: "compare".into(),
        engine: COMPARE.into(),
        engine_version: String::new(),
        // What the renderer is told, a format for one, says nothing to a comparison, which would refuse it.
        arguments: BTreeMap::new(),
        after: vec![0, 1],
        ..again.clone()
    };
    spec.steps.extend([again, compare]);
}
