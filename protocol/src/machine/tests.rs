//! Several machines that elect, render and agree, in one process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::work::HAND_IN_TIMEOUT;
use super::*;
use crate::certificate::{Certificate, Chain, Role, Statement};
use crate::election::Claim;
use crate::fact::Body;
use crate::hardware::{Hardware, Needs};
use crate::ids::BlobId;
use crate::job::control::Action;
use crate::job::samples::{control, done, failed, outcome, spec};
use crate::job::spec::JobSpec;
use crate::job::status::{self, Status, status};
use crate::job::task::TaskKey;
use crate::membership::Liveness;
use crate::sign::{Ed25519, KeyPair};
use crate::time::Unix;
use crate::wire::control::{AttemptKey, Lease};
use crate::worker;

mod keep;
mod mesh;
mod peers;
mod standing;
mod stored;
mod world;

use world::World;

#[test]
fn three_nodes_elect_render_and_agree() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    world.leader();
    let submitter = world.all()[0];
    let (job, copies) = world.submit(submitter, spec(30));
    assert_eq!(copies, 2);
    world.run(Duration::from_secs(5));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    let frames: BTreeSet<i32> = world.starts.iter().map(|(_, frame)| *frame).collect();
    assert_eq!((frames.len(), world.starts.len()), (30, 30), "each frame once");
    let nodes: BTreeSet<NodeId> = world.starts.iter().map(|(node, _)| *node).collect();
    assert_eq!(nodes.len(), 3);
    let digests: BTreeSet<[u8; 8]> =
        world.nodes.values().map(|m| crate::fact::digest::root(m.ledger.ids())).collect();
    assert_eq!(digests.len(), 1);
}

#[test]
fn what_ends_while_outcomes_are_written_is_signed_together() {
    let mut world = World::new(1);
    let only = world.all()[0];
    world.run(Duration::from_secs(3));
    let mut spec = spec(5);
    spec.steps[0].frames_per_task = 5;
    let (job, _) = world.submit(only, spec);
    world.run(Duration::from_secs(1));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    let bodies = world.disks[&only].1.values().filter_map(|fact| fact.body().ok().flatten());
    let mut batches: Vec<usize> = bodies
        .filter_map(|body| match body {
            Body::Outcomes(batch) => Some(batch.outcomes.len()),
            _ => None,
        })
        .collect();
    batches.sort_unstable();
    assert_eq!(batches, [1, 4], "the first goes at once, the others wait for its write");
}

#[test]
fn a_lone_node_promises_one_copy_and_makes_it_good_later() {
    let mut world = World::new(1);
    let first = world.all()[0];
    world.run(Duration::from_secs(3));
    let (job, copies) = world.submit(first, spec(2));
    assert_eq!(copies, 1);
    world.run(Duration::from_secs(3));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    let lonely = &mut world.nodes.get_mut(&first).unwrap().lonely;
    assert_ne!(lonely.len(), 0);
    // What some thousand frames have made.
    let frame = |n: u32| Goods { blobs: vec![BlobId([n as u8; 32])], ..Goods::default() };
    (0..5000).for_each(|n| lonely.put(job, frame(n)));
    let second = KeyPair::from_secret(&[2; 32]);
    world.keys.insert(second.public(), second.clone());
    world.start(second.public());
    // Much at once, and one order after the other: not a result each two seconds.
    world.run(Duration::from_secs(10));
    assert_eq!(world.nodes[&first].lonely.len(), 0);
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
}

#[test]
fn what_the_leader_renders_is_over_once_another_has_its_outcome_too() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let other = world.others(leader)[0];
    let at_work = |world: &World| world.nodes[&leader].worker.attempts().count();
    let (job, _) = world.submit(leader, spec(2));
    world.run(Duration::from_secs(1));
    assert_eq!((world.statuses(&job).len(), at_work(&world)), (1, 0));
    // Who takes nothing is not waited for longer than a leader would be.
    world.full.insert(other);
    let again = JobSpec { nonce: [9; 16], ..spec(1) };
    world.submit(leader, again);
    world.run(Duration::from_secs(1));
    assert_eq!((world.starts.last(), at_work(&world)), (Some(&(leader, 1)), 1));
    world.run(HAND_IN_TIMEOUT);
    assert_eq!(at_work(&world), 0);
}

