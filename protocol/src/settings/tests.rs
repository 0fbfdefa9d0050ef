use proptest::prelude::*;

use super::*;
use crate::hardware::{GIB, Gpu};
use crate::job::samples::{self, fact, node};
use crate::ladder::STEP;

fn setting(version: u64, change: Change) -> Setting {
    Setting { version, at: Unix(7), by: "ada".into(), change }
}

fn drained(n: u8, whether: bool) -> Change {
    Change::Node(node(n), NodeChange::Drained(whether))
}

fn advert(n: u8, cores: u32, ram: u64, gpus: usize, price: u32) -> Advert {
    let card = Gpu { model: "NVIDIA GeForce RTX 4090".into(), memory: 24 * GIB };
    let hardware = Hardware {
        cpu_cores: cores,
        ram: ram * GIB,
        gpus: vec![card; gpus],
        ..Hardware::default()
    };
    Advert { hardware, price, ..samples::advert(n) }
}

#[test]
fn a_node_is_drained_until_somebody_undrains_it() {
    let mut settings = Settings::new();
    assert_eq!(settings.next_version(&drained(1, true)), 1);
    assert!(settings.apply(fact(1), node(3), &setting(1, drained(1, true))));
    let said = Said { by: "ada".into(), node: node(3), at: Unix(7) };
    assert_eq!((settings.drained(&node(1)), settings.drained(&node(2))), (Some(said), None));
    assert_eq!(settings.next_version(&drained(1, false)), 2);
    // Two people at once: stopping is the safer of the two.
    assert!(!settings.apply(fact(2), node(9), &setting(1, drained(1, false))));
    assert!(settings.apply(fact(3), node(2), &setting(2, drained(1, false))));
    assert_eq!(settings.drained(&node(1)), None);
}

#[test]
fn a_node_that_a_member_drains_for_good_is_undrained_all_the_same() {
    let mut settings = Settings::new();
    assert!(!settings.apply(fact(1), node(9), &setting(u64::MAX, drained(1, true))));
    assert_eq!(settings.drained(&node(1)), None);
    // As high as it may, and it has climbed a step; one more still undoes it.
    assert!(settings.apply(fact(2), node(9), &setting(STEP, drained(1, true))));
    assert_eq!(settings.next_version(&drained(1, false)), STEP + 1);
    assert!(settings.apply(fact(3), node(2), &setting(STEP + 1, drained(1, false))));
    assert_eq!(settings.drained(&node(1)), None);
}

#[test]
fn what_a_node_does_while_somebody_uses_it_is_of_a_version_of_its_own() {
    use crate::fact::{Body, FactError, Kind};
    let change = |what| Change::Node(node(1), NodeChange::OnReturn(what));
    let mut settings = Settings::new();
    settings.apply(fact(1), node(3), &setting(1, change(Some(OnReturn::Requeue))));
    assert_eq!(settings.on_return(&node(1)), Some(OnReturn::Requeue));
    assert_eq!(settings.on_return(&node(2)), None);
    settings.apply(fact(2), node(3), &setting(2, change(None)));
    assert_eq!(settings.on_return(&node(1)), None);
    for what in [OnReturn::Ignore, OnReturn::Finish, OnReturn::Requeue] {
        assert_eq!(what.name().parse(), Ok(what));
    }
    // A release that knows only the first version keeps it and passes it on: it must not be told to
    // read it. And nothing else is written in the second.
    let body = Body::Setting(setting(1, change(Some(OnReturn::Finish))));
    let (kind, bytes) = (Kind::SETTING, body.encode());
    assert_eq!((body.version(), Body::decode(kind, 1, &bytes)), (2, Err(FactError::Body)));
    assert_eq!(Body::decode(kind, 2, &bytes), Ok(Some(body)));
    assert_eq!(Body::decode(kind, 3, &bytes), Err(FactError::Body));
    assert_eq!(Body::decode(kind, 4, &bytes), Ok(None));
    let third = Body::Setting(setting(1, Change::Keep(Some(60))));
    assert_eq!((third.version(), Body::decode(kind, 3, &third.encode())), (3, Ok(Some(third))));
    let first = Body::Setting(setting(1, drained(1, true)));
    assert_eq!(
        (first.version(), Body::decode(kind, 2, &first.encode())),
        (1, Err(FactError::Body))
    );
}

#[test]
fn hours_go_across_midnight_and_are_read_as_they_are_written() {
    let night: Hours = "19-08".parse().unwrap();
    assert_eq!(night, Hours { from: 19 * 60, until: 8 * 60 });
    let at = |hour: u16| night.contain(hour * 60);
    assert_eq!([19, 23, 0, 7, 8, 12, 18].map(at), [true, true, true, true, false, false, false]);
    let day: Hours = "8:30-17".parse().unwrap();
    assert!(!day.contain(8 * 60 + 29) && day.contain(8 * 60 + 30) && !day.contain(17 * 60));
    let always: Hours = "0-24".parse().unwrap();
    assert!(always.contain(0) && always.contain(MINUTES - 1));
    for text in ["19-08", "08:30-17", "00-00"] {
        let hours: Hours = text.parse().unwrap();
        assert_eq!(hours.to_string(), text);
    }
    for wrong in ["", "19", "19-", "25-3", "1:60-2", "+1-2", "a-b", "123-4", "24:01-2"] {
        assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
    }
}

