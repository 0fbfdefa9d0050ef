//! Frames that are rendered a second time, and compared.

use serde_json::Value;
use weft_tests::Farm;

use super::{END, done};

/// The built-in path tracer under another name; on one node it shows another frame than it says.
fn engine(number: usize, liar: usize) -> String {
    let frame = if number == liar { "$((FRAME + 9))" } else { "$FRAME" };
    format!(
        r#"[engine.traced]
base = "marked"
args = ["-c", '''"$0" demo-render --scene "$1" --frame {frame} --output "$OUTPUT" --threads "$2"''', "{{weft}}", "{{scene}}", "{{threads}}"]
"#
    )
}

fn checks(job: &Value) -> &[Value] {
    job["checks"].as_array().expect("a job has a list of checks")
}

#[test]
fn frames_that_differ_between_nodes_are_named_with_their_nodes() {
    let farm = Farm::configured(3, |number| engine(number, 3));
    let scene = farm.scene("ball", 24, 1);
    let job = farm.submit(1, &scene, &["-e", "traced", "-f", "1-6", "--check", "100"]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(
        (&document["status"], &document["frames_total"]),
        (&"completed".into(), &6.into()),
        "{document:#}"
    );
    assert_eq!(done(&document), (1..=6).collect());
    let liar = farm.node(3).id();
    let all = checks(&document);
    assert_eq!(all.len(), 6, "{document:#}");
    let mut caught = 0;
    for check in all {
        let nodes: Vec<&str> = check["nodes"]
            .as_array()
            .expect("it names nodes")
            .iter()
            .filter_map(|node| node["node"].as_str())
            .collect();
        assert!(nodes.len() == 2 && nodes[0] != nodes[1], "another node checks: {check:#}");
        let lied = nodes.contains(&liar.as_str());
        assert_eq!((&check["same"], &check["alike"]), (&Value::Bool(!lied), &true.into()));
        assert_eq!(check["differing"].as_u64() > Some(0), lied, "{check:#}");
        assert_eq!(check["pixels"], 24 * 24);
        caught += usize::from(lied);
    }
    assert!(caught > 0, "the third node did nothing: {document:#}");
    let warnings = document["warnings"].as_array().expect("a job has warnings");
    assert_eq!(warnings.len(), caught, "{warnings:?}");
    assert!(warnings.iter().all(|text| text.as_str().is_some_and(|text| text.contains("node3"))));
    let shown = farm.node(2).run(&["job", &job]).ok().stdout;
    assert!(shown.contains("warning: frame") && shown.contains("not the same"), "{shown}");

    // Two that are honest, and a share of the frames.
    _ = farm.node(1).run(&["drain", farm.node(3).name()]).ok();
    let job = farm.submit(2, &scene, &["-e", "traced", "-f", "1-4", "--check", "50"]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(
        (&document["status"], &document["warnings"]),
        (&"completed".into(), &Value::Array(vec![]))
    );
    assert_eq!(checks(&document).len(), 2);
    assert!(checks(&document).iter().all(|check| check["same"] == true), "{document:#}");
}

#[test]
fn a_node_alone_is_said_to_check_itself() {
    let farm = Farm::found(1);
    let scene = farm.scene("ball", 16, 1);
    let options = ["-e", "demo", "-f", "1-3", "--check", "50"];
    let planned = farm.submission(1, &scene, &options).args(&["--dry-run", "--json"]).run().ok();
    let planned: Value = serde_json::from_str(&planned.stdout).expect("it is JSON");
    let alone = |warnings: &Value| {
        let warnings = warnings.as_array().into_iter().flatten().filter_map(Value::as_str);
        warnings.filter(|text| text.contains("agrees with itself")).count()
    };
    assert_eq!(alone(&planned["warnings"]), 1, "{planned:#}");
    let document = farm.wait_for_end(&farm.submit(1, &scene, &options), END);
    assert_eq!(document["status"], "completed", "{document:#}");
    assert_eq!(alone(&document["warnings"]), 1, "{document:#}");
    let without =
        farm.submission(1, &scene, &options[..4]).args(&["--dry-run", "--json"]).run().ok();
    assert!(!without.stdout.contains("agrees with itself"), "{without:?}");
}
