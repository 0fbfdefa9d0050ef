use super::*;
use crate::fact::{Body, FactError, Kind};
use crate::job::samples::spec;

/// Releases that know no other layout read every job that asks for nothing new.
#[test]
fn only_what_is_new_makes_a_new_version() {
    let plain = spec(3);
    assert_eq!((plain.version(), plain.encode()), (1, wire::encode(&plain)));
    for (fresh, check, end) in [(true, 0, [1, 0]), (false, 5, [0, 5]), (true, 100, [1, 100])] {
        let new = JobSpec { fresh, check, ..spec(3) };
        assert_eq!(new.version(), 2);
        assert_eq!(new.encode(), [&plain.encode()[..], &end].concat());
        assert_ne!(new.id(), plain.id());
        assert_eq!(JobSpec::decode(2, &new.encode(), 1 << 20), Some(new));
    }
    for (fresh, check) in [(false, 0), (true, 7)] {
        let new = JobSpec { fresh, check, share: true, ..spec(3) };
        assert_eq!(new.version(), 3);
        assert_eq!(new.encode(), [&plain.encode()[..], &[u8::from(fresh), check, 1]].concat());
        assert_eq!(JobSpec::decode(3, &new.encode(), 1 << 20), Some(new));
    }
    assert_eq!(JobSpec::decode(1, &plain.encode(), 1 << 20), Some(plain.clone()));
}

/// A spec has one encoding, as it has one id.
#[test]
fn a_spec_in_another_version_than_its_own_is_refused() {
    let plain = spec(3).encode();
    let nothing_new = [&plain[..], &[0, 0]].concat();
    assert_eq!(JobSpec::decode(2, &nothing_new, 1 << 20), None);
    let read = |version, bytes: &[u8]| Body::decode(Kind::SPEC, version, bytes);
    assert_eq!(read(2, &nothing_new), Err(FactError::Body));
    assert_eq!(read(2, &plain), Err(FactError::Body));
    assert_eq!(read(1, &[&plain[..], &[1, 0]].concat()), Err(FactError::Body));
    assert_eq!(read(2, &[&plain[..], &[0, 101]].concat()), Err(FactError::Body));
    assert_eq!(read(3, &[&plain[..], &[1, 0, 0]].concat()), Err(FactError::Body));
    assert_eq!(read(4, &plain), Ok(None));
    assert!(matches!(read(2, &[&plain[..], &[1, 0]].concat()), Ok(Some(Body::Spec(_)))));
}

#[test]
fn frames_that_follow_from_others_are_rendered_with_those() {
    let mut spec = spec(8);
    let rendered = |spec: &JobSpec, wanted: &[i32]| spec.rendered_for(&spec.steps[0], wanted);
    assert_eq!(rendered(&spec, &[5, 3]), [5, 3]);
    spec.steps[0].arguments.insert(IN_ORDER.to_owned(), "yes".to_owned());
    assert_eq!(rendered(&spec, &[5, 3]), [1, 2, 3, 4, 5]);
    assert_eq!(rendered(&spec, &[8]).len(), 8);
    assert_eq!(rendered(&spec, &[11, 12]), (1..=12).collect::<Vec<_>>(), "added to the job");
    assert_eq!(rendered(&spec, &[-3]), [-3]);
    spec.steps[0].frames = vec![crate::job::task::FrameRun { start: 1, end: 9, step: 4 }];
    assert_eq!(rendered(&spec, &[18]), [1, 5, 9, 13, 17, 18]);
}
