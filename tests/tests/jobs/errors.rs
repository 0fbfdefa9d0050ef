//! What a frame failed of begins with what its renderer called an error.

use weft_tests::{Farm, write_file};

use super::END;

const ENGINES: &str = r#"
[engine.plain]
base = "runs"
extensions = ["plain"]
[engine.plain.log]
saved = []
error = ['^ERROR (?<text>.*)']

[engine.parts]
base = "plain"
extensions = ["parts"]
regions = "crop"
formats = { PNG = "png" }
default_format = "PNG"
args = ["{scene}", "{options}"]
[[engine.parts.options]]
when = "tile"
args = ["{tile.column}"]
"#;

/// Says what is wrong at first, and much else after that.
const FAILS: &str = "echo 'ERROR the scene has no camera'\nfor n in $(seq 1 400); do echo \"freed $n\"; done\nexit 3\n";

#[test]
fn what_a_renderer_calls_an_error_is_told_first() {
    let farm = Farm::configured(1, |_| ENGINES.to_owned());
    let scenes = farm.folder().join("scenes");
    let once = ["-f", "1", "--retries", "0"];
    let failure = |name: &str, text: &str, options: &[&str]| {
        let scene = write_file(scenes.join(name), text);
        let job = farm.submit(1, &scene, &[&once[..], options].concat());
        let document = farm.wait_for_end(&job, END);
        assert_eq!(document["status"], "failed", "{document:#}");
        let frame = document["frames"].as_array().and_then(|frames| frames.last()).cloned();
        frame.and_then(|frame| frame["error_message"].as_str().map(str::to_owned))
    };
    let why = failure("code.plain", FAILS, &[]).unwrap();
    let begins = "the scene has no camera; it ended with exit code 3\n";
    assert!(why.starts_with(begins) && why.ends_with("freed 400"), "{why}");

    // Whoever claims success with an error and without a file is believed the error.
    let why = failure("claims.plain", "echo 'ERROR no light'", &[]).unwrap();
    assert!(why.starts_with("no light; it claimed success"), "{why}");

    // A frame that is put together of tiles failed of what they did.
    let why = failure("tiled.parts", FAILS, &["--tiles", "2x1"]).unwrap();
    assert!(why.starts_with("tile ") && why.contains(begins), "{why}");
}
