//! Names that a request gives: of the job, and of what is in its scene.

use weft_scene::analysis::{Analysis, AssetKind};
use weft_scene::engine::Definition;
use weft_scene::version::Version;

use super::{SubmitRequest, invalid};
use crate::error::ApiError;

/// The most names of what there is that are told.
const TOLD: usize = 20;
/// Blender's version from which a scene has the view layers that it is saved with.
const VIEW_LAYERS_SINCE: &str = "2.80";

const ANOTHER: &str = "Give it another with --name, or none: then it has the scene's.";

/// Refuses a job without a name: nobody could call it by that.
pub(super) fn check_job(request: &SubmitRequest) -> Result<(), ApiError> {
    match &request.name {
        Some(name) if name.trim().is_empty() => {
            Err(invalid("the job's name is empty; nothing was submitted").hint(ANOTHER))
        }
        // What is printed to a terminal must not steer it.
        Some(name) if name.contains(char::is_control) => {
            Err(invalid("the job's name has control characters; nothing was submitted")
                .hint(ANOTHER))
        }
        _ => Ok(()),
    }
}

/// Refuses a camera or a view layer that the scene doesn't have, which every frame would fail by.
pub(super) fn check_scene(
    request: &SubmitRequest,
    analysis: Option<&Analysis>,
    definition: Option<&Definition>,
) -> Result<(), ApiError> {
    let application = definition.and_then(|definition| definition.application.as_deref());
    let Some(analysis) = analysis.filter(|analysis| {
        application == Some("Blender") && analysis.scene_info.application == "Blender"
    }) else {
        return Ok(());
    };
    let info = &analysis.scene_info;
    // A library that isn't there may hold cameras.
    let whole = !analysis.missing.iter().any(|missing| {
        let is_library = |kind| kind == AssetKind::Library;
        analysis.assets.iter().any(|asset| is_library(asset.kind) && asset.path == missing.path)
    });
    if whole {
        check("camera", request.camera.as_deref(), &info.all_cameras)?;
    }
    let saved = Version::of(&info.application_version) >= Version::of(VIEW_LAYERS_SINCE);
    if saved && !info.view_layers.is_empty() {
        check("view layer", request.view_layer.as_deref(), &info.view_layers)?;
    }
    Ok(())
}

fn check(what: &str, asked: Option<&str>, there: &[String]) -> Result<(), ApiError> {
    let Some(asked) = asked.filter(|asked| there.iter().all(|name| name != asked)) else {
        return Ok(());
    };
    let told = there.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
    let hint = match there.len() {
        0 => format!("It has no {what} at all."),
        count if count > TOLD => format!("There are {count}, such as {told}."),
        _ => format!("There are: {told}."),
    };
    Err(invalid(format!("the scene has no {what} '{asked}'; nothing was submitted")).hint(hint))
}

#[cfg(test)]
mod tests {
    use weft_scene::analysis::{Missing, SceneInfo};
    use weft_scene::engine::shipped;

    use super::*;

    fn analysis() -> Analysis {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Analysis {
            scene_info: SceneInfo {
                application: "Blender".into(),
                application_version: "3.4".into(),
                all_cameras: names(&["Camera", "Top"]),
                view_layers: names(&["ViewLayer"]),
                ..SceneInfo::default()
            },
            ..Analysis::default()
        }
    }

    fn refused(camera: &str, view_layer: &str, analysis: &Analysis) -> Option<String> {
        let request = SubmitRequest {
            camera: Some(camera.to_owned()),
            view_layer: Some(view_layer.to_owned()),
            ..SubmitRequest::default()
        };
        let engines = shipped();
        let checked = check_scene(&request, Some(analysis), engines.get("blender"));
        checked.err().map(|error| error.message)
    }

    #[test]
    fn what_the_scene_does_not_have_is_refused() {
        let told = |what: &str| Some(format!("the scene has no {what}; nothing was submitted"));
        let scene = analysis();
        assert_eq!(refused("Top", "ViewLayer", &scene), None);
        assert_eq!(refused("top", "ViewLayer", &scene), told("camera 'top'"));
        assert_eq!(refused("Top", "nope", &scene), told("view layer 'nope'"));
    }

    #[test]
    fn what_may_be_there_is_not_refused() {
        let mut scene = analysis();
        scene.scene_info.application_version = "2.79".into();
        assert_eq!(refused("Top", "nope", &scene), None);
        // It may be in the library.
        scene.assets.push(weft_scene::analysis::Asset {
            path: "//shelf.blend".into(),
            kind: AssetKind::Library,
            exists: false,
            node: "shelf".into(),
            files: Vec::new(),
            required: true,
            frames: None,
            needed_by: None,
            indirect: false,
        });
        scene.missing.push(Missing {
            node: "shelf".into(),
            path: "//shelf.blend".into(),
            reason: "does not exist".into(),
            required: true,
            frames: None,
        });
        assert_eq!(refused("nope", "ViewLayer", &scene), None);
    }

    #[test]
    fn a_job_has_a_name() {
        let named = |name: Option<&str>| SubmitRequest {
            name: name.map(str::to_owned),
            ..SubmitRequest::default()
        };
        assert!(check_job(&named(None)).is_ok() && check_job(&named(Some("x"))).is_ok());
        assert!(check_job(&named(Some(" "))).is_err());
    }
}
