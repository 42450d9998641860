//! Numbers found by key: which ghost, or which node of a list, remembers an object.

use hashbrown::HashTable;

use crate::slot_list::NONE;
use crate::splitmix::remix;

/// A number for each key. The table holds both, so that looking for a key that is not there, the
/// common case, reads the table only. 18 to 37 B a key.
#[derive(Debug, Default)]
pub(super) struct KeyNumbers {
    table: HashTable<(u64, u32)>,
}

impl KeyNumbers {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The number of `key`, or [`NONE`].
    pub(super) fn find(&self, key: u64) -> u32 {
        self.table
            .find(remix(key), |(of, _)| *of == key)
            .map_or(NONE, |(_, number)| *number)
    }

    /// Gives `key`, which has no number, this one.
    pub(super) fn insert(&mut self, key: u64, number: u32) {
        self.table
            .insert_unique(remix(key), (key, number), |(key, _)| remix(*key));
    }

    /// Forgets `key`. Returns its number, or [`NONE`].
    pub(super) fn remove(&mut self, key: u64) -> u32 {
        match self.table.find_entry(remix(key), |(of, _)| *of == key) {
            Ok(found) => {
                let ((_, number), _) = found.remove();
                number
            }
            Err(_) => NONE,
        }
    }

    /// Bytes of memory used.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.table.allocation_size() as u64
    }
}
