//! Scenes that an installed Blender makes on the spot, against what it says of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::real_scenes::{Comparison, blend_files};
use crate::analysis::{Analysis, Asset, AssetKind};
use crate::blender::{analyse, analyse_for, analyse_scene, not_by_tiles, rewrite_paths};
use crate::path_map::PathMap;

/// `WEFT_TEST_BLENDER` names another program than `blender`, to try another version.
fn program() -> OsString {
    std::env::var_os("WEFT_TEST_BLENDER").unwrap_or_else(|| "blender".into())
}

/// Runs a Python script inside Blender, and gives what it printed. `None` without a Blender, which
/// is a failure where one must be there.
pub(super) fn blender(script: &Path, arguments: &[&Path]) -> Option<String> {
    let output = Command::new(program())
        .args(["-b", "--factory-startup", "--python-exit-code", "3", "--python"])
        .arg(script)
        .arg("--")
        .args(arguments)
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) => {
            assert!(
                std::env::var_os("WEFT_REQUIRE_RENDERERS").is_none_or(|value| value != "1"),
                "WEFT_REQUIRE_RENDERERS=1, but {:?} cannot be run: {error}",
                program()
            );
            println!("SKIPPED: {:?} cannot be run: {error}", program());
            None
        }
    }
}

/// The folder with the scenes; made once for all tests.
fn made() -> Option<&'static Path> {
    static MADE: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let folder = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/blender/tests/make_scenes.py");
        let said = blender(&script, &[folder.path()])?;
        assert!(said.contains("made all scenes"), "{said}");
        Some(folder)
    });
    folder.as_ref().map(tempfile::TempDir::path)
}

pub(super) fn by_node<'a>(analysis: &'a Analysis, node: &str) -> &'a Asset {
    let found = analysis.assets.iter().find(|asset| asset.node == node);
    found.unwrap_or_else(|| panic!("no asset of {node} in {:#?}", analysis.assets))
}

