//! `weft doctor` on machines of a real farm.

use std::time::Duration;

use serde_json::Value;
use weft_tests::{Farm, wait_for};

/// How long what is wrong may take to be known.
const KNOWN: Duration = Duration::from_secs(60);

/// What was found of a check, the worst first.
fn found<'a>(report: &'a Value, check: &str) -> &'a Value {
    let findings = report["findings"].as_array().expect("it is a list").iter();
    let worst = findings.filter(|finding| finding["check"] == check).max_by_key(|finding| {
        ["ok", "note", "problem"].iter().position(|level| finding["level"] == *level)
    });
    worst.unwrap_or_else(|| panic!("{check} was not looked at: {report:#}"))
}

/// What the doctor says on a node, and that its exit status fits.
fn examine(farm: &Farm, number: usize) -> Value {
    let output = farm.node(number).run(&["doctor", "--json"]);
    let report = output.json();
    let wrong = |finding: &Value| finding["level"] == "problem";
    let well = !report["findings"].as_array().expect("it is a list").iter().any(wrong);
    assert_eq!((output.status, &report["well"]), (i32::from(!well), &well.into()), "{report:#}");
    report
}

#[test]
fn the_doctor_finds_what_is_wrong_with_a_daemon_and_without() {
    let absent =
        "[engine.absent]\nexecutables = [\"a-renderer-that-nobody-has\"]\nargs = [\"{scene}\"]\n";
    let mut farm = Farm::configured(3, |number| match number {
        3 => absent.to_owned(),
        _ => String::new(),
    });
    // All is well, but perhaps for the disk of whoever runs this.
    let report = examine(&farm, 1);
    let problems = report["findings"].as_array().expect("it is a list").iter();
    let problems: Vec<&Value> = problems
        .filter(|finding| finding["level"] == "problem" && finding["check"] != "disk")
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    for check in ["studio", "config", "certificate", "daemon", "store", "leader", "peers", "clock"]
    {
        assert_eq!(found(&report, check)["level"], "ok", "{report:#}");
    }
    let sandbox = found(&report, "sandbox");
    let said = farm.node(1).ask(&["hardware"])["sandbox"].clone();
    assert_eq!(sandbox["level"], if said["whole"] == true { "ok" } else { "note" }, "{sandbox:#}");
    let told = farm.node(1).run(&["doctor", "--peer", "node2", "--json"]).json();
    assert_eq!(told["name"], "node2");

    let engine = examine(&farm, 3);
    let engine = found(&engine, "engine");
    assert_eq!(engine["level"], "problem");
    let what = engine["what"].as_str().unwrap_or_default();
    assert!(what.contains("absent can't be used") && what.contains("a-renderer"), "{engine:#}");

    _ = farm.node(1).run(&["drain", "node2"]).ok();
    wait_for(KNOWN, "the node knows that it is drained", || {
        let report = examine(&farm, 2);
        let work = report["findings"].as_array()?.iter().find(|f| f["check"] == "work")?.clone();
        work["what"].as_str()?.contains("drained").then_some(())
    });

    // Who is revoked is told by whom, and what to do.
    _ = farm.node(1).run(&["revoke", "node3"]).ok();
    let refused = wait_for(KNOWN, "the revoked node learns that it is refused", || {
        let report = examine(&farm, 3);
        let found =
            report["findings"].as_array()?.iter().find(|f| f["check"] == "refused")?.clone();
        Some(found)
    });
    assert_eq!(refused["level"], "problem");
    assert!(refused["what"].as_str().is_some_and(|what| what.contains("revoked")), "{refused:#}");
    assert!(refused["mend"].as_str().is_some_and(|mend| mend.contains("join anew")), "{refused:#}");

    // A daemon that was stopped takes connections, and says nothing.
    #[cfg(unix)]
    {
        farm.stand_still(2, true);
        let jobs = farm.node(2).run(&["jobs"]).ended_with(3).stderr;
        farm.stand_still(2, false);
        assert!(jobs.contains("does not answer") && jobs.contains("stopped"), "{jobs}");
    }

    // Without a daemon it looks itself.
    farm.kill9_all(&[2]);
    let down = examine(&farm, 2);
    assert_eq!(found(&down, "daemon")["level"], "problem", "{down:#}");
    assert_eq!((&down["node"], &found(&down, "store")["level"]), (&Value::Null, &"ok".into()));
    let engines = down["findings"].as_array().expect("it is a list").iter();
    let usable = engines.filter(|f| f["check"] == "engine" && f["level"] == "ok");
    assert!(usable.clone().any(|f| f["what"].as_str().is_some_and(|w| w.starts_with("demo"))));
    let words = farm.node(2).run(&["doctor"]).ended_with(1).stdout;
    assert!(
        words.contains("no node is running") && words.contains("start it with `weft up`"),
        "{words}"
    );
    let alone = examine(&farm, 1);
    assert_eq!(found(&alone, "peers")["level"], "problem", "{alone:#}");
}
