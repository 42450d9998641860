//! MIN (Belady): on a miss the objects with the farthest next use leave until the new one fits. It
//! is always inserted.
//!
//! Source: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
//! Journal 5(2), 1966.
//! State: a heap of the next uses of the held objects, and a list of those that are never used
//! again. The order in which these leave changes no count: all of them leave before any object with
//! a next use.
//! Cost: O(n log n) time and O(n) memory for n requests.
//! Invariants: the held bytes never exceed the capacity. If all objects have one size, no cache
//! that inserts every object it misses has fewer misses.
//! Weak where: objects differ in size, which it ignores, so it is not a bound; a cache that may
//! refuse an object can have fewer misses (see `min-bypass`).

use std::collections::BinaryHeap;

use super::{Bound, Build, NEVER, Object, Request, Tally, next_uses, objects};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "min",
    about: "the farthest next use leaves, all enter; a bound if sizes are equal (Belady 1966)",
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

/// The objects held, by their next use.
pub(super) struct Held<'a> {
    trace: &'a [Request],
    pub(super) bytes: u64,
    /// The size of each object held.
    sizes: Vec<Option<u64>>,
    useless: Vec<Object>,
    /// Next uses of held objects, and past uses of objects that were hit. Past uses are smaller
    /// than all others.
    uses: BinaryHeap<usize>,
}

impl Held<'_> {
    /// The next use of the object that [`Self::evict_farthest`] takes; `None` if nothing is held.
    pub(super) fn farthest(&self) -> Option<usize> {
        match self.useless.is_empty() {
            true => self.uses.peek().copied(),
            false => Some(NEVER),
        }
    }

    pub(super) fn evict_farthest(&mut self) {
        // A heap with nothing but past uses means an empty cache, in which the new object fits.
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

/// Replays a trace in a cache that evicts by next use. `make_room` receives the next use of a
/// missed object, evicts for it, and returns whether it enters.
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