pub(super) fn names(files: &[PathBuf]) -> Vec<&str> {
    files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn they_are_what_blender_says() {
    let Some(folder) = made() else { return };
    let mut comparison = Comparison::default();
    let mut files = 0;
    for path in blend_files(folder) {
        let Ok(json) = fs::read(format!("{}.json", path.display())) else {
            continue;
        };
        let facts = serde_json::from_slice(&json).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        comparison.compare(&name, &analyse(&path).unwrap(), &facts);
        files += 1;
    }
    assert!(files >= 6, "{files}");
    comparison.conclude(files);
}

#[test]
fn only_what_the_active_scene_reaches_is_required() {
    let Some(folder) = made() else { return };
    let analysis = analyse(&folder.join("main.blend")).unwrap();
    let lies_there: Vec<&str> = analysis
        .assets
        .iter()
        .filter(|asset| !asset.required)
        .map(|asset| asset.node.as_str())
        .collect();
    // A speaker in the scene plays the sound, which no picture shows.
    assert_eq!(lies_there, ["brush", "second", "unused", "sound.wav"]);

    let second = analyse_scene(&folder.join("main.blend"), Some("Second")).unwrap();
    let required: Vec<&str> = second
        .assets
        .iter()
        .filter(|asset| asset.required)
        .map(|asset| asset.node.as_str())
        .collect();
    assert_eq!(required, ["second"]);
    assert_eq!(second.scene_info.scenes, ["Second", "Shot"]);
    assert_eq!((second.scene_info.start_frame, second.scene_info.end_frame), (1, 250));

    let error = analyse_scene(&folder.join("main.blend"), Some("Third")).unwrap_err();
    assert!(error.to_string().ends_with("no scene called 'Third'; it has Second, Shot"), "{error}");
}

#[test]
fn what_no_render_shows_is_not_required() {
    let Some(folder) = made() else { return };
    let analysis = analyse(&folder.join("hidden.blend")).unwrap();
    let (required, hidden): (Vec<&Asset>, Vec<&Asset>) =
        analysis.assets.iter().partition(|asset| asset.required);
    let nodes = |assets: &[&Asset]| {
        let mut nodes: Vec<String> = assets.iter().map(|asset| asset.node.clone()).collect();
        nodes.sort();
        nodes
    };
    assert_eq!(nodes(&hidden), ["below_off", "hidden", "in_off"]);
    // What something shown uses is needed, hidden or not.
    let needed = ["blinks", "both", "cutter", "instanced", "instanced_hidden", "piece", "shown"];
    assert_eq!(nodes(&required), needed);
    // There are none of these files; only those that are needed keep a job from being submitted.
    assert!(
        analysis.missing.iter().all(|missing| missing.required == needed.contains(&&*missing.node))
    );
    assert_eq!(analysis.missing.len(), 10);
    assert_eq!(analysis.scene_info.render_cameras, ["Camera"]);
}

/// Triangles with a picture each, in collections of which a second view layer, that isn't rendered, shows some.
const EXCLUDED: &str = r#"
import bpy, sys
scene = bpy.context.scene
for thing in list(bpy.data.objects):
    bpy.data.objects.remove(thing)
def triangle(name, *collections):
    image = bpy.data.images.new(name, 1, 1)
    image.source, image.filepath = "FILE", f"//{name}.png"
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    material.node_tree.links.new(texture.outputs[0], material.node_tree.nodes["Principled BSDF"].inputs[0])
    mesh.materials.append(material)
    made = bpy.data.objects.new(name, mesh)
    for collection in collections:
        collection.objects.link(made)
    return made
def collection(name, parent=scene.collection):
    made = bpy.data.collections.new(name)
    parent.children.link(made)
    return made
out, some, instanced, partly = map(collection, ("Out", "Some", "Instanced", "Partly"))
triangle("out", out)
triangle("within_out", collection("Within", out))
triangle("both", out, scene.collection)
triangle("some", some)
triangle("instanced", instanced)
triangle("within_partly", collection("Inner", partly))
empty = bpy.data.objects.new("Empty", None)
empty.instance_type, empty.instance_collection = "COLLECTION", instanced
scene.collection.objects.link(empty)
first, second = scene.view_layers[0], scene.view_layers.new("Other")
second.use = False
for layer in (first, second):
    for name in ("Out", "Instanced", "Partly"):
        layer.layer_collection.children[name].exclude = True
    layer.layer_collection.children["Partly"].children["Inner"].exclude = False
first.layer_collection.children["Some"].exclude = True
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"#;

#[test]
fn what_all_view_layers_exclude_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("excluded.py");
    let scene = folder.path().join("excluded.blend");
    fs::write(&script, EXCLUDED).unwrap();
    if blender(&script, &[&scene]).is_none() {
        return;
    }
    let analysis = analyse(&scene).unwrap();
    let paths = |required: bool| {
        let missing = analysis.missing.iter().filter(|missing| missing.required == required);
        let mut paths: Vec<&str> = missing.map(|missing| missing.path.as_str()).collect();
        paths.sort_unstable();
        paths
    };
    assert_eq!(paths(true), ["//both.png", "//instanced.png", "//some.png", "//within_partly.png"]);
    assert_eq!(paths(false), ["//out.png", "//within_out.png"]);
}

