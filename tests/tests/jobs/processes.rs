//! The processes of an engine: what starts them, and what they hold together.

use weft_tests::{Farm, write_file};

use super::END;

/// Holds 60 MB in each of two processes for a second at its first frame, and says that that is done while it works
/// on the second.
const HOLDS: &str = r#"
hold() { head -c 60000000 /dev/zero | tail -c 60000000 | { sleep 1; cat >/dev/null; }; }
if [ "$FRAME" = 1 ]; then hold & hold & wait; fi
echo "$FRAME, $WRAPPED" >"$OUTPUT"
"#;

#[test]
fn an_engine_is_started_by_its_wrapper_and_its_processes_memory_counts_together() {
    let engine = "[engine.wrapped]\nbase = \"runs\"\nextensions = [\"wrapped\"]\n\
                  wrapper = [\"env\", \"WRAPPED=by env\"]\n\
                  [engine.lost]\nbase = \"runs\"\nextensions = [\"lost\"]\nwrapper = [\"weft-no-such\"]\n";
    let farm = Farm::configured(1, |_| engine.to_owned());
    let scene = write_file(farm.folder().join("scenes/film.wrapped"), HOLDS);
    let job = farm.submit(1, &scene, &["-f", "1-2", "--frames-per-task", "2"]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    let to = farm.folder().join("out");
    _ = farm.node(1).call(&["outputs", &job, "--to"]).arg(&to).run().ok();
    farm.wait_for_files(&to, (1..=2).map(|frame| format!("film_{frame:04}.txt")));
    let second = std::fs::read_to_string(to.join("film_0002.txt")).expect("it was waited for");
    assert_eq!(second, "2, by env\n");
    // What is like it and was rendered says how long more will take: a run of two frames took a second at least.
    let planned = farm.submission(1, &scene, &["-f", "1-8"]).args(&["--dry-run", "--json"]);
    let planned = planned.run().ok().json();
    assert_eq!(planned["like"], job.as_str(), "{planned:#}");
    assert!(planned["expected_seconds"].as_u64().is_some_and(|all| all >= 4), "{planned:#}");
    if cfg!(target_os = "linux") {
        let held = document["frames"][0]["peak_memory"].as_u64().expect("it is known");
        assert!((100_000_000..400_000_000).contains(&held), "two of 60 MB held {held}");
    }

    let engines = farm.node(1).run(&["engines"]).ok().stdout;
    assert!(engines.contains("its wrapper was not found: weft-no-such"), "{engines}");
}

/// Holds 300 MB for three seconds.
const LARGE: &str = "head -c 300000000 /dev/zero | tail -c 300000000 | { sleep 3; cat >/dev/null; }\n\
                     echo \"$FRAME\" >\"$OUTPUT\"\n";

#[test]
#[cfg(target_os = "linux")]
fn what_was_killed_for_want_of_memory_goes_where_there_is_more() {
    // An eighth of a GiB: 134 MB.
    let farm = Farm::configured(2, |number| {
        if number == 1 { "[node]\nram = 0.125\n" } else { "" }.to_owned()
    });
    let scene = farm.script("large", LARGE);
    let job = farm.submit(1, &scene, &["-f", "1-3", "--retries", "1"]);
    let document = farm.wait_for_end(&job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    let starts: Vec<String> = (1..=3).flat_map(|frame| farm.starts(frame)).collect();
    let small = starts.iter().filter(|node| *node == "node1").count();
    assert_eq!((small, starts.len()), (1, 4), "tried on the small one once: {starts:?}");
}
