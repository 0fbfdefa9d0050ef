//! Network namespaces on one bridge, each behind a link of a given rate both ways. Needs root, and
//! `ip` and `tc`.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many were made: what is left of one may go a moment after it was removed.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// What a bucket has to hold, in bytes, for the 64 KiB that TCP hands on at once to pass it whole, with the headers
/// of its 45 packets. One that holds less cuts it into these, each of which then costs the cores that all hosts
/// share as much as the whole: what a card does on a real host.
const WHOLE: usize = 72_000;

/// Namespaces that are joined by a bridge; they are removed when this is dropped.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    count: usize,
}

fn run(command: &str) -> bool {
    let mut words = command.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn must(command: &str) {
    assert!(run(command), "`{command}` failed");
}

impl Network {
    /// `count` namespaces whose links carry `mbit` Mbit/s each way. None where this machine or user
    /// can't make them.
    ///
    /// # Panics
    /// When some can be made and others can't.
    #[must_use]
    pub fn new(count: usize, mbit: usize) -> Option<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("wb{}c{number}", std::process::id() % 10_000);
        let bridge = format!("{prefix}br");
        if !run(&format!("ip link add {bridge} type bridge")) {
            return None;
        }
        let network = Self { prefix, count };
        must(&format!("ip link set {bridge} up"));
        for number in 0..count {
            let (namespace, host) = (network.name(number), format!("{}v{number}", network.prefix));
            must(&format!("ip netns add {namespace}"));
            must(&format!("ip link add {host} type veth peer name eth0 netns {namespace}"));
            must(&format!("ip link set {host} master {bridge} up"));
            let within = format!("ip -n {namespace}");
            must(&format!("{within} addr add {}/24 dev eth0", network.address(number)));
            must(&format!("{within} link set eth0 up"));
            must(&format!("{within} link set lo up"));
            // What leaves the namespace, and what goes into it: up and down. The buckets are small
            // enough that a second shows none of them, the queues some tens of milliseconds long.
            let burst = (mbit * 1_000_000 / 8 / 250).max(WHOLE);
            let shape = format!("root tbf rate {mbit}mbit burst {burst} latency 40ms");
            must(&format!("tc -n {namespace} qdisc add dev eth0 {shape}"));
            must(&format!("tc qdisc add dev {host} {shape}"));
        }
        Some(network)
    }

    /// The name of a namespace, by its number from 0.
    #[must_use]
    pub fn name(&self, number: usize) -> String {
        format!("{}n{number}", self.prefix)
    }

    /// Cuts a namespace off, or joins it again.
    ///
    /// # Panics
    /// When that fails.
    pub fn cut(&self, number: usize, off: bool) {
        let way = if off { "down" } else { "up" };
        must(&format!("ip link set {}v{number} {way}", self.prefix));
    }

    /// Parts the namespaces of these numbers from all others, or joins all again where there are none.
    ///
    /// # Panics
    /// When that fails.
    pub fn part(&self, apart: &[usize]) {
        let (bridge, other) = (format!("{}br", self.prefix), format!("{}ob", self.prefix));
        if !apart.is_empty() && run(&format!("ip link add {other} type bridge")) {
            must(&format!("ip link set {other} up"));
        }
        for number in 0..self.count {
            let to = if apart.contains(&number) { &other } else { &bridge };
            must(&format!("ip link set {}v{number} master {to}", self.prefix));
        }
    }

    /// How many bytes have come out of a namespace, and gone into it, with all headers.
    #[must_use]
    pub fn bytes(&self, number: usize) -> (u64, u64) {
        let count = |what: &str| {
            let path = format!("/sys/class/net/{}v{number}/statistics/{what}", self.prefix);
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.trim().parse().unwrap_or(0)
        };
        (count("rx_bytes"), count("tx_bytes"))
    }

    /// The address in a namespace.
    #[must_use]
    pub fn address(&self, number: usize) -> String {
        format!("10.77.0.{}", number + 1)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for number in 0..self.count {
            run(&format!("ip netns del {}", self.name(number)));
        }
        run(&format!("ip link del {}br", self.prefix));
        run(&format!("ip link del {}ob", self.prefix));
    }
}