#[test]
fn families_of_files_are_found_whole() {
    let Some(folder) = made() else { return };
    let analysis = analyse(&folder.join("main.blend")).unwrap();

    let wall = by_node(&analysis, "wall");
    assert_eq!(wall.kind, AssetKind::Udim);
    assert_eq!(names(&wall.files), ["wall.1001.png", "wall.1002.png", "wall.1011.png"]);

    let run = by_node(&analysis, "run");
    assert_eq!(run.kind, AssetKind::ImageSequence);
    assert_eq!(names(&run.files), ["run_0001.png", "run_0002.png", "run_0003.png"]);
    assert_eq!(run.frames, Some(vec![1, 2, 3]));

    let plate = by_node(&analysis, "plate");
    assert_eq!(plate.kind, AssetKind::ImageSequence);
    assert_eq!(names(&plate.files), ["plate005.png", "plate006.png"]);

    let smoke = by_node(&analysis, "Smoke");
    assert_eq!(smoke.kind, AssetKind::Volume);
    assert_eq!(smoke.frames, Some(vec![1, 2]));

    let kinds: BTreeMap<&str, AssetKind> =
        analysis.assets.iter().map(|asset| (asset.path.as_str(), asset.kind)).collect();
    for (path, kind) in [
        ("//strip/edit01.png", AssetKind::ImageSequence),
        ("//film.mp4", AssetKind::Movie),
        ("//light.ies", AssetKind::Ies),
        ("//shader.osl", AssetKind::Other),
        ("//points.mdd", AssetKind::Cache),
        ("//geometry.abc", AssetKind::Alembic),
        ("//sound.wav", AssetKind::Sound),
        ("//letters.ttf", AssetKind::Font),
        ("//props.blend", AssetKind::Library),
        ("//../tex/deep.png", AssetKind::Image),
    ] {
        assert_eq!(kinds.get(path), Some(&kind), "{path}");
    }
    let edit = analysis.assets.iter().find(|asset| asset.path == "//strip/edit01.png").unwrap();
    assert_eq!(names(&edit.files), ["edit01.png", "edit02.png"]);
    // Only what is linked matters in a library.
    assert!(analysis.assets.iter().all(|asset| asset.node != "not_linked"));
    assert!(analysis.assets.iter().all(|asset| asset.node != "forgotten"));
    let all = analysis.assets.iter().flat_map(|asset| &asset.files);
    assert!(all.clone().count() > 25 && all.clone().all(|file| file.is_absolute()));

    let missing: Vec<_> = analysis
        .missing
        .iter()
        .map(|missing| (missing.node.as_str(), missing.path.as_str(), missing.required))
        .collect();
    assert_eq!(
        missing,
        [("gone", "//tex/gone.png", true), ("wall", "//tex/wall.<UDIM>.png", true)]
    );
    assert!(analysis.missing[1].reason.starts_with("tile 1012"), "{:?}", analysis.missing);
    let warned = analysis.warnings.iter().filter(|warning| warning.contains("rig_ui.py")).count();
    assert_eq!(warned, 1, "{:?}", analysis.warnings);
    let not_baked = |warning: &&String| warning.starts_with("Cached: there is no cache folder");
    assert_eq!(analysis.warnings.iter().filter(not_baked).count(), 1, "{:?}", analysis.warnings);
    let cloth = analysis.assets.iter().find(|asset| asset.path == "//blendcache_main").unwrap();
    assert_eq!(names(&cloth.files), ["cloth_000001_00.bphys"]);
    // Disk caches go by the name of the file, so the copy has none.
    let packed = analyse(&folder.join("main_compressed.blend")).unwrap();
    let mut expected = analysis.assets.clone();
    expected.retain(|asset| asset.path != "//blendcache_main");
    assert_eq!(packed.assets, expected);
    assert_eq!(packed.scene_info, analysis.scene_info);
    assert_eq!(packed.missing, analysis.missing);
}

#[test]
fn libraries_may_be_missing_or_link_in_a_circle() {
    let Some(folder) = made() else { return };
    let analysis = analyse(&folder.join("without_library.blend")).unwrap();
    let [missing] = &analysis.missing[..] else { panic!("{:?}", analysis.missing) };
    assert_eq!(missing.path, "//soon_gone.blend");
    assert!(missing.required && missing.reason.ends_with("does not exist"), "{missing:?}");

    let analysis = analyse(&folder.join("round_a.blend")).unwrap();
    let nodes: Vec<&str> = analysis.assets.iter().map(|asset| asset.node.as_str()).collect();
    assert_eq!(nodes, ["first", "round_b.blend", "other"]);
    assert_eq!(analysis.missing, []);
}

/// A compositor that takes in a second scene, of Workbench, and a strip that plays a third, of EEVEE.
const SCENES: &str = r#"
import bpy, sys
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
other = bpy.data.scenes.new("Other")
other.render.engine = "BLENDER_WORKBENCH"
played = bpy.data.scenes.new("Played")
played.render.engine = "BLENDER_EEVEE"
scene.use_nodes = True
scene.node_tree.nodes.new("CompositorNodeRLayers").scene = other
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1] + "/layers.blend")
editor = scene.sequence_editor_create()
editor.sequences.new_scene("played", played, 1, 1)
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1] + "/strips.blend")
scene.node_tree.nodes[-1].mute = True
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1] + "/muted.blend")
scene.node_tree.nodes[-1].mute = False
scene.render.use_compositing = scene.render.use_sequencer = False
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1] + "/off.blend")
"#;

