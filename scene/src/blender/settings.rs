//! The settings of a scene.

use std::collections::BTreeMap;

use crate::engine::switch;

use super::contents::{SceneSettings, Views};
use super::record::Record;

/// Blender's names for `ImageFormatData.imtype`: R_IMF_IMTYPE_* in DNA_scene_types.h, named in
/// rna_scene.c. The film formats of old (AVI by a codec, QuickTime, H.264, Xvid, Theora, AV1) are all FFMPEG now.
const FORMATS: &[(i64, &str)] = &[
    (0, "TARGA"),
    (1, "IRIS"),
    (4, "JPEG"),
    (7, "IRIS"),
    (14, "TARGA_RAW"),
    (15, "AVI_RAW"),
    (16, "AVI_JPEG"),
    (17, "PNG"),
    (18, "FFMPEG"),
    (19, "FFMPEG"),
    (20, "BMP"),
    (21, "HDR"),
    (22, "TIFF"),
    (23, "OPEN_EXR"),
    (24, "FFMPEG"),
    (25, "FRAMESERVER"),
    (26, "CINEON"),
    (27, "DPX"),
    (28, "OPEN_EXR_MULTILAYER"),
    (29, "DDS"),
    (30, "JPEG2000"),
    (31, "FFMPEG"),
    (32, "FFMPEG"),
    (33, "FFMPEG"),
    (34, "PSD"),
    (35, "WEBP"),
    (36, "FFMPEG"),
    (37, "AVIF"),
];

/// RenderData.mode: motion blur (R_MBLUR in DNA_scene_types.h).
const MOTION_BLUR: i64 = 1 << 14;
/// SceneEEVEE.flag: the same for EEVEE alone, until 4.1 (SCE_EEVEE_MOTION_BLUR_ENABLED).
const EEVEE_MOTION_BLUR: i64 = 1 << 9;

/// RenderData.scemode: the sequencer's strips take the camera's place (R_DOSEQ), and several views are rendered
/// (R_MULTIVIEW).
pub(super) const SEQUENCER: i64 = 1;
const MULTIVIEW: i64 = 1 << 21;
/// The same: the compositor is used, if there is one (R_DOCOMP).
const COMPOSITING: i64 = 1 << 6;
/// The field of a `Scene` with the compositor's nodes from 5.0 on; before they were its own.
pub(super) const COMPOSITOR: &str = "compositing_node_group";
/// RenderData.views_format: the views are any, and not just left and right (SCE_VIEWS_FORMAT_MULTIVIEW).
const ANY_VIEWS: i64 = 1;
/// SceneRenderView.viewflag: not rendered (SCE_VIEW_DISABLE).
const VIEW_DISABLED: i64 = 1;

/// Blender's renderer since 2.80.
const EEVEE: &str = "BLENDER_EEVEE";

/// The most views of a scene that are kept.
const MAX_VIEWS: usize = 64;

/// The name that Blender gives an engine today. Its internal renderer and game engine ended with
/// 2.79, and later versions open such scenes with EEVEE (versioning_280.c); 4.2 to 4.5 called that
/// `BLENDER_EEVEE_NEXT`, 5.0 turns it back.
fn engine_today(name: &[u8]) -> String {
    match name {
        // Files from before 2.5 name no engine.
        b"" | b"BLENDER_RENDER" | b"BLENDER_GAME" | b"BLENDER_EEVEE_NEXT" => EEVEE.to_owned(),
        name => String::from_utf8_lossy(name).into_owned(),
    }
}

