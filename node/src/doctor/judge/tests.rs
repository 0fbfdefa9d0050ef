//! Facts, and what is found in them.

use std::collections::BTreeMap;

use weft_protocol::retention::Watermarks;
use weft_protocol::time::Unix;

use super::*;
use crate::sandbox::{Mode, Protection};

const DAY: u64 = 24 * 3600 * 1000;
const NOW: u64 = 20_000 * DAY;

fn up() -> Up {
    Up {
        leader: Some("node2".into()),
        peers: 2,
        others: 3,
        clocks: [("node2".to_owned(), 40), ("node3".to_owned(), -2000)].into(),
        listening: vec!["/ip4/10.0.0.5/tcp/7920".into()],
        ..Up::default()
    }
}

fn held(protection: Protection, mode: Mode, lacks: &[&str]) -> Sandbox {
    let lacks = lacks.iter().map(ToString::to_string).collect();
    Sandbox { protection, mode, lacks, ..Sandbox::default() }
}

/// A machine on which all is well.
fn well() -> Facts {
    Facts {
        now: Unix(NOW),
        home: "/home/ada/weft".into(),
        member: member(NOW - 10 * DAY, NOW + 355 * DAY),
        config: None,
        daemon: Daemon::Up(up()),
        store: Ok(true),
        disk: Some((100 * GIB, 40 * GIB)),
        marks: Watermarks::default(),
        ports: BTreeMap::new(),
        mdns: Ok(()),
        names_peers: false,
        engines: [("demo".to_owned(), (false, Ok("0.1.0".to_owned())))].into(),
        sandbox: held(Protection::Bubblewrap("/usr/bin/bwrap".into()), Mode::Auto, &[]),
    }
}

fn member(issued: u64, expires: u64) -> Member {
    let (issued, expires) = (Unix(issued), Unix(expires));
    Member::Of { studio: "Pictures".into(), role: Role::Worker, issued, expires }
}

/// What is worse than ok of a check: its level, what it says, and how to mend it.
fn of(facts: &Facts, check: &str) -> (Level, String, String) {
    let all = judge(facts);
    let worst = all.iter().filter(|finding| finding.check == check).max_by_key(|f| f.level);
    let worst = worst.unwrap_or_else(|| panic!("{check} was not looked at: {all:#?}"));
    (worst.level, worst.what.clone(), worst.mend.clone().unwrap_or_default())
}

fn assert_problem(facts: &Facts, check: &str, what: &str, mend: &str) {
    let (level, said, mends) = of(facts, check);
    assert_eq!(level, Level::Problem, "{check}: {said}");
    assert!(said.contains(what) && mends.contains(mend), "{check}: {said}; {mends}");
    let others = judge(facts).into_iter().filter(|f| f.level == Level::Problem);
    assert!(others.clone().all(|other| other.check == check), "{:#?}", others.collect::<Vec<_>>());
}

fn with_up(change: impl FnOnce(&mut Up)) -> Facts {
    let mut up = up();
    change(&mut up);
    Facts { daemon: Daemon::Up(up), ..well() }
}

#[test]
fn all_is_well_where_nothing_is_wrong() {
    let findings = judge(&well());
    let worse: Vec<&Finding> = findings.iter().filter(|f| f.level != Level::Ok).collect();
    assert!(worse.is_empty(), "{worse:#?}");
}

#[test]
fn a_sandbox_that_is_missing_says_how_to_have_one() {
    let with = |protection, mode, lacks: &[&str]| Facts {
        sandbox: held(protection, mode, lacks),
        ..well()
    };
    for (lacks, mend) in [
        ("bubblewrap: there is no program bwrap in PATH", "install bubblewrap"),
        ("bubblewrap: No permissions to create new namespace", "namespaces"),
        ("bubblewrap: setting up uid map: Permission denied", "apparmor"),
        ("bubblewrap: something else", "must be mended"),
        ("weft.toml says sandbox = \"off\"", "a user of its own"),
    ] {
        let facts = with(Protection::None, Mode::Auto, &[lacks]);
        let (level, what, mends) = of(&facts, "sandbox");
        assert_eq!(level, Level::Note, "{what}");
        assert!(what.contains(lacks) && mends.contains(mend), "{lacks}: {what}; {mends}");
    }
    let missing = ["bubblewrap: there is no program bwrap in PATH"];
    let required = with(Protection::None, Mode::Required, &missing);
    assert_problem(&required, "sandbox", "required", "install bubblewrap");
    let less = with(Protection::Landlock(true), Mode::Required, &missing);
    assert_eq!(of(&less, "sandbox").0, Level::Note, "Landlock is a sandbox, if not a whole one");
}