#[test]
fn a_nodes_price_is_what_was_set_or_configured_or_its_profiles() {
    let mut settings = Settings::new();
    let prices = |settings: &Settings| {
        [(4, 8, 0), (8, 16, 0), (64, 128, 0), (64, 128, 2), (8, 16, 2)]
            .map(|(cores, ram, gpus)| settings.price(&advert(1, cores, ram, gpus, 0)))
    };
    assert_eq!(prices(&settings), [0, 500, 1000, 2500, 500]);
    assert_eq!(settings.price(&advert(1, 64, 128, 2, 700)), 700, "its configuration says so");
    let change = Change::Node(node(1), NodeChange::Price(Some(0)));
    settings.apply(fact(1), node(1), &setting(1, change));
    assert_eq!(prices(&settings), [0; 5], "it is given away");
    let change = Change::Node(node(1), NodeChange::Price(None));
    settings.apply(fact(2), node(1), &setting(2, change));
    let small = Profile { cores: 4, price: 100, ..Profile::default() };
    settings.apply(fact(3), node(1), &setting(1, Change::Profile("small".into(), Some(small))));
    settings.apply(fact(4), node(1), &setting(1, Change::Profile("standard".into(), None)));
    assert_eq!(prices(&settings), [100, 500, 500, 2500, 500]);
    assert_eq!(settings.profiles().len(), 3);
}

#[test]
fn a_setting_overrides_what_a_node_says_of_itself() {
    let mut settings = Settings::new();
    let configured = Advert { tags: ["lab".to_owned()].into(), ..advert(1, 4, 16, 0, 0) };
    assert_eq!(settings.advertise(&configured, 16), configured);
    for (n, change) in [
        NodeChange::Cores(Some(12)),
        NodeChange::Tags(Some(["night".to_owned()].into())),
        NodeChange::Hours(Some(Hours { from: 60, until: 0 })),
    ]
    .into_iter()
    .enumerate()
    {
        let change = Change::Node(node(1), change);
        settings.apply(fact(n as u64), node(2), &setting(1, change));
    }
    let advert = settings.advertise(&configured, 16);
    assert_eq!((advert.hardware.cpu_cores, advert.tags), (12, ["night".to_owned()].into()));
    assert_eq!(settings.advertise(&configured, 8).hardware.cpu_cores, 8, "it has no more");
    assert_eq!(settings.hours(&node(1)), Some(Hours { from: 60, until: 0 }));
}

#[test]
fn bounds_hold_for_every_setting() {
    let long = "x".repeat(129);
    for change in [
        Change::Limit(String::new(), Some(1)),
        Change::Profile(long.clone(), None),
        Change::Profile("a".into(), Some(Profile { gpu_model: long, ..Profile::default() })),
        Change::Node(node(1), NodeChange::Cores(Some(0))),
        Change::Node(node(1), NodeChange::Hours(Some(Hours { from: MINUTES, until: 0 }))),
        Change::Node(node(1), NodeChange::Tags(Some([String::new()].into()))),
    ] {
        assert!(setting(1, change.clone()).check().is_err(), "{change:?}");
    }
    assert!(setting(1, Change::Limit("blender".into(), None)).check().is_ok());
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1..3u8, any::<bool>()).prop_map(|(n, whether)| drained(n, whether)),
        (1..3u8, proptest::option::of(0..3u32))
            .prop_map(|(n, price)| Change::Node(node(n), NodeChange::Price(price))),
        proptest::option::of(1..3u32).prop_map(|limit| Change::Limit("demo".into(), limit)),
        proptest::option::of(1..3u32).prop_map(Change::Keep),
        proptest::option::of(1..3u32).prop_map(|cores| {
            let profile = cores.map(|cores| Profile { cores, ..Profile::default() });
            Change::Profile("basic".into(), profile)
        }),
    ]
}

fn versions() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1..4u64, 1 => STEP..STEP + 4, 1 => Just(u64::MAX)]
}

proptest! {
    #[test]
    fn the_same_facts_give_the_same_settings(
        all in proptest::collection::vec((versions(), 1..4u8, changes()), 1..20),
        order in any::<u64>(),
    ) {
        let mut numbered: Vec<_> = (0..).zip(all).collect();
        let join = |facts: &[(u64, (u64, u8, Change))]| {
            let mut settings = Settings::new();
            for (n, (version, author, change)) in facts {
                settings.apply(fact(*n), node(*author), &setting(*version, change.clone()));
            }
            settings
        };
        let first = join(&numbered);
        let mut random = crate::random::Random::seeded(order);
        let count = numbered.len();
        numbered = random.sample(numbered, count);
        let twice = [&numbered[..], &numbered[..]].concat();
        prop_assert_eq!(join(&twice), first);
    }
}
