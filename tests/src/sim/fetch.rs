//! Blobs on their way: from whom a machine fetches what it lacks, how long that takes, and what becomes of it.

use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::machine::Input;

use super::clock::{MILLI, SECOND};
use super::node::Chore;
use super::planted::Planted;
use super::world::World;

/// Blobs that are fetched, and what for.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    pub(super) blobs: Vec<BlobId>,
    pub(super) providers: Vec<usize>,
    pub(super) from: Option<usize>,
    pub(super) tries: u32,
    pub(super) purpose: Purpose,
}

/// What blobs are fetched for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// A peer asked to keep them, under this token.
    Keep(NodeId, u64),
    /// An attempt needs them.
    Attempt(weft_protocol::wire::control::AttemptKey, Vec<NodeId>, u32),
}

impl World {
    pub(super) fn keep(&mut self, number: usize, from: NodeId, token: u64, blobs: Vec<BlobId>) {
        if self.lies_now(number) && self.lies_of_keeping(number, from, token) {
            return;
        }
        let providers: Vec<usize> = self.node(&from).into_iter().collect();
        let purpose = Purpose::Keep(from, token);
        let fetch = Fetch { blobs, providers, from: None, tries: 0, purpose };
        self.fetch(number, fetch);
    }

    /// Looks for somebody who has the blobs that are missing, and begins to fetch them.
    pub(super) fn fetch(&mut self, number: usize, mut fetch: Fetch) {
        let node = &self.nodes[number];
        let missing: Vec<BlobId> =
            fetch.blobs.iter().filter(|blob| !node.disk.blobs.contains(blob)).copied().collect();
        let mut delay = self.between(MILLI, 10 * MILLI);
        fetch.from = None;
        if !missing.is_empty() {
            for provider in fetch.providers.clone() {
                self.reach(number, provider);
            }
            let peers = self.nodes[number].links.keys().copied();
            let all: Vec<usize> = fetch.providers.iter().copied().chain(peers).collect();
            let has = |peer: &usize| {
                let blobs = &self.nodes[*peer].disk.blobs;
                self.nodes[number].links.contains_key(peer)
                    && missing.iter().all(|blob| blobs.contains(blob))
            };
            fetch.from = all.into_iter().find(has);
            delay += match self.random.below(20) {
                0 => self.between(SECOND, 9 * SECOND),
                1..=4 => self.between(SECOND / 10, 2 * SECOND),
                _ => self.between(5 * MILLI, 200 * MILLI),
            };
            if fetch.from.is_none() {
                delay = 20 * MILLI;
            }
        }
        self.chore(delay, number, Chore::Fetched(Box::new(fetch)));
    }

    pub(super) fn fetched(&mut self, number: usize, mut fetch: Fetch) {
        let here = |world: &Self| {
            fetch.blobs.iter().all(|blob| world.nodes[number].disk.blobs.contains(blob))
        };
        let reached = fetch.from.is_some_and(|from| {
            self.nodes[from].is_up()
                && self.nodes[number].links.contains_key(&from)
                && self.network.works(number, from)
        });
        let full = self.nodes[number].disk.full;
        if !here(self) && !reached && !full && fetch.from.is_some() && fetch.tries < 3 {
            // A provider that went silent is given up, and another one is asked.
            fetch.tries += 1;
            self.fetch(number, fetch);
            return;
        }
        let good = !full && (here(self) || reached);
        if good {
            self.nodes[number].disk.blobs.extend(fetch.blobs.iter().copied());
        }
        self.trace.event(self.now, number, 10, &[u8::from(good)]);
        match fetch.purpose {
            Purpose::Keep(from, token) => {
                if self.planted == Some(Planted::CompletionLost) {
                    return;
                }
                let stored = match good {
                    true => Ok(()),
                    false if full => Err("there is no space left".to_owned()),
                    false => Err("nobody has it".to_owned()),
                };
                self.tell(number, Input::Stored(from, token, stored));
            }
            Purpose::Attempt(attempt, providers, tries) => {
                self.brought(number, attempt, providers, tries, good);
            }
        }
    }
}
