//! What runs may take of a machine, and what they see of it.

use weft_protocol::wire::control::Lease;

use super::{Renderer, process};

/// What of a machine's memory is no run's: a part of it, and at least so many bytes.
const KEPT: (u64, u64) = (20, 256 << 20);

/// What runs may take of this machine, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    /// Its memory, where that is known.
    pub(crate) ram: u64,
    /// What a run may leave in its folder; half of what is free where nothing is set.
    pub(crate) work: Option<u64>,
    /// How many graphics cards it has.
    pub(crate) cards: usize,
}

impl Renderer {
    /// The most that a run may take.
    pub(super) fn limits(&self, lease: &Lease) -> process::Limits {
        let Allowed { ram, work, .. } = self.inner.allowed;
        let free = || crate::upkeep::space_at(&self.inner.home.jobs()).map(|(_, free)| free / 2);
        process::Limits { memory: most_memory(lease.ram, ram), space: work.or_else(free) }
    }
}

/// How much memory a run may take: what was leased, and no more than leaves something to the system and
/// this daemon. Where a machine's memory isn't known there is no limit.
fn most_memory(leased: u64, machine: u64) -> Option<u64> {
    let kept = (machine / KEPT.0).max(KEPT.1);
    let most = match machine {
        0 => u64::MAX,
        _ => machine.saturating_sub(kept).max(machine / 2),
    };
    match leased {
        0 => (most < u64::MAX).then_some(most),
        _ => Some(leased.min(most)),
    }
}

/// The graphics cards that programs are to see, as their drivers want to be told; none where that is all
/// that there are, and nobody need be told.
pub(super) fn visible(leased: &[u32], cards: usize) -> Option<String> {
    (leased.len() < cards).then(|| numbers(leased))
}

/// Numbers with commas between.
pub(super) fn numbers(numbers: &[u32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_sees_the_cards_that_it_has_claimed() {
        assert_eq!(visible(&[0, 2], 3).as_deref(), Some("0,2"));
        assert_eq!(visible(&[], 2).as_deref(), Some(""), "those of others are hidden");
        assert_eq!((visible(&[0, 1], 2), visible(&[], 0)), (None, None));
    }

    #[test]
    fn a_run_leaves_memory_to_the_machine() {
        const GIB: u64 = 1 << 30;
        assert_eq!(most_memory(64 * GIB, 64 * GIB), Some(64 * GIB - 64 * GIB / 20));
        assert_eq!(most_memory(GIB / 4, 64 * GIB), Some(GIB / 4), "what is set for the node holds");
        assert_eq!(most_memory(GIB / 4, GIB / 4), Some(GIB / 8), "a tiny machine keeps half");
        assert_eq!((most_memory(0, 0), most_memory(GIB, 0)), (None, Some(GIB)));
    }
}
