//! Which nodes fit a step, and which of them have room. Many nodes have the same hardware and engines:
//! those are looked at together, once a plan.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::rooms::Rooms;
use super::{Busy, Closest, NodeView, Room, View, Waiting, feasible};
use crate::claim::{Ask, Demand, Missing, Portion};
use crate::hardware::Hardware;
use crate::ids::{JobId, NodeId};
use crate::job::spec::{JobSpec, Step};
use crate::job::table::Job;
use crate::wire::control::Closed;

/// What nodes are at, counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: usize,
    off: usize,
    open: usize,
    drained: usize,
    hours: usize,
    in_use: usize,
    benched: usize,
    disk: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.off += other.off;
        self.open += other.open;
        self.drained += other.drained;
        self.hours += other.hours;
        self.in_use += other.in_use;
        self.benched += other.benched;
        self.disk += other.disk;
    }
}

/// What decides whether a node fits, and which engines' licences were refused to it.
type Key<'a> = (
    bool,
    &'a Hardware,
    &'a BTreeMap<String, String>,
    &'a BTreeSet<String>,
    &'a BTreeMap<String, String>,
);

const fn key(node: &NodeView) -> Key<'_> {
    let NodeView { renders, hardware, engines, tags, refused, .. } = node;
    (*renders, hardware, engines, tags, refused)
}

/// Nodes that are alike.
struct Shape<'a> {
    like: &'a NodeView,
    counts: Counts,
    /// The first by id of those that are open, and of those that are benched.
    first: (Option<NodeId>, Option<NodeId>),
}

/// The nodes of a view.
pub(super) struct Index<'a> {
    view: &'a View,
    numbers: BTreeMap<Key<'a>, usize>,
    shapes: Vec<Shape<'a>>,
    /// Those that had room when the plan was begun, by id, each with the number of its shape.
    roomy: Vec<(NodeId, &'a NodeView, usize)>,
}

/// The nodes that fit one step of a job.
pub(super) struct Fit {
    /// What the step takes of each shape; none where it doesn't fit.
    shapes: Vec<Option<Demand>>,
    counts: Counts,
    /// The memory that ruled others out; 0 where that ruled nobody out.
    ram: u64,
    /// Better a node that failed others than none at all.
    only_benched: bool,
    /// What was said where the engine's licence was refused to all that are open.
    refused: Option<String>,
    /// Those with room that may take it, the cheapest first, of equally cheap ones those that hold the
    /// inputs, and for shares those of which others had shares before: price, whether they lack the inputs,
    /// whether all of it was free, and the number of the node.
    order: Vec<(u32, bool, bool, usize)>,
    /// All before this one in the order are full.
    next: usize,
    /// Where room may be kept, once that was looked for.
    nearest: Option<Nearest>,
}

/// Nodes that fit a step, by what is missing there: least first, of equal ones the cheapest.
#[derive(Default)]
struct Nearest {
    /// What was missing when it was looked at: it may be more by now, and never less.
    parts: BinaryHeap<Reverse<(Missing, u32, usize)>>,
    /// Those that nobody else has a part of, yet: price and number.
    whole: Vec<(u32, usize)>,
}