#[test]
fn the_leaders_death_costs_no_frame() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let other = world.others(leader)[0];
    world.kill(leader);
    let (job, copies) = world.submit(other, spec(10));
    assert_eq!(copies, 2);
    world.run(Duration::from_secs(6));
    assert_ne!(world.leader(), leader);
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 10);
    // It comes back, learns what happened, and follows.
    world.start(leader);
    world.run(Duration::from_secs(6));
    world.leader();
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 10);
}

#[test]
fn all_nodes_start_again_and_nothing_done_is_done_again() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let first = world.all()[0];
    let (job, _) = world.submit(first, spec(5));
    world.run(Duration::from_secs(2));
    let all = world.all();
    for node in &all {
        world.kill(*node);
    }
    let terms: u64 = world.disks.values().map(|disk| disk.0).max().unwrap();
    for node in &all {
        world.start(*node);
    }
    world.run(Duration::from_secs(8));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 5);
    let leader = world.leader();
    assert!(world.nodes[&leader].election.term() > terms, "a new term, never an old one");
}

#[test]
fn a_failing_frame_is_tried_on_other_nodes_then_retried_alone() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    world.fails.insert(2);
    let first = world.all()[0];
    let (job, _) = world.submit(first, JobSpec { retries: 2, ..spec(4) });
    world.run(Duration::from_secs(5));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Failed)]));
    let tries: Vec<NodeId> =
        world.starts.iter().filter(|(_, frame)| *frame == 2).map(|(node, _)| *node).collect();
    assert_eq!(tries.len(), 3);
    assert_eq!(tries.iter().collect::<BTreeSet<_>>().len(), 3, "each try on another node");
    world.fails.clear();
    world.starts.clear();
    let frames = vec![crate::job::samples::run(2, 2)];
    let retry = Action::Retry { step: 0, frames, generation: 1 };
    let copies = world.author(first, 2, Body::Control(control(job, 1, retry)));
    assert_eq!(copies, 2);
    world.run(Duration::from_secs(3));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert_eq!(world.starts.len(), 1);
    let task = world.nodes[&first]
        .ledger
        .jobs
        .get(&job)
        .unwrap()
        .task(&TaskKey::frame(2))
        .unwrap()
        .clone();
    assert_eq!(task.done().unwrap().generation, 1);
}

#[test]
fn of_many_that_fail_alike_only_some_say_at_length_why() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    world.fails.extend(1..=300);
    let first = world.all()[0];
    let (job, _) = world.submit(first, JobSpec { retries: 0, ..spec(300) });
    world.run(Duration::from_secs(60));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Failed)]));
    let job = world.nodes[&first].ledger.jobs.get(&job).unwrap();
    let said: Vec<&str> =
        job.tasks().flat_map(|(_, task)| task.failures()).map(|(_, f)| &*f.message).collect();
    let long = said.iter().filter(|said| **said == "it broke\nhere").count();
    assert_eq!(said.iter().filter(|said| **said == "it broke").count() + long, 300);
    // What was under way when the hundredth was joined is told in full as well.
    assert!((100..110).contains(&long), "{long}");
}

#[test]
fn who_slept_catches_up_by_comparing() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let sleeper = world.others(leader)[0];
    world.kill(sleeper);
    for n in 0..40 {
        world.submit(leader, JobSpec { nonce: [n; 16], ..spec(3) });
        world.run(Duration::from_millis(200));
    }
    world.run(Duration::from_secs(10));
    world.start(sleeper);
    world.run(Duration::from_secs(6));
    let digests: BTreeSet<[u8; 8]> =
        world.nodes.values().map(|m| crate::fact::digest::root(m.ledger.ids())).collect();
    assert_eq!(digests.len(), 1);
    assert_eq!(world.nodes[&sleeper].ledger.jobs.iter().count(), 40);
}

