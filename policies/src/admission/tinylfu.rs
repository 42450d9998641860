//! TinyLFU: an object enters if it was requested more often lately than the object it displaces.
//!
//! Source: Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM
//! ToS 13(4), 2017, without its doorkeeper. The sketch and its aging are Caffeine's; see
//! `sketch.rs`.
//! State: the sketch, 8 to 16 B for each object that fits.
//! Cost: one cache line of the sketch a request; two more a contest.
//! Invariants: the victim stays in a tie, so a scan displaces no object that was requested since
//! the last halving.
//! Weak where: new objects are popular at once, since each is refused until it was requested more
//! often than the victim.

use super::{Admission, Build};
use crate::cache::Access;
use crate::entry::{Entry, NoParams, describe, params};
use crate::sketch::FrequencySketch;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "tinylfu",
    about: "an object enters if requested more often than the victim (Einziger et al., ToS 2017)",
    params: describe::<NoParams>,
    build: Build {
        needs_sizes: false,
        make: |capacity, _seed, spec| {
            params::<NoParams>(spec).map(|NoParams {}| {
                Some(Box::new(TinyLfu {
                    sketch: FrequencySketch::new(capacity),
                }) as _)
            })
        },
    },
};

struct TinyLfu {
    sketch: FrequencySketch,
}

impl Admission for TinyLfu {
    fn on_hit(&mut self, asked: &Access) {
        self.sketch.increment(asked.key);
    }

    fn admit(&mut self, incoming: &Access) -> bool {
        self.sketch.on_miss(incoming.key, incoming.bytes);
        true
    }

    fn contest(&mut self, incoming: &Access, victim: &Access) -> bool {
        self.sketch.estimate(incoming.key) > self.sketch.estimate(victim.key)
    }

    fn resize(&mut self, capacity: u64) {
        self.sketch.resize(capacity);
    }

    fn metadata_bytes(&self) -> u64 {
        self.sketch.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_requests_than_the_victim_win() {
        let mut policy = TinyLfu {
            sketch: FrequencySketch::new(1000),
        };
        let held = Access::unit(1);
        let new = Access::unit(2);
        assert!(policy.admit(&held) && policy.admit(&new));
        assert!(!policy.contest(&new, &held), "a tie keeps the victim");
        assert!(policy.admit(&new) && policy.contest(&new, &held));
        policy.on_hit(&held);
        assert!(!policy.contest(&new, &held));
    }
}