impl<'a> Index<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        let (numbers, shapes) = (BTreeMap::new(), Vec::new());
        let mut index = Self { view, numbers, shapes, roomy: Vec::new() };
        for (id, node) in &view.nodes {
            let next = index.shapes.len();
            let number = *index.numbers.entry(key(node)).or_insert(next);
            if number == next {
                let counts = Counts::default();
                index.shapes.push(Shape { like: node, counts, first: (None, None) });
            }
            let shape = &mut index.shapes[number];
            shape.counts.all += 1;
            let counts = &mut shape.counts;
            match node.closed {
                _ if node.off => counts.off += 1,
                None => {
                    counts.open += 1;
                    shape.first.0.get_or_insert(*id);
                }
                Some(Closed::Drained) => counts.drained += 1,
                Some(Closed::Hours) => counts.hours += 1,
                Some(Closed::InUse) => counts.in_use += 1,
                Some(Closed::Disk) => counts.disk += 1,
                Some(Closed::Benched) => {
                    counts.benched += 1;
                    shape.first.1.get_or_insert(*id);
                }
            }
            let has_room = match &node.room {
                Room::Nothing => false,
                Room::Part(free) => free.cores > 0,
                Room::Whole => true,
            };
            if has_room {
                index.roomy.push((*id, node, number));
            }
        }
        index
    }

    /// All that have room.
    pub(super) fn rooms(&self) -> Rooms<'a> {
        Rooms::new(self.roomy.iter().map(|(_, node, _)| *node).collect())
    }

    /// The nodes that could take a step.
    ///
    /// # Errors
    /// Why none ever could.
    pub(super) fn fit(
        &self,
        id: &JobId,
        job: &Job,
        spec: &JobSpec,
        step: &Step,
    ) -> Result<Fit, Waiting> {
        let all = (0..).zip(&self.shapes);
        let fits = all.filter(|(_, shape)| feasible::unfit(spec, step, shape.like).is_none());
        let mut fitting: Vec<(usize, &Shape<'_>)> = fits.collect();
        let there = fitting.iter().filter(|(_, shape)| shape.counts.off < shape.counts.all);
        let largest = there.map(|(_, shape)| shape.like.hardware.ram).max().unwrap_or(0);
        // Where nobody who is there has as much, the largest may just do.
        let wanted = job.memory_seen().min(largest);
        let before = fitting.len();
        fitting.retain(|(_, shape)| shape.like.hardware.ram >= wanted);
        let ram = if fitting.len() < before { wanted } else { 0 };
        if fitting.is_empty() {
            let why = feasible::explain(spec, step, self.shapes.iter().map(|shape| shape.like));
            return Err(Waiting::NoNodeFits(why.unwrap_or_default()));
        }
        let mut counts = Counts::default();
        fitting.iter().for_each(|(_, shape)| counts.add(shape.counts));
        let only_benched = counts.open == 0;
        let first =
            |shape: &Shape<'_>| shape.first.0.or(if only_benched { shape.first.1 } else { None });
        let refused = |node: &NodeView| node.refused.get(&step.engine).cloned();
        let open = fitting.iter().filter_map(|(_, shape)| Some((first(shape)?, shape.like)));
        let by_id: BTreeMap<NodeId, &NodeView> = open.collect();
        let all_refused = by_id.values().all(|node| refused(node).is_some());
        let said = by_id.values().next().filter(|_| all_refused).and_then(|node| refused(node));
        let mut shapes = vec![None; self.shapes.len()];
        for (number, shape) in &fitting {
            shapes[*number] = Some(match spec.share {
                true => Demand::Share(Ask::new(&spec.needs, &shape.like.hardware, wanted)),
                false => Demand::Node,
            });
        }
        let (order, next, nearest) = (Vec::new(), 0, None);
        let mut fit =
            Fit { shapes, counts, ram, only_benched, refused: said, order, next, nearest };
        let roomy = (0..).zip(&self.roomy).filter(|(_, (_, node, number))| {
            fit.shapes[*number].is_some() && fit.is_open(node) && refused(node).is_none()
        });
        let place = |(at, (_, node, _)): (usize, &(NodeId, &NodeView, usize))| {
            let untouched = spec.share && node.room == Room::Whole;
            (node.price, !node.holds.contains(id), untouched, at)
        };
        let mut order: Vec<_> = roomy.map(place).collect();
        order.sort_unstable();
        fit.order = order;
        Ok(fit)
    }

    /// Takes of the node what a task needs that suits it best, of those that `also` lets pass: the cheapest,
    /// and of equally cheap ones one that holds the inputs. Those to be `avoided` take it only where no other
    /// fits, even if all others are busy.
    pub(super) fn take(
        &self,
        rooms: &mut Rooms<'_>,
        fit: &mut Fit,
        avoided: &BTreeSet<NodeId>,
        also: impl Fn(&NodeId) -> bool,
    ) -> Option<(NodeId, Portion)> {
        let offer = |at: usize| rooms.offer(at, self.demand(fit, at)?);
        let mut next = fit.next;
        while fit.order.get(next).is_some_and(|(.., at)| offer(*at).is_none()) {
            next += 1;
        }
        let spared = self.spared(fit, avoided);
        let taken = fit.order[next..].iter().find_map(|(.., at)| {
            let (node, ..) = &self.roomy[*at];
            let passes = !spared.contains(node) && also(node);
            passes.then(|| offer(*at)).flatten().map(|claim| (*at, claim))
        });
        fit.next = next;
        let (at, claim) = taken?;
        rooms.take(at, self.demand(fit, at)?, &claim);
        Some((self.roomy[at].0, claim))
    }

    /// A node takes on nothing more, whatever is free of it.
    pub(super) fn fill(&self, rooms: &mut Rooms<'_>, node: &NodeId) {
        if let Ok(at) = self.roomy.binary_search_by_key(node, |(id, ..)| *id) {
            rooms.fill(at);
        }
    }

    /// Keeps for a task that goes before others, and fits nowhere yet, what there is of what it takes on the
    /// node where least is missing: whoever comes behind it may not have that. One task is kept for on a node.
    /// Gives which node that is, and what is taken off it in the end.
    pub(super) fn keep(
        &self,
        rooms: &mut Rooms<'_>,
        fit: &mut Fit,
        avoided: &BTreeSet<NodeId>,
    ) -> Option<(NodeId, Portion)> {
        let mut nearest = fit.nearest.take().unwrap_or_else(|| Nearest {
            whole: fit.order.iter().map(|(price, .., at)| (*price, *at)).collect(),
            ..Nearest::default()
        });
        let at = self.nearest_to_keep(rooms, fit, &self.spared(fit, avoided), &mut nearest);
        fit.nearest = Some(nearest);
        let at = at?;
        let (node, view, _) = self.roomy[at];
        let demand = self.demand(fit, at)?;
        rooms.keep(at, demand);
        let all = Portion::all(&view.hardware);
        let claim = match demand {
            Demand::Node => all,
            Demand::Share(ask) => ask.what_there_is(&all),
        };
        Some((node, claim))
    }

    /// The number of the node that is kept next, which then leaves `nearest`. Each is looked at again only
    /// where it may be the one: many tasks of a step find no room, one after the other.
    fn nearest_to_keep(
        &self,
        rooms: &Rooms<'_>,
        fit: &Fit,
        spared: &BTreeSet<&NodeId>,
        nearest: &mut Nearest,
    ) -> Option<usize> {
        let missing = |at: usize| rooms.missing(at, self.demand(fit, at)?);
        let Nearest { parts, whole } = nearest;
        whole.retain(|(price, at)| match missing(*at) {
            Some(missing) => {
                parts.push(Reverse((missing, *price, *at)));
                false
            }
            None => true,
        });
        let mut passed = Vec::new();
        let found = loop {
            let Some(Reverse((was, price, at))) = parts.pop() else { break None };
            // Who is full or kept stays so.
            let Some(now) = missing(at).filter(|_| rooms.can_be_kept(at)) else { continue };
            if now > was {
                parts.push(Reverse((now, price, at)));
            } else if spared.contains(&self.roomy[at].0) {
                passed.push(Reverse((now, price, at)));
            } else {
                break Some(at);
            }
        };
        parts.extend(passed);
        found
    }

    /// The node with room in parts where least is missing for a task that found no place, of equal ones the cheapest.
    pub(super) fn closest(&self, rooms: &Rooms<'_>, fit: &Fit) -> Option<Closest> {
        let missing = fit.order.iter().filter_map(|(price, .., at)| {
            Some((rooms.missing(*at, self.demand(fit, *at)?)?, *price, *at))
        });
        let (.., at) = missing.min()?;
        let (node, view, _) = self.roomy[at];
        Some(Closest {
            node,
            wants: self.demand(fit, at)?.clone(),
            has: Portion::all(&view.hardware),
            free: rooms.free(at)?.clone(),
            kept: rooms.is_kept(at),
        })
    }

    /// What a step takes of a node with room; none where it doesn't fit there.
    fn demand<'f>(&self, fit: &'f Fit, at: usize) -> Option<&'f Demand> {
        fit.shapes[self.roomy[at].2].as_ref()
    }

    /// The nodes that leave a task to others: those to be `avoided`, where somebody else fits.
    fn spared<'b>(&self, fit: &Fit, avoided: &'b BTreeSet<NodeId>) -> BTreeSet<&'b NodeId> {
        let fits = |node: &NodeId| {
            let node = self.view.nodes.get(node).filter(|node| fit.is_open(node));
            let number = node.and_then(|node| self.numbers.get(&key(node)));
            number.is_some_and(|number| fit.shapes[*number].is_some())
        };
        let open = if fit.only_benched { fit.counts.benched } else { fit.counts.open };
        let fresh_exists = avoided.iter().filter(|node| fits(node)).count() < open;
        avoided.iter().filter(|_| fresh_exists).collect()
    }
}

impl Fit {
    const fn is_open(&self, node: &NodeView) -> bool {
        let benched = matches!(node.closed, Some(Closed::Benched));
        !node.off && (node.closed.is_none() || (self.only_benched && benched))
    }

    /// What was said where the engine's licence was refused to everybody who could take the step.
    pub(super) const fn refused(&self) -> Option<&String> {
        self.refused.as_ref()
    }

    /// Whether nobody is open but those that failed others.
    pub(super) const fn only_benched(&self) -> bool {
        self.only_benched
    }

    /// What those that fit are at, where none takes the step just now.
    pub(super) const fn busy(&self) -> Busy {
        let Counts { all, off, drained, hours, in_use, benched, disk, .. } = self.counts;
        Busy {
            fitting: all,
            off,
            drained,
            outside_hours: hours,
            in_use,
            benched: if self.only_benched { 0 } else { benched },
            disk,
            ram: self.ram,
        }
    }
}
