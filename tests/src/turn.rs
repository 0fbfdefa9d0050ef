//! Farms take turns, two at once: nodes mostly wait for each other, but those that render need the machine's cores,
//! and many farms at once would make each other's timings meaningless.

use std::cell::RefCell;
use std::fs::File;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads run farms at once, whichever process they belong to.
const TURNS: usize = 2;

/// Which turn is waited for where all are taken: one after the other.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The right to run farms. A thread that has it may run several at once.
#[derive(Debug)]
pub(crate) struct Turn {
    // The system takes the lock away when the file closes, however the process ends.
    _lock: File,
}

thread_local! {
    static MINE: RefCell<Weak<Turn>> = const { RefCell::new(Weak::new()) };
}

impl Turn {
    /// Waits until no other thread or process has it.
    pub(crate) fn wait() -> Rc<Self> {
        MINE.with_borrow_mut(|mine| {
            mine.upgrade().unwrap_or_else(|| {
                let mut locks: Vec<File> = (0..TURNS).map(open).collect();
                let free = locks.iter().position(|lock| lock.try_lock().is_ok());
                let lock = locks.swap_remove(free.unwrap_or_else(|| {
                    let next = NEXT.fetch_add(1, Ordering::Relaxed) % TURNS;
                    locks[next].lock().expect("files can be locked");
                    next
                }));
                let turn = Rc::new(Self { _lock: lock });
                *mine = Rc::downgrade(&turn);
                turn
            })
        })
    }
}

fn open(turn: usize) -> File {
    let path = std::env::temp_dir().join(format!("weft-tests-{turn}.lock"));
    let lock = File::options().create(true).append(true).open(&path);
    lock.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
