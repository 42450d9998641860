//! Hyperbolic caching: of a random sample of held objects, the one used least for the time it has
//! been held leaves.
//!
//! An object's priority is cost * uses / (age * bytes), where its age is counted in requests since
//! it entered. Priorities fall as hyperbolas, so the order of two objects changes without any
//! event. No list or heap can keep such an order, hence the sample.
//!
//! Variant: with `size_aware`, the default, priorities are divided by sizes as in the paper's
//! variant for objects of different sizes. Without, they are the paper's first, uses / age, times
//! the cost, which is libCacheSim's rule: miss ratios agree within 0.01, in bytes as well. On two
//! traces in bytes the division saves 0.009 to 0.070 of the requests from missing, hence the
//! default. With objects of one size the two are the same.
//! Source: Blankstein, Sen and Freedman, "Hyperbolic Caching: Flexible Caching for Web
//! Applications", USENIX ATC 2017.
//! State: 36 B a slot.
//! Cost: `on_hit`, `on_insert` and `on_remove` O(1); `victim` O(samples).
//! Invariants: uses and ages are at least 1 when compared; nothing is remembered of objects that
//! left.
//! Weak where: popularity changes, since an object used much long ago stays until its age has
//! caught up.

use super::sampling::HeldSlots;
use super::{Access, Build, Eviction, Removal, Slot};
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::NONE;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "hyperbolic",
    about: "least cost * uses / (age * bytes) of a sample leaves (Blankstein et al., ATC 2017)",
    params: describe::<Params>,
    build: |_capacity, seed, spec| {
        let Params {
            samples,
            size_aware,
        } = params(spec)?;
        in_range(spec, "samples", samples, 1..=4096)?;
        let held = HeldSlots::default();
        Ok(Box::new(Hyperbolic {
            samples,
            size_aware,
            draws: SplitMix64::new(seed),
            held,
            now: 0,
            named: NONE,
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Held objects drawn for each victim (1 to 4096).
    samples: u32,
    /// Whether a priority is divided by the object's bytes.
    size_aware: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            samples: 64,
            size_aware: true,
        }
    }
}

struct Note {
    entered: u64,
    uses: f64,
    /// Its cost, divided by its bytes if sizes count.
    weight: f64,
}

struct Hyperbolic {
    samples: u32,
    size_aware: bool,
    draws: SplitMix64,
    held: HeldSlots<Note>,
    /// Requests so far.
    now: u64,
    /// The victim, once drawn.
    named: Slot,
}

impl Eviction for Hyperbolic {
    fn admit(&mut self, _incoming: &Access) -> bool {
        self.now += 1;
        self.named = NONE;
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        if self.named == NONE {
            let mut least = f64::INFINITY;
            for _ in 0..self.samples {
                let (slot, note) = self.held.draw(&mut self.draws);
                let age = (self.now - note.entered).max(1) as f64;
                let priority = note.uses * note.weight / age;
                if priority < least {
                    self.named = slot;
                    least = priority;
                }
            }
        }
        self.named
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let cost = f64::from(incoming.cost.max(1));
        let weight = if self.size_aware {
            cost / incoming.bytes.max(1) as f64
        } else {
            cost
        };
        self.held.insert(
            slot,
            Note {
                entered: self.now,
                uses: 1.0,
                weight,
            },
        );
        self.named = NONE;
    }

    fn on_hit(&mut self, slot: Slot) {
        self.now += 1;
        self.held.note_mut(slot).uses += 1.0;
        self.named = NONE;
    }

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        self.held.remove(slot);
        self.named = NONE;
    }

    fn metadata_bytes(&self) -> u64 {
        self.held.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        self.held.audit(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Object {
        bytes: u64,
        cost: u32,
        hits: u32,
    }

    const PLAIN: Object = Object {
        bytes: 1,
        cost: 1,
        hits: 0,
    };

    /// The victim of three objects that differ in one property. A sample of 256 of three slots
    /// holds each of them.
    fn victim(objects: [Object; 3]) -> Slot {
        let spec = crate::PolicySpec::named("hyperbolic").with("samples", 256);
        let mut policy = crate::cache::build(&spec, 100, 1).expect("it builds");
        for (slot, object) in (0..).zip(objects) {
            let access = Access {
                cost: object.cost,
                ..Access::sized(u64::from(slot), object.bytes)
            };
            assert!(policy.admit(&access));
            policy.on_insert(slot, &access);
            for _ in 0..object.hits {
                policy.on_hit(slot);
            }
        }
        let incoming = Access::unit(9);
        assert!(policy.admit(&incoming));
        policy.victim(&incoming)
    }

    #[test]
    fn the_oldest_the_least_used_the_largest_or_the_cheapest_leaves() {
        assert_eq!(victim([PLAIN; 3]), 0, "the oldest");
        let often = Object { hits: 9, ..PLAIN };
        let seldom = Object { hits: 2, ..PLAIN };
        assert_eq!(victim([often, seldom, often]), 1);
        let large = Object { bytes: 9, ..PLAIN };
        assert_eq!(victim([PLAIN, large, PLAIN]), 1);
        let dear = Object { cost: 9, ..PLAIN };
        assert_eq!(victim([dear, dear, PLAIN]), 2);
    }
}
