//! A heap of slots by rank, least first, in which a slot's rank can change.

use super::{Slot, check_held};
use crate::slot_list::NONE;

/// The heap. Every operation is O(log slots) but the look at the least.
pub(super) struct SlotHeap<R> {
    entries: Vec<(R, Slot)>,
    /// Where in `entries` each slot is.
    places: Vec<u32>,
}

impl<R> Default for SlotHeap<R> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: Vec::new() }
    }
}

impl<R: Ord + Copy> SlotHeap<R> {
    /// The slot of the least rank, or [`NONE`].
    pub(super) fn least(&self) -> Slot {
        self.entries.first().map_or(NONE, |(_, slot)| *slot)
    }

    /// The rank of a slot that is in the heap.
    pub(super) fn rank(&self, slot: Slot) -> R {
        self.entries[self.places[slot as usize] as usize].0
    }

    /// Puts in a slot that is not in the heap.
    pub(super) fn insert(&mut self, slot: Slot, rank: R) {
        if self.places.len() <= slot as usize {
            self.places.resize(slot as usize + 1, NONE);
        }
        self.entries.push((rank, slot));
        self.rise(self.entries.len() - 1);
    }

    /// Changes the rank of a slot that is in the heap.
    pub(super) fn set(&mut self, slot: Slot, rank: R) {
        let place = self.places[slot as usize] as usize;
        self.entries[place].0 = rank;
        let place = self.rise(place);
        self.sink(place);
    }

    /// Takes out a slot that is in the heap.
    pub(super) fn remove(&mut self, slot: Slot) -> R {
        let place = std::mem::replace(&mut self.places[slot as usize], NONE) as usize;
        let (rank, _) = self.entries.swap_remove(place);
        if place < self.entries.len() {
            let place = self.rise(place);
            self.sink(place);
        }
        rank
    }

    fn rise(&mut self, mut place: usize) -> usize {
        let moving = self.entries[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.entries[parent] <= moving {
                break;
            }
            self.put(place, self.entries[parent]);
            place = parent;
        }
        self.put(place, moving);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let moving = self.entries[place];
        loop {
            let mut child = 2 * place + 1;
            if child + 1 < self.entries.len() && self.entries[child + 1] < self.entries[child] {
                child += 1;
            }
            if child >= self.entries.len() || moving <= self.entries[child] {
                break;
            }
            self.put(place, self.entries[child]);
            place = child;
        }
        self.put(place, moving);
    }

    fn put(&mut self, place: usize, entry: (R, Slot)) {
        self.entries[place] = entry;
        self.places[entry.1 as usize] = place as u32;
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        (self.entries.capacity() * size_of::<(R, Slot)>() + self.places.capacity() * size_of::<u32>()) as u64
    }

    /// Checks that the entries are the slots `held`, in heap order, each found at its place. O(slots); for tests.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub(super) fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.entries.iter().map(|(_, slot)| *slot).collect(), held)?;
        for (place, entry) in self.entries.iter().enumerate() {
            if self.places[entry.1 as usize] as usize != place {
                return Err(format!("slot {} is not found at its place {place}", entry.1));
            }
            if place > 0 && self.entries[(place - 1) / 2] > *entry {
                return Err(format!("slot {} ranks lower than what lies above it", entry.1));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::sampling::Draws;

    #[test]
    fn the_least_comes_first_whatever_changed() {
        let (mut heap, mut ranks, mut draws) = (SlotHeap::default(), vec![None; 50], Draws::new(7));
        for step in 0..5000 {
            let (slot, rank) = (draws.below(50), draws.below(20));
            match ranks[slot] {
                None => heap.insert(slot as Slot, rank),
                Some(old) if step % 3 == 0 => assert_eq!(heap.remove(slot as Slot), old),
                Some(_) => heap.set(slot as Slot, rank),
            }
            ranks[slot] = (ranks[slot].is_none() || step % 3 != 0).then_some(rank);
            let held: Vec<Slot> = (0..50).filter(|slot| ranks[*slot as usize].is_some()).collect();
            assert_eq!(heap.audit(&held), Ok(()), "step {step}");
            let least = held.iter().min_by_key(|slot| (ranks[**slot as usize], **slot));
            assert_eq!(heap.least(), least.copied().unwrap_or(NONE), "step {step}");
        }
    }
}
