//! What is set of nodes: drained, within hours, prices; and engines that find no licence.

use weft_tests::{Farm, in_status, wait_for, write_file};

use super::{END, HELD, assert_nothing_starts, go, wait_for_starts};

/// The document of a node by its number, as another one tells it.
fn node(farm: &Farm, asked: usize, number: usize) -> serde_json::Value {
    farm.node(asked).ask(&["node", farm.node(number).name()])
}

#[test]
fn a_drained_node_finishes_what_runs_and_gets_nothing_until_it_is_undrained() {
    let mut farm = Farm::found(2);
    let scene = farm.script("held", HELD);
    let job = farm.submit(1, &scene, &["-f", "1-6"]);
    wait_for_starts(&farm, 2);
    let drained = farm.node(1).ask(&["drain", "node2"]);
    assert_eq!((&drained["name"], &drained["copies"]), (&"node2".into(), &2.into()));
    let refused = farm.node(2).run(&["drain", "node2"]).ended_with(1);
    assert!(refused.stderr.contains("drained already"), "{refused:?}");
    let shown = node(&farm, 1, 2);
    assert_eq!((&shown["drained"], &shown["closed"]), (&true.into(), &"drained".into()));
    assert!(
        shown["drained_by"]["by"].is_string() && shown["drained_by"]["at"].is_u64(),
        "{shown:#}"
    );
    let listed = farm.node(2).run(&["nodes"]).ok().stdout;
    assert!(listed.contains("node2: drained by "), "{listed}");
    go(&farm);
    let done = farm.wait_for_end(&job, END);
    assert_eq!(done["status"], "completed", "{done:#}");
    let on = |document: &serde_json::Value, name: &str| {
        let frames = in_status(document, "done");
        frames.iter().filter(|frame| frame["node_name"] == name).count()
    };
    assert_eq!((on(&done, "node1"), on(&done, "node2")), (5, 1), "{done:#}");

    // It is a fact: whoever leads, and whoever was started anew, knows.
    farm.kill9_all(&[1, 2]);
    farm.start_all(&[1, 2]);
    farm.leader();
    assert_eq!(node(&farm, 2, 2)["drained"], true);
    _ = farm.node(2).run(&["drain", "node1"]).ok();
    let waits = farm.submit(2, &scene, &["-f", "1-2"]);
    let waiting = farm.wait_for_job(&waits, END, "it says why it waits", |job| {
        job["waiting_for"].as_str().is_some_and(|why| why.contains("2 are drained"))
    });
    assert_eq!(waiting["status"], "queued");
    farm.forget_starts();
    assert_nothing_starts(&farm, "both are drained");
    _ = farm.node(1).run(&["undrain", "node2"]).ok();
    let refused = farm.node(1).run(&["undrain", "node2"]).ended_with(1);
    assert!(refused.stderr.contains("not drained; nothing was changed"), "{refused:?}");
    assert_eq!(on(&farm.wait_for_end(&waits, END), "node2"), 2);
}

#[test]
fn what_is_set_of_a_node_overrides_its_configuration() {
    let configured = |number: usize| match number {
        2 => "[node]\ntags = [\"lab\"]\nprice_per_hour = 0.4\ncores = 1\n".to_owned(),
        _ => String::new(),
    };
    let farm = Farm::configured(2, configured);
    // What a machine can do is nothing that is set.
    let tags = |document: &serde_json::Value| {
        let all = document["tags"].as_array().cloned().unwrap_or_default();
        serde_json::Value::Array(all.into_iter().filter(|tag| tag != "sandbox").collect())
    };
    let before = node(&farm, 1, 2);
    assert_eq!(
        (tags(&before), &before["price_per_hour"]),
        (serde_json::json!(["lab"]), &0.4.into())
    );
    assert_eq!(before["hardware"]["cpu_cores"], 1);
    let set = ["node", "node2", "set", "--price", "1.25", "--tags", "night,fast", "--cores", "64"];
    _ = farm.node(1).run(&set).ok();
    let cores = farm.node(1).ask(&["hardware"])["cpu_cores"].clone();
    wait_for(END, "its advert says so", || {
        let now = node(&farm, 1, 2);
        let there = tags(&now) == serde_json::json!(["fast", "night"])
            && now["price_per_hour"] == 1.25
            && now["hardware"]["cpu_cores"] == cores;
        there.then_some(())
    });
    _ = farm.node(2).run(&["node", "node2", "set", "--price", "default", "--tags", "default"]).ok();
    wait_for(END, "its configuration counts again", || {
        let now = node(&farm, 1, 2);
        (tags(&now) == tags(&before) && now["price_per_hour"] == 0.4).then_some(())
    });
    let wrong = farm.node(1).run(&["node", "node2", "set", "--hours", "evenings"]).ended_with(2);
    assert!(
        wrong.stderr.contains("19-08") && wrong.stderr.contains("nothing was changed"),
        "{wrong:?}"
    );

    // An hour that is far from now, whatever the time is.
    _ = farm.node(1).run(&["drain", "node1"]).ok();
    let status = farm.node(2).ask(&["status"]);
    let (hour, minute) = status["local_time"].as_str().unwrap().split_once(':').unwrap();
    let minute: u64 = hour.parse::<u64>().unwrap() * 60 + minute.parse::<u64>().unwrap();
    let (from, until) = ((minute + 120) % 1440, (minute + 180) % 1440);
    let side = |minute: u64| format!("{}:{:02}", minute / 60, minute % 60);
    let hours = format!("{}-{}", side(from), side(until));
    _ = farm.node(1).run(&["node", "node2", "set", "--hours", &hours]).ok();
    wait_for(END, "it is outside its hours", || {
        (node(&farm, 1, 2)["closed"] == "hours").then_some(())
    });
    let scene = farm.script("quick", "echo fine >\"$OUTPUT\"");
    let job = farm.submit(1, &scene, &["-f", "1"]);
    farm.wait_for_job(&job, END, "it says why it waits", |job| {
        job["waiting_for"].as_str().is_some_and(|why| why.contains("outside the hours"))
    });
    _ = farm.node(1).run(&["node", "node2", "set", "--hours", "default"]).ok();
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
}

#[test]
fn a_refused_licence_puts_the_frame_back_and_is_no_failure() {
    let licence = "[engine.licensed]\nbase = \"script\"\nextensions = [\"licensed\"]\n\
                   [engine.licensed.log]\nlicence = ['no licence for (?<text>.*)']\n";
    let farm = Farm::configured(2, |_| licence.to_owned());
    let text = "if [ $NODE = node2 ] && [ ! -e \"$MARKS/seat\" ]; then\n\
                echo 'no licence for shiny 3'; exit 1\nfi\necho fine >\"$OUTPUT\"\n";
    let scene = write_file(farm.folder().join("scenes/shot.licensed"), text);
    _ = farm.node(1).run(&["drain", "node1"]).ok();
    let job = farm.submit(1, &scene, &["-f", "1-3", "--retries", "0"]);
    farm.wait_for_job(&job, END, "it waits for a licence", |job| {
        job["waiting_for"]
            .as_str()
            .is_some_and(|why| why.contains("licence") && why.contains("shiny 3"))
    });
    let listed = farm.node(1).run(&["nodes"]).ok().stdout;
    assert!(listed.contains("no licence of licensed"), "{listed}");
    assert_eq!(farm.starts(1).len(), 1, "it isn't asked for again at once");
    write_file(farm.marks().join("seat"), "");
    _ = farm.node(1).run(&["undrain", "node1"]).ok();
    let done = farm.wait_for_end(&job, END);
    assert_eq!(done["status"], "completed", "no failure was counted: {done:#}");
}
