//! Simulations that nobody baked: one process renders all frames in order, and again from the first where one
//! is rendered anew.

use std::process::Command;

use tempfile::TempDir;
use weft_tests::{Farm, installed};

use crate::by_hand::{blender_by_hand, run};
use crate::jobs::{Submission, workers};
use crate::pictures::{Picture, assert_same, pictures};
use crate::sources::{folder, make};
use crate::tiles::change;

/// A cloth that falls onto a cube.
const MAKE: &str = r#"
import bpy, sys
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x, scene.render.resolution_y = 64, 48
scene.frame_start, scene.frame_end = 1, 8
bpy.ops.mesh.primitive_grid_add(size=3, location=(0, 0, 1.5), x_subdivisions=12, y_subdivisions=12)
bpy.ops.object.modifier_add(type="CLOTH")
bpy.data.objects["Cube"].modifiers.new("collision", "COLLISION")
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"#;

/// Smoke that rises in a box, with a cache that is filled by whoever plays the time line.
const SMOKE: &str = r#"
import bpy, sys
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x, scene.render.resolution_y = 48, 32
scene.frame_start, scene.frame_end = 1, 4
box = bpy.data.objects["Cube"]
box.scale = 2, 2, 2
box.modifiers.new("fluid", "FLUID").fluid_type = "DOMAIN"
domain = box.modifiers["fluid"].domain_settings
domain.domain_type, domain.resolution_max = "GAS", 12
box.data.materials[0].node_tree.nodes.clear()
nodes = box.data.materials[0].node_tree.nodes
volume, out = nodes.new("ShaderNodeVolumePrincipled"), nodes.new("ShaderNodeOutputMaterial")
volume.inputs["Density"].default_value = 20
box.data.materials[0].node_tree.links.new(volume.outputs[0], out.inputs["Volume"])
bpy.ops.mesh.primitive_uv_sphere_add(radius=0.5, location=(0, 0, -1))
source = bpy.context.object
source.modifiers.new("fluid", "FLUID").fluid_type = "FLOW"
flow = source.modifiers["fluid"].flow_settings
flow.flow_type, flow.flow_behavior = "SMOKE", "INFLOW"
source.hide_render = True
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
domain.cache_directory = "//cache"
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"#;

fn made(script: &str, name: &str) -> TempDir {
    let folder = folder();
    make(script, &folder.path().join(name));
    folder
}

#[test]
fn fluids_are_simulated_before_they_are_rendered() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(2);
    let source = made(SMOKE, "smoke.blend");
    let scene = source.path().join("smoke.blend");
    let without = blender_by_hand(&scene, 1..=4);
    std::fs::remove_dir_all(source.path().join("cache")).expect("Blender made its cache");
    // Who plays the time line has what is simulated in the cache, which renders read.
    let copy = || {
        let other = folder();
        std::fs::copy(&scene, other.path().join("smoke.blend")).expect("scenes can be copied");
        other
    };
    let (played, alone) = (copy(), copy());
    let play = "import bpy\nfor frame in range(1, 5): bpy.context.scene.frame_set(frame)";
    let mut blender = Command::new("blender");
    blender.args(["--factory-startup", "-b"]).arg(played.path().join("smoke.blend"));
    run(blender.args(["--python-exit-code", "1", "--python-expr", play]));
    let expected = blender_by_hand(&played.path().join("smoke.blend"), 1..=4);
    assert_ne!(expected[&4], without[&4], "a render alone simulates nothing");
    assert_ne!(expected[&4], expected[&2], "the smoke moves");

    let job = Submission::of(source, "smoke.blend").watch(&farm, 1);
    job.assert_completed(4);
    assert!(job.output.stderr.contains("not baked (Cube: fluid)"), "{}", job.output.stderr);
    // Two simulations of one fluid aren't the same to the bit.
    let alike = |there: &Picture, frame: i64| {
        let (near, far) = (there.distance(&expected[&frame]), there.distance(&without[&frame]));
        assert!(
            near * 4.0 < far,
            "frame {frame}: {near} from what it should be, {far} from nothing"
        );
    };
    let there = pictures(&job.out, "smoke");
    assert_eq!(there.len(), 4);
    (2..=4).for_each(|frame| alike(&there[&frame], frame));
    // One frame alone is as good, and what is in the cache already travels with the scene.
    let job = Submission::of(alone, "smoke.blend").options(&["-f", "4", "--fresh"]).watch(&farm, 2);
    job.assert_completed(1);
    alike(&pictures(&job.out, "smoke")[&4], 4);
    let job =
        Submission::of(played, "smoke.blend").options(&["-f", "3", "--fresh"]).watch(&farm, 2);
    job.assert_completed(1);
    assert_eq!(pictures(&job.out, "smoke")[&3], expected[&3]);
}

