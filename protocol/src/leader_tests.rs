use super::*;
use crate::claim::Portion;
use crate::fact::{Body, Outcomes};
use crate::hardware::Needs;
use crate::ids::StudioId;
use crate::job::samples::{advert, done, fact, failed, node, outcome, spec};
use crate::job::spec::JobSpec;
use crate::schedule::Process;
use crate::time::Unix;
use crate::wire::control::Closed;

struct World {
    leader: Leader,
    ledger: Ledger,
    job: JobId,
    adverts: BTreeMap<NodeId, Advert>,
    alive: BTreeSet<NodeId>,
    seq: u64,
}

impl World {
    fn new(nodes: u8, frames: i32) -> Self {
        let (mut ledger, spec) = (Ledger::new(StudioId([0; 32])), spec(frames));
        let job = spec.id();
        ledger.jobs.apply(fact(1), node(1), &Body::Spec(Box::new(spec)));
        Self {
            leader: Leader::new(3, Time(0)),
            ledger,
            job,
            adverts: (1..=nodes).map(|n| (node(n), advert(n))).collect(),
            alive: (1..=nodes).map(node).collect(),
            seq: 0,
        }
    }

    fn report(&mut self, now: u64, n: u8, assigned: u64, running: &[i32]) {
        self.seq += 1;
        let running = running.iter().map(|frame| {
            let attempt = AttemptKey {
                job: self.job,
                task: TaskKey::frame(*frame),
                generation: 0,
                attempt: 1,
            };
            (attempt, 3, Phase::Rendering(0))
        });
        let report =
            Report { seq: self.seq, assigned, running: running.collect(), held: Vec::new() };
        self.leader.report(Time(now), node(n), &report);
    }

    /// What is assigned at `now`: node and frame.
    fn tick(&mut self, now: u64) -> Vec<(NodeId, i32)> {
        self.leader.touch();
        let sends = self.leader.tick(Time(now), &self.ledger, &self.adverts, &self.alive);
        let frames = sends.into_iter().filter_map(|(to, message)| match message {
            Message::Assign { lease, .. } => Some((to, lease.attempt.task.frame)),
            _ => None,
        });
        frames.collect()
    }

    fn done(&mut self, frame: i32) {
        let outcomes = vec![outcome(frame, 0, 1, done())];
        let body = Body::Outcomes(Outcomes { job: self.job, outcomes });
        self.ledger.jobs.apply(fact(100 + u64::from(frame.unsigned_abs())), node(1), &body);
        self.leader.outcomes(node(1));
    }
}

#[test]
fn a_new_leader_waits_for_reports_and_adopts_what_runs() {
    let mut world = World::new(3, 9);
    world.report(10, 1, 0, &[4]);
    world.report(10, 2, 0, &[]);
    assert_eq!(world.tick(20), [], "node 3 has not reported: it may render anything");
    world.report(30, 3, 0, &[1]);
    assert_eq!(world.tick(40), [(node(2), 2)], "frames 1 and 4 run already");
}

#[test]
fn it_does_not_wait_for_ever() {
    let mut world = World::new(2, 9);
    world.report(10, 1, 0, &[]);
    assert_eq!(world.tick(2900), []);
    world.report(3050, 1, 0, &[]);
    assert_eq!(world.tick(3100), [(node(1), 1)]);
}

#[test]
fn the_leader_that_was_lost_is_waited_for_less_long() {
    let mut world = World::new(2, 9);
    world.leader = Leader::new(3, Time(0)).after(Some(node(2)));
    world.report(10, 1, 0, &[]);
    assert_eq!(world.tick(1400), []);
    world.report(1450, 1, 0, &[]);
    assert_eq!(world.tick(1510), [(node(1), 1)]);
    // It is there after all, and in time.
    let mut world = World::new(2, 9);
    world.leader = Leader::new(3, Time(0)).after(Some(node(2)));
    world.report(10, 1, 0, &[]);
    world.report(1000, 2, 0, &[1]);
    assert_eq!(world.tick(1010), [(node(1), 2)]);
}

