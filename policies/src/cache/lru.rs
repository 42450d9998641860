//! LRU: the object requested longest ago leaves.
//!
//! Source: Mattson et al., "Evaluation techniques for storage hierarchies", IBM Systems Journal
//! 9(2), 1970.
//! State: two links (8 B) a slot.
//! Cost: every call O(1); a hit writes up to six links.
//! Invariants: the list holds exactly the held slots, in the order of their last access. It is a
//! stack policy: a larger cache never has more misses.
//! Weak where: one long scan, or a loop a little larger than the cache, evicts everything useful.

use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::{Links, SlotList};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lru",
    about: "the least recently used leaves (Mattson et al. 1970)",
    params: describe::<NoParams>,
    build: |_capacity, _seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(Lru::default()) as _)
    },
};

#[derive(Default)]
struct Lru {
    links: Links,
    order: SlotList,
}

impl Eviction for Lru {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        self.order.oldest()
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        self.order.push_newest(&mut self.links, slot);
    }

    fn on_hit(&mut self, slot: Slot) {
        self.order.touch(&mut self.links, slot);
    }

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        self.order.unlink(&mut self.links, slot);
    }

    fn metadata_bytes(&self) -> u64 {
        self.links.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.order.walk(&self.links)?, held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_makes_the_object_the_newest() {
        let mut lru = Lru::default();
        let any = Access::unit(0);
        for slot in 0..3 {
            lru.on_insert(slot, &any);
        }
        lru.on_hit(0);
        assert_eq!((lru.victim(&any), lru.victim(&any)), (1, 1));
        lru.on_remove(1, Removal::Evicted);
        lru.on_remove(2, Removal::Died);
        assert_eq!(lru.victim(&any), 0);
        assert_eq!(lru.audit(&[0]), Ok(()));
    }
}
