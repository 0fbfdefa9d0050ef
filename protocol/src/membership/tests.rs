use proptest::prelude::*;

use super::*;

fn node(n: u8) -> NodeId {
    NodeId([n; 32])
}

struct World {
    machine: Membership,
    random: Random,
    now: Time,
    connected: BTreeSet<NodeId>,
    leader: Option<NodeId>,
    large: bool,
}

impl World {
    fn with_peers(peers: u8) -> Self {
        let mut machine = Membership::new(node(0), 1);
        for n in 1..=peers {
            machine.heard(Time(0), node(n));
        }
        let connected = (1..=peers).map(node).collect();
        let random = Random::seeded(1);
        Self { machine, random, now: Time(0), connected, leader: None, large: false }
    }

    fn tick(&mut self, now: Time) -> Vec<Event> {
        let (connected, leader, large) = (&self.connected, self.leader, self.large);
        self.machine.tick(now, Reach { connected, leader, large }, &mut self.random)
    }

    /// Ticks every 100 ms for `span`, answering pings to those for whom `answers` holds.
    fn run(&mut self, span: Duration, answers: impl Fn(NodeId) -> bool) -> Vec<Event> {
        let (end, mut seen) = (self.now + span, Vec::new());
        while self.now < end {
            self.now = self.now + Duration::from_millis(100);
            for event in self.tick(self.now) {
                if let Event::Send(to, Message::Ping(seq, _)) = &event
                    && answers(*to)
                {
                    self.machine.heard(self.now, *to);
                    self.machine.message(self.now, *to, &Message::Ack(*seq, Vec::new()));
                }
                seen.push(event);
            }
        }
        seen
    }
}

#[test]
fn whoever_answers_stays_alive() {
    let mut world = World::with_peers(5);
    let events = world.run(Duration::from_secs(120), |_| true);
    assert!(!events.iter().any(|event| matches!(event, Event::Changed(..))));
    assert_eq!(world.machine.alive().len(), 6);
}

#[test]
fn a_silent_node_is_asked_for_through_others_then_suspected_then_buried() {
    let mut world = World::with_peers(4);
    let events = world.run(Duration::from_secs(20), |to| to != node(2));
    let asked = events.iter().filter(
        |event| matches!(event, Event::Send(_, Message::PingFor(_, about)) if *about == node(2)),
    );
    assert!(asked.count() >= HELPERS);
    let changes: Vec<_> =
        events.iter().filter(|event| matches!(event, Event::Changed(..))).cloned().collect();
    assert_eq!(
        changes,
        [Event::Changed(node(2), Liveness::Suspect), Event::Changed(node(2), Liveness::Dead)]
    );
    let events = world.machine.heard(world.now, node(2));
    assert_eq!(events[0], Event::Changed(node(2), Liveness::Alive));
}

#[test]
fn a_closed_connection_is_probed_at_once() {
    let mut world = World::with_peers(2);
    let events = world.machine.hinted(Time(10), node(1));
    assert!(matches!(events[..], [Event::Send(to, Message::Ping(..))] if to == node(1)));
    assert_eq!(world.machine.hinted(Time(20), node(1)), [], "one probe at a time");
    assert_eq!(world.machine.hinted(Time(20), node(9)), [], "nobody that was never heard of");
}

#[test]
fn an_answer_through_a_helper_counts() {
    let mut world = World::with_peers(3);
    world.machine.hinted(Time(0), node(1));
    let mut helped = false;
    for step in 1..30 {
        let now = Time(step * 100);
        for event in world.tick(now) {
            match event {
                Event::Send(helper, Message::PingFor(seq, about)) => {
                    helped = true;
                    world.machine.message(now, helper, &Message::AckFor(seq, about));
                }
                Event::Send(to, Message::Ping(..)) if to != node(1) => {
                    world.machine.heard(now, to);
                }
                Event::Changed(who, liveness) => panic!("{who:?} became {liveness:?}"),
                Event::Send(..) => {}
            }
        }
        if helped {
            return;
        }
    }
    panic!("nobody was asked");
}

