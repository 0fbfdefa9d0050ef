//! What is taken in by many at the same time.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::*;
use crate::ingest::LONG_AT_ONCE;

/// How long a file of some megabytes takes that has its turn, and more.
const A_WHILE: Duration = Duration::from_secs(2);

#[test]
fn long_files_wait_for_their_turn_and_short_ones_do_not() {
    let scratch = Scratch::new();
    let (long, short) = (scratch.beside("long"), scratch.beside("short"));
    std::fs::write(&long, noise(1, 3 << 20)).unwrap();
    std::fs::write(&short, noise(2, 1 << 20)).unwrap();
    let mut others: Vec<_> = (0..LONG_AT_ONCE).map(|_| scratch.reading.take()).collect();
    let (sender, taken) = channel();
    thread::scope(|scope| {
        let (store, long) = (&*scratch, &long);
        scope.spawn(move || sender.send(store.ingest_file(long, &mut |_| {}).unwrap().size));
        scratch.ingest_file(&short, &mut |_| {}).unwrap();
        assert_eq!(taken.recv_timeout(A_WHILE), Err(RecvTimeoutError::Timeout));
        others.pop();
        assert_eq!(taken.recv(), Ok(3 << 20));
    });
    assert!(scratch.reading.try_take().is_some(), "it gave its turn back");
}
