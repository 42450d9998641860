//! GDSF: the object that saved the least for each of its bytes leaves; what it saved loses weight
//! over time.
//!
//! Source: Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
//! Policy", HP Labs HPL-98-69R1, 1998.
//! Variant: rank = L + frequency * cost * 10^6 / size, where L is the rank of the last victim. A
//! rank is fixed when the object enters or is hit. Of equal ranks the least recently used leaves.
//! Frequency counts only while the object is held.
//! State: 44 B a slot.
//! Cost: O(log slots) a hit, an insertion and a removal.
//! Invariants: L never falls; no rank is below L.
//! Weak where: misses cost by the byte, since it keeps small objects. With one size and cost it is
//! LFU with aging.

use super::heap::Heap;
use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::NONE;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "gdsf",
    about: "the least frequency * cost / size leaves, with aging (Cherkasova 1998)",
    params: describe::<NoParams>,
    build: |_capacity, _seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(Gdsf::default()) as _)
    },
};

/// Scales a rank's second term. It is libCacheSim's, so that rounding is the same.
const SCALE: f64 = 1e6;

#[derive(Clone, Copy, Debug, Default)]
struct Worth {
    bytes: u64,
    frequency: u32,
    cost: u32,
}

#[derive(Default)]
struct Gdsf {
    heap: Heap,
    worths: Vec<Worth>,
    /// L: the rank of the last victim.
    age: f64,
}

impl Gdsf {
    fn rank(&mut self, slot: Slot) {
        let Worth {
            bytes,
            frequency,
            cost,
        } = self.worths[slot as usize];
        let worth = f64::from(frequency) * f64::from(cost) * SCALE / bytes.max(1) as f64;
        self.heap.rank(slot, self.age + worth);
    }
}

impl Eviction for Gdsf {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        self.heap.lowest().map_or(NONE, |(slot, _)| slot)
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        if self.worths.len() <= slot as usize {
            self.worths.resize(slot as usize + 1, Worth::default());
        }
        self.worths[slot as usize] = Worth {
            bytes: incoming.bytes,
            frequency: 1,
            cost: incoming.cost,
        };
        self.rank(slot);
    }

    fn on_hit(&mut self, slot: Slot) {
        let frequency = &mut self.worths[slot as usize].frequency;
        *frequency = frequency.saturating_add(1);
        self.rank(slot);
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let rank = self.heap.remove(slot);
        if why == Removal::Evicted {
            self.age = rank;
        }
    }

    fn metadata_bytes(&self) -> u64 {
        self.heap.memory_bytes() + (self.worths.capacity() * size_of::<Worth>()) as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.heap.walk()?, held)?;
        match self.heap.lowest() {
            Some((slot, rank)) if rank < self.age => {
                Err(format!("slot {slot} ranks {rank}, below L = {}", self.age))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_frequency_cost_and_age_decide() {
        let mut gdsf = Gdsf::default();
        let any = Access::unit(0);
        for (slot, bytes, cost) in [(0, 100, 1), (1, 10, 1), (2, 50, 4)] {
            gdsf.on_insert(
                slot,
                &Access {
                    cost,
                    ..Access::sized(0, bytes)
                },
            );
        }
        assert_eq!(gdsf.victim(&any), 0);
        [0; 8].into_iter().for_each(|slot| gdsf.on_hit(slot));
        assert_eq!((gdsf.victim(&any), gdsf.victim(&any)), (2, 2));
        gdsf.on_remove(2, Removal::Evicted);
        gdsf.on_insert(2, &Access::sized(0, 50));
        assert_eq!(
            gdsf.victim(&any),
            0,
            "a new object starts at the last victim's rank"
        );
        assert_eq!(gdsf.audit(&[0, 1, 2]), Ok(()));
    }
}
