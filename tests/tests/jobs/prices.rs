//! Profiles, what nodes and jobs cost, and how long is left.

use serde_json::Value;
use weft_tests::{Farm, in_status, wait_for, write_file};

use super::{END, HELD, go, wait_for_starts};

#[test]
fn a_profile_chooses_the_machines_and_their_prices() {
    let mut farm = Farm::configured(2, |number| match number {
        2 => "[node]\ntags = [\"lab\"]\n".to_owned(),
        _ => String::new(),
    });
    let names = |profiles: &Value| -> Vec<String> {
        let profiles = profiles.as_array().expect("it is a list").iter();
        profiles.map(|profile| profile["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let profiles = farm.node(2).ask(&["profiles"]);
    assert_eq!(names(&profiles), ["basic", "high_performance", "standard"]);
    let large = serde_json::json!({
        "name": "high_performance", "ram": 64.0, "cores": 24, "gpus": 2, "gpu_model": "RTX 4090",
        "price_per_hour": 2.5, "nodes": 0,
    });
    assert_eq!(profiles[1], large);

    // Every machine meets it, so that it says what an hour of each costs: it is the largest that they
    // meet, by its memory.
    let had = &farm.node(1).ask(&["hardware"]);
    let ram = had["ram"].as_f64().expect("a machine has memory") - 0.1;
    let ram = format!("{ram}");
    let set = ["profiles", "set", "ours", "--cores", "1", "--ram", &ram, "--price", "0.25"];
    let set = farm.node(1).ask(&set);
    assert_eq!((&set["nodes"], &set["copies"]), (&2.into(), &2.into()), "{set:#}");
    let priced = |number: usize| {
        farm.node(2).ask(&["node", farm.node(number).name()])["price_per_hour"].clone()
    };
    wait_for(END, "the profile's price counts", || {
        (priced(1) == 0.25 && priced(2) == 0.25).then_some(())
    });
    _ = farm.node(2).run(&["profiles", "set", "ours", "--price", "0.5"]).ok();
    wait_for(END, "another price counts", || (priced(1) == 0.5).then_some(()));
    let kept = &farm.node(1).ask(&["profiles"])[2];
    assert_eq!((&kept["name"], &kept["cores"]), (&"ours".into(), &1.into()), "{kept:#}");

    let scene = farm.script("quick", "echo fine >\"$OUTPUT\"");
    let unknown =
        farm.submission(1, &scene, &["-f", "1", "--hardware", "hers"]).run().ended_with(2);
    let said = "there is no profile 'hers'; nothing was submitted. There are: basic, ";
    assert!(unknown.stderr.contains(said), "{unknown:?}");
    _ = farm.node(1).run(&["profiles", "set", "huge", "--cores", "5000", "--gpus", "9"]).ok();
    let refused =
        farm.submission(1, &scene, &["-f", "1", "--hardware", "huge"]).run().ended_with(5);
    for line in [
        "5000 cores are asked, and the largest node has ",
        "  the engine 'script' 0: 2 nodes have it",
        "  5000 cores: the largest node has ",
        "  9 GPUs: the best node has ",
    ] {
        assert!(refused.stderr.contains(line), "{line}: {}", refused.stderr);
    }
    _ = farm.node(2).run(&["profiles", "rm", "huge"]).ok();
    let gone = farm.node(2).run(&["profiles", "rm", "huge"]).ended_with(1);
    assert!(gone.stderr.contains("no profile 'huge'; nothing was changed"), "{gone:?}");

    // The cheapest that fits gets the work, with a profile or without.
    _ = farm.node(1).run(&["node", "node1", "set", "--price", "2"]).ok();
    for options in [&["-f", "1"][..], &["-f", "1", "--hardware", "ours"]] {
        let job = farm.submit(1, &scene, options);
        let done = farm.wait_for_end(&job, END);
        assert_eq!(done["frames"][0]["node_name"], "node2", "{done:#}");
    }

    // Where the one that fits is off, it is waited for.
    farm.kill9_all(&[2]);
    farm.leader();
    let job = farm.submit(1, &scene, &["-f", "1", "--hardware", "ours", "--tag", "lab"]);
    farm.wait_for_job(&job, END, "it says whom it waits for", |job| {
        job["status"] == "queued" && job["waiting_for"] == "of the one node that fits 1 is off"
    });
    // So it is by a daemon that has not seen it since it was started.
    farm.kill9_all(&[1]);
    farm.start_all(&[1]);
    farm.leader();
    let known = farm.node(1).ask(&["node", "node2"]);
    assert_eq!((&known["alive"], &known["price_per_hour"]), (&false.into(), &0.5.into()));
    let next = farm.submit(1, &scene, &["-f", "1", "--hardware", "ours", "--tag", "lab"]);
    farm.wait_for_job(&next, END, "it is still waited for", |job| {
        job["waiting_for"] == "of the one node that fits 1 is off"
    });
    farm.start_all(&[2]);
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    assert_eq!(farm.wait_for_end(&next, END)["status"], "completed");
}

#[test]
fn a_job_says_what_it_costs_and_how_long_it_takes() {
    let farm = Farm::found(2);
    // A second of node 1 costs 1, one of node 2 costs 2.
    _ = farm.node(1).run(&["node", "node1", "set", "--price", "3600"]).ok();
    _ = farm.node(1).run(&["node", "node2", "set", "--price", "7200"]).ok();
    // The first two are let go alone, and the others together.
    let text =
        format!("while [ $FRAME -gt 2 ] && [ ! -e \"$MARKS/two\" ]; do sleep 0.05; done\n{HELD}");
    let scene = farm.script("held", &text);
    let job = farm.submit(1, &scene, &["-f", "1-8"]);
    wait_for_starts(&farm, 2);
    let known = |job: &Value| (job["eta_seconds"].is_null(), job["cost_expected"].is_null());
    let before = farm.job(&job);
    assert_eq!((known(&before), &before["cost_so_far"]), ((true, true), &0.0.into()), "{before:#}");
    let watching = farm.node(2).start_call(&["watch", &job]);
    wait_for(END, "who watches sees who is at which frame", || {
        let seen = watching.stderr();
        (seen.contains("node1: ") && seen.contains("node2: ")).then_some(())
    });
    go(&farm);
    let running = farm.wait_for_job(&job, END, "two are done, and two more run", |job| {
        let count = |status| in_status(job, status).len();
        job["frames_running"] == 2 && (count("done"), count("rendering")) == (2, 2)
    });
    let paid = |job: &Value| -> f64 {
        let price = |frame: &Value| if frame["node_name"] == "node1" { 1.0 } else { 2.0 };
        let done = in_status(job, "done");
        let costs = done.iter().map(|f| f["render_time"].as_f64().unwrap_or(0.0) * price(f));
        costs.sum()
    };
    let near = |number: &Value, expected: f64| {
        let number = number.as_f64().unwrap_or(f64::NAN);
        assert!((number - expected).abs() < 0.01, "{number} and not {expected}: {running:#}");
    };
    wait_for(END, "who watches sees what it costs", || {
        watching.stderr().contains(", cost ").then_some(())
    });
    near(&running["cost_so_far"], paid(&running));
    near(&running["cost_expected"], paid(&running) * 8.0 / 2.0);
    assert!(running["eta_seconds"].as_u64().is_some_and(|eta| eta > 0), "{running:#}");
    let listed = farm.node(2).run(&["jobs"]).ok().stdout;
    assert!(listed.contains(" of about "), "{listed}");
    let shown = farm.node(2).run(&["job", &job]).ok().stdout;
    assert!(shown.contains("cost ") && shown.contains("left "), "{shown}");
    write_file(farm.marks().join("two"), "");
    let done = farm.wait_for_end(&job, END);
    assert_eq!(
        (&done["cost_expected"], &done["eta_seconds"]),
        (&done["cost_so_far"], &Value::Null)
    );
    assert!((done["cost_so_far"].as_f64().unwrap_or(0.0) - paid(&done)).abs() < 0.01, "{done:#}");
    let watched = watching.wait(END).ok();
    assert_eq!(watched.stderr.matches(" is done on node").count(), 8, "{watched:?}");
    assert!(watched.stdout.contains(", for "), "{watched:?}");
}
