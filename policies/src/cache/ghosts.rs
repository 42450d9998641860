//! Ghosts: the keys of objects that left, in one or more queues, found by key.
//!
//! ARC, CAR, 2Q, S3-FIFO and others remember them. A key is in at most one queue. The numbers of
//! forgotten ghosts are used again: memory follows the largest number of ghosts at a time, which
//! the policy bounds.

use super::key_numbers::KeyNumbers;
use super::queues::{Member, Queues};
use crate::slot_list::NONE;

/// `QUEUES` queues of ghosts, each ghost with a note of type `T`. About 60 B a ghost.
#[derive(Debug)]
pub(super) struct Ghosts<const QUEUES: usize, T = ()> {
    queues: Queues<QUEUES, T>,
    numbers: KeyNumbers,
    free: Vec<u32>,
}

impl<const QUEUES: usize, T> Default for Ghosts<QUEUES, T> {
    fn default() -> Self {
        Self {
            queues: Queues::default(),
            numbers: KeyNumbers::default(),
            free: Vec::new(),
        }
    }
}

impl<const QUEUES: usize, T: Copy + Default> Ghosts<QUEUES, T> {
    /// The bytes of the objects remembered in `queue`.
    #[inline]
    pub(super) fn bytes(&self, queue: u8) -> u64 {
        self.queues.bytes(queue)
    }

    /// How many ghosts `queue` holds.
    pub(super) fn len(&self, queue: u8) -> usize {
        self.queues.len(queue)
    }

    /// Remembers an object as the newest of the queue that `ghost` names. Of two objects with one
    /// key, the later ghost replaces the earlier.
    pub(super) fn remember(&mut self, ghost: Member<T>) {
        self.forget(ghost.key);
        let number = self.free.pop().unwrap_or(self.queues.numbers_end());
        self.queues.push(number, ghost);
        self.numbers.insert(ghost.key, number);
    }

    /// Remembers an object after dropping the oldest ghosts of its queue until it fits in
    /// `bytes_max`. An object larger than that is not remembered.
    pub(super) fn remember_within(&mut self, bytes_max: u64, ghost: Member<T>) {
        self.forget(ghost.key);
        self.trim(ghost.queue, bytes_max.saturating_sub(ghost.bytes));
        if ghost.bytes <= bytes_max {
            self.remember(ghost);
        }
    }

    /// Drops the oldest ghosts of `queue` until they are at most `bytes_max`.
    pub(super) fn trim(&mut self, queue: u8, bytes_max: u64) {
        while self.bytes(queue) > bytes_max && self.drop_oldest(queue) {}
    }

    /// Forgets the object with `key` and returns what was remembered of it.
    pub(super) fn forget(&mut self, key: u64) -> Option<Member<T>> {
        match self.numbers.remove(key) {
            NONE => None,
            number => {
                self.free.push(number);
                Some(self.queues.take(number))
            }
        }
    }

    /// Forgets the oldest ghost of `queue`; false if the queue is empty.
    pub(super) fn drop_oldest(&mut self, queue: u8) -> bool {
        self.pop_oldest(queue).is_some()
    }

    /// Forgets the oldest ghost of `queue` and returns what was remembered of it.
    pub(super) fn pop_oldest(&mut self, queue: u8) -> Option<Member<T>> {
        match self.queues.oldest(queue) {
            NONE => None,
            number => self.forget(self.queues.member(number).key),
        }
    }

    /// Bytes of memory used.
    pub(super) fn memory_bytes(&self) -> u64 {
        let free = self.free.capacity() * size_of::<u32>();
        self.queues.memory_bytes() + self.numbers.memory_bytes() + free as u64
    }

    /// Checks that the ghosts queued are those that can be found. O(ghosts); for tests.
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    pub(super) fn audit(&self) -> Result<(), String> {
        let queued = self.queues.walk()?;
        for number in &queued {
            let key = self.queues.member(*number).key;
            if self.numbers.find(key) != *number {
                return Err(format!(
                    "ghost {number} is queued but not found by its key {key}"
                ));
            }
        }
        let counted: usize = (0..QUEUES as u8).map(|queue| self.len(queue)).sum();
        let found = self.numbers.len();
        if counted != found {
            return Err(format!("{counted} ghosts are queued, {found} can be found"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ghost(key: u64, queue: u8) -> Member<u8> {
        Member {
            key,
            bytes: 10 + key,
            queue,
            note: 7,
        }
    }

    #[test]
    fn a_key_is_remembered_once_and_its_number_used_again() {
        let mut ghosts: Ghosts<2, u8> = Ghosts::default();
        ghosts.remember(ghost(1, 0));
        ghosts.remember(ghost(2, 0));
        ghosts.remember(ghost(1, 1));
        assert_eq!(ghosts.len(0), 1);
        assert_eq!(ghosts.len(1), 1);
        assert_eq!(ghosts.bytes(0), 12);
        assert_eq!(ghosts.bytes(1), 11);
        assert_eq!(
            (ghosts.forget(1), ghosts.forget(1)),
            (Some(ghost(1, 1)), None)
        );
        assert!(ghosts.drop_oldest(0) && !ghosts.drop_oldest(0));
        let memory = ghosts.memory_bytes();
        for key in 0..1000 {
            ghosts.remember(ghost(key, 0));
            assert!(ghosts.len(0) < 3 || ghosts.drop_oldest(0));
        }
        assert_eq!(ghosts.audit(), Ok(()));
        assert_eq!(
            (ghosts.forget(998), ghosts.bytes(0)),
            (Some(ghost(998, 0)), 1009)
        );
        assert!(
            ghosts.memory_bytes() <= memory + 200,
            "{} B for two ghosts",
            ghosts.memory_bytes()
        );
    }
}
