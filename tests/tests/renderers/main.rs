//! Real renderers on a farm of three nodes: Blender and POV-Ray make the very pixels there that they
//! make by hand on one machine, and what they can't make is said.
//!
//! Where a renderer isn't installed its tests say so and pass, unless `WEFT_REQUIRE_RENDERERS=1` is
//! set; the same holds for the scenes outside of this repository and `WEFT_REQUIRE_SCENES=1`.

mod beside;
mod by_hand;
mod jobs;
mod paths;
mod pictures;
mod simulations;
mod sources;
mod tiles;

use std::path::Path;
use std::time::Duration;

use weft_tests::{Call, Farm, installed, wait_for};

use by_hand::{blender_by_hand, povray_by_hand};
use jobs::{Job, Submission, workers};
use pictures::{assert_same, picture, pictures};
use sources::{clevr, cube, linked, povray_shot, sequence};

/// The name of the scene that `make_linked.py` makes, in its folder.
const LINKED: &str = "shots/linked.blend";

#[test]
fn textured_scenes_render_on_every_node_as_by_hand() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(3);
    let (Some(plain), Some(compressed)) = (cube("cube.blend"), cube("cube_zstd.blend")) else {
        return;
    };
    let expected = blender_by_hand(&plain.path().join("cube.blend"), 1..=10);
    assert_ne!(expected[&1], expected[&10], "the cube turns");

    let job = Submission::of(plain, "cube.blend").options(&["-f", "1-10"]).watch(&farm, 2);
    job.assert_completed(10);
    assert_same(&pictures(&job.out, "cube"), &expected);
    assert_eq!(workers(&job.document).len(), 3, "every node renders: {:#}", job.document);

    // From a machine that is a member and runs no node.
    let laptop = farm.folder().join("laptop");
    let code = farm.invite(&["--role", "artist"]);
    _ = Call::new(&laptop, &["join", &code, "--name", "laptop"]).run().ok();
    let job = Submission::of(compressed, "cube_zstd.blend").options(&["-f", "3-5"]);
    let job = job.watch_from(&farm, &laptop, &farm.node(3).address());
    job.assert_completed(3);
    let expected = expected.into_iter().filter(|(frame, _)| (3..=5).contains(frame)).collect();
    assert_same(&pictures(&job.out, "cube_zstd"), &expected);
}

/// One that nobody made for weft, saved by Blender 2.77 first.
#[test]
fn a_scene_of_others_renders_as_by_hand_whole_and_in_tiles() {
    if !installed("blender") {
        return;
    }
    let Some(source) = clevr() else { return };
    let again = clevr();
    let expected = blender_by_hand(&source.path().join("shot.blend"), 1..=9);
    let farm = Farm::found(3);
    let job = Submission::of(source, "shot.blend").options(&["-f", "1-9"]).watch(&farm, 2);
    job.assert_completed(9);
    assert_same(&pictures(&job.out, "shot"), &expected);
    assert_eq!(workers(&job.document).len(), 3, "every node renders: {:#}", job.document);
    let options = ["-f", "1", "--tiles", "2x2", "--fresh"];
    let again = again.expect("it was there before");
    let job = Submission::of(again, "shot.blend").options(&options).watch(&farm, 1);
    assert_eq!(job.document["status"], "completed", "{:#}", job.document);
    let first = expected.into_iter().filter(|(frame, _)| *frame == 1).collect();
    assert_same(&pictures(&job.out, "shot"), &first);
}

#[test]
fn runs_of_frames_make_the_pictures_that_single_frames_make() {
    if !installed("blender") || !installed("povray") {
        return;
    }
    let farm = Farm::found(2);
    if let Some(source) = cube("cube.blend") {
        let expected = blender_by_hand(&source.path().join("cube.blend"), 1..=10);
        let options = ["-f", "1-10", "--frames-per-task", "4"];
        let job = Submission::of(source, "cube.blend").options(&options).watch(&farm, 2);
        job.assert_completed(10);
        assert_same(&pictures(&job.out, "cube"), &expected);
        // A single one is known as well as its end was noticed.
        let frames = job.document["frames"].as_array().unwrap();
        let took: f64 = frames.iter().map(|frame| frame["render_time"].as_f64().unwrap()).sum();
        assert!(took > 0.5, "frames take their time: {:#}", job.document);
    }
    let source = povray_shot();
    let expected = povray_by_hand(source.path(), "shot.pov", 1..=6, (120, 90));
    let size = ["--arg", "width=120", "--arg", "height=90"];
    let options = [&["-f", "1-6", "--frames-per-task", "3"], &size[..]].concat();
    let job = Submission::of(source, "shot.pov").options(&options).watch(&farm, 1);
    job.assert_completed(6);
    assert_same(&pictures(&job.out, "shot"), &expected);
}