#[test]
fn the_renderers_of_scenes_that_are_rendered_along_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("scenes.py");
    fs::write(&script, SCENES).unwrap();
    if blender(&script, &[folder.path()]).is_none() {
        return;
    }
    for (name, renderers, tiles) in [
        ("layers", &["BLENDER_WORKBENCH"][..], Some("takes in another scene")),
        ("strips", &["BLENDER_EEVEE", "BLENDER_WORKBENCH"], Some("takes in another scene")),
        ("muted", &["BLENDER_EEVEE"], Some("the video sequencer")),
        ("off", &[], None),
    ] {
        let scene = folder.path().join(format!("{name}.blend"));
        let analysis = analyse(&scene).unwrap();
        assert_eq!(analysis.scene_info.renderer, "CYCLES", "{name}");
        assert_eq!(analysis.other_renderers, renderers, "{name}");
        let why = not_by_tiles(&scene, None, "png", &BTreeMap::new()).unwrap();
        assert_eq!(why.is_empty(), tiles.is_none(), "{name}: {why:?}");
        assert!(
            why.iter().any(|why| tiles.is_some_and(|part| why.contains(part))) || tiles.is_none()
        );
    }
}

fn arguments(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect()
}

/// Whatever a job's command line switches on or off, in place of the scene.
#[test]
fn arguments_take_the_place_of_what_the_scene_says() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("scenes.py");
    let limited = "scene.use_nodes = False\nscene.cycles.time_limit = 1.5\n\
                   bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1] + \"/limited.blend\")\n";
    fs::write(&script, format!("{SCENES}{limited}")).unwrap();
    if blender(&script, &[folder.path()]).is_none() {
        return;
    }
    let none = arguments(&[]);
    let on = arguments(&[("compositing", "on")]);
    let off = arguments(&[("compositing", "off")]);
    for (name, arguments, renderers) in [
        ("layers", &none, &["BLENDER_WORKBENCH"][..]),
        ("layers", &on, &["BLENDER_WORKBENCH"]),
        ("layers", &off, &[]),
        ("off", &none, &[]),
        ("off", &on, &["BLENDER_WORKBENCH"]),
        // There is nothing to be switched on.
        ("limited", &on, &[]),
    ] {
        let scene = folder.path().join(format!("{name}.blend"));
        let analysis = analyse_for(&scene, None, PathMap::default(), arguments).unwrap();
        assert_eq!(analysis.other_renderers, renderers, "{name} {arguments:?}");
    }
    for (name, arguments, part) in [
        ("off", &[][..], None),
        ("off", &[("compositing", "on")], Some("takes in another scene")),
        ("off", &[("denoising", "on")], Some("--arg denoising=off")),
        ("off", &[("adaptive", "1")], Some("--arg adaptive=off")),
        ("layers", &[("compositing", "no")], None),
        ("limited", &[("compositing", "on")], Some("'Time Limit' to 0")),
        ("limited", &[("engine", "BLENDER_WORKBENCH")], Some("BLENDER_WORKBENCH looks at")),
    ] {
        let scene = folder.path().join(format!("{name}.blend"));
        let why = not_by_tiles(&scene, None, "png", &self::arguments(arguments)).unwrap();
        let expected = part.is_none_or(|part| why.iter().all(|why| why.contains(part)));
        assert!(
            expected && why.len() == usize::from(part.is_some()),
            "{name} {arguments:?} {why:?}"
        );
    }
}

/// A sound, strips, and a picture in the compositor, with nothing where they are looked for.
const UNREAD: &str = r#"
import bpy, os, sys
folder = sys.argv[-1]
scene = bpy.context.scene
def save(name):
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, name), relative_remap=False)
save("plain.blend")
speaker = bpy.data.speakers.new("Speaker")
speaker.sound = bpy.data.sounds.load(os.path.join(folder, "gone.wav"))
scene.collection.objects.link(bpy.data.objects.new("Speaker", speaker))
editor = scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
strips.new_image("still", "//still.png", 1, 1)
strips.new_movie("cut", os.path.join(folder, "plain.blend"), 2, 1).filepath = "//cut.mp4"
clip = bpy.data.movieclips.load(os.path.join(folder, "clip.png"))
clip.filepath = "//clip.png"
strips.new_clip("clip", clip, 3, 1)
image = bpy.data.images.load(os.path.join(folder, "layer.png"))
image.name, image.filepath = "layer", "//layer.png"
scene.use_nodes = True
tree = scene.node_tree if hasattr(scene, "node_tree") else None
if tree is None:
    tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
