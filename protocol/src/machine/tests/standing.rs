//! What keeps a node from taking work: drained, outside its hours, without a licence, with a full disk.

use super::*;
use crate::settings::{Change, NodeChange, Setting};
use crate::wire::control::Closed;

fn drain(node: NodeId, version: u64, whether: bool) -> Body {
    let change = Change::Node(node, NodeChange::Drained(whether));
    Body::Setting(Setting { version, at: Unix(0), by: "ada".into(), change })
}

#[test]
fn a_drained_node_takes_nothing_new_and_everybody_knows() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let (drained, asked) = (world.others(leader)[0], world.others(leader)[1]);
    assert_eq!(world.author(asked, 7, drain(drained, 1, true)), 2, "on two nodes");
    let (job, _) = world.submit(leader, spec(9));
    world.run(Duration::from_secs(6));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert!(world.starts.iter().all(|(node, _)| *node != drained), "{:?}", world.starts);
    for machine in world.nodes.values() {
        assert_eq!(machine.ledger.settings.drained(&drained).unwrap().by, "ada");
    }
    // Also when it is the leader who is started anew, and has it from its disk.
    world.kill(leader);
    world.start(leader);
    world.run(Duration::from_secs(6));
    world.starts.clear();
    world.author(leader, 8, drain(drained, 2, false));
    world.author(leader, 9, drain(leader, 1, true));
    world.author(leader, 10, drain(asked, 1, true));
    let (job, _) = world.submit(asked, JobSpec { nonce: [2; 16], ..spec(9) });
    world.run(Duration::from_secs(6));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 9);
    assert!(world.starts.iter().all(|(node, _)| *node == drained), "{:?}", world.starts);
}

#[test]
fn outside_its_hours_a_node_gets_nothing() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let other = world.others(leader)[0];
    world.give(other, Input::WithinHours(false));
    world.run(Duration::from_secs(2));
    let (job, _) = world.submit(leader, spec(5));
    world.run(Duration::from_secs(6));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert!(world.starts.iter().all(|(node, _)| *node == leader), "{:?}", world.starts);
    world.give(other, Input::WithinHours(true));
    world.run(Duration::from_secs(2));
    world.submit(leader, JobSpec { nonce: [2; 16], ..spec(9) });
    world.run(Duration::from_secs(6));
    assert!(world.starts.iter().any(|(node, _)| *node == other), "{:?}", world.starts);
}

#[test]
fn a_refused_licence_is_no_failure() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let other = world.others(leader)[0];
    world.refuses.insert(other);
    let (job, _) = world.submit(leader, spec(6));
    world.run(Duration::from_secs(8));
    // There are no retries: were one counted, the job would have failed.
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    let refused = world.starts.iter().filter(|(node, _)| *node == other).count();
    assert_eq!(refused, 1, "it isn't asked again at once: {:?}", world.starts);
    world.refuses.clear();
    world.run(Duration::from_secs(30));
    world.submit(leader, JobSpec { nonce: [2; 16], ..spec(9) });
    world.run(Duration::from_secs(8));
    let after = world.starts.iter().filter(|(node, _)| *node == other).count();
    assert!(after > 1, "{:?}", world.starts);
}

#[test]
fn a_full_disk_keeps_nobody_from_their_work_and_its_node_comes_back() {
    // Whichever it is: also the one to whom work would go first, and the leader.
    for full in 0..3 {
        let mut world = World::new(3);
        world.run(Duration::from_secs(5));
        let (leader, full) = (world.leader(), world.all()[full]);
        let other = world.all().into_iter().find(|node| *node != full && *node != leader).unwrap();
        world.full.insert(full);
        // It finds out by what the others know and it can't take in.
        let (job, _) = world.submit(other, spec(6));
        world.run(Duration::from_secs(20));
        let job_at = |world: &World, node| {
            let job = world.nodes[&node].ledger.jobs.get(&job);
            job.and_then(|job| status(job, status::Activity::default()))
        };
        assert_eq!(job_at(&world, other), Some(Status::Completed), "{full:?} of {leader:?}");
        assert!(world.starts.iter().all(|(node, _)| *node != full), "{:?}", world.starts);
        let claim = world.nodes[&other].election.claim().unwrap();
        assert_ne!(
            claim.leader, full,
            "who can't take facts in can't hand out what they are about"
        );
        let told = world.nodes[&claim.leader].leader.as_ref().unwrap().told(&full);
        // Who led before can't write the new term down, follows nobody, and gets nothing either.
        let said = (full != leader).then_some(Some(Closed::Disk));
        assert_eq!(told.map(|standing| standing.closed), said);

        world.full.clear();
        world.run(Duration::from_secs(15));
        assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
        world.submit(other, JobSpec { nonce: [2; 16], ..spec(9) });
        world.run(Duration::from_secs(8));
        assert!(world.starts.iter().any(|(node, _)| *node == full), "{:?}", world.starts);
    }
}

#[test]
fn who_leads_hands_in_to_nobody_whose_disk_is_full() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let (full, other) = (world.others(leader)[0], world.others(leader)[1]);
    world.author(leader, 7, drain(other, 1, true));
    world.full.insert(full);
    world.submit(leader, spec(1));
    let told = |world: &World| {
        let told = world.nodes[&leader].leader.as_ref().and_then(|leads| leads.told(&full));
        told.and_then(|standing| standing.closed)
    };
    while told(&world) != Some(Closed::Disk) {
        world.run(TICK);
        assert!(world.now < Time(60_000), "it never finds out");
    }
    // What was handed in to it before that waits in vain.
    world.run(HAND_IN_TIMEOUT);
    let (job, _) = world.submit(leader, JobSpec { nonce: [2; 16], ..spec(8) });
    while world.statuses(&job) != BTreeSet::from([None, Some(Status::Completed)]) {
        world.run(TICK);
        assert_eq!(told(&world), Some(Closed::Disk));
        let waiting: Vec<NodeId> =
            world.nodes[&leader].reported.values().map(|(to, ..)| *to).collect();
        assert_eq!(waiting, [], "the others answer at once");
    }
}
