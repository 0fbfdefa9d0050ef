//! What an engine can do on some machines only, found by trying.

use weft_tests::{Farm, wait_for, write_file};

use super::END;

/// An engine whose jobs of the mode `GL` need what only the first node has, and one that no node has.
fn engines(node: usize) -> String {
    let engine = |name: &str, works: bool| {
        let trial = if works { "echo fine >\"$0\"" } else { "echo 'no display' >&2; exit 1" };
        format!(
            "[engine.{name}]\nbase = \"script\"\nextensions = [\"{name}\"]\n\
             default_arguments = {{ mode = \"plain\" }}\nenvironment = {{ MODE = \"{{arg.mode}}\" }}\n\
             [engine.{name}.abilities.gl]\nrenderers = [\"GL\"]\nargument = \"mode\"\n\
             args = [\"-c\", '''{trial}''', \"{{work}}/trial.txt\"]\noutput = \"trial.txt\"\n\
             hint = \"Give it a display.\"\n"
        )
    };
    let node_table = "[node]\ntrials_after = 0\n";
    format!("{node_table}{}{}", engine("able", node == 1), engine("unable", false))
}

#[test]
fn jobs_go_where_their_renderer_was_seen_to_work() {
    let farm = Farm::configured(2, engines);
    let able = farm.node(1).id();
    let tag = "can:able-gl";
    let nodes = wait_for(END, "one node was found to be able", || {
        let nodes = farm.node(2).ask(&["nodes"]);
        nodes.to_string().contains(tag).then_some(nodes)
    });
    for node in nodes.as_array().unwrap() {
        let tags: Vec<&str> =
            node["tags"].as_array().unwrap().iter().filter_map(|tag| tag.as_str()).collect();
        assert_eq!(tags.contains(&tag), node["node"] == able.as_str(), "{node:#}");
        assert!(!tags.contains(&"can:unable-gl"), "{node:#}");
    }
    let scene = |ending: &str| {
        let text = "echo \"$FRAME $MODE\" >\"$OUTPUT\"\n";
        write_file(farm.folder().join("scenes").join(format!("shot.{ending}")), text)
    };
    let job = farm.submit(2, &scene("able"), &["-f", "1-4", "--arg", "mode=GL"]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    for frame in document["frames"].as_array().unwrap() {
        assert_eq!(frame["node"], able.as_str(), "{document:#}");
    }
    let refused = farm.submission(1, &scene("unable"), &["-f", "1", "--arg", "mode=GL"]).run();
    let refused = refused.ended_with(5).stderr;
    for said in ["unable-gl", "no node was found to do that", "Give it a display.", "nothing was"] {
        assert!(refused.contains(said), "{said}: {refused}");
    }
    // What doesn't need it goes anywhere.
    let job = farm.submit(1, &scene("unable"), &["-f", "1"]);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
}
