//! What is still to happen, in its order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::clock::Moment;

struct Item<T> {
    at: Moment,
    number: u64,
    what: T,
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    // The earliest is the greatest, because the heap gives out the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// A queue by time; what is for the same moment happens in the order in which it was put in.
pub(super) struct Queue<T> {
    heap: BinaryHeap<Item<T>>,
    number: u64,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), number: 0 }
    }

    pub(super) fn put(&mut self, at: Moment, what: T) {
        self.number += 1;
        self.heap.push(Item { at, number: self.number, what });
    }

    pub(super) fn next(&mut self) -> Option<(Moment, T)> {
        self.heap.pop().map(|item| (item.at, item.what))
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
