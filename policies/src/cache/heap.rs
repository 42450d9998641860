//! A heap of slots by rank that knows where each slot is, so that any slot's rank can change.

use crate::slot_list::NONE;

/// The rank of a slot. The lowest value leaves first; of equal values, the one ranked first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rank {
    value: f64,
    turn: i64,
}

impl Rank {
    fn is_below(self, other: Self) -> bool {
        self.value < other.value || (self.value == other.value && self.turn < other.turn)
    }
}

/// The heap: 28 B a slot, O(log slots) a change. A node has four children, so it is half as deep as
/// a binary heap.
#[derive(Debug, Default)]
pub(super) struct Heap {
    nodes: Vec<(Rank, u32)>,
    /// The position of each slot in `nodes`, or `NONE`.
    places: Vec<u32>,
    turns: i64,
}

const CHILDREN: usize = 4;

impl Heap {
    /// The slot ranked lowest and its value; `None` if the heap is empty.
    pub(super) fn lowest(&self) -> Option<(u32, f64)> {
        self.nodes.first().map(|(rank, slot)| (*slot, rank.value))
    }

    /// Ranks `slot` by `value`, after all slots of that value. The slot may be in the heap already.
    pub(super) fn rank(&mut self, slot: u32, value: f64) {
        self.turns += 1;
        self.put_in(
            slot,
            Rank {
                value,
                turn: self.turns,
            },
        );
    }

    /// Ranks `slot` by `value`, before all slots of that value. The slot may be in the heap
    /// already.
    pub(super) fn rank_first(&mut self, slot: u32, value: f64) {
        self.turns += 1;
        self.put_in(
            slot,
            Rank {
                value,
                turn: -self.turns,
            },
        );
    }

    fn put_in(&mut self, slot: u32, rank: Rank) {
        if self.places.len() <= slot as usize {
            self.places.resize(slot as usize + 1, NONE);
        }
        match self.places[slot as usize] {
            NONE => {
                self.nodes.push((rank, slot));
                self.rise(self.nodes.len() - 1);
            }
            place => {
                self.nodes[place as usize].0 = rank;
                self.settle(place as usize);
            }
        }
    }

    /// Removes `slot`, which must be in the heap, and returns its value.
    pub(super) fn remove(&mut self, slot: u32) -> f64 {
        let place = std::mem::replace(&mut self.places[slot as usize], NONE) as usize;
        let (rank, _) = self.nodes.swap_remove(place);
        if place < self.nodes.len() {
            self.settle(place);
        }
        rank.value
    }

    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        let node = self.nodes[place];
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if !node.0.is_below(self.nodes[parent].0) {
                break;
            }
            self.put(place, self.nodes[parent]);
            place = parent;
        }
        self.put(place, node);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let node = self.nodes[place];
        loop {
            let first = place * CHILDREN + 1;
            let children = first..(first + CHILDREN).min(self.nodes.len());
            let lowest = children.reduce(|a, b| {
                if self.nodes[b].0.is_below(self.nodes[a].0) {
                    b
                } else {
                    a
                }
            });
            match lowest {
                Some(child) if self.nodes[child].0.is_below(node.0) => {
                    self.put(place, self.nodes[child]);
                    place = child;
                }
                _ => return self.put(place, node),
            }
        }
    }

    fn put(&mut self, place: usize, node: (Rank, u32)) {
        self.nodes[place] = node;
        self.places[node.1 as usize] = place as u32;
    }

    /// Bytes of memory used.
    pub(super) fn memory_bytes(&self) -> u64 {
        let nodes = self.nodes.capacity() * size_of::<(Rank, u32)>();
        (nodes + self.places.capacity() * size_of::<u32>()) as u64
    }

    /// Returns all slots in the heap, after checking their order and positions. O(slots).
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    pub(super) fn walk(&self) -> Result<Vec<u32>, String> {
        for (place, (rank, slot)) in self.nodes.iter().enumerate() {
            if self.places[*slot as usize] as usize != place {
                return Err(format!(
                    "slot {slot} is at {place}, not at {}",
                    self.places[*slot as usize]
                ));
            }
            if rank.is_below(self.nodes[place.saturating_sub(1) / CHILDREN].0) {
                return Err(format!("slot {slot} ranks below its parent"));
            }
        }
        Ok(self.nodes.iter().map(|(_, slot)| *slot).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_order_of_a_sorted_list() {
        let mut heap = Heap::default();
        let mut expected = Vec::new();
        for slot in 0..200_u32 {
            heap.rank(slot, f64::from(slot * 37 % 23));
        }
        for slot in (0..200).step_by(3) {
            heap.rank(slot, f64::from(slot * 11 % 23));
            assert!(heap.walk().is_ok());
        }
        for slot in (1..200).step_by(3) {
            assert_eq!(heap.remove(slot), f64::from(slot * 37 % 23));
            assert!(heap.walk().is_ok());
        }
        for slot in (0..200).step_by(3) {
            expected.push((slot * 11 % 23, 1, slot));
        }
        for slot in (2..200).step_by(3) {
            expected.push((slot * 37 % 23, 0, slot));
        }
        expected.sort_unstable();
        for (value, _, slot) in expected {
            assert_eq!(heap.lowest(), Some((slot, f64::from(value))));
            heap.remove(slot);
        }
        assert_eq!(heap.lowest(), None);
    }

    #[test]
    fn among_equals_the_last_can_be_the_lowest() {
        let mut heap = Heap::default();
        (0..20).for_each(|slot| heap.rank_first(slot, 1.0));
        heap.rank_first(7, 0.5);
        heap.rank_first(3, 1.0);
        assert_eq!(
            [7, 3, 19, 18].map(|slot| (heap.lowest(), heap.remove(slot)).0.map(|(slot, _)| slot)),
            [7, 3, 19, 18].map(Some)
        );
    }
}
