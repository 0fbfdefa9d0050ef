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
