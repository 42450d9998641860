//! PFOO-L: a count of misses that no cache can fall below, whatever the sizes of the objects.
//!
//! A hit needs its object held since the object's previous request. That interval costs bytes times
//! requests, and the cache has capacity times requests to spend. Spent on the cheapest intervals
//! first, this budget buys at least as many hits as any cache can have, because at some moments the
//! intervals bought may exceed the capacity. The interval that exhausts the budget counts whole.
//! Missed bytes are counted separately, by the intervals that save the most bytes for their cost,
//! so the two numbers need not come from one cache.
//!
//! Source: the lower bound PFOO-L of Berger, Beckmann and Harchol-Balter, "Practical Bounds on
//! Optimal Caching with Variable Object Sizes", SIGMETRICS 2018.
//! State: one entry of 32 bytes an interval.
//! Cost: O(n log n) time and O(n) memory for n requests.
//! Invariants: `misses` and `miss_bytes` are each at most those of every cache. If the requests for
//! an object disagree on its size, an interval costs the smallest size so far, because no copy
//! still held can be smaller.
//! Weak where: the load is uneven over time, since budget left over in quiet times pays for busy
//! ones and the bound is loose.

use super::{Bound, Build, Request, Tally, objects};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "pfoo-l",
    about: "a lower bound for any sizes: the cheapest intervals first (Berger et al. 2018)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(PfooL) as _),
};

struct PfooL;

impl Bound for PfooL {
    fn replay(&self, trace: &[Request], capacity: u64) -> Tally {
        let budget = u128::from(capacity) * trace.len() as u128;
        let mut intervals = intervals(trace, capacity);
        intervals.sort_unstable_by_key(|interval| interval.cost);
        let hits = afforded(&intervals, budget).len() as u64;
        intervals.sort_unstable_by(|a, b| a.cost_per_byte().total_cmp(&b.cost_per_byte()));
        let hit_bytes: u128 = afforded(&intervals, budget)
            .iter()
            .map(|interval| u128::from(interval.bytes))
            .sum();
        let bytes: u128 = trace.iter().map(|request| u128::from(request.bytes)).sum();
        let miss_bytes = u64::try_from(bytes - hit_bytes).unwrap_or(u64::MAX);
        Tally {
            misses: trace.len() as u64 - hits,
            miss_bytes,
        }
    }
}

/// The time from one request of an object to the next.
struct Interval {
    /// Bytes held, times requests.
    cost: u128,
    /// Bytes that the request at its end asks for.
    bytes: u64,
}

impl Interval {
    fn cost_per_byte(&self) -> f64 {
        match (self.cost, self.bytes) {
            (0, _) => 0.0,
            (_, 0) => f64::INFINITY,
            (cost, bytes) => cost as f64 / bytes as f64,
        }
    }
}

fn intervals(trace: &[Request], capacity: u64) -> Vec<Interval> {
    let mut seen: Vec<Option<(usize, u64)>> = vec![None; objects(trace)];
    let mut intervals = Vec::with_capacity(trace.len());
    for (time, request) in trace.iter().enumerate() {
        let seen = &mut seen[request.object as usize];
        let smallest = seen.map_or(u64::MAX, |(_, smallest)| smallest);
        if let Some((since, _)) = *seen
            && smallest <= capacity
        {
            intervals.push(Interval {
                cost: u128::from(smallest) * (time - since) as u128,
                bytes: request.bytes,
            });
        }
        *seen = Some((time, smallest.min(request.bytes)));
    }
    intervals
}

/// The first intervals that `budget` pays for; for the last one perhaps only in part.
fn afforded(intervals: &[Interval], budget: u128) -> &[Interval] {
    let mut spent = 0;
    let whole = intervals.iter().take_while(|interval| {
        spent += interval.cost;
        spent < budget
    });
    let count = whole.count() + 1;
    &intervals[..count.min(intervals.len())]
}