#[test]
fn a_cache_is_found_also_where_its_folder_is_named_from_the_root() {
    if !installed("blender") {
        return;
    }
    let source = folder();
    let scene = source.path().join("shots/smoke.blend");
    std::fs::create_dir(source.path().join("shots")).unwrap();
    make(SMOKE, &scene);
    // Beside the scene's own folder, with nothing in it but folders.
    let cache = format!("{:?}", source.path().join("cache/fluid").display().to_string());
    let bake = format!(
        "cube = bpy.data.objects['Cube']\ndomain = cube.modifiers['fluid'].domain_settings\n\
         domain.cache_directory, domain.cache_type, domain.cache_frame_end = {cache}, 'ALL', 4\n\
         bpy.context.view_layer.objects.active = cube\nbpy.ops.fluid.bake_all()"
    );
    change(&source, "shots/smoke.blend", &bake);
    let expected = blender_by_hand(&scene, 3..=4);
    std::fs::rename(source.path().join("cache"), source.path().join("gone")).unwrap();
    assert_ne!(blender_by_hand(&scene, 4..=4)[&4], expected[&4], "the cache is what shows");
    std::fs::rename(source.path().join("gone"), source.path().join("cache")).unwrap();

    let farm = Farm::found(1);
    let job = Submission::of(source, "shots/smoke.blend").options(&["-f", "3-4"]).watch(&farm, 1);
    job.assert_completed(2);
    assert_same(&pictures(&job.out, "smoke"), &expected);
}

#[test]
fn frames_of_a_simulation_are_rendered_in_order_also_when_some_are_rendered_anew() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(2);
    let source = made(MAKE, "cloth.blend");
    let scene = source.path().join("cloth.blend");
    let expected = blender_by_hand(&scene, 1..=8);
    assert_ne!(blender_by_hand(&scene, 7..=8)[&8], expected[&8], "the order matters");
    let tiles = farm.submission(1, &scene, &["--tiles", "2x2"]).run().ended_with(2);
    assert!(tiles.stderr.contains("not baked (Grid: cloth)"), "{}", tiles.stderr);

    let job = Submission::of(source, "cloth.blend").watch(&farm, 1);
    job.assert_completed(8);
    assert!(job.output.stderr.contains("not baked (Grid: cloth)"), "{}", job.output.stderr);
    assert_eq!(workers(&job.document).len(), 1, "one node: {:#}", job.document);
    assert_same(&pictures(&job.out, "cloth"), &expected);

    let id = job.document["job"].as_str().expect("a job has an id");
    _ = farm.node(2).run(&["retry", id, "--frames", "6,8"]).ok();
    let anew = |document: &serde_json::Value| {
        let frames = document["frames"].as_array().into_iter().flatten();
        frames.filter(|frame| frame["generation"] == 1 && frame["status"] == "done").count() == 2
    };
    let document = farm.wait_for_job(id, crate::jobs::END, "two frames are rendered anew", anew);
    let hashes = |document: &serde_json::Value| -> Vec<serde_json::Value> {
        let frames = document["frames"].as_array().expect("a job has frames").iter();
        frames.map(|frame| frame["output"][0]["hash"].clone()).collect()
    };
    let (before, after) = (hashes(&job.document), hashes(&document));
    let changed = (0..8).filter(|at| before[*at] != after[*at]).collect::<Vec<_>>();
    assert_eq!(changed, [5, 7], "Blender writes the time into its files");
    let out = farm.folder().join("anew");
    let to = out.display().to_string();
    _ = farm.node(1).run(&["outputs", id, "--to", &to]).ok();
    assert_same(&pictures(&out, "cloth"), &expected);
}