#[test]
fn a_home_without_a_studio_or_with_a_damaged_one() {
    assert_problem(&Facts { member: Member::None, ..well() }, "studio", "no studio", "weft init");
    let damaged = Facts { member: Member::Damaged("it is damaged".into()), ..well() };
    assert_problem(&damaged, "studio", "damaged", "join anew");
}

#[test]
fn a_mistake_in_the_configuration() {
    let wrong = Facts { config: Some("weft.toml, line 3".into()), ..well() };
    assert_problem(&wrong, "config", "line 3", "correct");
}

#[test]
fn a_certificate_that_ends_has_ended_or_was_not_signed_yet() {
    let at = |issued, expires| Facts { member: member(issued, expires), ..well() };
    let soon = at(NOW - 350 * DAY, NOW + 15 * DAY);
    assert_problem(&soon, "certificate", "ends in 15 days", "admin's node");
    let ended = at(NOW - 366 * DAY, NOW - DAY);
    assert_problem(
        &ended,
        "certificate",
        "has ended; others still let this node in for 6",
        "admin's",
    );
    let long = at(NOW - 400 * DAY, NOW - 35 * DAY);
    assert_problem(&long, "certificate", "ended 35 days ago", "join anew");
    let future = at(NOW + 30 * DAY, NOW + 395 * DAY);
    assert_problem(&future, "certificate", "signed 30 days from now", "clock");
    let admin = Member::Of {
        studio: "Pictures".into(),
        role: Role::Admin,
        issued: Unix(0),
        expires: Unix(NOW + DAY),
    };
    let (_, _, mend) = of(&Facts { member: admin, ..well() }, "certificate");
    assert!(mend.contains("weft recover"), "{mend}");
    // A little ahead is no wrong clock: others' may be behind.
    assert_eq!(of(&at(NOW + DAY, NOW + 366 * DAY), "certificate").0, Level::Ok);
}

#[test]
fn a_daemon_that_is_down_or_silent() {
    let down = Facts { daemon: Daemon::Down, store: Ok(false), ..well() };
    assert_problem(&down, "daemon", "no node is running", "weft up");
    let silent = Daemon::Silent("no answer".into());
    let silent = Facts { daemon: silent, store: Ok(false), ..well() };
    assert_problem(&silent, "daemon", "no answer", "log");
}

#[test]
fn a_store_that_somebody_else_has_or_nobody_may_open() {
    let locked = Facts { daemon: Daemon::Down, ..well() };
    assert_eq!(of(&locked, "store").0, Level::Problem);
    assert!(of(&locked, "store").1.contains("another process"));
    let refused = Facts { store: Err("Permission denied".into()), ..well() };
    assert_problem(&refused, "store", "Permission denied", "user");
    assert_problem(&Facts { store: Ok(false), ..well() }, "store", "has not locked", "WEFT_HOME");
}

#[test]
fn a_disk_that_is_full_or_above_its_mark() {
    let with = |total, free| Facts { disk: Some((total, free)), ..well() };
    assert_problem(&with(4000 * GIB, GIB / 2), "disk", "0.5 GiB are left", "weft rm");
    assert_problem(
        &with(100 * GIB, 5 * GIB),
        "disk",
        "more than the high watermark, 90 %",
        "raise",
    );
    assert_eq!(of(&with(100 * GIB, 10 * GIB), "disk").0, Level::Ok);
    // Nothing that a system may say makes it stumble.
    for disk in [None, Some((0, 0)), Some((1, 5)), Some((u64::MAX, 0))] {
        _ = judge(&Facts { disk, ..well() });
    }
}

