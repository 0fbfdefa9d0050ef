//! A store is opened by one process, and by no release that doesn't know its format.

use super::*;
use crate::OpenError;

#[test]
fn a_second_open_is_refused_until_the_first_ends() {
    let mut scratch = Scratch::new();
    let again = Store::open(&scratch.folder());
    assert!(matches!(again, Err(OpenError::InUse { .. })), "{again:?}");
    let again = again.unwrap_err().to_string();
    assert!(again.contains("in use by another process"), "{again}");
    scratch.reopen();
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let mut scratch = Scratch::new();
    let id = scratch.ingest_bytes(&noise(1, 300_000)).unwrap().id;
    scratch.close();
    std::fs::write(scratch.folder().join("FORMAT"), "weft store 2\n").unwrap();
    let before = files_below(&scratch.folder());
    let error = Store::open(&scratch.folder()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, supported: 1 }), "{error:?}");
    assert!(before == files_below(&scratch.folder()), "something was changed");
    std::fs::write(scratch.folder().join("FORMAT"), "something else").unwrap();
    let error = Store::open(&scratch.folder()).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
    std::fs::write(scratch.folder().join("FORMAT"), "weft store 1\n").unwrap();
    scratch.reopen();
    assert!(scratch.has(id).unwrap());
}

#[test]
fn an_interrupted_making_is_completed() {
    let mut scratch = Scratch::new();
    let id = scratch.ingest_bytes(b"kept").unwrap().id;
    scratch.close();
    std::fs::remove_file(scratch.folder().join("FORMAT")).unwrap();
    std::fs::write(scratch.folder().join("tmp/7"), "half a copy").unwrap();
    std::fs::write(scratch.folder().join("partial").join(id.to_string()), "unknown").unwrap();
    scratch.reopen();
    assert_eq!(scratch.read_all(id, 100).unwrap(), b"kept");
    let names: Vec<_> = files_below(&scratch.folder()).into_keys().collect();
    let left = ["FORMAT", "catalog.redb", "lock", "reserve"];
    assert_eq!(names, left.map(|name| scratch.folder().join(name)));
}
