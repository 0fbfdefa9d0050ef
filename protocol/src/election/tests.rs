use std::collections::BTreeMap;

use super::*;
use crate::sign::{Ed25519, KeyPair};

const STUDIO: StudioId = StudioId([9; 32]);

/// Nodes with an instant network and disk: what one sends another gets, unless a link is cut.
struct World {
    keys: BTreeMap<NodeId, KeyPair>,
    nodes: BTreeMap<NodeId, Election>,
    cut: BTreeSet<NodeId>,
    now: Time,
}

impl World {
    fn new(count: u8) -> Self {
        let keys: Vec<KeyPair> = (1..=count).map(|n| KeyPair::from_secret(&[n; 32])).collect();
        let nodes =
            keys.iter().map(|key| (key.public(), Election::new(key.public(), STUDIO, 0, Time(0))));
        Self {
            nodes: nodes.collect(),
            keys: keys.into_iter().map(|key| (key.public(), key)).collect(),
            cut: BTreeSet::new(),
            now: Time(0),
        }
    }

    fn linked(&self, a: &NodeId, b: &NodeId) -> bool {
        !self.cut.contains(a) && !self.cut.contains(b)
    }

    fn act(&mut self, me: NodeId, events: Vec<Event>) {
        let mut queue: Vec<(NodeId, Event)> = events.into_iter().map(|e| (me, e)).collect();
        while let Some((me, event)) = queue.pop() {
            let (now, mut next) = (self.now, Vec::new());
            match event {
                Event::Send(to, message) if self.linked(&me, &to) => {
                    let Some(node) = self.nodes.get_mut(&to) else {
                        continue;
                    };
                    let events = match message {
                        Message::AskLost(term) => node.asked(now, me, term),
                        Message::Lost(term, lost, high) => node.answered(now, me, term, lost, high),
                        Message::Claim(claim) => node.claimed(now, claim, &Ed25519),
                        _ => Vec::new(),
                    };
                    next.push((to, events));
                }
                Event::Write(term) => {
                    let key = &self.keys[&me];
                    next.push((me, self.nodes.get_mut(&me).unwrap().written(now, term, key)));
                }
                Event::Lead(claim) => {
                    let others: Vec<NodeId> = self.nodes.keys().copied().collect();
                    for to in others {
                        if to == me || !self.linked(&me, &to) {
                            continue;
                        }
                        let node = self.nodes.get_mut(&to).unwrap();
                        next.push((to, node.claimed(now, claim.clone(), &Ed25519)));
                    }
                }
                Event::Send(..) | Event::Follow(_) | Event::Lost => {}
            }
            queue.extend(
                next.into_iter()
                    .flat_map(|(n, events)| events.into_iter().map(move |event| (n, event))),
            );
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + Duration::from_millis(100);
            for me in self.nodes.keys().copied().collect::<Vec<_>>() {
                let alive: BTreeSet<NodeId> = match self.cut.contains(&me) {
                    true => BTreeSet::from([me]),
                    false => self.nodes.keys().filter(|n| !self.cut.contains(n)).copied().collect(),
                };
                let followed = self.nodes[&me].claim().cloned();
                if let Some(claim) = followed
                    && self.linked(&me, &claim.leader)
                    && self.nodes[&claim.leader].leads()
                {
                    let node = self.nodes.get_mut(&me).unwrap();
                    node.heard_leader(self.now, &claim.leader, claim.term);
                }
                let events = self.nodes.get_mut(&me).unwrap().tick(self.now, &alive, &alive);
                self.act(me, events);
            }
        }
    }

    fn leaders(&self) -> BTreeSet<(u64, NodeId)> {
        let claims = self.nodes.iter().filter(|(me, _)| !self.cut.contains(me));
        claims
            .map(|(_, node)| node.claim().map_or((0, NodeId([0; 32])), |c| (c.term, c.leader)))
            .collect()
    }
}

#[test]
fn one_node_alone_leads_itself() {
    let mut world = World::new(1);
    world.run(Duration::from_secs(3));
    assert!(world.nodes.values().all(Election::leads));
}

#[test]
fn everyone_follows_one_leader_and_a_new_one_when_it_is_cut_off() {
    let mut world = World::new(5);
    world.run(Duration::from_secs(10));
    let first = world.leaders();
    assert_eq!(first.len(), 1, "{first:?}");
    let (term, leader) = *first.first().unwrap();
    assert!(term >= 1);
    world.cut.insert(leader);
    world.run(Duration::from_secs(6));
    let second = world.leaders();
    assert_eq!(second.len(), 1, "{second:?}");
    let (new_term, new_leader) = *second.first().unwrap();
    assert!(new_term > term && new_leader != leader);
    assert!(world.nodes[&leader].leads(), "the old one does not know yet");
    // The cut heals: the stale leader hears the higher term, and steps down.
    world.cut.clear();
    let claim = world.nodes[&new_leader].claim().unwrap().clone();
    let events = world.nodes.get_mut(&leader).unwrap().claimed(world.now, claim, &Ed25519);
    world.act(leader, events);
    assert_eq!(world.leaders(), second);
}

