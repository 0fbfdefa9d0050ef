//! What is left of the nodes while a plan is made.

use std::collections::BTreeMap;

use super::{NodeView, Room};
use crate::claim::{Demand, Missing, Portion};

/// What is left of each node that had room when the plan was begun.
pub(super) struct Rooms<'a> {
    nodes: Vec<&'a NodeView>,
    rooms: Vec<Room>,
    /// What is kept of some for tasks that go first and don't fit yet.
    kept: BTreeMap<usize, Portion>,
    /// Which have something left, and how many.
    open: Vec<bool>,
    left: usize,
}

impl<'a> Rooms<'a> {
    pub(super) fn new(nodes: Vec<&'a NodeView>) -> Self {
        let rooms: Vec<Room> = nodes.iter().map(|node| node.room.clone()).collect();
        let (open, left) = (vec![true; rooms.len()], rooms.len());
        Self { nodes, rooms, kept: BTreeMap::new(), open, left }
    }

    /// Whether nothing is left of any node.
    pub(super) const fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Whether it has room in parts, and none of that is kept yet.
    pub(super) fn can_be_kept(&self, at: usize) -> bool {
        self.open[at] && matches!(self.rooms[at], Room::Part(_)) && !self.kept.contains_key(&at)
    }

    /// Whether something of it is kept for tasks that go first.
    pub(super) fn is_kept(&self, at: usize) -> bool {
        self.kept.contains_key(&at)
    }

    /// What is free of a node that has room in parts, whether it is kept or not.
    pub(super) fn free(&self, at: usize) -> Option<&Portion> {
        match &self.rooms[at] {
            Room::Part(free) => Some(free),
            Room::Nothing | Room::Whole => None,
        }
    }

    /// What a task would get of a node now; none where it doesn't fit.
    pub(super) fn offer(&self, at: usize, demand: &Demand) -> Option<Portion> {
        let hardware = &self.nodes[at].hardware;
        match (demand, &self.rooms[at]) {
            _ if !self.open[at] => None,
            (Demand::Node, Room::Whole) => Some(Portion::all(hardware)),
            (Demand::Share(ask), Room::Whole) => ask.of(&Portion::all(hardware)).ok(),
            (Demand::Share(ask), Room::Part(free)) => match self.kept.get(&at) {
                None => ask.of(free).ok(),
                Some(kept) => ask.of(&free.without(kept)).ok(),
            },
            (Demand::Node, Room::Part(_)) | (_, Room::Nothing) => None,
        }
    }

    /// What is missing on a node that has room in parts for a task to fit.
    pub(super) fn missing(&self, at: usize, demand: &Demand) -> Option<Missing> {
        self.free(at).map(|free| demand.missing(&self.nodes[at].hardware, free))
    }

    /// A task takes what it was offered.
    pub(super) fn take(&mut self, at: usize, demand: &Demand, claim: &Portion) {
        self.rooms[at] = match (demand, &self.rooms[at]) {
            (Demand::Node, _) | (_, Room::Nothing) => Room::Nothing,
            (Demand::Share(_), Room::Whole) => {
                Room::Part(Portion::all(&self.nodes[at].hardware).without(claim))
            }
            (Demand::Share(_), Room::Part(free)) => Room::Part(free.without(claim)),
        };
        self.settle(at);
    }

    /// Keeps of a node what there is of what a task takes.
    pub(super) fn keep(&mut self, at: usize, demand: &Demand) {
        let Some(free) = self.free(at) else { return };
        let kept = match demand {
            Demand::Node => free.clone(),
            Demand::Share(ask) => ask.what_there_is(free),
        };
        self.kept.insert(at, kept);
        self.settle(at);
    }

    /// A node takes on nothing more, whatever is free of it.
    pub(super) fn fill(&mut self, at: usize) {
        self.rooms[at] = Room::Nothing;
        self.settle(at);
    }

    /// Without a core nothing starts.
    fn settle(&mut self, at: usize) {
        let kept = self.kept.get(&at).map_or(0, |kept| kept.cores);
        let open = match &self.rooms[at] {
            Room::Nothing => false,
            Room::Part(free) => free.cores > kept,
            Room::Whole => true,
        };
        if self.open[at] && !open {
            self.open[at] = false;
            self.left -= 1;
        }
    }
}
