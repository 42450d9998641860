//! MIN with bypass: as `min`, but the newcomer is a candidate too, and is not inserted if its own next use is farthest.
//!
//! Source: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966,
//! with the newcomer among the candidates, as in McFarling, "Cache replacement with dynamic exclusion", ISCA 1992.
//! State: as `min`.
//! Cost: O(n log n) time, O(n) memory for n requests.
//! Invariants: the held bytes never exceed the capacity; with objects of one size no cache has fewer misses, whatever it
//! refuses. On a cycle of N objects through c < N places, R rounds cost N + (R - 1)(N - c) misses exactly.
//! Weak where: objects differ in size, which it ignores: then it is no bound (see `pfoo-l`).

use super::min::replay;
use super::{Bound, Build, Request, Tally};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "min-bypass",
    about: "MIN that may also refuse the newcomer: the bound for every policy on objects of one size",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(MinBypass) as _),
};

struct MinBypass;

impl Bound for MinBypass {
    fn replay(&self, trace: &[Request], capacity: u64) -> Tally {
        replay(trace, capacity, |held, incoming, next| {
            while held.bytes > capacity - incoming.bytes {
                if held.farthest().is_none_or(|farthest| farthest <= next) {
                    return false;
                }
                held.evict_farthest();
            }
            true
        })
    }
}
