//! The peers that a fetch draws on, and those that it could.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weft_protocol::ids::NodeId;
use weft_protocol::wire::transfer::Request;

use crate::transfer::fetch::Fetcher;
use crate::transfer::line::{Answer, Line};

/// From how many peers one fetch draws at once, as long as they have all that it needs.
const MAX_LINES: usize = 32;
/// How many more it knows of at most.
const MAX_SPARE: usize = 512;
/// How long a peer that gave something and went away is left alone before it is asked again.
const AGAIN: Duration = Duration::from_secs(2);

pub(super) struct Peers {
    fetcher: Fetcher,
    answers: mpsc::Sender<Answer>,
    lines: BTreeMap<NodeId, Line>,
    /// Lines that are being opened.
    connecting: JoinSet<(NodeId, Option<Line>)>,
    /// Peers that are asked when there is room, or others have not enough.
    spare: VecDeque<NodeId>,
    /// Peers that were asked, or are about to be.
    known: BTreeSet<NodeId>,
    /// Peers from which something came.
    answered: BTreeSet<NodeId>,
    /// Peers whose line broke before anything came, and was opened once more.
    retried: BTreeSet<NodeId>,
    /// Peers that gave something of use.
    gave: BTreeSet<NodeId>,
    /// Those of them whose line broke, and when they are asked again: a daemon that starts anew, or a cable that is
    /// plugged in again, is back within seconds.
    away: BTreeMap<NodeId, Instant>,
    /// Lines that could not take a request.
    broken: RefCell<BTreeSet<NodeId>>,
}

impl Peers {
    pub(super) fn new(fetcher: Fetcher, answers: mpsc::Sender<Answer>, all: &[NodeId]) -> Self {
        let mut peers = Self {
            fetcher,
            answers,
            lines: BTreeMap::new(),
            connecting: JoinSet::new(),
            spare: VecDeque::new(),
            known: BTreeSet::new(),
            answered: BTreeSet::new(),
            retried: BTreeSet::new(),
            gave: BTreeSet::new(),
            away: BTreeMap::new(),
            broken: RefCell::default(),
        };
        for node in all {
            peers.meet(*node);
        }
        peers
    }

    /// There is a peer that may have something.
    pub(super) fn meet(&mut self, node: NodeId) {
        let new = node != self.fetcher.network.me()
            && self.spare.len() < MAX_SPARE
            && self.fetcher.trusts(&node)
            && self.known.insert(node);
        if new {
            self.spare.push_back(node);
        }
    }

    /// Opens lines while there is room.
    pub(super) fn connect(&mut self) {
        while self.lines.len() + self.connecting.len() < MAX_LINES && self.another() {}
    }

    /// Opens a line to one more peer; says whether there is one.
    pub(super) fn another(&mut self) -> bool {
        let Some(node) = self.spare.pop_front() else { return false };
        let (network, answers) = (self.fetcher.network.clone(), self.answers.clone());
        let room = self.fetcher.room.clone();
        self.connecting.spawn(async move {
            let line = Line::open(&network, node, answers, room).await;
            let line = line.inspect_err(|error| tracing::debug!(%error, "a peer can't be asked"));
            (node, line.ok())
        });
        true
    }

    pub(super) fn is_connecting(&self) -> bool {
        !self.connecting.is_empty()
    }

    /// The next peer that can be asked from now on; none if no line is being opened.
    pub(super) async fn connected(&mut self) -> Option<NodeId> {
        loop {
            match self.connecting.join_next().await? {
                Ok((node, Some(line))) => {
                    self.lines.insert(node, line);
                    return Some(node);
                }
                Ok((node, None)) => self.left(node),
                Err(_) => {}
            }
        }
    }

    pub(super) fn knows(&self, node: &NodeId) -> bool {
        self.lines.contains_key(node)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> + Clone + '_ {
        self.lines.keys().copied()
    }

    /// Something came from a peer.
    pub(super) fn answered(&mut self, node: &NodeId) {
        self.answered.insert(*node);
    }

    /// Something of use came from a peer.
    pub(super) fn gave(&mut self, node: &NodeId) {
        self.gave.insert(*node);
    }

    /// A peer went away, or is not back yet: it is asked again if it gave something before.
    pub(super) fn left(&mut self, node: NodeId) {
        if self.gave.contains(&node) && self.fetcher.trusts(&node) {
            self.away.insert(node, Instant::now() + AGAIN);
        }
    }

    /// Peers to which there is no connection any more. Their lines may not know it: what was closed because the other
    /// side stood still ends no stream.
    pub(super) fn cut_off(&self) -> Vec<NodeId> {
        self.nodes().filter(|node| !self.fetcher.network.is_connected(node)).collect()
    }

    /// Whether a peer that gave something may be back soon.
    pub(super) fn are_away(&self) -> bool {
        !self.away.is_empty()
    }

    /// Those that went away long enough before `now` are asked again.
    pub(super) fn call_back(&mut self, now: Instant) {
        self.spare.extend(self.away.extract_if(.., |_, at| *at <= now).map(|(node, _)| node));
    }

    /// Sends a request.
    pub(super) fn ask(&self, node: &NodeId, request: Request) {
        if !self.lines.get(node).is_some_and(|line| line.ask(request)) {
            self.broken.borrow_mut().insert(*node);
        }
    }

    /// The peers to which requests could not be sent.
    pub(super) fn broken(&mut self) -> BTreeSet<NodeId> {
        self.broken.take()
    }

    /// A peer is gone. One that never answered may have been too busy to take the line.
    pub(super) fn lose(&mut self, node: &NodeId) {
        let had = self.lines.remove(node).is_some();
        if had
            && !self.answered.contains(node)
            && self.fetcher.trusts(node)
            && self.retried.insert(*node)
        {
            self.spare.push_front(*node);
        }
    }
}
