//! SIEVE: a FIFO queue, one bit a slot that says "visited since the hand last passed", and a hand
//! that sweeps.
//!
//! Source: Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024, Algorithm 1.
//! State: two links (8 B) and one byte a slot; a hit moves nothing.
//! Cost: `on_hit`, `on_insert` and `on_remove` O(1); `victim` O(1) amortised, because each step of
//! the sweep clears a bit that one hit had set.
//! Invariants: the hand is `NONE` or a held slot; `visited` is false for every slot not held.
//! Weak where: objects differ much in size, which it ignores. It is not scan resistant in general,
//! because the objects of a scan stay until the hand reaches them.

use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::{Links, NONE, SlotList};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "sieve",
    about: "lazy promotion and quick demotion with one bit and a hand (Zhang et al., NSDI 2024)",
    params: describe::<NoParams>,
    build: |_capacity, _seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(Sieve::new()) as _)
    },
};

struct Sieve {
    links: Links,
    queue: SlotList,
    visited: Vec<bool>,
    hand: Slot,
}

impl Sieve {
    fn new() -> Self {
        Self {
            links: Links::default(),
            queue: SlotList::default(),
            visited: Vec::new(),
            hand: NONE,
        }
    }
}

impl Eviction for Sieve {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        if self.hand == NONE {
            self.hand = self.queue.oldest();
        }
        while std::mem::take(&mut self.visited[self.hand as usize]) {
            self.hand = match self.links.newer(self.hand) {
                NONE => self.queue.oldest(),
                newer => newer,
            };
        }
        self.hand
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        if self.visited.len() <= slot as usize {
            self.visited.resize(slot as usize + 1, false);
        }
        self.queue.push_newest(&mut self.links, slot);
    }

    fn on_hit(&mut self, slot: Slot) {
        self.visited[slot as usize] = true;
    }

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        if self.hand == slot {
            self.hand = self.links.newer(slot);
        }
        self.visited[slot as usize] = false;
        self.queue.unlink(&mut self.links, slot);
    }

    fn metadata_bytes(&self) -> u64 {
        self.links.memory_bytes() + self.visited.capacity() as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.queue.walk(&self.links)?, held)?;
        if self.hand != NONE && !held.contains(&self.hand) {
            return Err(format!(
                "the hand is at slot {}, which is not held",
                self.hand
            ));
        }
        let visited = self.visited.iter().filter(|visited| **visited).count();
        let held_visited = held
            .iter()
            .filter(|slot| self.visited[**slot as usize])
            .count();
        if visited != held_visited {
            return Err(format!(
                "{visited} slots are marked visited, {held_visited} of those held"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(slots: Slot) -> Sieve {
        let mut sieve = Sieve::new();
        for slot in 0..slots {
            sieve.on_insert(slot, &Access::unit(0));
        }
        sieve
    }

    fn evict(sieve: &mut Sieve) -> Slot {
        let slot = sieve.victim(&Access::unit(0));
        sieve.on_remove(slot, Removal::Evicted);
        slot
    }

    #[test]
    fn the_hand_stays_where_it_evicted_and_survivors_keep_their_place() {
        let mut sieve = filled(5);
        sieve.on_hit(0);
        sieve.on_hit(2);
        assert_eq!(evict(&mut sieve), 1);
        // The hand goes on from 2: slot 0 is not looked at again before the end of the queue.
        assert_eq!([(); 4].map(|()| evict(&mut sieve)), [3, 4, 0, 2]);
    }

    #[test]
    fn the_hand_leaves_an_object_that_dies() {
        let mut sieve = filled(4);
        sieve.on_hit(0);
        assert_eq!(evict(&mut sieve), 1);
        sieve.on_remove(2, Removal::Died);
        assert_eq!(sieve.audit(&[0, 3]), Ok(()));
        assert_eq!(evict(&mut sieve), 3);
    }
}