#[test]
fn nodes_that_are_off_are_waited_for_whether_they_were_seen_or_not() {
    let mut world = World::new(2, 1);
    world.adverts.values_mut().for_each(|advert| advert.engines.clear());
    let mut fits = advert(3);
    world.leader = Leader::new(3, Time(0)).knowing(&[(node(3), fits.clone())].into());
    world.report(0, 1, 0, &[]);
    world.report(0, 2, 0, &[]);
    assert_eq!(world.tick(10), []);
    let waiting = |world: &World| world.leader.waiting()[&world.job].words(|node| node.short());
    assert_eq!(waiting(&world), "of the one node that fits 1 is off");
    // It came, and has lost its engine since; another one that has it went.
    fits.engines.clear();
    fits.revision = (2, 0);
    world.adverts.insert(node(3), fits);
    world.adverts.insert(node(2), Advert { revision: (2, 0), ..advert(2) });
    world.alive.remove(&node(2));
    assert_eq!(world.tick(20), []);
    assert_eq!(waiting(&world), "of the one node that fits 1 is off");
    world.adverts.remove(&node(2));
    assert_eq!(world.tick(30), []);
    assert!(waiting(&world).contains("no node of the studio has the engine"));
}

#[test]
fn a_lease_ends_with_its_outcome_its_node_or_its_holders_silence() {
    let mut world = World::new(2, 3);
    world.report(0, 1, 0, &[]);
    world.report(0, 2, 0, &[]);
    assert_eq!(world.tick(10), [(node(1), 1), (node(2), 2)]);
    world.report(20, 1, 1, &[1]);
    world.report(20, 2, 1, &[2]);
    assert_eq!(world.tick(30), []);
    world.done(1);
    assert_eq!(world.tick(40), [(node(1), 3)]);
    world.leader.lose(&node(2));
    world.alive.remove(&node(2));
    world.report(50, 1, 2, &[]);
    assert_eq!(
        world.tick(60),
        [(node(1), 2)],
        "handed back, and the dead node's frame comes first"
    );
    // It falls silent: its lease ends after a while, and the other node takes over.
    world.alive.insert(node(2));
    world.report(11_000, 2, 0, &[]);
    assert_eq!(world.tick(11_000), [(node(2), 2)]);
}

#[test]
fn a_wrong_number_leaves_a_node_out_only_for_a_while() {
    let mut world = World::new(1, 3);
    world.seq = 5000;
    world.report(0, 1, 0, &[1]);
    world.seq = 1;
    world.report(1000, 1, 0, &[]);
    assert_eq!(world.tick(1010), [], "this one may have been overtaken");
    world.report(3000, 1, 0, &[]);
    assert_eq!(world.tick(3010), [(node(1), 1)]);
}

#[test]
fn a_report_that_was_sent_before_the_assignment_arrived_ends_nothing() {
    let mut world = World::new(1, 3);
    world.report(0, 1, 0, &[]);
    assert_eq!(world.tick(10), [(node(1), 1)]);
    world.report(15, 1, 0, &[]);
    assert_eq!(world.tick(20), []);
    world.report(25, 1, 1, &[]);
    assert_eq!(world.tick(30), [(node(1), 1)], "taken in, and not running: handed back");
}

#[test]
fn so_does_one_of_a_node_that_was_taken_for_dead_meanwhile() {
    let mut world = World::new(1, 3);
    world.report(0, 1, 0, &[]);
    assert_eq!(world.tick(10), [(node(1), 1)]);
    world.report(20, 1, 1, &[]);
    assert_eq!(world.tick(25), [(node(1), 1)], "handed back");
    world.leader.lose(&node(1));
    world.report(30, 1, 2, &[]);
    assert_eq!(world.tick(40), [(node(1), 1)]);
    world.report(45, 1, 2, &[]);
    assert_eq!(world.tick(50), [], "the third is on its way to it");
}

