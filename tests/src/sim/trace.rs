//! What happened: a hash of all of it, and the last of it in words.

use std::collections::VecDeque;

use super::clock::Moment;

/// How many lines are kept for a failure.
const KEPT: usize = 400;

/// What is kept of what happened.
pub struct Trace {
    hasher: blake3::Hasher,
    events: u64,
    lines: Option<VecDeque<String>>,
    print: bool,
}

impl Trace {
    /// A trace that keeps its last lines, or prints them all as well.
    #[must_use]
    pub fn new(lines: bool, print: bool) -> Self {
        let lines = lines.then(VecDeque::new);
        Self { hasher: blake3::Hasher::new(), events: 0, lines, print }
    }

    pub(super) fn event(&mut self, now: Moment, node: usize, tag: u8, bytes: &[u8]) {
        self.events += 1;
        let mut head = [0; 17];
        head[..8].copy_from_slice(&now.to_le_bytes());
        head[8..16].copy_from_slice(&(node as u64).to_le_bytes());
        head[16] = tag;
        self.hasher.update(&head).update(bytes);
    }

    /// A line for people, made only where somebody reads it.
    pub(super) fn say(&mut self, now: Moment, line: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        let (seconds, rest) = (now / 1_000_000, now % 1_000_000);
        let line = format!("{seconds:>5}.{rest:06} {}", line());
        if self.print {
            println!("{line}");
        }
        if lines.len() >= KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// How many events there were.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The hash of all of them.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// The last lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}
