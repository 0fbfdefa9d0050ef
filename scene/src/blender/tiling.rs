//! What keeps a scene from being rendered in tiles that make the very picture that the whole frame
//! would: whatever looks at more of the picture than a tile shows.

use std::collections::BTreeMap;
use std::path::Path;

use crate::analysis::AnalyseError;

use super::block::BlockReader;
use super::input::Input;
use super::properties::Properties;
use super::read::Plan;
use super::record::Record;
use super::settings::{self, MUTED};

/// The most nodes that are kept of one scene.
const MAX_NODES: usize = 100_000;
/// Nodes of the compositor that make of each pixel one pixel at its own place.
/// Not Z Combine: it smooths its mask by the pixels around unless told not to.
pub(super) const POINTWISE: &[&str] = &[
    "CompositorNodeRLayers",
    "CompositorNodeComposite",
    "CompositorNodeViewer",
    "CompositorNodeAlphaOver",
    "CompositorNodeBrightContrast",
    "CompositorNodeColorBalance",
    "CompositorNodeCombRGBA",
    "CompositorNodeCombineColor",
    "CompositorNodeConvertColorSpace",
    "CompositorNodeCurveRGB",
    "CompositorNodeExposure",
    "CompositorNodeGamma",
    "CompositorNodeHueCorrect",
    "CompositorNodeHueSat",
    "CompositorNodeInvert",
    "CompositorNodeMapRange",
    "CompositorNodeMapValue",
    "CompositorNodeMath",
    "CompositorNodeMixRGB",
    "CompositorNodePremulKey",
    "CompositorNodeRGB",
    "CompositorNodeSepRGBA",
    "CompositorNodeSeparateColor",
    "CompositorNodeSetAlpha",
    "CompositorNodeValToRGB",
    "CompositorNodeValue",
    "NodeGroupInput",
    "NodeGroupOutput",
    "NodeReroute",
    "NodeFrame",
];
/// The node that writes files beside the picture.
const OUTPUT_FILE: &str = "CompositorNodeOutputFile";
/// R_STAMP_DRAW, R_BORDER and R_EDGE_FRS in DNA_scene_types.h; these, and the codecs, were seen to
/// be what Blender 3.4.1 sets.
const STAMP_DRAW: i64 = 1 << 6;
const BORDER: i64 = 1 << 9;
const FREESTYLE: i64 = 1 << 25;
/// R_IMF_EXR_CODEC_*: none, ZIP, PIZ, RLE and ZIPS keep every bit.
const LOSSLESS: [i64; 5] = [0, 2, 3, 4, 5];
/// CYCLES' feature_set EXPERIMENTAL.
const EXPERIMENTAL: f64 = 1.0;

/// What is found out of a scene.
#[derive(Default)]
struct Found {
    engine: String,
    properties: Properties,
    /// The compositor works on the picture.
    composes: bool,
    nodes: Vec<String>,
    /// One of them takes in what another scene shows.
    other_scene: bool,
    /// Nodes that lie outside of the scene, as from 5.0 on.
    group: bool,
    stamped: bool,
    /// The video sequencer is used, and has strips.
    sequencer: bool,
    strips: bool,
    freestyle: bool,
    /// Only a part of the picture is rendered.
    border: bool,
    /// Several views are rendered.
    views: bool,
    /// Its files' compression loses bits where it is EXR.
    lossy: bool,
}