#[test]
fn nothing_is_followed_before_its_term_is_on_disk() {
    let key = KeyPair::from_secret(&[1; 32]);
    let other = KeyPair::from_secret(&[2; 32]);
    let mut node = Election::new(key.public(), STUDIO, 3, Time(0));
    let claim = Claim::sign(&STUDIO, 7, &other);
    assert_eq!(node.claimed(Time(1), claim.clone(), &Ed25519), [Event::Write(7)]);
    assert!(!node.obeys(&other.public(), 7));
    assert_eq!(node.written(Time(2), 7, &key), [Event::Follow(claim)]);
    assert!(node.obeys(&other.public(), 7));
    assert!(!node.obeys(&other.public(), 6));
}

#[test]
fn a_lower_term_never_follows_a_higher_one_to_the_disk() {
    let key = KeyPair::from_secret(&[1; 32]);
    let other = KeyPair::from_secret(&[2; 32]);
    let alone = BTreeSet::from([key.public()]);
    let mut node = Election::new(key.public(), STUDIO, 3, Time(0));
    assert_eq!(node.answered(Time(1), other.public(), 3, true, 5), []);
    assert_eq!(node.tick(Time(1200), &alone, &alone), [Event::Write(6)]);
    let lower = Claim::sign(&STUDIO, 5, &other);
    assert_eq!(node.claimed(Time(1300), lower, &Ed25519), [], "6 is on its way already");
    let higher = Claim::sign(&STUDIO, 7, &other);
    assert_eq!(node.claimed(Time(1300), higher, &Ed25519), [Event::Write(7)]);
}

#[test]
fn a_term_that_could_not_be_written_is_tried_again() {
    let key = KeyPair::from_secret(&[1; 32]);
    let other = KeyPair::from_secret(&[2; 32]);
    let alone = BTreeSet::from([key.public()]);
    let mut node = Election::new(key.public(), STUDIO, 3, Time(0));
    let claim = Claim::sign(&STUDIO, 7, &other);
    assert_eq!(node.claimed(Time(1), claim.clone(), &Ed25519), [Event::Write(7)]);
    node.write_failed(Time(2), 7);
    assert_eq!(node.claimed(Time(3), claim.clone(), &Ed25519), [Event::Write(7)]);
    node.write_failed(Time(4), 7);
    assert_eq!(node.tick(Time(1500), &alone, &alone), [Event::Write(8)]);
    node.write_failed(Time(1600), 8);
    assert_eq!(node.tick(Time(3000), &alone, &alone), [Event::Write(9)], "it does not stand still");
}

#[test]
fn who_has_written_a_higher_term_than_the_leaders_is_let_stand() {
    let keys: Vec<KeyPair> = (1..=3).map(|n| KeyPair::from_secret(&[n; 32])).collect();
    let asker = keys[2].public();
    let mut node = Election::new(keys[0].public(), STUDIO, 5, Time(0));
    node.claimed(Time(0), Claim::sign(&STUDIO, 5, &keys[1]), &Ed25519);
    let says = |term, lost| Event::Send(asker, Message::Lost(term, lost, 5));
    assert_eq!(node.asked(Time(1), asker, 5)[0], says(5, false));
    assert_eq!(node.asked(Time(1), asker, 8), [says(8, true)]);
}

#[test]
fn a_studio_that_was_raised_far_is_caught_up_with_in_steps() {
    let key = KeyPair::from_secret(&[1; 32]);
    let far = Claim::sign(&STUDIO, 2 * MAX_RAISE + 7, &KeyPair::from_secret(&[2; 32]));
    let mut node = Election::new(key.public(), STUDIO, 5, Time(0));
    for _ in 0..2 {
        assert_eq!(node.claimed(Time(1), far.clone(), &Ed25519), []);
    }
    assert_eq!(node.claimed(Time(2), far.clone(), &Ed25519), [Event::Write(far.term)]);
}

#[test]
fn a_lost_leader_does_not_live_on_in_what_others_tell() {
    let keys: Vec<KeyPair> = (1..=3).map(|n| KeyPair::from_secret(&[n; 32])).collect();
    let (leader, asker) = (keys[1].public(), keys[2].public());
    let ids: BTreeSet<NodeId> = keys.iter().map(KeyPair::public).collect();
    let mut node = Election::new(keys[0].public(), STUDIO, 5, Time(0));
    let claim = Claim::sign(&STUDIO, 5, &keys[1]);
    node.claimed(Time(0), claim.clone(), &Ed25519);
    assert_eq!(node.tick(Time(2500), &ids, &ids)[0], Event::Lost);
    // Another still followed it: this node tries again, and does not vouch for it.
    assert_eq!(node.claimed(Time(2600), claim.clone(), &Ed25519), [Event::Follow(claim.clone())]);
    let lost = |lost| Event::Send(asker, Message::Lost(5, lost, 5));
    let worse = Claim::sign(&STUDIO, 4, &keys[2]);
    assert_eq!(node.asked(Time(2700), asker, 5), [lost(true)]);
    assert_eq!(node.outranks(&worse), None);
    node.heard_leader(Time(2800), &leader, 5);
    assert_eq!(node.outranks(&worse), Some(&claim));
    assert_eq!(node.outranks(&claim), None);
    assert_eq!(node.asked(Time(2900), asker, 5)[0], lost(false));
}

