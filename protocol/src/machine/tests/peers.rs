//! Who is there: introduced, met by others, revoked.

use super::*;
use crate::fact::Revocation;
use crate::wire::control::Sync;
use crate::wire::gossip;

#[test]
fn who_only_shows_a_certificate_is_no_node() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    // A command line connects to everyone, and never introduces itself.
    let visitor = KeyPair::from_secret(&[77; 32]).public();
    for node in world.all() {
        let chain = world.chain(visitor);
        world.give(node, Input::Connected(Box::new(chain)));
    }
    let leader = world.leader();
    let other = world.others(leader)[0];
    let (job, copies) = world.submit(other, spec(6));
    assert_eq!(copies, 2, "it is not asked to keep anything");
    world.run(Duration::from_secs(3));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert!(!world.nodes[&leader].membership.alive().contains(&visitor));
}

#[test]
fn two_that_come_at_the_same_moment_hear_of_each_other() {
    let mut world = World::new(1);
    world.run(Duration::from_secs(3));
    let first = world.all()[0];
    let chain_of_first = world.chain(first);
    for n in [2, 3] {
        let keys = KeyPair::from_secret(&[n; 32]);
        world.keys.insert(keys.public(), keys);
    }
    // Both are connected to the first, and not to each other, before either introduces itself.
    let newcomers: Vec<NodeId> =
        world.keys.keys().filter(|node| **node != first).copied().collect();
    let nodes = std::mem::take(&mut world.nodes);
    for node in &newcomers {
        world.start(*node);
        let started = world.nodes.remove(node).unwrap();
        world.nodes.clear();
        world.starts_again += 1;
        world.detached.push((*node, started));
    }
    world.nodes = nodes;
    for (node, machine) in std::mem::take(&mut world.detached) {
        world.nodes.insert(node, machine);
        let chain = world.chain(node);
        world.give(first, Input::Connected(Box::new(chain)));
        world.give(node, Input::Connected(Box::new(chain_of_first.clone())));
    }
    // Where the other one is was said at once, and counts as soon as its certificate is here.
    world.run(SYNC_PERIOD + TICK);
    for (node, other) in [(0, 1), (1, 0)] {
        let knows = &world.nodes[&newcomers[node]].contacts;
        assert!(knows.contains_key(&newcomers[other]), "{knows:?}");
    }
}

#[test]
fn who_starts_again_with_its_clock_set_back_is_introduced_to_its_peers() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(3));
    let (first, second) = (world.all()[0], world.all()[1]);
    let mut advert = world.nodes[&second].adverts[&second].clone();
    advert.revision = (0, 0);
    let hello = Message::Hello { advert: Box::new(advert), claim: None, known: Vec::new() };
    let now = world.now;
    let machine = world.nodes.get_mut(&first).unwrap();
    let commands = machine.handle(now, Input::Message(second, hello));
    let greets = |command: &Command| matches!(command, Command::Send(to, Message::Hello { .. }) if *to == second);
    assert!(commands.iter().any(greets), "{commands:?}");
    assert_eq!(machine.adverts[&second].revision, (0, 0));
}

#[test]
fn who_is_no_member_is_neither_called_nor_counted() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(3));
    let (first, liar) = (world.all()[0], world.all()[1]);
    let stranger = |n: u16| {
        let mut id = [9; 32];
        id[..2].copy_from_slice(&n.to_le_bytes());
        NodeId(id)
    };
    let address = || vec!["/memory/77".to_owned()];
    let advert = world.nodes[&liar].adverts[&liar].clone();
    let mut known: Vec<_> = (0..1000).map(|n| (stranger(n), address())).collect();
    let (newcomer, here) = (KeyPair::from_secret(&[9; 32]).public(), liar);
    known[0] = (newcomer, address());
    for at in (0..1000).step_by(50) {
        let known = known[at..].iter().chain(&known).cloned().collect();
        let hello = Message::Hello { advert: Box::new(advert.clone()), claim: None, known };
        world.give(first, Input::Message(liar, hello));
    }
    let machine = world.nodes.get_mut(&first).unwrap();
    assert_eq!(machine.contacts.keys().collect::<Vec<_>>(), [&here]);
    assert!(!machine.is_large() && machine.to_dial().is_empty());
    let kept = |machine: &Machine| machine.strangers.values().map(BTreeMap::len).sum::<usize>();
    assert_eq!(kept(machine), super::super::peers::MAX_KNOWN);
    // Whoever made up a key may have a member pass on what it gossips.
    let advert = Advert { node: stranger(7), ..advert };
    let gossip = gossip::Message::Advert(Box::new(advert));
    world.give(first, Input::Gossip(stranger(7), gossip));
    assert!(!world.nodes[&first].adverts.contains_key(&stranger(7)));
    // One of those turns out to be a member.
    let chain = Box::new(world.chain(newcomer));
    let keys = KeyPair::from_secret(&[9; 32]);
    let fact = Fact::sign(&world.studio, &Body::Certificate(chain), &keys);
    let facts = gossip::Message::Facts(vec![fact.as_bytes().to_vec()]);
    let hello = Message::Hello {
        advert: Box::new(world.nodes[&liar].adverts[&liar].clone()),
        claim: None,
        known,
    };
    world.give(first, Input::Message(liar, hello));
    world.give(first, Input::Gossip(newcomer, facts));
    let machine = world.nodes.get_mut(&first).unwrap();
    assert_eq!(machine.to_dial(), [(newcomer, address())]);
}

