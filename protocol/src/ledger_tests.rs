use proptest::prelude::*;

use super::*;
use crate::certificate::Certificate;
use crate::fact::{Outcomes, Removal, Revocation};
use crate::job::control::Action;
use crate::job::samples::{control, done, outcome, run, spec};
use crate::settings::{Change, NodeChange, Setting};
use crate::sign::{Ed25519, KeyPair};
use crate::time::Unix;

#[test]
fn a_wrong_signature_is_refused_whether_its_author_is_known_or_not() {
    let (studio, keys) = (StudioId([7; 32]), KeyPair::from_secret(&[1; 32]));
    let ledger = Ledger::new(studio);
    let body = Body::Spec(Box::new(spec(3)));
    let check = |fact: &Fact| ledger.check(fact, &Ed25519);
    assert_eq!(check(&Fact::sign(&studio, &body, &keys)), Verdict::UnknownAuthor);
    let elsewhere = Fact::sign(&StudioId([8; 32]), &body, &keys);
    assert_eq!(check(&elsewhere), Verdict::Invalid("its signature is wrong"));
}

#[test]
fn replicas_that_hear_of_two_removals_end_up_equal() {
    let studio = StudioId([7; 32]);
    let keys = |n: u8| KeyPair::from_secret(&[n; 32]);
    let spec = spec(3);
    let job = spec.id();
    let submitted = Fact::sign(&studio, &Body::Spec(Box::new(spec)), &keys(1));
    let removal = |n| Fact::sign(&studio, &Body::Removal(Removal { job }), &keys(n));
    let (one, other) = (removal(1), removal(2));
    let replica = |facts: [&Fact; 4]| {
        let mut ledger = Ledger::new(studio);
        let mut obsolete = BTreeSet::new();
        for fact in facts {
            obsolete.extend(ledger.apply(fact).obsolete);
        }
        assert!(ledger.jobs.is_removed(&job));
        assert!(obsolete.is_disjoint(ledger.ids()), "what is held is never deleted from the disk");
        (ledger.ids().clone(), obsolete)
    };
    let (ids, _) = replica([&submitted, &one, &other, &submitted]);
    assert_eq!(ids, BTreeSet::from([one.id().min(other.id())]));
    assert_eq!(replica([&other, &submitted, &one, &one]).0, ids);
    let (again, obsolete) = replica([&one, &other, &submitted, &other]);
    assert_eq!(again, ids);
    assert!(obsolete.contains(&one.id().max(other.id())));
}

/// Facts that contradict each other and make each other obsolete, one of everything that matters to that.
fn pool(studio: &StudioId) -> Vec<Fact> {
    let keys = |n: u8| KeyPair::from_secret(&[n; 32]);
    let root = keys(200);
    let certificate = |n: u8, expires: u64, name: &str| {
        let statement = Statement {
            studio: *studio,
            subject: keys(n).public(),
            issuer: root.public(),
            role: Role::Admin,
            name: name.into(),
            issued: Unix(0),
            expires: Unix(expires),
        };
        let chain = Chain { leaf: Certificate::sign(statement, &root), admin: None };
        (n, Body::Certificate(Box::new(chain)))
    };
    let revocation = |reason: &str| {
        (1, Body::Revocation(Revocation { node: keys(2).public(), reason: reason.into() }))
    };
    let drain = |n: u8, version: u64, drained| {
        let change = Change::Node(keys(1).public(), NodeChange::Drained(drained));
        (n, Body::Setting(Setting { version, at: Unix(0), by: "ada".into(), change }))
    };
    let (going, staying) = (spec(3), spec(4));
    let jobs = [going.id(), staying.id()];
    let mut bodies = vec![
        certificate(1, 10, "a"),
        certificate(1, 10, "b"),
        certificate(1, 20, "a"),
        certificate(2, 10, "d"),
        revocation("lost"),
        revocation("stolen"),
        drain(1, 1, true),
        drain(2, 1, false),
        drain(1, 2, false),
        drain(2, u64::MAX, true),
        (1, Body::Removal(Removal { job: going.id() })),
        (2, Body::Removal(Removal { job: going.id() })),
        (1, Body::Spec(Box::new(going))),
        (1, Body::Spec(Box::new(staying.clone()))),
        (2, Body::Spec(Box::new(staying))),
    ];
    for job in jobs {
        let retry = |generation| Action::Retry { step: 0, frames: vec![run(1, 2)], generation };
        for (version, action) in [
            (1, Action::Pause),
            (1, Action::Resume),
            (2, retry(1)),
            (u64::MAX, retry(u32::MAX)),
            (u64::MAX, Action::Pause),
        ] {
            bodies.push((1, Body::Control(control(job, version, action))));
        }
        for (n, generation, attempt) in [(1, 0, 1), (2, 0, 1), (2, 1, 2), (1, u32::MAX, 1)] {
            let outcomes = vec![outcome(1, generation, attempt, done())];
            bodies.push((n, Body::Outcomes(Outcomes { job, outcomes })));
        }
    }
    let known = bodies.iter().map(|(n, body)| Fact::sign(studio, body, &keys(*n)));
    let scopes = [None, Some(jobs[0]), Some(jobs[1])];
    let foreign = scopes.map(|job| Fact::sign_raw(studio, 900, 1, job, b"later", &keys(1)));
    known.chain(foreign).collect()
}