inner = bpy.data.node_groups.new("Inner", "CompositorNodeTree")
inner.nodes.new("CompositorNodeImage").image = image
tree.nodes.new("CompositorNodeGroup").node_tree = inner
save("all.blend")
scene.render.use_sequencer = False
save("no_strips.blend")
scene.render.use_compositing = False
save("neither.blend")
if hasattr(scene, "node_tree"):
    scene.render.use_compositing, scene.use_nodes = True, False
    save("no_nodes.blend")
"#;

#[test]
fn what_no_picture_reads_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("unread.py");
    fs::write(&script, UNREAD).unwrap();
    for name in ["gone.wav", "clip.png", "layer.png"] {
        fs::write(folder.path().join(name), "nothing that could be shown").unwrap();
    }
    if blender(&script, &[folder.path()]).is_none() {
        return;
    }
    for name in ["gone.wav", "clip.png", "layer.png"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let (strips, layer) = (["//clip.png", "//cut.mp4", "//still.png"], "//layer.png");
    let both = ["//clip.png", "//cut.mp4", layer, "//still.png"];
    for (name, compositing, required) in [
        ("all", None, &both[..]),
        ("all", Some("off"), &strips),
        ("no_strips", None, &[layer]),
        ("neither", None, &[]),
        ("neither", Some("on"), &[layer]),
        ("no_nodes", None, &[]),
        ("no_nodes", Some("on"), &[]),
    ] {
        let scene = folder.path().join(format!("{name}.blend"));
        if name == "no_nodes" && !scene.exists() {
            // From 5.0 on the compositor has no switch of its own.
            continue;
        }
        let arguments = compositing.map(|word| ("compositing", word));
        let arguments = self::arguments(arguments.as_slice());
        let analysis = analyse_for(&scene, None, PathMap::default(), &arguments).unwrap();
        let missing = analysis.missing.iter().filter(|missing| missing.required);
        let mut missing: Vec<&str> = missing.map(|missing| missing.path.as_str()).collect();
        missing.sort_unstable();
        assert_eq!(missing, required, "{name} {compositing:?}");
        assert_eq!(analysis.missing.len(), 5, "all are told of: {:#?}", analysis.missing);
        let sound = analysis.assets.iter().find(|asset| asset.kind == AssetKind::Sound);
        assert!(sound.is_some_and(|sound| !sound.required && !sound.exists), "{name}");
    }
}

/// Strips with nothing where their files are looked for. Blender renders an effect's inputs and a modifier's mask
/// although they are muted, and what is in a strip that was left open.
const MUTED: &str = r#"
import bpy, os, sys
folder = sys.argv[-1]
scene = bpy.context.scene
editor = scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
def effect(name, kind, channel, **inputs):
    try:
        return strips.new_effect(name, kind, channel, 1, frame_end=2, **inputs)
    except TypeError:
        inputs = {key.replace("seq", "input"): value for key, value in inputs.items()}
        return strips.new_effect(name, kind, channel, 1, length=1, **inputs)
def image(name, channel, muted, into=strips):
    strip = into.new_image(name, f"//{name}.png", channel, 1)
    strip.mute = muted
    return strip
image("shown", 1, False)
image("muted", 2, True)
effect("blur", "GAUSSIAN_BLUR", 4, seq1=image("input", 3, True))
effect("no_blur", "GAUSSIAN_BLUR", 6, seq1=image("no_input", 5, True)).mute = True
modifier = effect("red", "COLOR", 8).modifiers.new("bright", "BRIGHT_CONTRAST")
modifier.input_mask_type, modifier.input_mask_strip = "STRIP", image("mask", 7, True)
meta = strips.new_meta("meta", 9, 1)
image("within", 1, False, meta.strips if hasattr(meta, "strips") else meta.sequences)
meta.mute = True
meta = strips.new_meta("shown_meta", 10, 1)
within = meta.strips if hasattr(meta, "strips") else meta.sequences
image("within_shown", 1, False, within)
image("within_muted", 2, True, within)
clip = bpy.data.movieclips.load(os.path.join(folder, "clip.png"))
clip.filepath = "//clip.png"
strips.new_clip("clip", clip, 11, 1).mute = True
def save(name):
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, name), relative_remap=False)
save("muted.blend")
strips["muted"].keyframe_insert("blend_alpha", frame=1)
save("faded.blend")
strips["muted"].keyframe_insert("mute", frame=1)
save("animated.blend")
scene.animation_data_clear()
editor.display_stack(strips["meta"])
save("open.blend")
editor.display_stack(None)
for strip in strips:
    # Everything that is muted is so by its channel.
    editor.channels[strip.channel].mute, strip.mute = strip.mute, False
