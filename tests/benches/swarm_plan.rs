//! The planner alone, without sockets: 100 and 1,000 peers fetch 10 GiB from one node over links of
//! a gigabit each way, in simulated time. Every peer knows about 24 others, and 40 of them know the
//! seed. Prints how the last one compares to what the links could carry at best, and how many
//! messages that takes.
//!
//! Links are simulated chunk by chunk: a node sends to those who asked in turns, as TCP does, and
//! what arrives at one node arrives one after the other.
//!
//! `cargo bench -p weft-tests --bench swarm_plan -- [--peers N] [--gib 10] [--strict]`

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use weft_protocol::content::Bitmap;
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::random::Random;
use weft_protocol::time::Time;
use weft_protocol::transfer::{Delivery, Download, Origin};
use weft_tests::bench::figures::{Verdict, given, option};

const BLOB: BlobId = BlobId([1; 32]);
/// The longest that chunks are: the coarsest case.
const CHUNK: u32 = 1 << 20;
/// Bytes a second each way.
const LINK: u64 = 125_000_000;
/// How long a message takes, in microseconds: half a round trip on a LAN with queues.
const LATENCY: u64 = 500;
/// How often peers are told what is new, as in the daemon, in microseconds.
const TELL: u64 = 100_000;
/// How many others every peer looks for, who then know it too.
const SOUGHT: usize = 12;
const MOST_KNOWN: usize = 32;
const KNOW_THE_SEED: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// `from` is asked by `to` for a chunk.
    Want { from: u32, to: u32, chunk: u32, exact: bool },
    /// It isn't any more.
    Cancel { from: u32, to: u32, chunk: u32 },
    /// A node's link is free to send.
    Free { node: u32 },
    /// A chunk is there.
    Arrive { from: u32, to: u32, asked: u32, chunk: u32 },
    /// A node tells what is new.
    Tell { node: u32 },
}

struct Node {
    download: Option<Download>,
    origin: Option<Origin>,
    knows: Vec<u32>,
    gained: Vec<u32>,
    /// What others want of it, in turns.
    wanted: Vec<(u32, VecDeque<(u32, bool)>)>,
    turn: usize,
    sending: bool,
    /// When its link down has nothing left to carry.
    down: u64,
    done: Option<u64>,
    sent: u64,
    messages: u64,
}

struct World {
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    nodes: Vec<Node>,
    /// How many peers lack something.
    fetching: usize,
    random: Random,
}

fn id(node: u32) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&node.to_be_bytes());
    NodeId(bytes)
}

fn number(node: &NodeId) -> u32 {
    u32::from_be_bytes([node.0[0], node.0[1], node.0[2], node.0[3]])
}

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let mut verdict = Verdict::default();
    let gib = option("--gib", 10);
    match option("--peers", 0) {
        0 => [100, 1000].into_iter().for_each(|peers| simulate(peers, gib, &mut verdict)),
        peers => simulate(peers, gib, &mut verdict),
    }
    verdict.end();
}

fn simulate(peers: usize, gib: usize, verdict: &mut Verdict) {
    let begun = std::time::Instant::now();
    let chunks = u32::try_from(gib << 10).expect("a blob has fewer chunks");
    let mut world = World::new(peers, chunks);
    world.run();
    let bytes = (gib << 30) as f64;
    let up = LINK as f64;
    let limit = (bytes / up).max(peers as f64 * bytes / (up * (peers + 1) as f64));
    let times = world.nodes[1..].iter().map(|node| node.done.unwrap_or(u64::MAX) as f64 / 1e6);
    let last = times.clone().fold(0.0, f64::max);
    let first = times.fold(f64::MAX, f64::min);
    let messages: Vec<u64> = world.nodes[1..].iter().map(|node| node.messages).collect();
    let mean = messages.iter().sum::<u64>() / peers as u64;
    println!(
        "{peers} peers, {gib} GiB: at best {limit:.1} s, first {first:.1} s, last {last:.1} s; the seed sent \
         {:.2} copies; messages sent by a peer: {mean} on average, {} at most, {:.2} for each chunk \
         ({:.0} s of this machine)",
        world.nodes[0].sent as f64 / f64::from(chunks),
        messages.iter().max().unwrap_or(&0),
        mean as f64 / f64::from(chunks),
        begun.elapsed().as_secs_f64(),
    );
    verdict.at_most(
        &format!("{peers} simulated peers: the last one / the limit"),
        last / limit,
        1.35,
    );
    let copies = world.nodes[0].sent as f64 / f64::from(chunks);
    verdict.at_most(&format!("{peers} simulated peers: copies that the seed sent"), copies, 1.5);
}

