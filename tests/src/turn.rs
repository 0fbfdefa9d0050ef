//! Farms take turns: nodes that elect and render need the machine's cores, and two farms at once
//! would make each other's timings meaningless.

use std::cell::RefCell;
use std::fs::File;
use std::rc::{Rc, Weak};

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
                let path = std::env::temp_dir().join("weft-tests.lock");
                let lock = File::options().create(true).append(true).open(&path);
                let lock = lock.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                lock.lock().expect("files can be locked");
                let turn = Rc::new(Self { _lock: lock });
                *mine = Rc::downgrade(&turn);
                turn
            })
        })
    }
}
