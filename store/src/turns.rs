//! Turns of those that would together take too much memory.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::locked;

/// How many there are; who finds none free waits until another gives its own back.
#[derive(Debug)]
pub(crate) struct Turns {
    free: Mutex<usize>,
    came: Condvar,
}

/// A turn. It is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t>(&'t Turns);

impl Turns {
    pub(crate) const fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), came: Condvar::new() }
    }

    /// Takes a turn if one is free.
    pub(crate) fn try_take(&self) -> Option<Turn<'_>> {
        let mut free = locked(&self.free);
        *free = free.checked_sub(1)?;
        Some(Turn(self))
    }

    /// Takes a turn, and waits for it.
    pub(crate) fn take(&self) -> Turn<'_> {
        let free = locked(&self.free);
        let waited = self.came.wait_while(free, |free| *free == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *locked(&self.0.free) += 1;
        self.0.came.notify_one();
    }
}
