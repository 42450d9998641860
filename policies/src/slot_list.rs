//! Doubly linked lists over slot numbers, without pointers: the orders that cache policies keep.
//!
//! ```text
//! SlotList { newest: 4, oldest: 2, len: 3 }      4 <-> 0 <-> 2
//! Links      slot   0            1      2            3      4
//!            newer  4            -      0            -      NONE
//!            older  2            -      NONE         -      0
//! ```
//!
//! A slot is in at most one list, so several lists share one [`Links`], and moving a slot between
//! lists allocates nothing. Every operation but [`SlotList::walk`] is O(1).
//!
//! ```
//! use aura_policies::slot_list::{Links, SlotList};
//!
//! let mut links = Links::default();
//! let mut young = SlotList::default();
//! let mut old = SlotList::default();
//! for slot in [2, 0, 4] {
//!     young.push_newest(&mut links, slot);
//! }
//! young.touch(&mut links, 2);
//! let slot = young.pop_oldest(&mut links);
//! old.push_newest(&mut links, slot);
//! assert_eq!(young.walk(&links), Ok(vec![2, 4]), "the newest first");
//! assert_eq!(old.newest(), 0);
//! ```

/// Stands for no slot: the end of a list.
pub const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    newer: u32,
    older: u32,
}

const UNLINKED: Link = Link {
    newer: NONE,
    older: NONE,
};

/// The neighbours of every slot; grows on demand, 8 bytes a slot.
#[derive(Debug, Default)]
pub struct Links {
    links: Vec<Link>,
}

impl Links {
    /// The next newer slot of the list that `slot` is in, or [`NONE`].
    pub fn newer(&self, slot: u32) -> u32 {
        self.links[slot as usize].newer
    }

    /// The next older slot of the list that `slot` is in, or [`NONE`].
    pub fn older(&self, slot: u32) -> u32 {
        self.links[slot as usize].older
    }

    /// Bytes of memory used.
    pub fn memory_bytes(&self) -> u64 {
        (self.links.capacity() * size_of::<Link>()) as u64
    }
}

/// The two ends of one list. Its links are in a [`Links`], which every call needs.
#[derive(Debug)]
pub struct SlotList {
    newest: u32,
    oldest: u32,
    len: usize,
}

impl Default for SlotList {
    fn default() -> Self {
        Self {
            newest: NONE,
            oldest: NONE,
            len: 0,
        }
    }
}

impl SlotList {
    /// How many slots it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no slot.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slot pushed last, or [`NONE`].
    pub fn newest(&self) -> u32 {
        self.newest
    }

    /// The slot pushed first, or [`NONE`].
    pub fn oldest(&self) -> u32 {
        self.oldest
    }

    /// Puts `slot`, which is in no list, at the newest end.
    pub fn push_newest(&mut self, links: &mut Links, slot: u32) {
        if links.links.len() <= slot as usize {
            links.links.resize(slot as usize + 1, UNLINKED);
        }
        links.links[slot as usize] = Link {
            newer: NONE,
            older: self.newest,
        };
        match self.newest {
            NONE => self.oldest = slot,
            newest => links.links[newest as usize].newer = slot,
        }
        self.newest = slot;
        self.len += 1;
    }

    /// Removes `slot`, which is in this list.
    pub fn unlink(&mut self, links: &mut Links, slot: u32) {
        let Link { newer, older } = std::mem::replace(&mut links.links[slot as usize], UNLINKED);
        match newer {
            NONE => self.newest = older,
            newer => links.links[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => links.links[older as usize].newer = newer,
        }
        self.len -= 1;
    }

    /// Removes the oldest slot and returns it; [`NONE`] if the list is empty.
    pub fn pop_oldest(&mut self, links: &mut Links) -> u32 {
        let slot = self.oldest;
        if slot != NONE {
            self.unlink(links, slot);
        }
        slot
    }

    /// Moves `slot`, which is in this list, to the newest end.
    pub fn touch(&mut self, links: &mut Links, slot: u32) {
        if self.newest != slot {
            self.unlink(links, slot);
            self.push_newest(links, slot);
        }
    }

    /// Returns the slots from newest to oldest, after checking both directions and the length.
    /// O(slots).
    ///
    /// # Errors
    /// A sentence that names the wrong link.
    pub fn walk(&self, links: &Links) -> Result<Vec<u32>, String> {
        let mut slots = Vec::with_capacity(self.len);
        let mut newer = NONE;
        let mut slot = self.newest;
        while slot != NONE {
            let Some(link) = links.links.get(slot as usize) else {
                return Err(format!("slot {slot} is listed but has no links"));
            };
            if link.newer != newer {
                return Err(format!(
                    "slot {slot} is older than {newer} but links to {}",
                    link.newer
                ));
            }
            slots.push(slot);
            if slots.len() > self.len {
                return Err(format!(
                    "more slots are linked than the {} counted",
                    self.len
                ));
            }
            newer = slot;
            slot = link.older;
        }
        match (newer == self.oldest, slots.len() == self.len) {
            (true, true) => Ok(slots),
            (false, _) => Err(format!(
                "the walk ends at {newer}, the list at {}",
                self.oldest
            )),
            (_, false) => Err(format!(
                "{} slots are linked, {} counted",
                slots.len(),
                self.len
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lists_share_links() {
        let (mut links, mut a, mut b) =
            (Links::default(), SlotList::default(), SlotList::default());
        for slot in [2, 0, 4] {
            a.push_newest(&mut links, slot);
        }
        assert_eq!(a.walk(&links), Ok(vec![4, 0, 2]));
        a.unlink(&mut links, 0);
        b.push_newest(&mut links, 0);
        a.touch(&mut links, 2);
        assert_eq!(
            (a.walk(&links), b.walk(&links)),
            (Ok(vec![2, 4]), Ok(vec![0]))
        );
        assert_eq!(a.pop_oldest(&mut links), 4);
        assert_eq!(a.pop_oldest(&mut links), 2);
        assert_eq!(a.pop_oldest(&mut links), NONE);
        assert!(a.is_empty() && b.len() == 1 && b.newest() == 0 && b.oldest() == 0);
        assert!(links.memory_bytes() >= 5 * 8);
    }

    #[test]
    fn the_walk_finds_a_broken_link() {
        let mut links = Links::default();
        let mut list = SlotList::default();
        for slot in 0..4 {
            list.push_newest(&mut links, slot);
        }
        links.links[1].newer = 3;
        assert!(list.walk(&links).is_err());
    }
}