#[test]
fn what_others_say_of_a_node_does_not_replace_what_it_says_itself() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(3));
    let [first, liar, other] = world.all()[..] else { panic!("three nodes") };
    let own = world.nodes[&first].adverts[&other].addresses.clone();
    let advert = Box::new(world.nodes[&liar].adverts[&liar].clone());
    let wrong: Vec<String> = (0..40).map(|n| format!("/memory/{}", 900 + n)).collect();
    let known = vec![(other, wrong)];
    world.give(first, Input::Message(liar, Message::Hello { advert, claim: None, known }));
    let contact = &world.nodes[&first].contacts[&other];
    assert!(contact.starts_with(&own), "{contact:?}");
    assert_eq!(contact.len(), crate::wire::control::MAX_ADDRESSES);
}

#[test]
fn who_asks_for_the_same_without_end_is_answered_as_often_as_a_node_that_lacks_all() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(3));
    let (first, liar) = (world.all()[0], world.all()[1]);
    let now = world.now;
    let machine = world.nodes.get_mut(&first).unwrap();
    let held = *machine.ledger.ids().first().unwrap();
    let mut answers = |sync: Sync| {
        let commands = machine.handle(now, Input::Message(liar, Message::Sync(sync)));
        commands
            .into_iter()
            .filter(|command| match command {
                Command::SendFacts(_, ids) => {
                    assert_eq!(*ids, [held], "once");
                    true
                }
                command => matches!(command, Command::Send(_, Message::Sync(_))),
            })
            .count()
    };
    assert_eq!(answers(Sync::Ask(vec![Vec::new(); 512])), 1);
    assert_eq!(answers(Sync::Want(vec![held; 512])), 1);
    for sync in [Sync::Ask(vec![Vec::new()]), Sync::Want(vec![held]), Sync::Root([1; 8])] {
        let rounds = (0..1_000_000).find(|_| answers(sync.clone()) == 0);
        assert!(rounds.is_some(), "{sync:?}");
    }
}

#[test]
fn who_asks_to_keep_what_never_comes_is_refused_in_the_end() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(3));
    let (first, liar) = (world.all()[0], world.all()[1]);
    let body = Body::Spec(Box::new(spec(1)));
    let fact = Fact::sign(&world.studio, &body, &world.keys[&liar]).as_bytes().to_vec();
    let now = world.now;
    let machine = world.nodes.get_mut(&first).unwrap();
    let mut ask = |token: u64, facts: Vec<Vec<u8>>| {
        let (job, blobs) = (JobId([1; 32]), vec![BlobId([9; 32])]);
        let keep = Message::Keep { token, blobs, trees: Vec::new(), job, facts };
        let commands = machine.handle(now, Input::Message(liar, keep));
        commands.iter().any(|command| matches!(command, Command::Store { .. }))
    };
    let taken = (1..).find(|n| !ask(*n, vec![fact.clone(); 10_000])).unwrap();
    assert!(taken as usize * 10_000 * fact.len() < 20 << 20, "{taken} requests");
    let taken = (taken..).find(|n| !ask(*n, Vec::new())).unwrap();
    assert!(taken < 3000, "{taken} requests");
}

#[test]
fn who_was_never_heard_of_is_asked_until_it_introduces_itself() {
    let mut world = World::new(2);
    let (first, second) = (world.all()[0], world.all()[1]);
    // What the second said of itself went to a connection that was dead already.
    world.nodes.get_mut(&first).unwrap().adverts.remove(&second);
    world.run(SYNC_PERIOD + TICK);
    assert!(world.nodes[&first].adverts.contains_key(&second));
}

#[test]
fn what_a_revoked_node_signed_counts_and_what_it_sends_does_not() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(3));
    let all = world.all();
    let (admin, thief, late) = (all[0], all[1], all[2]);
    // It signs two jobs; a third node takes one of them in before the revocation, and no other does.
    let keys = world.keys[&thief].clone();
    let sign = |frames| Fact::sign(&world.studio, &Body::Spec(Box::new(spec(frames))), &keys);
    let (before, after) = (sign(1), sign(2));
    let revocation = Revocation { node: thief, reason: "stolen".into() };
    let revocation = Fact::sign(&world.studio, &Body::Revocation(revocation), &world.keys[&admin]);
    let send = |fact: &Fact| Message::Facts(None, vec![fact.as_bytes().to_vec()]);
    let now = world.now;
    let mut take = |node: NodeId, from: NodeId, fact: &Fact| {
        let machine = world.nodes.get_mut(&node).unwrap();
        let commands = machine.handle(now, Input::Message(from, send(fact)));
        let tokens: Vec<u64> = commands
            .iter()
            .filter_map(|command| match command {
                Command::Write { token, .. } => Some(*token),
                _ => None,
            })
            .collect();
        for token in tokens {
            machine.handle(now, Input::Written(token));
        }
        machine.ledger.ids().contains(&fact.id())
    };
    assert!(take(late, thief, &before));
    assert!(take(late, admin, &revocation) && take(admin, late, &revocation));
    assert!(take(admin, late, &before), "a member passes it on: all replicas become equal");
    assert!(!take(admin, thief, &after), "nothing is taken from the node itself any more");
}
