//! Paths that other machines understand.

use weft_tests::{Farm, installed, write_file};

use crate::by_hand::blender_by_hand;
use crate::jobs::Submission;
use crate::pictures::{assert_same, pictures};
use crate::sources::cube;
use crate::tiles::change;

#[test]
fn a_drive_of_another_machine_is_where_the_engine_says() {
    if !installed("blender") {
        return;
    }
    let Some(source) = cube("cube.blend") else { return };
    let scene = source.path().join("cube.blend");
    let expected = blender_by_hand(&scene, 1..=1);
    let drive = tempfile::tempdir().expect("there is room for a drive");
    let texture = std::fs::read(source.path().join("tex.png")).unwrap();
    write_file(drive.path().join("Show/textures/Wood.PNG"), texture);
    std::fs::remove_file(source.path().join("tex.png")).unwrap();
    let name = "for image in bpy.data.images:\n    if image.filepath:\n        \
                image.filepath = 'p:\\\\SHOW\\\\textures\\\\wood.png'";
    change(&source, "cube.blend", name);

    let map = |folder: &str| format!("[engine.blender.paths]\n'P:\\' = '{folder}'\n");
    let folder = drive.path().display().to_string();
    let farm = Farm::configured(2, |node| if node == 1 { map(&folder) } else { String::new() });
    let refused = farm.submission(2, &scene, &["-f", "1"]).run().ended_with(5);
    assert!(refused.stderr.contains("p:/SHOW/textures/wood.png"), "{}", refused.stderr);
    let job = Submission::of(source, "cube.blend").options(&["-f", "1"]).watch(&farm, 1);
    job.assert_completed(1);
    assert_same(&pictures(&job.out, "cube"), &expected);
}
