//! Tiles: whether a frame can be split and put together again so that it is the very same picture.

use weft_protocol::job::spec::Step;
use weft_scene::analysis::Analysis;
use weft_scene::blender;
use weft_scene::engine::{Definition, Regions, Tile};

use super::{SubmitRequest, invalid};
use crate::error::{ApiError, Code};
use crate::picture::JOINED;
use crate::render::FULL;

/// The engine that joins.
pub(super) const JOIN: &str = "join";
/// The most tiles that a frame may be split into: as many as a spec may have.
const MAX_TILES: u64 = 1024;

/// How frames are to be split: columns and rows; (1, 1) for whole frames.
pub(super) fn wanted(request: &SubmitRequest) -> Result<(u16, u16), ApiError> {
    let Some(text) = &request.tiles else { return Ok((1, 1)) };
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|number| *number > 0);
    let parts = text.split_once(['x', 'X']);
    let tiles = parts.and_then(|(columns, rows)| Some((number(columns)?, number(rows)?)));
    let tiles = tiles.ok_or_else(|| {
        invalid(format!("'{text}' is no number of columns and rows; nothing was submitted"))
            .hint("Write it like 4x2.")
    })?;
    if u64::from(tiles.0) * u64::from(tiles.1) > MAX_TILES {
        return Err(invalid(format!(
            "a frame can be split into at most {MAX_TILES} tiles; nothing was submitted"
        )));
    }
    if tiles != (1, 1) && request.frames_per_task.is_some_and(|frames| frames > 1) {
        return Err(invalid(
            "a process renders tiles or a run of frames, not both; nothing was submitted",
        )
        .hint("Leave out --tiles or --frames-per-task."));
    }
    Ok(tiles)
}

/// Which part of the picture the task with this number renders, of a frame in so many columns and rows; none for a
/// whole frame.
pub(crate) fn tile(split: (u16, u16), number: u16) -> Option<Tile> {
    let (columns, rows) = (u32::from(split.0), u32::from(split.1));
    let number = u32::from(number);
    (split != (1, 1)).then(|| Tile {
        column: number % columns,
        row: number / columns,
        columns,
        rows,
    })
}

/// Refuses what would not be the picture that the whole frame is; warns of what changes.
pub(super) fn check(
    request: &SubmitRequest,
    scene: &std::path::Path,
    tiles: (u16, u16),
    definition: Option<&Definition>,
    analysis: Option<&Analysis>,
) -> Result<Vec<String>, ApiError> {
    if tiles == (1, 1) {
        return Ok(Vec::new());
    }
    let refuse = |why: &str| Err(invalid(format!("{why}; nothing was submitted")));
    let Some(definition) = definition.filter(|definition| definition.regions.is_some()) else {
        return refuse("the engine can't render parts of a picture, so that there are no tiles")
            .map_err(|error| error.hint("Render whole frames, or with another engine."));
    };
    let ending = definition.ending(request.format.as_deref()).unwrap_or_default();
    match ending {
        "jpg" | "jpeg" => {
            return refuse(
                "tiles in JPEG files can't be joined: each would be compressed by itself, and once \
                 more when they are put together",
            )
            .map_err(|error| error.hint("Ask for --format PNG or EXR."));
        }
        ending if JOINED.contains(&ending) => {}
        _ => {
            return refuse(&format!("tiles in .{ending} files can't be joined"))
                .map_err(|error| error.hint("Ask for --format PNG or EXR."));
        }
    }
    if let Some((width, height)) = size(request, definition, analysis) {
        let pixels = tile(tiles, 0).and_then(|first| first.pixels(width, height));
        if pixels.is_none() {
            let (columns, rows) = tiles;
            return refuse(&format!(
                "a picture of {width} × {height} pixels is too small for {columns} × {rows} tiles"
            ));
        }
    }
    let cant = |why: Vec<String>| {
        let error = "the scene can't be rendered in tiles that make the same picture; nothing was submitted";
        ApiError::new(Code::Invalid, error)
            .details(why)
            .hint("Change what is named, or render whole frames, without --tiles.")
    };
    if let Some(why) = analysis.map(|all| &all.untiled).filter(|why| !why.is_empty()) {
        return Err(cant(why.clone()));
    }
    if let Some(unbaked) = analysis.map(|all| &all.unbaked).filter(|unbaked| !unbaked.is_empty()) {
        return Err(cant(vec![format!(
            "simulations are not baked ({}), so that each frame follows from those before; bake them",
            unbaked.join(", ")
        )]));
    }
    let arguments = definition.untiled_arguments(&request.args);
    if !arguments.is_empty() {
        return Err(cant(arguments));
    }
    let is_blend = scene.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("blend"));
    if is_blend {
        let name = request.scene_name.as_deref();
        let why = blender::not_by_tiles(scene, name, ending, &request.args).map_err(|error| {
            invalid(format!("the scene can't be read: {error}; nothing was submitted"))
        })?;
        if !why.is_empty() {
            return Err(cant(why));
        }
        return Ok(vec![
            "dither is set to 0, because it would show where tiles meet; whole frames without it: \
             --arg dither=0"
                .to_owned(),
        ]);
    }
    Ok(Vec::new())
}