/// Reads a `Scene`. View layers, and cameras of markers, come with the scene's other data.
pub(super) fn read(record: &Record<'_>) -> SceneSettings {
    let int = |path: &str| record.int(path);
    let count = |path: &str, default| u32::try_from(int(path).unwrap_or(default)).unwrap_or(0);
    let base = record.float("r.frs_sec_base").unwrap_or(1.0);
    let base = if base > 0.0 && base.is_finite() { base } else { 1.0 };
    let engine = record.text("r.engine").unwrap_or_default();
    let format = int("r.im_format.imtype").or_else(|| int("r.imtype"));
    let known = |number: i64| FORMATS.iter().find(|(known, _)| *known == number);
    // What isn't known here may be so where it is rendered, and is said to be unknown.
    let named =
        |number: i64| known(number).map_or_else(|| number.to_string(), |(_, name)| (*name).into());
    SceneSettings {
        start: int("r.sfra").unwrap_or(1),
        end: int("r.efra").unwrap_or(1),
        step: int("r.frame_step").unwrap_or(1).max(1),
        full_size: (count("r.xsch", 0), count("r.ysch", 0)),
        percentage: count("r.size", 100),
        denoising: false,
        fps: int("r.frs_sec").unwrap_or(25).max(1) as f64 / base,
        engine: engine_today(engine),
        engine_is_gone: matches!(engine, b"" | b"BLENDER_RENDER" | b"BLENDER_GAME"),
        format: format.map(named).unwrap_or_default(),
        cameras: vec![record.pointer("camera").unwrap_or(0)],
        view_layers: Vec::new(),
        motion_blur: int("r.mode").is_some_and(|mode| mode & MOTION_BLUR != 0)
            || int("eevee.flag").is_some_and(|flag| flag & EEVEE_MOTION_BLUR != 0),
        time_moved: int("r.framapto") != int("r.images"),
        sequencer: int("r.scemode").is_some_and(|mode| mode & SEQUENCER != 0),
        strips: false,
        compositing: int("r.scemode").is_some_and(|mode| mode & COMPOSITING != 0),
        has_compositor: int("use_nodes").is_some_and(|uses| uses != 0)
            || record.pointer(COMPOSITOR).is_some_and(|at| at != 0),
        views: Views {
            rendered: int("r.scemode").is_some_and(|mode| mode & MULTIVIEW != 0),
            any: int("r.views_format") == Some(ANY_VIEWS),
            // R_IMF_VIEWS_INDIVIDUAL is 0.
            apart: int("r.im_format.views_format") == Some(0),
            suffixes: Vec::new(),
        },
    }
}

/// Whether a job's arguments switch something on or off.
pub(super) fn asked(arguments: &BTreeMap<String, String>, name: &str) -> Option<bool> {
    arguments.get(name).and_then(|word| switch(word))
}

/// NODE_MUTED in DNA_node_types.h.
pub(super) const MUTED: i64 = 1 << 9;

/// The address of the scene that a node of the compositor has rendered, which may be the one that the
/// compositor is of.
pub(super) fn rendered_by(node: &Record<'_>) -> Option<u64> {
    let takes_layers = node.text("idname") == Some(b"CompositorNodeRLayers");
    let mute = node.int("flag").is_some_and(|flag| flag & MUTED != 0);
    let scene = node.pointer("id").filter(|scene| *scene != 0);
    scene.filter(|_| takes_layers && !mute)
}

impl SceneSettings {
    /// Whether the compositor works on the picture, where a job's arguments may say so in place of the scene.
    pub(super) fn composes(&self, arguments: &BTreeMap<String, String>) -> bool {
        self.has_compositor && asked(arguments, "compositing").unwrap_or(self.compositing)
    }

    /// The picture's width and height in pixels. As Blender does it: BKE_render_resolution multiplies and
    /// divides whole numbers.
    pub(super) fn size(&self) -> (u32, u32) {
        let scaled = |size: u32| {
            u32::try_from(u64::from(size) * u64::from(self.percentage) / 100).unwrap_or(0)
        };
        (scaled(self.full_size.0), scaled(self.full_size.1))
    }
}

impl Views {
    /// Takes a `SceneRenderView`. Only those called left and right count where there are to be two.
    pub(super) fn take(&mut self, record: &Record<'_>) {
        let name = record.text("name").unwrap_or_default();
        let enabled = record.int("viewflag").is_none_or(|flag| flag & VIEW_DISABLED == 0);
        if let (Some(suffix), true) = (record.text("suffix"), enabled)
            && (self.any || matches!(name, b"left" | b"right"))
            && self.suffixes.len() < MAX_VIEWS
        {
            self.suffixes.push(String::from_utf8_lossy(suffix).into_owned());
        }
    }

    /// What the names of files have at their end, one of each view, where each view has a file of its own.
    pub(super) fn files(&self) -> &[String] {
        match self.rendered && self.apart && self.suffixes.len() > 1 {
            true => &self.suffixes,
            false => &[],
        }
    }
}
