//! What Blender writes of a frame besides one picture in a format that weft chose: the scene's own format, a file for
//! each view, and what File Output nodes write.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use weft_tests::{Farm, installed};

use crate::by_hand::run;
use crate::jobs::Submission;
use crate::pictures::picture;
use crate::sources::{cube, folder, make};
use crate::tiles::{change, channels};

/// A stereo pair in EXR files, and two passes of which one lies in a folder of this machine's.
const MAKE: &str = r#"
import bpy, sys
scene = bpy.context.scene
render = scene.render
render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
render.resolution_x, render.resolution_y = 48, 32
render.image_settings.file_format, render.image_settings.color_depth = "OPEN_EXR", "32"
render.use_multiview = True
scene.frame_start, scene.frame_end = 1, 2
scene.use_nodes = True
tree = scene.node_tree
layers = tree.nodes["Render Layers"]
node = tree.nodes.new("CompositorNodeOutputFile")
node.base_path = "//../comp/"
node.format.file_format = "PNG"
node.file_slots[0].path = "v2/alpha2"
tree.links.new(layers.outputs["Alpha"], node.inputs[0])
node = tree.nodes.new("CompositorNodeOutputFile")
node.format.file_format = "PNG"
node.base_path = FAR + "/show/shot"
tree.links.new(layers.outputs["Image"], node.inputs[0])
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"#;

/// All files below a folder, by their ways from there.
fn files(folder: &Path) -> BTreeSet<String> {
    let (mut found, mut queue) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(at) = queue.pop() {
        for entry in std::fs::read_dir(&at).expect("folders can be listed").flatten() {
            match entry.path() {
                path if path.is_dir() => queue.push(path),
                path => {
                    let way = path.strip_prefix(folder).expect("it is below").to_string_lossy();
                    _ = found.insert(way.into_owned());
                }
            }
        }
    }
    found
}

#[test]
fn everything_that_blender_writes_of_a_frame_is_its_result() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(2);
    let (source, by_hand) = (folder(), tempfile::tempdir().expect("there is room"));
    let scene = source.path().join("shots/pair.blend");
    std::fs::create_dir(source.path().join("shots")).unwrap();
    let far = format!("{:?}", by_hand.path().display().to_string());
    make(&MAKE.replace("FAR", &far), &scene);
    let mut blender = Command::new("blender");
    blender.args(["--factory-startup", "-b"]).arg(&scene).arg("-o");
    blender.arg(by_hand.path().join("pair_####"));
    run(blender.args(["-x", "1", "-f", "1..2"]));
    let comp = source.path().join("comp");

    // Where each comes to lie, and what was written there by hand.
    let mut expected = BTreeSet::new();
    let mut pairs = Vec::new();
    for frame in ["0001", "0002"] {
        for view in ["_L", "_R"] {
            let name = format!("pair_{frame}{view}.exr");
            let pass = format!("v2/alpha2{frame}{view}.png");
            let far = format!("show/shot/Image{frame}{view}.png");
            pairs.push((name.clone(), by_hand.path().join(&name)));
            pairs.push((format!("passes/comp/{pass}"), comp.join(pass)));
            pairs.push((format!("passes/{far}"), by_hand.path().join(far)));
        }
    }
    expected.extend(pairs.iter().map(|(name, _)| name.clone()));
    let there: Vec<_> = pairs.iter().map(|(_, path)| path.clone()).collect();
    assert!(there.iter().all(|path| path.is_file()), "{there:?}, {:?}", files(by_hand.path()));
    let shown: Vec<_> = pairs
        .iter()
        .map(|(name, path)| {
            (
                name.ends_with("exr").then(|| channels(path)),
                name.ends_with("png").then(|| picture(path)),
            )
        })
        .collect();
    let tiles = farm.submission(1, &scene, &["--tiles", "2x2"]).run().ended_with(2);
    assert!(tiles.stderr.contains("several views"), "{}", tiles.stderr);
    assert!(tiles.stderr.contains("File Output"), "{}", tiles.stderr);

    let job = Submission::of(source, "shots/pair.blend").options(&["--frames-per-task", "2"]);
    let job = job.watch(&farm, 1);
    job.assert_completed(2);
    assert_eq!(files(&job.out), expected);
    assert_eq!(job.frame(2)["output"].as_array().map(Vec::len), Some(6), "{:#}", job.document);
    for ((name, _), (exr, png)) in pairs.iter().zip(shown) {
        let path = job.out.join(name);
        match exr {
            Some(exr) => assert_eq!(channels(&path), exr, "{name}"),
            None => assert_eq!(Some(picture(&path)), png, "{name}"),
        }
    }
}

#[test]
fn films_are_refused_with_the_way_out() {
    if !installed("blender") {
        return;
    }
    let Some(source) = cube("cube.blend") else { return };
    change(&source, "cube.blend", "scene.render.image_settings.file_format = 'FFMPEG'");
    let farm = Farm::found(1);
    let scene = source.path().join("cube.blend");
    let refused = farm.submission(1, &scene, &["-f", "1"]).run().ended_with(2);
    assert!(refused.stderr.contains("is a film (FFMPEG)"), "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing was submitted"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--format PNG"), "{}", refused.stderr);
    let options = ["-f", "1", "--format", "PNG", "--dry-run"];
    _ = farm.submission(1, &scene, &options).run().ok();
}