#[test]
fn who_says_to_work_on_everything_is_believed_as_much_as_a_node_can_do() {
    let most = i32::try_from(MAX_ATTEMPTS).unwrap();
    let mut world = World::new(2, most + 1000);
    let all: Vec<i32> = (1..=most + 1000).collect();
    world.report(10, 1, 0, &[]);
    world.report(10, 2, 0, &all);
    assert_eq!(world.tick(20), [(node(1), most + 1)]);
    assert_eq!(world.leader.leases_of(&world.job).count(), MAX_ATTEMPTS + 1);
}

#[test]
fn what_was_lost_on_its_way_to_a_worker_is_handed_out_again() {
    let mut world = World::new(1, 1);
    world.report(0, 1, 0, &[]);
    assert_eq!(world.tick(0), [(node(1), 1)]);
    // A report that was under way when it was assigned says nothing.
    world.report(500, 1, 0, &[]);
    assert_eq!(world.tick(500), []);
    // One that is this late does.
    world.report(3500, 1, 0, &[]);
    assert_eq!(world.tick(3500), [(node(1), 1)]);
}

#[test]
fn a_node_that_is_closed_gets_nothing_until_it_says_so_no_more() {
    let mut world = World::new(2, 9);
    let outside = Standing { closed: Some(Closed::Hours), ..Standing::default() };
    world.leader.standing(node(1), outside.clone());
    world.report(0, 1, 0, &[]);
    world.report(0, 2, 0, &[]);
    assert_eq!(world.tick(10), [(node(2), 1)]);
    world.leader.standing(node(1), outside);
    world.report(1000, 1, 0, &[]);
    world.report(1000, 2, 1, &[1]);
    assert_eq!(world.tick(1010), []);
    world.report(2000, 1, 0, &[]);
    assert_eq!(world.tick(2010), [(node(1), 2)]);
}

#[test]
fn a_refused_licence_keeps_a_node_from_that_engine_alone() {
    let mut world = World::new(2, 9);
    let refused = |engine: &str| Standing {
        refused: [(engine.to_owned(), "no seat is free".to_owned())].into(),
        ..Standing::default()
    };
    world.leader.standing(node(1), refused("demo"));
    world.leader.standing(node(2), refused("blender"));
    world.report(0, 1, 0, &[]);
    world.report(0, 2, 0, &[]);
    assert_eq!(world.tick(10), [(node(2), 1)]);
    world.leader.standing(node(1), refused("demo"));
    world.leader.standing(node(2), refused("demo"));
    world.report(1000, 1, 0, &[]);
    world.report(1000, 2, 1, &[]);
    assert_eq!(world.tick(1010), []);
    let why = world.leader.waiting()[&world.job].words(|node| node.short());
    assert!(why.contains("no seat is free"), "{why}");
}

#[test]
fn what_is_late_is_begun_once_more_and_the_other_is_left_where_one_ends() {
    let mut world = World::new(3, 5);
    let spec = JobSpec { retries: 2, ..spec(5) };
    world.job = spec.id();
    world.ledger.jobs = Jobs::new();
    world.ledger.jobs.apply(fact(1), node(1), &Body::Spec(Box::new(spec)));
    for frame in 1..=4 {
        world.done(frame);
    }
    let all = |world: &mut World, now: u64, second: u64, with: &[i32]| {
        world.report(now, 1, 1, &[5]);
        world.report(now, 2, second, with);
        world.report(now, 3, 0, &[]);
        world.tick(now + 10)
    };
    world.report(0, 1, 0, &[]);
    world.report(0, 2, 0, &[]);
    world.report(0, 3, 0, &[]);
    assert_eq!(world.tick(10), [(node(1), 5)]);
    // The others took 1.5 s; this one is late when it has rendered for five.
    for second in 1..=5 {
        assert_eq!(all(&mut world, second * 1000, 0, &[]), []);
    }
    assert_eq!(all(&mut world, 6000, 0, &[]), [(node(2), 5)]);
    let seconds = |world: &World| -> Vec<NodeId> {
        world.leader.seconds_of(&world.job).map(|held| held.node).collect()
    };
    assert_eq!(seconds(&world), [node(2)]);
    for second in 7..20 {
        assert_eq!(all(&mut world, second * 1000, 1, &[5]), [], "no third one");
    }
    // The first fails: what it was stays with the second, and nobody begins anew.
    let outcomes = vec![outcome(5, 0, 1, failed("x"))];
    let body = Body::Outcomes(Outcomes { job: world.job, outcomes });
    world.ledger.jobs.apply(fact(777), node(1), &body);
    world.report(20_000, 1, 1, &[]);
    world.report(20_000, 2, 1, &[5]);
    world.report(20_000, 3, 0, &[]);
    assert_eq!(world.tick(20_010), []);
    assert_eq!(seconds(&world), []);
    let held: Vec<NodeId> = world.leader.leases_of(&world.job).map(|held| held.node).collect();
    assert_eq!(held, [node(2)]);
    // It is called back, too: now nobody has it, and it goes out.
    world.report(21_000, 1, 1, &[]);
    world.report(21_000, 2, 1, &[]);
    world.report(21_000, 3, 0, &[]);
    assert_eq!(world.tick(21_010), [(node(2), 5)]);
}

