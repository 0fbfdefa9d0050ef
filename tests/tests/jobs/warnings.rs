//! What renderers warn of, on the frames that it concerns.

use serde_json::{Value, json};
use weft_tests::{Farm, wait_for, write_file};

use super::END;

/// Warns as it loads and of its second frame, and is full of words at the third.
const SCENE: &str = r#"
[ $FRAME = 1 ] && printf 'WARN scripts are off\t\nWARN scripts are off\n'
[ $FRAME = 2 ] && echo "WARN a texture is missing"
[ $FRAME = 3 ] && for n in $(seq 1 100); do echo "WARN number $n"; done
echo "$FRAME" >"$OUTPUT"
"#;

fn warnings(job: &Value) -> Vec<Value> {
    job["frames"].as_array().into_iter().flatten().map(|frame| frame["warnings"].clone()).collect()
}

#[test]
fn warnings_of_a_renderer_are_on_its_frames_on_every_node() {
    let engine = "[engine.careful]\nbase = \"runs\"\nextensions = [\"careful\"]\n\
                  [engine.careful.log]\nwarning = ['^WARN (?<text>.*)']\n";
    let farm = Farm::configured(2, |_| engine.to_owned());
    let scene = write_file(farm.folder().join("scenes/film.careful"), SCENE);
    let job = farm.submit(1, &scene, &["-f", "1-3", "--frames-per-task", "3"]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    for node in [1, 2] {
        let said = wait_for(END, "warnings are known", || {
            let said = warnings(&farm.node(node).ask(&["job", &job]));
            said.iter().all(|texts| *texts != json!([])).then_some(said)
        });
        // Nobody tells when the first frame begins: what is said before it is saved concerns all.
        assert_eq!(said[0], json!(["scripts are off"]));
        assert_eq!(said[1], json!(["scripts are off", "a texture is missing"]));
        let many = said[2].as_array().unwrap();
        assert_eq!((many.len(), &many[7]), (8, &json!("number 7")), "{many:?}");
        let words = farm.node(node).run(&["job", &job]).ok().stdout;
        assert!(words.contains("warning, frame 1-3: scripts are off\n"), "{words}");
        assert!(words.contains("warning, frame 2: a texture is missing\n"), "{words}");
        assert!(words.contains("4 further warnings"), "{words}");
    }

    // Where a frame failed for good, what was warned of stands there as well.
    let scene = write_file(
        farm.folder().join("scenes/fails.careful"),
        "[ $FRAME = 1 ] && echo 'WARN the cache is old' && exit 3\necho x >\"$OUTPUT\"\n",
    );
    let job = farm.submit(2, &scene, &["-f", "1-2", "--retries", "1"]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["frames"][0]["status"], "failed", "{document:#}");
    for node in [1, 2] {
        let said = wait_for(END, "its warnings are known", || {
            let said = warnings(&farm.node(node).ask(&["job", &job]));
            said.iter().any(|texts| *texts != json!([])).then_some(said)
        });
        assert_eq!(said, [json!(["the cache is old"]), json!([])]);
    }
}
