//! LRU's stack: how far down it a requested object is, for every request of a trace.
//!
//! An object at depth d is held by every LRU cache of d objects or more, and by no smaller one. So
//! one pass gives the misses at all sizes. If objects have bytes, a depth is the sum of the bytes
//! down to and with the object.
//!
//! An object that ends leaves a hole, because a cache that held it has room from then on. A hole
//! goes down with what is above it, until a request for something below it fills it: then it moves
//! to where that object was, as the caches down to there still have room.
//!
//! Source: Mattson, Gecsei, Slutz and Traiger, "Evaluation techniques for storage hierarchies", IBM
//! Systems Journal 9(2), 1970; the tree over times of last use is that of Bennett and Kruskal, "LRU
//! stack processing", IBM Journal of Research and Development 19(4), 1975.
//! Cost: O(log objects) a request; 24 to 40 bytes an object in the stack.

use std::collections::BTreeSet;

/// What is in a slot: an object by its number, or one of these.
const EMPTY: u32 = u32::MAX;
const HOLE: u32 = u32::MAX - 1;

const SLOTS_MIN: usize = 1024;

/// The stack. A slot is a time of use, the later ones nearer to the top.
pub(super) struct Stack {
    /// The slot of each object; `EMPTY` if it is not in the stack.
    places: Vec<u32>,
    owners: Vec<u32>,
    /// What each slot weighs.
    weights: Vec<u64>,
    /// Sums of weights: a binary indexed tree over the slots, from 1.
    sums: Vec<u64>,
    whole: u64,
    next: usize,
    holes: BTreeSet<u32>,
}

impl Stack {
    /// An empty stack for the objects `0..objects`.
    pub(super) fn new(objects: usize) -> Self {
        let mut stack = Self {
            places: vec![EMPTY; objects],
            owners: Vec::new(),
            weights: Vec::new(),
            sums: Vec::new(),
            whole: 0,
            next: 0,
            holes: BTreeSet::new(),
        };
        stack.make_slots(SLOTS_MIN);
        stack
    }

    /// Brings an object that weighs `weight` to the top. Returns its depth before, or `None` if it
    /// was not in the stack.
    pub(super) fn request(&mut self, object: u32, weight: u64) -> Option<u64> {
        if self.next == self.owners.len() {
            self.compact();
        }
        let place = self.places[object as usize];
        let mut depth = None;
        if place != EMPTY {
            depth = Some(self.whole.saturating_sub(self.sum_before(place as usize)));
        }
        let hole = self.holes.last().copied();
        match hole.filter(|hole| place == EMPTY || *hole > place) {
            Some(hole) => {
                self.free(hole as usize);
                self.holes.remove(&hole);
                if place != EMPTY {
                    self.owners[place as usize] = HOLE;
                    self.holes.insert(place);
                }
            }
            None if place != EMPTY => self.free(place as usize),
            None => {}
        }
        let slot = self.next;
        self.next += 1;
        self.owners[slot] = object;
        self.places[object as usize] = slot as u32;
        self.weights[slot] = weight;
        self.whole = self.whole.saturating_add(weight);
        self.add(slot, weight);
        depth
    }

    /// Ends an object. Holes have their place in stacks of objects of one size only.
    pub(super) fn end(&mut self, object: u32) {
        let place = std::mem::replace(&mut self.places[object as usize], EMPTY);
        if place != EMPTY {
            self.owners[place as usize] = HOLE;
            self.holes.insert(place);
        }
    }

    fn free(&mut self, slot: usize) {
        let weight = std::mem::take(&mut self.weights[slot]);
        self.owners[slot] = EMPTY;
        self.whole = self.whole.saturating_sub(weight);
        self.subtract(slot, weight);
    }

    /// The weight of the slots before `slot`.
    fn sum_before(&self, slot: usize) -> u64 {
        let mut sum = 0_u64;
        let mut at = slot;
        while at > 0 {
            sum = sum.wrapping_add(self.sums[at]);
            at &= at - 1;
        }
        sum
    }

    fn add(&mut self, slot: usize, weight: u64) {
        let mut at = slot + 1;
        while at < self.sums.len() {
            self.sums[at] = self.sums[at].wrapping_add(weight);
            at += at & at.wrapping_neg();
        }
    }

    fn subtract(&mut self, slot: usize, weight: u64) {
        self.add(slot, weight.wrapping_neg());
    }

    fn make_slots(&mut self, slots: usize) {
        self.owners = vec![EMPTY; slots];
        self.weights = vec![0; slots];
        self.sums = vec![0; slots + 1];
        self.next = 0;
    }

    /// Closes the gaps between slots, and leaves as many free ones as there are used ones.
    fn compact(&mut self) {
        let owners = std::mem::take(&mut self.owners);
        let weights = std::mem::take(&mut self.weights);
        let used = owners.iter().filter(|owner| **owner != EMPTY).count();
        self.make_slots((2 * used).max(SLOTS_MIN));
        self.holes.clear();
        for (owner, weight) in owners.into_iter().zip(weights) {
            if owner == EMPTY {
                continue;
            }
            let slot = self.next;
            self.next += 1;
            self.owners[slot] = owner;
            self.weights[slot] = weight;
            self.sums[slot + 1] = weight;
            if owner == HOLE {
                self.holes.insert(slot as u32);
            } else {
                self.places[owner as usize] = slot as u32;
            }
        }
        // Each node of the tree adds itself to the one above it.
        for at in 1..self.sums.len() {
            let above = at + (at & at.wrapping_neg());
            if above < self.sums.len() {
                self.sums[above] = self.sums[above].wrapping_add(self.sums[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aura_workloads::Seed;

    use super::*;

    /// A stack as a list, the top first.
    #[derive(Default)]
    struct List(Vec<(Option<u32>, u64)>);

    impl List {
        fn request(&mut self, object: u32, weight: u64) -> Option<u64> {
            let place = self.0.iter().position(|(owner, _)| *owner == Some(object));
            let depth = place.map(|place| self.0[..=place].iter().map(|(_, it)| it).sum());
            let above = &self.0[..place.unwrap_or(self.0.len())];
            let hole = above.iter().position(|(owner, _)| owner.is_none());
            match (place, hole) {
                (Some(place), Some(_)) => self.0[place].0 = None,
                (Some(place), None) => drop(self.0.remove(place)),
                (None, _) => {}
            }
            if let Some(hole) = hole {
                self.0.remove(hole);
            }
            self.0.insert(0, (Some(object), weight));
            depth
        }

        fn end(&mut self, object: u32) {
            for (owner, _) in &mut self.0 {
                if *owner == Some(object) {
                    *owner = None;
                }
            }
        }
    }

    #[test]
    fn depths_are_those_of_a_list() {
        for (weighted, ends) in [(false, false), (true, false), (false, true)] {
            let mut generator = Seed(5).child("stack").generator();
            let mut stack = Stack::new(300);
            let mut list = List::default();
            for at in 0..12_000_u64 {
                let among = 1 + generator.below(300);
                let object = generator.below(among) as u32;
                if ends && at % 7 == 3 {
                    stack.end(object);
                    list.end(object);
                    continue;
                }
                let weight = if weighted {
                    1 + u64::from(object) * 37 % 900
                } else {
                    1
                };
                let found = stack.request(object, weight);
                assert_eq!(found, list.request(object, weight), "{object} at {at}");
            }
        }
    }
}