#[test]
fn rumours_are_refuted_by_whom_they_are_about() {
    let mut world = World::with_peers(1);
    let rumour = Update { node: node(0), liveness: Liveness::Suspect, incarnation: 1 };
    let answer = world.machine.message(Time(5), node(1), &Message::Ping(4, vec![rumour]));
    let refuted = Update { node: node(0), liveness: Liveness::Alive, incarnation: 2 };
    let [Event::Send(to, Message::Ack(4, told))] = &answer[..] else { panic!("{answer:?}") };
    assert!(*to == node(1) && told.contains(&refuted));
}

#[test]
fn a_rumour_from_those_who_know_no_incarnation_is_refuted_too() {
    let mut accused = World { machine: Membership::new(node(1), 1000), ..World::with_peers(0) };
    accused.machine.heard(Time(0), node(0));
    let mut peer = World::with_peers(2);
    let rumour = Update { node: node(1), liveness: Liveness::Suspect, incarnation: 0 };
    // It was heard long enough ago for the rumour to be believed.
    let later = Time(60_000);
    peer.machine.message(later, node(2), &Message::Ping(1, vec![rumour]));
    assert_eq!(peer.machine.liveness(&node(1)), Liveness::Suspect);
    let answer = accused.machine.message(later, node(0), &Message::Ping(2, vec![rumour]));
    let [Event::Send(_, Message::Ack(_, told))] = &answer[..] else { panic!("{answer:?}") };
    peer.machine.heard(later, node(1));
    peer.machine.message(later, node(1), &Message::Ack(2, told.clone()));
    // From now on that rumour is an old one, however often it comes round.
    let much_later = Time(120_000);
    peer.machine.message(much_later, node(2), &Message::Ping(3, vec![rumour]));
    assert_eq!(peer.machine.liveness(&node(1)), Liveness::Alive);
}

#[test]
fn a_node_whose_ticks_come_late_doubts_itself_first() {
    let mut world = World::with_peers(1);
    world.tick(Time(0));
    world.machine.hinted(Time(0), node(1));
    let events = world.tick(Time(60_000));
    assert!(!events.iter().any(|event| matches!(event, Event::Changed(..))), "{events:?}");
    assert!(world.machine.doubts_itself());
}

#[test]
fn stale_rumours_do_not_bring_back_the_dead_or_make_up_nodes() {
    let mut world = World::with_peers(2);
    world.run(Duration::from_secs(30), |to| to == node(2));
    assert_eq!(world.machine.liveness(&node(1)), Liveness::Dead);
    let stale = Update { node: node(1), liveness: Liveness::Alive, incarnation: 0 };
    let ghost = Update { node: node(77), liveness: Liveness::Alive, incarnation: 9 };
    world.machine.message(world.now, node(2), &Message::Ping(1, vec![stale, ghost]));
    assert_eq!(world.machine.alive(), BTreeSet::from([node(0), node(2)]));
}

#[test]
fn in_a_large_studio_neighbours_are_probed_and_others_now_and_then_through_the_leader() {
    let mut world = World::with_peers(4);
    world.large = true;
    world.leader = Some(node(1));
    world.machine.told(Time(0), node(9));
    assert_eq!(world.machine.liveness(&node(9)), Liveness::Alive);
    let events = world.run(Duration::from_secs(600), |to| to != node(9));
    let pings = |to: NodeId| {
        let to =
            move |event: &&Event| matches!(event, Event::Send(n, Message::Ping(..)) if *n == to);
        events.iter().filter(to).count()
    };
    assert!(pings(node(9)) >= 1 && pings(node(9)) < pings(node(2)) / 2, "{}", pings(node(9)));
    let helpers: BTreeSet<NodeId> = events
        .iter()
        .filter_map(|event| match event {
            Event::Send(helper, Message::PingFor(_, about)) if *about == node(9) => Some(*helper),
            _ => None,
        })
        .collect();
    assert!(helpers.contains(&node(1)) && !helpers.contains(&node(9)), "{helpers:?}");
    assert_eq!(world.machine.liveness(&node(9)), Liveness::Dead, "nobody reached it");
    world.machine.told(world.now, node(9));
    assert_eq!(world.machine.liveness(&node(9)), Liveness::Dead, "hearsay brings nobody back");
}

