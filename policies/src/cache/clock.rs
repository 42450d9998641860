//! CLOCK: a FIFO queue that gives requested objects another round.
//!
//! Source: Corbato, "A paging experiment with the Multics system", MIT MAC-M-384, 1968. The counter
//! of more than one bit is the generalized CLOCK of Smith, "Sequentiality and prefetching in
//! database systems", ACM TODS 3(3), 1978.
//! Variant: a new object's count is 0. A survivor goes to the newest end, and its count falls by
//! one.
//! State: two links (8 B) and one byte a slot; a hit moves nothing.
//! Cost: `on_hit`, `on_insert` and `on_remove` O(1); `victim` O(1) amortised, because each round of
//! a survivor uses up one hit.
//! Invariants: a count is at most 2^bits - 1, and 0 for every slot not held.
//! Weak where: a scan, which takes a whole round to pass; with many bits it forgets slowly.

use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::{Links, SlotList};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "clock",
    about: "FIFO with another round for each hit counted (Corbato 1968)",
    params: describe::<Params>,
    build: |_capacity, _seed, spec| {
        let Params { bits } = params(spec)?;
        in_range(spec, "bits", bits, 1..=8)?;
        Ok(Box::new(Clock::new(bits)))
    },
};

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Bits of an object's counter (1 to 8).
    bits: u8,
}

impl Default for Params {
    fn default() -> Self {
        Self { bits: 1 }
    }
}

struct Clock {
    links: Links,
    queue: SlotList,
    counts: Vec<u8>,
    count_max: u8,
}

impl Clock {
    fn new(bits: u8) -> Self {
        let count_max = u8::MAX >> (8 - bits);
        Self {
            links: Links::default(),
            queue: SlotList::default(),
            counts: Vec::new(),
            count_max,
        }
    }
}

impl Eviction for Clock {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        loop {
            let slot = self.queue.oldest();
            let count = &mut self.counts[slot as usize];
            if *count == 0 {
                return slot;
            }
            *count -= 1;
            self.queue.touch(&mut self.links, slot);
        }
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        if self.counts.len() <= slot as usize {
            self.counts.resize(slot as usize + 1, 0);
        }
        self.queue.push_newest(&mut self.links, slot);
    }

    fn on_hit(&mut self, slot: Slot) {
        let count = &mut self.counts[slot as usize];
        *count = self.count_max.min(count.saturating_add(1));
    }

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        self.counts[slot as usize] = 0;
        self.queue.unlink(&mut self.links, slot);
    }

    fn metadata_bytes(&self) -> u64 {
        self.links.memory_bytes() + self.counts.capacity() as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.queue.walk(&self.links)?, held)?;
        if let Some(slot) = self.counts.iter().position(|count| *count > self.count_max) {
            return Err(format!(
                "slot {slot} counts {}, over {}",
                self.counts[slot], self.count_max
            ));
        }
        let counted = self.counts.iter().filter(|count| **count > 0).count();
        let held_counted = held
            .iter()
            .filter(|slot| self.counts[**slot as usize] > 0)
            .count();
        if counted != held_counted {
            return Err(format!(
                "{counted} slots have counts, {held_counted} of those held"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victims(bits: u8, hits: &[Slot]) -> [Slot; 4] {
        let mut clock = Clock::new(bits);
        let any = Access::unit(0);
        for slot in 0..4 {
            clock.on_insert(slot, &any);
        }
        hits.iter().for_each(|slot| clock.on_hit(*slot));
        [(); 4].map(|()| {
            let slot = clock.victim(&any);
            clock.on_remove(slot, Removal::Evicted);
            slot
        })
    }

    #[test]
    fn a_hit_is_worth_a_round_and_more_bits_more_rounds() {
        assert_eq!(victims(1, &[0, 0, 0, 1]), [2, 3, 0, 1]);
        assert_eq!(victims(2, &[0, 0, 0, 1]), [2, 3, 1, 0]);
        assert_eq!(victims(8, &[3; 300]), [0, 1, 2, 3]);
    }
}
