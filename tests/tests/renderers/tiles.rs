//! Frames in tiles: put together they are the very picture that the whole frame is.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use weft_tests::{Farm, in_status, installed, write_file};

use crate::by_hand::run;
use crate::jobs::{Submission, workers};
use crate::pictures::{Picture, picture};
use crate::sources::{cube, povray_shot};

/// What Blender makes of a frame without dither, which tiles are rendered without too.
fn whole(scene: &Path, frame: i64, more: &str, format: &str) -> TempDir {
    let out = tempfile::tempdir().expect("there is room for temporary files");
    let set =
        format!("import bpy\nscene = bpy.context.scene\nscene.render.dither_intensity = 0\n{more}");
    let mut blender = Command::new("blender");
    blender.arg("--factory-startup").arg("-b").arg(scene).arg("-o").arg(out.path().join("f_####"));
    blender.args(["-F", format, "-x", "1", "--python-expr", &set, "-f", &frame.to_string()]);
    run(&mut blender);
    out
}

fn blender_frame(scene: &Path, frame: i64) -> Picture {
    let out = whole(scene, frame, "", "PNG");
    picture(&out.path().join(format!("f_{frame:04}.png")))
}

/// Has Blender change a scene, and save it in its place.
pub(crate) fn change(folder: &TempDir, scene: &str, script: &str) {
    let path = folder.path().join(scene);
    let script =
        format!("import bpy\nscene = bpy.context.scene\n{script}\nbpy.ops.wm.save_mainfile()");
    let mut blender = Command::new("blender");
    blender.args(["--factory-startup", "-b"]).arg(path).args(["--python-exit-code", "1"]);
    run(blender.args(["--python-expr", &script]));
}

#[test]
fn blender_frames_in_tiles_are_the_whole_frames_to_the_pixel() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(2);
    // 320 × 180: even, and in widths and heights that differ by one.
    for (tiles, frames) in [("2x2", "1-2"), ("3x7", "10")] {
        let Some(source) = cube("cube.blend") else { return };
        let scene = source.path().join("cube.blend");
        // A compositor that works on each pixel alone is no hindrance, nor is a node that is mute.
        let gamma = "scene.use_nodes = True\ntree = scene.node_tree\n\
                     layers, to = tree.nodes['Render Layers'], tree.nodes['Composite']\n\
                     gamma = tree.nodes.new('CompositorNodeGamma')\n\
                     gamma.inputs['Gamma'].default_value = 1.4\n\
                     tree.links.new(layers.outputs['Image'], gamma.inputs['Image'])\n\
                     tree.links.new(gamma.outputs['Image'], to.inputs['Image'])\n\
                     tree.nodes.new('CompositorNodeGlare').mute = True";
        change(&source, "cube.blend", gamma);
        if tiles == "3x7" {
            change(&source, "cube.blend", "scene.render.image_settings.color_depth = '16'");
        }
        let expected: Vec<(i64, Picture)> = match frames {
            "10" => vec![(10, blender_frame(&scene, 10))],
            _ => (1..=2).map(|frame| (frame, blender_frame(&scene, frame))).collect(),
        };
        let job = Submission::of(source, "cube.blend").options(&["-f", frames, "--tiles", tiles]);
        let job = job.watch(&farm, 1);
        assert_eq!(job.document["status"], "completed", "{:#}", job.document);
        assert_eq!(job.output.status, 0, "{:?}", job.output);
        assert_eq!(job.document["frames_total"], expected.len(), "tiles are no frames");
        assert_eq!(job.document["frames_done"], expected.len());
        let files: Vec<_> = std::fs::read_dir(&job.out).unwrap().flatten().collect();
        assert_eq!(files.len(), expected.len(), "tiles are not delivered: {files:?}");
        for (frame, expected) in expected {
            let there = picture(&job.out.join(format!("cube_{frame:04}.png")));
            assert!(there == expected, "frame {frame} in {tiles}");
        }
        assert!(job.output.stderr.contains("dither"), "it is said: {}", job.output.stderr);
        assert!(!workers(&job.document).is_empty());
        let joined = in_status(&job.document, "done").into_iter();
        let joined = joined.filter(|frame| frame["tile"].is_null());
        for frame in joined {
            assert_eq!(frame["copies"], 2, "{frame:#}");
        }
    }
    // What would not be the same picture is refused, and the way out is said.
    let Some(source) = cube("cube.blend") else { return };
    let refused = |source: &TempDir, options: &[&str], why: &str| {
        let options = [&["-f", "1", "--tiles", "2x2"], options].concat();
        let said = farm.submission(1, &source.path().join("cube.blend"), &options).run();
        let said = said.ended_with(2).stderr;
        assert!(said.contains(why), "{why:?} is not in {said}");
    };
    refused(&source, &["--format", "JPEG"], "JPEG");
    refused(&source, &["--arg", "engine=BLENDER_EEVEE"], "EEVEE");
    refused(&source, &["--arg", "samples=128"], "adaptive sampling");
    refused(&source, &["--arg", "denoising=on"], "denoising looks at");
    change(&source, "cube.blend", "scene.cycles.use_denoising = True");
    refused(&source, &[], "--arg denoising=off");
    let glare = "scene.use_nodes = True\nnodes = scene.node_tree\nglare = nodes.nodes.new('CompositorNodeGlare')";
    change(&source, "cube.blend", &format!("scene.cycles.use_denoising = False\n{glare}"));
    refused(&source, &[], "Glare");
    // It smooths its mask by what is around each pixel.
    let combine = "tree = scene.node_tree\nfor node in list(tree.nodes):\n    if node.type == 'GLARE': tree.nodes.remove(node)\n\
                   tree.nodes.new('CompositorNodeZcombine')";
    change(&source, "cube.blend", combine);
    refused(&source, &[], "Zcombine");
    change(&source, "cube.blend", "scene.use_nodes = False\nscene.render.use_stamp = True");
    refused(&source, &[], "metadata");
    change(
        &source,
        "cube.blend",
        "scene.render.use_stamp = False\nscene.render.use_freestyle = True",
    );
    refused(&source, &[], "Freestyle");
    let lossy = "scene.render.use_freestyle = False\n\
                 scene.render.image_settings.file_format = 'OPEN_EXR'\n\
                 scene.render.image_settings.exr_codec = 'DWAA'";
    change(&source, "cube.blend", lossy);
    refused(&source, &["--format", "OPEN_EXR"], "loses bits");
    let region = "scene.render.image_settings.file_format = 'PNG'\nscene.render.use_border = True";
    change(&source, "cube.blend", region);
    refused(&source, &[], "Render Region");
    let strip =
        "scene.sequence_editor_create().sequences.new_effect('a', 'COLOR', 1, 1, frame_end=9)";
    change(&source, "cube.blend", strip);
    refused(&source, &[], "sequencer");
    let eevee = "scene.render.use_sequencer = False\nscene.render.engine = 'BLENDER_EEVEE'";
    change(&source, "cube.blend", eevee);
    refused(&source, &[], "EEVEE");
}

