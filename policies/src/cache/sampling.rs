//! Random samples: the held slots in an array, so that each is drawn equally often.

use super::{Slot, check_held};
use crate::slot_list::NONE;
use crate::splitmix::SplitMix64;

/// The held slots, dense and in no order, each with the policy's note on it.
pub(super) struct HeldSlots<T> {
    entries: Vec<(Slot, T)>,
    /// The position of each slot in `entries`.
    places: Vec<u32>,
}

impl<T> Default for HeldSlots<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            places: Vec::new(),
        }
    }
}

impl<T> HeldSlots<T> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, slot: Slot, note: T) {
        if self.places.len() <= slot as usize {
            self.places.resize(slot as usize + 1, NONE);
        }
        self.places[slot as usize] = self.entries.len() as u32;
        self.entries.push((slot, note));
    }

    /// Removes `slot`, which must be held. The last entry moves to its position.
    pub(super) fn remove(&mut self, slot: Slot) -> T {
        let place = std::mem::replace(&mut self.places[slot as usize], NONE);
        let (_, note) = self.entries.swap_remove(place as usize);
        if let Some((moved, _)) = self.entries.get(place as usize) {
            self.places[*moved as usize] = place;
        }
        note
    }

    #[inline]
    pub(super) fn note(&self, slot: Slot) -> &T {
        &self.entries[self.places[slot as usize] as usize].1
    }

    #[inline]
    pub(super) fn note_mut(&mut self, slot: Slot) -> &mut T {
        &mut self.entries[self.places[slot as usize] as usize].1
    }

    /// One of the held slots, of which there must be one.
    #[inline]
    pub(super) fn draw(&self, draws: &mut SplitMix64) -> (Slot, &T) {
        let (slot, note) = &self.entries[draws.below(self.entries.len())];
        (*slot, note)
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        (self.entries.capacity() * size_of::<(Slot, T)>()
            + self.places.capacity() * size_of::<u32>()) as u64
    }

    /// Checks that the entries are the slots `held`, and that each is found at its position.
    /// O(slots); for tests.
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    pub(super) fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.entries.iter().map(|(slot, _)| *slot).collect(), held)?;
        let misplaced = self
            .entries
            .iter()
            .zip(0..)
            .find(|((slot, _), at)| self.places[*slot as usize] != *at);
        match misplaced {
            Some(((slot, _), at)) => Err(format!(
                "slot {slot} is entry {at}, not {}",
                self.places[*slot as usize]
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_held_slot_is_drawn_and_no_other() {
        let mut held = HeldSlots::default();
        for slot in 0..6 {
            held.insert(slot, slot * 10);
        }
        assert_eq!(held.remove(2), 20);
        assert_eq!(held.remove(5), 50);
        assert_eq!(held.len(), 4);
        assert_eq!(held.audit(&[0, 1, 3, 4]), Ok(()));
        let mut draws = SplitMix64::new(1);
        let mut drawn = [0; 6];
        for _ in 0..4000 {
            let (slot, note) = held.draw(&mut draws);
            assert_eq!(*note, slot * 10);
            drawn[slot as usize] += 1;
        }
        assert!(drawn[2] == 0 && drawn[5] == 0, "{drawn:?}");
        assert!(
            [0, 1, 3, 4]
                .iter()
                .all(|slot| (850..1150).contains(&drawn[*slot])),
            "{drawn:?}"
        );
    }
}
