//! What keeps a node from taking work: drained, outside its hours, without a licence.

use super::*;
use crate::settings::{Change, NodeChange, Setting};

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