#[test]
fn who_lost_to_another_attempt_is_busy_until_it_let_go() {
    let mut world = World::new(2, 3);
    world.report(0, 1, 0, &[1]);
    world.report(0, 2, 0, &[1]);
    world.done(1);
    // Node 1 did it, as the facts tell, and is free; node 2 does not know yet.
    world.report(10, 1, 0, &[]);
    world.report(10, 2, 0, &[1]);
    assert_eq!(world.tick(20), [(node(1), 2)]);
    world.report(1000, 2, 0, &[]);
    assert_eq!(world.tick(1010), [(node(2), 3)]);
}

/// What node 1 reports to work on: frames, and which of them have claimed so many cores together.
fn report_shares(world: &mut World, now: u64, running: &[i32], shares: &[(u32, &[u32])]) {
    let claims = shares.iter().map(|(cores, of)| Claimed {
        claim: Portion { cores: *cores, ram: 1 << 30, ..Portion::default() },
        of: of.to_vec(),
    });
    world.leader.claims(node(1), world.seq + 1, claims.collect());
    world.report(now, 1, 99, running);
}

fn with_shares() -> World {
    with_so_many_shares(9)
}

/// A studio of one node of four cores, and a job whose tasks claim one each.
fn with_so_many_shares(frames: i32) -> World {
    let mut world = World::new(1, frames);
    let needs = Needs { cores: 1, ram: 1 << 30, ..Needs::default() };
    let spec = JobSpec { share: true, needs, ..spec(frames) };
    world.ledger = Ledger::new(StudioId([0; 32]));
    world.job = spec.id();
    world.ledger.jobs.apply(fact(1), node(1), &Body::Spec(Box::new(spec)));
    world
}

#[test]
fn a_new_leader_hands_out_what_the_reported_claims_leave() {
    let frames =
        |world: &mut World| world.tick(20).into_iter().map(|(_, frame)| frame).collect::<Vec<_>>();
    let mut world = with_shares();
    report_shares(&mut world, 10, &[1, 2], &[(1, &[0]), (1, &[1])]);
    assert_eq!(frames(&mut world), [3, 4]);
    assert_eq!(world.leader.free(&node(1), Portion::all(&advert(1).hardware)).cores, 0);
    let mut world = with_shares();
    report_shares(&mut world, 10, &[1, 2], &[(2, &[0, 1])]);
    assert_eq!(frames(&mut world), [3, 4], "a run claims once");
    let mut world = with_shares();
    world.report(10, 1, 0, &[1, 2]);
    assert_eq!(frames(&mut world), [], "who says nothing of shares has given all of it away");
    // What was said for another report counts for nothing.
    let claim = Portion { cores: 1, ..Portion::default() };
    world.leader.claims(node(1), 77, vec![Claimed { claim, of: vec![0, 1] }]);
    world.report(30, 1, 0, &[1, 2]);
    assert_eq!(frames(&mut world), []);
    report_shares(&mut world, 40, &[1, 2], &[(1, &[0]), (2, &[1])]);
    assert_eq!(frames(&mut world), [3]);
}