impl World {
    fn new(peers: usize, chunks: u32) -> Self {
        let mut random = Random::seeded(2);
        let count = u32::try_from(peers).expect("a few thousand") + 1;
        let mut known: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); peers + 1];
        for node in 1..count {
            let mut others: Vec<u32> = (1..count).filter(|other| *other != node).collect();
            others = random.sample(others, SOUGHT * 2);
            let mut sought = 0;
            for other in others {
                if sought < SOUGHT && known[other as usize].len() < MOST_KNOWN {
                    sought += usize::from(known[node as usize].insert(other));
                    known[other as usize].insert(node);
                }
            }
        }
        for node in random.sample((1..count).collect(), KNOW_THE_SEED) {
            known[node as usize].insert(0);
            known[0].insert(node);
        }
        let nodes = (0..count)
            .map(|node| {
                let knows: Vec<u32> = known[node as usize].iter().copied().collect();
                let seed = node == 0;
                let download = (!seed).then(|| {
                    let mut download = Download::new(Random::seeded(u64::from(node) * 77));
                    let lens = vec![CHUNK; chunks as usize];
                    download.begin(BLOB, lens, &Bitmap::new(chunks));
                    for other in &knows {
                        download.joined(Time(0), id(*other));
                        let held =
                            if *other == 0 { Bitmap::full(chunks) } else { Bitmap::new(chunks) };
                        download.holds(id(*other), &BLOB, &held);
                    }
                    download
                });
                Node {
                    download,
                    origin: seed.then(|| Origin::new(chunks)),
                    wanted: knows.iter().map(|other| (*other, VecDeque::new())).collect(),
                    knows,
                    gained: Vec::new(),
                    turn: 0,
                    sending: false,
                    down: 0,
                    done: None,
                    sent: 0,
                    messages: 0,
                }
            })
            .collect();
        Self { now: 0, queue: BinaryHeap::new(), count: 0, nodes, fetching: peers, random }
    }

    fn at(&mut self, when: u64, event: Event) {
        self.count += 1;
        self.queue.push(Reverse((when, self.count, event)));
    }

    fn run(&mut self) {
        for node in 1..self.nodes.len() as u32 {
            // Clocks are not in step.
            let first = self.random.below(TELL as usize) as u64;
            self.at(first, Event::Tell { node });
            self.ask(node);
        }
        while let Some(Reverse((when, _, event))) = self.queue.pop() {
            self.now = when;
            match event {
                Event::Want { from, to, chunk, exact } => {
                    let asking =
                        self.nodes[from as usize].wanted.iter_mut().find(|(n, _)| *n == to);
                    asking.expect("only neighbours ask").1.push_back((chunk, exact));
                    self.send(from);
                }
                Event::Cancel { from, to, chunk } => {
                    let asking =
                        self.nodes[from as usize].wanted.iter_mut().find(|(n, _)| *n == to);
                    let queue = &mut asking.expect("only neighbours ask").1;
                    if let Some(place) = queue.iter().position(|(other, _)| *other == chunk) {
                        queue.remove(place);
                        self.nodes[from as usize].messages += 1;
                        if let Some(download) = &mut self.nodes[to as usize].download {
                            download.spared(&id(from), &BLOB, chunk);
                        }
                    }
                }
                Event::Free { node } => {
                    self.nodes[node as usize].sending = false;
                    self.send(node);
                }
                Event::Arrive { from, to, asked, chunk } => self.arrive(from, to, asked, chunk),
                Event::Tell { node } => self.tell(node),
            }
            if self.fetching == 0 {
                return;
            }
        }
    }

    fn time(&self) -> Time {
        Time(self.now / 1000)
    }

    fn ask(&mut self, node: u32) {
        let now = self.time();
        let Some(download) = &mut self.nodes[node as usize].download else { return };
        let asks = download.asks(now);
        self.nodes[node as usize].messages += asks.len() as u64;
        for ask in asks {
            let from = number(&ask.node);
            let want = Event::Want { from, to: node, chunk: ask.chunk, exact: ask.exact };
            self.at(self.now + LATENCY, want);
        }
    }

    /// Sends the next chunk, to whoever's turn it is.
    fn send(&mut self, from: u32) {
        let node = &mut self.nodes[from as usize];
        if node.sending {
            return;
        }
        let count = node.wanted.len();
        let next =
            (0..count).map(|n| (node.turn + n) % count).find(|n| !node.wanted[*n].1.is_empty());
        let Some(place) = next else { return };
        node.turn = place + 1;
        let to = node.wanted[place].0;
        let (asked, exact) = node.wanted[place].1.pop_front().expect("it is not empty");
        let chunk = match &mut node.origin {
            Some(origin) => origin.give(asked, exact, &mut self.random),
            None => asked,
        };
        node.sending = true;
        node.sent += 1;
        let takes = u64::from(CHUNK) * 1_000_000 / LINK;
        let sent = self.now + takes;
        let there = sent.max(self.nodes[to as usize].down + takes);
        self.nodes[to as usize].down = there;
        self.at(sent, Event::Free { node: from });
        self.at(there + LATENCY, Event::Arrive { from, to, asked, chunk });
    }

    fn arrive(&mut self, from: u32, to: u32, asked: u32, chunk: u32) {
        let now = self.time();
        let node = &mut self.nodes[to as usize];
        let Some(download) = &mut node.download else { return };
        let delivery = download.delivered(now, &id(from), &BLOB, asked, chunk);
        assert_ne!(delivery, Delivery::Unasked, "the planner forgot what it asked");
        if delivery == Delivery::Wanted {
            let cancelled = download.checked(&BLOB, chunk, &[chunk]);
            node.gained.push(chunk);
            node.messages += cancelled.len() as u64;
            if download.is_complete(&BLOB) {
                node.done = Some(self.now);
                self.fetching -= 1;
            }
            for ask in cancelled {
                let from = number(&ask.node);
                self.at(self.now + LATENCY, Event::Cancel { from, to, chunk: ask.chunk });
            }
        }
        self.ask(to);
    }

    /// Peers are told at once: latency is little beside the time between tellings.
    fn tell(&mut self, node: u32) {
        let now = self.time();
        let gained = std::mem::take(&mut self.nodes[node as usize].gained);
        if !gained.is_empty() {
            for other in self.nodes[node as usize].knows.clone() {
                let listener = &mut self.nodes[other as usize];
                if listener.done.is_some() {
                    continue;
                }
                if let Some(download) = &mut listener.download {
                    download.gained(&id(node), &BLOB, &gained);
                } else if let Some(origin) = &mut listener.origin {
                    gained.iter().for_each(|chunk| origin.gained(*chunk));
                }
                self.nodes[node as usize].messages += 1;
                self.ask(other);
            }
        }
        if let Some(download) = &mut self.nodes[node as usize].download {
            for overdue in download.overdue(now) {
                for (_, chunk) in overdue.cancelled {
                    let from = number(&overdue.node);
                    self.at(self.now + LATENCY, Event::Cancel { from, to: node, chunk });
                }
            }
            self.ask(node);
            if self.nodes[node as usize].done.is_none()
                || !self.nodes[node as usize].gained.is_empty()
            {
                self.at(self.now + TELL, Event::Tell { node });
            }
        }
    }
}
