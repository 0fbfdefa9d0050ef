//! How far a peer is believed that says what it holds of a blob, and then hasn't it.

use std::time::Duration;

use crate::time::Time;

/// How often in a row a peer may say that it hasn't what it said to have before nothing of that
/// blob is asked of it: a disk may have spoilt a few chunks, and one that has lost the whole blob
/// would deny each.
const DENIALS: u32 = 8;
/// How long after a denial a peer is asked anew what it has: it may be mending the blob, or have had
/// too many files open for a moment. Each time twice as long as before.
const AGAIN: Duration = Duration::from_millis(500);
/// How often it is asked anew. Then what it denies stays denied.
const TRIES: u32 = 3;

/// What a peer has denied of one blob. It tells nothing about the peer's other blobs: an honest one
/// may have deleted this, or its disk have spoilt it.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt {
    in_a_row: u32,
    tries: u32,
    /// When it is to be asked anew.
    again: Option<Time>,
}

impl Doubt {
    /// It has not a chunk that it said to have.
    pub(super) fn denied(&mut self, now: Time) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.again.is_none() && self.tries < TRIES {
            self.again = Some(now + AGAIN.saturating_mul(1 << self.tries));
        }
    }

    /// It sent a chunk.
    pub(super) const fn delivered(&mut self) {
        self.in_a_row = 0;
    }

    /// Whether it denied so much that nothing it says of the blob counts, for now or for good.
    pub(super) const fn is_deaf(&self) -> bool {
        self.in_a_row > DENIALS
    }

    /// Whether it will be asked anew.
    pub(super) const fn waits(&self) -> bool {
        self.again.is_some()
    }

    /// Whether it is time to ask it anew; its answer counts then.
    pub(super) fn take_due(&mut self, now: Time) -> bool {
        let due = self.again.take_if(|at| *at <= now).is_some();
        if due {
            self.tries += 1;
            self.in_a_row = 0;
        }
        due
    }

    /// It has nothing of the blob, as it says itself: there is nothing to ask anew.
    pub(super) const fn settled(&mut self) {
        self.again = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_denies_all_is_asked_anew_some_times_and_then_not_at_all() {
        let mut doubt = Doubt::default();
        for at in [500, 1000, 2000] {
            for n in 0..=DENIALS {
                assert!(!doubt.is_deaf(), "{n}");
                doubt.denied(Time(0));
            }
            assert!(doubt.is_deaf() && doubt.waits());
            assert!(!doubt.take_due(Time(at - 1)));
            assert!(doubt.take_due(Time(at)) && !doubt.is_deaf());
        }
        for _ in 0..=DENIALS {
            doubt.denied(Time(0));
        }
        assert!(doubt.is_deaf() && !doubt.waits());
    }

    #[test]
    fn a_few_denials_among_chunks_that_come_are_forgiven() {
        let mut doubt = Doubt::default();
        for _ in 0..10 * DENIALS {
            doubt.denied(Time(0));
            doubt.delivered();
        }
        assert!(!doubt.is_deaf());
    }
}