/// How large the picture will be, where that is known.
fn size(
    request: &SubmitRequest,
    definition: &Definition,
    analysis: Option<&Analysis>,
) -> Option<(u32, u32)> {
    let given = |key: &str| {
        let text = request.args.get(key).or_else(|| definition.default_arguments.get(key));
        text.and_then(|text| text.parse::<u32>().ok())
    };
    let info = analysis.map(|analysis| &analysis.scene_info).filter(|info| info.width > 0);
    let own = info.map(|info| info.full_size.unwrap_or((info.width, info.height)));
    // It takes the place of the scene's own percentage, and holds of sizes that are given too.
    let scale = request.scale.or_else(|| info?.resolution_percentage).unwrap_or(100);
    let scaled = |size: u32| u32::try_from(u64::from(size) * u64::from(scale) / 100).ok();
    let width = given("width").or_else(|| own.map(|(width, _)| width))?;
    let height = given("height").or_else(|| own.map(|(_, height)| height))?;
    Some((scaled(width)?, scaled(height)?))
}

/// The step that joins the tiles of `render`, which is the job's first.
pub(super) fn join_step(render: &Step, definition: Option<&Definition>) -> Step {
    let full = definition.is_some_and(|engine| engine.regions == Some(Regions::Full));
    Step {
        name: "join".into(),
        engine: JOIN.into(),
        engine_version: String::new(),
        arguments: full.then(|| (FULL.to_owned(), "yes".to_owned())).into_iter().collect(),
        tiles: (1, 1),
        frames_per_task: 1,
        after: vec![0],
        ..render.clone()
    }
}

#[cfg(test)]
mod tests {
    use weft_scene::analysis::SceneInfo;
    use weft_scene::engine::shipped;

    use super::*;

    /// A scene of 1000 × 500 pixels, of which a tenth is rendered.
    fn size_of(scale: Option<u32>, width: Option<&str>) -> Option<(u32, u32)> {
        let scene_info = SceneInfo {
            width: 100,
            height: 50,
            full_size: Some((1000, 500)),
            resolution_percentage: Some(10),
            ..SceneInfo::default()
        };
        let analysis = Analysis { scene_info, ..Analysis::default() };
        let mut request = SubmitRequest { scale, ..SubmitRequest::default() };
        request.args.extend(width.map(|width| ("width".to_owned(), width.to_owned())));
        size(&request, &shipped()["blender"], Some(&analysis))
    }

    #[test]
    fn pictures_are_as_large_as_blender_makes_them() {
        assert_eq!(size_of(None, None), Some((100, 50)));
        assert_eq!(size_of(Some(50), None), Some((500, 250)));
        assert_eq!(size_of(None, Some("300")), Some((30, 50)));
        assert_eq!(size_of(Some(1), Some("90")), Some((0, 5)));
    }
}
