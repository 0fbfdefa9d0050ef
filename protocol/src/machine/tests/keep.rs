//! Jobs that go by themselves, and clocks that are wrong.

use super::*;
use crate::fact::Delivery;
use crate::job::keep::{Keep, Stay};
use crate::settings::{Change, Setting};

const DAY: u64 = 24 * 3600 * 1000;
/// Some day.
const TODAY: u64 = 20_000;

/// Jobs go so many days after they are over.
fn retention(version: u64, days: u32) -> Body {
    let change = Change::Keep(Some(days * 24 * 3600));
    Body::Setting(Setting { version, at: Unix(0), by: "ada".into(), change })
}

/// On a day of the wall clock every node is told it, the leader last; some clocks are wrong by days.
fn on(world: &mut World, day: u64, wrong: &[(NodeId, i64)]) {
    let leader = world.leader();
    let mut nodes = world.others(leader);
    nodes.push(leader);
    for node in nodes {
        let by = wrong.iter().find(|(wrong, _)| *wrong == node).map_or(0, |(_, days)| *days);
        let clock = (TODAY + day).checked_add_signed(by).unwrap() * DAY;
        world.give(node, Input::Clock(Unix(clock)));
    }
}

fn removed(world: &World, job: &JobId) -> bool {
    let told: BTreeSet<bool> =
        world.nodes.values().map(|machine| machine.ledger.jobs.is_removed(job)).collect();
    assert_eq!(told.len(), 1, "all agree");
    told.contains(&true)
}

/// A job that is over, and when nodes think that it goes.
fn completed(world: &mut World) -> JobId {
    let submitter = world.all()[0];
    let (job, _) = world.submit(submitter, spec(3));
    world.run(Duration::from_secs(5));
    assert_eq!(world.statuses(&job), BTreeSet::from([Some(Status::Completed)]));
    job
}

fn with_retention(count: u8) -> World {
    let mut world = World::new(count);
    world.run(Duration::from_secs(5));
    let any = world.all()[0];
    world.author(any, 7, retention(1, 30));
    world
}

#[test]
fn a_job_goes_once_its_time_has_come_and_not_before() {
    let mut world = with_retention(3);
    let live = world.all()[0];
    let paused = JobSpec { nonce: [9; 16], priority: 0, ..spec(2) };
    world.author(
        live,
        8,
        Body::Setting(Setting {
            version: 1,
            at: Unix(0),
            by: "ada".into(),
            change: Change::Limit("demo".into(), Some(0)),
        }),
    );
    let (paused, _) = world.submit(live, paused);
    world.author(live, 9, Body::Control(control(paused, 1, Action::Pause)));
    world.author(
        live,
        10,
        Body::Setting(Setting {
            version: 2,
            at: Unix(0),
            by: "ada".into(),
            change: Change::Limit("demo".into(), None),
        }),
    );
    let job = completed(&mut world);
    on(&mut world, 0, &[]);
    for machine in world.nodes.values() {
        assert_eq!(machine.stay(&job), Some(Stay::Until(Unix((TODAY + 30) * DAY))));
    }
    on(&mut world, 29, &[]);
    assert!(!removed(&world, &job));
    on(&mut world, 30, &[]);
    assert!(removed(&world, &job), "as by `weft rm`");
    on(&mut world, 3000, &[]);
    assert!(!removed(&world, &paused), "it is not over");
}

#[test]
fn one_wrong_clock_removes_nothing_and_holds_nothing_up() {
    for days in [-4000, -3, 3, 4000] {
        for leads in [true, false] {
            let mut world = with_retention(3);
            let job = completed(&mut world);
            let leader = world.leader();
            let wrong = if leads { leader } else { world.others(leader)[0] };
            on(&mut world, 0, &[(wrong, days)]);
            on(&mut world, 29, &[(wrong, days)]);
            assert!(!removed(&world, &job), "{days} days, leader: {leads}");
            on(&mut world, 31, &[(wrong, days)]);
            assert!(removed(&world, &job), "{days} days, leader: {leads}");
        }
    }
}

#[test]
fn of_two_clocks_the_one_counts_by_which_things_stay() {
    for days in [-40, 40] {
        for leads in [true, false] {
            let mut world = with_retention(2);
            let job = completed(&mut world);
            let leader = world.leader();
            let wrong = if leads { leader } else { world.others(leader)[0] };
            on(&mut world, 0, &[(wrong, days)]);
            for day in [1, 29] {
                on(&mut world, day, &[(wrong, days)]);
                assert!(!removed(&world, &job), "{days} days, leader: {leads}");
            }
            on(&mut world, 75, &[]);
            assert!(removed(&world, &job), "once it was set right");
        }
    }
}

#[test]
fn a_node_alone_removes_nothing_unless_it_is_the_studio() {
    let mut world = with_retention(2);
    let job = completed(&mut world);
    on(&mut world, 0, &[]);
    let leader = world.leader();
    let other = world.others(leader)[0];
    world.kill(other);
    world.run(Duration::from_secs(31));
    on(&mut world, 99, &[]);
    assert!(!removed(&world, &job), "its clock is all that there is");
    world.start(other);
    world.run(Duration::from_secs(6));
    on(&mut world, 99, &[]);
    assert!(removed(&world, &job));

    let mut world = with_retention(1);
    let job = completed(&mut world);
    on(&mut world, 0, &[]);
    on(&mut world, 30, &[]);
    assert!(removed(&world, &job), "a studio of one machine");
}

#[test]
fn files_that_were_promised_to_a_node_that_is_off_stay_until_they_are_written() {
    let mut world = with_retention(3);
    let leader = world.leader();
    let away = world.others(leader)[0];
    let spec = spec(3);
    let job = spec.id();
    let delivery = Delivery { job, node: away, folder: "/out".into() };
    let keep = Body::Control(control(job, 1, Action::Keep(Keep::For(24 * 3600))));
    let bodies = vec![Body::Spec(Box::new(spec)), Body::Delivery(delivery), keep];
    world.give(
        away,
        Input::Author { request: 1, bodies, signed: Vec::new(), goods: Goods::default() },
    );
    world.kill(away);
    world.run(Duration::from_secs(15));
    on(&mut world, 0, &[]);
    on(&mut world, 400, &[]);
    assert!(!removed(&world, &job));
    assert_eq!(world.nodes[&leader].stay(&job), Some(Stay::Owed(vec![away])));
    assert_eq!(world.nodes[&leader].owes(&job), None, "it is another that owes them");
    world.start(away);
    world.run(Duration::from_secs(10));
    let round = world.nodes[&away].owes(&job).expect("it is to say so");
    world.give(away, Input::Delivered(job, [0; 8]));
    on(&mut world, 401, &[]);
    assert!(!removed(&world, &job), "of another round");
    world.give(away, Input::Delivered(job, round));
    on(&mut world, 402, &[]);
    assert!(!removed(&world, &job), "its day begins now");
    on(&mut world, 403, &[]);
    assert!(removed(&world, &job));
}