#[test]
fn a_scene_takes_its_library_tiles_and_sequence_along() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(3);
    let relative = linked(false);
    let expected = blender_by_hand(&relative.path().join(LINKED), 1..=4);
    assert_ne!(expected[&1], expected[&2], "the sequence plays");

    let job = Submission::of(relative, LINKED).watch(&farm, 2);
    job.assert_completed(4);
    assert_same(&pictures(&job.out, "linked"), &expected);
    assert!(
        job.output.stderr.contains("unused.png")
            && job.output.stderr.contains("nothing shows that the render reads it"),
        "a missing file that nothing shows is a warning: {}",
        job.output.stderr
    );

    let absolute = linked(true);
    let before = std::fs::read(absolute.path().join(LINKED)).unwrap();
    assert!(holds(&before, absolute.path()), "the paths in it are absolute");
    // Its frames were rendered before, as its files are the same by now.
    let job = Submission::of(absolute, LINKED).options(&["--fresh"]).watch(&farm, 3);
    job.assert_completed(4);
    assert_same(&pictures(&job.out, "linked"), &expected);
}

#[test]
fn a_node_fetches_the_one_picture_of_a_sequence_that_its_frame_shows() {
    if !installed("blender") {
        return;
    }
    let mut farm = Farm::found(3);
    // Two hold all of the job's files, and render nothing; the third comes to do that.
    farm.stop(3);
    for number in [1, 2] {
        _ = farm.node(1).run(&["drain", farm.node(number).name()]).ok();
    }
    let (source, pictures) = sequence(100);
    let job = farm.submit(1, &source.path().join("shot.blend"), &["-f", "7"]);
    farm.start(3);
    let document = farm.wait_for_end(&job, Duration::from_secs(180));
    assert_eq!(document["frames_done"], 1, "{document:#}");
    assert_eq!(farm.node(3).has_files(&pictures), [6]);
    assert_eq!(farm.node(1).has_files(&pictures).len(), 100);
}

fn holds(bytes: &[u8], path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    bytes.windows(path.len()).any(|window| window == path)
}

#[test]
fn what_is_missing_is_listed_and_can_be_ignored() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(2);
    let source = linked(false);
    let expected = blender_by_hand(&source.path().join(LINKED), 1..=1);
    let lost = ["textures/thing.png", "textures/wall.1002.png", "textures/screen/run_0003.png"];
    for file in lost {
        std::fs::remove_file(source.path().join(file)).unwrap();
    }
    let scene = source.path().join(LINKED);
    let refused = farm.submission(1, &scene, &["-f", "1-4"]).run().ended_with(5);
    for file in lost {
        let name = file.rsplit('/').next().unwrap();
        assert!(refused.stderr.contains(name), "{name} is not listed: {}", refused.stderr);
    }
    assert!(refused.stderr.contains("nothing was submitted"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("unused.png"), "it isn't needed: {}", refused.stderr);
    assert_eq!(farm.node(1).ask(&["jobs", "--all"]).as_array().map(Vec::len), Some(0));

    let options = ["-f", "1", "--ignore-missing"];
    let job = Submission::of(source, LINKED).options(&options).watch(&farm, 1);
    job.assert_completed(1);
    assert!(job.output.stderr.contains("thing.png"), "a warning: {}", job.output.stderr);
    let there = pictures(&job.out, "linked");
    assert_ne!(there[&1], expected[&1], "what was lost shows");
}

