//! The network between nodes: what is on its way, how long that takes, and what becomes of it.

use std::collections::BTreeMap;

use weft_protocol::random::Random;

use super::clock::{MILLI, Moment};

/// One direction between two machines.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Nothing gets through.
    pub(super) cut: bool,
    /// How many of 10,000 messages are lost, and come twice.
    pub(super) loss: u64,
    pub(super) twice: u64,
    /// How long a message takes, at least and at most.
    pub(super) delay: (Moment, Moment),
    /// Messages may overtake each other.
    pub(super) jumbled: bool,
    last: Moment,
}

/// A quiet LAN.
const LAN: (Moment, Moment) = (MILLI / 10, MILLI);

impl Way {
    const fn good() -> Self {
        Self { cut: false, loss: 0, twice: 0, delay: LAN, jumbled: false, last: 0 }
    }

    /// When something that is sent now arrives: never, once, or twice.
    pub(super) fn arrivals(&mut self, now: Moment, random: &mut Random) -> Vec<Moment> {
        if self.cut || random.next() % 10_000 < self.loss {
            return Vec::new();
        }
        let copies = if random.next() % 10_000 < self.twice { 2 } else { 1 };
        (0..copies).map(|_| self.arrival(now, random)).collect()
    }

    /// When gossip that is passed on at `when` arrives, if it does. Who passes it on is told of at once, and sends it
    /// when it has come there: what is sent over this way until then must not wait for it.
    pub(super) fn passes(&self, when: Moment, random: &mut Random) -> Option<Moment> {
        let lost = self.cut || random.next() % 10_000 < self.loss;
        (!lost).then(|| when + self.takes(random))
    }

    fn takes(&self, random: &mut Random) -> Moment {
        let (least, most) = self.delay;
        least + random.next() % (most - least + 1)
    }

    fn arrival(&mut self, now: Moment, random: &mut Random) -> Moment {
        let mut at = now + self.takes(random);
        if !self.jumbled {
            at = at.max(self.last + 1);
            self.last = at;
        }
        at
    }
}

/// A connection: its two ends, in which life of each, and whether that end still has it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) ends: [usize; 2],
    pub(super) lives: [u64; 2],
    pub(super) closed: [bool; 2],
}

impl Link {
    /// Which end a node is.
    pub(super) fn side(&self, node: usize) -> usize {
        usize::from(self.ends[1] == node)
    }
}

/// All ways and connections.
#[derive(Default)]
pub(super) struct Network {
    ways: BTreeMap<(usize, usize), Way>,
    pub(super) links: BTreeMap<u64, Link>,
    number: u64,
    /// How many messages are on their way between two machines.
    pub(super) under_way: BTreeMap<(usize, usize), usize>,
}

impl Network {
    pub(super) fn way(&mut self, from: usize, to: usize) -> &mut Way {
        self.ways.entry((from, to)).or_insert(const { Way::good() })
    }

    /// Whether both directions work.
    pub(super) fn works(&mut self, one: usize, other: usize) -> bool {
        !self.way(one, other).cut && !self.way(other, one).cut
    }

    /// Everything works again.
    pub(super) fn heal(&mut self) {
        for way in self.ways.values_mut() {
            *way = Way { last: way.last, ..Way::good() };
        }
    }

    pub(super) fn link(&mut self, ends: [usize; 2], lives: [u64; 2]) -> u64 {
        self.number += 1;
        self.links.insert(self.number, Link { ends, lives, closed: [false; 2] });
        self.number
    }

    /// One end has the connection no longer. When neither has it, it is forgotten.
    pub(super) fn close(&mut self, number: u64, node: usize) {
        if let Some(link) = self.links.get_mut(&number) {
            let side = link.side(node);
            link.closed[side] = true;
            if link.closed == [true; 2] {
                self.links.remove(&number);
            }
        }
    }
}