#[test]
fn a_rumour_that_nobody_could_refute_is_not_believed() {
    let mut world = World::with_peers(3);
    let later = Time(10_000);
    let mut told = |liveness, incarnation| {
        let update = Update { node: node(1), liveness, incarnation };
        world.machine.message(later, node(2), &Message::Ping(1, vec![update]));
        world.machine.liveness(&node(1))
    };
    assert_eq!(told(Liveness::Dead, u64::MAX), Liveness::Alive);
    assert_eq!(told(Liveness::Alive, u64::MAX), Liveness::Alive);
    assert_eq!(told(Liveness::Dead, MAX_INCARNATION), Liveness::Dead);
    assert_eq!(told(Liveness::Alive, MAX_INCARNATION + 1), Liveness::Alive, "it refutes that");
}

#[test]
fn who_comes_back_hears_what_it_has_to_refute() {
    let mut world = World::with_peers(3);
    world.run(Duration::from_secs(60), |to| to != node(1));
    assert_eq!(world.machine.liveness(&node(1)), Liveness::Dead);
    let events = world.machine.heard(world.now, node(1));
    let [Event::Changed(..), Event::Send(to, Message::Ping(_, told))] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(*to == node(1) && told[0].liveness == Liveness::Dead);
    let mut back = Membership::new(node(1), 5);
    back.heard(Time(0), node(0));
    let answer = back.message(Time(1), node(0), &Message::Ping(1, told.clone()));
    let [Event::Send(_, Message::Ack(_, refuted))] = &answer[..] else { panic!("{answer:?}") };
    // One that was never connected to it believes that.
    let mut distant = World::with_peers(0);
    distant.machine.told(Time(0), node(1));
    distant.machine.message(Time(60_000), node(7), &Message::Ping(1, told.clone()));
    assert_eq!(distant.machine.liveness(&node(1)), Liveness::Dead);
    distant.machine.message(Time(60_001), node(7), &Message::Ping(2, refuted.clone()));
    assert_eq!(distant.machine.liveness(&node(1)), Liveness::Alive);
}

proptest! {
    /// Rumours come in any order and again and again: once nobody was heard of a moment ago, what is thought of each node is
    /// what the greatest of them says.
    #[test]
    fn the_same_rumours_lead_to_the_same_view(
        told in proptest::collection::vec((1..4_u8, 0..4_u64, 0..3_usize), 0..16),
        order in any::<u64>(),
    ) {
        let states = [Liveness::Alive, Liveness::Suspect, Liveness::Dead];
        let updates: Vec<Update> = told
            .iter()
            .map(|(n, incarnation, state)| Update {
                node: node(*n),
                liveness: states[*state],
                incarnation: *incarnation,
            })
            .collect();
        let view = |updates: &[Update]| {
            let mut world = World::with_peers(3);
            for update in updates {
                world.now = world.now + TIMEOUT;
                world.machine.message(world.now, node(1), &Message::Ping(1, vec![*update]));
            }
            let peers = world.machine.peers.iter();
            peers.map(|(of, peer)| (*of, (peer.incarnation, peer.liveness))).collect()
        };
        let seen: BTreeMap<NodeId, (u64, Liveness)> = view(&updates);
        let shuffled = Random::seeded(order).sample(updates.clone(), updates.len());
        prop_assert_eq!(view(&[&shuffled[..], &updates[..]].concat()), seen.clone());
        for (of, known) in seen {
            let about = updates.iter().filter(|update| update.node == of);
            let greatest = about.map(|update| (update.incarnation, update.liveness)).max();
            prop_assert_eq!(known, greatest.max(Some((0, Liveness::Alive))).unwrap());
        }
    }
}
