//! Tasks that claim shares of a node.

use weft_tests::{Farm, in_status, wait_for, write_file};

use super::{END, assert_nothing_starts, go, wait_for_starts};

/// The script engine, whose tasks claim shares where nobody says otherwise.
const SHARED: &str = r#"
[engine.shared]
base = "script"
executables = ["sh"]
claim = "share"
environment = { THREADS = "{threads}", CARDS = "{gpus}" }
"#;

/// A scene each of whose frames ends once that is said of it, or of all.
const ONE_BY_ONE: &str = "echo \"$THREADS threads, cards $CARDS.\" >>\"$MARKS/shares\"
while [ ! -e \"$MARKS/go\" ] && [ ! -e \"$MARKS/go-$FRAME\" ]; do sleep 0.05; done
echo \"frame $FRAME\" >\"$OUTPUT\"\n";

#[test]
fn a_node_works_on_as_many_tasks_as_fit_and_keeps_itself_for_who_wants_all_of_it() {
    let farm = Farm::configured(1, |_| SHARED.to_owned());
    let node = || farm.node(1).ask(&["node", "node1"]);
    let cores = node()["hardware"]["cpu_cores"].as_u64().expect("a number");
    if cores < 2 {
        eprintln!("left out: this machine has one core, and nothing to share");
        return;
    }
    let scene = farm.script("small", ONE_BY_ONE);
    let asks = ["-e", "shared", "-f", "1-40", "--cores", "1", "--ram", "0.1"];
    let small = farm.submit(1, &scene, &asks);
    wait_for_starts(&farm, usize::try_from(cores).expect("few"));
    assert_nothing_starts(&farm, "all cores are claimed");
    let job = farm.wait_for_job(&small, END, "all of them run", |job| {
        job["frames_running"] == cores && in_status(job, "rendering").len() as u64 == cores
    });
    assert_eq!(job["claim"], serde_json::json!({ "cores": 1, "ram": 0.1, "gpus": 0 }));
    assert_eq!(in_status(&job, "rendering")[0]["claim"]["cores"], 1);
    let seen = node();
    assert_eq!((&seen["running"], &seen["free"]["cores"]), (&cores.into(), &0.into()), "{seen}");
    let tasks = seen["tasks"].as_array().expect("a list");
    assert_eq!(tasks.len() as u64, cores, "{seen}");
    let fits = |task: &serde_json::Value| task["claim"]["cores"] == 1 && task["job"] == *small;
    assert!(tasks.iter().all(fits), "{seen}");

    // Whoever wants the whole node gets it once the others are done, however many come behind.
    let whole = farm.script("whole", ONE_BY_ONE);
    let asks = ["-e", "script", "-f", "100", "--priority", "high"];
    let whole = farm.submit(1, &whole, &asks);
    farm.forget_starts();
    write_file(farm.marks().join("go-1"), "");
    let claimed = cores - 1;
    let why =
        format!("a whole node is needed; others have claimed {claimed} of {cores} cores of node1");
    farm.wait_for_job(&whole, END, "it says why it waits", |job| job["waiting_for"] == *why);
    assert_nothing_starts(&farm, "what is free is kept");
    for frame in 2..=cores {
        write_file(farm.marks().join(format!("go-{frame}")), "");
    }
    wait_for(END, "it has the node", || (farm.starts(100).len() == 1).then_some(()));
    assert_nothing_starts(&farm, "it has all of it");
    let seen = node();
    assert_eq!((&seen["running"], &seen["free"]["cores"]), (&1.into(), &0.into()), "{seen}");
    go(&farm);
    for job in [&small, &whole] {
        assert_eq!(farm.wait_for_end(job, END)["status"], "completed");
    }
    let said = std::fs::read_to_string(farm.marks().join("shares")).expect("they noted it");
    let shares = said.lines().filter(|line| *line == "1 threads, cards .").count();
    assert!(shares >= 40, "{said}");
}
