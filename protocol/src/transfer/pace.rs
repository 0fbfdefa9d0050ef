//! How much to ask of one peer at once, and how long to wait for it.

use std::time::Duration;

use crate::time::Time;

/// How long what is asked of one peer should keep it busy: some round trips of any LAN, and little
/// to ask anew when the peer goes or another one turns out to be nearer.
const AHEAD: Duration = Duration::from_millis(400);
/// What is asked at least and at most at once, in bytes, and before anything is known of a peer. A
/// gigabit needs 125 KB for each millisecond of a round trip.
const LEAST: u64 = 512 << 10;
const MOST: u64 = 16 << 20;
const FIRST: u64 = 1 << 20;
/// What an earlier arrival counts against the next one.
const FADING: f64 = 0.9;
/// How long a peer may take for a request, and for each MB of it (Kraken's: it tells slow from
/// stuck on links from 2 Mbit/s up).
const DEADLINE: Duration = Duration::from_secs(4);
const BYTES_A_MILLI: u64 = 250;
/// A peer that kept none of so many deadlines in a row, each twice as long as the one before, is
/// asked no more.
const MISSES: u32 = 3;
/// The rate of a peer of which nothing is known, in bytes a millisecond.
const UNKNOWN_RATE: f64 = 10_000.0;

/// What is known about the speed of one peer.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    bytes: f64,
    millis: f64,
    /// When something of use last came, or was first asked after a pause.
    since: Time,
    /// How long it had been asked in vain when it had answered all that it was asked.
    vain: Duration,
    missed: u32,
}

impl Pace {
    pub(super) const fn new(now: Time) -> Self {
        Self { bytes: 0.0, millis: 0.0, since: now, vain: Duration::ZERO, missed: 0 }
    }

    /// Something is asked of a peer that had nothing to do.
    pub(super) fn begins(&mut self, now: Time) {
        self.since = now - self.vain;
    }

    /// It answered the last of what it was asked, and that was of no use: the time that went by is
    /// counted against what it is asked next, so that such answers put off no deadline.
    pub(super) const fn in_vain(&mut self, now: Time) {
        self.vain = now.since(self.since);
    }

    /// So many bytes came that were asked, and are of use.
    pub(super) fn arrived(&mut self, now: Time, bytes: u32) {
        let millis = u32::try_from(now.since(self.since).as_millis()).unwrap_or(u32::MAX);
        self.millis = self.millis * FADING + f64::from(millis);
        self.bytes = self.bytes * FADING + f64::from(bytes);
        self.since = now;
        self.vain = Duration::ZERO;
        self.missed = 0;
    }

    /// Bytes a millisecond.
    fn rate(&self) -> f64 {
        match self.bytes > 0.0 {
            true => self.bytes / self.millis.max(1.0),
            false => UNKNOWN_RATE,
        }
    }

    /// How many bytes to have asked of it.
    pub(super) fn ahead(&self) -> u64 {
        if self.missed > 0 {
            // It is only tried: one request at a time.
            return 1;
        }
        if self.bytes == 0.0 {
            return FIRST;
        }
        // A float becomes the nearest whole number: it stays far below 2⁵³.
        ((self.rate() * AHEAD.as_millis() as f64) as u64).clamp(LEAST, MOST)
    }

    /// In how many milliseconds the last of `bytes` that are asked of it will be here.
    pub(super) fn millis_for(&self, bytes: u64) -> f64 {
        bytes as f64 / self.rate()
    }

    /// How long nothing has come although something was asked, in milliseconds.
    pub(super) fn silent(&self, now: Time) -> f64 {
        now.since(self.since).as_millis() as f64
    }

    /// When the request that is first in line, of `bytes`, is overdue.
    pub(super) fn deadline(&self, bytes: u32) -> Time {
        let limit = DEADLINE.max(Duration::from_millis(u64::from(bytes) / BYTES_A_MILLI));
        self.since + limit.saturating_mul(1 << self.missed.min(MISSES))
    }

    /// A deadline passed. Says whether that is enough.
    pub(super) const fn miss(&mut self, now: Time) -> bool {
        self.missed += 1;
        self.since = now;
        self.vain = Duration::ZERO;
        self.missed >= MISSES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_peers_are_asked_more_at_once() {
        let mut pace = Pace::new(Time(0));
        assert_eq!(pace.ahead(), FIRST);
        for n in 1..100 {
            pace.arrived(Time(n), 262_144);
        }
        assert_eq!(pace.ahead(), MOST);
        let mut slow = Pace::new(Time(0));
        for n in 1..100 {
            slow.arrived(Time(n * 1000), 262_144);
        }
        assert_eq!(slow.ahead(), LEAST);
        assert!((slow.millis_for(524_288) - 2000.0).abs() < 1.0);
    }

    #[test]
    fn a_silent_peer_gets_three_growing_deadlines() {
        let mut pace = Pace::new(Time(100));
        assert_eq!(pace.deadline(1_000_000), Time(4100));
        assert_eq!(pace.deadline(1_048_576), Time(4294));
        assert!(!pace.miss(Time(4100)));
        assert_eq!((pace.deadline(1), pace.ahead()), (Time(12_100), 1));
        assert!(!pace.miss(Time(12_100)));
        assert_eq!(pace.deadline(1), Time(28_100));
        assert!(pace.miss(Time(28_100)));
        pace.arrived(Time(28_200), 5);
        assert_eq!(pace.deadline(1), Time(32_200));
    }

    #[test]
    fn answers_of_no_use_put_off_no_deadline() {
        let mut pace = Pace::new(Time(0));
        pace.arrived(Time(100), 1000);
        pace.begins(Time(1000));
        pace.in_vain(Time(2000));
        pace.begins(Time(9000));
        assert_eq!(pace.deadline(1), Time(12_000), "what it did nothing for does not count");
        pace.arrived(Time(9500), 1000);
        pace.begins(Time(20_000));
        assert_eq!(pace.deadline(1), Time(24_000));
    }
}