/// Why a scene can't be rendered in tiles, a sentence each that says the way out as well; none where
/// it can. `ending` is that of the files that are to be written; `arguments` are those of the job's command
/// line, which may change what the file says.
///
/// # Errors
/// As [`analyse`](super::analyse).
pub fn not_by_tiles(
    scene: &Path,
    name: Option<&str>,
    ending: &str,
    arguments: &BTreeMap<String, String>,
) -> Result<Vec<String>, AnalyseError> {
    let (found, version) = read(scene, name, arguments)?;
    let mut why = found.besides_the_engine(ending);
    let is_on = |argument: &str, own: bool| settings::asked(arguments, argument).unwrap_or(own);
    let engine = arguments.get("engine").map_or(found.engine.as_str(), String::as_str);
    if engine != "CYCLES" {
        why.push(format!(
            "{engine} looks at what is around a tile (its light, reflections and shadows come from the \
             picture); render whole frames, or with Cycles (--arg engine=CYCLES)"
        ));
    } else {
        let cycles = found.properties.cycles();
        if is_on("denoising", found.properties.denoises(version)) {
            why.push(
                "denoising looks at what is around each pixel; switch it off in the scene, or with \
                 --arg denoising=off"
                    .to_owned(),
            );
        }
        let number = |name: &str| cycles.number(name);
        let asked = arguments.get("samples").and_then(|samples| samples.parse().ok());
        let samples = asked.or(number("samples")).unwrap_or(4096.0);
        if is_on("adaptive", cycles.is_on("use_adaptive_sampling", version))
            && samples > fewest_samples(&number)
        {
            why.push(
                "adaptive sampling decides by what is around a pixel when it has enough samples; \
                 switch it off in the scene, or with --arg adaptive=off"
                    .to_owned(),
            );
        }
        if number("time_limit").is_some_and(|seconds| seconds > 0.0) {
            why.push(
                "a time limit ends each tile at samples of its own; set 'Time Limit' to 0 in the scene"
                    .to_owned(),
            );
        }
        if number("use_guiding").is_some_and(|on| on != 0.0) {
            why.push(
                "path guiding learns from the whole picture; switch it off in the scene".to_owned(),
            );
        }
        if number("feature_set") == Some(EXPERIMENTAL) {
            why.push(
                "adaptive subdivision, which is among the experimental features, depends on the part \
                 that is rendered; choose the supported features in the scene"
                    .to_owned(),
            );
        }
    }
    if found.composes {
        if found.group {
            why.push(
                "the compositor may look at what is around each pixel; leave it out with --arg \
                 compositing=off"
                    .to_owned(),
            );
        }
        if found.other_scene {
            why.push(
                "the compositor takes in another scene, whose picture would not be rendered as the tile of it \
                 that is asked for; leave it out with --arg compositing=off"
                    .to_owned(),
            );
        }
        let (files, others): (Vec<&String>, Vec<&String>) =
            found.nodes.iter().partition(|node| *node == OUTPUT_FILE);
        if !files.is_empty() {
            why.push(
                "the compositor's File Output nodes would write a part of a picture for each tile; mute \
                 them in the scene, or leave the compositor out with --arg compositing=off"
                    .to_owned(),
            );
        }
        let wide = others.into_iter().filter(|node| !POINTWISE.contains(&node.as_str()));
        let names: Vec<&str> =
            wide.map(|node| node.strip_prefix("CompositorNode").unwrap_or(node)).collect();
        if !names.is_empty() {
            why.push(format!(
                "the compositor looks at what is around each pixel ({}); mute it in the scene, or leave \
                 it out with --arg compositing=off",
                names.join(", ")
            ));
        }
    }
    Ok(why)
}

/// How many samples every pixel gets before adaptive sampling stops some: `Integrator::
/// get_adaptive_sampling` in Cycles' `scene/integrator.cpp`.
fn fewest_samples(number: &dyn Fn(&str) -> Option<f64>) -> f64 {
    let threshold = number("adaptive_threshold").unwrap_or(0.01);
    match number("adaptive_min_samples").unwrap_or(0.0) {
        0.0 if threshold > 0.0 => (16.0 / threshold.powf(0.3)).ceil().max(4.0),
        fewest => fewest.max(4.0),
    }
}

