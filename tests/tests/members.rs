//! Who belongs to a studio: members that are thrown out, and admins that come by the recovery key.

use std::collections::BTreeSet;
use std::time::Duration;

use weft_tests::{Farm, Node, wait_for};

const SOON: Duration = Duration::from_secs(60);

/// How many nodes a node sees that aren't dead, itself included.
fn alive(node: &Node) -> Option<usize> {
    let nodes = node.get("/v1/nodes")?;
    Some(nodes.as_array()?.iter().filter(|node| node["state"] != "dead").count())
}

#[test]
fn a_revoked_member_is_thrown_out_and_comes_back_only_as_another() {
    let mut farm = Farm::found(3);
    let forever = farm.script(
        "forever",
        "while [ ! -e \"$MARKS/go\" ]; do sleep 0.1; done; echo x >\"$OUTPUT\"\n",
    );
    let job = farm.submit(3, &forever, &["-f", "1-3"]);
    farm.wait_for_job(&job, SOON, "all three render", |job| job["frames_running"] == 3);
    // An engine notes its start a moment after its node says that it renders.
    let theirs: i64 = wait_for(SOON, "the third node renders one of them", || {
        (1..=3).find(|frame| farm.starts(*frame) == ["node3"])
    });

    // Whom it will dial when it is started again, thrown out.
    wait_for(SOON, "the third node has written down where both others are", || {
        let peers = std::fs::read_to_string(farm.node(3).home().join("peers")).ok()?;
        let known: BTreeSet<&str> =
            peers.lines().filter_map(|line| line.rsplit('/').next()).collect();
        (known.len() == 2).then_some(())
    });

    let id = farm.node(3).id();
    let revoked = farm.node(1).ask(&["revoke", &id, "--reason", "sold"]);
    assert!(revoked["copies"].as_u64() >= Some(2), "{revoked}");
    for number in [1, 2] {
        wait_for(SOON, "the others know it no more", || {
            let nodes = farm.node(number).get("/v1/nodes")?;
            (nodes.as_array()?.len() == 2).then_some(())
        });
    }
    // What it rendered is rendered by another, and what it says counts no more.
    std::fs::write(farm.marks().join("go"), "").unwrap();
    let document = wait_for(SOON, "the job is completed", || {
        farm.node(1).get(&format!("/v1/jobs/{job}")).filter(|job| job["status"] == "completed")
    });
    let starts = farm.starts(theirs);
    assert!(starts.len() == 2 && starts[1] != "node3", "{starts:?}");
    let done = document["frames"].as_array().unwrap();
    assert!(done.iter().all(|frame| frame["node_name"] != "node3"), "{document:#}");

    // Neither its daemon nor its command line is let in, now or after a restart.
    let address = farm.node(1).address();
    farm.stop(3);
    let refused = farm.node(3).run(&["--peer", &address, "jobs"]).ended_with(4);
    assert!(refused.stderr.contains("revoked"), "{refused:?}");
    farm.start(3);
    // It dials whom it knows every two seconds, and says what it hears.
    let status = wait_for(SOON, "both refuse it", || {
        let status = farm.node(3).get("/v1/status")?;
        (status["refused_by"].as_array()?.len() == 2).then_some(status)
    });
    let reason = &status["refused_by"][0]["reason"];
    assert!(reason.as_str().is_some_and(|reason| reason.contains("revoked")), "{status:#}");
    assert_eq!(status["peers"], 0);
    wait_for(SOON, "it is not seen", || (alive(farm.node(1))? == 2).then_some(()));
    let members = farm.node(2).ask(&["members"]);
    let it = members.as_array().unwrap().iter().find(|member| member["node"] == id.as_str());
    assert_eq!(it.map(|member| &member["revoked"]), Some(&true.into()), "{members:#}");

    // Under a new identity it is welcome.
    farm.stop(3);
    let number = farm.add("");
    let code = farm.invite(&[]);
    _ = farm.node(number).run(&["join", &code, "--name", "node4"]).ok();
    farm.start(number);
    farm.leader();
    let scene = farm.script("quick", "echo x >\"$OUTPUT\"\n");
    let job = farm.submit(number, &scene, &["-f", "1-6"]);
    assert_eq!(farm.wait_for_end(&job, SOON)["status"], "completed");
}

#[test]
fn the_recovery_key_makes_an_admin_when_all_are_lost() {
    let mut farm = Farm::found(2);
    // The founder's machine burns down.
    farm.kill9(1);
    let refused = farm.node(2).run(&["invite"]).ended_with(4);
    assert!(refused.stderr.contains("admin"), "{refused:?}");
    let key = farm.recovery_key().to_owned();
    _ = farm.node(2).run(&["recover", &key]).ok();
    farm.stop(2);
    farm.start(2);
    assert_eq!(farm.node(2).ask(&["status"])["role"], "admin");
    let code = farm.node(2).run(&["invite", "--uses", "2"]).ok().stdout.trim().to_owned();
    let joined = farm.add("");
    _ = farm.node(joined).run(&["join", &code, "--name", "node3"]).ok();
    farm.start(joined);
    farm.leader();
    let scene = farm.script("quick", "echo $NODE >\"$OUTPUT\"\n");
    let job = farm.submit(joined, &scene, &["-f", "1-4"]);
    assert_eq!(farm.wait_for_end(&job, SOON)["status"], "completed");

    // With that key an invite makes an admin as well, and it can throw the old one out.
    let invite = ["invite", "--role", "admin", "--recovery-key", &key];
    let code = farm.node(2).run(&invite).ok().stdout.trim().to_owned();
    let office = farm.add("");
    _ = farm.node(office).run(&["join", &code, "--name", "office"]).ok();
    farm.start(office);
    farm.leader();
    let founder = farm.founder()["node"].as_str().unwrap().to_owned();
    _ = farm.node(office).run(&["revoke", &founder]).ok();
    // Should it come back from the ashes, it is none of them any more.
    farm.start(1);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(farm.node(1).ask(&["status"])["peers"], 0);
    for number in [2, joined, office] {
        wait_for(SOON, "the three see each other alone", || {
            (alive(farm.node(number))? == 3).then_some(())
        });
    }
}
