//! Queues over one set of numbers, with the bytes of each: most policies order slots, and ghosts,
//! with them.

use super::Access;
use crate::slot_list::{Links, NONE, SlotList};

/// An object in one of the queues, or a ghost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Member<T> {
    /// The object's identity.
    pub(super) key: u64,
    /// Its size.
    pub(super) bytes: u64,
    /// The queue it is in.
    pub(super) queue: u8,
    /// The policy's note on it.
    pub(super) note: T,
}

impl<T> Member<T> {
    /// The object that `incoming` requests, in `queue`.
    #[inline]
    pub(super) fn of(incoming: &Access, queue: u8, note: T) -> Self {
        Self {
            key: incoming.key,
            bytes: incoming.bytes,
            queue,
            note,
        }
    }
}

/// `QUEUES` queues; a number is in at most one of them. 24 B a number, and the note.
#[derive(Debug)]
pub(super) struct Queues<const QUEUES: usize, T = ()> {
    links: Links,
    lists: [SlotList; QUEUES],
    bytes: [u64; QUEUES],
    members: Vec<Member<T>>,
}

impl<const QUEUES: usize, T> Default for Queues<QUEUES, T> {
    fn default() -> Self {
        let lists = std::array::from_fn(|_| SlotList::default());
        Self {
            links: Links::default(),
            lists,
            bytes: [0; QUEUES],
            members: Vec::new(),
        }
    }
}

impl<const QUEUES: usize, T: Copy + Default> Queues<QUEUES, T> {
    /// The bytes of the objects in `queue`.
    #[inline]
    pub(super) fn bytes(&self, queue: u8) -> u64 {
        self.bytes[usize::from(queue)]
    }

    /// How many objects `queue` holds.
    pub(super) fn len(&self, queue: u8) -> usize {
        self.lists[usize::from(queue)].len()
    }

    /// The number that was pushed to `queue` first, or [`NONE`].
    #[inline]
    pub(super) fn oldest(&self, queue: u8) -> u32 {
        self.lists[usize::from(queue)].oldest()
    }

    /// The next newer number of the queue that `number` is in, or [`NONE`].
    pub(super) fn newer(&self, number: u32) -> u32 {
        self.links.newer(number)
    }

    /// All numbers used so far are below this one.
    pub(super) fn numbers_end(&self) -> u32 {
        self.members.len() as u32
    }

    /// The member with `number`.
    #[inline]
    pub(super) fn member(&self, number: u32) -> &Member<T> {
        &self.members[number as usize]
    }

    /// The policy's note on `number`.
    #[inline]
    pub(super) fn note_mut(&mut self, number: u32) -> &mut T {
        &mut self.members[number as usize].note
    }

    /// Puts `number`, which is in no queue, at the newest end of the queue that `member` names.
    pub(super) fn push(&mut self, number: u32, member: Member<T>) {
        if self.members.len() <= number as usize {
            self.members.resize(number as usize + 1, Member::default());
        }
        self.members[number as usize] = member;
        self.bytes[usize::from(member.queue)] += member.bytes;
        self.lists[usize::from(member.queue)].push_newest(&mut self.links, number);
    }

    /// Takes `number` out of its queue.
    pub(super) fn take(&mut self, number: u32) -> Member<T> {
        let member = self.members[number as usize];
        self.bytes[usize::from(member.queue)] -= member.bytes;
        self.lists[usize::from(member.queue)].unlink(&mut self.links, number);
        member
    }

    /// Moves `number` to the newest end of `queue`, which may be the queue it is in.
    pub(super) fn move_to(&mut self, number: u32, queue: u8) {
        let member = &mut self.members[number as usize];
        let from = std::mem::replace(&mut member.queue, queue);
        if from == queue {
            return self.lists[usize::from(queue)].touch(&mut self.links, number);
        }
        self.bytes[usize::from(from)] -= member.bytes;
        self.bytes[usize::from(queue)] += member.bytes;
        self.lists[usize::from(from)].unlink(&mut self.links, number);
        self.lists[usize::from(queue)].push_newest(&mut self.links, number);
    }

    /// Bytes of memory used.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.links.memory_bytes() + (self.members.capacity() * size_of::<Member<T>>()) as u64
    }

    /// Returns all numbers queued, after checking the byte counts. O(numbers).
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    pub(super) fn walk(&self) -> Result<Vec<u32>, String> {
        let mut numbers = Vec::new();
        for (queue, list) in self.lists.iter().enumerate() {
            let listed = list.walk(&self.links)?;
            let members = listed.iter().map(|number| self.member(*number));
            let bytes: u64 = members.clone().map(|member| member.bytes).sum();
            if bytes != self.bytes[queue]
                || members
                    .clone()
                    .any(|member| usize::from(member.queue) != queue)
            {
                let counted = self.bytes[queue];
                return Err(format!(
                    "queue {queue}: {bytes} B listed, {counted} counted, or a foreign member"
                ));
            }
            numbers.extend(listed);
        }
        Ok(numbers)
    }

    /// Whether `queue` holds nothing.
    #[inline]
    pub(super) fn is_empty(&self, queue: u8) -> bool {
        self.oldest(queue) == NONE
    }
}