#[test]
fn a_node_that_works_on_as_much_as_it_takes_on_gets_no_more() {
    let most = u32::try_from(MAX_ATTEMPTS).unwrap();
    let frame = |n: u32| i32::try_from(n).unwrap();
    let given = |running: u32| {
        let mut world = with_so_many_shares(frame(most) + 9);
        let frames: Vec<i32> = (1..=running).map(frame).collect();
        // All of them are one run of one core.
        report_shares(&mut world, 10, &frames, &[(1, &(0..running).collect::<Vec<_>>())]);
        world.tick(20)
    };
    assert_eq!(given(most), []);
    assert_eq!(given(most - 1), [(node(1), frame(most))]);
}

#[test]
fn frames_of_one_process_count_as_one() {
    let running = |world: &World| world.leader.processes(&world.ledger.jobs)["demo"];
    let mut world = with_shares();
    report_shares(&mut world, 10, &[1, 2, 3], &[(1, &[0]), (2, &[1, 2])]);
    assert_eq!(running(&world), 2, "of three frames two are a run");
    let mut world = World::new(2, 9);
    world.report(10, 1, 0, &[1, 2, 3]);
    world.report(10, 2, 0, &[4]);
    assert_eq!(running(&world), 2, "on a whole node one runs after the other");
}

#[test]
fn a_share_that_is_all_of_its_node_counts_as_any_other() {
    let all = advert(1).hardware;
    let needs = Needs { cores: all.cpu_cores, ram: all.ram, ..Needs::default() };
    let mut world = World::new(4, 9);
    let mut adds = |spec: JobSpec| {
        let (id, fact) = (spec.id(), fact(1000 + u64::from(spec.nonce[0])));
        world.ledger.jobs.apply(fact, node(1), &Body::Spec(Box::new(spec)));
        id
    };
    let job = adds(JobSpec { share: true, needs, nonce: [2; 16], submitted: Unix(9), ..spec(9) });
    adds(JobSpec { owner: "bo".into(), nonce: [3; 16], submitted: Unix(10), ..spec(9) });
    world.job = job;
    // Nobody tells of claims that are all there is.
    world.report(10, 1, 0, &[1, 2]);
    world.report(10, 2, 0, &[3]);
    world.report(10, 3, 0, &[]);
    world.report(10, 4, 0, &[]);
    let World { leader, ledger, adverts, alive, .. } = &mut world;
    let view = leader.view(Time(20), true, ledger, adverts, alive);
    let process = |n| Process { node: node(n), job, step: 0, claim: Portion::all(&all) };
    assert_eq!(view.processes, [process(1), process(2)], "a run of frames is one");
    let shares = crate::schedule::rank::shares(&ledger.jobs, &view);
    assert_eq!(shares["bo"], 0);
    assert_eq!(shares[&spec(9).owner], 2000);
}

#[test]
fn what_a_worker_did_not_take_on_is_handed_out_again() {
    let mut world = with_shares();
    world.report(10, 1, 0, &[]);
    assert_eq!(world.tick(20).len(), 4);
    // Three were taken on; of the fourth the report knows, and does not name it.
    report_shares(&mut world, 30, &[1, 2, 4], &[(1, &[0]), (1, &[1]), (1, &[2])]);
    assert_eq!(world.tick(40), [(node(1), 3)]);
}

#[test]
fn who_brings_stored_results_for_ever_holds_their_frames_up_for_a_while_only() {
    let (mut world, begun) = (World::new(1, 1), 5000);
    world.leader.seek(Time(begun), world.job);
    let mut now = begun;
    loop {
        now += 1000;
        world.leader.sought(Time(now), world.job, BTreeSet::from([TaskKey::frame(1)]));
        world.report(now, 1, 0, &[]);
        if !world.tick(now).is_empty() {
            break;
        }
        assert!(now < 3_600_000, "it waits for ever");
    }
    assert_eq!(Time(now).since(Time(begun)), SEEK_LIMIT);
}
