//! MIN (Belady): on a miss the objects whose next use is farthest leave until the newcomer fits; it is always inserted.
//!
//! Source: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966.
//! State: a heap of the held objects' next uses, and a list of the held objects that are never used again. Which of
//! these leaves first changes no count: they all leave before any object of use does.
//! Cost: O(n log n) time, O(n) memory for n requests.
//! Invariants: the held bytes never exceed the capacity; with objects of one size no cache that inserts every object it
//! misses has fewer misses.
//! Weak where: objects differ in size, which it ignores: then it is no bound; and a cache that may refuse an object can
//! beat it (see `min-bypass`).

use std::collections::BinaryHeap;

use super::{Bound, Build, NEVER, Object, Request, Tally, next_uses, objects};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "min",
    about: "the farthest next use leaves, every newcomer enters (Belady, 1966); a bound for objects of one size",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Min) as _),
};

struct Min;

impl Bound for Min {
    fn replay(&self, trace: &[Request], capacity: u64) -> Tally {
        replay(trace, capacity, |held, incoming, _next| {
            while held.bytes > capacity - incoming.bytes {
                held.evict_farthest();
            }
            true
        })
    }
}

/// What is held, by next use.
pub(super) struct Held<'a> {
    trace: &'a [Request],
    pub(super) bytes: u64,
    /// The size of each object held.
    sizes: Vec<Option<u64>>,
    useless: Vec<Object>,
    /// Next uses of held objects, and past ones of objects that were hit: these are older than all others.
    uses: BinaryHeap<usize>,
}

impl Held<'_> {
    /// The next use of the object that [`Self::evict_farthest`] takes; None where nothing is held.
    pub(super) fn farthest(&self) -> Option<usize> {
        match self.useless.is_empty() {
            true => self.uses.peek().copied(),
            false => Some(NEVER),
        }
    }

    pub(super) fn evict_farthest(&mut self) {
        // A heap that has only past uses left holds nothing, and the newcomer fits into an empty cache.
        let trace = self.trace;
        let object = self
            .useless
            .pop()
            .or_else(|| self.uses.pop().map(|time| trace[time].object));
        if let Some(object) = object {
            self.bytes -= self.sizes[object as usize].take().unwrap_or(0);
        }
    }

    fn note_next(&mut self, object: Object, next: usize) {
        match next {
            NEVER => self.useless.push(object),
            next => self.uses.push(next),
        }
    }
}

/// Runs a cache that evicts by next use; `make_room` evicts for a newcomer, of which the next use is given, and says
/// whether it enters.
pub(super) fn replay(
    trace: &[Request],
    capacity: u64,
    mut make_room: impl FnMut(&mut Held<'_>, Request, usize) -> bool,
) -> Tally {
    let mut held = Held {
        trace,
        bytes: 0,
        sizes: vec![None; objects(trace)],
        useless: Vec::new(),
        uses: BinaryHeap::new(),
    };
    let mut tally = Tally::default();
    for (request, next) in trace.iter().zip(next_uses(trace)) {
        if held.sizes[request.object as usize].is_some() {
            held.note_next(request.object, next);
            continue;
        }
        tally.add(*request);
        if request.bytes <= capacity && make_room(&mut held, *request, next) {
            held.sizes[request.object as usize] = Some(request.bytes);
            held.bytes += request.bytes;
            held.note_next(request.object, next);
        }
    }
    tally
}
