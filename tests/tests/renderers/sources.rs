//! The folders that scenes are submitted from.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use weft_tests::{skip, write_file};

use crate::by_hand::run;

pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("weft-scene-").tempdir().expect("there is room for scenes")
}

/// A folder with one of the textured cubes, and its texture.
pub(crate) fn cube(scene: &str) -> Option<TempDir> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenes/cube");
    if !shared.is_dir() {
        skip(&format!("{} does not exist", shared.display()), "WEFT_REQUIRE_SCENES");
        return None;
    }
    let folder = folder();
    for file in [scene, "tex.png"] {
        // Not a copy of the file's rights: these are to be removed.
        write_file(
            folder.path().join(file),
            std::fs::read(shared.join(file)).expect("it is there"),
        );
    }
    Some(folder)
}

/// A folder with a scene that others made, `shot.blend`: the one that CLEVR's pictures are rendered from, with a
/// ball of a material that is linked from CLEVR's library.
pub(crate) fn clevr() -> Option<TempDir> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenes/blend/clevr");
    if !shared.is_dir() {
        skip(&format!("{} does not exist", shared.display()), "WEFT_REQUIRE_SCENES");
        return None;
    }
    let folder = folder();
    for file in ["base_scene.blend", "Rubber.blend"] {
        let bytes = std::fs::read(shared.join(file)).expect("it is there");
        write_file(folder.path().join(file), bytes);
    }
    let script = r"
import bpy, os, sys
shot = sys.argv[-1]
folder = os.path.dirname(shot)
bpy.ops.wm.open_mainfile(filepath=os.path.join(folder, 'base_scene.blend'))
bpy.ops.wm.save_as_mainfile(filepath=shot)
with bpy.data.libraries.load(os.path.join(folder, 'Rubber.blend'), link=True, relative=True) as (there, wanted):
    wanted.node_groups = there.node_groups[:1]
bpy.ops.mesh.primitive_uv_sphere_add(radius=1.0, location=(0, 0, 1))
material = bpy.data.materials.new('Ball')
material.use_nodes = True
nodes = material.node_tree.nodes
group = nodes.new('ShaderNodeGroup')
group.node_tree = wanted.node_groups[0]
surface = nodes['Material Output'].inputs['Surface']
material.node_tree.links.new(group.outputs[0], surface)
bpy.context.object.data.materials.append(material)
bpy.context.scene.cycles.samples = 8
bpy.ops.wm.save_mainfile()
";
    make(script, &folder.path().join("shot.blend"));
    std::fs::remove_file(folder.path().join("base_scene.blend")).expect("it was just written");
    Some(folder)
}

/// Has Blender make a scene by a script, whose last argument is where to save it.
pub(crate) fn make(script: &str, scene: &Path) {
    let mut blender = Command::new("blender");
    blender.args(["--factory-startup", "-b", "--python-exit-code", "1", "--python-expr", script]);
    run(blender.arg("--").arg(scene));
}

/// A folder with the scene that links a library, tiles and a sequence, which Blender makes.
pub(crate) fn linked(absolute: bool) -> TempDir {
    let folder = folder();
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "scenes", "make_linked.py"].iter().collect();
    let mut blender = Command::new("blender");
    blender.args(["--factory-startup", "-b", "--python-exit-code", "1", "--python"]);
    blender.arg(script).arg("--").arg(folder.path());
    if absolute {
        blender.arg("absolute");
    }
    run(&mut blender);
    folder
}

/// A folder with a scene, shot.blend, in which a sheet shows a sequence of so many pictures, and these.
pub(crate) fn sequence(count: usize) -> (TempDir, Vec<PathBuf>) {
    let folder = folder();
    let files = (1..=count).map(|number| {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 8, 8);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().expect("there is room");
        let light = u8::try_from(number).expect("at most 255 pictures");
        writer.write_image_data(&[light; 64]).expect("there is room");
        drop(writer);
        write_file(folder.path().join(format!("run/run_{number:04}.png")), bytes)
    });
    let files = files.collect();
    let script = r"
import bpy, os, sys
shot = sys.argv[-1]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.wm.save_as_mainfile(filepath=shot)
folder = os.path.join(os.path.dirname(shot), 'run')
image = bpy.data.images.load(os.path.join(folder, 'run_0001.png'))
image.source, image.filepath = 'SEQUENCE', '//run/run_0001.png'
bpy.ops.mesh.primitive_plane_add(size=2)
material = bpy.data.materials.new('Screen')
material.use_nodes = True
tree = material.node_tree
tree.nodes.clear()
texture, glow = tree.nodes.new('ShaderNodeTexImage'), tree.nodes.new('ShaderNodeEmission')
out = tree.nodes.new('ShaderNodeOutputMaterial')
texture.image = image
texture.image_user.frame_duration = len(os.listdir(folder))
texture.image_user.frame_start, texture.image_user.frame_offset = 1, 0
texture.image_user.use_auto_refresh = True
tree.links.new(texture.outputs['Color'], glow.inputs['Color'])
tree.links.new(glow.outputs['Emission'], out.inputs['Surface'])
bpy.context.object.data.materials.append(material)
camera = bpy.data.objects.new('Camera', bpy.data.cameras.new('Camera'))
camera.location = (0, 0, 2)
scene = bpy.context.scene
scene.collection.objects.link(camera)
scene.camera = camera
scene.frame_start, scene.frame_end = 1, len(os.listdir(folder))
scene.render.engine = 'CYCLES'
scene.render.resolution_x, scene.render.resolution_y = 32, 32
scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = 'CPU', 1, False
bpy.ops.wm.save_mainfile()
";
    make(script, &folder.path().join("shot.blend"));
    (folder, files)
}

/// A folder with an animation for POV-Ray, shot.pov, that includes parts/colours.inc.
pub(crate) fn povray_shot() -> TempDir {
    let folder = folder();
    let scene = r##"#version 3.7;
#include "parts/colours.inc"
global_settings { assumed_gamma 1.0 }
camera { location <0, 1, -4> look_at <0, 0.5, 0> }
light_source { <2, 4, -3> Warm }
plane { y, 0 pigment { checker Pale Deep } }
sphere { <clock - 0.5, 0.5, 0>, 0.5 pigment { Warm } }
"##;
    let colours = "#declare Warm = rgb <1, 0.7, 0.4>;\n#declare Pale = rgb <0.9, 0.9, 0.8>;\n\
                   #declare Deep = rgb <0.1, 0.3, 0.4>;\n";
    write_file(folder.path().join("shot.pov"), scene);
    write_file(folder.path().join("parts/colours.inc"), colours);
    folder
}
