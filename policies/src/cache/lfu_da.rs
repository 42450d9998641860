//! LFU-DA: LFU with dynamic aging. New objects start from the key of the last victim.
//!
//! Source: Arlitt et al., "Evaluating content management techniques for Web proxy caches", ACM
//! SIGMETRICS Performance Evaluation Review 27(4), 2000.
//! Variant: the textbook's: key = frequency + L, fixed when the object enters or is hit, where L is
//! the key of the last victim. Of equal keys the least recently used leaves.
//! State: 32 B a slot.
//! Cost: O(log slots) a hit, an insertion and a removal, because a key may pass many others.
//! Invariants: L never falls; no key is below L.
//! Weak where: a scan, which raises L only a little and so still competes with objects requested
//! rarely but always.

use super::heap::Heap;
use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::NONE;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lfu-da",
    about: "LFU with aging: new objects start at the last victim's key (Arlitt et al. 2000)",
    params: describe::<NoParams>,
    build: |_capacity, _seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(LfuDa::default()) as _)
    },
};

#[derive(Default)]
struct LfuDa {
    heap: Heap,
    frequencies: Vec<u32>,
    /// L: the key of the last victim.
    age: f64,
}

impl Eviction for LfuDa {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        self.heap.lowest().map_or(NONE, |(slot, _)| slot)
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        if self.frequencies.len() <= slot as usize {
            self.frequencies.resize(slot as usize + 1, 0);
        }
        self.frequencies[slot as usize] = 0;
        self.on_hit(slot);
    }

    fn on_hit(&mut self, slot: Slot) {
        let frequency = &mut self.frequencies[slot as usize];
        *frequency = frequency.saturating_add(1);
        self.heap.rank(slot, self.age + f64::from(*frequency));
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let key = self.heap.remove(slot);
        if why == Removal::Evicted {
            self.age = key;
        }
    }

    fn metadata_bytes(&self) -> u64 {
        self.heap.memory_bytes() + (self.frequencies.capacity() * size_of::<u32>()) as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.heap.walk()?, held)?;
        match self.heap.lowest() {
            Some((slot, key)) if key < self.age => {
                Err(format!("slot {slot} has key {key}, below L = {}", self.age))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_once_requested_often_leaves_in_time() {
        let mut lfu = LfuDa::default();
        let any = Access::unit(0);
        (0..3).for_each(|slot| lfu.on_insert(slot, &any));
        [0, 0, 0].into_iter().for_each(|slot| lfu.on_hit(slot));
        let turns = (0..10).map(|_| {
            let slot = lfu.victim(&any);
            lfu.on_remove(slot, Removal::Evicted);
            lfu.on_insert(slot, &any);
            slot
        });
        // Keys 4, 1, 1: new objects get 2, 2, then 3, 3, then 4, 4. After that slot 0 is the least
        // recently used of those with 4.
        assert_eq!(turns.collect::<Vec<_>>(), [1, 2, 1, 2, 1, 2, 0, 1, 2, 0]);
        assert_eq!(lfu.audit(&[0, 1, 2]), Ok(()));
    }
}