#[test]
fn a_success_that_made_nothing_is_a_failure() {
    if !installed("blender") {
        return;
    }
    // Blender ends with 0 when it doesn't know a format, and writes another.
    let trusting = r#"
[engine.trusting]
executables = ["blender"]
extensions = ["blend"]
args = ["--factory-startup", "-b", "{scene}", "-o", "{work}/{name}_####", "-F", "NOPE", "-x", "1", "-f", "{frame}"]
formats = { NOPE = "nope" }
default_format = "NOPE"
outputs = ["{name}_{frame:04}.{ext}"]
home = true
"#;
    let farm = Farm::configured(1, |_| trusting.to_owned());
    let options = ["-f", "2", "--retries", "0"];
    let bare = [&options[..], &["-e", "trusting"]].concat();
    let job = Submission::of(linked(false), LINKED).options(&bare).watch(&farm, 1);
    let why = job.assert_failed(1);
    assert!(why.contains("claimed success") && why.contains("linked_0002.nope"), "{why}");

    for (option, known) in [
        (["--format", "NOPE"], "PNG"),
        (["--scene", "Nowhere"], "Scene"),
        (["--camera", "Nowhere"], "Other"),
        (["--view-layer", "Nowhere"], "ViewLayer"),
    ] {
        let source = linked(false);
        let wrong = [&options[..], &option].concat();
        let refused = farm.submission(1, &source.path().join(LINKED), &wrong).run().ended_with(2);
        assert!(refused.stderr.contains(known), "it says what there is: {}", refused.stderr);
    }
    // A graphics card that isn't there is no reason to render on the processor.
    for (device, ends) in [("METAL", false), ("CPU", true)] {
        let device = format!("device={device}");
        let asked = [&options[..], &["--arg", &device]].concat();
        let job = Submission::of(linked(false), LINKED).options(&asked).watch(&farm, 1);
        match ends {
            true => job.assert_completed(1),
            false => assert!(job.assert_failed(1).contains("no METAL device")),
        };
    }
    // The one that is there is the one that is rendered.
    let source = linked(false);
    let first = blender_by_hand(&source.path().join(LINKED), 2..=2);
    let other = [&options[..], &["--camera", "Other"]].concat();
    let job = Submission::of(source, LINKED).options(&other).watch(&farm, 1);
    job.assert_completed(1);
    assert_ne!(pictures(&job.out, "linked"), first);
}

/// Two scenes, of which the first has two view layers, each of a colour; and the same with one of them chosen.
const CHOICES: &str = r#"
import bpy, os, sys
both = sys.argv[-1]
first = bpy.context.scene
first.name = "First"
first.view_layers[0].name = "Red"
first.view_layers.new("Blue")
second = bpy.data.scenes.new("Second")
def shows(scene, name, color):
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.render.resolution_x, scene.render.resolution_y = 24, 16
    scene.camera = bpy.data.objects["Camera"]
    thing = bpy.data.objects.new(name, bpy.data.meshes.new_from_object(bpy.data.objects["Cube"]))
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    emission = material.node_tree.nodes.new("ShaderNodeEmission")
    emission.inputs["Color"].default_value = color
    out = material.node_tree.nodes["Material Output"]
    material.node_tree.links.new(emission.outputs[0], out.inputs["Surface"])
    thing.data.materials.clear()
    thing.data.materials.append(material)
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    collection.objects.link(thing)
for name, color in [("Red", (1, 0, 0, 1)), ("Blue", (0, 0, 1, 1))]:
    shows(first, name, color)
shows(second, "Green", (0, 1, 0, 1))
second.collection.objects.link(bpy.data.objects["Camera"])
bpy.data.objects.remove(bpy.data.objects["Cube"])
for layer in first.view_layers:
    layer.layer_collection.children["Blue" if layer.name == "Red" else "Red"].exclude = True
bpy.ops.wm.save_as_mainfile(filepath=both)
for name in ["Red", "Blue"]:
    for layer in first.view_layers:
        layer.use = layer.name == name
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(os.path.dirname(both), name + ".blend"))
bpy.context.window.scene = second
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(os.path.dirname(both), "Second.blend"))
"#;