meta.channels[2].mute, within["within_muted"].mute = True, False
save("channels.blend")
meta.channels[2].keyframe_insert("mute", frame=1)
save("channels_animated.blend")
"#;

#[test]
fn what_muted_strips_play_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("muted.py");
    fs::write(&script, MUTED).unwrap();
    fs::write(folder.path().join("clip.png"), "nothing that could be shown").unwrap();
    if blender(&script, &[folder.path()]).is_none() {
        return;
    }
    fs::remove_file(folder.path().join("clip.png")).unwrap();
    let rendered = ["//input.png", "//mask.png", "//shown.png", "//within_shown.png"];
    let muted =
        ["//clip.png", "//muted.png", "//no_input.png", "//within.png", "//within_muted.png"];
    let mut all = [&rendered[..], &muted].concat();
    all.sort_unstable();
    let mut open = [&rendered[..], &["//within.png"]].concat();
    open.sort_unstable();
    for (name, required) in [
        ("muted", &rendered[..]),
        ("faded", &rendered),
        ("animated", &all),
        ("open", &open),
        ("channels", &rendered),
        ("channels_animated", &all),
    ] {
        let analysis = analyse(&folder.path().join(format!("{name}.blend"))).unwrap();
        let paths = |required: bool| {
            let missing = analysis.missing.iter().filter(|missing| missing.required || !required);
            let mut paths: Vec<&str> = missing.map(|missing| missing.path.as_str()).collect();
            paths.sort_unstable();
            paths
        };
        assert_eq!(paths(true), required, "{name}");
        assert_eq!(paths(false), all, "all are told of in {name}");
    }
}

const SAY_PATHS: &str = r#"
import bpy, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[-1])
for things in (bpy.data.images, bpy.data.libraries, bpy.data.sounds, bpy.data.fonts):
    for thing in things:
        if not getattr(thing, "library", None):
            print("PATH", thing.name, thing.filepath)
for strip in bpy.data.scenes["Shot"].sequence_editor.sequences_all if hasattr(
        bpy.data.scenes["Shot"].sequence_editor, "sequences_all") else (
        bpy.data.scenes["Shot"].sequence_editor.strips_all):
    print("PATH", strip.name, strip.directory if strip.type == "IMAGE" else strip.filepath)
"#;

#[test]
fn blender_reads_rewritten_paths() {
    let Some(folder) = made() else { return };
    let map = |path: &str| match path {
        "//strip/edit01.png" => Some("//moved/edit01.png".to_owned()),
        "//props.blend" | "//sound.wav" => None,
        _ => Some(format!("//moved/{}", path.rsplit(['/', '\\']).next()?)),
    };
    let copy = folder.join("lib/rewritten.blend");
    let mut bytes = Vec::new();
    let changed = rewrite_paths(&folder.join("main_compressed.blend"), &mut bytes, &map).unwrap();
    fs::write(&copy, bytes).unwrap();
    let script = folder.join("say_paths.py");
    fs::write(&script, SAY_PATHS).unwrap();
    let said = blender(&script, &[&copy]).unwrap();
    for line in [
        "PATH plain //moved/plain.png",
        "PATH win //moved/win.png",
        "PATH absolute //moved/sky.png",
        "PATH wall //moved/wall.<UDIM>.png",
        "PATH Letters //moved/letters.ttf",
        "PATH props.blend //props.blend",
        "PATH sound.wav //sound.wav",
        "PATH edit //moved/",
        "PATH cut //moved/film.mp4",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} is not in\n{said}");
    }
    let before = analyse(&folder.join("main.blend")).unwrap();
    let after = analyse(&copy).unwrap();
    assert_eq!(after.scene_info.start_frame, before.scene_info.start_frame);
    let moved = after.assets.iter().filter(|asset| asset.path.starts_with("//moved/")).count();
    assert!(changed >= moved && moved >= 18, "{changed} changed, {moved} moved");
    fs::remove_file(copy).unwrap();
}