#[test]
fn ports_that_are_taken_and_addresses_that_nobody_reaches() {
    let ports = [("0.0.0.0:7920".to_owned(), Some("in use".to_owned()))].into();
    let taken = Facts { daemon: Daemon::Down, store: Ok(false), ports, ..well() };
    assert_eq!(of(&taken, "ports").0, Level::Problem);
    assert!(of(&taken, "ports").1.contains("0.0.0.0:7920 can't be listened on: in use"));
    let nowhere = with_up(|up| up.listening.clear());
    assert_problem(&nowhere, "ports", "nowhere", "--listen");
    let loopback = with_up(|up| up.listening = vec!["/ip4/127.0.0.1/tcp/7920".into()]);
    assert_eq!(of(&loopback, "ports").0, Level::Note);
}

#[test]
fn mdns_matters_where_nobody_is_found_otherwise() {
    let mdns = Err("Network is unreachable".to_owned());
    assert_eq!(of(&Facts { mdns: mdns.clone(), ..well() }, "mdns").0, Level::Note);
    let alone = Facts { mdns, ..with_up(|up| up.peers = 0) };
    let (level, what, mend) = of(&alone, "mdns");
    assert_eq!(level, Level::Problem, "{what}");
    assert!(what.contains("unreachable") && mend.contains("peers ="), "{what} {mend}");
}

#[test]
fn nobody_leads_and_nobody_is_connected() {
    assert_problem(&with_up(|up| up.leader = None), "leader", "nobody leads", "seconds");
    let alone = with_up(|up| up.peers = 0);
    assert_problem(&alone, "peers", "none of the 3 other members", "firewall");
    let only = with_up(|up| (up.peers, up.others) = (0, 0));
    assert_eq!(of(&only, "peers").0, Level::Ok);
}

#[test]
fn who_refuses_this_node_and_what_to_do_about_it() {
    for (why, mend) in [
        ("its certificate was revoked", "new identity"),
        ("the certificate has expired", "clock"),
        ("the certificate is for another studio", "another studio"),
        ("it is full", "log"),
    ] {
        let refused = with_up(|up| drop(up.refused_by.insert("node3".into(), why.into())));
        assert_problem(
            &refused,
            "refused",
            &format!("node3 does not let this node in: {why}"),
            mend,
        );
    }
}

#[test]
fn a_clock_that_differs_from_most_is_wrong() {
    let clocks = |clocks: &[(&str, i64)]| {
        with_up(|up| up.clocks = clocks.iter().map(|(n, ms)| ((*n).to_owned(), *ms)).collect())
    };
    let own = clocks(&[("a", 90_000), ("b", 91_000), ("c", 0)]);
    assert_problem(&own, "clock", "a is 90 s ahead, b is 91 s ahead", "NTP");
    let others = clocks(&[("a", -90_000), ("b", 0), ("c", 10)]);
    let (level, what, _) = of(&others, "clock");
    assert_eq!((level, what.as_str()), (Level::Note, "it agrees with most; a is 90 s behind"));
    assert_eq!(of(&clocks(&[]), "clock").0, Level::Note);
}

#[test]
fn a_node_that_takes_no_work_says_how_it_would() {
    let mends = [
        ("drained", "undrain"),
        ("hours", "--hours"),
        ("in_use", "--on-return"),
        ("benched", "unbench"),
        ("disk", "room"),
    ];
    for (closed, mend) in mends {
        let (level, what, mends) = of(&with_up(|up| up.closed = Some(closed.into())), "work");
        assert_eq!(level, Level::Note);
        assert!(what.contains(closed) && mends.contains(mend), "{what} {mends}");
    }
}

#[test]
fn an_engine_of_ones_own_that_cannot_be_used_is_wrong_and_another_is_not() {
    let with = |own| Facts {
        engines: [("maya".to_owned(), (own, Err("none was found".to_owned())))].into(),
        ..well()
    };
    assert_problem(&with(true), "engine", "maya can't be used: none was found", "weft.toml");
    let (level, _, mend) = of(&with(false), "engine");
    assert_eq!(level, Level::Note);
    assert!(mend.contains("[engine.maya]"), "{mend}");
}