proptest! {
    /// Any facts, in any order, with any repetition: the same ids, members, settings and jobs; and nothing that
    /// is held was ever deleted from the disk.
    #[test]
    fn replicas_that_hear_of_the_same_facts_end_up_equal(
        chosen in proptest::collection::vec(any::<proptest::sample::Index>(), 0..60),
        order in any::<u64>(),
    ) {
        let studio = StudioId([7; 32]);
        static POOL: std::sync::OnceLock<Vec<Fact>> = std::sync::OnceLock::new();
        let pool = POOL.get_or_init(|| pool(&studio));
        let history: Vec<&Fact> = chosen.iter().map(|index| index.get(pool)).collect();
        let join = |facts: &[&Fact]| {
            let (mut ledger, mut obsolete) = (Ledger::new(studio), BTreeSet::new());
            for fact in facts {
                obsolete.extend(ledger.apply(fact).obsolete);
            }
            prop_assert!(obsolete.is_disjoint(ledger.ids()));
            Ok(ledger)
        };
        let expected = join(&history)?;
        let mut random = crate::random::Random::seeded(order);
        let shuffled = random.sample(history.clone(), history.len());
        let twice: Vec<&Fact> = shuffled.iter().chain(&history).copied().collect();
        for ledger in [join(&shuffled)?, join(&twice)?] {
            prop_assert_eq!(ledger.ids(), expected.ids());
            prop_assert_eq!(&ledger.by_job, &expected.by_job);
            prop_assert_eq!(&ledger.members, &expected.members);
            prop_assert_eq!(&ledger.settings, &expected.settings);
            prop_assert_eq!(&ledger.jobs, &expected.jobs);
        }
    }

    /// What the disk has lost comes again, in any order, and all is as it was.
    #[test]
    fn what_is_forgotten_is_new_and_joined_a_second_time_changes_nothing(
        chosen in proptest::collection::vec(any::<(proptest::sample::Index, bool)>(), 0..60),
        order in any::<u64>(),
    ) {
        let studio = StudioId([7; 32]);
        let pool = pool(&studio);
        let mut ledger = Ledger::new(studio);
        for (index, _) in &chosen {
            ledger.apply(index.get(&pool));
        }
        let expected = ledger.clone();
        let lost = chosen.iter().filter(|(_, is_lost)| *is_lost).map(|(index, _)| index.get(&pool));
        let lost: Vec<&Fact> = lost.filter(|fact| ledger.ids().contains(&fact.id())).collect();
        ledger.forget(&lost.iter().map(|fact| fact.id()).collect());
        for fact in &lost {
            prop_assert!(!ledger.ids().contains(&fact.id()));
            prop_assert_ne!(ledger.check(fact, &Ed25519), Verdict::Known);
        }
        prop_assert_eq!(&ledger.jobs, &expected.jobs, "what they said stays known");
        let count = lost.len();
        for fact in crate::random::Random::seeded(order).sample(lost, count) {
            prop_assert_eq!(ledger.apply(fact).obsolete, []);
        }
        prop_assert_eq!(ledger.ids(), expected.ids());
        prop_assert_eq!(&ledger.by_job, &expected.by_job);
        prop_assert_eq!(&ledger.members, &expected.members);
        prop_assert_eq!(&ledger.settings, &expected.settings);
        prop_assert_eq!(&ledger.jobs, &expected.jobs);
    }
}