#[test]
fn what_a_disk_has_lost_comes_back_from_a_peer_and_the_term_is_written_again() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let [node, other] = world.all()[..] else { panic!("two nodes") };
    let (job, _) = world.submit(node, spec(300));
    world.run(Duration::from_secs(5));
    let before = world.disks[&node].clone();
    let lose = |world: &mut World, lost: &BTreeSet<FactId>| {
        let disk = world.disks.get_mut(&node).unwrap();
        disk.0 = 0;
        disk.1.retain(|id, _| !lost.contains(id));
        world.nodes.get_mut(&node).unwrap().forget(lost);
    };
    lose(&mut world, &BTreeSet::new());
    assert!(!world.nodes[&node].is_incomplete(), "nothing is lacking");
    let lost = before.1.values().filter(|fact| fact.scope() == Some(job)).map(Fact::id).collect();
    lose(&mut world, &lost);
    // What it has said stays known meanwhile.
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    assert!(lost.len() > 1 && world.nodes[&node].is_incomplete());
    world.run(Duration::from_secs(10));
    assert!(!world.nodes[&node].is_incomplete());
    assert_eq!(world.disks[&node], before);
    world.kill(other);
    world.kill(node);
    world.start(node);
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));

    // With nobody there to ask, nobody knows.
    lose(&mut world, &lost);
    world.run(Duration::from_secs(10));
    assert!(world.nodes[&node].is_incomplete());
}

#[test]
fn the_failure_of_a_second_attempt_does_not_end_what_is_tried_once() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let worker = world.all().into_iter().find(|node| *node != leader).unwrap();
    // No node has that much: nothing of it is handed out but what is granted below.
    let needs = Needs { ram: 1 << 50, ..Needs::default() };
    let (job, _) = world.submit(leader, JobSpec { retries: 0, needs, ..spec(1) });
    world.fails.insert(1);
    let term = world.nodes[&leader].election.term();
    for (seq, attempt, status) in [(1, 2, Status::Queued), (2, 1, Status::Failed)] {
        let attempt = AttemptKey { job, task: TaskKey::frame(1), generation: 0, attempt };
        let lease = Lease { attempt, cores: 1, ram: 0, gpus: Vec::new() };
        let assign = Message::Assign { term, seq, lease, providers: Vec::new() };
        world.give(worker, Input::Message(leader, assign));
        assert_eq!(world.statuses(&job), BTreeSet::from([Some(status)]), "{attempt:?}");
        assert_eq!(world.starts.len() as u64, seq);
        assert_eq!(world.nodes[&worker].worker.running(), 0);
    }
}

#[test]
fn of_removals_that_are_written_together_one_stays_on_the_disk() {
    let mut world = World::new(1);
    let only = world.all()[0];
    world.run(Duration::from_secs(3));
    let (job, _) = world.submit(only, spec(2));
    world.run(Duration::from_secs(2));
    let body = Body::Removal(crate::fact::Removal { job });
    let other = KeyPair::from_secret(&[2; 32]);
    let chain = world.chain(other.public());
    world.nodes.get_mut(&only).unwrap().ledger.members.add(&chain);
    let studio = world.studio;
    let mut removals =
        [&world.keys[&only], &other].map(|keys| crate::fact::Fact::sign(&studio, &body, keys));
    // The better one first: what comes behind it means nothing by the time it is joined. And once more, as when
    // it comes by gossip while a peer hands it in: it must not pass for what it makes obsolete.
    removals.sort_by_key(Fact::id);
    let each = removals.iter().chain(&removals[..1]);
    let bytes = each.map(|fact| fact.as_bytes().to_vec()).collect();
    world.give(only, Input::Message(other.public(), Message::Facts(None, bytes)));
    let kept = world.disks[&only].1.values().filter(|fact| fact.scope() == Some(job));
    assert_eq!(kept.map(Fact::id).collect::<Vec<_>>(), [removals[0].id()]);
}

#[test]
fn who_leads_where_a_better_claim_is_followed_is_told_of_that() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let (follower, other) = (world.others(leader)[0], world.others(leader)[1]);
    let claim = world.nodes[&follower].election.claim().unwrap().clone();
    let worse = Claim::sign(&world.studio, claim.term - 1, &world.keys[&other]);
    let told = |world: &mut World, claim| {
        let machine = world.nodes.get_mut(&follower).unwrap();
        let commands = machine.handle(world.now, Input::Message(other, Message::Claim(claim)));
        let claims = commands.into_iter().filter_map(|command| match command {
            Command::Send(to, Message::Claim(claim)) if to == other => Some(claim),
            _ => None,
        });
        claims.collect::<Vec<_>>()
    };
    assert_eq!(told(&mut world, worse), std::slice::from_ref(&claim));
    assert_eq!(told(&mut world, claim), [], "who passes a claim on leads nobody");
}