#[test]
fn the_scene_and_the_view_layer_that_are_asked_for_are_rendered() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(1);
    let made = || {
        let source = sources::folder();
        sources::make(CHOICES, &source.path().join("both.blend"));
        source
    };
    let choices = [("--view-layer", "Red"), ("--view-layer", "Blue"), ("--scene", "Second")];
    let mut seen = Vec::new();
    for (option, name) in choices {
        let source = made();
        let chosen = source.path().join(name).with_extension("blend");
        let expected = blender_by_hand(&chosen, 1..=1);
        let options = ["-f", "1", option, name];
        let job = Submission::of(source, "both.blend").options(&options).watch(&farm, 1);
        job.assert_completed(1);
        assert_same(&pictures(&job.out, "both"), &expected);
        assert!(!seen.contains(&expected), "{name} has a colour of its own");
        seen.push(expected);
    }
}

#[test]
fn a_worker_that_dies_in_mid_frame_costs_only_its_attempt() {
    if !installed("blender") {
        return;
    }
    let mut farm = Farm::found(3);
    let leader = farm.leader();
    let (submitter, victim) = if leader == 3 { (1, 2) } else { (leader, 3) };
    let source = linked(false);
    let expected = blender_by_hand(&source.path().join(LINKED), 1..=4);
    // Enough paths that a frame takes long enough to be in the middle of it.
    let slow = ["-f", "1-4", "--arg", "samples=2000", "--scale", "200"];
    let submission = Submission::of(source, LINKED).options(&slow).start(&farm, submitter);
    let id = farm.node(victim).id();
    let (job, frame) = jobs::wait_until_rendering(&farm, &submission, &id);
    farm.kill9(victim);

    let job = submission.wait(&farm, job);
    job.assert_completed(4);
    let again = job.frame(frame);
    assert_ne!(again["node"], id.as_str(), "another node renders it: {again:#}");
    assert_eq!(pictures(&job.out, "linked").len(), 4);
    assert_ne!(picture(&job.out.join("linked_0001.png")), expected[&1], "twice the size");
    jobs::assert_no_renderer_left(farm.node(victim));
}

#[test]
fn povray_takes_its_include_along() {
    if !installed("povray") {
        return;
    }
    let farm = Farm::found(3);
    let source = povray_shot();
    let expected = povray_by_hand(source.path(), "shot.pov", 1..=3, (120, 90));
    assert_ne!(expected[&1], expected[&3], "the ball moves");
    let options = ["-f", "1-3", "--arg", "width=120", "--arg", "height=90"];
    let job: Job = Submission::of(source, "shot.pov").options(&options).watch(&farm, 1);
    job.assert_completed(3);
    assert_same(&pictures(&job.out, "shot"), &expected);

    let lonely = povray_shot();
    std::fs::remove_dir_all(lonely.path().join("parts")).unwrap();
    // It is asked for before anything is sent; whoever goes on without it hears from the renderer.
    let shot = lonely.path().join("shot.pov").display().to_string();
    let refused = farm.node(2).run(&["submit", &shot, "-f", "1"]).ended_with(5);
    assert!(refused.stderr.contains("parts/colours.inc"), "{}", refused.stderr);
    let options = ["-f", "1", "--retries", "0", "--ignore-missing"];
    let job = Submission::of(lonely, "shot.pov").options(&options).watch(&farm, 2);
    let why = job.assert_failed(1);
    assert!(why.contains("colours.inc"), "the end of the log names it: {why}");
}

#[test]
fn what_blender_writes_has_previews() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(1);
    for format in ["PNG", "JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER"] {
        let Some(source) = cube("cube.blend") else { return };
        let options = ["-f", "1", "--format", format];
        let job = Submission::of(source, "cube.blend").options(&options).watch(&farm, 1);
        job.assert_completed(1);
        let id = job.document["job"].as_str().expect("a job has an id");
        let path = format!("/v1/jobs/{id}/frames/1/preview");
        let preview = wait_for(Duration::from_secs(30), "its preview", || {
            let (head, body) = farm.node(1).fetch(&path)?;
            head.contains("200 OK").then_some(body)
        });
        let file = farm.folder().join("preview.png");
        std::fs::write(&file, preview).unwrap();
        let (width, height, colors) = picture(&file).seen();
        assert!(width.max(height) <= 256 && width.min(height) > 50, "{width} × {height}");
        assert!(colors > 100, "{format}: {colors} colours show no cube");
    }
}