fn read(
    scene: &Path,
    name: Option<&str>,
    arguments: &BTreeMap<String, String>,
) -> Result<(Found, u32), AnalyseError> {
    let plan = Plan::make(scene)?;
    let mut reader = BlockReader::new(Input::open(scene)?)?;
    let version = reader.version().0;
    let mut found = Found::default();
    let (mut wanted, mut inside, mut address) = (0, false, None);
    // The active scene is told by a block before all datablocks; where it isn't, the first counts.
    while let Some(block) = reader.next_block()? {
        let interesting = &block.code == b"GLOB" || &block.code == b"DATA" && inside;
        if block.is_id() {
            inside = false;
        }
        if !interesting && block.id_code() != Some(*b"SC") {
            continue;
        }
        let Some((structure, count)) = plan.structure_of(&block) else { continue };
        let kind = plan.dna.name_of(structure);
        let known = matches!(
            kind,
            "FileGlobal"
                | "Scene"
                | "ViewLayer"
                | "SceneRenderLayer"
                | "IDProperty"
                | "bNode"
                | "Editing"
        );
        if !known {
            continue;
        }
        let mut bytes = vec![0; structure.size];
        for place in 0..count {
            reader.read_exact(&mut bytes)?;
            let record = plan.record(structure, &bytes);
            match kind {
                "FileGlobal" => wanted = record.pointer("curscene").unwrap_or(0),
                "Scene" => {
                    let own = record.text("id.name").and_then(|name| name.get(2..));
                    inside = address.is_none()
                        && match name {
                            Some(name) => own == Some(name.as_bytes()),
                            None => wanted == 0 || block.address == wanted,
                        };
                    if inside {
                        address = Some(block.address);
                        found.scene(&record, arguments);
                    }
                }
                "Editing" => {
                    found.strips |= record.pointer("seqbase.first").is_some_and(|first| first != 0);
                }
                "ViewLayer" | "SceneRenderLayer" => found.properties.add_layer(&record),
                "IDProperty" => {
                    let at = block.address.wrapping_add(place * structure.size as u64);
                    found.properties.take(&record, at);
                }
                "bNode"
                    if found.nodes.len() < MAX_NODES
                        && record.int("flag").is_none_or(|flag| flag & MUTED == 0) =>
                {
                    let id = record.text("idname").unwrap_or_default();
                    found.nodes.push(String::from_utf8_lossy(id).into_owned());
                    let scene = settings::rendered_by(&record);
                    found.other_scene |= scene.is_some_and(|scene| Some(scene) != address);
                }
                _ => {}
            }
            if kind == "Scene" {
                break;
            }
        }
    }
    Ok((found, version))
}

impl Found {
    fn scene(&mut self, record: &Record<'_>, arguments: &BTreeMap<String, String>) {
        let points = |path: &str| record.pointer(path).is_some_and(|at| at != 0);
        let has = |path: &str, bit: i64| record.int(path).is_some_and(|bits| bits & bit != 0);
        self.group = points(settings::COMPOSITOR);
        self.stamped = has("r.stamp", STAMP_DRAW);
        let settings = settings::read(record);
        (self.sequencer, self.views) = (settings.sequencer, settings.views.rendered);
        self.composes = settings.composes(arguments);
        self.engine = settings.engine;
        self.border = has("r.mode", BORDER);
        self.freestyle = has("r.mode", FREESTYLE);
        self.lossy = record.int("r.im_format.exr_codec").is_some_and(|c| !LOSSLESS.contains(&c));
        self.properties = Properties::of_scene(record);
    }

    /// What keeps it from tiles whatever renders it.
    fn besides_the_engine(&self, ending: &str) -> Vec<String> {
        let reasons = [
            (
                self.stamped,
                "metadata is written into the picture, which every tile would have; switch 'Burn Into \
                 Image' off in the scene",
            ),
            (
                self.sequencer && self.strips,
                "the video sequencer cuts whole pictures; switch 'Sequencer' off in the scene's \
                 post processing",
            ),
            (
                self.freestyle,
                "Freestyle draws its lines over the whole picture; switch it off in the scene",
            ),
            (
                self.border,
                "only a region of the picture is rendered, which tiles would take the place of; switch \
                 'Render Region' off in the scene",
            ),
            (
                self.views,
                "several views of each frame are rendered (stereoscopy); switch it off in the scene",
            ),
            (
                self.lossy && ending == "exr",
                "the EXR files' compression loses bits, and would lose others in tiles; choose ZIP in \
                 the scene",
            ),
        ];
        reasons.iter().filter(|(is, _)| *is).map(|(_, why)| (*why).to_owned()).collect()
    }
}
