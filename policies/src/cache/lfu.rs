//! LFU: the object requested least often leaves.
//!
//! Source: the rule is folklore (it is in Denning's survey of 1970). The buckets are from Shah,
//! Mitra and Matani, "An O(1) algorithm for implementing the LFU cache eviction scheme", 2010.
//! Variant: frequency counts only while the object is held. Of equal frequencies, the object that
//! reached it first leaves.
//! State: two links (8 B) and a bucket number (4 B) a slot, and 36 B for each frequency that
//! occurs.
//! Cost: every call O(1).
//! Invariants: buckets are in order of frequency and not empty; each held slot is in one.
//! Weak where: objects once requested often stay long after their time.

use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::{Links, NONE, SlotList};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lfu",
    about: "the least frequently used leaves, in O(1) (Shah et al. 2010)",
    params: describe::<NoParams>,
    build: |_capacity, _seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(Lfu::new()) as _)
    },
};

/// The slots of one frequency.
#[derive(Debug, Default)]
struct Bucket {
    frequency: u64,
    slots: SlotList,
    /// The buckets of the next lower and the next higher frequency, or `NONE`.
    lower: u32,
    higher: u32,
}

struct Lfu {
    links: Links,
    buckets: Vec<Bucket>,
    free: Vec<u32>,
    /// The bucket of the lowest frequency, or `NONE`.
    lowest: u32,
    /// The bucket that each slot is in.
    places: Vec<u32>,
}

impl Lfu {
    fn new() -> Self {
        Self {
            links: Links::default(),
            buckets: Vec::new(),
            free: Vec::new(),
            lowest: NONE,
            places: Vec::new(),
        }
    }

    /// The bucket of `frequency`: `higher` if it has that frequency, else a new one between the
    /// neighbours `lower` and `higher`.
    fn bucket_between(&mut self, lower: u32, frequency: u64, higher: u32) -> u32 {
        if higher != NONE && self.buckets[higher as usize].frequency == frequency {
            return higher;
        }
        let made = self.free.pop().unwrap_or_else(|| {
            self.buckets.push(Bucket::default());
            self.buckets.len() as u32 - 1
        });
        self.buckets[made as usize] = Bucket {
            frequency,
            slots: SlotList::default(),
            lower,
            higher,
        };
        self.join(lower, made);
        self.join(made, higher);
        made
    }

    /// Makes two buckets neighbours. Either may be `NONE`, the end.
    fn join(&mut self, lower: u32, higher: u32) {
        match lower {
            NONE => self.lowest = higher,
            lower => self.buckets[lower as usize].higher = higher,
        }
        if higher != NONE {
            self.buckets[higher as usize].lower = lower;
        }
    }

    fn push(&mut self, bucket: u32, slot: Slot) {
        self.buckets[bucket as usize]
            .slots
            .push_newest(&mut self.links, slot);
        self.places[slot as usize] = bucket;
    }

    /// Takes `slot` out of its bucket, and drops a bucket that is then empty.
    fn take(&mut self, slot: Slot) {
        let number = self.places[slot as usize];
        let bucket = &mut self.buckets[number as usize];
        bucket.slots.unlink(&mut self.links, slot);
        if bucket.slots.is_empty() {
            let lower = bucket.lower;
            let higher = bucket.higher;
            self.join(lower, higher);
            self.free.push(number);
        }
    }
}

impl Eviction for Lfu {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        self.buckets[self.lowest as usize].slots.oldest()
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        if self.places.len() <= slot as usize {
            self.places.resize(slot as usize + 1, NONE);
        }
        let bucket = self.bucket_between(NONE, 1, self.lowest);
        self.push(bucket, slot);
    }

    fn on_hit(&mut self, slot: Slot) {
        let from = self.places[slot as usize];
        let Bucket {
            frequency, higher, ..
        } = self.buckets[from as usize];
        let bucket = self.bucket_between(from, frequency + 1, higher);
        self.take(slot);
        self.push(bucket, slot);
    }

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        self.take(slot);
    }

    fn metadata_bytes(&self) -> u64 {
        let buckets = self.buckets.capacity() * size_of::<Bucket>();
        let numbers = (self.free.capacity() + self.places.capacity()) * size_of::<u32>();
        self.links.memory_bytes() + (buckets + numbers) as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        let mut slots = Vec::new();
        let mut lower = NONE;
        let mut number = self.lowest;
        while number != NONE {
            let bucket = &self.buckets[number as usize];
            let listed = bucket.slots.walk(&self.links)?;
            let after = lower == NONE || self.buckets[lower as usize].frequency < bucket.frequency;
            let at_home = listed
                .iter()
                .all(|slot| self.places[*slot as usize] == number);
            if listed.is_empty() || bucket.lower != lower || !after || !at_home {
                return Err(format!(
                    "bucket {number} is empty, out of order or holds another's slot: {bucket:?}"
                ));
            }
            slots.extend(listed);
            lower = number;
            number = bucket.higher;
        }
        check_held(slots, held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_frequency_leaves_and_of_equals_the_first_to_reach_it() {
        let mut lfu = Lfu::new();
        let any = Access::unit(0);
        (0..4).for_each(|slot| lfu.on_insert(slot, &any));
        [2, 0, 0, 1].into_iter().for_each(|slot| lfu.on_hit(slot));
        let victims = [(); 4].map(|()| {
            let slot = lfu.victim(&any);
            lfu.on_remove(slot, Removal::Evicted);
            slot
        });
        assert_eq!(victims, [3, 2, 1, 0]);
        assert_eq!((lfu.audit(&[]), lfu.buckets.len()), (Ok(()), 3));
        lfu.on_insert(7, &any);
        assert_eq!((lfu.victim(&any), lfu.audit(&[7])), (7, Ok(())));
    }
}
