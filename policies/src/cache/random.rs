//! RANDOM: any held object leaves, each as likely as the others.
//!
//! Source: folklore; Belady, "A study of replacement algorithms for a virtual-storage computer",
//! IBM Systems Journal 5(2), 1966, measures it as the first of his classes.
//! Variant: uniform over objects, whatever their size. libCacheSim draws a bucket of its hash
//! table, by the low bits of a generator, which go through all buckets in a fixed cycle, and takes
//! the bucket's first object. Its draws are not uniform: on two public traces and a synthetic one
//! miss ratios differ by up to 0.020.
//! State: 12 B a slot.
//! Cost: every call O(1); a hit does nothing.
//! Invariants: each held slot has one entry in the array that is drawn from.
//! Weak where: anything can be known of what comes, which makes it the baseline.

use super::sampling::HeldSlots;
use super::{Access, Build, Eviction, Removal, Slot};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::NONE;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "random",
    about: "any object leaves, drawn from the seed (Belady 1966)",
    params: describe::<NoParams>,
    build: |_capacity, seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| {
            let policy = Random {
                draws: SplitMix64::new(seed),
                held: HeldSlots::default(),
                named: NONE,
            };
            Box::new(policy) as _
        })
    },
};

struct Random {
    draws: SplitMix64,
    held: HeldSlots<()>,
    /// The victim, once drawn.
    named: Slot,
}

impl Eviction for Random {
    fn admit(&mut self, _incoming: &Access) -> bool {
        self.named = NONE;
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        if self.named == NONE {
            (self.named, _) = self.held.draw(&mut self.draws);
        }
        self.named
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        self.held.insert(slot, ());
        self.named = NONE;
    }

    fn on_hit(&mut self, _slot: Slot) {}

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
    use crate::cache::build;
    use crate::cache::testing::{fill, replace};

    #[test]
    fn each_object_is_as_likely_to_leave() {
        let spec = crate::PolicySpec::named("random");
        let mut policy = build(&spec, 8, 1).expect("it builds");
        fill(&mut *policy, 8);
        let mut left = [0; 8];
        for key in 0..8000 {
            policy.on_hit(0);
            left[replace(&mut *policy, 100 + key) as usize] += 1;
        }
        assert!(
            left.iter().all(|left| (880..1120).contains(left)),
            "{left:?}"
        );
        assert_eq!(policy.audit(&[0, 1, 2, 3, 4, 5, 6, 7]), Ok(()));
    }
}