/// Names, kinds and samples of every channel of an EXR file.
pub(crate) fn channels(path: &Path) -> Vec<(String, String)> {
    use exr::prelude::{ReadChannels, ReadLayers};
    let image = exr::prelude::read()
        .no_deep_data()
        .largest_resolution_level()
        .all_channels()
        .all_layers()
        .all_attributes()
        .from_file(path);
    let image = image.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut all = Vec::new();
    for layer in &image.layer_data {
        for channel in &layer.channel_data.list {
            let name =
                format!("{:?} {} {:?}", layer.attributes.layer_name, channel.name, layer.size);
            all.push((name, format!("{:?}", channel.sample_data)));
        }
    }
    all
}

#[test]
fn blender_exr_tiles_keep_half_float_and_every_channel() {
    if !installed("blender") {
        return;
    }
    let farm = Farm::found(1);
    let passes =
        "for layer in scene.view_layers: layer.use_pass_z = layer.use_pass_normal = True\n";
    for (format, depth) in [("OPEN_EXR", "16"), ("OPEN_EXR", "32"), ("OPEN_EXR_MULTILAYER", "32")] {
        let Some(source) = cube("cube.blend") else { return };
        let set = format!(
            "{passes}scene.render.image_settings.file_format = '{format}'\nscene.render.image_settings.color_depth = '{depth}'"
        );
        change(&source, "cube.blend", &set);
        let expected = whole(&source.path().join("cube.blend"), 3, "", format);
        let expected = channels(&expected.path().join("f_0003.exr"));
        assert!(expected.len() >= if format == "OPEN_EXR" { 3 } else { 8 }, "{}", expected.len());
        let options = ["-f", "3", "--tiles", "3x2", "--format", format];
        let job = Submission::of(source, "cube.blend").options(&options).watch(&farm, 1);
        assert_eq!(job.document["status"], "completed", "{:#}", job.document);
        assert_eq!(job.output.status, 0, "{:?}", job.output);
        let there = channels(&job.out.join("cube_0003.exr"));
        for (there, expected) in there.iter().zip(&expected) {
            assert_eq!(there.0, expected.0, "{format} {depth}");
            assert!(there.1 == expected.1, "{format} {depth}: {}", there.0);
        }
        assert_eq!(there.len(), expected.len());
    }
}

