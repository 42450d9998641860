//! MIN with bypass: `min`, but the missed object is a candidate too, and stays out if its own next
//! use is the farthest.
//!
//! Source: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
//! Journal 5(2), 1966; the missed object as a candidate is from McFarling, "Cache replacement with
//! dynamic exclusion", ISCA 1992.
//! State: that of `min`.
//! Cost: O(n log n) time and O(n) memory for n requests.
//! Invariants: the held bytes never exceed the capacity. If all objects have one size, no cache has
//! fewer misses, whatever it refuses. R rounds over a cycle of N objects with room for c < N cost
//! exactly N + (R - 1)(N - c) misses.
//! Weak where: objects differ in size, which it ignores, so it is not a bound (see `pfoo-l`).

use super::min::replay;
use super::{Bound, Build, Request, Tally};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "min-bypass",
    about: "MIN that may refuse an object: the bound for every policy if sizes are equal",
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
