//! FIFO: the object that entered longest ago leaves.
//!
//! Source: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
//! Journal 5(2), 1966.
//! State: two links (8 B) a slot.
//! Cost: every call O(1); a hit does nothing.
//! Invariants: the list holds exactly the held slots, in the order in which they entered. It is not
//! a stack policy: a larger cache may have more misses.
//! Weak where: some objects are requested again and again, since they leave like all others.

use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::{Links, SlotList};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "fifo",
    about: "the first in is the first out (Belady 1966)",
    params: describe::<NoParams>,
    build: |_capacity, _seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(Fifo::default()) as _)
    },
};

#[derive(Default)]
struct Fifo {
    links: Links,
    queue: SlotList,
}

impl Eviction for Fifo {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        self.queue.oldest()
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        self.queue.push_newest(&mut self.links, slot);
    }

    fn on_hit(&mut self, _slot: Slot) {}

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        self.queue.unlink(&mut self.links, slot);
    }

    fn metadata_bytes(&self) -> u64 {
        self.links.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.queue.walk(&self.links)?, held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_changes_nothing() {
        let mut fifo = Fifo::default();
        let any = Access::unit(0);
        for slot in [1, 0, 2] {
            fifo.on_insert(slot, &any);
        }
        fifo.on_hit(1);
        assert_eq!(fifo.victim(&any), 1);
        fifo.on_remove(1, Removal::Evicted);
        fifo.on_remove(0, Removal::Died);
        assert_eq!((fifo.victim(&any), fifo.audit(&[2])), (2, Ok(())));
    }
}