#[test]
fn povray_frames_in_tiles_are_the_whole_frames_to_the_pixel() {
    if !installed("povray") {
        return;
    }
    let farm = Farm::found(2);
    for (tiles, size) in [("2x2", (120, 90)), ("5x3", (121, 91))] {
        let source = povray_shot();
        let expected = crate::by_hand::povray_by_hand(source.path(), "shot.pov", 1..=2, size);
        let (width, height) = (format!("width={}", size.0), format!("height={}", size.1));
        let options = ["-f", "1-2", "--tiles", tiles, "--arg", &width, "--arg", &height];
        let job = Submission::of(source, "shot.pov").options(&options).watch(&farm, 2);
        assert_eq!(job.document["status"], "completed", "{:#}", job.document);
        assert_eq!(job.output.status, 0, "{:?}", job.output);
        for (frame, expected) in expected {
            assert!(picture(&job.out.join(format!("shot_{frame}.png"))) == expected, "{frame}");
        }
    }
}

#[test]
fn povray_exr_tiles_and_antialiasing_by_each_pixel_alone_make_the_whole() {
    if !installed("povray") {
        return;
    }
    let farm = Farm::found(1);
    let source = povray_shot();
    let by_hand = tempfile::tempdir().expect("there is room for temporary files");
    let mut povray = Command::new("povray");
    povray.current_dir(source.path()).args(["+Ishot.pov", "+FE", "-D", "-P", "+W101", "+H75"]);
    povray.args(["+A0.3", "+AM2", "+KFI1", "+KFF2"]);
    run(povray.arg(format!("+O{}/f", by_hand.path().display())));
    let size = ["--arg", "width=101", "--arg", "height=75", "--arg", "antialias_recursive=0.3"];
    let options = [&["-f", "1-2", "--tiles", "3x2", "--format", "EXR"], &size[..]].concat();
    let job = Submission::of(source, "shot.pov").options(&options).watch(&farm, 1);
    assert_eq!(job.document["status"], "completed", "{:#}", job.document);
    assert_eq!(job.output.status, 0, "{:?}", job.output);
    for frame in 1..=2 {
        let expected = channels(&by_hand.path().join(format!("f{frame}.exr")));
        let there = channels(&job.out.join(format!("shot_{frame}.exr")));
        assert!(there == expected, "frame {frame}");
    }
}

/// A stand-in that renders a tile of 1 × 1 pixels in a grey that tells which it is, or fails.
const GREY: &str = r#"
[engine.grey]
executables = ["sh"]
extensions = ["grey"]
args = ["-c", '''[ ! -e "$0.fails" ] || [ "$2" != 1 ] || exit 9; cp "$(dirname "$0")/pixel.png" "$1"''', "{scene}", "{output}", "{options}"]
formats = { PNG = "png" }
regions = "crop"

[[engine.grey.options]]
when = "tile"
args = ["{tile.column}"]
"#;

#[test]
fn a_tile_that_fails_fails_its_frame_and_a_retry_makes_all_of_it_anew() {
    let farm = Farm::configured(1, |_| GREY.to_owned());
    let folder = farm.folder().join("scenes");
    let scene = write_file(folder.join("a.grey"), "x");
    let fails = folder.join("a.grey.fails");
    write_file(fails.clone(), "x");
    let mut pixel = Vec::new();
    let mut encoder = png::Encoder::new(&mut pixel, 1, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(&[7]).unwrap();
    write_file(folder.join("pixel.png"), pixel);
    let assets = [folder.join("pixel.png"), fails.clone()].map(|file| file.display().to_string());
    let assets = ["--assets", &assets[0], "--assets", &assets[1]];
    let options = [&["-f", "1-2", "--tiles", "2x1", "--retries", "0"], &assets[..]].concat();
    let job = farm.submit(1, &scene, &options);
    let end = std::time::Duration::from_secs(60);
    let document = farm.wait_for_end(&job, end);
    assert_eq!(document["status"], "failed", "{document:#}");
    assert_eq!((&document["frames_total"], &document["frames_failed"]), (&2.into(), &2.into()));
    std::fs::remove_file(&fails).unwrap();
    let fine = [&["-f", "1-2", "--tiles", "2x1", "--test-frames", "2"], &assets[..2]].concat();
    let job = farm.submit(1, &scene, &fine);
    let document = farm.wait_for_end(&job, end);
    assert_eq!(document["status"], "completed", "{document:#}");
    _ = farm.node(1).run(&["retry", &job, "--frames", "1"]).ok();
    let again = |document: &serde_json::Value| {
        let frames = in_status(document, "done").into_iter();
        frames.filter(|frame| frame["generation"] == 1).count() == 3
    };
    let _ = farm.wait_for_job(&job, end, "two tiles and their picture are made anew", again);
    _ = farm.node(1).run(&["extend", &job, "--frames", "3"]).ok();
    let _ = farm.wait_for_job(&job, end, "the added frame is joined", |document| {
        document["frames_done"] == 3 && document["status"] == "completed"
    });
}
