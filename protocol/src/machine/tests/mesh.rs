//! Whom a node wants to be connected to.

use super::*;

fn id(n: u8) -> NodeId {
    NodeId([n; 32])
}

/// A node of two that lead each other nowhere, which has heard of so many more that it is not connected to.
fn large(others: u8) -> (World, NodeId) {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let me = *world.nodes.keys().next().unwrap();
    let machine = world.nodes.get_mut(&me).unwrap();
    machine.mesh = Mesh { full: 4, neighbours: 6 };
    for n in 0..others {
        machine.contacts.insert(id(n), vec![format!("/memory/{}", 100 + u32::from(n))]);
    }
    (world, me)
}

fn dialled(world: &mut World, node: NodeId) -> Vec<NodeId> {
    let machine = world.nodes.get_mut(&node).unwrap();
    machine.to_dial().into_iter().map(|(node, _)| node).collect()
}

#[test]
fn in_a_small_studio_everybody_is_sought() {
    let (mut world, me) = large(3);
    assert!(!world.nodes[&me].is_large(), "three and the one that is connected");
    assert_eq!(dialled(&mut world, me), [id(0), id(1), id(2)]);
}

#[test]
fn in_a_large_one_as_many_as_are_missing_and_those_that_are_there_first() {
    let (mut world, me) = large(50);
    assert_eq!(dialled(&mut world, me).len(), 5, "one is connected");
    for n in 10..14 {
        world.nodes.get_mut(&me).unwrap().membership.told(Time(0), id(n));
    }
    let sought = dialled(&mut world, me);
    assert!((10..14).all(|n| sought.contains(&id(n))), "{sought:?}");
    assert_eq!(sought.len(), 5);
    let machine = world.nodes.get_mut(&me).unwrap();
    machine.connected.extend((20..40).map(id));
    let sought = dialled(&mut world, me);
    assert_eq!(sought.len(), 1, "there are enough, and one of those that seem to be off is tried");
    let machine = &world.nodes[&me];
    assert_eq!(machine.membership.liveness(&sought[0]), Liveness::Dead);
}

#[test]
fn the_leader_is_always_sought_and_named_to_all() {
    let (mut world, me) = large(0);
    let leader = world.nodes[&me].election.claim().expect("somebody leads").leader;
    let follower = *world.nodes.keys().find(|node| **node != leader).unwrap();
    let machine = world.nodes.get_mut(&follower).unwrap();
    machine.mesh = Mesh { full: 4, neighbours: 6 };
    for n in 0..=250 {
        machine.contacts.insert(id(n), vec!["/memory/9".into()]);
        machine.membership.told(Time(0), id(n));
    }
    machine.connected = (0..30).map(id).collect();
    assert_eq!(dialled(&mut world, follower), [leader], "though it has enough others");
    let machine = world.nodes.get_mut(&follower).unwrap();
    let told = machine.acquaintances(id(77));
    assert_eq!(told[0].0, leader);
    assert_eq!(told.len(), super::super::peers::MAX_KNOWN);
    assert!(told.iter().all(|(node, _)| *node != id(77)), "it has not introduced itself");
    assert_ne!(told, machine.acquaintances(id(77)), "each time others");
}

#[test]
fn who_is_heard_of_only_counts_as_there_in_a_large_studio() {
    let (mut world, me) = large(50);
    let other = *world.nodes.keys().find(|node| **node != me).unwrap();
    // A member that this node was never connected to.
    let stranger = KeyPair::from_secret(&[9; 32]);
    let chain = world.chain(stranger.public());
    let now = world.now;
    let machine = world.nodes.get_mut(&me).unwrap();
    machine.hear_of(now, stranger.public());
    assert_eq!(machine.membership.liveness(&stranger.public()), Liveness::Dead, "no member");
    machine.ledger.members.add(&chain);
    machine.hear_of(now, stranger.public());
    assert_eq!(machine.membership.liveness(&stranger.public()), Liveness::Alive);
    let small = world.nodes.get_mut(&other).unwrap();
    small.ledger.members.add(&chain);
    small.hear_of(now, stranger.public());
    assert_eq!(small.membership.liveness(&stranger.public()), Liveness::Dead);
}

#[test]
fn who_has_lost_a_leader_that_others_see_is_told_where_it_is() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let [asks, sees] = world.others(leader)[..] else { panic!("three nodes") };
    let machine = world.nodes.get_mut(&asks).unwrap();
    machine.contacts.remove(&leader);
    machine.connected.remove(&leader);
    let term = machine.election.claim().expect("it follows").term;
    world.give(sees, Input::Message(asks, Message::AskLost(term)));
    assert!(world.nodes[&asks].contacts.contains_key(&leader));
    assert!(dialled(&mut world, asks).contains(&leader));
}

#[test]
fn newcomers_are_named_to_everybody_in_a_small_studio_only() {
    for (others, told) in [(3, 3), (50, 0)] {
        let (mut world, me) = large(others);
        let newcomer = world.others(me)[0];
        let now = world.now;
        let machine = world.nodes.get_mut(&me).unwrap();
        machine.connected.extend((0..others).map(id));
        let advert = machine.adverts.remove(&newcomer).unwrap();
        let known = vec![(me, vec!["/memory/1".into()])];
        let hello = Message::Hello { advert: Box::new(advert), claim: None, known };
        let commands = machine.handle(now, Input::Message(newcomer, hello));
        let names = |command: &&Command| matches!(command, Command::Send(_, Message::Hello { .. }));
        assert_eq!(commands.iter().filter(names).count(), told, "{commands:?}");
        assert!(machine.adverts.contains_key(&newcomer));
    }
}