#[test]
fn forged_absurd_and_stale_claims_are_ignored() {
    let key = KeyPair::from_secret(&[1; 32]);
    let other = KeyPair::from_secret(&[2; 32]);
    let mut node = Election::new(key.public(), STUDIO, 5, Time(0));
    let mut forged = Claim::sign(&STUDIO, 6, &other);
    forged.term = 8;
    assert_eq!(node.claimed(Time(1), forged, &Ed25519), []);
    let absurd = Claim::sign(&STUDIO, u64::MAX, &other);
    assert_eq!(node.claimed(Time(1), absurd, &Ed25519), []);
    assert_eq!(node.claimed(Time(1), Claim::sign(&STUDIO, 4, &other), &Ed25519), []);
    let elsewhere = Claim::sign(&StudioId([1; 32]), 6, &other);
    assert_eq!(node.claimed(Time(1), elsewhere, &Ed25519), []);
    assert_eq!(node.term(), 5);
}

#[test]
fn a_peer_that_still_sees_the_leader_prevents_a_claim() {
    let keys: Vec<KeyPair> = (1..=3).map(|n| KeyPair::from_secret(&[n; 32])).collect();
    let ids: BTreeSet<NodeId> = keys.iter().map(KeyPair::public).collect();
    let me = keys[0].public();
    let mut node = Election::new(me, STUDIO, 0, Time(0));
    let claim = Claim::sign(&STUDIO, 1, &keys[1]);
    node.claimed(Time(0), claim.clone(), &Ed25519);
    node.written(Time(0), 1, &keys[0]);
    let mut now = Time(0);
    let mut asked = 0;
    while now < Time(20_000) {
        now = now + Duration::from_millis(100);
        for event in node.tick(now, &ids, &ids) {
            if let Event::Send(to, Message::AskLost(1)) = event {
                assert_eq!(to, keys[2].public(), "the lost leader itself is not asked");
                asked += 1;
                assert_eq!(node.answered(now, to, 1, false, 1), []);
            }
        }
        assert!(!node.leads());
    }
    assert!(asked > 1);
}

#[test]
fn one_member_that_always_sees_a_leader_does_not_keep_all_others_from_leading() {
    let keys: Vec<KeyPair> = (1..=5).map(|n| KeyPair::from_secret(&[n; 32])).collect();
    let ids: BTreeSet<NodeId> = keys.iter().map(KeyPair::public).collect();
    let mut node = Election::new(keys[0].public(), STUDIO, 0, Time(0));
    node.claimed(Time(0), Claim::sign(&STUDIO, 1, &keys[1]), &Ed25519);
    node.written(Time(0), 1, &keys[0]);
    let liar = keys[2].public();
    let (mut now, mut stood) = (Time(0), 0);
    while now < Time(60_000) {
        now = now + Duration::from_millis(100);
        let mut claims = Vec::new();
        for event in node.tick(now, &ids, &ids) {
            match event {
                Event::Send(to, Message::AskLost(1)) => {
                    stood += u32::from(to == liar);
                    claims.extend(node.answered(now, to, 1, to != liar, 1));
                }
                event => claims.push(event),
            }
        }
        if claims.contains(&Event::Write(2)) {
            assert!(stood > u32::from(VETOES), "at first it steps back");
            return;
        }
    }
    panic!("nobody leads");
}

#[test]
fn who_waits_to_follow_does_not_claim_meanwhile() {
    let keys: Vec<KeyPair> = (1..=3).map(|n| KeyPair::from_secret(&[n; 32])).collect();
    let ids: Vec<NodeId> = keys.iter().map(KeyPair::public).collect();
    let all: BTreeSet<NodeId> = ids.iter().copied().collect();
    let mut node = Election::new(ids[0], STUDIO, 5, Time(0));
    // It asks both; one has lost the leader as well, claims, and the other says nothing.
    let asks = node.tick(Time(5000), &all, &all);
    assert_eq!(asks.len(), 2, "{asks:?}");
    assert_eq!(node.answered(Time(5001), ids[1], 5, true, 5), []);
    let claim = Claim::sign(&STUDIO, 6, &keys[1]);
    assert_eq!(node.claimed(Time(5100), claim.clone(), &Ed25519), [Event::Write(6)]);
    let late = Time(5000) + ASKING;
    assert_eq!(node.tick(late, &all, &all), [], "the other's claim is on its way to the disk");
    assert_eq!(node.written(late, 6, &keys[0]), [Event::Follow(claim)]);
    assert!(node.obeys(&ids[1], 6));
}
